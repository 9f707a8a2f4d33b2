//! Queries of BEP 5, 32, 33, 43, 44 and 51.

use super::KrpcError;
use crate::bencode::{BencodeError, Item, Reader, Value};
use crate::{InfoHash, NodeId};

/// Which address families a query wants contacts of (BEP 32). Both false: not said, so the family of the datagram.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Want {
    /// `n4`: IPv4 contacts, in `nodes`.
    pub n4: bool,
    /// `n6`: IPv6 contacts, in `nodes6`.
    pub n6: bool,
}

/// A question.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Query<'a> {
    /// The node that asks.
    pub id: NodeId,
    /// What it asks.
    pub method: Method<'a>,
    /// The families of contacts it wants.
    pub want: Want,
}

/// What a query asks, with the arguments that belong to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method<'a> {
    /// Are you there? (BEP 5)
    Ping,
    /// Which nodes do you know closest to `target`? (BEP 5)
    FindNode {
        /// The point of the key space.
        target: NodeId,
    },
    /// Which peers do you know of a torrent? (BEP 5)
    GetPeers {
        /// The torrent.
        info_hash: InfoHash,
        /// Leave seeds out (BEP 33).
        noseed: bool,
        /// Send bloom filters of the swarm (BEP 33).
        scrape: bool,
    },
    /// I am a peer of a torrent. (BEP 5)
    AnnouncePeer {
        /// The torrent.
        info_hash: InfoHash,
        /// Where the peer listens; 0 only if `implied_port`.
        port: u16,
        /// It listens on the port that this datagram came from.
        implied_port: bool,
        /// What the asked node gave out before.
        token: &'a [u8],
        /// The name of the torrent, `n`, of libtorrent.
        name: Option<&'a [u8]>,
        /// It has the whole torrent (BEP 33).
        seed: bool,
    },
    /// Which infohashes do you store peers of? (BEP 51)
    SampleInfohashes {
        /// The point of the key space that the contacts shall be close to.
        target: NodeId,
    },
    /// What is stored here? (BEP 44)
    Get {
        /// The key of the item.
        target: NodeId,
        /// Send the value only if it is newer than this.
        seq: Option<i64>,
    },
    /// Store this. (BEP 44) Mutable if `k` is there.
    Put {
        /// What the asked node gave out before.
        token: &'a [u8],
        /// The value: exactly one bencoded value, raw, as it is hashed and signed.
        v: &'a [u8],
        /// The public key.
        k: Option<&'a [u8; 32]>,
        /// The signature.
        sig: Option<&'a [u8; 64]>,
        /// The sequence number.
        seq: Option<i64>,
        /// The salt.
        salt: Option<&'a [u8]>,
        /// Store only if this is the sequence number that is stored now.
        cas: Option<i64>,
    },
    /// Something else. BEP 5 has it answered with error 204, but with a target it can be answered like `find_node`.
    Unknown {
        /// Its `q`.
        name: &'a [u8],
        /// Its `target` or else its `info_hash`.
        target: Option<NodeId>,
    },
}

impl<'a> Method<'a> {
    /// The value of `q`.
    pub const fn name(&self) -> &'a [u8] {
        match self {
            Self::Ping => b"ping",
            Self::FindNode { .. } => b"find_node",
            Self::GetPeers { .. } => b"get_peers",
            Self::AnnouncePeer { .. } => b"announce_peer",
            Self::SampleInfohashes { .. } => b"sample_infohashes",
            Self::Get { .. } => b"get",
            Self::Put { .. } => b"put",
            Self::Unknown { name, .. } => name,
        }
    }
}

/// The dictionary `a`: every argument of every method, before it is known which method it is (`q` sorts after `a`).
#[derive(Clone, Copy, Default)]
pub(super) struct Arguments<'a> {
    pub(super) cas: Option<i64>,
    pub(super) id: Option<&'a [u8]>,
    pub(super) implied_port: bool,
    pub(super) info_hash: Option<&'a [u8]>,
    pub(super) k: Option<&'a [u8]>,
    pub(super) name: Option<&'a [u8]>,
    pub(super) noseed: bool,
    pub(super) port: Option<i64>,
    pub(super) salt: Option<&'a [u8]>,
    pub(super) scrape: bool,
    pub(super) seed: bool,
    pub(super) seq: Option<i64>,
    pub(super) sig: Option<&'a [u8]>,
    pub(super) target: Option<&'a [u8]>,
    pub(super) token: Option<&'a [u8]>,
    pub(super) v: Option<&'a [u8]>,
    pub(super) want: Want,
}

impl<'a> Arguments<'a> {
    /// Fills in what the dictionary says that the reader stands before.
    pub(super) fn read(&mut self, reader: &mut Reader<'a>) -> Result<(), BencodeError> {
        reader.begin_dict()?;
        while let Some(key) = reader.key()? {
            if key == b"v" {
                self.v = Some(reader.value()?.raw());
                continue;
            }
            match (key, reader.item()?) {
                (b"id", Item::Bytes(text)) => self.id = Some(text),
                (b"target", Item::Bytes(text)) => self.target = Some(text),
                (b"info_hash", Item::Bytes(text)) => self.info_hash = Some(text),
                (b"want", item) => self.want = want(item),
                (b"token", Item::Bytes(text)) => self.token = Some(text),
                (b"port", Item::Int(number)) => self.port = Some(number),
                // BEP 5 writes truth as 1; any other number than 0 is taken for it.
                (b"implied_port", Item::Int(number)) => self.implied_port = number != 0,
                (b"n", Item::Bytes(text)) => self.name = Some(text),
                (b"seed", Item::Int(number)) => self.seed = number != 0,
                (b"noseed", Item::Int(number)) => self.noseed = number != 0,
                (b"scrape", Item::Int(number)) => self.scrape = number != 0,
                (b"seq", Item::Int(number)) => self.seq = Some(number),
                (b"cas", Item::Int(number)) => self.cas = Some(number),
                (b"k", Item::Bytes(text)) => self.k = Some(text),
                (b"sig", Item::Bytes(text)) => self.sig = Some(text),
                (b"salt", Item::Bytes(text)) => self.salt = Some(text),
                // An unknown key, or a type that the key does not have: passed over.
                _ => {}
            }
        }
        Ok(())
    }

    /// The question, once `q` is known.
    pub(super) fn ask(&self, name: &'a [u8]) -> Result<Query<'a>, KrpcError> {
        let id = self.id.ok_or(KrpcError::NoId)?;
        Ok(Query {
            id: NodeId::from_slice(id).ok_or(KrpcError::BadId)?,
            method: self.method(name)?,
            want: self.want,
        })
    }

    fn method(&self, name: &'a [u8]) -> Result<Method<'a>, KrpcError> {
        Ok(match name {
            b"ping" => Method::Ping,
            b"find_node" => Method::FindNode { target: self.target()? },
            b"get_peers" => Method::GetPeers {
                info_hash: self.info_hash()?,
                noseed: self.noseed,
                scrape: self.scrape,
            },
            b"announce_peer" => Method::AnnouncePeer {
                info_hash: self.info_hash()?,
                port: self.port()?,
                implied_port: self.implied_port,
                token: self.token.ok_or(KrpcError::NoToken)?,
                name: self.name,
                seed: self.seed,
            },
            b"sample_infohashes" => Method::SampleInfohashes { target: self.target()? },
            b"get" => Method::Get {
                target: self.target()?,
                seq: self.seq,
            },
            b"put" => self.put()?,
            _ => Method::Unknown {
                name,
                target: self.target.or(self.info_hash).and_then(NodeId::from_slice),
            },
        })
    }

    fn target(&self) -> Result<NodeId, KrpcError> {
        self.target.and_then(NodeId::from_slice).ok_or(KrpcError::BadTarget)
    }

    fn info_hash(&self) -> Result<InfoHash, KrpcError> {
        self.info_hash
            .and_then(InfoHash::from_slice)
            .ok_or(KrpcError::BadTarget)
    }

    fn port(&self) -> Result<u16, KrpcError> {
        match self.port.and_then(|port| u16::try_from(port).ok()) {
            Some(port) if port != 0 => Ok(port),
            _ if self.implied_port => Ok(0),
            _ => Err(KrpcError::BadPort),
        }
    }

    fn put(&self) -> Result<Method<'a>, KrpcError> {
        Ok(Method::Put {
            token: self.token.ok_or(KrpcError::NoToken)?,
            v: self.v.ok_or(KrpcError::BadItem)?,
            k: sized(self.k)?,
            sig: sized(self.sig)?,
            seq: self.seq,
            salt: self.salt,
            cas: self.cas,
        })
    }
}

impl<'a> From<&'a Query<'_>> for Arguments<'a> {
    fn from(query: &'a Query<'_>) -> Self {
        let all = Self {
            id: Some(query.id.as_bytes()),
            want: query.want,
            ..Self::default()
        };
        match &query.method {
            Method::Ping => all,
            Method::FindNode { target } | Method::SampleInfohashes { target } => Self {
                target: Some(target.as_bytes()),
                ..all
            },
            &Method::GetPeers {
                ref info_hash,
                noseed,
                scrape,
            } => Self {
                info_hash: Some(info_hash.as_bytes()),
                noseed,
                scrape,
                ..all
            },
            &Method::AnnouncePeer {
                ref info_hash,
                port,
                implied_port,
                token,
                name,
                seed,
            } => Self {
                info_hash: Some(info_hash.as_bytes()),
                port: Some(i64::from(port)),
                implied_port,
                token: Some(token),
                name,
                seed,
                ..all
            },
            Method::Get { target, seq } => Self {
                target: Some(target.as_bytes()),
                seq: *seq,
                ..all
            },
            &Method::Put {
                token,
                v,
                k,
                sig,
                seq,
                salt,
                cas,
            } => Self {
                token: Some(token),
                v: Some(v),
                k: k.map(<[u8; 32]>::as_slice),
                sig: sig.map(<[u8; 64]>::as_slice),
                seq,
                salt,
                cas,
                ..all
            },
            Method::Unknown { target, .. } => Self {
                target: target.as_ref().map(|target| target.as_bytes().as_slice()),
                ..all
            },
        }
    }
}

/// A wrong length is not the same as absence: without its key a mutable item would pass for an immutable one.
fn sized<const N: usize>(bytes: Option<&[u8]>) -> Result<Option<&[u8; N]>, KrpcError> {
    bytes
        .map(|bytes| bytes.try_into().map_err(|_| KrpcError::BadItem))
        .transpose()
}

/// A list of `n4` and `n6` (BEP 32); a lone string is taken for a list of one.
fn want(item: Item<'_>) -> Want {
    let mut want = Want::default();
    let mut add = |family: &[u8]| match family {
        b"n4" => want.n4 = true,
        b"n6" => want.n6 = true,
        _ => {}
    };
    match item {
        Item::Bytes(family) => add(family),
        Item::Nested(list) => list
            .as_list()
            .into_iter()
            .flatten()
            .filter_map(Value::as_bytes)
            .for_each(add),
        Item::Int(_) => {}
    }
    want
}
