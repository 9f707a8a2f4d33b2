//! Lines of a stretch of a table, lent from one buffer.

use std::io::{self, Read};

use memchr::memchr;
use store::LINE_MAX;

use super::reject::Refusal;

/// A line beyond this is no damage but another kind of file, bytes.
pub const ENDLESS: u64 = 16 << 20;

/// Bytes of the buffer: far more than a line, and at home in the second-level cache.
const BUFFER: usize = 4 * LINE_MAX;

/// Which lines of the input are wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Share {
    /// The input begins one byte before the share, and within a line unless that byte is its end: what comes before the first line end
    /// is another share's.
    pub inside: bool,
    /// Bytes of the input up to where lines may begin; `None` is all. The last line is read to its end, wherever that is.
    pub until: Option<u64>,
}

/// A line as it was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Line<'a> {
    /// Its number from where the share begins, from 1.
    pub number: u64,
    /// Without its `\n` or `\r\n`; `None` if longer than [`LINE_MAX`].
    pub bytes: Option<&'a [u8]>,
    /// It has its `\n`.
    pub ended: bool,
}

/// The lines of a share of an input.
#[derive(Debug)]
pub struct Lines<R> {
    input: R,
    buffer: Vec<u8>,
    /// What of the buffer is read and not yet given.
    begin: usize,
    end: usize,
    /// Offset in the input of `begin`.
    offset: u64,
    number: u64,
    until: u64,
    inside: bool,
}

impl<R: Read> Lines<R> {
    /// Lines of all of the input, or of a share of it.
    pub fn new(input: R, share: Share) -> Self {
        Self {
            input,
            buffer: vec![0; BUFFER],
            begin: 0,
            end: 0,
            offset: 0,
            number: 0,
            until: share.until.unwrap_or(u64::MAX),
            inside: share.inside,
        }
    }

    /// The next line; `None` at the end of the share.
    ///
    /// # Errors
    ///
    /// Those of the input, and [`Refusal::Endless`] inside an error of kind `InvalidData`.
    pub fn next_line(&mut self) -> io::Result<Option<Line<'_>>> {
        if self.inside {
            self.inside = false;
            self.skip_line(0)?;
        }
        if self.offset >= self.until {
            return Ok(None);
        }
        let mut searched = 0;
        let length = loop {
            let rest = self.buffer.get(self.begin + searched..self.end).unwrap_or_default();
            if let Some(at) = memchr(b'\n', rest) {
                break Some(searched + at);
            }
            searched = self.end - self.begin;
            if searched > LINE_MAX + 1 {
                break None;
            }
            if !self.fill()? {
                if searched == 0 {
                    return Ok(None);
                }
                break Some(searched);
            }
        };
        let Some(length) = length else {
            let ended = self.skip_line(0)?;
            self.number += 1;
            return Ok(Some(Line {
                number: self.number,
                bytes: None,
                ended,
            }));
        };
        self.number += 1;
        let begin = self.begin;
        let ended = begin + length < self.end;
        let taken = length + usize::from(ended);
        self.begin += taken;
        self.offset += taken as u64;
        let text = self.buffer.get(begin..begin + length).unwrap_or_default();
        let text = if ended {
            text.strip_suffix(b"\r").unwrap_or(text)
        } else {
            text
        };
        Ok(Some(Line {
            number: self.number,
            bytes: (text.len() <= LINE_MAX).then_some(text),
            ended,
        }))
    }

    /// Goes to behind the next line end; whether there was one.
    fn skip_line(&mut self, mut skipped: u64) -> io::Result<bool> {
        loop {
            let rest = self.buffer.get(self.begin..self.end).unwrap_or_default();
            let end = memchr(b'\n', rest);
            let taken = end.map_or(rest.len(), |at| at + 1);
            self.begin += taken;
            self.offset += taken as u64;
            skipped += taken as u64;
            if end.is_some() {
                return Ok(true);
            }
            if skipped > ENDLESS {
                return Err(io::Error::new(io::ErrorKind::InvalidData, Refusal::Endless));
            }
            if !self.fill()? {
                return Ok(false);
            }
        }
    }

    /// Reads on; false at the end of the input.
    fn fill(&mut self) -> io::Result<bool> {
        if self.begin > 0 {
            self.buffer.copy_within(self.begin..self.end, 0);
            self.end -= self.begin;
            self.begin = 0;
        }
        loop {
            match self.input.read(self.buffer.get_mut(self.end..).unwrap_or_default()) {
                Ok(0) => return Ok(false),
                Ok(count) => {
                    self.end += count;
                    return Ok(true);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Lines given so far.
    pub const fn number(&self) -> u64 {
        self.number
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Gives few bytes at a time.
    struct Drip<'a>(&'a [u8], usize);

    impl Read for Drip<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let most = into.len().min(self.1);
            self.0.read(&mut into[..most])
        }
    }

    fn all(input: impl Read, share: Share) -> Vec<(Option<Vec<u8>>, bool)> {
        let mut lines = Lines::new(input, share);
        let mut all = Vec::new();
        while let Some(line) = lines.next_line().unwrap() {
            all.push((line.bytes.map(<[u8]>::to_vec), line.ended));
            assert_eq!(line.number, all.len() as u64);
        }
        all
    }

    #[test]
    fn a_long_line_costs_itself_and_an_endless_one_the_file() {
        let mut text = vec![b'x'; 3 * LINE_MAX];
        text.extend_from_slice(b"\r\nok\r\ntorn\r");
        let want = [
            (None, true),
            (Some(b"ok".to_vec()), true),
            (Some(b"torn\r".to_vec()), false),
        ];
        assert_eq!(all(&text[..], Share::default()), want);
        assert_eq!(all(Drip(&text, 1000), Share::default()), want);
        let mut endless = Lines::new(io::repeat(b'x'), Share::default());
        let error = endless.next_line().unwrap_err();
        assert_eq!(error.to_string(), "a line of more than 16 MiB: not a table of lines");
    }

    proptest! {
        #[test]
        fn shares_have_each_line_once(text in "[ab\r\n]{0,60}", cuts in proptest::collection::vec(0usize..60, 0..4), drip in 1usize..9) {
            let text = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let mut found = Vec::new();
            for pair in cuts.windows(2) {
                let (begin, end) = (pair[0], pair[1]);
                // As a share of a file is read: from one byte before.
                let from = begin.saturating_sub(1);
                let share = Share { inside: begin > 0, until: Some((end - from) as u64) };
                found.extend(all(Drip(&text[from..], drip), share));
            }
            prop_assert_eq!(found, all(text, Share::default()));
        }
    }
}
