//! Peer messages after the handshake: a four-byte big-endian length, then that many bytes (BEP 3).
//!
//! [`Frames`] cuts a stream into frames, [`Message`] gives a frame its meaning.

mod frames;

use thiserror::Error;

use crate::merkle;

pub use frames::{FrameTooLong, Frames};

/// First byte of a frame, which says what the rest is.
pub mod id {
    /// The sender will not serve requests.
    pub const CHOKE: u8 = 0;
    /// The sender will serve requests.
    pub const UNCHOKE: u8 = 1;
    /// The sender wants pieces that we have.
    pub const INTERESTED: u8 = 2;
    /// The sender wants nothing.
    pub const NOT_INTERESTED: u8 = 3;
    /// The sender has one more piece.
    pub const HAVE: u8 = 4;
    /// All that the sender has; only directly after the handshake.
    pub const BITFIELD: u8 = 5;
    /// Asks for a block.
    pub const REQUEST: u8 = 6;
    /// A block.
    pub const PIECE: u8 = 7;
    /// Takes a request back.
    pub const CANCEL: u8 = 8;
    /// UDP port of the sender's DHT node (BEP 5).
    pub const PORT: u8 = 9;
    /// Recommends a piece (BEP 6).
    pub const SUGGEST: u8 = 13;
    /// In place of a full bitfield (BEP 6).
    pub const HAVE_ALL: u8 = 14;
    /// In place of an empty bitfield (BEP 6).
    pub const HAVE_NONE: u8 = 15;
    /// A request that will not be served (BEP 6).
    pub const REJECT: u8 = 16;
    /// A piece that may be asked for while choked (BEP 6).
    pub const ALLOWED_FAST: u8 = 17;
    /// A message of the extension protocol (BEP 10).
    pub const EXTENDED: u8 = 20;
    /// Asks for hashes of a file's tree (BEP 52).
    pub const HASH_REQUEST: u8 = 21;
    /// Hashes of a file's tree (BEP 52).
    pub const HASHES: u8 = 22;
    /// A hash request that will not be served (BEP 52).
    pub const HASH_REJECT: u8 = 23;
}

/// A range of bytes within a piece.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Block {
    /// Piece index.
    pub piece: u32,
    /// Offset in the piece, bytes.
    pub begin: u32,
    /// Bytes; by custom at most 16 384.
    pub length: u32,
}

/// Hashes of a file's tree that lie side by side in one layer, and the way from them towards its root (BEP 52).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct HashRange {
    /// Root of the file's tree: says which file.
    pub pieces_root: merkle::Hash,
    /// Layers between the leaves and the hashes: 0 for leaves.
    pub base_layer: u32,
    /// Place of the first hash in its layer; a multiple of `length`.
    pub index: u32,
    /// How many; a power of two, at least 2, and by custom at most 512.
    pub length: u32,
    /// Layers above the base layer, each of which gives the one hash that is needed to climb past it. Those that the
    /// hashes themselves fill are counted and not sent.
    pub proof_layers: u32,
}

/// One frame's meaning. Indices and lengths are as claimed: nothing is checked against a torrent here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Message<'a> {
    /// The empty frame, which keeps a connection open.
    KeepAlive,
    /// See [`id::CHOKE`].
    Choke,
    /// See [`id::UNCHOKE`].
    Unchoke,
    /// See [`id::INTERESTED`].
    Interested,
    /// See [`id::NOT_INTERESTED`].
    NotInterested,
    /// The sender has this piece.
    Have(u32),
    /// One bit per piece, the first piece in the top bit.
    Bitfield(&'a [u8]),
    /// Asks for a block.
    Request(Block),
    /// A block.
    Piece {
        /// Piece index.
        piece: u32,
        /// Offset in the piece, bytes.
        begin: u32,
        /// The content.
        bytes: &'a [u8],
    },
    /// Takes a request back.
    Cancel(Block),
    /// UDP port of the sender's DHT node.
    Port(u16),
    /// Recommends this piece.
    Suggest(u32),
    /// The sender has every piece.
    HaveAll,
    /// The sender has no piece.
    HaveNone,
    /// This request will not be served.
    Reject(Block),
    /// This piece may be asked for while choked.
    AllowedFast(u32),
    /// A message of the extension protocol (BEP 10).
    Extended {
        /// 0 for the extended handshake, else a number that the *receiver* gave to an extension.
        id: u8,
        /// The extension's bytes.
        payload: &'a [u8],
    },
    /// Asks for hashes of a file's tree.
    HashRequest(HashRange),
    /// Hashes of a file's tree.
    Hashes {
        /// What was asked for.
        range: HashRange,
        /// The base layer's, then the proof's, the one nearest to the root last.
        hashes: &'a [merkle::Hash],
    },
    /// This hash request will not be served.
    HashReject(HashRange),
    /// An id that is not ours to understand.
    Unknown {
        /// The first byte.
        id: u8,
        /// The rest.
        payload: &'a [u8],
    },
}

/// A frame whose length does not fit its id.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("message {id} with {length} bytes of payload")]
pub struct BadLength {
    /// The message id.
    pub id: u8,
    /// Bytes after the id.
    pub length: usize,
}

impl<'a> Message<'a> {
    /// Reads a frame as [`Frames`] gives it, without its length prefix.
    ///
    /// # Errors
    ///
    /// [`BadLength`] if a known id comes with a payload that it cannot have.
    pub fn decode(frame: &'a [u8]) -> Result<Self, BadLength> {
        let Some((&id, payload)) = frame.split_first() else {
            return Ok(Self::KeepAlive);
        };
        let bad = BadLength {
            id,
            length: payload.len(),
        };
        let bare = |message| if payload.is_empty() { Ok(message) } else { Err(bad) };
        Ok(match id {
            id::CHOKE => bare(Self::Choke)?,
            id::UNCHOKE => bare(Self::Unchoke)?,
            id::INTERESTED => bare(Self::Interested)?,
            id::NOT_INTERESTED => bare(Self::NotInterested)?,
            id::HAVE => Self::Have(index(payload).ok_or(bad)?),
            id::BITFIELD => Self::Bitfield(payload),
            id::REQUEST => Self::Request(block(payload).ok_or(bad)?),
            id::PIECE => piece(payload).ok_or(bad)?,
            id::CANCEL => Self::Cancel(block(payload).ok_or(bad)?),
            id::PORT => Self::Port(payload.try_into().map(u16::from_be_bytes).map_err(|_| bad)?),
            id::SUGGEST => Self::Suggest(index(payload).ok_or(bad)?),
            id::HAVE_ALL => bare(Self::HaveAll)?,
            id::HAVE_NONE => bare(Self::HaveNone)?,
            id::REJECT => Self::Reject(block(payload).ok_or(bad)?),
            id::ALLOWED_FAST => Self::AllowedFast(index(payload).ok_or(bad)?),
            id::EXTENDED => {
                let (&id, payload) = payload.split_first().ok_or(bad)?;
                Self::Extended { id, payload }
            }
            id::HASH_REQUEST => Self::HashRequest(whole_range(payload).ok_or(bad)?),
            id::HASHES => hashes(payload).ok_or(bad)?,
            id::HASH_REJECT => Self::HashReject(whole_range(payload).ok_or(bad)?),
            id => Self::Unknown { id, payload },
        })
    }

    /// Appends the message as a frame, length prefix included.
    pub fn encode(&self, out: &mut Vec<u8>) {
        frame(out, |out| self.encode_body(out));
    }

    fn encode_body(&self, out: &mut Vec<u8>) {
        match *self {
            Self::KeepAlive => {}
            Self::Choke => out.push(id::CHOKE),
            Self::Unchoke => out.push(id::UNCHOKE),
            Self::Interested => out.push(id::INTERESTED),
            Self::NotInterested => out.push(id::NOT_INTERESTED),
            Self::Have(piece) => put(out, id::HAVE, &[piece], &[]),
            Self::Bitfield(bits) => put(out, id::BITFIELD, &[], bits),
            Self::Request(block) => put_block(out, id::REQUEST, block),
            Self::Piece { piece, begin, bytes } => put(out, id::PIECE, &[piece, begin], bytes),
            Self::Cancel(block) => put_block(out, id::CANCEL, block),
            Self::Port(port) => put(out, id::PORT, &[], &port.to_be_bytes()),
            Self::Suggest(piece) => put(out, id::SUGGEST, &[piece], &[]),
            Self::HaveAll => out.push(id::HAVE_ALL),
            Self::HaveNone => out.push(id::HAVE_NONE),
            Self::Reject(block) => put_block(out, id::REJECT, block),
            Self::AllowedFast(piece) => put(out, id::ALLOWED_FAST, &[piece], &[]),
            Self::Extended { id, payload } => {
                out.extend_from_slice(&[id::EXTENDED, id]);
                out.extend_from_slice(payload);
            }
            Self::HashRequest(range) => put_range(out, id::HASH_REQUEST, &range, &[]),
            Self::Hashes { range, hashes } => put_range(out, id::HASHES, &range, hashes),
            Self::HashReject(range) => put_range(out, id::HASH_REJECT, &range, &[]),
            Self::Unknown { id, payload } => put(out, id, &[], payload),
        }
    }
}

/// Appends a frame whose content `body` appends: writes the length once it is known, so that nothing is built twice.
pub fn frame(out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    body(out);
    let length = u32::try_from(out.len() - start - 4).unwrap_or(u32::MAX);
    if let Some(prefix) = out.get_mut(start..).and_then(|frame| frame.first_chunk_mut()) {
        *prefix = length.to_be_bytes();
    }
}

/// Appends a frame of the extension protocol (BEP 10): `id` is the number that the *remote* gave to the extension, or 0
/// for the handshake.
pub fn extended_frame(out: &mut Vec<u8>, id: u8, body: impl FnOnce(&mut Vec<u8>)) {
    frame(out, |out| {
        out.extend_from_slice(&[id::EXTENDED, id]);
        body(out);
    });
}

fn put(out: &mut Vec<u8>, id: u8, numbers: &[u32], bytes: &[u8]) {
    out.push(id);
    for number in numbers {
        out.extend_from_slice(&number.to_be_bytes());
    }
    out.extend_from_slice(bytes);
}

fn put_block(out: &mut Vec<u8>, id: u8, block: Block) {
    put(out, id, &[block.piece, block.begin, block.length], &[]);
}

fn put_range(out: &mut Vec<u8>, id: u8, range: &HashRange, hashes: &[merkle::Hash]) {
    out.push(id);
    out.extend_from_slice(&range.pieces_root);
    for number in [range.base_layer, range.index, range.length, range.proof_layers] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    out.extend_from_slice(hashes.as_flattened());
}

fn index(payload: &[u8]) -> Option<u32> {
    payload.try_into().ok().map(u32::from_be_bytes)
}

fn take_u32(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u32::from_be_bytes(*number), rest))
}

fn block(payload: &[u8]) -> Option<Block> {
    let (piece, rest) = take_u32(payload)?;
    let (begin, rest) = take_u32(rest)?;
    let length = index(rest)?;
    Some(Block { piece, begin, length })
}

fn piece(payload: &[u8]) -> Option<Message<'_>> {
    let (piece, rest) = take_u32(payload)?;
    let (begin, bytes) = take_u32(rest)?;
    Some(Message::Piece { piece, begin, bytes })
}

fn range(payload: &[u8]) -> Option<(HashRange, &[u8])> {
    let (pieces_root, rest) = payload.split_first_chunk()?;
    let (base_layer, rest) = take_u32(rest)?;
    let (index, rest) = take_u32(rest)?;
    let (length, rest) = take_u32(rest)?;
    let (proof_layers, rest) = take_u32(rest)?;
    let range = HashRange {
        pieces_root: *pieces_root,
        base_layer,
        index,
        length,
        proof_layers,
    };
    Some((range, rest))
}

fn whole_range(payload: &[u8]) -> Option<HashRange> {
    let (range, rest) = range(payload)?;
    rest.is_empty().then_some(range)
}

fn hashes(payload: &[u8]) -> Option<Message<'_>> {
    let (range, rest) = range(payload)?;
    let (hashes, rest) = rest.as_chunks();
    rest.is_empty().then_some(Message::Hashes { range, hashes })
}

#[cfg(test)]
mod tests;
