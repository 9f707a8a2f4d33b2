//! Replies of BEP 5, 32, 33, 42, 44 and 51, read and written by one type.

use std::net::SocketAddr;

use super::Values;
use crate::bencode::{BencodeError, Item, Reader};
use crate::bloom;
use crate::compact::{self, Contact};
use crate::{InfoHash, NodeId};

/// An answer: the keys of every kind of answer, since an answer does not say which question it belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reply<'a> {
    /// The node that answers.
    pub id: NodeId,
    /// IPv4 contacts, 26 bytes each (BEP 5); empty if absent.
    pub nodes: &'a [u8],
    /// IPv6 contacts, 38 bytes each (BEP 32); empty if absent.
    pub nodes6: &'a [u8],
    /// Peers of the torrent that was asked for (BEP 5).
    pub values: Values<'a>,
    /// What an announce or put to this node must bring along (BEP 5, BEP 44).
    pub token: Option<&'a [u8]>,
    /// Infohashes, 20 bytes each (BEP 51).
    pub samples: Option<&'a [u8]>,
    /// How many infohashes the node stores, or so it says (BEP 51).
    pub num: Option<i64>,
    /// Seconds until it has other samples, or so it says; BEP 51 allows 0 to 21600.
    pub interval: Option<i64>,
    /// The port that our query came from, `p`, of libtorrent.
    pub port: Option<u16>,
    /// Bloom filter of the seeds, `BFsd` (BEP 33), or `BFse` as mldht writes it.
    pub bloom_seeds: Option<&'a [u8; bloom::LEN]>,
    /// Bloom filter of the peers that are no seeds, `BFpe` (BEP 33).
    pub bloom_peers: Option<&'a [u8; bloom::LEN]>,
    /// The name of the torrent, `n`, of libtorrent.
    pub name: Option<&'a [u8]>,
    /// The stored value: exactly one bencoded value, raw (BEP 44).
    pub v: Option<&'a [u8]>,
    /// The public key of a mutable item (BEP 44).
    pub k: Option<&'a [u8; 32]>,
    /// Its signature (BEP 44).
    pub sig: Option<&'a [u8; 64]>,
    /// Its sequence number (BEP 44).
    pub seq: Option<i64>,
}

impl<'a> Reply<'a> {
    /// An answer with nothing but the id, as to a ping.
    pub const fn new(id: NodeId) -> Self {
        Self {
            id,
            nodes: &[],
            nodes6: &[],
            values: Values::ABSENT,
            token: None,
            samples: None,
            num: None,
            interval: None,
            port: None,
            bloom_seeds: None,
            bloom_peers: None,
            name: None,
            v: None,
            k: None,
            sig: None,
            seq: None,
        }
    }

    /// The contacts of `nodes`, then those of `nodes6`.
    #[inline]
    pub fn contacts(&self) -> impl Iterator<Item = Contact> + Clone + use<'a> {
        compact::nodes4(self.nodes).chain(compact::nodes6(self.nodes6))
    }

    /// The infohashes of `samples`, without a ragged tail.
    #[inline]
    pub fn samples(&self) -> impl ExactSizeIterator<Item = InfoHash> + Clone + use<'a> {
        let samples = self.samples.unwrap_or_default();
        samples.as_chunks::<20>().0.iter().map(|bytes| InfoHash::new(*bytes))
    }

    /// The peers of `values`.
    #[inline]
    pub fn peers(&self) -> impl Iterator<Item = SocketAddr> + Clone + use<'a> {
        self.values.iter()
    }

    /// Fills in what the dictionary says that the reader stands before, and gives its `id`.
    pub(super) fn read(&mut self, reader: &mut Reader<'a>) -> Result<Option<&'a [u8]>, BencodeError> {
        let mut id = None;
        reader.begin_dict()?;
        while let Some(key) = reader.key()? {
            if key == b"v" {
                self.v = Some(reader.value()?.raw());
                continue;
            }
            match (key, reader.item()?) {
                (b"id", Item::Bytes(text)) => id = Some(text),
                (b"nodes", Item::Bytes(text)) => self.nodes = text,
                (b"nodes6", Item::Bytes(text)) => self.nodes6 = text,
                (b"values", item) => self.values = Values::read(item),
                (b"token", Item::Bytes(text)) => self.token = Some(text),
                (b"samples", Item::Bytes(text)) => self.samples = Some(text),
                (b"num", Item::Int(number)) => self.num = Some(number),
                (b"interval", Item::Int(number)) => self.interval = Some(number),
                (b"p", Item::Int(number)) => self.port = number.try_into().ok(),
                (b"BFsd" | b"BFse", Item::Bytes(text)) => self.bloom_seeds = text.try_into().ok(),
                (b"BFpe", Item::Bytes(text)) => self.bloom_peers = text.try_into().ok(),
                (b"n", Item::Bytes(text)) => self.name = Some(text),
                (b"k", Item::Bytes(text)) => self.k = text.try_into().ok(),
                (b"sig", Item::Bytes(text)) => self.sig = text.try_into().ok(),
                (b"seq", Item::Int(number)) => self.seq = Some(number),
                // An unknown key, or a type that the key does not have: passed over.
                _ => {}
            }
        }
        Ok(id)
    }
}
