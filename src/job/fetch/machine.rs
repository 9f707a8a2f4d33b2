//! Fetching a list as a machine: it pulls what is wanted, in order, whenever it has a slot for it.

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

/// Where the infohashes come from. It never waits: who has nothing yet says so.
pub trait Source {
    /// What is wanted next. An infohash that is in work may come again: its peers are then offered to the work.
    fn next(&mut self) -> Next;
}

/// What a source says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Next {
    /// This is wanted.
    Want(Want),
    /// Nothing yet: a Tick of the world says when to ask again.
    Later,
    /// Nothing any more.
    End,
}

/// A list that is all there.
impl Source for VecDeque<Want> {
    fn next(&mut self) -> Next {
        self.pop_front().map_or(Next::End, Next::Want)
    }
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
    /// Another second has passed.
    Pulse,
    /// It was stopped, or its time is over: nothing new is taken.
    Leaving,
    /// All are done with, or it was stopped; nothing follows.
    Over,
}

/// A node that has not joined by then will hardly join; a lookup then says so by finding nobody.
const JOIN_BY: Time = Time::from_secs(30);

/// How soon to look again whether the flow budget has room.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How often the world is given occasion to look: for its display, and for what it keeps.
const PULSE: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Running,
    /// Until then, and whether that was told.
    Leaving(Time, bool),
    Over,
}

/// The fetch.
pub struct Fetch<S> {
    harvest: Harvest,
    source: S,
    /// Taken from the source, and not begun: there is no room for it, or the node has not joined.
    held: Option<Want>,
    /// The source has nothing yet; a Tick says when to ask again.
    starved: bool,
    ended: bool,
    overall: Option<Time>,
    /// Time to leave after a stop.
    leave_within: Duration,
    phase: Phase,
    /// The node has joined, or will not in time: lookups may begin.
    joined: bool,
    /// The next infohash waits until then, if nothing else happens first.
    resume: Option<Time>,
    pulse: Time,
}

impl<S: Source> Fetch<S> {
    /// Fetches what `source` gives, in order, as many at once as the harvest has room for, until `overall` at the latest.
    pub fn new(harvest: Harvest, source: S, overall: Option<Time>, leave_within: Duration) -> Self {
        Self {
            harvest,
            source,
            held: None,
            starved: false,
            ended: false,
            overall,
            leave_within,
            phase: Phase::Running,
            joined: false,
            resume: None,
            pulse: Time::ZERO + PULSE,
        }
    }

    /// The two minds and their figures.
    pub fn harvest(&self) -> &Harvest {
        &self.harvest
    }

    fn step(&mut self, now: Time) {
        match self.phase {
            Phase::Running if self.overall.is_some_and(|end| now >= end) => self.leave(now),
            Phase::Running => self.take_work(now),
            Phase::Leaving(until, _) if now >= until => self.harvest.abandon(now),
            Phase::Leaving(..) | Phase::Over => {}
        }
    }

    fn take_work(&mut self, now: Time) {
        self.resume = None;
        while self.harvest.has_slot() {
            let Some(lookup) = self.look().map(|want| want.peers.is_empty()) else {
                return;
            };
            self.joined |= now >= JOIN_BY || self.harvest.node().is_none_or(Node::is_joined);
            if lookup && !self.joined {
                self.resume = Some(JOIN_BY);
            } else if !self.harvest.has_room(now) {
                self.resume = Some(now + LOOK_AGAIN);
            }
            if self.resume.is_some() {
                return;
            }
            let Some(want) = self.held.take() else { return };
            let plan = lookup.then(Plan::full);
            self.harvest.begin(now, want.info_hash, plan, &want.peers);
        }
    }

    /// The next that is wanted, if one is known.
    fn look(&mut self) -> Option<&Want> {
        if self.held.is_none() && !self.starved && !self.ended {
            match self.source.next() {
                Next::Want(want) => self.held = Some(want),
                Next::Later => self.starved = true,
                Next::End => self.ended = true,
            }
        }
        self.held.as_ref()
    }

    fn leave(&mut self, now: Time) {
        if self.phase == Phase::Running {
            self.phase = Phase::Leaving(now + self.leave_within, false);
            self.held = None;
            self.ended = true;
        }
    }

    /// What the time brings, by itself.
    fn regular(&mut self, now: Time) -> Option<Event> {
        if let Phase::Leaving(until, false) = self.phase {
            self.phase = Phase::Leaving(until, true);
            return Some(Event::Leaving);
        }
        if now >= self.pulse {
            self.pulse = now + PULSE;
            return Some(Event::Pulse);
        }
        None
    }
}

impl<S: Source> Machine for Fetch<S> {
    type Event = Event;

    fn handle(&mut self, now: Time, input: Input<'_>) {
        match input {
            Input::Stop => self.leave(now),
            Input::Tick => {
                self.starved = false;
                self.harvest.handle(now, input);
            }
            other => self.harvest.handle(now, other),
        }
    }

    fn poll(&mut self, now: Time, payload: &mut Vec<u8>) -> Option<Output<Event>> {
        if self.phase == Phase::Over {
            return None;
        }
        self.step(now);
        if let Some(event) = self.regular(now) {
            return Some(Output::Event(event));
        }
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
            self.joined = true;
            self.step(now);
        }
        if self.harvest.in_work() > 0 || self.held.is_some() || !self.ended {
            return None;
        }
        self.phase = Phase::Over;
        Some(Output::Event(Event::Over))
    }

    fn deadline(&self) -> Option<Time> {
        let ours = match self.phase {
            Phase::Running => self.overall.into_iter().chain(self.resume).min(),
            Phase::Leaving(until, _) => Some(until),
            Phase::Over => return None,
        };
        let ours = ours.into_iter().chain([self.pulse]);
        ours.chain(self.harvest.deadline()).min()
    }
}
