//! Which keys were shown by how many nodes, in bounded memory: what the estimators of [`richness`](crate::richness) work on.
//!
//! The node is the unit, not the answer: what one node shows twice, in the same frozen sample or in the next, counts once
//! (network-model 4.2: the same nodes read again gave 0.24 and 0.64 of the truth).

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash};

use wire::{InfoHash, NodeId};

/// Nodes that are told apart for one key; of a key shown by more, every further showing counts.
const TOLD_APART: usize = 4;

/// Groups of nodes, by a hash of their ids. Each left out in turn tells how much a figure depends on which nodes were read.
const GROUPS: usize = 24;

/// What is known of one key.
#[derive(Clone, Copy, Debug)]
struct Key {
    /// Its first byte: the zone of the key space.
    zone: u8,
    /// In which halves of the node set it was shown: bits 1 and 2.
    halves: u8,
    /// Nodes that showed it.
    shown_by: u32,
    /// Hashes of the first of these.
    nodes: [u32; TOLD_APART],
}

/// A fair sample of keys by their keyed hash (distinct sampling, Gibbons, VLDB 2001): exact until `most` keys are known, then one in
/// two, one in four, and so on. Nodes are counted the same way.
#[derive(Debug)]
pub struct Incidence<S> {
    chance: S,
    most: usize,
    keys: HashMap<InfoHash, Key, S>,
    key_zeros: u32,
    /// What each of them says that it stores.
    nodes: HashMap<NodeId, u32, S>,
    node_zeros: u32,
}

impl<S: BuildHasher + Clone> Incidence<S> {
    /// Nothing was shown yet. At most `most` keys (64 bytes each) and as many nodes are kept. `chance` hashes with a key that
    /// strangers do not know, so that none of them can choose which keys are kept.
    pub fn new(chance: S, most: usize) -> Self {
        Self {
            keys: HashMap::with_hasher(chance.clone()),
            nodes: HashMap::with_hasher(chance.clone()),
            chance,
            most: most.max(16),
            key_zeros: 0,
            node_zeros: 0,
        }
    }

    /// `node` showed `info_hash`. False if that was known, or the key is none of those kept.
    pub fn note(&mut self, node: &NodeId, info_hash: &InfoHash) -> bool {
        let unit = self.hash(node);
        if zeros(self.hash(info_hash)) < self.key_zeros {
            return false;
        }
        let zone = info_hash.as_bytes().first().copied().unwrap_or_default();
        let key = self.keys.entry(*info_hash).or_insert(Key {
            zone,
            halves: 0,
            shown_by: 0,
            nodes: [0; TOLD_APART],
        });
        let short = (unit >> 32) as u32;
        let known = (key.shown_by as usize).min(TOLD_APART);
        if key.nodes.iter().take(known).any(|node| *node == short) {
            return false;
        }
        if let Some(slot) = key.nodes.get_mut(known) {
            *slot = short;
        }
        key.shown_by = key.shown_by.saturating_add(1);
        // A bit of the hash, never of the id: keys lie near the ids of their nodes, so halves by id would share none.
        key.halves |= 1 << (short & 1);
        while self.keys.len() > self.most {
            self.key_zeros += 1;
            let (least, chance) = (self.key_zeros, &self.chance);
            self.keys.retain(|key, _| zeros(chance.hash_one(key)) >= least);
        }
        true
    }

    /// `node` was read, and says that it stores `stored` keys (`num` of BEP 51). Once for each answer, shown keys or not; the last
    /// one holds.
    pub fn read(&mut self, node: &NodeId, stored: u32) {
        if zeros(self.hash(node)) < self.node_zeros {
            return;
        }
        self.nodes.insert(*node, stored);
        while self.nodes.len() > self.most {
            self.node_zeros += 1;
            let (least, chance) = (self.node_zeros, &self.chance);
            self.nodes.retain(|node, _| zeros(chance.hash_one(node)) >= least);
        }
    }

    /// All that was noted.
    pub fn counts(&self) -> Counts {
        let mut all = self.nothing();
        self.keys.values().for_each(|key| all.add(key));
        all
    }

    /// The same for each zone of the key space: `2^bits` of them (8 bits at most), in ascending order.
    pub fn by_zone(&self, bits: u32) -> Vec<Counts> {
        let bits = bits.min(8);
        let mut zones = vec![self.nothing(); 1 << bits];
        for key in self.keys.values() {
            let zone = u32::from(key.zone) >> (8 - bits);
            if let Some(zone) = zones.get_mut(zone as usize) {
                zone.add(key);
            }
        }
        zones
    }

    fn nothing(&self) -> Counts {
        Counts {
            nodes: (self.nodes.len() as u64) << self.node_zeros,
            stored: self.nodes.values().map(|stored| u64::from(*stored)).sum::<u64>() << self.node_zeros,
            one_in: 1 << self.key_zeros,
            ..Counts::default()
        }
    }

    fn hash(&self, what: &impl Hash) -> u64 {
        self.chance.hash_one(what)
    }
}

/// Zero bits that decide what is kept: from the middle of the hash, since tables find their place by its two ends.
const fn zeros(hash: u64) -> u32 {
    (hash >> 20).trailing_zeros()
}

/// How often the keys of a set of samples were shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Nodes read.
    pub nodes: u64,
    /// Keys that they say they store, each counted once for every one of them that does.
    pub stored: u64,
    /// The share of all keys that the other figures are of: one in so many.
    pub one_in: u64,
    /// Keys shown.
    pub distinct: u64,
    /// Of these, by exactly one node (Q1).
    pub once: u64,
    /// By exactly two (Q2).
    pub twice: u64,
    /// Pairs of a node and a key that it showed.
    pub pairs: u64,
    /// Keys shown by either half of the nodes, split by a hash of their ids.
    pub halves: [u64; 2],
    /// Keys shown by both halves.
    pub both: u64,
    pub(crate) groups: [Group; GROUPS],
}

/// What a group of nodes makes of the figures.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Group {
    /// Pairs of its nodes, in twelfths: of a key shown by more than are told apart, each of these stands for as many.
    pairs: u64,
    /// By how many keys fewer were shown once with it than without.
    once: i64,
    /// The same for twice.
    twice: i64,
}

impl Counts {
    /// Keys shown in all: those that were counted, times the thinning.
    pub const fn keys(&self) -> u64 {
        self.distinct * self.one_in
    }

    /// The share of what the nodes read store that they showed: the chance that a holder, if it is read, shows a key. 0 if they
    /// do not say what they store.
    pub fn shown_share(&self) -> f64 {
        let shown = (self.pairs * self.one_in) as f64;
        if self.stored > 0 {
            (shown / self.stored as f64).min(1.0)
        } else {
            0.0
        }
    }

    /// The same figures without one group of nodes, for each group that showed something. Halves are left as they are.
    pub fn without_each_group(&self) -> impl Iterator<Item = Self> {
        let some = self.groups.iter().filter(|group| group.pairs > 0);
        some.map(|group| Self {
            nodes: self.nodes - self.nodes / GROUPS as u64,
            pairs: self.pairs.saturating_sub(group.pairs / 12),
            once: self.once.saturating_add_signed(group.once),
            twice: self.twice.saturating_add_signed(group.twice),
            ..*self
        })
    }

    /// What each group makes of a key's figures.
    fn add_to_groups(&mut self, key: &Key) {
        let known = (key.shown_by as usize).min(TOLD_APART);
        let (nodes, _) = key.nodes.split_at(known);
        for (at, node) in nodes.iter().enumerate() {
            let of = |node: &u32| (*node >> 1) as usize % GROUPS;
            let same = nodes.iter().filter(|other| of(other) == of(node)).count() as u32;
            let Some(group) = self.groups.get_mut(of(node)) else {
                continue;
            };
            group.pairs += u64::from(key.shown_by) * 12 / known as u64;
            // Counted with the first of its nodes.
            if nodes.iter().take(at).all(|other| of(other) != of(node)) {
                let change = |times| i64::from(key.shown_by - same == times) - i64::from(key.shown_by == times);
                group.once += change(1);
                group.twice += change(2);
            }
        }
    }

    fn add(&mut self, key: &Key) {
        self.add_to_groups(key);
        self.distinct += 1;
        self.once += u64::from(key.shown_by == 1);
        self.twice += u64::from(key.shown_by == 2);
        self.pairs += u64::from(key.shown_by);
        for (half, bit) in self.halves.iter_mut().zip([1, 2]) {
            *half += u64::from(key.halves & bit != 0);
        }
        self.both += u64::from(key.halves == 3);
    }
}

#[cfg(test)]
mod tests {
    use world::Seed;

    use super::*;

    fn numbered(number: u32) -> [u8; 20] {
        let mut bytes = [0; 20];
        // Spread over the key space, as real names are.
        bytes[..4].copy_from_slice(&number.wrapping_mul(0x9e37_79b1).to_be_bytes());
        bytes[4..8].copy_from_slice(&number.to_be_bytes());
        bytes
    }

    fn node(number: u32) -> NodeId {
        NodeId::new(numbered(number))
    }

    fn key(number: u32) -> InfoHash {
        InfoHash::new(numbered(number))
    }

    fn incidence(most: usize) -> Incidence<world::KeyedState> {
        Incidence::new(Seed::from_number(3).hasher(), most)
    }

    #[test]
    fn a_node_counts_once_for_a_key_however_often_it_shows_it() {
        let mut incidence = incidence(1000);
        for _ in 0..3 {
            incidence.note(&node(1), &key(1));
        }
        incidence.note(&node(2), &key(1));
        incidence.note(&node(2), &key(2));
        for (number, stored) in [(1, 1), (1, 2), (2, 2), (3, 0)] {
            incidence.read(&node(number), stored);
        }
        let counts = incidence.counts();
        assert_eq!((counts.nodes, counts.stored), (3, 4));
        assert_eq!((counts.distinct, counts.once, counts.twice, counts.pairs), (2, 1, 1, 3));
        assert!((counts.shown_share() - 0.75).abs() < 1e-9);
    }

    #[test]
    fn halves_are_of_nodes() {
        let mut incidence = incidence(1000);
        (0..40).for_each(|number| _ = incidence.note(&node(number), &key(1)));
        (0..40).for_each(|number| _ = incidence.note(&node(number), &key(100 + number)));
        let counts = incidence.counts();
        assert_eq!(counts.both, 1);
        assert_eq!(counts.halves[0] + counts.halves[1], 42);
        assert!(counts.halves.iter().all(|half| *half > 8), "{counts:?}");
    }

    #[test]
    fn beyond_the_bound_a_fair_share_of_keys_and_nodes_is_kept() {
        let mut incidence = incidence(1_000);
        for number in 0..20_000 {
            incidence.note(&node(number), &key(number));
            incidence.note(&node(number + 1), &key(number));
            incidence.read(&node(number), 4);
        }
        let counts = incidence.counts();
        assert_eq!((counts.once, counts.twice), (0, counts.distinct));
        assert!(counts.distinct <= 1_000 && counts.one_in >= 32);
        assert!((18_000..22_000).contains(&counts.keys()), "{}", counts.keys());
        assert!((17_000..23_000).contains(&counts.nodes), "{}", counts.nodes);
        assert!((0.4..0.6).contains(&counts.shown_share()), "{}", counts.shown_share());
    }

    #[test]
    fn without_a_group_the_figures_are_those_of_the_others() {
        let pairs: Vec<(u32, u32)> = (0..8_000)
            .map(|number| {
                (
                    number * 7 % 97,
                    if number < 7_000 { number * 13 % 3_000 } else { number },
                )
            })
            .collect();
        let noted = |left_out: Option<usize>| {
            let mut incidence = incidence(100_000);
            for (from, shown) in &pairs {
                let group = (incidence.hash(&node(*from)) >> 33) as u32 as usize % GROUPS;
                if Some(group) != left_out {
                    incidence.note(&node(*from), &key(*shown));
                }
            }
            incidence.counts()
        };
        let all = noted(None);
        assert!(all.once > 0 && all.twice > 0, "{all:?}");
        let figures = |counts: &Counts| (counts.once, counts.twice, counts.pairs);
        let some = (0..GROUPS).filter(|group| all.groups[*group].pairs > 0);
        let expected: Vec<_> = some.map(|group| figures(&noted(Some(group)))).collect();
        let found: Vec<_> = all.without_each_group().map(|counts| figures(&counts)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn zones_are_parts_of_the_whole() {
        let mut incidence = incidence(10_000);
        (0..4_000).for_each(|number| _ = incidence.note(&node(number % 7), &key(number)));
        let (all, zones) = (incidence.counts(), incidence.by_zone(4));
        assert_eq!(zones.len(), 16);
        assert_eq!(zones.iter().map(|zone| zone.distinct).sum::<u64>(), all.distinct);
        assert!(zones.iter().all(|zone| (200..300).contains(&zone.distinct)));
    }
}
