//! Peers that name others (BEP 11), and meetings through a relay (BEP 55).

use std::net::SocketAddr;
use std::time::Duration;

use wire::InfoHash;
use wire::compact::put_addr;
use wire::extended::ExtendedHandshake;
use wire::ut_holepunch::{Refusal, UtHolepunch};
use wire::ut_metadata::UtMetadata;
use wire::ut_pex::{UtPex, flag};
use world::{Closed, ConnId, Input, Via};

use crate::dealings::{Listening, Meeting};
use crate::testing::desk::{Desk, UT_HOLEPUNCH, frame, greeting, offer};
use crate::testing::{config, host, info};
use crate::{Ending, Event, Failure, Stage};

const LEN: usize = 1_000;

/// The first peer is connected, and has no metadata itself.
fn listening() -> (Desk, ConnId, InfoHash) {
    let info_hash = info(1, LEN).1;
    let mut desk = Desk::new(config());
    desk.pool.start(desk.now, info_hash);
    desk.pool.offer(info_hash, host(1));
    desk.pool.no_more_peers(info_hash);
    desk.drain();
    let conn = desk.opens(0, info_hash, &offer(None));
    desk.read(conn);
    (desk, conn, info_hash)
}

/// A message of `ut_pex` to us that names these.
fn names(peers: &[SocketAddr], flags: u8) -> Vec<u8> {
    let mut added = Vec::new();
    peers.iter().for_each(|peer| put_addr(peer, &mut added));
    let pex = UtPex {
        added: &added,
        added_flags: &vec![flags; peers.len()],
        ..UtPex::default()
    };
    frame(config().extensions.ut_pex, |out| pex.encode(out))
}

fn meeting(message: UtHolepunch) -> Vec<u8> {
    frame(config().extensions.ut_holepunch, |out| message.encode(out))
}

/// The meeting messages written to a connection.
fn told(desk: &mut Desk, conn: ConnId) -> Vec<UtHolepunch> {
    let (_, said) = desk.read(conn);
    let said = said.iter().filter(|(id, _)| *id == UT_HOLEPUNCH);
    said.map(|(_, payload)| UtHolepunch::decode(payload).unwrap()).collect()
}

/// The events of peers named, passed on as the owner does who finds nothing wrong with them.
fn pass_on(desk: &mut Desk) -> usize {
    let mut passed = 0;
    for event in std::mem::take(&mut desk.events) {
        if let Event::Named {
            info_hash,
            peer,
            by,
            flags,
        } = event
        {
            desk.pool.offer_named(info_hash, peer, by, flags);
            passed += 1;
        }
    }
    desk.drain();
    passed
}

#[test]
fn a_peer_without_metadata_names_one_that_has_it() {
    let (mut desk, conn, info_hash) = listening();
    let no_size = Err(Failure::NoSize);
    assert!(matches!(&desk.events[..], [Event::Attempt { result, .. }] if *result == no_size));
    assert_eq!(desk.pool.connections(), 1);
    desk.pass(Duration::from_secs(5));
    desk.says(conn, &names(&[host(2), host(3)], flag::SEED));
    assert_eq!(pass_on(&mut desk), 2);
    assert_eq!(desk.dials.len(), 3);
    let (raw, _) = info(1, LEN);
    let size = i64::try_from(LEN).unwrap();
    let source = desk.opens(1, info_hash, &offer(Some(size)));
    let data = UtMetadata::Data {
        piece: 0,
        total_size: size,
        bytes: &raw,
    };
    desk.says(source, &frame(1, |out| data.encode(out)));
    assert!(matches!(desk.events.last(), Some(Event::Metadata { tried: 3, .. })));
    assert_eq!(desk.pool.stats().listening[Listening::Over], 1);
    assert_eq!((desk.pool.connections(), desk.pool.stats().named), (0, 2));
}

#[test]
fn a_peer_that_names_nobody_is_left_in_time() {
    let (mut desk, conn, _) = listening();
    desk.pass(config().exchange.listen);
    assert_eq!(desk.closed, [conn]);
    assert_eq!(desk.pool.stats().listening[Listening::Silent], 1);
    let why = Ending::AllTried;
    assert!(matches!(desk.events.last(), Some(Event::GaveUp { why: w, .. }) if *w == why));
}

#[test]
fn a_listener_that_hangs_up_or_rambles_ends_the_wait() {
    let (mut desk, conn, _) = listening();
    desk.input(Input::Closed {
        conn,
        why: Closed::ByRemote,
    });
    assert_eq!(desk.pool.stats().listening[Listening::Closed], 1);
    assert!(desk.pool.is_idle());
    let (mut desk, conn, _) = listening();
    desk.says(
        conn,
        &frame(config().extensions.ut_pex, |out| out.extend_from_slice(b"le")),
    );
    assert_eq!(desk.pool.stats().listening[Listening::Faulty], 1);
    assert_eq!((desk.closed, desk.pool.is_idle()), (vec![conn], true));
}

#[test]
fn a_rejecting_peer_is_listened_to_and_pieces_that_come_late_end_it() {
    let info_hash = info(1, LEN).1;
    let mut desk = Desk::new(config());
    desk.pool.start(desk.now, info_hash);
    desk.pool.offer(info_hash, host(1));
    desk.drain();
    let conn = desk.opens(0, info_hash, &offer(Some(LEN as i64)));
    let reject = UtMetadata::Reject { piece: 0 };
    desk.says(conn, &frame(1, |out| reject.encode(out)));
    assert_eq!((desk.pool.connections(), desk.pool.assembly_bytes()), (1, LEN as u64));
    // A second one is no news.
    desk.says(conn, &frame(1, |out| reject.encode(out)));
    assert_eq!(desk.pool.connections(), 1);
    let (raw, _) = info(1, LEN);
    let data = UtMetadata::Data {
        piece: 0,
        total_size: LEN as i64,
        bytes: &raw,
    };
    desk.says(conn, &frame(1, |out| data.encode(out)));
    assert_eq!(desk.pool.stats().listening[Listening::Faulty], 1);
    desk.pool.cancel(desk.now, info_hash);
    desk.drain();
    assert_eq!(desk.pool.assembly_bytes(), 0);
}

#[test]
fn with_others_to_try_or_without_peer_exchange_nobody_is_listened_to() {
    let info_hash = info(1, LEN).1;
    let silent = ExtendedHandshake {
        ut_pex: None,
        ..offer(None)
    };
    for (peers, offer) in [(9, offer(None)), (1, silent)] {
        let mut desk = Desk::new(config());
        desk.pool.start(desk.now, info_hash);
        (1..=peers).for_each(|number| desk.pool.offer(info_hash, host(number)));
        desk.drain();
        let conn = desk.opens(0, info_hash, &offer);
        assert_eq!(desk.closed, [conn]);
    }
}

#[test]
fn a_listener_whose_host_another_infohash_wants_is_let_go() {
    let (mut desk, conn, _) = listening();
    let other = info(2, LEN).1;
    desk.pool.start(desk.now, other);
    desk.pool.offer(other, host(1));
    desk.drain();
    assert_eq!(desk.closed, [conn]);
    assert_eq!(desk.dials.len(), 2);
    assert_eq!(desk.pool.stats().listening[Listening::Over], 1);
}

#[test]
fn one_source_names_only_so_many() {
    let (mut desk, conn, _) = listening();
    let peers: Vec<_> = (10..60).map(host).collect();
    desk.says(conn, &names(&peers[..7], 0));
    desk.says(conn, &names(&peers[7..], 0));
    assert_eq!(desk.pool.stats().named, u64::from(config().exchange.names));
}

#[test]
fn a_peer_that_cannot_be_reached_is_met_through_who_named_it() {
    let (mut desk, relay, _) = listening();
    desk.says(relay, &names(&[host(2)], flag::HOLEPUNCH));
    pass_on(&mut desk);
    desk.pass(config().deadlines.connect);
    assert_eq!(told(&mut desk, relay), [UtHolepunch::Rendezvous(host(2))]);
    desk.says(relay, &meeting(UtHolepunch::Connect(host(2))));
    let (conn, to, via) = desk.dials[2];
    assert_eq!((to, via), (host(2), Some(Via::Utp)));
    // The second meeting is none.
    desk.says(relay, &meeting(UtHolepunch::Connect(host(2))));
    assert_eq!(desk.dials.len(), 3);
    desk.input(Input::Opened { conn, via: Via::Utp });
    assert_eq!(desk.pool.stats().via(Via::Utp).funnel[Stage::Connected], 1);
    let meetings = desk.pool.stats().meetings;
    assert_eq!(
        (
            meetings[Meeting::Asked],
            meetings[Meeting::Arranged],
            meetings[Meeting::Ignored]
        ),
        (1, 1, 1)
    );
}

#[test]
fn a_relay_that_refuses_is_believed() {
    let (mut desk, relay, _) = listening();
    desk.says(relay, &names(&[host(2)], 0));
    pass_on(&mut desk);
    desk.pass(config().deadlines.connect);
    desk.says(relay, &meeting(UtHolepunch::Error(host(2), Refusal::NotConnected)));
    assert_eq!(desk.pool.stats().meetings[Meeting::Refused], 1);
    desk.pass(config().exchange.listen);
    assert!(desk.pool.is_idle());
    assert_eq!(desk.dials.len(), 2);
}

#[test]
fn a_peer_that_nobody_named_is_met_only_if_the_owner_agrees() {
    let (mut desk, relay, info_hash) = listening();
    desk.says(relay, &meeting(UtHolepunch::Connect(host(5))));
    assert_eq!(desk.dials.len(), 1);
    let flags = flag::UTP | flag::HOLEPUNCH;
    let (peer, by) = (host(5), host(1));
    let named = Event::Named {
        info_hash,
        peer,
        by,
        flags,
    };
    assert_eq!(desk.events.last(), Some(&named));
    pass_on(&mut desk);
    assert_eq!((desk.dials[1].1, desk.dials[1].2), (peer, Some(Via::Utp)));
    assert_eq!(desk.pool.stats().meetings[Meeting::Called], 1);
}

/// Two peers of one infohash, both connected, and a third that does not take part in meetings.
fn three_connected() -> (Desk, [ConnId; 3]) {
    let info_hash = info(1, LEN).1;
    let mut config = config();
    config.dialling.start = 3;
    let mut desk = Desk::new(config);
    desk.pool.set_listen_port(7_000);
    desk.pool.start(desk.now, info_hash);
    (1..=3).for_each(|number| desk.pool.offer(info_hash, host(number)));
    desk.drain();
    let takes_part = ExtendedHandshake {
        your_ip: Some([9, 9, 9, 9].into()),
        ..offer(Some(LEN as i64))
    };
    let does_not = ExtendedHandshake {
        ut_holepunch: None,
        ..takes_part
    };
    let offers = [&takes_part, &takes_part, &does_not];
    let conns = [0, 1, 2].map(|at| desk.opens(at, info_hash, offers[at]));
    conns.iter().for_each(|&conn| drop(desk.read(conn)));
    (desk, conns)
}

#[test]
fn we_let_two_of_our_peers_meet() {
    let (mut desk, [first, second, _]) = three_connected();
    desk.says(first, &meeting(UtHolepunch::Rendezvous(host(2))));
    assert_eq!(told(&mut desk, first), [UtHolepunch::Connect(host(2))]);
    assert_eq!(told(&mut desk, second), [UtHolepunch::Connect(host(1))]);
    assert_eq!(desk.pool.stats().meetings[Meeting::Relayed], 1);
}

#[test]
fn a_meeting_that_cannot_be_is_refused_with_its_reason() {
    let us: SocketAddr = "9.9.9.9:7000".parse().unwrap();
    let cases = [
        (host(77), Refusal::NotConnected),
        (host(1), Refusal::NotConnected),
        (host(3), Refusal::NoSupport),
        ("192.0.2.1:0".parse().unwrap(), Refusal::NoSuchPeer),
        (us, Refusal::NoSelf),
    ];
    for (target, refusal) in cases {
        let (mut desk, [first, ..]) = three_connected();
        desk.says(first, &meeting(UtHolepunch::Rendezvous(target)));
        assert_eq!(told(&mut desk, first), [UtHolepunch::Error(target, refusal)]);
        assert_eq!(desk.pool.stats().meetings[Meeting::RefusedByUs], 1);
    }
}

#[test]
fn who_does_not_take_part_in_meetings_is_ignored() {
    let (mut desk, [.., third]) = three_connected();
    desk.says(third, &meeting(UtHolepunch::Rendezvous(host(1))));
    assert_eq!(told(&mut desk, third), []);
    assert_eq!(desk.pool.stats().meetings[Meeting::Ignored], 1);
}

#[test]
fn one_peer_is_let_meet_others_only_so_often() {
    let (mut desk, [first, ..]) = three_connected();
    for _ in 0..50 {
        desk.says(first, &meeting(UtHolepunch::Rendezvous(host(2))));
    }
    let most = u64::from(config().exchange.meetings) * 2;
    assert_eq!(desk.pool.stats().meetings[Meeting::Relayed], most);
}

#[test]
fn a_caller_over_tcp_is_met_where_it_listens() {
    let (mut desk, [first, ..]) = three_connected();
    let says = ExtendedHandshake {
        port: Some(9_999),
        ..offer(Some(LEN as i64))
    };
    let from = SocketAddr::new(host(8).ip(), 50_000);
    let caller = desk.call(1, from, Via::Tcp);
    desk.says(caller, &greeting(info(1, LEN).1, &says));
    desk.read(caller);
    desk.says(caller, &meeting(UtHolepunch::Rendezvous(host(1))));
    let listens = SocketAddr::new(host(8).ip(), 9_999);
    assert_eq!(told(&mut desk, first), [UtHolepunch::Connect(listens)]);
    assert_eq!(told(&mut desk, caller), [UtHolepunch::Connect(host(1))]);
}

#[test]
fn a_peer_is_told_what_we_understand() {
    let info_hash = info(1, LEN).1;
    let mut desk = Desk::new(config());
    desk.pool.set_listen_port(7_000);
    desk.pool.start(desk.now, info_hash);
    desk.pool.offer(info_hash, host(1));
    desk.drain();
    let conn = desk.opens(0, info_hash, &offer(Some(LEN as i64)));
    let (_, said) = desk.read(conn);
    let ours = ExtendedHandshake::decode(&said[0].1).unwrap();
    let numbers = config().extensions;
    assert_eq!(ours.ut_metadata, Some(numbers.ut_metadata));
    assert_eq!(ours.lt_metadata, Some(numbers.lt_metadata));
    assert_eq!(ours.ut_pex, Some(numbers.ut_pex));
    assert_eq!(ours.ut_holepunch, Some(numbers.ut_holepunch));
    assert_eq!((ours.port, ours.your_ip), (Some(7_000), Some(host(1).ip())));
    assert_eq!(ours.metadata_size, None);
}
