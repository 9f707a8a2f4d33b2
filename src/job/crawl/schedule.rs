//! Infohashes that wait for another round: what the rounds so far leave for the next.

use std::net::SocketAddr;
use std::time::Duration;

use crawler::frontier::{Outcome as Failed, Work};
use crawler::{Contact, Few, K, Plan};
use wire::InfoHash;
use world::{KeyedMap, Seed, Time};

use crate::job::harvest::{Harvested, Outcome, replicas};

/// An infohash between two rounds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Waiting {
    /// Which.
    pub info_hash: InfoHash,
    /// Not before this time.
    pub due: Time,
    /// Rounds that failed.
    pub tries: u8,
    /// How the last of them ended: what stands if there is no other.
    pub last: Failed,
    /// Peers named so far. They are tried again: who was away may be back.
    pub peers: Vec<SocketAddr>,
    /// Nodes that may hold it and were not asked, at most [`K`].
    pub spare: Vec<Contact>,
    /// Nodes that were asked, the latest [`K`] of them: as many as hold an infohash.
    pub asked: Vec<SocketAddr>,
}

/// All that wait, and those of them that are tried again right now. Never more than the frontier lets wait and the
/// harvest has slots: each is taken out when the frontier gives it up.
#[derive(Debug)]
pub(super) struct Schedule {
    waiting: KeyedMap<InfoHash, Waiting>,
    changes: u64,
}

impl Schedule {
    pub(super) fn new(seed: Seed) -> Self {
        Self {
            waiting: KeyedMap::with_hasher(seed.derive("schedule").hasher()),
            changes: 0,
        }
    }

    /// How to look for peers of `work`, and the peers that are known already. The first round asks who showed it; a later
    /// one asks other replicas, and walks the DHT where it knows of none (crawlers R5, step three).
    pub(super) fn plan(&self, work: &Work, first_queries: u32, later_queries: u32) -> (Plan, &[SocketAddr]) {
        let Some(waiting) = self.waiting.get(&work.info_hash) else {
            return (replicas(&work.showed_by, first_queries), &[]);
        };
        let mut plan = replicas(&waiting.spare, later_queries);
        if waiting.spare.is_empty() {
            let others = work.showed_by.iter().copied();
            let others = others.filter(|node| !waiting.asked.contains(&node.addr));
            plan.first = others.collect::<Few>();
        }
        if plan.first.is_empty() {
            plan = Plan::full();
        }
        for (slot, &asked) in plan.avoid.iter_mut().zip(&waiting.asked) {
            *slot = Some(asked);
        }
        (plan, &waiting.peers)
    }

    /// A round has failed, and another is to come.
    pub(super) fn put_off(&mut self, due: Time, last: Failed, harvested: Harvested) {
        self.changes += 1;
        let info_hash = harvested.info_hash;
        let before = self.waiting.remove(&info_hash);
        let tries = before.as_ref().map_or(0, |before| before.tries).saturating_add(1);
        let (old_spare, mut asked) = before.map_or_else(Default::default, |before| (before.spare, before.asked));
        asked.retain(|node| !harvested.asked.contains(node));
        asked.extend(&harvested.asked);
        asked.drain(..asked.len().saturating_sub(K));
        let mut spare = harvested.spare;
        spare.extend(old_spare.into_iter().filter(|old| !harvested.asked.contains(&old.addr)));
        spare.retain(|node| !asked.contains(&node.addr));
        spare.sort_by_key(|node| node.id.distance(&info_hash.as_target()));
        spare.dedup_by_key(|node| node.addr);
        spare.truncate(K);
        let peers = harvested.peers;
        self.insert(Waiting {
            info_hash,
            due,
            tries,
            last,
            peers,
            spare,
            asked,
        });
    }

    /// One that an earlier run left waiting.
    pub(super) fn insert(&mut self, waiting: Waiting) {
        self.waiting.insert(waiting.info_hash, waiting);
    }

    /// It is done with, or given up; what is known of it, if it waited.
    pub(super) fn remove(&mut self, info_hash: &InfoHash) -> Option<Waiting> {
        let removed = self.waiting.remove(info_hash);
        self.changes += u64::from(removed.is_some());
        removed
    }

    /// Any of them, to be taken out.
    pub(super) fn any(&self) -> Option<InfoHash> {
        self.waiting.keys().next().copied()
    }

    /// Rounds of an infohash that failed.
    pub(super) fn tries(&self, info_hash: &InfoHash) -> u8 {
        self.waiting.get(info_hash).map_or(0, |waiting| waiting.tries)
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// All of them, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Waiting> {
        self.waiting.values()
    }

    /// Changes so far: a schedule on disk with the same number is this one.
    pub(super) const fn changes(&self) -> u64 {
        self.changes
    }
}

impl Waiting {
    /// What is recorded when there is no other round.
    pub(super) fn given_up(self) -> Harvested {
        let outcome = match self.last {
            Failed::NoPeers => Outcome::NoPeers,
            Failed::Unreachable => Outcome::Unreachable,
            Failed::Unfetchable => Outcome::Unfetchable,
        };
        Harvested {
            info_hash: self.info_hash,
            peers: self.peers,
            outcome,
            spare: Vec::new(),
            asked: Vec::new(),
            tried: 0,
            from: None,
            via: None,
            took: Duration::ZERO,
        }
    }
}
