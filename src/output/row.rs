//! What was harvested, as rows.

use std::path::Path;

use store::metadata::{self, Entry, Torrent};
use store::{batch, peers};
use wire::InfoHash;
use wire::metainfo::{self, Info};

use super::{Got, Table};
use crate::job::harvest::{Harvested, Outcome};
use crate::report::{note, plain, size, thousands};

/// Appends the rows of one infohash; gives what they say of its metadata, if they have any.
///
/// A dictionary that hashes to the infohash and yet has no readable name, sizes or piece length counts as no metadata:
/// a row that says `True` must have them.
pub(super) fn put(table: Table, harvested: &Harvested, out: &mut Vec<u8>) -> Option<Got> {
    let (info_hash, peers) = (harvested.info_hash, &harvested.peers[..]);
    if table == Table::Peers {
        peers::put_block(info_hash, peers, out);
        return None;
    }
    let info = match &harvested.outcome {
        Outcome::Metadata(raw) => Info::salvage(raw).ok().map(|salvaged| salvaged.info),
        _ => None,
    };
    let name = info.as_ref().map(Info::name_lossy).unwrap_or_default();
    let torrent = info.as_ref().map(|info| torrent(info, &name));
    metadata::put_block(
        &Entry {
            info_hash,
            torrent,
            peers,
        },
        out,
    );
    info.map(|info| Got {
        name: info.name_lossy().into_owned(),
        file_count: info.file_count(),
        total_bytes: info.total_bytes(),
    })
}

/// Keeps the info dictionary, byte for byte, in a .torrent (MDX-13).
pub(super) fn save_torrent(dir: &Path, harvested: &Harvested) -> anyhow::Result<()> {
    if let Outcome::Metadata(raw) = &harvested.outcome {
        let path = dir.join(format!("{}.torrent", harvested.info_hash));
        host::replace_file(&path, &metainfo::wrap::<&str>(raw, &[]))?;
    }
    Ok(())
}

/// Appends the row of metadata.csv, if there is metadata.
pub(super) fn put_batch(harvested: &Harvested, out: &mut Vec<u8>) -> bool {
    let Outcome::Metadata(raw) = &harvested.outcome else {
        return false;
    };
    let Ok(salvaged) = Info::salvage(raw) else { return false };
    batch::put_row(
        harvested.info_hash,
        &torrent(&salvaged.info, &salvaged.info.name_lossy()),
        out,
    );
    true
}

/// Files told of a single torrent (MDX-08).
const FILES_TOLD: usize = 10;

/// Tells a person what came of one infohash (MDX-08).
pub(super) fn tell(harvested: &Harvested) {
    let Harvested {
        info_hash,
        peers,
        outcome,
        ..
    } = harvested;
    let why = match outcome {
        Outcome::Metadata(raw) => match Info::salvage(raw) {
            Ok(salvaged) => return tell_info(info_hash, &salvaged.info),
            Err(error) => format!("metadata that cannot be read: {error}"),
        },
        Outcome::NoAnswer => "no metadata: hardly any DHT node answered".to_owned(),
        Outcome::NoPeers => "no metadata: the DHT named no peer".to_owned(),
        Outcome::Unreachable => format!("no metadata: none of {} peers could be connected to", peers.len()),
        Outcome::Unfetchable => format!(
            "no metadata (of {} peers, those reached are leaving, lack it, or do not support ut_metadata)",
            peers.len()
        ),
        Outcome::PeersOnly => format!("{} peers", peers.len()),
        Outcome::Abandoned => "stopped before it was done".to_owned(),
    };
    note(&format!("{info_hash}: {why}"));
}

fn tell_info(info_hash: &InfoHash, info: &Info) {
    note(&format!("{info_hash}: {}", plain(info.name_lossy().as_bytes())));
    note(&format!(
        "{} files, {} ({} bytes)",
        thousands(info.file_count()),
        size(info.total_bytes()),
        thousands(info.total_bytes())
    ));
    let shown = info.files().filter(|file| !file.pad).take(FILES_TOLD);
    for file in shown {
        note(&format!(
            "  {:>12}  {}",
            size(file.length),
            plain(file.path_lossy().as_bytes())
        ));
    }
    let more = info.file_count().saturating_sub(FILES_TOLD as u64);
    if more > 0 {
        note(&format!("  ... and {} more files", thousands(more)));
    }
}

fn torrent<'a>(info: &Info, name: &'a str) -> Torrent<'a> {
    Torrent {
        name,
        file_count: info.file_count(),
        total_bytes: info.total_bytes(),
        piece_length: info.piece_length,
    }
}
