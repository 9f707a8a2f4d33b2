//! Counts lines as they pass.

use std::collections::BTreeSet;
use std::hash::Hasher;
use std::ops::Range;

use memchr::memchr_iter;
use siphasher::sip128::{Hasher128, SipHasher24};

use super::keys::{self, FIELD, Keys, OK, ROW};
use crate::hex;
use crate::read::{ENDLESS, Form, Layout, Refusal, SHOWN};

/// What was counted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Figures {
    /// Line ends, as `wc -l` counts.
    pub lines: u64,
    /// Lines that end with `,True`, as `grep ",True$" | wc -l` counts.
    pub true_lines: u64,
    /// Different first fields, as `cut -d',' -f1 | sort -u | wc -l` counts.
    pub first_fields: u64,
    /// Rows.
    pub rows: u64,
    /// Rows that say `True`.
    pub rows_with_metadata: u64,
    /// Rows that name no peer.
    pub rows_without_peer: u64,
    /// Different infohashes of rows.
    pub infohashes: u64,
    /// Of these, those that have a row that says `True`.
    pub infohashes_with_metadata: u64,
    /// Headers.
    pub headers: u64,
    /// Lines that are neither row nor header nor empty.
    pub not_rows: u64,
    /// The first of them.
    pub first_not_rows: Vec<NotRow>,
}

/// A line that is no row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotRow {
    /// Its number, from 1.
    pub line: u64,
    /// Why.
    pub why: Why,
}

/// Why a line is no row.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Why {
    /// The first field is no infohash.
    #[error("does not begin with an infohash")]
    Begin,
    /// The last field is no flag.
    #[error("does not end with True or False")]
    End,
    /// The same, of a last line that has no end.
    #[error("torn: the file ends before the line does")]
    Torn,
}

/// Counts a stretch of whole lines, given in pieces of any size. Counters of stretches that follow one another add up ([`Counter::join`]).
///
/// Memory: up to 48 bytes for each infohash, or 100 MB if that is more; 16 for each other first field; the longest line.
#[derive(Debug)]
pub struct Counter {
    figures: Figures,
    /// Ours, then those of stretches that were joined.
    keys: Vec<Keys>,
    /// First fields that are not 40 small hex digits, by a hash of 128 bits.
    others: BTreeSet<u128>,
    /// A line whose end is still to come.
    torn: Vec<u8>,
    /// What the line before began with, if it was an infohash and a comma.
    before: Option<hex::Digits>,
    run: Run,
    secret: [u64; 2],
}

/// Lines after one another that begin with the same 40 hex digits and a comma: marked at the end of the run.
#[derive(Clone, Copy, Debug)]
struct Run {
    key: hex::Key,
    /// 0 is none to be marked.
    marks: u32,
}

const NO_RUN: Run = Run {
    key: (0, 0, 0),
    marks: 0,
};

impl Counter {
    /// `secret` is nobody's to foresee, and the same in counters that are joined.
    /// With room for about so many infohashes from the start.
    pub fn new(secret: [u64; 2], room: usize) -> Self {
        Self {
            figures: Figures::default(),
            keys: vec![Keys::new(secret, room)],
            others: BTreeSet::new(),
            torn: Vec::new(),
            before: None,
            run: NO_RUN,
            secret,
        }
    }

    /// The next bytes.
    ///
    /// # Errors
    ///
    /// [`Refusal::Endless`] for a line of more than [`ENDLESS`] bytes.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        let mut begin = 0;
        let mut ends = memchr_iter(b'\n', bytes);
        if !self.torn.is_empty()
            && let Some(end) = ends.next()
        {
            self.torn.extend_from_slice(bytes.get(..end).unwrap_or_default());
            let line = std::mem::take(&mut self.torn);
            self.line(&line, true);
            begin = end + 1;
        }
        for end in ends {
            self.line(bytes.get(begin..end).unwrap_or_default(), true);
            begin = end + 1;
        }
        self.torn.extend_from_slice(bytes.get(begin..).unwrap_or_default());
        if self.torn.len() as u64 > ENDLESS {
            return Err(Refusal::Endless);
        }
        Ok(())
    }

    /// Lines so far.
    pub const fn lines(&self) -> u64 {
        self.figures.lines
    }

    /// Adds what was counted of the stretch that follows.
    pub fn join(&mut self, mut next: Self) {
        // Only the last of all stretches may end within a line.
        self.close();
        next.close();
        let (ours, theirs) = (&mut self.figures, next.figures);
        let before = ours.lines;
        for (our, their) in [
            (&mut ours.lines, theirs.lines),
            (&mut ours.true_lines, theirs.true_lines),
            (&mut ours.rows, theirs.rows),
            (&mut ours.rows_with_metadata, theirs.rows_with_metadata),
            (&mut ours.rows_without_peer, theirs.rows_without_peer),
            (&mut ours.headers, theirs.headers),
            (&mut ours.not_rows, theirs.not_rows),
        ] {
            *our += their;
        }
        for mut not_row in theirs.first_not_rows {
            not_row.line += before;
            note(&mut ours.first_not_rows, not_row);
        }
        self.others.append(&mut next.others);
        self.keys.append(&mut next.keys);
    }

    /// What was counted; a last line without its end is counted now.
    pub fn finish(self) -> Figures {
        let ended = self.end();
        let all = ended.kinds(0..Ended::PARTS);
        ended.figures(&[all])
    }

    /// No more comes. A last line without its end is counted now.
    pub fn end(mut self) -> Ended {
        self.close();
        Ended(self)
    }

    fn close(&mut self) {
        if !self.torn.is_empty() {
            let line = std::mem::take(&mut self.torn);
            self.line(&line, false);
        }
        self.end_run();
    }

    fn mark(&mut self, key: hex::Key, marks: u32) {
        if let Some(keys) = self.keys.first_mut() {
            keys.mark(key, marks);
        }
    }

    fn end_run(&mut self) {
        if self.run.marks != 0 {
            self.mark(self.run.key, self.run.marks);
        }
        self.run = NO_RUN;
    }

    /// A line without its `\n`.
    fn line(&mut self, line: &[u8], ended: bool) {
        let figures = &mut self.figures;
        figures.lines += u64::from(ended);
        figures.true_lines += u64::from(line.ends_with(b",True"));
        let digits = hex::digits(line).filter(|_| line.get(40) == Some(&b','));
        match (digits, self.before) {
            (Some(digits), Some(before)) if hex::are_same(&digits, &before) => self.body(line, ended),
            _ => self.other_line(line, digits, ended),
        }
    }

    /// A line that does not begin as the one before; its digits, if there may be some and a comma behind them.
    fn other_line(&mut self, line: &[u8], digits: Option<hex::Digits>, ended: bool) {
        self.end_run();
        self.before = None;
        if let Some(digits) = digits
            && let Some((key, small)) = hex::key_of(&digits)
        {
            self.before = Some(digits);
            self.run = Run {
                key,
                marks: if small { FIELD } else { 0 },
            };
            if !small {
                self.other_field(line.get(..40).unwrap_or_default());
            }
            return self.body(line, ended);
        }
        let field = line.split(|byte| *byte == b',').next().unwrap_or_default();
        match hex::digits(field).and_then(|digits| hex::key_of(&digits)) {
            Some((key, true)) if field.len() == 40 => self.mark(key, FIELD),
            _ => self.other_field(field),
        }
        let text = line.strip_suffix(b"\r").unwrap_or(line);
        if is_header(text) {
            self.figures.headers += 1;
        } else if !text.is_empty() {
            self.not_row(Why::Begin, ended);
        }
    }

    /// A line of the run.
    fn body(&mut self, line: &[u8], ended: bool) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let (left, ok) = if let Some(left) = line.strip_suffix(b",True") {
            (left, OK)
        } else if let Some(left) = line.strip_suffix(b",False") {
            (left, 0)
        } else {
            return self.not_row(Why::End, ended);
        };
        self.run.marks |= ROW | ok;
        self.figures.rows += 1;
        self.figures.rows_with_metadata += u64::from(ok != 0);
        self.figures.rows_without_peer += u64::from(left.ends_with(b",,"));
    }

    fn not_row(&mut self, why: Why, ended: bool) {
        let (line, why) = if ended {
            (self.figures.lines, why)
        } else {
            (self.figures.lines + 1, Why::Torn)
        };
        self.figures.not_rows += 1;
        note(&mut self.figures.first_not_rows, NotRow { line, why });
    }

    fn other_field(&mut self, field: &[u8]) {
        let mut hasher = SipHasher24::new_with_keys(self.secret[0], self.secret[1]);
        hasher.write(field);
        self.others.insert(hasher.finish128().as_u128());
    }
}

/// All is counted but how many infohashes are different: that is asked part by part, by as many threads as there are.
#[derive(Debug)]
pub struct Ended(Counter);

/// Of the infohashes of some parts: those that are first fields, that have rows, that have a row with metadata.
#[derive(Clone, Copy, Debug)]
pub struct Kinds([u64; 3]);

impl Ended {
    /// Parts that there are.
    pub const PARTS: usize = keys::PARTS;

    /// Counts the infohashes of some parts.
    pub fn kinds(&self, parts: Range<usize>) -> Kinds {
        Kinds(keys::counts(&self.0.keys, parts, [FIELD, ROW, ROW | OK]))
    }

    /// All figures; `kinds` are those of all parts.
    pub fn figures(self, kinds: &[Kinds]) -> Figures {
        let Counter {
            mut figures, others, ..
        } = self.0;
        let [fields, infohashes, ok] =
            [0, 1, 2].map(|kind: usize| kinds.iter().filter_map(|Kinds(of)| of.get(kind)).sum::<u64>());
        figures.first_fields = fields + others.len() as u64;
        figures.infohashes = infohashes;
        figures.infohashes_with_metadata = ok;
        figures
    }
}

fn note(first: &mut Vec<NotRow>, not_row: NotRow) {
    if first.len() < SHOWN {
        first.push(not_row);
    }
}

/// A header of `metadata.txt`, with a byte order mark or without.
fn is_header(line: &[u8]) -> bool {
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    line.starts_with(b"infohash")
        && std::str::from_utf8(line)
            .ok()
            .and_then(|line| Layout::of(line).ok())
            .is_some_and(|layout| layout.form == Form::Metadata)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The recipes, in plain words.
    fn recipes(bytes: &[u8]) -> (u64, u64, u64) {
        let mut lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
        let ends = lines.len() as u64 - 1;
        if lines.last().is_some_and(|last| last.is_empty()) {
            lines.pop();
        }
        let ok = lines.iter().filter(|line| line.ends_with(b",True")).count() as u64;
        let fields: BTreeSet<_> = lines
            .iter()
            .map(|line| line.split(|byte| *byte == b',').next())
            .collect();
        (ends, ok, fields.len() as u64)
    }

    proptest! {
        #[test]
        fn any_lines_in_any_pieces_are_counted_as_the_recipes_do(
            lines in proptest::collection::vec("((0{39}[0-3a-cA-C](,|x)?)|x|)(,,0,0,0,,)?(,True|,False|,Tru|)\r?", 0..12),
            ended: bool, pieces in 1usize..40, at in 0usize..12,
        ) {
            let mut text = lines.join("\n");
            if ended && !text.is_empty() {
                text.push('\n');
            }
            let feed = |text: &[u8]| {
                let mut counter = Counter::new([3, 5], 0);
                for piece in text.chunks(pieces) {
                    counter.feed(piece).unwrap();
                }
                counter
            };
            let figures = feed(text.as_bytes()).finish();
            prop_assert_eq!((figures.lines, figures.true_lines, figures.first_fields), recipes(text.as_bytes()));
            // The same in two stretches that join where a line begins.
            let cut = lines.iter().take(at).map(|line| line.len() + 1).sum::<usize>().min(text.len());
            let (left, right) = text.as_bytes().split_at(cut);
            let mut joined = feed(left);
            joined.join(feed(right));
            prop_assert_eq!(joined.finish(), figures);
        }
    }
}
