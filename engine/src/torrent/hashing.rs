//! Hashes: whether a piece is right, and what the disk is asked to hash.

use sha1::{Digest as _, Sha1};
use wire::merkle;
use world::DiskOp;
use world::disk::{Digest, Slices};

use super::{Job, Torrent};
use crate::BLOCK;
use crate::desk::Desk;
use crate::hashes::Check;
use crate::progress::Digests;

impl Torrent {
    /// What is to be made of a piece's bytes.
    fn digest(&self, piece: u32) -> Digest {
        match (self.layout.v1_hash(piece).is_some(), self.hashes.is_some()) {
            (true, true) => Digest::Both,
            (false, true) => Digest::Leaves,
            _ => Digest::Sha1,
        }
    }

    /// Has a piece hashed by the disk.
    pub(super) fn hash(&mut self, desk: &mut Desk, job: Job, piece: u32) {
        let mut bytes = Vec::new();
        Slices::encode(
            &mut bytes,
            self.layout.map_block(piece, 0, self.layout.piece_len(piece)),
        );
        let op = DiskOp::Hash {
            digest: self.digest(piece),
            len: bytes.len(),
        };
        self.disk(desk, self.store(), job, op, &bytes);
    }

    /// What the disk says that a piece comes to.
    pub(super) fn digests_of(&self, piece: u32, bytes: &[u8]) -> Digests {
        let (sha1, leaves) = match self.digest(piece) {
            Digest::Sha1 => (bytes.first_chunk::<20>(), None),
            Digest::Leaves => (None, Some(bytes)),
            Digest::Both => (bytes.first_chunk::<20>(), bytes.get(20..)),
        };
        Digests {
            sha1: sha1.copied(),
            leaves: leaves.map(|leaves| leaves.as_chunks::<32>().0.to_vec()),
        }
    }

    /// Whether what a piece came to is what it must be; `None` if that is not known yet. A hybrid must be right in both.
    pub(super) fn is_right(&self, piece: u32, digests: &Digests) -> Option<bool> {
        if let Some(wanted) = self.layout.v1_hash(piece)
            && digests.sha1.as_ref() != Some(wanted)
        {
            return Some(false);
        }
        let Some(hashes) = &self.hashes else { return Some(true) };
        let leaves = digests.leaves.as_deref().unwrap_or_default();
        match hashes.check_piece(&self.layout, piece, leaves) {
            Check::Right => Some(true),
            Check::Wrong => Some(false),
            // The v1 hash speaks for it meanwhile.
            Check::Unknown if digests.sha1.is_some() => Some(true),
            Check::Unknown => None,
        }
    }

    /// What a piece of `length` zeros comes to.
    pub(super) fn digests_of_zeros(&self, piece: u32) -> Digests {
        let zeros = vec![0; self.layout.piece_len(piece) as usize];
        let content = zeros.get(..self.layout.content_len(piece) as usize).unwrap_or_default();
        Digests {
            sha1: self.layout.v1_hash(piece).map(|_| Sha1::digest(&zeros).into()),
            leaves: self
                .hashes
                .as_ref()
                .map(|_| content.chunks(BLOCK as usize).map(merkle::leaf).collect()),
        }
    }
}
