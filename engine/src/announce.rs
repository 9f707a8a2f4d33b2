//! Announcing: which tracker to tell what and when (BEP 3, 7, 12, 15, 21, 23, 24, 31, 41, 48), for all torrents at once.
//!
//! A round goes through the trackers of a torrent, tier by tier, until one works; that one goes to the front of its tier,
//! and the time of the next round is its to say. A round in vain is begun again when the first tracker has been left alone
//! for long enough. UDP trackers share connection ids and looked-up names between torrents. A question over UDP that has
//! waited in vain gives up its turn, not its hope: it is sent again as BEP 15 says while the next tracker is asked.
//!
//! Not a machine itself but the part of one: [`Announcer::handle`] takes what [`Announcer::claims`] its numbers, and
//! datagrams that [`wire::tracker::udp::begins`] claims.

mod asks;
mod config;
mod rounds;
mod told;
mod torrent;
mod udp;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rand::Rng;
use rand::rngs::ChaCha8Rng;
use world::{Effect, Input, KeyedMap, Output, Seed, Tally, Time, WebId};

pub use config::Config;
pub use told::{Counted, Failure, Stats, Status, Swarm, Told, TrackerStatus, Unfit};
pub use torrent::MAX_TRACKERS;

use asks::Request;
use torrent::{Lane, Site, Step, Torrent};
use udp::{Names, Session};

/// Numbers that an announcer may give, from its first one on.
pub const WEB_IDS: u64 = 1 << 48;

/// What can be due.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Timer {
    /// The next round of a torrent's lane.
    Round(u32, usize),
    /// A request has waited for long enough.
    Ask(u64),
    /// A farewell has.
    Farewell(u64),
}

/// Who waits for a free request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Job {
    Round(u32, usize),
    Scrape(u32),
    Farewell(u64),
}

/// What was decided and not polled yet.
#[derive(Debug)]
enum Out {
    /// Start this HTTP request.
    Fetch(u64),
    Cancel(u64),
    /// Look up the name that waits under this number.
    Resolve(u64),
    /// Send what this UDP request has to say.
    Send(u64),
    Told(Told),
}

/// `stopped`, to be said to one tracker of a torrent that is gone or pauses.
#[derive(Debug)]
struct Farewell {
    /// Serial number of the torrent.
    of: u64,
    swarm: Arc<Swarm>,
    key: u32,
    site: Arc<Site>,
    tracker_id: Option<Vec<u8>>,
    stats: Stats,
    request: Option<u64>,
    until: Time,
}

/// All torrents' dealings with trackers.
#[derive(Debug)]
pub struct Announcer {
    config: Config,
    /// The first number of ours; requests count from there.
    first_id: u64,
    /// Numbers of requests, names looked up, farewells and torrents: each is given once.
    numbers: u64,
    /// Of the keys by which trackers know us again.
    seed: Seed,
    rng: ChaCha8Rng,
    torrents: BTreeMap<u32, Torrent>,
    farewells: BTreeMap<u64, Farewell>,
    requests: BTreeMap<u64, Request>,
    /// UDP requests by transaction.
    transactions: KeyedMap<u32, u64>,
    names: Names,
    sessions: KeyedMap<SocketAddr, Session>,
    timers: BTreeSet<(Time, Timer)>,
    /// Waiting for a free request; each lane, scrape and farewell once at most.
    jobs: VecDeque<Job>,
    /// Requests that somebody waits for.
    held: usize,
    out: VecDeque<Out>,
    counts: Tally<Counted>,
}

impl Announcer {
    /// An announcer of no torrents, whose requests are numbered from `first_id` on, [`WEB_IDS`] at most.
    pub fn new(config: Config, seed: Seed, first_id: u64) -> Self {
        let seed = seed.derive("announce");
        Self {
            config,
            first_id,
            numbers: 0,
            seed,
            rng: seed.derive("draws").rng(),
            torrents: BTreeMap::new(),
            farewells: BTreeMap::new(),
            requests: BTreeMap::new(),
            transactions: KeyedMap::with_hasher(seed.derive("transactions").hasher()),
            names: Names::new(seed.derive("names").hasher()),
            sessions: KeyedMap::with_hasher(seed.derive("sessions").hasher()),
            timers: BTreeSet::new(),
            jobs: VecDeque::new(),
            held: 0,
            out: VecDeque::new(),
            counts: Tally::new(),
        }
    }

    /// Begins to announce a torrent under a number that its owner gives, at once. Says which trackers it does not take.
    /// A torrent that had the number is removed as with [`remove`](Self::remove), with all at zero.
    pub fn add(&mut self, now: Time, torrent: u32, swarm: Swarm, tiers: &[Vec<String>]) -> Vec<(String, Unfit)> {
        self.remove(now, torrent, Stats::default());
        let serial = self.number();
        let mut added = Torrent {
            serial,
            swarm: Arc::new(swarm),
            key: self.key(torrent),
            trackers: Vec::new(),
            lanes: Vec::new(),
            paused: false,
            current: None,
            counts: wire::tracker::Counts::default(),
            scrape: None,
            last_scrape: None,
        };
        let (unfit, _) = added.set_trackers(tiers, &mut self.rng);
        added.lay_lanes(self.config.announce_to_all, false);
        self.torrents.insert(torrent, added);
        self.begin_all(now, torrent);
        self.turn(now);
        unfit
    }

    /// Tells the trackers that have us in their lists that we leave, and forgets the torrent. Nothing more is told of it.
    pub fn remove(&mut self, now: Time, torrent: u32, stats: Stats) {
        self.withdraw(now, torrent, stats);
        if let Some(gone) = self.torrents.remove(&torrent) {
            for (at, lane) in gone.lanes.iter().enumerate() {
                if let Some(armed) = lane.armed {
                    self.timers.remove(&(armed, Timer::Round(torrent, at)));
                }
            }
        }
        self.turn(now);
    }

    /// Tells the trackers that we leave, and nothing more until [`resume`](Self::resume).
    pub fn pause(&mut self, now: Time, torrent: u32, stats: Stats) {
        self.withdraw(now, torrent, stats);
        if let Some(paused) = self.torrents.get_mut(&torrent) {
            paused.paused = true;
        }
        self.turn(now);
    }

    /// Begins again after [`pause`](Self::pause), with `started`.
    pub fn resume(&mut self, now: Time, torrent: u32) {
        let Some(resumed) = self.torrents.get_mut(&torrent).filter(|torrent| torrent.paused) else {
            return;
        };
        resumed.paused = false;
        let serial = resumed.serial;
        let ours = self.farewells.iter().filter(|(_, farewell)| farewell.of == serial);
        let ours: Vec<u64> = ours.map(|(&number, _)| number).collect();
        ours.into_iter().for_each(|number| self.end_farewell(number));
        self.begin_all(now, torrent);
        self.turn(now);
    }

    /// Removes all torrents. What is left to do is done when [`is_idle`](Self::is_idle), at the latest after
    /// [`Config::stop_timeout`].
    pub fn shut_down(&mut self, now: Time, mut stats: impl FnMut(u32) -> Stats) {
        while let Some((&torrent, _)) = self.torrents.first_key_value() {
            self.remove(now, torrent, stats(torrent));
        }
    }

    /// Whether no torrent is left, and nobody to take leave of.
    pub fn is_idle(&self) -> bool {
        self.torrents.is_empty() && self.farewells.is_empty() && self.out.is_empty()
    }

    /// The download has just become complete: trackers are told so, once. Not for what was complete from the start.
    pub fn completed(&mut self, now: Time, torrent: u32) {
        let Some(it) = self.torrents.get_mut(&torrent) else {
            return;
        };
        it.lanes.iter_mut().for_each(|lane| lane.completed = true);
        if !it.paused {
            self.begin_all(now, torrent);
        }
        self.turn(now);
    }

    /// Announces at once, or after a while, because the user wants it: whatever intervals say, and though a tracker has
    /// failed. A round that is under way then is enough.
    pub fn reannounce(&mut self, now: Time, torrent: u32, after: Duration) {
        for lane in self.lanes(torrent) {
            lane.wish = lane.wish.min(now + after);
        }
        self.arm_all(torrent);
        self.turn(now);
    }

    /// Announces as soon as the trackers' minimum interval allows: the torrent is short of peers.
    pub fn want_peers(&mut self, now: Time, torrent: u32) {
        for lane in self
            .lanes(torrent)
            .filter(|lane| lane.served && lane.step == Step::Idle)
        {
            lane.due = lane.due.min(lane.earliest.max(now));
        }
        self.arm_all(torrent);
        self.turn(now);
    }

    /// Asks the tracker that answered last, else the first that can be asked, how large the swarm is. False if none can be.
    pub fn scrape(&mut self, now: Time, torrent: u32) -> bool {
        let Some(it) = self.torrents.get_mut(&torrent) else {
            return false;
        };
        if it.scrape.is_none() {
            let Some(tracker) = it.scrapable() else {
                return false;
            };
            it.scrape = Some((tracker, None));
            self.jobs.push_back(Job::Scrape(torrent));
            self.turn(now);
        }
        true
    }

    /// Other trackers in place of those that are there, from the next announce on. Says which it does not take. Trackers
    /// that are gone are told that we leave.
    pub fn replace_trackers(
        &mut self,
        now: Time,
        torrent: u32,
        tiers: &[Vec<String>],
        stats: Stats,
    ) -> Vec<(String, Unfit)> {
        let each = self.config.announce_to_all;
        self.cancel_all(torrent);
        let Some(it) = self.torrents.get_mut(&torrent) else {
            return Vec::new();
        };
        let busy = it.lanes.iter().any(|lane| lane.step != Step::Idle);
        let due = it.lanes.iter().map(|lane| lane.due).min().filter(|_| !busy);
        let wish = it.lanes.iter().map(|lane| lane.wish).min().unwrap_or(Time::MAX);
        let completed = it.lanes.iter().any(|lane| lane.completed);
        for (at, lane) in it.lanes.iter().enumerate() {
            if let Some(armed) = lane.armed {
                self.timers.remove(&(armed, Timer::Round(torrent, at)));
            }
        }
        let (unfit, gone) = it.set_trackers(tiers, &mut self.rng);
        it.lay_lanes(each, completed);
        for lane in &mut it.lanes {
            lane.wish = wish;
            lane.due = if it.paused {
                Time::MAX
            } else {
                due.unwrap_or(now).max(now)
            };
        }
        self.arm_all(torrent);
        self.leave(now, torrent, gone, stats);
        self.turn(now);
        unfit
    }

    /// One more tracker, at the end of its tier; it is asked when its turn comes, which is at once if no other works.
    ///
    /// # Errors
    ///
    /// [`Unfit`] if it is not taken. There being no such torrent is none.
    pub fn add_tracker(&mut self, now: Time, torrent: u32, url: &str, tier: usize) -> Result<(), Unfit> {
        let each = self.config.announce_to_all;
        let Some(it) = self.torrents.get_mut(&torrent) else {
            return Ok(());
        };
        let tracker = it.add_tracker(url, tier)?;
        let at = it.lay_tracker(tracker, each);
        if let Some(lane) = it.lanes.get_mut(at)
            && !it.paused
            && !lane.served
            && lane.step == Step::Idle
        {
            lane.due = now;
        }
        self.arm_all(torrent);
        self.turn(now);
        Ok(())
    }

    /// How a torrent's trackers do, in the order of trial.
    pub fn trackers(&self, torrent: u32) -> impl Iterator<Item = TrackerStatus<'_>> {
        self.torrents.get(&torrent).into_iter().flat_map(Torrent::statuses)
    }

    /// How a torrent does with its trackers.
    pub fn status(&self, torrent: u32) -> Option<Status<'_>> {
        self.torrents.get(&torrent).map(Torrent::status)
    }

    /// What was counted.
    pub const fn counts(&self) -> &Tally<Counted> {
        &self.counts
    }

    /// Whether a request or a name has a number of ours.
    pub const fn claims(&self, id: WebId) -> bool {
        id.0 >= self.first_id && id.0 - self.first_id < WEB_IDS
    }

    /// Something happened. What is not for trackers is passed over.
    pub fn handle(&mut self, now: Time, input: Input<'_>) {
        match input {
            Input::Http { id, part } if self.claims(id) => self.http(now, id.0 - self.first_id, part),
            Input::Resolved { id, addrs } if self.claims(id) => self.resolved(now, id.0 - self.first_id, addrs),
            Input::Datagram { from, bytes, .. } if wire::tracker::udp::begins(bytes) => self.datagram(now, from, bytes),
            _ => (),
        }
        self.turn(now);
    }

    /// The next thing to do or to tell, as [`world::Machine::poll`]. `stats` says what a torrent has come to.
    pub fn poll(
        &mut self,
        now: Time,
        payload: &mut Vec<u8>,
        mut stats: impl FnMut(u32) -> Stats,
    ) -> Option<Output<Told>> {
        self.turn(now);
        loop {
            let effect = match self.out.pop_front()? {
                Out::Told(told) => return Some(Output::Event(told)),
                Out::Fetch(number) => self.write_fetch(number, payload, &mut stats),
                Out::Send(number) => self.write_datagram(number, payload, &mut stats),
                Out::Resolve(number) => self.write_name(number, payload),
                Out::Cancel(number) => Some(Effect::CancelFetch {
                    id: WebId(self.first_id + number),
                }),
            };
            if let Some(effect) = effect {
                return Some(Output::Effect(effect));
            }
        }
    }

    /// When to be woken.
    pub fn deadline(&self) -> Option<Time> {
        self.timers.first().map(|&(at, _)| at)
    }

    /// Does what is due, and begins what there is room for.
    fn turn(&mut self, now: Time) {
        loop {
            if let Some(&(at, timer)) = self.timers.first()
                && at <= now
            {
                self.timers.pop_first();
                match timer {
                    Timer::Round(torrent, lane) => self.round_is_due(now, torrent, lane),
                    Timer::Ask(number) => self.ask_is_due(now, number),
                    Timer::Farewell(number) => self.end_farewell(number),
                }
            } else if self.held < self.config.most_at_once
                && let Some(job) = self.jobs.pop_front()
            {
                match job {
                    Job::Round(torrent, lane) => self.next_tracker(now, torrent, lane),
                    Job::Scrape(torrent) => self.start_scrape(now, torrent),
                    Job::Farewell(number) => self.start_farewell(now, number),
                }
            } else {
                return;
            }
        }
    }

    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// BEP 7: the same for all trackers of a torrent and as long as we run, and nobody else's.
    fn key(&self, torrent: u32) -> u32 {
        self.seed.derive_number("key", u64::from(torrent)).rng().next_u32()
    }

    fn tell(&mut self, told: Told) {
        self.out.push_back(Out::Told(told));
    }

    fn lanes(&mut self, torrent: u32) -> impl Iterator<Item = &mut Lane> {
        let torrent = self.torrents.get_mut(&torrent).filter(|torrent| !torrent.paused);
        torrent.into_iter().flat_map(|torrent| torrent.lanes.iter_mut())
    }
}

#[cfg(test)]
mod tests;
