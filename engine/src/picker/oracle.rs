//! A picker that looks at everything each time.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

mod tests;

const PIECES: u32 = 24;
const PEERS: u32 = 5;
const SHAPE: Shape = Shape {
    pieces: PIECES,
    blocks_per_piece: 3,
    blocks_in_last: 2,
};

#[derive(Clone, PartialEq, Debug)]
enum Block {
    Open,
    Asked(Vec<u32>),
    Here { giver: Option<u32>, is_written: bool },
}

struct Thing {
    have: bool,
    level: u8,
    blocks: Vec<Block>,
    crew: BTreeSet<u32>,
    speed: Option<Speed>,
}

impl Thing {
    fn count(&self, is: impl Fn(&Block) -> bool) -> usize {
        self.blocks.iter().filter(|block| is(block)).count()
    }

    fn open(&self) -> usize {
        self.count(|block| *block == Block::Open)
    }

    fn asked(&self) -> usize {
        self.count(|block| matches!(block, Block::Asked(_)))
    }

    fn is_missing(&self) -> bool {
        self.level > 0 && !self.have
    }

    fn is_begun(&self) -> bool {
        self.open() < self.blocks.len()
    }

    fn givers(&self) -> Vec<(u32, u32)> {
        let given = |(at, block): (u32, &Block)| match block {
            Block::Here { giver, .. } => giver.map(|giver| (at, giver)),
            _ => None,
        };
        (0..).zip(&self.blocks).filter_map(given).collect()
    }

    /// After a block became open again.
    fn muster(&mut self) {
        if self.asked() == 0 {
            self.speed = None;
            self.crew = self.givers().into_iter().map(|(_, giver)| giver).collect();
        }
    }

    fn is_alone(&self, peer: u32) -> bool {
        self.crew.iter().all(|&one| one == peer)
    }

    fn forget(&mut self) {
        self.blocks.fill(Block::Open);
        self.crew.clear();
        self.speed = None;
    }
}

struct Model {
    things: Vec<Thing>,
    /// What each peer has; `None` for a seed.
    peers: Vec<Option<Bits>>,
    at: Vec<Option<u32>>,
    order: Order,
    prefer: bool,
    random_first: u32,
    crowded: bool,
    begun_first: bool,
    cursor: u32,
}

#[derive(Clone, Debug)]
struct Request {
    peer: u32,
    want: usize,
    speed: Speed,
    whole_pieces: bool,
    parole: bool,
    copies: u8,
    allowed: Option<Vec<u32>>,
    suggested: Option<u32>,
}

impl Model {
    fn new() -> Self {
        let thing = |piece| Thing {
            have: false,
            level: NORMAL,
            blocks: vec![Block::Open; index(SHAPE.blocks_in(piece))],
            crew: BTreeSet::new(),
            speed: None,
        };
        Self {
            things: (0..PIECES).map(thing).collect(),
            peers: vec![Some(Bits::new(PIECES)); index(PEERS)],
            at: vec![None; index(PEERS)],
            order: Order::RarestFirst,
            prefer: false,
            random_first: 4,
            crowded: false,
            begun_first: false,
            cursor: 0,
        }
    }

    fn thing(&mut self, piece: u32) -> &mut Thing {
        &mut self.things[index(piece)]
    }

    fn block(&mut self, slot: Slot) -> Option<&mut Block> {
        self.things
            .get_mut(index(slot.piece))?
            .blocks
            .get_mut(index(slot.block))
    }

    fn has(&self, peer: u32, piece: u32) -> bool {
        self.peers[index(peer)].as_ref().is_none_or(|bits| bits.get(piece))
    }

    fn copies(&self, piece: u32) -> u32 {
        u32::try_from((0..PEERS).filter(|&peer| self.has(peer, piece)).count()).unwrap()
    }

    fn requests(&self) -> Vec<(Slot, u32)> {
        let mut all = Vec::new();
        for (piece, thing) in (0..).zip(&self.things) {
            for (block, state) in (0..).zip(&thing.blocks) {
                if let Block::Asked(askers) = state {
                    all.extend(askers.iter().map(|&peer| (Slot { piece, block }, peer)));
                }
            }
        }
        all
    }

    /// The lower, the sooner: what PICK-06 says, in other words than the picker.
    fn rank(&self, piece: u32) -> (u8, u32, u8) {
        let thing = &self.things[index(piece)];
        match (thing.level, thing.is_begun()) {
            (7, begun) => (0, 0, u8::from(!begun)),
            (_, true) if self.begun_first => (1, 0, 0),
            (6, _) => (2, 0, 0),
            (4 | 5, _) => (3, self.copies(piece), 0),
            (3, _) | (_, true) => (3, self.copies(piece), 1),
            (level, false) => (3, self.copies(piece), 4 - level),
        }
    }

    fn random_left(&self) -> u32 {
        let known = self
            .things
            .iter()
            .filter(|thing| thing.have || thing.is_begun())
            .count();
        match self.order {
            Order::RarestFirst => self.random_first.saturating_sub(u32::try_from(known).unwrap()),
            _ => 0,
        }
    }

    fn decide(&mut self) {
        let busy = self
            .requests()
            .into_iter()
            .map(|(_, peer)| peer)
            .collect::<BTreeSet<_>>()
            .len();
        let begun = |thing: &&Thing| thing.is_missing() && thing.is_begun() && thing.open() > 0;
        let begun = self.things.iter().filter(begun).count();
        self.crowded = if self.crowded {
            begun > busy
        } else {
            begun > 2 * busy + 2
        };
        self.begun_first = self.prefer || self.crowded || self.order == Order::RoundRobin || self.random_left() > 0;
    }

    /// Which of `left` may be next.
    fn next(&self, left: &[u32], request: &Request, random: u32) -> Vec<u32> {
        let best = |of: &[u32]| {
            let least = of.iter().map(|&piece| self.rank(piece)).min();
            of.iter()
                .copied()
                .filter(|&piece| Some(self.rank(piece)) == least)
                .collect::<Vec<_>>()
        };
        if request.allowed.is_some() {
            return best(left);
        }
        let before = |most: u8| left.iter().copied().filter(move |&piece| self.rank(piece).0 <= most);
        let urgent: Vec<u32> = before(0).collect();
        if !urgent.is_empty() {
            return best(&urgent);
        }
        let at = self.at[index(request.peer)].filter(|&at| self.things[index(at)].is_begun());
        if request.whole_pieces && left.iter().any(|&piece| Some(piece) == at) {
            return at.into_iter().collect();
        }
        let begun: Vec<u32> = before(1).collect();
        match self.order {
            Order::Sequential => left.iter().copied().min().into_iter().collect(),
            _ if !begun.is_empty() => begun,
            Order::RoundRobin => {
                let around = |piece: &u32| (*piece < self.cursor, *piece);
                left.iter().copied().min_by_key(around).into_iter().collect()
            }
            Order::RarestFirst if random > 0 => left.to_vec(),
            Order::RarestFirst => best(left),
        }
    }

    /// Whether `slots` are what may be picked; enters them.
    fn picked(&mut self, request: &Request, slots: &[Slot], picked: Picked) -> Result<(), TestCaseError> {
        let peer = request.peer;
        let granted = |piece: u32| request.allowed.as_ref().is_none_or(|allowed| allowed.contains(&piece));
        let may = |model: &Self, piece: u32| {
            model.has(peer, piece) && granted(piece) && model.things[index(piece)].is_missing()
        };
        let mut tiers = [Vec::new(), Vec::new()];
        let mut withheld = false;
        for piece in (0..PIECES).filter(|&piece| may(self, piece)) {
            let thing = &self.things[index(piece)];
            let is_of_another = thing.speed.is_some_and(|speed| speed != request.speed);
            match () {
                () if thing.open() == 0 => (),
                () if thing.is_alone(peer) => tiers[0].push(piece),
                () if request.parole => withheld = true,
                () if request.whole_pieces || is_of_another => tiers[1].push(piece),
                () => tiers[0].push(piece),
            }
        }
        prop_assert!(withheld || !picked.withheld);
        prop_assert_eq!(picked.blocks, slots.len());
        prop_assert!(slots.len() <= request.want);
        let (single, double) = slots.split_at(slots.len() - picked.doubled);
        let mut random = self.random_left();
        let started_at = self.at[index(peer)];
        let mut chunks = single.chunk_by(|a, b| a.piece == b.piece).peekable();
        for tier in &mut tiers {
            while let Some(chunk) = chunks.next_if(|_| !tier.is_empty()) {
                let piece = chunk[0].piece;
                self.at[index(peer)] = started_at;
                let next = self.next(tier, request, random);
                prop_assert!(next.contains(&piece), "{} is not among {:?}", piece, next);
                tier.retain(|&other| other != piece);
                let thing = &self.things[index(piece)];
                random = random.saturating_sub(u32::from(!thing.is_begun() && self.rank(piece).0 > 0));
                let is_its_turn = !thing.is_begun() && thing.level < 7 && request.allowed.is_none();
                if self.order == Order::RoundRobin && is_its_turn {
                    self.cursor = piece + 1;
                }
                let open = (0..).zip(&thing.blocks).filter(|(_, block)| **block == Block::Open);
                let open: Vec<u32> = open.map(|(at, _)| at).collect();
                let got: Vec<u32> = chunk.iter().map(|slot| slot.block).collect();
                let is_last = chunks.peek().is_none() && single.len() == request.want;
                prop_assert!(got == open || (is_last && open.starts_with(&got)));
                for &slot in chunk {
                    self.ask(slot, request);
                }
            }
        }
        prop_assert!(chunks.next().is_none(), "more than there is");
        prop_assert!(
            single.len() == request.want || tiers.iter().all(Vec::is_empty),
            "{:?} left",
            tiers
        );
        let left = if request.parole { 0 } else { request.want - single.len() };
        self.doubled(request, double, left, may)
    }

    fn doubled(
        &mut self,
        request: &Request,
        slots: &[Slot],
        left: usize,
        may: impl Fn(&Self, u32) -> bool,
    ) -> Result<(), TestCaseError> {
        let eligible = |model: &Self| -> Vec<(usize, Slot)> {
            let mut all = Vec::new();
            for (piece, thing) in (0..).zip(&model.things).filter(|&(piece, _)| may(model, piece)) {
                for (block, state) in (0..).zip(&thing.blocks) {
                    if let Block::Asked(askers) = state
                        && askers.len() < usize::from(request.copies)
                        && !askers.contains(&request.peer)
                    {
                        all.push((askers.len(), Slot { piece, block }));
                    }
                }
            }
            all
        };
        prop_assert!(slots.len() <= left);
        for &slot in slots {
            let all = eligible(self);
            let least = all.iter().map(|&(askers, _)| askers).min();
            prop_assert!(all.iter().any(|&(askers, of)| of == slot && Some(askers) == least));
            self.ask(slot, request);
        }
        prop_assert!(slots.len() == left || eligible(self).is_empty());
        Ok(())
    }

    fn ask(&mut self, slot: Slot, request: &Request) {
        match self.block(slot).unwrap() {
            Block::Asked(askers) => askers.push(request.peer),
            block => *block = Block::Asked(vec![request.peer]),
        }
        let thing = self.thing(slot.piece);
        thing.crew.insert(request.peer);
        thing.speed = thing.speed.or(Some(request.speed));
        self.at[index(request.peer)] = Some(slot.piece);
    }

    fn abandon(&mut self, slot: Slot, peer: u32) -> bool {
        let Some(block) = self.block(slot) else {
            return false;
        };
        let Block::Asked(askers) = block else {
            return false;
        };
        let before = askers.len();
        askers.retain(|&asked| asked != peer);
        let was_asked = askers.len() < before;
        if askers.is_empty() {
            *block = Block::Open;
            self.thing(slot.piece).muster();
        }
        was_asked
    }

    fn arrived(&mut self, slot: Slot, peer: u32, anyway: bool) -> (Arrived, BTreeSet<u32>) {
        let nobody = BTreeSet::new();
        if self.things.get(index(slot.piece)).is_some_and(|thing| thing.have) {
            return (Arrived::Redundant, nobody);
        }
        let Some(block) = self.block(slot) else {
            return (Arrived::Unasked, nobody);
        };
        let askers: BTreeSet<u32> = match block {
            Block::Here { .. } => return (Arrived::Redundant, nobody),
            Block::Open => BTreeSet::new(),
            Block::Asked(askers) => askers.iter().copied().collect(),
        };
        if !anyway && !askers.contains(&peer) {
            return (Arrived::Unasked, nobody);
        }
        *block = Block::Here {
            giver: Some(peer),
            is_written: false,
        };
        let thing = self.thing(slot.piece);
        thing.crew.insert(peer);
        thing.speed = thing.speed.filter(|_| thing.asked() > 0);
        let others = askers.into_iter().filter(|&other| other != peer);
        (Arrived::Fresh, others.collect())
    }

    fn reopen(&mut self, slot: Slot) -> bool {
        let block = self.block(slot).filter(|block| matches!(block, Block::Here { .. }));
        let Some(block) = block else {
            return false;
        };
        *block = Block::Open;
        self.thing(slot.piece).muster();
        true
    }

    fn have(&mut self, piece: u32) {
        let thing = self.thing(piece);
        thing.have = true;
        thing.forget();
    }
}
