//! The peers that others announced to us, in one of the two DHTs.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use rand::{Rng, RngExt};
use wire::InfoHash;
use wire::bloom::Bloom;
use world::{KeyedMap, Seed, Time};

/// Limits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Config {
    /// Infohashes stored (libtorrent: 2000). When there are so many, new ones are refused until an old one expires.
    pub max_keys: usize,
    /// Peers stored of one infohash (libtorrent: 500), 24 bytes each. When there are so many, a new one takes the place
    /// of the one announced longest ago.
    pub max_peers_per_key: usize,
    /// How long a peer is stored after its announce (libtorrent: 45 min; clients repeat theirs every 15 to 30).
    pub expiry: Duration,
}

/// Longest name of a torrent that is stored, in bytes; longer ones are ignored (libtorrent: 100).
pub const MAX_NAME: usize = 100;

/// Who announced what.
///
/// A store that is full refuses new infohashes rather than forgetting old ones: whoever wants to announce one gets no
/// write token, so its announce goes to the next nearest node, and nobody who relies on us loses what we promised to
/// keep. Peers of one infohash give way to newer ones instead: a large swarm lacks nothing, and newer peers live longer.
///
/// Each call also sweeps one infohash, in turn; what has expired is never shown, and keeps its place for no more than
/// as many calls as there are infohashes.
pub struct PeerStore {
    config: Config,
    index: KeyedMap<InfoHash, usize>,
    swarms: Vec<Swarm>,
    cursor: usize,
}

/// The peers of one infohash.
pub struct Swarm {
    info_hash: InfoHash,
    /// In no order that means anything.
    peers: Vec<Peer>,
    /// None of them was announced before this second: until it expires, nobody does.
    since: u32,
    name: Option<Box<[u8]>>,
}

/// 24 bytes.
#[derive(Clone, Copy)]
struct Peer {
    /// An IPv4 address is mapped.
    ip: [u8; 16],
    port: u16,
    seed: bool,
    /// Seconds since the run began.
    announced: u32,
}

impl Peer {
    fn addr(&self) -> SocketAddr {
        SocketAddr::new(self.ip(), self.port)
    }

    fn ip(&self) -> IpAddr {
        Ipv6Addr::from(self.ip).to_canonical()
    }
}

impl PeerStore {
    /// An empty store.
    pub fn new(config: Config, seed: Seed) -> Self {
        Self {
            config,
            index: KeyedMap::with_hasher(seed.derive("peer store").hasher()),
            swarms: Vec::new(),
            cursor: 0,
        }
    }

    /// Infohashes stored.
    pub fn keys(&self) -> usize {
        self.swarms.len()
    }

    /// Peers stored, of all infohashes together.
    pub fn peers(&self) -> usize {
        self.swarms.iter().map(|swarm| swarm.peers.len()).sum()
    }

    /// Whether an announce of `info_hash` would be stored.
    pub fn has_room(&self, info_hash: &InfoHash) -> bool {
        self.keys() < self.config.max_keys || self.index.contains_key(info_hash)
    }

    /// Stores `peer`, or its new announce; false if there is [no room](Self::has_room) for the infohash.
    pub fn announce(
        &mut self,
        now: Time,
        info_hash: InfoHash,
        peer: SocketAddr,
        seed: bool,
        name: Option<&[u8]>,
    ) -> bool {
        self.sweep_next(now);
        if !self.has_room(&info_hash) || self.config.max_peers_per_key == 0 {
            return false;
        }
        let at = *self.index.entry(info_hash).or_insert_with(|| {
            self.swarms.push(Swarm {
                info_hash,
                peers: Vec::new(),
                since: seconds(now),
                name: None,
            });
            self.swarms.len() - 1
        });
        let swarm = &mut self.swarms[at];
        let peer = Peer {
            ip: mapped(peer.ip()),
            port: peer.port(),
            seed,
            announced: seconds(now),
        };
        swarm.put(peer, self.config.max_peers_per_key);
        if let Some(name) = name.filter(|name| swarm.name.is_none() && (1..=MAX_NAME).contains(&name.len())) {
            swarm.name = Some(name.into());
        }
        true
    }

    /// The peers of `info_hash`, none of them expired; `None` if there are none.
    pub fn swarm(&mut self, now: Time, info_hash: &InfoHash) -> Option<&mut Swarm> {
        self.sweep_next(now);
        let at = *self.index.get(info_hash)?;
        if self.sweep(now, at) {
            return None;
        }
        self.swarms.get_mut(at)
    }

    /// Drops all that has expired.
    pub fn sweep_all(&mut self, now: Time) {
        for at in (0..self.swarms.len()).rev() {
            self.sweep(now, at);
        }
    }

    /// Puts up to as many infohashes as `sample` is long into it, each set of them as likely as any other (reservoir
    /// sampling, algorithm R; libtorrent's own way passes over the largest ones, crawlers F1). Returns how many.
    pub fn sample(&self, rng: &mut impl Rng, sample: &mut [InfoHash]) -> usize {
        for (at, swarm) in self.swarms.iter().enumerate() {
            let slot = if at < sample.len() {
                at
            } else {
                rng.random_range(0..=at)
            };
            if let Some(slot) = sample.get_mut(slot) {
                *slot = swarm.info_hash;
            }
        }
        sample.len().min(self.swarms.len())
    }

    fn sweep_next(&mut self, now: Time) {
        self.cursor = if self.cursor < self.swarms.len() {
            self.cursor
        } else {
            0
        };
        if self.cursor < self.swarms.len() && !self.sweep(now, self.cursor) {
            self.cursor += 1;
        }
    }

    /// Drops what has expired of the infohash at place `at`; true if that was all of it, and another took its place.
    fn sweep(&mut self, now: Time, at: usize) -> bool {
        let expiry = self.config.expiry;
        let swarm = &mut self.swarms[at];
        let lives = |announced: u32| now < Time::from_secs(u64::from(announced)) + expiry;
        if lives(swarm.since) {
            return false;
        }
        swarm.peers.retain(|peer| lives(peer.announced));
        swarm.since = swarm.peers.iter().map(|peer| peer.announced).min().unwrap_or(0);
        let gone = swarm.peers.is_empty();
        if gone {
            self.index.remove(&self.swarms.swap_remove(at).info_hash);
            if let Some(moved) = self.swarms.get(at) {
                self.index.insert(moved.info_hash, at);
            }
        }
        gone
    }
}

impl Swarm {
    /// The name that the first announce with one gave it.
    pub fn name(&self) -> Option<&[u8]> {
        self.name.as_deref()
    }

    /// Appends up to `most` peers to `picked`, each set of them as likely as any other. With `noseed`, seeds come only
    /// after all others (BEP 33).
    pub fn pick(&mut self, rng: &mut impl Rng, noseed: bool, most: usize, picked: &mut Vec<SocketAddr>) {
        let mut others = self.peers.len();
        if noseed {
            others = 0;
            for at in 0..self.peers.len() {
                if !self.peers[at].seed {
                    self.peers.swap(at, others);
                    others += 1;
                }
            }
        }
        let (others, seeds) = self.peers.split_at_mut(others);
        for peers in [others, seeds] {
            // The first steps of a Fisher-Yates shuffle, in place: the order says nothing anyway.
            for at in 0..peers.len().min(most.saturating_sub(picked.len())) {
                peers.swap(at, rng.random_range(at..peers.len()));
                picked.push(peers[at].addr());
            }
        }
    }

    /// The seeds, and all others, as filters that can be counted but not listed (BEP 33).
    pub fn blooms(&self) -> [Bloom; 2] {
        let mut blooms = [Bloom::new(), Bloom::new()];
        for peer in &self.peers {
            blooms[usize::from(!peer.seed)].insert(peer.ip());
        }
        blooms
    }

    fn put(&mut self, peer: Peer, most: usize) {
        let known = self
            .peers
            .iter()
            .position(|held| held.ip == peer.ip && held.port == peer.port);
        let replaced = known.or_else(|| {
            let held = self.peers.iter().enumerate();
            let oldest = held.min_by_key(|(_, held)| held.announced).map(|(at, _)| at);
            oldest.filter(|_| self.peers.len() >= most)
        });
        match replaced {
            Some(at) => self.peers[at] = peer,
            None => self.peers.push(peer),
        }
    }
}

fn mapped(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    }
}

/// Whole seconds: 136 years of them fit.
fn seconds(now: Time) -> u32 {
    u32::try_from(now.as_secs()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn key(number: u16) -> InfoHash {
        let mut bytes = [0; 20];
        bytes[..2].copy_from_slice(&number.to_be_bytes());
        InfoHash::new(bytes)
    }

    fn peer(number: u16) -> SocketAddr {
        let [high, low] = number.to_be_bytes();
        SocketAddr::from(([9, 9, high, low], 6881))
    }

    fn store() -> PeerStore {
        let config = Config {
            max_keys: 40,
            max_peers_per_key: 100,
            expiry: Duration::from_secs(2700),
        };
        PeerStore::new(config, Seed::from_number(1))
    }

    fn picked(store: &mut PeerStore, now: Time, noseed: bool, most: usize) -> Vec<SocketAddr> {
        let mut picked = Vec::new();
        if let Some(swarm) = store.swarm(now, &key(1)) {
            swarm.pick(&mut Seed::from_number(2).rng(), noseed, most, &mut picked);
        }
        picked
    }

    #[test]
    fn a_peer_is_24_bytes() {
        assert_eq!(size_of::<Peer>(), 24);
    }

    #[test]
    fn announces_expire_and_repeating_one_keeps_it() {
        let mut store = store();
        for (at, number) in [(0, 1), (0, 2), (1000, 2)] {
            assert!(store.announce(Time::from_secs(at), key(1), peer(number), false, None));
        }
        assert_eq!(picked(&mut store, Time::from_secs(2699), false, 50).len(), 2);
        assert_eq!(picked(&mut store, Time::from_secs(2700), false, 50), [peer(2)]);
        assert_eq!(picked(&mut store, Time::from_secs(3700), false, 50), []);
        assert_eq!((store.keys(), store.peers()), (0, 0));
    }

    #[test]
    fn a_full_store_refuses_new_keys_until_one_expires() {
        let mut store = store();
        for number in 0..40 {
            assert!(store.announce(Time::from_secs(u64::from(number)), key(number), peer(1), false, None));
        }
        let now = Time::from_secs(100);
        assert!(!store.announce(now, key(99), peer(1), false, None));
        assert!(store.announce(now, key(7), peer(2), false, None));
        let later = Time::from_secs(2720);
        store.sweep_all(later);
        assert!(store.announce(later, key(99), peer(1), false, None));
        assert!(store.has_room(&key(100)));
    }

    #[test]
    fn what_expired_gives_way_without_being_asked_for() {
        let mut store = store();
        for number in 0..40 {
            store.announce(Time::ZERO, key(number), peer(1), false, None);
        }
        let later = Time::from_secs(3000);
        let refused = (0..100).take_while(|_| !store.announce(later, key(99), peer(1), false, None));
        assert!(refused.count() <= 40);
    }

    #[test]
    fn a_full_swarm_forgets_the_peer_announced_longest_ago() {
        let mut store = store();
        for number in 0..101_u16 {
            store.announce(Time::from_secs(u64::from(number)), key(1), peer(number), false, None);
        }
        let held: BTreeSet<SocketAddr> = picked(&mut store, Time::from_secs(101), false, 500)
            .into_iter()
            .collect();
        assert_eq!(held, (1..101).map(peer).collect());
    }

    #[test]
    fn every_peer_is_picked_equally_often() {
        let mut store = store();
        for number in 0..20 {
            store.announce(Time::ZERO, key(1), peer(number), false, None);
        }
        let mut rng = Seed::from_number(3).rng();
        let mut times = [0_u32; 20];
        for _ in 0..4000 {
            let mut picked = Vec::new();
            let swarm = store.swarm(Time::ZERO, &key(1)).unwrap();
            swarm.pick(&mut rng, false, 5, &mut picked);
            for addr in picked {
                times[(0..20).position(|number| peer(number) == addr).unwrap()] += 1;
            }
        }
        // 1000 expected, standard deviation 27.
        assert!(times.iter().all(|times| (870..1130).contains(times)), "{times:?}");
    }

    #[test]
    fn noseed_leaves_seeds_for_the_end() {
        let mut store = store();
        for number in 0..20 {
            store.announce(Time::ZERO, key(1), peer(number), number % 2 == 0, None);
        }
        let picked = picked(&mut store, Time::ZERO, true, 12);
        let is_seed = |addr: &SocketAddr| (0..20).step_by(2).any(|number| peer(number) == *addr);
        assert_eq!(
            picked.iter().map(is_seed).collect::<Vec<_>>(),
            [vec![false; 10], vec![true; 2]].concat()
        );
    }

    #[test]
    fn every_key_is_sampled_equally_often_the_largest_too() {
        let mut store = store();
        for number in 0..40 {
            store.announce(Time::ZERO, key(number), peer(1), false, None);
        }
        let mut rng = Seed::from_number(3).rng();
        let mut times = [0_u32; 40];
        for _ in 0..4000 {
            let mut sample = [key(0); 10];
            assert_eq!(store.sample(&mut rng, &mut sample), 10);
            let distinct: BTreeSet<InfoHash> = sample.into_iter().collect();
            assert_eq!(distinct.len(), 10);
            for held in distinct {
                times[usize::from(held.as_bytes()[1])] += 1;
            }
        }
        // 1000 expected, standard deviation 27.
        assert!(times.iter().all(|times| (870..1130).contains(times)), "{times:?}");
    }

    #[test]
    fn the_first_name_stays_and_long_ones_are_ignored() {
        let mut store = store();
        let long = [b'x'; MAX_NAME + 1];
        for name in [None, Some(&b""[..]), Some(&long), Some(b"first"), Some(b"second")] {
            store.announce(Time::ZERO, key(1), peer(1), false, name);
        }
        assert_eq!(store.swarm(Time::ZERO, &key(1)).unwrap().name(), Some(&b"first"[..]));
    }

    #[test]
    fn blooms_tell_seeds_from_others() {
        let mut store = store();
        for number in 0..30 {
            store.announce(Time::ZERO, key(1), peer(number), number < 10, None);
        }
        let [seeds, others] = store.swarm(Time::ZERO, &key(1)).unwrap().blooms();
        assert!((0..10).all(|number| seeds.contains(peer(number).ip())));
        assert!((10..30).all(|number| others.contains(peer(number).ip())));
        assert!((seeds.estimate().unwrap() - 10.0).abs() < 1.0);
    }
}
