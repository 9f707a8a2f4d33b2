//! Where every byte of a torrent belongs: pieces, blocks and files, and the paths of the files (BEP 3, 47, 52).
//!
//! The *piece space* is what pieces and blocks count: all files one after the other, padding included (v1, hybrid), or
//! each beginning a piece, with nothing on the wire between the end of one and the next (v2). A hybrid's padding makes
//! both views number the same bytes alike. Files are numbered as the torrent lists them, padding included.

mod check;
mod map;
mod names;

use std::ops::Range;
use std::sync::Arc;

use thiserror::Error;
use wire::merkle::Hash;
use wire::metainfo::{Info, Version};

use crate::key::BLOCK;

pub use map::BlockSlices;
pub use names::NameRules;

/// Longest piece, bytes.
pub const MAX_PIECE_LENGTH: u32 = 512 << 20;

/// Most pieces.
pub const MAX_PIECES: u32 = 1 << 26;

/// Most files, padding included.
pub const MAX_FILES: u32 = 1 << 20;

/// Longest path of a file below the output folder, bytes: leaves that a quarter of the 4096 that systems take.
pub const MAX_PATH: usize = 3_072;

/// Most bytes that all paths together may take: a tree can name one folder and have a million files in it.
pub const MAX_PATHS: usize = 64 << 20;

/// Why a torrent cannot be laid out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum LayoutError {
    /// Zero, or longer than [`MAX_PIECE_LENGTH`].
    #[error("a piece length of {0} bytes; 1 to {MAX_PIECE_LENGTH} can be had")]
    PieceLength(u64),
    /// Not a power of two of at least 16 KiB, as hash trees need.
    #[error("a piece length of {0} bytes, which is no power of two from 16384 upwards as version 2 needs")]
    TreePieceLength(u64),
    /// More than [`MAX_FILES`].
    #[error("more than {MAX_FILES} files")]
    Files,
    /// The sizes of the files do not fit in 63 bits together.
    #[error("the files are larger than any disk together")]
    Size,
    /// More than [`MAX_PIECES`].
    #[error("{0} pieces; at most {MAX_PIECES} can be had")]
    Pieces(u64),
    /// The piece hashes are not as many as the pieces.
    #[error("{hashes} piece hashes for {pieces} pieces")]
    Hashes {
        /// SHA-1 hashes in the info dictionary, the last perhaps cut.
        hashes: u64,
        /// Pieces that the sizes of the files make.
        pieces: u64,
    },
    /// A file of a v2 or hybrid torrent does not name the root of its tree.
    #[error("file {0} has no root of a hash tree")]
    NoRoot(u32),
    /// Two files of unequal size name one root, of which at most one can be true.
    #[error("files {0} and {1} have one hash and different sizes")]
    SameRoot(u32, u32),
    /// A file of a hybrid does not begin where its version 2 says.
    #[error("file {0} begins elsewhere in version 1 than in version 2 of this hybrid")]
    Numbering(u32),
    /// A path longer than [`MAX_PATH`].
    #[error("the path of file {0} is longer than {MAX_PATH} bytes")]
    LongPath(u32),
    /// Paths longer than [`MAX_PATHS`] together.
    #[error("the paths of the files take more than {MAX_PATHS} bytes together")]
    Paths,
    /// There is no such file, or it has no path of its own.
    #[error("file {0} cannot be renamed")]
    NoSuchFile(u32),
    /// The new path of a file is empty or not what could be written as it stands.
    #[error("not a path below the folder that every system can have")]
    BadPath,
    /// The new path of a file is that of another, or leads through it.
    #[error("the path is in the way of file {0}")]
    Taken(u32),
}

/// What a file is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Bytes on the disk.
    Content,
    /// Zeros that are never written; has no path (BEP 47).
    Padding,
    /// A symbolic link: no bytes. Nothing here makes links. The file of this torrent that it points to, if it does;
    /// targets outside the torrent are not even read.
    Link(Option<u32>),
}

/// One file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct File<'a> {
    /// Below the output folder, relative and safe, `/` between names; a torrent of several files has all of them in a
    /// folder of its name. Empty for padding.
    pub path: &'a str,
    /// Where it begins in the piece space, bytes.
    pub offset: u64,
    /// Bytes.
    pub len: u64,
    /// What it is.
    pub kind: Kind,
    /// It may be run as a program, or so the torrent says.
    pub executable: bool,
    /// It should not be shown by default, or so the torrent says.
    pub hidden: bool,
}

/// A torrent's pieces, blocks and files.
#[derive(Debug)]
pub struct Layout {
    info: Arc<Info>,
    raw: Arc<[u8]>,
    /// Where the v1 hashes lie in `raw`.
    hashes: Range<usize>,
    piece_length: u32,
    pieces: u32,
    /// Bytes of all pieces.
    total: u64,
    /// Those of them that are no padding.
    content: u64,
    files: Box<[Entry]>,
    /// The paths of all files, end to end.
    paths: String,
    /// Links that point to a file of this torrent, by file.
    links: Vec<(u32, u32)>,
    /// Roots of the files that have bytes (v2, hybrid), by file.
    roots: Vec<(u32, Hash)>,
    /// Places in `roots`, by root: one file of each.
    by_root: Vec<u32>,
}

/// What is kept of a file.
#[derive(Clone, Copy, Debug)]
struct Entry {
    offset: u64,
    len: u64,
    path: u32,
    path_len: u16,
    pad: bool,
    link: bool,
    executable: bool,
    hidden: bool,
}

impl Entry {
    fn end(&self) -> u64 {
        self.offset + self.len
    }
}

impl Layout {
    /// Lays a torrent out. `raw` are the bytes of the info dictionary that `info` was read from; both are kept and shared.
    ///
    /// # Errors
    ///
    /// [`LayoutError`]: what is absurd or contradicts itself. Paths that are odd, equal or in one another's way are no
    /// error: they are changed until they are safe and distinct (see [`NameRules`]).
    pub fn new(info: Arc<Info>, raw: Arc<[u8]>, rules: NameRules) -> Result<Self, LayoutError> {
        check::layout(info, raw, rules)
    }

    /// What the torrent says of itself; with the paths as a stranger chose them, by which web seeds know the files (FMT-21).
    pub fn info(&self) -> &Arc<Info> {
        &self.info
    }

    /// The info dictionary's exact bytes.
    pub fn raw_info(&self) -> &Arc<[u8]> {
        &self.raw
    }

    /// Bytes of a piece; the last may be shorter, in v2 the last of each file.
    pub fn piece_length(&self) -> u32 {
        self.piece_length
    }

    /// How many pieces.
    pub fn pieces(&self) -> u32 {
        self.pieces
    }

    /// Bytes of all pieces: padding counts, gaps between the files of a v2 torrent do not.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Bytes of all files, padding not counted.
    pub fn content(&self) -> u64 {
        self.content
    }

    /// The files in order.
    pub fn files(&self) -> impl ExactSizeIterator<Item = File<'_>> + DoubleEndedIterator {
        let numbers = 0..u32::try_from(self.files.len()).unwrap_or(u32::MAX);
        numbers.zip(&self.files).map(|(at, entry)| self.view(entry, at))
    }

    /// One file.
    pub fn file(&self, file: u32) -> Option<File<'_>> {
        self.entry(file).map(|entry| self.view(entry, file))
    }

    /// The SHA-1 of a piece, unless the torrent is v2 only.
    pub fn v1_hash(&self, piece: u32) -> Option<&[u8; 20]> {
        let (hashes, _) = self.raw.get(self.hashes.clone())?.as_chunks();
        hashes.get(usize::try_from(piece).ok()?)
    }

    /// Whether pieces have SHA-256 hashes: v2 and hybrid.
    pub fn has_v2(&self) -> bool {
        self.info.version.has_v2()
    }

    /// The root of a file's hash tree (v2, hybrid); a file without bytes has none.
    pub fn root(&self, file: u32) -> Option<&Hash> {
        let at = self.roots.binary_search_by_key(&file, |(file, _)| *file).ok()?;
        self.roots.get(at).map(|(_, root)| root)
    }

    /// A file whose hash tree has this root. Files of equal content have equal roots: it is the first of them.
    pub fn file_with_root(&self, root: &Hash) -> Option<u32> {
        let found = self.by_root.binary_search_by(|&at| self.root_at(at).1.cmp(root)).ok()?;
        self.by_root.get(found).map(|&at| self.root_at(at).0)
    }

    /// Gives a file another path below the output folder; the disk is told by the caller. `Info` keeps the old one.
    ///
    /// # Errors
    ///
    /// [`LayoutError::NoSuchFile`], [`LayoutError::LongPath`], [`LayoutError::Paths`], [`LayoutError::BadPath`] if the path
    /// is not one that [`NameRules::Portable`] leaves as it is, [`LayoutError::Taken`] if it differs from another's only in
    /// case, or one leads through the other.
    pub fn rename(&mut self, file: u32, to: &str) -> Result<(), LayoutError> {
        check::rename(self, file, to)
    }

    fn root_at(&self, at: u32) -> (u32, Hash) {
        let root = usize::try_from(at).ok().and_then(|at| self.roots.get(at));
        root.copied().unwrap_or_default()
    }

    fn entry(&self, file: u32) -> Option<&Entry> {
        self.files.get(usize::try_from(file).ok()?)
    }

    fn path(&self, entry: &Entry) -> &str {
        let start = usize::try_from(entry.path).unwrap_or(usize::MAX);
        let path = self
            .paths
            .get(start..)
            .and_then(|rest| rest.get(..entry.path_len.into()));
        path.unwrap_or_default()
    }

    fn view(&self, entry: &Entry, at: u32) -> File<'_> {
        let kind = match entry {
            Entry { pad: true, .. } => Kind::Padding,
            Entry { link: true, .. } => {
                let target = self.links.binary_search_by_key(&at, |(from, _)| *from).ok();
                Kind::Link(target.and_then(|target| self.links.get(target)).map(|(_, to)| *to))
            }
            _ => Kind::Content,
        };
        File {
            path: self.path(entry),
            offset: entry.offset,
            len: entry.len,
            kind,
            executable: entry.executable,
            hidden: entry.hidden,
        }
    }
}

#[cfg(test)]
pub(crate) mod made;
#[cfg(test)]
mod tests;
