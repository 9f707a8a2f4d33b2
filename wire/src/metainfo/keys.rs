//! The entries of an info dictionary that mean something here.

use crate::bencode::{BencodeError, Limits, Reader, Value};

use super::MetainfoError;
use super::error::Notes;

/// What an info dictionary has, each under its key; of a repeated key the first counts.
#[derive(Debug, Default)]
pub(super) struct Keys<'a> {
    pub(super) file_tree: Option<Value<'a>>,
    pub(super) files: Option<Value<'a>>,
    pub(super) length: Option<Value<'a>>,
    pub(super) meta_version: Option<Value<'a>>,
    pub(super) name: Option<Value<'a>>,
    pub(super) name_utf8: Option<Value<'a>>,
    pub(super) piece_length: Option<Value<'a>>,
    pub(super) pieces: Option<Value<'a>>,
    pub(super) private: Option<Value<'a>>,
}

impl<'a> Keys<'a> {
    /// Reads as far as the bytes are bencode: what comes before the fault still counts.
    pub(super) fn read(raw: &'a [u8], notes: &mut Notes) -> Result<Self, MetainfoError> {
        let mut keys = Self::default();
        let mut reader = Reader::new(raw, &Limits::METAINFO);
        reader.begin_dict()?;
        if let Err(error) = keys.take_all(&mut reader) {
            notes.first.get_or_insert(error.into());
        }
        Ok(keys)
    }

    fn take_all(&mut self, reader: &mut Reader<'a>) -> Result<(), BencodeError> {
        while let Some(key) = reader.key()? {
            let value = reader.value()?;
            if let Some(slot) = self.slot(key) {
                slot.get_or_insert(value);
            }
        }
        if reader.rest().is_empty() {
            Ok(())
        } else {
            Err(BencodeError::Trailing {
                offset: reader.offset(),
            })
        }
    }

    fn slot(&mut self, key: &[u8]) -> Option<&mut Option<Value<'a>>> {
        Some(match key {
            b"file tree" => &mut self.file_tree,
            b"files" => &mut self.files,
            b"length" => &mut self.length,
            b"meta version" => &mut self.meta_version,
            b"name" => &mut self.name,
            b"name.utf-8" => &mut self.name_utf8,
            b"piece length" => &mut self.piece_length,
            b"pieces" => &mut self.pieces,
            b"private" => &mut self.private,
            _ => return None,
        })
    }

    /// Whether `key` is one that [`Keys`] reads.
    pub(super) fn knows(key: &[u8]) -> bool {
        Self::default().slot(key).is_some()
    }
}

/// The text of `utf8` if that is valid and not empty, else of `plain`, whatever its encoding.
pub(super) fn preferred<'a>(utf8: Option<Value<'a>>, plain: Option<Value<'a>>) -> Option<&'a [u8]> {
    let utf8 = utf8.and_then(Value::as_bytes);
    utf8.filter(|text| !text.is_empty() && str::from_utf8(text).is_ok())
        .or_else(|| plain.and_then(Value::as_bytes))
}
