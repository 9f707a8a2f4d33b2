//! What is said to trackers, and what they answer: over HTTP (BEP 3, 7, 21, 23, 24, 31, 48) and over UDP (BEP 15, 41).
//!
//! A v2 torrent is announced by the first 20 bytes of its hash (BEP 52), so there is one kind of infohash here.

pub mod http;
pub mod udp;
mod url;

use std::net::{IpAddr, SocketAddr};

use crate::{InfoHash, PeerId};

pub use url::{BadUrl, MAX_URL, Scheme, TrackerUrl};

/// Longest text of a tracker that is kept, characters; the rest is cut.
pub const MAX_TEXT: usize = 500;

/// Why an announce is sent; the number is that of BEP 15.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Event {
    /// For no reason but that it is time.
    None = 0,
    /// The download has just become complete.
    Completed = 1,
    /// The first word to this tracker.
    Started = 2,
    /// The last one.
    Stopped = 3,
}

impl Event {
    /// As HTTP names it (BEP 3); nothing for [`Event::None`].
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Completed => Some("completed"),
            Self::Started => Some("started"),
            Self::Stopped => Some("stopped"),
        }
    }
}

/// What a tracker is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Announce<'a> {
    /// Which torrent.
    pub info_hash: InfoHash,
    /// Who we are.
    pub peer_id: PeerId,
    /// Where we listen.
    pub port: u16,
    /// Bytes of content sent to peers since `started`.
    pub uploaded: u64,
    /// Bytes of content received from peers since `started`.
    pub downloaded: u64,
    /// Bytes of content that are still missing.
    pub left: u64,
    /// Why now.
    pub event: Event,
    /// Tells us apart from others behind our address, and together over several addresses (BEP 7).
    pub key: u32,
    /// Peers wanted; `None` leaves it to the tracker.
    pub num_want: Option<u32>,
    /// The address to be reported instead of the one that the tracker sees. Over UDP only an IPv4 address has a place.
    pub ip: Option<IpAddr>,
    /// What this tracker gave as its `tracker id`. HTTP only.
    pub tracker_id: Option<&'a [u8]>,
    /// Whether we take encrypted connections. HTTP only.
    pub supports_crypto: bool,
}

/// How large a swarm is, as far as a tracker says and makes sense.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Counts {
    /// Peers with everything.
    pub complete: Option<u32>,
    /// Peers that lack something.
    pub incomplete: Option<u32>,
    /// How often the torrent was downloaded to the end.
    pub downloaded: Option<u32>,
    /// Of the incomplete, those that still download: the others have all they want (BEP 21).
    pub downloaders: Option<u32>,
}

/// A successful answer to an announce.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AnnounceReply {
    /// Seconds until the next announce is wanted.
    pub interval: Option<u32>,
    /// Seconds before which no announce is wanted.
    pub min_interval: Option<u32>,
    /// The swarm.
    pub counts: Counts,
    /// To be sent back with the next announce.
    pub tracker_id: Option<Vec<u8>>,
    /// Words for people; the announce has succeeded nonetheless.
    pub warning: Option<String>,
    /// Our address as the tracker sees it (BEP 24).
    pub external_ip: Option<IpAddr>,
    /// Peers, as they are named: nothing is judged here.
    pub peers: Vec<SocketAddr>,
}

/// When a tracker that refused may be asked again (BEP 31).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Retry {
    /// Not before so many minutes.
    Minutes(u32),
    /// It is no tracker, or none for this torrent.
    Never,
}

/// A tracker's text as it may be shown: UTF-8, no control characters, at most [`MAX_TEXT`] characters.
fn text(bytes: &[u8]) -> String {
    // A character has four bytes at most; so a long text is not copied whole.
    let most = bytes.get(..MAX_TEXT * 4).unwrap_or(bytes);
    let whole = String::from_utf8_lossy(most);
    let clean = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    whole.trim().chars().take(MAX_TEXT).map(clean).collect()
}

#[cfg(test)]
mod tests;
