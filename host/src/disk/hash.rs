//! Hashing ranges that are on the disk.

use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{Advice, SeekFrom, fadvise, seek};
use rustix::io::Errno;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use world::DiskFault;
use world::disk::{Digest, Slice};

use super::CHUNK;
use super::fault::fault;
use super::read::read_full;
use super::stores::{Store, Stores};
use crate::counters::DiskCounters;

/// Bytes of a block of BEP 52, of which each leaf is.
const LEAF: usize = 16 * 1024;
/// What padding is made of.
static ZEROS: [u8; LEAF] = [0; LEAF];

/// What a range came to.
pub(super) enum Hashed {
    /// The digests.
    Digests(Vec<u8>),
    /// There is nothing on the disk.
    Hole,
}

/// Hashes slices of a store's files as one range.
///
/// Looks for holes first: a file that is to be downloaded is one great hole, and reading it would take as long as reading
/// what it will be. When `closing`, it gives up: nobody waits for the answer.
pub(super) fn hash(
    (stores, store): (&Stores, &Store),
    digest: Digest,
    slices: &[Slice],
    buffer: &mut Vec<u8>,
    closing: &AtomicBool,
    counted: &mut DiskCounters,
) -> Result<Hashed, DiskFault> {
    counted.hashes += 1;
    if all_holes(stores, store, slices)? {
        counted.holes += 1;
        return Ok(Hashed::Hole);
    }
    buffer.resize(CHUNK, 0);
    let mut hasher = Hasher::new(digest);
    for slice in slices {
        let mut left = usize::try_from(slice.len).map_err(|_| DiskFault::Unfit)?;
        let Some(file) = slice.file else {
            while left > 0 {
                let zeros = ZEROS.get(..left.min(LEAF)).unwrap_or_default();
                hasher.pad(zeros);
                left -= zeros.len();
            }
            continue;
        };
        let fd = stores.to_read(store, file)?;
        // What an earlier run wrote may be in memory alone: who finds it right may claim it after the next sync.
        store.wrote(file);
        if left > CHUNK {
            // The next part comes from the disk while this one is hashed. It is a hint; without it all is the same.
            let _ = fadvise(&*fd, slice.at, u64::from(slice.len).try_into().ok(), Advice::WillNeed);
        }
        let mut at = slice.at;
        while left > 0 {
            if closing.load(Ordering::Relaxed) {
                return Err(DiskFault::Device);
            }
            let part = buffer.get_mut(..left.min(CHUNK)).unwrap_or_default();
            read_full(&fd, part, at)?;
            hasher.update(part);
            counted.bytes_hashed += part.len() as u64;
            at = at.saturating_add(part.len() as u64);
            left -= part.len();
        }
    }
    Ok(Hashed::Digests(hasher.finish()))
}

/// Whether there are slices of files, and all of them are holes. Padding is neither here nor there.
fn all_holes(stores: &Stores, store: &Store, slices: &[Slice]) -> Result<bool, DiskFault> {
    let mut any = false;
    for slice in slices.iter().filter(|slice| slice.len > 0) {
        let Some(file) = slice.file else {
            continue;
        };
        any = true;
        let fd = match stores.to_read(store, file) {
            Ok(fd) => fd,
            Err(DiskFault::Gone) => continue,
            Err(fault) => return Err(fault),
        };
        match seek(&*fd, SeekFrom::Data(slice.at)) {
            Ok(data) if data >= slice.at.saturating_add(u64::from(slice.len)) => {}
            // From here to the end it is all hole, or it is beyond the end.
            Err(Errno::NXIO) => {}
            // Data, or a file system that does not know.
            Ok(_) | Err(Errno::INVAL | Errno::OPNOTSUPP) => return Ok(false),
            Err(errno) => return Err(fault(errno)),
        }
    }
    Ok(any)
}

/// Makes the digests of bytes that come in any split.
struct Hasher {
    all: Option<Sha1>,
    leaves: Option<Leaves>,
}

#[derive(Default)]
struct Leaves {
    open: Sha256,
    /// Bytes in `open`.
    filled: usize,
    done: Vec<u8>,
}

impl Hasher {
    fn new(digest: Digest) -> Self {
        Self {
            all: (digest != Digest::Leaves).then(Sha1::default),
            leaves: (digest != Digest::Sha1).then(Leaves::default),
        }
    }

    /// Padding is in no leaf.
    fn pad(&mut self, zeros: &[u8]) {
        if let Some(all) = &mut self.all {
            all.update(zeros);
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        if let Some(all) = &mut self.all {
            all.update(bytes);
        }
        if let Some(leaves) = &mut self.leaves {
            leaves.update(bytes);
        }
    }

    fn finish(self) -> Vec<u8> {
        let mut out = self.all.map_or_else(Vec::new, |all| all.finalize().to_vec());
        if let Some(mut leaves) = self.leaves {
            if leaves.filled > 0 {
                leaves.close();
            }
            out.append(&mut leaves.done);
        }
        out
    }
}

impl Leaves {
    fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(LEAF - self.filled));
            self.open.update(now);
            self.filled += now.len();
            if self.filled == LEAF {
                self.close();
            }
            bytes = later;
        }
    }

    fn close(&mut self) {
        self.done.extend_from_slice(&self.open.finalize_reset());
        self.filled = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_do_not_depend_on_how_the_bytes_are_split() {
        let bytes: Vec<u8> = (0..2 * LEAF + 100).map(|at| (at % 251) as u8).collect();
        let mut expected = Sha1::digest(&bytes).to_vec();
        for leaf in bytes.chunks(LEAF) {
            expected.extend_from_slice(&Sha256::digest(leaf));
        }
        for split in [1, 7_919, LEAF, LEAF + 1, bytes.len()] {
            let mut hasher = Hasher::new(Digest::Both);
            for part in bytes.chunks(split) {
                hasher.update(part);
            }
            assert_eq!(hasher.finish(), expected, "in parts of {split}");
        }
    }
}
