//! magnetico, as tgragnato keeps it: a map of neighbours, no memory of whom it asked (crawlers 1.3).

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use rand::RngExt;
use wire::InfoHash;
use world::{KeyedMap, Seed, Time};

use super::Habit;
use super::desk::{Answer, Desk, Question};
use super::fetch::{Ended, Patience};

/// Sampling queries a second (1.3 `max-rps`); other queries bypass the limit.
const SAMPLES: u32 = 500;
/// Ticks, at which an empty map is filled from the routers (1.3).
const TICK: Duration = Duration::from_secs(1);
/// A query without an answer is forgotten after this; nothing depends on it.
const ANSWER: Duration = Duration::from_secs(10);
/// For all of one dial (1.3).
const DIAL: Duration = Duration::from_secs(600);
/// Peers dialled of one infohash (1.3 `leech-max-n`; its number is not described).
const PEERS: usize = 50;
/// Neighbours kept (1.3: 5,000 squared); more, and the whole map is wiped.
const NEIGHBOURS: usize = 25_000_000;

pub(super) struct Magnetico {
    routers: Vec<SocketAddr>,
    /// Whoever was named and not asked since, and where each stands in the list.
    neighbours: Vec<SocketAddr>,
    places: KeyedMap<SocketAddr, usize>,
    leeches: BTreeMap<InfoHash, VecDeque<SocketAddr>>,
    next_sample: Time,
    next_tick: Time,
    joining: usize,
}

impl Magnetico {
    pub(super) fn new(routers: Vec<SocketAddr>, seed: Seed) -> Self {
        Self {
            routers,
            neighbours: Vec::new(),
            places: KeyedMap::with_hasher(seed.derive("neighbours").hasher()),
            leeches: BTreeMap::new(),
            next_sample: Time::ZERO,
            next_tick: Time::ZERO,
            joining: 0,
        }
    }

    fn learn(&mut self, answer: &Answer<'_>) {
        for contact in answer.reply.contacts() {
            // Ports 80, 443 and from 1024 on (1.3).
            if !matches!(contact.addr.port(), 80 | 443 | 1024..) || self.places.contains_key(&contact.addr) {
                continue;
            }
            if self.neighbours.len() >= NEIGHBOURS {
                self.neighbours.clear();
                self.places.clear();
            }
            self.places.insert(contact.addr, self.neighbours.len());
            self.neighbours.push(contact.addr);
        }
    }

    fn take_any(&mut self, desk: &mut Desk) -> Option<SocketAddr> {
        if self.neighbours.is_empty() {
            return None;
        }
        let at = desk.rng().random_range(0..self.neighbours.len());
        let taken = self.neighbours.swap_remove(at);
        self.places.remove(&taken);
        if let Some(moved) = self.neighbours.get(at) {
            self.places.insert(*moved, at);
        }
        Some(taken)
    }

    /// Dials the next peer, or ends.
    fn leech(&mut self, now: Time, desk: &mut Desk, info_hash: InfoHash) {
        let Some(peer) = self.leeches.get_mut(&info_hash).and_then(VecDeque::pop_front) else {
            self.leeches.remove(&info_hash);
            return;
        };
        let patience = Patience {
            connect: DIAL,
            word: DIAL,
            total: DIAL,
        };
        desk.fetches.begin(now, info_hash, peer, patience);
    }
}

impl Habit for Magnetico {
    fn act(&mut self, now: Time, desk: &mut Desk) {
        if now >= self.next_tick {
            self.next_tick = now + TICK;
            if self.neighbours.is_empty() && self.joining == 0 {
                for router in &self.routers {
                    self.joining += 1;
                    let target = desk.random_id();
                    desk.ask(*router, Question::FindNode(target), ANSWER);
                }
            }
        }
        while now >= self.next_sample && desk.backlog() == 0 {
            let Some(neighbour) = self.take_any(desk) else { return };
            self.next_sample = self.next_sample.max(now) + Duration::from_secs(1) / SAMPLES;
            let target = desk.random_id();
            desk.ask(neighbour, Question::Sample(target), ANSWER);
        }
    }

    fn answered(&mut self, now: Time, desk: &mut Desk, answer: &Answer<'_>) {
        self.learn(answer);
        match answer.question {
            // One for each infohash, at once, to the same node, whether known or not (1.3).
            Question::Sample(_) => {
                for info_hash in answer.reply.samples() {
                    desk.see(info_hash);
                    desk.ask(answer.from, Question::GetPeers(info_hash), ANSWER);
                }
            }
            Question::GetPeers(info_hash) => {
                let peers: VecDeque<SocketAddr> = answer.reply.peers().take(PEERS).collect();
                if peers.is_empty() {
                    return;
                }
                desk.tell_peers(info_hash);
                if !desk.is_done(&info_hash) && !self.leeches.contains_key(&info_hash) {
                    self.leeches.insert(info_hash, peers);
                    self.leech(now, desk, info_hash);
                }
            }
            _ => self.joining = 0,
        }
    }

    fn failed(&mut self, _now: Time, _desk: &mut Desk, _to: SocketAddr, question: Question) {
        if let Question::FindNode(_) = question {
            self.joining = 0;
        }
    }

    fn fetched(&mut self, now: Time, desk: &mut Desk, ended: Ended) {
        if ended.fetched {
            self.leeches.remove(&ended.info_hash);
        } else {
            self.leech(now, desk, ended.info_hash);
        }
    }

    fn wake(&self, desk: &Desk) -> Option<Time> {
        if self.neighbours.is_empty() {
            Some(self.next_tick)
        } else {
            (desk.backlog() == 0).then_some(self.next_sample)
        }
    }
}
