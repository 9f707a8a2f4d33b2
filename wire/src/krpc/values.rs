use std::fmt;
use std::net::SocketAddr;
use std::slice;

use crate::bencode::{Kind, Reader, Value};
use crate::compact;

/// The peers of a `get_peers` reply, of both families.
///
/// Read from the wire, it is a view on a list of strings. An entry of 18 bytes is an IPv6 peer, and one of 6, 12, 24,
/// ... bytes is one or more IPv4 peers, since old clients pack all of them into one entry, or send that string
/// instead of the list. Everything else in the list is passed over. To write, it is made from a slice of addresses.
#[derive(Clone, Copy, Default)]
pub struct Values<'a>(Form<'a>);

#[derive(Clone, Copy, Default)]
enum Form<'a> {
    #[default]
    Absent,
    /// The items of a checked list, one after the other.
    Items(&'a [u8]),
    Peers(&'a [SocketAddr]),
}

impl<'a> Values<'a> {
    /// What a reply without `values` has.
    pub const ABSENT: Self = Self(Form::Absent);

    /// What a value read from the wire says; absent if it is neither a list nor a string.
    pub(super) fn read(value: Value<'a>) -> Self {
        match value.raw() {
            [b'l', items @ .., b'e'] => Self(Form::Items(items)),
            string @ [b'0'..=b'9', ..] => Self(Form::Items(string)),
            _ => Self::ABSENT,
        }
    }

    /// Whether the reply has `values` at all: the node says that it knows the infohash, be it without a usable peer.
    pub const fn is_present(&self) -> bool {
        !matches!(self.0, Form::Absent)
    }

    /// The peers in order.
    pub fn iter(&self) -> ValuesIter<'a> {
        let (items, peers): (_, &[_]) = match self.0 {
            Form::Absent => (&[][..], &[]),
            Form::Items(items) => (items, &[]),
            Form::Peers(peers) => (&[][..], peers),
        };
        ValuesIter {
            items: Reader::trusted(items),
            packed: [].iter(),
            peers: peers.iter(),
        }
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
    items: Reader<'a>,
    /// What is left of an entry that packs several IPv4 peers.
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
            if let Some(peer) = self.peers.next() {
                return Some(*peer);
            }
            // The end of the items reads as an error, which ends the iteration.
            if self.items.kind().ok()? != Kind::Bytes {
                self.items.skip().ok()?;
                continue;
            }
            let entry = self.items.bytes().ok()?;
            if let Some(peer) = compact::peer(entry) {
                return Some(peer);
            }
            if let (peers, []) = entry.as_chunks() {
                self.packed = peers.iter();
            }
        }
    }
}
