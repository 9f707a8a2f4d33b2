//! What a pool tells its owner.

use std::net::SocketAddr;
use std::time::Duration;

use wire::InfoHash;
use world::Tally;

use crate::{Ending, Failure, Stage};

/// What a pool tells its owner. Every [`Pool::start`](crate::Pool::start) ends in exactly one `Metadata` or `GaveUp`;
/// before it comes one `Attempt` for each peer that was dialled.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// The info dictionary was fetched.
    Metadata {
        /// The torrent.
        info_hash: InfoHash,
        /// The info dictionary: its hash is right, nothing else about it was looked at.
        raw: Vec<u8>,
        /// Who gave the last piece.
        from: SocketAddr,
        /// Peers dialled, this one included.
        tried: u32,
    },
    /// Nobody gave the info dictionary.
    GaveUp {
        /// The torrent.
        info_hash: InfoHash,
        /// Why no further peer was tried.
        why: Ending,
        /// Peers dialled.
        tried: u32,
        /// How each of these ended.
        reasons: Box<Tally<Failure>>,
    },
    /// A peer that was dialled is done with.
    Attempt {
        /// The torrent.
        info_hash: InfoHash,
        /// The peer.
        peer: SocketAddr,
        /// How far it came.
        reached: Stage,
        /// From dialling to the end.
        took: Duration,
        /// `Ok` if the peer had a share in the bytes when they were verified; one that had left by then has failed.
        result: Result<(), Failure>,
    },
}
