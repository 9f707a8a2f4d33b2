//! What is wanted, and in which order.

use super::{Picker, index};
use crate::Bits;

/// The level of a piece of which nothing else was said. 0 is "never", 7 the highest (PICK-06).
pub const NORMAL: u8 = 1;

/// The order in which pieces are begun.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// The one that the fewest peers have, at random among equals, levels considered.
    RarestFirst,
    /// By number. Of the levels only 0 and 7 (before all others) count.
    Sequential,
    /// By number from the one begun last on, and around; begun pieces first. Of the levels only 0 and 7 count.
    RoundRobin,
}

impl Picker {
    /// Sets the level of a piece: 0 never, 1 to 6 by availability and more likely each, 7 before all; more is 7.
    pub fn set_priority(&mut self, piece: u32, level: u8) {
        let before = self.standing(piece);
        if let Some(entry) = self.pieces.get_mut(index(piece)) {
            entry.level = level.min(7);
            self.settle(piece, before);
        }
    }

    /// Sets the level of every piece to what `level` says, at the cost of one pass over all.
    pub fn set_priorities(&mut self, mut level: impl FnMut(u32) -> u8) {
        for (piece, entry) in (0..).zip(&mut self.pieces) {
            entry.level = level(piece).min(7);
        }
        self.rebuild();
    }

    /// The level of a piece; 0 if there is none such.
    pub fn priority(&self, piece: u32) -> u8 {
        self.piece(piece).map_or(0, |entry| entry.level)
    }

    /// Sets the order in which pieces are begun.
    pub fn set_order(&mut self, order: Order) {
        self.order = order;
    }

    /// Whether begun pieces go before all that are not of level 7 (PICK-17). If not, they still do whenever there are far
    /// more of them than peers at work.
    pub fn set_prefer_partial(&mut self, prefer: bool) {
        self.prefer_partial = prefer;
    }

    /// Rarest first: until so many pieces are had or begun, random ones are, of any level but 0 and 7 (PICK-02). A new
    /// picker has 4.
    pub fn set_random_first(&mut self, pieces: u32) {
        self.random_first = pieces;
    }

    /// We have these pieces, and no others: resume data, or a recheck. What was known of their blocks is forgotten.
    pub fn set_have(&mut self, have: &Bits) {
        for piece in 0..self.shape.pieces {
            if have.get(piece) {
                self.end(piece);
                self.have.set(piece);
            } else {
                self.have.clear(piece);
            }
        }
        self.rebuild();
    }

    /// Pieces still to be begun at random.
    pub(super) fn random_left(&self) -> u32 {
        let begun = self.have.count().saturating_add(self.partials.len());
        match self.order {
            Order::RarestFirst => self.random_first.saturating_sub(begun),
            Order::Sequential | Order::RoundRobin => 0,
        }
    }

    /// Decides whether begun pieces go first now.
    pub(super) fn decide_begun_first(&mut self) {
        let busy = self.workers.busy();
        self.is_crowded = match self.is_crowded {
            true => self.open_begun > busy,
            false => self.open_begun > busy.saturating_mul(2).saturating_add(2),
        };
        let first = self.prefer_partial || self.is_crowded || self.order == Order::RoundRobin || self.random_left() > 0;
        if first == self.begun_first {
            return;
        }
        for slot in 0..self.partials.slots() {
            let Some(piece) = self.partials.piece_in(slot) else {
                continue;
            };
            self.begun_first = !first;
            let before = self.standing(piece);
            self.begun_first = first;
            let now = self.standing(piece);
            if before.is_begun {
                self.ranking.shift(piece, before.bucket, now.bucket);
            }
        }
        self.begun_first = first;
    }
}
