//! Digests of ranges, and whether anything is in them.

use sha1::{Digest as _, Sha1};
use sha2::Sha256;
use world::DiskFault;
use world::disk::{Digest, Slice};

use super::Reply;
use super::file::File;

/// Bytes under one leaf (BEP 52).
const LEAF: usize = 16 * 1024;
/// Bytes read at a time.
const STRIDE: usize = 64 * 1024;

/// A range as far as it has been read.
pub(super) struct Found {
    wants: Digest,
    sha1: Sha1,
    leaf: Sha256,
    /// Bytes in `leaf`.
    filled: usize,
    leaves: Vec<u8>,
    bytes: u64,
    /// A slice is of a file.
    is_of_files: bool,
    /// None of these has any data.
    is_hole: bool,
    /// A part of them is not there.
    is_short: bool,
}

impl Found {
    pub(super) fn new(wants: Digest) -> Self {
        Self {
            wants,
            sha1: Sha1::new(),
            leaf: Sha256::new(),
            filled: 0,
            leaves: Vec::new(),
            bytes: 0,
            is_of_files: false,
            is_hole: true,
            is_short: false,
        }
    }

    /// Bytes so far.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The next slice; holes and padding are zeros.
    pub(super) fn slice(&mut self, file: Option<&File>, slice: Slice) {
        let end = slice.at.saturating_add(u64::from(slice.len));
        if slice.file.is_some() && slice.len > 0 {
            self.is_of_files = true;
            self.is_hole &= !file.is_some_and(|file| file.has_data(slice.at, u64::from(slice.len)));
            self.is_short |= file.is_none_or(|file| file.size() < end);
        }
        let mut buffer = vec![0; STRIDE.min(slice.len as usize)];
        let (mut at, mut left) = (slice.at, slice.len as usize);
        while left > 0 {
            let part = &mut buffer[..STRIDE.min(left)];
            at = at.saturating_add(part.len() as u64);
            left -= part.len();
            let begin = at - part.len() as u64;
            match file {
                Some(file) => {
                    file.read(begin, part);
                    self.update(part);
                }
                // A file that is not there, or padding, which is in no leaf.
                None if slice.file.is_some() => {
                    part.fill(0);
                    self.update(part);
                }
                None => {
                    part.fill(0);
                    self.bytes += part.len() as u64;
                    if self.wants != Digest::Leaves {
                        self.sha1.update(&*part);
                    }
                }
            }
        }
    }

    fn update(&mut self, mut bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        if self.wants != Digest::Leaves {
            self.sha1.update(bytes);
        }
        while self.wants != Digest::Sha1 && !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(LEAF - self.filled));
            self.leaf.update(now);
            self.filled += now.len();
            if self.filled == LEAF {
                self.end_leaf();
            }
            bytes = later;
        }
    }

    fn end_leaf(&mut self) {
        self.leaves.extend(self.leaf.finalize_reset());
        self.filled = 0;
    }

    /// The digests, or what is said in their place.
    pub(super) fn end(mut self) -> Result<Reply, DiskFault> {
        if self.is_of_files && self.is_hole {
            return Ok(Reply::Hole);
        }
        if self.is_short {
            return Err(DiskFault::Gone);
        }
        if self.filled > 0 {
            self.end_leaf();
        }
        let mut out = Vec::with_capacity(20 + self.leaves.len());
        if self.wants != Digest::Leaves {
            out.extend(self.sha1.finalize());
        }
        out.extend(&self.leaves);
        Ok(Reply::Hashed(out))
    }
}
