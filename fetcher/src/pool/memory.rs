//! What is remembered of endpoints, across infohashes: who is not worth a SYN for now, and who has delivered before.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use world::{KeyedMap, Seed, Time};

use crate::config;
use crate::failure::Lesson;

/// What is to be expected of an endpoint, the best last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Standing {
    /// Not to be dialled before the negative entry has decayed.
    Avoided,
    /// Nothing is known.
    Unknown,
    /// Has answered a handshake lately, and has not delivered: it can be reached.
    Met,
    /// Has delivered this often, decayed.
    Proven(u8),
}

/// Bounded: when full, the endpoint not heard of for longest is forgotten.
#[derive(Debug)]
pub(super) struct Memory {
    config: config::Memory,
    entries: KeyedMap<SocketAddr, Entry>,
    /// Stamps of the last change, oldest first: what is forgotten first.
    recency: BTreeMap<u64, SocketAddr>,
    stamp: u64,
}

#[derive(Clone, Copy, Default, Debug)]
struct Entry {
    stamp: u64,
    /// Silences in a row.
    silences: u32,
    avoid_until: Time,
    successes: u8,
    last_success: Time,
    /// When it last answered a handshake.
    last_met: Option<Time>,
}

impl Entry {
    /// Successes that still count at `now`.
    fn proven(&self, now: Time, half_life: Duration) -> u8 {
        let half_lives = now.since(self.last_success).as_micros() / half_life.as_micros().max(1);
        let halvings = u32::try_from(half_lives).unwrap_or(u32::MAX);
        self.successes.checked_shr(halvings).unwrap_or(0)
    }

    /// Whether it answered a handshake within a half-life.
    fn is_met(&self, now: Time, half_life: Duration) -> bool {
        self.last_met.is_some_and(|met| now.since(met) < half_life)
    }
}

impl Memory {
    pub(super) fn new(config: config::Memory, seed: Seed) -> Self {
        Self {
            config,
            entries: KeyedMap::with_hasher(seed.hasher()),
            recency: BTreeMap::new(),
            stamp: 0,
        }
    }

    pub(super) fn standing(&self, now: Time, peer: SocketAddr) -> Standing {
        let Some(entry) = self.entries.get(&peer) else {
            return Standing::Unknown;
        };
        if now < entry.avoid_until {
            return Standing::Avoided;
        }
        match entry.proven(now, self.config.success_half_life) {
            0 if entry.is_met(now, self.config.success_half_life) => Standing::Met,
            0 => Standing::Unknown,
            proven => Standing::Proven(proven),
        }
    }

    /// The endpoint's bytes were the torrent's.
    pub(super) fn succeeded(&mut self, now: Time, peer: SocketAddr) {
        let half_life = self.config.success_half_life;
        self.update(peer, |entry| {
            entry.successes = entry.proven(now, half_life).saturating_add(1);
            entry.last_success = now;
            entry.silences = 0;
            entry.avoid_until = Time::ZERO;
        });
    }

    /// The endpoint answered a handshake with our infohash.
    pub(super) fn met(&mut self, now: Time, peer: SocketAddr) {
        self.update(peer, |entry| entry.last_met = Some(now));
    }

    /// The endpoint failed, and this is what it says about it.
    ///
    /// One that has delivered before is forgiven its first silence, and is never called useless: libtorrent, for one,
    /// offers no `ut_metadata` on its private torrents only.
    pub(super) fn failed(&mut self, now: Time, peer: SocketAddr, lesson: Lesson) {
        let config = self.config;
        if lesson == Lesson::Nothing {
            return;
        }
        self.update(peer, |entry| {
            let proven = entry.proven(now, config.success_half_life) > 0;
            let span = match lesson {
                Lesson::Refused => config.refused,
                Lesson::Silent => {
                    let before = entry.silences.saturating_sub(u32::from(proven));
                    entry.silences = entry.silences.saturating_add(1);
                    if proven && entry.silences == 1 {
                        return;
                    }
                    let doubled = config.silent.saturating_mul(2u32.saturating_pow(before));
                    doubled.min(config.silent_max)
                }
                Lesson::Useless if !proven => config.useless,
                Lesson::Useless | Lesson::Nothing => return,
            };
            entry.avoid_until = now + span;
        });
    }

    fn update(&mut self, peer: SocketAddr, change: impl FnOnce(&mut Entry)) {
        self.stamp += 1;
        let entry = self.entries.entry(peer).or_default();
        self.recency.remove(&entry.stamp);
        entry.stamp = self.stamp;
        self.recency.insert(self.stamp, peer);
        change(entry);
        while self.entries.len() > self.config.capacity
            && let Some((_, oldest)) = self.recency.pop_first()
        {
            self.entries.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600;

    fn memory(capacity: usize) -> Memory {
        let config = config::Memory {
            capacity,
            refused: Duration::from_secs(HOUR),
            silent: Duration::from_secs(600),
            silent_max: Duration::from_secs(24 * HOUR),
            useless: Duration::from_secs(6 * HOUR),
            success_half_life: Duration::from_secs(24 * HOUR),
        };
        Memory::new(config, Seed::from_number(1))
    }

    fn peer(number: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], number))
    }

    /// When `peer` may be dialled again after a failure at `at`, in seconds from then.
    fn avoided_for(memory: &Memory, at: u64, peer: SocketAddr) -> u64 {
        let avoided = |span: &u64| memory.standing(Time::from_secs(at + span), peer) == Standing::Avoided;
        [0, 600, 1_200, 2_400, HOUR, 6 * HOUR, 24 * HOUR]
            .into_iter()
            .find(|span| !avoided(span))
            .unwrap()
    }

    #[test]
    fn each_lesson_is_forgotten_in_its_time() {
        let mut memory = memory(10);
        memory.failed(Time::ZERO, peer(1), Lesson::Refused);
        memory.failed(Time::ZERO, peer(2), Lesson::Silent);
        memory.failed(Time::ZERO, peer(3), Lesson::Useless);
        memory.failed(Time::ZERO, peer(4), Lesson::Nothing);
        let spans = [1, 2, 3, 4].map(|number| avoided_for(&memory, 0, peer(number)));
        assert_eq!(spans, [HOUR, 600, 6 * HOUR, 0]);
    }

    #[test]
    fn silence_doubles_until_success() {
        let mut memory = memory(10);
        memory.failed(Time::ZERO, peer(1), Lesson::Silent);
        memory.failed(Time::from_secs(HOUR), peer(1), Lesson::Silent);
        assert_eq!(avoided_for(&memory, HOUR, peer(1)), 1_200);
        memory.failed(Time::from_secs(2 * HOUR), peer(1), Lesson::Silent);
        assert_eq!(avoided_for(&memory, 2 * HOUR, peer(1)), 2_400);
        memory.succeeded(Time::from_secs(3 * HOUR), peer(1));
        let standing = memory.standing(Time::from_secs(3 * HOUR), peer(1));
        assert_eq!(standing, Standing::Proven(1));
        // The first is forgiven then, the second counts as a first.
        memory.failed(Time::from_secs(3 * HOUR), peer(1), Lesson::Silent);
        memory.failed(Time::from_secs(3 * HOUR), peer(1), Lesson::Silent);
        assert_eq!(avoided_for(&memory, 3 * HOUR, peer(1)), 600);
    }

    #[test]
    fn one_that_delivered_is_forgiven_one_silence() {
        let mut memory = memory(10);
        memory.succeeded(Time::ZERO, peer(1));
        memory.failed(Time::ZERO, peer(1), Lesson::Silent);
        assert_eq!(memory.standing(Time::ZERO, peer(1)), Standing::Proven(1));
        memory.failed(Time::ZERO, peer(1), Lesson::Silent);
        assert_eq!(avoided_for(&memory, 0, peer(1)), 600);
    }

    #[test]
    fn successes_decay() {
        let mut memory = memory(10);
        for _ in 0..4 {
            memory.succeeded(Time::ZERO, peer(1));
        }
        let after = |days: u64| memory.standing(Time::from_secs(days * 24 * HOUR), peer(1));
        assert_eq!(after(0), Standing::Proven(4));
        assert_eq!(after(1), Standing::Proven(2));
        assert_eq!(after(3), Standing::Unknown);
        assert_eq!(after(100), Standing::Unknown);
    }

    #[test]
    fn one_that_answered_is_better_than_one_unknown_for_a_while() {
        let mut memory = memory(10);
        memory.met(Time::ZERO, peer(1));
        let standing = |days: u64| memory.standing(Time::from_secs(days * 24 * HOUR), peer(1));
        assert_eq!((standing(0), standing(1)), (Standing::Met, Standing::Unknown));
        assert!(Standing::Unknown < Standing::Met && Standing::Met < Standing::Proven(1));
    }

    #[test]
    fn when_full_the_oldest_is_forgotten() {
        let mut memory = memory(2);
        memory.succeeded(Time::ZERO, peer(1));
        memory.succeeded(Time::ZERO, peer(2));
        memory.succeeded(Time::ZERO, peer(1));
        memory.succeeded(Time::ZERO, peer(3));
        assert_eq!(memory.standing(Time::ZERO, peer(1)), Standing::Proven(2));
        assert_eq!(memory.standing(Time::ZERO, peer(2)), Standing::Unknown);
        assert_eq!(memory.entries.len(), memory.recency.len());
    }
}
