//! Which file of a web seed a byte of the torrent is in, and the URL of that file (BEP 19).

use std::ops::Range;

use wire::tracker::http::escape;

/// A file of a torrent, as the info dictionary has it: paths not made safe for any disk, since the server has the original ones.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WebFile<'a> {
    /// Where it begins in the torrent, bytes.
    pub offset: u64,
    /// Bytes.
    pub length: u64,
    /// Whether it is padding (BEP 47): zeros, which no server has.
    pub is_pad: bool,
    /// Its path below the torrent's name; empty if the torrent is this single file.
    pub path: &'a [&'a [u8]],
}

/// The files of one torrent, for all its web seeds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WebFiles {
    /// The torrent's name, as part of a URL.
    name: Vec<u8>,
    is_single: bool,
    /// By offset; without empty ones.
    files: Vec<Placed>,
    total: u64,
    piece_length: u64,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Placed {
    offset: u64,
    length: u64,
    is_pad: bool,
    /// Path below the torrent's name, as part of a URL.
    path: Vec<u8>,
}

/// A piece of work: bytes of the torrent that lie in one file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Part {
    /// Which file, by its place among those that are not empty.
    pub(super) file: usize,
    /// In the torrent.
    pub(super) bytes: Range<u64>,
    /// Where the file begins in the torrent.
    pub(super) file_offset: u64,
    /// Of the file.
    pub(super) file_length: u64,
    pub(super) is_pad: bool,
}

impl WebFiles {
    /// `files` in the order of the torrent, one after the other; `is_single` if the torrent is one file without a folder.
    /// A piece length of 0 counts as 1.
    pub fn new(name: &[u8], is_single: bool, piece_length: u64, files: &[WebFile<'_>]) -> Self {
        let placed = files.iter().filter(|file| file.length > 0).map(|file| {
            let mut path = Vec::new();
            for part in file.path {
                if !path.is_empty() {
                    path.push(b'/');
                }
                escape(part, &mut path);
            }
            Placed {
                offset: file.offset,
                length: file.length,
                is_pad: file.is_pad,
                path,
            }
        });
        let files: Vec<_> = placed.collect();
        let mut escaped = Vec::new();
        escape(name, &mut escaped);
        Self {
            name: escaped,
            is_single,
            total: files.last().map_or(0, |file| file.offset.saturating_add(file.length)),
            files,
            piece_length: piece_length.max(1),
        }
    }

    /// Bytes of a piece but for the last.
    pub(super) const fn piece_length(&self) -> u64 {
        self.piece_length
    }

    /// How many files there are to ask for, empty ones and padding aside.
    pub(super) fn count(&self) -> usize {
        self.files.iter().filter(|file| !file.is_pad).count()
    }

    /// The bytes of so many pieces.
    pub(super) fn bytes_of(&self, from: u32, pieces: u32) -> Range<u64> {
        let edge = |piece: u64| piece.saturating_mul(self.piece_length).min(self.total);
        edge(u64::from(from))..edge(u64::from(from) + u64::from(pieces))
    }

    /// The block that byte `at` is in: its piece, where it begins in that, and its bytes in the torrent.
    pub(super) fn block_at(&self, at: u64) -> (u32, u32, Range<u64>) {
        let piece = at / self.piece_length;
        let start = piece * self.piece_length;
        let block = (at - start) / u64::from(crate::BLOCK) * u64::from(crate::BLOCK);
        let piece_end = start.saturating_add(self.piece_length).min(self.end_at(at));
        let bytes = start + block..(start + block + u64::from(crate::BLOCK)).min(piece_end);
        (
            u32::try_from(piece).unwrap_or(u32::MAX),
            u32::try_from(block).unwrap_or(u32::MAX),
            bytes,
        )
    }

    /// The first byte after `at` that is no file's, as far as is known of what follows: in v2 the end of the file, behind which
    /// the next one begins with a piece of its own; else that of the torrent.
    fn end_at(&self, at: u64) -> u64 {
        let index = self
            .files
            .partition_point(|file| file.offset.saturating_add(file.length) <= at);
        match self.files.get(index..).unwrap_or_default() {
            [file, next, ..] if next.offset > file.offset + file.length => file.offset + file.length,
            _ => self.total,
        }
    }

    /// Takes from the beginning of `bytes` what is no file's.
    pub(super) fn skip_gap(&self, bytes: &mut Range<u64>) {
        let index = self
            .files
            .partition_point(|file| file.offset.saturating_add(file.length) <= bytes.start);
        if let Some(file) = self.files.get(index) {
            bytes.start = bytes.start.max(file.offset).min(bytes.end);
        }
    }

    /// The beginning of `bytes` as far as it lies in one file, at most `most` bytes. `None` if no file is there.
    pub(super) fn first_part(&self, bytes: &Range<u64>, most: u64) -> Option<Part> {
        let index = self
            .files
            .partition_point(|file| file.offset.saturating_add(file.length) <= bytes.start);
        let file = self.files.get(index)?;
        let end = file
            .offset
            .saturating_add(file.length)
            .min(bytes.end)
            .min(bytes.start.saturating_add(most));
        (file.offset <= bytes.start && bytes.start < end).then_some(Part {
            file: index,
            bytes: bytes.start..end,
            file_offset: file.offset,
            file_length: file.length,
            is_pad: file.is_pad,
        })
    }

    /// Appends the URL of a file on the seed at `base`.
    ///
    /// A `base` that ends in a slash is the folder that holds the torrent. Otherwise it is the file itself, if there is only
    /// one, or the folder all the same.
    pub(super) fn url(&self, base: &str, file: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(base.as_bytes());
        if self.is_single {
            if base.ends_with('/') {
                out.extend_from_slice(&self.name);
            }
            return;
        }
        if !base.ends_with('/') {
            out.push(b'/');
        }
        out.extend_from_slice(&self.name);
        out.push(b'/');
        if let Some(file) = self.files.get(file) {
            out.extend_from_slice(&file.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BLOCK;

    fn url(files: &WebFiles, base: &str, file: usize) -> String {
        let mut out = Vec::new();
        files.url(base, file, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn file<'a>(offset: u64, length: u64, path: &'a [&'a [u8]]) -> WebFile<'a> {
        WebFile {
            offset,
            length,
            is_pad: path.first() == Some(&b".pad".as_slice()),
            path,
        }
    }

    #[test]
    fn urls_are_those_of_the_bep() {
        let single = WebFiles::new("a b&\u{e9}.iso".as_bytes(), true, 16, &[file(0, 10, &[])]);
        let encoded = "http://x/pub/a%20b%26%C3%A9.iso";
        assert_eq!(url(&single, "http://x/pub/", 0), encoded);
        assert_eq!(url(&single, "http://x/other.iso?k=v", 0), "http://x/other.iso?k=v");
        let path: &[&[u8]] = &[b"dir#1", b"100%.txt"];
        let folder = WebFiles::new(b"My Torrent", false, 16, &[file(0, 10, path)]);
        for base in ["http://x/pub/", "http://x/pub"] {
            assert_eq!(url(&folder, base, 0), "http://x/pub/My%20Torrent/dir%231/100%25.txt");
        }
    }

    #[test]
    fn parts_end_with_their_file_and_empty_files_have_none() {
        let files = WebFiles::new(
            b"t",
            false,
            100,
            &[
                file(0, 30, &[b"a"]),
                file(30, 0, &[b"empty"]),
                file(30, 70, &[b".pad", b"70"]),
                file(100, 150, &[b"b"]),
            ],
        );
        assert_eq!((files.count(), files.bytes_of(1, 5)), (2, 100..250));
        let part = |bytes, most| {
            let part = files.first_part(&bytes, most)?;
            Some((part.file, part.bytes, part.is_pad))
        };
        assert_eq!(part(10..200, 1000), Some((0, 10..30, false)));
        assert_eq!(part(30..200, 1000), Some((1, 30..100, true)));
        assert_eq!(part(100..200, 40), Some((2, 100..140, false)));
        assert_eq!(part(249..300, 1000), Some((2, 249..250, false)));
        assert_eq!(part(250..300, 1000), None);
        assert_eq!(part(30..30, 1000), None);
    }

    #[test]
    fn blocks_begin_anew_in_each_piece() {
        let files = WebFiles::new(b"t", true, 20_000, &[file(0, 50_000, &[])]);
        assert_eq!(files.block_at(0), (0, 0, 0..u64::from(BLOCK)));
        assert_eq!(files.block_at(19_999), (0, BLOCK, 16_384..20_000));
        assert_eq!(files.block_at(20_000), (1, 0, 20_000..36_384));
        assert_eq!(files.block_at(49_999), (2, 0, 40_000..50_000));
    }
}
