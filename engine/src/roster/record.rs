//! What is known of one endpoint, in 30 bytes with its address.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::ops::BitOr;

use world::Time;

/// An address as 16 bytes, IPv4 mapped into IPv6.
pub(super) type Ip = [u8; 16];

pub(super) fn ip_bytes(ip: IpAddr) -> Ip {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    }
}

pub(super) fn ip_of(bytes: Ip) -> IpAddr {
    IpAddr::V6(Ipv6Addr::from(bytes)).to_canonical()
}

/// An endpoint. Ordered by address, so that all of one host stand together.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Key {
    pub(super) ip: Ip,
    pub(super) port: u16,
}

impl Key {
    pub(super) fn of(endpoint: SocketAddr) -> Self {
        Self {
            ip: ip_bytes(endpoint.ip()),
            port: endpoint.port(),
        }
    }

    pub(super) fn endpoint(self) -> SocketAddr {
        SocketAddr::new(ip_of(self.ip), self.port)
    }
}

/// Where a peer is known from, as flags (PWP-23).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sources(u8);

impl Sources {
    /// A tracker named it.
    pub const TRACKER: Self = Self(0x01);
    /// The DHT named it.
    pub const DHT: Self = Self(0x02);
    /// Another peer named it (BEP 11).
    pub const PEX: Self = Self(0x04);
    /// It announced itself on the local network (BEP 14).
    pub const LSD: Self = Self(0x08);
    /// It was known in an earlier run.
    pub const RESUME: Self = Self(0x10);
    /// It called us.
    pub const INCOMING: Self = Self(0x20);
    /// A person or the torrent named it (`--peer`, `x.pe`).
    pub const GIVEN: Self = Self(0x40);
    /// The crawl has seen it alive.
    pub const CRAWL: Self = Self(0x80);

    /// The flags as a number, as others show and store them.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// The flags from a number that was stored.
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

    /// Whether any flag of `other` is set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl BitOr for Sources {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What is known of an endpoint. Times are whole seconds: nothing here happens more often than once a minute.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    /// When it was last dialled or lost; [`Self::NEVER`] if not yet.
    pub(super) tried: u32,
    /// When it was last named or connected.
    pub(super) seen: u32,
    /// Failures that count.
    pub(super) fails: u8,
    pub(super) sources: Sources,
    pub(super) marks: Marks,
}

/// What was learnt of a peer, one bit each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Marks(u8);

impl Marks {
    pub(super) const NONE: Self = Self(0);
    /// It has everything, or wants nothing.
    pub(super) const SEED: Self = Self(1);
    /// A connection to it was of use.
    pub(super) const PROVEN: Self = Self(2);
    /// It is ourselves, or has another torrent: never to be dialled.
    pub(super) const USELESS: Self = Self(4);
    /// A dial is under way.
    pub(super) const DIALLING: Self = Self(8);
    /// A connection is open.
    pub(super) const LIVE: Self = Self(16);

    /// Whether any of the marks is set.
    pub(super) const fn has(self, mark: Self) -> bool {
        self.0 & mark.0 != 0
    }

    pub(super) fn set(&mut self, mark: Self, on: bool) {
        self.0 = if on { self.0 | mark.0 } else { self.0 & !mark.0 };
    }
}

impl Record {
    pub(super) const NEVER: u32 = u32::MAX;

    pub(super) const fn is_idle(&self) -> bool {
        !self.marks.has(Marks(Marks::DIALLING.0 | Marks::LIVE.0))
    }

    pub(super) fn new(now: Time, sources: Sources) -> Self {
        Self {
            tried: Self::NEVER,
            seen: seconds(now),
            fails: 0,
            sources,
            marks: Marks::NONE,
        }
    }
}

/// Whole seconds, rounded up, so that what is due is never early.
pub(super) fn seconds(time: Time) -> u32 {
    let seconds = time.as_micros().div_ceil(1_000_000);
    u32::try_from(seconds).unwrap_or(Record::NEVER).min(Record::NEVER - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_and_its_address_are_small() {
        assert_eq!((size_of::<Key>(), size_of::<Record>()), (18, 12));
    }

    #[test]
    fn an_endpoint_survives_being_a_key() {
        for text in ["192.0.2.1:80", "[2001:db8::1]:6881"] {
            let endpoint: SocketAddr = text.parse().unwrap();
            assert_eq!(Key::of(endpoint).endpoint(), endpoint);
        }
        let mapped: SocketAddr = "[::ffff:192.0.2.1]:80".parse().unwrap();
        assert_eq!(Key::of(mapped).endpoint().to_string(), "192.0.2.1:80");
    }

    #[test]
    fn sources_add_up() {
        let sources = Sources::TRACKER | Sources::PEX | Sources::INCOMING;
        assert_eq!(sources.bits(), 0x25);
        assert!(sources.has(Sources::PEX) && !sources.has(Sources::DHT));
    }
}
