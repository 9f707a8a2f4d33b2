//! UDP trackers (TRK-05 to 08, 11).

use super::*;

const U: &str = "udp://u.example:6969/announce?k=1";
const AT: &str = "192.0.2.1:6969";
const SIX: &str = "[2001:db8::7]:6969";

fn world() -> World {
    let mut world = World::new(config());
    world.names.insert("u.example:6969".into(), vec![addr(AT)]);
    world
}

#[test]
fn a_tracker_is_looked_up_connected_to_and_announced_to() {
    let mut world = world();
    world.add(1, &[&[U]]);
    world.run_to(10);
    assert_eq!(world.actions(AT), [(0, 0), (0, 1)]);
    let announce = &world.sent[1].bytes;
    assert_eq!(
        (&announce[16..36], &announce[36..56]),
        (&[1; 20][..], &b"-ES0100-abcdefghijkl"[..])
    );
    assert_eq!(
        announce[56..80],
        [0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 1]
    );
    assert_eq!(announce[80..84], [0, 0, 0, 2]);
    assert_eq!(announce[92..98], [0, 0, 0, 200, 0x1a, 0xe1]);
    assert_eq!(announce[98..], *b"\x02\x0d/announce?k=1");
    let peers = vec![addr("1.2.3.4:6657")];
    assert!(world.heard().contains(&Told::Peers {
        torrent: 1,
        tracker: U.into(),
        peers
    }));
    assert_eq!(
        world.mind.status(1).unwrap().next_announce,
        Some(Time::from_secs(1_800))
    );
}

#[test]
fn a_connection_id_serves_for_60_seconds() {
    let mut world = world();
    world.add(1, &[&[U]]);
    for at in [59, 61] {
        world.run_to(at);
        world.mind.reannounce(world.now, 1, Duration::ZERO);
    }
    world.run_to(70);
    assert_eq!(world.actions(AT), [(0, 0), (0, 1), (59, 1), (61, 0), (61, 1)]);
}

#[test]
fn a_name_is_looked_up_once_in_300_seconds() {
    let mut world = world();
    world.add(1, &[&[U]]);
    for at in [299, 301] {
        world.run_to(at);
        world.mind.reannounce(world.now, 1, Duration::ZERO);
    }
    world.run_to(310);
    let lookups: Vec<(u64, &str)> = world
        .lookups
        .iter()
        .map(|(at, name)| (at.as_secs(), name.as_str()))
        .collect();
    assert_eq!(lookups, [(0, "u.example:6969"), (301, "u.example:6969")]);
}

#[test]
fn announces_at_the_same_time_share_name_and_connection_and_each_gets_its_own_answer() {
    let mut world = world();
    world.add(1, &[&[U]]);
    world.add(2, &[&[U]]);
    world.run_to(1);
    assert_eq!(
        (world.lookups.len(), world.actions(AT)),
        (1, vec![(0, 0), (0, 1), (0, 1)])
    );
    assert_ne!(world.sent[1].transaction, world.sent[2].transaction);
    for (torrent, port) in [(1, 0x1a01), (2, 0x1a02)] {
        let peers = vec![SocketAddr::from(([1, 2, 3, 4], port))];
        assert!(world.heard().contains(&Told::Peers {
            torrent,
            tracker: U.into(),
            peers
        }));
    }
}

#[test]
fn a_lost_question_is_asked_again_after_15_seconds() {
    let mut world = world();
    world.udp.entry(addr(AT)).or_default().lost = 1;
    world.add(1, &[&[U]]);
    world.run_to(20);
    assert_eq!(world.actions(AT), [(0, 0), (15, 0), (15, 1)]);
    assert!(world.mind.trackers(1).next().unwrap().working);
}

#[test]
fn a_lost_announce_is_asked_again_and_connected_anew_once_the_id_is_old() {
    let mut world = world();
    world.add(1, &[&[U]]);
    world.run_to(0);
    world.udp.entry(addr(AT)).or_default().dead = true;
    world.mind.reannounce(world.now, 1, Duration::ZERO);
    world.run_to(110);
    assert_eq!(world.actions(AT)[2..], [(0, 1), (15, 1), (45, 1), (105, 0)]);
}

#[test]
fn a_dead_tracker_is_asked_ever_more_rarely_and_does_not_hold_up_the_next_tier() {
    let mut world = world();
    world.udp.entry(addr(AT)).or_default().dead = true;
    world.answers(B, reply(100_000));
    world.add(1, &[&[U], &[B]]);
    world.run_to(7_664);
    let times: Vec<u64> = world.actions(AT).into_iter().map(|(at, _)| at).collect();
    assert_eq!(times, [0, 15, 45, 105, 225, 465, 945, 1_905, 3_825]);
    assert_eq!(world.times(B), [15]);
    assert_eq!(world.failures(), [(15, Failure::Silent)]);
}

#[test]
fn a_tracker_without_alternative_is_asked_as_bep_15_says_and_over_again() {
    let mut world = world();
    world.udp.entry(addr(AT)).or_default().dead = true;
    world.add(1, &[&[U]]);
    world.run_to(7_680);
    let times: Vec<u64> = world.actions(AT).into_iter().map(|(at, _)| at).collect();
    assert_eq!(times[7..], [1_905, 3_825, 7_665, 7_680]);
}

#[test]
fn a_late_answer_counts() {
    let mut world = world();
    world.udp.entry(addr(AT)).or_default().lost = 2;
    world.answers(B, reply(600));
    world.add(1, &[&[U], &[B]]);
    world.run_to(100);
    assert_eq!((world.times(B), world.actions(AT).last()), (vec![15], Some(&(45, 1))));
    assert_eq!(world.mind.status(1).unwrap().current.unwrap().as_ref(), U);
}

#[test]
fn a_tracker_that_was_dead_is_preferred_again_at_the_next_announce() {
    let mut world = world();
    world.udp.entry(addr(AT)).or_default().dead = true;
    world.answers(B, reply(600));
    world.add(1, &[&[U], &[B]]);
    world.run_to(500);
    world.udp.entry(addr(AT)).or_default().dead = false;
    world.run_to(1_000);
    assert_eq!(world.times(B), [15]);
    assert_eq!(world.actions(AT)[5..], [(465, 0), (615, 0), (615, 1)]);
}

#[test]
fn many_torrents_of_a_dead_tracker_do_not_hold_up_others() {
    let mut world = world();
    world.udp.entry(addr(AT)).or_default().dead = true;
    world.answers(B, reply(600));
    (0..500).for_each(|torrent| drop(world.add(torrent, &[&[U]])));
    world.add(1_000, &[&[B]]);
    world.run_to(40);
    assert_eq!(world.times(B), [15]);
    // One of them asks for all.
    assert!(world.actions(AT).len() < 10, "{:?}", world.actions(AT));
    world.udp.entry(addr(AT)).or_default().dead = false;
    world.run_to(120);
    let working = (0..500).filter(|&torrent| world.mind.trackers(torrent).next().unwrap().working);
    assert_eq!(working.count(), 500);
}

#[test]
fn a_torrent_that_waits_asks_a_tracker_that_others_have_almost_given_up() {
    let mut world = world();
    world.udp.entry(addr(AT)).or_default().dead = true;
    world.add(1, &[&[U]]);
    world.run_to(300);
    world.udp.entry(addr(AT)).or_default().dead = false;
    world.add(2, &[&[U]]);
    world.run_to(301);
    // The next word of the first would be at 465.
    assert_eq!(world.actions(AT)[5..], [(300, 0), (300, 1), (300, 1)]);
}

#[test]
fn when_the_torrent_that_asks_for_all_is_gone_another_asks_in_its_place() {
    let mut world = world();
    world.udp.entry(addr(AT)).or_default().lost = 1;
    world.add(1, &[&[U]]);
    world.add(2, &[&[U]]);
    world.run_to(5);
    world.mind.remove(world.now, 1, Stats::default());
    world.run_to(6);
    assert_eq!(world.actions(AT), [(0, 0), (5, 0), (5, 1)]);
    assert!(world.mind.trackers(2).next().unwrap().working);
}

#[test]
fn a_late_answer_ends_a_round() {
    let mut world = world();
    world.udp.entry(addr(AT)).or_default().lost = 1;
    world.answers(B, Answer::Silence);
    world.answers(C, reply(600));
    world.add(1, &[&[U], &[B], &[C]]);
    world.run_to(2_000);
    assert_eq!((world.times(B), world.times(C)), (vec![15], vec![]));
    assert_eq!(world.actions(AT)[2..], [(15, 1), (1_835, 0), (1_835, 1)]);
}

#[test]
fn an_answer_counts_only_from_whom_was_asked_and_to_what_was_asked() {
    let mut world = world();
    world.udp.entry(addr(AT)).or_default().dead = true;
    world.add(1, &[&[U]]);
    world.run_to(1);
    let transaction = world.sent[0].transaction;
    let answer = |action: u32, transaction: u32| {
        let mut out = [action.to_be_bytes(), transaction.to_be_bytes()].concat();
        out.extend([0; 12]);
        out
    };
    world.hear(addr("192.0.2.1:6970"), &answer(0, transaction));
    world.hear(addr(AT), &answer(0, transaction ^ 1));
    world.hear(addr(AT), &answer(1, transaction));
    world.hear(addr(AT), &answer(0, transaction)[..15]);
    assert_eq!(world.mind.counts()[Counted::Stray], 4);
    world.run_to(2);
    assert_eq!(world.actions(AT), [(0, 0)]);
    world.hear(addr("[::ffff:192.0.2.1]:6969"), &answer(0, transaction));
    world.run_to(3);
    assert_eq!(world.actions(AT), [(0, 0), (2, 1)]);
}

#[test]
fn a_tracker_that_forgot_our_connection_is_connected_to_anew() {
    let mut world = world();
    world.add(1, &[&[U]]);
    world.run_to(10);
    world.udp.entry(addr(AT)).or_default().restart();
    world.mind.reannounce(world.now, 1, Duration::ZERO);
    world.run_to(20);
    assert_eq!(world.failures(), [(10, Failure::Refused("connection id".into()))]);
    assert_eq!(world.actions(AT)[2..], [(10, 1), (11, 0), (11, 1)]);
}

#[test]
fn a_refusal_is_told_in_its_words() {
    let mut world = world();
    world.udp.entry(addr(AT)).or_default().refuses = Some("not here");
    world.add(1, &[&[U]]);
    world.run_to(0);
    assert_eq!(world.failures(), [(0, Failure::Refused("not here".into()))]);
}

#[test]
fn ipv4_goes_first_and_the_next_address_after_a_failure() {
    let mut world = world();
    world.names.insert("u.example:6969".into(), vec![addr(SIX), addr(AT)]);
    world.udp.entry(addr(AT)).or_default().refuses = Some("no");
    world.add(1, &[&[U]]);
    world.run_to(5);
    assert_eq!(
        (world.actions(AT), world.actions(SIX)),
        (vec![(0, 0), (0, 1)], vec![(1, 0), (1, 1)])
    );
    let peers = vec![addr("[2001:db8::1]:6881")];
    assert!(world.heard().contains(&Told::Peers {
        torrent: 1,
        tracker: U.into(),
        peers
    }));
}

#[test]
fn addresses_that_must_not_be_spoken_to_are_not() {
    let mut world = world();
    world.names.insert(
        "u.example:6969".into(),
        vec![addr("127.0.0.1:6969"), addr("[::1]:6969")],
    );
    world.add(1, &[&[U]]);
    world.add(2, &[&["udp://127.0.0.1:7000"]]);
    world.run_to(0);
    let forbidden = Failure::Web(WebFault::Forbidden);
    assert_eq!(world.failures(), [(0, forbidden.clone()), (0, forbidden)]);
    assert!(world.sent.is_empty());
}

#[test]
fn a_name_without_address_is_a_failure_and_looked_up_again() {
    let mut world = world();
    world.names.clear();
    world.add(1, &[&[U]]);
    world.run_to(2);
    let no_name = || Failure::Web(WebFault::NoName);
    assert_eq!(world.failures(), [(0, no_name()), (1, no_name())]);
}

#[test]
fn a_scrape_shares_the_connection() {
    let mut world = world();
    world.add(1, &[&[U]]);
    world.run_to(5);
    assert!(world.mind.scrape(world.now, 1));
    world.run_to(6);
    assert_eq!(world.actions(AT), [(0, 0), (0, 1), (5, 2)]);
    assert_eq!(world.sent[2].bytes[16..], [1; 20]);
    let counts = world.mind.status(1).unwrap().counts;
    assert_eq!(
        (counts.complete, counts.downloaded, counts.incomplete),
        (Some(5), Some(50), Some(10))
    );
}

#[test]
fn stopped_is_sent_again_in_time_to_be_heard() {
    let mut world = world();
    world.add(1, &[&[U]]);
    world.run_to(100);
    world.udp.entry(addr(AT)).or_default().lost = 1;
    world.mind.remove(world.now, 1, Stats::default());
    world.run_to(105);
    assert!(world.mind.is_idle());
    assert_eq!(world.actions(AT)[2..], [(100, 0), (102, 0), (102, 1)]);
    let last = &world.sent.last().unwrap().bytes;
    assert_eq!((&last[80..84], &last[92..96]), (&[0, 0, 0, 3][..], &[0; 4][..]));
}
