//! From an info dictionary to a torrent of the engine: where its files go, what its journal says, which files are wanted.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use engine::{Add, Hashes, JournalPlace, Layout, NameRules, Resume, Verify, journal};
use wire::InfoHash;
use wire::magnet::Selection;
use wire::metainfo::Torrent;
use world::disk::Allocation;

use crate::bad_input;
use crate::exit::BadInput;
use crate::report::note;

use super::resume::{self, Import, Known};

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
    /// What another program kept, to be taken over.
    pub(super) import: Option<Import>,
    /// Trackers of the user, each a tier before the torrent's.
    pub(super) trackers: Vec<String>,
    /// Whether trackers and web seeds are asked at all.
    pub(super) use_trackers: bool,
    /// See [`use_trackers`](Self::use_trackers).
    pub(super) use_web_seeds: bool,
}

/// Makes a torrent ready for the engine; and who was known of it before.
///
/// # Errors
///
/// [`BadInput`] for a torrent that cannot be laid out on a disk, a selection without a file; the world's for a journal that
/// cannot be read.
pub(super) fn prepare(torrent: &Torrent, select: Option<&Selection>, manner: &Manner) -> anyhow::Result<(Add, Known)> {
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
    let mut known = resume::remembered(&manner.data_dir, add.info_hash);
    let place = place(&manner.data_dir, add.info_hash)?;
    add.resume = journal(&place, add.info_hash, add.layout.pieces())?;
    // Without a journal, what is there is hashed.
    if add.resume.is_none() {
        add.verify = Verify::All;
    }
    if let Some(import) = &manner.import {
        known.extend(resume::import(&mut add, import, select.is_none())?);
        // What it does not name is not there.
        add.verify = manner.verify;
        if let Some(resume) = &mut add.resume {
            write_journal(&place, add.info_hash, resume)?;
        }
    }
    add.journal = Some(place);
    Ok((add, known))
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

/// A folder's path as the disk takes it.
pub(super) fn absolute(folder: &Path) -> anyhow::Result<String> {
    let path = std::path::absolute(folder).with_context(|| format!("cannot use {}", folder.display()))?;
    match path.to_str() {
        Some(path) => Ok(path.to_owned()),
        None => bad_input!("{}: the path of a folder must be UTF-8", folder.display()),
    }
}

/// Where the journal of a torrent is; its folder is made.
fn place(data_dir: &Path, info_hash: InfoHash) -> anyhow::Result<JournalPlace> {
    let folder = data_dir.join(resume::FOLDER);
    host::create_dir(&folder)?;
    Ok(JournalPlace {
        folder: absolute(&folder)?,
        file: format!("{info_hash}.journal"),
    })
}

/// Reads a torrent's journal, and writes it anew in the fewest records.
fn journal(place: &JournalPlace, info_hash: InfoHash, pieces: u32) -> anyhow::Result<Option<Resume>> {
    let path = Path::new(&place.folder).join(&place.file);
    let Some(bytes) = host::read_file(&path)? else {
        return Ok(None);
    };
    match journal::read(&bytes, info_hash, pieces) {
        Ok(mut resume) => {
            write_journal(place, info_hash, &mut resume)?;
            Ok(Some(resume))
        }
        Err(error) => {
            if let Some(aside) = host::set_aside(&path)? {
                note(&format!(
                    "{}: {error}; it is kept as {}, and what is on disk is hashed",
                    path.display(),
                    aside.display()
                ));
            }
            Ok(None)
        }
    }
}

fn write_journal(place: &JournalPlace, info_hash: InfoHash, resume: &mut Resume) -> anyhow::Result<()> {
    let mut bytes = Vec::new();
    resume.encode(info_hash, &mut bytes);
    host::replace_file(&Path::new(&place.folder).join(&place.file), &bytes)?;
    resume.length = bytes.len() as u64;
    Ok(())
}
