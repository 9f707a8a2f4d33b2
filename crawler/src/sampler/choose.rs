//! Who is asked next, and around which point it is to name nodes.

use rand::{Rng, RngExt};
use wire::NodeId;
use world::Time;

use super::harvest::is_compared;
use super::zones::Zones;
use super::{Sampler, secs};
use crate::ledger::{Entry, Node, Turn};
use crate::{Contact, Family, K};

/// Of so many queries one goes to the turns in rotation, whatever is expected: names of nodes can be forged without end, and
/// must not keep those from their turn who are known to answer, nor those who may be alive after all.
pub(super) const ROTATION: u64 = 8;

impl Sampler {
    /// Whoever is expected to show most; every eighth time, somebody of the next turn in rotation.
    pub(super) fn pick(&mut self, now: Time) -> Option<Entry> {
        if let Some(zones) = &mut self.zones {
            return zones.pick(secs(now), &self.ledger);
        }
        if self.asks.is_multiple_of(ROTATION) {
            let first = (self.asks / ROTATION) as usize % Turn::ALL.len();
            let mut turns = Turn::ALL[first..].iter().chain(&Turn::ALL[..first]);
            return turns.find_map(|&turn| self.next_of(turn));
        }
        let expected = |node: &Node, fresh| self.harvest.expected(node, fresh);
        let mut best = self.fresh.best(secs(now), &self.ledger, |node| expected(node, true));
        for turn in Turn::ALL.into_iter().filter(|&turn| is_compared(turn)) {
            let cursor = &mut self.cursors[turn as usize];
            let held = self.held[turn as usize].filter(|&held| self.ledger.is_next(held, turn));
            let candidates = held.into_iter().chain(self.ledger.next_ready(turn, cursor));
            let of_turn = most(candidates.map(|entry| (expected(self.ledger.node(entry), false), entry)));
            self.held[turn as usize] = of_turn.map(|(_, entry)| entry);
            best = most(best.into_iter().chain(of_turn));
        }
        match best {
            Some((_, entry)) => Some(entry),
            None => self.next_of(Turn::Discover),
        }
    }

    fn next_of(&mut self, turn: Turn) -> Option<Entry> {
        self.ledger.next_ready(turn, &mut self.cursors[turn as usize])
    }

    /// A random point in one of the asked node's buckets: it shares `depth` bits with the node's id, and differs in the
    /// next. An answer names about eight nodes of that bucket. If all buckets were as likely, a node would be named eight
    /// times in the mean, and by chance one in a thousand never; so half of the queries aim at the deepest bucket that
    /// can hold eight, which its owner knows in full. Not all of them may: the nodes nearest to one another name only one
    /// another, and whole neighbourhoods would never be entered.
    pub(super) fn target(&mut self, to: &Contact) -> NodeId {
        let known = self.ledger.len_of(Family::of(&to.addr));
        let deepest = (known / K).max(1).ilog2();
        let least = self.zones.as_ref().map_or(0, Zones::bits).min(deepest);
        let depth = if self.rng.random() {
            deepest
        } else {
            self.rng.random_range(least..=deepest)
        } as usize;
        let mut target = [0; 20];
        self.rng.fill_bytes(&mut target);
        let id = to.id.as_bytes();
        let at = depth / 8;
        target[..at].copy_from_slice(&id[..at]);
        let differing = 0x80_u8 >> (depth % 8);
        let free = differing - 1;
        target[at] = (id[at] ^ differing) & !free | target[at] & free;
        NodeId::new(target)
    }
}

/// Of whom most is expected; the last of equals.
pub(super) fn most(expected: impl Iterator<Item = (f32, Entry)>) -> Option<(f32, Entry)> {
    expected.max_by(|one, other| one.0.total_cmp(&other.0))
}
