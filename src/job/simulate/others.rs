//! The crawlers that ours is held against, as policies.

use std::sync::Arc;

use sim::baseline::{self, Baseline, Like};
use world::{Input, Machine, Output, Time};

use super::policy::{Setup, Told};

/// Another crawler, which tells what the simulation asks of every policy.
pub(super) struct Other {
    crawler: Baseline,
}

impl Other {
    pub(super) fn new(like: Like, setup: &Setup) -> Self {
        let line = baseline::Setup {
            routers: vec![setup.router],
            rate: setup.net.rate(),
        };
        Self {
            crawler: Baseline::new(like, line, setup.chance.seed),
        }
    }
}

impl Machine for Other {
    type Event = Told;

    fn handle(&mut self, now: Time, input: Input<'_>) {
        self.crawler.handle(now, input);
    }

    fn poll(&mut self, now: Time, payload: &mut Vec<u8>) -> Option<Output<Told>> {
        loop {
            let told = match self.crawler.poll(now, payload)? {
                Output::Effect(effect) => return Some(Output::Effect(effect)),
                Output::Event(baseline::Event::Peers(_)) => continue,
                Output::Event(baseline::Event::Seen(info_hash)) => Told::Seen(info_hash),
                Output::Event(baseline::Event::Fetched(info_hash)) => Told::Metadata(info_hash, Arc::default()),
            };
            return Some(Output::Event(told));
        }
    }

    fn deadline(&self) -> Option<Time> {
        self.crawler.deadline()
    }
}
