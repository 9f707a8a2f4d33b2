//! Between the node and its sampler, if it has one.

use std::time::Duration;

use wire::NodeId;
use wire::krpc::{Message, Reply};
use world::Time;

use super::Node;
use crate::contacts::{Contact, Family};
use crate::event::Event;
use crate::ledger::{KeptError, Provenance};
use crate::rpc::{Asker, Call, Question, Request};
use crate::sampler::{Probe, Sample, Sampler};

impl Node {
    /// Samples nobody while `paused`; who is known stays known.
    pub const fn pause_sampling(&mut self, paused: bool) {
        self.idle_since = None;
        self.paused = paused;
    }

    /// The sampler, for its figures.
    pub const fn sampler(&self) -> Option<&Sampler> {
        self.sampler.as_ref()
    }

    /// What to keep of the sampler's ledger for the next run, if there is one.
    pub fn keep_ledger(&self, now: Time, unix_now: u64) -> Option<Vec<u8>> {
        Some(self.sampler.as_ref()?.keep(now, unix_now))
    }

    /// Takes up the ledger of an earlier run; says how many nodes it holds.
    ///
    /// # Errors
    ///
    /// [`KeptError`] if `bytes` are not what [`Node::keep_ledger`] gave.
    pub fn restore_ledger(&mut self, now: Time, bytes: &[u8], unix_now: u64) -> Result<usize, KeptError> {
        let Some(sampler) = &mut self.sampler else { return Ok(0) };
        sampler.restore(now, bytes, unix_now, &self.guard)
    }

    /// The owner says of an infohash that a sample of this node showed whether it was new: the sampler goes where more is.
    pub fn sighted(&mut self, by: &NodeId, new: bool) {
        if let Some(sampler) = &mut self.sampler {
            sampler.sighted(by, new);
        }
    }

    /// Whom the sampler asks next.
    pub(super) fn next_sample(&mut self, now: Time) -> Option<Call> {
        self.keep_census(now);
        let sampler = self.sampler.as_mut().filter(|_| !self.paused)?;
        let ask = sampler.next(now, &mut self.guard)?;
        Some(Call {
            to: ask.to.addr,
            id: Some(ask.to.id),
            request: Request::Question(match ask.probe {
                Probe::Sample => Question::Sample(ask.target),
                Probe::FindNode => Question::FindNode(ask.target),
            }),
            asker: Asker::Sampler,
        })
    }

    /// The DHT that is surveyed, if one is: that of IPv4, if we are in both.
    const fn surveyed(&self) -> Family {
        if self.config.families.v4 {
            Family::V4
        } else {
            Family::V6
        }
    }

    /// Tells the sampler how large the network is.
    pub(super) fn size_up(&mut self) {
        let estimate = self.census[self.surveyed() as usize].estimate();
        if let (Some(sampler), Some(nodes)) = (&mut self.sampler, estimate) {
            sampler.sized(nodes);
        }
    }

    /// What a census wants beside questions: an estimate to begin with, walks; and tells of zones that it has listed.
    fn keep_census(&mut self, now: Time) {
        let family = self.surveyed();
        let Some(sampler) = self.sampler.as_mut().filter(|_| !self.paused) else {
            return;
        };
        if sampler.wants_estimate()
            && let Some(nodes) = self.census[family as usize].estimate()
        {
            sampler.begin_census(now, nodes);
        }
        let (point, zone) = (sampler.next_walk(), sampler.next_zone());
        if let Some(point) = point {
            self.walk(now, family, point, Vec::new());
        }
        if let Some(zone) = zone {
            self.tell(Event::Zone(zone));
        }
    }

    /// When the sampler wants to ask somebody.
    pub(super) fn next_sampling(&self) -> Option<Time> {
        self.sampler.as_ref().filter(|_| !self.paused)?.wake()
    }

    /// The sampler's question was answered, in time if there is a round trip: each infohash shown is told, if it
    /// may be believed.
    pub(super) fn feed_sampler(
        &mut self,
        now: Time,
        from: &Contact,
        answer: (&Message<'_>, &Reply<'_>),
        (call, rtt): (&Call, Option<Duration>),
    ) {
        let Some(sampler) = &mut self.sampler else {
            return;
        };
        let (message, reply) = answer;
        let sample = sampler.on_reply(now, from, message.version, reply, &self.guard);
        let far_fetched = sample.as_ref().is_some_and(|sample| sampler.doubts(sample));
        self.observed_answer(from.addr, call, rtt, answer, far_fetched);
        // What a node cannot store by the rules of the DHT it has made up.
        for sighting in sample.iter().filter(|_| !far_fetched).flat_map(Sample::sightings) {
            self.tell(Event::Sighting(sighting));
        }
    }

    /// Somebody else's question was answered: who answers, and whom it names, may be sampled.
    pub(super) fn overheard(&mut self, now: Time, from: &Contact, version: Option<&[u8]>, reply: &Reply<'_>) {
        if let Some(sampler) = &mut self.sampler {
            sampler.overheard(now, from, version, reply, &self.guard);
        }
    }

    /// A node asked us something: it may be sampled.
    pub(super) fn met(&mut self, now: Time, contact: &Contact, version: Option<&[u8]>) {
        if let Some(sampler) = &mut self.sampler {
            sampler.learn(now, contact, Provenance::Queried, version, &self.guard);
        }
    }
}
