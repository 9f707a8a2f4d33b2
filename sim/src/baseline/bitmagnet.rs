//! bitmagnet: workers behind bounded channels, a routing table of one random id, a minute between samples (crawlers 1.2).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use rand::RngExt;
use wire::{InfoHash, NodeId};
use world::{KeyedMap, Seed, Time};

use super::Habit;
use super::desk::{Answer, Desk, Question};
use super::fetch::{Ended, Patience};
use super::limiter::Limiter;

/// Workers that ping, find nodes, sample, get peers, scrape; with the default scaling factor (1.2).
const WORKERS: [usize; 5] = [10, 100, 100, 200, 200];
/// Workers that fetch metadata (1.2).
const FETCHERS: usize = 400;
/// The three that compete for a discovered node (1.2).
const COMPETING: usize = 3;
/// Discovered nodes that wait for one of them. The original blocks whoever finds more; here more are dropped.
const DISCOVERED: usize = 1_000;
/// Entries of one bucket (1.2 `nodesK`).
const BUCKET: usize = 80;
/// The routers are asked again (1.2).
const RESEED: Duration = Duration::from_secs(600);
/// All find_node and sample queries of so long a time have one target (1.2).
const TARGET: Duration = Duration::from_secs(10);
/// Table entries sampled again each second, at the most (1.2).
const AGAIN: usize = 60;
/// For an answer; a node that was late once is dropped (1.2).
const ANSWER: Duration = Duration::from_secs(4);
/// To connect, and for all of one dial (1.2).
const CONNECT: Duration = Duration::from_secs(3);
const DIAL: Duration = Duration::from_secs(6);
/// A longer interval of a node that showed anything new is replaced by [`SOON`] (crawlers F2).
const SHORT: u64 = 300;
const SOON: Duration = Duration::from_secs(60);
/// Added to the interval of a node that showed nothing new (1.2).
const NOTHING_NEW: Duration = Duration::from_secs(300);
/// Infohashes are looked up in the database together: so many, or as many as came in this time (1.2).
const BATCH: usize = 1_000;
const BATCH_WITHIN: Duration = Duration::from_secs(20);
/// A query a second for each host, four at once, in a table of a thousand that forgets within 20 s (1.2).
const PER_HOST: Limiter = Limiter::new(Duration::from_secs(1), 4, 1_000, Duration::from_secs(20));

/// What is known of a node in the table.
struct Entry {
    bucket: usize,
    next_sample: Time,
    samples: bool,
}

pub(super) struct Bitmagnet {
    routers: Vec<SocketAddr>,
    table: KeyedMap<SocketAddr, Entry>,
    /// Entries by when they may be sampled again.
    due: BTreeSet<(Time, SocketAddr)>,
    buckets: BTreeMap<usize, usize>,
    discovered: VecDeque<SocketAddr>,
    busy: [usize; WORKERS.len()],
    target: NodeId,
    target_until: Time,
    next_reseed: Time,
    next_second: Time,
    batch: Vec<(InfoHash, SocketAddr)>,
    batch_due: Time,
    wanted: VecDeque<(InfoHash, SocketAddr)>,
    to_fetch: VecDeque<Job>,
    fetching: BTreeMap<InfoHash, Job>,
    scrapes: VecDeque<(InfoHash, SocketAddr)>,
    limiter: Limiter,
    /// Questions that wait for the limiter.
    held: BTreeMap<(Time, u64), (SocketAddr, Question)>,
    number: u64,
}

/// An infohash whose peers are dialled, one after the other.
struct Job {
    info_hash: InfoHash,
    peers: VecDeque<SocketAddr>,
    node: SocketAddr,
}

const fn worker(question: Question) -> usize {
    match question {
        Question::Ping => 0,
        Question::FindNode(_) => 1,
        Question::Sample(_) => 2,
        Question::GetPeers(_) => 3,
        Question::Scrape(_) => 4,
    }
}

impl Bitmagnet {
    pub(super) fn new(routers: Vec<SocketAddr>, seed: Seed) -> Self {
        Self {
            routers,
            table: KeyedMap::with_hasher(seed.derive("table").hasher()),
            due: BTreeSet::new(),
            buckets: BTreeMap::new(),
            discovered: VecDeque::new(),
            busy: [0; WORKERS.len()],
            target: NodeId::new([0; 20]),
            target_until: Time::ZERO,
            next_reseed: Time::ZERO,
            next_second: Time::ZERO,
            batch: Vec::new(),
            batch_due: Time::MAX,
            wanted: VecDeque::new(),
            to_fetch: VecDeque::new(),
            fetching: BTreeMap::new(),
            scrapes: VecDeque::new(),
            limiter: PER_HOST,
            held: BTreeMap::new(),
            number: 0,
        }
    }

    /// A worker asks, as soon as the limiter lets it.
    fn ask(&mut self, now: Time, desk: &mut Desk, to: SocketAddr, question: Question) {
        self.busy[worker(question)] += 1;
        let at = self.limiter.reserve(now, to.ip());
        if at <= now {
            desk.ask(to, question, ANSWER);
        } else {
            self.number += 1;
            self.held.insert((at, self.number), (to, question));
        }
    }

    fn free(&self, question: Question) -> bool {
        self.busy[worker(question)] < WORKERS[worker(question)]
    }

    fn discover(&mut self, answer: &Answer<'_>) {
        for contact in answer.reply.contacts() {
            if self.discovered.len() < DISCOVERED && !self.table.contains_key(&contact.addr) {
                self.discovered.push_back(contact.addr);
            }
        }
    }

    /// Who answered enters the table if its bucket has room; whom it rejects is not remembered.
    fn keep(&mut self, desk: &Desk, answer: &Answer<'_>, next_sample: Time, samples: bool) {
        let bucket = answer.reply.id.common_prefix(&desk.id()) as usize;
        if let Some(entry) = self.table.get_mut(&answer.from) {
            self.due.remove(&(entry.next_sample, answer.from));
            (entry.next_sample, entry.samples) = (next_sample, samples);
        } else {
            let count = self.buckets.entry(bucket).or_insert(0);
            if *count >= BUCKET {
                return;
            }
            *count += 1;
            let entry = Entry {
                bucket,
                next_sample,
                samples,
            };
            self.table.insert(answer.from, entry);
        }
        if samples {
            self.due.insert((next_sample, answer.from));
        }
    }

    fn drop_node(&mut self, addr: SocketAddr) {
        if let Some(entry) = self.table.remove(&addr) {
            self.due.remove(&(entry.next_sample, addr));
            if let Some(count) = self.buckets.get_mut(&entry.bucket) {
                *count -= 1;
            }
        }
    }

    /// Once a second: table entries whose time has come.
    fn sample_again(&mut self, now: Time, desk: &mut Desk) {
        let due: Vec<SocketAddr> = self
            .due
            .iter()
            .take_while(|(at, _)| *at <= now)
            .map(|&(_, addr)| addr)
            .take(AGAIN)
            .collect();
        for addr in due {
            let question = Question::Sample(self.target);
            if !self.free(question) {
                return;
            }
            if let Some(entry) = self.table.get_mut(&addr) {
                self.due.remove(&(entry.next_sample, addr));
                entry.next_sample = now + SOON;
                self.due.insert((entry.next_sample, addr));
            }
            self.ask(now, desk, addr, question);
        }
    }

    /// A discovered node goes to whichever of the three has a free worker, at random (1.2).
    fn dispatch(&mut self, now: Time, desk: &mut Desk) {
        while !self.discovered.is_empty() {
            let questions = [
                Question::Ping,
                Question::FindNode(self.target),
                Question::Sample(self.target),
            ];
            let free: Vec<Question> = questions
                .into_iter()
                .take(COMPETING)
                .filter(|question| self.free(*question))
                .collect();
            if free.is_empty() {
                return;
            }
            let question = free[desk.rng().random_range(0..free.len())];
            if let Some(addr) = self.discovered.pop_front() {
                self.ask(now, desk, addr, question);
            }
        }
    }

    fn triage(&mut self, now: Time) {
        if self.batch.len() >= BATCH || now >= self.batch_due {
            self.wanted.extend(self.batch.drain(..));
            self.batch_due = Time::MAX;
        }
    }

    fn fetch_next(&mut self, now: Time, desk: &mut Desk, mut job: Job) {
        let Some(peer) = job.peers.pop_front() else { return };
        let patience = Patience {
            connect: CONNECT,
            word: DIAL,
            total: DIAL,
        };
        desk.fetches.begin(now, job.info_hash, peer, patience);
        self.fetching.insert(job.info_hash, job);
    }

    fn sampled(&mut self, now: Time, desk: &mut Desk, answer: &Answer<'_>) {
        let new: Vec<InfoHash> = answer.reply.samples().filter(|hash| desk.see(*hash)).collect();
        let told = answer
            .reply
            .interval
            .and_then(|secs| u64::try_from(secs).ok())
            .unwrap_or(0);
        let rest = match (new.is_empty(), told) {
            (true, _) => Duration::from_secs(told) + NOTHING_NEW,
            (false, told) if told > SHORT => SOON,
            (false, told) => Duration::from_secs(told),
        };
        self.keep(desk, answer, now + rest, true);
        if self.batch.is_empty() {
            self.batch_due = now + BATCH_WITHIN;
        }
        self.batch.extend(new.into_iter().map(|hash| (hash, answer.from)));
    }
}

impl Habit for Bitmagnet {
    fn act(&mut self, now: Time, desk: &mut Desk) {
        while let Some(entry) = self.held.first_entry().filter(|entry| entry.key().0 <= now) {
            let (to, question) = entry.remove();
            desk.ask(to, question, ANSWER);
        }
        if now >= self.target_until {
            self.target = desk.random_id();
            self.target_until = now + TARGET;
        }
        if now >= self.next_reseed {
            // There are half a dozen routers in the original's list: that one answer is lost does not cost it ten minutes.
            let found_nobody = self.discovered.is_empty() && self.table.len() <= self.routers.len();
            self.next_reseed = now + if found_nobody { ANSWER } else { RESEED };
            for router in self.routers.clone() {
                self.ask(now, desk, router, Question::FindNode(self.target));
            }
        }
        if now >= self.next_second {
            self.next_second = now + Duration::from_secs(1);
            self.sample_again(now, desk);
        }
        self.dispatch(now, desk);
        self.triage(now);
        while self.busy[3] < WORKERS[3]
            && let Some((info_hash, node)) = self.wanted.pop_front()
        {
            self.ask(now, desk, node, Question::GetPeers(info_hash));
        }
        while self.busy[4] < WORKERS[4]
            && let Some((info_hash, node)) = self.scrapes.pop_front()
        {
            self.ask(now, desk, node, Question::Scrape(info_hash));
        }
        while self.fetching.len() < FETCHERS
            && let Some(job) = self.to_fetch.pop_front()
        {
            self.fetch_next(now, desk, job);
        }
    }

    fn answered(&mut self, now: Time, desk: &mut Desk, answer: &Answer<'_>) {
        self.busy[worker(answer.question)] -= 1;
        match answer.question {
            Question::Ping | Question::FindNode(_) if self.routers.contains(&answer.from) => {}
            Question::Ping | Question::FindNode(_) => {
                if !self.table.contains_key(&answer.from) {
                    self.keep(desk, answer, now, true);
                }
            }
            Question::Sample(_) if answer.reply.samples.is_none() => self.keep(desk, answer, Time::MAX, false),
            Question::Sample(_) => self.sampled(now, desk, answer),
            Question::GetPeers(info_hash) => {
                let peers: VecDeque<SocketAddr> = answer.reply.peers().collect();
                if !peers.is_empty() {
                    desk.tell_peers(info_hash);
                    self.to_fetch.push_back(Job {
                        info_hash,
                        peers,
                        node: answer.from,
                    });
                }
            }
            Question::Scrape(_) => return,
        }
        self.discover(answer);
    }

    fn failed(&mut self, _now: Time, _desk: &mut Desk, to: SocketAddr, question: Question) {
        self.busy[worker(question)] -= 1;
        self.drop_node(to);
    }

    fn fetched(&mut self, now: Time, desk: &mut Desk, ended: Ended) {
        let Some(job) = self.fetching.remove(&ended.info_hash) else {
            return;
        };
        if ended.fetched {
            self.scrapes.push_back((job.info_hash, job.node));
        } else {
            self.fetch_next(now, desk, job);
        }
    }

    fn wake(&self, _desk: &Desk) -> Option<Time> {
        let held = self.held.keys().next().map(|&(at, _)| at);
        let mut due = self.next_second.min(self.next_reseed).min(self.batch_due);
        if let Some(at) = held {
            due = due.min(at);
        }
        Some(due)
    }
}
