//! What the announcer is told once, and holds no defaults for.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// How trackers are spoken to. The numbers in brackets are what is recommended.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where we listen for peers; what trackers are told.
    pub port: u16,
    /// Peers wanted of each announce (200).
    pub num_want: u32,
    /// An address to be reported instead of the one that trackers see (none).
    pub announce_ip: Option<IpAddr>,
    /// Whether trackers are told that we take encrypted connections (yes).
    pub supports_crypto: bool,
    /// Whether every tracker of a torrent is announced to, each by its own clock, instead of the first that works (no).
    pub announce_to_all: bool,
    /// An HTTP tracker that sends nothing for so long has failed; so has a name that nobody resolves (20 s).
    pub receive_timeout: Duration,
    /// An HTTP answer that is not whole so long after the question has failed (60 s).
    pub completion_timeout: Duration,
    /// A tracker that does not hear our `stopped` within this is left without it (10 s).
    pub stop_timeout: Duration,
    /// No tracker is announced to more often, whatever it says, but for events and when the user asks (300 s).
    pub min_interval: Duration,
    /// For a tracker that names no interval (1800 s).
    pub default_interval: Duration,
    /// No answer over UDP within this: the question is sent again, and the next wait is twice as long (15 s, BEP 15).
    pub udp_timeout: Duration,
    /// How often a question over UDP is sent again before it is given up (8, BEP 15).
    pub udp_retries: u32,
    /// After so many waits in vain the next tracker has its turn. The question is sent again all the same, and a late answer
    /// counts (1).
    pub udp_patience: u32,
    /// How long a tracker is left alone after its first failure; twice as long after each further one (1 s). Not zero.
    pub retry: Duration,
    /// The longest that a tracker is left alone for failing (30 min).
    pub retry_most: Duration,
    /// How long the addresses of a UDP tracker are remembered (300 s). HTTP names are the world's to resolve.
    pub dns_ttl: Duration,
    /// Requests that somebody waits for, at once; others wait in order (64).
    pub most_at_once: usize,
    /// Bytes of an HTTP answer, unpacked (1 MiB).
    pub most_response: u64,
    /// Peers taken of one answer (2,000).
    pub most_peers: usize,
    /// Whether an address may be spoken to. Asked for trackers over UDP; for HTTP the world asks.
    pub may_speak_to: fn(&SocketAddr) -> bool,
}
