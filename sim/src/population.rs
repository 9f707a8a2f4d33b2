//! A whole DHT from a seed: nodes, keys, peers, torrents. Nothing here changes while a lab runs, but what is drawn may be of a
//! time.

use std::cell::Ref;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};

use sha1::{Digest, Sha1};
use wire::{InfoHash, NodeId};
use world::{Seed, Time, Via};

use crate::address::{Addresses, Host, Plan};
use crate::content::Torrent;
use crate::dice::Dice;
use crate::keys::{Content, Held, Key, KeyIndex, Keys};
use crate::nodes::{Nodes, Traits};
use crate::profile::Profile;
use crate::swarm::{Conduct, OPERATOR, Outcome, Peer, Swarms};

/// The second node of an address listens so far above the port of the lab, and one more.
const DOORS: u16 = 100;

/// Where what baits are like is drawn from.
const BAITS: &str = "baits";

/// How big, what kind, and where.
#[derive(Clone, PartialEq, Debug)]
pub struct Config {
    /// Living nodes, of every class.
    pub nodes: usize,
    /// Torrents; keys without a torrent come on top, as the profile says.
    pub torrents: usize,
    /// The one port that answers, by UDP and TCP, at every address. The two ports above it stand for peers that are
    /// silent and peers that refuse ([`Outcome::port`]).
    pub port: u16,
    /// The kind of world.
    pub profile: Profile,
}

/// Everybody and everything, with their addresses.
#[derive(Debug)]
pub struct Population {
    pub(crate) config: Config,
    pub(crate) seed: Seed,
    pub(crate) plan: Plan,
    pub(crate) addresses: Addresses,
    pub(crate) nodes: Nodes,
    pub(crate) keys: Keys,
    pub(crate) swarms: Swarms,
    pub(crate) router: NodeId,
    pub(crate) streams: Streams,
}

/// Chance of what happens again and again: a stream is not begun for each answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Streams {
    pub(crate) tokens: Dice,
    pub(crate) samples: Dice,
    pub(crate) sessions: Dice,
}

/// What is true of one infohash: the columns of `metadata.txt`, and what the population decided.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Truth {
    /// The key.
    pub infohash: InfoHash,
    /// The name as text, not yet cleaned of control characters; empty without a torrent.
    pub name: String,
    /// Files without padding; 0 without a torrent.
    pub file_count: u64,
    /// Bytes without padding; 0 without a torrent.
    pub total_bytes: u64,
    /// Bytes; 0 without a torrent.
    pub piece_length: u64,
    /// Every peer that some node lists.
    pub peers: Vec<SocketAddr>,
    /// The plainest way by which one of them delivers the metadata: over TCP as it is, else over TCP to who
    /// obfuscates, else over uTP. `None` if nobody does.
    pub fetchable: Option<Via>,
}

/// What is at an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Somebody {
    Router,
    Node(Host),
    Peer(KeyIndex, u32),
    /// The peer of all baits.
    Operator,
}

impl Population {
    /// Makes the population of this seed on loopback, for sockets and for virtual time. Hashes every info dictionary, and
    /// keeps none.
    ///
    /// At least one node is made. What does not fit the 16.5 million addresses has fewer peers.
    pub fn new(config: Config, seed: Seed) -> Self {
        Self::planned(Plan::Loopback, config, seed)
    }

    /// The same with addresses of the whole Internet, for virtual time alone: millions of nodes.
    pub fn on_internet(config: Config, seed: Seed) -> Self {
        Self::planned(Plan::Internet, config, seed)
    }

    /// Where a client can be that is to live beside this population.
    pub fn client(&self) -> Ipv4Addr {
        Addresses::outside(self.plan, 2)
    }

    fn planned(plan: Plan, config: Config, seed: Seed) -> Self {
        let profile = &config.profile;
        // A third of the addresses for nodes and ghosts leaves room for peers; on the Internet there are hundreds for each.
        let count = config.nodes.clamp(1, Addresses::capacity(plan) as usize / 3);
        let is_internet = plan == Plan::Internet;
        let nodes = Nodes::new(profile, count, is_internet, seed);
        let torrents = u32::try_from(config.torrents).unwrap_or(u32::MAX);
        let share = if is_internet { profile.liars.bait_keys } else { 0.0 };
        let baits = (f64::from(torrents) * share / (1.0 - share)).round() as u32;
        let infohashes = [
            Torrent::infohashes(&profile.meta, seed, torrents),
            Torrent::infohashes(&profile.meta.minted(), seed.derive(BAITS), baits),
        ];
        let keys = Keys::new(profile, infohashes, &nodes, Addresses::capacity(plan), seed);
        Self {
            seed,
            addresses: Addresses::new(plan, seed),
            plan,
            swarms: Swarms::new(profile, seed),
            router: NodeId::new(Sha1::digest(b"router").into()),
            streams: Streams {
                tokens: Dice::new(seed, "tokens"),
                samples: Dice::new(seed, "samples"),
                sessions: Dice::new(seed, "sessions"),
            },
            nodes,
            keys,
            config,
        }
    }

    /// The router: answers ping, find_node and get_peers with random contacts, and holds nothing (A9).
    pub fn bootstrap(&self) -> SocketAddr {
        SocketAddr::from((self.router_ip(), self.config.port))
    }

    /// Whom liars name in the place of nodes: somebody who takes no part in any of this.
    pub fn victim(&self) -> Ipv4Addr {
        self.addresses.of(Addresses::capacity(self.plan) - 1)
    }

    /// Whether an operator minted this infohash, with hundreds of others (J11).
    pub fn is_bait(&self, infohash: &InfoHash) -> bool {
        self.find(infohash).is_some_and(|key| self.keys.is_bait(key))
    }

    /// Where a node is, or who is said to be one.
    pub(crate) fn node_addr(&self, host: Host) -> SocketAddrV4 {
        let (place, door) = self.nodes.place(host);
        let port = if door == 0 {
            self.config.port
        } else {
            self.config.port + DOORS + door
        };
        SocketAddrV4::new(self.addresses.of(place), port)
    }

    /// The living node that listens there.
    pub(crate) fn node_at(&self, addr: SocketAddrV4) -> Option<Host> {
        let place = self.addresses.host(*addr.ip())?;
        let door = match addr.port().checked_sub(self.config.port)? {
            0 => 0,
            above => above.checked_sub(DOORS).filter(|door| *door > 0)?,
        };
        self.nodes.at(place, door)
    }

    fn router_ip(&self) -> Ipv4Addr {
        Addresses::outside(self.plan, 1)
    }

    /// What dialling this address gives.
    pub fn outcome(&self, addr: SocketAddr) -> Outcome {
        match addr.ip() {
            IpAddr::V4(ip) if self.addresses.has(ip) => Outcome::of_port(addr.port(), self.config.port),
            _ => Outcome::Silent,
        }
    }

    /// What is true, infohash by infohash in ascending order. Each row is made when asked for.
    pub fn truth(&self) -> impl Iterator<Item = Truth> {
        self.keys.all().iter().map(|key| self.truth_of(key))
    }

    /// Nodes that answer strangers honestly at the start, and those of them that answer sample_infohashes.
    pub fn answering(&self) -> (usize, usize) {
        self.answering_at(Time::ZERO)
    }

    /// The same at another time, of the nodes that are there then.
    pub fn answering_at(&self, now: Time) -> (usize, usize) {
        let honest = |(node, _, traits): &(Host, NodeId, &Traits)| {
            traits.reach.answers() && traits.lie.is_none() && self.nodes.is_there(*node, now)
        };
        let all = || self.nodes.iter().filter(honest).map(|(_, _, traits)| traits);
        (all().count(), all().filter(|traits| traits.samples).count())
    }

    /// A hash over everything that was drawn: the same for the same seed and configuration.
    pub fn digest(&self) -> [u8; 20] {
        let mut hasher = Sha1::new();
        for (host, id, traits) in self.nodes.iter() {
            hasher.update(id.as_bytes());
            hasher.update(self.node_addr(host).to_string());
            hasher.update([traits.kind.index() as u8, u8::from(traits.reach.answers())]);
            hasher.update((self.held_by(host, Time::ZERO).len() as u64).to_be_bytes());
        }
        for rumour in self.nodes.rumours() {
            hasher.update(rumour.id.as_bytes());
        }
        for key in self.keys.all() {
            hasher.update(key.infohash.as_bytes());
            hasher.update(key.first_peer.to_be_bytes());
            hasher.update([self.fetchable(key).map_or(u8::MAX, |via| via as u8)]);
        }
        hasher.finalize().into()
    }

    /// How many nodes there are, those that are away at the time included.
    pub fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// How many of them are there at a time.
    pub fn nodes_at(&self, now: Time) -> usize {
        (0..self.nodes.len() as Host)
            .filter(|node| self.nodes.is_there(*node, now))
            .count()
    }

    /// How many contacts go round at the start: whoever asks each of them once has made a sweep.
    pub fn contacts(&self) -> usize {
        self.nodes.named(Time::ZERO)
    }

    /// Bytes held; what is drawn again whenever it is asked for takes none.
    pub fn memory_bytes(&self) -> usize {
        self.nodes.memory_bytes() + self.keys.memory_bytes()
    }

    /// Every infohash that somebody has announced by then, in ascending order, and how many peers are listed of it.
    pub fn infohashes_by(&self, now: Time) -> impl Iterator<Item = (InfoHash, u32)> {
        let come = self.keys.all().iter().filter(move |key| self.keys.has_come(key, now));
        come.map(|key| (key.infohash, key.peers))
    }

    /// How many peers are listed of an infohash; `None` if nobody ever announced it.
    pub fn listed(&self, infohash: &InfoHash) -> Option<u32> {
        self.find(infohash).map(|key| key.peers)
    }

    pub(crate) fn truth_of(&self, key: &Key) -> Truth {
        let torrent = self.torrent(key);
        let number = |of: fn(&Torrent) -> u64| torrent.as_ref().map_or(0, of);
        Truth {
            infohash: key.infohash,
            name: torrent.as_ref().map_or_else(String::new, |torrent| torrent.name.text()),
            file_count: number(|torrent| torrent.files),
            total_bytes: number(|torrent| torrent.total_bytes),
            piece_length: number(|torrent| torrent.piece_length),
            peers: (0..key.peers).map(|rank| self.peer_addr(key, rank)).collect(),
            fetchable: self.fetchable(key),
        }
    }

    /// The keys that a node holds, in the order of infohashes.
    pub(crate) fn held_by(&self, node: Host, now: Time) -> Ref<'_, [Held]> {
        self.keys.held_by(&self.nodes, node, now)
    }

    /// Finds an infohash among the keys that a node holds.
    pub(crate) fn find_held(&self, node: Host, infohash: &InfoHash, now: Time) -> Option<(Held, &Key)> {
        self.keys.find_held(&self.nodes, node, infohash, now)
    }

    pub(crate) fn find(&self, infohash: &InfoHash) -> Option<&Key> {
        self.keys.find(infohash).map(|index| &self.keys.all()[index])
    }

    pub(crate) fn fetchable(&self, key: &Key) -> Option<Via> {
        match self.keys.content(key) {
            Some(Content::Bait(_)) => OPERATOR.delivers(),
            content => self.swarms.fetchable(key, content.is_some()),
        }
    }

    pub(crate) fn torrent(&self, key: &Key) -> Option<Torrent> {
        let meta = &self.config.profile.meta;
        Some(match self.keys.content(key)? {
            Content::Torrent(number) => Torrent::draw(meta, self.seed, number),
            Content::Bait(number) => Torrent::draw(&meta.minted(), self.seed.derive(BAITS), number),
        })
    }

    pub(crate) fn peer(&self, key: &Key, rank: u32) -> Peer {
        match self.keys.content(key) {
            Some(Content::Bait(_)) => OPERATOR,
            content => self.swarms.peer(key, content.is_some(), rank),
        }
    }

    /// Where a peer is listed.
    pub(crate) fn peer_addr(&self, key: &Key, rank: u32) -> SocketAddr {
        let port = self.peer(key, rank).outcome().port(self.config.port);
        SocketAddr::from((self.addresses.of(self.keys.host(key, rank)), port))
    }

    /// Who is at an address, if anybody is.
    pub(crate) fn at(&self, ip: Ipv4Addr) -> Option<Somebody> {
        if ip == self.router_ip() {
            return Some(Somebody::Router);
        }
        let host = self.addresses.host(ip)?;
        if let Some(node) = self.nodes.at(host, 0) {
            return Some(Somebody::Node(node));
        }
        if self.keys.is_operator(host) {
            return Some(Somebody::Operator);
        }
        self.keys.peer(host).map(|(key, rank)| Somebody::Peer(key, rank))
    }

    /// The peer that is listed at this address, unless it is silent or gone: it accepts by TCP or answers uTP, or both.
    pub(crate) fn callee(&self, to: SocketAddr) -> Option<(Key, Peer)> {
        let IpAddr::V4(ip) = to.ip() else { return None };
        let (key, peer) = match self.at(ip)? {
            Somebody::Peer(index, rank) => {
                let key = self.keys.all()[index as usize];
                (key, self.peer(&key, rank))
            }
            // Which of its keys it is about, the caller says.
            Somebody::Operator => (*self.keys.first_bait()?, OPERATOR),
            Somebody::Router | Somebody::Node(_) => return None,
        };
        let there = !matches!(peer.conduct, Conduct::Silent | Conduct::Stale | Conduct::Resets);
        let listens = there && to.port() == peer.outcome().port(self.config.port);
        listens.then_some((key, peer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn population(profile: Profile, seed: u64) -> Population {
        let config = Config {
            nodes: 200,
            torrents: 150,
            port: 6881,
            profile,
        };
        Population::new(config, Seed::from_number(seed))
    }

    #[test]
    fn same_seed_same_population() {
        let digest = |seed| population(Profile::realistic(), seed).digest();
        assert_eq!(digest(1), digest(1));
        assert_ne!(digest(1), digest(2));
    }

    #[test]
    fn ideal_torrents_can_all_be_fetched() {
        let population = population(Profile::ideal(), 1);
        assert_eq!(population.answering(), (200, 200));
        let truth: Vec<Truth> = population.truth().collect();
        assert_eq!(truth.len(), 150);
        assert!(
            truth
                .iter()
                .all(|row| row.fetchable == Some(Via::Tcp) && !row.name.is_empty() && row.total_bytes > 0)
        );
        assert!(truth.is_sorted_by_key(|row| row.infohash));
    }

    #[test]
    fn listed_addresses_say_what_dialling_gives() {
        let population = population(Profile::realistic(), 1);
        for key in population.keys.all() {
            for rank in 0..key.peers {
                let addr = population.peer_addr(key, rank);
                let peer = population.peer(key, rank);
                assert_eq!(population.outcome(addr), peer.outcome());
                let reached = peer.outcome() == Outcome::Accept || peer.utp;
                assert_eq!(population.callee(addr).is_some(), reached);
            }
        }
        assert_eq!(population.outcome("10.0.0.1:6881".parse().unwrap()), Outcome::Silent);
    }
}
