//! Which addresses a stranger may name at all.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// IPv4 blocks that are no place for a DHT node: address and prefix length. The IANA special-purpose registry
/// (RFC 6890 and its successors), and multicast.
const SPECIAL_V4: [(Ipv4Addr, u32); 19] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),          // this network, RFC 791
    (Ipv4Addr::new(10, 0, 0, 0), 8),         // private, RFC 1918
    (Ipv4Addr::new(100, 64, 0, 0), 10),      // carrier-grade NAT, RFC 6598
    (Ipv4Addr::new(127, 0, 0, 0), 8),        // loopback, RFC 1122
    (Ipv4Addr::new(169, 254, 0, 0), 16),     // link local, RFC 3927
    (Ipv4Addr::new(172, 16, 0, 0), 12),      // private, RFC 1918
    (Ipv4Addr::new(192, 0, 0, 0), 24),       // protocol assignments, RFC 6890
    (Ipv4Addr::new(192, 0, 2, 0), 24),       // TEST-NET-1, RFC 5737
    (Ipv4Addr::new(192, 31, 196, 0), 24),    // AS112, RFC 7535
    (Ipv4Addr::new(192, 52, 193, 0), 24),    // AMT, RFC 7450
    (Ipv4Addr::new(192, 88, 99, 0), 24),     // 6to4 relays, RFC 7526
    (Ipv4Addr::new(192, 168, 0, 0), 16),     // private, RFC 1918
    (Ipv4Addr::new(192, 175, 48, 0), 24),    // AS112, RFC 7534
    (Ipv4Addr::new(198, 18, 0, 0), 15),      // benchmarking, RFC 2544
    (Ipv4Addr::new(198, 51, 100, 0), 24),    // TEST-NET-2, RFC 5737
    (Ipv4Addr::new(203, 0, 113, 0), 24),     // TEST-NET-3, RFC 5737
    (Ipv4Addr::new(224, 0, 0, 0), 4),        // multicast, RFC 5771
    (Ipv4Addr::new(240, 0, 0, 0), 4),        // reserved, RFC 1112
    (Ipv4Addr::new(255, 255, 255, 255), 32), // limited broadcast, RFC 919
];

/// The only block from which IPv6 unicast addresses are given out. Whatever lies outside (unspecified, loopback, mapped
/// and translated IPv4, discard, unique local, link local, multicast) is refused with it.
const GLOBAL_V6: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// Blocks within [`GLOBAL_V6`] that are no place for a DHT node. Tunnels that carry an IPv4 address are among them:
/// whoever owns that host would be asked twice as often as we say.
const SPECIAL_V6: [(Ipv6Addr, u32); 6] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23), // protocol assignments, RFC 2928: Teredo, benchmarking, ORCHID
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32), // documentation, RFC 3849
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16), // 6to4, RFC 3056
    (Ipv6Addr::new(0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0), 48), // AS112, RFC 7534
    (Ipv6Addr::new(0x3ffe, 0, 0, 0, 0, 0, 0, 0), 16), // 6bone, returned by RFC 3701
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20), // documentation, RFC 9637
];

/// Whether `ip` can be the address of a host on the public Internet.
///
/// An IPv4 address written as IPv6 (`::ffff:a.b.c.d`) is judged as the IPv4 address.
pub fn is_global(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => !SPECIAL_V4.iter().any(|block| in_v4(ip, *block)),
        IpAddr::V6(ip) => in_v6(ip, GLOBAL_V6) && !SPECIAL_V6.iter().any(|block| in_v6(ip, *block)),
    }
}

/// Whether `ip` belongs to this machine alone: 127.0.0.0/8 or `::1`, all that a lab consists of.
pub fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

fn in_v4(ip: Ipv4Addr, (block, prefix): (Ipv4Addr, u32)) -> bool {
    let differing = ip.to_bits() ^ block.to_bits();
    differing.leading_zeros() >= prefix
}

fn in_v6(ip: Ipv6Addr, (block, prefix): (Ipv6Addr, u32)) -> bool {
    let differing = ip.to_bits() ^ block.to_bits();
    differing.leading_zeros() >= prefix
}

#[cfg(test)]
mod tests {
    use super::*;

    fn global(text: &str) -> bool {
        is_global(text.parse().unwrap())
    }

    #[test]
    fn special_blocks_are_refused_at_both_edges() {
        for ip in [
            "0.0.0.0",
            "0.255.255.255",
            "10.0.0.0",
            "10.255.255.255",
            "100.64.0.0",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.255",
            "169.254.0.0",
            "169.254.255.255",
            "172.16.0.0",
            "172.31.255.255",
            "192.0.0.0",
            "192.0.0.255",
            "192.0.2.1",
            "192.31.196.1",
            "192.52.193.1",
            "192.88.99.1",
            "192.168.0.0",
            "192.168.255.255",
            "192.175.48.1",
            "198.18.0.0",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.0",
            "239.255.255.255",
            "240.0.0.0",
            "255.255.255.255",
        ] {
            assert!(!global(ip), "{ip}");
        }
    }

    #[test]
    fn their_neighbours_are_not() {
        for ip in [
            "1.0.0.0",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.0.3.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "203.0.112.255",
            "203.0.114.0",
            "223.255.255.255",
        ] {
            assert!(global(ip), "{ip}");
        }
    }

    #[test]
    fn ipv6_is_global_unicast_without_tunnels_and_documentation() {
        for ip in ["2001:200::1", "2600::1", "2a00:1450::1", "2003::1", "3ffd::1"] {
            assert!(global(ip), "{ip}");
        }
        for ip in [
            "::",
            "::1",
            "64:ff9b::808:808",
            "100::1",
            "2001::1",
            "2001:2::1",
            "2001:10::1",
            "2001:1ff:ffff::1",
            "2001:db8::1",
            "2002:808:808::1",
            "2620:4f:8000::1",
            "3ffe::1",
            "3fff:fff::1",
            "4000::1",
            "5f00::1",
            "fc00::1",
            "fd00::1",
            "fe80::1",
            "ff02::1",
        ] {
            assert!(!global(ip), "{ip}");
        }
    }

    #[test]
    fn mapped_addresses_are_judged_as_what_they_map() {
        assert!(global("::ffff:8.8.8.8"));
        assert!(!global("::ffff:10.0.0.1"));
        assert!(is_loopback("::ffff:127.0.0.1".parse().unwrap()));
    }
}
