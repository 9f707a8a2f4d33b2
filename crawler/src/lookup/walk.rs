//! One walk.

use std::net::SocketAddr;
use std::time::Duration;

use wire::{Distance, NodeId};
use world::Time;

use super::{Depth, Finished, Plan, Start, family_index};
use crate::config;
use crate::contacts::{Contact, Few, K};
use crate::event::{LookupDone, LookupId, Target};
use crate::guard::Verdict;

/// Nodes that one walk remembers. When full, a nearer one displaces the farthest that was not asked.
const MAX_CANDIDATES: usize = 64;
/// A replica may stand in for the node that showed an infohash if it shares at most this many bits fewer with it: the
/// eight holders of a key lie within a factor of about eight of the nearest (BEP 5: announces go to the eight nearest).
const STAND_IN_BITS: u32 = 2;
/// Questions of a lookup among replicas on the wire at once: each answer may make the next question needless. Two at
/// once cost 8% more questions for the same peers (virtual lab, realistic, 5,000 nodes).
const REPLICA_BRANCHING: usize = 1;
/// So many replicas answered, and none named a peer: the torrent is dead, as 15 to 30% of what frozen samples show are
/// (network-model E). Asking a fourth costs 4% more questions and finds peers of 0.7% more torrents.
const DEAD_AFTER: u32 = 3;

/// Between two looks at a walk whose hosts must wait: shorter waits are not worth waking up for.
const LEAST_WAIT: Duration = Duration::from_millis(1);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    New,
    Asked,
    Answered,
    Failed,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    contact: Contact,
    distance: Distance,
    state: State,
    /// False for a router: whatever id it answers with is right, and it is no result.
    id_known: bool,
    /// It showed us the infohash.
    showed: bool,
}

/// What a walk wants.
#[derive(Debug)]
pub(super) enum Choice {
    /// Ask this node, which must answer with this id.
    Ask(Contact, Option<NodeId>),
    /// Nothing before this time, unless an answer or a timeout comes.
    Wait(Time),
    /// Nothing more.
    Over { converged: bool },
}

#[derive(Debug)]
pub(super) struct Walk {
    pub(super) lookup: LookupId,
    pub(super) target: Target,
    plan: Plan,
    quiet: bool,
    running: bool,
    deadline: Time,
    /// Nearest first.
    candidates: Vec<Candidate>,
    peers: Vec<SocketAddr>,
    in_flight: usize,
    queries: u32,
    answered: u32,
    /// An answer named peers, and none that was new: the replicas agree. Or several named none.
    nothing_new: bool,
}

impl Walk {
    pub(super) const fn idle() -> Self {
        Self {
            lookup: LookupId(0),
            target: Target::Node(NodeId::new([0; 20])),
            plan: Plan {
                first: Few::new(),
                depth: Depth::Full,
            },
            quiet: true,
            running: false,
            deadline: Time::MAX,
            candidates: Vec::new(),
            peers: Vec::new(),
            in_flight: 0,
            queries: 0,
            answered: 0,
            nothing_new: false,
        }
    }

    /// Starts anew in the memory of an earlier walk.
    pub(super) fn begin(&mut self, lookup: LookupId, start: &Start, deadline: Time) {
        self.candidates.clear();
        self.peers.clear();
        *self = Self {
            lookup,
            target: start.target,
            plan: start.plan,
            quiet: start.quiet,
            running: true,
            deadline,
            candidates: std::mem::take(&mut self.candidates),
            peers: std::mem::take(&mut self.peers),
            ..Self::idle()
        };
        self.candidates.reserve(MAX_CANDIDATES);
    }

    pub(super) fn runs(&self, lookup: LookupId) -> bool {
        self.running && self.lookup == lookup
    }

    /// A node was named. Ignored if its host is known to this walk already: one host has one say (crawlers R13).
    pub(super) fn learn(&mut self, contact: Contact, id_known: bool, showed: bool, lab: bool) {
        let same = |held: &Candidate| {
            let (held, new) = (held.contact.addr, contact.addr);
            if lab { held == new } else { held.ip() == new.ip() }
        };
        if self.candidates.iter().any(same) {
            return;
        }
        let distance = contact.id.distance(&self.target.point());
        let at = self.candidates.partition_point(|held| held.distance <= distance);
        if self.candidates.len() == MAX_CANDIDATES {
            let farthest_is_new = self.candidates.last().is_some_and(|held| held.state == State::New);
            if at == MAX_CANDIDATES || !farthest_is_new {
                return;
            }
            self.candidates.pop();
        }
        self.candidates.insert(
            at,
            Candidate {
                contact,
                distance,
                state: State::New,
                id_known,
                showed,
            },
        );
    }

    /// Peers were named; `tell` hears of each new one. Beyond `max_peers` no more is remembered or told.
    pub(super) fn learn_peers(
        &mut self,
        named: impl Iterator<Item = SocketAddr>,
        max_peers: usize,
        mut tell: impl FnMut(SocketAddr),
    ) {
        let before = self.peers.len();
        let mut any = false;
        for peer in named {
            any = true;
            if self.peers.len() < max_peers && !self.peers.contains(&peer) {
                self.peers.push(peer);
                tell(peer);
            }
        }
        self.nothing_new |= any && self.peers.len() == before;
        self.nothing_new |= self.peers.is_empty() && self.answered >= DEAD_AFTER;
    }

    pub(super) fn answered(&mut self, from: SocketAddr) {
        if self.settle(from, State::Answered) {
            self.answered += 1;
        }
    }

    pub(super) fn failed(&mut self, to: SocketAddr) {
        self.settle(to, State::Failed);
    }

    /// Decides, and counts what it decides to ask as asked.
    pub(super) fn choose(
        &mut self,
        now: Time,
        config: &config::Lookup,
        may_ask: &mut impl FnMut(SocketAddr) -> Verdict,
    ) -> Choice {
        if now >= self.deadline {
            return Choice::Over { converged: false };
        }
        let pick = match self.plan.depth {
            Depth::Full => self.pick_nearest(config, may_ask),
            Depth::Replicas { max_queries } => self.pick_replica(config, max_queries, may_ask),
        };
        match pick {
            Pick::This(index) => {
                let chosen = &mut self.candidates[index];
                chosen.state = State::Asked;
                let (contact, id) = (chosen.contact, chosen.id_known.then_some(chosen.contact.id));
                self.in_flight += 1;
                self.queries += 1;
                Choice::Ask(contact, id)
            }
            // A verdict that names no later time must not make the node spin.
            Pick::Later(at) => Choice::Wait(at.max(now + LEAST_WAIT).min(self.deadline)),
            Pick::Nobody if self.in_flight > 0 => Choice::Wait(self.deadline),
            Pick::Nobody => Choice::Over { converged: true },
        }
    }

    /// Kademlia's rule: the nearest node not yet asked, unless eight nearer ones of its family have answered.
    fn pick_nearest(&mut self, config: &config::Lookup, may_ask: &mut impl FnMut(SocketAddr) -> Verdict) -> Pick {
        if self.in_flight >= config.branching {
            return Pick::Nobody;
        }
        let mut answered = [0; 2];
        let mut soonest = None;
        for index in 0..self.candidates.len() {
            let held = self.candidates[index];
            let answered = &mut answered[family_index(&held.contact.addr)];
            if *answered >= K {
                continue;
            }
            match held.state {
                State::Answered if held.id_known => *answered += 1,
                State::New => match self.consult(index, may_ask) {
                    Pick::Later(at) => soonest = Some(soonest.map_or(at, |soonest: Time| soonest.min(at))),
                    Pick::Nobody => {}
                    this @ Pick::This(_) => return this,
                },
                _ => {}
            }
        }
        soonest.map_or(Pick::Nobody, Pick::Later)
    }

    /// Crawlers R5: who showed the infohash first, then the nearest named; whoever may be asked now goes before whoever
    /// must be waited for, which spreads the follow-ups of one sample over the replicas.
    fn pick_replica(
        &mut self,
        config: &config::Lookup,
        max_queries: u32,
        may_ask: &mut impl FnMut(SocketAddr) -> Verdict,
    ) -> Pick {
        let enough = self.peers.len() >= usize::try_from(config.enough_peers).unwrap_or(usize::MAX);
        if enough || self.nothing_new || self.queries >= max_queries || self.in_flight >= REPLICA_BRANCHING {
            return Pick::Nobody;
        }
        let point = self.target.point();
        let reach = |held: &Candidate| held.contact.id.common_prefix(&point);
        let news = || self.candidates.iter().filter(|held| held.state == State::New);
        // Until somebody answered, only a node about as near as those that showed the infohash can stand in for them.
        let shown = news().filter(|held| held.showed).map(reach).min();
        let least = match shown {
            Some(reach) if self.answered == 0 => reach.saturating_sub(STAND_IN_BITS),
            _ => 0,
        };
        let mut soonest = None;
        for showed in [true, false] {
            let mut looked_at = 0;
            for index in 0..self.candidates.len() {
                let held = self.candidates[index];
                let eligible = held.showed == showed && (showed || reach(&held) >= least);
                if held.state != State::New || !eligible || looked_at == K {
                    continue;
                }
                looked_at += 1;
                match self.consult(index, may_ask) {
                    Pick::Later(at) => soonest = Some(soonest.map_or(at, |soonest: Time| soonest.min(at))),
                    Pick::Nobody => {}
                    this @ Pick::This(_) => return this,
                }
            }
        }
        soonest.map_or(Pick::Nobody, Pick::Later)
    }

    /// Whether the candidate may be asked. One that may not be before the walk must end is as good as silent.
    fn consult(&mut self, index: usize, may_ask: &mut impl FnMut(SocketAddr) -> Verdict) -> Pick {
        match may_ask(self.candidates[index].contact.addr) {
            Verdict::Go => Pick::This(index),
            Verdict::Wait(at) if at < self.deadline => Pick::Later(at),
            Verdict::Wait(_) | Verdict::Off(_) | Verdict::Never(_) => {
                self.candidates[index].state = State::Failed;
                Pick::Nobody
            }
        }
    }

    /// Ends the walk; its memory waits for the next.
    pub(super) fn end(&mut self, converged: bool) -> Finished {
        self.running = false;
        let full = self.plan.depth == Depth::Full;
        let results = self
            .candidates
            .iter()
            .filter(|held| held.state == State::Answered && held.id_known);
        let mut closest = Vec::new();
        if full {
            let mut count = [0; 2];
            for held in results {
                let count = &mut count[family_index(&held.contact.addr)];
                if *count < K {
                    *count += 1;
                    closest.push(held.contact);
                }
            }
        }
        Finished {
            done: LookupDone {
                lookup: self.lookup,
                target: self.target,
                peers: u32::try_from(self.peers.len()).unwrap_or(u32::MAX),
                queries: self.queries,
                answered: self.answered,
                closest,
            },
            quiet: self.quiet,
            converged: converged && full,
        }
    }

    fn settle(&mut self, addr: SocketAddr, state: State) -> bool {
        let asked = |held: &&mut Candidate| held.contact.addr == addr && held.state == State::Asked;
        let Some(held) = self.candidates.iter_mut().find(asked) else {
            return false;
        };
        held.state = state;
        self.in_flight -= 1;
        true
    }
}

/// One step of a decision.
enum Pick {
    This(usize),
    Later(Time),
    Nobody,
}
