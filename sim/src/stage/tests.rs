//! The stage with machines that do what a list says.

mod datagrams;
mod death;
mod streams;
mod transfer;
mod web;

use std::collections::{BTreeMap, VecDeque};

use world::ConnId;

use super::*;

const LIMITS: Limits = Limits {
    kernel: 128 << 10,
    unsent: 1 << 20,
    datagrams: 1_024,
};

/// Does what its list says, and writes down what it is told. Every connection it has is given `pump` bytes, as fast as they
/// go, and is then closed.
#[derive(Default)]
pub(super) struct Puppet {
    wants: VecDeque<(Effect, Vec<u8>)>,
    told: Vec<(Time, String)>,
    bytes: BTreeMap<ConnId, Vec<u8>>,
    /// When the last byte of a connection came.
    last: BTreeMap<ConnId, Time>,
    pump: usize,
    pumped: BTreeMap<ConnId, usize>,
    wake: Option<Time>,
    /// Closes only when it got as much as it gave.
    waits: bool,
    /// Sends a datagram back.
    echoes: bool,
}

/// What is pumped repeats after so many bytes.
const PERIOD: usize = 251;

/// The byte at a place of what is pumped.
const fn byte_at(place: usize) -> u8 {
    (place % PERIOD) as u8
}

/// The first bytes of what is pumped.
fn pumped(len: usize) -> Vec<u8> {
    let period: Vec<u8> = (0..PERIOD).map(byte_at).collect();
    let mut bytes = period.repeat(len / PERIOD + 1);
    bytes.truncate(len);
    bytes
}

impl Puppet {
    const GULP: usize = 256 * PERIOD;

    pub(super) fn pumping(bytes: usize) -> Self {
        Self {
            pump: bytes,
            ..Self::default()
        }
    }

    fn want(&mut self, effect: Effect, payload: &[u8]) {
        self.wants.push_back((effect, payload.to_vec()));
    }

    fn dial(&mut self, number: u64, to: SocketAddr) -> ConnId {
        let conn = ConnId(number);
        self.want(Effect::Dial { conn, to, via: None }, &[]);
        conn
    }

    fn write(&mut self, conn: ConnId, bytes: &[u8]) {
        let len = bytes.len();
        self.want(Effect::Write { conn, len }, bytes);
    }

    fn send(&mut self, to: SocketAddr, bytes: &[u8]) {
        let len = bytes.len();
        self.want(Effect::Send { from: None, to, len }, bytes);
    }

    fn pump(&mut self, conn: ConnId) {
        if self.pump == 0 {
            return;
        }
        let done = self.pumped.entry(conn).or_default();
        let from = *done;
        *done = self.pump.min(from + Self::GULP);
        let bytes = pumped(*done - from);
        let is_last = *done == self.pump;
        self.write(conn, &bytes);
        if !is_last {
            self.want(Effect::Report { conn }, &[]);
        } else if !self.waits {
            self.want(Effect::Close { conn }, &[]);
        }
    }

    /// All that it was told, with milliseconds.
    fn told(&self) -> Vec<(u64, &str)> {
        self.told
            .iter()
            .map(|(at, what)| (at.as_micros() / 1_000, what.as_str()))
            .collect()
    }

    fn has_heard(&self, what: &str) -> bool {
        self.told.iter().any(|(_, told)| told.starts_with(what))
    }

    fn all_bytes(&self) -> usize {
        self.bytes.values().map(Vec::len).sum()
    }
}

impl Machine for Puppet {
    type Event = Time;

    fn handle(&mut self, now: Time, input: Input<'_>) {
        let what = match input {
            Input::Tick => {
                self.wake = None;
                self.want(Effect::Report { conn: ConnId(0) }, &[]);
                "tick".to_owned()
            }
            Input::Opened { conn, .. } => {
                self.pump(conn);
                format!("opened {}", conn.0)
            }
            Input::Accepted { conn, from, .. } => {
                self.pump(conn);
                format!("accepted {}", from.ip())
            }
            Input::Received { conn, bytes } => {
                let all = self.bytes.entry(conn).or_default();
                all.extend_from_slice(bytes);
                if self.waits && all.len() == self.pump && self.pumped[&conn] == self.pump {
                    self.want(Effect::Close { conn }, &[]);
                }
                self.last.insert(conn, now);
                return;
            }
            Input::Flushed { conn } => {
                self.pump(conn);
                "flushed".to_owned()
            }
            Input::Closed { conn, why } => format!("closed {} {why:?}", conn.0 & 0xffff),
            Input::Datagram { from, bytes, .. } => {
                if self.echoes {
                    self.send(from, bytes);
                }
                format!("datagram {}", String::from_utf8_lossy(bytes))
            }
            Input::Http { part, .. } => format!("{part:?}"),
            other => format!("{other:?}"),
        };
        self.told.push((now, what));
    }

    fn poll(&mut self, now: Time, payload: &mut Vec<u8>) -> Option<Output<Time>> {
        let (effect, bytes) = self.wants.pop_front()?;
        if effect == (Effect::Report { conn: ConnId(0) }) {
            return Some(Output::Event(now));
        }
        payload.extend(bytes);
        Some(Output::Effect(effect))
    }

    fn deadline(&self) -> Option<Time> {
        self.wake
    }
}

fn addr(number: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1 + number as u8], 6881))
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A stage with these lines, each with a puppet that has nothing to do.
fn stage(lines: &[Line]) -> Stage<Puppet> {
    let mut stage = Stage::new(LIMITS, Seed::from_number(7));
    for (number, line) in lines.iter().enumerate() {
        stage.add(Place::new(addr(number), *line), Puppet::default());
    }
    stage
}

/// 1 MB/s each way, 10 ms to the middle.
const PLAIN: Line = Line::new(1_000_000, 1_000_000, Duration::from_millis(10));

fn play(stage: &mut Stage<Puppet>, secs: u64) -> Ended {
    stage.run(Time::from_secs(secs), &mut |_, _, _| ControlFlow::Continue(()))
}

fn puppet(stage: &mut Stage<Puppet>, party: usize) -> &mut Puppet {
    stage.machine_mut(party).unwrap()
}

#[test]
fn time_jumps_to_the_earliest_deadline_and_ends_as_it_is_told() {
    let mut stage = stage(&[PLAIN; 2]);
    puppet(&mut stage, 0).wake = Some(Time::from_secs(5));
    puppet(&mut stage, 1).wake = Some(Time::from_secs(3));
    assert_eq!(play(&mut stage, 2), Ended::TimeUp);
    assert_eq!(stage.now(), Time::from_secs(2));
    assert_eq!(stage.next(Time::MAX), Ok((1, Told::Event(Time::from_secs(3)))));
    let broken = stage.run(Time::MAX, &mut |_, party, _| {
        assert_eq!(party, 0);
        ControlFlow::Break(())
    });
    assert_eq!((broken, stage.now()), (Ended::Broken, Time::from_secs(5)));
    assert_eq!(play(&mut stage, 9), Ended::Idle);
}

#[test]
fn a_sink_commands_any_machine() {
    let mut stage = stage(&[PLAIN; 2]);
    puppet(&mut stage, 0).wake = Some(Time::from_secs(1));
    stage.run(Time::MAX, &mut |stage, _, _| {
        puppet(stage, 1).send(addr(0), b"hi");
        ControlFlow::Continue(())
    });
    assert_eq!(puppet(&mut stage, 0).told(), [(1_000, "tick"), (1_020, "datagram hi")]);
}

#[test]
fn a_machine_that_never_sleeps_is_stuck() {
    struct Restless;
    impl Machine for Restless {
        type Event = ();
        fn handle(&mut self, _: Time, _: Input<'_>) {}
        fn poll(&mut self, _: Time, _: &mut Vec<u8>) -> Option<Output<()>> {
            None
        }
        fn deadline(&self) -> Option<Time> {
            Some(Time::ZERO)
        }
    }
    let mut stage = Stage::new(LIMITS, Seed::from_number(1));
    stage.add(Place::new(addr(0), PLAIN), Restless);
    assert_eq!(stage.next(Time::MAX), Err(Ended::Stuck));
}

#[test]
fn a_machine_is_told_to_stop() {
    let mut stage = stage(&[PLAIN]);
    stage.stop(0);
    assert_eq!(play(&mut stage, 1), Ended::Idle);
    assert_eq!(puppet(&mut stage, 0).told(), [(0, "Stop")]);
}

#[test]
#[should_panic(expected = "which is taken")]
fn a_number_that_is_dialled_twice_is_a_bug_of_the_machine() {
    let mut stage = stage(&[PLAIN; 2]);
    puppet(&mut stage, 0).dial(1, addr(1));
    puppet(&mut stage, 0).dial(1, addr(1));
    play(&mut stage, 1);
}

#[test]
#[should_panic(expected = "the payload of")]
fn a_payload_of_another_length_is_a_bug_of_the_machine() {
    let mut stage = stage(&[PLAIN; 2]);
    let to = addr(1);
    puppet(&mut stage, 0).want(Effect::Send { from: None, to, len: 3 }, b"xx");
    play(&mut stage, 1);
}
