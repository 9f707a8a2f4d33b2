//! What a pool must be told before it starts. Plain data: the door holds the defaults.

use std::time::Duration;

/// Everything a [`Pool`](crate::Pool) is told at its start.
#[derive(Clone, Debug)]
pub struct Config {
    /// How our peer id begins (BEP 20: `-`, two letters, four of version, `-`); the other 12 bytes come from the seed.
    pub peer_id_prefix: [u8; 8],
    /// Our name and version, told in the extended handshake (BEP 10 `v`).
    pub client: String,
    /// What we offer to peers, and under which numbers.
    pub extensions: Extensions,
    /// Infohashes in work at once. One more is given up at once, as [`Ending::NoSlot`](crate::Ending::NoSlot).
    pub slots: usize,
    /// Connections at once, being dialled or open. Infohashes that want one more wait in the order they came.
    pub max_connections: usize,
    /// Between which peers at most one connection is held at a time.
    pub exclusion: Exclusion,
    /// How peers of one infohash are tried.
    pub dialling: Dialling,
    /// How long each thing may take.
    pub deadlines: Deadlines,
    /// How much each thing may be.
    pub limits: Limits,
    /// What is remembered of endpoints, across infohashes.
    pub memory: Memory,
    /// Strangers who call, and what they are given.
    pub serving: Serving,
    /// Peers that name other peers.
    pub exchange: Exchange,
}

/// The numbers that peers use to send us messages of each extension (BEP 10 `m`): all different, and 0 for one that is
/// not offered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Extensions {
    /// `ut_metadata` (BEP 9).
    pub ut_metadata: u8,
    /// `LT_metadata`, asked for only of peers that have no `ut_metadata`.
    pub lt_metadata: u8,
    /// `ut_pex` (BEP 11). We listen; having no swarm of our own, we name nobody.
    pub ut_pex: u8,
    /// `ut_holepunch` (BEP 55).
    pub ut_holepunch: u8,
}

/// Strangers who call, and what they are given (MDX-09).
#[derive(Clone, Copy, Debug)]
pub struct Serving {
    /// Strangers connected at once, until they prove to be a source of an infohash in work. One more is hung up on.
    pub callers: usize,
    /// Info dictionaries kept for others. When full, the one that came first goes.
    pub shelf_entries: usize,
    /// Bytes of these, together.
    pub shelf_bytes: usize,
    /// Times that one connection is given the whole info dictionary; then its requests are rejected.
    pub times: u64,
    /// Bytes given to one host in one `window`, over all its connections; then its requests are rejected.
    pub bytes_per_host: u64,
    /// How long what hosts were given is added up.
    pub window: Duration,
    /// Who is given nothing for this long is hung up on.
    pub idle: Duration,
}

/// Peers that name other peers (BEP 11), and meetings with them (BEP 55).
#[derive(Clone, Copy, Debug)]
pub struct Exchange {
    /// Peers taken from one connection; further ones are ignored.
    pub names: u32,
    /// A peer without metadata is listened to for this long, so that it may name others: libtorrent does so some seconds
    /// after its handshake, others within a minute.
    pub listen: Duration,
    /// This many peers or more that could be dialled make listening pointless.
    pub few: usize,
    /// Peers listened to at once for one infohash.
    pub listeners_per_infohash: usize,
    /// Peers listened to at once.
    pub listeners: usize,
    /// Meetings asked of relays for one infohash, and arranged by us for one connection.
    pub meetings: u32,
}

/// Between which peers at most one connection is held at a time. A peer that must wait is set aside, not lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exclusion {
    /// Those of one host: an IPv4 address, or an IPv6 /64 (crawlers R10).
    Host,
    /// Those of one address and port. For labs and tests, where many peers share an address.
    Endpoint,
}

/// How peers of one infohash are tried (crawlers R7).
#[derive(Clone, Copy, Debug)]
pub struct Dialling {
    /// Peers dialled at once, to begin with. One, if it has delivered before, or if more than half of the dials of late
    /// delivered: the second would nearly always be for nothing.
    pub start: usize,
    /// One more peer at once for each of these that passes.
    pub stagger: Duration,
    /// Never more than this many peers at once.
    pub parallel: usize,
    /// Nobody else is dialled while a peer that opened, or gave its handshake, less than this ago is still there: of those
    /// that open, two in three deliver (network-model G6: 0.84 x 0.95 x 0.93 x 0.86).
    pub patience: Duration,
    /// Nobody else is dialled while a peer that had come to its pieces less than this ago is still delivering: it will
    /// most likely finish (network-model G6: 0.8), and a SYN less is sent.
    pub hold_back: Duration,
    /// Peers dialled in all (CRL-04). 0 means no limit but the peers known.
    pub attempts_per_infohash: u32,
    /// Peers kept (CRL-03); further ones are counted and forgotten. 0 means [`Dialling::PEERS_CEILING`].
    pub peers_per_infohash: usize,
}

impl Dialling {
    /// Peers that called us are welcome as sources of an infohash beside those that were dialled; so many.
    pub const CALLERS: usize = 2;
    /// Peers kept of one infohash even when told "no limit".
    pub const PEERS_CEILING: usize = 4_096;
}

/// How long each thing may take. None is extended by bytes that trickle, so a tarpit costs a connection for a bounded
/// time.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// From dialling to open.
    pub connect: Duration,
    /// From open to the peer's whole handshake.
    pub handshake: Duration,
    /// From the handshake to the peer's extended handshake. Also the wait for room when assemblies are full.
    pub extended: Duration,
    /// From the first request, or the last piece, to the next whole piece.
    pub piece: Duration,
    /// From [`Pool::start`](crate::Pool::start) to the end, whatever happens.
    pub total: Duration,
}

/// How much each thing may be.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Largest info dictionary, bytes. A peer that claims more is left before anything is allocated (MDX-05).
    pub max_metadata: u32,
    /// Largest frame, bytes (crawlers R9: 64 KiB). A data message is 16 KiB and its dictionary.
    pub max_frame: u32,
    /// Frames that bring nothing (`have`, other extensions and the like), for one connection.
    pub noise_frames: u32,
    /// Bytes in such frames, for one connection.
    pub noise_bytes: u32,
    /// Requests of one connection that may be unanswered at once (crawlers R9: 4). Clients known to need it get one, or
    /// four times as many.
    pub pipeline: usize,
    /// Claimed sizes of all info dictionaries being assembled, together, bytes; at least `max_metadata`. When full, a
    /// peer that would open another assembly waits its turn after the extended handshake.
    pub assembly_bytes: u64,
}

/// What is remembered of endpoints, across infohashes (crawlers R7).
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Endpoints remembered; the one not heard of for longest is forgotten first.
    pub capacity: usize,
    /// An endpoint that refused is not dialled for this long (1 h).
    pub refused: Duration,
    /// An endpoint that kept silent is not dialled for this long (10 min), doubled with each time in a row.
    pub silent: Duration,
    /// The doubling ends here.
    pub silent_max: Duration,
    /// An endpoint without `ut_metadata`, or that misbehaved, is not dialled for this long (6 h).
    pub useless: Duration,
    /// Half of an endpoint's past successes are forgotten in this time.
    pub success_half_life: Duration,
}
