//! Which addresses a URL may lead to: a stranger who names a tracker or a web seed must not make us speak to the machines
//! around us.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whom the web may be asked of, as far as addresses say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Allowed {
    /// Addresses of this machine itself, beside those of the Internet.
    pub(super) loopback: bool,
}

impl Allowed {
    /// Whether `ip` may be connected to. An IPv4 address in the clothes of IPv6 is judged as what it is.
    pub(super) fn allows(self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        if ip.is_loopback() {
            return self.loopback;
        }
        match ip {
            IpAddr::V4(ip) => is_public_v4(ip),
            IpAddr::V6(ip) => is_public_v6(ip),
        }
    }
}

/// Outside the blocks of the IANA special-purpose registry (RFC 6890 and its successors) and multicast.
fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let assignments = (a, b, c) == (192, 0, 0);
    let relays = (a, b, c) == (192, 88, 99);
    let benchmarks = a == 198 && (18..20).contains(&b);
    !(a == 0
        || a >= 224
        || ip.is_private()
        || ip.is_link_local()
        || ip.is_documentation()
        || shared
        || assignments
        || relays
        || benchmarks)
}

/// Inside the one block that unicast addresses are given out of, and there neither documentation nor a tunnel or translator,
/// which may end at any IPv4 address.
fn is_public_v6(ip: Ipv6Addr) -> bool {
    let [a, b, ..] = ip.segments();
    let given_out = a & 0xe000 == 0x2000;
    let assignments = a == 0x2001 && b < 0x200;
    let documentation = (a == 0x2001 && b == 0xdb8) || (a == 0x3fff && b < 0x1000);
    given_out && !assignments && !documentation && a != 0x2002
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(loopback: bool, ip: &str) -> bool {
        Allowed { loopback }.allows(ip.parse().unwrap())
    }

    #[test]
    fn only_public_addresses_are_spoken_to() {
        for ip in [
            "8.8.8.8",
            "100.63.0.1",
            "100.128.0.1",
            "172.32.0.1",
            "2606:4700::1111",
            "::ffff:8.8.8.8",
        ] {
            assert!(allows(false, ip), "{ip}");
        }
        for ip in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "192.0.0.8",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "fe80::1",
            "fc00::1",
            "ff02::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
        ] {
            assert!(!allows(false, ip) && !allows(true, ip), "{ip}");
        }
    }

    #[test]
    fn loopback_is_spoken_to_when_it_is_allowed() {
        for ip in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert!(!allows(false, ip) && allows(true, ip), "{ip}");
        }
    }
}
