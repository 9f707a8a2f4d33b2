//! The limits hold, whatever is asked in whatever order.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use proptest::prelude::*;

use super::*;

fn config() -> Config {
    Config {
        per_host: Limit::per_second(1, 3),
        per_network: Limit::per_second(4, 12),
        total: Limit::per_second(50, 10),
        max_flows: 40,
        flow_window: Duration::from_secs(120),
        back_off: BackOff {
            first: Duration::from_secs(300),
            cap: Duration::from_secs(7200),
            trial: Duration::from_secs(5),
            refused: Duration::from_secs(600),
            memory: 1000,
        },
        answers_per_host: Limit::per_second(5, 10),
        answers_in_total: Limit::per_second(500, 100),
        blocklist: vec!["8.8.0.0/16".parse().unwrap()],
    }
}

fn guard(lab: bool) -> Guard {
    Guard::new(&config(), lab, Seed::from_number(1))
}

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn verdict(guard: &mut Guard, to: &str) -> Verdict {
    guard.may_ask(Time::ZERO, addr(to))
}

/// Sends if it may.
fn ask(guard: &mut Guard, now: Time, to: SocketAddr) -> bool {
    let goes = matches!(guard.may_ask(now, to), Verdict::Go | Verdict::Spare);
    if goes {
        guard.charge(now, to);
    }
    goes
}

#[test]
fn what_is_never_asked_is_counted_by_reason() {
    let mut guard = guard(false);
    guard.own(addr("9.9.9.9:6881"));
    for (to, refusal) in [
        ("10.0.0.1:6881", Refusal::Bogon),
        ("127.0.0.1:6881", Refusal::Bogon),
        ("[::1]:6881", Refusal::Bogon),
        ("1.1.1.1:0", Refusal::Port),
        ("1.1.1.1:53", Refusal::Port),
        ("8.8.8.8:6881", Refusal::Blocked),
        ("9.9.9.9:1234", Refusal::Own),
    ] {
        assert_eq!(verdict(&mut guard, to), Verdict::Never(refusal), "{to}");
        assert!(!guard.admits_contact(&addr(to)), "{to}");
    }
    assert_eq!(guard.stats().refusals.total(), 7);
    assert_eq!(guard.stats().refusals[Refusal::Port], 2);
}

#[test]
fn a_lab_is_loopback_and_nothing_else() {
    let mut guard = guard(true);
    guard.own(addr("127.0.0.1:6881"));
    for to in ["127.0.0.2:6881", "127.255.0.1:6881", "[::1]:6881", "127.0.0.1:6882"] {
        assert_eq!(verdict(&mut guard, to), Verdict::Go, "{to}");
    }
    for to in ["1.1.1.1:6881", "10.0.0.1:6881", "0.0.0.0:6881", "[fe80::1]:6881"] {
        assert_eq!(verdict(&mut guard, to), Verdict::Never(Refusal::Bogon), "{to}");
    }
    assert_eq!(verdict(&mut guard, "127.0.0.1:6881"), Verdict::Never(Refusal::Own));
}

#[test]
fn a_port_under_1024_is_asked_if_the_user_named_it_but_never_port_0() {
    let mut guard = guard(false);
    for to in ["1.1.1.1:53", "1.1.1.1:0"] {
        guard.named_by_user(addr(to));
    }
    assert_eq!(verdict(&mut guard, "1.1.1.1:53"), Verdict::Go);
    assert_eq!(verdict(&mut guard, "1.1.1.1:0"), Verdict::Never(Refusal::Port));
}

#[test]
fn a_mapped_address_is_the_host_that_it_maps() {
    let mut guard = guard(false);
    for _ in 0..3 {
        assert!(ask(&mut guard, Time::ZERO, addr("1.1.1.1:6881")));
    }
    assert!(!ask(&mut guard, Time::ZERO, addr("[::ffff:1.1.1.1]:6881")));
    assert_eq!(
        verdict(&mut guard, "[::ffff:8.8.8.8]:6881"),
        Verdict::Never(Refusal::Blocked)
    );
}

#[test]
fn asking_permission_costs_nothing() {
    let mut guard = guard(false);
    for _ in 0..1000 {
        assert_eq!(verdict(&mut guard, "1.1.1.1:6881"), Verdict::Go);
    }
    assert_eq!(guard.stats().queries, 0);
}

#[test]
fn a_network_has_a_looser_limit_than_its_hosts_except_in_a_lab() {
    let granted = |lab: bool, first: u8| {
        let mut guard = Guard::new(
            &Config {
                total: Limit::per_second(1000, 1000),
                max_flows: 1000,
                ..config()
            },
            lab,
            Seed::from_number(1),
        );
        (1..=100_u8)
            .filter(|&host| ask(&mut guard, Time::ZERO, SocketAddr::from(([first, 1, 1, host], 6881))))
            .count()
    };
    assert_eq!(granted(false, 1), 12);
    assert_eq!(granted(true, 127), 100);
}

#[test]
fn silence_is_off_and_an_answer_ends_it() {
    let mut guard = guard(false);
    let to = addr("1.1.1.1:6881");
    guard.silent(Time::ZERO, to);
    assert_eq!(guard.may_ask(Time::ZERO, to), Verdict::Off(Time::from_secs(300)));
    guard.answered(Time::ZERO, to);
    assert_eq!(guard.may_ask(Time::ZERO, to), Verdict::Go);
    assert_eq!(guard.stats().refusals[Refusal::BackOff], 1);
}

#[test]
fn only_the_codes_of_limiters_mean_back_off() {
    let to = addr("1.1.1.1:6881");
    for (code, off) in [(201, true), (202, false), (203, true), (204, false)] {
        let mut guard = guard(false);
        guard.refused(Time::ZERO, to, code);
        assert_eq!(
            guard.may_ask(Time::ZERO, to) == Verdict::Off(Time::from_secs(600)),
            off,
            "{code}"
        );
    }
}

#[test]
fn silence_of_an_address_that_the_user_named_is_soon_forgiven() {
    let mut guard = guard(false);
    let to = addr("1.1.1.1:6881");
    guard.named_by_user(to);
    for now in [0, 100] {
        let now = Time::from_secs(now);
        guard.silent(now, to);
        assert_eq!(guard.may_ask(now, to), Verdict::Off(now + NAMED_SILENCE));
    }
}

#[test]
fn memory_is_stated_and_modest_for_a_home() {
    let guard = Guard::new(
        &Config {
            max_flows: 4096,
            back_off: BackOff {
                memory: 16_384,
                ..config().back_off
            },
            ..config()
        },
        false,
        Seed::from_number(1),
    );
    assert!(guard.memory_bytes() < 6 << 20, "{}", guard.memory_bytes());
}

/// One step of a random run: how long after the last, whom, and what came of it.
#[derive(Clone, Debug)]
struct Step {
    pause: u64,
    to: SocketAddr,
    outcome: u8,
}

/// A few hosts in few networks, so that every limit is reached; pauses from none to minutes.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let pause = prop_oneof![8 => Just(0), 4 => 0..1_100_000_u64, 1 => 0..130_000_000_u64];
    let v4 =
        (1..4_u8, 0..6_u8, 6881..6891_u16).prop_map(|(net, host, port)| SocketAddr::from(([1, 1, net, host], port)));
    let v6 = (0..2_u16, 0..2_u16, 6881..6884_u16)
        .prop_map(|(net, host, port)| SocketAddr::from((Ipv6Addr::new(0x2600, 1, net, host, 0, 0, 0, port), port)));
    let step = (pause, prop_oneof![3 => v4, 1 => v6], 0..12_u8);
    prop::collection::vec(
        step.prop_map(|(pause, to, outcome)| Step { pause, to, outcome }),
        0..400,
    )
}

/// The most entries of `times`, which ascend, in any half-open window of `span` microseconds.
fn most_within(times: &[u64], span: u64) -> usize {
    let from = |end: u64| times.partition_point(|&time| time + span <= end);
    (0..times.len()).map(|at| at + 1 - from(times[at])).max().unwrap_or(0)
}

proptest! {
    #[test]
    fn limits_hold_in_every_window(steps in steps()) {
        let mut guard = guard(false);
        let mut now = 0;
        let mut sent: Vec<(u64, SocketAddr)> = Vec::new();
        for Step { pause, to, outcome } in steps {
            now += pause;
            let time = Time::from_micros(now);
            if ask(&mut guard, time, to) {
                sent.push((now, to));
                match outcome {
                    0 => guard.silent(time, to),
                    1 => guard.refused(time, to, 201),
                    _ => guard.answered(time, to),
                }
            }
            prop_assert!(guard.flows(time) <= 40);
        }

        let mut hosts: BTreeMap<Host, Vec<u64>> = BTreeMap::new();
        let mut networks: BTreeMap<Network, Vec<u64>> = BTreeMap::new();
        for (at, to) in &sent {
            hosts.entry(Host::of(to.ip())).or_default().push(*at);
            networks.entry(Network::of(to.ip())).or_default().push(*at);
        }
        let all: Vec<u64> = sent.iter().map(|(at, _)| *at).collect();
        for seconds in [1, 10, 60] {
            let span = seconds * 1_000_000;
            let most = |limit: Limit| limit.most_within(Duration::from_secs(seconds));
            for times in hosts.values() {
                prop_assert!(most_within(times, span) <= most(config().per_host));
            }
            for times in networks.values() {
                prop_assert!(most_within(times, span) <= most(config().per_network));
            }
            prop_assert!(most_within(&all, span) <= most(config().total));
        }

        // The figures of the run are those that an observer would have counted.
        let busiest = |span| hosts.values().map(|times| most_within(times, span)).max().unwrap_or(0);
        let stats = guard.stats();
        prop_assert_eq!(stats.busiest_second as usize, busiest(1_000_000));
        prop_assert_eq!(stats.busiest_ten_seconds as usize, busiest(10_000_000));
        prop_assert_eq!(stats.queries as usize, sent.len());
        prop_assert_eq!(guard.histogram().hosts.iter().sum::<u64>() as usize, hosts.len());

        // Distinct endpoints within the flow window, counted the slow way.
        for (end, _) in &sent {
            let mut within: Vec<SocketAddr> = sent
                .iter()
                .filter(|(at, _)| at <= end && *at + 120_000_000 > *end)
                .map(|(_, to)| *to)
                .collect();
            within.sort_unstable();
            within.dedup();
            prop_assert!(within.len() <= 40);
        }
    }

    #[test]
    fn waiting_as_told_is_enough(steps in steps()) {
        let mut guard = guard(false);
        let mut now = Time::ZERO;
        for Step { pause, to, .. } in steps {
            now = now + Duration::from_micros(pause);
            if let Verdict::Wait(until) = guard.may_ask(now, to) {
                prop_assert!(until > now && until <= now + Duration::from_secs(120));
                now = until;
            }
            prop_assert!(ask(&mut guard, now, to), "{to} at {now:?}");
        }
    }

    #[test]
    fn strangers_without_number_never_void_a_limit(
        rate in 1..200_u32,
        burst in 1..20_u32,
        hosts in prop::collection::vec(0..2000_u32, 1..800),
    ) {
        let total = Limit::per_second(rate, burst);
        let mut guard = Guard::new(&Config { total, max_flows: 10_000, ..config() }, true, Seed::from_number(1));
        let mut sent: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
        let mut now = Time::ZERO;
        for host in hosts {
            let to = SocketAddr::from((std::net::Ipv4Addr::from_bits(0x7f00_0000 + host % 300), 6881));
            now = guard.next_global(now);
            if ask(&mut guard, now, to) {
                sent.entry(host % 300).or_default().push(now.as_micros());
            }
        }
        for times in sent.values() {
            prop_assert!(most_within(times, 10_000_000) <= 13);
        }
    }
}
