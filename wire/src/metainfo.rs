//! What a torrent is: info dictionaries of v1 (BEP 3), v2 (BEP 52) and hybrids of both, and the .torrent files around
//! them.
//!
//! The name of a torrent is the hash of its info dictionary's *exact bytes*; so nothing here writes one anew that was
//! read. New torrents come from a [`Description`] and the hashes of their pieces.

mod build;
mod content;
mod error;
mod expected;
mod files;
mod hasher;
mod info;
mod keys;
mod lists;
mod torrent;

use sha1::{Digest, Sha1};
use sha2::Sha256;

use crate::bencode::Encoder;
use crate::{InfoHash, InfoHashV2};

pub use build::{BuildError, Description, Draft, MAX_PIECE_LENGTH, MAX_PIECES, NewFile, piece_length_for};
pub use content::{Content, Part};
pub use error::{Fault, Field, MetainfoError};
pub use expected::{Expected, LayerError, Verdict};
pub use files::File;
pub use hasher::{PieceHasher, PieceHashes};
pub use info::{Info, Salvaged, Version};
pub use torrent::Torrent;

/// The v1 name: SHA-1 over the exact bytes of an info dictionary.
pub fn info_hash_v1(raw_info: &[u8]) -> InfoHash {
    InfoHash::new(Sha1::digest(raw_info).into())
}

/// The v2 name: SHA-256 over the exact bytes of an info dictionary.
pub fn info_hash_v2(raw_info: &[u8]) -> InfoHashV2 {
    InfoHashV2::new(Sha256::digest(raw_info).into())
}

/// Whether these bytes are the info dictionary that `info_hash` names, as v1 or as truncated v2 hash. A hybrid is found
/// under either. The bytes need not have been parsed: check first, parse then.
pub fn matches(raw_info: &[u8], info_hash: &InfoHash) -> bool {
    info_hash_v1(raw_info) == *info_hash || info_hash_v2(raw_info).truncated() == *info_hash
}

/// A .torrent file around an info dictionary that a peer gave, with the trackers of its magnet link: one tier each, so
/// that their order is kept (BEP 12).
///
/// `raw_info` must be one bencoded dictionary. A v2 torrent made so lacks the piece layers, which are no part of the
/// info dictionary (BEP 52).
pub fn wrap<S: AsRef<str>>(raw_info: &[u8], trackers: &[S]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw_info.len() + 64);
    let mut to = Encoder::new(&mut out);
    to.begin_dict();
    if let Some(first) = trackers.first() {
        to.key(b"announce").bytes(first.as_ref().as_bytes());
        to.key(b"announce-list").begin_list();
        for tracker in trackers {
            to.begin_list().bytes(tracker.as_ref().as_bytes()).end();
        }
        to.end();
    }
    to.key(b"info").raw(raw_info).end();
    out
}

#[cfg(test)]
mod tests;
