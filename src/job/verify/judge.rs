//! What the pieces say of the files.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use host::Gap;
use wire::merkle::Hash;
use wire::metainfo::{Expected, PieceHashes, Verdict};

use super::place::{Place, Stands};

/// What is to be said of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// All there and right.
    Good,
    /// Its size is right, and so are the pieces that were looked at.
    Looked,
    /// Bytes of it, or of a neighbour with which it shares a piece, are wrong.
    Damaged,
    /// There is no file.
    Missing,
    /// Something that is no file is in its place.
    NotAFile,
    /// It ends too early: so many bytes are there.
    Short(u64),
    /// More bytes than the torrent has: so many are there.
    Long(u64),
    /// It could not be read, and why.
    Unreadable(String),
    /// It shares a piece with a file that is not there, so nobody can say.
    Unproven,
}

impl State {
    /// One word for programs.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Looked => "looked",
            Self::Damaged => "damaged",
            Self::Missing => "missing",
            Self::NotAFile => "not_a_file",
            Self::Short(_) => "short",
            Self::Long(_) => "long",
            Self::Unreadable(_) => "unreadable",
            Self::Unproven => "unproven",
        }
    }

    /// Whether nothing speaks against it.
    pub(super) const fn is_right(&self) -> bool {
        matches!(self, Self::Good | Self::Looked)
    }
}

/// Counts of pieces.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Counts {
    pub(super) good: u64,
    pub(super) bad: u64,
    /// Bytes of them are not there.
    pub(super) absent: u64,
    /// Not looked at.
    pub(super) unchecked: u64,
}

/// What was found out so far.
pub(super) struct Findings<'a> {
    expected: &'a Expected,
    /// Of each piece; none until it is known.
    verdicts: Vec<Option<Verdict>>,
    /// Nodes of pieces that have no hash of their own in the torrent.
    nodes: BTreeMap<u64, Hash>,
    /// Why a file could not be read.
    faults: BTreeMap<usize, String>,
}

impl<'a> Findings<'a> {
    pub(super) fn new(expected: &'a Expected) -> Self {
        let count = usize::try_from(expected.content().piece_count()).unwrap_or(usize::MAX);
        Self {
            expected,
            verdicts: vec![None; count],
            nodes: BTreeMap::new(),
            faults: BTreeMap::new(),
        }
    }

    /// Takes the hashes of pieces from `first` on.
    pub(super) fn take(&mut self, first: u64, pieces: &[PieceHashes], gap: Option<(usize, Gap)>) {
        for (piece, hashes) in (first..).zip(pieces) {
            let verdict = self.expected.judge(piece, hashes);
            if let (Verdict::Untold, Some(node)) = (verdict, hashes.v2) {
                self.nodes.insert(piece, node);
            }
            if let Some(slot) = self.slot(piece) {
                *slot = Some(verdict);
            }
        }
        if let Some((file, Gap::Fault(fault))) = gap {
            self.faults.entry(file).or_insert_with(|| fault.to_string());
        }
    }

    fn slot(&mut self, piece: u64) -> Option<&mut Option<Verdict>> {
        usize::try_from(piece)
            .ok()
            .and_then(|piece| self.verdicts.get_mut(piece))
    }

    fn verdict(&self, piece: u64) -> Option<Verdict> {
        let verdict = usize::try_from(piece).ok().and_then(|piece| self.verdicts.get(piece));
        verdict.copied().flatten()
    }

    /// Judges files of which only the whole can be judged, once all pieces are known.
    pub(super) fn settle(&mut self) {
        let content = self.expected.content();
        for file in 0..content.file_count() {
            let pieces = content.pieces_of(file);
            let nodes: Option<Vec<Hash>> = pieces.clone().map(|piece| self.nodes.get(&piece).copied()).collect();
            // One piece that is absent, or was not looked at, leaves the others unknown.
            let verdict = nodes.map(|nodes| self.expected.whole_file(file, &nodes));
            for piece in pieces {
                if let Some(slot) = self.slot(piece)
                    && *slot == Some(Verdict::Untold)
                {
                    *slot = verdict;
                }
            }
        }
    }

    /// Counts the pieces, once they are settled.
    pub(super) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for verdict in &self.verdicts {
            match verdict {
                Some(Verdict::Good) => counts.good += 1,
                Some(Verdict::Bad) => counts.bad += 1,
                Some(Verdict::Absent) => counts.absent += 1,
                None | Some(Verdict::Untold) => counts.unchecked += 1,
            }
        }
        counts
    }

    /// Runs of pieces of a file that have one of these verdicts.
    pub(super) fn pieces(&self, file: usize, wanted: &[Verdict]) -> Vec<RangeInclusive<u64>> {
        let mut runs: Vec<RangeInclusive<u64>> = Vec::new();
        for piece in self.expected.content().pieces_of(file) {
            if !self.verdict(piece).is_some_and(|verdict| wanted.contains(&verdict)) {
                continue;
            }
            match runs.last_mut() {
                Some(run) if *run.end() + 1 == piece => *run = *run.start()..=piece,
                _ => runs.push(piece..=piece),
            }
        }
        runs
    }

    /// What is to be said of a file, once its pieces are settled.
    pub(super) fn state(&self, file: usize, place: &Place) -> State {
        if let Some(fault) = self.faults.get(&file) {
            return State::Unreadable(fault.clone());
        }
        let found = match place.stands {
            Stands::Link => return State::Good,
            Stands::Nothing => return State::Missing,
            Stands::Other => return State::NotAFile,
            Stands::File(found) if found < place.length => return State::Short(found),
            Stands::File(found) => found,
        };
        let pieces = self.expected.content().pieces_of(file);
        let has = |wanted| pieces.clone().any(|piece| self.verdict(piece) == wanted);
        if has(Some(Verdict::Bad)) {
            State::Damaged
        } else if found > place.length {
            State::Long(found)
        } else if has(Some(Verdict::Absent)) {
            State::Unproven
        } else if has(None) {
            State::Looked
        } else {
            State::Good
        }
    }
}
