//! Which infohash next.
//!
//! Every sighting comes here. The seen set remembers each infohash ever shown in about ten bytes; the queue holds those
//! that wait for a fetch slot, ranked, with the nodes that showed them. The job that owns the frontier
//! [takes](Frontier::take) the best when a slot is free and says what came of it: [`Frontier::done`],
//! [`Frontier::failed`] or [`Frontier::put_back`].

mod queue;
mod seen;

use std::time::Duration;

use wire::InfoHash;
use world::{Seed, Tally, Time, closed_list};

use crate::Sighting;

use queue::Queue;
pub use queue::Work;
use seen::{SeenSet, Standing};

/// Bounds and schedule.
#[derive(Clone, Debug)]
pub struct Config {
    /// Infohashes remembered, about 10 bytes each; when full, new ones are refused and counted.
    pub max_seen: usize,
    /// Never-tried infohashes that wait for a slot, about 300 bytes each; one more evicts the lowest rank.
    pub max_ready: usize,
    /// Infohashes that wait for a retry, about 300 bytes each; one more puts out the least promising.
    pub max_waiting: usize,
    /// When to try again what failed.
    pub retry: Retry,
    /// Infohashes that are never queued nor told of again: opt-outs, and private torrents (BEP 27).
    pub opt_out: Vec<InfoHash>,
}

/// When to try again what failed. After its n-th failed try an infohash waits for the n-th delay of its outcome; where
/// there is none it is given up.
#[derive(Clone, Debug)]
pub struct Retry {
    /// After [`Outcome::NoPeers`]. Most torrents have one peer, which may be back in hours (network-model 7).
    pub no_peers: Vec<Duration>,
    /// After [`Outcome::Unreachable`] and [`Outcome::Unfetchable`].
    pub with_peers: Vec<Duration>,
}

closed_list! {
    /// Why a try gave no metadata.
    Outcome {
        /// No node named a peer.
        NoPeers => "no_peers",
        /// Peers were named, and none could be connected to.
        Unreachable => "unreachable",
        /// Peers answered, and none gave metadata that hashes to the infohash.
        Unfetchable => "unfetchable",
    }
}

closed_list! {
    /// Why a sighting was not taken down.
    Refusal {
        /// The all-zero key: really stored by nodes, and no torrent (network-model A7).
        Zero => "zero",
        /// On the opt-out list.
        OptOut => "opt_out",
        /// The seen set is full.
        Full => "full",
    }
}

/// What a sighting was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Seen {
    /// The first of its infohash.
    New,
    /// One more of an infohash that is known, from this run or an earlier one.
    Again,
    /// Not taken down.
    Refused(Refusal),
}

/// What happens to an infohash after a failed try.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It comes back from [`Frontier::take`] at this time or later.
    RetryAt {
        /// When.
        due: Time,
        /// Whom it put out of a full waiting room: that one is given up.
        evicted: Option<InfoHash>,
    },
    /// It does not come back in this run.
    GivenUp,
}

/// Counters since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Sightings of infohashes that were not known.
    pub new: u64,
    /// Sightings of infohashes that were.
    pub again: u64,
    /// Sightings refused, by reason.
    pub refused: Tally<Refusal>,
    /// Infohashes dropped from the full queue before they were tried. One more sighting brings them back.
    pub evicted: u64,
    /// Failed tries, by outcome.
    pub failed: Tally<Outcome>,
    /// Failed tries that were put off for another.
    pub retries: u64,
    /// Infohashes that an earlier run left waiting for another try.
    pub restored: u64,
    /// Infohashes whose tries are used up, or that found no room to wait for another.
    pub given_up: u64,
    /// Of these, put out of the full waiting room.
    pub put_out: u64,
    /// Infohashes fetched in this run.
    pub done: u64,
    /// Infohashes told to be done by an earlier run.
    pub primed: u64,
    /// Infohashes sighted exactly once in this run: the f₁ of Good-Turing and Chao1 (network-model 4.3, 4.4).
    pub once: u64,
    /// Infohashes sighted exactly twice in this run: the f₂ of Chao1.
    pub twice: u64,
}

/// Remembers all, queues the best.
pub struct Frontier {
    seen: SeenSet,
    queue: Queue,
    opt_out: Vec<InfoHash>,
    max_seen: usize,
    retry: Retry,
    counts: Counts,
}

impl Frontier {
    /// An empty frontier. `seed` keys the fingerprints.
    pub fn new(config: Config, seed: Seed) -> Self {
        let mut opt_out = config.opt_out;
        opt_out.sort_unstable();
        Self {
            seen: SeenSet::new(seed),
            queue: Queue::new(config.max_ready, config.max_waiting, seed),
            opt_out,
            max_seen: config.max_seen,
            retry: config.retry,
            counts: Counts::default(),
        }
    }

    /// Takes a sighting down, and queues its infohash unless it is queued, done or given up.
    pub fn sighted(&mut self, now: Time, sighting: &Sighting) -> Seen {
        let fingerprint = self.seen.fingerprint(&sighting.info_hash);
        if let Some(refusal) = self.refusal(&sighting.info_hash) {
            self.counts.refused.count(refusal);
            return Seen::Refused(refusal);
        }
        if self.seen.len() >= self.max_seen && !self.seen.contains(fingerprint) {
            self.counts.refused.count(Refusal::Full);
            return Seen::Refused(Refusal::Full);
        }
        let noted = self.seen.note(fingerprint);
        match noted.sightings {
            1 => self.counts.once += 1,
            2 => {
                self.counts.once -= 1;
                self.counts.twice += 1;
            }
            3 => self.counts.twice -= 1,
            _ => {}
        }
        match noted.standing {
            Standing::Idle => {
                self.seen.set(fingerprint, Standing::Pending);
                let evicted = self.queue.add(now, fingerprint, sighting);
                self.evict(evicted);
            }
            Standing::Pending => self.queue.note(now, fingerprint, sighting),
            Standing::GivenUp | Standing::Done => {}
        }
        if noted.known {
            self.counts.again += 1;
            Seen::Again
        } else {
            self.counts.new += 1;
            Seen::New
        }
    }

    /// The best infohash to fetch now. Give it back by [`Frontier::done`], [`Frontier::failed`] or
    /// [`Frontier::put_back`].
    pub fn take(&mut self, now: Time) -> Option<Work> {
        self.queue.take(now)
    }

    /// Its metadata was fetched: it never comes back.
    pub fn done(&mut self, info_hash: &InfoHash) {
        self.counts.done += 1;
        self.finish(info_hash, Standing::Done);
    }

    /// A try of a taken infohash failed. It is put off, or given up: after the last try, if all who wait are more
    /// promising and there is no room, or if it was not taken.
    pub fn failed(&mut self, now: Time, info_hash: &InfoHash, outcome: Outcome) -> Fate {
        self.counts.failed.count(outcome);
        let fingerprint = self.seen.fingerprint(info_hash);
        let tries = self.queue.count_try(fingerprint);
        let Some(delay) = tries.and_then(|tries| self.retry.delay(outcome, tries)) else {
            return self.abandon(info_hash);
        };
        let due = now + delay;
        let evicted = self.queue.put_off(fingerprint, due, outcome);
        if let Some(evicted) = &evicted {
            self.counts.put_out += 1;
            self.abandon(evicted);
            if evicted == info_hash {
                return Fate::GivenUp;
            }
        }
        self.counts.retries += 1;
        Fate::RetryAt { due, evicted }
    }

    fn abandon(&mut self, info_hash: &InfoHash) -> Fate {
        self.counts.given_up += 1;
        self.finish(info_hash, Standing::GivenUp);
        Fate::GivenUp
    }

    /// A taken infohash was not tried after all: it goes back to its place, and no try is counted.
    pub fn put_back(&mut self, info_hash: &InfoHash) {
        let evicted = self.queue.put_back(self.seen.fingerprint(info_hash));
        self.evict(evicted);
    }

    /// An earlier run is done with this infohash (resume). Call before the first sighting; not bounded by `max_seen`.
    pub fn prime(&mut self, info_hash: &InfoHash) {
        self.counts.primed += 1;
        self.finish(info_hash, Standing::Done);
    }

    /// An earlier run left this infohash waiting, after `tries` that failed, the last by `outcome`. False if it is not
    /// taken up: it is done, opted out, or waits already, or there is no room. Call after [`Frontier::prime`].
    pub fn restore(&mut self, info_hash: InfoHash, tries: u8, due: Time, outcome: Outcome) -> bool {
        let fingerprint = self.seen.fingerprint(&info_hash);
        let is_new = !self.seen.contains(fingerprint);
        if !is_new || self.refusal(&info_hash).is_some() || self.queue.is_waiting_full() {
            return false;
        }
        self.seen.set(fingerprint, Standing::Pending);
        self.queue.restore(fingerprint, info_hash, tries, due, outcome);
        self.counts.restored += 1;
        true
    }

    /// When [`Frontier::take`] next gives something: [`Time::ZERO`] if it does now, `None` if only a sighting can help.
    pub fn wake(&self) -> Option<Time> {
        self.queue.wake()
    }

    /// Distinct infohashes seen, those of earlier runs included.
    pub fn seen(&self) -> usize {
        self.seen.len()
    }

    /// Infohashes that wait for their first try.
    pub fn ready(&self) -> usize {
        self.queue.ready()
    }

    /// Infohashes that wait for another try.
    pub fn waiting(&self) -> usize {
        self.queue.waiting()
    }

    /// Infohashes taken and not yet given back.
    pub fn taken(&self) -> usize {
        self.queue.taken()
    }

    /// Counters since the start.
    pub const fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Bytes held by the seen set alone: at most 12 for each infohash, beyond a floor of 160 KiB.
    pub fn seen_bytes(&self) -> usize {
        self.seen.bytes()
    }

    /// Bytes held in all.
    pub fn memory_bytes(&self) -> usize {
        self.seen.bytes() + self.queue.bytes() + self.opt_out.capacity() * size_of::<InfoHash>()
    }

    fn refusal(&self, info_hash: &InfoHash) -> Option<Refusal> {
        if info_hash.as_bytes() == &[0; 20] {
            Some(Refusal::Zero)
        } else if self.opt_out.binary_search(info_hash).is_ok() {
            Some(Refusal::OptOut)
        } else {
            None
        }
    }

    fn finish(&mut self, info_hash: &InfoHash, standing: Standing) {
        let fingerprint = self.seen.fingerprint(info_hash);
        self.queue.drop(fingerprint);
        self.seen.set(fingerprint, standing);
    }

    fn evict(&mut self, evicted: Option<seen::Fingerprint>) {
        if let Some(fingerprint) = evicted {
            self.seen.set(fingerprint, Standing::Idle);
            self.counts.evicted += 1;
        }
    }
}

impl Retry {
    fn delay(&self, outcome: Outcome, tries: u8) -> Option<Duration> {
        let delays = match outcome {
            Outcome::NoPeers => &self.no_peers,
            Outcome::Unreachable | Outcome::Unfetchable => &self.with_peers,
        };
        delays.get(usize::from(tries).checked_sub(1)?).copied()
    }
}

#[cfg(test)]
mod tests;
