//! Addresses on output, as they are or veiled (`--anonymize-ips`).
//!
//! Truncated: the network (IPv4 /24, IPv6 /48) stays, the host in it does not. Hashed: a pseudonym of 120 bits by SipHash-2-4 with a secret
//! key, written as an address below `fd00::/8` (RFC 4193), which nobody can be reached at. The same address has the same pseudonym under
//! the same key, so rows can be joined; without the key it cannot be found by trying all addresses, with it that takes seconds.
//!
//! Node ids are veiled with them: BEP 42 makes an id of 21 bits that come from the address. Of an id the first byte stays (its
//! place in the key space), the rest is a hash.

use std::hash::Hasher;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use siphasher::sip128::{Hasher128, SipHasher24};
use wire::NodeId;

/// What becomes of addresses on output.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Veil {
    /// They stay.
    None,
    /// The network stays. Ids are hashed with the key.
    Truncate([u8; 16]),
    /// A pseudonym, by this key.
    Hash([u8; 16]),
}

impl std::fmt::Debug for Veil {
    /// Keeps the key out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Truncate(_) => "Truncate(..)",
            Self::Hash(_) => "Hash(..)",
        })
    }
}

impl Veil {
    /// The key that a file of 32 hex digits has.
    pub fn key_of(text: &[u8]) -> Option<[u8; 16]> {
        let digits = std::str::from_utf8(text).ok()?.trim();
        if digits.len() != 32 {
            return None;
        }
        u128::from_str_radix(digits, 16).ok().map(u128::to_be_bytes)
    }

    /// What such a file has of a key.
    pub fn key_text(key: &[u8; 16]) -> Vec<u8> {
        format!("{:032x}\n", u128::from_be_bytes(*key)).into_bytes()
    }

    /// An address as it may be shown.
    pub fn ip(&self, ip: IpAddr) -> IpAddr {
        match (self, ip) {
            (Self::None, ip) => ip,
            (Self::Truncate(_), IpAddr::V4(ip)) => {
                let [a, b, c, _] = ip.octets();
                Ipv4Addr::new(a, b, c, 0).into()
            }
            (Self::Truncate(_), IpAddr::V6(ip)) => {
                let [a, b, c, ..] = ip.segments();
                Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0).into()
            }
            (Self::Hash(key), ip) => {
                let [_, rest @ ..] = match ip {
                    IpAddr::V4(ip) => hashed(key, &ip.octets()),
                    IpAddr::V6(ip) => hashed(key, &ip.octets()),
                };
                let mut octets = [0xfd; 16];
                for (octet, hashed) in octets.iter_mut().skip(1).zip(rest) {
                    *octet = hashed;
                }
                Ipv6Addr::from(octets).into()
            }
        }
    }

    /// The same with its port, which stays.
    pub fn addr(&self, addr: SocketAddr) -> SocketAddr {
        SocketAddr::new(self.ip(addr.ip()), addr.port())
    }

    /// A node id as it may be shown.
    pub fn id(&self, id: NodeId) -> NodeId {
        let (Self::Truncate(key) | Self::Hash(key)) = self else {
            return id;
        };
        let mut bytes = *id.as_bytes();
        for (byte, hashed) in bytes.iter_mut().skip(1).zip(hashed(key, id.as_bytes())) {
            *byte = hashed;
        }
        // The last three are not reached by the hash.
        for byte in bytes.iter_mut().skip(17) {
            *byte = 0;
        }
        NodeId::new(bytes)
    }
}

fn hashed(key: &[u8; 16], bytes: &[u8]) -> [u8; 16] {
    let mut hasher = SipHasher24::new_with_key(key);
    hasher.write(bytes);
    hasher.finish128().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: Veil = Veil::Hash([3; 16]);
    const TRUNCATE: Veil = Veil::Truncate([3; 16]);

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_key_is_32_hex_digits_in_a_file() {
        let key = [0x0a; 16];
        assert_eq!(Veil::key_of(&Veil::key_text(&key)), Some(key));
        for text in ["", "0a", &"0".repeat(33), &"x".repeat(32)] {
            assert_eq!(Veil::key_of(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn truncated_addresses_keep_their_network() {
        assert_eq!(TRUNCATE.ip(ip("192.0.2.77")), ip("192.0.2.0"));
        assert_eq!(TRUNCATE.ip(ip("2001:db8:1:2:3:4:5:6")), ip("2001:db8:1::"));
        assert_eq!(Veil::None.ip(ip("192.0.2.77")), ip("192.0.2.77"));
    }

    #[test]
    fn pseudonyms_are_the_same_for_the_same_key_and_nobody_is_there() {
        let one = HASH.ip(ip("192.0.2.77"));
        assert_eq!(one, HASH.ip(ip("192.0.2.77")));
        assert_ne!(one, HASH.ip(ip("192.0.2.78")));
        assert_ne!(one, Veil::Hash([4; 16]).ip(ip("192.0.2.77")));
        let IpAddr::V6(one) = one else { panic!("{one}") };
        assert_eq!(one.octets()[0], 0xfd);
        assert_eq!(HASH.addr("192.0.2.77:80".parse().unwrap()).port(), 80);
    }

    #[test]
    fn ids_keep_their_zone_and_tell_no_address() {
        let id = NodeId::new([0xab; 20]);
        for veil in [HASH, TRUNCATE] {
            let shown = veil.id(id);
            assert_eq!(shown.common_prefix(&id).min(8), 8);
            assert_ne!(shown.as_bytes()[1..], id.as_bytes()[1..]);
            assert_eq!(shown, veil.id(id));
        }
        assert_eq!(Veil::None.id(id), id);
    }
}
