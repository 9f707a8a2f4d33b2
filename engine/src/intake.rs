//! A peer's bytes, cut into messages; content is never gathered: it is told in the runs in which it arrives.
//!
//! [`wire::message::Frames`] gives whole frames. A block of content is too much to copy until it is whole: here the engine
//! learns of each run of it where it lies in the bytes just received, and can have it stored and hashed from there.

use thiserror::Error;
use wire::message::id;

use crate::BLOCK;

/// Bytes of the length prefix.
const PREFIX: usize = 4;
/// Prefix, id, piece and offset of a `piece` message.
const HEAD: usize = 13;
/// A `piece` message with more content than this is refused. We ask for [`BLOCK`] bytes at most; some clients once sent
/// twice as much.
const MOST_CONTENT: u32 = 8 * BLOCK;

/// The stream cannot be understood any further.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub(crate) enum Garbled {
    /// A frame longer than any that this torrent can have.
    #[error("a frame of {0} bytes")]
    TooLong(u32),
    /// A `piece` message without its numbers, or with too much content.
    #[error("a piece message of {0} bytes")]
    Piece(u32),
}

/// What came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Heard<'a> {
    /// A frame without its prefix, for [`wire::message::Message::decode`]; never a `piece`.
    Frame(&'a [u8]),
    /// A run of the content of a `piece` message.
    Content(Run),
}

/// A run of content.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Run {
    /// The piece, as claimed.
    pub(crate) piece: u32,
    /// Offset of the block in the piece, as claimed.
    pub(crate) begin: u32,
    /// Bytes of the whole block, as claimed.
    pub(crate) length: u32,
    /// Offset of this run in the block.
    pub(crate) offset: u32,
    /// Where the run lies in the input.
    pub(crate) start: usize,
    /// Its bytes; 0 only of an empty block.
    pub(crate) len: u32,
}

impl Run {
    /// Whether the block is whole with this run.
    pub(crate) const fn is_last(&self) -> bool {
        self.offset + self.len == self.length
    }
}

/// The bytes of one peer.
#[derive(Debug)]
pub(crate) struct Intake {
    /// Longest frame other than `piece`, bytes without prefix.
    limit: u32,
    /// Of a frame that is arriving; empty between frames. Grows as bytes arrive, never by a claimed length.
    partial: Vec<u8>,
    lent: bool,
    /// The block that is arriving, and how much of it has come.
    block: Option<Run>,
}

impl Intake {
    pub(crate) const fn new(limit: u32) -> Self {
        Self {
            limit,
            partial: Vec::new(),
            lent: false,
            block: None,
        }
    }

    /// The next message or run in `input` from `at` on, which moves behind what was used; `None` when all is used.
    #[expect(
        single_use_lifetimes,
        reason = "the bound is its use: without it no frame could be lent from the input"
    )]
    pub(crate) fn next<'s, 'i: 's>(
        &'s mut self,
        input: &'i [u8],
        at: &mut usize,
    ) -> Result<Option<Heard<'s>>, Garbled> {
        if std::mem::take(&mut self.lent) {
            self.partial.clear();
        }
        if self.block.is_some() {
            return Ok(self.run(input, at));
        }
        if self.partial.is_empty()
            && let Some(rest) = input.get(*at..)
            && let Some((prefix, body)) = rest.split_first_chunk::<PREFIX>()
        {
            let length = u32::from_be_bytes(*prefix);
            if let Some(head) = rest.first_chunk::<HEAD>()
                && head.get(PREFIX) == Some(&id::PIECE)
            {
                self.begin(head, length)?;
                *at += HEAD;
                return Ok(self.run(input, at));
            }
            if body.first() != Some(&id::PIECE)
                && length <= self.limit
                && let Some(frame) = body.get(..length as usize)
            {
                *at += PREFIX + length as usize;
                return Ok(Some(Heard::Frame(frame)));
            }
        }
        self.gather(input, at)
    }

    /// The slow way: what is split over several inputs.
    #[expect(single_use_lifetimes, reason = "as above")]
    fn gather<'s, 'i: 's>(&'s mut self, input: &'i [u8], at: &mut usize) -> Result<Option<Heard<'s>>, Garbled> {
        self.take_up_to(PREFIX, input, at);
        let Some(prefix) = self.partial.first_chunk::<PREFIX>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(*prefix);
        if length > 0 {
            self.take_up_to(PREFIX + 1, input, at);
        }
        if self.partial.get(PREFIX) == Some(&id::PIECE) {
            self.take_up_to(HEAD, input, at);
            let Some(&head) = self.partial.first_chunk::<HEAD>() else {
                return Ok(None);
            };
            self.begin(&head, length)?;
            self.partial.clear();
            return Ok(self.run(input, at));
        }
        if length > self.limit {
            return Err(Garbled::TooLong(length));
        }
        self.take_up_to(PREFIX + length as usize, input, at);
        if self.partial.len() < PREFIX + length as usize {
            return Ok(None);
        }
        self.lent = true;
        Ok(self.partial.get(PREFIX..).map(Heard::Frame))
    }

    fn begin(&mut self, head: &[u8; HEAD], length: u32) -> Result<(), Garbled> {
        let [_, _, _, _, _, p0, p1, p2, p3, b0, b1, b2, b3] = *head;
        let content = length.checked_sub(9).filter(|content| *content <= MOST_CONTENT);
        self.block = Some(Run {
            piece: u32::from_be_bytes([p0, p1, p2, p3]),
            begin: u32::from_be_bytes([b0, b1, b2, b3]),
            length: content.ok_or(Garbled::Piece(length))?,
            offset: 0,
            start: 0,
            len: 0,
        });
        Ok(())
    }

    /// The next run of the block that is arriving.
    fn run<'a>(&mut self, input: &[u8], at: &mut usize) -> Option<Heard<'a>> {
        let block = self.block.as_mut()?;
        let here = u32::try_from(input.len().saturating_sub(*at)).unwrap_or(u32::MAX);
        let run = Run {
            offset: block.offset,
            start: *at,
            len: here.min(block.length - block.offset),
            ..*block
        };
        if run.len == 0 && block.length > 0 {
            return None;
        }
        *at += run.len as usize;
        block.offset += run.len;
        if run.is_last() {
            self.block = None;
        }
        Some(Heard::Content(run))
    }

    fn take_up_to(&mut self, whole: usize, input: &[u8], at: &mut usize) {
        let missing = whole.saturating_sub(self.partial.len());
        let rest = input.get(*at..).unwrap_or_default();
        let taken = rest.get(..missing).unwrap_or(rest);
        self.partial.extend_from_slice(taken);
        *at += taken.len();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wire::message::{Block, Message};

    use super::*;

    /// What a stream of bytes says when it arrives in the given splits: frames whole, content put together.
    fn heard(bytes: &[u8], splits: &[usize]) -> Result<Vec<Vec<u8>>, Garbled> {
        let mut intake = Intake::new(1_000);
        let mut said = Vec::new();
        let mut content = Vec::new();
        let mut rest = bytes;
        for split in splits.iter().copied().chain([usize::MAX]) {
            let (input, behind) = rest.split_at(split.min(rest.len()));
            rest = behind;
            let mut at = 0;
            while let Some(heard) = intake.next(input, &mut at)? {
                match heard {
                    Heard::Frame(frame) => said.push(frame.to_vec()),
                    Heard::Content(run) => {
                        assert_eq!(run.offset as usize, content.len());
                        content.extend_from_slice(&input[run.start..run.start + run.len as usize]);
                        if run.is_last() {
                            let bytes = std::mem::take(&mut content);
                            let (piece, begin) = (run.piece, run.begin);
                            let mut frame = Vec::new();
                            Message::Piece {
                                piece,
                                begin,
                                bytes: &bytes,
                            }
                            .encode(&mut frame);
                            said.push(frame[4..].to_vec());
                        }
                    }
                }
            }
            assert_eq!(at, input.len(), "all is used");
        }
        Ok(said)
    }

    fn encoded(message: &Message<'_>) -> Vec<u8> {
        let mut frame = Vec::new();
        message.encode(&mut frame);
        frame
    }

    proptest! {
        #[test]
        fn any_split_of_a_stream_says_the_same(
            kinds in prop::collection::vec((0_u8..5, 0_usize..600), 1..12),
            splits in prop::collection::vec(0_usize..300, 0..40),
        ) {
            let content = [7_u8; 600];
            let messages: Vec<Vec<u8>> = kinds
                .iter()
                .map(|&(kind, len)| match kind {
                    0 => encoded(&Message::KeepAlive),
                    1 => encoded(&Message::Have(9)),
                    2 => encoded(&Message::Request(Block { piece: 1, begin: 2, length: 3 })),
                    3 => encoded(&Message::Bitfield(&content[..len])),
                    _ => encoded(&Message::Piece { piece: 3, begin: 4, bytes: &content[..len] }),
                })
                .collect();
            let bytes = messages.concat();
            let frames: Vec<Vec<u8>> = messages.iter().map(|frame| frame[4..].to_vec()).collect();
            prop_assert_eq!(heard(&bytes, &splits), Ok(frames));
        }

        #[test]
        fn no_bytes_bring_it_down(bytes in prop::collection::vec(any::<u8>(), 0..400), splits in prop::collection::vec(0_usize..50, 0..9)) {
            let _ = heard(&bytes, &splits);
        }
    }

    #[test]
    fn what_cannot_be_a_message_is_refused_before_it_is_kept() {
        let mut intake = Intake::new(100);
        assert_eq!(intake.next(&[0, 0, 0, 101, 5], &mut 0), Err(Garbled::TooLong(101)));
        let mut intake = Intake::new(100);
        let head = [0, 2, 0, 10, id::PIECE, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(intake.next(&head, &mut 0), Err(Garbled::Piece(0x2_000a)));
        let mut intake = Intake::new(100);
        let head = [0, 0, 0, 8, id::PIECE, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(intake.next(&head, &mut 0), Err(Garbled::Piece(8)));
    }
}
