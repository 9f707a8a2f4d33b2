//! What the engine tells its owner.

use std::net::{IpAddr, SocketAddr};

use world::{DiskFault, closed_list};

use crate::webseed::WebSeedEnd;

/// A torrent of this engine, by a number that is not used again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TorrentId(pub u32);

closed_list! {
    /// What a torrent is doing (SES-14).
    State {
        /// Its folder is being looked at.
        Opening => "opening",
        /// Pieces that may be on disk are being hashed.
        Checking => "checking",
        /// Room is being made for its files.
        Allocating => "allocating",
        /// Pieces are wanted.
        Downloading => "downloading",
        /// All wanted pieces are at hand, not all there are.
        Finished => "finished",
        /// All pieces are at hand.
        Seeding => "seeding",
        /// The disk failed; it is paused until its owner resumes it.
        Failed => "failed",
    }
}

/// Something that the owner may want to know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// A torrent does something else now.
    State(TorrentId, State),
    /// A piece is at hand.
    Piece(TorrentId, u32),
    /// All wanted pieces are at hand, for the first time in this run.
    Finished(TorrentId),
    /// A piece was wrong and is fetched again.
    HashFailed(TorrentId, u32),
    /// A peer that gave wrong bytes is not spoken to again.
    Banned(TorrentId, IpAddr),
    /// The disk does not do what is asked: what, and of which file.
    DiskFailed(TorrentId, DiskFault, Option<u32>),
    /// It would like more peers: its owner may ask the DHT.
    WantsPeers(TorrentId),
    /// It is paused, and all that it had to write is written and claimed.
    Paused(TorrentId),
    /// It is gone.
    Removed(TorrentId),
    /// A file has another path now, or not, because of the fault.
    Renamed(TorrentId, u32, Result<(), DiskFault>),
    /// All files are in another folder now, or not.
    Moved(TorrentId, Result<(), DiskFault>),
    /// A tracker answered, or did not.
    Tracker(TorrentId, TrackerNews),
    /// A web seed is of no more use.
    WebSeedDropped(TorrentId, String, WebSeedEnd),
    /// Others see us at this address.
    ExternalIp(IpAddr),
    /// A peer, or a tracker of a torrent that is only announced, names another, which has everything or not. Its owner knows
    /// whether it may be dialled, and tells by [`Engine::offer_peer`](crate::Engine::offer_peer).
    Named(TorrentId, SocketAddr, bool),
    /// Somebody in the network at hand has the torrent (BEP 14). Its owner knows whether it may be dialled.
    Neighbour(TorrentId, SocketAddr),
    /// A peer runs a DHT node here.
    DhtNode(SocketAddr),
    /// After [`Input::Stop`](world::Input::Stop): all is saved, or its time is over.
    Stopped,
}

/// What a tracker said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TrackerNews {
    /// It named so many peers.
    Answered {
        /// Its URL.
        url: String,
        /// Peers named.
        peers: usize,
    },
    /// It says something to people.
    Warned {
        /// Its URL.
        url: String,
        /// What.
        text: String,
    },
    /// It did not answer, or refused.
    Failed {
        /// Its URL.
        url: String,
        /// Why.
        why: String,
    },
}
