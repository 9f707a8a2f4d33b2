//! What `estudely crawl` does: the very machine of the job.

use std::collections::BTreeSet;
use std::time::Duration;

use crawler::{Event as DhtEvent, Families, Node};
use world::{Input, Machine, Output, Time};

use super::held;
use super::policy::{Setup, Told};
use super::tables::Tables;
use crate::config;
use crate::job::crawl::{self, Crawl, Estimated, Event, Yield};
use crate::job::harvest::Outcome;

/// A crawl that tells what the simulation asks of every policy.
pub(super) struct Ours {
    crawl: Crawl,
    /// When it told last what it takes the whole to be.
    estimated: Time,
    /// What it would leave in files, if that is wanted.
    tables: Option<Tables>,
    /// When it told last what it holds.
    held: Time,
}

/// How often that is.
const ESTIMATE_EVERY: Duration = Duration::from_secs(300);
const HELD_EVERY: Duration = Duration::from_secs(10);

impl Ours {
    pub(super) fn new(setup: &Setup) -> Self {
        let families = Families { v4: true, v6: false };
        let config = config::node(
            &setup.net,
            families,
            vec![setup.router],
            Some(config::sampling_of_a_crawl(&setup.net, &setup.args)),
        );
        let mut node = Node::new(config, setup.chance.seed.derive("node"), None);
        node.own_address(setup.client);
        let crawl = crawl::compose(
            &setup.args,
            Yield::Metadata,
            &setup.net,
            setup.chance,
            node,
            &BTreeSet::new(),
        );
        Self {
            crawl,
            estimated: Time::ZERO,
            tables: setup.tables.clone(),
            held: Time::ZERO,
        }
    }

    fn estimate(&self) -> Option<Box<Estimated>> {
        let node = self.crawl.harvest().node()?;
        Some(Box::new(self.crawl.estimates().at_this_moment(node)))
    }
}

impl Machine for Ours {
    type Event = Told;

    fn handle(&mut self, now: Time, input: Input<'_>) {
        self.crawl.handle(now, input);
    }

    fn poll(&mut self, now: Time, payload: &mut Vec<u8>) -> Option<Output<Told>> {
        loop {
            let event = match self.crawl.poll(now, payload)? {
                Output::Effect(effect) => return Some(Output::Effect(effect)),
                Output::Event(event) => event,
            };
            if let Some(tables) = &self.tables {
                tables.note(now, &event);
            }
            let told = match event {
                Event::Dht(DhtEvent::Sighting(sighting) | DhtEvent::Announced { sighting, .. }) => {
                    Told::Sighting(sighting)
                }
                Event::Record(harvested) => match harvested.outcome {
                    Outcome::Metadata(raw) => Told::Metadata(harvested.info_hash, raw),
                    _ => Told::Failed(harvested.info_hash),
                },
                Event::Pulse if now >= self.held + HELD_EVERY => {
                    self.held = now;
                    Told::Holds(Box::new(held::levels(&self.crawl)))
                }
                Event::Pulse if now >= self.estimated + ESTIMATE_EVERY => {
                    self.estimated = now;
                    let Some(estimated) = self.estimate() else { continue };
                    Told::Estimated(estimated)
                }
                Event::Over(_) => Told::Over(self.estimate()),
                Event::Attempt(_) | Event::Dht(_) | Event::Pulse => continue,
            };
            return Some(Output::Event(told));
        }
    }

    fn deadline(&self) -> Option<Time> {
        self.crawl.deadline()
    }
}
