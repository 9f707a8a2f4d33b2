//! One KRPC datagram: transaction, version, and what it says (BEP 5).

use std::net::SocketAddr;

use super::query::Arguments;
use super::{KrpcError, Query, Reply};
use crate::NodeId;
use crate::bencode::{Item, Kind, Limits, Reader};
use crate::compact;

/// A transaction longer than this, in bytes, is refused: nodes use 2 to 8, and we would have to send it back.
pub const MAX_TRANSACTION_LEN: usize = 64;

/// One datagram of the DHT.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Message<'a> {
    /// `t`: chosen by who asks, repeated by who answers.
    pub transaction: &'a [u8],
    /// `v`: the client, usually two letters and two bytes of version (BEP 5).
    pub version: Option<&'a [u8]>,
    /// `ro`: the sender answers no queries, so it must not enter a routing table (BEP 43).
    pub read_only: bool,
    /// `ip`: the address that the sender sees us at (BEP 42).
    pub ip: Option<SocketAddr>,
    /// Query, reply or error.
    pub body: Body<'a>,
}

/// What a message is, its `y`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Body<'a> {
    /// `q`
    Query(Query<'a>),
    /// `r`
    Reply(Reply<'a>),
    /// `e`
    Error {
        /// See [`error_code`](super::error_code); 0 if the message names none.
        code: i64,
        /// For people; empty if the message has none.
        text: &'a [u8],
    },
}

impl<'a> Message<'a> {
    /// A message with neither version, nor `ip`, nor `ro`.
    pub const fn new(transaction: &'a [u8], body: Body<'a>) -> Self {
        Self {
            transaction,
            version: None,
            read_only: false,
            ip: None,
            body,
        }
    }

    /// Reads a datagram. See the [module](super) for what is forgiven.
    ///
    /// # Errors
    ///
    /// [`KrpcError`], the first reason found.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, KrpcError> {
        let mut envelope = Envelope::default();
        envelope.read(bytes)?;
        Ok(Message {
            transaction: envelope.transaction()?,
            version: envelope.version,
            read_only: envelope.read_only,
            ip: envelope.ip,
            body: envelope.body()?,
        })
    }
}

/// The `t` of a datagram that says of itself that it is a query, and that need not be a sound one: to answer error 203
/// to what [`Message::decode`] refuses.
pub fn query_transaction(bytes: &[u8]) -> Option<&[u8]> {
    let mut envelope = Envelope::default();
    envelope.read(bytes).ok()?;
    match envelope.kind {
        Some(b"q") => envelope.transaction().ok(),
        _ => None,
    }
}

/// The outermost dictionary. `a`, `e` and `r` sort before `y`, which says which of them counts.
///
/// It is filled in where it stands: these are some 700 bytes, not to be moved from hand to hand for each datagram.
#[derive(Default)]
struct Envelope<'a> {
    arguments: Option<Arguments<'a>>,
    error: (i64, &'a [u8]),
    ip: Option<SocketAddr>,
    method: Option<&'a [u8]>,
    /// Its `id` is not set; `reply_id` is what was sent.
    reply: Option<Reply<'a>>,
    reply_id: Option<&'a [u8]>,
    read_only: bool,
    transaction: Option<&'a [u8]>,
    version: Option<&'a [u8]>,
    kind: Option<&'a [u8]>,
}

impl<'a> Envelope<'a> {
    fn read(&mut self, bytes: &'a [u8]) -> Result<(), KrpcError> {
        let mut reader = Reader::new(bytes, &Limits::KRPC);
        if reader.kind()? != Kind::Dict {
            return Err(KrpcError::NotDict);
        }
        reader.begin_dict()?;
        while let Some(key) = reader.key()? {
            match key {
                b"a" if reader.kind()? == Kind::Dict => {
                    self.arguments.insert(Arguments::default()).read(&mut reader)?;
                    continue;
                }
                b"r" if reader.kind()? == Kind::Dict => {
                    let unnamed = Reply::new(NodeId::new([0; 20]));
                    self.reply_id = self.reply.insert(unnamed).read(&mut reader)?;
                    continue;
                }
                _ => {}
            }
            match (key, reader.item()?) {
                (b"e", item) => self.error = error(item),
                (b"t", Item::Bytes(text)) => self.transaction = Some(text),
                (b"y", Item::Bytes(text)) => self.kind = Some(text),
                (b"q", Item::Bytes(text)) => self.method = Some(text),
                (b"v", Item::Bytes(text)) => self.version = Some(text),
                (b"ip", Item::Bytes(text)) => self.ip = compact::peer(text),
                (b"ro", Item::Int(number)) => self.read_only = number != 0,
                // An unknown key, or a type that the key does not have: passed over.
                _ => {}
            }
        }
        Ok(())
    }

    fn transaction(&self) -> Result<&'a [u8], KrpcError> {
        let transaction = self.transaction.ok_or(KrpcError::NoTransaction)?;
        match transaction.len() {
            0..=MAX_TRANSACTION_LEN => Ok(transaction),
            _ => Err(KrpcError::LongTransaction),
        }
    }

    fn body(&self) -> Result<Body<'a>, KrpcError> {
        match self.kind {
            Some(b"q") => {
                let name = self.method.ok_or(KrpcError::NoMethod)?;
                let arguments = self.arguments.as_ref().ok_or(KrpcError::NoBody)?;
                arguments.ask(name).map(Body::Query)
            }
            Some(b"r") => {
                let reply = self.reply.as_ref().ok_or(KrpcError::NoBody)?;
                let id = self.reply_id.ok_or(KrpcError::NoId)?;
                let id = NodeId::from_slice(id).ok_or(KrpcError::BadId)?;
                Ok(Body::Reply(Reply { id, ..*reply }))
            }
            // That there was an error is news enough to end a transaction, however badly it is told.
            Some(b"e") => {
                let (code, text) = self.error;
                Ok(Body::Error { code, text })
            }
            _ => Err(KrpcError::NoKind),
        }
    }
}

/// `e` is a list of a code and a text (BEP 5); the first integer and the first string count, and either may be
/// missing or stand alone.
fn error(item: Item<'_>) -> (i64, &[u8]) {
    let list = match item {
        Item::Int(code) => return (code, &[]),
        Item::Bytes(text) => return (0, text),
        Item::Nested(value) => value.as_list(),
    };
    let (mut code, mut text) = (None, None);
    for item in list.unwrap_or_default().items() {
        match item {
            Item::Int(number) => code = code.or(Some(number)),
            Item::Bytes(bytes) => text = text.or(Some(bytes)),
            Item::Nested(_) => {}
        }
    }
    (code.unwrap_or_default(), text.unwrap_or_default())
}
