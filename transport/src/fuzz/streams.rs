//! A transport between any mind and any world.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use wire::fuzz::Steps;
use wire::handshake::Handshake;
use wire::{InfoHash, PeerId};
use world::{Closed, ConnId, Effect, Input, Member, Output, Seed, Time, Via};

use crate::config::{Deadlines, Limits, Memory};
use crate::mse::{KEY_LEN, Level};
use crate::{Above, Config, Policy, Transport, utp};

const TORRENT: InfoHash = InfoHash::new([7; 20]);

/// Most outputs that one input brings about.
const OUTPUTS_MAX: usize = 2_000;

/// Whatever the mind above wants and the world tells: no panic; it speaks of legs that exist, and of each until it is
/// closed; the mind above hears of a stream until its end and no longer; it does not spin; no bound is passed; and when
/// all streams are closed nothing is left.
pub fn streams(bytes: &[u8]) {
    let mut steps = Steps(bytes);
    let mut run = Run::new(&mut steps);
    while !steps.0.is_empty() {
        run.step(&mut steps);
        run.drain();
    }
    run.finish();
}

/// What somebody says: a greeting, part of one, a key, or anything.
fn speech(steps: &mut Steps<'_>) -> Vec<u8> {
    let mut greeting = Vec::new();
    Handshake::new(TORRENT, PeerId::new([1; 20])).encode(&mut greeting);
    match steps.next() % 4 {
        0 => greeting,
        1 => {
            greeting.truncate(usize::from(steps.next() % 68) + 1);
            greeting
        }
        2 => vec![steps.next() | 1; KEY_LEN],
        _ => {
            let len = usize::from(steps.next()) * 8 + 1;
            let mut said = steps.take(len).to_vec();
            said.resize(len, 0);
            said
        }
    }
}

struct Run {
    transport: Transport,
    now: Time,
    /// Connections of the world: whether they are open.
    legs: BTreeMap<ConnId, bool>,
    /// Streams of the mind above: whether it knows them as open.
    streams: BTreeMap<ConnId, bool>,
    dialled: BTreeSet<ConnId>,
    next: u64,
    payload: Vec<u8>,
}

impl Run {
    fn new(steps: &mut Steps<'_>) -> Self {
        Self {
            transport: Transport::new(config(steps), Seed::from_number(1)),
            now: Time::ZERO,
            legs: BTreeMap::new(),
            streams: BTreeMap::new(),
            dialled: BTreeSet::new(),
            next: 0,
            payload: Vec::new(),
        }
    }

    fn step(&mut self, steps: &mut Steps<'_>) {
        match steps.next() % 16 {
            0 | 1 if self.streams.len() < 8 => {
                self.next += 1;
                let conn = ConnId(self.next);
                self.streams.insert(conn, false);
                let to = SocketAddr::from(([192, 0, 2, steps.next() % 4], 6881));
                let via = steps.one_of(&[
                    None,
                    None,
                    None,
                    None,
                    Some(Via::Tcp),
                    Some(Via::TcpMse),
                    Some(Via::Utp),
                ]);
                let via = via.flatten();
                self.act(Effect::Dial { conn, to, via }, &[]);
            }
            2 | 3 => {
                let speech = speech(steps);
                let known: Vec<_> = self
                    .streams
                    .iter()
                    .filter(|(_, open)| **open)
                    .map(|(conn, _)| *conn)
                    .collect();
                if let Some(conn) = steps.one_of(&known) {
                    let len = speech.len();
                    self.act(Effect::Write { conn, len }, &speech);
                }
            }
            4 => {
                let all: Vec<_> = self.streams.keys().copied().collect();
                if let Some(conn) = steps.one_of(&all) {
                    self.streams.remove(&conn);
                    self.act(Effect::Close { conn }, &[]);
                }
            }
            5 if self.legs.len() < 30 => {
                self.next += 1;
                let conn = ConnId(self.next | ConnId::ACCEPTED);
                self.legs.insert(conn, true);
                let (from, to, via) = (addr(9), addr(8), Via::Tcp);
                self.receive(Input::Accepted { conn, from, to, via });
            }
            6 => self.pass(Duration::from_millis(u64::from(steps.next()) * 20)),
            7 => {
                let span = self.transport.deadline().unwrap_or(self.now).since(self.now);
                self.pass(span);
            }
            8 => {
                let (from, to) = (addr(steps.next() % 4), addr(8));
                let len = usize::from(steps.next());
                self.receive(Input::Datagram {
                    from,
                    to,
                    bytes: steps.take(len),
                });
            }
            9 if steps.next() < 128 => self.transport.dismiss(TORRENT),
            9 => {
                self.transport.admit(TORRENT);
            }
            _ => self.connection(steps),
        }
    }

    /// Something happens on a connection of the world.
    fn connection(&mut self, steps: &mut Steps<'_>) {
        let all: Vec<_> = self.legs.iter().map(|(conn, open)| (*conn, *open)).collect();
        let Some((conn, open)) = steps.one_of(&all) else {
            return;
        };
        let closes = steps.next().is_multiple_of(8);
        if closes {
            self.legs.remove(&conn);
            let before = [Closed::Refused, Closed::Unreachable, Closed::NoRoom];
            let after = [Closed::ByRemote, Closed::Reset, Closed::Congested];
            let why = steps.one_of(if open { &after } else { &before });
            let why = why.unwrap_or(Closed::Reset);
            self.receive(Input::Closed { conn, why });
        } else if open {
            let bytes = speech(steps);
            self.receive(Input::Received { conn, bytes: &bytes });
        } else {
            self.legs.insert(conn, true);
            self.receive(Input::Opened { conn, via: Via::Tcp });
        }
    }

    fn pass(&mut self, span: Duration) {
        self.now = self.now + span;
        self.receive(Input::Tick);
    }

    fn act(&mut self, effect: Effect, bytes: &[u8]) {
        if let Some(effect) = self.transport.act(self.now, effect, bytes) {
            self.carry_out(effect, bytes.len());
        }
    }

    fn receive(&mut self, input: Input<'_>) {
        if let Some(Input::Received { conn, bytes }) = self.transport.receive(self.now, input) {
            self.above(Above::Received { conn, len: bytes.len() }, bytes.len());
        }
    }

    fn drain(&mut self) {
        for outputs in 0.. {
            assert!(outputs < OUTPUTS_MAX, "it spins");
            let mut payload = std::mem::take(&mut self.payload);
            payload.clear();
            let output = self.transport.poll(self.now, &mut payload);
            let len = payload.len();
            self.payload = payload;
            match output {
                Some(Output::Effect(effect)) => self.carry_out(effect, len),
                Some(Output::Event(above)) => self.above(above, len),
                None => {
                    let due = self.transport.deadline().is_some_and(|at| at <= self.now);
                    if !due {
                        assert!(self.legs.len() <= 2 * self.streams.len(), "legs that carry nothing");
                        return;
                    }
                    self.receive(Input::Tick);
                }
            }
        }
    }

    fn carry_out(&mut self, effect: Effect, payload: usize) {
        match effect {
            Effect::Dial { conn, via, .. } => {
                assert_eq!(via, Some(Via::Tcp));
                assert!(
                    conn.0 & ConnId::INNER != 0 && !conn.is_accepted(),
                    "a number of its own"
                );
                assert!(self.dialled.insert(conn), "a number used twice");
                self.legs.insert(conn, false);
            }
            Effect::Write { conn, len } => {
                assert_eq!(len, payload);
                assert_eq!(self.legs.get(&conn), Some(&true), "writes to a leg that is not open");
            }
            Effect::Close { conn } => assert!(self.legs.remove(&conn).is_some(), "closes what is not there"),
            Effect::Send { len, .. } => assert_eq!(len, payload),
            Effect::Report { conn } => assert_eq!(self.legs.get(&conn), Some(&true), "of a leg that is not open"),
            Effect::Disk { .. } | Effect::Fetch { .. } | Effect::CancelFetch { .. } | Effect::Resolve { .. } => {
                unreachable!("nobody asks for that")
            }
        }
    }

    fn above(&mut self, above: Above, payload: usize) {
        match above {
            Above::Opened { conn, .. } => assert_eq!(self.streams.insert(conn, true), Some(false), "opened twice"),
            Above::Accepted { conn, .. } => assert_eq!(self.streams.insert(conn, true), None, "accepted twice"),
            Above::Received { conn, len } => {
                assert_eq!(
                    self.streams.get(&conn),
                    Some(&true),
                    "bytes of a stream that is not open"
                );
                assert!(len > 0 && len == payload);
            }
            Above::Rerouted { conn, via } => {
                assert_eq!(self.streams.get(&conn), Some(&true));
                assert_eq!(self.transport.via(conn), Some(via));
            }
            Above::Flushed { conn } => assert_eq!(self.streams.get(&conn), Some(&true)),
            Above::Closed { conn, .. } => assert!(self.streams.remove(&conn).is_some(), "ended twice"),
        }
    }

    fn finish(&mut self) {
        for (conn, _) in std::mem::take(&mut self.streams) {
            self.act(Effect::Close { conn }, &[]);
        }
        self.drain();
        assert_eq!((self.transport.streams(), self.legs.len()), (0, 0), "something is left");
    }
}

fn addr(host: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, host], 6881))
}

/// Small enough that every bound is met often.
fn config(steps: &mut Steps<'_>) -> Config {
    Config {
        tcp: true,
        utp: steps.next().is_multiple_of(2),
        outgoing: steps.one_of(Policy::ALL).unwrap_or(Policy::Enabled),
        incoming: steps.one_of(Policy::ALL).unwrap_or(Policy::Enabled),
        level: steps.one_of(Level::ALL).unwrap_or(Level::Both),
        prefer_rc4: steps.next().is_multiple_of(2),
        deadlines: Deadlines {
            tcp_connect: Duration::from_secs(3),
            beside_after: Duration::from_secs(1),
            handshake: Duration::from_secs(2),
            accepted: Duration::from_secs(2),
        },
        limits: Limits {
            accepted: 3,
            admitted: 1,
        },
        memory: Memory {
            endpoints: 2,
            networks: 1,
            half_life: Duration::from_secs(10),
        },
        socket: socket(),
    }
}

fn socket() -> utp::Config {
    utp::Config {
        connect: Duration::from_secs(4),
        syn: Duration::from_secs(1),
        half_open: Duration::from_secs(2),
        linger: Duration::from_secs(2),
        idle: Duration::from_secs(30),
        keepalive: None,
        timeouts: 3,
        max_streams: 6,
        max_accepted: 3,
        max_half_open: 2,
        send_buffer: 4_000,
        receive_window: 4_000,
        reorder_bytes: 6_000,
        target_delay: Duration::from_millis(100),
        resets_per_second: 2,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]
        #[test]
        fn any_mind_and_any_world(bytes in proptest::collection::vec(any::<u8>(), 0..3_000)) {
            super::streams(&bytes);
        }
    }
}
