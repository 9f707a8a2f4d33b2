//! Why bytes are no torrent: which field, and what is wrong with it.

use std::fmt;

use thiserror::Error;

use crate::bencode::BencodeError;

/// Why bytes are not a torrent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum MetainfoError {
    /// They are not one bencoded dictionary.
    #[error("not a bencoded dictionary: {0}")]
    Bencode(#[from] BencodeError),
    /// An entry is wrong.
    #[error("`{field}` {fault}")]
    Field {
        /// Which entry.
        field: Field,
        /// What is wrong.
        fault: Fault,
    },
}

/// An entry of a .torrent file or an info dictionary.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Field {
    /// `info`, the info dictionary itself.
    Info,
    /// `name`: the file, or the directory of several.
    Name,
    /// `piece length`.
    PieceLength,
    /// `pieces`: SHA-1 of every piece.
    Pieces,
    /// `length` of a single file.
    Length,
    /// `files`: the v1 list.
    Files,
    /// `length` of one in the list.
    FileLength,
    /// `path` of one in the list.
    FilePath,
    /// `meta version`.
    MetaVersion,
    /// `file tree`: the v2 list.
    FileTree,
    /// `length` of one in the tree.
    TreeLength,
    /// `pieces root` of one in the tree.
    PiecesRoot,
    /// `piece layers`, beside the info dictionary.
    PieceLayers,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Info => "info",
            Self::Name => "name",
            Self::PieceLength => "piece length",
            Self::Pieces => "pieces",
            Self::Length => "length",
            Self::Files => "files",
            Self::FileLength => "files: length",
            Self::FilePath => "files: path",
            Self::MetaVersion => "meta version",
            Self::FileTree => "file tree",
            Self::TreeLength => "file tree: length",
            Self::PiecesRoot => "file tree: pieces root",
            Self::PieceLayers => "piece layers",
        })
    }
}

/// What is wrong with an entry.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Error)]
pub enum Fault {
    /// It is needed and not there.
    #[error("is missing")]
    Missing,
    /// It has a value of another kind, or hashes that are no whole number of hashes.
    #[error("has a value of the wrong kind")]
    Kind,
    /// A negative, zero or impossibly large number.
    #[error("has a value out of range")]
    Range,
    /// It stands beside an entry that excludes it.
    #[error("stands beside an entry that excludes it")]
    Conflict,
    /// It contradicts other entries: sizes that need another number of pieces, or a v1 and a v2 list that differ.
    #[error("contradicts other entries")]
    Disagrees,
}

/// Remembers the first thing that was wrong, while reading goes on.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) first: Option<MetainfoError>,
}

impl Notes {
    pub(super) fn add(&mut self, field: Field, fault: Fault) {
        self.first.get_or_insert(MetainfoError::Field { field, fault });
    }
}
