//! Who lies in a world, and how much (`network-model.md` table J).

use std::time::Duration;

/// Shares of contacts that answer with lies (table J).
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Liars {
    /// Take an id close to what is asked for, a new one each time.
    pub id_chaser: f64,
    /// List peers that do not exist, for any infohash.
    pub fake_values: f64,
    /// Show infohashes that do not exist.
    pub fake_samples: f64,
    /// Pad replies beyond what fits a packet.
    pub oversize: f64,
    /// Send bytes that are nearly KRPC.
    pub malformed: f64,
    /// Name contacts that must not be contacted.
    pub bad_nodes: f64,
    /// Send a datagram back as it came.
    pub reflector: f64,
    /// Are one of the hundreds of ids that a liar has on one address. On the Internet alone: sockets listen on one port.
    pub many_ids: f64,
    /// Of the keys: minted by one operator, one peer each, who is always the same and delivers. On the Internet alone.
    pub bait_keys: f64,
    /// Floods of packets that nobody asked for. On the Internet alone.
    pub flood: Option<Flood>,
    /// Who would lie is not there, and all others are as they would be.
    pub absent: bool,
}

/// Packets that nobody asked for, from addresses that are not their senders'.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Flood {
    /// Packets in a second.
    pub per_second: u32,
    /// Addresses that they pretend to come from; half of them are of living nodes.
    pub sources: u32,
    /// How long a flood lasts.
    pub lasts: Duration,
    /// From the beginning of one to that of the next; the first begins after half of it.
    pub every: Duration,
}

impl Liars {
    /// Nobody lies.
    pub const NONE: Self = Self {
        id_chaser: 0.0,
        fake_values: 0.0,
        fake_samples: 0.0,
        oversize: 0.0,
        malformed: 0.0,
        bad_nodes: 0.0,
        reflector: 0.0,
        many_ids: 0.0,
        bait_keys: 0.0,
        flood: None,
        absent: false,
    };

    /// The same world without them: what they cost is told by the difference.
    #[must_use]
    pub const fn absent(self) -> Self {
        Self {
            many_ids: 0.0,
            bait_keys: 0.0,
            flood: None,
            absent: true,
            ..self
        }
    }
}
