//! Where a download stands, as other programs keep it: `.fastresume` of libtorrent (STO-27 to STO-31) and `state.json`
//! (STO-37). Both are left beside the journal when a run ends, and can be taken over from elsewhere. Of what is on the disk
//! the journal alone decides; of our own resume data the next run takes whom we knew.

mod export;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use engine::Bits;
use engine::layout::Kind;
use engine::{Add, BLOCK, Layout, Resume};
use store::fastresume::{Facts, FastResume, Stamp, Unfinished, adler32};
use store::state::State;
use wire::InfoHash;
use wire::metainfo;

use crate::bad_input;
use crate::exit::BadInput;
use crate::report::note;

pub(super) use export::export;

/// Where all this is below the data directory.
pub(super) const FOLDER: &str = "resume";

/// What is to be taken over.
#[derive(Clone, Debug)]
pub(super) struct Import {
    /// The file.
    pub(super) path: PathBuf,
    /// Pieces are believed without a hash, as libtorrent does (STO-29).
    pub(super) trust: bool,
}

/// Who was known of a torrent.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// To be dialled.
    pub(super) peers: Vec<SocketAddr>,
    /// Never to be met again.
    pub(super) banned: Vec<IpAddr>,
}

impl Known {
    fn of(fast: &FastResume) -> Self {
        Self {
            peers: fast.peers.clone(),
            banned: fast.banned.iter().map(SocketAddr::ip).collect(),
        }
    }

    pub(super) fn extend(&mut self, other: Self) {
        self.peers.extend(other.peers);
        self.banned.extend(other.banned);
    }
}

fn path_of(data_dir: &Path, info_hash: InfoHash, kind: &str) -> PathBuf {
    data_dir.join(FOLDER).join(format!("{info_hash}.{kind}"))
}

/// Who was known when the last run ended; nobody if that cannot be read, for nothing else hangs on it.
pub(super) fn remembered(data_dir: &Path, info_hash: InfoHash) -> Known {
    let bytes = host::read_file(&path_of(data_dir, info_hash, "fastresume"))
        .ok()
        .flatten();
    let fast = bytes.and_then(|bytes| FastResume::decode(&bytes).ok());
    fast.as_ref().map(Known::of).unwrap_or_default()
}

/// Takes over what a file says, beside what our journal says. Levels of files only if `with_levels`.
///
/// # Errors
///
/// [`BadInput`] for a file that cannot be read, is of another kind, or of another torrent.
pub(super) fn import(add: &mut Add, import: &Import, with_levels: bool) -> anyhow::Result<Known> {
    let path = &import.path;
    let refuse = |why: &dyn std::fmt::Display| BadInput(format!("{}: {why}", path.display()));
    let bytes = host::read_file(path)?.ok_or_else(|| refuse(&"no such file"))?;
    let mut resume = add
        .resume
        .take()
        .unwrap_or_else(|| Resume::nothing(add.layout.pieces()));
    let known = if bytes.starts_with(b"{") {
        let state = State::read(&*bytes).map_err(|error| refuse(&error))?;
        let other = state
            .info_hash
            .as_ref()
            .is_some_and(|name| *name != add.info_hash.to_string());
        if other || state.total != add.layout.pieces() {
            bad_input!("{}: the state of another torrent", path.display());
        }
        suspect(&mut resume, &state.completed);
        Known::default()
    } else {
        let fast = FastResume::decode(&bytes).map_err(|error| refuse(&error))?;
        take_over(add, &mut resume, &fast, import, with_levels)?;
        Known::of(&fast)
    };
    add.resume = Some(resume);
    Ok(known)
}

/// Pieces that are to be hashed before anything else.
fn suspect(resume: &mut Resume, pieces: &[u32]) {
    let unknown = pieces.iter().filter(|piece| !resume.have.get(**piece));
    let unknown: Vec<u32> = unknown.copied().collect();
    resume.suspect.extend(unknown);
    resume.suspect.sort_unstable();
    resume.suspect.dedup();
    resume.clean = resume.suspect.is_empty();
}

fn take_over(
    add: &mut Add,
    resume: &mut Resume,
    fast: &FastResume,
    import: &Import,
    with_levels: bool,
) -> anyhow::Result<()> {
    let (path, pieces) = (&import.path, add.layout.pieces());
    let v2 = fast.info_hash_v2.map(|name| name.truncated());
    if ![Some(add.info_hash), add.other_hash].contains(&fast.info_hash.or(v2)) {
        bad_input!("{}: it is the resume data of another torrent", path.display());
    }
    for (file, name) in (0..).zip(&fast.mapped_files).filter(|(_, name)| !name.is_empty()) {
        let name = String::from_utf8_lossy(name);
        if let Err(error) = add.layout.rename(file, &name) {
            bad_input!("{}: file {file} cannot be named {name:?}: {error}", path.display());
        }
    }
    if with_levels && fast.file_priority.len() == add.layout.files().len() {
        add.levels = fast.file_priority.iter().map(|level| (*level).min(7)).collect();
    }
    let there: Vec<u32> = (0..pieces)
        .zip(&fast.have)
        .filter(|(_, have)| **have)
        .map(|(piece, _)| piece)
        .collect();
    if import.trust && is_accepted(add, fast, path)? {
        for file in add.layout.files().filter(|file| file.kind == Kind::Content) {
            let file = Path::new(&add.folder).join(file.path);
            // What the journal claims is on stable storage; nobody has said so of these yet.
            if host::stamp(&file)?.is_some() {
                host::sync_file(&file)?;
            }
        }
        there.iter().for_each(|piece| {
            resume.have.set(*piece);
        });
    } else {
        suspect(resume, &there);
    }
    for unfinished in &fast.unfinished {
        let is_new =
            !resume.have.get(unfinished.piece) && resume.partial.iter().all(|(piece, _)| *piece != unfinished.piece);
        if is_new && let Some(blocks) = blocks(&add.layout, Path::new(&add.folder), unfinished, fast.blocks_per_piece)?
        {
            resume.partial.push((unfinished.piece, blocks));
        }
    }
    resume.counters.downloaded += fast.downloaded;
    resume.counters.uploaded += fast.uploaded;
    resume.counters.active_secs += fast.active_secs;
    resume.counters.seeding_secs += fast.seeding_secs;
    Ok(())
}

/// Whether libtorrent would believe it (STO-29). If not, that is said, and what it names is hashed.
fn is_accepted(add: &Add, fast: &FastResume, path: &Path) -> anyhow::Result<bool> {
    let files = stamps(&add.layout, Path::new(&add.folder))?;
    let raw = add.layout.raw_info();
    let version = add.layout.info().version;
    let facts = Facts {
        info_hash: version.has_v1().then(|| metainfo::info_hash_v1(raw)),
        info_hash_v2: version.has_v2().then(|| metainfo::info_hash_v2(raw)),
        pieces: add.layout.pieces(),
        files: &files,
    };
    let accepted = fast.accept(&facts);
    if let Err(error) = &accepted {
        note(&format!("{}: {error}; its pieces are hashed", path.display()));
    }
    Ok(accepted.is_ok())
}

/// What the files of a torrent are now; padding is as it should be.
fn stamps(layout: &Layout, folder: &Path) -> anyhow::Result<Vec<Option<Stamp>>> {
    let stamp = |file: engine::layout::File<'_>| {
        if file.kind == Kind::Padding {
            return Ok(Some(Stamp {
                length: file.len,
                modified: 0,
            }));
        }
        let stamp = host::stamp(&folder.join(file.path))?;
        Ok(stamp.map(|(length, modified)| Stamp { length, modified }))
    };
    layout.files().map(stamp).collect()
}

/// The blocks of an unfinished piece that are on the disk as the checksum says (STO-30). Without one they come again: nobody
/// could be blamed for them.
fn blocks(
    layout: &Layout,
    folder: &Path,
    unfinished: &Unfinished,
    per_piece: Option<u32>,
) -> anyhow::Result<Option<Bits>> {
    let Some(sum) = unfinished.adler32 else { return Ok(None) };
    let (piece, all) = (unfinished.piece, layout.blocks(unfinished.piece));
    // Pieces of over 4 MiB had larger blocks.
    let ours = layout.piece_length() / BLOCK;
    let each = if per_piece == Some(256) { (ours / 256).max(1) } else { 1 };
    let mut blocks = Bits::new(all);
    let marked = (0u32..).zip(&unfinished.blocks).filter(|(_, is_there)| **is_there);
    for block in
        marked.flat_map(|(theirs, _)| theirs.saturating_mul(each)..theirs.saturating_add(1).saturating_mul(each))
    {
        if block < all {
            blocks.set(block);
        }
    }
    let found = read_blocks(layout, folder, piece, &blocks)?;
    Ok((found == Some(sum)).then_some(blocks))
}

/// The checksum of some blocks of a piece as they are on the disk; `None` if some are not.
fn read_blocks(layout: &Layout, folder: &Path, piece: u32, blocks: &Bits) -> anyhow::Result<Option<u32>> {
    let mut bytes = Vec::new();
    for block in blocks.iter() {
        for slice in layout.map_block(piece, block * BLOCK, layout.block_len(piece, block)) {
            let len = slice.len as usize;
            let file = slice.file.and_then(|file| layout.file(file));
            match file.filter(|file| file.kind == Kind::Content) {
                None => bytes.resize(bytes.len() + len, 0),
                Some(file) => match host::read_part(&folder.join(file.path), slice.at, len)? {
                    Some(part) => bytes.extend(part),
                    None => return Ok(None),
                },
            }
        }
    }
    Ok(Some(adler32(&[&bytes])))
}
