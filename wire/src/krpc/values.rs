//! The peers of a `get_peers` reply: a list of compact endpoints, as the network really sends it.

use std::fmt;
use std::net::SocketAddr;
use std::slice;

use crate::bencode::{Item, ItemIter, List};
use crate::compact;

/// The peers of a `get_peers` reply, of both families.
///
/// Read from the wire, it is a view on a list of strings. An entry of 18 bytes is an IPv6 peer, and one of 6, 12, 24,
/// ... bytes is one or more IPv4 peers, since old clients pack all of them into one entry, or send that string instead
/// of the list. Everything else in the list is passed over. How many there are only the datagram bounds. To write, it
/// is made from a slice of addresses.
#[derive(Clone, Copy, Default)]
pub struct Values<'a>(Form<'a>);

#[derive(Clone, Copy, Default)]
enum Form<'a> {
    #[default]
    Absent,
    Items(List<'a>),
    /// One string instead of a list of strings.
    Packed(&'a [u8]),
    Peers(&'a [SocketAddr]),
}

impl<'a> Values<'a> {
    /// What a reply without `values` has.
    pub const ABSENT: Self = Self(Form::Absent);

    /// What was read from the wire; absent if it is neither a list nor a string.
    pub(super) fn read(item: Item<'a>) -> Self {
        match item {
            Item::Bytes(packed) => Self(Form::Packed(packed)),
            Item::Nested(value) => value.as_list().map_or(Self::ABSENT, |list| Self(Form::Items(list))),
            Item::Int(_) => Self::ABSENT,
        }
    }

    /// Whether the reply has `values` at all: the node says that it knows the infohash, be it without a usable peer.
    pub const fn is_present(&self) -> bool {
        !matches!(self.0, Form::Absent)
    }

    /// The peers in order.
    #[inline]
    pub fn iter(&self) -> ValuesIter<'a> {
        let (items, packed, peers) = match self.0 {
            Form::Absent => Default::default(),
            Form::Items(items) => (items, Default::default(), Default::default()),
            Form::Packed(string) => (Default::default(), packed(string), Default::default()),
            Form::Peers(peers) => (Default::default(), Default::default(), peers),
        };
        ValuesIter {
            items: items.items(),
            packed: packed.iter(),
            peers: peers.iter(),
        }
    }
}

/// IPv4 peers that one string packs; none if its length does not fit.
fn packed(string: &[u8]) -> &[[u8; compact::PEER4_LEN]] {
    match string.as_chunks() {
        (peers, []) => peers,
        _ => &[],
    }
}

impl<'a> From<&'a [SocketAddr]> for Values<'a> {
    /// To be written; an empty slice becomes an empty list, not an absent one.
    fn from(peers: &'a [SocketAddr]) -> Self {
        Self(Form::Peers(peers))
    }
}

impl<'a> IntoIterator for Values<'a> {
    type Item = SocketAddr;
    type IntoIter = ValuesIter<'a>;

    fn into_iter(self) -> ValuesIter<'a> {
        self.iter()
    }
}

impl PartialEq for Values<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.is_present() == other.is_present() && self.iter().eq(other.iter())
    }
}

impl Eq for Values<'_> {}

impl fmt::Debug for Values<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_present() {
            true => f.debug_list().entries(self.iter()).finish(),
            false => f.write_str("absent"),
        }
    }
}

/// Steps through [`Values`].
#[derive(Clone, Debug)]
pub struct ValuesIter<'a> {
    items: ItemIter<'a>,
    /// What is left of a string that packs several IPv4 peers.
    packed: slice::Iter<'a, [u8; compact::PEER4_LEN]>,
    peers: slice::Iter<'a, SocketAddr>,
}

impl Iterator for ValuesIter<'_> {
    type Item = SocketAddr;

    #[inline]
    fn next(&mut self) -> Option<SocketAddr> {
        loop {
            if let Some(peer) = self.packed.next() {
                return compact::peer(peer);
            }
            let Some(item) = self.items.next() else {
                return self.peers.next().copied();
            };
            let Item::Bytes(entry) = item else {
                continue;
            };
            if let Some(peer) = compact::peer(entry) {
                return Some(peer);
            }
            self.packed = packed(entry).iter();
        }
    }
}
