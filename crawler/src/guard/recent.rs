//! A table of what was touched lately: fixed size, oldest first.

use std::hash::{BuildHasher, Hash};

use world::{KeyedState, Time};

use crate::tagged::Tagged;

/// No slot.
const NONE: u32 = u32::MAX;

struct Slot<K, V> {
    key: K,
    value: V,
    touched: Time,
    /// Towards the oldest.
    older: u32,
    /// Towards the newest.
    newer: u32,
}

/// A map of bounded size that knows the order in which its keys were last touched.
///
/// Full means full: [`touch`](Self::touch) then refuses new keys, and forgetting is the owner's decision
/// ([`pop_oldest`](Self::pop_oldest)), since most owners may only forget what no longer matters.
///
/// Each operation takes constant time. All memory is taken at the start: a slot for each of `capacity` keys and an
/// index of 4-byte places, two to four for each slot. Slots are found by linear probing with backward-shift deletion,
/// so there are no tombstones and nothing is ever rehashed.
pub(crate) struct Recent<K, V> {
    hasher: KeyedState,
    capacity: usize,
    index: Vec<Tagged>,
    slots: Vec<Slot<K, V>>,
    free: Vec<u32>,
    oldest: u32,
    newest: u32,
}

impl<K: Copy + Eq + Hash, V: Default> Recent<K, V> {
    /// An empty table for `capacity` keys, at least 1 and at most [`Tagged::NUMBERS`].
    pub(crate) fn new(capacity: usize, hasher: KeyedState) -> Self {
        let capacity = capacity.clamp(1, slot(Tagged::NUMBERS));
        Self {
            hasher,
            capacity,
            index: vec![Tagged::EMPTY; (capacity * 2).next_power_of_two()],
            slots: Vec::with_capacity(capacity),
            free: Vec::with_capacity(capacity),
            oldest: NONE,
            newest: NONE,
        }
    }

    /// Keys held.
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether a new key finds no room.
    pub(crate) fn is_full(&self) -> bool {
        self.len() >= self.capacity
    }

    /// Bytes taken, all of them from the start.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.index.len() * size_of::<Tagged>() + self.capacity * (size_of::<Slot<K, V>>() + size_of::<u32>())
    }

    /// The value of `key`.
    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        let (_, number) = self.find(key)?;
        Some(&self.slots[slot(number)].value)
    }

    /// The value of `key`, to be changed; its age stays.
    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let (_, number) = self.find(key)?;
        Some(&mut self.slots[slot(number)].value)
    }

    /// The value of `key`, now the most recent; a new key starts with the default. `None` if it is new and there is no
    /// room.
    pub(crate) fn touch(&mut self, now: Time, key: K) -> Option<&mut V> {
        if self.is_full() && self.find(&key).is_none() {
            return None;
        }
        Some(self.place(now, key))
    }

    /// As [`touch`](Self::touch), but makes room for a new key by forgetting the oldest.
    pub(crate) fn touch_evicting(&mut self, now: Time, key: K) -> &mut V {
        if self.is_full() && self.find(&key).is_none() {
            self.pop_oldest();
        }
        self.place(now, key)
    }

    /// Makes `key`, for which there is room, the most recent.
    fn place(&mut self, now: Time, key: K) -> &mut V {
        let number = match self.find(&key) {
            Some((_, number)) => {
                self.unlink(number);
                number
            }
            None => self.insert(key),
        };
        self.link(number);
        let held = &mut self.slots[slot(number)];
        held.touched = now;
        &mut held.value
    }

    /// The key touched least recently, its value, and when that was.
    pub(crate) fn oldest(&self) -> Option<(K, &V, Time)> {
        let held = self.slots.get(slot(self.oldest))?;
        Some((held.key, &held.value, held.touched))
    }

    /// Forgets the key touched least recently.
    pub(crate) fn pop_oldest(&mut self) {
        if let Some((key, ..)) = self.oldest() {
            self.remove(&key);
        }
    }

    /// Forgets `key`.
    pub(crate) fn remove(&mut self, key: &K) {
        if let Some((at, number)) = self.find(key) {
            self.unlink(number);
            self.free.push(number);
            self.close_gap(at);
        }
    }

    /// The place in the index where a probe for a key with this hash begins.
    fn home(&self, hash: u64) -> usize {
        // Truncation keeps the low bits, which is all that the mask leaves.
        (hash as usize) & (self.index.len() - 1)
    }

    /// Where in the index a key is, and its slot.
    fn find(&self, key: &K) -> Option<(usize, u32)> {
        let hash = self.hasher.hash_one(key);
        let mut at = self.home(hash);
        loop {
            let held = self.index[at];
            let number = held.number()?;
            if held.may_be(hash) && self.slots[slot(number)].key == *key {
                return Some((at, number));
            }
            at = (at + 1) & (self.index.len() - 1);
        }
    }

    /// Gives `key`, which is not held, a slot and a place in the index. The caller links it.
    fn insert(&mut self, key: K) -> u32 {
        let fresh = Slot {
            key,
            value: V::default(),
            touched: Time::ZERO,
            older: NONE,
            newer: NONE,
        };
        let number = if let Some(number) = self.free.pop() {
            self.slots[slot(number)] = fresh;
            number
        } else {
            self.slots.push(fresh);
            u32::try_from(self.slots.len() - 1).unwrap_or(NONE)
        };
        let hash = self.hasher.hash_one(key);
        let mut at = self.home(hash);
        while self.index[at] != Tagged::EMPTY {
            at = (at + 1) & (self.index.len() - 1);
        }
        self.index[at] = Tagged::new(number, hash);
        number
    }

    /// Empties place `gap` of the index, moving up whoever probed past it.
    fn close_gap(&mut self, mut gap: usize) {
        let mask = self.index.len() - 1;
        let mut at = gap;
        loop {
            at = (at + 1) & mask;
            let held = self.index[at];
            let Some(number) = held.number() else {
                break;
            };
            let home = self.home(self.hasher.hash_one(self.slots[slot(number)].key));
            // How far each lies behind the occupant's home, around the ring: it may move up to the gap only if the gap
            // is not before its home.
            if (at.wrapping_sub(home) & mask) >= (at.wrapping_sub(gap) & mask) {
                self.index[gap] = held;
                gap = at;
            }
        }
        self.index[gap] = Tagged::EMPTY;
    }

    fn unlink(&mut self, number: u32) {
        let Slot { older, newer, .. } = self.slots[slot(number)];
        match self.slots.get_mut(slot(older)) {
            Some(held) => held.newer = newer,
            None => self.oldest = newer,
        }
        match self.slots.get_mut(slot(newer)) {
            Some(held) => held.older = older,
            None => self.newest = older,
        }
    }

    fn link(&mut self, number: u32) {
        let before = self.newest;
        let held = &mut self.slots[slot(number)];
        held.older = before;
        held.newer = NONE;
        self.newest = number;
        match self.slots.get_mut(slot(before)) {
            Some(held) => held.newer = number,
            None => self.oldest = number,
        }
    }
}

/// The position of slot `number`; that of [`NONE`] is out of range of any table.
const fn slot(number: u32) -> usize {
    number as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use world::Seed;

    use super::*;

    fn table(capacity: usize) -> Recent<u64, u32> {
        Recent::new(capacity, Seed::from_number(1).hasher())
    }

    #[test]
    fn a_full_table_refuses_new_keys_and_knows_old_ones() {
        let mut table = table(2);
        for key in [1, 2] {
            *table.touch(Time::ZERO, key).unwrap() = 7;
        }
        assert!(table.touch(Time::ZERO, 3).is_none());
        assert_eq!(table.touch(Time::ZERO, 1), Some(&mut 7));
    }

    #[test]
    fn a_touch_makes_a_key_the_youngest() {
        let mut table = table(3);
        for (at, key) in [(1, 1), (2, 2), (3, 3), (4, 1)] {
            table.touch(Time::from_secs(at), key);
        }
        assert_eq!(table.oldest(), Some((2, &0, Time::from_secs(2))));
    }

    proptest! {
        /// The same operations on a plain list, oldest first.
        #[test]
        fn it_equals_a_list(operations in prop::collection::vec((0..4_u8, 0..40_u64), 0..400), capacity in 1..24_usize) {
            let mut table = table(capacity);
            let mut list: Vec<(u64, u32)> = Vec::new();
            for (step, (operation, key)) in operations.into_iter().enumerate() {
                let stamp = u32::try_from(step).unwrap();
                let at = list.iter().position(|held| held.0 == key);
                match operation {
                    0 | 1 => {
                        let touched = table.touch(Time::from_secs(u64::from(stamp)), key);
                        if let Some(at) = at {
                            let held = list.remove(at);
                            list.push(held);
                        } else if list.len() < capacity {
                            list.push((key, 0));
                        }
                        prop_assert_eq!(touched.is_some(), list.iter().any(|held| held.0 == key));
                        if let (Some(value), Some(held)) = (touched, list.last_mut()) {
                            prop_assert_eq!(*value, held.1);
                            *value = stamp;
                            held.1 = stamp;
                        }
                    }
                    2 => {
                        table.remove(&key);
                        list.retain(|held| held.0 != key);
                    }
                    _ => {
                        table.pop_oldest();
                        if !list.is_empty() {
                            list.remove(0);
                        }
                    }
                }
                prop_assert_eq!(table.len(), list.len());
                prop_assert_eq!(table.oldest().map(|held| (held.0, *held.1)), list.first().copied());
                for held in &list {
                    prop_assert_eq!(table.get(&held.0), Some(&held.1));
                }
            }
        }
    }
}
