//! What is wrong with bytes that are not bencode, and where.

use thiserror::Error;

/// Why bytes are not the bencode that was asked for. Every offset counts bytes from the start of the input.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[non_exhaustive]
pub enum BencodeError {
    /// The input ends inside a value.
    #[error("input ends inside a value, at byte {offset}")]
    Truncated {
        /// The length of the input.
        offset: usize,
    },
    /// A string claims more bytes than the input has left.
    #[error("string of byte {offset} is longer than the input")]
    Overlong {
        /// Where the length of the string begins.
        offset: usize,
    },
    /// A byte that begins no value, or not the kind of value that was asked for.
    #[error("unexpected byte at {offset}")]
    Unexpected {
        /// Where it stands.
        offset: usize,
    },
    /// An integer or a length without digits, with a leading zero, or minus zero.
    #[error("malformed number at byte {offset}")]
    Number {
        /// Where the number begins.
        offset: usize,
    },
    /// An integer that does not fit in 64 bits.
    #[error("integer at byte {offset} does not fit in 64 bits")]
    Range {
        /// Where the integer begins.
        offset: usize,
    },
    /// A dictionary key that is not a string.
    #[error("dictionary key at byte {offset} is not a string")]
    Key {
        /// Where the key should begin.
        offset: usize,
    },
    /// A dictionary that ends after a key.
    #[error("dictionary key without value at byte {offset}")]
    NoValue {
        /// Where the value should begin.
        offset: usize,
    },
    /// A key that is not greater than the one before it; only the strict decoder minds.
    #[error("dictionary key at byte {offset} is out of order or repeated")]
    KeyOrder {
        /// Where the key begins.
        offset: usize,
    },
    /// More lists and dictionaries open at a time than the limit allows.
    #[error("nested too deep at byte {offset}")]
    TooDeep {
        /// Where the one too many begins.
        offset: usize,
    },
    /// More tokens than the limit allows.
    #[error("too many values, at byte {offset}")]
    TooMany {
        /// Where the one too many begins.
        offset: usize,
    },
    /// Bytes after the value.
    #[error("bytes after the value, from byte {offset}")]
    Trailing {
        /// Where the value ended.
        offset: usize,
    },
}

impl BencodeError {
    /// Bytes from the start of the input to what is wrong; never more than the length of the input.
    pub const fn offset(&self) -> usize {
        match *self {
            Self::Truncated { offset }
            | Self::Overlong { offset }
            | Self::Unexpected { offset }
            | Self::Number { offset }
            | Self::Range { offset }
            | Self::Key { offset }
            | Self::NoValue { offset }
            | Self::KeyOrder { offset }
            | Self::TooDeep { offset }
            | Self::TooMany { offset }
            | Self::Trailing { offset } => offset,
        }
    }
}
