//! Pieces that are begun: what is known of each of their blocks. A slab: its memory is that of the most at once.

use super::{PeerKey, Speed, index};

/// What has become of a block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BlockState {
    /// Nobody is asked for it.
    Open,
    /// At least one peer is.
    Asked,
    /// It arrived, and is not reported as written.
    Writing,
    /// It is written, or was never needed.
    Done,
}

/// Stands for a peer where there is none.
const NOBODY: PeerKey = PeerKey(u32::MAX);

/// 8 bytes a block.
#[derive(Clone, Copy, Debug)]
struct Block {
    /// Asked: the first who was. Writing, Done: who gave it.
    peer: PeerKey,
    state: BlockState,
    /// Peers asked for it now.
    askers: u8,
}

const OPEN: Block = Block {
    peer: NOBODY,
    state: BlockState::Open,
    askers: 0,
};

/// Who takes part in a piece, by asking or by having given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Crew {
    Nobody,
    One(PeerKey),
    Several,
}

/// One piece that is begun.
#[derive(Debug)]
pub(super) struct Partial {
    piece: u32,
    /// As many as the piece has; empty in a slot that is free.
    blocks: Vec<Block>,
    open: u32,
    asked: u32,
    /// No block before this one is open.
    hint: u32,
    /// Of those who are asked, the first one's; `None` while nobody is.
    speed: Option<Speed>,
    crew: Crew,
    /// Beside the first, who else is asked for a block.
    extras: Vec<(u32, PeerKey)>,
}

/// What became of a block that came in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Taken {
    Fresh,
    Redundant,
    Unasked,
}

impl Partial {
    fn begin(&mut self, piece: u32, blocks: u32) {
        self.piece = piece;
        self.blocks.clear();
        self.blocks.resize(index(blocks), OPEN);
        self.open = blocks;
        self.asked = 0;
        self.hint = 0;
        self.speed = None;
        self.crew = Crew::Nobody;
        self.extras.clear();
    }

    pub(super) fn piece(&self) -> u32 {
        self.piece
    }

    pub(super) fn open(&self) -> u32 {
        self.open
    }

    pub(super) fn asked(&self) -> u32 {
        self.asked
    }

    pub(super) fn speed(&self) -> Option<Speed> {
        self.speed
    }

    pub(super) fn is_complete(&self) -> bool {
        self.open == 0 && self.asked == 0
    }

    /// Whether nothing arrived and nobody is asked.
    pub(super) fn is_pristine(&self) -> bool {
        index(self.open) == self.blocks.len()
    }

    /// Whether nobody but `peer` takes part.
    pub(super) fn is_alone(&self, peer: PeerKey) -> bool {
        matches!(self.crew, Crew::Nobody) || self.crew == Crew::One(peer)
    }

    /// State of a block, whose it is, how many are asked.
    pub(super) fn block(&self, block: u32) -> Option<(BlockState, Option<PeerKey>, u8)> {
        let block = self.blocks.get(index(block))?;
        Some((
            block.state,
            Some(block.peer).filter(|&peer| peer != NOBODY),
            block.askers,
        ))
    }

    pub(super) fn blocks(&self) -> u32 {
        u32::try_from(self.blocks.len()).unwrap_or(u32::MAX)
    }

    /// Blocks with whoever gave them.
    pub(super) fn givers(&self) -> impl Iterator<Item = (u32, PeerKey)> {
        let given = |block: &Block| matches!(block.state, BlockState::Writing | BlockState::Done);
        let blocks = (0..).zip(&self.blocks);
        blocks.filter_map(move |(at, block)| (given(block) && block.peer != NOBODY).then_some((at, block.peer)))
    }

    /// Everybody who is asked for a block now, once for each.
    pub(super) fn askers(&self) -> impl Iterator<Item = PeerKey> {
        let first = self.blocks.iter().filter(|block| block.state == BlockState::Asked);
        let extras = self.extras.iter().map(|&(_, peer)| peer);
        first.map(|block| block.peer).chain(extras)
    }

    fn is_asked(&self, at: u32, peer: PeerKey) -> bool {
        let block = self.blocks.get(index(at));
        block.is_some_and(|block| block.state == BlockState::Asked && block.peer == peer)
            || self.extras.contains(&(at, peer))
    }

    fn join(&mut self, peer: PeerKey) {
        self.crew = match self.crew {
            Crew::Nobody => Crew::One(peer),
            Crew::One(one) if one == peer => Crew::One(peer),
            Crew::One(_) | Crew::Several => Crew::Several,
        };
    }

    /// Who is left of the crew, once nobody is asked: who gave something.
    fn muster(&mut self) {
        if self.asked > 0 {
            return;
        }
        self.speed = None;
        let first = self.givers().next().map(|(_, peer)| peer);
        self.crew = match first {
            None => Crew::Nobody,
            Some(first) if self.givers().all(|(_, peer)| peer == first) => Crew::One(first),
            Some(_) => Crew::Several,
        };
    }

    /// Asks `peer` for the first open block.
    pub(super) fn ask(&mut self, peer: PeerKey, speed: Speed) -> Option<u32> {
        let blocks = (0..).zip(&mut self.blocks).skip(index(self.hint));
        let mut open = blocks.filter(|(_, block)| block.state == BlockState::Open);
        let (at, block) = open.next()?;
        *block = Block {
            peer,
            state: BlockState::Asked,
            askers: 1,
        };
        self.hint = at + 1;
        self.open -= 1;
        self.asked += 1;
        self.speed = self.speed.or(Some(speed));
        self.join(peer);
        Some(at)
    }

    /// Asks `peer` too for a block that `askers` others are asked for, the first from `from` on.
    pub(super) fn ask_too(&mut self, from: u32, peer: PeerKey, askers: u8) -> Option<u32> {
        let wanted = |block: &Block| block.state == BlockState::Asked && block.askers == askers;
        let mut from = (from..).zip(self.blocks.iter().skip(index(from)));
        let (at, _) = from.find(|&(at, block)| wanted(block) && !self.is_asked(at, peer))?;
        let block = self.blocks.get_mut(index(at))?;
        block.askers = block.askers.saturating_add(1);
        self.extras.push((at, peer));
        self.join(peer);
        Some(at)
    }

    /// `peer` will not give a block that it is asked for. Whether it was asked.
    pub(super) fn abandon(&mut self, at: u32, peer: PeerKey) -> bool {
        if !self.is_asked(at, peer) {
            return false;
        }
        let extra = self.extras.iter().position(|&extra| extra == (at, peer));
        let Some(block) = self.blocks.get_mut(index(at)) else {
            return false;
        };
        block.askers = block.askers.saturating_sub(1);
        if let Some(extra) = extra {
            self.extras.swap_remove(extra);
        } else if let Some(heir) = self.extras.iter().position(|&(of, _)| of == at) {
            block.peer = self.extras.swap_remove(heir).1;
        } else {
            *block = OPEN;
            self.asked -= 1;
            self.reopened(at);
            self.muster();
        }
        true
    }

    /// A block came from `peer`. It is kept if `peer` was asked for it, or `anyway`. Appends to `askers` everybody who was
    /// asked for it until now.
    pub(super) fn take(&mut self, at: u32, peer: PeerKey, anyway: bool, askers: &mut Vec<PeerKey>) -> Taken {
        let is_asked = self.is_asked(at, peer);
        let Some(block) = self.blocks.get_mut(index(at)) else {
            return Taken::Unasked;
        };
        match block.state {
            BlockState::Writing | BlockState::Done => return Taken::Redundant,
            BlockState::Open | BlockState::Asked if !is_asked && !anyway => return Taken::Unasked,
            BlockState::Open => self.open -= 1,
            BlockState::Asked => {
                self.asked -= 1;
                askers.push(block.peer);
            }
        }
        *block = Block {
            peer,
            state: BlockState::Writing,
            askers: 0,
        };
        self.extras.retain(|&(of, other)| {
            if of == at {
                askers.push(other);
            }
            of != at
        });
        if self.asked == 0 {
            self.speed = None;
        }
        self.join(peer);
        Taken::Fresh
    }

    /// A block is needed from nobody. Whether it was open.
    pub(super) fn mark_done(&mut self, at: u32) -> bool {
        self.turn(at, BlockState::Open, BlockState::Done, |partial| partial.open -= 1)
    }

    /// A block is written. Whether it was on its way.
    pub(super) fn written(&mut self, at: u32) -> bool {
        self.turn(at, BlockState::Writing, BlockState::Done, |_| ())
    }

    fn turn(&mut self, at: u32, from: BlockState, to: BlockState, then: impl FnOnce(&mut Self)) -> bool {
        match self.blocks.get_mut(index(at)) {
            Some(block) if block.state == from => block.state = to,
            _ => return false,
        }
        then(self);
        true
    }

    /// A block that arrived is open again. Whether it had arrived, and who gave it.
    pub(super) fn reopen(&mut self, at: u32) -> Option<Option<PeerKey>> {
        let block = self.blocks.get_mut(index(at))?;
        if !matches!(block.state, BlockState::Writing | BlockState::Done) {
            return None;
        }
        let giver = std::mem::replace(block, OPEN).peer;
        self.reopened(at);
        self.muster();
        Some(Some(giver).filter(|&giver| giver != NOBODY))
    }

    fn reopened(&mut self, at: u32) {
        self.open += 1;
        self.hint = self.hint.min(at);
    }

    #[cfg(test)]
    pub(super) fn check(&self) {
        let count = |state| self.blocks.iter().filter(|block| block.state == state).count();
        assert_eq!(count(BlockState::Open), index(self.open));
        assert_eq!(count(BlockState::Asked), index(self.asked));
        assert!(
            self.blocks
                .iter()
                .take(index(self.hint))
                .all(|block| block.state != BlockState::Open)
        );
        for (at, block) in (0..).zip(&self.blocks) {
            let extras = self.extras.iter().filter(|&&(of, _)| of == at).count();
            let first = usize::from(block.state == BlockState::Asked);
            assert_eq!(usize::from(block.askers), first + extras);
            assert!(first == 1 || extras == 0);
        }
        assert!(self.asked > 0 || self.speed.is_none());
    }
}

/// The slot of a piece that is not begun.
pub(super) const NONE: u16 = u16::MAX;

/// All pieces that are begun, at most 65,535.
#[derive(Debug)]
pub(super) struct Partials {
    slots: Vec<Partial>,
    free: Vec<u16>,
}

impl Partials {
    pub(super) fn new() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> u32 {
        u32::try_from(self.slots.len() - self.free.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn get(&self, slot: u16) -> Option<&Partial> {
        self.slots.get(usize::from(slot))
    }

    pub(super) fn get_mut(&mut self, slot: u16) -> Option<&mut Partial> {
        self.slots.get_mut(usize::from(slot))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Partial> {
        self.slots.iter().filter(|partial| !partial.blocks.is_empty())
    }

    /// The piece in a slot.
    pub(super) fn piece_in(&self, slot: u16) -> Option<u32> {
        let partial = self.get(slot).filter(|partial| !partial.blocks.is_empty())?;
        Some(partial.piece)
    }

    /// Slots, free ones among them.
    pub(super) fn slots(&self) -> u16 {
        u16::try_from(self.slots.len()).unwrap_or(NONE)
    }

    /// The slot of a piece that is begun now; `None` if there is none left.
    pub(super) fn begin(&mut self, piece: u32, blocks: u32) -> Option<u16> {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None if self.slots() == NONE => return None,
            None => {
                self.slots.push(Partial {
                    piece,
                    blocks: Vec::new(),
                    open: 0,
                    asked: 0,
                    hint: 0,
                    speed: None,
                    crew: Crew::Nobody,
                    extras: Vec::new(),
                });
                self.slots() - 1
            }
        };
        self.get_mut(slot)?.begin(piece, blocks);
        Some(slot)
    }

    /// The piece is begun no more.
    pub(super) fn end(&mut self, slot: u16) {
        if let Some(partial) = self.get_mut(slot)
            && !partial.blocks.is_empty()
        {
            partial.begin(partial.piece, 0);
            self.free.push(slot);
        }
    }
}
