//! Which blocks to ask a peer for: rarest first, by priority, in order, or near the end the same block of several.
//!
//! A [`Picker`] knows of one torrent which pieces we have and want, how many peers have each, and what has become of every
//! block of a piece that is begun. Who is asked when, for how long and for how much at once is the caller's; so are bytes
//! and hashes. A piece goes this way: [`Picker::pick`] asks for its blocks, [`Picker::arrived`] takes them, once
//! [`Picker::is_complete`] its hash is compared, and it has [`Picker::passed`] or [`Picker::failed`].
//!
//! # What it costs
//!
//! For `n` pieces 14.4 n bytes, and 8 bytes for each block of a piece that is begun. A piece that one more peer has, a piece
//! that comes or goes, a block: constant in `n` (see `ranking`; seeds are counted, not entered at each piece). Bulk
//! changes pass over all pieces once. When begun pieces start or cease to go before others, each of them moves once.
//!
//! A pick looks at pieces from the best on and stops when it has found enough. If it was in vain with 1,024 of them, it
//! joins the peer's set with that of the pickable pieces, n / 64 words, and chooses the best of 1,024 pieces met there
//! from a random one on. So the choice is exact if the peer lacks fewer than 1,024 of the best pieces, or has no more than
//! 1,024 of those that can be picked; else it is the best of a sample.

mod hunt;
mod life;
#[cfg(test)]
mod oracle;
mod partials;
mod ranking;
mod status;
mod swarm;
#[cfg(test)]
mod tests;
mod wishes;
mod workers;

use world::Seed;

use crate::{Bits, PeerKey};
use hunt::Hunt;
use partials::{NONE, Partial, Partials};
use ranking::{Ranking, bucket_of};
use workers::Workers;

pub(crate) use hunt::RUN;
pub use hunt::{Ask, Has, Picked};
pub use life::Arrived;
pub use partials::BlockState;
pub use status::{Begun, BlockInfo};
pub use wishes::{NORMAL, Order};

/// How a torrent is divided.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape {
    /// Pieces.
    pub pieces: u32,
    /// Blocks of every piece but the last; at least 1.
    pub blocks_per_piece: u32,
    /// Blocks of the last piece; at least 1, at most `blocks_per_piece`.
    pub blocks_in_last: u32,
}

impl Shape {
    /// Blocks of a piece; 0 if there is none such.
    pub fn blocks_in(&self, piece: u32) -> u32 {
        match piece.checked_add(1) {
            Some(next) if next < self.pieces => self.blocks_per_piece,
            Some(next) if next == self.pieces => self.blocks_in_last,
            _ => 0,
        }
    }
}

/// A block of a piece.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Slot {
    /// Which piece.
    pub piece: u32,
    /// Which of its blocks, from 0.
    pub block: u32,
}

/// How fast a peer is, and for what peers a piece was begun (PICK-16).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Speed {
    /// A piece would take it minutes.
    Slow,
    /// Between the two.
    Medium,
    /// A piece takes it seconds.
    Fast,
}

/// What is kept of every piece.
#[derive(Clone, Copy, Debug)]
struct Piece {
    /// Peers that have it, seeds not counted.
    held: u16,
    /// Its slot among the begun, or [`NONE`].
    slot: u16,
    /// 0 to 7.
    level: u8,
}

impl Piece {
    /// Where it is ranked if it is open.
    fn bucket(&self, begun_first: bool) -> u32 {
        bucket_of(self.level, self.held, self.slot != NONE, begun_first)
    }
}

/// See the module.
#[derive(Debug)]
pub struct Picker {
    shape: Shape,
    pieces: Box<[Piece]>,
    have: Bits,
    /// Pieces that we want and lack.
    missing: Bits,
    /// Those of them with a block that nobody is asked for: they are what is ranked.
    open: Bits,
    /// Their blocks that nobody is asked for.
    open_blocks: u64,
    /// How many of them are begun.
    open_begun: u32,
    /// No piece below is open.
    lowest: u32,
    ranking: Ranking,
    partials: Partials,
    workers: Workers,
    seeds: u32,
    /// Of how many pieces there are so many copies, seeds not counted.
    spread: Vec<u32>,
    order: Order,
    prefer_partial: bool,
    random_first: u32,
    /// There are too many begun pieces for the peers at work.
    is_crowded: bool,
    /// Whether begun pieces are ranked before others now.
    begun_first: bool,
    /// Round robin: where the next piece is begun.
    cursor: u32,
    hunt: Hunt,
    /// Who was asked for a block that arrived.
    askers: Vec<PeerKey>,
}

/// What of a piece is entered elsewhere: compared before and after a change.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Standing {
    is_missing: bool,
    open: u32,
    is_begun: bool,
    bucket: Option<u32>,
}

const UNWANTED: Standing = Standing {
    is_missing: false,
    open: 0,
    is_begun: false,
    bucket: None,
};

impl Picker {
    /// Of a torrent of which we have nothing and want everything, at level [`NORMAL`], rarest first after 4 random pieces.
    pub fn new(shape: Shape, seed: Seed) -> Self {
        let piece = Piece {
            held: 0,
            slot: NONE,
            level: NORMAL,
        };
        let blocks_per_piece = shape.blocks_per_piece.max(1);
        let shape = Shape {
            blocks_per_piece,
            blocks_in_last: shape.blocks_in_last.clamp(1, blocks_per_piece),
            ..shape
        };
        let mut picker = Self {
            shape,
            pieces: vec![piece; index(shape.pieces)].into(),
            have: Bits::new(shape.pieces),
            missing: Bits::new(shape.pieces),
            open: Bits::new(shape.pieces),
            open_blocks: 0,
            open_begun: 0,
            lowest: 0,
            ranking: Ranking::new(shape.pieces, seed.derive("picker")),
            partials: Partials::new(),
            workers: Workers::new(),
            seeds: 0,
            spread: vec![shape.pieces],
            order: Order::RarestFirst,
            prefer_partial: false,
            random_first: 4,
            is_crowded: false,
            begun_first: false,
            cursor: 0,
            hunt: Hunt::new(),
            askers: Vec::new(),
        };
        picker.rebuild();
        picker
    }

    /// How the torrent is divided.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    fn piece(&self, piece: u32) -> Option<&Piece> {
        self.pieces.get(index(piece))
    }

    fn partial(&self, piece: u32) -> Option<&Partial> {
        self.partials.get(self.piece(piece)?.slot)
    }

    fn partial_mut(&mut self, piece: u32) -> Option<&mut Partial> {
        let slot = self.piece(piece)?.slot;
        self.partials.get_mut(slot)
    }

    /// Begins a piece if it is not; whether it is now.
    fn begin(&mut self, piece: u32) -> bool {
        let blocks = self.shape.blocks_in(piece);
        match self.pieces.get_mut(index(piece)) {
            Some(entry) if entry.slot == NONE => match self.partials.begin(piece, blocks) {
                Some(slot) => entry.slot = slot,
                None => return false,
            },
            Some(_) => (),
            None => return false,
        }
        true
    }

    /// Forgets what is known of the blocks of a piece.
    fn end(&mut self, piece: u32) {
        let Some(entry) = self.pieces.get_mut(index(piece)) else {
            return;
        };
        if let Some(partial) = self.partials.get(entry.slot) {
            partial.askers().for_each(|peer| self.workers.unask(peer));
            partial.givers().for_each(|(_, peer)| self.workers.ungive(peer));
            self.partials.end(entry.slot);
        }
        entry.slot = NONE;
    }

    fn standing(&self, piece: u32) -> Standing {
        let Some(&entry) = self.piece(piece) else {
            return UNWANTED;
        };
        if entry.level == 0 || self.have.get(piece) {
            return UNWANTED;
        }
        let partial = self.partials.get(entry.slot);
        let open = partial.map_or_else(|| self.shape.blocks_in(piece), Partial::open);
        Standing {
            is_missing: true,
            open,
            is_begun: partial.is_some() && open > 0,
            bucket: (open > 0).then(|| entry.bucket(self.begun_first)),
        }
    }

    /// Enters elsewhere what has changed of a piece that stood like `before`.
    fn settle(&mut self, piece: u32, before: Standing) {
        let now = self.standing(piece);
        if now == before {
            return;
        }
        self.enter(piece, before, now);
        self.ranking.shift(piece, before.bucket, now.bucket);
    }

    /// As `settle`, without the ranking.
    fn enter(&mut self, piece: u32, before: Standing, now: Standing) {
        if now.is_missing {
            self.missing.set(piece);
        } else {
            self.missing.clear(piece);
        }
        if now.bucket.is_some() {
            self.open.set(piece);
            self.lowest = self.lowest.min(piece);
        } else {
            self.open.clear(piece);
        }
        self.open_blocks += u64::from(now.open);
        self.open_blocks -= u64::from(before.open);
        self.open_begun += u32::from(now.is_begun);
        self.open_begun -= u32::from(before.is_begun);
    }

    /// Enters everything anew, after a change of many pieces.
    fn rebuild(&mut self) {
        self.missing = Bits::new(self.shape.pieces);
        self.open = Bits::new(self.shape.pieces);
        self.open_blocks = 0;
        self.open_begun = 0;
        for piece in 0..self.shape.pieces {
            self.enter(piece, UNWANTED, self.standing(piece));
        }
        self.rank();
    }

    /// Ranks all open pieces anew.
    fn rank(&mut self) {
        let (pieces, open, begun_first) = (&self.pieces, &self.open, self.begun_first);
        self.ranking.rebuild(|piece| {
            let entry = pieces.get(index(piece)).filter(|_| open.get(piece))?;
            Some(entry.bucket(begun_first))
        });
    }

    /// That what is kept twice agrees.
    #[cfg(test)]
    fn check_invariants(&self) {
        self.ranking.check(|piece| self.standing(piece).bucket);
        let all = || (0..self.shape.pieces).map(|piece| (piece, self.standing(piece)));
        for (piece, standing) in all() {
            assert_eq!(self.missing.get(piece), standing.is_missing);
            assert_eq!(self.open.get(piece), standing.bucket.is_some());
            assert!(self.partial(piece).is_none_or(|partial| partial.piece() == piece));
        }
        assert_eq!(self.open_blocks, all().map(|(_, is)| u64::from(is.open)).sum::<u64>());
        assert_eq!(
            self.open_begun,
            all().map(|(_, is)| u32::from(is.is_begun)).sum::<u32>()
        );
        assert!(self.open.next(0).is_none_or(|first| first >= self.lowest));
        self.partials.iter().for_each(Partial::check);
        let begun = self.pieces.iter().filter(|piece| piece.slot != NONE).count();
        assert_eq!(begun, index(self.partials.len()));
        for (peer, asked, given) in self.workers.iter() {
            let askers = self.partials.iter().flat_map(Partial::askers);
            let givers = self.partials.iter().flat_map(Partial::givers);
            assert_eq!(askers.filter(|&of| of == peer).count(), index(asked));
            assert_eq!(givers.filter(|&(_, of)| of == peer).count(), index(given));
        }
        for (held, &pieces) in self.spread.iter().enumerate() {
            let of = self.pieces.iter().filter(|piece| usize::from(piece.held) == held);
            assert_eq!(of.count(), index(pieces));
        }
    }
}

/// A number of pieces or blocks as a place in memory.
fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
