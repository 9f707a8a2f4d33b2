//! From an info dictionary to a torrent of the engine: where its files go, what its journal says, which files are wanted.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use engine::{Add, Engine, Hashes, JournalPlace, Layout, NameRules, Resume, Status, Verify, journal};
use store::fastresume::FastResume;
use store::state::{FileState, State};
use wire::InfoHash;
use wire::magnet::Selection;
use wire::metainfo::Torrent;
use world::disk::Allocation;

use crate::bad_input;
use crate::exit::BadInput;
use crate::report::note;

/// Where journals are below the data directory.
const JOURNALS: &str = "resume";

/// How torrents are added.
#[derive(Clone, Debug)]
pub(super) struct Manner {
    /// The folder of their files.
    pub(super) folder: PathBuf,
    /// The data directory.
    pub(super) data_dir: PathBuf,
    /// How room is made.
    pub(super) allocation: Allocation,
    /// How far the journal is believed.
    pub(super) verify: Verify,
    /// Pieces in order.
    pub(super) sequential: bool,
    /// A fast-resume file of libtorrent to be taken over.
    pub(super) import: Option<PathBuf>,
    /// Trackers of the user, each a tier before the torrent's.
    pub(super) trackers: Vec<String>,
    /// Whether trackers and web seeds are asked at all.
    pub(super) use_trackers: bool,
    /// See [`use_trackers`](Self::use_trackers).
    pub(super) use_web_seeds: bool,
}

/// Makes a torrent ready for the engine.
///
/// # Errors
///
/// [`BadInput`] for a torrent that cannot be laid out on a disk, a selection without a file; the world's for a journal that
/// cannot be read.
pub(super) fn prepare(torrent: &Torrent, select: Option<&Selection>, manner: &Manner) -> anyhow::Result<Add> {
    let name = torrent.info.name_lossy().into_owned();
    let raw: Arc<[u8]> = Arc::from(torrent.raw_info());
    let info = Arc::new(torrent.info.clone());
    // Names as other programs write them, where the file system takes them.
    let rules = if cfg!(any(windows, target_os = "macos")) {
        NameRules::Portable
    } else {
        NameRules::Exact
    };
    let layout = Layout::new(info, raw, rules).map_err(|error| BadInput(format!("{name}: {error}")))?;
    let hashes = hashes(torrent, &layout).map_err(|error| BadInput(format!("{name}: {error}")))?;
    let levels = levels(&layout, select, &name)?;
    let folder = absolute(&manner.folder)?;
    let mut add = Add::new(layout, hashes, folder);
    add.levels = levels;
    add.allocation = manner.allocation;
    add.verify = manner.verify;
    if manner.sequential {
        add.order = engine::picker::Order::Sequential;
    }
    if manner.use_trackers {
        add.trackers = manner.trackers.iter().map(|url| vec![url.clone()]).collect();
        let own = torrent.tiers().into_iter();
        add.trackers
            .extend(own.map(|tier| tier.into_iter().map(str::to_owned).collect()));
    }
    if manner.use_web_seeds {
        add.web_seeds.clone_from(&torrent.url_list);
    }
    let (place, resume) = journal(&manner.data_dir, add.info_hash, add.layout.pieces())?;
    add.journal = Some(place);
    // Without a journal, what is there is hashed.
    if resume.is_none() {
        add.verify = Verify::All;
    }
    add.resume = resume;
    if let Some(path) = &manner.import {
        import(&mut add, path)?;
    }
    Ok(add)
}

/// The hash trees of a v2 torrent, with the piece layers that its file has.
fn hashes(torrent: &Torrent, layout: &Layout) -> anyhow::Result<Option<Hashes>> {
    if !layout.has_v2() {
        return Ok(None);
    }
    let mut hashes = Hashes::new(layout);
    for (root, layer) in torrent.layers() {
        hashes.add_layer(layout, root, layer)?;
    }
    Ok(Some(hashes))
}

/// The level of each file.
fn levels(layout: &Layout, select: Option<&Selection>, name: &str) -> anyhow::Result<Vec<u8>> {
    let Some(select) = select else { return Ok(Vec::new()) };
    // Padding has no number for people, as in `estudely show`.
    let mut number = 0;
    let mut any = false;
    let levels = layout
        .files()
        .map(|file| {
            if file.kind == engine::layout::Kind::Padding {
                return 0;
            }
            let is_wanted = select.contains(number);
            number += 1;
            any |= is_wanted;
            if is_wanted { engine::picker::NORMAL } else { 0 }
        })
        .collect();
    if !any {
        bad_input!("{name}: none of the files that --select names is in it; it has {number}, numbered from 0");
    }
    Ok(levels)
}

/// Takes over what libtorrent says that is there (STO-29): it is hashed before it is believed.
fn import(add: &mut Add, path: &Path) -> anyhow::Result<()> {
    let bytes = host::read_file(path)?.ok_or_else(|| BadInput(format!("{}: no such file", path.display())))?;
    let fast = FastResume::decode(&bytes).map_err(|error| BadInput(format!("{}: {error}", path.display())))?;
    let v2 = fast.info_hash_v2.map(|name| name.truncated());
    let names = [Some(add.info_hash), add.other_hash];
    if !names.contains(&fast.info_hash.or(v2)) {
        bad_input!("{}: it is the fast-resume file of another torrent", path.display());
    }
    let mut resume = Resume::nothing(add.layout.pieces());
    let there = (0..).zip(&fast.have).filter(|(_, have)| **have);
    resume.suspect = there
        .map(|(piece, _)| piece)
        .filter(|piece| *piece < add.layout.pieces())
        .collect();
    resume.counters.downloaded = fast.downloaded;
    resume.counters.uploaded = fast.uploaded;
    resume.counters.active_secs = fast.active_secs;
    resume.counters.seeding_secs = fast.seeding_secs;
    resume.length = add.resume.as_ref().map_or(0, |resume| resume.length);
    add.resume = Some(resume);
    add.verify = Verify::Trust;
    Ok(())
}

/// What is there of a torrent, for people and for other programs (STO-37), beside its journal.
///
/// # Errors
///
/// When the file cannot be written.
pub(super) fn save_state(data_dir: &Path, engine: &Engine, status: &Status) -> anyhow::Result<()> {
    let (Some(resume), Some(layout)) = (engine.resume_data(status.id), engine.layout(status.id)) else {
        return Ok(());
    };
    let done = engine.file_progress(status.id);
    let files = layout
        .files()
        .zip(done)
        .filter(|(file, _)| file.kind == engine::layout::Kind::Content);
    let state = State {
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
            .map(|(file, completed)| FileState {
                path: file.path.to_owned(),
                length: file.len,
                completed,
                selected: true,
            })
            .collect(),
        downloaded: status.all_downloaded,
        uploaded: status.all_uploaded,
        ..State::default()
    };
    let mut bytes = Vec::new();
    state.write(&mut bytes)?;
    let name = format!("{}.state.json", status.info_hash);
    host::replace_file(&data_dir.join(JOURNALS).join(name), &bytes)?;
    Ok(())
}

/// A folder's path as the disk takes it.
fn absolute(folder: &Path) -> anyhow::Result<String> {
    let path = std::path::absolute(folder).with_context(|| format!("cannot use {}", folder.display()))?;
    match path.to_str() {
        Some(path) => Ok(path.to_owned()),
        None => bad_input!("{}: the path of a folder must be UTF-8", folder.display()),
    }
}

/// Reads a torrent's journal, and writes it anew in the fewest records.
fn journal(data_dir: &Path, info_hash: InfoHash, pieces: u32) -> anyhow::Result<(JournalPlace, Option<Resume>)> {
    let folder = data_dir.join(JOURNALS);
    host::create_dir(&folder)?;
    let file = format!("{info_hash}.journal");
    let path = folder.join(&file);
    let place = JournalPlace {
        folder: absolute(&folder)?,
        file,
    };
    let Some(bytes) = host::read_file(&path)? else {
        return Ok((place, None));
    };
    let resume = match journal::read(&bytes, info_hash, pieces) {
        Ok(mut resume) => {
            let mut anew = Vec::new();
            resume.encode(info_hash, &mut anew);
            host::replace_file(&path, &anew)?;
            resume.length = anew.len() as u64;
            Some(resume)
        }
        Err(error) => {
            if let Some(aside) = host::set_aside(&path)? {
                note(&format!(
                    "{}: {error}; it is kept as {}, and what is on disk is hashed",
                    path.display(),
                    aside.display()
                ));
            }
            None
        }
    };
    Ok((place, resume))
}
