//! Compact endpoints: peers of 6 and 18 bytes (BEP 23, BEP 7), nodes of 26 and 38 (BEP 5, BEP 32).
//!
//! Strings of them are read as far as they go: a ragged tail is dropped, which is what the network expects.
//! Nothing is judged here; port 0 and special-purpose addresses come out as they went in.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::NodeId;

/// Bytes of an IPv4 peer: address and port, big-endian.
pub const PEER4_LEN: usize = 6;
/// Bytes of an IPv6 peer.
pub const PEER6_LEN: usize = 18;
/// Bytes of an IPv4 node: id, then endpoint.
pub const NODE4_LEN: usize = 20 + PEER4_LEN;
/// Bytes of an IPv6 node.
pub const NODE6_LEN: usize = 20 + PEER6_LEN;

/// A DHT node as somebody names it: nothing says yet that it is there, or that it goes by that id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Contact {
    /// The id it is said to have.
    pub id: NodeId,
    /// Where it is said to be.
    pub addr: SocketAddr,
}

/// The contacts of a `nodes` string (BEP 5).
#[inline]
pub fn nodes4(bytes: &[u8]) -> impl ExactSizeIterator<Item = Contact> + Clone {
    bytes.as_chunks::<NODE4_LEN>().0.iter().map(contact4)
}

/// The contacts of a `nodes6` string (BEP 32).
#[inline]
pub fn nodes6(bytes: &[u8]) -> impl ExactSizeIterator<Item = Contact> + Clone {
    bytes.as_chunks::<NODE6_LEN>().0.iter().map(contact6)
}

/// The peers of a string of IPv4 peers (BEP 23).
#[inline]
pub fn peers4(bytes: &[u8]) -> impl ExactSizeIterator<Item = SocketAddr> + Clone {
    bytes.as_chunks::<PEER4_LEN>().0.iter().map(addr4)
}

/// The peers of a string of IPv6 peers (BEP 7).
#[inline]
pub fn peers6(bytes: &[u8]) -> impl ExactSizeIterator<Item = SocketAddr> + Clone {
    bytes.as_chunks::<PEER6_LEN>().0.iter().map(addr6)
}

/// One peer, of 6 or 18 bytes; nothing for any other length.
#[inline]
pub fn peer(bytes: &[u8]) -> Option<SocketAddr> {
    match bytes.len() {
        PEER4_LEN => bytes.first_chunk().map(addr4),
        PEER6_LEN => bytes.first_chunk().map(addr6),
        _ => None,
    }
}

/// Appends the 6 or 18 bytes of an endpoint.
pub fn put_addr(addr: &SocketAddr, out: &mut Vec<u8>) {
    out.extend_from_slice(packed(addr, &mut [0; PEER6_LEN]));
}

/// The 6 or 18 bytes of an endpoint, in a lent buffer.
#[inline]
pub(crate) fn packed<'b>(addr: &SocketAddr, buffer: &'b mut [u8; PEER6_LEN]) -> &'b [u8] {
    let [high, low] = addr.port().to_be_bytes();
    match addr.ip() {
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            let (peer, _) = buffer.split_at_mut(PEER4_LEN);
            peer.copy_from_slice(&[a, b, c, d, high, low]);
            peer
        }
        IpAddr::V6(ip) => {
            let (head, tail) = buffer.split_at_mut(16);
            head.copy_from_slice(&ip.octets());
            tail.copy_from_slice(&[high, low]);
            buffer
        }
    }
}

/// Appends the 26 or 38 bytes of a contact.
pub fn put_contact(contact: &Contact, out: &mut Vec<u8>) {
    out.extend_from_slice(contact.id.as_bytes());
    put_addr(&contact.addr, out);
}

#[inline]
fn addr4(&[a, b, c, d, high, low]: &[u8; PEER4_LEN]) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([high, low])))
}

#[inline]
fn addr6(bytes: &[u8; PEER6_LEN]) -> SocketAddr {
    let ip: [u8; 16] = head(bytes);
    SocketAddr::from((Ipv6Addr::from(ip), u16::from_be_bytes(tail(bytes))))
}

#[inline]
fn contact4(bytes: &[u8; NODE4_LEN]) -> Contact {
    let id = NodeId::new(head(bytes));
    let addr = addr4(&tail(bytes));
    Contact { id, addr }
}

#[inline]
fn contact6(bytes: &[u8; NODE6_LEN]) -> Contact {
    let id = NodeId::new(head(bytes));
    let addr = addr6(&tail(bytes));
    Contact { id, addr }
}

/// The first `N` bytes of an entry, which is longer than that.
#[inline]
fn head<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.first_chunk().copied().unwrap_or([0; N])
}

/// The last `N` bytes of an entry, which is longer than that.
#[inline]
fn tail<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.last_chunk().copied().unwrap_or([0; N])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn contact(addr: &str) -> Contact {
        Contact {
            id: NodeId::new([7; 20]),
            addr: addr.parse().unwrap(),
        }
    }

    #[test]
    fn an_endpoint_is_address_and_port_big_endian() {
        let addr: SocketAddr = "192.168.1.100:6881".parse().unwrap();
        let mut out = Vec::new();
        put_addr(&addr, &mut out);
        assert_eq!(out, [0xC0, 0xA8, 0x01, 0x64, 0x1A, 0xE1]);
        assert_eq!(peer(&out), Some(addr));
    }

    #[test]
    fn a_ragged_tail_is_dropped() {
        let mut bytes = Vec::new();
        put_contact(&contact("1.2.3.4:5"), &mut bytes);
        bytes.push(9);
        assert_eq!(bytes.len(), 27);
        assert_eq!(nodes4(&bytes).collect::<Vec<_>>(), [contact("1.2.3.4:5")]);
        assert_eq!(nodes6(&bytes).len(), 0);
        assert_eq!(peers4(&[0; 13]).len(), 2);
        assert_eq!(peers6(&[0; 35]).len(), 1);
    }

    #[test]
    fn a_peer_has_one_of_two_lengths() {
        for length in (0..40).filter(|length| ![PEER4_LEN, PEER6_LEN].contains(length)) {
            assert_eq!(peer(&[1; 40][..length]), None);
        }
    }

    proptest! {
        #[test]
        fn endpoints_and_contacts_round_trip(id in any::<[u8; 20]>(), ip in any::<IpAddr>(), port in any::<u16>()) {
            let contact = Contact { id: NodeId::new(id), addr: SocketAddr::new(ip, port) };
            let (mut addr, mut node) = (Vec::new(), Vec::new());
            put_addr(&contact.addr, &mut addr);
            put_contact(&contact, &mut node);
            prop_assert_eq!(peer(&addr), Some(contact.addr));
            let (peers, nodes): (Vec<_>, Vec<_>) = match ip {
                IpAddr::V4(_) => (peers4(&addr).collect(), nodes4(&node).collect()),
                IpAddr::V6(_) => (peers6(&addr).collect(), nodes6(&node).collect()),
            };
            prop_assert_eq!((peers, nodes), (vec![contact.addr], vec![contact]));
        }
    }
}
