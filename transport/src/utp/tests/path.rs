//! A path between two sockets: delay, loss, order, a bottleneck; by seed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use world::{Closed, ConnId, Effect, Output, Seed, Time};

use super::super::{Config, Socket};
use crate::Above;

/// What a path does to datagrams, in both directions.
#[derive(Clone, Copy)]
pub(super) struct Path {
    pub(super) delay: Duration,
    /// Up to so much more for each datagram, which changes their order.
    pub(super) jitter: Duration,
    /// Lost, of 100.
    pub(super) loss: u32,
    /// Arrive twice, of 100.
    pub(super) twice: u32,
    /// Bytes a second of a link that datagrams queue for; 0 means no such link.
    pub(super) rate: u64,
    /// Bytes that the queue holds.
    pub(super) queue: u64,
}

impl Path {
    pub(super) const CLEAN: Self = Self {
        delay: Duration::from_millis(20),
        jitter: Duration::ZERO,
        loss: 0,
        twice: 0,
        rate: 0,
        queue: 0,
    };
}

/// One side: a socket, and what it told.
pub(super) struct Side {
    pub(super) socket: Socket,
    pub(super) addr: SocketAddr,
    pub(super) told: Vec<Above>,
    pub(super) bytes: Vec<u8>,
    /// Is to be written to the first stream, as much as fits at a time.
    pub(super) to_write: Vec<u8>,
    written: usize,
    pub(super) conn: Option<ConnId>,
    /// When the link in its direction is free.
    free: Time,
    /// Datagrams sent.
    pub(super) sent: usize,
}

/// Two sockets and the path between them.
pub(super) struct World {
    pub(super) now: Time,
    pub(super) path: Path,
    /// The datagram with this number, of all sent, is lost.
    pub(super) lose: Vec<usize>,
    pub(super) sides: [Side; 2],
    /// Longest time in a queue since it was last looked at.
    pub(super) queued: Duration,
    on_the_way: BTreeMap<(Time, u64), (usize, Vec<u8>)>,
    number: u64,
    rng: ChaCha8Rng,
    /// What one side's clock is ahead of the other's.
    pub(super) skew: Duration,
}

pub(super) const DIAL: ConnId = ConnId(1);

impl World {
    pub(super) fn new(seed: u64, path: Path, configs: [Config; 2]) -> Self {
        let seed = Seed::from_number(seed);
        let side = |number: u8, config| Side {
            socket: Socket::new(config, seed.derive_number("side", u64::from(number))),
            addr: SocketAddr::from(([192, 0, 2, number + 1], 6_881)),
            told: Vec::new(),
            bytes: Vec::new(),
            to_write: Vec::new(),
            written: 0,
            conn: None,
            free: Time::ZERO,
            sent: 0,
        };
        let [one, other] = configs;
        Self {
            now: Time::ZERO,
            path,
            lose: Vec::new(),
            sides: [side(0, one), side(1, other)],
            queued: Duration::ZERO,
            on_the_way: BTreeMap::new(),
            number: 0,
            rng: seed.derive("path").rng(),
            skew: Duration::ZERO,
        }
    }

    /// Side 0 dials side 1.
    pub(super) fn dial(&mut self) {
        let to = self.sides[1].addr;
        self.sides[0].conn = Some(DIAL);
        self.sides[0].socket.dial(self.now, DIAL, to);
        self.drain();
    }

    /// Side 0 dials and says hello, until side 1 has heard of it.
    pub(super) fn open(&mut self) {
        self.dial();
        self.sides[0].socket.write(self.now, DIAL, b"hello");
        self.run(Duration::from_secs(2));
        assert_eq!(self.sides[1].bytes, b"hello");
        self.sides.iter_mut().for_each(|side| side.bytes.clear());
    }

    pub(super) fn write(&mut self, side: usize, bytes: &[u8]) {
        let conn = self.sides[side].conn.unwrap();
        self.sides[side].socket.write(self.now, conn, bytes);
        self.drain();
    }

    pub(super) fn close(&mut self, side: usize) {
        let conn = self.sides[side].conn.unwrap();
        self.sides[side].socket.close(self.now, conn);
        self.drain();
    }

    /// Polls both sides until nothing comes.
    pub(super) fn drain(&mut self) {
        for at in 0..2 {
            let mut polls = 0;
            loop {
                self.feed(at);
                let side = &mut self.sides[at];
                let mut payload = Vec::new();
                let skewed = if at == 1 { self.now + self.skew } else { self.now };
                let Some(output) = side.socket.poll(skewed, &mut payload) else {
                    break;
                };
                polls += 1;
                assert!(polls < 100_000, "spins");
                match output {
                    Output::Effect(Effect::Send { len, .. }) => {
                        assert_eq!(len, payload.len());
                        side.sent += 1;
                        self.send(at, &payload);
                    }
                    Output::Effect(effect) => panic!("{effect:?}"),
                    Output::Event(event) => {
                        if let Above::Accepted { conn, .. } = event {
                            side.conn = Some(conn);
                        }
                        if let Above::Received { len, .. } = event {
                            assert_eq!(len, payload.len());
                            side.bytes.append(&mut payload);
                        } else {
                            side.told.push(event);
                        }
                    }
                }
            }
        }
    }

    /// Keeps the write buffer half full.
    fn feed(&mut self, at: usize) {
        let side = &mut self.sides[at];
        let open = side
            .told
            .iter()
            .any(|event| matches!(event, Above::Opened { .. } | Above::Accepted { .. }));
        if let Some(conn) = side.conn.filter(|_| open) {
            while side.socket.unacknowledged(conn) < 1 << 18 && side.written < side.to_write.len() {
                let rest = &side.to_write[side.written..];
                let len = rest.len().min(1 << 14);
                side.socket.write(self.now, conn, &rest[..len]);
                side.written += len;
            }
        }
    }

    fn send(&mut self, from: usize, bytes: &[u8]) {
        let number = usize::try_from(self.number).unwrap();
        self.number += 1;
        if self.lose.contains(&number) || self.rng.random_range(0..100) < self.path.loss {
            return;
        }
        let mut at = self.now;
        if self.path.rate > 0 {
            let side = &mut self.sides[from];
            let wait = side.free.since(at);
            let bytes_waiting = wait.as_micros() * u128::from(self.path.rate) / 1_000_000;
            if bytes_waiting > u128::from(self.path.queue) {
                return;
            }
            self.queued = self.queued.max(wait);
            let size = bytes.len() as u64 + 28;
            side.free = side.free.max(at) + Duration::from_micros(size * 1_000_000 / self.path.rate);
            at = side.free;
        }
        let copies = if self.rng.random_range(0..100) < self.path.twice {
            2
        } else {
            1
        };
        for _ in 0..copies {
            let jitter = self.rng.random_range(0..=self.path.jitter.as_micros() as u64);
            let arrival = at + self.path.delay + Duration::from_micros(jitter);
            self.number += u64::from(copies > 1);
            self.on_the_way
                .insert((arrival, self.number), (1 - from, bytes.to_vec()));
        }
    }

    /// Other traffic keeps the link from side 0 busy for this long, at least.
    pub(super) fn fill_queue(&mut self, span: Duration) {
        let side = &mut self.sides[0];
        side.free = side.free.max(self.now + span);
    }

    /// Lets time pass.
    pub(super) fn run(&mut self, span: Duration) {
        let end = self.now + span;
        self.drain();
        loop {
            let arrival = self.on_the_way.keys().next().map(|&(at, _)| at);
            let skew = self.skew;
            let ticks = self.sides.iter().enumerate().filter_map(|(at, side)| {
                let deadline = side.socket.deadline()?;
                Some(if at == 1 { deadline - skew } else { deadline })
            });
            let Some(next) = ticks.chain(arrival).min().filter(|&next| next <= end) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(next);
            self.step();
            self.drain();
        }
    }

    fn step(&mut self) {
        let skewed = [self.now, self.now + self.skew];
        for (side, &now) in self.sides.iter_mut().zip(&skewed) {
            if side.socket.deadline().is_some_and(|at| at <= now) {
                side.socket.tick(now);
                let again = side.socket.deadline();
                assert!(again.is_none_or(|at| at > now), "a deadline that stays");
            }
        }
        while let Some(entry) = self.on_the_way.first_entry() {
            if entry.key().0 > self.now {
                break;
            }
            let (to, bytes) = entry.remove();
            let (from, addr) = (self.sides[1 - to].addr, self.sides[to].addr);
            self.sides[to].socket.datagram(skewed[to], from, addr, &bytes);
            self.drain();
        }
    }

    pub(super) fn closed(&self, side: usize) -> Vec<Closed> {
        let told = self.sides[side].told.iter();
        told.filter_map(|event| match event {
            Above::Closed { why, .. } => Some(*why),
            _ => None,
        })
        .collect()
    }
}
