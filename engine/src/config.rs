//! What the engine must be told before it starts. Plain data: the door holds the defaults.

use std::time::Duration;

use crate::lsd::LsdConfig;
use crate::{blame, choker, limiter, pace, roster, webseed, window};

/// Everything an [`Engine`](crate::Engine) is told at its start.
#[derive(Clone, Debug)]
pub struct Config {
    /// How our peer id begins (BEP 20: `-`, two letters, four of version, `-`); the other 12 bytes come from the seed.
    pub peer_id_prefix: [u8; 8],
    /// Our name and version, told in the extended handshake (BEP 10 `v`).
    pub client: String,
    /// The first of the numbers that the engine gives to its connections; another machine beside it has others.
    pub first_conn: u64,
    /// How many of each thing there may be.
    pub limits: Limits,
    /// How long each thing may take.
    pub deadlines: Deadlines,
    /// How fast peers are dialled.
    pub pace: pace::Config,
    /// How requests to one peer are paced.
    pub window: window::Config,
    /// Who is unchoked.
    pub choking: choker::Config,
    /// Peers known of one torrent, and how they are tried.
    pub roster: roster::Config,
    /// How web seeds are asked.
    pub webseed: webseed::WebSeedConfig,
    /// What is remembered of peers that gave wrong bytes.
    pub blame: blame::Config,
    /// How trackers are asked.
    pub announce: crate::announce::Config,
    /// Pieces picked at random before the rarest (PICK-02).
    pub random_first: u32,
    /// Peers that may be asked for the same block near the end.
    pub endgame_copies: u8,
    /// Pieces that a fast peer is asked for by turns, so that they can be hashed side by side: [`wire::lanes::width`] of this
    /// processor, or 1.
    pub lanes: usize,
    /// Pieces that a choked peer may have (BEP 6 allowed fast).
    pub allowed_fast: u32,
    /// Peers are exchanged with peers (BEP 11), but for private torrents.
    pub pex: bool,
    /// How torrents are announced to the local network (BEP 14), but for private ones; `None` if they are not.
    pub lsd: Option<LsdConfig>,
    /// A connection of two that both have everything is closed.
    pub close_redundant: bool,
    /// Bytes a second to and from all peers.
    pub rates: Rates,
    /// How limits are kept.
    pub limiter: limiter::Config,
    /// Peers of the local network are not limited (PICK-29).
    pub exempt_local: bool,
    /// How many peers are served at once (PICK-24).
    pub slots: choker::AutoConfig,
    /// The first of the numbers of requests to the web that are the trackers'; those of web seeds have the top bit set.
    pub first_web: u64,
}

/// Limits of payload, bytes a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// From peers.
    pub down: Option<u64>,
    /// To peers.
    pub up: Option<u64>,
}

/// How many of each thing there may be.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections of all torrents, those being dialled among them. At least 2 of each torrent are tried (PICK-25).
    pub connections: usize,
    /// Connections of one torrent.
    pub connections_per_torrent: usize,
    /// Strangers who have not said yet which torrent they call about. One more is hung up on.
    pub greetings: usize,
    /// Requests of one peer that wait to be served; more are rejected (PWP-33), and told as `reqq`.
    pub requests: usize,
    /// Content read for one peer or written to it and not yet with the kernel, bytes. Must be well under the world's own
    /// bound for a connection.
    pub send_ahead: usize,
    /// Content that the disk was asked to write and has not, bytes. With more nothing new is asked for.
    pub unwritten: usize,
    /// Content that waits in memory to be hashed in order, bytes. What does not fit is read back.
    pub held: usize,
    /// Pieces that are hashed at once in a check.
    pub checks: usize,
}

/// How long each thing may take.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// From open, or from a dial, until the peer's handshake is there.
    pub handshake: Duration,
    /// Without a byte from the peer (PWP-36 `peer_timeout`).
    pub silence: Duration,
    /// Without interest on either side.
    pub useless: Duration,
    /// We say something at least this often.
    pub keep_alive: Duration,
    /// What is on disk and not claimed yet is claimed at least this often.
    pub durable: Duration,
    /// Between two notes of pieces that are whole and not claimed yet: after `kill -9` those that no note names come again.
    pub suspect: Duration,
    /// Bytes that may be on disk and not claimed; more are claimed at once.
    pub durable_bytes: u64,
    /// Between two messages of peers to one peer (BEP 11: a minute).
    pub pex: Duration,
    /// Between two calls for peers to the owner, who asks the DHT.
    pub want_peers: Duration,
    /// Between two exchanges of the peers of least use for others, where nearly all places are taken.
    pub turnover: Duration,
    /// From [`Input::Stop`](world::Input::Stop) until what is not done is left.
    pub leave: Duration,
}
