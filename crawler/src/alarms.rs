//! One alarm for each slot of a table, earliest first.

use world::Time;

const UNSET: usize = usize::MAX;

/// A binary heap of slots by time that knows where each slot stands: setting, moving and clearing an alarm cost
/// O(log n), leave nothing stale behind, and allocate nothing after the start.
#[derive(Debug)]
pub(crate) struct Alarms {
    heap: Vec<usize>,
    place: Vec<usize>,
    at: Vec<Time>,
}

impl Alarms {
    /// For slots `0..slots`, none set.
    pub(crate) fn new(slots: usize) -> Self {
        Self {
            heap: Vec::with_capacity(slots),
            place: vec![UNSET; slots],
            at: vec![Time::ZERO; slots],
        }
    }

    /// Sets or moves the alarm of `slot`.
    pub(crate) fn set(&mut self, slot: usize, at: Time) {
        let earlier = at < self.at[slot];
        self.at[slot] = at;
        if self.place[slot] == UNSET {
            self.place[slot] = self.heap.len();
            self.heap.push(slot);
            self.rise(self.heap.len() - 1);
        } else if earlier {
            self.rise(self.place[slot]);
        } else {
            self.sink(self.place[slot]);
        }
    }

    /// Clears the alarm of `slot`, if it is set.
    pub(crate) fn clear(&mut self, slot: usize) {
        let place = self.place[slot];
        if place == UNSET {
            return;
        }
        let last = self.heap.len() - 1;
        self.exchange(place, last);
        self.heap.pop();
        self.place[slot] = UNSET;
        if place < last {
            self.rise(place);
            self.sink(place);
        }
    }

    /// The earliest alarm and its slot.
    pub(crate) fn first(&self) -> Option<(Time, usize)> {
        self.heap.first().map(|&slot| (self.at[slot], slot))
    }

    fn rise(&mut self, mut place: usize) {
        while place > 0 {
            let parent = (place - 1) / 2;
            if self.when(parent) <= self.when(place) {
                break;
            }
            self.exchange(parent, place);
            place = parent;
        }
    }

    fn sink(&mut self, mut place: usize) {
        loop {
            let (left, right) = (2 * place + 1, 2 * place + 2);
            let mut least = place;
            for child in [left, right] {
                if child < self.heap.len() && self.when(child) < self.when(least) {
                    least = child;
                }
            }
            if least == place {
                break;
            }
            self.exchange(least, place);
            place = least;
        }
    }

    fn when(&self, place: usize) -> Time {
        self.at[self.heap[place]]
    }

    fn exchange(&mut self, one: usize, other: usize) {
        self.heap.swap(one, other);
        self.place[self.heap[one]] = one;
        self.place[self.heap[other]] = other;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn first_is_always_the_earliest(steps in proptest::collection::vec((0_usize..12, proptest::option::of(0_u64..50)), 0..200)) {
            let mut alarms = Alarms::new(12);
            let mut expected = [None; 12];
            for (slot, at) in steps {
                match at {
                    Some(at) => alarms.set(slot, Time::from_secs(at)),
                    None => alarms.clear(slot),
                }
                expected[slot] = at.map(Time::from_secs);
                prop_assert_eq!(alarms.first().map(|(at, _)| at), expected.iter().flatten().min().copied());
                if let Some((at, slot)) = alarms.first() {
                    prop_assert_eq!(expected[slot], Some(at));
                }
            }
        }
    }
}
