//! Hashing pieces of files on all cores: the host's threads read, `wire` hashes.

use std::ops::Range;
use std::path::PathBuf;

use host::{Eater, Gap, Interrupt, Stretch, Swept};
use wire::metainfo::{Content, PieceHasher, PieceHashes};

use crate::config;
use crate::report::BytesProgress;

/// What came of a run of pieces.
#[derive(Debug)]
pub struct Hashed {
    /// The hashes of its pieces, in order.
    pub pieces: Vec<PieceHashes>,
    /// The first file that could not be read to its end, and why.
    pub gap: Option<(usize, Gap)>,
    /// Bytes of files.
    bytes: u64,
}

/// Hashes these runs of pieces, whose files are where `path` says, and shows how far it is. `each` gets a run and what
/// came of it, in any order; false gives it up, as Ctrl-C does. Whether it came to its end.
pub fn hash(
    content: &Content,
    runs: impl Iterator<Item = Range<u64>> + Send,
    path: impl Fn(usize) -> PathBuf + Sync,
    interrupt: &Interrupt,
    progress: &mut BytesProgress,
    mut each: impl FnMut(Range<u64>, Hashed) -> bool,
) -> bool {
    let eaters = (0..config::hash_threads()).map(|_| Hasher::new(content)).collect();
    let tasks = runs.map(|run| {
        let parts = content.parts(run.clone()).map(|part| Stretch {
            file: part.file,
            at: part.at,
            length: part.length,
        });
        let parts = parts.collect();
        (run, parts)
    });
    host::sweep(path, tasks, eaters, interrupt, config::HASH_TICK, |told| match told {
        Swept::Tick => {
            progress.show();
            true
        }
        Swept::Made(run, hashed) => {
            progress.add(hashed.bytes);
            progress.show();
            each(run, hashed)
        }
    })
}

/// What one thread hashes with.
struct Hasher<'a> {
    content: &'a Content,
    hasher: PieceHasher,
    file: Option<usize>,
    gap: Option<(usize, Gap)>,
    bytes: u64,
}

impl<'a> Hasher<'a> {
    fn new(content: &'a Content) -> Self {
        Self {
            content,
            hasher: PieceHasher::new(content),
            file: None,
            gap: None,
            bytes: 0,
        }
    }
}

impl Eater for Hasher<'_> {
    type Made = Hashed;

    fn stretch(&mut self, stretch: &Stretch) {
        self.file = stretch.file;
        self.hasher
            .part(stretch.file.map(|file| self.content.file_length(file)));
        if stretch.file.is_some() {
            self.bytes += stretch.length;
        }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.hasher.bytes(bytes);
    }

    fn zeros(&mut self, count: u64) {
        self.hasher.zeros(count);
    }

    fn gap(&mut self, count: u64, gap: Gap) {
        self.hasher.absent(count);
        if let (Some(file), None) = (self.file, &self.gap) {
            self.gap = Some((file, gap));
        }
    }

    fn end(&mut self) -> Hashed {
        Hashed {
            pieces: self.hasher.end(),
            gap: self.gap.take(),
            bytes: std::mem::take(&mut self.bytes),
        }
    }
}
