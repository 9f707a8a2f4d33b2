//! The peers that are known of one torrent: whom to dial next, whom never again, whom to forget.
//!
//! A record takes 30 bytes with its address, IPv4 or IPv6, and 28 more in one ordered set while the peer can be dialled.
//! Every change and every choice is O(log n); nothing is sorted or scanned but when our own address or our need for
//! seeds changes.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use rand::Rng;
use world::{Seed, Time};

use bans::Bans;
use order::Order;
use record::{Ip, Key, Marks, Record, ip_bytes, seconds};

pub use priority::canonical_priority;
pub use record::Sources;

mod bans;
mod order;
mod priority;
mod record;

/// What a roster is told.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Peers that are remembered at most. Above nine tenths, each new one drives out one that has failed, or that is
    /// only known from an earlier run; at the limit only a peer given by hand is taken, for the last in order.
    /// Recommended: 8,000 (PWP-22), less for a torrent that is paused.
    pub capacity: usize,
    /// Endpoints of one address that are remembered; further ones are refused. Recommended: 4, and `capacity` if several
    /// connections to one address are allowed.
    pub per_ip: usize,
    /// Failures after which a peer is not dialled until it is named again. Recommended: 3.
    pub max_fails: u8,
    /// Time between two dials of a peer, times its failures. Recommended: 60 s.
    pub reconnect: Duration,
    /// Whether there may be several connections to one address (NET-08). Recommended: no; yes on loopback.
    pub several_per_ip: bool,
    /// Addresses that stay banned; when full, the oldest ban is lifted. Recommended: 10,000.
    pub bans: usize,
}

/// What the order of dialling depends on beside the peers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ours {
    /// Our address as others see it, if known (BEP 10 `yourip`, BEP 42). A change costs a pass over all records.
    pub v4: Option<Ipv4Addr>,
    /// The same for IPv6.
    pub v6: Option<Ipv6Addr>,
    /// Our listening port.
    pub port: u16,
    /// We want nothing more: seeds are not dialled.
    pub finished: bool,
}

/// Why a peer is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// Its address is banned.
    Banned,
    /// There is no room, and nobody known is worth less.
    Full,
    /// So many endpoints of its address are known already.
    Crowded,
    /// A connection to its address is open.
    SameIp,
    /// Nobody can be there: port 0, no address, or one of many hosts.
    Unusable,
}

/// Why a dial, or a connection before it was of any use, came to nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// It refused, was silent, hung up, or said what makes no sense.
    Theirs,
    /// It is ourselves, or has not this torrent: not dialled again, whoever names it.
    Useless,
    /// We had no room for it, or gave the dial up. It does not count.
    Ours,
}

/// Connections to one address.
#[derive(Clone, Copy, Debug, Default)]
struct Busy {
    dialling: u32,
    live: u32,
}

/// Known peers of one torrent.
#[derive(Debug)]
pub struct Roster {
    config: Config,
    records: BTreeMap<Key, Record>,
    order: Order,
    /// Bounded by the connections that the owner allows.
    busy: BTreeMap<Ip, Busy>,
    bans: Bans,
    seeds: usize,
}

impl Roster {
    /// An empty roster. The seed stands in for our own address in the canonical order while that is unknown.
    pub fn new(config: Config, ours: Ours, seed: Seed) -> Self {
        let mut rng = seed.derive("roster").rng();
        let guess = (
            Ipv4Addr::from_bits(rng.next_u32()),
            Ipv6Addr::from_bits(u128::from(rng.next_u64()) << 64),
        );
        Self {
            config,
            records: BTreeMap::new(),
            order: Order::new(config, ours, guess),
            busy: BTreeMap::new(),
            bans: Bans::new(config.bans),
            seeds: 0,
        }
    }

    /// A peer is named by a source. True if it was not known. One that is known is forgiven a failure if a tracker or
    /// another peer names it, and all of them if a person does.
    pub fn add(&mut self, now: Time, peer: SocketAddr, source: Sources) -> Result<bool, Refusal> {
        let key = Key::of(peer);
        if !is_usable(peer) {
            return Err(Refusal::Unusable);
        }
        if self.bans.has(key.ip) {
            return Err(Refusal::Banned);
        }
        let known = self.change(key, |record| {
            record.seen = seconds(now);
            record.sources = record.sources | source;
            if source.has(Sources::GIVEN) {
                record.fails = 0;
                record.tried = Record::NEVER;
            } else if source.has(Sources::TRACKER | Sources::PEX) {
                record.fails = record.fails.saturating_sub(1);
            }
        });
        if known {
            return Ok(false);
        }
        if self.of_ip(key.ip).count() >= self.config.per_ip {
            return Err(Refusal::Crowded);
        }
        self.make_room(source)?;
        let record = Record::new(now, source);
        self.records.insert(key, record);
        self.order.settle(key, &record, self.is_shadowed(key.ip));
        Ok(true)
    }

    /// The best peer to dial now: given by hand first, then those that the crawl or the local network has shown alive,
    /// then fewest failures, then those that were of use before, then by [`canonical_priority`]. The same again until
    /// [`Self::connecting`] is called.
    pub fn next(&mut self, now: Time, ours: &Ours) -> Option<SocketAddr> {
        self.retune(ours);
        let key = self.order.best(now, |key| self.records.get(&key).copied())?;
        Some(key.endpoint())
    }

    /// When [`Self::next`] has somebody; `None` if not before something changes.
    pub fn next_time(&self, now: Time) -> Option<Time> {
        self.order.next_time(now)
    }

    /// The peer is being dialled.
    pub fn connecting(&mut self, now: Time, peer: SocketAddr) {
        self.occupy(peer, |busy| busy.dialling += 1);
        self.change(Key::of(peer), |record| {
            record.marks.set(Marks::DIALLING, true);
            record.tried = seconds(now);
        });
    }

    /// The dialled peer answered. False if another connection to its address is open already and only one is allowed:
    /// after the handshake keep the one that the greater peer id has dialled, and reject the other as [`Why::Ours`].
    pub fn connected(&mut self, now: Time, peer: SocketAddr) -> bool {
        let key = Key::of(peer);
        self.occupy(peer, |busy| {
            busy.dialling = busy.dialling.saturating_sub(1);
            busy.live += 1;
        });
        self.change(key, |record| {
            record.marks.set(Marks::DIALLING, false);
            record.marks.set(Marks::LIVE, true);
            record.seen = seconds(now);
        });
        self.config.several_per_ip || self.busy.get(&key.ip).is_none_or(|busy| busy.live < 2)
    }

    /// A peer calls. A dial to the same address is no reason to refuse it; see [`Self::connected`]. What is accepted
    /// must be rejected or disconnected later, by this endpoint or that of [`Self::listens`].
    pub fn accept(&mut self, now: Time, peer: SocketAddr) -> Result<(), Refusal> {
        let key = Key::of(peer);
        if self.bans.has(key.ip) {
            return Err(Refusal::Banned);
        }
        let others = self.busy.get(&key.ip).is_some_and(|busy| busy.live > 0);
        if others && !self.config.several_per_ip {
            return Err(Refusal::SameIp);
        }
        self.occupy(peer, |busy| busy.live += 1);
        // With uTP it may call from the port where it listens.
        self.adopt(now, key);
        Ok(())
    }

    /// A peer that called says where it listens (BEP 10 `p`): it is remembered under that endpoint, which is its name
    /// from here on.
    pub fn listens(&mut self, now: Time, peer: SocketAddr, port: u16) -> SocketAddr {
        let endpoint = SocketAddr::new(peer.ip(), port);
        let named = self.add(now, endpoint, Sources::INCOMING).is_ok();
        let is_idle = self.records.get(&Key::of(endpoint)).is_some_and(Record::is_idle);
        if named && is_idle && endpoint != peer {
            self.change(Key::of(peer), |record| record.marks.set(Marks::LIVE, false));
            self.adopt(now, Key::of(endpoint));
            return endpoint;
        }
        peer
    }

    /// A dial came to nothing: [`Self::connecting`], and never [`Self::connected`].
    pub fn failed(&mut self, now: Time, peer: SocketAddr, why: Why) {
        self.end(now, peer, Marks::DIALLING, |record| record.learn(why));
    }

    /// A connection was open, and ended before the peer was one: no handshake, or not the right one.
    pub fn rejected(&mut self, now: Time, peer: SocketAddr, why: Why) {
        self.end(now, peer, Marks::LIVE, |record| record.learn(why));
    }

    /// A connection ended. It was useful if either end was given a block: all failures are forgiven then, else it is one
    /// more.
    pub fn disconnected(&mut self, now: Time, peer: SocketAddr, was_useful: bool) {
        self.end(now, peer, Marks::LIVE, |record| {
            if was_useful {
                record.fails = 0;
                record.marks.set(Marks::PROVEN, true);
            } else {
                record.learn(Why::Theirs);
            }
        });
    }

    /// The peer has everything or wants nothing (all pieces, `upload_only`, the seed flag of PEX), or does not any more.
    pub fn mark_seed(&mut self, peer: SocketAddr, is_seed: bool) {
        let mut before = is_seed;
        self.change(Key::of(peer), |record| {
            before = record.marks.has(Marks::SEED);
            record.marks.set(Marks::SEED, is_seed);
        });
        match (before, is_seed) {
            (false, true) => self.seeds += 1,
            (true, false) => self.seeds -= 1,
            _ => {}
        }
    }

    /// Bans an address and forgets its endpoints. The owner closes what is open, and says so as ever.
    pub fn ban(&mut self, ip: IpAddr) {
        self.bans.insert(ip);
        let idle: Vec<Key> = self
            .of_ip(ip_bytes(ip))
            .filter(|(_, record)| record.is_idle())
            .map(|(key, _)| *key)
            .collect();
        for key in idle {
            self.forget(key);
        }
    }

    /// Whether an address is banned.
    pub fn is_banned(&self, ip: IpAddr) -> bool {
        self.bans.has(ip_bytes(ip))
    }

    /// The banned addresses, oldest ban first, to be kept between runs.
    pub fn banned(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.bans.iter()
    }

    /// Who is known, by address, and from where.
    pub fn peers(&self) -> impl Iterator<Item = (SocketAddr, Sources)> + '_ {
        self.records
            .iter()
            .map(|(key, record)| (key.endpoint(), record.sources))
    }

    /// Where a peer is known from.
    pub fn sources(&self, peer: SocketAddr) -> Option<Sources> {
        self.records.get(&Key::of(peer)).map(|record| record.sources)
    }

    /// Failures of a peer that count (SES-17 `failcount`).
    pub fn fails(&self, peer: SocketAddr) -> u8 {
        self.records.get(&Key::of(peer)).map_or(0, |record| record.fails)
    }

    /// Known peers (SES-15 `list_peers`).
    pub fn list_peers(&self) -> usize {
        self.records.len()
    }

    /// Known seeds (SES-15 `list_seeds`).
    pub const fn list_seeds(&self) -> usize {
        self.seeds
    }

    /// Peers that may be dialled, now or when their time comes (SES-15 `connect_candidates`).
    pub fn connect_candidates(&self) -> usize {
        self.order.candidates()
    }

    /// Changes a record and its place in the order. False if there is none.
    fn change(&mut self, key: Key, change: impl FnOnce(&mut Record)) -> bool {
        let shadowed = self.is_shadowed(key.ip);
        let Some(record) = self.records.get_mut(&key) else {
            return false;
        };
        self.order.lift(key, record);
        change(record);
        self.order.settle(key, record, shadowed);
        true
    }

    /// Makes a known endpoint the name of a connection that came from there.
    fn adopt(&mut self, now: Time, key: Key) {
        self.change(key, |record| {
            record.sources = record.sources | Sources::INCOMING;
            record.marks.set(Marks::LIVE, true);
            record.seen = seconds(now);
        });
    }

    /// What was being done with an endpoint is over.
    fn end(&mut self, now: Time, peer: SocketAddr, what: Marks, learn: impl FnOnce(&mut Record)) {
        let key = Key::of(peer);
        self.change(key, |record| {
            learn(record);
            record.marks.set(what, false);
            record.tried = seconds(now);
        });
        if self.bans.has(key.ip) && self.records.get(&key).is_some_and(Record::is_idle) {
            self.forget(key);
        }
        self.occupy(peer, |busy| {
            let count = if what == Marks::DIALLING {
                &mut busy.dialling
            } else {
                &mut busy.live
            };
            *count = count.saturating_sub(1);
        });
    }

    /// Counts connections of an address, and puts its other endpoints out of the order or back.
    fn occupy(&mut self, peer: SocketAddr, change: impl FnOnce(&mut Busy)) {
        let ip = ip_bytes(peer.ip());
        let before = self.is_shadowed(ip);
        let busy = self.busy.entry(ip).or_default();
        change(busy);
        if busy.dialling == 0 && busy.live == 0 {
            self.busy.remove(&ip);
        }
        let after = self.is_shadowed(ip);
        if before != after {
            for (key, record) in self.records.range(all_of(ip)) {
                self.order.lift(*key, record);
                self.order.settle(*key, record, after);
            }
        }
    }

    fn is_shadowed(&self, ip: Ip) -> bool {
        !self.config.several_per_ip && self.busy.contains_key(&ip)
    }

    fn retune(&mut self, ours: &Ours) {
        if self.order.ours() == ours {
            return;
        }
        self.order.restart(*ours);
        for (key, record) in &self.records {
            let shadowed = !self.config.several_per_ip && self.busy.contains_key(&key.ip);
            self.order.settle(*key, record, shadowed);
        }
    }

    /// Room for one more.
    fn make_room(&mut self, source: Sources) -> Result<(), Refusal> {
        while self.records.len() >= self.config.capacity.saturating_mul(9) / 10
            && let Some(poorest) = self.order.poorest()
        {
            self.forget(poorest);
        }
        if self.records.len() >= self.config.capacity {
            let last = self.order.last().filter(|_| source.has(Sources::GIVEN));
            self.forget(last.ok_or(Refusal::Full)?);
        }
        Ok(())
    }

    fn forget(&mut self, key: Key) {
        if let Some(record) = self.records.remove(&key) {
            self.order.lift(key, &record);
            self.seeds -= usize::from(record.marks.has(Marks::SEED));
        }
    }

    fn of_ip(&self, ip: Ip) -> impl Iterator<Item = (&Key, &Record)> {
        self.records.range(all_of(ip))
    }
}

impl Record {
    fn learn(&mut self, why: Why) {
        match why {
            Why::Theirs => self.fails = self.fails.saturating_add(1),
            Why::Useless => self.marks.set(Marks::USELESS, true),
            Why::Ours => {}
        }
    }
}

fn all_of(ip: Ip) -> std::ops::RangeInclusive<Key> {
    Key { ip, port: 0 }..=Key { ip, port: u16::MAX }
}

fn is_usable(peer: SocketAddr) -> bool {
    let ip = peer.ip().to_canonical();
    let is_broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    peer.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && !is_broadcast
}

#[cfg(test)]
mod tests;
