//! Whom a walk asks next.

use std::net::SocketAddr;
use std::time::Duration;

use wire::NodeId;
use world::Time;

use super::{Candidate, State, Walk};
use crate::config;
use crate::contacts::{Contact, K};
use crate::guard::Verdict;
use crate::lookup::{Depth, family_index};

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

/// What a walk wants.
#[derive(Debug)]
pub(in crate::lookup) enum Choice {
    /// Ask this node, which must answer with this id.
    Ask(Contact, Option<NodeId>),
    /// Nothing before this time, unless an answer or a timeout comes.
    Wait(Time),
    /// Nothing more.
    Over { converged: bool },
}

/// One step of a decision.
enum Pick {
    This(usize),
    /// This, if there is nobody else.
    Rather(usize),
    Later(Time),
    Nobody,
}

impl Walk {
    /// Decides, and counts what it decides to ask as asked.
    pub(in crate::lookup) fn choose(
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
            Pick::This(index) | Pick::Rather(index) => {
                let chosen = &mut self.candidates[index];
                chosen.state = State::Asked;
                let (contact, id) = (chosen.contact, chosen.id_known.then_some(chosen.contact.id));
                self.in_flight += 1;
                self.queries += 1;
                Choice::Ask(contact, id)
            }
            // A verdict that names no later time must not make the node spin.
            Pick::Later(at) => {
                self.waited = true;
                Choice::Wait(at.max(now + LEAST_WAIT).min(self.deadline))
            }
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
                    this @ (Pick::This(_) | Pick::Rather(_)) => return this,
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
        let dead = self.peers.is_empty() && self.answered >= DEAD_AFTER;
        let over = enough || dead || self.nothing_new || self.queries >= max_queries;
        if over || self.in_flight >= REPLICA_BRANCHING {
            return Pick::Nobody;
        }
        let who_showed = self.pick_among(|held| held.showed, may_ask);
        if let Pick::This(_) = who_showed {
            return who_showed;
        }
        // While one of these has to be waited for and nobody answered, only a node about as near as it can stand in for it.
        let point = self.target.point();
        let reach = |held: &Candidate| held.contact.id.common_prefix(&point);
        let awaited = self
            .candidates
            .iter()
            .filter(|held| held.showed && held.state == State::New);
        let least = match awaited.map(reach).min() {
            Some(reach) if self.answered == 0 => reach.saturating_sub(STAND_IN_BITS),
            _ => 0,
        };
        let pick = match (
            who_showed,
            self.pick_among(|held| !held.showed && reach(held) >= least, may_ask),
        ) {
            (Pick::Later(one), Pick::Later(other)) => Pick::Later(one.min(other)),
            (Pick::Rather(one), Pick::Rather(_) | Pick::Later(_) | Pick::Nobody) => Pick::Rather(one),
            (Pick::Later(one), Pick::Nobody) => Pick::Later(one),
            (_, other) => other,
        };
        match pick {
            // A second opinion is not worth it.
            Pick::Rather(_) if !self.peers.is_empty() => Pick::Nobody,
            pick => pick,
        }
    }

    /// The nearest of the eligible candidates that may be asked now, of those about as near one that need not be spared; of
    /// many, the first few are considered.
    fn pick_among(
        &mut self,
        eligible: impl Fn(&Candidate) -> bool,
        may_ask: &mut impl FnMut(SocketAddr) -> Verdict,
    ) -> Pick {
        let point = self.target.point();
        let mut soonest = Pick::Nobody;
        let mut rather = None;
        let mut considered = 0;
        for index in 0..self.candidates.len() {
            let held = &self.candidates[index];
            if held.state != State::New || !eligible(held) {
                continue;
            }
            let reach = held.contact.id.common_prefix(&point);
            if let Some((nearest, least)) = rather
                && reach < least
            {
                return Pick::Rather(nearest);
            }
            match (self.consult(index, may_ask), &soonest) {
                (this @ Pick::This(_), _) => return this,
                (Pick::Rather(index), _) => {
                    rather.get_or_insert((index, reach.saturating_sub(STAND_IN_BITS)));
                }
                (Pick::Later(at), Pick::Later(sooner)) => soonest = Pick::Later(at.min(*sooner)),
                (later @ Pick::Later(_), _) => soonest = later,
                (Pick::Nobody, _) => {}
            }
            considered += 1;
            if considered == K {
                break;
            }
        }
        rather.map_or(soonest, |(nearest, _)| Pick::Rather(nearest))
    }

    /// Whether the candidate may be asked. One that may not be before the walk must end is as good as silent.
    fn consult(&mut self, index: usize, may_ask: &mut impl FnMut(SocketAddr) -> Verdict) -> Pick {
        match may_ask(self.candidates[index].contact.addr) {
            Verdict::Go => Pick::This(index),
            Verdict::Spare => Pick::Rather(index),
            Verdict::Wait(at) if at < self.deadline => Pick::Later(at),
            Verdict::Wait(_) | Verdict::Off(_) | Verdict::Never(_) => {
                self.candidates[index].state = State::Failed;
                Pick::Nobody
            }
        }
    }
}
