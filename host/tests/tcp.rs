//! Connections on real sockets on loopback.

#![allow(clippy::unwrap_used, reason = "a test that cannot set itself up fails")]

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use host::{Limits, Setup, Stage};
use support::{LIMITS, play, setup};
use world::{Closed, ConnId, Input};

const ONE: ConnId = ConnId(1);

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

#[test]
fn a_dialled_connection_carries_bytes_both_ways_until_the_remote_ends_it() {
    let (listener, addr) = listener();
    let remote = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut buffer = [0; 5];
        stream.read_exact(&mut buffer).unwrap();
        stream.write_all(&buffer).unwrap();
        buffer
    });
    let mut back = Vec::new();
    let stage = Stage::open(&setup()).unwrap();
    let ended = play(
        stage,
        |acts| acts.dial(1, addr),
        |acts, _, input| match input {
            Input::Opened { conn, .. } => acts.write(conn, b"hello"),
            Input::Received { conn, bytes } => {
                assert_eq!(conn, ONE);
                back.extend_from_slice(bytes);
            }
            Input::Closed { conn, why } => {
                assert_eq!((conn, why), (ONE, Closed::ByRemote));
                acts.done();
            }
            other => panic!("{other:?}"),
        },
    );
    assert_eq!(remote.join().unwrap(), *b"hello");
    assert_eq!(back, b"hello");
    let counters = ended.counters;
    assert_eq!(
        (counters.dialled, counters.opened, counters.bytes_in, counters.bytes_out),
        (1, 1, 5, 5)
    );
}

#[test]
fn bytes_written_before_the_connection_is_open_are_sent() {
    let (listener, addr) = listener();
    let begin = |acts: &mut support::Acts| {
        acts.dial(1, addr);
        acts.write(ONE, b"early ");
        acts.write(ONE, b"bird");
    };
    let remote = thread::spawn(move || {
        let mut text = [0; 10];
        listener.accept().unwrap().0.read_exact(&mut text).unwrap();
        text
    });
    play(Stage::open(&setup()).unwrap(), begin, |acts, _, input| {
        if matches!(input, Input::Closed { .. }) {
            acts.done();
        }
    });
    assert_eq!(remote.join().unwrap(), *b"early bird");
}

#[test]
fn failures_to_open_are_told_by_kind() {
    let closed = listener().1;
    let begin = |acts: &mut support::Acts| {
        acts.dial(1, closed);
        acts.dial(2, "255.255.255.255:1".parse().unwrap());
    };
    let mut told = Vec::new();
    play(Stage::open(&setup()).unwrap(), begin, |acts, _, input| {
        let Input::Closed { conn, why } = input else {
            panic!("{input:?}")
        };
        told.push((conn.0, why));
        if told.len() == 2 {
            acts.done();
        }
    });
    told.sort();
    assert_eq!(told, [(1, Closed::Refused), (2, Closed::Unreachable)]);
}

#[test]
fn over_the_limit_there_is_no_room() {
    let (_listener, addr) = listener();
    let limits = Limits {
        connections: 2,
        ..LIMITS
    };
    let stage = Stage::open(&Setup { limits, ..setup() }).unwrap();
    let own = stage.listen_addr().unwrap();
    let mut stranger = None;
    let begin = |acts: &mut support::Acts| (1..=3).for_each(|conn| acts.dial(conn, addr));
    let ended = play(stage, begin, |acts, _, input| match input {
        Input::Opened { .. } => {}
        Input::Closed { conn, why } if stranger.is_none() => {
            assert_eq!((conn, why), (ConnId(3), Closed::NoRoom));
            stranger = Some(TcpStream::connect(own).unwrap());
            acts.wake = Some(world::Time::ZERO + Duration::from_millis(50));
        }
        Input::Tick if stranger.as_mut().unwrap().read(&mut [0]).unwrap() == 0 => acts.done(),
        other => panic!("{other:?}"),
    });
    assert_eq!((ended.counters.dial_no_room, ended.counters.accept_no_room), (1, 1));
}

#[test]
fn strangers_fill_their_share_and_no_more() {
    let (_listener, addr) = listener();
    let limits = Limits {
        connections: 3,
        accepted: 1,
        ..LIMITS
    };
    // The TCP port beside the UDP port that the kernel chose may be somebody else's.
    let stages = (0..20).map(|_| Stage::open(&Setup { limits, ..setup() }).unwrap());
    let mut beside = stages.filter_map(|mut stage| stage.listen_beside_udp().is_ok().then_some(stage));
    let stage = beside.next().expect("twenty pairs of ports");
    let (first, second) = (stage.listen_addr().unwrap(), stage.udp_addrs()[0]);
    let (stopper, mut caller) = (stage.stopper(), Some(TcpStream::connect(first).unwrap()));
    let mut opened = false;
    let ended = play(
        stage,
        |_| (),
        |acts, _, input| match input {
            Input::Accepted { to, .. } => {
                assert_eq!(to, first);
                let (first, stopper) = (caller.take(), stopper.clone());
                // The listener beside UDP hangs up on the second caller; only then does the first leave.
                thread::spawn(move || {
                    let mut refused = TcpStream::connect(second).unwrap();
                    assert_eq!(refused.read(&mut [0]).unwrap(), 0);
                    stopper.stop();
                    drop(first);
                });
            }
            Input::Stop => acts.dial(1, addr),
            Input::Opened { .. } => {
                opened = true;
                acts.done();
            }
            Input::Closed { conn, .. } if conn.is_accepted() => {}
            other => panic!("{other:?}"),
        },
    );
    assert!(opened, "there is room to dial");
    assert_eq!((ended.counters.accepted, ended.counters.accept_no_room), (1, 1));
}

#[test]
fn a_room_that_was_closed_is_free_again_and_not_heard_of() {
    let (_listener, addr) = listener();
    let limits = Limits {
        connections: 1,
        ..LIMITS
    };
    let stage = Stage::open(&Setup { limits, ..setup() }).unwrap();
    let mut opened = 0;
    play(
        stage,
        |acts| acts.dial(1, addr),
        |acts, _, input| {
            let Input::Opened { conn, .. } = input else {
                panic!("{input:?}")
            };
            opened += 1;
            assert_eq!(conn, ConnId(opened));
            if opened == 20 {
                return acts.done();
            }
            acts.close(conn);
            acts.dial(opened + 1, addr);
        },
    );
}

#[test]
fn an_end_that_was_not_told_yet_is_not_told_after_close() {
    let begin = |acts: &mut support::Acts| {
        // Without a route this fails at once; the news must wait for the end of the poll, and the close comes first.
        acts.dial(1, "255.255.255.255:1".parse().unwrap());
        acts.close(ONE);
        acts.wake = Some(world::Time::ZERO + Duration::from_millis(5));
    };
    play(Stage::open(&setup()).unwrap(), begin, |acts, _, input| {
        assert_eq!(input, Input::Tick);
        acts.done();
    });
}

#[test]
fn who_does_not_read_is_congested() {
    let (listener, addr) = listener();
    let limits = Limits {
        write_buffer: 100_000,
        ..LIMITS
    };
    let stage = Stage::open(&Setup { limits, ..setup() }).unwrap();
    let mut deaf = None;
    let ended = play(
        stage,
        |acts| acts.dial(1, addr),
        |acts, _, input| match input {
            Input::Opened { conn, .. } => {
                deaf = Some(listener.accept().unwrap());
                (0..1000).for_each(|_| acts.write(conn, &[0; 50_000]));
            }
            Input::Closed { conn, why } => {
                assert_eq!((conn, why), (ONE, Closed::Congested));
                acts.done();
            }
            other => panic!("{other:?}"),
        },
    );
    assert_eq!(ended.counters.congested, 1);
}

#[test]
fn what_was_written_before_close_arrives_whole() {
    const LEN: usize = 8 << 20;
    let limits = Limits {
        write_buffer: LEN,
        ..LIMITS
    };
    let stage = Stage::open(&Setup { limits, ..setup() }).unwrap();
    let own = stage.listen_addr().unwrap();
    let stopper = stage.stopper();
    let remote = thread::spawn(move || {
        let mut stream = TcpStream::connect(own).unwrap();
        // Bytes that nobody will read: closing over them must not reset what comes back.
        stream.write_all(&[1; 1000]).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        stopper.stop();
        bytes
    });
    play(
        stage,
        |_| (),
        |acts, _, input| match input {
            Input::Accepted { conn, to, .. } => {
                assert!(conn.is_accepted());
                assert_eq!(to, own);
                acts.write(conn, &vec![2; LEN]);
                acts.close(conn);
            }
            Input::Stop => acts.done(),
            other => panic!("nothing is told after a close: {other:?}"),
        },
    );
    let bytes = remote.join().unwrap();
    assert!(bytes.len() == LEN && bytes.iter().all(|byte| *byte == 2));
}

#[test]
fn a_thousand_connections_and_a_stream_of_datagrams_share_the_loop() {
    const CONNS: u64 = 1000;
    const SIZE: usize = 20_000;
    let limit = host::raise_descriptor_limit(3 * CONNS);
    assert!(limit >= 3 * CONNS, "this machine allows {limit} descriptors");
    let stage = Stage::open(&setup()).unwrap();
    let (udp, tcp) = (stage.udp_addrs()[0], stage.listen_addr().unwrap());
    // The machine calls itself, and keeps a dozen datagrams in flight to itself all the while.
    let begin = |acts: &mut support::Acts| {
        (1..=CONNS).for_each(|conn| acts.dial(conn, tcp));
        (0..12).for_each(|_| acts.send(udp, b"round and round"));
    };
    let (mut received, mut whole, mut datagrams) = (vec![0; 1001], 0, 0u64);
    let ended = play(stage, begin, |acts, _, input| match input {
        Input::Accepted { conn, .. } => {
            acts.write(conn, &[3; SIZE]);
            acts.close(conn);
        }
        Input::Received { conn, bytes } => received[usize::try_from(conn.0).unwrap()] += bytes.len(),
        Input::Closed { conn, why } => {
            assert_eq!(
                (why, received[usize::try_from(conn.0).unwrap()]),
                (Closed::ByRemote, SIZE)
            );
            whole += 1;
            if whole == CONNS {
                acts.done();
            }
        }
        Input::Datagram { from, bytes, .. } => {
            datagrams += 1;
            acts.send(from, bytes);
        }
        Input::Opened { .. } => {}
        other => panic!("{other:?}"),
    });
    assert_eq!((ended.counters.opened, ended.counters.accepted), (CONNS, CONNS));
    // Each turn serves at most 64 connections, and every datagram that is there.
    assert!(datagrams > 100, "only {datagrams} datagrams went round");
}
