//! A pretend world for tests: one pool, scripted peers, virtual time. Everything takes [`LATENCY`] one way.

pub(crate) mod desk;
mod peer;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use wire::{InfoHash, metainfo};
use world::{Closed, ConnId, Effect, Input, Machine, Output, Seed, Time, Via};

use crate::config::{Deadlines, Dialling, Exchange, Exclusion, Extensions, Limits, Memory, Serving};
use crate::{Config, Ending, Event, Failure, Pool, Stage};
use peer::Line;
pub(crate) use peer::{Manner, Serves, Talker};

/// From one end to the other.
pub(crate) const LATENCY: Duration = Duration::from_millis(20);

/// As the door has it, where a test does not say otherwise.
pub(crate) fn config() -> Config {
    Config {
        peer_id_prefix: *b"-PC0001-",
        client: "Estudely test".to_owned(),
        extensions: Extensions {
            ut_metadata: 1,
            lt_metadata: 101,
            ut_pex: 102,
            ut_holepunch: 103,
        },
        slots: 100,
        max_connections: 100,
        exclusion: Exclusion::Host,
        dialling: Dialling {
            start: 2,
            stagger: Duration::from_millis(750),
            parallel: 4,
            patience: Duration::from_millis(500),
            hold_back: Duration::from_secs(3),
            attempts_per_infohash: 5,
            peers_per_infohash: 20,
        },
        deadlines: Deadlines {
            connect: Duration::from_secs(2),
            handshake: Duration::from_secs(2),
            extended: Duration::from_millis(1_300),
            piece: Duration::from_secs(1),
            total: Duration::from_secs(30),
        },
        limits: Limits {
            max_metadata: 16 << 20,
            max_frame: 64 << 10,
            noise_frames: 500,
            noise_bytes: 256 << 10,
            pipeline: 4,
            assembly_bytes: 64 << 20,
        },
        memory: Memory {
            capacity: 1_000,
            refused: Duration::from_secs(3_600),
            silent: Duration::from_secs(600),
            silent_max: Duration::from_secs(86_400),
            useless: Duration::from_secs(6 * 3_600),
            success_half_life: Duration::from_secs(86_400),
        },
        serving: Serving {
            callers: 10,
            shelf_entries: 10,
            shelf_bytes: 1 << 20,
            times: 2,
            bytes_per_host: 4 << 20,
            window: Duration::from_secs(60),
            idle: Duration::from_secs(5),
        },
        exchange: Exchange {
            names: 10,
            listen: Duration::from_secs(12),
            few: 3,
            listeners_per_infohash: 2,
            listeners: 10,
            meetings: 3,
        },
    }
}

/// `len` bytes that no two seeds share, and their infohash.
pub(crate) fn info(seed: u8, len: usize) -> (Vec<u8>, InfoHash) {
    let raw: Vec<u8> = (0..len).map(|at| (at / 251) as u8 ^ at as u8 ^ seed).collect();
    let info_hash = metainfo::info_hash_v1(&raw);
    (raw, info_hash)
}

/// The `number`th peer, each on a host of its own.
pub(crate) fn host(number: u8) -> SocketAddr {
    SocketAddr::from(([127, 0, 1, number], 6881))
}

/// Something on its way.
enum Coming {
    Opened,
    Bytes(Vec<u8>),
    Closed(Closed),
}

pub(crate) struct World {
    pub(crate) pool: Pool,
    pub(crate) now: Time,
    /// When each peer was dialled.
    pub(crate) dials: Vec<(Time, SocketAddr)>,
    /// What the pool told.
    pub(crate) events: Vec<(Time, Event)>,
    /// Bytes arrive cut into these sizes, over and over. Empty: whole.
    pub(crate) splits: Vec<usize>,
    peers: BTreeMap<SocketAddr, Manner>,
    lines: BTreeMap<ConnId, Line>,
    coming: BTreeMap<(Time, u64), (ConnId, Coming)>,
    sent: u64,
    max_connections: usize,
}

impl World {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            max_connections: config.max_connections,
            pool: Pool::new(config, Seed::from_number(1)),
            now: Time::from_secs(1),
            dials: Vec::new(),
            events: Vec::new(),
            splits: Vec::new(),
            peers: BTreeMap::new(),
            lines: BTreeMap::new(),
            coming: BTreeMap::new(),
            sent: 0,
        }
    }

    /// A peer exists.
    pub(crate) fn peer(&mut self, addr: SocketAddr, manner: Manner) {
        self.peers.insert(addr, manner);
    }

    /// Starts an infohash with all these peers, and nobody will name more.
    pub(crate) fn fetch(&mut self, info_hash: InfoHash, peers: &[SocketAddr]) {
        self.pool.start(self.now, info_hash);
        for &peer in peers {
            self.pool.offer(info_hash, peer);
        }
        self.pool.no_more_peers(info_hash);
        self.drain();
    }

    /// Goes on until nothing is in work.
    pub(crate) fn run(&mut self) {
        while !self.pool.is_idle() {
            assert!(self.step(Time::MAX), "in work, and nothing will ever happen");
        }
        assert_eq!(self.pool.connections(), 0);
        assert_eq!(self.pool.assembly_bytes(), 0);
        assert_eq!(self.pool.deadline(), None);
        assert!(self.lines.is_empty(), "connections left open");
    }

    /// Goes on until `at`.
    pub(crate) fn run_until(&mut self, at: Time) {
        while self.step(at) {}
        self.now = at;
    }

    pub(crate) fn input(&mut self, input: Input<'_>) {
        self.pool.handle(self.now, input);
        self.drain();
    }

    /// One thing happens, unless it would be after `limit`.
    fn step(&mut self, limit: Time) -> bool {
        let coming = self.coming.first_key_value().map(|(&key, _)| key);
        let deadline = self.pool.deadline();
        match (coming, deadline) {
            (Some((at, number)), deadline) if at <= limit && deadline.is_none_or(|deadline| at <= deadline) => {
                self.now = self.now.max(at);
                let (conn, what) = self.coming.remove(&(at, number)).unwrap();
                if self.lines.contains_key(&conn) {
                    self.arrive(conn, what);
                }
            }
            (_, Some(deadline)) if deadline <= limit => {
                assert!(deadline > self.now || coming.is_none_or(|(at, _)| at >= deadline));
                self.now = self.now.max(deadline);
                self.input(Input::Tick);
                assert!(
                    self.pool.deadline() > Some(self.now) || self.pool.deadline().is_none(),
                    "spins"
                );
            }
            _ => return false,
        }
        true
    }

    fn arrive(&mut self, conn: ConnId, what: Coming) {
        match what {
            Coming::Opened => {
                self.input(Input::Opened { conn, via: Via::Tcp });
                if let Some(line) = self.lines.get_mut(&conn) {
                    let says = line.opened();
                    self.send(conn, says);
                }
            }
            Coming::Bytes(bytes) => {
                let mut rest = bytes.as_slice();
                let mut sizes = self.splits.clone().into_iter().cycle();
                while !rest.is_empty() && self.lines.contains_key(&conn) {
                    let len = sizes.next().unwrap_or(rest.len()).clamp(1, rest.len());
                    let (chunk, after) = rest.split_at(len);
                    rest = after;
                    self.input(Input::Received { conn, bytes: chunk });
                }
            }
            Coming::Closed(why) => {
                self.lines.remove(&conn);
                self.input(Input::Closed { conn, why });
            }
        }
    }

    /// Carries out what the pool wants.
    fn drain(&mut self) {
        let mut payload = Vec::new();
        while let Some(output) = self.pool.poll(self.now, &mut payload) {
            match output {
                Output::Event(event) => self.events.push((self.now, event)),
                Output::Effect(Effect::Dial { conn, to, .. }) => self.dial(conn, to),
                Output::Effect(Effect::Close { conn }) => {
                    assert!(self.lines.remove(&conn).is_some(), "closed twice");
                }
                Output::Effect(Effect::Write { conn, len }) => {
                    assert_eq!(payload.len(), len);
                    let says = self
                        .lines
                        .get_mut(&conn)
                        .expect("written after the end")
                        .received(&payload);
                    self.send(conn, says);
                }
                Output::Effect(effect) => panic!("{effect:?}"),
            }
            payload.clear();
        }
        self.pool.check_books();
        assert!(self.lines.len() <= self.max_connections);
        let hosts: BTreeSet<_> = self.lines.values().map(|line| line.addr).collect();
        assert_eq!(hosts.len(), self.lines.len(), "two connections with one peer");
    }

    fn dial(&mut self, conn: ConnId, to: SocketAddr) {
        self.dials.push((self.now, to));
        let manner = self.peers.get(&to).cloned().unwrap_or(Manner::Dead);
        match manner {
            Manner::Dead => {}
            Manner::Refuses(why) => self.come(LATENCY * 2, conn, Coming::Closed(why)),
            _ => self.come(LATENCY * 2, conn, Coming::Opened),
        }
        assert!(self.lines.insert(conn, Line::new(to, manner)).is_none());
    }

    fn send(&mut self, conn: ConnId, says: Vec<peer::Says>) {
        for (number, say) in says.into_iter().enumerate() {
            let number = u32::try_from(number).unwrap();
            match say {
                peer::Says::Bytes(bytes) => self.come(LATENCY * 2, conn, Coming::Bytes(bytes)),
                peer::Says::Slowly(bytes) => {
                    for (second, byte) in (1..).zip(bytes) {
                        self.come(Duration::from_secs(second), conn, Coming::Bytes(vec![byte]));
                    }
                }
                peer::Says::HangUp => self.come(LATENCY * 2 + LATENCY * number, conn, Coming::Closed(Closed::ByRemote)),
            }
        }
    }

    fn come(&mut self, after: Duration, conn: ConnId, what: Coming) {
        self.sent += 1;
        self.coming.insert((self.now + after, self.sent), (conn, what));
    }

    /// The info dictionary that was told for `info_hash`, and when.
    pub(crate) fn metadata(&self, wanted: InfoHash) -> Option<(Time, &[u8])> {
        self.events.iter().find_map(|(at, event)| match event {
            Event::Metadata { info_hash, raw, .. } if *info_hash == wanted => Some((*at, raw.as_slice())),
            _ => None,
        })
    }

    /// Why `info_hash` was given up, and after how many peers.
    pub(crate) fn gave_up(&self, wanted: InfoHash) -> Option<(Ending, u32)> {
        self.events.iter().find_map(|(_, event)| match event {
            Event::GaveUp {
                info_hash, why, tried, ..
            } if *info_hash == wanted => Some((*why, *tried)),
            _ => None,
        })
    }

    /// How the talk with `wanted` ended, how far it came, and how long it took.
    pub(crate) fn attempt(&self, wanted: SocketAddr) -> Option<(Result<(), Failure>, Stage, Duration)> {
        self.events.iter().find_map(|(_, event)| match event {
            Event::Attempt {
                peer,
                reached,
                took,
                result,
                ..
            } if *peer == wanted => Some((*result, *reached, *took)),
            _ => None,
        })
    }
}
