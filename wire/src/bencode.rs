//! Bencode (BEP 3): integers, byte strings, lists and dictionaries.
//!
//! Four ways in, for four needs:
//! * [`Reader`] pulls one token after another and keeps nothing: KRPC, where a datagram is read once.
//! * [`decode`] checks a whole input and lends a [`Value`], a view that knows its exact bytes: metainfo, extended
//!   messages.
//! * [`decode_prefix`] does the same for a value that raw bytes follow (BEP 9 data messages).
//! * [`Entry`] owns what it holds, for values that are built or changed.
//!
//! And one way out, [`Encoder`], which writes canonical bencode into a lent vector.
//!
//! What counts as bencode here: no leading zeros, no `-0`, integers that fit in 64 bits, keys that are strings.
//! Keys may come unsorted or repeated, as the network's do; [`decode_strict`] refuses that too.

mod encode;
mod entry;
mod error;
mod nest;
mod reader;
mod value;

pub use encode::Encoder;
pub use entry::{Entry, TypeError};
pub use error::BencodeError;
pub use nest::MAX_DEPTH;
use nest::{Nest, Token};
pub use reader::{Item, Kind, Reader};
pub use value::{Dict, DictIter, ItemIter, List, ListIter, Value};

/// How much of a stranger's input is read before it is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Lists and dictionaries that may be open at a time; more than [`MAX_DEPTH`] counts as [`MAX_DEPTH`].
    pub depth: usize,
    /// Integers, strings (keys too), lists and dictionaries, all counted together.
    pub tokens: usize,
}

impl Limits {
    /// For a datagram: BEP 5 nests three deep, BEP 44 lets a stored value of 1000 bytes nest further, and the
    /// longest reply met (150 `values`) has fewer than 200 tokens.
    pub const KRPC: Self = Self {
        depth: 16,
        tokens: 1000,
    };
    /// For an info dictionary or a .torrent file: BEP 52 nests one dictionary per directory, and millions of
    /// files are legal.
    pub const METAINFO: Self = Self {
        depth: 100,
        tokens: 10_000_000,
    };
}

/// Checks all of `bytes` and lends a view on its one value.
///
/// # Errors
///
/// [`BencodeError`] with the offset of the first byte that is wrong; [`BencodeError::Trailing`] if bytes follow the
/// value.
pub fn decode<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Value<'a>, BencodeError> {
    let (value, rest) = decode_prefix(bytes, limits)?;
    if rest.is_empty() {
        Ok(value)
    } else {
        let offset = value.raw().len();
        Err(BencodeError::Trailing { offset })
    }
}

/// Checks the value that `bytes` begin with, and gives the bytes after it.
///
/// # Errors
///
/// [`BencodeError`] with the offset of the first byte that is wrong.
pub fn decode_prefix<'a>(bytes: &'a [u8], limits: &Limits) -> Result<(Value<'a>, &'a [u8]), BencodeError> {
    let mut reader = Reader::new(bytes, limits);
    let value = reader.value()?;
    Ok((value, reader.rest()))
}

/// Like [`decode`], and refuses dictionaries whose keys are unsorted or repeated (BEP 3): what passes is canonical.
///
/// # Errors
///
/// As [`decode`], and [`BencodeError::KeyOrder`] at the first key that is not greater than the one before.
pub fn decode_strict<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Value<'a>, BencodeError> {
    let value = decode(bytes, limits)?;
    let mut reader = Reader::new(bytes, limits);
    let mut nest = Nest::default();
    // The last key of each open container, outermost first.
    let mut last_keys: [Option<&[u8]>; MAX_DEPTH + 1] = [None; MAX_DEPTH + 1];
    loop {
        let offset = reader.offset();
        let token = reader.token(&mut nest)?;
        let last = last_keys.get_mut(nest.depth());
        let unsorted = match (token, last) {
            (Token::Dict, Some(last)) => {
                *last = None;
                false
            }
            (Token::Key(key), Some(last)) => last.replace(key).is_some_and(|last| last >= key),
            _ => false,
        };
        if unsorted {
            return Err(BencodeError::KeyOrder { offset });
        }
        if nest.depth() == 0 {
            return Ok(value);
        }
    }
}

#[cfg(test)]
mod tests;
