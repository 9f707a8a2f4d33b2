//! How many peers have each piece. Seeds are counted once for all pieces.

use super::{Picker, Piece, index};
use crate::Bits;

/// A set of more than one piece in so many is entered by ranking all anew: to move each by itself would take longer.
const MANY: u32 = 8;

impl Picker {
    /// One more peer has a piece. Counts end at 65,535: no torrent has more connections.
    pub fn peer_has(&mut self, piece: u32) {
        self.move_held(piece, |held| held.saturating_add(1));
    }

    /// One peer less has a piece (it took it back, or left; for whole sets: [`Picker::remove`]).
    pub fn peer_lost(&mut self, piece: u32) {
        self.move_held(piece, |held| held.saturating_sub(1));
    }

    /// A peer has these pieces: its bitfield, or it came from elsewhere.
    pub fn add(&mut self, has: &Bits) {
        self.change_many(has, |held| held.saturating_add(1));
    }

    /// A peer with these pieces is gone.
    pub fn remove(&mut self, has: &Bits) {
        self.change_many(has, |held| held.saturating_sub(1));
    }

    /// A peer has everything. One that was entered piece by piece is first taken out by [`Picker::remove`], or stays so.
    pub fn add_seed(&mut self) {
        self.seeds = self.seeds.saturating_add(1);
    }

    /// A peer that was added by [`Picker::add_seed`] is gone.
    pub fn remove_seed(&mut self) {
        self.seeds = self.seeds.saturating_sub(1);
    }

    /// How many peers have a piece, seeds counted.
    pub fn availability(&self, piece: u32) -> u32 {
        self.piece(piece).map_or(0, |entry| self.seeds + u32::from(entry.held))
    }

    /// Copies of the torrent among peers, our own not counted: those of the rarest piece, and behind the point the share
    /// of pieces of which there are more (PICK-33). `None` if we have all, or there is no piece.
    pub fn distributed_copies(&self) -> Option<f32> {
        if self.have.is_full() {
            return None;
        }
        let (rarest, &pieces) = (0_u32..).zip(&self.spread).find(|&(_, &pieces)| pieces > 0)?;
        let more = self.shape.pieces - pieces;
        Some((self.seeds + rarest) as f32 + more as f32 / self.shape.pieces as f32)
    }

    fn move_held(&mut self, piece: u32, change: impl Fn(u16) -> u16) {
        if let Some((before, now)) = self.change_held(piece, change)
            && self.open.get(piece)
        {
            let (from, to) = (before.bucket(self.begun_first), now.bucket(self.begun_first));
            self.ranking.shift(piece, Some(from), Some(to));
        }
    }

    /// Changes a count; what the piece was and is, if that is not the same.
    fn change_held(&mut self, piece: u32, change: impl Fn(u16) -> u16) -> Option<(Piece, Piece)> {
        let entry = self.pieces.get_mut(index(piece))?;
        let before = *entry;
        entry.held = change(before.held);
        let now = *entry;
        if before.held == now.held {
            return None;
        }
        if self.spread.len() <= usize::from(now.held) {
            self.spread.resize(usize::from(now.held) + 1, 0);
        }
        if let Some(pieces) = self.spread.get_mut(usize::from(before.held)) {
            *pieces -= 1;
        }
        if let Some(pieces) = self.spread.get_mut(usize::from(now.held)) {
            *pieces += 1;
        }
        Some((before, now))
    }

    fn change_many(&mut self, has: &Bits, change: impl Fn(u16) -> u16) {
        if has.count() <= self.shape.pieces / MANY {
            has.iter().for_each(|piece| self.move_held(piece, &change));
            return;
        }
        for piece in has.iter() {
            self.change_held(piece, &change);
        }
        self.rank();
    }
}
