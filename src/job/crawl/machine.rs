//! The crawl as a machine: the sampler shows infohashes, the frontier ranks them, the harvest takes them.
//!
//! It runs on sockets under `host::run` and in virtual time under `sim::run`; the tests of the main job are the latter.

use std::time::Duration;

use crawler::frontier::{Fate, Frontier, Outcome as Failed, Seen};
use crawler::sampler::Sampler;
use crawler::{Event as DhtEvent, K, Node, Sighting, Source};
use world::{Input, Machine, Output, Seed, Time};

use super::estimates::Estimates;
use super::schedule::{Schedule, Waiting};
use super::wanted::Wanted;
use crate::job::harvest::{Attempt, Harvest, Harvested, Outcome, Step};

/// When a crawl ends by itself, and how it goes about its work.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Infohashes recorded at the most.
    pub max_infohashes: Option<u64>,
    /// End at this time.
    pub overall: Option<Time>,
    /// End when nothing is left to do and nothing new has come for this long. For labs, which are finite.
    pub quiet: Option<Duration>,
    /// Time to leave after a stop: what is not done by then is given up.
    pub leave_within: Duration,
    /// Queries of the first lookup of an infohash at the most (crawlers R5, steps one and two).
    pub lookup_queries: u32,
    /// Queries of a lookup of a later round, after the peers of the earlier ones gave nothing (step three).
    pub retry_queries: u32,
    /// What waits for another round at the end is left for the next run. Otherwise it is recorded as it stands.
    pub keep_schedule: bool,
    /// Stop sampling while this many infohashes wait: discovery outruns fetching by far, and each query has a price.
    pub pause_sampling_at: usize,
}

/// Why a crawl ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// `--max-infohashes` are recorded.
    Enough,
    /// `--overall-timeout` has passed.
    TimeUp,
    /// Nothing new came for a while.
    Quiet,
    /// All zones of a census are listed.
    Listed,
    /// Ctrl-C or SIGTERM.
    Stopped,
}

/// What a crawl tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// An infohash is done with: one block of rows. `Outcome::Abandoned` is never told: it is not done.
    Record(Harvested),
    /// A peer is done with.
    Attempt(Attempt),
    /// What the DHT mind told: sightings, announces and peers, each of which was acted upon; what came of our questions; a node id
    /// that changed.
    Dht(DhtEvent),
    /// A second has passed: time to look at the figures.
    Pulse,
    /// The crawl is over; nothing follows.
    Over(Ending),
}

/// What came without asking: none of it is part of an estimate.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Passive {
    /// `get_peers` queries of others.
    pub asked_for: u64,
    /// Of these, for an infohash that another host had asked for: followed like a sighting.
    pub wanted: u64,
    /// Announces to us.
    pub announced: u64,
    /// Peers that had announced themselves to us when their infohash was taken in work.
    pub known: u64,
}

/// How often [`Event::Pulse`] comes.
const PULSE: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Running,
    /// No new work; what is under way may finish until then.
    Leaving(Ending, Time),
    Over,
}

/// The crawl.
pub struct Crawl {
    harvest: Harvest,
    frontier: Frontier,
    limits: Limits,
    phase: Phase,
    /// Infohashes begun and not failed back to the frontier.
    taken: u64,
    /// Infohashes recorded.
    recorded: u64,
    passive: Passive,
    wanted: Wanted,
    /// When something new last came: a new infohash, or a record.
    last_news: Time,
    schedule: Schedule,
    estimates: Estimates,
    sampling_paused: bool,
    pulsed: Time,
    /// The flow budget was used up when work was last wanted; the next pulse looks again.
    starved: bool,
}

impl Crawl {
    /// `harvest` has a node; its sampler fills `frontier`.
    pub fn new(mut harvest: Harvest, frontier: Frontier, limits: Limits, seed: Seed) -> Self {
        if let Some(node) = harvest.node_mut() {
            node.observe(true);
        }
        Self {
            harvest,
            frontier,
            limits,
            phase: Phase::Running,
            taken: 0,
            recorded: 0,
            passive: Passive::default(),
            wanted: Wanted::new(seed),
            last_news: Time::ZERO,
            schedule: Schedule::new(seed),
            estimates: Estimates::new(seed),
            sampling_paused: false,
            pulsed: Time::ZERO,
            starved: false,
        }
    }

    /// Strangers can call us on this port.
    pub fn set_listen_port(&mut self, port: u16) {
        self.harvest.set_listen_port(port);
    }

    /// The two minds and their figures.
    pub fn harvest(&self) -> &Harvest {
        &self.harvest
    }

    /// Which infohash next, and how many were ever seen.
    pub fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    /// What is known for estimates of the whole.
    pub fn estimates(&self) -> &Estimates {
        &self.estimates
    }

    /// Infohashes that wait for another round, those that are tried again right now included; in no order.
    pub fn waiting(&self) -> impl Iterator<Item = &Waiting> {
        self.schedule.iter()
    }

    /// How many [`Crawl::waiting`] gives.
    pub fn waiting_count(&self) -> usize {
        self.schedule.len()
    }

    /// Changes of what [`Crawl::waiting`] gives: with the same number it gives the same.
    pub fn schedule_changes(&self) -> u64 {
        self.schedule.changes()
    }

    /// Takes up an infohash that an earlier run left waiting; false if it is done since, opted out, or there is no room.
    pub fn restore(&mut self, waiting: Waiting) -> bool {
        let Waiting {
            info_hash,
            tries,
            due,
            last,
            ..
        } = waiting;
        let restored = self.frontier.restore(info_hash, tries, due, last);
        if restored {
            self.schedule.insert(waiting);
        }
        restored
    }

    /// What others asked us for and announced to us.
    pub fn passive(&self) -> Passive {
        self.passive
    }

    /// Stops taking work; what is under way may finish within [`Limits::leave_within`].
    fn leave(&mut self, now: Time, why: Ending) {
        if self.phase == Phase::Running {
            self.phase = Phase::Leaving(why, now + self.limits.leave_within);
            self.pause_sampling(true);
        }
    }

    fn pause_sampling(&mut self, pause: bool) {
        if pause != self.sampling_paused {
            self.sampling_paused = pause;
            if let Some(node) = self.harvest.node_mut() {
                node.pause_sampling(pause);
            }
        }
    }

    /// Looks at the clock and the counters: is it time to leave, or to be gone?
    fn step(&mut self, now: Time) {
        match self.phase {
            Phase::Running => {
                if self.limits.max_infohashes.is_some_and(|most| self.recorded >= most) {
                    self.leave(now, Ending::Enough);
                } else if self.limits.overall.is_some_and(|end| now >= end) {
                    self.leave(now, Ending::TimeUp);
                } else if self.quiet_at().is_some_and(|quiet| now >= quiet) {
                    self.leave(now, Ending::Quiet);
                } else if self.is_census_through() {
                    self.leave(now, Ending::Listed);
                }
            }
            Phase::Leaving(_, until) if now >= until => self.harvest.abandon(now),
            Phase::Leaving(..) | Phase::Over => {}
        }
        if let Phase::Running = self.phase {
            // Half-way back down before sampling goes on, so that it does not flutter.
            let waiting = self.frontier.ready();
            let high = self.limits.pause_sampling_at;
            self.pause_sampling(waiting >= if self.sampling_paused { high / 2 } else { high });
            self.take_work(now);
        }
    }

    fn sampler(&self) -> Option<&Sampler> {
        self.harvest.node()?.sampler()
    }

    /// Whether all zones of a census are listed, and what they showed has had its first try. Further rounds are left to a
    /// later run.
    fn is_census_through(&self) -> bool {
        let over = self.sampler().is_some_and(Sampler::is_census_over);
        over && self.harvest.in_work() == 0 && self.frontier.ready() == 0
    }

    /// When silence has lasted long enough to end, if this crawl ends by itself.
    fn quiet_at(&self) -> Option<Time> {
        // A census waits for silent nodes, and ends by itself.
        if self.sampler().is_some_and(Sampler::is_census) {
            return None;
        }
        let idle = self.harvest.in_work() == 0 && self.frontier.ready() + self.frontier.waiting() == 0;
        self.limits.quiet.filter(|_| idle).map(|quiet| self.last_news + quiet)
    }

    /// Pull: free slots take the best infohashes.
    fn take_work(&mut self, now: Time) {
        while self.may_take() {
            self.starved = !self.harvest.has_room(now);
            if self.starved {
                return;
            }
            let Some(work) = self.frontier.take(now) else {
                return;
            };
            self.taken += 1;
            let Limits {
                lookup_queries,
                retry_queries,
                ..
            } = self.limits;
            let (plan, known) = self.schedule.plan(&work, lookup_queries, retry_queries);
            // Who announced itself to us is tried first: it was there within the hour.
            let node = self.harvest.node_mut();
            let mut first = node.map_or_else(Vec::new, |node| {
                let mut peers = node.announced(now, &work.info_hash, K);
                peers.retain(|peer| node.guard().admits_contact(peer));
                peers
            });
            self.passive.known += first.len() as u64;
            first.extend(known);
            self.harvest.begin(now, work.info_hash, Some(plan), &first);
        }
    }

    /// A record, unless the infohash gets another round: its rows wait for the last one, so that they are never doubled.
    fn on_harvested(&mut self, now: Time, harvested: Harvested) -> Option<Event> {
        let info_hash = harvested.info_hash;
        let failed = match harvested.outcome {
            Outcome::Metadata(_) | Outcome::PeersOnly => None,
            Outcome::NoPeers => Some(Failed::NoPeers),
            // Worth another round, as peers that are away are.
            Outcome::NoAnswer | Outcome::Unreachable => Some(Failed::Unreachable),
            Outcome::Unfetchable => Some(Failed::Unfetchable),
            Outcome::Abandoned => {
                self.frontier.put_back(&info_hash);
                return None;
            }
        };
        let fate = failed.map(|outcome| self.frontier.failed(now, &info_hash, outcome));
        if let (Some(Fate::RetryAt { due, evicted }), Some(last)) = (fate, failed) {
            self.taken -= 1;
            self.schedule.put_off(due, last, harvested);
            let evicted = evicted.and_then(|evicted| self.schedule.remove(&evicted))?;
            self.taken += 1;
            return Some(self.recorded(now, evicted.given_up()));
        }
        if fate.is_none() {
            self.frontier.done(&info_hash);
        }
        self.schedule.remove(&info_hash);
        Some(self.recorded(now, harvested))
    }

    fn recorded(&mut self, now: Time, harvested: Harvested) -> Event {
        self.recorded += 1;
        self.last_news = now;
        Event::Record(harvested)
    }

    fn may_take(&self) -> bool {
        self.harvest.has_slot() && self.limits.max_infohashes.is_none_or(|most| self.taken < most)
    }

    fn on_dht(&mut self, now: Time, event: &DhtEvent) {
        match event {
            DhtEvent::Sighting(sighting) if sighting.source == Source::GetPeers => {
                self.passive.asked_for += 1;
                if self.wanted.asked(sighting.info_hash, sighting.from.addr.ip()) {
                    self.passive.wanted += 1;
                    self.sighted(now, sighting);
                }
            }
            DhtEvent::Sighting(sighting) => {
                self.estimates.sighted(sighting);
                self.sighted(now, sighting);
            }
            // A peer that was there a moment ago: of an infohash in work it is tried at once.
            DhtEvent::Announced { sighting, peer, .. } => {
                self.passive.announced += 1;
                self.sighted(now, sighting);
                let admitted = |node: &Node| node.guard().admits_contact(peer);
                if self.harvest.node().is_some_and(admitted) {
                    self.harvest.learn_peer(now, sighting.info_hash, *peer);
                }
            }
            DhtEvent::Observed(observation) => self.estimates.observed(observation),
            DhtEvent::Zone(zone) => self.estimates.listed(*zone),
            DhtEvent::Walked { target, closest } => {
                if let Some(node) = self.harvest.node_mut() {
                    self.estimates.sounding().walked(now, node, *target, closest);
                }
            }
            DhtEvent::Answer { ask, answer, .. } => {
                if let Some(node) = self.harvest.node_mut() {
                    self.estimates.sounding().heard(now, node, *ask, answer);
                }
            }
            _ => {}
        }
    }

    fn sighted(&mut self, now: Time, sighting: &Sighting) {
        let seen = self.frontier.sighted(now, sighting);
        if seen == Seen::New {
            self.last_news = now;
        }
        if let (Source::Sample { .. }, Some(node)) = (sighting.source, self.harvest.node_mut()) {
            node.sighted(&sighting.from.id, seen == Seen::New);
        }
    }

    /// The last rows of a crawl whose schedule nobody keeps: infohashes that wait for another round are done, without
    /// metadata; as many as were asked for.
    fn drain_schedule(&mut self, now: Time) -> Option<Event> {
        let is_enough = self.limits.max_infohashes.is_some_and(|most| self.recorded >= most);
        if self.limits.keep_schedule || is_enough {
            return None;
        }
        let waiting = self.schedule.remove(&self.schedule.any()?)?;
        Some(self.recorded(now, waiting.given_up()))
    }
}

impl Machine for Crawl {
    type Event = Event;

    fn handle(&mut self, now: Time, input: Input<'_>) {
        match input {
            // Not told to the minds: they go on with the work in hand until it is done or given up.
            Input::Stop => self.leave(now, Ending::Stopped),
            other => self.harvest.handle(now, other),
        }
    }

    fn poll(&mut self, now: Time, payload: &mut Vec<u8>) -> Option<Output<Event>> {
        if self.phase == Phase::Over {
            return None;
        }
        if now >= self.pulsed + PULSE {
            self.pulsed = now;
            return Some(Output::Event(Event::Pulse));
        }
        self.step(now);
        while let Some(step) = self.harvest.poll(now, payload) {
            let event = match step {
                Step::Effect(effect) => return Some(Output::Effect(effect)),
                Step::Harvested(harvested) => self.on_harvested(now, harvested),
                Step::Attempt(mut attempt) => {
                    attempt.round += self.schedule.tries(&attempt.info_hash);
                    Some(Event::Attempt(attempt))
                }
                Step::Dht(event) => {
                    self.on_dht(now, &event);
                    Some(Event::Dht(event))
                }
            };
            if let Some(event) = event {
                return Some(Output::Event(event));
            }
            self.step(now);
        }
        let Phase::Leaving(why, _) = self.phase else {
            return None;
        };
        if self.harvest.in_work() > 0 {
            return None;
        }
        if let Some(last) = self.drain_schedule(now) {
            return Some(Output::Event(last));
        }
        self.phase = Phase::Over;
        Some(Output::Event(Event::Over(why)))
    }

    fn deadline(&self) -> Option<Time> {
        let ours = match self.phase {
            Phase::Running => {
                let retry = (self.may_take() && !self.starved)
                    .then(|| self.frontier.wake())
                    .flatten();
                [self.limits.overall, self.quiet_at(), retry]
                    .into_iter()
                    .flatten()
                    .min()
            }
            Phase::Leaving(_, until) => Some(until),
            Phase::Over => return None,
        };
        ours.into_iter()
            .chain([self.pulsed + PULSE])
            .chain(self.harvest.deadline())
            .min()
    }
}

#[cfg(test)]
mod tests;
