//! What a dial comes to, by policy, by what the world does, and by what was learnt before.

use std::time::Duration;

use world::{Closed, ConnId, Effect, Input, Member, Time, Via};

use crate::mse::{Level, Method};
use crate::stats::Reason;
use crate::streams::HELD_MAX;
use crate::testing::{TORRENT, Tcp, Told, World, config, greeting};
use crate::{Config, Policy};

const MILLI: Duration = Duration::from_millis(1);

fn world(calls: Config, called: Config) -> World {
    let mut world = World::new(calls, called);
    world.ends[1].admit(TORRENT);
    world
}

/// No uTP, where only one carrier is the subject.
fn tcp_only() -> Config {
    Config { utp: false, ..config() }
}

fn with(outgoing: Policy, incoming: Policy, level: Level) -> Config {
    Config {
        outgoing,
        incoming,
        level,
        ..tcp_only()
    }
}

#[test]
fn policies_meet_as_stated() {
    for &outgoing in Policy::ALL {
        for &incoming in Policy::ALL {
            let calls = with(outgoing, Policy::Disabled, Level::Both);
            let called = with(Policy::Disabled, incoming, Level::Both);
            let expected = match (outgoing, incoming) {
                (Policy::Forced, Policy::Disabled) | (Policy::Disabled, Policy::Forced) => None,
                (Policy::Forced, _) | (_, Policy::Forced) => Some(Via::TcpMse),
                _ => Some(Via::Tcp),
            };
            let came = world(calls, called).converse(1, None).ok();
            assert_eq!(came, expected, "{outgoing:?} calls {incoming:?}");
        }
    }
}

#[test]
fn levels_meet_as_stated() {
    for &ours in Level::ALL {
        for &theirs in Level::ALL {
            let calls = with(Policy::Forced, Policy::Forced, ours);
            let called = with(Policy::Forced, Policy::Forced, theirs);
            let mut world = world(calls, called);
            let came = world.converse(1, None).is_ok();
            let methods = [Method::Plaintext, Method::Rc4].map(|method| world.ends[0].stats().methods[method]);
            let expected = match (ours, theirs) {
                (Level::Plaintext, Level::Rc4) | (Level::Rc4, Level::Plaintext) => [0, 0],
                (Level::Rc4, _) | (_, Level::Rc4) => [0, 1],
                _ => [1, 0],
            };
            assert_eq!(
                (methods, came),
                (expected, expected != [0, 0]),
                "{ours:?} calls {theirs:?}"
            );
        }
    }
}

#[test]
fn bytes_flow_both_ways_after_each_method() {
    for level in [Level::Plaintext, Level::Rc4] {
        let forced = with(Policy::Forced, Policy::Forced, level);
        let mut world = world(forced.clone(), forced);
        assert_eq!(world.converse(1, None), Ok(Via::TcpMse));
        let theirs = ConnId(ConnId::ACCEPTED);
        for round in 0..3_u8 {
            world.write(0, ConnId(1), &[round; 3_000]);
            assert_eq!(world.heard(1), [Told::Bytes(vec![round; 3_000])]);
            world.write(1, theirs, &[round + 9; 5]);
            assert_eq!(world.heard(0), [Told::Bytes(vec![round + 9; 5])]);
        }
        world.close(1, theirs);
        assert_eq!(world.heard(0), [Told::Closed(Closed::ByRemote)]);
        assert_eq!((world.ends[0].streams(), world.ends[1].streams()), (0, 0));
    }
}

#[test]
fn a_plain_stream_passes_as_it_is() {
    let mut world = world(tcp_only(), tcp_only());
    assert_eq!(world.converse(1, None), Ok(Via::Tcp));
    let (_, leg) = world.dials[0];
    let write = Effect::Write {
        conn: ConnId(1),
        len: 3,
    };
    let handed = world.ends[0].act(world.now, write, b"abc");
    assert_eq!(handed, Some(Effect::Write { conn: leg, len: 3 }));
    let received = world.ends[0].receive(
        world.now,
        Input::Received {
            conn: leg,
            bytes: b"def",
        },
    );
    let expected = Input::Received {
        conn: ConnId(1),
        bytes: b"def",
    };
    assert_eq!(received, Some(expected));
}

#[test]
fn who_hangs_up_on_a_plain_greeting_is_called_encrypted() {
    let mut world = world(tcp_only(), with(Policy::Enabled, Policy::Forced, Level::Rc4));
    world.dial(1, None);
    assert_eq!(world.heard(0), [Told::Opened(Via::Tcp)]);
    world.write(0, ConnId(1), &greeting());
    // It is the same stream: told once to be open, and then what it came to be.
    assert_eq!(world.heard(0), [Told::Rerouted(Via::TcpMse)]);
    let stats = world.ends[0].stats();
    assert_eq!((stats.dialled[Via::Tcp], stats.dialled[Via::TcpMse]), (1, 1));
    assert_eq!(
        (stats.again[Via::TcpMse], stats.failed[Via::Tcp][Reason::HungUp]),
        (1, 1)
    );
    assert!(world.heard(1).contains(&Told::Bytes(greeting())));
}

#[test]
fn what_worked_comes_first_the_next_time() {
    let mut world = world(tcp_only(), with(Policy::Enabled, Policy::Forced, Level::Both));
    assert_eq!(world.converse(1, None), Ok(Via::TcpMse));
    assert_eq!(world.converse(2, None), Ok(Via::TcpMse));
    let stats = world.ends[0].stats();
    assert_eq!((stats.dialled[Via::Tcp], stats.dialled[Via::TcpMse]), (1, 2));
}

#[test]
fn who_is_encrypted_no_more_is_called_plain() {
    let mut world = world(tcp_only(), with(Policy::Enabled, Policy::Forced, Level::Both));
    assert_eq!(world.converse(1, None), Ok(Via::TcpMse));
    let mut other = World::new(tcp_only(), with(Policy::Enabled, Policy::Disabled, Level::Both));
    std::mem::swap(&mut other.ends[0], &mut world.ends[0]);
    assert_eq!(other.converse(2, None), Ok(Via::Tcp));
    assert_eq!(other.ends[0].stats().again[Via::Tcp], 1);
}

#[test]
fn who_hangs_up_before_we_speak_is_left_alone() {
    let mut world = world(tcp_only(), tcp_only());
    world.dial(1, None);
    world.close(1, ConnId(ConnId::ACCEPTED));
    assert_eq!(world.heard(0), [Told::Opened(Via::Tcp), Told::Closed(Closed::ByRemote)]);
    assert_eq!(world.dials.len(), 1);
}

#[test]
fn what_was_not_admitted_is_hung_up_on() {
    let forced = with(Policy::Forced, Policy::Forced, Level::Both);
    let mut world = World::new(forced.clone(), forced);
    assert_eq!(world.converse(1, None), Err(Closed::ByRemote));
    let failed = world.ends[1].stats().failed[Via::Tcp];
    assert_eq!(failed[Reason::UnknownTorrent], 1);
}

#[test]
fn a_greeting_without_infohash_cannot_be_encrypted() {
    let mut world = world(with(Policy::Forced, Policy::Forced, Level::Both), tcp_only());
    world.dial(1, None);
    world.write(0, ConnId(1), b"\x13BitTorrent");
    assert_eq!(world.heard(0), [Told::Opened(Via::TcpMse)]);
    world.write(0, ConnId(1), b" prattle");
    assert_eq!(world.heard(0), [Told::Closed(Closed::Reset)]);
    assert_eq!(world.ends[0].stats().failed[Via::TcpMse][Reason::NoInfohash], 1);
}

#[test]
fn a_greeting_that_goes_on_is_said_whole() {
    let forced = with(Policy::Forced, Policy::Forced, Level::Rc4);
    let mut world = world(forced.clone(), forced);
    world.dial(1, None);
    let long = [greeting(), vec![5; HELD_MAX - 68]].concat();
    world.write(0, ConnId(1), &long);
    let heard: Vec<u8> = world
        .heard(1)
        .into_iter()
        .filter_map(|told| match told {
            Told::Bytes(bytes) => Some(bytes),
            _ => None,
        })
        .flatten()
        .collect();
    assert_eq!(heard, long);
}

#[test]
fn more_than_is_held_before_the_end_of_a_handshake_ends_it() {
    let mut world = world(with(Policy::Forced, Policy::Forced, Level::Both), tcp_only());
    world.tcp = Tcp::Open;
    world.dial(1, None);
    world.write(0, ConnId(1), &[0x13; HELD_MAX + 1]);
    assert_eq!(
        world.heard(0),
        [Told::Opened(Via::TcpMse), Told::Closed(Closed::Congested)]
    );
    assert_eq!(world.ends[0].deadline(), None);
}

#[test]
fn a_stranger_who_says_nothing_is_closed_in_time() {
    let mut world = world(tcp_only(), tcp_only());
    world.dial(1, None);
    assert_eq!(world.heard(1), [Told::Accepted(Via::Tcp)]);
    world.pass(config().deadlines.accepted - MILLI);
    assert_eq!(world.heard(1), []);
    world.pass(MILLI);
    assert_eq!(world.heard(1), [Told::Closed(Closed::TimedOut)]);
}

#[test]
fn strangers_beyond_the_limit_are_turned_away() {
    let mut world = world(tcp_only(), tcp_only());
    for conn in 1..=3 {
        world.dial(conn, None);
    }
    let accepted = world.heard(1);
    assert_eq!(accepted, [Told::Accepted(Via::Tcp), Told::Accepted(Via::Tcp)]);
    assert_eq!(world.ends[1].stats().turned_away, 1);
    world.close(1, ConnId(ConnId::ACCEPTED));
    world.dial(4, None);
    assert_eq!(world.heard(1), [Told::Accepted(Via::Tcp)]);
}

#[test]
fn a_handshake_that_nobody_answers_ends_in_time() {
    let mut world = world(with(Policy::Forced, Policy::Forced, Level::Both), tcp_only());
    world.tcp = Tcp::Mute;
    world.dial(1, None);
    world.write(0, ConnId(1), &greeting());
    world.pass(config().deadlines.handshake - MILLI);
    assert_eq!(world.heard(0), [Told::Opened(Via::TcpMse)]);
    world.pass(MILLI);
    assert_eq!(world.heard(0), [Told::Closed(Closed::TimedOut)]);
    assert_eq!(world.ends[0].stats().failed[Via::TcpMse][Reason::HandshakeTimeout], 1);
}

#[test]
fn a_failure_to_connect_is_told_as_it_was() {
    for why in [Closed::Refused, Closed::Unreachable, Closed::NoRoom] {
        let mut world = world(tcp_only(), tcp_only());
        world.tcp = Tcp::Fails(why);
        world.dial(1, None);
        assert_eq!(world.heard(0), [Told::Closed(why)]);
    }
}

#[test]
fn a_dial_just_so_is_not_tried_otherwise() {
    let mut world = world(config(), with(Policy::Enabled, Policy::Forced, Level::Both));
    assert_eq!(world.converse(1, Some(Via::Tcp)), Err(Closed::ByRemote));
    assert_eq!(world.converse(2, Some(Via::TcpMse)), Ok(Via::TcpMse));
    let none = Config {
        tcp: false,
        ..tcp_only()
    };
    let mut world = World::new(none, config());
    assert_eq!(world.converse(1, Some(Via::Tcp)), Err(Closed::Unreachable));
    assert_eq!(world.converse(2, None), Err(Closed::Unreachable));
}

#[test]
fn silence_ends_when_tcp_has_had_its_time() {
    let mut world = world(tcp_only(), tcp_only());
    world.tcp = Tcp::Silent;
    world.dial(1, None);
    world.pass(config().deadlines.tcp_connect);
    assert_eq!(world.heard(0), [Told::Closed(Closed::TimedOut)]);
    assert_eq!(world.given_up.len(), 1);
    assert_eq!(world.ends[0].deadline(), None);
    assert_eq!(world.now, Time::ZERO + config().deadlines.tcp_connect);
}

#[test]
fn closing_gives_up_all_dials() {
    let mut world = world(config(), config());
    world.tcp = Tcp::Silent;
    world.dial(1, None);
    world.close(0, ConnId(1));
    assert_eq!(world.given_up.len(), 1);
    assert_eq!((world.ends[0].streams(), world.heard(0)), (0, vec![]));
}

/// Both carriers, at both ends, TCP being so.
fn both(tcp: Tcp) -> World {
    let mut world = world(config(), config());
    world.tcp = tcp;
    world
}

#[test]
fn who_is_silent_by_tcp_is_reached_by_utp_beside_it() {
    let mut world = both(Tcp::Silent);
    world.dial(1, None);
    world.pass(config().deadlines.beside_after - MILLI);
    assert_eq!(world.heard(0), []);
    world.pass(MILLI);
    assert_eq!(world.heard(0), [Told::Opened(Via::Utp)]);
    // The loser of the race is closed.
    assert_eq!(world.given_up.len(), 1);
    assert_eq!(world.ends[0].stats().abandoned[Via::Tcp], 1);
}

#[test]
fn who_refuses_tcp_is_dialled_by_utp_at_once() {
    let mut world = both(Tcp::Fails(Closed::Refused));
    world.dial(1, None);
    assert_eq!(world.heard(0), [Told::Opened(Via::Utp)]);
    assert_eq!(world.now, Time::ZERO);
}

#[test]
fn without_descriptors_there_is_still_utp() {
    let mut world = both(Tcp::Fails(Closed::NoRoom));
    assert_eq!(world.converse(1, None), Ok(Via::Utp));
    // With neither it is the want of descriptors that is told, not the peer's silence.
    let mut deaf = World::new(config(), tcp_only());
    deaf.tcp = Tcp::Fails(Closed::NoRoom);
    assert_eq!(deaf.converse(1, None), Err(Closed::NoRoom));
}

#[test]
fn who_hangs_up_on_tcp_in_any_form_is_reached_by_utp() {
    // As libtorrent does with TCP switched off.
    let mut world = both(Tcp::HangsUp);
    assert_eq!(world.converse(1, None), Ok(Via::Utp));
    let stats = world.ends[0].stats();
    let dialled = [Via::Tcp, Via::TcpMse, Via::Utp].map(|via| stats.dialled[via]);
    assert_eq!((dialled, stats.again.total()), ([1, 1, 1], 2));
}

#[test]
fn utp_may_be_encrypted_too() {
    for level in [Level::Plaintext, Level::Rc4] {
        let calls = Config { level, ..config() };
        let called = Config {
            incoming: Policy::Forced,
            ..config()
        };
        let mut world = world(calls, called);
        world.tcp = Tcp::Silent;
        assert_eq!(world.converse(1, None), Ok(Via::UtpMse));
        let theirs = world.ends[1].streams.keys().copied().next().unwrap();
        for (other, end, conn) in [(1, 0, ConnId(1)), (0, 1, theirs)] {
            world.write(end, conn, &[9; 20_000]);
            world.pass(Duration::from_secs(2));
            let heard = world.heard(other).into_iter().filter_map(|told| match told {
                Told::Bytes(bytes) => Some(bytes),
                _ => None,
            });
            let heard = heard.flatten().collect::<Vec<_>>();
            assert!(heard == [9; 20_000], "{} bytes by {level:?}", heard.len());
        }
    }
}

#[test]
fn who_was_reached_by_utp_costs_no_syn_of_tcp_again() {
    let mut world = both(Tcp::Silent);
    assert_eq!(world.converse(1, None), Ok(Via::Utp));
    assert_eq!(world.converse(2, None), Ok(Via::Utp));
    assert_eq!(world.ends[0].stats().dialled[Via::Tcp], 1);
}

#[test]
fn who_has_lost_its_utp_is_reached_by_tcp_beside_it() {
    let mut world = both(Tcp::Silent);
    assert_eq!(world.converse(1, None), Ok(Via::Utp));
    world.ends[1] = World::new(config(), tcp_only()).ends.into_iter().nth(1).unwrap();
    world.tcp = Tcp::Open;
    assert_eq!(world.converse(2, None), Ok(Via::Tcp));
}

#[test]
fn closing_gives_up_utp_too() {
    let mut world = World::new(config(), tcp_only());
    world.tcp = Tcp::Silent;
    world.dial(1, None);
    world.pass(Duration::from_secs(2));
    world.close(0, ConnId(1));
    world.pass(Duration::from_secs(60));
    assert_eq!((world.ends[0].streams(), world.heard(0)), (0, vec![]));
    assert_eq!(world.ends[0].deadline(), None);
}
