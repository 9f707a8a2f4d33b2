//! A policy under watch: what it sends and what it tells is counted here, the same way for all.

use std::hash::{BuildHasher, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use analysis::Estimate;
use crawler::Source;
use wire::InfoHash;
use wire::krpc::{Body, Message, Method};
use world::{Effect, Input, KeyedSet, KeyedState, Machine, Output, Seed, Tally, Time, closed_list};

use super::bias::Showings;
use super::held::Levels;
use super::load::Load;
use super::policy::{Client, Told};
use super::syns::Counted;
use crate::job::crawl::Estimated;

closed_list! {
    /// What a query asks.
    Asked {
        /// BEP 5.
        Ping => "ping",
        /// BEP 5.
        FindNode => "find_node",
        /// BEP 5.
        GetPeers => "get_peers",
        /// BEP 51.
        Sample => "sample_infohashes",
        /// Anything else.
        Other => "other",
    }
}

impl Asked {
    const fn of(method: &Method<'_>) -> Self {
        match method {
            Method::Ping => Self::Ping,
            Method::FindNode { .. } => Self::FindNode,
            Method::GetPeers { .. } => Self::GetPeers,
            Method::SampleInfohashes { .. } => Self::Sample,
            _ => Self::Other,
        }
    }
}

/// How far it was at one moment. Everything is counted from the start.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Point {
    /// Seconds since the start.
    pub at: u64,
    /// DHT queries sent.
    pub queries: u64,
    /// Of these, `get_peers`.
    pub get_peers: u64,
    /// Of these, `sample_infohashes`.
    pub samples: u64,
    /// Answers, and errors, that came.
    pub answers: u64,
    /// Distinct infohashes that samples or announces showed.
    pub infohashes: u64,
    /// Info dictionaries.
    pub metadata: u64,
    /// Infohashes given up without one.
    pub failed: u64,
    /// SYN packets of TCP.
    pub tcp_syns: u64,
    /// SYN packets of uTP.
    pub utp_syns: u64,
}

/// How it stood after a quarter of a sweep.
#[derive(Clone, Debug)]
pub struct Quarter {
    /// In numbers.
    pub point: Point,
    /// Infohashes that samples or announces had shown.
    pub seen: Vec<InfoHash>,
}

/// What a policy took the whole to be: second by second, the value between the ends of its 95% interval.
#[derive(Clone, Default, Debug)]
pub struct Course {
    /// Infohashes.
    pub keys: Vec<(u64, [f64; 3])>,
    /// Nodes that a lookup can find.
    pub nodes: Vec<(u64, [f64; 3])>,
    /// When it estimated last: what has no value of then could not be estimated any more.
    pub last: u64,
}

impl Course {
    fn note(&mut self, now: Time, estimated: &Estimated) {
        self.last = now.as_secs();
        let [nodes, _] = estimated.nodes;
        // A census has listed zones for it.
        let nodes = estimated.nodes_by_zones.or(nodes);
        for (course, estimate) in [(&mut self.keys, estimated.keys), (&mut self.nodes, nodes)] {
            if let Some(Estimate { low, value, high, .. }) = estimate {
                course.push((now.as_secs(), [low, value, high]));
            }
        }
    }
}

/// A policy, and all that it did.
pub struct Watched {
    client: Counted<Client>,
    queries: Tally<Asked>,
    answers: u64,
    /// Shown by samples or announces.
    seen: KeyedSet<InfoHash>,
    /// Times that somebody asked for an infohash: sightings of another kind, since no torrent need be there.
    asked_for: u64,
    /// Infohashes with an info dictionary.
    fetched: KeyedSet<InfoHash>,
    metadata: u64,
    failed: u64,
    load: Load,
    showings: Showings,
    estimates: Course,
    /// The most that it held of each kind of state.
    held: Levels,
    /// When it last sent a query, and the longest time without one.
    pause: (Time, Duration),
    /// When it ended, if it did so by itself.
    over: Option<Time>,
    points: Vec<Point>,
    /// Queries of any kind but `get_peers` that are a quarter of a sweep, and how it stood then.
    quarter: (u64, Option<Quarter>),
    /// Infohashes whose peers it asked for.
    wanted: KeyedSet<InfoHash>,
    every: Duration,
    next: Time,
    fingerprint: <KeyedState as BuildHasher>::Hasher,
}

impl Watched {
    /// A policy that has done nothing yet; a [`Point`] is told `every` so often. Of the world:
    /// queries that are a quarter of a sweep, and torrents.
    pub(super) fn new(client: Client, every: Duration, (quarter, torrents): (u64, usize), seed: Seed) -> Self {
        let seed = seed.derive("watch");
        Self {
            client: Counted::new(client),
            queries: Tally::new(),
            answers: 0,
            seen: KeyedSet::with_hasher(seed.derive("seen").hasher()),
            asked_for: 0,
            fetched: KeyedSet::with_hasher(seed.derive("fetched").hasher()),
            metadata: 0,
            failed: 0,
            load: Load::new(seed),
            showings: Showings::new(torrents, seed),
            estimates: Course::default(),
            held: Levels::new(),
            pause: (Time::ZERO, Duration::ZERO),
            over: None,
            points: vec![Point::default()],
            quarter: (quarter, None),
            wanted: KeyedSet::with_hasher(seed.derive("wanted").hasher()),
            every,
            next: Time::ZERO + every,
            fingerprint: Seed::from_number(0).hasher().build_hasher(),
        }
    }

    /// The course of it: the beginning, and one point after each stretch of time.
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// Queries by method.
    pub const fn queries(&self) -> &Tally<Asked> {
        &self.queries
    }

    /// How it stood when the queries that look for infohashes, all but `get_peers`, were a quarter of a sweep: of one query for
    /// each contact that goes round. `None` if it never came so far.
    pub const fn quarter(&self) -> Option<&Quarter> {
        self.quarter.1.as_ref()
    }

    /// Infohashes whose peers it asked for, in no order.
    pub fn wanted(&self) -> impl Iterator<Item = &InfoHash> {
        self.wanted.iter()
    }

    /// Every infohash that samples or announces showed, in no order.
    pub fn seen(&self) -> impl Iterator<Item = &InfoHash> {
        self.seen.iter()
    }

    /// Every infohash with an info dictionary, in no order.
    pub fn fetched(&self) -> impl Iterator<Item = &InfoHash> {
        self.fetched.iter()
    }

    /// The most that it held of each kind of state, as far as it told.
    pub const fn held(&self) -> &Levels {
        &self.held
    }

    /// The longest time without a query, that until `end` included.
    pub fn longest_pause(&self, end: Time) -> Duration {
        let (last, longest) = self.pause;
        longest.max(end.since(last))
    }

    /// When it ended by itself, if it did.
    pub const fn over(&self) -> Option<Time> {
        self.over
    }

    /// Times that somebody asked us for the peers of an infohash.
    pub const fn asked_for(&self) -> u64 {
        self.asked_for
    }

    /// What it took the whole to be.
    pub const fn estimates(&self) -> &Course {
        &self.estimates
    }

    /// What nodes showed of what they hold.
    pub(super) const fn showings(&self) -> &Showings {
        &self.showings
    }

    /// How often each host was asked.
    pub const fn load(&self) -> &Load {
        &self.load
    }

    /// Stands for every byte that was sent, and when: two runs with the same one are the same run.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint.finish()
    }

    fn point(&self, now: Time) -> Point {
        Point {
            at: now.as_secs(),
            queries: self.queries.total(),
            get_peers: self.queries[Asked::GetPeers],
            samples: self.queries[Asked::Sample],
            answers: self.answers,
            infohashes: self.seen.len() as u64,
            metadata: self.metadata,
            failed: self.failed,
            tcp_syns: self.client.syns.tcp,
            utp_syns: self.client.syns.utp,
        }
    }

    fn heed(&mut self, now: Time, told: &Told) {
        match told {
            Told::Sighting(sighting) if sighting.source == Source::GetPeers => self.asked_for += 1,
            Told::Sighting(sighting) => drop(self.seen.insert(sighting.info_hash)),
            Told::Seen(info_hash) => drop(self.seen.insert(*info_hash)),
            Told::Metadata(info_hash, _) => {
                self.metadata += 1;
                self.fetched.insert(*info_hash);
                self.fingerprint.write(info_hash.as_bytes());
            }
            Told::Failed(_) => self.failed += 1,
            Told::Over(estimated) => {
                self.over = Some(now);
                if let Some(estimated) = estimated {
                    self.estimates.note(now, estimated);
                }
            }
            Told::Estimated(estimated) => self.estimates.note(now, estimated),
            Told::Holds(levels) => {
                for (held, level) in levels.iter() {
                    self.held[held] = self.held[held].max(level);
                }
            }
        }
    }

    fn heard(&mut self, from: SocketAddr, bytes: &[u8]) {
        match Message::decode(bytes) {
            // What nodes ask of us is no answer of theirs.
            Ok(message) if matches!(message.body, Body::Query(_)) => return,
            Ok(message) => self.showings.heard(from, &message),
            Err(_) if bytes.windows(QUESTION.len()).any(|part| part == QUESTION) => return,
            Err(_) => {}
        }
        self.answers += 1;
    }

    fn sent(&mut self, now: Time, effect: &Effect, payload: &[u8]) {
        self.fingerprint.write_u64(now.as_micros());
        self.fingerprint.write(payload);
        if let Effect::Send { to, .. } = effect
            && payload.first() == Some(&b'd')
            && let Ok(message) = Message::decode(payload)
            && let Body::Query(query) = message.body
        {
            self.queries.count(Asked::of(&query.method));
            self.showings.asked(*to, message.transaction, &query.method);
            let (last, longest) = self.pause;
            self.pause = (now, longest.max(now.since(last)));
            if let Method::GetPeers { info_hash, .. } = query.method {
                self.wanted.insert(info_hash);
            }
            self.load.count(now, host(to.ip()));
            let searching = self.queries.total() - self.queries[Asked::GetPeers];
            if searching >= self.quarter.0 && self.quarter.1.is_none() {
                let (point, seen) = (self.point(now), self.seen.iter().copied().collect());
                self.quarter.1 = Some(Quarter { point, seen });
            }
        }
    }
}

/// What questions say of themselves, those that make no sense too (BEP 5).
const QUESTION: &[u8] = b"1:y1:q";

/// One host is one IPv4 address, or one /64 of IPv6.
fn host(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(ip) => IpAddr::V6((ip.to_bits() >> 64 << 64).into()),
    }
}

impl Machine for Watched {
    type Event = Point;

    fn handle(&mut self, now: Time, input: Input<'_>) {
        if let Input::Datagram { from, bytes, .. } = input
            && bytes.first() == Some(&b'd')
        {
            self.heard(from, bytes);
        }
        self.client.handle(now, input);
    }

    fn poll(&mut self, now: Time, payload: &mut Vec<u8>) -> Option<Output<Point>> {
        if now >= self.next {
            self.next = self.next + self.every;
            let point = self.point(now);
            self.points.push(point);
            return Some(Output::Event(point));
        }
        loop {
            match self.client.poll(now, payload)? {
                Output::Event(told) => self.heed(now, &told),
                Output::Effect(effect) => {
                    self.sent(now, &effect, payload);
                    return Some(Output::Effect(effect));
                }
            }
        }
    }

    fn deadline(&self) -> Option<Time> {
        self.client.deadline().into_iter().chain([self.next]).min()
    }
}
