//! What counts as one host, and as one network.

use std::hash::{Hash, Hasher};
use std::net::{IpAddr, SocketAddr};

/// One remote machine, as far as manners go: an IPv4 address, or an IPv6 /64 (the least that a subscriber is given, so
/// all its addresses are one household's).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Host(u64);

impl Host {
    /// The host of `ip`.
    ///
    /// Both families share one number space: IPv4 takes the 32-bit numbers, which as IPv6 prefixes (`::/32`) are
    /// special-purpose, but for the lab's `::1`, which takes the number of 0.0.0.0.
    pub(crate) fn of(ip: IpAddr) -> Self {
        Self(number(ip))
    }
}

/// One remote network: an IPv4 /24, or an IPv6 /48 (what a site is given).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Network(u64);

impl Network {
    /// The network of `ip`. As with [`Host`], the families share one number space.
    pub(crate) fn of(ip: IpAddr) -> Self {
        Self(match ip.to_canonical() {
            IpAddr::V4(_) => number(ip) >> 8,
            IpAddr::V6(_) => number(ip) >> 16,
        })
    }
}

fn number(ip: IpAddr) -> u64 {
    match ip.to_canonical() {
        IpAddr::V4(ip) => u64::from(ip.to_bits()),
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            [a, b, c, d]
                .iter()
                .fold(0, |number, &part| number << 16 | u64::from(part))
        }
    }
}

/// `addr` in the one form that tables know: a mapped IPv4 address as IPv4, and neither flow label nor scope.
pub(crate) fn endpoint(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}

/// What the lower half of a mapped IPv4 address begins with (`::ffff:0:0/96`).
const MAPPED: u64 = 0xffff_0000_0000;

/// An address as the key of a table: what tells one remote socket from another, hashed as one number, or three for
/// IPv6. The standard library hashes a kind, a length, bytes and a port, which takes three times as long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Endpoint {
    /// The halves of the address; an IPv4 address is mapped.
    ip: [u64; 2],
    port: u16,
}

impl Endpoint {
    /// The endpoint of `addr`; neither flow label nor scope count.
    pub(crate) fn of(addr: SocketAddr) -> Self {
        let ip = match addr.ip() {
            IpAddr::V4(ip) => [0, MAPPED | u64::from(ip.to_bits())],
            IpAddr::V6(ip) => [(ip.to_bits() >> 64) as u64, ip.to_bits() as u64],
        };
        Self { ip, port: addr.port() }
    }
}

impl Hash for Endpoint {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [high, low] = self.ip;
        let port = u64::from(self.port);
        if high == 0 && low & !u64::from(u32::MAX) == MAPPED {
            return state.write_u64(low << 16 | port);
        }
        state.write_u64(high);
        state.write_u64(low);
        state.write_u64(port);
    }
}

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_host_is_an_ipv4_address_or_a_slash_64() {
        assert_ne!(Host::of(ip("192.0.2.1")), Host::of(ip("192.0.2.2")));
        assert_eq!(Host::of(ip("2600:1:2:3::1")), Host::of(ip("2600:1:2:3:ffff::9")));
        assert_ne!(Host::of(ip("2600:1:2:3::1")), Host::of(ip("2600:1:2:4::1")));
        assert_eq!(Host::of(ip("::ffff:192.0.2.1")), Host::of(ip("192.0.2.1")));
    }

    #[test]
    fn an_endpoint_is_an_address_and_a_port_however_they_are_written() {
        let of = |text: &str| Endpoint::of(text.parse().unwrap());
        assert_eq!(of("192.0.2.1:6881"), of("[::ffff:192.0.2.1]:6881"));
        assert_ne!(of("192.0.2.1:6881"), of("192.0.2.1:6882"));
        assert_ne!(of("192.0.2.1:6881"), of("[::192.0.2.1]:6881"));
        assert_ne!(of("[2600::1]:6881"), of("[2600::1]:6882"));
        assert_ne!(of("[2600::1]:6881"), of("[2601::1]:6881"));
        let hash = |endpoint: Endpoint| world::Seed::from_number(1).hasher().hash_one(endpoint);
        assert_ne!(hash(of("192.0.2.1:6881")), hash(of("192.0.2.1:6882")));
        assert_ne!(hash(of("[2600::1]:6881")), hash(of("[2601::1]:6881")));
    }

    #[test]
    fn a_network_is_a_slash_24_or_a_slash_48() {
        assert_eq!(Network::of(ip("192.0.2.1")), Network::of(ip("192.0.2.255")));
        assert_ne!(Network::of(ip("192.0.2.1")), Network::of(ip("192.0.3.1")));
        assert_eq!(Network::of(ip("2600:1:2:3::1")), Network::of(ip("2600:1:2:4::1")));
        assert_ne!(Network::of(ip("2600:1:2::1")), Network::of(ip("2600:1:3::1")));
    }
}
