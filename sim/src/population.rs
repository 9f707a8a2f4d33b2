//! A whole DHT from a seed: nodes, keys, peers, torrents. Nothing here changes while a lab runs.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use sha1::{Digest, Sha1};
use wire::{InfoHash, NodeId};
use world::{Seed, Via};

use crate::address::{Addresses, Host, Plan};
use crate::content::Torrent;
use crate::keys::{Held, Key, KeyIndex, Keys};
use crate::nodes::{Nodes, Traits};
use crate::profile::Profile;
use crate::swarm::{Conduct, Outcome, Peer, Swarms};

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
        // A third of the addresses for nodes and ghosts leaves room for peers.
        let count = config.nodes.clamp(1, Addresses::capacity(plan) as usize / 3);
        let nodes = Nodes::new(profile, count, seed);
        let torrents = u32::try_from(config.torrents).unwrap_or(u32::MAX);
        let infohashes = Torrent::infohashes(&profile.meta, seed, torrents);
        let keys = Keys::new(profile, infohashes, &nodes, Addresses::capacity(plan), seed);
        Self {
            seed,
            addresses: Addresses::new(plan, seed),
            plan,
            swarms: Swarms::new(profile, seed),
            router: NodeId::new(Sha1::digest(b"router").into()),
            nodes,
            keys,
            config,
        }
    }

    /// The router: answers ping, find_node and get_peers with random contacts, and holds nothing (A9).
    pub fn bootstrap(&self) -> SocketAddr {
        SocketAddr::from((self.router_ip(), self.config.port))
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

    /// Nodes that answer strangers honestly, and those of them that answer sample_infohashes.
    pub fn answering(&self) -> (usize, usize) {
        let honest = |traits: &&Traits| traits.reach.answers() && traits.lie.is_none();
        let all = || self.nodes.iter().map(|(_, _, traits)| traits).filter(honest);
        (all().count(), all().filter(|traits| traits.samples).count())
    }

    /// A hash over everything that was drawn: the same for the same seed and configuration.
    pub fn digest(&self) -> [u8; 20] {
        let mut hasher = Sha1::new();
        for (host, id, traits) in self.nodes.iter() {
            hasher.update(id.as_bytes());
            hasher.update(self.addresses.of(host).octets());
            hasher.update([traits.kind.index() as u8, u8::from(traits.reach.answers())]);
            hasher.update((self.held_by(host).len() as u64).to_be_bytes());
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

    /// How many nodes are alive.
    pub fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// How many contacts go round: whoever asks each of them once has made a sweep.
    pub fn contacts(&self) -> usize {
        self.nodes.rumours().len()
    }

    /// Bytes held; what is drawn again whenever it is asked for takes none.
    pub fn memory_bytes(&self) -> usize {
        self.nodes.memory_bytes() + self.keys.memory_bytes()
    }

    /// Every infohash that somebody announced, in ascending order, and how many peers are listed of it.
    pub fn infohashes(&self) -> impl Iterator<Item = (InfoHash, u32)> {
        self.keys.all().iter().map(|key| (key.infohash, key.peers))
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
    pub(crate) fn held_by(&self, node: Host) -> &[Held] {
        self.keys.held_by(&self.nodes, node)
    }

    /// Finds an infohash among the keys that a node holds.
    pub(crate) fn find_held(&self, node: Host, infohash: &InfoHash) -> Option<(Held, &Key)> {
        self.keys.find_held(&self.nodes, node, infohash)
    }

    pub(crate) fn find(&self, infohash: &InfoHash) -> Option<&Key> {
        self.keys.find(infohash).map(|index| &self.keys.all()[index])
    }

    pub(crate) fn fetchable(&self, key: &Key) -> Option<Via> {
        self.swarms.fetchable(key, self.keys.torrent(key).is_some())
    }

    pub(crate) fn torrent(&self, key: &Key) -> Option<Torrent> {
        let number = self.keys.torrent(key)?;
        Some(Torrent::draw(&self.config.profile.meta, self.seed, number))
    }

    pub(crate) fn peer(&self, key: &Key, rank: u32) -> Peer {
        self.swarms.peer(key, self.keys.torrent(key).is_some(), rank)
    }

    /// Where a peer is listed.
    pub(crate) fn peer_addr(&self, key: &Key, rank: u32) -> SocketAddr {
        let port = self.peer(key, rank).outcome().port(self.config.port);
        SocketAddr::from((self.addresses.of(key.first_peer + rank), port))
    }

    /// Who is at an address, if anybody is.
    pub(crate) fn at(&self, ip: Ipv4Addr) -> Option<Somebody> {
        if ip == self.router_ip() {
            return Some(Somebody::Router);
        }
        let host = self.addresses.host(ip)?;
        if self.nodes.traits(host).is_some() {
            return Some(Somebody::Node(host));
        }
        self.keys.peer(host).map(|(key, rank)| Somebody::Peer(key, rank))
    }

    /// The peer that is listed at this address, unless it is silent or gone: it accepts by TCP or answers uTP, or both.
    pub(crate) fn callee(&self, to: SocketAddr) -> Option<(Key, Peer)> {
        let IpAddr::V4(ip) = to.ip() else { return None };
        let Some(Somebody::Peer(index, rank)) = self.at(ip) else {
            return None;
        };
        let key = self.keys.all()[index as usize];
        let peer = self.peer(&key, rank);
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
