//! Bytes that need not be held: a length, and a function from a place to what is there.

use std::fmt;
use std::ops::Range;
use std::rc::Rc;

use world::Seed;

use crate::dice::Dice;

/// Fills room with what is at an offset.
type Fill = dyn Fn(u64, &mut [u8]);

/// What a file or a document holds. Copies share it.
#[derive(Clone)]
pub struct Content {
    from: u64,
    len: u64,
    fill: Rc<Fill>,
}

impl Content {
    /// `len` bytes that `fill` writes: it is given an offset and the room to fill from there.
    pub fn new(len: u64, fill: impl Fn(u64, &mut [u8]) + 'static) -> Self {
        Self {
            from: 0,
            len,
            fill: Rc::new(fill),
        }
    }

    /// These bytes.
    pub fn bytes(bytes: impl Into<Rc<[u8]>>) -> Self {
        let bytes = bytes.into();
        Self::new(bytes.len() as u64, move |at, out| {
            let at = at as usize;
            out.copy_from_slice(&bytes[at..at + out.len()]);
        })
    }

    /// `len` bytes without order, a function of seed and place: no memory for any length.
    pub fn pattern(seed: Seed, len: u64) -> Self {
        let dice = Dice::new(seed, "pattern");
        Self::new(len, move |at, out| {
            let mut word = at / 8;
            let mut skip = (at % 8) as usize;
            let mut rest = out;
            while !rest.is_empty() {
                let bytes = dice.bits(word, 0).to_le_bytes();
                let take = rest.len().min(8 - skip);
                let (now, later) = rest.split_at_mut(take);
                now.copy_from_slice(&bytes[skip..skip + take]);
                (word, skip, rest) = (word + 1, 0, later);
            }
        })
    }

    /// Length, bytes.
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are no bytes.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// A part of it; what of the range is beyond the end is left out.
    pub fn slice(&self, range: Range<u64>) -> Self {
        let start = range.start.min(self.len);
        Self {
            from: self.from + start,
            len: range.end.clamp(start, self.len) - start,
            fill: Rc::clone(&self.fill),
        }
    }

    /// Copies what is at `at` and fills `out`, with zeros beyond the end.
    pub fn read(&self, at: u64, out: &mut [u8]) {
        let there = self.len.saturating_sub(at).min(out.len() as u64) as usize;
        let (filled, beyond) = out.split_at_mut(there);
        if there > 0 {
            (self.fill)(self.from + at, filled);
        }
        beyond.fill(0);
    }

    /// All of it.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut out = vec![0; self.len as usize];
        self.read(0, &mut out);
        out
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Content({} bytes)", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_the_same_however_it_is_read() {
        let content = Content::pattern(Seed::from_number(1), 1_000);
        let whole = content.to_vec();
        assert_ne!(whole[..8], whole[8..16]);
        for at in [0, 1, 7, 8, 9, 500] {
            let mut part = [0; 33];
            content.read(at, &mut part);
            assert_eq!(part, whole[at as usize..at as usize + 33]);
        }
        assert_eq!(content.slice(10..20).to_vec(), whole[10..20]);
        assert_eq!(content.slice(10..20).slice(3..99).to_vec(), whole[13..20]);
    }

    #[test]
    fn beyond_the_end_are_zeros() {
        let mut out = [9; 4];
        Content::bytes(*b"ab").read(1, &mut out);
        assert_eq!(out, *b"b\0\0\0");
        assert_eq!(Content::bytes(*b"ab").slice(5..7).len(), 0);
    }
}
