//! What was harvested, as rows.

use std::path::Path;

use store::metadata::{self, Entry, Torrent};
use store::{batch, json, peers};
use wire::InfoHash;
use wire::metainfo::{self, Info};
use world::{Member as _, Via};

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
    let info = salvaged(harvested);
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

/// Appends the row of metadata.csv; nothing if there is no metadata.
pub(super) fn put_batch(harvested: &Harvested, out: &mut Vec<u8>) -> bool {
    let Some(info) = salvaged(harvested) else { return false };
    batch::put_row(harvested.info_hash, &torrent(&info, &info.name_lossy()), out);
    true
}

/// Appends the JSON line of a success, and with `failures` that of a failure.
pub(super) fn put_json(harvested: &Harvested, failures: bool, out: &mut Vec<u8>) -> bool {
    let effort = json::Effort {
        tried: harvested.tried,
        took: harvested.took,
    };
    let Some(info) = salvaged(harvested) else {
        if failures {
            json::put_failed(
                harvested.info_hash,
                reason(&harvested.outcome),
                &harvested.peers,
                effort,
                out,
            );
        }
        return false;
    };
    let name = info.name_lossy();
    let files = info.files().filter(|file| !file.pad);
    let found = json::Found {
        torrent: torrent(&info, &name),
        files: files
            .take(json::FILES_MAX)
            .map(|file| (file.path_lossy(), file.length))
            .collect(),
        peer: harvested.from,
        via: harvested.via.map(Via::label),
    };
    json::put_found(harvested.info_hash, &found, effort, out);
    true
}

/// The dictionary that was fetched, if it can be read.
fn salvaged(harvested: &Harvested) -> Option<Info> {
    match &harvested.outcome {
        Outcome::Metadata(raw) => Info::salvage(raw).ok().map(|salvaged| salvaged.info),
        _ => None,
    }
}

/// Why there is no row of a success, as JSON says it.
const fn reason(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Metadata(_) => "unreadable",
        Outcome::NoPeers => "no_peers",
        Outcome::NoAnswer => "no_answer",
        Outcome::Unreachable => "unreachable",
        Outcome::Unfetchable => "unfetchable",
        Outcome::PeersOnly => "peers_only",
        Outcome::Abandoned => "abandoned",
    }
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
