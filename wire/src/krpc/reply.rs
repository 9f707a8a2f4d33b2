use std::net::SocketAddr;

use super::message::{number, text};
use super::{KrpcError, Values};
use crate::bencode::{BencodeError, Reader};
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
    pub fn contacts(&self) -> impl Iterator<Item = Contact> + Clone + use<'a> {
        compact::nodes4(self.nodes).chain(compact::nodes6(self.nodes6))
    }

    /// The infohashes of `samples`, without a ragged tail.
    pub fn samples(&self) -> impl ExactSizeIterator<Item = InfoHash> + Clone + use<'a> {
        let samples = self.samples.unwrap_or_default();
        samples.as_chunks::<20>().0.iter().map(|bytes| InfoHash::new(*bytes))
    }

    /// The peers of `values`.
    pub fn peers(&self) -> impl Iterator<Item = SocketAddr> + Clone + use<'a> {
        self.values.iter()
    }

    /// The reader stands before a dictionary. The outer result is that of the bencode, the inner that of the reply.
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Result<Self, KrpcError>, BencodeError> {
        let mut id = None;
        let mut found = Self::new(NodeId::new([0; 20]));
        reader.begin_dict()?;
        while let Some(key) = reader.key()? {
            match key {
                b"id" => id = text(reader)?,
                b"nodes" => found.nodes = text(reader)?.unwrap_or_default(),
                b"nodes6" => found.nodes6 = text(reader)?.unwrap_or_default(),
                b"values" => found.values = Values::read(reader.value()?),
                b"token" => found.token = text(reader)?,
                b"samples" => found.samples = text(reader)?,
                b"num" => found.num = number(reader)?,
                b"interval" => found.interval = number(reader)?,
                b"p" => found.port = number(reader)?.and_then(|port| port.try_into().ok()),
                b"BFsd" | b"BFse" => found.bloom_seeds = sized(reader)?,
                b"BFpe" => found.bloom_peers = sized(reader)?,
                b"n" => found.name = text(reader)?,
                b"v" => found.v = Some(reader.value()?.raw()),
                b"k" => found.k = sized(reader)?,
                b"sig" => found.sig = sized(reader)?,
                b"seq" => found.seq = number(reader)?,
                _ => reader.skip()?,
            }
        }
        let Some(id) = id else {
            return Ok(Err(KrpcError::NoId));
        };
        Ok(match NodeId::from_slice(id) {
            Some(id) => Ok(Self { id, ..found }),
            None => Err(KrpcError::BadId),
        })
    }
}

/// A string of exactly `N` bytes; anything else counts as absent.
fn sized<'a, const N: usize>(reader: &mut Reader<'a>) -> Result<Option<&'a [u8; N]>, BencodeError> {
    Ok(text(reader)?.and_then(|bytes| bytes.try_into().ok()))
}
