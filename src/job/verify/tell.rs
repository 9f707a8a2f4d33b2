//! The results of a check, for people or for programs.

use std::io::{self, Write};
use std::ops::RangeInclusive;

use serde::Serialize;
use wire::metainfo::{Torrent, Verdict};

use super::judge::{Findings, State};
use super::place::Place;
use crate::report::{plain, thousands};

/// Runs of pieces shown of one file; a badly damaged one has thousands.
const MAX_RUNS: usize = 8;

/// What it took.
pub(super) struct Took {
    /// For people.
    pub(super) words: String,
    pub(super) seconds: f64,
    /// Bytes of files that were to be looked at.
    pub(super) bytes: u64,
}

/// All that there is to say.
pub(super) struct Report<'a> {
    pub(super) torrent: &'a Torrent,
    pub(super) findings: &'a Findings<'a>,
    pub(super) places: &'a [Place],
    pub(super) took: &'a Took,
}

/// A file, for programs.
#[derive(Serialize)]
struct File<'a> {
    file: &'a str,
    length: u64,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    /// First and last of each run.
    bad_pieces: Vec<[u64; 2]>,
    absent_pieces: Vec<[u64; 2]>,
}

/// The last line, for programs.
#[derive(Serialize)]
struct Summary {
    #[serde(skip_serializing_if = "Option::is_none")]
    infohash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    infohash_v2: Option<String>,
    ok: bool,
    files: usize,
    files_ok: usize,
    pieces: u64,
    good: u64,
    bad: u64,
    absent: u64,
    unchecked: u64,
    bytes: u64,
    seconds: f64,
}

impl Report<'_> {
    /// How many files are right.
    pub(super) fn right(&self) -> usize {
        let states = self.places.iter().enumerate();
        states
            .filter(|(file, place)| self.findings.state(*file, place).is_right())
            .count()
    }

    /// A line for each file that is not right (with `all`, for each), and a summary.
    pub(super) fn text(&self, all: bool, out: &mut impl Write) -> io::Result<()> {
        for (file, place) in self.places.iter().enumerate() {
            let state = self.findings.state(file, place);
            if all || !state.is_right() {
                writeln!(out, "{}", self.line(file, place, &state))?;
            }
        }
        let counts = self.findings.counts();
        let (files, pieces) = (self.places.len() as u64, self.torrent.info.piece_count);
        let mut line = format!(
            "{} of {} files and {} of {} pieces are right",
            thousands(self.right() as u64),
            thousands(files),
            thousands(counts.good),
            thousands(pieces)
        );
        for (count, what) in [
            (counts.bad, "damaged"),
            (counts.absent, "not there"),
            (counts.unchecked, "not looked at"),
        ] {
            if count > 0 {
                line = format!("{line}, {} {what}", thousands(count));
            }
        }
        writeln!(out, "{line}; {}", self.took.words)?;
        out.flush()
    }

    fn line(&self, file: usize, place: &Place, state: &State) -> String {
        let what = match state {
            State::Good => "ok".to_owned(),
            State::Looked => "looked at".to_owned(),
            State::Damaged => "damaged".to_owned(),
            State::Missing => "missing".to_owned(),
            State::NotAFile => "not a file".to_owned(),
            State::Short(found) => format!("short, {} of {} B", thousands(*found), thousands(place.length)),
            State::Long(found) => format!(
                "too long, {} instead of {} B",
                thousands(*found),
                thousands(place.length)
            ),
            State::Unreadable(reason) => format!("unreadable, {reason}"),
            State::Unproven => "shares a piece with a file that is not there".to_owned(),
        };
        let mut line = format!("{}: {what}", plain(place.name.as_bytes()));
        let runs = self.findings.pieces(file, &[Verdict::Bad, Verdict::Absent]);
        if !runs.is_empty() {
            line = format!("{line}; {}", pieces(&runs));
        }
        line
    }

    /// A line for each file, and a summary.
    pub(super) fn json(&self, out: &mut impl Write) -> io::Result<()> {
        for (file, place) in self.places.iter().enumerate() {
            let state = self.findings.state(file, place);
            put(&self.file(file, place, &state), out)?;
        }
        let (right, counts) = (self.right(), self.findings.counts());
        let summary = Summary {
            infohash: self.torrent.info_hash_v1().map(|hash| hash.to_string()),
            infohash_v2: self.torrent.info_hash_v2().map(|hash| hash.to_string()),
            ok: right == self.places.len(),
            files: self.places.len(),
            files_ok: right,
            pieces: self.torrent.info.piece_count,
            good: counts.good,
            bad: counts.bad,
            absent: counts.absent,
            unchecked: counts.unchecked,
            bytes: self.took.bytes,
            seconds: self.took.seconds,
        };
        put(&summary, out)?;
        out.flush()
    }

    fn file<'b>(&self, file: usize, place: &'b Place, state: &'b State) -> File<'b> {
        let ends = |verdict| {
            let runs = self.findings.pieces(file, &[verdict]);
            runs.iter().map(|run| [*run.start(), *run.end()]).collect()
        };
        File {
            file: &place.name,
            length: place.length,
            state: state.name(),
            found: match state {
                State::Short(found) | State::Long(found) => Some(*found),
                _ => None,
            },
            reason: match state {
                State::Unreadable(reason) => Some(reason),
                _ => None,
            },
            bad_pieces: ends(Verdict::Bad),
            absent_pieces: ends(Verdict::Absent),
        }
    }
}

fn put(line: &impl Serialize, out: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")
}

/// `piece 3`, `pieces 3-5, 9`.
fn pieces(runs: &[RangeInclusive<u64>]) -> String {
    let run = |run: &RangeInclusive<u64>| {
        if run.start() == run.end() {
            run.start().to_string()
        } else {
            format!("{}-{}", run.start(), run.end())
        }
    };
    let shown: Vec<_> = runs.iter().take(MAX_RUNS).map(run).collect();
    let word = match runs {
        [only] if only.start() == only.end() => "piece",
        _ => "pieces",
    };
    let text = format!("{word} {}", shown.join(", "));
    match runs.len().saturating_sub(MAX_RUNS) {
        0 => text,
        more => format!("{text} and {more} more runs"),
    }
}

#[cfg(test)]
mod tests {
    use super::pieces;

    #[test]
    fn runs_of_pieces_are_short() {
        assert_eq!(pieces(&[3..=3]), "piece 3");
        assert_eq!(pieces(&[3..=5, 9..=9]), "pieces 3-5, 9");
        let many: Vec<_> = (0..10).map(|at| at * 2..=at * 2).collect();
        assert_eq!(pieces(&many), "pieces 0, 2, 4, 6, 8, 10, 12, 14 and 2 more runs");
    }
}
