//! What is fetched already, in memory that does not grow for ever.

use std::hash::{BuildHasher, Hasher};

use wire::InfoHash;
use world::{KeyedSet, KeyedState, Seed};

/// Infohashes of one generation: what a table of 2²² places holds before it would double, 38 MB.
pub(super) const GENERATION: usize = 7 << 19;

/// A set of infohashes that knows the last [`GENERATION`] for certain, up to twice as many, and forgets the oldest.
///
/// They are kept as keyed fingerprints of 64 bits: among seven million, two meet with a chance of one in a million.
pub(super) struct Done {
    young: KeyedSet<u64>,
    old: KeyedSet<u64>,
    key: KeyedState,
    generation: usize,
}

impl Done {
    pub(super) fn new(seed: Seed, generation: usize) -> Self {
        let tables = seed.derive("done tables").hasher();
        Self {
            young: KeyedSet::with_hasher(tables),
            old: KeyedSet::with_hasher(tables),
            key: seed.derive("done").hasher(),
            generation,
        }
    }

    pub(super) fn insert(&mut self, info_hash: &InfoHash) {
        let fingerprint = self.fingerprint(info_hash);
        if self.old.contains(&fingerprint) || !self.young.insert(fingerprint) {
            return;
        }
        if self.young.len() >= self.generation {
            // The emptied table is used again: its memory is there.
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
    }

    pub(super) fn contains(&self, info_hash: &InfoHash) -> bool {
        let fingerprint = self.fingerprint(info_hash);
        self.young.contains(&fingerprint) || self.old.contains(&fingerprint)
    }

    fn fingerprint(&self, info_hash: &InfoHash) -> u64 {
        let mut hasher = self.key.build_hasher();
        hasher.write(info_hash.as_bytes());
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(number: u32) -> InfoHash {
        let mut bytes = [0; 20];
        bytes[..4].copy_from_slice(&number.to_le_bytes());
        InfoHash::new(bytes)
    }

    #[test]
    fn the_last_generation_is_known_for_certain_and_the_oldest_is_forgotten() {
        let mut done = Done::new(Seed::from_number(1), 100);
        for number in 0..1000 {
            done.insert(&hash(number));
            let known = (0..=number).filter(|&number| done.contains(&hash(number))).count();
            assert!(known <= 200);
            assert!((number.saturating_sub(99)..=number).all(|number| done.contains(&hash(number))));
        }
    }
}
