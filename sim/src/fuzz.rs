//! The property of the lab, for any list of inputs at all: what the fuzz target and the property test call.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use transport::utp;
use wire::extended::{self, ExtendedHandshake};
use wire::handshake::Handshake;
use wire::krpc::{Body, Message, Method, Query, Want};
use wire::message::extended_frame;
use wire::ut_metadata::UtMetadata;
use wire::{InfoHash, NodeId, PeerId};
use world::{Closed, ConnId, Effect, Input, Machine, Output, Seed, Time, Via};

use crate::abuse::{Abuse, Trap};
use crate::lab::{Lab, UTP};
use crate::population::Config;
use crate::profile::{Liars, Profile};

/// Half of those that would deliver.
const ABUSE: &[(Abuse, f64)] = &[
    (Abuse::Silence, 0.04),
    (Abuse::Slow, 0.04),
    (Abuse::WrongInfoHash, 0.04),
    (Abuse::EndlessExtended, 0.04),
    (Abuse::EndlessKeepalive, 0.04),
    (Abuse::OversizePrefix, 0.04),
    (Abuse::Absurd, 0.04),
    (Abuse::WrongId, 0.04),
    (Abuse::Rejects, 0.04),
    (Abuse::WrongIndex, 0.04),
    (Abuse::WrongLength, 0.04),
    (Abuse::Twice, 0.04),
    (Abuse::Fake, 0.04),
];

/// A world in which everything happens often: every kind of program, every lie, every way of a peer.
fn world() -> Config {
    let mut profile = Profile::realistic();
    profile.nodes.kinds = [1.0 / 6.0; 6];
    profile.liars = Liars {
        id_chaser: 0.05,
        fake_values: 0.05,
        fake_samples: 0.05,
        oversize: 0.02,
        malformed: 0.05,
        bad_nodes: 0.05,
        reflector: 0.05,
        ..Liars::NONE
    };
    profile.nodes.inbound_per_second = 2.0;
    profile.peers.accept = 0.9;
    profile.peers.utp_only = 0.05;
    profile.peers.silent = 0.1;
    profile.peers.abuse = ABUSE;
    profile.meta.traps = &[(Trap::Nesting, 0.1), (Trap::Paths, 0.1), (Trap::Pieces, 0.1)];
    Config {
        nodes: 24,
        torrents: 8,
        port: 6881,
        profile,
    }
}

/// Whatever arrives: no panic; the lab sends from its own addresses, and only where it was asked from; it speaks of
/// connections that are open, and of each until it is closed; it does not spin.
pub fn lab(bytes: &[u8]) {
    let mut run = Run {
        lab: Lab::new(world(), Seed::from_number(1)),
        now: Time::ZERO,
        open: BTreeSet::new(),
        utp: utp::Socket::new(UTP, Seed::from_number(2)),
        last: 0,
        rest: bytes,
    };
    while let Some(op) = run.byte() {
        run.step(op);
        run.settle();
    }
    run.lab.handle(run.now, Input::Stop);
    run.settle();
}

struct Run<'a> {
    lab: Lab,
    now: Time,
    /// Connections that neither side has closed.
    open: BTreeSet<ConnId>,
    /// Our own end of what is called by uTP.
    utp: utp::Socket,
    last: u64,
    rest: &'a [u8],
}

impl<'a> Run<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    fn number(&mut self) -> u8 {
        self.byte().unwrap_or(0)
    }

    /// Up to 255 bytes as they are.
    fn raw(&mut self) -> &'a [u8] {
        let len = usize::from(self.number()).min(self.rest.len());
        let (raw, rest) = self.rest.split_at(len);
        self.rest = rest;
        raw
    }

    fn client(&mut self) -> SocketAddr {
        let host = self.number() % 3;
        SocketAddr::from((Ipv4Addr::new(127, 0, 0, host + 1), 5000 + u16::from(host)))
    }

    /// An address of somebody or nobody in the lab.
    fn host(&mut self) -> SocketAddr {
        let number = self.number();
        if number == 255 {
            return self.lab.bootstrap();
        }
        let ip = self.lab.population().addresses.of(u32::from(number));
        SocketAddr::from((ip, 6881 + u16::from(number == 254)))
    }

    fn infohash(&mut self) -> InfoHash {
        let keys = self.lab.population().keys.all().len();
        let number = usize::from(self.number());
        let key = self.lab.population().keys.all().get(number % (keys + 1));
        key.map_or(InfoHash::new([7; 20]), |key| key.infohash)
    }

    fn conn(&mut self) -> ConnId {
        let number = u64::from(self.number());
        ConnId(ConnId::ACCEPTED | number.min(self.last))
    }

    fn step(&mut self, op: u8) {
        match op % 10 {
            0 => {
                let span = Duration::from_millis(1 << (self.number() % 20));
                self.now = self.now + span;
                self.lab.handle(self.now, Input::Tick);
            }
            1 => {
                let (from, to, bytes) = (self.client(), self.host(), self.raw());
                self.lab.handle(self.now, Input::Datagram { from, to, bytes });
            }
            2 | 3 => self.query(),
            4 => {
                let (from, to) = (self.client(), self.host());
                self.accept(from, to);
            }
            5 => {
                let (conn, bytes) = (self.conn(), self.raw());
                self.receive(conn, bytes);
            }
            6 => self.talk(),
            7 => {
                let (from, to, mut bytes) = (self.client(), self.host(), vec![0x01]);
                bytes[0] |= (self.number() % 5) << 4;
                bytes.extend_from_slice(self.raw());
                let bytes = &bytes;
                self.lab.handle(self.now, Input::Datagram { from, to, bytes });
            }
            8 => self.call_by_utp(),
            _ => {
                let conn = self.conn();
                if self.open.remove(&conn) {
                    let why = Closed::Reset;
                    self.lab.handle(self.now, Input::Closed { conn, why });
                }
            }
        }
    }

    fn query(&mut self) {
        let (from, to, infohash) = (self.client(), self.host(), self.infohash());
        let target = infohash.as_target();
        let method = match self.number() % 8 {
            0 => Method::Ping,
            1 => Method::FindNode { target },
            2 => Method::SampleInfohashes { target },
            3 => Method::AnnouncePeer {
                info_hash: infohash,
                port: 1,
                implied_port: false,
                token: self.raw(),
                name: None,
                seed: false,
            },
            4 => Method::Unknown {
                name: b"vote",
                target: None,
            },
            5 => Method::Get { target, seq: None },
            flags => Method::GetPeers {
                info_hash: infohash,
                noseed: flags == 6,
                scrape: self.number() % 2 == 1,
            },
        };
        let query = Query {
            id: NodeId::new([1; 20]),
            method,
            want: Want::default(),
        };
        let mut bytes = Vec::new();
        Message::new(b"t", Body::Query(query)).encode(&mut bytes);
        let input = Input::Datagram {
            from,
            to,
            bytes: &bytes,
        };
        self.lab.handle(self.now, input);
    }

    fn accept(&mut self, from: SocketAddr, to: SocketAddr) {
        self.last += 1;
        let conn = ConnId(ConnId::ACCEPTED | self.last);
        self.open.insert(conn);
        self.lab.handle(
            self.now,
            Input::Accepted {
                conn,
                from,
                to,
                via: Via::Tcp,
            },
        );
    }

    fn receive(&mut self, conn: ConnId, bytes: &[u8]) {
        if self.open.contains(&conn) && !bytes.is_empty() {
            self.lab.handle(self.now, Input::Received { conn, bytes });
        }
    }

    /// A proper call to some peer, up to the request of some piece.
    fn talk(&mut self) {
        let (from, infohash, rank) = (self.client(), self.infohash(), self.number());
        let population = self.lab.population();
        let Some(key) = population.find(&infohash).filter(|key| key.peers > 0) else {
            return;
        };
        let to = population.peer_addr(key, u32::from(rank) % key.peers);
        self.accept(from, to);
        let conn = ConnId(ConnId::ACCEPTED | self.last);
        let mut bytes = Vec::new();
        Handshake::new(infohash, PeerId::new([b'f'; 20]))
            .with_extended()
            .encode(&mut bytes);
        let ours = ExtendedHandshake {
            ut_metadata: Some(self.number()),
            ..ExtendedHandshake::default()
        };
        extended_frame(&mut bytes, extended::HANDSHAKE, |out| ours.encode(out));
        for id in 1..=3 {
            let piece = u32::from(self.number());
            extended_frame(&mut bytes, id, |out| UtMetadata::Request { piece }.encode(out));
        }
        let cut = usize::from(self.number()).min(bytes.len());
        self.receive(conn, &bytes[..cut]);
        self.receive(conn, &bytes[cut..]);
    }

    /// Some peer is called by uTP; what it is told is a handshake and what the input says, at once.
    fn call_by_utp(&mut self) {
        let (infohash, rank) = (self.infohash(), self.number());
        let population = self.lab.population();
        let Some(key) = population.find(&infohash).filter(|key| key.peers > 0) else {
            return;
        };
        let to = population.peer_addr(key, u32::from(rank) % key.peers);
        self.last += 1;
        let conn = ConnId(self.last);
        self.utp.dial(self.now, conn, to);
        let mut words = Vec::new();
        Handshake::new(infohash, PeerId::new([b'f'; 20]))
            .with_extended()
            .encode(&mut words);
        words.extend_from_slice(self.raw());
        self.utp.write(self.now, conn, &words);
    }

    /// Carries what our own uTP socket has to send to the lab.
    fn carry_utp(&mut self) {
        if self.utp.deadline().is_some_and(|at| at <= self.now) {
            self.utp.tick(self.now);
        }
        let mut bytes = Vec::new();
        while let Some(output) = self.utp.poll(self.now, &mut bytes) {
            if let Output::Effect(Effect::Send { to, .. }) = output {
                let (from, bytes) = (self.our_utp(), &bytes);
                self.lab.handle(self.now, Input::Datagram { from, to, bytes });
            }
            bytes.clear();
        }
    }

    fn our_utp(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, 5000))
    }

    /// Polls the lab dry, and checks what it wants.
    fn settle(&mut self) {
        self.carry_utp();
        let mut payload = Vec::new();
        let mut polls = 0;
        while let Some(output) = self.lab.poll(self.now, &mut payload) {
            polls += 1;
            assert!(polls < 100_000, "the lab spins");
            match output {
                Output::Effect(Effect::Send { from, to, len }) => {
                    assert_eq!(len, payload.len());
                    assert!(
                        from.is_some_and(|from| from.ip().is_loopback() && (6881..=6882).contains(&from.port())),
                        "{from:?}"
                    );
                    assert!(to.ip().is_loopback() && (5000..5003).contains(&to.port()), "{to}");
                    if let Some(from) = from.filter(|_| to == self.our_utp()) {
                        self.utp.datagram(self.now, from, to, &payload);
                        self.carry_utp();
                    }
                }
                Output::Effect(Effect::Write { conn, len }) => {
                    assert_eq!(len, payload.len());
                    assert!(len > 0 && self.open.contains(&conn), "writes to {conn:?}");
                }
                Output::Effect(Effect::Close { conn }) => assert!(self.open.remove(&conn), "closes {conn:?}"),
                Output::Effect(effect) => panic!("{effect:?}"),
                Output::Event(_) => {}
            }
            payload.clear();
        }
        assert!(
            self.lab.deadline().is_none_or(|at| at > self.now),
            "a deadline in the past"
        );
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn a_lab_takes_whatever_comes(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            super::lab(&bytes);
        }
    }
}
