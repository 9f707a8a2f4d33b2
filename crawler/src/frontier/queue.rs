//! Infohashes that wait for a fetch slot: ranked, bounded, and put off after a failure.

use std::collections::BTreeSet;
use std::time::Duration;

use wire::InfoHash;
use world::{KeyedMap, Seed, Time};

use super::Outcome;
use super::seen::Fingerprint;
use crate::{Contact, Sighting, Source};

/// Nodes kept for each infohash: step one of a lookup asks the first, and needs another only if that one is silent.
pub(super) const SHOWED_BY: usize = 3;

/// What one more holder is worth, in freshness. More holders mean a more popular torrent (network-model 4.7).
const HOLDER_WORTH: Duration = Duration::from_secs(600);
/// Holders beyond this add nothing.
const MAX_HOLDERS: u8 = 8;
/// What an announce is worth: a peer was there at that moment, where a sample may be six hours old (F2).
const ANNOUNCE_WORTH: Duration = Duration::from_secs(3_600);
/// What a question for its peers is worth: somebody wants it, nobody need have it.
const WANTED_WORTH: Duration = Duration::from_secs(900);

/// The nodes that showed an infohash in a sample, the latest [`SHOWED_BY`] of them.
#[derive(Clone, Copy, Debug)]
struct ShowedBy {
    contacts: [Option<Contact>; SHOWED_BY],
    oldest: usize,
}

impl ShowedBy {
    /// Whether `contact` was not among them; it is now.
    fn add(&mut self, contact: Contact) -> bool {
        if self.contacts.contains(&Some(contact)) {
            return false;
        }
        self.contacts[self.oldest] = Some(contact);
        self.oldest = (self.oldest + 1) % SHOWED_BY;
        true
    }

    /// Latest first.
    fn iter(&self) -> impl Iterator<Item = Contact> {
        let latest_first = (1..=SHOWED_BY).map(|back| (self.oldest + SHOWED_BY - back) % SHOWED_BY);
        latest_first.filter_map(|at| self.contacts[at])
    }
}

/// When the better of two is taken, the higher rank is: a moment of freshness, advanced by what speaks for the infohash.
/// It does not change while time passes, so nothing is ever re-sorted.
type Rank = Time;

/// The more doubtful of two that wait gives way: first who has no peer, then who failed more often, then whose turn is
/// later.
type Doubt = (bool, u8, Time);

#[derive(Clone, Copy, Debug)]
enum Place {
    Ready(Rank),
    Waiting(Time, Doubt),
    Taken,
}

#[derive(Clone, Debug)]
struct Item {
    info_hash: InfoHash,
    showed_by: ShowedBy,
    holders: u8,
    announced: bool,
    wanted: bool,
    tries: u8,
    last_sighted: Time,
    place: Place,
}

impl Item {
    const fn new(info_hash: InfoHash) -> Self {
        Self {
            info_hash,
            showed_by: ShowedBy {
                contacts: [None; SHOWED_BY],
                oldest: 0,
            },
            holders: 0,
            announced: false,
            wanted: false,
            tries: 0,
            last_sighted: Time::ZERO,
            place: Place::Taken,
        }
    }

    fn note(&mut self, now: Time, sighting: &Sighting) {
        self.last_sighted = now;
        match sighting.source {
            Source::Sample { .. } => {
                if self.showed_by.add(sighting.from) {
                    self.holders = self.holders.saturating_add(1);
                }
            }
            Source::Announce => self.announced = true,
            Source::GetPeers => self.wanted = true,
        }
    }

    fn rank(&self) -> Rank {
        let holders = u32::from(self.holders.min(MAX_HOLDERS));
        let mut rank = self.last_sighted + HOLDER_WORTH * holders;
        if self.announced {
            rank = rank + ANNOUNCE_WORTH;
        }
        if self.wanted {
            rank = rank + WANTED_WORTH;
        }
        rank
    }
}

/// An infohash to fetch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Work {
    /// Which.
    pub info_hash: InfoHash,
    /// Nodes that showed it in a sample, latest first, at most three: step one of the lookup (crawlers R5). Empty if it
    /// was only heard of in others' questions.
    pub showed_by: Vec<Contact>,
    /// Tries that failed before.
    pub tries: u8,
}

/// The queue. Two bounds: `max_ready` never-tried infohashes, of which the lowest rank is evicted; and `max_waiting`
/// retries, of which the most doubtful is. Taken ones are as many as the caller has fetch slots.
pub(super) struct Queue {
    items: KeyedMap<Fingerprint, Item>,
    ready: BTreeSet<(Rank, Fingerprint)>,
    waiting: BTreeSet<(Time, Fingerprint)>,
    /// The same, by what speaks against them.
    doubtful: BTreeSet<(Doubt, Fingerprint)>,
    max_ready: usize,
    max_waiting: usize,
    takes: u64,
}

/// Of this many takes, one prefers a retry that is due to whatever is ready, so that neither starves.
const RETRY_SHARE: u64 = 4;

impl Queue {
    pub(super) fn new(max_ready: usize, max_waiting: usize, seed: Seed) -> Self {
        Self {
            items: KeyedMap::with_hasher(seed.derive("queue").hasher()),
            ready: BTreeSet::new(),
            waiting: BTreeSet::new(),
            doubtful: BTreeSet::new(),
            max_ready,
            max_waiting,
            takes: 0,
        }
    }

    /// Adds an infohash that is not queued. Returns whom this evicts: the lowest rank, perhaps itself.
    pub(super) fn add(&mut self, now: Time, fingerprint: Fingerprint, sighting: &Sighting) -> Option<Fingerprint> {
        let mut item = Item::new(sighting.info_hash);
        item.note(now, sighting);
        self.items.insert(fingerprint, item);
        self.make_ready(fingerprint);
        self.evict()
    }

    /// One more sighting of a queued infohash: it may rise.
    pub(super) fn note(&mut self, now: Time, fingerprint: Fingerprint, sighting: &Sighting) {
        let Some(item) = self.items.get_mut(&fingerprint) else {
            return;
        };
        item.note(now, sighting);
        if let Place::Ready(rank) = item.place {
            self.ready.remove(&(rank, fingerprint));
            self.make_ready(fingerprint);
        }
    }

    /// The best infohash that may be tried now. It stays known as taken until it is dropped, put off or put back.
    pub(super) fn take(&mut self, now: Time) -> Option<Work> {
        let due = self.waiting.first().copied().filter(|&(due, _)| due <= now);
        let best = self.ready.last().copied();
        self.takes += 1;
        let retry_first = self.takes.is_multiple_of(RETRY_SHARE);
        let fingerprint = match (best, due) {
            (Some(best), None) => self.unready(best),
            (Some(best), Some(_)) if !retry_first => self.unready(best),
            (_, Some(due)) => {
                self.leave_waiting(due.1);
                due.1
            }
            (None, None) => return None,
        };
        let item = self.items.get_mut(&fingerprint)?;
        item.place = Place::Taken;
        Some(Work {
            info_hash: item.info_hash,
            showed_by: item.showed_by.iter().collect(),
            tries: item.tries,
        })
    }

    /// Forgets a taken infohash: nothing more is to be tried.
    pub(super) fn drop(&mut self, fingerprint: Fingerprint) {
        match self.items.remove(&fingerprint).map(|item| item.place) {
            Some(Place::Ready(rank)) => drop(self.ready.remove(&(rank, fingerprint))),
            Some(Place::Waiting(due, doubt)) => {
                self.waiting.remove(&(due, fingerprint));
                self.doubtful.remove(&(doubt, fingerprint));
            }
            Some(Place::Taken) | None => {}
        }
    }

    /// Counts a failed try of a taken infohash; `None` if it is not taken.
    pub(super) fn count_try(&mut self, fingerprint: Fingerprint) -> Option<u8> {
        let item = self.items.get_mut(&fingerprint)?;
        if !matches!(item.place, Place::Taken) {
            return None;
        }
        item.tries = item.tries.saturating_add(1);
        Some(item.tries)
    }

    /// Puts a taken infohash off until `due`. Returns whom this puts out of a full waiting room, perhaps itself; that one
    /// is still known, to be [dropped](Self::drop).
    pub(super) fn put_off(&mut self, fingerprint: Fingerprint, due: Time, outcome: Outcome) -> Option<InfoHash> {
        let item = self.items.get_mut(&fingerprint)?;
        let doubt = (outcome == Outcome::NoPeers, item.tries, due);
        item.place = Place::Waiting(due, doubt);
        self.waiting.insert((due, fingerprint));
        self.doubtful.insert((doubt, fingerprint));
        if self.waiting.len() <= self.max_waiting {
            return None;
        }
        let &(_, worst) = self.doubtful.last()?;
        self.items.get(&worst).map(|item| item.info_hash)
    }

    /// An infohash that waits from an earlier run.
    pub(super) fn restore(
        &mut self,
        fingerprint: Fingerprint,
        info_hash: InfoHash,
        tries: u8,
        due: Time,
        outcome: Outcome,
    ) {
        self.items.insert(
            fingerprint,
            Item {
                tries,
                ..Item::new(info_hash)
            },
        );
        self.put_off(fingerprint, due, outcome);
    }

    pub(super) fn is_waiting_full(&self) -> bool {
        self.waiting.len() >= self.max_waiting
    }

    fn leave_waiting(&mut self, fingerprint: Fingerprint) {
        if let Some(&Item {
            place: Place::Waiting(due, doubt),
            ..
        }) = self.items.get(&fingerprint)
        {
            self.waiting.remove(&(due, fingerprint));
            self.doubtful.remove(&(doubt, fingerprint));
        }
    }

    /// Puts a taken infohash back as if it had not been taken. Returns whom this evicts.
    pub(super) fn put_back(&mut self, fingerprint: Fingerprint) -> Option<Fingerprint> {
        if matches!(self.items.get(&fingerprint)?.place, Place::Taken) {
            self.make_ready(fingerprint);
        }
        self.evict()
    }

    /// When [`Queue::take`] next gives something; the past if it does now.
    pub(super) fn wake(&self) -> Option<Time> {
        if self.ready.is_empty() {
            self.waiting.first().map(|&(due, _)| due)
        } else {
            Some(Time::ZERO)
        }
    }

    pub(super) fn ready(&self) -> usize {
        self.ready.len()
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn taken(&self) -> usize {
        self.items.len() - self.ready.len() - self.waiting.len()
    }

    /// Bytes held, by the size of entries and the known overhead of their containers.
    pub(super) fn bytes(&self) -> usize {
        // A hash table is at least half full when it grows by doubling, and adds a byte of control for each slot; a B-tree
        // is about two thirds full.
        let item = size_of::<(Fingerprint, Item)>() + 1;
        let index = size_of::<(Doubt, Fingerprint)>() * 3 / 2;
        self.items.capacity() * item * 8 / 7 + (self.ready.len() + 2 * self.waiting.len()) * index
    }

    fn make_ready(&mut self, fingerprint: Fingerprint) {
        if let Some(item) = self.items.get_mut(&fingerprint) {
            let rank = item.rank();
            item.place = Place::Ready(rank);
            self.ready.insert((rank, fingerprint));
        }
    }

    fn unready(&mut self, entry: (Rank, Fingerprint)) -> Fingerprint {
        self.ready.remove(&entry);
        entry.1
    }

    fn evict(&mut self) -> Option<Fingerprint> {
        if self.ready.len() <= self.max_ready {
            return None;
        }
        let (_, worst) = self.ready.pop_first()?;
        self.items.remove(&worst);
        Some(worst)
    }
}
