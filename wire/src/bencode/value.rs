//! A validated view on bencode in place: nothing is copied, every value knows its raw span.

use std::fmt;

use super::{Item, Kind, Reader};

/// A view on one value of checked bencode: it copies nothing, knows its exact bytes, and is read again when asked.
///
/// Two values are equal if their bytes are.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Value<'a> {
    /// One whole value that a [`Reader`] has passed.
    raw: &'a [u8],
}

impl<'a> Value<'a> {
    pub(super) const fn checked(raw: &'a [u8]) -> Self {
        Self { raw }
    }

    /// The exact bytes of this value, as they stand in the input (what an infohash is computed over).
    pub const fn raw(self) -> &'a [u8] {
        self.raw
    }

    /// Integer, string, list or dictionary.
    pub fn kind(self) -> Kind {
        // A checked value begins with a mark, so the error cannot be; `End` would read as "none of the four".
        Reader::trusted(self.raw).kind().unwrap_or(Kind::End)
    }

    /// The number, if this is an integer.
    pub fn as_int(self) -> Option<i64> {
        Reader::trusted(self.raw).int().ok()
    }

    /// The bytes, if this is a string.
    pub fn as_bytes(self) -> Option<&'a [u8]> {
        Reader::trusted(self.raw).bytes().ok()
    }

    /// The items, if this is a list.
    pub fn as_list(self) -> Option<List<'a>> {
        match self.raw {
            [b'l', items @ .., b'e'] => Some(List { items }),
            _ => None,
        }
    }

    /// The keys and values, if this is a dictionary.
    pub fn as_dict(self) -> Option<Dict<'a>> {
        match self.raw {
            [b'd', pairs @ .., b'e'] => Some(Dict { pairs }),
            _ => None,
        }
    }

    /// The value of `key`, if this is a dictionary that has it.
    pub fn get(self, key: &[u8]) -> Option<Self> {
        self.as_dict()?.get(key)
    }
}

impl fmt::Debug for Value<'_> {
    /// The bencode itself, other bytes than printable ASCII escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.raw.escape_ascii(), f)
    }
}

/// The items of a list.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct List<'a> {
    items: &'a [u8],
}

impl<'a> List<'a> {
    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        self.items.is_empty()
    }

    /// The items in order.
    pub fn iter(self) -> ListIter<'a> {
        ListIter(Reader::trusted(self.items))
    }

    /// The items in order, scalars as themselves: for long lists of strings or integers.
    #[inline]
    pub fn items(self) -> ItemIter<'a> {
        ItemIter(Reader::trusted(self.items))
    }
}

impl<'a> IntoIterator for List<'a> {
    type Item = Value<'a>;
    type IntoIter = ListIter<'a>;

    fn into_iter(self) -> ListIter<'a> {
        self.iter()
    }
}

/// Steps through a [`List`].
#[derive(Clone, Debug)]
pub struct ListIter<'a>(Reader<'a>);

impl<'a> Iterator for ListIter<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        self.0.value().ok()
    }
}

/// Steps through a [`List`], scalars as themselves.
#[derive(Clone, Debug)]
pub struct ItemIter<'a>(Reader<'a>);

impl<'a> Iterator for ItemIter<'a> {
    type Item = Item<'a>;

    #[inline]
    fn next(&mut self) -> Option<Item<'a>> {
        match self.0.rest().is_empty() {
            true => None,
            false => self.0.item().ok(),
        }
    }
}

/// The keys and values of a dictionary.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Dict<'a> {
    pairs: &'a [u8],
}

impl<'a> Dict<'a> {
    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        self.pairs.is_empty()
    }

    /// The value of `key`; of a repeated key the first. Keys need not be sorted, so this looks at each until it fits.
    pub fn get(self, key: &[u8]) -> Option<Value<'a>> {
        self.iter().find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    /// Keys and values in the order of the input.
    pub fn iter(self) -> DictIter<'a> {
        DictIter(Reader::trusted(self.pairs))
    }
}

impl<'a> IntoIterator for Dict<'a> {
    type Item = (&'a [u8], Value<'a>);
    type IntoIter = DictIter<'a>;

    fn into_iter(self) -> DictIter<'a> {
        self.iter()
    }
}

/// Steps through a [`Dict`].
#[derive(Clone, Debug)]
pub struct DictIter<'a>(Reader<'a>);

impl<'a> Iterator for DictIter<'a> {
    type Item = (&'a [u8], Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let key = self.0.bytes().ok()?;
        let value = self.0.value().ok()?;
        Some((key, value))
    }
}
