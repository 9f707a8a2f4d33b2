//! An owned bencode value of any kind, to be built and changed (FMT-04).

use std::collections::BTreeMap;
use std::fmt;

use thiserror::Error;

use super::nest::{Nest, Token};
use super::{BencodeError, Encoder, Kind, Limits, Reader, Value};

/// A value that owns what it holds: for bencode that is built or changed. What is only read is a [`Value`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Entry {
    /// An integer.
    Int(i64),
    /// A string of bytes.
    Bytes(Vec<u8>),
    /// A list.
    List(Vec<Self>),
    /// A dictionary, in canonical order by construction.
    Dict(BTreeMap<Vec<u8>, Self>),
}

/// An [`Entry`] is of another kind than was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("expected {expected:?}, found {found:?}")]
pub struct TypeError {
    /// What was asked for.
    pub expected: Kind,
    /// What is there.
    pub found: Kind,
}

impl Entry {
    /// Reads all of `bytes`; of a repeated key the last value counts.
    ///
    /// # Errors
    ///
    /// As [`decode`](super::decode).
    pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Self, BencodeError> {
        super::decode(bytes, limits).map(Self::from)
    }

    /// Integer, string, list or dictionary.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Int(_) => Kind::Int,
            Self::Bytes(_) => Kind::Bytes,
            Self::List(_) => Kind::List,
            Self::Dict(_) => Kind::Dict,
        }
    }

    const fn not(&self, expected: Kind) -> TypeError {
        let found = self.kind();
        TypeError { expected, found }
    }

    /// The number.
    ///
    /// # Errors
    ///
    /// [`TypeError`] if this is not an integer.
    pub const fn as_int(&self) -> Result<i64, TypeError> {
        match self {
            Self::Int(number) => Ok(*number),
            _ => Err(self.not(Kind::Int)),
        }
    }

    /// The bytes.
    ///
    /// # Errors
    ///
    /// [`TypeError`] if this is not a string.
    pub fn as_bytes(&self) -> Result<&[u8], TypeError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            _ => Err(self.not(Kind::Bytes)),
        }
    }

    /// The items.
    ///
    /// # Errors
    ///
    /// [`TypeError`] if this is not a list.
    pub fn as_list(&self) -> Result<&[Self], TypeError> {
        match self {
            Self::List(items) => Ok(items),
            _ => Err(self.not(Kind::List)),
        }
    }

    /// The keys and values.
    ///
    /// # Errors
    ///
    /// [`TypeError`] if this is not a dictionary.
    pub const fn as_dict(&self) -> Result<&BTreeMap<Vec<u8>, Self>, TypeError> {
        match self {
            Self::Dict(pairs) => Ok(pairs),
            _ => Err(self.not(Kind::Dict)),
        }
    }

    /// The value of `key`, if this is a dictionary that has it.
    pub fn get(&self, key: &[u8]) -> Option<&Self> {
        self.as_dict().ok()?.get(key)
    }

    /// The place of `key` in a dictionary; a missing key is inserted, with an empty dictionary for a value.
    ///
    /// # Errors
    ///
    /// [`TypeError`] if this is not a dictionary.
    pub fn slot(&mut self, key: &[u8]) -> Result<&mut Self, TypeError> {
        let wrong = self.not(Kind::Dict);
        match self {
            Self::Dict(pairs) => Ok(pairs.entry(key.to_vec()).or_default()),
            _ => Err(wrong),
        }
    }

    /// Appends canonical bencode. The stack grows with the nesting, which [`Limits`] bounds for what strangers sent.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.write(&mut Encoder::new(out));
    }

    fn write(&self, to: &mut Encoder<'_>) {
        match self {
            Self::Int(number) => {
                to.int(*number);
            }
            Self::Bytes(bytes) => {
                to.bytes(bytes);
            }
            Self::List(items) => {
                to.begin_list();
                items.iter().for_each(|item| item.write(to));
                to.end();
            }
            Self::Dict(pairs) => {
                to.begin_dict();
                for (key, value) in pairs {
                    to.key(key);
                    value.write(to);
                }
                to.end();
            }
        }
    }

    fn print(&self, f: &mut fmt::Formatter<'_>, indent: usize) -> fmt::Result {
        match self {
            Self::Int(number) => write!(f, "{number}"),
            Self::Bytes(bytes) => write!(f, "\"{}\"", bytes.escape_ascii()),
            Self::List(items) => {
                f.write_str("[\n")?;
                for item in items {
                    write!(f, "{:1$}", "", indent + 2)?;
                    item.print(f, indent + 2)?;
                    f.write_str("\n")?;
                }
                write!(f, "{:1$}]", "", indent)
            }
            Self::Dict(pairs) => {
                f.write_str("{\n")?;
                for (key, value) in pairs {
                    write!(f, "{:2$}\"{}\": ", "", key.escape_ascii(), indent + 2)?;
                    value.print(f, indent + 2)?;
                    f.write_str("\n")?;
                }
                write!(f, "{:1$}}}", "", indent)
            }
        }
    }
}

impl Default for Entry {
    /// An empty dictionary.
    fn default() -> Self {
        Self::Dict(BTreeMap::new())
    }
}

impl fmt::Display for Entry {
    /// For people: one item a line, two spaces of indent a level, bytes escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.print(f, 0)
    }
}

/// An open container while a [`Value`] is copied.
enum Open<'a> {
    List(Vec<Entry>),
    Dict {
        pairs: BTreeMap<Vec<u8>, Entry>,
        key: &'a [u8],
    },
}

impl From<Value<'_>> for Entry {
    /// Copies; of a repeated key the last value counts. One pass, however deep the nesting.
    fn from(value: Value<'_>) -> Self {
        let mut reader = Reader::trusted(value.raw());
        let mut nest = Nest::default();
        let mut open: Vec<Open<'_>> = Vec::new();
        // A checked value reads without error; the default is unreachable.
        while let Ok(token) = reader.token(&mut nest) {
            let whole = match token {
                Token::Int(number) => Self::Int(number),
                Token::Bytes(bytes) => Self::Bytes(bytes.to_vec()),
                Token::Key(name) => {
                    if let Some(Open::Dict { key, .. }) = open.last_mut() {
                        *key = name;
                    }
                    continue;
                }
                Token::List => {
                    open.push(Open::List(Vec::new()));
                    continue;
                }
                Token::Dict => {
                    let pairs = BTreeMap::new();
                    open.push(Open::Dict { pairs, key: &[] });
                    continue;
                }
                Token::End => match open.pop() {
                    Some(Open::List(items)) => Self::List(items),
                    Some(Open::Dict { pairs, .. }) => Self::Dict(pairs),
                    None => break,
                },
            };
            match open.last_mut() {
                Some(Open::List(items)) => items.push(whole),
                Some(Open::Dict { pairs, key }) => {
                    pairs.insert(key.to_vec(), whole);
                }
                None => return whole,
            }
        }
        Self::default()
    }
}

impl From<i64> for Entry {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<&[u8]> for Entry {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.to_vec())
    }
}

impl From<&str> for Entry {
    fn from(text: &str) -> Self {
        Self::Bytes(text.as_bytes().to_vec())
    }
}
