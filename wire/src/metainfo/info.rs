//! One info dictionary.

use std::borrow::Cow;
use std::ops::Range;

use crate::bencode::{Limits, Reader, Value};

use super::error::{Fault, Field, MetainfoError, Notes};
use super::files::{File, Files};
use super::keys::{Keys, preferred};
use super::lists;

/// Bytes of a v1 piece hash.
const SHA1_LEN: usize = 20;

/// Smallest piece of a v2 torrent: one block, the leaf of its hash trees (BEP 52).
const MIN_V2_PIECE: u64 = 16_384;

/// Which lists of files an info dictionary has.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Version {
    /// BEP 3.
    V1,
    /// BEP 52.
    V2,
    /// Both, naming the same files.
    Hybrid,
}

impl Version {
    /// Whether the torrent has a SHA-1 name.
    pub fn has_v1(self) -> bool {
        self != Self::V2
    }

    /// Whether the torrent has a SHA-256 name.
    pub fn has_v2(self) -> bool {
        self != Self::V1
    }
}

/// An info dictionary, read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Info {
    /// v1, v2 or both.
    pub version: Version,
    /// The name as a stranger chose it, exact bytes: `name.utf-8` if that is valid, else `name` in whatever encoding.
    pub name: Vec<u8>,
    /// Bytes of every piece but the last; 0 only if [`Salvaged`].
    pub piece_length: u64,
    /// Pieces: of the v1 content if there is one, else summed over the files.
    pub piece_count: u64,
    /// Only the trackers in the torrent may learn of it (BEP 27).
    pub private: bool,
    files: Files,
}

/// What could be read of an info dictionary that is not quite right.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Salvaged {
    /// What could be read; what could not is empty, zero or left out.
    pub info: Info,
    /// The first thing wrong, or `None` if [`Info::parse`] accepts it too.
    pub problem: Option<MetainfoError>,
}

impl Info {
    /// Reads an info dictionary, and accepts it only if all of it holds together.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong.
    pub fn parse(raw: &[u8]) -> Result<Self, MetainfoError> {
        let Salvaged { info, problem } = Self::salvage(raw)?;
        match problem {
            None => Ok(info),
            Some(problem) => Err(problem),
        }
    }

    /// Reads what can be read. For a dictionary whose hash was verified: it *is* the torrent, and its name and size are
    /// worth a row even if a program that checks more would refuse it.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, if there is neither a name nor a file to tell of.
    pub fn salvage(raw: &[u8]) -> Result<Salvaged, MetainfoError> {
        if u32::try_from(raw.len()).is_err() {
            return Err(MetainfoError::Field {
                field: Field::Info,
                fault: Fault::Range,
            });
        }
        let mut notes = Notes::default();
        let keys = Keys::read(raw, &mut notes)?;
        let info = Self::build(&keys, &mut notes);
        match notes.first {
            Some(problem) if info.name.is_empty() && info.files.is_empty() => Err(problem),
            problem => Ok(Salvaged { info, problem }),
        }
    }

    fn build(keys: &Keys<'_>, notes: &mut Notes) -> Self {
        let version = version(keys, notes);
        let name = preferred(keys.name_utf8, keys.name).unwrap_or_default();
        if name.is_empty() {
            let fault = if keys.name.is_some() {
                Fault::Kind
            } else {
                Fault::Missing
            };
            notes.add(Field::Name, fault);
        }
        let piece_length = piece_length(keys.piece_length, version, notes);
        let v2 = version.has_v2().then(|| lists::v2(keys.file_tree, notes));
        let v1 = version.has_v1().then(|| lists::v1(keys, name, notes));
        let (files, piece_count) = match (v1, v2) {
            (Some(mut v1), v2) => {
                let count = v1_pieces(keys.pieces, v1.span, piece_length, notes);
                if let Some(v2) = v2 {
                    if piece_length > 0 && lists::agree(&v1, &v2, piece_length) {
                        v1.set_roots(&v2);
                    } else {
                        notes.add(Field::FileTree, Fault::Disagrees);
                    }
                }
                (v1, count)
            }
            (None, v2) => {
                let v2 = v2.unwrap_or_default();
                let pieces = |file: File<'_>| {
                    if piece_length > 0 {
                        file.length.div_ceil(piece_length)
                    } else {
                        0
                    }
                };
                let count = v2.iter(1).map(pieces).fold(0, u64::saturating_add);
                (v2, count)
            }
        };
        Self {
            version,
            name: name.to_vec(),
            piece_length,
            piece_count,
            private: keys.private.and_then(Value::as_int).is_some_and(|flag| flag != 0),
            files,
        }
    }

    /// Where the v1 piece hashes, 20 bytes each, lie in the bytes of an info dictionary.
    pub fn hashes_at(raw: &[u8]) -> Option<Range<usize>> {
        let mut reader = Reader::new(raw, &Limits::METAINFO);
        reader.begin_dict().ok()?;
        while let Some(key) = reader.key().ok()? {
            let value = reader.value().ok()?;
            if key == b"pieces" {
                // A string ends its value.
                let start = reader.offset().checked_sub(value.as_bytes()?.len())?;
                return Some(start..reader.offset());
            }
        }
        None
    }

    /// The name to show: what is not UTF-8 replaced by U+FFFD. Control characters stay.
    pub fn name_lossy(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.name)
    }

    /// Files, padding not counted.
    pub fn file_count(&self) -> u64 {
        self.files.count
    }

    /// Bytes of all files, padding not counted.
    pub fn total_bytes(&self) -> u64 {
        self.files.bytes
    }

    /// The files in the torrent's order, padding included.
    pub fn files(&self) -> impl Iterator<Item = File<'_>> {
        let align = if self.version == Version::V2 {
            self.piece_length.max(1)
        } else {
            1
        };
        self.files.iter(align)
    }

    /// Whether the content is one file that bears the torrent's name, and not a directory.
    pub fn is_single_file(&self) -> bool {
        let mut files = self.files.iter(1);
        let first = files.next();
        let named = |file: File<'_>| file.segments_upwards().eq([self.name.as_slice()]);
        first.is_some_and(named) && files.next().is_none()
    }
}

fn version(keys: &Keys<'_>, notes: &mut Notes) -> Version {
    let meta_version = keys.meta_version.map(Value::as_int);
    match meta_version {
        None if keys.file_tree.is_some() => notes.add(Field::MetaVersion, Fault::Missing),
        None | Some(Some(1 | 2)) => {}
        Some(Some(_)) => notes.add(Field::MetaVersion, Fault::Range),
        Some(None) => notes.add(Field::MetaVersion, Fault::Kind),
    }
    let v1 = keys.pieces.is_some() || keys.files.is_some() || keys.length.is_some();
    let v2 = keys.file_tree.is_some() || meta_version == Some(Some(2));
    match (v1, v2) {
        (true, true) => Version::Hybrid,
        (false, true) => Version::V2,
        (_, false) => Version::V1,
    }
}

fn piece_length(value: Option<Value<'_>>, version: Version, notes: &mut Notes) -> u64 {
    let fault = match value.map(Value::as_int) {
        None => Fault::Missing,
        Some(None) => Fault::Kind,
        Some(Some(length)) => match u64::try_from(length) {
            Ok(length) if length > 0 => {
                if version.has_v2() && !(length.is_power_of_two() && length >= MIN_V2_PIECE) {
                    notes.add(Field::PieceLength, Fault::Range);
                }
                return length;
            }
            _ => Fault::Range,
        },
    };
    notes.add(Field::PieceLength, fault);
    0
}

/// How many pieces the v1 hashes are for. `span` is the content's size, padding included.
fn v1_pieces(pieces: Option<Value<'_>>, span: u64, piece_length: u64, notes: &mut Notes) -> u64 {
    let Some(pieces) = pieces else {
        notes.add(Field::Pieces, Fault::Missing);
        return 0;
    };
    let Some(hashes) = pieces.as_bytes() else {
        notes.add(Field::Pieces, Fault::Kind);
        return 0;
    };
    if !hashes.len().is_multiple_of(SHA1_LEN) {
        notes.add(Field::Pieces, Fault::Kind);
    }
    let count = u64::try_from(hashes.len() / SHA1_LEN).unwrap_or(u64::MAX);
    if piece_length > 0 && span.div_ceil(piece_length) != count {
        notes.add(Field::Pieces, Fault::Disagrees);
    }
    count
}
