//! Sightings in, work out, failures back in.

use std::net::SocketAddr;

use proptest::prelude::*;
use wire::NodeId;

use super::*;
use crate::Contact;
use crate::Source;

const MINUTE: Duration = Duration::from_secs(60);

fn config() -> Config {
    Config {
        max_seen: 1_000,
        max_ready: 100,
        max_waiting: 10,
        retry: Retry {
            no_peers: vec![MINUTE],
            with_peers: vec![2 * MINUTE, 7 * MINUTE],
        },
        opt_out: vec![hash(250), hash(240)],
    }
}

fn frontier() -> Frontier {
    Frontier::new(config(), Seed::from_number(1))
}

fn hash(number: u16) -> InfoHash {
    let mut bytes = [0; 20];
    bytes[18..].copy_from_slice(&number.to_be_bytes());
    InfoHash::new(bytes)
}

fn node(number: u8) -> Contact {
    Contact {
        id: NodeId::new([number; 20]),
        addr: SocketAddr::from(([127, 0, 0, number], 6881)),
    }
}

fn sample(info_hash: InfoHash, from: u8) -> Sighting {
    Sighting {
        info_hash,
        from: node(from),
        source: Source::Sample {
            num: 1,
            sample_size: 1,
            rank: 0,
            interval: 0,
        },
    }
}

fn heard(info_hash: InfoHash, source: Source) -> Sighting {
    Sighting {
        source,
        ..sample(info_hash, 9)
    }
}

fn secs(secs: u64) -> Time {
    Time::from_secs(secs)
}

fn take(frontier: &mut Frontier, now: Time) -> Option<InfoHash> {
    frontier.take(now).map(|work| work.info_hash)
}

#[test]
fn an_outcome_without_a_delay_is_not_tried_again() {
    let mut config = config();
    config.retry.no_peers.clear();
    let mut frontier = Frontier::new(config, Seed::from_number(1));
    frontier.sighted(Time::ZERO, &sample(hash(7), 1));
    let work = frontier.take(Time::ZERO).unwrap();
    assert_eq!(
        frontier.failed(Time::ZERO, &work.info_hash, Outcome::NoPeers),
        Fate::GivenUp
    );
    assert_eq!(frontier.wake(), None);
}

#[test]
fn the_first_sighting_is_new_and_the_second_is_not() {
    let mut frontier = frontier();
    assert_eq!(frontier.sighted(secs(0), &sample(hash(1), 1)), Seen::New);
    assert_eq!(frontier.sighted(secs(1), &sample(hash(1), 2)), Seen::Again);
    assert_eq!((frontier.seen(), frontier.ready()), (1, 1));
}

#[test]
fn the_zero_key_and_opt_outs_are_refused_at_the_entrance() {
    let mut frontier = frontier();
    for (info_hash, refusal) in [
        (InfoHash::new([0; 20]), Refusal::Zero),
        (hash(240), Refusal::OptOut),
        (hash(250), Refusal::OptOut),
    ] {
        assert_eq!(frontier.sighted(secs(0), &sample(info_hash, 1)), Seen::Refused(refusal));
    }
    assert_eq!((frontier.seen(), frontier.wake()), (0, None));
}

#[test]
fn a_full_seen_set_refuses_the_new_and_knows_the_old() {
    let mut frontier = Frontier::new(
        Config {
            max_seen: 1,
            ..config()
        },
        Seed::from_number(1),
    );
    frontier.sighted(secs(0), &sample(hash(1), 1));
    assert_eq!(
        frontier.sighted(secs(0), &sample(hash(2), 1)),
        Seen::Refused(Refusal::Full)
    );
    assert_eq!(frontier.sighted(secs(0), &sample(hash(1), 1)), Seen::Again);
}

#[test]
fn work_names_the_nodes_that_showed_it_latest_first() {
    let mut frontier = frontier();
    for from in [1, 2, 2, 3, 4] {
        frontier.sighted(secs(0), &sample(hash(1), from));
    }
    let work = frontier.take(secs(0)).unwrap();
    assert_eq!(work.showed_by, [node(4), node(3), node(2)]);
}

#[test]
fn who_only_asked_or_announced_is_not_a_holder() {
    let mut frontier = frontier();
    frontier.sighted(secs(0), &heard(hash(1), Source::Announce));
    frontier.sighted(secs(0), &heard(hash(1), Source::GetPeers));
    assert_eq!(frontier.take(secs(0)).unwrap().showed_by, []);
}

#[test]
fn more_holders_come_first_then_the_fresher() {
    let mut frontier = frontier();
    frontier.sighted(secs(0), &sample(hash(1), 1));
    frontier.sighted(secs(0), &sample(hash(2), 1));
    frontier.sighted(secs(0), &sample(hash(2), 2));
    frontier.sighted(secs(5), &sample(hash(3), 1));
    let order: Vec<_> = std::iter::from_fn(|| take(&mut frontier, secs(6))).collect();
    assert_eq!(order, [hash(2), hash(3), hash(1)]);
}

#[test]
fn the_same_node_again_is_no_further_holder() {
    let mut frontier = frontier();
    frontier.sighted(secs(0), &sample(hash(1), 1));
    frontier.sighted(secs(0), &sample(hash(1), 1));
    frontier.sighted(secs(5), &sample(hash(2), 1));
    assert_eq!(take(&mut frontier, secs(6)), Some(hash(2)));
}

#[test]
fn an_announce_outranks_a_question_and_that_a_sample() {
    let mut frontier = frontier();
    frontier.sighted(secs(0), &heard(hash(1), Source::Announce));
    frontier.sighted(secs(1), &heard(hash(2), Source::GetPeers));
    frontier.sighted(secs(2), &sample(hash(3), 1));
    let order: Vec<_> = std::iter::from_fn(|| take(&mut frontier, secs(3))).collect();
    assert_eq!(order, [hash(1), hash(2), hash(3)]);
}

#[test]
fn the_full_queue_evicts_the_worst_which_may_return() {
    let mut frontier = frontier();
    for number in 0..=100 {
        frontier.sighted(secs(u64::from(number)), &sample(hash(number + 1), 1));
    }
    assert_eq!((frontier.ready(), frontier.counts().evicted), (100, 1));
    assert_eq!(frontier.sighted(secs(200), &sample(hash(1), 2)), Seen::Again);
    assert_eq!(take(&mut frontier, secs(200)), Some(hash(1)));
}

#[test]
fn what_is_done_never_comes_back() {
    let mut frontier = frontier();
    frontier.sighted(secs(0), &sample(hash(1), 1));
    take(&mut frontier, secs(0));
    frontier.done(&hash(1));
    assert_eq!(frontier.sighted(secs(1), &sample(hash(1), 2)), Seen::Again);
    assert_eq!((take(&mut frontier, secs(1)), frontier.taken()), (None, 0));
}

#[test]
fn what_an_earlier_run_did_is_not_queued() {
    let mut frontier = frontier();
    frontier.prime(&hash(1));
    assert_eq!(frontier.sighted(secs(0), &sample(hash(1), 1)), Seen::Again);
    assert_eq!((frontier.wake(), frontier.seen()), (None, 1));
}

/// As [`Fate::RetryAt`] without putting anybody out.
fn retry_at(due: Time) -> Fate {
    Fate::RetryAt { due, evicted: None }
}

#[test]
fn a_failure_comes_back_after_the_delay_of_its_round() {
    let mut frontier = frontier();
    frontier.sighted(secs(0), &sample(hash(1), 1));
    take(&mut frontier, secs(0));
    assert_eq!(frontier.failed(secs(0), &hash(1), Outcome::NoPeers), retry_at(secs(60)));
    assert_eq!(frontier.wake(), Some(secs(60)));
    assert_eq!(take(&mut frontier, secs(59)), None);
    assert_eq!(frontier.take(secs(60)).unwrap().tries, 1);
    let fate = frontier.failed(secs(60), &hash(1), Outcome::Unfetchable);
    assert_eq!(fate, retry_at(secs(60 + 420)));
}

#[test]
fn the_last_failure_gives_up() {
    let mut frontier = frontier();
    frontier.sighted(secs(0), &sample(hash(1), 1));
    let mut now = secs(0);
    for _ in 0..2 {
        take(&mut frontier, now);
        let Fate::RetryAt { due, .. } = frontier.failed(now, &hash(1), Outcome::Unreachable) else {
            panic!("a retry is left");
        };
        now = due;
    }
    take(&mut frontier, now);
    assert_eq!(frontier.failed(now, &hash(1), Outcome::Unreachable), Fate::GivenUp);
    frontier.sighted(now, &sample(hash(1), 2));
    assert_eq!(frontier.wake(), None);
}

/// Ten that wait without peers: as many as may.
fn waiting_room_full() -> Frontier {
    let mut frontier = frontier();
    for number in 1..=11 {
        frontier.sighted(secs(0), &sample(hash(number), 1));
    }
    for _ in 0..10 {
        let info_hash = take(&mut frontier, secs(0)).unwrap();
        frontier.failed(secs(u64::from(info_hash.as_bytes()[19])), &info_hash, Outcome::NoPeers);
    }
    frontier
}

#[test]
fn a_full_waiting_room_puts_out_the_least_promising() {
    let mut frontier = waiting_room_full();
    let last = take(&mut frontier, secs(0)).unwrap();
    let Fate::RetryAt {
        evicted: Some(evicted), ..
    } = frontier.failed(secs(0), &last, Outcome::Unreachable)
    else {
        panic!("one with peers is worth more than one without");
    };
    assert_ne!(evicted, last);
    assert_eq!(
        (
            frontier.waiting(),
            frontier.counts().put_out,
            frontier.counts().given_up
        ),
        (10, 1, 1)
    );
    // It is given up: no sighting brings it back.
    frontier.sighted(secs(1), &sample(evicted, 2));
    assert_eq!(frontier.ready(), 0);
}

#[test]
fn who_is_least_promising_finds_no_room_itself() {
    let mut frontier = waiting_room_full();
    let last = take(&mut frontier, secs(0)).unwrap();
    assert_eq!(frontier.failed(secs(1_000), &last, Outcome::NoPeers), Fate::GivenUp);
    assert_eq!((frontier.waiting(), frontier.taken()), (10, 0));
}

#[test]
fn what_an_earlier_run_left_waiting_goes_on_where_it_was() {
    let mut frontier = frontier();
    frontier.prime(&hash(2));
    assert!(frontier.restore(hash(1), 1, secs(30), Outcome::Unreachable));
    for refused in [hash(1), hash(2), hash(240), InfoHash::new([0; 20])] {
        assert!(
            !frontier.restore(refused, 1, secs(30), Outcome::Unreachable),
            "{refused}"
        );
    }
    assert_eq!((frontier.waiting(), frontier.wake()), (1, Some(secs(30))));
    frontier.sighted(secs(5), &sample(hash(1), 3));
    let work = frontier.take(secs(30)).unwrap();
    assert_eq!(
        (work.info_hash, work.tries, work.showed_by),
        (hash(1), 1, vec![node(3)])
    );
    let fate = frontier.failed(secs(30), &hash(1), Outcome::Unreachable);
    assert_eq!(fate, retry_at(secs(30 + 420)));
}

#[test]
fn due_retries_get_one_take_in_four() {
    let mut frontier = frontier();
    frontier.sighted(secs(0), &sample(hash(99), 1));
    take(&mut frontier, secs(0));
    frontier.failed(secs(0), &hash(99), Outcome::NoPeers);
    for number in 1..=10 {
        frontier.sighted(secs(100), &sample(hash(number), 1));
    }
    let firsts: Vec<_> = (0..4).filter_map(|_| take(&mut frontier, secs(100))).collect();
    assert!(firsts.contains(&hash(99)));
}

#[test]
fn put_back_counts_no_try() {
    let mut frontier = frontier();
    frontier.sighted(secs(0), &sample(hash(1), 1));
    take(&mut frontier, secs(0));
    frontier.put_back(&hash(1));
    assert_eq!(frontier.take(secs(1)).unwrap().tries, 0);
}

#[test]
fn singletons_and_doubletons_are_counted() {
    let mut frontier = frontier();
    for number in [1, 2, 2, 3, 3, 3] {
        frontier.sighted(secs(0), &sample(hash(number), 1));
    }
    assert_eq!((frontier.counts().once, frontier.counts().twice), (1, 1));
}

proptest! {
    /// Whatever is done with it: bounds hold, and nothing is in two places or lost while it is pending.
    #[test]
    fn bounds_hold(steps in prop::collection::vec((0..5u8, 0..200u16), 0..500)) {
        let config = Config { max_seen: 120, max_ready: 20, max_waiting: 3, ..config() };
        let mut frontier = Frontier::new(config, Seed::from_number(3));
        let mut taken = Vec::new();
        for (at, (step, number)) in steps.into_iter().enumerate() {
            let outcome = if number % 2 == 0 { Outcome::NoPeers } else { Outcome::Unreachable };
            let now = secs(at as u64 * 20);
            match (step, taken.len()) {
                (0 | 1, _) | (_, 0) if step != 2 => drop(frontier.sighted(now, &sample(hash(number), number as u8))),
                (2, _) => taken.extend(take(&mut frontier, now)),
                (3, _) => frontier.done(&taken.pop().unwrap_or(hash(1))),
                _ => drop(frontier.failed(now, &taken.pop().unwrap_or(hash(1)), outcome)),
            }
            prop_assert!(frontier.seen() <= 120 + 1 && frontier.ready() <= 20 && frontier.waiting() <= 3);
            prop_assert_eq!(frontier.taken(), taken.len());
            if frontier.ready() > 0 {
                prop_assert_eq!(frontier.wake(), Some(Time::ZERO));
            }
        }
    }
}
