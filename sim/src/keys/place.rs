//! Where announces end: who holds the keys of a block.

use std::ops::Range;

use wire::NodeId;
use world::Time;

use super::{Held, Key, KeyIndex, Keys, ROUTES, Rules, holds, leading};
use crate::address::Host;
use crate::nearest::{self, Near, Placed};
use crate::nodes::Nodes;

/// Nodes around a key that a search can come across. Eight of them remain even if half is missed.
pub(super) const AROUND: usize = 40;

/// So many are looked at first: of twenty some fourteen are found, and eight are enough for a search. Of a thousand keys four
/// need the others, too (100,000 nodes, realistic); who holds them is the same either way.
const AROUND_FIRST: usize = 20;

/// What the nodes of a block hold.
#[derive(Debug)]
pub(super) struct Block {
    /// When this is true: from then on for an [`EPOCH`](super::EPOCH), or always.
    pub(super) from: Time,
    /// The first node of the block.
    first: Host,
    held: Vec<Held>,
    /// Where the keys of each node start in `held`; one more at the end.
    starts: Vec<u32>,
}

struct Holder {
    id: NodeId,
    node: Host,
    visible: f64,
    room: usize,
}

impl Placed for Holder {
    fn id(&self) -> &NodeId {
        &self.id
    }
}

impl Block {
    pub(super) fn of(&self, node: Host) -> &[Held] {
        let at = (node - self.first) as usize;
        match (self.starts.get(at), self.starts.get(at + 1)) {
            (Some(start), Some(end)) => &self.held[*start as usize..*end as usize],
            _ => &[],
        }
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.held.capacity() * size_of::<Held>() + self.starts.capacity() * size_of::<u32>()
    }

    /// Sorts what was placed by `members`; each node's keys stay in the order in which they were placed.
    fn sorted(from: Time, members: &Range<Host>, placed: &[(Host, Held)]) -> Self {
        let first = members.start;
        let mut starts = vec![0_u32; members.len() + 1];
        for (node, _) in placed {
            starts[(node - first) as usize + 1] += 1;
        }
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        let mut next = starts.clone();
        let mut held = vec![Held::default(); placed.len()];
        for (node, one) in placed {
            let next = &mut next[(node - first) as usize];
            held[*next as usize] = *one;
            *next += 1;
        }
        Self {
            from,
            first,
            held,
            starts,
        }
    }
}

impl Keys {
    /// Lets the announcers of every key of a block search their way to the nearest nodes.
    pub(super) fn place(&self, number: usize, nodes: &Nodes, now: Time) -> Block {
        let members = nodes.leading(number, self.bits);
        let mut holders = self.rules.holders(members.clone(), nodes, now);
        let from = self
            .keys
            .partition_point(|key| leading(&key.infohash.as_target(), self.bits) < number);
        let rest = &self.keys[from..];
        let until = rest.partition_point(|key| leading(&key.infohash.as_target(), self.bits) <= number);
        let mut placed: Vec<(Host, Held)> = Vec::with_capacity(until * 12);
        let mut near: Vec<Near> = Vec::new();
        let keyed = (from as KeyIndex..).zip(&rest[..until]);
        for (index, key) in keyed.filter(|(_, key)| self.lasts(key, now)) {
            // Those of a key without listed peers have gone since.
            let searches = if self.is_bait(key) {
                1
            } else {
                ROUTES.min(self.sizes.of(self.rules.keys, key.origin))
            };
            let routes = self.rules.routes(key, searches, &holders, &mut near);
            for ((_, at), routes) in near.iter().zip(routes).filter(|(_, routes)| *routes != 0) {
                let holder = &mut holders[*at as usize];
                holder.room -= 1;
                placed.push((holder.node, Held { key: index, routes }));
            }
        }
        Block::sorted(now, &members, &placed)
    }
}

impl Rules {
    /// Those of the nodes that can be announced to, by id.
    fn holders(&self, members: Range<Host>, nodes: &Nodes, now: Time) -> Vec<Holder> {
        let holder = |node: Host| {
            let traits = nodes.traits(node).filter(|traits| holds(traits))?;
            nodes.is_there(node, now).then(|| Holder {
                id: nodes.id(node),
                node,
                visible: self.visible(node),
                room: self.rooms[traits.kind.index()],
            })
        };
        members.filter_map(holder).collect()
    }

    /// The chance that a search finds a node. Beta has mean one half; nodes differ around the mean that `announce_miss` gives.
    fn visible(&self, node: Host) -> f64 {
        let beta = self.visibility.as_ref();
        let around_one = beta.map_or(1.0, |beta| 0.5 + beta.at(self.dice.unit(u64::from(node), u64::MAX)));
        (1.0 - self.store.announce_miss) * around_one
    }

    /// Leaves those with room around a key in `near`, and gives for each by which of its searches the key comes to it.
    fn routes(&self, key: &Key, searches: u32, holders: &[Holder], near: &mut Vec<Near>) -> [u32; AROUND] {
        let dice = self.dice.of(u64::from(key.origin));
        let mut routes = [0_u32; AROUND];
        for around in [AROUND_FIRST, AROUND] {
            nearest::nearest(holders, &key.infohash.as_target(), around, near);
            near.retain(|(_, at)| holders[*at as usize].room > 0);
            // The nearest of more begin with these, so what was found before is found again.
            let mut enough = true;
            for route in 0..searches {
                let found = (0..near.len()).filter(|rank| {
                    dice.happens(u64::from(route), *rank as u64, holders[near[*rank].1 as usize].visible)
                });
                let mut missing = self.store.announce_to;
                for rank in found.take(missing) {
                    routes[rank] |= 1 << route;
                    missing -= 1;
                }
                enough &= missing == 0;
            }
            if enough {
                break;
            }
        }
        routes
    }
}
