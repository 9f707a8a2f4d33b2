use std::net::SocketAddr;

use super::query::Arguments;
use super::{KrpcError, Query, Reply};
use crate::bencode::{BencodeError, Kind, Limits, Reader};
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
        let envelope = Envelope::read(bytes)?;
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
    let envelope = Envelope::read(bytes).ok()?;
    match envelope.kind {
        Some(b"q") => envelope.transaction().ok(),
        _ => None,
    }
}

/// The outermost dictionary. `a`, `e` and `r` sort before `y`, which says which of them counts.
#[derive(Default)]
struct Envelope<'a> {
    arguments: Option<Arguments<'a>>,
    error: Option<(i64, &'a [u8])>,
    ip: Option<SocketAddr>,
    method: Option<&'a [u8]>,
    reply: Option<Result<Reply<'a>, KrpcError>>,
    read_only: bool,
    transaction: Option<&'a [u8]>,
    version: Option<&'a [u8]>,
    kind: Option<&'a [u8]>,
}

impl<'a> Envelope<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, KrpcError> {
        let mut reader = Reader::new(bytes, &Limits::KRPC);
        if reader.kind()? != Kind::Dict {
            return Err(KrpcError::NotDict);
        }
        let mut found = Self::default();
        reader.begin_dict()?;
        while let Some(key) = reader.key()? {
            match key {
                b"a" if reader.kind()? == Kind::Dict => found.arguments = Some(Arguments::read(&mut reader)?),
                b"r" if reader.kind()? == Kind::Dict => found.reply = Some(Reply::read(&mut reader)?),
                b"e" => found.error = Some(error(&mut reader)?),
                b"t" => found.transaction = text(&mut reader)?,
                b"y" => found.kind = text(&mut reader)?,
                b"q" => found.method = text(&mut reader)?,
                b"v" => found.version = text(&mut reader)?,
                b"ip" => found.ip = text(&mut reader)?.and_then(compact::peer),
                b"ro" => found.read_only = number(&mut reader)?.is_some_and(|number| number != 0),
                _ => reader.skip()?,
            }
        }
        Ok(found)
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
            Some(b"r") => self.reply.ok_or(KrpcError::NoBody)?.map(Body::Reply),
            // That there was an error is news enough to end a transaction, however badly it is told.
            Some(b"e") => {
                let (code, text) = self.error.unwrap_or_default();
                Ok(Body::Error { code, text })
            }
            _ => Err(KrpcError::NoKind),
        }
    }
}

/// `e` is a list of a code and a text (BEP 5); the first integer and the first string count, and either may be
/// missing or stand alone.
fn error<'a>(reader: &mut Reader<'a>) -> Result<(i64, &'a [u8]), BencodeError> {
    let value = reader.value()?;
    let mut items = value.as_list().into_iter().flatten().chain([value]);
    let code = items.clone().find_map(|item| item.as_int());
    let text = items.find_map(|item| item.as_bytes());
    Ok((code.unwrap_or_default(), text.unwrap_or_default()))
}

/// A string; anything else is passed over and counts as absent.
#[inline]
pub(super) fn text<'a>(reader: &mut Reader<'a>) -> Result<Option<&'a [u8]>, BencodeError> {
    match reader.kind()? {
        Kind::Bytes => reader.bytes().map(Some),
        _ => reader.skip().map(|()| None),
    }
}

/// An integer; anything else is passed over and counts as absent.
#[inline]
pub(super) fn number(reader: &mut Reader<'_>) -> Result<Option<i64>, BencodeError> {
    match reader.kind()? {
        Kind::Int => reader.int().map(Some),
        _ => reader.skip().map(|()| None),
    }
}
