//! The resume journal: which infohashes are done, and which bytes of the table are theirs.
//!
//! A header of 24 bytes (magic, version, check), then records of 44 bytes, one for each block of the table, written
//! before the block. All numbers are little-endian. A check is the low half of SipHash-1-3 with a zero key: it finds
//! torn and rotten bytes, not forgers.
//!
//! Between them stand notes of the same size, which have no block (version 2): what failed and left no rows, and how far
//! a list of infohashes was read.

use std::hash::Hasher;
use std::io::{self, BufRead, Read};

use siphasher::sip::SipHasher13;
use wire::InfoHash;

use crate::wants::Place;

/// Bytes before the first record.
pub const HEADER_LEN: u64 = 24;
/// Bytes of a record.
pub const RECORD_LEN: u64 = 44;
/// The format that this program writes, and the newest that it reads.
pub const VERSION: u32 = 2;

const MAGIC: &[u8; 16] = b"estudely-journal";
const OK_FLAG: u32 = 1;
const FAILED_FLAG: u32 = 2;
const MARK_FLAG: u32 = 4;

/// An infohash that is done.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Done {
    /// The infohash.
    pub info_hash: InfoHash,
    /// Whether its metadata was fetched.
    pub metadata_ok: bool,
}

/// What a journal says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Entry {
    /// An infohash is done, and has a block in the table if there is one.
    Done(Done),
    /// Something without a block.
    Note(Note),
}

/// What a journal says that no block of the table belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Note {
    /// An infohash was given up. If its rows were written, this follows their [`Done`].
    Failed {
        /// Which.
        info_hash: InfoHash,
        /// Where in the list it was wanted, for the last time: [`Place::byte`]; [`u64::MAX`] if that means nothing.
        at: u64,
    },
    /// Everything that a list asks for up to here is done.
    Read(Mark),
}

/// How far a list is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mark {
    /// Which list: [`head_sum`] of its first bytes, as it is stored.
    pub head: u64,
    /// How many these are.
    pub head_len: u32,
    /// Up to where.
    pub place: Place,
}

/// What tells a list from others: the hash of its first bytes, with a zero key.
pub fn head_sum(head: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(head);
    hasher.finish()
}

impl Note {
    pub(crate) fn encode(&self) -> [u8; RECORD_LEN as usize] {
        let mut bytes = [0; RECORD_LEN as usize];
        let flag = match self {
            Self::Failed { info_hash, at } => {
                bytes[..20].copy_from_slice(info_hash.as_bytes());
                bytes[20..28].copy_from_slice(&at.to_le_bytes());
                FAILED_FLAG
            }
            Self::Read(mark) => {
                bytes[..8].copy_from_slice(&mark.head.to_le_bytes());
                bytes[8..12].copy_from_slice(&mark.head_len.to_le_bytes());
                bytes[12..20].copy_from_slice(&mark.place.line.to_le_bytes());
                bytes[20..28].copy_from_slice(&mark.place.byte.to_le_bytes());
                MARK_FLAG
            }
        };
        bytes[32..36].copy_from_slice(&flag.to_le_bytes());
        let check = sum(&bytes[..40]);
        bytes[40..].copy_from_slice(&check.to_le_bytes());
        bytes
    }

    /// `None` if these bytes, whose check is right, are those of a block's record.
    fn decode(bytes: &[u8; RECORD_LEN as usize]) -> Option<Self> {
        match word(bytes, 32) {
            FAILED_FLAG => {
                let mut info_hash = [0; 20];
                info_hash.copy_from_slice(&bytes[..20]);
                Some(Self::Failed {
                    info_hash: InfoHash::new(info_hash),
                    at: long(bytes, 20),
                })
            }
            MARK_FLAG => Some(Self::Read(Mark {
                head: long(bytes, 0),
                head_len: word(bytes, 8),
                place: Place {
                    byte: long(bytes, 20),
                    line: long(bytes, 12),
                },
            })),
            _ => None,
        }
    }
}

/// A record of either kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Line {
    Block(Record),
    Note(Note),
}

impl Line {
    /// `None` if the check fails, or if a block cannot lie there.
    fn decode(bytes: &[u8; RECORD_LEN as usize]) -> Option<Self> {
        if word(bytes, 40) != sum(&bytes[..40]) {
            return None;
        }
        match Note::decode(bytes) {
            Some(note) => Some(Self::Note(note)),
            None => Record::decode(bytes).map(Self::Block),
        }
    }

    /// What it says.
    pub(crate) const fn entry(self) -> Entry {
        match self {
            Self::Block(record) => Entry::Done(record.done),
            Self::Note(note) => Entry::Note(note),
        }
    }
}

/// One record: an infohash, and its block of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Record {
    pub(crate) done: Done,
    /// Offset in the table just past the block.
    pub(crate) end: u64,
    /// Bytes of the block; 0 when there is no table.
    pub(crate) len: u32,
    /// [`sum`] of the block.
    pub(crate) sum: u32,
}

impl Record {
    /// Offset in the table of the block's first byte.
    pub(crate) const fn start(&self) -> u64 {
        self.end.saturating_sub(self.len as u64)
    }

    pub(crate) fn encode(&self) -> [u8; RECORD_LEN as usize] {
        let mut bytes = [0; RECORD_LEN as usize];
        bytes[..20].copy_from_slice(self.done.info_hash.as_bytes());
        bytes[20..28].copy_from_slice(&self.end.to_le_bytes());
        bytes[28..32].copy_from_slice(&self.len.to_le_bytes());
        let flags = if self.done.metadata_ok { OK_FLAG } else { 0 };
        bytes[32..36].copy_from_slice(&flags.to_le_bytes());
        bytes[36..40].copy_from_slice(&self.sum.to_le_bytes());
        let check = sum(&bytes[..40]);
        bytes[40..].copy_from_slice(&check.to_le_bytes());
        bytes
    }

    /// `None` if a block cannot lie there.
    fn decode(bytes: &[u8; RECORD_LEN as usize]) -> Option<Self> {
        let mut info_hash = [0; 20];
        info_hash.copy_from_slice(&bytes[..20]);
        let record = Self {
            done: Done {
                info_hash: InfoHash::new(info_hash),
                metadata_ok: word(bytes, 32) & OK_FLAG != 0,
            },
            end: long(bytes, 20),
            len: word(bytes, 28),
            sum: word(bytes, 36),
        };
        (u64::from(record.len) <= record.end).then_some(record)
    }
}

fn word(bytes: &[u8; RECORD_LEN as usize], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

fn long(bytes: &[u8; RECORD_LEN as usize], at: usize) -> u64 {
    let mut long = [0; 8];
    long.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(long)
}

/// The check of `bytes`.
pub(crate) fn sum(bytes: &[u8]) -> u32 {
    let mut hasher = SipHasher13::new();
    hasher.write(bytes);
    low_half(hasher.finish())
}

/// The low 32 bits.
pub(crate) fn low_half(hash: u64) -> u32 {
    let [a, b, c, d, ..] = hash.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// The first 24 bytes of a journal.
pub(crate) fn header() -> [u8; HEADER_LEN as usize] {
    header_of(VERSION)
}

fn header_of(version: u32) -> [u8; HEADER_LEN as usize] {
    let mut bytes = [0; HEADER_LEN as usize];
    bytes[..16].copy_from_slice(MAGIC);
    bytes[16..20].copy_from_slice(&version.to_le_bytes());
    let check = sum(&bytes[..20]);
    bytes[20..].copy_from_slice(&check.to_le_bytes());
    bytes
}

/// What the beginning of a file says of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Beginning {
    /// Empty, or a header that a kill cut short.
    New,
    /// A journal of this version or an older one.
    Ours,
    /// A journal of a version that this program does not know.
    Newer(u32),
    /// Not a journal.
    Foreign,
}

/// Reads the header; after [`Beginning::Ours`] the input stands at the first record.
pub(crate) fn begin(input: &mut impl Read) -> io::Result<Beginning> {
    let mut bytes = Vec::new();
    input.by_ref().take(HEADER_LEN).read_to_end(&mut bytes)?;
    let ours = header();
    if bytes == ours {
        return Ok(Beginning::Ours);
    }
    if bytes.len() < ours.len() {
        return Ok(if ours.starts_with(&bytes) {
            Beginning::New
        } else {
            Beginning::Foreign
        });
    }
    let version = u32::from_le_bytes([bytes[16], bytes[17], bytes[18], bytes[19]]);
    let whole = bytes == header_of(version);
    Ok(match version {
        1..=VERSION if whole => Beginning::Ours,
        _ if whole => Beginning::Newer(version),
        _ => Beginning::Foreign,
    })
}

/// The next record; `None` at the end, and at a record that is torn or rotten.
pub(crate) fn next(input: &mut impl BufRead) -> io::Result<Option<Line>> {
    let mut bytes = [0; RECORD_LEN as usize];
    match input.read_exact(&mut bytes) {
        Ok(()) => Ok(Line::decode(&bytes)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn beginnings_are_told_apart() {
        let told = |bytes: &[u8]| begin(&mut &bytes[..]).unwrap();
        assert_eq!(told(&header()), Beginning::Ours);
        assert_eq!(told(&header_of(1)), Beginning::Ours);
        assert_eq!(told(&header_of(7)), Beginning::Newer(7));
        assert_eq!(told(b"infohash,name,file_count,"), Beginning::Foreign);
        assert_eq!(told(b"abc"), Beginning::Foreign);
        for cut in 0..header().len() {
            assert_eq!(told(&header()[..cut]), Beginning::New);
        }
    }

    #[test]
    fn the_format_is_what_earlier_runs_wrote() {
        // A change here breaks every journal on disk: raise VERSION.
        let done = Done {
            info_hash: InfoHash::new([0x11; 20]),
            metadata_ok: true,
        };
        let record = Record {
            done,
            end: 0x0102,
            len: 3,
            sum: sum(b"abc"),
        };
        let hex: String = record.encode().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            &hex[..72],
            "11".repeat(20) + "0201000000000000" + "03000000" + "01000000"
        );
    }

    proptest! {
        #[test]
        fn notes_round_trip_and_any_changed_bit_is_found(
            hash: [u8; 20], at: u64, head: u64, head_len: u32, line: u64, bit in 0..RECORD_LEN as usize * 8
        ) {
            let place = Place { byte: at, line };
            for note in [Note::Failed { info_hash: InfoHash::new(hash), at }, Note::Read(Mark { head, head_len, place })] {
                let mut bytes = note.encode();
                prop_assert_eq!(Line::decode(&bytes), Some(Line::Note(note)));
                bytes[bit / 8] ^= 1 << (bit % 8);
                prop_assert_eq!(Line::decode(&bytes), None);
            }
        }

        #[test]
        fn records_round_trip_and_any_changed_bit_is_found(
            hash: [u8; 20], metadata_ok: bool, start in 0..u64::MAX / 2, len: u32, sum: u32, bit in 0..RECORD_LEN as usize * 8
        ) {
            let done = Done { info_hash: InfoHash::new(hash), metadata_ok };
            let record = Record { done, end: start + u64::from(len), len, sum };
            let mut bytes = record.encode();
            prop_assert_eq!(Line::decode(&bytes), Some(Line::Block(record)));
            prop_assert_eq!(record.start(), start);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(Line::decode(&bytes), None);
        }
    }
}
