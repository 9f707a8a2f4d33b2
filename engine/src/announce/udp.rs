//! Trackers over UDP (BEP 15): names, connection ids that all torrents share, and questions sent again.

use std::net::SocketAddr;
use std::time::Duration;

use rand::Rng;
use wire::tracker::AnnounceReply;
use wire::tracker::udp::Reply;
use world::{Effect, KeyedMap, KeyedState, Time, WebFault, WebId};

use super::asks::{Outcome, Owner, Request, Way, What};
use super::torrent::{Site, Target};
use super::{Announcer, Counted, Failure, Out};

/// How long a connection id may be used (BEP 15).
const CONNECTION_TTL: Duration = Duration::from_secs(60);

/// Names and connection ids that are remembered: beyond it those go that are of no more use.
const REMEMBERED: usize = 4_096;

/// A tracker that was silent is not waited for so long after: further torrents ask it, too, but go on to their next tracker
/// at once.
const SHUNNED: Duration = Duration::from_secs(60);

/// Addresses of one name that are tried.
const MOST_ADDRS: usize = 8;

/// Where a question over UDP stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    /// The tracker's address is looked up.
    Resolving,
    /// Another request asks for a connection id.
    Waiting,
    /// This one does.
    Connecting,
    /// The question itself is asked.
    Asking,
}

/// One question to one tracker.
#[derive(Debug)]
pub(super) struct Talk {
    /// Chooses among the addresses of the tracker.
    turn: u32,
    pub(super) addr: Option<SocketAddr>,
    pub(super) stage: Stage,
    pub(super) transaction: u32,
    /// Waits in vain.
    timeouts: u32,
}

impl Talk {
    pub(super) const fn new(turn: u32) -> Self {
        Self {
            turn,
            addr: None,
            stage: Stage::Resolving,
            transaction: 0,
            timeouts: 0,
        }
    }
}

/// What is known of one tracker endpoint.
#[derive(Default, Debug)]
pub(super) struct Session {
    /// Its connection id, and until when it may be used.
    pub(super) id: Option<(u64, Time)>,
    /// The request that asks for one.
    leader: Option<u64>,
    /// That one and all others that need it.
    waiting: Vec<u64>,
    /// It was silent lately, and is not waited for until then.
    shunned: Time,
}

/// Names and their addresses.
#[derive(Debug)]
pub(super) struct Names {
    by_place: KeyedMap<String, Name>,
    /// Those that are looked up, by the number of the question.
    asked: KeyedMap<u64, String>,
}

#[derive(Debug)]
enum Name {
    Asked {
        number: u64,
        since: Time,
        waiting: Vec<u64>,
    },
    Known {
        addrs: Vec<SocketAddr>,
        until: Time,
    },
}

impl Names {
    pub(super) fn new(hasher: KeyedState) -> Self {
        Self {
            by_place: KeyedMap::with_hasher(hasher),
            asked: KeyedMap::with_hasher(hasher),
        }
    }

    /// Room for one more name.
    fn make_room(&mut self, now: Time) {
        if self.by_place.len() < REMEMBERED {
            return;
        }
        // What is asked for is bounded by the requests that wait for it.
        self.by_place.retain(|_, name| match name {
            Name::Asked { .. } => true,
            Name::Known { until, .. } => *until > now,
        });
        let soonest = self.by_place.iter().filter_map(|(place, name)| match name {
            Name::Known { until, .. } => Some((*until, place)),
            Name::Asked { .. } => None,
        });
        if self.by_place.len() >= REMEMBERED
            && let Some(place) = soonest.min().map(|(_, place)| place.clone())
        {
            self.by_place.remove(&place);
        }
    }
}

impl Announcer {
    /// Finds the address of a request's tracker, or has it looked up.
    pub(super) fn find(&mut self, now: Time, number: u64) {
        let Some(request) = self.requests.get(&number) else {
            return;
        };
        let (site, patience) = (request.site.clone(), self.config.receive_timeout);
        let Target::Udp { place, addr, .. } = &site.target else {
            return;
        };
        if let Some(addr) = addr {
            return self.found(now, number, &[*addr]);
        }
        match self.names.by_place.get_mut(place) {
            Some(Name::Known { addrs, until }) if *until > now => {
                let addrs = addrs.clone();
                return self.found(now, number, &addrs);
            }
            Some(Name::Asked { since, waiting, .. }) if now.since(*since) < patience => waiting.push(number),
            _ => {
                let asked = self.number();
                let waiting = match self.names.by_place.remove(place) {
                    Some(Name::Asked {
                        number: before,
                        mut waiting,
                        ..
                    }) => {
                        self.names.asked.remove(&before);
                        waiting.push(number);
                        waiting
                    }
                    _ => vec![number],
                };
                self.names.make_room(now);
                let name = Name::Asked {
                    number: asked,
                    since: now,
                    waiting,
                };
                self.names.by_place.insert(place.clone(), name);
                self.names.asked.insert(asked, place.clone());
                self.out.push_back(Out::Resolve(asked));
            }
        }
        self.arm(number, now + patience);
    }

    /// Writes the name that is looked up.
    pub(super) fn write_name(&mut self, asked: u64, payload: &mut Vec<u8>) -> Option<Effect> {
        let place = self.names.asked.get(&asked)?;
        payload.extend_from_slice(place.as_bytes());
        self.counts.count(Counted::Lookup);
        Some(Effect::Resolve {
            id: WebId(self.first_id + asked),
            len: place.len(),
        })
    }

    pub(super) fn resolved(&mut self, now: Time, asked: u64, addrs: &[SocketAddr]) {
        let Some(place) = self.names.asked.remove(&asked) else {
            return;
        };
        let known = Name::Known {
            addrs: addrs.iter().copied().take(MOST_ADDRS).collect(),
            until: now + self.config.dns_ttl,
        };
        // That there is no address is not remembered: the tracker is left alone for having failed, anyway.
        let before = match addrs.is_empty() {
            true => self.names.by_place.remove(&place),
            false => self.names.by_place.insert(place, known),
        };
        if let Some(Name::Asked { waiting, .. }) = before {
            for number in waiting {
                self.found(now, number, addrs);
            }
        }
    }

    /// Goes on with the addresses of a tracker: IPv4 first; after each failure the next one.
    fn found(&mut self, now: Time, number: u64, addrs: &[SocketAddr]) {
        let may = self.config.may_speak_to;
        let Some(Request {
            way: Way::Udp(talk), ..
        }) = self.requests.get_mut(&number)
        else {
            return;
        };
        let mut fit: Vec<SocketAddr> = addrs.iter().copied().take(MOST_ADDRS).filter(may).collect();
        fit.sort_by_key(SocketAddr::is_ipv6);
        let turn = usize::try_from(talk.turn).unwrap_or(0).checked_rem(fit.len());
        talk.addr = turn.and_then(|turn| fit.get(turn).copied());
        match (talk.addr, addrs.is_empty()) {
            (Some(addr), _) => {
                if self.sessions.get(&addr).is_some_and(|session| session.shunned > now) {
                    self.release(now, number);
                }
                self.proceed(now, number);
            }
            (None, true) => self.fail_talk(now, number, Failure::Web(WebFault::NoName)),
            (None, false) => self.fail_talk(now, number, Failure::Web(WebFault::Forbidden)),
        }
    }

    /// Says what is to be said next, or again: the question if there is a connection id, else the question for one.
    fn proceed(&mut self, now: Time, number: u64) {
        let Some(Request {
            way: Way::Udp(talk), ..
        }) = self.requests.get(&number)
        else {
            return;
        };
        let (Some(addr), before) = (talk.addr, talk.stage) else {
            return;
        };
        let first = match self.requests.get(&number).map(|request| request.owner) {
            // What has to be said within 10 s is said again in good time.
            Some(Owner::Farewell(_)) => self.config.udp_timeout.min(self.config.stop_timeout / 4),
            _ => self.config.udp_timeout,
        };
        let wait = first.saturating_mul(1_u32.checked_shl(talk.timeouts).unwrap_or(u32::MAX));
        if self.sessions.len() >= REMEMBERED {
            let useful =
                |session: &Session| !session.waiting.is_empty() || session.id.is_some_and(|(_, until)| until > now);
            self.sessions.retain(|_, session| useful(session));
        }
        let is_held = |number: &u64| self.requests.get(number).is_some_and(|request| request.held);
        let session = self.sessions.entry(addr).or_default();
        session.id = session.id.filter(|&(_, until)| until > now);
        // One whose next word is long to come makes way for one that is waited for.
        if is_held(&number) && session.leader.is_some_and(|leader| !is_held(&leader)) {
            session.leader = None;
        }
        let stage = if session.id.is_some() {
            Stage::Asking
        } else {
            if !session.waiting.contains(&number) {
                session.waiting.push(number);
            }
            match *session.leader.get_or_insert(number) == number {
                true => Stage::Connecting,
                false => Stage::Waiting,
            }
        };
        if stage != before {
            self.new_transaction(number, stage);
        }
        self.arm(number, now + wait);
        if stage != Stage::Waiting {
            self.out.push_back(Out::Send(number));
        }
    }

    /// Gives a request another stage, and a transaction that nobody guesses.
    fn new_transaction(&mut self, number: u64, stage: Stage) {
        let fresh = loop {
            let drawn = self.rng.next_u32();
            // Zero is of those that have said nothing yet.
            if drawn != 0 && !self.transactions.contains_key(&drawn) {
                break drawn;
            }
        };
        if let Some(Request {
            way: Way::Udp(talk), ..
        }) = self.requests.get_mut(&number)
        {
            self.transactions.remove(&talk.transaction);
            talk.transaction = fresh;
            talk.stage = stage;
            self.transactions.insert(fresh, number);
        }
    }

    /// A wait was in vain.
    pub(super) fn talk_is_due(&mut self, now: Time, number: u64) {
        let (retries, patience) = (self.config.udp_retries, self.config.udp_patience);
        let Some(request) = self.requests.get_mut(&number) else {
            return;
        };
        let Way::Udp(talk) = &mut request.way else {
            return;
        };
        if talk.stage == Stage::Resolving {
            return self.fail_talk(now, number, Failure::Web(WebFault::NoName));
        }
        talk.timeouts += 1;
        let spent = talk.timeouts > retries;
        let late = request.held && talk.timeouts >= patience;
        let (addr, owner) = (talk.addr, request.owner);
        if spent || late && matches!(owner, Owner::Scrape { .. }) {
            return self.fail_talk(now, number, Failure::Silent);
        }
        if late && matches!(owner, Owner::Round { .. }) {
            if let Some(session) = addr.and_then(|addr| self.sessions.get_mut(&addr)) {
                session.shunned = now + SHUNNED;
            }
            self.release(now, number);
        }
        self.proceed(now, number);
    }

    /// A round waits for this request no longer, unless the user asked for it and no answer can have come yet.
    fn release(&mut self, now: Time, number: u64) {
        let Some(request) = self.requests.get_mut(&number) else {
            return;
        };
        let (Owner::Round { torrent, tracker }, Way::Udp(talk)) = (request.owner, &request.way) else {
            return;
        };
        let it = self.torrents.get(&torrent);
        let lane = it.and_then(|it| it.lanes.get(it.trackers.get(tracker)?.lane));
        if talk.timeouts == 0 && lane.is_some_and(|lane| lane.forced) {
            return;
        }
        request.held = false;
        self.held -= 1;
        // As long as it is sent again, no round needs to ask.
        let least = self.config.min_interval;
        self.failed(now, torrent, tracker, Failure::Silent, None, least);
        self.next_round(now, torrent, tracker);
    }

    fn fail_talk(&mut self, now: Time, number: u64, failure: Failure) {
        self.settle(now, number, Outcome::Failed(failure, None));
    }

    /// A datagram that looks like a tracker's: it must come from whom we asked, and answer what we asked.
    pub(super) fn datagram(&mut self, now: Time, from: SocketAddr, bytes: &[u8]) {
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        let read = Reply::decode(bytes, from.is_ipv6()).ok();
        let asked = read.and_then(|(transaction, reply)| {
            let &number = self.transactions.get(&transaction)?;
            let request = self.requests.get(&number)?;
            match &request.way {
                Way::Udp(talk) if talk.addr == Some(from) => Some((number, talk.stage, request.what, reply)),
                _ => None,
            }
        });
        if asked.is_some()
            && let Some(session) = self.sessions.get_mut(&from)
        {
            session.shunned = Time::ZERO;
        }
        let outcome = match asked {
            Some((_, Stage::Connecting, _, Reply::Connected(id))) => return self.connected(now, from, id),
            Some((
                number,
                Stage::Asking,
                What::Announce(_),
                Reply::Announced {
                    interval,
                    counts,
                    peers,
                },
            )) => {
                let reply = AnnounceReply {
                    interval,
                    min_interval: None,
                    counts,
                    tracker_id: None,
                    warning: None,
                    external_ip: None,
                    peers: peers.iter().take(self.config.most_peers).collect(),
                };
                Some((number, Outcome::Announced(reply)))
            }
            Some((number, Stage::Asking, What::Scrape, Reply::Scraped(swarms))) => {
                let counts = swarms.iter().next().unwrap_or_default();
                Some((number, Outcome::Scraped(counts)))
            }
            Some((number, Stage::Connecting | Stage::Asking, _, Reply::Refused(said))) => {
                // It may be the connection id that it does not like.
                if let Some(session) = self.sessions.get_mut(&from) {
                    session.id = None;
                }
                Some((number, Outcome::Failed(Failure::Refused(Reply::reason(said)), None)))
            }
            _ => None,
        };
        match outcome {
            Some((number, outcome)) => self.settle(now, number, outcome),
            None => self.counts.count(Counted::Stray),
        }
    }

    /// All who wait for this connection id go on.
    fn connected(&mut self, now: Time, from: SocketAddr, id: u64) {
        let Some(session) = self.sessions.get_mut(&from) else {
            return;
        };
        session.id = Some((id, now + CONNECTION_TTL));
        session.leader = None;
        for number in std::mem::take(&mut session.waiting) {
            self.proceed(now, number);
        }
    }

    /// A request is over: what it held goes, and another asks for the connection id in its place.
    pub(super) fn hang_up(&mut self, number: u64, talk: &Talk, site: &Site) {
        self.transactions.remove(&talk.transaction);
        if let (Stage::Resolving, Target::Udp { place, .. }) = (talk.stage, &site.target)
            && let Some(Name::Asked { waiting, .. }) = self.names.by_place.get_mut(place)
        {
            waiting.retain(|&other| other != number);
        }
        let Some(session) = talk.addr.and_then(|addr| self.sessions.get_mut(&addr)) else {
            return;
        };
        session.waiting.retain(|&other| other != number);
        if session.leader == Some(number) {
            // One that nobody waits for leads when its own time comes.
            let held = |number: &&u64| self.requests.get(number).is_some_and(|request| request.held);
            session.leader = session.waiting.iter().find(held).copied();
            if let Some(next) = session.leader {
                self.new_transaction(next, Stage::Connecting);
                self.out.push_back(Out::Send(next));
            }
        }
    }
}
