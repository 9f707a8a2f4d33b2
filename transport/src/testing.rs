//! Two transports and a world between them, in virtual time. TCP is what the test says; datagrams always arrive.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use wire::handshake::Handshake;
use wire::{InfoHash, PeerId};
use world::{Closed, ConnId, Effect, Input, Output, Seed, Time, Via};

use crate::config::{Deadlines, Limits, Memory};
use crate::mse::Level;
use crate::{Above, Config, Policy, Transport, utp};

pub(crate) const TORRENT: InfoHash = InfoHash::new([7; 20]);

/// Everything that may be, with deadlines that are easy to tell apart.
pub(crate) fn config() -> Config {
    Config {
        tcp: true,
        utp: true,
        outgoing: Policy::Enabled,
        incoming: Policy::Enabled,
        level: Level::Both,
        prefer_rc4: false,
        deadlines: Deadlines {
            tcp_connect: Duration::from_secs(3),
            beside_after: Duration::from_secs(1),
            handshake: Duration::from_secs(5),
            accepted: Duration::from_secs(6),
        },
        limits: Limits {
            accepted: 2,
            admitted: 2,
        },
        memory: Memory {
            endpoints: 10,
            networks: 10,
            half_life: Duration::from_secs(1_000),
        },
        socket: socket(),
    }
}

fn socket() -> utp::Config {
    utp::Config {
        linger: Duration::from_secs(1),
        keepalive: None,
        timeouts: 4,
        ..utp::tests::config()
    }
}

/// With what a client begins.
pub(crate) fn greeting() -> Vec<u8> {
    let mut greeting = Vec::new();
    Handshake::new(TORRENT, PeerId::new([1; 20])).encode(&mut greeting);
    greeting
}

/// How the world treats TCP dials.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Tcp {
    Open,
    Silent,
    /// Opens, and nobody is there.
    Mute,
    /// Opens, and is closed by the other end when we speak.
    HangsUp,
    Fails(Closed),
}

/// What a mind above was told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Told {
    Opened(Via),
    Accepted(Via),
    Rerouted(Via),
    Bytes(Vec<u8>),
    Flushed,
    Closed(Closed),
}

pub(crate) struct World {
    pub(crate) now: Time,
    pub(crate) tcp: Tcp,
    /// The ends: 0 calls, 1 is called.
    pub(crate) ends: [Transport; 2],
    pub(crate) told: [Vec<(ConnId, Told)>; 2],
    /// Dials that the world was asked for, with their time.
    pub(crate) dials: Vec<(Time, ConnId)>,
    /// Dials that it was asked to give up.
    pub(crate) given_up: Vec<ConnId>,
    /// The other end of each connection.
    conns: BTreeMap<(usize, ConnId), ConnId>,
    on_its_way: VecDeque<(usize, Vec<u8>, Kind)>,
    next_accepted: u64,
}

#[derive(Clone, Copy)]
enum Kind {
    Opened(ConnId),
    Accepted(ConnId),
    Received(ConnId),
    Closed(ConnId, Closed),
    Datagram,
    Flushed(ConnId),
}

impl World {
    pub(crate) fn new(calls: Config, called: Config) -> Self {
        Self {
            now: Time::ZERO,
            tcp: Tcp::Open,
            ends: [
                Transport::new(calls, Seed::from_number(1)),
                Transport::new(called, Seed::from_number(2)),
            ],
            told: [Vec::new(), Vec::new()],
            dials: Vec::new(),
            given_up: Vec::new(),
            conns: BTreeMap::new(),
            on_its_way: VecDeque::new(),
            next_accepted: ConnId::ACCEPTED,
        }
    }

    pub(crate) fn addr(end: usize) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, u8::try_from(end + 1).unwrap()], 6881))
    }

    /// The mind above `end` wants something.
    pub(crate) fn act(&mut self, end: usize, effect: Effect, payload: &[u8]) {
        let handed = self.ends[end].act(self.now, effect, payload);
        if let Some(effect) = handed {
            self.carry_out(end, effect, payload);
        }
        self.drain(end);
        self.deliver();
    }

    pub(crate) fn dial(&mut self, conn: u64, via: Option<Via>) {
        let (conn, to) = (ConnId(conn), Self::addr(1));
        self.act(0, Effect::Dial { conn, to, via }, &[]);
    }

    pub(crate) fn write(&mut self, end: usize, conn: ConnId, bytes: &[u8]) {
        let len = bytes.len();
        self.act(end, Effect::Write { conn, len }, bytes);
    }

    pub(crate) fn close(&mut self, end: usize, conn: ConnId) {
        self.act(end, Effect::Close { conn }, &[]);
    }

    /// Lets time pass, deadline by deadline.
    pub(crate) fn pass(&mut self, span: Duration) {
        let until = self.now + span;
        loop {
            let next = self.ends.iter().filter_map(Transport::deadline).min();
            let Some(next) = next.filter(|&next| next <= until) else {
                break;
            };
            self.now = self.now.max(next);
            for end in 0..2 {
                if self.ends[end].deadline().is_some_and(|at| at <= self.now) {
                    self.give(end, Input::Tick);
                }
            }
            self.deliver();
        }
        self.now = until;
    }

    /// What `end` was told since it was last asked.
    pub(crate) fn heard(&mut self, end: usize) -> Vec<Told> {
        std::mem::take(&mut self.told[end])
            .into_iter()
            .map(|(_, told)| told)
            .collect()
    }

    /// One conversation: dial, greet, be greeted. What the stream was then, or how it ended.
    pub(crate) fn converse(&mut self, conn: u64, via: Option<Via>) -> Result<Via, Closed> {
        self.told = [Vec::new(), Vec::new()];
        self.dial(conn, via);
        let conn = ConnId(conn);
        let mut greeted = Vec::new();
        for _ in 0..2_000 {
            for (at, told) in std::mem::take(&mut self.told[1]) {
                if let Told::Bytes(bytes) = told {
                    greeted.extend(bytes);
                    if greeted.len() >= greeting().len() {
                        assert_eq!(greeted, greeting());
                        greeted.clear();
                        self.write(1, at, &greeting());
                    }
                }
            }
            for (at, told) in std::mem::take(&mut self.told[0]) {
                assert_eq!(at, conn);
                match told {
                    Told::Opened(_) => self.write(0, conn, &greeting()),
                    Told::Bytes(bytes) => {
                        assert_eq!(bytes, greeting());
                        return Ok(self.ends[0].via(conn).unwrap());
                    }
                    Told::Closed(why) => return Err(why),
                    Told::Rerouted(_) | Told::Flushed => {}
                    Told::Accepted(_) => panic!("nobody calls the caller"),
                }
            }
            if self.told.iter().all(Vec::is_empty) {
                self.pass(Duration::from_millis(10));
            }
        }
        panic!("the conversation never ends");
    }

    fn give(&mut self, end: usize, input: Input<'_>) {
        let handed = self.ends[end].receive(self.now, input);
        if let Some(Input::Received { conn, bytes }) = handed {
            self.told[end].push((conn, Told::Bytes(bytes.to_vec())));
        }
        self.drain(end);
    }

    fn drain(&mut self, end: usize) {
        let mut payload = Vec::new();
        while let Some(output) = self.ends[end].poll(self.now, &mut payload) {
            match output {
                Output::Effect(effect) => self.carry_out(end, effect, &payload),
                Output::Event(above) => self.told[end].push(tell(above, &payload)),
            }
            payload.clear();
        }
    }

    fn carry_out(&mut self, end: usize, effect: Effect, payload: &[u8]) {
        let other = 1 - end;
        match effect {
            Effect::Dial { conn, via, .. } => {
                assert_eq!(via, Some(Via::Tcp));
                self.dials.push((self.now, conn));
                match self.tcp {
                    Tcp::Silent => {}
                    Tcp::Mute | Tcp::HangsUp => {
                        self.conns.insert((end, conn), ConnId(u64::MAX));
                        self.send(end, &[], Kind::Opened(conn));
                    }
                    Tcp::Fails(why) => self.send(end, &[], Kind::Closed(conn, why)),
                    Tcp::Open => {
                        let accepted = ConnId(self.next_accepted);
                        self.next_accepted += 1;
                        self.conns.insert((end, conn), accepted);
                        self.conns.insert((other, accepted), conn);
                        self.send(end, &[], Kind::Opened(conn));
                        self.send(other, &[], Kind::Accepted(accepted));
                    }
                }
            }
            Effect::Write { conn, .. } => {
                if self.tcp == Tcp::HangsUp {
                    self.send(end, &[], Kind::Closed(conn, Closed::ByRemote));
                } else if let Some(&theirs) = self.conns.get(&(end, conn)) {
                    self.send(other, payload, Kind::Received(theirs));
                }
            }
            Effect::Close { conn } => match self.conns.remove(&(end, conn)) {
                Some(theirs) => self.send(other, &[], Kind::Closed(theirs, Closed::ByRemote)),
                None => self.given_up.push(conn),
            },
            Effect::Send { .. } => self.send(other, payload, Kind::Datagram),
            Effect::Report { conn } => self.send(end, &[], Kind::Flushed(conn)),
            Effect::Disk { .. } | Effect::Fetch { .. } | Effect::CancelFetch { .. } | Effect::Resolve { .. } => {
                unreachable!("nobody asks for that")
            }
        }
    }

    fn send(&mut self, to: usize, bytes: &[u8], kind: Kind) {
        self.on_its_way.push_back((to, bytes.to_vec(), kind));
    }

    fn deliver(&mut self) {
        while let Some((end, bytes, kind)) = self.on_its_way.pop_front() {
            let other = 1 - end;
            let (from, to) = (Self::addr(other), Self::addr(end));
            let exists = |conn| self.conns.contains_key(&(end, conn));
            let bytes = bytes.as_slice();
            let input = match kind {
                Kind::Datagram => Input::Datagram { from, to, bytes },
                Kind::Closed(conn, why) => {
                    self.conns.remove(&(end, conn));
                    Input::Closed { conn, why }
                }
                Kind::Opened(conn) if exists(conn) => Input::Opened { conn, via: Via::Tcp },
                Kind::Accepted(conn) if exists(conn) => {
                    let via = Via::Tcp;
                    Input::Accepted { conn, from, to, via }
                }
                Kind::Flushed(conn) if exists(conn) => Input::Flushed { conn },
                Kind::Received(conn) if exists(conn) => Input::Received { conn, bytes },
                _ => continue,
            };
            self.give(end, input);
        }
    }
}

fn tell(above: Above, payload: &[u8]) -> (ConnId, Told) {
    match above {
        Above::Opened { conn, via } => (conn, Told::Opened(via)),
        Above::Accepted { conn, via, .. } => (conn, Told::Accepted(via)),
        Above::Rerouted { conn, via } => (conn, Told::Rerouted(via)),
        Above::Received { conn, len } => {
            assert_eq!(len, payload.len());
            (conn, Told::Bytes(payload.to_vec()))
        }
        Above::Flushed { conn } => (conn, Told::Flushed),
        Above::Closed { conn, why } => (conn, Told::Closed(why)),
    }
}
