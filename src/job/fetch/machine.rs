//! Fetching a given list as a machine: the list in order, each infohash harvested once.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use crawler::{Event as DhtEvent, Node, Plan};
use wire::InfoHash;
use world::{Input, Machine, Output, Time};

use crate::job::harvest::{Attempt, Harvest, Harvested, Step};

/// An infohash that is wanted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Want {
    /// Which.
    pub info_hash: InfoHash,
    /// Peers named with it. The DHT is asked only when there are none.
    pub peers: Vec<SocketAddr>,
}

/// What a fetch tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// An infohash is done with.
    Record(Harvested),
    /// A peer is done with.
    Attempt(Attempt),
    /// Something that the DHT mind told.
    Dht(DhtEvent),
    /// All are done with, or it was stopped; nothing follows.
    Over,
}

/// A node that has not joined by then will hardly join; a lookup then says so by finding nobody.
const JOIN_BY: Time = Time::from_secs(30);

/// How soon to look again whether the flow budget has room.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Running,
    Leaving(Time),
    Over,
}

/// The fetch.
pub struct Fetch {
    harvest: Harvest,
    wanted: VecDeque<Want>,
    overall: Option<Time>,
    /// Time to leave after a stop.
    leave_within: Duration,
    phase: Phase,
    /// The node has joined, or will not in time: lookups may begin.
    joined: bool,
    /// The next infohash waits until then, if nothing else happens first.
    resume: Option<Time>,
}

impl Fetch {
    /// Fetches `wanted` in order, as many at once as the harvest has room for, until `overall` at the latest.
    pub fn new(harvest: Harvest, wanted: VecDeque<Want>, overall: Option<Time>, leave_within: Duration) -> Self {
        Self {
            harvest,
            wanted,
            overall,
            leave_within,
            phase: Phase::Running,
            joined: false,
            resume: None,
        }
    }

    /// The two minds and their figures.
    pub fn harvest(&self) -> &Harvest {
        &self.harvest
    }

    /// Infohashes not begun yet.
    pub fn left(&self) -> usize {
        self.wanted.len()
    }

    fn step(&mut self, now: Time) {
        match self.phase {
            Phase::Running if self.overall.is_some_and(|end| now >= end) => self.leave(now),
            Phase::Running => self.take_work(now),
            Phase::Leaving(until) if now >= until => self.harvest.abandon(now),
            Phase::Leaving(_) | Phase::Over => {}
        }
    }

    fn take_work(&mut self, now: Time) {
        self.resume = None;
        while self.harvest.has_slot() {
            let Some(want) = self.wanted.front() else { return };
            self.joined |= now >= JOIN_BY || self.harvest.node().is_none_or(Node::is_joined);
            let lookup = want.peers.is_empty();
            if lookup && !self.joined {
                self.resume = Some(JOIN_BY);
            } else if !self.harvest.has_room(now) {
                self.resume = Some(now + LOOK_AGAIN);
            }
            if self.resume.is_some() {
                return;
            }
            let Some(want) = self.wanted.pop_front() else { return };
            let plan = lookup.then(Plan::full);
            self.harvest.begin(now, want.info_hash, plan, &want.peers);
        }
    }

    fn leave(&mut self, now: Time) {
        if self.phase == Phase::Running {
            self.phase = Phase::Leaving(now + self.leave_within);
            self.wanted.clear();
        }
    }
}

impl Machine for Fetch {
    type Event = Event;

    fn handle(&mut self, now: Time, input: Input<'_>) {
        match input {
            Input::Stop => self.leave(now),
            other => self.harvest.handle(now, other),
        }
    }

    fn poll(&mut self, now: Time, payload: &mut Vec<u8>) -> Option<Output<Event>> {
        if self.phase == Phase::Over {
            return None;
        }
        self.step(now);
        loop {
            if let Some(step) = self.harvest.poll(now, payload) {
                return Some(match step {
                    Step::Effect(effect) => Output::Effect(effect),
                    Step::Harvested(harvested) => Output::Event(Event::Record(harvested)),
                    Step::Attempt(attempt) => Output::Event(Event::Attempt(attempt)),
                    Step::Dht(event) => Output::Event(Event::Dht(event)),
                });
            }
            // The node may have joined by what it was just told.
            let joined = !self.joined && self.harvest.node().is_some_and(Node::is_joined);
            if !joined || self.phase != Phase::Running {
                break;
            }
            self.step(now);
        }
        if self.harvest.in_work() > 0 || !self.wanted.is_empty() {
            return None;
        }
        self.phase = Phase::Over;
        Some(Output::Event(Event::Over))
    }

    fn deadline(&self) -> Option<Time> {
        let ours = match self.phase {
            Phase::Running => self.overall.into_iter().chain(self.resume).min(),
            Phase::Leaving(until) => Some(until),
            Phase::Over => return None,
        };
        ours.into_iter().chain(self.harvest.deadline()).min()
    }
}
