//! What a pool tells its owner.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use wire::InfoHash;
use world::{Tally, Via};

use crate::{Ending, Failure, Stage};

/// What a pool tells its owner. Every [`Pool::start`](crate::Pool::start) ends in exactly one `Metadata` or `GaveUp`;
/// before it comes one `Attempt` for each peer that was dialled, or called us for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// The info dictionary was fetched.
    Metadata {
        /// The torrent.
        info_hash: InfoHash,
        /// The info dictionary: its hash is right, nothing else about it was looked at.
        raw: Arc<Vec<u8>>,
        /// Who gave the last piece.
        from: SocketAddr,
        /// Peers dialled, this one included.
        tried: u32,
        /// From [`Pool::start`](crate::Pool::start) to here.
        took: Duration,
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
    /// A peer that was dialled, or that called us, is done with.
    Attempt {
        /// The torrent.
        info_hash: InfoHash,
        /// The peer; of one that called us, where it called from.
        peer: SocketAddr,
        /// How it was reached in the end; `None` if the connection never opened.
        via: Option<Via>,
        /// It called us, and was not dialled.
        incoming: bool,
        /// How far it came.
        reached: Stage,
        /// Bytes of the info dictionary that it claimed, if we accepted the claim.
        size: Option<u32>,
        /// Bytes that came from it.
        received: u64,
        /// From dialling, or from its call, to the connection being open; `None` if it never was.
        opened_after: Option<Duration>,
        /// From dialling, or from its call, to the end.
        took: Duration,
        /// `Ok` if the peer had a share in the bytes when they were verified; one that had left by then has failed.
        result: Result<(), Failure>,
    },
    /// A peer of an infohash in work names another. Whether that one may be dialled is for the owner to know, who then
    /// tells by [`Pool::offer_named`](crate::Pool::offer_named).
    Named {
        /// The torrent.
        info_hash: InfoHash,
        /// Who is named.
        peer: SocketAddr,
        /// Who names it.
        by: SocketAddr,
        /// What is said of it (BEP 11 `added.f`).
        flags: u8,
    },
}
