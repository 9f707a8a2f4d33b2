//! The population at work: a machine that receives what is sent to any of its addresses, and answers from there.

mod datagrams;
mod streams;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use transport::utp;
use wire::InfoHash;
use world::{ConnId, Effect, Input, KeyedMap, Machine, Output, Seed, Time};

pub(crate) use streams::UTP;

use crate::address::{Host, Plan};
use crate::answer::Draft;
use crate::callers::Callers;
use crate::client::SAMPLE_MAX;
use crate::counts::Counts;
use crate::flood::Flood;
use crate::guests::Guests;
use crate::home::{Home, HomeCounts};
use crate::infos::Infos;
use crate::keys::KeyIndex;
use crate::net::Net;
use crate::pair::{Bucket, Pace, Pair};
use crate::peer::Session;
use crate::population::{Config, Population, Truth};
use crate::queue::{Queue, What};

/// When Linux sends a SYN, the first and again, in seconds.
const SYN_AGAIN: [u64; 6] = [0, 1, 3, 7, 15, 31];

/// What a lab tells whoever runs it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// It was told to stop, and has.
    Stopped,
    /// A peer of this infohash was connected to. Only if [`Lab::tell_calls`] was called.
    Called(InfoHash),
}

/// A node's memory, besides what it remembers of each asker.
#[derive(Default, Debug)]
struct Memory {
    frozen: Option<(Time, Box<[KeyIndex]>)>,
    upload: Bucket,
    queries: Bucket,
}

/// A whole DHT and its peers behind one machine.
///
/// Delay and loss happen in here, so the lab is the same in virtual time and on loopback sockets. It holds at most
/// [`Lab::PAIRS_MAX`] pairs of hosts that have spoken and [`Lab::SESSIONS_MAX`] connections; packets of further pairs
/// are lost, further connections closed.
#[derive(Debug)]
pub struct Lab {
    pub(crate) population: Population,
    net: Net,
    pairs: KeyedMap<(Ipv4Addr, SocketAddrV4), Pair>,
    /// Of nodes that have been asked anything.
    memories: KeyedMap<Host, Memory>,
    /// Open connections; `None` for one that is about to be turned away.
    sessions: KeyedMap<ConnId, Option<Session>>,
    calls: u64,
    /// The streams of all peers that answer uTP.
    utp: utp::Socket,
    infos: Infos,
    guests: Guests,
    callers: Callers,
    flood: Option<Flood>,
    /// What came to the victim of liars.
    victim: (Ipv4Addr, Pace),
    /// The router in front of the client, where it has one.
    home: Option<Home>,
    queue: Queue,
    draft: Draft,
    /// Keys that a delivered sample has shown, one bit each.
    shown: Vec<u64>,
    counts: Counts,
    stopped: bool,
    tells_calls: bool,
    events: Vec<Event>,
}

impl Lab {
    /// Most pairs of hosts: what 16.5 million addresses and a dozen clients could fill is cut where memory would hurt.
    pub const PAIRS_MAX: usize = 1 << 22;
    /// The same of a population on the Internet, whose one client may come to know ten million nodes.
    pub const PAIRS_MAX_INTERNET: usize = 1 << 24;
    /// Most open connections. One that waits for its caller takes under a kilobyte.
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
            utp: utp::Socket::new(UTP, seed.derive("peers by uTP")),
            infos: Infos::new(seed),
            guests: Guests::default(),
            flood: profile
                .liars
                .flood
                .filter(|_| population.plan == Plan::Internet)
                .map(|flood| Flood::new(flood, seed)),
            victim: (population.victim(), Pace::default()),
            home: profile.home.map(|router| Home::new(router, seed)),
            queue: Queue::default(),
            draft: Draft::default(),
            shown: vec![0; population.keys.all().len().div_ceil(64)],
            counts: Counts::default(),
            stopped: false,
            tells_calls: false,
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

    /// How long a TCP connection takes to open, or to be refused, that is begun now: a round trip from the first SYN that is
    /// neither lost itself nor is its answer. `None` if none gets through, or outside of IPv4.
    pub fn connects_after(&mut self, now: Time, client: IpAddr, to: IpAddr) -> Option<Duration> {
        let (IpAddr::V4(client), IpAddr::V4(to)) = (client, to) else {
            return None;
        };
        let rtt = self.net.rtt(client, to);
        if self.pairs.len() >= self.pairs_max() {
            return Some(rtt);
        }
        let endpoint = SocketAddrV4::new(to, self.population.config.port);
        let pair = self.pairs.entry((client, endpoint)).or_default();
        SYN_AGAIN.into_iter().map(Duration::from_secs).find_map(|after| {
            let at = now + after;
            pair.packets += 1;
            let packet = self.net.packet(client, to, pair.packets);
            let lost = self.net.loses(&mut pair.to_host, 0, at, packet)
                || self.net.loses(&mut pair.to_asker, 1, at + rtt, packet);
            (!lost).then_some(after + rtt)
        })
    }

    fn pairs_max(&self) -> usize {
        match self.population.plan {
            Plan::Loopback => Self::PAIRS_MAX,
            Plan::Internet => Self::PAIRS_MAX_INTERNET,
        }
    }

    /// Bytes that the world holds: who is there, what is announced, what passed between it and its clients.
    pub fn memory_bytes(&self) -> usize {
        let pairs = self.pairs.capacity() * (size_of::<(Ipv4Addr, SocketAddrV4)>() + size_of::<Pair>());
        let sample = SAMPLE_MAX * size_of::<KeyIndex>();
        let memories = self.memories.capacity() * (size_of::<Host>() + size_of::<Memory>() + sample);
        self.population.memory_bytes() + pairs + memories
    }

    /// The router in front of the client, if this world has one.
    pub(crate) fn home(&mut self) -> Option<&mut Home> {
        self.home.as_mut()
    }

    /// What happened at the router in front of the client, if this world has one.
    pub fn home_counts(&self) -> Option<HomeCounts> {
        self.home.as_ref().map(Home::counts)
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
        let hosts: BTreeSet<SocketAddrV4> = asked.map(|((_, host), _)| *host).collect();
        hosts
            .into_iter()
            .filter(|host| self.population.node_at(*host).is_some())
            .count()
    }

    /// Every asker with every host it has sent anything to.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (Ipv4Addr, Ipv4Addr, &Pair)> {
        self.pairs
            .iter()
            .map(|((client, host), pair)| (*client, *host.ip(), pair))
    }

    /// What came to the victim that liars name in the place of nodes: queries, the most in ten seconds, and the least burst with
    /// which a limiter of one query a second lets all of them pass.
    pub fn to_victim(&self) -> (u64, usize, f64) {
        let (_, pace) = &self.victim;
        (pace.queries, pace.most, pace.burst)
    }

    /// Tells of every connection to a peer from now on.
    pub fn tell_calls(&mut self) {
        self.tells_calls = true;
    }
}

impl Machine for Lab {
    type Event = Event;

    fn handle(&mut self, now: Time, input: Input<'_>) {
        match input {
            Input::Datagram { from, to, bytes } => {
                if self.home.as_mut().is_none_or(|home| home.sends(now, to)) {
                    self.datagram(now, from, to, bytes);
                }
            }
            Input::Accepted { conn, from, to, via } => self.accepted(now, conn, from, to, via),
            Input::Received { conn, bytes } => self.received(now, conn, bytes),
            Input::Closed { conn, .. } => {
                self.sessions.remove(&conn);
            }
            Input::Stop => {
                self.stopped = true;
                self.events.push(Event::Stopped);
            }
            // A lab dials nobody, and has neither disk nor web.
            Input::Opened { .. }
            | Input::Flushed { .. }
            | Input::Disk { .. }
            | Input::Http { .. }
            | Input::Resolved { .. }
            | Input::Tick => {}
        }
        self.tick_streams(now);
        if !self.stopped {
            self.call_clients(now);
            self.flood_client(now);
        }
    }

    fn poll(&mut self, now: Time, payload: &mut Vec<u8>) -> Option<Output<Event>> {
        if let Some(event) = self.events.pop() {
            return Some(Output::Event(event));
        }
        loop {
            let effect = match self.queue.pop(now)? {
                What::Datagram { from, bytes, .. } if self.home.as_mut().is_some_and(|home| !home.comes(now, from)) => {
                    self.queue.recycle(bytes);
                    continue;
                }
                What::Datagram { from, to, bytes } => {
                    let len = bytes.len();
                    payload.extend_from_slice(&bytes);
                    self.queue.recycle(bytes);
                    let from = Some(from);
                    Effect::Send { from, to, len }
                }
                // The caller has hung up meanwhile.
                What::Write { conn, .. } if !self.sessions.contains_key(&conn) => continue,
                What::Write { conn, bytes } => match self.write(now, conn, bytes, payload) {
                    Some(effect) => effect,
                    None => continue,
                },
                What::Helping { conn } => {
                    self.helping(now, conn);
                    continue;
                }
                What::Close { conn } if self.sessions.remove(&conn).is_none() => continue,
                What::Close { conn } => match self.close(now, conn) {
                    Some(effect) => effect,
                    None => continue,
                },
            };
            return Some(Output::Effect(effect));
        }
    }

    fn deadline(&self) -> Option<Time> {
        let calls = if self.stopped { None } else { self.callers.next() };
        let flood = self.flood.as_ref().filter(|_| calls.is_some()).map(Flood::next);
        self.queue
            .next()
            .into_iter()
            .chain(calls)
            .chain(flood)
            .chain(self.utp.deadline())
            .min()
    }
}

#[cfg(test)]
mod tests;
