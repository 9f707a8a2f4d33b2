//! Pieces of the info dictionary, each way: by `ut_metadata`, and by `LT_metadata` with peers that know nothing else.

use std::ops::Range;

use wire::lt_metadata::{LtMetadata, Parts};
use wire::message::extended_frame;
use wire::ut_metadata::{BLOCK, UtMetadata};

use super::opening::Theirs;
use super::{Offer, Said, Session};
use crate::Failure;
use crate::assembly::piece_len;

/// What a peer wants of the info dictionary.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Request {
    /// A piece of 16 KiB (`ut_metadata`).
    Piece(u32),
    /// 256ths (`LT_metadata`).
    Parts(Parts),
}

impl Request {
    /// The bytes that are wanted, of `raw`.
    fn of(self, raw: &[u8]) -> Option<(usize, &[u8])> {
        let range = match self {
            Self::Piece(piece) => {
                let start = usize::try_from(piece).ok()?.checked_mul(BLOCK)?;
                start..start.checked_add(BLOCK)?.min(raw.len())
            }
            Self::Parts(parts) => {
                let Range { start, end } = parts.bytes(u32::try_from(raw.len()).ok()?);
                usize::try_from(start).ok()?..usize::try_from(end).ok()?
            }
        };
        let start = range.start;
        let bytes = raw.get(range).filter(|bytes| !bytes.is_empty())?;
        Some((start, bytes))
    }

    /// How many bytes an answer would be.
    pub(crate) fn len(self, raw: &[u8]) -> usize {
        self.of(raw).map_or(0, |(_, bytes)| bytes.len())
    }
}

impl Session {
    /// Asks for a piece. Does nothing before the peer's extended handshake.
    pub(crate) fn ask(&mut self, piece: u32, out: &mut Vec<u8>) {
        let Some((theirs, size)) = self.theirs.and_then(|theirs| Some((theirs, theirs.size?))) else {
            return;
        };
        if theirs.by_ut {
            self.asked.push(piece);
            extended_frame(out, theirs.ut_metadata, |payload| {
                UtMetadata::Request { piece }.encode(payload);
            });
        } else if let Some(parts) = Parts::covering(bytes_of(piece, size), size) {
            self.asked.push(piece);
            extended_frame(out, theirs.lt_metadata, |payload| {
                LtMetadata::Request(parts).encode(payload);
            });
        }
    }

    /// Asks for the first part, whose answer tells the size: see [`Offer::Unsized`].
    pub(crate) fn probe(&self, out: &mut Vec<u8>) {
        if let Some(theirs) = self.theirs {
            extended_frame(out, theirs.lt_metadata, |payload| {
                LtMetadata::Request(Parts::FIRST).encode(payload);
            });
        }
    }

    /// Gives what is wanted of `raw`, or says that it is not given.
    pub(crate) fn answer(&self, wanted: Request, raw: Option<&[u8]>, out: &mut Vec<u8>) {
        let Some(theirs) = self.theirs else {
            return;
        };
        let given = raw.and_then(|raw| Some((raw.len(), wanted.of(raw)?)));
        match wanted {
            Request::Piece(_) if theirs.ut_metadata == 0 => {}
            Request::Piece(piece) => {
                let answer = match given {
                    Some((total, (_, bytes))) => UtMetadata::Data {
                        piece,
                        total_size: i64::try_from(total).unwrap_or(i64::MAX),
                        bytes,
                    },
                    None => UtMetadata::Reject { piece },
                };
                extended_frame(out, theirs.ut_metadata, |payload| answer.encode(payload));
            }
            Request::Parts(_) if theirs.lt_metadata == 0 => {}
            Request::Parts(_) => {
                let answer = match given {
                    Some((total, (start, bytes))) => LtMetadata::Metadata {
                        total_size: i32::try_from(total).unwrap_or(i32::MAX),
                        offset: i32::try_from(start).unwrap_or(i32::MAX),
                        bytes,
                    },
                    None => LtMetadata::DontHave,
                };
                extended_frame(out, theirs.lt_metadata, |payload| answer.encode(payload));
            }
        }
    }
}

pub(super) fn hear_ut_metadata<'a>(
    theirs: Option<Theirs>,
    asked: &mut Vec<u32>,
    payload: &'a [u8],
) -> Result<Said<'a>, Failure> {
    match UtMetadata::decode(payload).map_err(|_| Failure::Malformed)? {
        UtMetadata::Data {
            piece,
            total_size,
            bytes,
        } => {
            let size = theirs.and_then(|theirs| theirs.size).ok_or(Failure::BadPiece)?;
            if total_size != i64::from(size) {
                return Err(Failure::SizeMismatch);
            }
            let at = asked
                .iter()
                .position(|&asked| asked == piece)
                .ok_or(Failure::BadPiece)?;
            if u32::try_from(bytes.len()) != Ok(piece_len(size, piece)) {
                return Err(Failure::BadPiece);
            }
            asked.swap_remove(at);
            Ok(Said::Piece { piece, bytes })
        }
        UtMetadata::Reject { .. } if asked.is_empty() => Ok(Said::Nothing),
        UtMetadata::Reject { .. } => Err(Failure::Rejected),
        UtMetadata::Request { piece } => Ok(Said::Wants(Request::Piece(piece))),
        // A type that BEP 9 tells to ignore.
        UtMetadata::Unknown { .. } => Ok(Said::Nothing),
    }
}

/// Parts need not begin where pieces do: they are asked for so that they cover one piece.
pub(super) fn hear_lt_metadata<'a>(
    theirs: &mut Option<Theirs>,
    asked: &mut Vec<u32>,
    max_metadata: u32,
    payload: &'a [u8],
) -> Result<Said<'a>, Failure> {
    let (total_size, offset, bytes) = match LtMetadata::decode(payload).map_err(|_| Failure::Malformed)? {
        LtMetadata::Metadata {
            total_size,
            offset,
            bytes,
        } => (total_size, offset, bytes),
        LtMetadata::DontHave if theirs.is_some_and(|theirs| !theirs.by_ut) => return Err(Failure::Rejected),
        LtMetadata::Request(parts) => return Ok(Said::Wants(Request::Parts(parts))),
        LtMetadata::DontHave | LtMetadata::Unknown { .. } => return Ok(Said::Nothing),
    };
    let theirs = theirs
        .as_mut()
        .filter(|theirs| !theirs.by_ut)
        .ok_or(Failure::BadPiece)?;
    let Some(size) = theirs.size else {
        let size = theirs.claims(total_size.into(), max_metadata)?;
        return Ok(Said::Extended(Offer::Size(size)));
    };
    if i64::from(total_size) != i64::from(size) {
        return Err(Failure::SizeMismatch);
    }
    let offset = u32::try_from(offset).map_err(|_| Failure::BadPiece)?;
    let within = |piece: u32| {
        let Range { start, end } = bytes_of(piece, size);
        let from = usize::try_from(start.checked_sub(offset)?).ok()?;
        let to = usize::try_from(end.checked_sub(offset)?).ok()?;
        bytes.get(from..to)
    };
    let found = asked
        .iter()
        .enumerate()
        .find_map(|(at, &piece)| Some((at, piece, within(piece)?)));
    let (at, piece, bytes) = found.ok_or(Failure::BadPiece)?;
    asked.swap_remove(at);
    Ok(Said::Piece { piece, bytes })
}

/// Where a piece lies in an info dictionary of `size` bytes.
fn bytes_of(piece: u32, size: u32) -> Range<u32> {
    let start = piece.saturating_mul(BLOCK as u32).min(size);
    start..start.saturating_add(piece_len(size, piece))
}
