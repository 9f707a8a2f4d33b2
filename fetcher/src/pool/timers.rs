//! When to wake, and for whom.

use std::collections::BTreeSet;

use wire::InfoHash;
use world::{ConnId, KeyedMap, Seed, Time};

/// Who wants to be woken.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) enum Alarm {
    /// A connection, whose phase is over.
    Talk(ConnId),
    /// An infohash, which may dial one more peer or is out of time.
    Hunt(InfoHash),
}

/// One time for each that wants one: as many as there are connections and infohashes in work, at most.
#[derive(Debug)]
pub(super) struct Timers {
    queue: BTreeSet<(Time, Alarm)>,
    due: KeyedMap<Alarm, Time>,
}

impl Timers {
    pub(super) fn new(seed: Seed) -> Self {
        Self {
            queue: BTreeSet::new(),
            due: KeyedMap::with_hasher(seed.hasher()),
        }
    }

    /// Wakes `alarm` at `at`, and not at any time set before.
    pub(super) fn set(&mut self, alarm: Alarm, at: Time) {
        if let Some(before) = self.due.insert(alarm, at) {
            self.queue.remove(&(before, alarm));
        }
        self.queue.insert((at, alarm));
    }

    pub(super) fn clear(&mut self, alarm: Alarm) {
        if let Some(before) = self.due.remove(&alarm) {
            self.queue.remove(&(before, alarm));
        }
    }

    /// The earliest time that was set.
    pub(super) fn next(&self) -> Option<Time> {
        self.queue.first().map(|&(at, _)| at)
    }

    /// How many want to be woken.
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Takes one whose time has come.
    pub(super) fn pop_due(&mut self, now: Time) -> Option<Alarm> {
        let &(at, alarm) = self.queue.first()?;
        if at > now {
            return None;
        }
        self.clear(alarm);
        Some(alarm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_time_set_counts() {
        let mut timers = Timers::new(Seed::from_number(1));
        let alarm = Alarm::Talk(ConnId(1));
        timers.set(alarm, Time::from_secs(1));
        timers.set(alarm, Time::from_secs(3));
        timers.set(Alarm::Talk(ConnId(2)), Time::from_secs(2));
        assert_eq!(timers.next(), Some(Time::from_secs(2)));
        assert_eq!(timers.pop_due(Time::from_secs(2)), Some(Alarm::Talk(ConnId(2))));
        assert_eq!(timers.pop_due(Time::from_secs(2)), None);
        timers.clear(alarm);
        assert_eq!(timers.next(), None);
    }
}
