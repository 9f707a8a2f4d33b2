//! What the announcer tells its owner, and is told by it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use wire::tracker::{BadUrl, Counts, Event};
use wire::{InfoHash, PeerId};
use world::{Member, Time, WebFault, closed_list};

/// Whom trackers are told about. A hybrid torrent has two swarms (BEP 52): add it once for each infohash.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Swarm {
    /// The torrent; of a v2 hash the first 20 bytes.
    pub info_hash: InfoHash,
    /// Us, as peers of this torrent know us.
    pub peer_id: PeerId,
    /// Name and password for HTTP trackers whose URL brings none.
    pub login: Option<(String, String)>,
}

/// What a torrent has come to, bytes of content.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Stats {
    /// Sent to peers.
    pub uploaded: u64,
    /// Received from peers.
    pub downloaded: u64,
    /// Still missing.
    pub left: u64,
}

/// Why a tracker is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unfit {
    /// It is no tracker's URL.
    Bad(BadUrl),
    /// The torrent has it already.
    Twice,
    /// The torrent has [`MAX_TRACKERS`](super::MAX_TRACKERS) already.
    TooMany,
}

/// Why a tracker did not answer as it should.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Failure {
    /// It could not be reached, or what came was no HTTP.
    Web(WebFault),
    /// An HTTP status that is no success, and no reason given.
    Status(u16),
    /// Nothing was heard for too long.
    Silent,
    /// The answer took too long to become whole.
    Slow,
    /// The answer is not a tracker's.
    Malformed,
    /// It says no; in its own words, fit to be shown.
    Refused(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Web(fault) => f.write_str(fault.label()),
            Self::Status(status) => write!(f, "HTTP status {status}"),
            Self::Silent => f.write_str("no answer"),
            Self::Slow => f.write_str("the answer took too long"),
            Self::Malformed => f.write_str("the answer is not a tracker's"),
            Self::Refused(reason) => f.write_str(reason),
        }
    }
}

/// What happened. `tracker` is the URL as it was given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Told {
    /// A tracker is being announced to.
    Asking {
        /// The torrent.
        torrent: u32,
        /// The tracker.
        tracker: Arc<str>,
        /// Why.
        event: Event,
    },
    /// An announce succeeded. What else came with it is told before.
    Announced {
        /// The torrent.
        torrent: u32,
        /// The tracker.
        tracker: Arc<str>,
        /// What it was told.
        event: Event,
        /// How many peers it named.
        peers: usize,
    },
    /// Peers, as a tracker names them, at least one. Port 0 is left out; nothing else is judged.
    Peers {
        /// The torrent.
        torrent: u32,
        /// The tracker.
        tracker: Arc<str>,
        /// The peers.
        peers: Vec<SocketAddr>,
    },
    /// How large the swarm is.
    Counts {
        /// The torrent.
        torrent: u32,
        /// The tracker.
        tracker: Arc<str>,
        /// As far as it says.
        counts: Counts,
        /// Whether this is the answer to a scrape.
        scraped: bool,
    },
    /// The announce succeeded, and the tracker has something to say to people.
    Warning {
        /// The torrent.
        torrent: u32,
        /// The tracker.
        tracker: Arc<str>,
        /// Its words.
        message: String,
    },
    /// An announce failed, or is without answer for so long that the next tracker has its turn.
    Failed {
        /// The torrent.
        torrent: u32,
        /// The tracker.
        tracker: Arc<str>,
        /// Why.
        failure: Failure,
        /// How often in a row it has failed now.
        times: u32,
    },
    /// A scrape failed.
    ScrapeFailed {
        /// The torrent.
        torrent: u32,
        /// The tracker.
        tracker: Arc<str>,
        /// Why.
        failure: Failure,
    },
    /// Our address as a tracker sees it (BEP 24): one vote.
    ExternalIp {
        /// The tracker.
        tracker: Arc<str>,
        /// The address.
        ip: IpAddr,
    },
}

/// How one tracker of a torrent does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TrackerStatus<'a> {
    /// Its URL.
    pub url: &'a Arc<str>,
    /// Its tier; the lowest is asked first.
    pub tier: usize,
    /// Whether the last word of it was a success.
    pub working: bool,
    /// Whether an answer is awaited.
    pub asking: bool,
    /// Announces that succeeded.
    pub successes: u64,
    /// Announces that failed.
    pub failures: u64,
    /// Why the last one failed, until one succeeds.
    pub failure: Option<&'a Failure>,
    /// What it said to people in the last answer.
    pub warning: Option<&'a str>,
    /// The swarm, in its last answer.
    pub counts: Counts,
}

/// How a torrent does with its trackers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Status<'a> {
    /// The tracker that answered last, if it still works.
    pub current: Option<&'a Arc<str>>,
    /// Whether any tracker works, or may: not so once each has failed and none has answered since.
    pub hopeful: bool,
    /// When the next announce is due; `None` while one is under way, and if none will be.
    pub next_announce: Option<Time>,
    /// The time between announces that the current tracker wants and gets.
    pub interval: Option<Duration>,
    /// The swarm, as last heard.
    pub counts: Counts,
    /// When a scrape last succeeded.
    pub last_scrape: Option<Time>,
}

closed_list! {
    /// What the announcer counts.
    Counted {
        /// Announces to HTTP trackers begun.
        HttpAnnounce => "http_announce",
        /// Datagrams with an announce, repeats too.
        UdpAnnounce => "udp_announce",
        /// Scrapes sent.
        Scrape => "scrape",
        /// Datagrams that ask for a connection id.
        Connect => "connect",
        /// Names looked up.
        Lookup => "lookup",
        /// Datagrams that look like a tracker's and answer nothing that was asked.
        Stray => "stray",
    }
}
