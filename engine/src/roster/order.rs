//! Who is dialled next, who must wait until when, and who is forgotten first: three ordered sets, each change O(log n).

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use world::Time;

use super::priority::canonical_priority;
use super::record::{Key, Marks, Record, Sources, seconds};
use super::{Config, Ours};

/// Less is better.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Rank {
    /// Given by hand, then likely to be reached, then everybody else.
    tier: u8,
    fails: u8,
    unproven: bool,
    /// The complement of the canonical priority, high byte first.
    priority: [u8; 4],
}

/// Worth of a record when room is needed; the least worth first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Worth {
    /// Never dialled again, then failed before, then from an earlier run and not heard of since.
    class: u8,
    seen: u32,
}

/// The sets, and what their order depends on. A record must be lifted out before it changes, and settled afterwards.
#[derive(Debug)]
pub(super) struct Order {
    config: Config,
    ours: Ours,
    /// Stands for our address while that is not known, so that not everybody dials the same peers first.
    guess: (Ipv4Addr, Ipv6Addr),
    ready: BTreeSet<(Rank, Key)>,
    waiting: BTreeSet<(u32, Key)>,
    poor: BTreeSet<(Worth, Key)>,
}

impl Order {
    pub(super) fn new(config: Config, ours: Ours, guess: (Ipv4Addr, Ipv6Addr)) -> Self {
        Self {
            config,
            ours,
            guess,
            ready: BTreeSet::new(),
            waiting: BTreeSet::new(),
            poor: BTreeSet::new(),
        }
    }

    pub(super) fn ours(&self) -> &Ours {
        &self.ours
    }

    /// Empties the sets for another order.
    pub(super) fn restart(&mut self, ours: Ours) {
        self.ours = ours;
        self.ready.clear();
        self.waiting.clear();
        self.poor.clear();
    }

    /// Takes a record out of all sets.
    pub(super) fn lift(&mut self, key: Key, record: &Record) {
        // In which of the two it is depends on the time; at most one has it.
        if !self.waiting.remove(&(self.due(record), key)) {
            self.ready.remove(&(self.rank(key, record), key));
        }
        self.poor.remove(&(self.worth(record), key));
    }

    /// Puts a record where it belongs; `shadowed` if another connection to its address forbids one.
    pub(super) fn settle(&mut self, key: Key, record: &Record, shadowed: bool) {
        if !record.is_idle() {
            return;
        }
        let worth = self.worth(record);
        if self.is_dead(record) || record.fails > 0 || record.sources == Sources::RESUME {
            self.poor.insert((worth, key));
        }
        let skipped = self.ours.finished && record.marks.has(Marks::SEED);
        if !(shadowed || skipped || self.is_dead(record)) {
            // All begin here; who is due is found when somebody is asked for.
            self.waiting.insert((self.due(record), key));
        }
    }

    /// The best that may be dialled at `now`.
    pub(super) fn best(&mut self, now: Time, record: impl Fn(Key) -> Option<Record>) -> Option<Key> {
        while let Some((due, key)) = self.waiting.first().copied()
            && u64::from(due) <= now.as_secs()
        {
            self.waiting.pop_first();
            if let Some(record) = record(key) {
                self.ready.insert((self.rank(key, &record), key));
            }
        }
        self.ready.first().map(|(_, key)| *key)
    }

    /// When [`Self::best`] has somebody.
    pub(super) fn next_time(&self, now: Time) -> Option<Time> {
        if !self.ready.is_empty() {
            return Some(now);
        }
        let (due, _) = self.waiting.first()?;
        Some(Time::from_secs(u64::from(*due)).max(now))
    }

    /// How many may be dialled, now or later.
    pub(super) fn candidates(&self) -> usize {
        self.ready.len() + self.waiting.len()
    }

    /// Of those that nothing good is known of, the one of least worth.
    pub(super) fn poorest(&self) -> Option<Key> {
        self.poor.first().map(|(_, key)| *key)
    }

    /// The last that would be dialled of those that are due, or else the last to be due.
    pub(super) fn last(&self) -> Option<Key> {
        let ready = self.ready.last().map(|(_, key)| *key);
        ready.or_else(|| self.waiting.last().map(|(_, key)| *key))
    }

    fn is_dead(&self, record: &Record) -> bool {
        record.fails >= self.config.max_fails || record.marks.has(Marks::USELESS)
    }

    /// When it may be dialled: a while after the last time, longer with each failure.
    fn due(&self, record: &Record) -> u32 {
        if record.tried == Record::NEVER {
            return 0;
        }
        let wait = self.config.reconnect.saturating_mul(u32::from(record.fails.max(1)));
        record.tried.saturating_add(seconds(Time::ZERO + wait))
    }

    fn rank(&self, key: Key, record: &Record) -> Rank {
        let endpoint = key.endpoint();
        let ip = match endpoint.ip() {
            IpAddr::V4(_) => IpAddr::V4(self.ours.v4.unwrap_or(self.guess.0)),
            IpAddr::V6(_) => IpAddr::V6(self.ours.v6.unwrap_or(self.guess.1)),
        };
        let priority = canonical_priority(SocketAddr::new(ip, self.ours.port), endpoint).unwrap_or(0);
        Rank {
            tier: match record.sources {
                given if given.has(Sources::GIVEN) => 0,
                alive if alive.has(Sources::CRAWL | Sources::LSD) => 1,
                _ => 2,
            },
            fails: record.fails,
            unproven: !record.marks.has(Marks::PROVEN),
            priority: (!priority).to_be_bytes(),
        }
    }

    fn worth(&self, record: &Record) -> Worth {
        Worth {
            class: match record.fails {
                _ if self.is_dead(record) => 0,
                0 => 2,
                _ => 1,
            },
            seen: record.seen,
        }
    }
}
