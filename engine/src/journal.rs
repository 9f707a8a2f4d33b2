//! What of a torrent is safely on disk, as records in a file that only grows.
//!
//! The order that makes it true (`durable`): data, then fdatasync, then the record, then fdatasync. So what the journal
//! claims is on disk, after `kill -9` and after a power loss. Pieces that were hashed and are not yet claimed are noted as
//! *suspect* without waiting for the disk: after an unclean end they, and only they, are hashed again.
//!
//! A record is a little-endian `u32` length and `u32` CRC-32C of its body, then the body: a kind and its content. The first
//! record that is cut or wrong ends the reading; what is behind it was never claimed.

use thiserror::Error;
use wire::{InfoHash, crc32c};

use crate::bits::Bits;

/// Version of the form.
const VERSION: u8 = 1;
/// Longest body that is read, bytes: a bitfield of 2^26 pieces.
const MOST_BODY: usize = 9 << 20;
/// Partial pieces that are read; more are forgotten, their blocks come again.
const MOST_PARTIAL: usize = 4_096;

mod kind {
    pub(super) const BEGIN: u8 = 1;
    pub(super) const DURABLE: u8 = 2;
    pub(super) const LOST: u8 = 3;
    pub(super) const SUSPECT: u8 = 4;
    pub(super) const BLOCKS: u8 = 5;
    pub(super) const ALL: u8 = 6;
    pub(super) const COUNTERS: u8 = 7;
    pub(super) const CLEAN: u8 = 8;
}

/// A record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Record<'a> {
    /// Which torrent it is, and how many pieces it has. The first record of every journal.
    Begin {
        /// Its name in the swarm.
        info_hash: InfoHash,
        /// Its pieces.
        pieces: u32,
    },
    /// These pieces are on stable storage, and their hash was right.
    Durable(&'a [u32]),
    /// These are not what they were.
    Lost(&'a [u32]),
    /// The hash of these was right; they may not be on stable storage.
    Suspect(&'a [u32]),
    /// These blocks of a piece that is not whole are on stable storage.
    Blocks {
        /// The piece.
        piece: u32,
        /// One bit for each of its blocks.
        blocks: &'a Bits,
    },
    /// All pieces that are on stable storage: in place of all that was said before about pieces.
    All(&'a Bits),
    /// What was counted in all runs.
    Counters(Counters),
    /// The run ended in good order: nothing is suspect.
    Clean,
}

/// What is counted over all runs (STO-31).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Payload received, bytes.
    pub downloaded: u64,
    /// Payload sent, bytes.
    pub uploaded: u64,
    /// Time not paused, seconds.
    pub active_secs: u64,
    /// Of this, time with all wanted pieces at hand, seconds.
    pub seeding_secs: u64,
}

impl Record<'_> {
    /// Appends the record.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[0; 8]);
        match *self {
            Self::Begin { info_hash, pieces } => {
                out.extend_from_slice(&[kind::BEGIN, VERSION]);
                out.extend_from_slice(info_hash.as_bytes());
                out.extend_from_slice(&pieces.to_le_bytes());
            }
            Self::Durable(pieces) => put_list(out, kind::DURABLE, pieces),
            Self::Lost(pieces) => put_list(out, kind::LOST, pieces),
            Self::Suspect(pieces) => put_list(out, kind::SUSPECT, pieces),
            Self::Blocks { piece, blocks } => {
                out.push(kind::BLOCKS);
                out.extend_from_slice(&piece.to_le_bytes());
                out.extend_from_slice(&blocks.len().to_le_bytes());
                blocks.to_wire(out);
            }
            Self::All(have) => {
                out.push(kind::ALL);
                have.to_wire(out);
            }
            Self::Counters(counters) => {
                out.push(kind::COUNTERS);
                for number in [
                    counters.downloaded,
                    counters.uploaded,
                    counters.active_secs,
                    counters.seeding_secs,
                ] {
                    out.extend_from_slice(&number.to_le_bytes());
                }
            }
            Self::Clean => out.push(kind::CLEAN),
        }
        let Some((head, body)) = out
            .get_mut(start..)
            .and_then(|record| record.split_first_chunk_mut::<8>())
        else {
            return;
        };
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes();
        let crc = crc32c(body).to_le_bytes();
        let [l0, l1, l2, l3] = length;
        let [c0, c1, c2, c3] = crc;
        *head = [l0, l1, l2, l3, c0, c1, c2, c3];
    }
}

fn put_list(out: &mut Vec<u8>, kind: u8, pieces: &[u32]) {
    out.push(kind);
    for piece in pieces {
        out.extend_from_slice(&piece.to_le_bytes());
    }
}

/// What a journal says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Resume {
    /// Pieces that are at hand.
    pub have: Bits,
    /// Pieces that may be at hand: to be hashed first.
    pub suspect: Vec<u32>,
    /// Blocks of other pieces that are at hand.
    pub partial: Vec<(u32, Bits)>,
    /// What was counted.
    pub counters: Counters,
    /// The last run ended in good order.
    pub clean: bool,
    /// Bytes of the journal that could be read; what follows is to be cut off.
    pub length: u64,
}

impl Resume {
    /// Nothing is at hand.
    pub fn nothing(pieces: u32) -> Self {
        Self {
            have: Bits::new(pieces),
            suspect: Vec::new(),
            partial: Vec::new(),
            counters: Counters::default(),
            clean: true,
            length: 0,
        }
    }

    /// The journal that says the same in the fewest records.
    pub fn encode(&self, info_hash: InfoHash, out: &mut Vec<u8>) {
        let pieces = self.have.len();
        Record::Begin { info_hash, pieces }.encode(out);
        Record::All(&self.have).encode(out);
        if !self.suspect.is_empty() {
            Record::Suspect(&self.suspect).encode(out);
        }
        for (piece, blocks) in &self.partial {
            let piece = *piece;
            Record::Blocks { piece, blocks }.encode(out);
        }
        Record::Counters(self.counters).encode(out);
        if self.clean {
            Record::Clean.encode(out);
        }
    }
}

/// Why a journal is not used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum JournalError {
    /// It does not begin as one.
    #[error("not a journal of a download")]
    NotOne,
    /// A later version wrote it.
    #[error("written by a later version (form {0})")]
    Later(u8),
    /// It is another torrent's.
    #[error("the journal of another torrent")]
    OtherTorrent,
}

/// Reads a journal.
///
/// # Errors
///
/// [`JournalError`] if it is not this torrent's. A torn end is no error.
pub fn read(bytes: &[u8], info_hash: InfoHash, pieces: u32) -> Result<Resume, JournalError> {
    let mut resume = Resume::nothing(pieces);
    let mut rest = bytes;
    let first = next(&mut rest).ok_or(JournalError::NotOne)?;
    match first.split_first_chunk::<2>() {
        Some(([kind::BEGIN, VERSION], body)) => {
            let same_name = body.get(..20) == Some(info_hash.as_bytes());
            let same_size = body.get(20..) == Some(&pieces.to_le_bytes());
            if !(same_name && same_size) {
                return Err(JournalError::OtherTorrent);
            }
        }
        Some(([kind::BEGIN, version], _)) => return Err(JournalError::Later(*version)),
        _ => return Err(JournalError::NotOne),
    }
    resume.length = (bytes.len() - rest.len()) as u64;
    let mut suspect = Bits::new(pieces);
    while let Some(body) = next(&mut rest) {
        learn(&mut resume, &mut suspect, body);
        resume.length = (bytes.len() - rest.len()) as u64;
    }
    resume.suspect = suspect.iter().filter(|piece| !resume.have.get(*piece)).collect();
    resume
        .partial
        .retain(|(piece, _)| !resume.have.get(*piece) && !suspect.get(*piece));
    Ok(resume)
}

/// The body of the next whole record.
fn next<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, behind) = rest.split_first_chunk()?;
    let (crc, behind) = behind.split_first_chunk()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let (body, behind) = behind.split_at_checked(length).filter(|_| length <= MOST_BODY)?;
    if body.is_empty() || crc32c(body) != u32::from_le_bytes(*crc) {
        return None;
    }
    *rest = behind;
    Some(body)
}

fn learn(resume: &mut Resume, suspect: &mut Bits, record: &[u8]) {
    let Some((&kind, body)) = record.split_first() else {
        return;
    };
    resume.clean = kind == kind::CLEAN;
    let list = || {
        let numbers = body.chunks_exact(4).filter_map(|chunk| chunk.first_chunk());
        numbers.map(|number| u32::from_le_bytes(*number))
    };
    match kind {
        kind::DURABLE => list().for_each(|piece| {
            resume.have.set(piece);
        }),
        kind::LOST => list().for_each(|piece| {
            resume.have.clear(piece);
            suspect.clear(piece);
        }),
        kind::SUSPECT => list().for_each(|piece| {
            suspect.set(piece);
        }),
        kind::BLOCKS => {
            let Some((piece, blocks)) = read_blocks(body).filter(|(piece, _)| *piece < resume.have.len()) else {
                return;
            };
            resume.partial.retain(|(other, _)| *other != piece);
            if resume.partial.len() < MOST_PARTIAL {
                resume.partial.push((piece, blocks));
            }
        }
        kind::ALL => {
            if let Some(have) = Bits::from_wire(body, resume.have.len()) {
                resume.have = have;
                *suspect = Bits::new(resume.have.len());
                resume.partial.clear();
            }
        }
        kind::COUNTERS => {
            let mut numbers = body.chunks_exact(8).filter_map(|chunk| chunk.first_chunk());
            let mut number = || numbers.next().map_or(0, |bytes| u64::from_le_bytes(*bytes));
            resume.counters = Counters {
                downloaded: number(),
                uploaded: number(),
                active_secs: number(),
                seeding_secs: number(),
            };
        }
        kind::CLEAN => *suspect = Bits::new(resume.have.len()),
        _ => {}
    }
}

fn read_blocks(body: &[u8]) -> Option<(u32, Bits)> {
    let (piece, rest) = body.split_first_chunk()?;
    let (blocks, rest) = rest.split_first_chunk()?;
    let blocks = u32::from_le_bytes(*blocks);
    Some((u32::from_le_bytes(*piece), Bits::from_wire(rest, blocks)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NAME: InfoHash = InfoHash::new([7; 20]);

    fn begun() -> Vec<u8> {
        let mut bytes = Vec::new();
        Record::Begin {
            info_hash: NAME,
            pieces: 10,
        }
        .encode(&mut bytes);
        bytes
    }

    fn pieces(bits: &Bits) -> Vec<u32> {
        bits.iter().collect()
    }

    #[test]
    fn what_was_claimed_is_at_hand_and_what_was_only_hashed_is_suspect() {
        let mut bytes = begun();
        Record::Suspect(&[1, 2, 3]).encode(&mut bytes);
        Record::Durable(&[1, 2]).encode(&mut bytes);
        let resume = read(&bytes, NAME, 10).unwrap();
        assert_eq!((pieces(&resume.have), resume.suspect), (vec![1, 2], vec![3]));
        assert!(!resume.clean);
    }

    #[test]
    fn after_a_clean_end_nothing_is_suspect() {
        let mut bytes = begun();
        Record::Suspect(&[3]).encode(&mut bytes);
        Record::Clean.encode(&mut bytes);
        let resume = read(&bytes, NAME, 10).unwrap();
        assert!(resume.suspect.is_empty() && resume.clean);
    }

    #[test]
    fn what_was_lost_is_no_longer_at_hand() {
        let mut bytes = begun();
        Record::Durable(&[1, 2]).encode(&mut bytes);
        Record::Lost(&[1]).encode(&mut bytes);
        assert_eq!(pieces(&read(&bytes, NAME, 10).unwrap().have), [2]);
    }

    #[test]
    fn a_torn_end_is_passed_over_and_said() {
        let mut bytes = begun();
        Record::Durable(&[4]).encode(&mut bytes);
        let whole = bytes.len();
        Record::Durable(&[5]).encode(&mut bytes);
        for cut in whole..bytes.len() {
            let resume = read(&bytes[..cut], NAME, 10).unwrap();
            assert_eq!(
                (pieces(&resume.have), resume.length),
                (vec![4], whole as u64),
                "cut at {cut}"
            );
        }
        bytes[whole + 9] ^= 1;
        assert_eq!(read(&bytes, NAME, 10).unwrap().length, whole as u64, "a flipped bit");
    }

    #[test]
    fn another_torrents_journal_is_not_used() {
        assert_eq!(
            read(&begun(), InfoHash::new([8; 20]), 10),
            Err(JournalError::OtherTorrent)
        );
        assert_eq!(read(&begun(), NAME, 11), Err(JournalError::OtherTorrent));
        assert_eq!(read(b"something else", NAME, 10), Err(JournalError::NotOne));
    }

    proptest! {
        #[test]
        fn a_resume_reads_as_it_was_written(
            have in prop::collection::vec(any::<bool>(), 10),
            partial in prop::collection::btree_map(0_u32..10, prop::collection::vec(any::<bool>(), 1..20), 0..4),
            numbers in any::<[u64; 4]>(),
            clean in any::<bool>(),
        ) {
            let bits = |bools: &[bool]| {
                let mut bits = Bits::new(bools.len() as u32);
                bools.iter().enumerate().filter(|(_, set)| **set).for_each(|(at, _)| { bits.set(at as u32); });
                bits
            };
            let [downloaded, uploaded, active_secs, seeding_secs] = numbers;
            let mut resume = Resume {
                have: bits(&have),
                suspect: Vec::new(),
                partial: partial.iter().filter(|(piece, _)| !have[**piece as usize]).map(|(piece, blocks)| (*piece, bits(blocks))).collect(),
                counters: Counters { downloaded, uploaded, active_secs, seeding_secs },
                clean,
                length: 0,
            };
            let mut bytes = Vec::new();
            resume.encode(NAME, &mut bytes);
            resume.length = bytes.len() as u64;
            prop_assert_eq!(read(&bytes, NAME, 10), Ok(resume));
        }

        #[test]
        fn no_bytes_bring_it_down(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes, NAME, 10);
            let mut behind = begun();
            behind.extend(bytes);
            prop_assert!(read(&behind, NAME, 10).is_ok());
        }
    }
}
