//! A piece that is arriving: its bytes are hashed as they pass, in whatever order its blocks come.
//!
//! SHA-1 (v1) needs the piece in order. Bytes that are next in order are noted, and hashed where they lie in the socket's
//! buffer when all that came at once has passed: pieces of which something came go side by side then. Bytes of later blocks are kept until it is their turn, within a budget that all pieces share ([`Held`]). Beyond the budget, and
//! where blocks were on disk from an earlier run, the piece is read back for its hash. The leaves of a v2 tree are blocks,
//! so each is hashed as it passes.

use sha2::{Digest, Sha256};
use wire::lanes::{self, Lane, Running};

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
#[derive(Debug, Default)]
struct InOrder {
    /// The bytes so far, and runs that go on with them: up to the end of a block, or of what came of it.
    lane: Lane,
    /// A run behind them, of the block `next`, which is not whole with it.
    tail: Option<(usize, usize)>,
    /// As it was before the block `next`, whose sender may be lost.
    before: Running,
    /// The runs end a block: `before` is behind them.
    moved: bool,
    /// The block whose bytes are wanted next, and how many of them have passed.
    next: u32,
    part: u32,
    /// Later blocks, or parts of them.
    held: Vec<(u32, Vec<u8>)>,
    /// Some bytes passed that could not be kept.
    broken: bool,
}

/// A run of bytes, where it lies in what came at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bytes<'a> {
    pub(crate) input: &'a [u8],
    pub(crate) start: usize,
    pub(crate) len: u32,
}

impl<'a> Bytes<'a> {
    /// All of an input.
    pub(crate) fn all(input: &'a [u8]) -> Self {
        Self {
            input,
            start: 0,
            len: u32::try_from(input.len()).unwrap_or(u32::MAX),
        }
    }

    /// The bytes.
    pub(crate) fn get(self) -> &'a [u8] {
        let end = self.start.saturating_add(self.len as usize);
        self.input.get(self.start..end).unwrap_or_default()
    }
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
            v1: kinds.v1.then(InOrder::default),
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

    /// A run of bytes of a block. Only the peer that began a block may go on with it, from where it was. What was taken must
    /// be settled before the input goes.
    pub(crate) fn take(&mut self, block: u32, offset: u32, from: PeerKey, run: Bytes<'_>, held: &mut Held) -> Taken {
        let bytes = run.get();
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
            v1.pass(block, offset, run, self.length, held);
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

    /// Lends what was noted, to be hashed beside that of other pieces; [`settle_with`](Self::settle_with) must follow.
    pub(crate) fn lend(&mut self) -> Lane {
        let v1 = self.v1.as_mut();
        v1.map(|v1| std::mem::take(&mut v1.lane)).unwrap_or_default()
    }

    /// Takes back what was lent, and hashes the rest of what was noted of the input.
    pub(crate) fn settle_with(&mut self, lane: Lane, input: &[u8]) {
        if let Some(v1) = &mut self.v1 {
            v1.lane = lane;
            v1.settle(input);
        }
    }

    /// What all bytes came to, once the piece is whole and settled; `None` if they must be read back for it.
    pub(crate) fn digests(&mut self, held: &mut Held) -> Option<Digests> {
        let sha1 = match &mut self.v1 {
            Some(v1) => {
                v1.held.drain(..).for_each(|(_, buffer)| held.give_back(buffer));
                if v1.broken || v1.next < self.length.div_ceil(BLOCK) || !v1.lane.runs.is_empty() {
                    return None;
                }
                Some(v1.lane.running.digest())
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
    fn pass(&mut self, block: u32, offset: u32, run: Bytes<'_>, length: u32, held: &mut Held) {
        if self.broken || block < self.next {
            return;
        }
        if block > self.next {
            return self.keep(block, offset, run.get(), held);
        }
        if offset == 0 && self.part > 0 {
            // Its first sender was lost in the middle.
            self.settle(run.input);
            self.lane.running = self.before.clone();
            self.part = 0;
        }
        if offset != self.part {
            self.broken = true;
            return;
        }
        let whole = |block: u32| length.saturating_sub(block.saturating_mul(BLOCK)).min(BLOCK);
        if self.tail.is_some() {
            self.settle(run.input);
        }
        self.part += run.len;
        if self.part < whole(self.next) {
            self.tail = Some((run.start, run.len as usize));
            return;
        }
        self.lane.runs.push((run.start, run.len as usize));
        self.advance();
        while let Some(at) = self.held.iter().position(|(block, _)| *block == self.next) {
            self.settle(run.input);
            let (_, buffer) = self.held.swap_remove(at);
            self.lane.running.update(&buffer);
            // If it is not whole, its sender is in the middle of it.
            self.part = u32::try_from(buffer.len()).unwrap_or(0);
            held.give_back(buffer);
            if self.part < whole(self.next) {
                return;
            }
            self.advance();
            self.settle(run.input);
        }
    }

    fn advance(&mut self) {
        self.next += 1;
        self.part = 0;
        self.moved = true;
    }

    /// Hashes what is noted.
    fn settle(&mut self, input: &[u8]) {
        lanes::advance(input, std::slice::from_mut(&mut self.lane));
        if std::mem::take(&mut self.moved) {
            self.before = self.lane.running.clone();
        }
        if let Some((start, len)) = self.tail.take() {
            let bytes = start.checked_add(len).and_then(|end| input.get(start..end));
            self.lane.running.update(bytes.unwrap_or_default());
        }
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
    use sha1::Sha1;

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

    /// Gives a run of a block.
    fn one(progress: &mut Progress, block: u32, offset: u32, from: PeerKey, run: &[u8], held: &mut Held) -> Taken {
        let taken = progress.take(block, offset, from, Bytes::all(run), held);
        let lane = progress.lend();
        progress.settle_with(lane, run);
        taken
    }

    /// Gives a block in runs of `run` bytes.
    fn give(progress: &mut Progress, bytes: &[u8], block: u32, from: PeerKey, run: usize, held: &mut Held) -> Taken {
        let start = (block * BLOCK) as usize;
        let end = (start + BLOCK as usize).min(bytes.len());
        let mut taken = Taken::Part;
        for (index, part) in bytes[start..end].chunks(run).enumerate() {
            taken = one(progress, block, (index * run) as u32, from, part, held);
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
            assert_eq!(
                one(&mut progress, first, 0, PeerKey(1), &[9; 500], &mut held),
                Taken::Part
            );
            assert_eq!(
                one(
                    &mut progress,
                    first,
                    0,
                    PeerKey(2),
                    &bytes[start..start + 10],
                    &mut held
                ),
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
        assert_eq!(one(&mut progress, 0, 5, PeerKey(1), &[1], &mut held), Taken::Not);
        assert_eq!(one(&mut progress, 0, 0, PeerKey(1), &[1; 10], &mut held), Taken::Part);
        assert_eq!(one(&mut progress, 0, 9, PeerKey(1), &[1], &mut held), Taken::Not);
    }
}
