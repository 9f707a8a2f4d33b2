//! What counts as one host, and as one network.

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

#[cfg(test)]
mod tests {
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
    fn a_network_is_a_slash_24_or_a_slash_48() {
        assert_eq!(Network::of(ip("192.0.2.1")), Network::of(ip("192.0.2.255")));
        assert_ne!(Network::of(ip("192.0.2.1")), Network::of(ip("192.0.3.1")));
        assert_eq!(Network::of(ip("2600:1:2:3::1")), Network::of(ip("2600:1:2:4::1")));
        assert_ne!(Network::of(ip("2600:1:2::1")), Network::of(ip("2600:1:3::1")));
    }
}
