//! The two ways of asking peers that are compared: ours, and one peer after the other.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use estudely::job::harvest::{Harvest, Harvested, Outcome, Step};
use fetcher::{Event as PoolEvent, Pool};
use rand::RngExt;
use wire::InfoHash;
use world::{Input, Machine, Output, Seed, Time};

/// An infohash and all its listed peers.
pub(crate) type Wanted = VecDeque<(InfoHash, Vec<SocketAddr>)>;

/// An infohash is done with.
pub(crate) struct Done {
    pub(crate) infohash: InfoHash,
    pub(crate) fetched: bool,
    /// From its start.
    pub(crate) took: Duration,
}

/// The job as `fetch` runs it, with the peers given: as many infohashes at once as the profile says.
pub(crate) struct Ours {
    harvest: Harvest,
    wanted: Wanted,
    began: BTreeMap<InfoHash, Time>,
}

impl Ours {
    pub(crate) fn new(harvest: Harvest, wanted: Wanted) -> Self {
        Self {
            harvest,
            wanted,
            began: BTreeMap::new(),
        }
    }

    pub(crate) fn harvest(&self) -> &Harvest {
        &self.harvest
    }

    fn done(&mut self, now: Time, harvested: &Harvested) -> Done {
        let began = self.began.remove(&harvested.info_hash).unwrap_or(now);
        Done {
            infohash: harvested.info_hash,
            fetched: matches!(harvested.outcome, Outcome::Metadata(_)),
            took: now.since(began),
        }
    }
}

impl Machine for Ours {
    type Event = Done;

    fn handle(&mut self, now: Time, input: Input<'_>) {
        self.harvest.handle(now, input);
    }

    fn poll(&mut self, now: Time, payload: &mut Vec<u8>) -> Option<Output<Done>> {
        loop {
            while self.harvest.has_slot()
                && let Some((infohash, peers)) = self.wanted.pop_front()
            {
                self.began.insert(infohash, now);
                self.harvest.begin(now, infohash, None, &peers);
            }
            match self.harvest.poll(now, payload)? {
                Step::Effect(effect) => return Some(Output::Effect(effect)),
                Step::Harvested(harvested) => return Some(Output::Event(self.done(now, &harvested))),
                Step::Attempt(_) | Step::Dht(_) => {}
            }
        }
    }

    fn deadline(&self) -> Option<Time> {
        self.harvest.deadline()
    }
}

/// The Python original (crawlers 1.1): of the peers, shuffled, the first five, one after the other, four seconds for each
/// socket operation, plain TCP, and nothing remembered.
pub(crate) struct Serial {
    pool: Pool,
    wanted: Wanted,
    /// When the one in work was begun.
    began: Option<Time>,
    seed: Seed,
}

/// Peers that it asks at most.
const FIRST: u32 = 5;
/// Its time for each socket operation.
const OPERATION: Duration = Duration::from_secs(4);

impl Serial {
    /// `config` is ours; what makes the policy is replaced.
    pub(crate) fn new(mut config: fetcher::Config, wanted: Wanted, seed: Seed) -> Self {
        config.slots = 1;
        config.dialling.start = 1;
        config.dialling.parallel = 1;
        config.dialling.attempts_per_infohash = FIRST;
        config.deadlines.connect = OPERATION;
        config.deadlines.handshake = OPERATION;
        config.deadlines.extended = OPERATION;
        config.deadlines.piece = OPERATION;
        config.deadlines.total = Duration::from_secs(3600);
        config.limits.pipeline = 1;
        config.memory.refused = Duration::ZERO;
        config.memory.silent = Duration::ZERO;
        config.memory.useless = Duration::ZERO;
        Self {
            pool: Pool::new(config, seed.derive("serial")),
            wanted,
            began: None,
            seed: seed.derive("shuffle"),
        }
    }

    fn begin_next(&mut self, now: Time) {
        let Some((infohash, mut peers)) = self.wanted.pop_front() else {
            return;
        };
        let mut rng = self.seed.derive_number("of", self.wanted.len() as u64).rng();
        for last in (1..peers.len()).rev() {
            peers.swap(last, rng.random_range(0..=last));
        }
        self.began = Some(now);
        self.pool.start(now, infohash);
        for peer in peers {
            self.pool.offer(infohash, peer);
        }
        self.pool.no_more_peers(infohash);
    }
}

impl Machine for Serial {
    type Event = Done;

    fn handle(&mut self, now: Time, input: Input<'_>) {
        self.pool.handle(now, input);
    }

    fn poll(&mut self, now: Time, payload: &mut Vec<u8>) -> Option<Output<Done>> {
        loop {
            if self.began.is_none() {
                self.begin_next(now);
            }
            let (infohash, fetched) = match self.pool.poll(now, payload)? {
                Output::Effect(effect) => return Some(Output::Effect(effect)),
                Output::Event(PoolEvent::Metadata { info_hash, .. }) => (info_hash, true),
                Output::Event(PoolEvent::GaveUp { info_hash, .. }) => (info_hash, false),
                Output::Event(_) => continue,
            };
            let took = now.since(self.began.take().unwrap_or(now));
            return Some(Output::Event(Done {
                infohash,
                fetched,
                took,
            }));
        }
    }

    fn deadline(&self) -> Option<Time> {
        self.pool.deadline()
    }
}
