//! Several nodes behind one address (`network-model.md` A6), and liars with hundreds of ids on one (J3).
//!
//! Who shares with whom is arithmetic on shuffled node numbers, so that no table is kept and those of one address are
//! neighbours neither in the key space nor in number.

use crate::address::Host;
use crate::dice::{Dice, Shuffle};

/// Of a thousand addresses so many have one node.
const ALONE: u32 = 939;
/// Where in a round of 35 nodes the next address begins: seven addresses with 2 to 8 nodes.
const STARTS: [u32; 8] = [0, 2, 5, 9, 14, 20, 27, 35];
/// Rounds, and after them addresses of two nodes: 60 addresses together (A6: 6 % have 2 to 8).
const ROUNDS: u32 = 8;
const PAIRS: u32 = 4;
/// One address in a thousand has so many (A6: 0.1 % have more than 8).
const CROWD: u32 = 16;
/// Nodes on a thousand addresses.
const NODES: u32 = ALONE + ROUNDS * 35 + 2 * PAIRS + CROWD;

/// Ids, and ports, that a liar has on one address (J3, and the list in 3.3).
pub(crate) const IDS: u32 = 256;

/// Which of the ports of an address: the first node is at the port of the lab, further ones at ports above it.
pub(crate) type Door = u16;

/// Where the living nodes are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Places {
    /// None if each has an address of its own, as on sockets, where one port is listened on.
    shuffle: Option<Shuffle>,
    nodes: u32,
}

impl Places {
    /// For so many nodes.
    pub(crate) fn new(shared: bool, nodes: u32, dice: Dice) -> Self {
        Self {
            shuffle: shared.then(|| Shuffle::new(dice, nodes)),
            nodes,
        }
    }

    /// The number of the address where a node is, which is below that of nodes, and its door.
    pub(crate) fn of(self, node: Host) -> (Host, Door) {
        let Some(shuffle) = self.shuffle else { return (node, 0) };
        let slot = shuffle.of(node);
        let (block, at) = (slot / NODES, slot % NODES);
        let (place, door) = if at < ALONE {
            (at, 0)
        } else if at < ALONE + ROUNDS * 35 {
            let (round, at) = ((at - ALONE) / 35, (at - ALONE) % 35);
            let group = STARTS.iter().filter(|start| **start <= at).count() as u32 - 1;
            (ALONE + round * 7 + group, at - STARTS[group as usize])
        } else if at < NODES - CROWD {
            let at = at - ALONE - ROUNDS * 35;
            (ALONE + ROUNDS * 7 + at / 2, at % 2)
        } else {
            (999, at + CROWD - NODES)
        };
        (block * 1000 + place, door as Door)
    }

    /// Who is there, if a node can be.
    pub(crate) fn at(self, place: Host, door: Door) -> Option<Host> {
        let Some(shuffle) = self.shuffle else {
            return (door == 0 && place < self.nodes).then_some(place);
        };
        let (block, at, door) = (place / 1000, place % 1000, u32::from(door));
        let (first, size) = if at < ALONE {
            (at, 1)
        } else if at < ALONE + ROUNDS * 7 {
            let (round, group) = ((at - ALONE) / 7, (at - ALONE) as usize % 7);
            (ALONE + round * 35 + STARTS[group], STARTS[group + 1] - STARTS[group])
        } else if at < 999 {
            (ALONE + ROUNDS * 35 + 2 * (at - ALONE - ROUNDS * 7), 2)
        } else {
            (NODES - CROWD, CROWD)
        };
        let slot = block.checked_mul(NODES)?.checked_add(first + door)?;
        (door < size && slot < self.nodes).then(|| shuffle.back(slot))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use world::Seed;

    use super::*;

    #[test]
    fn places_lead_back_to_their_nodes() {
        for shared in [false, true] {
            for nodes in [1, 20, 1_000, 30_000] {
                let places = Places::new(shared, nodes, Dice::new(Seed::from_number(1), "test"));
                for node in 0..nodes {
                    let (place, door) = places.of(node);
                    assert!(place < nodes);
                    assert_eq!(places.at(place, door), Some(node));
                }
                assert_eq!(places.at(nodes, 0), None);
            }
        }
    }

    #[test]
    fn six_of_a_hundred_addresses_have_several_nodes() {
        let nodes = 10 * NODES;
        let places = Places::new(true, nodes, Dice::new(Seed::from_number(1), "test"));
        let mut sizes = BTreeMap::new();
        (0..nodes).for_each(|node| *sizes.entry(places.of(node).0).or_insert(0) += 1);
        let with =
            |sizes_of: std::ops::RangeInclusive<u32>| sizes.values().filter(|size| sizes_of.contains(size)).count();
        assert_eq!((with(1..=1), with(2..=8), with(9..=u32::MAX)), (9_390, 600, 10));
    }
}
