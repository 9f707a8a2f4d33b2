//! The search for blocks to ask one peer for.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;

use super::ranking::{BEGUN, UNHELD, URGENT};
use super::{Order, Picker, Slot, Speed, index};
use crate::{Bits, PeerKey};

/// Pieces that are looked at in order; and pieces of a sample.
const LOOKS: u32 = 1_024;

/// Blocks of one piece in a row where a peer is asked for several by turns: 64 KiB, which are read and written in one go by
/// whoever has them.
pub(crate) const RUN: usize = 4;

/// Which pieces a peer has.
#[derive(Clone, Copy, Debug)]
pub enum Has<'a> {
    /// All.
    All,
    /// These.
    Some(&'a Bits),
}

impl Has<'_> {
    /// Whether a piece is among them.
    pub fn get(&self, piece: u32) -> bool {
        match self {
            Self::All => true,
            Self::Some(bits) => bits.get(piece),
        }
    }

    /// The first of `open` from `from` on that the peer has.
    fn next_of(&self, open: &Bits, from: u32) -> Option<u32> {
        match self {
            Self::All => open.next(from),
            Self::Some(bits) => open.next_common(bits, from),
        }
    }
}

/// What one peer is to be asked for.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// What it has. It must be what the picker was told of it.
    pub has: Has<'a>,
    /// Who it is, below 65,536: others get nothing.
    pub peer: PeerKey,
    /// How many blocks, at most.
    pub want: usize,
    /// How fast it is. Pieces begun for peers of another speed come last.
    pub speed: Speed,
    /// It finishes what it began before anything else, and joins others' pieces last (PICK-15).
    pub whole_pieces: bool,
    /// Over how many pieces what it is asked for is spread, four blocks of each by turns, so that they can be hashed side by
    /// side. 1: one piece after the other.
    pub spread: usize,
    /// It took part in a piece that failed: it gets nothing of a piece that anybody else asks for or gave blocks of.
    pub parole: bool,
    /// How many peers may be asked for the same block: 1 but in endgame. Such blocks come when there are no others.
    pub copies: u8,
    /// It chokes us, but grants these pieces (BEP 6 allowed fast).
    pub allowed: Option<&'a [u32]>,
    /// It suggests this piece (BEP 6): taken first among its equals.
    pub suggested: Option<u32>,
}

/// What came of a pick.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Picked {
    /// Blocks found, in all.
    pub blocks: usize,
    /// Of these, blocks that others are asked for too.
    pub doubled: usize,
    /// On parole, and kept from a piece for that. Where this is all that keeps a torrent from going on, ask without.
    pub withheld: bool,
}

/// What a pick has met. Kept between picks for its memory.
#[derive(Debug)]
pub(super) struct Hunt {
    /// Blocks still to find.
    lacking: u32,
    /// Of one piece no more than these count.
    share: u32,
    /// Pieces to take blocks of, in order; and those for when that is not enough.
    chosen: Vec<u32>,
    spare: Vec<u32>,
    /// Looks left in order.
    looks: u32,
    /// Of the ranking, all before this place is seen.
    seen: u32,
    /// To be looked at before others of their bucket: the piece that the peer is at, and the suggested one; with the
    /// place where the bucket begins.
    pending: [Option<(u32, u32)>; 2],
    /// Looked at before their turn.
    ahead: Vec<u32>,
    /// Places and pieces.
    sample: Vec<Reverse<(u32, u32)>>,
    withheld: bool,
}

impl Hunt {
    pub(super) fn new() -> Self {
        Self {
            lacking: 0,
            share: u32::MAX,
            chosen: Vec::new(),
            spare: Vec::new(),
            looks: 0,
            seen: 0,
            pending: [None; 2],
            ahead: Vec::new(),
            sample: Vec::new(),
            withheld: false,
        }
    }

    fn restart(&mut self, want: usize, spread: usize) {
        self.lacking = u32::try_from(want).unwrap_or(u32::MAX);
        self.share = match spread {
            0 | 1 => u32::MAX,
            _ => u32::try_from(want.div_ceil(spread).max(RUN)).unwrap_or(u32::MAX),
        };
        self.chosen.clear();
        self.spare.clear();
        self.looks = LOOKS;
        self.seen = 0;
        self.ahead.clear();
        self.withheld = false;
    }

    /// A piece is found that has so many open blocks.
    fn choose(&mut self, piece: u32, open: u32) {
        self.lacking = self.lacking.saturating_sub(open.min(self.share));
        self.chosen.push(piece);
    }

    /// One look less, if there is one left.
    fn look(&mut self) -> bool {
        let left = self.looks > 0;
        self.looks = self.looks.saturating_sub(1);
        left
    }

    /// A pending piece whose bucket has begun.
    fn due(&mut self) -> Option<u32> {
        let seen = self.seen;
        let mut pending = self.pending.iter_mut();
        let due = pending.find(|pending| pending.is_some_and(|(_, start)| start <= seen))?;
        due.take().map(|(piece, _)| piece)
    }
}

impl Picker {
    /// Finds blocks for a peer, appends them to `out` and counts them as asked of it.
    ///
    /// The order: level 7; with `whole_pieces`, the piece that the peer is at; then by [`Order`]; pieces begun for others;
    /// blocks that others are asked for. See the module for what it costs; the last kind looks at all begun pieces.
    pub fn pick(&mut self, ask: &Ask<'_>, out: &mut Vec<Slot>) -> Picked {
        let want = if self.workers.admit(ask.peer) { ask.want } else { 0 };
        let begin = out.len();
        let end = begin.saturating_add(want);
        self.decide_begun_first();
        let mut hunt = std::mem::replace(&mut self.hunt, Hunt::new());
        // In order is in order.
        let spread = if self.order == Order::Sequential { 1 } else { ask.spread };
        hunt.restart(want, spread);
        match ask.allowed {
            Some(allowed) => self.seek_allowed(&mut hunt, ask, allowed),
            None => self.seek(&mut hunt, ask),
        }
        if spread > 1 {
            self.take_by_turns(&hunt.chosen, ask, end, out);
        }
        for &piece in hunt.chosen.iter().chain(&hunt.spare) {
            self.take(piece, ask, end, out);
        }
        let withheld = hunt.withheld;
        self.hunt = hunt;
        let single = out.len();
        if single < end && ask.copies > 1 && !ask.parole {
            self.double(ask, end, out);
        }
        Picked {
            blocks: out.len() - begin,
            doubled: out.len() - single,
            withheld,
        }
    }

    /// Chooses among all pieces.
    fn seek(&mut self, hunt: &mut Hunt, ask: &Ask<'_>) {
        let at = self.workers.piece(ask.peer).filter(|&at| self.partial(at).is_some());
        let suggested = ask.suggested.filter(|&piece| Some(piece) != at);
        hunt.pending = [at, suggested].map(|piece| {
            let piece = piece.filter(|&piece| ask.has.get(piece))?;
            Some((piece, self.ranking.start(self.standing(piece).bucket?)))
        });
        self.walk(hunt, ask, self.ranking.end(URGENT));
        if ask.whole_pieces
            && let [Some((at, _)), suggested] = hunt.pending
        {
            hunt.pending = [None, suggested];
            hunt.ahead.push(at);
            self.consider(hunt, ask, at);
        }
        match self.order {
            Order::RarestFirst => self.seek_rarest(hunt, ask),
            Order::Sequential => {
                self.lowest = self.open.next(self.lowest).unwrap_or(self.shape.pieces);
                self.sweep(hunt, ask, self.lowest..self.shape.pieces);
            }
            Order::RoundRobin => {
                self.walk(hunt, ask, self.ranking.end(BEGUN));
                self.sweep(hunt, ask, self.cursor..self.shape.pieces);
                self.sweep(hunt, ask, 0..self.cursor);
            }
        }
    }

    fn seek_rarest(&mut self, hunt: &mut Hunt, ask: &Ask<'_>) {
        let random = self.random_left();
        if random > 0 {
            self.walk(hunt, ask, self.ranking.end(BEGUN));
            self.seek_random(hunt, ask, random);
        }
        // With a seed these are the rarest, without one nobody has them.
        if self.seeds == 0 {
            let unheld = self.ranking.start(UNHELD.0);
            self.walk(hunt, ask, unheld);
            if hunt.seen >= unheld {
                hunt.seen = hunt.seen.max(self.ranking.end(UNHELD.1));
            }
        }
        self.walk(hunt, ask, self.ranking.len());
        if hunt.seen < self.ranking.len() {
            self.seek_sample(hunt, ask);
        }
    }

    /// Looks at the ranked pieces in order up to a place, until enough is found or looks run out.
    fn walk(&self, hunt: &mut Hunt, ask: &Ask<'_>, until: u32) {
        while hunt.seen < until && hunt.lacking > 0 && hunt.look() {
            while let Some(piece) = hunt.due() {
                hunt.ahead.push(piece);
                self.consider(hunt, ask, piece);
            }
            let Some(piece) = self.ranking.at(hunt.seen) else {
                return;
            };
            hunt.seen += 1;
            if ask.has.get(piece) && !hunt.ahead.contains(&piece) {
                self.consider(hunt, ask, piece);
            }
        }
    }

    /// Looks at pieces by number, until enough is found or looks run out.
    fn sweep(&self, hunt: &mut Hunt, ask: &Ask<'_>, range: Range<u32>) {
        for piece in self.unseen(ask, range) {
            if hunt.lacking == 0 || !hunt.look() {
                return;
            }
            if self.is_new(hunt, piece) {
                self.consider(hunt, ask, piece);
            }
        }
    }

    /// Looks at `count` pieces from a random one on.
    fn seek_random(&mut self, hunt: &mut Hunt, ask: &Ask<'_>, count: u32) {
        let start = self.ranking.below(self.shape.pieces);
        let mut left = count;
        for piece in self.around(ask, start) {
            if hunt.lacking == 0 || left == 0 || !hunt.look() {
                return;
            }
            if self.is_new(hunt, piece) {
                left -= 1;
                hunt.ahead.push(piece);
                self.consider(hunt, ask, piece);
            }
        }
    }

    /// Looks at the best of some pieces from a random one on.
    fn seek_sample(&mut self, hunt: &mut Hunt, ask: &Ask<'_>) {
        if hunt.lacking == 0 {
            return;
        }
        let start = self.ranking.below(self.shape.pieces);
        let mut sample = std::mem::take(&mut hunt.sample);
        let new = self.around(ask, start).filter(|&piece| self.is_new(hunt, piece));
        sample.extend(
            new.take(index(LOOKS))
                .map(|piece| Reverse((self.ranking.place(piece), piece))),
        );
        hunt.sample = sample;
        self.consider_sample(hunt, ask);
    }

    /// Chooses among what a peer that chokes us grants.
    fn seek_allowed(&self, hunt: &mut Hunt, ask: &Ask<'_>, allowed: &[u32]) {
        for &piece in allowed.iter().take(index(LOOKS)) {
            if self.open.get(piece) && ask.has.get(piece) {
                hunt.sample.push(Reverse((self.ranking.place(piece), piece)));
            }
        }
        self.consider_sample(hunt, ask);
    }

    fn consider_sample(&self, hunt: &mut Hunt, ask: &Ask<'_>) {
        let mut best = BinaryHeap::from(std::mem::take(&mut hunt.sample));
        let mut last = None;
        while hunt.lacking > 0
            && let Some(Reverse((_, piece))) = best.pop()
        {
            // A peer may grant a piece twice.
            if last != Some(piece) {
                self.consider(hunt, ask, piece);
            }
            last = Some(piece);
        }
        hunt.sample = best.into_vec();
        hunt.sample.clear();
    }

    fn is_new(&self, hunt: &Hunt, piece: u32) -> bool {
        self.ranking.place(piece) >= hunt.seen && !hunt.ahead.contains(&piece)
    }

    /// Pickable pieces of a peer in a range, ascending.
    fn unseen(&self, ask: &Ask<'_>, range: Range<u32>) -> impl Iterator<Item = u32> {
        let has = ask.has;
        let next = move |from: u32| has.next_of(&self.open, from).filter(|&piece| piece < range.end);
        std::iter::successors(next(range.start), move |&piece| next(piece + 1))
    }

    /// Pickable pieces of a peer, from one on and around.
    fn around(&self, ask: &Ask<'_>, start: u32) -> impl Iterator<Item = u32> {
        self.unseen(ask, start..self.shape.pieces)
            .chain(self.unseen(ask, 0..start))
    }

    /// Enters a pickable piece that the peer has where it belongs.
    fn consider(&self, hunt: &mut Hunt, ask: &Ask<'_>, piece: u32) {
        let Some(partial) = self.partial(piece) else {
            return hunt.choose(piece, self.shape.blocks_in(piece));
        };
        let is_of_another_speed = partial.speed().is_some_and(|speed| speed != ask.speed);
        let is_alone = partial.is_alone(ask.peer);
        if ask.parole && !is_alone {
            hunt.withheld = true;
        } else if is_alone || !(ask.whole_pieces || is_of_another_speed) {
            hunt.choose(piece, partial.open());
        } else {
            hunt.spare.push(piece);
        }
    }

    /// Asks for a few open blocks of each piece in turn, until `out` is as long as `end` or there are no more.
    fn take_by_turns(&mut self, pieces: &[u32], ask: &Ask<'_>, end: usize, out: &mut Vec<Slot>) {
        let mut before = usize::MAX;
        while out.len() < end && out.len() != before {
            before = out.len();
            for &piece in pieces {
                self.take(piece, ask, end.min(out.len() + RUN), out);
            }
        }
    }

    /// Asks for open blocks of a piece, until `out` is as long as `end`.
    fn take(&mut self, piece: u32, ask: &Ask<'_>, end: usize, out: &mut Vec<Slot>) {
        if out.len() >= end {
            return;
        }
        let before = self.standing(piece);
        let is_its_turn = self.partial(piece).is_none() && self.priority(piece) < 7 && ask.allowed.is_none();
        if is_its_turn && self.order == Order::RoundRobin {
            self.cursor = piece + 1;
        }
        if !self.begin(piece) {
            return;
        }
        while out.len() < end
            && let Some(block) = self.ask(piece, ask)
        {
            out.push(Slot { piece, block });
        }
        self.settle(piece, before);
    }

    fn ask(&mut self, piece: u32, ask: &Ask<'_>) -> Option<u32> {
        let block = self.partial_mut(piece)?.ask(ask.peer, ask.speed)?;
        self.workers.ask(ask.peer, piece);
        Some(block)
    }

    /// Asks for blocks that others are asked for, those of the fewest first, from a random piece on.
    fn double(&mut self, ask: &Ask<'_>, end: usize, out: &mut Vec<Slot>) {
        let slots = self.partials.slots();
        let start = u16::try_from(self.ranking.below(u32::from(slots))).unwrap_or(0);
        for askers in 1..ask.copies {
            for slot in (start..slots).chain(0..start) {
                let Some(partial) = self.partials.get_mut(slot).filter(|partial| partial.asked() > 0) else {
                    continue;
                };
                let piece = partial.piece();
                let is_allowed = ask.allowed.is_none_or(|allowed| allowed.contains(&piece));
                if !is_allowed || !ask.has.get(piece) || !self.missing.get(piece) {
                    continue;
                }
                let mut from = 0;
                while let Some(block) = partial.ask_too(from, ask.peer, askers) {
                    self.workers.ask(ask.peer, piece);
                    out.push(Slot { piece, block });
                    if out.len() == end {
                        return;
                    }
                    from = block + 1;
                }
            }
        }
    }
}
