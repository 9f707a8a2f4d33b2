//! The life of a block after it was asked for, and of a piece after its last block.

use super::partials::Taken;
use super::{Partial, Picker, Slot};
use crate::PeerKey;

/// What a block is to us that came in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arrived {
    /// The first of it, from a peer that was asked: its bytes are to be kept.
    Fresh,
    /// It is here already.
    Redundant,
    /// We lack it, and did not ask this peer for it, or did not wait: nothing has changed. [`Picker::adopt`] keeps it.
    Unasked,
}

impl Picker {
    /// `peer` will not give a block that it is asked for: choked, refused, too late, gone. Whether it was asked.
    ///
    /// Caution near the end: if others are asked for it too, it is not open again.
    pub fn abandon(&mut self, slot: Slot, peer: PeerKey) -> bool {
        let before = self.standing(slot.piece);
        let Some(partial) = self.partial_mut(slot.piece) else {
            return false;
        };
        if !partial.abandon(slot.block, peer) {
            return false;
        }
        self.workers.unask(peer);
        self.end_if_pristine(slot.piece);
        self.settle(slot.piece, before);
        true
    }

    /// A block came from `peer`. If it is fresh, everybody else who is asked for it is appended to `cancel`, and no longer
    /// counted as asked.
    pub fn arrived(&mut self, slot: Slot, peer: PeerKey, cancel: &mut Vec<PeerKey>) -> Arrived {
        if self.have.get(slot.piece) {
            return Arrived::Redundant;
        }
        self.take_in(slot, peer, false, cancel)
    }

    /// Keeps a block that is [`Arrived::Unasked`], as if it had been asked for. Whether it is kept: not if there is none
    /// such, or it is here, or 65,535 pieces are begun.
    pub fn adopt(&mut self, slot: Slot, peer: PeerKey, cancel: &mut Vec<PeerKey>) -> bool {
        let exists = slot.block < self.shape.blocks_in(slot.piece);
        if !exists || self.have.get(slot.piece) || !self.workers.admit(peer) {
            return false;
        }
        let before = self.standing(slot.piece);
        if !self.begin(slot.piece) {
            return false;
        }
        let kept = self.take_in(slot, peer, true, cancel) == Arrived::Fresh;
        self.settle(slot.piece, before);
        kept
    }

    fn take_in(&mut self, slot: Slot, peer: PeerKey, anyway: bool, cancel: &mut Vec<PeerKey>) -> Arrived {
        let mut askers = std::mem::take(&mut self.askers);
        let taken = self.partial_mut(slot.piece).map_or(Taken::Unasked, |partial| {
            partial.take(slot.block, peer, anyway, &mut askers)
        });
        if taken == Taken::Fresh {
            self.workers.give(peer);
        }
        for asked in askers.drain(..) {
            self.workers.unask(asked);
            if asked != peer {
                cancel.push(asked);
            }
        }
        self.askers = askers;
        match taken {
            Taken::Fresh => Arrived::Fresh,
            Taken::Redundant => Arrived::Redundant,
            Taken::Unasked => Arrived::Unasked,
        }
    }

    /// A block is needed from nobody: it is padding, or on disk already. Whether it was open until now, and is not. Once
    /// all blocks of a piece are done it [is complete](Picker::is_complete), and its hash decides.
    pub fn mark_done(&mut self, slot: Slot) -> bool {
        let exists = slot.block < self.shape.blocks_in(slot.piece);
        if !exists || self.have.get(slot.piece) {
            return false;
        }
        let before = self.standing(slot.piece);
        if !self.begin(slot.piece) {
            return false;
        }
        let partial = self.partial_mut(slot.piece);
        let marked = partial.is_some_and(|partial| partial.mark_done(slot.block));
        self.settle(slot.piece, before);
        marked
    }

    /// A block that arrived is written. Whether it was on its way to the disk.
    pub fn written(&mut self, slot: Slot) -> bool {
        let partial = self.partial_mut(slot.piece);
        partial.is_some_and(|partial| partial.written(slot.block))
    }

    /// A block that arrived is open again: it could not be written, or its own hash is wrong (BEP 52). Whether it had
    /// arrived.
    pub fn reopen(&mut self, slot: Slot) -> bool {
        let before = self.standing(slot.piece);
        let partial = self.partial_mut(slot.piece);
        let Some(giver) = partial.and_then(|partial| partial.reopen(slot.block)) else {
            return false;
        };
        if let Some(giver) = giver {
            self.workers.ungive(giver);
        }
        self.end_if_pristine(slot.piece);
        self.settle(slot.piece, before);
        true
    }

    /// Whether all blocks of a piece that we lack arrived.
    pub fn is_complete(&self, piece: u32) -> bool {
        self.partial(piece).is_some_and(Partial::is_complete)
    }

    /// Who gave which blocks of a piece that is begun, ascending. Blocks that were on disk are of nobody.
    pub fn givers(&self, piece: u32) -> impl Iterator<Item = (u32, PeerKey)> {
        self.partial(piece).into_iter().flat_map(Partial::givers)
    }

    /// The hash of a piece is right: we have it. What is still asked of it is asked no more.
    pub fn passed(&mut self, piece: u32) {
        self.have(piece);
    }

    /// The hash of a piece is wrong: what arrived of it is open again, padding too. [`Picker::givers`] comes before.
    pub fn failed(&mut self, piece: u32) {
        let before = self.standing(piece);
        for block in 0..self.shape.blocks_in(piece) {
            if let Some(partial) = self.partial_mut(piece)
                && let Some(Some(giver)) = partial.reopen(block)
            {
                self.workers.ungive(giver);
            }
        }
        self.end_if_pristine(piece);
        self.settle(piece, before);
    }

    /// We have a piece: from an earlier run, or after a recheck. For many at once: [`Picker::set_have`].
    pub fn have(&mut self, piece: u32) {
        let before = self.standing(piece);
        self.end(piece);
        self.have.set(piece);
        self.settle(piece, before);
    }

    /// We have a piece no more, and nothing of it.
    pub fn lose(&mut self, piece: u32) {
        let before = self.standing(piece);
        self.have.clear(piece);
        self.settle(piece, before);
    }

    fn end_if_pristine(&mut self, piece: u32) {
        if self.partial(piece).is_some_and(Partial::is_pristine) {
            self.end(piece);
        }
    }
}
