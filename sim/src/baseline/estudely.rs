//! The Python original: one thing at a time (crawlers 1.1).

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use rand::RngExt;
use wire::InfoHash;
use world::{Seed, Time};

use super::Habit;
use super::desk::{Answer, Desk, Question};
use super::fetch::{Ended, Patience};

/// For an answer over UDP (1.1).
const ANSWER: Duration = Duration::from_secs(2);
/// For each socket operation over TCP (1.1); together without end.
const OPERATION: Duration = Duration::from_secs(4);
/// Nodes taken from one answer (1.1).
const NAMED: usize = 16;
/// Of the queue, asked for each infohash beside who showed it (1.1).
const BESIDE: usize = 2;
/// Peers dialled of one infohash (1.1).
const PEERS: usize = 5;
/// Before the routers are asked again, when the queue has run dry (not described).
const DRY: Duration = Duration::from_secs(10);

pub(super) struct Estudely {
    routers: Vec<SocketAddr>,
    queue: VecDeque<SocketAddr>,
    /// Never forgotten: each address is asked once.
    seen: BTreeSet<SocketAddr>,
    /// Of the sample in hand: who showed it, and what is still to be looked at.
    sampler: Option<SocketAddr>,
    samples: VecDeque<InfoHash>,
    /// Of the infohash in hand.
    current: Option<InfoHash>,
    holders: VecDeque<SocketAddr>,
    peers: Vec<SocketAddr>,
    dials: Option<VecDeque<SocketAddr>>,
    /// Questions and dials that it waits for.
    busy: usize,
    idle_until: Time,
    seed: Seed,
    shuffles: u64,
}

impl Estudely {
    pub(super) fn new(routers: Vec<SocketAddr>, seed: Seed) -> Self {
        Self {
            routers,
            queue: VecDeque::new(),
            seen: BTreeSet::new(),
            sampler: None,
            samples: VecDeque::new(),
            current: None,
            holders: VecDeque::new(),
            peers: Vec::new(),
            dials: None,
            busy: 0,
            idle_until: Time::ZERO,
            seed: seed.derive("shuffle"),
            shuffles: 0,
        }
    }

    fn ask(&mut self, desk: &mut Desk, to: SocketAddr, question: Question) {
        self.busy += 1;
        desk.ask(to, question, ANSWER);
    }

    fn learn(&mut self, answer: &Answer<'_>) {
        for contact in answer.reply.contacts().take(NAMED) {
            if self.seen.insert(contact.addr) {
                self.queue.push_back(contact.addr);
            }
        }
    }

    /// The first five of the peers, shuffled.
    fn shuffled(&mut self) -> VecDeque<SocketAddr> {
        let mut peers = std::mem::take(&mut self.peers);
        self.shuffles += 1;
        let mut rng = self.seed.derive_number("of", self.shuffles).rng();
        for last in (1..peers.len()).rev() {
            peers.swap(last, rng.random_range(0..=last));
        }
        peers.truncate(PEERS);
        peers.into()
    }

    /// Goes on with the infohash in hand; false if there is nothing left to do with it.
    fn pursue(&mut self, now: Time, desk: &mut Desk, info_hash: InfoHash) -> bool {
        if let Some(holder) = self.holders.pop_front() {
            self.ask(desk, holder, Question::GetPeers(info_hash));
            return true;
        }
        if self.dials.is_none() {
            self.dials = Some(self.shuffled());
        }
        let Some(peer) = self.dials.as_mut().and_then(VecDeque::pop_front) else {
            return false;
        };
        self.busy += 1;
        let patience = Patience {
            connect: OPERATION,
            word: OPERATION,
            total: Duration::MAX,
        };
        desk.fetches.begin(now, info_hash, peer, patience);
        true
    }

    fn take_up(&mut self, info_hash: InfoHash) {
        self.current = Some(info_hash);
        self.holders = self
            .sampler
            .into_iter()
            .chain(self.queue.iter().copied().take(BESIDE))
            .collect();
        self.peers.clear();
        self.dials = None;
    }
}

impl Habit for Estudely {
    fn act(&mut self, now: Time, desk: &mut Desk) {
        while self.busy == 0 && now >= self.idle_until {
            if let Some(info_hash) = self.current {
                if !self.pursue(now, desk, info_hash) {
                    self.current = None;
                }
            } else if let Some(info_hash) = self.samples.pop_front() {
                self.take_up(info_hash);
            } else if let Some(node) = self.queue.pop_front() {
                self.sampler = None;
                let target = desk.random_id();
                self.ask(desk, node, Question::Sample(target));
            } else {
                self.idle_until = now + DRY;
                let target = desk.random_id();
                for router in self.routers.clone() {
                    self.ask(desk, router, Question::FindNode(target));
                }
            }
        }
    }

    fn answered(&mut self, _now: Time, desk: &mut Desk, answer: &Answer<'_>) {
        self.busy -= 1;
        match answer.question {
            Question::Sample(_) if answer.reply.samples.is_none() => {
                let target = desk.random_id();
                self.ask(desk, answer.from, Question::FindNode(target));
            }
            Question::Sample(_) => {
                self.learn(answer);
                self.sampler = Some(answer.from);
                self.samples
                    .extend(answer.reply.samples().filter(|info_hash| desk.see(*info_hash)));
            }
            Question::GetPeers(info_hash) => {
                for peer in answer.reply.peers() {
                    desk.tell_peers(info_hash);
                    if !self.peers.contains(&peer) {
                        self.peers.push(peer);
                    }
                }
            }
            _ => {
                self.learn(answer);
                self.idle_until = Time::ZERO;
            }
        }
    }

    fn failed(&mut self, _now: Time, desk: &mut Desk, to: SocketAddr, question: Question) {
        self.busy -= 1;
        // A second question to the same host, silent or not (1.1).
        if let Question::Sample(_) = question {
            let target = desk.random_id();
            self.ask(desk, to, Question::FindNode(target));
        }
    }

    fn fetched(&mut self, _now: Time, _desk: &mut Desk, ended: Ended) {
        self.busy -= 1;
        if ended.fetched {
            self.current = None;
        }
    }

    fn wake(&self, _desk: &Desk) -> Option<Time> {
        (self.busy == 0).then_some(self.idle_until)
    }
}
