//! Rounds: when one begins, who is next, and what becomes of an answer; and taking leave.

use std::sync::Arc;
use std::time::Duration;

use wire::tracker::{AnnounceReply, Counts, Event, Retry};
use world::Time;

use super::asks::{Outcome, Owner, What};
use super::torrent::{Step, Tracker, merge};
use super::{Announcer, Failure, Farewell, Job, Stats, Timer, Told};

/// The longest that a tracker may have us wait.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

impl Announcer {
    /// Lanes that rest begin a round now.
    pub(super) fn begin_all(&mut self, now: Time, torrent: u32) {
        for lane in self.lanes(torrent) {
            if lane.step == Step::Idle {
                lane.due = now;
            }
        }
        self.arm_all(torrent);
    }

    /// Sets the alarms of a torrent's lanes.
    pub(super) fn arm_all(&mut self, torrent: u32) {
        let Some(it) = self.torrents.get_mut(&torrent) else {
            return;
        };
        for (at, lane) in it.lanes.iter_mut().enumerate() {
            let due = lane.due.min(lane.wish);
            let due = (due < Time::MAX).then_some(due);
            if lane.armed != due {
                let timer = Timer::Round(torrent, at);
                if let Some(armed) = std::mem::replace(&mut lane.armed, due) {
                    self.timers.remove(&(armed, timer));
                }
                self.timers.extend(due.map(|due| (due, timer)));
            }
        }
    }

    pub(super) fn round_is_due(&mut self, now: Time, torrent: u32, at: usize) {
        let Some(it) = self.torrents.get_mut(&torrent) else {
            return;
        };
        let Some(lane) = it.lanes.get_mut(at) else {
            return;
        };
        lane.armed = None;
        let wished = lane.wish <= now;
        if wished {
            lane.wish = Time::MAX;
        }
        if lane.step == Step::Idle {
            lane.step = Step::Queued;
            lane.forced = wished;
            lane.served = false;
            lane.due = Time::MAX;
            lane.tried.clear();
            self.jobs.push_back(Job::Round(torrent, at));
        }
        self.arm_all(torrent);
    }

    /// Asks the next tracker of a round, or ends a round in vain.
    pub(super) fn next_tracker(&mut self, now: Time, torrent: u32, at: usize) {
        let Some(it) = self.torrents.get_mut(&torrent) else {
            return;
        };
        let Some(lane) = it.lanes.get(at).filter(|lane| lane.step == Step::Queued) else {
            return;
        };
        let next = it.next(now, lane);
        let again = it.again(lane);
        let Some(lane) = it.lanes.get_mut(at) else {
            return;
        };
        let Some(next) = next else {
            lane.step = Step::Idle;
            lane.forced = false;
            lane.due = again;
            self.arm_all(torrent);
            return;
        };
        lane.step = Step::Asking(next);
        lane.tried.push(next);
        let Some(tracker) = it.trackers.get(next) else {
            return;
        };
        let event = it.event(tracker);
        let (site, turn, waiting) = (tracker.site.clone(), tracker.fails, tracker.request);
        // A question that was sent again and again is asked anew.
        if let Some(waiting) = waiting {
            self.cancel(waiting);
        }
        self.tell(Told::Asking {
            torrent,
            tracker: site.url.clone(),
            event,
        });
        let owner = Owner::Round { torrent, tracker: next };
        let number = self.number();
        if let Some(tracker) = self.tracker(torrent, next) {
            tracker.request = Some(number);
        }
        self.start(now, number, owner, What::Announce(event), site, turn);
    }

    pub(super) fn start_scrape(&mut self, now: Time, torrent: u32) {
        let number = self.number();
        let Some(it) = self.torrents.get_mut(&torrent) else {
            return;
        };
        let Some((tracker, request @ None)) = &mut it.scrape else {
            return;
        };
        *request = Some(number);
        let tracker = *tracker;
        let Some(it) = it.trackers.get(tracker) else {
            return;
        };
        let (site, turn) = (it.site.clone(), it.fails);
        self.start(
            now,
            number,
            Owner::Scrape { torrent, tracker },
            What::Scrape,
            site,
            turn,
        );
    }

    pub(super) fn start_farewell(&mut self, now: Time, farewell: u64) {
        let number = self.number();
        if let Some(it) = self.farewells.get_mut(&farewell) {
            it.request = Some(number);
            let site = it.site.clone();
            self.start(
                now,
                number,
                Owner::Farewell(farewell),
                What::Announce(Event::Stopped),
                site,
                0,
            );
        }
    }

    /// A request is over. `held` says whether anybody still waited for it.
    pub(super) fn settled(&mut self, now: Time, owner: Owner, event: Event, outcome: Outcome, held: bool) {
        match (owner, outcome) {
            (Owner::Farewell(farewell), _) => self.end_farewell(farewell),
            (Owner::Round { torrent, tracker }, Outcome::Announced(reply)) => {
                self.announced(now, torrent, tracker, event, reply);
            }
            (Owner::Round { torrent, tracker }, Outcome::Failed(failure, retry)) => {
                if let Some(it) = self.tracker(torrent, tracker) {
                    it.request = None;
                }
                // That it is silent was said when it was released.
                if held || failure != Failure::Silent {
                    self.failed(now, torrent, tracker, failure, retry, Duration::ZERO);
                }
                self.next_round(now, torrent, tracker);
            }
            (Owner::Scrape { torrent, tracker }, outcome) => self.scraped(now, torrent, tracker, outcome),
            // A scrape's answer to an announce does not come this far.
            (Owner::Round { .. }, Outcome::Scraped(_)) => (),
        }
    }

    fn announced(&mut self, now: Time, torrent: u32, at: usize, event: Event, reply: AnnounceReply) {
        let floor = self.config.min_interval;
        let default = self.config.default_interval;
        let Some(it) = self.torrents.get_mut(&torrent) else {
            return;
        };
        let Some(tracker) = it.trackers.get_mut(at) else {
            return;
        };
        let secs = |number: Option<u32>| number.map(|secs| Duration::from_secs(u64::from(secs)).min(LONGEST));
        let (wanted, least) = (secs(reply.interval), secs(reply.min_interval));
        let interval = wanted.unwrap_or(default).max(least.unwrap_or_default()).max(floor);
        let url = tracker.site.url.clone();
        tracker.request = None;
        tracker.started = true;
        tracker.fails = 0;
        tracker.not_before = Time::ZERO;
        tracker.dead = false;
        tracker.successes += 1;
        tracker.failure = None;
        tracker.warning = reply.warning.clone();
        if reply.tracker_id.is_some() {
            tracker.id.clone_from(&reply.tracker_id);
        }
        merge(&mut tracker.counts, reply.counts);
        let lane = tracker.lane;
        merge(&mut it.counts, reply.counts);
        it.current = Some(at);
        it.promote(at);
        if let Some(lane) = it.lanes.get_mut(lane) {
            lane.served = true;
            lane.interval = Some(interval);
            lane.earliest = now + least.unwrap_or(interval).max(floor);
            lane.completed &= event != Event::Completed;
            // A late answer ends a round that has not come to another tracker yet.
            if lane.step == Step::Asking(at) || lane.step == Step::Queued {
                lane.step = Step::Idle;
            }
            if lane.step == Step::Idle {
                lane.forced = false;
                lane.due = if lane.completed { now } else { now + interval };
            }
        }
        self.arm_all(torrent);
        self.tell_reply(torrent, &url, event, reply);
    }

    fn tell_reply(&mut self, torrent: u32, url: &Arc<str>, event: Event, reply: AnnounceReply) {
        let tracker = || url.clone();
        if let Some(message) = reply.warning.filter(|message| !message.is_empty()) {
            self.tell(Told::Warning {
                torrent,
                tracker: tracker(),
                message,
            });
        }
        if let Some(ip) = reply.external_ip {
            self.tell(Told::ExternalIp { tracker: tracker(), ip });
        }
        if reply.counts != Counts::default() {
            self.tell(Told::Counts {
                torrent,
                tracker: tracker(),
                counts: reply.counts,
                scraped: false,
            });
        }
        let mut peers = reply.peers;
        peers.retain(|peer| peer.port() != 0);
        let named = peers.len();
        if named > 0 {
            self.tell(Told::Peers {
                torrent,
                tracker: tracker(),
                peers,
            });
        }
        self.tell(Told::Announced {
            torrent,
            tracker: tracker(),
            event,
            peers: named,
        });
    }

    /// A tracker has failed, and is left alone for a while: longer each time, and at least as long as it and we want.
    pub(super) fn failed(
        &mut self,
        now: Time,
        torrent: u32,
        at: usize,
        failure: Failure,
        retry: Option<Retry>,
        least: Duration,
    ) {
        let (first, most) = (self.config.retry, self.config.retry_most);
        let Some(tracker) = self.tracker(torrent, at) else {
            return;
        };
        let doubled = first.saturating_mul(1_u32.checked_shl(tracker.fails).unwrap_or(u32::MAX));
        let asked = match retry {
            Some(Retry::Minutes(minutes)) => Duration::from_secs(u64::from(minutes) * 60).min(LONGEST),
            _ => Duration::ZERO,
        };
        tracker.not_before = now + doubled.min(most).max(asked).max(least);
        tracker.dead = retry == Some(Retry::Never);
        tracker.fails = tracker.fails.saturating_add(1);
        tracker.failures += 1;
        tracker.failure = Some(failure.clone());
        let (times, url) = (tracker.fails, tracker.site.url.clone());
        self.tell(Told::Failed {
            torrent,
            tracker: url,
            failure,
            times,
        });
    }

    /// A tracker is asked no longer, or nobody waits for it any more: whose turn is it?
    pub(super) fn next_round(&mut self, now: Time, torrent: u32, at: usize) {
        let Some(it) = self.torrents.get_mut(&torrent) else {
            return;
        };
        let Some(lane_at) = it.trackers.get(at).map(|tracker| tracker.lane) else {
            return;
        };
        let Some(lane) = it.lanes.get(lane_at) else {
            return;
        };
        let again = it.again(lane);
        let Some(lane) = it.lanes.get_mut(lane_at) else {
            return;
        };
        if lane.step == Step::Asking(at) && lane.served {
            // Another answered late, which is enough.
            lane.step = Step::Idle;
            lane.due = now + lane.interval.unwrap_or(LONGEST);
            self.arm_all(torrent);
        } else if lane.step == Step::Asking(at) {
            lane.step = Step::Queued;
            self.jobs.push_back(Job::Round(torrent, lane_at));
        } else if lane.step == Step::Idle && !lane.served && !it.paused {
            lane.due = lane.due.min(again);
            self.arm_all(torrent);
        }
    }

    fn scraped(&mut self, now: Time, torrent: u32, at: usize, outcome: Outcome) {
        let Some(it) = self.torrents.get_mut(&torrent) else {
            return;
        };
        it.scrape = None;
        let Some(tracker) = it.trackers.get_mut(at) else {
            return;
        };
        let url = tracker.site.url.clone();
        let told = match outcome {
            Outcome::Scraped(counts) => {
                merge(&mut tracker.counts, counts);
                merge(&mut it.counts, counts);
                it.last_scrape = Some(now);
                Told::Counts {
                    torrent,
                    tracker: url,
                    counts,
                    scraped: true,
                }
            }
            Outcome::Failed(failure, _) => Told::ScrapeFailed {
                torrent,
                tracker: url,
                failure,
            },
            Outcome::Announced(_) => return,
        };
        self.tell(told);
    }

    /// Cancels what a torrent asks, and forgets that it waits to ask.
    pub(super) fn cancel_all(&mut self, torrent: u32) {
        let Some(it) = self.torrents.get_mut(&torrent) else {
            return;
        };
        let scrape = it.scrape.take().and_then(|(_, request)| request);
        let announces = it.trackers.iter_mut().filter_map(|tracker| tracker.request.take());
        let requests: Vec<u64> = announces.chain(scrape).collect();
        requests.into_iter().for_each(|number| self.cancel(number));
    }

    /// Ends all dealings of a torrent, with a word to those that have us in their lists.
    pub(super) fn withdraw(&mut self, now: Time, torrent: u32, stats: Stats) {
        // Who was just being told may have heard it.
        let Some(it) = self.torrents.get_mut(&torrent) else {
            return;
        };
        for tracker in &mut it.trackers {
            let request = tracker.request.and_then(|number| self.requests.get(&number));
            tracker.started |= request.is_some_and(super::Request::may_be_known);
        }
        self.cancel_all(torrent);
        let Some(it) = self.torrents.get_mut(&torrent) else {
            return;
        };
        for lane in &mut it.lanes {
            lane.step = Step::Idle;
            lane.forced = false;
            lane.served = false;
            lane.due = Time::MAX;
            lane.wish = Time::MAX;
        }
        let left = it.trackers.iter_mut().map(Tracker::left).collect();
        self.arm_all(torrent);
        self.leave(now, torrent, left, stats);
    }

    /// A farewell to each of these trackers that has us in its list.
    pub(super) fn leave(&mut self, now: Time, torrent: u32, trackers: Vec<Tracker>, stats: Stats) {
        let Some(it) = self.torrents.get(&torrent) else {
            return;
        };
        let (of, key, swarm) = (it.serial, it.key, it.swarm.clone());
        let until = now + self.config.stop_timeout;
        for tracker in trackers.into_iter().filter(|tracker| tracker.started) {
            self.queue_farewell(Farewell {
                of,
                swarm: swarm.clone(),
                key,
                site: tracker.site,
                tracker_id: tracker.id,
                stats,
                request: None,
                until,
            });
        }
    }

    fn queue_farewell(&mut self, farewell: Farewell) {
        let number = self.number();
        self.timers.insert((farewell.until, Timer::Farewell(number)));
        self.farewells.insert(number, farewell);
        self.jobs.push_back(Job::Farewell(number));
    }

    /// A farewell was heard, or is given up.
    pub(super) fn end_farewell(&mut self, number: u64) {
        if let Some(farewell) = self.farewells.remove(&number) {
            self.timers.remove(&(farewell.until, Timer::Farewell(number)));
            if let Some(request) = farewell.request {
                self.cancel(request);
            }
        }
    }

    pub(super) fn tracker(&mut self, torrent: u32, at: usize) -> Option<&mut Tracker> {
        self.torrents.get_mut(&torrent)?.trackers.get_mut(at)
    }
}
