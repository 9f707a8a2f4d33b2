//! What is left for others when a run ends.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use engine::layout::Kind;
use engine::picker::NORMAL;
use engine::{BLOCK, Engine, Layout, Resume, Status};
use store::fastresume::{Allocation, FastResume, Stamp, Unfinished};
use store::state::{FileState, State};
use wire::metainfo;

use super::super::adding::{Manner, absolute};
use super::{path_of, read_blocks, stamps};

/// Leaves both files beside the torrent's journal.
///
/// # Errors
///
/// When one cannot be written.
pub(in super::super) fn export(manner: &Manner, engine: &Engine, status: &Status) -> anyhow::Result<()> {
    let (Some(resume), Some(layout)) = (engine.resume_data(status.id), engine.layout(status.id)) else {
        return Ok(());
    };
    let write =
        |kind: &str, bytes: &[u8]| host::replace_file(&path_of(&manner.data_dir, status.info_hash, kind), bytes);
    let mut bytes = Vec::new();
    fast_resume(manner, engine, status, &resume, layout)?.encode(&mut bytes);
    write("fastresume", &bytes)?;
    bytes.clear();
    state(engine, status, &resume, layout).write(&mut bytes)?;
    write("state.json", &bytes)?;
    Ok(())
}

/// For libtorrent, and for our own next run.
fn fast_resume(
    manner: &Manner,
    engine: &Engine,
    status: &Status,
    resume: &Resume,
    layout: &Layout,
) -> anyhow::Result<FastResume> {
    let version = layout.info().version;
    let raw = layout.raw_info();
    let mut unfinished = Vec::new();
    for (piece, blocks) in &resume.partial {
        unfinished.push(Unfinished {
            piece: *piece,
            blocks: (0..blocks.len()).map(|block| blocks.get(block)).collect(),
            adler32: read_blocks(layout, &manner.folder, *piece, blocks)?,
        });
    }
    let gone = Stamp { length: 0, modified: 0 };
    let levels = engine.levels(status.id);
    let has_choice = levels
        .iter()
        .zip(layout.files())
        .any(|(level, file)| file.kind == Kind::Content && *level != NORMAL);
    Ok(FastResume {
        info_hash: version.has_v1().then(|| metainfo::info_hash_v1(raw)),
        info_hash_v2: version.has_v2().then(|| metainfo::info_hash_v2(raw)),
        name: Some(status.name.clone().into_bytes()),
        save_path: Some(absolute(&manner.folder)?.into_bytes()),
        info: Some(raw.to_vec()),
        have: (0..layout.pieces()).map(|piece| resume.have.get(piece)).collect(),
        unfinished,
        blocks_per_piece: Some((layout.piece_length() / BLOCK).max(1)).filter(|count| *count <= 256),
        files: stamps(layout, &manner.folder)?
            .into_iter()
            .map(|stamp| stamp.unwrap_or(gone))
            .collect(),
        allocation: match manner.allocation {
            world::disk::Allocation::Full => Allocation::Full,
            _ => Allocation::Sparse,
        },
        peers: engine.known_peers(status.id).map(|(peer, _)| peer).collect(),
        banned: engine.banned(status.id).map(|ip| SocketAddr::new(ip, 0)).collect(),
        uploaded: status.all_uploaded,
        downloaded: status.all_downloaded,
        active_secs: status.active.as_secs(),
        finished_secs: status.seeding.as_secs(),
        seeding_secs: if resume.have.is_full() {
            status.seeding.as_secs()
        } else {
            0
        },
        seeds: status.swarm.0.map(u64::from),
        leechers: status.swarm.1.map(u64::from),
        auto_managed: true,
        sequential: manner.sequential,
        trackers: trackers(engine, status),
        file_priority: if has_choice { levels } else { Vec::new() },
        ..FastResume::default()
    })
}

/// The trackers in their tiers; `None` where none is asked, so that those of the .torrent stay.
fn trackers(engine: &Engine, status: &Status) -> Option<Vec<Vec<Vec<u8>>>> {
    let mut tiers: BTreeMap<usize, Vec<Vec<u8>>> = BTreeMap::new();
    for tracker in engine.trackers(status.id) {
        tiers
            .entry(tracker.tier)
            .or_default()
            .push(tracker.url.as_bytes().to_vec());
    }
    (!tiers.is_empty()).then(|| tiers.into_values().collect())
}

/// For people and small programs.
fn state(engine: &Engine, status: &Status, resume: &Resume, layout: &Layout) -> State {
    let files = layout
        .files()
        .zip(engine.file_progress(status.id))
        .zip(engine.levels(status.id));
    State {
        name: status.name.clone(),
        completed: resume.have.iter().collect(),
        total: layout.pieces(),
        partial: resume
            .partial
            .iter()
            .map(|(piece, blocks)| (*piece, blocks.iter().collect()))
            .collect(),
        info_hash: Some(status.info_hash.to_string()),
        files: files
            .filter(|((file, _), _)| file.kind == Kind::Content)
            .map(|((file, completed), level)| FileState {
                path: file.path.to_owned(),
                length: file.len,
                completed,
                selected: level > 0,
            })
            .collect(),
        downloaded: status.all_downloaded,
        uploaded: status.all_uploaded,
        ..State::default()
    }
}
