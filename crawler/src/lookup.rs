//! Walks towards a point of the key space: who to ask next, and when a walk is over.
//!
//! A full walk is Kademlia's: ask the nearest known nodes, alpha at a time, until the eight nearest that answer are
//! found. For peers of a fresh sighting that is far too dear (30 to 40 questions): [`Depth::Replicas`] asks who showed
//! the infohash, then the nearest nodes that its answer names, and stops as soon as it learns nothing new (crawlers R5).

use std::collections::VecDeque;
use std::net::SocketAddr;

use wire::NodeId;
use world::Time;

use crate::alarms::Alarms;
use crate::config;
use crate::contacts::{Contact, Few, K};
use crate::event::{LookupDone, LookupId, Target};
use crate::guard::Verdict;
use crate::rpc::{Asker, Call, Question, Request};

mod walk;
use walk::{Choice, Walk};

/// How a lookup for peers proceeds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Plan {
    /// Nodes that showed the infohash, asked first; may be empty.
    pub first: Few,
    /// Nodes that are not asked, whoever names them: they were asked in an earlier round.
    pub avoid: [Option<SocketAddr>; K],
    /// How far to go.
    pub depth: Depth,
}

/// How far a lookup goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Depth {
    /// Ask a few replicas: who showed it, then the nearest of those that its answer names.
    Replicas {
        /// Questions, answered or not, after which it ends.
        max_queries: u32,
    },
    /// Walk until the eight nearest nodes that answer are found.
    Full,
}

/// All that a lookup starts from.
#[derive(Clone, Debug)]
pub(crate) struct Start {
    pub(crate) target: Target,
    pub(crate) plan: Plan,
    /// The nearest nodes that we know already, for each family.
    pub(crate) known: [Few; 2],
    /// Asked first, by address alone: routers.
    pub(crate) routers: Vec<SocketAddr>,
    /// Ends without an event: upkeep of ours.
    pub(crate) quiet: bool,
}

/// What a lookup wants.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "a lookup allocates nothing, not even at its end"
)]
pub(crate) enum Next {
    /// Ask this; it counts as sent.
    Ask(Call),
    /// It is over.
    Over(Finished),
}

/// A lookup that is over.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) done: LookupDone,
    pub(crate) quiet: bool,
}

/// The lookups that run, in slots of a fixed number, and those that wait for a slot.
#[derive(Debug)]
pub(crate) struct Lookups {
    slots: Vec<Walk>,
    free: Vec<usize>,
    /// When to look at a slot again: at once after an answer, when a host may be asked again, at the deadline.
    alarms: Alarms,
    waiting: VecDeque<(LookupId, Start)>,
    started: u64,
    config: config::Lookup,
    lab: bool,
}

impl Lookups {
    pub(crate) fn new(config: config::Lookup, lab: bool) -> Self {
        let slots = config.max_running.max(1);
        Self {
            slots: (0..slots).map(|_| Walk::idle()).collect(),
            free: (0..slots).rev().collect(),
            alarms: Alarms::new(slots),
            waiting: VecDeque::new(),
            started: 0,
            config,
            lab,
        }
    }

    /// Starts a lookup, or lets it wait for a slot. Beyond `max_waiting` it is over at once, without a question.
    pub(crate) fn start(&mut self, now: Time, start: Start) -> Result<LookupId, Box<Finished>> {
        self.started += 1;
        let lookup = LookupId(self.started);
        if let Some(slot) = self.free.pop() {
            self.run(now, slot, lookup, &start);
        } else if self.waiting.len() < self.config.max_waiting {
            self.waiting.push_back((lookup, start));
        } else {
            return Err(Box::new(Finished::unasked(lookup, start.target, start.quiet)));
        }
        Ok(lookup)
    }

    /// A lookup that must not be: over at once, without a question.
    pub(crate) fn refuse(&mut self, target: Target) -> Finished {
        self.started += 1;
        Finished::unasked(LookupId(self.started), target, false)
    }

    /// What the next lookup in turn wants. `may_ask` is asked about each destination; a lookup whose destinations must
    /// wait is looked at again when the first of them need not: and those that are `near` its target by then, as far as we
    /// know, may stand in for them.
    pub(crate) fn next(
        &mut self,
        now: Time,
        mut may_ask: impl FnMut(SocketAddr) -> Verdict,
        near: impl Fn(&NodeId) -> [Few; 2],
    ) -> Option<Next> {
        while let Some((at, slot)) = self.alarms.first() {
            if at > now {
                return None;
            }
            let walk = &mut self.slots[slot];
            if walk.waits_to_begin() {
                for &contact in near(&walk.target.point()).iter().flat_map(|few| few.iter()) {
                    walk.learn(contact, true, false, self.lab);
                }
            }
            match walk.choose(now, &self.config, &mut may_ask) {
                Choice::Ask(contact, id) => {
                    let question = match walk.target {
                        Target::Node(point) => Question::FindNode(point),
                        Target::Swarm(info_hash) => Question::GetPeers(info_hash),
                    };
                    let lookup = walk.lookup;
                    let asker = Asker::Lookup { slot, lookup };
                    let to = contact.addr;
                    return Some(Next::Ask(Call {
                        to,
                        id,
                        request: Request::Question(question),
                        asker,
                    }));
                }
                Choice::Wait(until) => self.alarms.set(slot, until),
                Choice::Over { converged } => return Some(Next::Over(self.finish(now, slot, converged))),
            }
        }
        None
    }

    /// When a lookup wants to be looked at.
    pub(crate) fn wake(&self) -> Option<Time> {
        self.alarms.first().map(|(at, _)| at)
    }

    /// The node asked by the lookup in `slot` answered. `peer` is told each peer that it had not named before.
    pub(crate) fn answered(
        &mut self,
        now: Time,
        (slot, lookup): (usize, LookupId),
        from: SocketAddr,
        nodes: impl Iterator<Item = Contact>,
        peers: impl Iterator<Item = SocketAddr>,
        peer: impl FnMut(SocketAddr),
    ) {
        let (lab, max_peers) = (self.lab, self.config.max_peers);
        if let Some(walk) = self.running(slot, lookup) {
            walk.answered(from);
            walk.learn_peers(peers, max_peers, peer);
            for contact in nodes {
                walk.learn(contact, true, false, lab);
            }
            self.alarms.set(slot, now);
        }
    }

    /// The node asked by the lookup in `slot` did not answer, or not with anything of use.
    pub(crate) fn failed(&mut self, now: Time, (slot, lookup): (usize, LookupId), to: SocketAddr) {
        if let Some(walk) = self.running(slot, lookup) {
            walk.failed(to);
            self.alarms.set(slot, now);
        }
    }

    /// What the lookup in `slot` is for, if it still runs.
    pub(crate) fn target(&self, (slot, lookup): (usize, LookupId)) -> Option<Target> {
        self.slots
            .get(slot)
            .filter(|walk| walk.runs(lookup))
            .map(|walk| walk.target)
    }

    /// Ends one lookup now, with what it has; `None` when none is left.
    pub(crate) fn cancel_any(&mut self, now: Time) -> Option<Finished> {
        if let Some((lookup, start)) = self.waiting.pop_front() {
            return Some(Finished::unasked(lookup, start.target, start.quiet));
        }
        let (_, slot) = self.alarms.first()?;
        Some(self.finish(now, slot, false))
    }

    /// Ends one lookup, and tells nobody. One that is over already is none.
    pub(crate) fn cancel(&mut self, now: Time, lookup: LookupId) {
        self.waiting.retain(|(waiting, _)| *waiting != lookup);
        if let Some(slot) = self.slot_of(lookup) {
            self.finish(now, slot, false);
        }
    }

    /// Whether it runs or waits.
    pub(crate) fn has(&self, lookup: LookupId) -> bool {
        self.slot_of(lookup).is_some() || self.waiting.iter().any(|(waiting, _)| *waiting == lookup)
    }

    /// Lookups that run or wait.
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len() + self.waiting.len()
    }

    fn slot_of(&self, lookup: LookupId) -> Option<usize> {
        self.slots.iter().position(|walk| walk.runs(lookup))
    }

    fn running(&mut self, slot: usize, lookup: LookupId) -> Option<&mut Walk> {
        self.slots.get_mut(slot).filter(|walk| walk.runs(lookup))
    }

    fn run(&mut self, now: Time, slot: usize, lookup: LookupId, start: &Start) {
        let walk = &mut self.slots[slot];
        walk.begin(lookup, start, now + self.config.deadline);
        for &router in &start.routers {
            // No id is known, so none can be expected: it counts as nearest, to be asked first.
            let id = start.target.point();
            walk.learn(Contact { id, addr: router }, false, false, self.lab);
        }
        for &contact in start.plan.first.iter() {
            walk.learn(contact, true, true, self.lab);
        }
        for &contact in start.known.iter().flat_map(|few| few.iter()) {
            walk.learn(contact, true, false, self.lab);
        }
        self.alarms.set(slot, now);
    }

    fn finish(&mut self, now: Time, slot: usize, converged: bool) -> Finished {
        self.alarms.clear(slot);
        let finished = self.slots[slot].end(converged);
        if let Some((lookup, start)) = self.waiting.pop_front() {
            self.run(now, slot, lookup, &start);
        } else {
            self.free.push(slot);
        }
        finished
    }
}

impl Plan {
    /// The walk to the eight nearest nodes, from what we know.
    pub const fn full() -> Self {
        Self {
            first: Few::new(),
            avoid: [None; K],
            depth: Depth::Full,
        }
    }
}

impl Finished {
    fn unasked(lookup: LookupId, target: Target, quiet: bool) -> Self {
        Self {
            done: LookupDone {
                lookup,
                target,
                peers: 0,
                queries: 0,
                answered: 0,
                converged: false,
                closest: Vec::new(),
                asked: [None; SPARES],
                spare: [None; SPARES],
            },
            quiet,
        }
    }
}

/// Nodes told of a lookup, asked and not asked: as many as a lookup among replicas asks.
pub(crate) const SPARES: usize = 3;

/// Where the two families of a [`Start::known`] stand.
pub(crate) const fn family_index(addr: &SocketAddr) -> usize {
    match addr {
        SocketAddr::V4(_) => 0,
        SocketAddr::V6(_) => 1,
    }
}

#[cfg(test)]
mod tests;
