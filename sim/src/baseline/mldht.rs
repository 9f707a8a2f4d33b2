//! TorrentDumper of mldht: a walk along the key space, full lookups, and hygiene (crawlers 1.4).
//!
//! Its walk loses the samples of replies that name a node it has passed; that is a fault, not a policy, and mended here.

mod lookup;
mod sweep;

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use wire::{InfoHash, NodeId};
use world::{KeyedMap, Seed, Time};

use super::Habit;
use super::desk::{Answer, Desk, Question};
use super::fetch::{Ended, Patience};
use super::limiter::Limiter;
use crate::address::Addresses;
use lookup::Lookup;
use sweep::Sweep;

/// Lookups at once. The description has three queries of each in flight, and no number of lookups: a guess.
const LOOKUPS: usize = 10;
/// Infohashes that wait for a lookup; more are dropped (1.4).
const PENDING: usize = 100_000;
/// A node that did not answer rests so long, times the failures in a row (1.4).
const REST: Duration = Duration::from_secs(300);
/// Between two queries to a host, and how many at once (1.4: the throttle that it applies to others).
const THROTTLE: Limiter = Limiter::new(Duration::from_millis(500), 10, 100_000, Duration::from_secs(60));
/// The longest wait for an answer, and what is added to the tenth percentile (1.4).
const LONGEST: Duration = Duration::from_secs(10);
const SPREAD: Duration = Duration::from_millis(100);
/// Round trips that the wait is learnt from.
const ROUND_TRIPS: usize = 256;
/// New connections of one infohash in a second; connections at once (1.4).
const DIALS_A_SECOND: usize = 6;
const CONNECTIONS: usize = 1_000;
/// To connect (adaptive in 1.4; a usual figure here), and between two words of a peer (1.4).
const CONNECT: Duration = Duration::from_secs(5);
const IDLE: Duration = Duration::from_secs(25);

/// Nodes that are known, and how they have behaved.
struct Known {
    /// Whoever answered, by id: the routing table and the lookup cache.
    alive: BTreeMap<NodeId, SocketAddr>,
    /// One id for each host.
    hosts: KeyedMap<IpAddr, NodeId>,
    /// Failures in a row, and until when a host rests.
    resting: KeyedMap<IpAddr, (u32, Time)>,
}

impl Known {
    fn rests(&self, now: Time, host: IpAddr) -> bool {
        self.resting.get(&host).is_some_and(|&(_, until)| until > now)
    }

    /// A host that is no bogon, does not rest, and has no other id.
    fn admits(&self, now: Time, id: &NodeId, addr: SocketAddr) -> bool {
        let same = self.hosts.get(&addr.ip()).is_none_or(|known| known == id);
        Addresses::plausible(addr.ip()) && addr.port() != 0 && same && !self.rests(now, addr.ip())
    }
}

/// What a question was for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Purpose {
    Join,
    Sweep(NodeId),
    Lookup(InfoHash, NodeId),
}

/// Peers of one infohash, being dialled.
struct Task {
    /// The best last.
    peers: Vec<SocketAddr>,
    open: usize,
    second: Time,
    dialled: usize,
}

pub(super) struct Mldht {
    routers: Vec<SocketAddr>,
    known: Known,
    sweep: Sweep,
    lookups: BTreeMap<InfoHash, Lookup>,
    /// Seen from two hosts; seen once.
    priority: VecDeque<InfoHash>,
    pending: VecDeque<InfoHash>,
    /// Who showed it first, while it waits for its first lookup.
    first: KeyedMap<InfoHash, IpAddr>,
    tasks: BTreeMap<InfoHash, Task>,
    throttle: Limiter,
    held: BTreeMap<(Time, u64), (SocketAddr, Question)>,
    number: u64,
    purposes: KeyedMap<(SocketAddr, [u8; 21]), Purpose>,
    round_trips: VecDeque<Duration>,
    patience: Duration,
    next_join: Time,
}

impl Mldht {
    pub(super) fn new(routers: Vec<SocketAddr>, seed: Seed) -> Self {
        let hasher = |label| seed.derive(label).hasher();
        Self {
            routers,
            known: Known {
                alive: BTreeMap::new(),
                hosts: KeyedMap::with_hasher(hasher("hosts")),
                resting: KeyedMap::with_hasher(hasher("resting")),
            },
            sweep: Sweep::new(),
            lookups: BTreeMap::new(),
            priority: VecDeque::new(),
            pending: VecDeque::new(),
            first: KeyedMap::with_hasher(hasher("first")),
            tasks: BTreeMap::new(),
            throttle: THROTTLE,
            held: BTreeMap::new(),
            number: 0,
            purposes: KeyedMap::with_hasher(hasher("purposes")),
            round_trips: VecDeque::new(),
            patience: LONGEST,
            next_join: Time::ZERO,
        }
    }

    fn ask(&mut self, now: Time, desk: &mut Desk, to: SocketAddr, question: Question, purpose: Purpose) {
        self.purposes.insert((to, key(question)), purpose);
        let at = self.throttle.reserve(now, to.ip());
        if at <= now {
            desk.ask(to, question, self.patience);
        } else {
            self.number += 1;
            self.held.insert((at, self.number), (to, question));
        }
    }

    /// The stall timeout: the tenth percentile and a little, or the ninetieth, whichever is longer (1.4).
    fn learn_patience(&mut self, took: Duration) {
        if self.round_trips.len() == ROUND_TRIPS {
            self.round_trips.pop_front();
        }
        self.round_trips.push_back(took);
        if self.round_trips.len() >= ROUND_TRIPS / 8 {
            let mut sorted: Vec<Duration> = self.round_trips.iter().copied().collect();
            sorted.sort_unstable();
            let at = |tenths: usize| sorted[(sorted.len() - 1) * tenths / 10];
            self.patience = (at(1) + SPREAD).max(at(9)).min(LONGEST);
        }
    }

    /// An infohash from a sample or a question of others.
    fn note(&mut self, desk: &mut Desk, info_hash: InfoHash, from: IpAddr) {
        if desk.see(info_hash) {
            if self.pending.len() + self.priority.len() < PENDING {
                self.pending.push_back(info_hash);
                self.first.insert(info_hash, from);
            }
        } else if self.first.get(&info_hash).is_some_and(|first| *first != from) {
            // A second host speaks for it.
            self.first.remove(&info_hash);
            self.priority.push_back(info_hash);
        }
    }

    fn next_wanted(&mut self) -> Option<InfoHash> {
        if let Some(info_hash) = self.priority.pop_front() {
            return Some(info_hash);
        }
        // Those that were promoted are no longer in `first`.
        while let Some(info_hash) = self.pending.pop_front() {
            if self.first.remove(&info_hash).is_some() {
                return Some(info_hash);
            }
        }
        None
    }

    fn look_up(&mut self, now: Time, desk: &mut Desk) {
        while self.lookups.len() < LOOKUPS && !self.known.alive.is_empty() {
            let Some(info_hash) = self.next_wanted() else { return };
            let lookup = Lookup::new(&info_hash, &self.known, now);
            self.lookups.insert(info_hash, lookup);
            self.go_on(now, desk, info_hash);
        }
    }

    /// The next questions of a lookup, or its end.
    fn go_on(&mut self, now: Time, desk: &mut Desk, info_hash: InfoHash) {
        let Some(mut lookup) = self.lookups.remove(&info_hash) else {
            return;
        };
        while let Some((id, addr)) = lookup.next(|addr| self.known.rests(now, addr.ip())) {
            self.ask(
                now,
                desk,
                addr,
                Question::GetPeers(info_hash),
                Purpose::Lookup(info_hash, id),
            );
        }
        if !lookup.is_over() {
            self.lookups.insert(info_hash, lookup);
            return;
        }
        let peers = lookup.peers();
        if !peers.is_empty() {
            let task = Task {
                peers,
                open: 0,
                second: now,
                dialled: 0,
            };
            self.tasks.insert(info_hash, task);
        }
    }

    /// Dials for every task, within the limits.
    fn dial(&mut self, now: Time, desk: &mut Desk) {
        let patience = Patience {
            connect: CONNECT,
            word: IDLE,
            total: Duration::MAX,
        };
        for (info_hash, task) in &mut self.tasks {
            if now.since(task.second) >= Duration::from_secs(1) {
                (task.second, task.dialled) = (now, 0);
            }
            while task.dialled < DIALS_A_SECOND
                && desk.fetches.len() < CONNECTIONS
                && let Some(peer) = task.peers.pop()
            {
                task.dialled += 1;
                task.open += 1;
                desk.fetches.begin(now, *info_hash, peer, patience);
            }
        }
        self.tasks.retain(|_, task| task.open > 0 || !task.peers.is_empty());
    }

    /// Somebody answered under the id that was expected of it.
    fn heard(&mut self, now: Time, answer: &Answer<'_>) {
        self.known.hosts.insert(answer.from.ip(), answer.reply.id);
        self.known.resting.remove(&answer.from.ip());
        self.known.alive.insert(answer.reply.id, answer.from);
        for contact in answer.reply.contacts() {
            if self.known.admits(now, &contact.id, contact.addr) {
                self.sweep.learn(&contact.id, contact.addr);
            }
        }
    }

    fn rest(&mut self, now: Time, addr: SocketAddr) {
        let (failures, until) = self.known.resting.entry(addr.ip()).or_insert((0, now));
        *failures += 1;
        *until = now + REST * *failures;
        if let Some(id) = self.known.hosts.get(&addr.ip()) {
            self.known.alive.remove(id);
        }
    }
}

/// A question by what it asks for.
fn key(question: Question) -> [u8; 21] {
    let (kind, point) = match question {
        Question::Ping => (0, [0; 20]),
        Question::FindNode(target) => (1, *target.as_bytes()),
        Question::Sample(target) => (2, *target.as_bytes()),
        Question::GetPeers(info_hash) | Question::Scrape(info_hash) => (3, *info_hash.as_bytes()),
    };
    let mut key = [kind; 21];
    key[1..].copy_from_slice(&point);
    key
}

impl Habit for Mldht {
    fn act(&mut self, now: Time, desk: &mut Desk) {
        while let Some(entry) = self.held.first_entry().filter(|entry| entry.key().0 <= now) {
            let (to, question) = entry.remove();
            desk.ask(to, question, self.patience);
        }
        if self.known.alive.is_empty() && now >= self.next_join {
            self.next_join = now + LONGEST;
            for router in self.routers.clone() {
                for target in [desk.id(), desk.random_id()] {
                    self.ask(now, desk, router, Question::FindNode(target), Purpose::Join);
                }
            }
        }
        while let Some((id, addr)) = self.sweep.next(now, &self.known) {
            let target = desk.near(&id, self.sweep.depth());
            self.ask(now, desk, addr, Question::Sample(target), Purpose::Sweep(id));
        }
        self.look_up(now, desk);
        self.dial(now, desk);
    }

    fn answered(&mut self, now: Time, desk: &mut Desk, answer: &Answer<'_>) {
        let purpose = self.purposes.remove(&(answer.from, key(answer.question)));
        self.learn_patience(answer.took);
        let expected = match purpose {
            Some(Purpose::Join) => {
                for contact in answer.reply.contacts() {
                    self.sweep.learn(&contact.id, contact.addr);
                }
                return;
            }
            Some(Purpose::Sweep(id) | Purpose::Lookup(_, id)) => id,
            None => return,
        };
        if answer.reply.id != expected {
            // The oracle: whoever stands there is not who was named (1.4).
            return self.failed_for(now, desk, answer.from, purpose);
        }
        self.heard(now, answer);
        match purpose {
            Some(Purpose::Sweep(id)) => {
                self.sweep.answered(&id);
                for info_hash in answer.reply.samples() {
                    self.note(desk, info_hash, answer.from.ip());
                }
            }
            Some(Purpose::Lookup(info_hash, id)) => {
                if let Some(lookup) = self.lookups.get_mut(&info_hash) {
                    lookup.answered(&id, answer.reply.peers());
                    for contact in answer.reply.contacts() {
                        if self.known.admits(now, &contact.id, contact.addr) {
                            lookup.learn(&contact.id, contact.addr);
                        }
                    }
                }
                if answer.reply.peers().next().is_some() {
                    desk.tell_peers(info_hash);
                }
                self.go_on(now, desk, info_hash);
            }
            _ => {}
        }
    }

    fn failed(&mut self, now: Time, desk: &mut Desk, to: SocketAddr, question: Question) {
        let purpose = self.purposes.remove(&(to, key(question)));
        self.failed_for(now, desk, to, purpose);
    }

    fn fetched(&mut self, _now: Time, desk: &mut Desk, ended: Ended) {
        if let Some(task) = self.tasks.get_mut(&ended.info_hash) {
            task.open -= 1;
            if desk.is_done(&ended.info_hash) {
                task.peers.clear();
            }
        }
    }

    fn asked(&mut self, _now: Time, desk: &mut Desk, info_hash: InfoHash) {
        // The host is not passed on: whoever asks is one more that speaks for it.
        self.note(desk, info_hash, IpAddr::from([0, 0, 0, 0]));
    }

    fn wake(&self, _desk: &Desk) -> Option<Time> {
        let held = self.held.keys().next().map(|&(at, _)| at);
        let join = self.known.alive.is_empty().then_some(self.next_join);
        let dials = self.tasks.values().filter(|task| !task.peers.is_empty());
        let dial = dials.map(|task| task.second + Duration::from_secs(1)).min();
        held.into_iter().chain(join).chain(dial).chain(self.sweep.wake()).min()
    }
}

impl Mldht {
    fn failed_for(&mut self, now: Time, desk: &mut Desk, to: SocketAddr, purpose: Option<Purpose>) {
        match purpose {
            Some(Purpose::Sweep(id)) => {
                self.sweep.failed(&id);
                self.rest(now, to);
            }
            Some(Purpose::Lookup(info_hash, id)) => {
                self.rest(now, to);
                if let Some(lookup) = self.lookups.get_mut(&info_hash) {
                    lookup.failed(&id);
                }
                self.go_on(now, desk, info_hash);
            }
            Some(Purpose::Join) | None => {}
        }
    }
}
