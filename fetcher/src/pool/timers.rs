//! When to wake, and for whom.

use std::collections::BTreeSet;

use wire::InfoHash;
use world::{ConnId, ConnMap, KeyedMap, Seed, Time};

/// Who wants to be woken.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) enum Alarm {
    /// A connection, whose phase is over.
    Talk(ConnId),
    /// An infohash, which may dial one more peer or is out of time.
    Hunt(InfoHash),
}

/// One time for each that wants one: as many as there are connections and infohashes in work, at most.
///
/// A time that is put off stays in the queue as it was, and is queued again when it comes: most phases end long before
/// their time, and a connection that delivers has five.
#[derive(Debug)]
pub(super) struct Timers {
    queue: BTreeSet<(Time, Alarm)>,
    talks: ConnMap<Due>,
    hunts: KeyedMap<InfoHash, Due>,
}

#[derive(Clone, Copy, Debug)]
struct Due {
    at: Time,
    /// When the queue has it, not after `at`.
    queued: Time,
}

impl Timers {
    pub(super) fn new(seed: Seed) -> Self {
        Self {
            queue: BTreeSet::new(),
            talks: ConnMap::default(),
            hunts: KeyedMap::with_hasher(seed.hasher()),
        }
    }

    /// Wakes `alarm` at `at`, and not at any time set before.
    pub(super) fn set(&mut self, alarm: Alarm, at: Time) {
        let new = Due { at, queued: at };
        let due = match alarm {
            Alarm::Talk(conn) => self.talks.get_mut(&conn),
            Alarm::Hunt(info_hash) => self.hunts.get_mut(&info_hash),
        };
        match due {
            Some(due) if due.queued <= at => {
                due.at = at;
                return;
            }
            Some(due) => {
                self.queue.remove(&(due.queued, alarm));
                *due = new;
            }
            None => {
                match alarm {
                    Alarm::Talk(conn) => self.talks.insert(conn, new),
                    Alarm::Hunt(info_hash) => self.hunts.insert(info_hash, new),
                };
            }
        }
        self.queue.insert((at, alarm));
    }

    pub(super) fn clear(&mut self, alarm: Alarm) {
        let due = match alarm {
            Alarm::Talk(conn) => self.talks.remove(&conn),
            Alarm::Hunt(info_hash) => self.hunts.remove(&info_hash),
        };
        if let Some(due) = due {
            self.queue.remove(&(due.queued, alarm));
        }
    }

    /// Not after the earliest time that is set.
    pub(super) fn next(&self) -> Option<Time> {
        self.queue.first().map(|&(at, _)| at)
    }

    /// How many want to be woken.
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Takes one whose time has come.
    pub(super) fn pop_due(&mut self, now: Time) -> Option<Alarm> {
        loop {
            let &(queued, alarm) = self.queue.first().filter(|(queued, _)| *queued <= now)?;
            let due = match alarm {
                Alarm::Talk(conn) => self.talks.get_mut(&conn),
                Alarm::Hunt(info_hash) => self.hunts.get_mut(&info_hash),
            };
            match due {
                Some(due) if due.at > now => {
                    self.queue.remove(&(queued, alarm));
                    due.queued = due.at;
                    self.queue.insert((due.at, alarm));
                }
                _ => {
                    self.clear(alarm);
                    return Some(alarm);
                }
            }
        }
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
        assert_eq!(timers.len(), 2);
        assert_eq!(timers.pop_due(Time::from_secs(1)), None);
        assert_eq!(timers.next(), Some(Time::from_secs(2)));
        assert_eq!(timers.pop_due(Time::from_secs(2)), Some(Alarm::Talk(ConnId(2))));
        assert_eq!(timers.pop_due(Time::from_secs(2)), None);
        timers.clear(alarm);
        assert_eq!(timers.next(), None);
    }
}
