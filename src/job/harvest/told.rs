//! What a harvest tells: of an infohash, and of one peer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crawler::Contact;
use fetcher::{Failure, Stage};
use wire::InfoHash;
use world::{Via, closed_list};

/// What an infohash came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Harvested {
    /// The infohash.
    pub info_hash: InfoHash,
    /// Its peers as the DHT or the user named them, first named first; at most `peers_per_infohash`.
    pub peers: Vec<SocketAddr>,
    /// How it ended.
    pub outcome: Outcome,
    /// Nodes that may hold it, too, and were not asked.
    pub spare: Vec<Contact>,
    /// Nodes that were asked for peers; a few of many.
    pub asked: Vec<SocketAddr>,
    /// Peers dialled.
    pub tried: u32,
    /// Who gave the metadata, or its last piece.
    pub from: Option<SocketAddr>,
    /// How that peer was reached.
    pub via: Option<Via>,
    /// From taking it in work to the end.
    pub took: Duration,
}

impl Harvested {
    /// Whether we stopped before it was done.
    pub fn is_abandoned(&self) -> bool {
        self.outcome == Outcome::Abandoned
    }
}

/// How an infohash ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The info dictionary, verified against the infohash.
    Metadata(Arc<Vec<u8>>),
    /// Nobody named a peer, and those who answered would know.
    NoPeers,
    /// Nobody named a peer, and hardly anybody answered.
    NoAnswer,
    /// Peers were named, and none could be connected to.
    Unreachable,
    /// Peers answered, and none gave metadata that hashes to the infohash.
    Unfetchable,
    /// Peers were all that was wanted.
    PeersOnly,
    /// We stopped first.
    Abandoned,
}

closed_list! {
    /// Who named a peer.
    Origin {
        /// A node of the DHT.
        Dht => "dht",
        /// A peer of the same torrent (BEP 11).
        Pex => "pex",
        /// The user: a table, a magnet link, `--peer`.
        Given => "given",
        /// Nobody: it called us.
        Caller => "incoming",
    }
}

/// What came of one peer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attempt {
    /// For which infohash.
    pub info_hash: InfoHash,
    /// The peer; of one that called us, where it called from.
    pub peer: SocketAddr,
    /// Who named it first.
    pub origin: Origin,
    /// How it was reached; `None` if the connection never opened.
    pub via: Option<Via>,
    /// How far it came.
    pub reached: Stage,
    /// `Ok` if it had a share in bytes that were verified.
    pub result: Result<(), Failure>,
    /// From dialling, or from its call, to the end.
    pub took: Duration,
    /// From dialling, or from its call, to the connection being open.
    pub opened_after: Option<Duration>,
    /// Bytes of the info dictionary that it claimed, if we accepted the claim.
    pub size: Option<u32>,
    /// Bytes that came from it.
    pub received: u64,
    /// Which round of the infohash this was, from 1.
    pub round: u8,
}
