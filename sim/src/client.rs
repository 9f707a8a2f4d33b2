//! What the programs behind the addresses do differently (`network-model.md` 1.E, confirmed there in their sources).

use std::time::Duration;

/// A family of programs, as the `v` of its messages tells it (BEP 5).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// libtorrent-rasterbar, `LT`: qBittorrent, Deluge and most of the DHT.
    Libtorrent,
    /// uTorrent and BitTorrent, `UT`.
    Utorrent,
    /// Transmission, `TR`.
    Transmission,
    /// mldht, the DHT of the Vuze and BiglyBT plugin, `ML`.
    Mldht,
    /// rTorrent, `lt`.
    Rtorrent,
    /// No `v`, or one that nobody knows: BitComet, Xunlei, crawlers.
    Unknown,
}

impl Kind {
    /// Every kind, in the order of the tables of a profile.
    pub const ALL: [Self; 6] = [
        Self::Libtorrent,
        Self::Utorrent,
        Self::Transmission,
        Self::Mldht,
        Self::Rtorrent,
        Self::Unknown,
    ];

    /// The place of this kind in the tables of a profile.
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// What a node does with a query that it does not know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unheard {
    /// Answers as if it were find_node, if a target or an infohash can be found in it.
    FindNode,
    /// Says nothing.
    Silence,
    /// Error 204, "Method Unknown" (BEP 5).
    Error204,
}

/// Which of too many stored peers a get_peers reply lists.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// A random subset.
    Random,
    /// A contiguous run from a random start, as jech/dht sends it.
    Slice,
}

/// Silence for hosts that ask too much: `packets` in less than `window` cost `silence`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Ban {
    /// Packets that are counted together.
    pub packets: u32,
    /// The time that they must at least take.
    pub window: Duration,
    /// How long the host is ignored otherwise.
    pub silence: Duration,
}

/// A bucket of tokens.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Limit {
    /// Tokens that come back each second.
    pub per_second: f64,
    /// Tokens that the bucket holds.
    pub burst: f64,
}

/// How one kind of program behaves. Plain data: a profile may change any of it.
#[derive(Clone, PartialEq, Debug)]
pub struct Habits {
    /// The `v` that it sends.
    pub version: Option<&'static [u8]>,
    /// Share of its nodes that answer sample_infohashes (BEP 51).
    pub sampling: f64,
    /// The `interval` that it advertises, seconds, and for which its sample stays frozen if it holds 20 keys or more.
    pub interval: u32,
    /// Picks samples as libtorrent does: the last keys of a store are drawn too rarely (crawlers F1).
    pub biased_pick: bool,
    /// What it does with methods that it does not know.
    pub unheard: Unheard,
    /// Share of its nodes that answer scrapes with bloom filters (BEP 33).
    pub scraping: f64,
    /// Most `values` in one reply.
    pub values_max: usize,
    /// Which values those are.
    pub values_order: Order,
    /// Tells askers their address in `ip` (BEP 42).
    pub tells_ip: bool,
    /// Length of its write tokens, bytes.
    pub token_len: usize,
    /// Keys that it stores before announces spill outward.
    pub max_keys: usize,
    /// Peers that it stores of one key.
    pub max_peers: usize,
    /// Contacts that a routing table holds at depths 0, 1, 2 and 3; 8 below (libtorrent's extended buckets).
    pub buckets: [usize; 4],
    /// Its ban, if it has one.
    pub ban: Option<Ban>,
    /// Queries that it answers one host.
    pub per_host: Option<Limit>,
    /// Queries that it answers in all.
    pub queries: Option<Limit>,
    /// Bytes of replies that it sends in all; queries beyond are dropped.
    pub upload: Option<Limit>,
    /// The number it gives ut_metadata in its extended handshake (BEP 10): readers who answer with their own number
    /// fail.
    pub ut_metadata: u8,
    /// The first bytes of its peer ids (BEP 20).
    pub peer_id: &'static [u8; 8],
    /// How its extended handshake calls it.
    pub name: &'static [u8],
}

/// Sample set size of every program that samples.
pub const SAMPLE_MAX: usize = 20;

impl Habits {
    /// The real habits of a kind; each figure is from its source code (`network-model.md` 1.E, C) unless marked.
    pub fn of(kind: Kind) -> Self {
        match kind {
            Kind::Libtorrent => Self::libtorrent(),
            Kind::Utorrent => Self {
                version: Some(b"UT\xb4\x1f"),
                sampling: 0.0,
                token_len: 20,
                buckets: [8; 4],
                ban: None,
                ut_metadata: 1,
                peer_id: b"-UT3600-",
                name: b"uTorrent 3.6",
                ..Self::libtorrent()
            },
            Kind::Transmission => Self::transmission(),
            Kind::Mldht => Self::mldht(),
            Kind::Rtorrent => Self::rtorrent(),
            Kind::Unknown => Self::unknown(),
        }
    }

    fn transmission() -> Self {
        Self {
            version: Some(b"TR\x04\x00"),
            sampling: 0.0,
            unheard: Unheard::Silence,
            scraping: 0.0,
            values_max: 50,
            values_order: Order::Slice,
            tells_ip: false,
            token_len: 8,
            max_keys: 16_384,
            max_peers: 2048,
            buckets: [8; 4],
            ban: None,
            queries: Some(Limit {
                per_second: 100.0,
                burst: 400.0,
            }),
            upload: None,
            ut_metadata: 3,
            peer_id: b"-TR4060-",
            name: b"Transmission 4.0.6",
            ..Self::libtorrent()
        }
    }

    fn mldht() -> Self {
        Self {
            version: Some(b"ML\x00\x0b"),
            interval: 300,
            biased_pick: false,
            // A 1450-byte packet, less the nodes.
            values_max: 150,
            max_keys: usize::MAX,
            max_peers: 6000,
            buckets: [8; 4],
            ban: None,
            per_host: Some(Limit {
                per_second: 2.0,
                burst: 10.0,
            }),
            upload: None,
            ut_metadata: 1,
            peer_id: b"-BI3600-",
            name: b"BiglyBT 3.6.0.0",
            ..Self::libtorrent()
        }
    }

    fn rtorrent() -> Self {
        Self {
            version: Some(b"lt\x0d\x80"),
            sampling: 0.0,
            unheard: Unheard::Silence,
            scraping: 0.0,
            values_max: 50,
            tells_ip: false,
            token_len: 8,
            buckets: [8; 4],
            ban: None,
            upload: None,
            peer_id: b"-lt0D80-",
            name: b"libTorrent 0.13.8",
            ..Self::libtorrent()
        }
    }

    fn libtorrent() -> Self {
        Self {
            version: Some(b"LT\x02\x0b"),
            sampling: 1.0,
            interval: 21_600,
            biased_pick: true,
            unheard: Unheard::FindNode,
            scraping: 1.0,
            values_max: 100,
            values_order: Order::Random,
            tells_ip: true,
            token_len: 4,
            max_keys: 2000,
            max_peers: 500,
            buckets: [128, 64, 32, 16],
            ban: Some(Ban {
                packets: 50,
                window: Duration::from_secs(10),
                silence: Duration::from_secs(300),
            }),
            per_host: None,
            queries: None,
            upload: Some(Limit {
                per_second: 8000.0,
                burst: 24_000.0,
            }),
            ut_metadata: 2,
            peer_id: b"-LT20B0-",
            name: b"libtorrent/2.0.11.0",
        }
    }

    /// A guess throughout (`network-model.md` 3.2, G).
    fn unknown() -> Self {
        Self {
            version: None,
            sampling: 0.22,
            interval: 10,
            biased_pick: false,
            unheard: Unheard::Error204,
            scraping: 0.2,
            values_max: 50,
            values_order: Order::Slice,
            tells_ip: false,
            token_len: 8,
            buckets: [8; 4],
            ban: Some(Ban {
                packets: 100,
                window: Duration::from_secs(10),
                silence: Duration::from_secs(60),
            }),
            upload: None,
            ut_metadata: 3,
            peer_id: b"-XL0019-",
            name: b"",
            ..Self::libtorrent()
        }
    }
}
