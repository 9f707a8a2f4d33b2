//! A piece that is arriving: its bytes are hashed as they pass, in whatever order its blocks come.
//!
//! SHA-1 (v1) needs the piece in order. Bytes that are next in order are hashed where they lie in the socket's buffer;
//! bytes of later blocks are kept until it is their turn, within a budget that all pieces share ([`Held`]). Beyond the
//! budget, and where blocks were on disk from an earlier run, the piece is read back for its hash. The leaves of a v2 tree
//! are blocks, so each is hashed as it passes.

use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::{BLOCK, PeerKey};

/// Memory for blocks that wait for their turn, shared by all pieces.
#[derive(Debug)]
pub(crate) struct Held {
    /// Blocks that may still be kept.
    left: usize,
    /// Buffers of [`BLOCK`] bytes to be used again.
    spare: Vec<Vec<u8>>,
}

impl Held {
    /// Room for so many bytes.
    pub(crate) const fn new(bytes: usize) -> Self {
        Self {
            left: bytes / BLOCK as usize,
            spare: Vec::new(),
        }
    }

    fn take(&mut self) -> Option<Vec<u8>> {
        self.left = self.left.checked_sub(1)?;
        Some(self.spare.pop().unwrap_or_else(|| Vec::with_capacity(BLOCK as usize)))
    }

    fn give_back(&mut self, mut buffer: Vec<u8>) {
        buffer.clear();
        self.left += 1;
        self.spare.push(buffer);
    }
}

/// What the bytes of a piece came to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Digests {
    /// SHA-1 of the piece, if it is of v1.
    pub(crate) sha1: Option<[u8; 20]>,
    /// The leaves of its tree, if it is of v2.
    pub(crate) leaves: Option<Vec<[u8; 32]>>,
}

/// Which hashes a piece has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Kinds {
    pub(crate) v1: bool,
    pub(crate) v2: bool,
}

/// A piece that is arriving.
#[derive(Debug)]
pub(crate) struct Progress {
    /// Bytes of the piece.
    length: u32,
    /// Of these, bytes that are a file's; behind them is padding, which is in no leaf.
    content: u32,
    v1: Option<InOrder>,
    leaves: Option<Vec<Option<[u8; 32]>>>,
    arriving: Vec<Arriving>,
}

/// A block of which a part has come.
#[derive(Debug)]
struct Arriving {
    block: u32,
    from: PeerKey,
    got: u32,
    leaf: Option<Sha256>,
}

/// SHA-1, as far as the piece is there in order.
#[derive(Debug)]
struct InOrder {
    sha: Sha1,
    /// As it was before the block `next`, whose sender may be lost.
    before: Sha1,
    /// The block whose bytes are wanted next, and how many of them were hashed.
    next: u32,
    part: u32,
    /// Later blocks, or parts of them.
    held: Vec<(u32, Vec<u8>)>,
    /// Some bytes passed that could not be kept.
    broken: bool,
}

/// How a run of content is to be taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Taken {
    /// It is to be stored; the block is not whole yet.
    Part,
    /// It is to be stored; the block is whole.
    Whole,
    /// Somebody else's bytes of this block are arriving, or the run does not follow this peer's last: it is dropped.
    Not,
}

impl Progress {
    /// Nothing of a piece of `length` bytes has come, of which the first `content` are a file's.
    pub(crate) fn new(length: u32, content: u32, kinds: Kinds) -> Self {
        let blocks = content.div_ceil(BLOCK) as usize;
        Self {
            length,
            content,
            v1: kinds.v1.then(|| InOrder {
                sha: Sha1::new(),
                before: Sha1::new(),
                next: 0,
                part: 0,
                held: Vec::new(),
                broken: false,
            }),
            leaves: kinds.v2.then(|| vec![None; blocks]),
            arriving: Vec::new(),
        }
    }

    /// The piece has blocks on disk that did not pass here: its hash needs a reading.
    pub(crate) fn has_gaps(&mut self) {
        if let Some(v1) = &mut self.v1 {
            v1.broken = true;
        }
    }

    fn block_len(&self, block: u32) -> u32 {
        self.length.saturating_sub(block.saturating_mul(BLOCK)).min(BLOCK)
    }

    /// A run of bytes of a block. Only the peer that began a block may go on with it, from where it was.
    pub(crate) fn take(&mut self, block: u32, offset: u32, from: PeerKey, bytes: &[u8], held: &mut Held) -> Taken {
        let whole = self.block_len(block);
        let at = match self.arriving.iter().position(|arriving| arriving.block == block) {
            Some(at) => at,
            None if offset == 0 => {
                self.arriving.push(Arriving {
                    block,
                    from,
                    got: 0,
                    leaf: self.leaves.is_some().then(Sha256::new),
                });
                self.arriving.len() - 1
            }
            None => return Taken::Not,
        };
        let Some(arriving) = self.arriving.get_mut(at) else {
            return Taken::Not;
        };
        if arriving.from != from || arriving.got != offset {
            return Taken::Not;
        }
        arriving.got += u32::try_from(bytes.len()).unwrap_or(0);
        let is_whole = arriving.got >= whole;
        if let Some(leaf) = &mut arriving.leaf {
            let content = self
                .content
                .saturating_sub(block.saturating_mul(BLOCK).saturating_add(offset));
            leaf.update(bytes.get(..content as usize).unwrap_or(bytes));
        }
        if let Some(v1) = &mut self.v1 {
            v1.pass(block, offset, bytes, self.length, held);
        }
        if !is_whole {
            return Taken::Part;
        }
        let done = self.arriving.swap_remove(at);
        if let (Some(leaf), Some(leaves)) = (done.leaf, &mut self.leaves)
            && let Some(slot) = leaves.get_mut(block as usize)
        {
            *slot = Some(leaf.finalize().into());
        }
        Taken::Whole
    }

    /// A peer is gone, or was told to stop: the blocks that it began can be begun by others.
    pub(crate) fn forget(&mut self, from: PeerKey) {
        self.arriving.retain(|arriving| arriving.from != from);
    }

    /// Who is in the middle of sending this block.
    pub(crate) fn sender_of(&self, block: u32) -> Option<PeerKey> {
        let mut arriving = self.arriving.iter();
        arriving
            .find(|arriving| arriving.block == block)
            .map(|arriving| arriving.from)
    }

    /// One block is to come again.
    pub(crate) fn reopen(&mut self, block: u32) {
        self.has_gaps();
        if let Some(slot) = self.leaves.as_mut().and_then(|leaves| leaves.get_mut(block as usize)) {
            *slot = None;
        }
    }

    /// What all bytes came to, once the piece is whole; `None` if they must be read back for it.
    pub(crate) fn digests(&mut self, held: &mut Held) -> Option<Digests> {
        let sha1 = match &mut self.v1 {
            Some(v1) => {
                v1.held.drain(..).for_each(|(_, buffer)| held.give_back(buffer));
                if v1.broken || v1.next < self.length.div_ceil(BLOCK) {
                    return None;
                }
                Some(v1.sha.clone().finalize().into())
            }
            None => None,
        };
        let leaves = match &self.leaves {
            Some(leaves) => Some(leaves.iter().copied().collect::<Option<Vec<_>>>()?),
            None => None,
        };
        Some(Digests { sha1, leaves })
    }

    /// Gives back what is kept.
    pub(crate) fn release(&mut self, held: &mut Held) {
        if let Some(v1) = &mut self.v1 {
            v1.held.drain(..).for_each(|(_, buffer)| held.give_back(buffer));
        }
    }
}

impl InOrder {
    fn pass(&mut self, block: u32, offset: u32, bytes: &[u8], length: u32, held: &mut Held) {
        if self.broken || block < self.next {
            return;
        }
        if block > self.next {
            return self.keep(block, offset, bytes, held);
        }
        if offset == 0 && self.part > 0 {
            // Its first sender was lost in the middle.
            self.sha = self.before.clone();
            self.part = 0;
        }
        if offset != self.part {
            self.broken = true;
            return;
        }
        self.sha.update(bytes);
        self.part += u32::try_from(bytes.len()).unwrap_or(0);
        let whole = |block: u32| length.saturating_sub(block.saturating_mul(BLOCK)).min(BLOCK);
        if self.part < whole(self.next) {
            return;
        }
        self.advance();
        while let Some(at) = self.held.iter().position(|(block, _)| *block == self.next) {
            let Some((_, buffer)) = self.held.get(at) else { return };
            self.sha.update(buffer);
            if buffer.len() < whole(self.next) as usize {
                // Its sender is in the middle of it.
                self.part = u32::try_from(buffer.len()).unwrap_or(0);
                let (_, buffer) = self.held.swap_remove(at);
                held.give_back(buffer);
                return;
            }
            let (_, buffer) = self.held.swap_remove(at);
            held.give_back(buffer);
            self.advance();
        }
    }

    fn advance(&mut self) {
        self.next += 1;
        self.part = 0;
        self.before = self.sha.clone();
    }

    fn keep(&mut self, block: u32, offset: u32, bytes: &[u8], held: &mut Held) {
        let at = match self.held.iter().position(|(kept, _)| *kept == block) {
            Some(at) => at,
            None => {
                let Some(buffer) = held.take() else {
                    self.broken = true;
                    return;
                };
                self.held.push((block, buffer));
                self.held.len() - 1
            }
        };
        if let Some((_, buffer)) = self.held.get_mut(at) {
            buffer.truncate(offset as usize);
            buffer.extend_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOTH: Kinds = Kinds { v1: true, v2: true };

    fn content(length: u32) -> Vec<u8> {
        (0..length)
            .map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect()
    }

    fn right(bytes: &[u8]) -> Digests {
        Digests {
            sha1: Some(Sha1::digest(bytes).into()),
            leaves: Some(
                bytes
                    .chunks(BLOCK as usize)
                    .map(|leaf| Sha256::digest(leaf).into())
                    .collect(),
            ),
        }
    }

    /// Gives a block in runs of `run` bytes.
    fn give(progress: &mut Progress, bytes: &[u8], block: u32, from: PeerKey, run: usize, held: &mut Held) -> Taken {
        let start = (block * BLOCK) as usize;
        let end = (start + BLOCK as usize).min(bytes.len());
        let mut taken = Taken::Part;
        for (index, part) in bytes[start..end].chunks(run).enumerate() {
            taken = progress.take(block, (index * run) as u32, from, part, held);
        }
        taken
    }

    proptest! {
        #[test]
        fn blocks_in_any_order_and_any_runs_come_to_the_hashes_of_the_whole(
            order in Just((0_u32..7).collect::<Vec<_>>()).prop_shuffle(),
            run in 1_000_usize..20_000,
        ) {
            let bytes = content(6 * BLOCK + 77);
            let mut held = Held::new(1 << 20);
            let mut progress = Progress::new(bytes.len() as u32, bytes.len() as u32, BOTH);
            for block in order {
                prop_assert_eq!(give(&mut progress, &bytes, block, PeerKey(1), run, &mut held), Taken::Whole);
            }
            prop_assert_eq!(progress.digests(&mut held), Some(right(&bytes)));
            prop_assert_eq!(held.left, 64, "all buffers are back");
        }
    }

    #[test]
    fn a_block_whose_sender_is_lost_in_the_middle_can_come_from_another() {
        let bytes = content(2 * BLOCK);
        let mut held = Held::new(1 << 20);
        for first in [0, 1] {
            let mut progress = Progress::new(bytes.len() as u32, bytes.len() as u32, BOTH);
            let start = (first * BLOCK) as usize;
            assert_eq!(progress.take(first, 0, PeerKey(1), &[9; 500], &mut held), Taken::Part);
            assert_eq!(
                progress.take(first, 0, PeerKey(2), &bytes[start..start + 10], &mut held),
                Taken::Not,
                "one at a time"
            );
            progress.forget(PeerKey(1));
            for block in [first, 1 - first] {
                assert_eq!(
                    give(&mut progress, &bytes, block, PeerKey(2), 4_000, &mut held),
                    Taken::Whole
                );
            }
            assert_eq!(progress.digests(&mut held), Some(right(&bytes)));
        }
    }

    #[test]
    fn beyond_the_budget_the_piece_must_be_read_back() {
        let bytes = content(4 * BLOCK);
        let mut held = Held::new(BLOCK as usize);
        let mut progress = Progress::new(bytes.len() as u32, bytes.len() as u32, BOTH);
        for block in [3, 2, 1, 0] {
            give(&mut progress, &bytes, block, PeerKey(1), 16_384, &mut held);
        }
        assert_eq!(progress.digests(&mut held), None);
        assert_eq!(held.left, 1);
    }

    #[test]
    fn bytes_that_do_not_follow_are_not_taken() {
        let mut held = Held::new(1 << 20);
        let mut progress = Progress::new(2 * BLOCK, 2 * BLOCK, BOTH);
        assert_eq!(progress.take(0, 5, PeerKey(1), &[1], &mut held), Taken::Not);
        assert_eq!(progress.take(0, 0, PeerKey(1), &[1; 10], &mut held), Taken::Part);
        assert_eq!(progress.take(0, 9, PeerKey(1), &[1], &mut held), Taken::Not);
    }
}
