//! Strangers who call: sources, guests, and the rest; metadata by `LT_metadata`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use wire::extended::{self, ExtendedHandshake};
use wire::handshake::Handshake;
use wire::lt_metadata::{LtMetadata, Parts};
use wire::ut_metadata::UtMetadata;
use wire::{InfoHash, PeerId, metainfo};
use world::{Closed, ConnId, Effect, Input, Machine, Output, Seed, Tally, Time, Via};

use crate::dealings::{Answer, Call};
use crate::testing::desk::{Desk, LT_METADATA, UT_METADATA, frame, greeting, offer};
use crate::testing::{config, host};
use crate::{Config, Ending, Event, Failure, Pool, Stage};

/// An info dictionary of `len` bytes or a few more, and its infohash.
fn torrent(len: usize, private: bool) -> (Vec<u8>, InfoHash) {
    let pieces = len.div_ceil(20) * 20;
    let length = pieces / 20 * 16_384;
    let mut raw = format!("d6:lengthi{length}e4:name1:n12:piece lengthi16384e6:pieces{pieces}:").into_bytes();
    raw.extend((0..pieces).map(|at| (at / 251) as u8 ^ at as u8));
    raw.extend_from_slice(if private { b"7:privatei1ee" } else { b"e" });
    let info_hash = metainfo::info_hash_v1(&raw);
    (raw, info_hash)
}

/// A pool with one torrent on its shelf.
fn serving(raw: &[u8], info_hash: InfoHash, config: Config) -> Desk {
    let mut desk = Desk::new(config);
    desk.pool.set_listen_port(7_000);
    assert!(desk.pool.shelve(info_hash, Arc::new(raw.to_vec())));
    desk
}

fn request(piece: u32) -> Vec<u8> {
    frame(config().extensions.ut_metadata, |out| {
        UtMetadata::Request { piece }.encode(out);
    })
}

#[test]
fn a_guest_gets_every_piece() {
    let (raw, info_hash) = torrent(40_000, false);
    let mut desk = serving(&raw, info_hash, config());
    let conn = desk.call(1, host(9), Via::Tcp);
    desk.says(conn, &greeting(info_hash, &offer(None)));
    let (handshake, said) = desk.read(conn);
    assert_eq!(handshake.map(|shake| shake.info_hash), Some(info_hash));
    let ours = ExtendedHandshake::decode(&said[0].1).unwrap();
    assert_eq!(said[0].0, extended::HANDSHAKE);
    assert_eq!(ours.metadata_size, i64::try_from(raw.len()).ok());
    assert_eq!((ours.port, ours.your_ip), (Some(7_000), Some(host(9).ip())));
    assert_eq!(ours.version, Some(&b"Estudely test"[..]));
    let mut got = Vec::new();
    for piece in 0..3 {
        desk.says(conn, &request(piece));
        let (_, said) = desk.read(conn);
        let UtMetadata::Data { bytes, total_size, .. } = UtMetadata::decode(&said[0].1).unwrap() else {
            panic!("no data");
        };
        assert_eq!(
            (said[0].0, total_size),
            (UT_METADATA, i64::try_from(raw.len()).unwrap())
        );
        got.extend_from_slice(bytes);
    }
    assert_eq!(got, raw);
    let stats = desk.pool.stats();
    assert_eq!((stats.calls[Call::Guest], stats.answers[Answer::Piece]), (1, 3));
    // Given nothing for a while, it is hung up on.
    desk.pass(config().serving.idle);
    assert_eq!(desk.closed, [conn]);
    assert_eq!(desk.pool.connections(), 0);
}

#[test]
fn a_guest_that_floods_is_rejected() {
    let (raw, info_hash) = torrent(40_000, false);
    let mut desk = serving(&raw, info_hash, config());
    let conn = desk.call(1, host(9), Via::Tcp);
    desk.says(conn, &greeting(info_hash, &offer(None)));
    for piece in 0..100 {
        desk.says(conn, &request(piece % 3));
    }
    // All three pieces twice; a shorter last one leaves no room for a whole one.
    assert_eq!(desk.pool.stats().answers[Answer::Piece], 6);
    assert_eq!(desk.pool.stats().answers[Answer::Enough], 94);
    desk.says(conn, &request(77));
    assert_eq!(desk.pool.stats().answers[Answer::Absent], 1);
    let (_, said) = desk.read(conn);
    assert_eq!(
        UtMetadata::decode(&said.last().unwrap().1),
        Ok(UtMetadata::Reject { piece: 77 })
    );
}

#[test]
fn a_host_that_comes_again_is_given_so_much_in_all() {
    let (raw, info_hash) = torrent(40_000, false);
    let mut config = config();
    config.serving.bytes_per_host = 60_000;
    let window = config.serving.window;
    let mut desk = serving(&raw, info_hash, config);
    let given = |desk: &mut Desk, number| {
        let before = desk.pool.stats().answers[Answer::Piece];
        let conn = desk.call(number, host(9), Via::Tcp);
        desk.says(conn, &greeting(info_hash, &offer(None)));
        (0..3).for_each(|piece| desk.says(conn, &request(piece)));
        desk.input(Input::Closed {
            conn,
            why: Closed::ByRemote,
        });
        desk.pool.stats().answers[Answer::Piece] - before
    };
    assert_eq!((given(&mut desk, 1), given(&mut desk, 2)), (3, 1));
    desk.pass(window);
    assert_eq!(given(&mut desk, 3), 3);
}

#[test]
fn strangers_do_not_get_private_torrents() {
    let (raw, info_hash) = torrent(1_000, true);
    let mut desk = serving(&raw, info_hash, config());
    let conn = desk.call(1, host(9), Via::Tcp);
    desk.says(conn, &greeting(info_hash, &offer(None)));
    assert_eq!(desk.closed, [conn]);
    assert_eq!(desk.pool.stats().calls[Call::Unknown], 1);
}

#[test]
fn what_was_fetched_is_served_if_somebody_can_call() {
    for port in [0, 7_000] {
        let (raw, info_hash) = torrent(1_000, false);
        let mut desk = Desk::new(config());
        desk.pool.set_listen_port(port);
        desk.pool.start(desk.now, info_hash);
        desk.pool.offer(info_hash, host(1));
        desk.drain();
        let conn = desk.opens(0, info_hash, &offer(i64::try_from(raw.len()).ok()));
        let data = UtMetadata::Data {
            piece: 0,
            total_size: i64::try_from(raw.len()).unwrap(),
            bytes: &raw,
        };
        desk.says(conn, &frame(1, |out| data.encode(out)));
        assert!(matches!(desk.events.last(), Some(Event::Metadata { .. })));
        assert_eq!(desk.pool.shelf_bytes(), if port == 0 { 0 } else { raw.len() });
    }
}

#[test]
fn a_caller_with_a_hunted_infohash_is_a_source() {
    let (raw, info_hash) = torrent(1_000, false);
    let mut desk = Desk::new(config());
    desk.pool.start(desk.now, info_hash);
    let conn = desk.call(1, host(9), Via::Utp);
    desk.says(conn, &greeting(info_hash, &offer(i64::try_from(raw.len()).ok())));
    let (handshake, said) = desk.read(conn);
    assert_eq!(handshake.map(|shake| shake.info_hash), Some(info_hash));
    assert_eq!(said[1], (UT_METADATA, b"d8:msg_typei0e5:piecei0ee".to_vec()));
    let data = UtMetadata::Data {
        piece: 0,
        total_size: i64::try_from(raw.len()).unwrap(),
        bytes: &raw,
    };
    desk.says(conn, &frame(1, |out| data.encode(out)));
    let [attempt, metadata] = &desk.events[..] else {
        panic!("{:?}", desk.events);
    };
    let (via, incoming, result) = (Some(Via::Utp), true, Ok(()));
    assert!(
        matches!(attempt, Event::Attempt { via: v, incoming: i, result: r, .. } if (*v, *i, *r) == (via, incoming, result))
    );
    assert!(matches!(metadata, Event::Metadata { tried: 0, .. }));
    let stats = desk.pool.stats();
    assert_eq!((stats.funnel.total(), stats.verified()), (0, 1));
    assert_eq!(stats.incoming.funnel[Stage::Connected], 1);
    assert_eq!(stats.calls[Call::Source], 1);
}

#[test]
fn clients_are_asked_for_as_much_at_once_as_they_bear() {
    let (raw, info_hash) = torrent(400_000, false);
    for (client, requests) in [(b"-qB4520-", 4), (b"-lt0D80-", 1), (b"-TR4000-", 16)] {
        let mut desk = Desk::new(config());
        desk.pool.start(desk.now, info_hash);
        desk.pool.offer(info_hash, host(1));
        desk.drain();
        let conn = desk.dials[0].0;
        desk.input(Input::Opened { conn, via: Via::Tcp });
        let mut greeting = greeting(info_hash, &offer(i64::try_from(raw.len()).ok()));
        greeting[48..56].copy_from_slice(client);
        desk.says(conn, &greeting);
        let (_, said) = desk.read(conn);
        assert_eq!(said.len() - 1, requests);
    }
}

#[test]
fn a_caller_that_fails_is_an_attempt_and_no_dial() {
    let (_, info_hash) = torrent(1_000, false);
    let mut desk = Desk::new(config());
    desk.pool.start(desk.now, info_hash);
    let conn = desk.call(1, host(9), Via::Tcp);
    desk.says(conn, &greeting(info_hash, &offer(Some(-1))));
    desk.pool.no_more_peers(info_hash);
    desk.drain();
    let stats = desk.pool.stats();
    assert_eq!(
        (stats.incoming.failures[Failure::BadSize], stats.failures.total()),
        (1, 0)
    );
    let why = Ending::NoPeers;
    assert!(matches!(desk.events.last(), Some(Event::GaveUp { why: w, tried: 0, .. }) if *w == why));
}

#[test]
fn every_other_caller_is_hung_up_on_with_a_reason() {
    let (raw, info_hash) = torrent(1_000, false);
    let mut desk = serving(&raw, info_hash, config());
    let mut calls = 0;
    let mut ends = |desk: &mut Desk, says: &[u8], why| {
        calls += 1;
        let conn = desk.call(calls, host(9), Via::Tcp);
        if !says.is_empty() {
            desk.says(conn, says);
        }
        desk.pass(config().deadlines.handshake);
        assert_eq!(desk.closed.last(), Some(&conn));
        assert_eq!(desk.pool.stats().calls[why], 1, "{why:?}");
    };
    ends(&mut desk, b"", Call::Silent);
    ends(&mut desk, b"HTTP", Call::NotBitTorrent);
    let mut plain = Vec::new();
    Handshake::new(info_hash, PeerId::new([7; 20])).encode(&mut plain);
    ends(&mut desk, &plain, Call::NoExtensions);
    let unknown = greeting(InfoHash::new([3; 20]), &offer(None));
    ends(&mut desk, &unknown, Call::Unknown);
    let conn = desk.call(99, host(9), Via::Tcp);
    desk.call(100, host(9), Via::Tcp);
    assert_eq!(desk.pool.stats().calls[Call::Busy], 1);
    desk.input(Input::Closed {
        conn,
        why: Closed::Reset,
    });
    assert_eq!(desk.pool.stats().calls[Call::Closed], 1);
    assert_eq!(desk.pool.deadline(), None);
}

#[test]
fn callers_are_bounded() {
    let mut desk = Desk::new(config());
    let most = u8::try_from(config().serving.callers).unwrap();
    for number in 0..=most {
        desk.call(number.into(), host(number), Via::Tcp);
    }
    assert_eq!(desk.pool.connections(), usize::from(most));
    assert_eq!(desk.pool.stats().calls[Call::Full], 1);
    desk.input(Input::Stop);
    assert_eq!(desk.pool.stats().calls[Call::Stopped], u64::from(most));
    assert_eq!((desk.pool.connections(), desk.pool.deadline()), (0, None));
}

#[test]
fn lt_metadata_is_laid_out_as_documented_both_ways() {
    let (raw, info_hash) = torrent(1_000, false);
    let total = u32::try_from(raw.len()).unwrap();
    let mut desk = serving(&raw, info_hash, config());
    let conn = desk.call(1, host(9), Via::Tcp);
    desk.says(conn, &greeting(info_hash, &offer(None)));
    desk.read(conn);
    // Length, extended, our number, request, from part 2 on, three parts.
    desk.says(conn, &[0, 0, 0, 5, 20, config().extensions.lt_metadata, 0, 2, 2]);
    let bytes = Parts::new(2, 2).unwrap().bytes(total);
    let [_, _, high, low] = total.to_be_bytes();
    let start = u8::try_from(bytes.start).unwrap();
    let len = u8::try_from(bytes.len() + 11).unwrap();
    let mut expected = vec![0, 0, 0, len, 20, LT_METADATA, 1, 0, 0, high, low, 0, 0, 0, start];
    expected.extend_from_slice(&raw[bytes.start as usize..bytes.end as usize]);
    assert_eq!(desk.written.remove(&conn).unwrap(), expected);
    assert_eq!(desk.pool.stats().answers[Answer::Parts], 1);
}

#[test]
fn a_peer_with_lt_metadata_alone_is_asked_for_its_size_first() {
    let (raw, info_hash) = torrent(30_000, false);
    let total_size = i32::try_from(raw.len()).unwrap();
    let mut desk = Desk::new(config());
    desk.pool.start(desk.now, info_hash);
    desk.pool.offer(info_hash, host(1));
    desk.drain();
    let only = ExtendedHandshake {
        lt_metadata: Some(LT_METADATA),
        ..ExtendedHandshake::default()
    };
    let conn = desk.opens(0, info_hash, &only);
    let mut requests = 0;
    while desk.events.is_empty() {
        let (_, said) = desk.read(conn);
        for (id, payload) in said.iter().filter(|(id, _)| *id != extended::HANDSHAKE) {
            assert_eq!(*id, LT_METADATA);
            let Ok(LtMetadata::Request(parts)) = LtMetadata::decode(payload) else {
                panic!("no request");
            };
            requests += 1;
            let bytes = parts.bytes(total_size.try_into().unwrap());
            let answer = LtMetadata::Metadata {
                total_size,
                offset: bytes.start.try_into().unwrap(),
                bytes: &raw[bytes.start as usize..bytes.end as usize],
            };
            desk.says(conn, &frame(config().extensions.lt_metadata, |out| answer.encode(out)));
        }
    }
    assert_eq!(requests, 3);
    assert!(matches!(desk.events.last(), Some(Event::Metadata { raw: got, .. }) if **got == raw));
}

/// Two pools that call one another; what they write arrives at once.
struct Pair {
    pools: [Pool; 2],
    now: Time,
    /// The other end of each connection.
    ends: BTreeMap<(usize, ConnId), (usize, ConnId)>,
    /// Everything that the second wrote.
    served: Vec<u8>,
    events: Vec<Event>,
}

impl Pair {
    fn addr(of: usize) -> SocketAddr {
        host(u8::try_from(of + 1).unwrap())
    }

    fn run(&mut self) {
        let mut quiet = false;
        while !quiet {
            quiet = true;
            for from in [0, 1] {
                let mut payload = Vec::new();
                while let Some(output) = self.pools[from].poll(self.now, &mut payload) {
                    quiet = false;
                    match output {
                        Output::Event(event) => self.events.push(event),
                        Output::Effect(effect) => self.effect(from, effect, &payload),
                    }
                    payload.clear();
                }
            }
        }
    }

    fn effect(&mut self, from: usize, effect: Effect, payload: &[u8]) {
        let to = 1 - from;
        match effect {
            Effect::Dial { conn, .. } => {
                let theirs = ConnId(conn.0 | ConnId::ACCEPTED);
                self.ends.insert((from, conn), (to, theirs));
                self.ends.insert((to, theirs), (from, conn));
                let accepted = Input::Accepted {
                    conn: theirs,
                    from: Self::addr(from),
                    to: Self::addr(to),
                    via: Via::Tcp,
                };
                self.pools[to].handle(self.now, accepted);
                self.pools[from].handle(self.now, Input::Opened { conn, via: Via::Tcp });
            }
            Effect::Write { conn, .. } => {
                if from == 1 {
                    self.served.extend_from_slice(payload);
                }
                if let Some(&(to, conn)) = self.ends.get(&(from, conn)) {
                    self.pools[to].handle(self.now, Input::Received { conn, bytes: payload });
                }
            }
            Effect::Close { conn } => {
                if let Some((to, conn)) = self.ends.remove(&(from, conn))
                    && self.ends.remove(&(to, conn)).is_some()
                {
                    let why = Closed::ByRemote;
                    self.pools[to].handle(self.now, Input::Closed { conn, why });
                }
            }
            other => panic!("a pool has streams, and nothing else: {other:?}"),
        }
    }
}

/// What one of ours fetches from another, and what that wrote.
fn exchanged(raw: &[u8], info_hash: InfoHash, config: &Config) -> (Vec<Event>, Vec<u8>, Tally<Answer>) {
    let pool = |seed| Pool::new(config.clone(), Seed::from_number(seed));
    let mut pair = Pair {
        pools: [pool(1), pool(2)],
        now: Time::from_secs(1),
        ends: BTreeMap::new(),
        served: Vec::new(),
        events: Vec::new(),
    };
    assert!(pair.pools[1].shelve(info_hash, Arc::new(raw.to_vec())));
    let now = pair.now;
    pair.pools[0].start(now, info_hash);
    pair.pools[0].offer(info_hash, Pair::addr(1));
    pair.pools[0].no_more_peers(info_hash);
    pair.run();
    let answers = pair.pools[1].stats().answers;
    assert_eq!(pair.pools.map(|pool| pool.connections()), [0, 0]);
    (pair.events, pair.served, answers)
}

#[test]
fn two_of_ours_exchange_metadata() {
    let (raw, info_hash) = torrent(100_000, false);
    let (events, _, answers) = exchanged(&raw, info_hash, &config());
    assert!(matches!(events.last(), Some(Event::Metadata { raw: got, .. }) if **got == raw));
    assert_eq!((answers[Answer::Piece], answers.total()), (7, 7));
}

#[test]
fn two_of_ours_without_ut_metadata_exchange_it_by_lt_metadata() {
    let mut config = config();
    config.extensions.ut_metadata = 0;
    for len in [100, 16_384, 100_000, 1_000_000] {
        let (raw, info_hash) = torrent(len, false);
        let (events, served, answers) = exchanged(&raw, info_hash, &config);
        assert!(
            matches!(events.last(), Some(Event::Metadata { raw: got, .. }) if **got == raw),
            "{len}: {events:?}"
        );
        let pieces = raw.len().div_ceil(16_384) as u64;
        assert_eq!((answers[Answer::Parts], answers.total()), (pieces, pieces));
        // The first answer: length, 20, our number, 1, total size, offset 0, then the bytes of the first piece.
        let lt = config.extensions.lt_metadata;
        let total = u32::try_from(raw.len()).unwrap().to_be_bytes();
        let head = [&[20, lt, 1][..], &total, &[0; 4], &raw[..100]].concat();
        assert!(served.windows(head.len()).any(|window| window == head), "{len}");
    }
}

#[test]
fn lt_metadata_that_is_too_large_for_it_is_left() {
    let mut config = config();
    config.extensions.ut_metadata = 0;
    let (raw, info_hash) = torrent((4 << 20) + 1, false);
    config.serving.shelf_bytes = 8 << 20;
    let (events, ..) = exchanged(&raw, info_hash, &config);
    let failure = Err(Failure::TooLarge);
    assert!(matches!(&events[0], Event::Attempt { result, .. } if *result == failure));
}
