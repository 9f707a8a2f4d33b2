//! One torrent's trackers: their order, whose turn it is, and what became of each.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;
use wire::tracker::{Counts, Event, Scheme, TrackerUrl, http};
use world::Time;

use super::told::{Failure, Status, Swarm, TrackerStatus, Unfit};

/// Trackers of one torrent; further ones are refused.
pub const MAX_TRACKERS: usize = 200;

/// A tracker as it is addressed.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Site {
    pub(super) url: Arc<str>,
    pub(super) target: Target,
}

#[derive(PartialEq, Eq, Debug)]
pub(super) enum Target {
    Http,
    Udp {
        /// `host:port`, to be resolved.
        place: String,
        /// Where the host is an address.
        addr: Option<SocketAddr>,
        /// Path and query.
        tail: String,
    },
}

impl Site {
    fn new(url: &str) -> Result<Self, Unfit> {
        let url = url.trim();
        let parsed = TrackerUrl::parse(url).map_err(Unfit::Bad)?;
        let target = match parsed.scheme {
            Scheme::Http | Scheme::Https => Target::Http,
            Scheme::Udp => Target::Udp {
                place: parsed.host.to_string(),
                addr: parsed.host.socket_addr(),
                tail: parsed.tail.to_owned(),
            },
        };
        Ok(Self {
            url: url.into(),
            target,
        })
    }
}

#[derive(Debug)]
pub(super) struct Tracker {
    pub(super) site: Arc<Site>,
    pub(super) tier: usize,
    pub(super) lane: usize,
    /// The announce under way.
    pub(super) request: Option<u64>,
    /// It has heard `started`, and has us in its list.
    pub(super) started: bool,
    /// What it wants to be told again.
    pub(super) id: Option<Vec<u8>>,
    /// Failures in a row, hence not asked before:
    pub(super) fails: u32,
    pub(super) not_before: Time,
    /// It never wants to be asked again (BEP 31).
    pub(super) dead: bool,
    pub(super) successes: u64,
    pub(super) failures: u64,
    pub(super) failure: Option<Failure>,
    pub(super) warning: Option<String>,
    pub(super) counts: Counts,
}

impl Tracker {
    fn at(site: Arc<Site>, tier: usize) -> Self {
        Self {
            site,
            tier,
            lane: 0,
            request: None,
            started: false,
            id: None,
            fails: 0,
            not_before: Time::ZERO,
            dead: false,
            successes: 0,
            failures: 0,
            failure: None,
            warning: None,
            counts: Counts::default(),
        }
    }

    /// What is to be taken leave of; what stays begins anew.
    pub(super) fn left(&mut self) -> Self {
        Self {
            started: std::mem::take(&mut self.started),
            id: self.id.clone(),
            ..Self::at(self.site.clone(), self.tier)
        }
    }

    pub(super) const fn works(&self) -> bool {
        self.successes > 0 && self.fails == 0
    }
}

/// Where the round of a lane is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// None is under way.
    Idle,
    /// The next tracker waits for its turn among all torrents.
    Queued,
    /// This tracker is asked.
    Asking(usize),
}

/// Trackers of which one that works is enough (BEP 12); when all are announced to, each has a lane to itself.
#[derive(Debug)]
pub(super) struct Lane {
    /// Trackers in the order of trial, tier by tier.
    pub(super) order: Vec<usize>,
    pub(super) step: Step,
    /// Tried in this round.
    pub(super) tried: Vec<usize>,
    /// The user asked for this round: no tracker is passed over for having failed.
    pub(super) forced: bool,
    /// When the next round begins.
    pub(super) due: Time,
    /// When a round begins because the user asks for it.
    pub(super) wish: Time,
    /// Before this, more peers are not asked for.
    pub(super) earliest: Time,
    /// What the last tracker that worked wants and gets.
    pub(super) interval: Option<Duration>,
    /// Some tracker works: its interval says when the next round begins.
    pub(super) served: bool,
    /// That the download is complete is still to be told.
    pub(super) completed: bool,
    /// The alarm that is set.
    pub(super) armed: Option<Time>,
}

#[derive(Debug)]
pub(super) struct Torrent {
    /// No other torrent has or had it.
    pub(super) serial: u64,
    pub(super) swarm: Arc<Swarm>,
    pub(super) key: u32,
    pub(super) trackers: Vec<Tracker>,
    pub(super) lanes: Vec<Lane>,
    pub(super) paused: bool,
    pub(super) current: Option<usize>,
    pub(super) counts: Counts,
    /// The tracker that is to be scraped, and the request once it is under way.
    pub(super) scrape: Option<(usize, Option<u64>)>,
    pub(super) last_scrape: Option<Time>,
}

impl Torrent {
    /// Takes the trackers of `tiers`, each tier shuffled, and says which it does not take. Of the trackers that were there
    /// before, what is known is kept; those that are no longer there are given back.
    pub(super) fn set_trackers(
        &mut self,
        tiers: &[Vec<String>],
        rng: &mut ChaCha8Rng,
    ) -> (Vec<(String, Unfit)>, Vec<Tracker>) {
        let mut before = std::mem::take(&mut self.trackers);
        let mut unfit = Vec::new();
        for (tier, urls) in tiers.iter().enumerate() {
            let mut urls: Vec<&String> = urls.iter().collect();
            urls.shuffle(rng);
            for url in urls {
                match self.push(url, tier, &mut before) {
                    Ok(_) => (),
                    Err(why) => unfit.push((url.clone(), why)),
                }
            }
        }
        self.current = None;
        (unfit, before)
    }

    /// Appends a tracker, taken from `before` if it is there, and gives its place.
    fn push(&mut self, url: &str, tier: usize, before: &mut Vec<Tracker>) -> Result<usize, Unfit> {
        let site = Site::new(url)?;
        if self.trackers.iter().any(|tracker| tracker.site.url == site.url) {
            return Err(Unfit::Twice);
        }
        if self.trackers.len() >= MAX_TRACKERS {
            return Err(Unfit::TooMany);
        }
        let old = before.iter().position(|tracker| tracker.site.url == site.url);
        let tracker = match old {
            Some(at) => Tracker {
                tier,
                ..before.swap_remove(at)
            },
            None => Tracker::at(Arc::new(site), tier),
        };
        self.trackers.push(tracker);
        Ok(self.trackers.len() - 1)
    }

    /// Appends a tracker to its tier, to be asked after those that are there.
    pub(super) fn add_tracker(&mut self, url: &str, tier: usize) -> Result<usize, Unfit> {
        self.push(url, tier, &mut Vec::new())
    }

    /// Puts the trackers into lanes.
    pub(super) fn lay_lanes(&mut self, each: bool, completed: bool) {
        let all: Vec<usize> = (0..self.trackers.len()).collect();
        let orders: Vec<Vec<usize>> = match each {
            true => all.into_iter().map(|tracker| vec![tracker]).collect(),
            false => vec![all],
        };
        self.lanes = orders.into_iter().map(|order| Lane::new(order, completed)).collect();
        for (at, lane) in self.lanes.iter().enumerate() {
            for &tracker in &lane.order {
                if let Some(tracker) = self.trackers.get_mut(tracker) {
                    tracker.lane = at;
                }
            }
        }
    }

    /// Puts a tracker that was just appended into a lane, and gives that.
    pub(super) fn lay_tracker(&mut self, tracker: usize, each: bool) -> usize {
        if each || self.lanes.is_empty() {
            self.lanes.push(Lane::new(Vec::new(), false));
        }
        let at = self.lanes.len() - 1;
        let (trackers, Some(lane)) = (&mut self.trackers, self.lanes.get_mut(at)) else {
            return at;
        };
        let tier = |at: usize| trackers.get(at).map_or(0, |tracker| tracker.tier);
        let place = lane.order.partition_point(|&other| tier(other) <= tier(tracker));
        lane.order.insert(place, tracker);
        if let Some(tracker) = trackers.get_mut(tracker) {
            tracker.lane = at;
        }
        at
    }

    /// The next tracker of this round, if one may be asked.
    pub(super) fn next(&self, now: Time, lane: &Lane) -> Option<usize> {
        let may = |tracker: &Tracker| lane.forced || !tracker.dead && tracker.not_before <= now;
        let untried = lane.order.iter().copied().filter(|at| !lane.tried.contains(at));
        untried.into_iter().find(|&at| self.trackers.get(at).is_some_and(may))
    }

    /// When, after a round in vain, the next one makes sense. A question that is being sent again needs none.
    pub(super) fn again(&self, lane: &Lane) -> Time {
        let trackers = lane.order.iter().filter_map(|&at| self.trackers.get(at));
        let able = trackers.filter(|tracker| !tracker.dead && tracker.request.is_none());
        able.map(|tracker| tracker.not_before).min().unwrap_or(Time::MAX)
    }

    /// A tracker that works goes to the front of its tier (BEP 12).
    pub(super) fn promote(&mut self, tracker: usize) {
        let tier = |at: usize| self.trackers.get(at).map(|tracker| tracker.tier);
        let Some(lane) = self.trackers.get(tracker).and_then(|it| self.lanes.get_mut(it.lane)) else {
            return;
        };
        let first = lane.order.iter().position(|&other| tier(other) == tier(tracker));
        let last = lane.order.iter().position(|&other| other == tracker);
        if let (Some(first), Some(last)) = (first, last)
            && let Some(span) = lane.order.get_mut(first..=last)
        {
            span.rotate_right(1);
        }
    }

    /// What a tracker is to be told now.
    pub(super) fn event(&self, tracker: &Tracker) -> Event {
        let completed = self.lanes.get(tracker.lane).is_some_and(|lane| lane.completed);
        match (tracker.started, completed) {
            (false, _) => Event::Started,
            (true, true) => Event::Completed,
            (true, false) => Event::None,
        }
    }

    /// The tracker to scrape: the one that answered last, else the first in order that can be.
    pub(super) fn scrapable(&self) -> Option<usize> {
        let order = self.lanes.iter().flat_map(|lane| lane.order.iter().copied());
        self.current.into_iter().chain(order).find(|&at| {
            self.trackers.get(at).is_some_and(|tracker| match tracker.site.target {
                Target::Udp { .. } => true,
                Target::Http => http::scrape_url(&tracker.site.url, None, &self.swarm.info_hash, &mut Vec::new()),
            })
        })
    }

    pub(super) fn statuses(&self) -> impl Iterator<Item = TrackerStatus<'_>> {
        let order = self.lanes.iter().flat_map(|lane| &lane.order);
        order
            .filter_map(|&at| self.trackers.get(at))
            .map(|tracker| TrackerStatus {
                url: &tracker.site.url,
                tier: tracker.tier,
                working: tracker.works(),
                asking: tracker.request.is_some(),
                successes: tracker.successes,
                failures: tracker.failures,
                failure: tracker.failure.as_ref(),
                warning: tracker.warning.as_deref(),
                counts: tracker.counts,
            })
    }

    pub(super) fn status(&self) -> Status<'_> {
        let current = self.current.and_then(|at| self.trackers.get(at));
        let current = current.filter(|tracker| tracker.works());
        let due = self.lanes.iter().map(|lane| lane.due.min(lane.wish)).min();
        let lane = current.and_then(|tracker| self.lanes.get(tracker.lane));
        Status {
            current: current.map(|tracker| &tracker.site.url),
            hopeful: self.trackers.iter().any(|tracker| tracker.fails == 0),
            next_announce: due.filter(|&due| due < Time::MAX),
            interval: lane.and_then(|lane| lane.interval),
            counts: self.counts,
            last_scrape: self.last_scrape,
        }
    }
}

impl Lane {
    fn new(order: Vec<usize>, completed: bool) -> Self {
        Self {
            order,
            step: Step::Idle,
            tried: Vec::new(),
            forced: false,
            due: Time::MAX,
            wish: Time::MAX,
            earliest: Time::ZERO,
            interval: None,
            served: false,
            completed,
            armed: None,
        }
    }
}

/// What a tracker says of a swarm, over what was known.
pub(super) fn merge(known: &mut Counts, heard: Counts) {
    for (known, heard) in [
        (&mut known.complete, heard.complete),
        (&mut known.incomplete, heard.incomplete),
        (&mut known.downloaded, heard.downloaded),
        (&mut known.downloaders, heard.downloaders),
    ] {
        *known = heard.or(*known);
    }
}
