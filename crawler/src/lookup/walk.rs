//! One walk.

mod choose;

use std::array::from_fn;
use std::net::SocketAddr;

use wire::{Distance, NodeId};
use world::Time;

use super::{Depth, Finished, Plan, Start, family_index};
use crate::contacts::{Contact, K};
use crate::event::{LookupDone, LookupId, Target};

pub(super) use choose::Choice;

/// Nodes that one walk remembers. When full, a nearer one displaces the farthest that is of no use any more: that does not answer, or
/// was not asked; else one that answered, if there are enough of these.
const MAX_CANDIDATES: usize = 64;

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
    /// It was looked at, and had to wait.
    waited: bool,
    queries: u32,
    answered: u32,
    /// An answer named peers, and none that was new: the replicas agree.
    nothing_new: bool,
}

impl Walk {
    pub(super) const fn idle() -> Self {
        Self {
            lookup: LookupId(0),
            target: Target::Node(NodeId::new([0; 20])),
            plan: Plan::full(),
            quiet: true,
            running: false,
            deadline: Time::MAX,
            candidates: Vec::new(),
            peers: Vec::new(),
            in_flight: 0,
            waited: false,
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

    /// Whether it asks a few replicas and has had to wait with the first of them.
    pub(super) const fn waits_to_begin(&self) -> bool {
        self.waited && self.queries == 0 && matches!(self.plan.depth, Depth::Replicas { .. })
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
            let Some(gives_way) = self.dispensable().filter(|farthest| *farthest >= at) else {
                return;
            };
            self.candidates.remove(gives_way);
        }
        let avoided = self.plan.avoid.contains(&Some(contact.addr));
        let state = if avoided { State::Failed } else { State::New };
        self.candidates.insert(
            at,
            Candidate {
                contact,
                distance,
                state,
                id_known,
                showed,
            },
        );
    }

    /// The farthest that may be forgotten.
    fn dispensable(&self) -> Option<usize> {
        let farthest = |is: &dyn Fn(State) -> bool| self.candidates.iter().rposition(|held| is(held.state));
        farthest(&|state| matches!(state, State::New | State::Failed)).or_else(|| {
            let answered = self.candidates.iter().filter(|held| held.state == State::Answered);
            let enough = answered.count() > 2 * K;
            farthest(&|state| state == State::Answered).filter(|_| enough)
        })
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
    }

    pub(super) fn answered(&mut self, from: SocketAddr) {
        if self.settle(from, State::Answered) {
            self.answered += 1;
        }
    }

    pub(super) fn failed(&mut self, to: SocketAddr) {
        self.settle(to, State::Failed);
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
        let (named, is_new) = (
            |held: &&Candidate| held.id_known,
            |held: &Candidate| held.state == State::New,
        );
        let mut spare = self.candidates.iter().filter(named).filter(|held| is_new(held));
        let mut asked = self.candidates.iter().filter(named).filter(|held| !is_new(held));
        Finished {
            done: LookupDone {
                lookup: self.lookup,
                target: self.target,
                peers: u32::try_from(self.peers.len()).unwrap_or(u32::MAX),
                queries: self.queries,
                answered: self.answered,
                converged: converged && full,
                closest,
                asked: from_fn(|_| asked.next().map(|held| held.contact.addr)),
                spare: from_fn(|_| spare.next().map(|held| held.contact)),
            },
            quiet: self.quiet,
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
