//! What libtorrent keeps of a torrent between sessions (`NAME.fastresume`), read and written (STO-28 to STO-31).
//!
//! Programs have written three forms of it: that of 0.14 to 1.1 (a byte for each piece, peers as text, blocks counted from
//! the lowest bit), that of 1.2 and 2.0 (peers in bytes, blocks from the highest bit) and that of 2.1 (a bit for each
//! piece). All are read. What is written is the second with the keys that the manual of the first names, which every
//! libtorrent since 1.2 reads.

mod accept;
mod decode;
mod encode;

use std::net::SocketAddr;

use thiserror::Error;
use wire::bencode::BencodeError;
use wire::merkle::Hash;
use wire::{InfoHash, InfoHashV2};

pub use accept::{Facts, Rejected};

/// Largest file that is read, bytes: 2 million pieces and the hash trees of a terabyte fit.
pub const BYTES_MAX: usize = 256 << 20;

/// Most peers that are kept, and most banned ones; those after are passed over.
pub const PEERS_MAX: usize = 10_000;

/// Why bytes are no resume data.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum ResumeError {
    /// More than [`BYTES_MAX`].
    #[error("{0} bytes are too many for resume data")]
    TooLong(usize),
    /// Not one bencoded dictionary.
    #[error("not bencoded: {0}")]
    Bencode(#[from] BencodeError),
    /// Another kind of file.
    #[error("not resume data: `file-format` is not `libtorrent resume file`")]
    NotResume,
    /// A form that came later.
    #[error("resume data of version {0}; 1 and 2 are known")]
    Version(i64),
    /// Neither a v1 nor a v2 infohash.
    #[error("it names no torrent")]
    NoInfoHash,
    /// An entry that decides what is on the disk makes no sense.
    #[error("`{0}` makes no sense")]
    Entry(&'static str),
}

/// How the files were laid out on the disk.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Allocation {
    /// Full size, with holes.
    #[default]
    Sparse,
    /// Full size, all of it taken from the disk.
    Full,
    /// Pieces one after another as they came, moved to their places in the end.
    Compact,
}

/// A piece of which some blocks are on the disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unfinished {
    /// The piece.
    pub piece: u32,
    /// Whether each block is there; may go on beyond the last with false.
    pub blocks: Vec<bool>,
    /// Checksum ([`adler32`]) of the blocks that are there, in order, where the file has one.
    pub adler32: Option<u32>,
}

/// What a file was when the data were saved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stamp {
    /// Bytes.
    pub length: u64,
    /// When it was last written to, Unix seconds.
    pub modified: i64,
}

/// What is known of a file's hash tree (2.0 and later).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tree {
    /// Nodes from the root down, level by level; those that `mask` names, or all.
    pub hashes: Vec<Hash>,
    /// Leaves that were verified; may go on beyond the last with false.
    pub verified: Vec<bool>,
    /// Which nodes of the whole tree are in `hashes`, empty for all; may go on with false.
    pub mask: Vec<bool>,
}

/// Resume data, of any form. Texts are as the file has them, in whatever encoding.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FastResume {
    /// The v1 name. One that was read has this or the v2 name, or both.
    pub info_hash: Option<InfoHash>,
    /// The v2 name.
    pub info_hash_v2: Option<InfoHashV2>,
    /// The torrent's name.
    pub name: Option<Vec<u8>>,
    /// The directory that its files are in.
    pub save_path: Option<Vec<u8>>,
    /// The exact bytes of the info dictionary, which nobody has hashed yet.
    pub info: Option<Vec<u8>>,
    /// Whether each piece is there; may go on beyond the last with false.
    pub have: Vec<bool>,
    /// Which of them were hashed since the torrent was added as a seed without a check; else empty.
    pub verified: Vec<bool>,
    /// Pieces of which some blocks are there.
    pub unfinished: Vec<Unfinished>,
    /// Blocks of a whole piece: 1 to 256, larger blocks where they would be more.
    pub blocks_per_piece: Option<u32>,
    /// Which piece is in each slot, only where slots can be out of order ([`Allocation::Compact`]): -1 is not on the disk
    /// yet, -2 is free.
    pub slots: Vec<i64>,
    /// What each file was, in the torrent's order; empty if it is not told.
    pub files: Vec<Stamp>,
    /// How they were laid out.
    pub allocation: Allocation,
    /// Peers to begin with.
    pub peers: Vec<SocketAddr>,
    /// Peers that are not to be met again.
    pub banned: Vec<SocketAddr>,
    /// Payload bytes sent and received, since the torrent was added.
    pub uploaded: u64,
    /// Payload bytes received.
    pub downloaded: u64,
    /// Seconds not paused, since the torrent was added.
    pub active_secs: u64,
    /// Of these, with all wanted files there.
    pub finished_secs: u64,
    /// Of these, with everything there.
    pub seeding_secs: u64,
    /// Unix seconds when it was added, 0 if unknown.
    pub added: i64,
    /// Unix seconds when it was complete, 0 if it is not.
    pub completed: i64,
    /// Seeds, as trackers last said.
    pub seeds: Option<u64>,
    /// Leechers, as trackers last said.
    pub leechers: Option<u64>,
    /// Bytes a second; none is no limit.
    pub upload_limit: Option<u64>,
    /// Bytes a second; none is no limit.
    pub download_limit: Option<u64>,
    /// Connections; none is no limit.
    pub connections: Option<u64>,
    /// Peers unchoked at once; none is no limit.
    pub uploads: Option<u64>,
    /// It was paused.
    pub paused: bool,
    /// The session decides when it runs.
    pub auto_managed: bool,
    /// In order of pieces.
    pub sequential: bool,
    /// It was added as a seed without a check.
    pub seed_mode: bool,
    /// Tiers of trackers; `None` is what the .torrent says.
    pub trackers: Option<Vec<Vec<Vec<u8>>>>,
    /// Web seeds (BEP 19); `None` is what the .torrent says.
    pub web_seeds: Option<Vec<Vec<u8>>>,
    /// Web seeds of another kind (BEP 17).
    pub http_seeds: Vec<Vec<u8>>,
    /// 0 (skip) to 7 of each piece; empty for the usual, 4.
    pub piece_priority: Vec<u8>,
    /// 0 (skip) to 7 of each file; empty for the usual, 4.
    pub file_priority: Vec<u8>,
    /// New names of files, in the torrent's order; an empty one is not renamed.
    pub mapped_files: Vec<Vec<u8>>,
    /// Hash trees of the files, in the torrent's order.
    pub trees: Vec<Tree>,
}

impl FastResume {
    /// Reads resume data. What decides which bytes are on the disk must make sense; of all else, what does not counts as
    /// absent. Memory is in line with the bytes.
    ///
    /// # Errors
    ///
    /// [`ResumeError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, ResumeError> {
        decode::decode(bytes)
    }

    /// Appends resume data that libtorrent since 1.2 reads: canonical bencode.
    pub fn encode(&self, out: &mut Vec<u8>) {
        encode::encode(self, out);
    }

    /// Whether these data may be trusted for the torrent and the files that are there (STO-29). Sizes and times of files
    /// matter only where pieces may have been moved; nobody's pieces are read from slots out of order.
    ///
    /// # Errors
    ///
    /// Why not: everything is to be hashed then.
    pub fn accept(&self, facts: &Facts<'_>) -> Result<(), Rejected> {
        accept::accept(self, facts)
    }
}

/// The checksum of blocks, one after another (RFC 1950).
pub fn adler32(blocks: &[&[u8]]) -> u32 {
    /// The largest prime below 2^16.
    const MODULUS: u32 = 65_521;
    /// As many bytes as can be summed before the sums must be reduced.
    const CHUNK: usize = 5_552;
    let (mut low, mut high) = (1u32, 0u32);
    for chunk in blocks.iter().flat_map(|block| block.chunks(CHUNK)) {
        for &byte in chunk {
            low += u32::from(byte);
            high += low;
        }
        low %= MODULUS;
        high %= MODULUS;
    }
    high << 16 | low
}

#[cfg(test)]
mod tests;
