//! Several peers and several infohashes.

mod exchange;
mod strangers;

use std::net::SocketAddr;
use std::time::Duration;

use world::{Closed, ConnId, Input, Time, Via};

use crate::config::Exclusion;
use crate::testing::{Manner, Serves, Talker, World, config, host, info};
use crate::{Ending, Event, Failure, Stage, Standing};

const LEN: usize = 100_000;

fn serving(seed: u8, serves: Serves) -> Manner {
    let (raw, info_hash) = info(seed, LEN);
    Manner::Talks(Talker::serving(info_hash, &raw, serves))
}

fn honest(seed: u8) -> Manner {
    serving(seed, Serves::All)
}

fn hosts(count: u8) -> Vec<SocketAddr> {
    (1..=count).map(host).collect()
}

#[test]
fn twenty_dead_peers_cost_exactly_five_connects() {
    let mut world = World::new(config());
    let (_, info_hash) = info(1, LEN);
    world.fetch(info_hash, &hosts(20));
    world.run();
    assert_eq!(world.dials.len(), 5);
    assert_eq!(world.gave_up(info_hash), Some((Ending::AttemptsSpent, 5)));
    assert_eq!(world.pool.stats().failures[Failure::ConnectTimeout], 5);
}

#[test]
fn no_limit_of_attempts_tries_all_that_are_known() {
    let mut config = config();
    config.dialling.attempts_per_infohash = 0;
    config.deadlines.total = Duration::from_secs(60);
    let mut world = World::new(config);
    let (_, info_hash) = info(1, LEN);
    world.fetch(info_hash, &hosts(30));
    world.run();
    assert_eq!(world.dials.len(), 20);
    assert_eq!(world.pool.stats().surplus, 10);
    assert_eq!(world.gave_up(info_hash), Some((Ending::AllTried, 20)));
}

#[test]
fn two_are_dialled_at_once_and_one_more_each_stagger() {
    let mut world = World::new(config());
    let (_, info_hash) = info(1, LEN);
    world.fetch(info_hash, &hosts(20));
    world.run();
    let start = world.dials[0].0;
    let after: Vec<_> = world.dials.iter().map(|(at, _)| at.since(start).as_millis()).collect();
    // The fifth takes the place of the first, whose connect timeout is 2 s.
    assert_eq!(after, [0, 0, 750, 1_500, 2_000]);
}

#[test]
fn nobody_else_is_dialled_while_a_peer_delivers() {
    let mut world = World::new(config());
    // 256 pieces, four each round trip: 2.6 s, longer than one piece may take and than a stagger.
    let (raw, info_hash) = info(1, 4 << 20);
    for peer in hosts(5) {
        world.peer(peer, Manner::Talks(Talker::honest(info_hash, &raw)));
    }
    world.fetch(info_hash, &hosts(5));
    world.run();
    assert!(world.metadata(info_hash).is_some());
    assert_eq!(world.dials.len(), 2);
}

#[test]
fn a_peer_that_drips_holds_others_back_only_so_long() {
    let mut config = config();
    config.deadlines.piece = Duration::from_secs(20);
    let hold_back = config.dialling.hold_back;
    let mut world = World::new(config);
    let (_, info_hash) = info(1, LEN);
    world.peer(host(1), serving(1, Serves::Some(0)));
    world.peer(host(2), serving(1, Serves::Nothing));
    world.peer(host(3), honest(1));
    world.fetch(info_hash, &hosts(3));
    world.run();
    // Asked after 80 ms, when its handshake has come.
    let asked = world.dials[1].0 + Duration::from_millis(80);
    assert_eq!(world.dials[2], (asked + hold_back, host(3)));
    assert!(world.metadata(info_hash).is_some());
}

#[test]
fn one_good_peer_among_nine_that_stall_is_found_in_time() {
    let mut config = config();
    config.dialling.attempts_per_infohash = 10;
    let mut world = World::new(config);
    let (raw, info_hash) = info(1, LEN);
    for (number, peer) in (0..).zip(hosts(9)) {
        let manner = match number % 3 {
            0 => Manner::Silent,
            1 => Manner::Trickles(Talker::honest(info_hash, &raw)),
            _ => serving(1, Serves::Nothing),
        };
        world.peer(peer, manner);
    }
    world.peer(host(10), honest(1));
    world.fetch(info_hash, &hosts(10));
    world.run();
    let (at, _) = world.metadata(info_hash).unwrap();
    assert!(at.since(world.dials[0].0) < Duration::from_secs(10));
    let best = hosts(10).into_iter().max_by_key(|&peer| world.pool.standing(at, peer));
    assert_eq!(best, Some(host(10)));
    assert_eq!(world.pool.standing(at, host(10)), Standing::Proven(1));
}

#[test]
fn two_peers_that_die_halfway_make_a_whole() {
    let mut world = World::new(config());
    let (raw, info_hash) = info(1, LEN);
    // Seven pieces: three from each of two peers, and the last from a third.
    for peer in hosts(2) {
        world.peer(peer, serving(1, Serves::Some(3)));
    }
    world.peer(host(3), serving(1, Serves::Some(1)));
    world.fetch(info_hash, &hosts(3));
    world.run();
    assert_eq!(world.metadata(info_hash).unwrap().1, raw);
    assert_eq!(world.attempt(host(1)).unwrap().0, Err(Failure::ClosedInPieces));
    assert_eq!(world.pool.standing(world.now, host(1)), Standing::Proven(1));
}

#[test]
fn a_liar_among_two_does_not_spoil_the_honest() {
    for (first, second) in [(Serves::Garbage, Serves::All), (Serves::All, Serves::Garbage)] {
        let mut world = World::new(config());
        let (raw, info_hash) = info(1, LEN);
        world.peer(host(1), serving(1, first));
        world.peer(host(2), serving(1, second));
        world.fetch(info_hash, &hosts(2));
        world.run();
        assert_eq!(world.metadata(info_hash).unwrap().1, raw);
        assert_eq!(world.pool.stats().mixed_mismatches, 1);
    }
}

#[test]
fn an_honest_peer_that_left_is_asked_again_if_the_whole_was_wrong() {
    let mut world = World::new(config());
    let (_, info_hash) = info(1, LEN);
    world.peer(host(1), serving(1, Serves::Some(3)));
    world.peer(host(2), serving(1, Serves::Garbage));
    world.fetch(info_hash, &hosts(2));
    world.run();
    let dials = world.dials.iter().filter(|(_, peer)| *peer == host(1)).count();
    assert_eq!(dials, 2);
    assert_eq!(world.attempt(host(2)).unwrap().0, Err(Failure::HashMismatch));
    assert_eq!(world.gave_up(info_hash), Some((Ending::AllTried, 3)));
}

#[test]
fn corrupted_metadata_is_fetched_again_from_another_peer() {
    let mut config = config();
    config.dialling.start = 1;
    let mut world = World::new(config);
    let (raw, info_hash) = info(1, LEN);
    world.peer(host(1), serving(1, Serves::Garbage));
    world.peer(host(2), honest(1));
    world.fetch(info_hash, &hosts(2));
    world.run();
    assert_eq!(world.attempt(host(1)).unwrap().0, Err(Failure::HashMismatch));
    assert_eq!(world.metadata(info_hash).unwrap().1, raw);
}

#[test]
fn a_peer_that_stalls_with_a_piece_holds_up_nobody() {
    let mut world = World::new(config());
    let (_, info_hash) = info(1, 10_000);
    let (raw, _) = info(1, 10_000);
    let talker = |serves| Manner::Talks(Talker::serving(info_hash, &raw, serves));
    world.peer(host(1), talker(Serves::Nothing));
    world.peer(host(2), talker(Serves::All));
    world.fetch(info_hash, &hosts(2));
    world.run();
    let (at, _) = world.metadata(info_hash).unwrap();
    assert!(at.since(world.dials[0].0) < Duration::from_millis(500));
    assert_eq!(world.attempt(host(1)).unwrap().0, Err(Failure::Superseded));
}

#[test]
fn peers_may_be_named_while_the_hunt_is_on() {
    let mut world = World::new(config());
    let (_, info_hash) = info(1, LEN);
    world.peer(host(2), honest(1));
    world.pool.start(world.now, info_hash);
    world.pool.offer(info_hash, host(1));
    world.input(Input::Tick);
    world.run_until(Time::from_secs(10));
    assert!(!world.pool.is_idle());
    world.pool.offer(info_hash, host(2));
    world.input(Input::Tick);
    world.run();
    assert!(world.metadata(info_hash).is_some());
}

#[test]
fn a_hunt_without_peers_ends_when_nobody_will_name_one() {
    let mut world = World::new(config());
    let (_, info_hash) = info(1, LEN);
    world.fetch(info_hash, &[]);
    assert_eq!(world.gave_up(info_hash), Some((Ending::NoPeers, 0)));
}

#[test]
fn a_hunt_that_nobody_feeds_ends_at_its_deadline() {
    let mut world = World::new(config());
    let (_, info_hash) = info(1, LEN);
    world.pool.start(world.now, info_hash);
    world.run();
    assert_eq!(world.gave_up(info_hash), Some((Ending::Deadline, 0)));
    assert_eq!(world.now, Time::from_secs(31));
}

#[test]
fn the_deadline_of_a_hunt_comes_before_its_next_dial() {
    let mut config = config();
    config.deadlines.total = Duration::from_millis(500);
    let mut world = World::new(config);
    let (_, info_hash) = info(1, LEN);
    world.fetch(info_hash, &hosts(3));
    world.run();
    assert_eq!(world.now, Time::from_micros(1_500_000));
    assert_eq!(world.gave_up(info_hash), Some((Ending::Deadline, 2)));
}

#[test]
fn a_peer_that_is_slow_but_steady_is_cut_at_the_deadline() {
    let mut config = config();
    config.deadlines.total = Duration::from_millis(200);
    let mut world = World::new(config);
    let (raw, info_hash) = info(1, 1 << 20);
    world.peer(host(1), Manner::Talks(Talker::honest(info_hash, &raw)));
    world.fetch(info_hash, &[host(1)]);
    world.run();
    assert_eq!(world.attempt(host(1)).unwrap().0, Err(Failure::Deadline));
    assert_eq!(world.gave_up(info_hash), Some((Ending::Deadline, 1)));
}

#[test]
fn one_connection_per_host_and_who_waits_is_not_lost() {
    let mut world = World::new(config());
    let port = |number: u8| SocketAddr::from(([127, 0, 1, 1], 7_000 + u16::from(number)));
    for seed in 1..=5 {
        let (_, info_hash) = info(seed, LEN);
        world.peer(port(seed), honest(seed));
        world.fetch(info_hash, &[port(seed)]);
        assert_eq!(world.pool.connections(), 1);
    }
    world.run();
    for seed in 1..=5 {
        assert!(world.metadata(info(seed, LEN).1).is_some());
    }
    assert_eq!(world.pool.stats().most_connections, 1);
    assert_eq!(world.pool.stats().set_aside, 4);
}

#[test]
fn a_hunt_that_ends_while_it_waits_for_a_host_leaves_it_to_the_next() {
    let mut world = World::new(config());
    let port = |number: u8| SocketAddr::from(([127, 0, 1, 1], 7_000 + u16::from(number)));
    for seed in 1..=3 {
        world.peer(port(seed), honest(seed));
        world.fetch(info(seed, LEN).1, &[port(seed)]);
    }
    world.pool.cancel(world.now, info(2, LEN).1);
    world.input(Input::Tick);
    world.run();
    assert_eq!(world.gave_up(info(2, LEN).1), Some((Ending::Cancelled, 0)));
    assert!(world.metadata(info(3, LEN).1).is_some());
}

#[test]
fn in_a_lab_one_host_may_have_many_peers() {
    let mut config = config();
    config.exclusion = Exclusion::Endpoint;
    let mut world = World::new(config);
    let port = |number: u8| SocketAddr::from(([127, 0, 1, 1], 7_000 + u16::from(number)));
    for seed in 1..=5 {
        world.peer(port(seed), honest(seed));
        world.fetch(info(seed, LEN).1, &[port(seed)]);
    }
    assert_eq!(world.pool.connections(), 5);
    world.run();
    assert!((1..=5).all(|seed| world.metadata(info(seed, LEN).1).is_some()));
}

#[test]
fn connections_are_bounded_and_who_waits_goes_on() {
    let mut config = config();
    config.max_connections = 3;
    let mut world = World::new(config);
    for seed in 1..=20 {
        world.peer(host(seed), honest(seed));
        world.fetch(info(seed, LEN).1, &[host(seed)]);
    }
    world.run();
    assert_eq!(world.pool.stats().most_connections, 3);
    assert!((1..=20).all(|seed| world.metadata(info(seed, LEN).1).is_some()));
}

#[test]
fn a_hunt_that_ends_while_it_waits_for_a_connection_waits_no_longer() {
    let mut config = config();
    config.max_connections = 1;
    let mut world = World::new(config);
    for seed in 1..=3 {
        world.peer(host(seed), honest(seed));
        world.fetch(info(seed, LEN).1, &[host(seed)]);
    }
    world.pool.cancel(world.now, info(2, LEN).1);
    world.input(Input::Tick);
    world.run();
    assert!(world.metadata(info(3, LEN).1).is_some());
}

#[test]
fn slots_are_bounded() {
    let mut config = config();
    config.slots = 1;
    let mut world = World::new(config);
    world.pool.start(world.now, info(1, LEN).1);
    assert_eq!(world.pool.slots_free(), 0);
    world.pool.start(world.now, info(2, LEN).1);
    world.input(Input::Tick);
    assert_eq!(world.gave_up(info(2, LEN).1), Some((Ending::NoSlot, 0)));
    assert!(!world.pool.is_idle());
}

#[test]
fn a_tarpit_frees_its_slot_in_bounded_time() {
    let mut config = config();
    config.slots = 1;
    let mut world = World::new(config);
    for peer in hosts(20) {
        world.peer(peer, Manner::Silent);
    }
    world.fetch(info(1, LEN).1, &hosts(20));
    world.run();
    assert!(world.now.since(world.dials[0].0) < Duration::from_secs(5));
    assert_eq!(world.pool.slots_free(), 1);
}

#[test]
fn a_peer_that_refused_is_not_dialled_for_the_next_infohash() {
    let mut world = World::new(config());
    world.peer(host(1), Manner::Refuses(Closed::Refused));
    world.fetch(info(1, LEN).1, &[host(1)]);
    world.run();
    world.fetch(info(2, LEN).1, &[host(1)]);
    assert_eq!(world.gave_up(info(2, LEN).1), Some((Ending::AllTried, 0)));
    assert_eq!((world.dials.len(), world.pool.stats().remembered), (1, 1));
    world.run_until(world.now + Duration::from_secs(3_600));
    world.fetch(info(3, LEN).1, &[host(1)]);
    world.run();
    assert_eq!(world.dials.len(), 2);
}

#[test]
fn a_peer_that_delivered_is_dialled_first() {
    let mut world = World::new(config());
    world.peer(host(3), honest(1));
    world.fetch(info(1, LEN).1, &[host(3)]);
    world.run();
    world.fetch(info(2, LEN).1, &hosts(3));
    // Alone, for it will most likely deliver.
    assert_eq!(world.dials.len(), 2);
    assert_eq!(world.dials.last().map(|dial| dial.1), Some(host(3)));
}

#[test]
fn where_most_dials_deliver_one_peer_is_dialled_at_a_time() {
    let mut world = World::new(config());
    for seed in 1..=30 {
        for number in [2 * seed, 2 * seed + 1] {
            world.peer(host(number), honest(seed));
        }
        world.fetch(info(seed, LEN).1, &[host(2 * seed), host(2 * seed + 1)]);
        world.run();
    }
    let dialled = world.pool.stats().funnel[Stage::Dialled];
    assert!((30..=45).contains(&dialled), "{dialled} for 30");
}

#[test]
fn a_peer_that_opened_is_given_a_moment_before_the_next_is_dialled() {
    let mut config = config();
    config.dialling.start = 1;
    config.dialling.stagger = Duration::from_millis(10);
    let patience = config.dialling.patience;
    let mut world = World::new(config);
    world.peer(host(1), Manner::Silent);
    world.peer(host(2), honest(1));
    // Dialled 10 ms after the first, which has opened by then, but for patience.
    world.fetch(info(1, LEN).1, &[host(1)]);
    world.run_until(world.now + Duration::from_millis(41));
    world.fetch(info(1, LEN).1, &[host(2)]);
    world.run();
    let opened = world.dials[0].0 + Duration::from_millis(40);
    assert_eq!(world.dials[1], (opened + patience, host(2)));
}

#[test]
fn assemblies_are_bounded_and_who_waits_goes_on() {
    let mut config = config();
    config.limits.max_metadata = 150_000;
    config.limits.assembly_bytes = 150_000;
    let mut world = World::new(config);
    for seed in 1..=3 {
        world.peer(host(seed), honest(seed));
        world.fetch(info(seed, LEN).1, &[host(seed)]);
    }
    while !world.pool.is_idle() {
        world.run_until(world.now + Duration::from_millis(10));
        assert!(world.pool.assembly_bytes() <= 150_000);
    }
    assert!((1..=3).all(|seed| world.metadata(info(seed, LEN).1).is_some()));
}

#[test]
fn two_peers_that_wait_for_room_share_it() {
    let mut config = config();
    config.limits.assembly_bytes = 199_999;
    config.deadlines.extended = Duration::from_secs(5);
    let mut world = World::new(config);
    world.peer(host(1), serving(1, Serves::Nothing));
    world.fetch(info(1, LEN).1, &[host(1)]);
    world.run_until(world.now + Duration::from_millis(500));
    let (raw, info_hash) = info(2, 100_000);
    for peer in [host(2), host(3)] {
        world.peer(peer, Manner::Talks(Talker::honest(info_hash, &raw)));
    }
    world.fetch(info_hash, &[host(2), host(3)]);
    world.run_until(world.now + Duration::from_millis(600));
    assert_eq!(world.pool.assembly_bytes(), 100_000);
    assert_eq!(world.pool.stats().funnel[Stage::Requested], 3);
    world.run();
    assert!(world.metadata(info_hash).is_some());
}

#[test]
fn who_delivers_alone_shares_no_room() {
    let mut config = config();
    config.limits.assembly_bytes = 150_000;
    config.dialling.start = 3;
    let mut world = World::new(config);
    let (raw, info_hash) = info(1, LEN);
    world.peer(host(1), serving(1, Serves::Garbage));
    world.peer(host(2), honest(1));
    world.peer(host(3), honest(1));
    world.fetch(info_hash, &hosts(3));
    world.run();
    assert_eq!(world.metadata(info_hash).unwrap().1, raw);
    assert_eq!(world.pool.stats().mixed_mismatches, 1);
    assert_eq!(world.attempt(host(1)).unwrap().0, Err(Failure::HashMismatch));
}

#[test]
fn sizes_that_differ_are_not_pooled_and_do_not_pile_up() {
    let mut config = config();
    config.dialling.attempts_per_infohash = 0;
    let mut world = World::new(config);
    let (raw, info_hash) = info(1, LEN);
    for number in 1..=10 {
        let mut talker = Talker::serving(info_hash, &raw, Serves::Some(1));
        talker.size = Some(i64::try_from(LEN).unwrap() + i64::from(number));
        world.peer(host(number), Manner::Talks(talker));
    }
    world.peer(host(11), honest(1));
    world.fetch(info_hash, &hosts(11));
    // The world checks after every step that a hunt has no more assemblies than peers at once.
    world.run();
    assert_eq!(world.metadata(info_hash).unwrap().1, raw);
    assert_eq!(world.pool.stats().failures[Failure::ClosedInPieces], 10);
}

#[test]
fn who_waits_for_room_too_long_is_left() {
    let mut config = config();
    config.limits.assembly_bytes = 150_000;
    config.deadlines.piece = Duration::from_secs(20);
    let mut world = World::new(config);
    world.peer(host(1), serving(1, Serves::Nothing));
    world.peer(host(2), honest(2));
    world.fetch(info(1, LEN).1, &[host(1)]);
    world.run_until(world.now + Duration::from_secs(1));
    world.fetch(info(2, LEN).1, &[host(2)]);
    world.run();
    assert_eq!(world.attempt(host(2)).unwrap().0, Err(Failure::NoRoom));
}

#[test]
fn a_dial_without_a_descriptor_is_taken_back() {
    let mut world = World::new(config());
    world.peer(host(1), honest(1));
    world.peer(host(2), Manner::Refuses(Closed::NoRoom));
    world.fetch(info(1, LEN).1, &[host(1)]);
    world.fetch(info(2, LEN).1, &[host(2)]);
    world.run_until(world.now + Duration::from_millis(41));
    assert_eq!(world.pool.connections(), 1);
    world.peer(host(2), honest(2));
    world.run();
    assert!(world.metadata(info(2, LEN).1).is_some());
    assert_eq!(world.pool.stats().funnel[Stage::Dialled], 2);
    assert_eq!(world.pool.stats().no_descriptor, 1);
}

#[test]
fn without_any_descriptor_the_peer_fails() {
    let mut world = World::new(config());
    world.peer(host(1), Manner::Refuses(Closed::NoRoom));
    world.fetch(info(1, LEN).1, &[host(1)]);
    world.run();
    assert_eq!(world.attempt(host(1)).unwrap().0, Err(Failure::NoDescriptor));
}

#[test]
fn stop_closes_everything_and_gives_up() {
    let mut world = World::new(config());
    for seed in 1..=3 {
        world.peer(host(seed), serving(seed, Serves::Nothing));
        world.fetch(info(seed, LEN).1, &[host(seed), host(seed + 10)]);
    }
    world.run_until(world.now + Duration::from_millis(200));
    world.input(Input::Stop);
    assert!(world.pool.is_idle());
    world.run();
    assert!((1..=3).all(|seed| world.gave_up(info(seed, LEN).1) == Some((Ending::Cancelled, 2))));
    assert_eq!(world.attempt(host(1)).unwrap().0, Err(Failure::Cancelled));
    world.pool.start(world.now, info(4, LEN).1);
    world.input(Input::Tick);
    assert_eq!(world.gave_up(info(4, LEN).1), Some((Ending::Cancelled, 0)));
}

#[test]
fn every_dial_has_one_attempt_told_before_the_end() {
    let mut world = World::new(config());
    let (_, info_hash) = info(1, LEN);
    world.peer(host(1), honest(1));
    world.peer(host(2), Manner::Refuses(Closed::Refused));
    world.fetch(info_hash, &hosts(4));
    world.run();
    let attempts = world
        .events
        .iter()
        .filter(|(_, event)| matches!(event, Event::Attempt { .. }))
        .count();
    assert_eq!(attempts, world.dials.len());
    assert!(matches!(world.events.last(), Some((_, Event::Metadata { .. }))));
}

#[test]
fn peers_are_counted_by_how_they_are_reached_in_the_end() {
    let mut world = World::new(config());
    let (_, info_hash) = info(1, LEN);
    world.peer(host(1), honest(1));
    world.fetch(info_hash, &[host(1)]);
    // Open after 40 ms; its handshake has come after 80.
    world.run_until(world.now + Duration::from_millis(81));
    let conn = ConnId(0);
    world.pool.rerouted(conn, Via::TcpMse);
    world.run();
    let stats = world.pool.stats();
    assert_eq!(stats.via(Via::Tcp).funnel.total(), 0);
    let stages: Vec<_> = stats.via(Via::TcpMse).funnel.iter().map(|(_, count)| count).collect();
    assert_eq!(stages, [0, 0, 1, 1, 1, 1, 1, 1]);
    assert!(world.events.iter().any(|(_, event)| matches!(
        event,
        Event::Attempt {
            via: Some(Via::TcpMse),
            incoming: false,
            size: Some(100_000),
            ..
        }
    )));
}

#[test]
fn the_time_of_a_success_is_counted() {
    let mut world = World::new(config());
    let (_, info_hash) = info(1, 10_000);
    let (raw, _) = info(1, 10_000);
    world.peer(host(1), Manner::Talks(Talker::honest(info_hash, &raw)));
    world.pool.start(world.now, info_hash);
    world.run_until(world.now + Duration::from_secs(1));
    world.fetch(info_hash, &[host(1)]);
    world.run();
    let stats = world.pool.stats();
    let from_start = stats.from_start.quantile(0.5).unwrap();
    let from_dial = stats.from_dial.quantile(0.5).unwrap();
    assert!(from_start.abs_diff(Duration::from_millis(1_120)) < Duration::from_millis(70));
    assert!(from_dial.abs_diff(Duration::from_millis(120)) < Duration::from_millis(8));
    assert_eq!((stats.from_start.count(), stats.verified()), (1, 1));
}

#[test]
fn where_no_callers_are_welcome_a_stranger_is_hung_up_on() {
    let mut config = config();
    config.serving.callers = 0;
    let mut pool = crate::Pool::new(config, world::Seed::from_number(1));
    let conn = ConnId(ConnId::ACCEPTED);
    let (from, to) = (host(1), host(2));
    world::Machine::handle(
        &mut pool,
        Time::ZERO,
        Input::Accepted {
            conn,
            from,
            to,
            via: Via::Tcp,
        },
    );
    let output = world::Machine::poll(&mut pool, Time::ZERO, &mut Vec::new());
    assert_eq!(output, Some(world::Output::Effect(world::Effect::Close { conn })));
}

#[test]
fn the_peer_id_is_ours_and_stays() {
    let pool = |seed| crate::Pool::new(config(), world::Seed::from_number(seed));
    assert!(pool(1).peer_id().as_bytes().starts_with(b"-PC0001-"));
    assert!(pool(1).peer_id().as_bytes().is_ascii());
    assert_eq!(pool(1).peer_id(), pool(1).peer_id());
    assert_ne!(pool(1).peer_id(), pool(2).peer_id());
}
