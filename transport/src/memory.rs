//! What is remembered of endpoints and networks: by what way they were reached.

use std::collections::BTreeMap;
use std::hash::Hash;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use world::{KeyedMap, Member, Seed, Time, Via};

use crate::carrier::{Carrier, is_encrypted};
use crate::config;
use crate::stats::ByVia;

/// Successes by one way and none by another, before a whole network is judged by them.
const NETWORK_SAYS: u8 = 2;

/// Most successes that count: after three half-lives the last is forgotten.
const MOST: u8 = 7;

/// How to begin with an endpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Standing {
    /// What to dial first, if anything is known of the endpoint or its network; else TCP.
    pub(crate) first: Option<Carrier>,
    /// Dial the other carrier at once, too: the network speaks for uTP, the endpoint is new.
    pub(crate) both: bool,
    /// Begin with an encrypted handshake.
    pub(crate) encrypted: bool,
}

/// Bounded: when full, what was not added to for longest is forgotten.
#[derive(Debug)]
pub(crate) struct Memory {
    half_life: Duration,
    endpoints: Recent<SocketAddr>,
    networks: Recent<IpAddr>,
}

impl Memory {
    pub(crate) fn new(config: config::Memory, seed: Seed) -> Self {
        Self {
            half_life: config.half_life,
            endpoints: Recent::new(config.endpoints, seed.derive("endpoints")),
            networks: Recent::new(config.networks, seed.derive("networks")),
        }
    }

    /// How to begin with `peer`.
    pub(crate) fn standing(&self, now: Time, peer: SocketAddr) -> Standing {
        let endpoint = self.endpoints.successes(&peer, now, self.half_life);
        if let Some(&via) = Via::ALL.iter().find(|&&via| endpoint[via] > 0) {
            return Standing {
                first: Some(Carrier::of(via)),
                both: false,
                encrypted: is_encrypted(via),
            };
        }
        let network = self.networks.successes(&network(peer), now, self.half_life);
        let speaks_for = |these: [Via; 2], others: [Via; 2]| {
            let count = |vias: [Via; 2]| vias.iter().map(|&via| network[via]).sum::<u8>();
            count(these) >= NETWORK_SAYS && count(others) == 0
        };
        let utp_only = speaks_for([Via::Utp, Via::UtpMse], [Via::Tcp, Via::TcpMse]);
        Standing {
            first: utp_only.then_some(Carrier::Utp),
            both: utp_only,
            encrypted: speaks_for([Via::TcpMse, Via::UtpMse], [Via::Tcp, Via::Utp]),
        }
    }

    /// `peer` was reached, and this is how.
    pub(crate) fn reached(&mut self, now: Time, peer: SocketAddr, via: Via) {
        self.endpoints.update(peer, now, self.half_life, |successes| {
            // What it was before, it is not now.
            let before = successes[via];
            *successes = ByVia::default();
            successes[via] = before;
            count(successes, via);
        });
        let half_life = self.half_life;
        self.networks
            .update(network(peer), now, half_life, |successes| count(successes, via));
    }
}

fn count(successes: &mut ByVia<u8>, via: Via) {
    successes[via] = (successes[via] + 1).min(MOST);
}

/// The IPv4 /24 or IPv6 /48 of an endpoint: one operator, and often one middlebox.
fn network(peer: SocketAddr) -> IpAddr {
    match peer.ip().to_canonical() {
        IpAddr::V4(ip) => IpAddr::V4((ip.to_bits() & !0xff).into()),
        IpAddr::V6(ip) => IpAddr::V6((ip.to_bits() & !(u128::MAX >> 48)).into()),
    }
}

/// Successes under keys, and which of them was added to last.
#[derive(Debug)]
struct Recent<K> {
    limit: usize,
    records: KeyedMap<K, Record>,
    /// Stamps of the last change, oldest first.
    order: BTreeMap<u64, K>,
    stamp: u64,
}

#[derive(Clone, Copy, Default, Debug)]
struct Record {
    stamp: u64,
    successes: ByVia<u8>,
    since: Time,
}

impl Record {
    /// What still counts at `now`.
    fn decayed(&self, now: Time, half_life: Duration) -> ByVia<u8> {
        let halvings = now.since(self.since).as_micros() / half_life.as_micros().max(1);
        let halvings = u32::try_from(halvings).unwrap_or(u32::MAX);
        let mut left = self.successes;
        for &via in Via::ALL {
            left[via] = left[via].checked_shr(halvings).unwrap_or(0);
        }
        left
    }
}

impl<K: Copy + Eq + Hash> Recent<K> {
    fn new(limit: usize, seed: Seed) -> Self {
        Self {
            limit,
            records: KeyedMap::with_hasher(seed.hasher()),
            order: BTreeMap::new(),
            stamp: 0,
        }
    }

    fn successes(&self, key: &K, now: Time, half_life: Duration) -> ByVia<u8> {
        let record = self.records.get(key);
        record.map_or_else(ByVia::default, |record| record.decayed(now, half_life))
    }

    fn update(&mut self, key: K, now: Time, half_life: Duration, change: impl FnOnce(&mut ByVia<u8>)) {
        self.stamp += 1;
        let record = self.records.entry(key).or_default();
        self.order.remove(&record.stamp);
        self.order.insert(self.stamp, key);
        record.stamp = self.stamp;
        record.successes = record.decayed(now, half_life);
        record.since = now;
        change(&mut record.successes);
        while self.records.len() > self.limit
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.records.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory() -> Memory {
        let config = config::Memory {
            endpoints: 3,
            networks: 2,
            half_life: Duration::from_secs(100),
        };
        Memory::new(config, Seed::from_number(1))
    }

    fn peer(host: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, host], 6881))
    }

    const NOTHING: Standing = Standing {
        first: None,
        both: false,
        encrypted: false,
    };

    #[test]
    fn the_last_way_that_worked_comes_first() {
        let mut memory = memory();
        memory.reached(Time::ZERO, peer(1), Via::TcpMse);
        memory.reached(Time::ZERO, peer(1), Via::Utp);
        let standing = memory.standing(Time::ZERO, peer(1));
        assert_eq!((standing.first, standing.encrypted), (Some(Carrier::Utp), false));
    }

    #[test]
    fn what_was_learnt_fades() {
        let mut memory = memory();
        for _ in 0..3 {
            memory.reached(Time::ZERO, peer(1), Via::TcpMse);
        }
        assert!(memory.standing(Time::from_secs(199), peer(1)).encrypted);
        assert_eq!(memory.standing(Time::from_secs(200), peer(1)), NOTHING);
    }

    #[test]
    fn two_of_a_network_speak_for_a_third() {
        let mut memory = memory();
        memory.reached(Time::ZERO, peer(1), Via::UtpMse);
        assert_eq!(memory.standing(Time::ZERO, peer(3)), NOTHING);
        memory.reached(Time::ZERO, peer(2), Via::UtpMse);
        let standing = memory.standing(Time::ZERO, peer(3));
        let told = (standing.first, standing.both, standing.encrypted);
        assert_eq!(told, (Some(Carrier::Utp), true, true));
        memory.reached(Time::ZERO, peer(2), Via::Tcp);
        assert_eq!(memory.standing(Time::ZERO, peer(3)), NOTHING);
    }

    #[test]
    fn networks_are_of_24_and_48_bits() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("192.0.2.7:1"), of("192.0.2.200:2"));
        assert_ne!(of("192.0.2.7:1"), of("192.0.3.7:1"));
        assert_eq!(of("[2001:db8:1:2::3]:1"), of("[2001:db8:1:ffff::9]:1"));
        assert_ne!(of("[2001:db8:1::]:1"), of("[2001:db8:2::]:1"));
    }

    #[test]
    fn when_full_the_oldest_is_forgotten() {
        let mut memory = memory();
        for host in 1..=4 {
            memory.reached(Time::ZERO, peer(host), Via::Utp);
        }
        assert_eq!(memory.endpoints.records.len(), 3);
        assert_eq!(memory.endpoints.order.len(), 3);
        assert_eq!(
            memory.endpoints.successes(&peer(1), Time::ZERO, Duration::MAX)[Via::Utp],
            0
        );
    }
}
