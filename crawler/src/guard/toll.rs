//! Who was asked often within the hour, so that somebody else is asked who would do as well.
//!
//! Not a limit: whoever has no substitute is asked all the same. Counts are kept by a hash of the host, without the host, so that
//! the memory is fixed; two hosts with one hash are counted together, which spares both.

use std::hash::BuildHasher;
use std::time::Duration;

use world::{KeyedState, Seed, Time};

use super::bucket::Limit;
use super::place::Host;

/// Counts of each half hour, at the most: 1 MiB, twice.
const MOST: usize = 1 << 20;

/// Of so many queries one is the first to its host, at the most: a crawl asks most of its hosts several times.
const QUERIES_TO_A_HOST: usize = 2;

/// Half an hour is counted by itself; what counts is this and the one before.
const HALF: Duration = Duration::from_secs(30 * 60);

/// Queries within the hour from which on a host is spared. A crawler that walks the key space once in many hours asks the busiest
/// hundredth of its hosts 15 times in an hour, in a pretend network of a million nodes (sim/POLICIES.md); by the time that somebody
/// is spared, as many questions to it wait already.
const OFTEN: u32 = 8;

pub(super) struct Toll {
    /// Of this half hour, and of the last.
    counts: [Vec<u8>; 2],
    /// When this half hour began.
    began: Time,
    hasher: KeyedState,
}

impl Toll {
    /// With room for the hosts that `total`, the limit on all queries together, reaches in half an hour.
    pub(super) fn new(total: &Limit, seed: Seed) -> Self {
        let room = (total.most_within(HALF) / QUERIES_TO_A_HOST).clamp(1, MOST);
        Self {
            counts: [vec![0; room], vec![0; room]],
            began: Time::ZERO,
            hasher: seed.derive("toll").hasher(),
        }
    }

    /// `host` is asked.
    pub(super) fn count(&mut self, now: Time, host: Host) {
        self.turn(now);
        let at = self.slot(host);
        let count = &mut self.counts[0][at];
        *count = count.saturating_add(1);
    }

    /// Whether it was asked often.
    pub(super) fn is_spared(&mut self, now: Time, host: Host) -> bool {
        self.turn(now);
        let at = self.slot(host);
        self.counts.iter().map(|counts| u32::from(counts[at])).sum::<u32>() >= OFTEN
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.counts.iter().map(Vec::capacity).sum()
    }

    fn slot(&self, host: Host) -> usize {
        self.hasher.hash_one(host) as usize % self.counts[0].len()
    }

    fn turn(&mut self, now: Time) {
        if now < self.began + HALF {
            return;
        }
        self.counts.swap(0, 1);
        self.counts[0].fill(0);
        if now >= self.began + 2 * HALF {
            self.counts[1].fill(0);
        }
        self.began = now;
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn toll() -> Toll {
        Toll::new(&Limit::per_second(100, 10), Seed::from_number(1))
    }

    fn host(last: u8) -> Host {
        Host::of(IpAddr::from([192, 0, 2, last]))
    }

    #[test]
    fn who_was_asked_often_is_spared_for_half_an_hour_at_least_and_an_hour_at_most() {
        let mut toll = toll();
        for _ in 0..OFTEN {
            assert!(!toll.is_spared(Time::from_secs(1_000), host(1)));
            toll.count(Time::from_secs(1_000), host(1));
        }
        assert!(toll.is_spared(Time::from_secs(1_000), host(1)));
        assert!(!toll.is_spared(Time::from_secs(1_000), host(2)));
        assert!(toll.is_spared(Time::from_secs(1_000 + 1_800), host(1)));
        assert!(!toll.is_spared(Time::from_secs(1_000 + 3_700), host(1)));
    }

    #[test]
    fn after_an_hour_without_a_question_nobody_is_spared() {
        let mut toll = toll();
        (0..OFTEN).for_each(|_| toll.count(Time::from_secs(1), host(1)));
        assert!(!toll.is_spared(Time::from_secs(2 * 3_600), host(1)));
    }
}
