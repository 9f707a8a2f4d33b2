//! What strangers may cost.

use std::net::SocketAddr;
use std::time::Duration;

use wire::utp::{Header, Kind, Packet};
use world::{Closed, ConnId, Effect, Output, Seed, Time};

use super::super::{Config, Count, Ignored, Socket};
use super::config;
use super::path::{DIAL, Path, World};
use crate::Above;

fn at(host: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, host], 6_881))
}

fn header(kind: Kind, connection_id: u16, seq_nr: u16, ack_nr: u16) -> Header {
    Header {
        kind,
        connection_id,
        timestamp: 1,
        timestamp_difference: 0,
        window: 100_000,
        seq_nr,
        ack_nr,
    }
}

/// A socket that is talked to packet by packet.
struct Lone {
    socket: Socket,
    now: Time,
    told: Vec<Above>,
    said: Vec<(Option<SocketAddr>, SocketAddr, Vec<u8>)>,
}

impl Lone {
    fn new(config: Config) -> Self {
        Self {
            socket: Socket::new(config, Seed::from_number(1)),
            now: Time::ZERO,
            told: Vec::new(),
            said: Vec::new(),
        }
    }

    fn drain(&mut self) {
        let mut payload = Vec::new();
        while let Some(output) = self.socket.poll(self.now, &mut payload) {
            match output {
                Output::Event(event) => self.told.push(event),
                Output::Effect(Effect::Send { from, to, .. }) => self.said.push((from, to, payload.clone())),
                Output::Effect(effect) => panic!("{effect:?}"),
            }
            payload.clear();
        }
    }

    fn hear(&mut self, from: SocketAddr, to: SocketAddr, header: Header, payload: &[u8]) {
        let mut bytes = Vec::new();
        header.encode(&[], &mut bytes);
        bytes.extend_from_slice(payload);
        self.socket.datagram(self.now, from, to, &bytes);
        self.drain();
    }

    fn last(&self) -> Header {
        Packet::decode(&self.said.last().unwrap().2).unwrap().header
    }

    /// A stranger opens a stream and says a byte: its number, our next one.
    fn accept(&mut self, from: SocketAddr, to: SocketAddr, id: u16) -> (ConnId, u16) {
        self.hear(from, to, header(Kind::Syn, id, 10, 0), &[]);
        let next = self.last().seq_nr;
        self.hear(
            from,
            to,
            header(Kind::Data, id.wrapping_add(1), 11, next.wrapping_sub(1)),
            b"x",
        );
        let accepted = self.told.iter().rev().find_map(|event| match event {
            Above::Accepted { conn, .. } => Some(*conn),
            _ => None,
        });
        (accepted.unwrap(), next)
    }

    fn ignored(&self, why: Ignored) -> u64 {
        self.socket.stats().ignored[why]
    }
}

#[test]
fn a_flood_of_syns_is_bounded_and_passes() {
    let mut lone = Lone::new(config());
    for id in 0..1_000 {
        lone.hear(at(1), at(9), header(Kind::Syn, id * 2, 1, 0), &[]);
    }
    assert_eq!(lone.socket.streams(), config().max_half_open);
    assert_eq!(lone.said.len(), config().max_half_open, "one answer each");
    assert_eq!(lone.ignored(Ignored::HalfOpen), 980);
    assert_eq!(lone.told, [], "the owner hears nothing of it");
    lone.now = Time::ZERO + config().half_open;
    lone.socket.tick(lone.now);
    assert_eq!(lone.socket.streams(), 0);
    let (conn, _) = lone.accept(at(2), at(9), 77);
    assert!(conn.is_accepted());
}

#[test]
fn a_stranger_who_cannot_read_our_answers_opens_nothing() {
    let mut lone = Lone::new(config());
    lone.hear(at(1), at(9), header(Kind::Syn, 5, 10, 0), &[]);
    let next = lone.last().seq_nr;
    for guess in [0, 1, next, next.wrapping_add(1), next.wrapping_sub(2)] {
        lone.hear(at(1), at(9), header(Kind::Data, 6, 11, guess), b"x");
    }
    assert_eq!(lone.told, []);
    assert_eq!(lone.ignored(Ignored::BadAck), 5);
}

#[test]
fn each_local_address_answers_for_itself() {
    let mut lone = Lone::new(config());
    let (one, _) = lone.accept(at(1), at(8), 5);
    let (other, _) = lone.accept(at(1), at(9), 5);
    assert_ne!(one, other);
    assert!(lone.said.iter().all(|(from, to, _)| from.is_some() && *to == at(1)));
    assert_eq!(lone.said.last().unwrap().0, Some(at(9)));
    assert_eq!(lone.socket.streams(), 2);
}

#[test]
fn packets_of_no_stream_get_few_resets() {
    let mut lone = Lone::new(config());
    for id in 0..100 {
        lone.hear(at(1), at(9), header(Kind::Data, id, 7, 0), b"x");
    }
    assert_eq!(lone.said.len(), 10);
    assert_eq!((lone.last().kind, lone.last().ack_nr), (Kind::Reset, 7));
    lone.hear(at(1), at(9), header(Kind::Reset, 3, 7, 0), &[]);
    assert_eq!(lone.said.len(), 10, "no answer to a RESET");
    lone.now = Time::from_secs(1);
    lone.hear(at(1), at(9), header(Kind::State, 1, 7, 0), &[]);
    assert_eq!(lone.said.len(), 11);
}

#[test]
fn a_reset_ends_a_stream_if_it_is_not_forged() {
    for by_send_id in [false, true] {
        let mut lone = Lone::new(config());
        let (conn, next) = lone.accept(at(1), at(9), 5);
        let id = if by_send_id { 5 } else { 6 };
        lone.hear(at(1), at(9), header(Kind::Reset, id, 0, next.wrapping_add(500)), &[]);
        lone.hear(at(2), at(9), header(Kind::Reset, id, 0, next.wrapping_sub(1)), &[]);
        assert_eq!(lone.socket.streams(), 1);
        lone.hear(at(1), at(9), header(Kind::Reset, id, 0, next.wrapping_sub(1)), &[]);
        let why = Closed::Reset;
        assert_eq!(lone.told.last(), Some(&Above::Closed { conn, why }));
        assert_eq!(lone.socket.streams(), 0);
    }
}

#[test]
fn a_dial_can_be_refused() {
    let mut lone = Lone::new(config());
    lone.socket.dial(Time::ZERO, DIAL, at(1));
    lone.drain();
    let syn = lone.last();
    lone.hear(at(1), at(9), header(Kind::Reset, syn.connection_id, 0, syn.seq_nr), &[]);
    let why = Closed::Refused;
    assert_eq!(lone.told, [Above::Closed { conn: DIAL, why }]);
}

#[test]
fn no_place_for_another_dial() {
    let mut lone = Lone::new(Config {
        max_streams: 1,
        ..config()
    });
    lone.socket.dial(Time::ZERO, DIAL, at(1));
    lone.socket.dial(Time::ZERO, ConnId(2), at(1));
    lone.drain();
    let (conn, why) = (ConnId(2), Closed::NoRoom);
    assert_eq!(lone.told, [Above::Closed { conn, why }]);
}

#[test]
fn what_comes_early_waits_in_bounds() {
    let mut lone = Lone::new(config());
    let (_, next) = lone.accept(at(1), at(9), 5);
    for seq in 13..1_000 {
        lone.hear(
            at(1),
            at(9),
            header(Kind::Data, 6, seq, next.wrapping_sub(1)),
            &[0; 1_000],
        );
    }
    let window = lone.last().window;
    assert!(window < 1_000, "{window} bytes left");
    let waiting = u64::from(config().receive_window / 1_000);
    assert_eq!(
        lone.ignored(Ignored::Window) + lone.ignored(Ignored::BadSeq),
        987 - waiting
    );
    lone.told.clear();
    lone.hear(
        at(1),
        at(9),
        header(Kind::Data, 6, 12, next.wrapping_sub(1)),
        &[0; 1_000],
    );
    assert!(matches!(lone.told[..], [Above::Received { len, .. }] if len as u64 == (waiting + 1) * 1_000));
    assert_eq!(lone.last().window, config().receive_window);
}

#[test]
fn a_reader_that_has_no_room_is_asked_now_and_then() {
    let mut lone = Lone::new(config());
    let (conn, next) = lone.accept(at(1), at(9), 5);
    let full = Header {
        window: 0,
        ..header(Kind::State, 6, 12, next.wrapping_sub(1))
    };
    lone.hear(at(1), at(9), full, &[]);
    lone.said.clear();
    lone.socket.write(lone.now, conn, &[1; 5_000]);
    for second in 1..=60 {
        lone.now = Time::from_secs(second);
        lone.socket.tick(lone.now);
        lone.drain();
        // It answers, but takes nothing.
        lone.hear(at(1), at(9), full, &[]);
    }
    assert!((10..=20).contains(&lone.said.len()), "{}", lone.said.len());
    assert!(
        lone.said.iter().all(|(_, _, bytes)| bytes.len() == 21),
        "one byte at a time"
    );
    let open = Header {
        window: 100_000,
        ..full
    };
    lone.hear(at(1), at(9), open, &[]);
    assert!(lone.said.iter().any(|(_, _, bytes)| bytes.len() == 1_220));
}

#[test]
fn one_who_never_reads_ends_as_congested() {
    let mut lone = Lone::new(config());
    let (conn, _) = lone.accept(at(1), at(9), 5);
    lone.socket.write(lone.now, conn, &vec![0; config().send_buffer]);
    lone.drain();
    lone.socket.write(lone.now, conn, b"x");
    lone.drain();
    let why = Closed::Congested;
    assert_eq!(lone.told.last(), Some(&Above::Closed { conn, why }));
    assert_eq!(lone.last().kind, Kind::Reset);
}

#[test]
fn who_falls_silent_is_taken_for_dead() {
    let mut world = World::new(1, Path::CLEAN, [config(), config()]);
    world.open();
    world.path.loss = 100;
    world.write(0, b"anybody?");
    world.run(Duration::from_secs(120));
    assert_eq!(world.closed(0), [Closed::Reset]);
    assert_eq!(world.closed(1), [], "it was not asked anything");
    world.run(Duration::from_secs(60));
    assert_eq!(world.closed(1), [Closed::Reset]);
    let counts = world.sides.each_ref().map(|side| side.socket.stats().counts);
    assert_eq!((counts[0][Count::Dead], counts[1][Count::Idle]), (1, 1));
}

#[test]
fn an_idle_stream_is_kept_alive() {
    let mut world = World::new(1, Path::CLEAN, [config(), config()]);
    world.open();
    let before = world.sides[0].sent;
    world.run(Duration::from_secs(3_600));
    assert_eq!(world.sides[0].sent - before, 3_600 / 29);
    assert_eq!(world.sides[0].told.len(), 1);
}

#[test]
fn both_habits_of_acknowledging_a_fin_are_met() {
    let mut lone = Lone::new(config());
    let (conn, next) = lone.accept(at(1), at(9), 5);
    lone.socket.close(lone.now, conn);
    lone.drain();
    let fin = lone.last();
    assert_eq!((fin.kind, fin.seq_nr), (Kind::Fin, next));
    let theirs = header(Kind::Fin, 6, 12, fin.seq_nr);
    let numbers = [0; 3].map(|_| {
        lone.hear(at(1), at(9), theirs, &[]);
        assert_eq!((lone.last().kind, lone.last().ack_nr), (Kind::State, 12));
        lone.last().seq_nr.wrapping_sub(fin.seq_nr)
    });
    // libtorrent passes over what is beyond the FIN, libutp over what is not.
    assert_eq!(numbers, [0, 1, 0]);
}

#[test]
fn one_who_never_ends_its_half_is_not_waited_for() {
    let mut lone = Lone::new(config());
    let (conn, next) = lone.accept(at(1), at(9), 5);
    lone.socket.close(lone.now, conn);
    lone.drain();
    lone.hear(at(1), at(9), header(Kind::State, 6, 12, next), &[]);
    assert_eq!(lone.socket.streams(), 1);
    lone.now = Time::from_secs(2);
    lone.socket.tick(lone.now);
    lone.drain();
    assert_eq!(lone.socket.streams(), 0);
    assert_eq!(lone.last().kind, Kind::Fin, "nothing more is said");
}
