//! The population at work: a machine that receives what is sent to any of its addresses, and answers from there.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use wire::InfoHash;
use wire::krpc::{Body, Message, Method, Query};
use world::{ConnId, Effect, Input, KeyedMap, Machine, Output, Seed, Time};

use crate::address::Host;
use crate::answer::{Asked, Draft, Said, put_rumours};
use crate::callers::Callers;
use crate::client::{Habits, Kind};
use crate::counts::Counts;
use crate::guests::Guests;
use crate::keys::KeyIndex;
use crate::net::Net;
use crate::nodes::{Reach, Traits};
use crate::pair::{Bucket, Pair, Verdict};
use crate::peer::{Session, Stage};
use crate::population::{Config, Population, Somebody, Truth};
use crate::queue::{Queue, What};

/// What a lab tells whoever runs it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// It was told to stop, and has.
    Stopped,
}

/// A node's memory, besides what it remembers of each asker.
#[derive(Clone, Copy, Default, Debug)]
struct Memory {
    frozen: Option<Time>,
    upload: Bucket,
    queries: Bucket,
}

/// A whole DHT and its peers behind one machine.
///
/// Delay and loss happen in here, so the lab is the same in virtual time and on loopback sockets. It holds at most
/// [`Lab::PAIRS_MAX`] pairs of hosts that have spoken and [`Lab::SESSIONS_MAX`] connections; packets of further pairs are
/// lost, further connections closed.
#[derive(Debug)]
pub struct Lab {
    pub(crate) population: Population,
    net: Net,
    pairs: KeyedMap<(Ipv4Addr, Ipv4Addr), Pair>,
    /// Of nodes that have been asked anything.
    memories: KeyedMap<Host, Memory>,
    /// Open connections; `None` for one that is about to be turned away.
    sessions: KeyedMap<ConnId, Option<Session>>,
    calls: u64,
    guests: Guests,
    callers: Callers,
    queue: Queue,
    draft: Draft,
    /// Keys that a delivered sample has shown, one bit each.
    shown: Vec<u64>,
    counts: Counts,
    stopped: bool,
    events: Vec<Event>,
}

/// A query on its way to a host.
struct Asking<'a> {
    now: Time,
    from: SocketAddr,
    client: Ipv4Addr,
    ip: Ipv4Addr,
    bytes: &'a [u8],
    transaction: &'a [u8],
    query: Query<'a>,
}

impl Lab {
    /// Most pairs of hosts: what 16.5 million addresses and a dozen clients could fill is cut where memory would hurt.
    pub const PAIRS_MAX: usize = 1 << 22;
    /// Most open connections.
    pub const SESSIONS_MAX: usize = 1 << 15;

    /// Builds the population of this seed, and its paths.
    pub fn new(config: Config, seed: Seed) -> Self {
        Self::of(Population::new(config, seed))
    }

    /// A lab around a population that exists already.
    pub fn of(population: Population) -> Self {
        let seed = population.seed;
        let profile = &population.config.profile;
        Self {
            net: Net::new(&profile.net, seed),
            callers: Callers::new(profile.nodes.inbound_per_second, seed),
            pairs: KeyedMap::with_hasher(seed.derive("pairs").hasher()),
            sessions: KeyedMap::with_hasher(seed.derive("connections").hasher()),
            memories: KeyedMap::with_hasher(seed.derive("memories").hasher()),
            calls: 0,
            guests: Guests::default(),
            queue: Queue::default(),
            draft: Draft::default(),
            shown: vec![0; population.keys.all().len().div_ceil(64)],
            counts: Counts::default(),
            stopped: false,
            events: Vec::new(),
            population,
        }
    }

    /// What the lab is made of.
    pub fn population(&self) -> &Population {
        &self.population
    }

    /// Where to begin: the router.
    pub fn bootstrap(&self) -> SocketAddr {
        self.population.bootstrap()
    }

    /// Round-trip time of two addresses, without jitter; zero outside of IPv4.
    pub fn rtt(&self, one: IpAddr, other: IpAddr) -> Duration {
        match (one, other) {
            (IpAddr::V4(one), IpAddr::V4(other)) => self.net.rtt(one, other),
            _ => Duration::ZERO,
        }
    }

    /// What has happened so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The truth about every infohash that a sample has displayed so far, in ascending order, made row by row.
    pub fn shown(&self) -> impl Iterator<Item = Truth> {
        self.shown_keys()
            .map(|index| self.population.truth_of(&self.population.keys.all()[index as usize]))
    }

    /// How many infohashes samples have displayed so far.
    pub fn shown_count(&self) -> usize {
        self.shown.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether a sample has displayed this infohash.
    pub fn has_shown(&self, infohash: &InfoHash) -> bool {
        self.population
            .keys
            .find(infohash)
            .is_some_and(|index| self.is_shown(index))
    }

    fn is_shown(&self, index: usize) -> bool {
        self.shown
            .get(index / 64)
            .is_some_and(|word| word & (1 << (index % 64)) != 0)
    }

    pub(crate) fn shown_keys(&self) -> impl Iterator<Item = KeyIndex> {
        (0..self.population.keys.all().len())
            .filter(|index| self.is_shown(*index))
            .map(|index| index as KeyIndex)
    }

    /// Living nodes that anybody has asked anything.
    pub(crate) fn hosts_asked(&self) -> usize {
        let asked = self.pairs.iter().filter(|(_, pair)| pair.pace.queries > 0);
        let hosts: BTreeSet<Ipv4Addr> = asked.map(|((_, host), _)| *host).collect();
        hosts
            .into_iter()
            .filter(|host| matches!(self.population.at(*host), Some(Somebody::Node(_))))
            .count()
    }

    /// Every asker with every host it has sent anything to.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (Ipv4Addr, Ipv4Addr, &Pair)> {
        self.pairs.iter().map(|((client, host), pair)| (*client, *host, pair))
    }

    fn datagram(&mut self, now: Time, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        let (IpAddr::V4(client), IpAddr::V4(ip)) = (from.ip(), to.ip()) else {
            self.counts.unreadable += 1;
            return;
        };
        let Ok(message) = Message::decode(bytes) else {
            self.counts.unreadable += 1;
            return;
        };
        let Body::Query(query) = message.body else {
            self.counts.replies += 1;
            return;
        };
        if !message.read_only {
            self.callers.heard(now, from, query.id);
        }
        let full = self.pairs.len() >= Self::PAIRS_MAX;
        if full && !self.pairs.contains_key(&(client, ip)) {
            self.counts.lost += 1;
            return;
        }
        let pair = self.pairs.entry((client, ip)).or_default();
        pair.packets += 1;
        pair.pace.count(now);
        self.counts.queries.count(&query.method);
        let packet = self.net.packet(client, ip, pair.packets);
        if self.net.loses(&mut pair.to_host, 0, now, packet) {
            self.counts.lost += 1;
            return;
        }
        let asking = Asking {
            now,
            from,
            client,
            ip,
            bytes,
            transaction: message.transaction,
            query,
        };
        match self.population.at(ip) {
            Some(Somebody::Router) if to.port() == self.population.config.port => self.ask_router(&asking),
            Some(Somebody::Node(node)) if to.port() == self.population.config.port => self.ask_node(&asking, node),
            _ => self.counts.nobody += 1,
        }
    }

    /// A router answers ping and find_node (A9).
    fn ask_router(&mut self, asking: &Asking<'_>) {
        let population = &self.population;
        self.draft.nodes.clear();
        match asking.query.method {
            Method::Ping => {}
            Method::FindNode { target } => {
                let mut near = Vec::new();
                let draw = self
                    .pairs
                    .get(&(asking.client, asking.ip))
                    .map_or(0, |pair| pair.packets);
                population.nodes.known_to_router(draw, &target, &mut near);
                put_rumours(population, &near, &mut self.draft.nodes);
            }
            _ => return,
        }
        let mut reply = wire::krpc::Reply::new(population.router);
        reply.nodes = &self.draft.nodes;
        let mut message = Message::new(asking.transaction, Body::Reply(reply));
        message.version = population.config.profile.habits(Kind::Utorrent).version;
        message.ip = Some(asking.from);
        let mut out = self.queue.buffer();
        message.encode(&mut out);
        self.send(asking, out);
    }

    fn ask_node(&mut self, asking: &Asking<'_>, node: Host) {
        let Some(&traits) = self.population.nodes.traits(node) else {
            return;
        };
        if !self.comes_through(asking, node, traits) {
            return;
        }
        let Some(pair) = self.pairs.get_mut(&(asking.client, asking.ip)) else {
            return;
        };
        let packet = self.net.packet(asking.client, asking.ip, pair.packets);
        let samples = matches!(asking.query.method, Method::SampleInfohashes { .. });
        if samples && traits.samples {
            self.counts.samples_to_samplers += 1;
        }
        if samples && asking.now < pair.next_sample {
            self.counts.samples_inside_interval += 1;
        }
        if samples && pair.refused_sample {
            self.counts.samples_to_known_refusers += 1;
        }
        let mut asked = Asked {
            population: &self.population,
            guests: &mut self.guests,
            node,
            traits,
            frozen: &mut self.memories.entry(node).or_default().frozen,
            from: asking.from,
            now: asking.now,
            dice: packet.dice(),
        };
        let said = asked.answer(&asking.query, &mut self.draft);
        if said == Said::Reply
            && let Some(lie) = traits.lie
        {
            lie.spoil(&asked, &asking.query, &mut self.draft);
        }
        let mut out = self.queue.buffer();
        self.draft.encode(said, &asked, asking.transaction, &mut out);
        if out.is_empty() {
            self.counts.unanswered += 1;
            return self.queue.recycle(out);
        }
        if let Some(lie) = traits.lie {
            lie.garble(packet.dice(), asking.bytes, &mut out);
        }
        if !self.has_upload(asking, node, traits, out.len()) {
            self.counts.over_limit += 1;
            return self.queue.recycle(out);
        }
        if self.send(asking, out) && samples {
            self.sampled(asking);
        }
    }

    /// Whether NAT and limits let a query reach the program.
    fn comes_through(&mut self, asking: &Asking<'_>, node: Host, traits: Traits) -> bool {
        let now = asking.now;
        let reopens = self.population.config.profile.nodes.mapping_reopens;
        let Some(pair) = self.pairs.get_mut(&(asking.client, asking.ip)) else {
            return false;
        };
        // Libraries keep a mapping for at least this long after a packet to the asker (B12).
        let called = pair.called.is_some_and(|called| now.since(called).as_secs() < 60);
        let silent = pair.heard.map(|heard| now.since(heard));
        let reached = match traits.reach {
            Reach::Open => true,
            Reach::Forgetful(idle) => {
                called || silent.is_none_or(|silent| silent.as_secs() < u64::from(idle) || silent >= reopens)
            }
            Reach::Restricted => called,
            Reach::Mute => false,
        };
        if !reached {
            self.counts.filtered += 1;
            return false;
        }
        pair.heard = Some(now);
        let habits = self.population.config.profile.habits(traits.kind);
        let verdict = habits.ban.map_or(Verdict::Heard, |ban| pair.blocker.hear(&ban, now));
        if verdict == Verdict::Banned {
            self.counts.bans += 1;
        }
        let per_host = habits.per_host.is_none_or(|limit| pair.tokens.take(&limit, now, 1.0));
        let memory = self.memories.entry(node).or_default();
        let total = habits.queries.is_none_or(|limit| memory.queries.take(&limit, now, 1.0));
        let answers = verdict == Verdict::Heard && per_host && total;
        if !answers {
            self.counts.over_limit += 1;
        }
        answers
    }

    fn has_upload(&mut self, asking: &Asking<'_>, node: Host, traits: Traits, len: usize) -> bool {
        let Habits { upload, .. } = self.population.config.profile.habits(traits.kind);
        let memory = self.memories.entry(node).or_default();
        upload.is_none_or(|limit| memory.upload.take(&limit, asking.now, len as f64))
    }

    /// Keeps the judge's books on an answer to sample_infohashes that gets through.
    fn sampled(&mut self, asking: &Asking<'_>) {
        let Some(pair) = self.pairs.get_mut(&(asking.client, asking.ip)) else {
            return;
        };
        if self.draft.samples.is_none() {
            pair.refused_sample = true;
            return;
        }
        let interval = self
            .draft
            .interval
            .and_then(|secs| u64::try_from(secs).ok())
            .unwrap_or(0);
        pair.next_sample = asking.now + Duration::from_secs(interval);
        self.counts.samples_answered += 1;
        self.counts.samplers += u64::from(!pair.gave_sample);
        pair.gave_sample = true;
        self.counts.infohashes_in_samples += self.draft.shown.len() as u64;
        for key in &self.draft.shown {
            self.shown[*key as usize / 64] |= 1 << (key % 64);
        }
    }

    /// Sends an answer on its way; false if it will not arrive.
    fn send(&mut self, asking: &Asking<'_>, bytes: Vec<u8>) -> bool {
        let Some(pair) = self.pairs.get_mut(&(asking.client, asking.ip)) else {
            return false;
        };
        let packet = self.net.packet(asking.client, asking.ip, pair.packets);
        self.counts.answered += 1;
        if self.net.loses(&mut pair.to_asker, 1, asking.now, packet) || !self.queue.has_room() {
            self.counts.lost += 1;
            self.queue.recycle(bytes);
            return false;
        }
        let at = asking.now + self.net.answer_after(self.net.rtt(asking.client, asking.ip), packet);
        if self.net.duplicates(packet) {
            let (from, to, bytes) = (asking.ip, asking.from, bytes.clone());
            self.queue.push(at, What::Datagram { from, to, bytes });
        }
        let (from, to) = (asking.ip, asking.from);
        self.queue.push(at, What::Datagram { from, to, bytes });
        true
    }

    /// Sends the questions that nodes of the lab have for clients.
    fn call_clients(&mut self, now: Time) {
        loop {
            let mut bytes = self.queue.buffer();
            let call = self.callers.call(now, &self.population, &mut bytes);
            let (Some(call), true) = (call, self.queue.has_room()) else {
                return self.queue.recycle(bytes);
            };
            let IpAddr::V4(client) = call.to.ip() else { continue };
            let from = self.population.addresses.of(call.node);
            if self.pairs.len() >= Self::PAIRS_MAX {
                continue;
            }
            self.pairs.entry((client, from)).or_default().called = Some(now);
            self.counts.asked += 1;
            let at = now + self.net.rtt(client, from) / 2;
            self.queue.push(
                at,
                What::Datagram {
                    from,
                    to: call.to,
                    bytes,
                },
            );
        }
    }

    fn accepted(&mut self, now: Time, conn: ConnId, from: SocketAddr, to: SocketAddr) {
        self.counts.accepted += 1;
        let callee = self
            .population
            .callee(to)
            .filter(|_| self.sessions.len() < Self::SESSIONS_MAX);
        let (Some((key, peer)), IpAddr::V4(client), IpAddr::V4(ip)) = (callee, from.ip(), to.ip()) else {
            self.sessions.insert(conn, None);
            self.queue.push(now, What::Close { conn });
            return;
        };
        self.calls += 1;
        let rtt = self.net.rtt(client, ip);
        let mut stage = Stage {
            population: &self.population,
            queue: &mut self.queue,
            now,
            conn,
        };
        let session = Session::accept(&mut stage, key, peer, from.ip(), rtt, self.calls);
        self.sessions.insert(conn, Some(session));
    }

    fn received(&mut self, now: Time, conn: ConnId, bytes: &[u8]) {
        let Some(Some(session)) = self.sessions.get_mut(&conn) else {
            return;
        };
        let mut stage = Stage {
            population: &self.population,
            queue: &mut self.queue,
            now,
            conn,
        };
        session.receive(&mut stage, bytes);
    }
}

impl Machine for Lab {
    type Event = Event;

    fn handle(&mut self, now: Time, input: Input<'_>) {
        match input {
            Input::Datagram { from, to, bytes } => self.datagram(now, from, to, bytes),
            Input::Accepted { conn, from, to } => self.accepted(now, conn, from, to),
            Input::Received { conn, bytes } => self.received(now, conn, bytes),
            Input::Closed { conn, .. } => {
                self.sessions.remove(&conn);
            }
            Input::Stop => {
                self.stopped = true;
                self.events.push(Event::Stopped);
            }
            // A lab dials nobody.
            Input::Opened { .. } | Input::Tick => {}
        }
        if !self.stopped {
            self.call_clients(now);
        }
    }

    fn poll(&mut self, now: Time, payload: &mut Vec<u8>) -> Option<Output<Event>> {
        if let Some(event) = self.events.pop() {
            return Some(Output::Event(event));
        }
        loop {
            let effect = match self.queue.pop(now)? {
                What::Datagram { from, to, bytes } => {
                    let len = bytes.len();
                    payload.extend_from_slice(&bytes);
                    self.queue.recycle(bytes);
                    let from = Some(IpAddr::V4(from));
                    Effect::Send { from, to, len }
                }
                // The caller has hung up meanwhile.
                What::Write { conn, .. } if !self.sessions.contains_key(&conn) => continue,
                What::Write { conn, bytes } => {
                    let len = bytes.len();
                    payload.extend_from_slice(&bytes);
                    self.queue.recycle(bytes);
                    Effect::Write { conn, len }
                }
                What::Close { conn } if self.sessions.remove(&conn).is_none() => continue,
                What::Close { conn } => Effect::Close { conn },
            };
            return Some(Output::Effect(effect));
        }
    }

    fn deadline(&self) -> Option<Time> {
        let calls = if self.stopped { None } else { self.callers.next() };
        self.queue.next().into_iter().chain(calls).min()
    }
}

#[cfg(test)]
mod tests;
