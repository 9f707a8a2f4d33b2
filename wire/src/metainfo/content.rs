//! Where the bytes of pieces lie: pieces as parts of files and of padding.
//!
//! Files stand one after another in v1; in v2 each begins a piece of its own, and what lies between is padding that
//! nobody hashes (BEP 52). A hybrid has the same gaps, filled by padding files.

use std::ops::Range;

use super::info::{Info, Version};

/// One file or padding, whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Extent {
    offset: u64,
    length: u64,
    file: Option<usize>,
}

impl Extent {
    const fn end(&self) -> u64 {
        self.offset.saturating_add(self.length)
    }
}

/// A stretch of one file, or of padding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Part {
    /// Which file, counted in the torrent's order without padding; `None` is padding, which is zeros.
    pub file: Option<usize>,
    /// Where it begins in that file, bytes.
    pub at: u64,
    /// Bytes.
    pub length: u64,
}

/// The content of a torrent, to be cut into pieces.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Content {
    version: Version,
    piece_length: u64,
    /// Without empty ones; in order and without a gap.
    extents: Vec<Extent>,
    /// Length of each file, padding left out, empty ones kept.
    lengths: Vec<u64>,
    /// Where each file begins.
    offsets: Vec<u64>,
    /// Where the last file ends.
    span: u64,
}

impl Content {
    /// The content that an info dictionary describes. One without a piece length has no pieces.
    pub fn of(info: &Info) -> Self {
        let files = info.files().map(|file| (file.length, file.pad));
        Self::new(info.version, info.piece_length, files)
    }

    /// Lays out files, each given by its length and whether it is padding.
    pub(super) fn new(version: Version, piece_length: u64, files: impl Iterator<Item = (u64, bool)>) -> Self {
        let mut content = Self {
            version,
            piece_length,
            extents: Vec::new(),
            lengths: Vec::new(),
            offsets: Vec::new(),
            span: 0,
        };
        for (length, pad) in files {
            // Here nothing fills the gaps, but pieces count through them.
            if version == Version::V2 {
                let aligned = content.span.checked_next_multiple_of(piece_length.max(1));
                let gap = aligned.map_or(0, |aligned| aligned - content.span);
                if length > 0 {
                    content.push(gap, None);
                }
            }
            let file = (!pad).then_some(content.lengths.len());
            if file.is_some() {
                content.lengths.push(length);
                content.offsets.push(content.span);
            }
            content.push(length, file);
        }
        content
    }

    fn push(&mut self, length: u64, file: Option<usize>) {
        if length > 0 {
            let offset = self.span;
            self.extents.push(Extent { offset, length, file });
            self.span = self.span.saturating_add(length);
        }
    }

    /// v1, v2 or both: which hashes the pieces have.
    pub const fn version(&self) -> Version {
        self.version
    }

    /// Bytes of every piece but those that end the content or, in v2, a file.
    pub const fn piece_length(&self) -> u64 {
        self.piece_length
    }

    /// Pieces, counted through all files as peers number them.
    pub const fn piece_count(&self) -> u64 {
        if self.piece_length == 0 {
            return 0;
        }
        self.span.div_ceil(self.piece_length)
    }

    /// Files, padding left out.
    pub const fn file_count(&self) -> usize {
        self.lengths.len()
    }

    /// Bytes of a file; 0 if there is no such file.
    pub fn file_length(&self, file: usize) -> u64 {
        self.lengths.get(file).copied().unwrap_or_default()
    }

    /// The pieces that have bytes of a file; none if it is empty.
    pub fn pieces_of(&self, file: usize) -> Range<u64> {
        let (offset, length) = (
            self.offsets.get(file).copied().unwrap_or_default(),
            self.file_length(file),
        );
        if length == 0 || self.piece_length == 0 {
            return 0..0;
        }
        let end = offset.saturating_add(length).div_ceil(self.piece_length);
        offset / self.piece_length..end
    }

    /// The parts of these pieces, in order.
    pub fn parts(&self, pieces: Range<u64>) -> impl Iterator<Item = Part> {
        let start = pieces.start.saturating_mul(self.piece_length);
        let end = pieces.end.saturating_mul(self.piece_length).min(self.span);
        let first = self.extents.partition_point(|extent| extent.end() <= start);
        let met = self.extents.iter().skip(first);
        met.take_while(move |extent| extent.offset < end).map(move |extent| {
            let from = extent.offset.max(start);
            Part {
                file: extent.file,
                at: from - extent.offset,
                length: extent.end().min(end) - from,
            }
        })
    }

    /// All pieces, in runs of about `goal` bytes, one piece at the least.
    pub fn runs(&self, goal: u64) -> impl Iterator<Item = Range<u64>> + use<> {
        let count = self.piece_count();
        let step = (goal / self.piece_length.max(1)).max(1);
        let starts = std::iter::successors(Some(0), move |start: &u64| start.checked_add(step));
        starts
            .take_while(move |start| *start < count)
            .map(move |start| start..start.saturating_add(step).min(count))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn content(version: Version, files: &[(u64, bool)]) -> Content {
        Content::new(version, 16, files.iter().copied())
    }

    fn part(file: Option<usize>, at: u64, length: u64) -> Part {
        Part { file, at, length }
    }

    #[test]
    fn a_v1_piece_goes_across_files() {
        let content = content(Version::V1, &[(10, false), (0, false), (20, false), (4, true)]);
        assert_eq!(content.piece_count(), 3);
        let parts: Vec<_> = content.parts(0..1).collect();
        assert_eq!(parts, [part(Some(0), 0, 10), part(Some(2), 0, 6)]);
        let parts: Vec<_> = content.parts(1..3).collect();
        assert_eq!(parts, [part(Some(2), 6, 14), part(None, 0, 4)]);
        assert_eq!([0, 1, 2].map(|file| content.pieces_of(file)), [0..1, 0..0, 0..2]);
    }

    #[test]
    fn each_v2_file_begins_a_piece() {
        let content = content(Version::V2, &[(10, false), (0, false), (20, false)]);
        assert_eq!(content.piece_count(), 3);
        let parts: Vec<_> = content.parts(0..9).collect();
        assert_eq!(parts, [part(Some(0), 0, 10), part(None, 0, 6), part(Some(2), 0, 20)]);
        assert_eq!(content.pieces_of(2), 1..3);
    }

    proptest! {
        #[test]
        fn runs_of_pieces_cover_every_byte_once(
            lengths in proptest::collection::vec((0u64..100, any::<bool>()), 1..20),
            goal in 1u64..100,
        ) {
            for version in [Version::V1, Version::V2, Version::Hybrid] {
                let content = content(version, &lengths);
                let mut ends = vec![0; content.file_count()];
                for run in content.runs(goal) {
                    for part in content.parts(run) {
                        if let Some(file) = part.file {
                            prop_assert_eq!(part.at, ends[file]);
                            ends[file] += part.length;
                        }
                    }
                }
                let lengths: Vec<_> = (0..content.file_count()).map(|file| content.file_length(file)).collect();
                prop_assert_eq!(ends, lengths);
            }
        }
    }
}
