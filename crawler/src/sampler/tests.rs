//! The sampler, answered by a script.

use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::choose::ROTATION;
use super::*;
use crate::guard;

mod population;

const LT: Option<&[u8]> = Some(b"LT\x02\x00");
const TR: Option<&[u8]> = Some(b"TR\x04\x00");

fn config() -> Config {
    Config {
        max_nodes: 10_000,
        max_in_flight: 100,
        interval_floor: Duration::from_secs(300),
        retry_after: Duration::from_secs(60),
        silent_rest: Duration::from_secs(3_600),
        non_sampler_rest: Duration::from_secs(86_400),
        zones: None,
    }
}

fn sampler() -> Sampler {
    let families = Families { v4: true, v6: false };
    Sampler::new(config(), families, Seed::from_number(1))
}

/// The guard of a lab. Nothing is charged to it unless a test does, so its limits are never reached.
fn guard() -> Guard {
    guard_with(guard::Limit::per_second(1_000, 1_000))
}

fn guard_with(total: guard::Limit) -> Guard {
    guard_of(total, guard::Limit::per_second(0, 1))
}

fn one_a_second() -> Guard {
    guard_of(guard::Limit::per_second(1_000, 1_000), guard::Limit::per_second(1, 1))
}

fn guard_of(total: guard::Limit, per_host: guard::Limit) -> Guard {
    let none = guard::Limit::per_second(0, 1);
    let config = guard::Config {
        per_host,
        per_network: none,
        total,
        max_flows: 3_000,
        flow_window: Duration::from_secs(120),
        back_off: guard::BackOff {
            first: Duration::from_secs(10),
            cap: Duration::from_secs(600),
            trial: Duration::from_secs(5),
            refused: Duration::from_secs(600),
            memory: 100,
        },
        answers_per_host: none,
        answers_in_total: none,
        blocklist: Vec::new(),
    };
    Guard::new(&config, true, Seed::from_number(1))
}

fn contact(number: u8) -> Contact {
    Contact {
        id: NodeId::new([number; 20]),
        addr: SocketAddr::from(([127, 0, 1, number], 6881)),
    }
}

fn at(secs: u64) -> Time {
    Time::from_secs(secs)
}

/// A sampler that knows one node.
fn knowing_one() -> (Sampler, Guard) {
    let (mut sampler, guard) = (sampler(), guard());
    sampler.learn(at(0), &contact(1), Provenance::Named, None, &guard);
    (sampler, guard)
}

fn samples(num: i64, interval: i64) -> (Vec<u8>, i64, i64) {
    let shown = num.clamp(0, 20) as u8;
    let bytes = (0..shown).flat_map(|last| {
        let mut bytes = [1; 20];
        bytes[19] = last;
        bytes
    });
    (bytes.collect(), num, interval)
}

fn answer_with(sampler: &mut Sampler, guard: &Guard, now: Time, version: Option<&[u8]>, shown: &(Vec<u8>, i64, i64)) {
    let reply = Reply {
        samples: Some(&shown.0),
        num: Some(shown.1),
        interval: Some(shown.2),
        ..Reply::new(contact(1).id)
    };
    let sample = sampler.on_reply(now, &contact(1), version, &reply, guard);
    assert_eq!(sample.unwrap().info_hashes().len() * 20, shown.0.len());
}

fn answer_without(sampler: &mut Sampler, guard: &Guard, now: Time, version: Option<&[u8]>) {
    let reply = Reply::new(contact(1).id);
    assert!(sampler.on_reply(now, &contact(1), version, &reply, guard).is_none());
}

/// The next query, and when: the sampler is called at no other times than it says.
fn next_ask(sampler: &mut Sampler, guard: &mut Guard) -> Option<(u64, Probe)> {
    loop {
        let now = sampler.wake()?;
        if let Some(ask) = sampler.next(now, guard) {
            return Some((now.as_secs(), ask.probe));
        }
        assert!(sampler.wake()? > now, "woken for nothing");
    }
}

#[test]
fn a_new_node_is_sampled_at_once_around_itself() {
    let (mut sampler, mut guard) = knowing_one();
    let ask = sampler.next(at(0), &mut guard).unwrap();
    assert_eq!((ask.to, ask.probe, sampler.in_flight()), (contact(1), Probe::Sample, 1));
    assert_eq!(sampler.next(at(0), &mut guard), None);
}

#[test]
fn a_node_is_asked_again_after_its_interval_and_never_before_the_floor() {
    for (num, interval, due) in [
        (5, 900, 900),
        (5, 0, 300),
        (5, -1, 300),
        (500, 1_000, 1_000),
        (5, 99_999, 21_600),
    ] {
        let (mut sampler, mut guard) = knowing_one();
        sampler.next(at(0), &mut guard);
        answer_with(&mut sampler, &guard, at(1), None, &samples(num, interval));
        assert_eq!(
            next_ask(&mut sampler, &mut guard),
            Some((1 + due, Probe::Sample)),
            "{num} {interval}"
        );
        assert_eq!(sampler.stats().inside_interval, 0);
    }
}

#[test]
fn a_frozen_sample_of_a_libtorrent_is_left_for_six_hours_whatever_it_says() {
    for (num, due) in [(19, 300), (20, 21_600), (500, 21_600)] {
        let (mut sampler, mut guard) = knowing_one();
        sampler.next(at(0), &mut guard);
        answer_with(&mut sampler, &guard, at(0), LT, &samples(num, 10));
        assert_eq!(next_ask(&mut sampler, &mut guard), Some((due, Probe::Sample)));
    }
}

#[test]
fn a_silent_node_is_asked_something_else_after_a_pause_and_then_left_alone() {
    let (mut sampler, mut guard) = knowing_one();
    sampler.next(at(0), &mut guard);
    sampler.on_timeout(at(2), contact(1).addr);
    assert_eq!(next_ask(&mut sampler, &mut guard), Some((62, Probe::FindNode)));
    sampler.on_timeout(at(64), contact(1).addr);
    assert_eq!(next_ask(&mut sampler, &mut guard), Some((64 + 3_600, Probe::FindNode)));
    assert_eq!((sampler.stats().sample_queries, sampler.stats().silences), (1, 2));
}

#[test]
fn a_node_silent_to_samples_only_is_known_by_its_version() {
    let (mut sampler, mut guard) = knowing_one();
    sampler.next(at(0), &mut guard);
    sampler.on_timeout(at(2), contact(1).addr);
    next_ask(&mut sampler, &mut guard);
    answer_without(&mut sampler, &guard, at(62), TR);
    assert_eq!(next_ask(&mut sampler, &mut guard), Some((62 + 86_400, Probe::FindNode)));
}

#[test]
fn a_node_silent_to_samples_only_is_known_by_experience() {
    let (mut sampler, mut guard) = knowing_one();
    sampler.next(at(0), &mut guard);
    sampler.on_timeout(at(2), contact(1).addr);
    next_ask(&mut sampler, &mut guard);
    answer_without(&mut sampler, &guard, at(62), None);
    assert_eq!(next_ask(&mut sampler, &mut guard), Some((62, Probe::Sample)));
    sampler.on_timeout(at(64), contact(1).addr);
    assert_eq!(next_ask(&mut sampler, &mut guard), Some((64 + 86_400, Probe::FindNode)));
}

#[test]
fn a_lost_answer_costs_a_sampler_nothing_but_time() {
    let (mut sampler, mut guard) = knowing_one();
    sampler.next(at(0), &mut guard);
    sampler.on_timeout(at(2), contact(1).addr);
    next_ask(&mut sampler, &mut guard);
    answer_without(&mut sampler, &guard, at(62), LT);
    assert_eq!(next_ask(&mut sampler, &mut guard), Some((62, Probe::Sample)));
    answer_with(&mut sampler, &guard, at(63), LT, &samples(500, 0));
    assert_eq!((sampler.stats().repeats, sampler.stats().samples), (1, 1));
}

#[test]
fn an_answer_without_samples_ends_sampling_but_its_nodes_count() {
    let (mut sampler, mut guard) = knowing_one();
    sampler.next(at(0), &mut guard);
    let mut nodes = contact(2).id.as_bytes().to_vec();
    nodes.extend([127, 0, 1, 2, 0x1a, 0xe1]);
    let reply = Reply {
        nodes: &nodes,
        ..Reply::new(contact(1).id)
    };
    sampler.on_reply(at(0), &contact(1), Some(b"UT"), &reply, &guard);
    let ask = sampler.next(at(0), &mut guard).unwrap();
    assert_eq!((ask.to, sampler.known()), (contact(2), 2));
    sampler.on_timeout(at(1), contact(2).addr);
    next_ask(&mut sampler, &mut guard);
    sampler.on_timeout(at(70), contact(2).addr);
    next_ask(&mut sampler, &mut guard);
    assert_eq!(sampler.stats().sample_queries, 2);
}

#[test]
fn method_unknown_ends_sampling() {
    let (mut sampler, mut guard) = knowing_one();
    sampler.next(at(0), &mut guard);
    sampler.on_error(at(1), contact(1).addr, error_code::METHOD_UNKNOWN);
    assert_eq!(next_ask(&mut sampler, &mut guard), Some((61, Probe::FindNode)));
}

#[test]
fn a_kind_that_does_not_sample_is_never_sampled() {
    let (mut sampler, mut guard) = (sampler(), guard());
    sampler.overheard(at(0), &contact(1), TR, &Reply::new(contact(1).id), &guard);
    assert_eq!(next_ask(&mut sampler, &mut guard), Some((0, Probe::FindNode)));
}

#[test]
fn a_question_from_a_silent_node_ends_its_rest_but_not_the_pause() {
    let (mut sampler, mut guard) = knowing_one();
    sampler.next(at(0), &mut guard);
    sampler.on_timeout(at(2), contact(1).addr);
    next_ask(&mut sampler, &mut guard);
    sampler.on_timeout(at(64), contact(1).addr);
    sampler.learn(at(70), &contact(1), Provenance::Queried, LT, &guard);
    assert_eq!(next_ask(&mut sampler, &mut guard).unwrap().0, 62 + 60);
}

#[test]
fn a_forged_question_moves_no_sampler() {
    let (mut sampler, mut guard) = knowing_one();
    sampler.next(at(0), &mut guard);
    answer_with(&mut sampler, &guard, at(0), LT, &samples(500, 0));
    sampler.learn(at(10), &contact(1), Provenance::Queried, TR, &guard);
    assert_eq!(next_ask(&mut sampler, &mut guard), Some((21_600, Probe::Sample)));
}

#[test]
fn a_forged_question_does_not_end_sampling_before_it_began() {
    let (mut sampler, mut guard) = knowing_one();
    sampler.learn(at(0), &contact(1), Provenance::Queried, TR, &guard);
    assert_eq!(next_ask(&mut sampler, &mut guard), Some((0, Probe::FindNode)));
    answer_without(&mut sampler, &guard, at(1), LT);
    assert_eq!(next_ask(&mut sampler, &mut guard), Some((1, Probe::Sample)));
}

#[test]
fn new_names_without_end_do_not_starve_who_is_due_again() {
    let (mut sampler, mut guard) = knowing_one();
    sampler.next(at(0), &mut guard);
    answer_with(&mut sampler, &guard, at(0), LT, &samples(500, 0));
    for number in 2..100 {
        sampler.learn(at(0), &contact(number), Provenance::Named, None, &guard);
    }
    let a_round = ROTATION as usize * Turn::ALL.len();
    let asked: Vec<_> = (0..a_round)
        .filter_map(|_| sampler.next(at(21_600), &mut guard))
        .collect();
    assert!(asked.iter().any(|ask| ask.to == contact(1)));
}

/// What a libtorrent answers to something that the sampler did not ask.
fn overhears(sampler: &mut Sampler, guard: &Guard, now: Time, number: u8) {
    let reply = Reply::new(contact(number).id);
    sampler.overheard(now, &contact(number), LT, &reply, guard);
}

#[test]
fn who_answered_a_moment_ago_is_asked_before_who_answered_long_ago() {
    let (mut sampler, mut guard) = (sampler(), guard());
    (1..=50).for_each(|number| overhears(&mut sampler, &guard, at(0), number));
    overhears(&mut sampler, &guard, at(1_000), 100);
    // The first query goes by rotation.
    let asked: Vec<_> = (0..2).filter_map(|_| sampler.next(at(1_001), &mut guard)).collect();
    assert!(asked.iter().any(|ask| ask.to == contact(100)), "{asked:?}");
}

#[test]
fn one_host_with_many_ports_does_not_stop_the_rest() {
    let (mut sampler, mut guard) = (sampler(), one_a_second());
    for port in 2_000..2_200_u16 {
        let mut id = [0; 20];
        id[..2].copy_from_slice(&port.wrapping_mul(331).to_be_bytes());
        let crowd = Contact {
            id: NodeId::new(id),
            addr: SocketAddr::from(([127, 9, 9, 9], port)),
        };
        sampler.learn(at(0), &crowd, Provenance::Named, None, &guard);
    }
    for number in 1..=50 {
        sampler.learn(at(0), &contact(number), Provenance::Named, None, &guard);
    }
    let mut others = 0;
    while let Some(now) = sampler.wake().filter(|&wake| wake < at(30)) {
        if let Some(ask) = sampler.next(now, &mut guard) {
            guard.charge(now, ask.to.addr);
            others += usize::from(ask.to.addr.port() == 6881);
        }
    }
    assert_eq!(others, 50);
}

#[test]
fn routers_ourselves_and_special_addresses_are_not_taken_down() {
    let (mut sampler, guard) = (sampler(), guard());
    sampler.set_routers(&[contact(1).addr]);
    sampler.set_own_id(Family::V4, contact(2).id);
    let outside = Contact {
        addr: SocketAddr::from(([8, 8, 8, 8], 6881)),
        ..contact(3)
    };
    let v6 = Contact {
        addr: SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 6881)),
        ..contact(4)
    };
    for refused in [contact(1), contact(2), outside, v6] {
        sampler.learn(at(0), &refused, Provenance::Named, None, &guard);
    }
    assert_eq!((sampler.known(), sampler.stats().refused, sampler.wake()), (0, 4, None));
}

#[test]
fn a_spent_rate_is_waited_out() {
    let (mut sampler, _) = (sampler(), ());
    let mut guard = guard_with(guard::Limit::per_second(2, 1));
    for number in 1..=10 {
        sampler.learn(at(0), &contact(number), Provenance::Named, None, &guard);
    }
    let mut times = Vec::new();
    while times.len() < 10 {
        let now = sampler.wake().unwrap();
        while let Some(ask) = sampler.next(now, &mut guard) {
            guard.charge(now, ask.to.addr);
            times.push(now.as_micros() / 1_000);
        }
    }
    assert_eq!(times, [0, 500, 1_000, 1_500, 2_000, 2_500, 3_000, 3_500, 4_000, 4_500]);
}

#[test]
fn a_host_that_must_wait_makes_room_for_another() {
    let (mut sampler, mut guard) = (sampler(), guard());
    guard.silent(at(0), contact(1).addr);
    sampler.learn(at(0), &contact(1), Provenance::Named, None, &guard);
    sampler.learn(at(0), &contact(2), Provenance::Named, None, &guard);
    assert_eq!(sampler.next(at(0), &mut guard).unwrap().to, contact(2));
    assert_eq!(sampler.next(at(0), &mut guard), None);
    assert_eq!(
        sampler.next(sampler.wake().unwrap(), &mut guard).unwrap().to,
        contact(1)
    );
}

#[test]
fn no_more_are_in_flight_than_allowed() {
    let guard = &mut guard();
    let config = Config {
        max_in_flight: 2,
        ..config()
    };
    let mut sampler = Sampler::new(config, Families { v4: true, v6: false }, Seed::from_number(1));
    for number in 1..=3 {
        sampler.learn(at(0), &contact(number), Provenance::Named, None, guard);
    }
    let first = sampler.next(at(0), guard).unwrap();
    assert!(sampler.next(at(0), guard).is_some());
    assert_eq!(sampler.next(at(0), guard), None);
    sampler.on_timeout(at(1), first.to.addr);
    assert!(sampler.next(at(1), guard).is_some());
}

#[test]
fn a_query_whose_end_nobody_reports_frees_its_place() {
    let (mut sampler, mut guard) = knowing_one();
    sampler.next(at(0), &mut guard);
    let asked_again = next_ask(&mut sampler, &mut guard).unwrap().0;
    assert_eq!(
        (asked_again, sampler.in_flight(), sampler.stats().overdue),
        (120 + 60, 1, 1)
    );
}

#[test]
fn targets_are_spread_while_little_is_known() {
    let (mut sampler, _) = knowing_one();
    let target = sampler.target(&contact(1));
    assert!(target.common_prefix(&contact(1).id) < 10);
}

proptest! {
    /// Whatever nodes do: no sampling query falls inside an interval, none goes to a node known not to sample, and
    /// whenever the sampler is woken it asks or has a later time.
    #[test]
    fn never_inside_an_interval(
        nodes in prop::collection::vec((0..6_u8, 0..600_i64, 0..2_000_i64), 1..20),
        chances in prop::collection::vec(0..8_u8, 200),
        loss in 0..3_u8,
    ) {
        let (mut sampler, mut guard) = (sampler(), guard());
        for number in 0..nodes.len() as u8 {
            sampler.learn(at(0), &contact(number), Provenance::Named, None, &guard);
        }
        let mut due = vec![0; nodes.len()];
        let mut never = vec![false; nodes.len()];
        for chance in chances {
            let Some(now) = sampler.wake() else { break };
            let Some(ask) = sampler.next(now, &mut guard) else {
                prop_assert!(sampler.wake().is_none_or(|wake| wake > now));
                continue;
            };
            let SocketAddr::V4(addr) = ask.to.addr else { panic!("{ask:?}") };
            let [.., number] = Ipv4Addr::octets(addr.ip());
            let (kind, num, interval) = nodes[usize::from(number)];
            let seconds = now.as_micros().div_ceil(1_000_000);
            if ask.probe == Probe::Sample {
                prop_assert!(seconds >= due[usize::from(number)], "inside its interval");
                prop_assert!(!never[usize::from(number)], "known not to sample");
            }
            let version: Option<&[u8]> = [LT, Some(b"ML01"), None, TR, Some(b"UT"), None][usize::from(kind)];
            let shown = samples(num, interval);
            let mut reply = Reply::new(ask.to.id);
            match (ask.probe, kind) {
                _ if chance < loss => {
                    sampler.on_timeout(now, ask.to.addr);
                    continue;
                }
                (Probe::Sample, 3 | 5) => {
                    sampler.on_timeout(now, ask.to.addr);
                    continue;
                }
                (Probe::Sample, 0..3) => {
                    reply.samples = Some(&shown.0);
                    reply.num = Some(shown.1);
                    reply.interval = Some(shown.2);
                    let frozen = kind == 0 && num >= 20;
                    let rest = if frozen { 21_600 } else { interval.max(300) };
                    due[usize::from(number)] = seconds + rest as u64;
                }
                _ => never[usize::from(number)] |= (3..5).contains(&kind),
            }
            let sample = sampler.on_reply(now, &ask.to, version, &reply, &guard);
            prop_assert_eq!(sample.is_some(), reply.samples.is_some());
        }
        prop_assert_eq!((sampler.stats().inside_interval, sampler.stats().to_non_samplers), (0, 0));
        prop_assert_eq!(sampler.in_flight(), 0);
    }
}

#[test]
fn a_ledger_is_kept_between_runs_with_its_intervals() {
    let (mut sampler, mut guard) = knowing_one();
    sampler.learn(at(0), &contact(2), Provenance::Answered, LT, &guard);
    sampler.learn(at(0), &contact(3), Provenance::Answered, TR, &guard);
    // Only heard of: not kept.
    sampler.learn(at(0), &contact(4), Provenance::Named, None, &guard);
    assert!(sampler.next(at(0), &mut guard).is_some_and(|ask| ask.to == contact(2)));
    let (shown, num, interval) = samples(100, 21_600);
    let reply = Reply {
        samples: Some(&shown),
        num: Some(num),
        interval: Some(interval),
        ..Reply::new(contact(2).id)
    };
    sampler.on_reply(at(0), &contact(2), LT, &reply, &guard).unwrap();
    let kept = sampler.keep(at(600), 10_000);
    let mut later = tests::sampler();
    assert_eq!(later.restore(at(0), &kept, 11_000, &guard), Ok(2));
    assert_eq!(later.known(), 2);
    // 1,600 s of the six hours are over; the other one never samples, and is asked for nodes.
    let ask = later.next(at(0), &mut guard).unwrap();
    assert_eq!((ask.to, ask.probe), (contact(3), Probe::FindNode));
    later.on_timeout(at(1), contact(3).addr);
    assert!(
        later
            .next(at(20_000 - 1), &mut guard)
            .is_none_or(|ask| ask.to != contact(2))
    );
    assert!((0..3).any(|_| {
        later
            .next(at(20_002), &mut guard)
            .is_some_and(|ask| ask.to == contact(2))
    }));
    assert!(later.restore(at(0), b"4:spam", 0, &guard).is_err());
}
