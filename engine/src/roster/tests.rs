//! Whom a roster names, and whom it forgets.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const CONFIG: Config = Config {
    capacity: 8_000,
    per_ip: 4,
    max_fails: 3,
    reconnect: Duration::from_secs(60),
    several_per_ip: false,
    bans: 100,
};
const OURS: Ours = Ours {
    v4: Some(Ipv4Addr::new(203, 0, 113, 9)),
    v6: None,
    port: 6_881,
    finished: false,
};

fn roster(config: Config) -> Roster {
    Roster::new(config, OURS, Seed::from_number(1))
}

fn peer(host: u8) -> SocketAddr {
    SocketAddr::from(([10, host, 0, 1], 6_881))
}

fn secs(secs: u64) -> Time {
    Time::from_secs(secs)
}

fn named(config: Config, hosts: std::ops::Range<u8>) -> Roster {
    let mut roster = roster(config);
    for host in hosts {
        roster.add(Time::ZERO, peer(host), Sources::DHT).unwrap();
    }
    roster
}

/// Dials everybody that is due, in order.
fn dial_all(roster: &mut Roster, now: Time) -> Vec<SocketAddr> {
    let mut dialled = Vec::new();
    while let Some(peer) = roster.next(now, &OURS) {
        roster.connecting(now, peer);
        dialled.push(peer);
    }
    dialled
}

#[test]
fn the_canonical_order_decides_among_equals() {
    let mut roster = named(CONFIG, 0..50);
    let ours = SocketAddr::from((OURS.v4.unwrap(), OURS.port));
    let dialled = dial_all(&mut roster, Time::ZERO);
    let priorities: Vec<_> = dialled
        .iter()
        .map(|peer| canonical_priority(ours, *peer).unwrap())
        .collect();
    assert_eq!(priorities.len(), 50);
    assert!(priorities.is_sorted_by(|a, b| a >= b));
}

#[test]
fn another_address_of_ours_makes_another_order() {
    let mut roster = named(CONFIG, 0..50);
    let before = dial_all(&mut roster, Time::ZERO);
    let mut roster = named(CONFIG, 0..50);
    let other = Ours {
        v4: Some(Ipv4Addr::new(198, 51, 100, 1)),
        ..OURS
    };
    let first: Vec<_> = (0..50)
        .filter_map(|_| {
            let peer = roster.next(Time::ZERO, &other)?;
            roster.connecting(Time::ZERO, peer);
            Some(peer)
        })
        .collect();
    assert_ne!(before, first);
    let sorted = |peers: Vec<SocketAddr>| peers.into_iter().collect::<BTreeSet<_>>();
    assert_eq!(sorted(before), sorted(first));
}

#[test]
fn without_an_address_each_run_has_its_own_order() {
    let nowhere = Ours { v4: None, ..OURS };
    let first = |seed| {
        let mut roster = Roster::new(CONFIG, nowhere, Seed::from_number(seed));
        for host in 0..50 {
            roster.add(Time::ZERO, peer(host), Sources::DHT).unwrap();
        }
        roster.next(Time::ZERO, &nowhere).unwrap()
    };
    let firsts: BTreeSet<_> = (0..8).map(first).collect();
    assert!(firsts.len() > 3, "{firsts:?}");
    assert_eq!(first(1), first(1));
}

#[test]
fn given_by_hand_then_alive_then_anybody() {
    let mut roster = named(CONFIG, 0..20);
    roster.add(Time::ZERO, peer(30), Sources::CRAWL).unwrap();
    roster.add(Time::ZERO, peer(7), Sources::LSD).unwrap();
    roster.add(Time::ZERO, peer(9), Sources::GIVEN).unwrap();
    let dialled = dial_all(&mut roster, Time::ZERO);
    assert_eq!(dialled[0], peer(9));
    assert_eq!(
        BTreeSet::from([dialled[1], dialled[2]]),
        BTreeSet::from([peer(30), peer(7)])
    );
}

#[test]
fn a_failing_peer_is_tried_after_one_minute_and_two_and_then_no_more() {
    let mut roster = named(CONFIG, 1..2);
    let mut tried = Vec::new();
    for second in 0..1_000 {
        if roster.next(secs(second), &OURS).is_some() {
            roster.connecting(secs(second), peer(1));
            roster.failed(secs(second), peer(1), Why::Theirs);
            tried.push(second);
        }
    }
    assert_eq!(tried, [0, 60, 180]);
    assert_eq!((roster.connect_candidates(), roster.next_time(secs(1_000))), (0, None));
    assert_eq!(roster.list_peers(), 1);
}

#[test]
fn a_tracker_or_another_peer_gives_one_more_try_and_the_dht_none() {
    let mut roster = named(CONFIG, 1..2);
    for second in [0, 60, 180] {
        roster.connecting(secs(second), peer(1));
        roster.failed(secs(second), peer(1), Why::Theirs);
    }
    assert_eq!(roster.add(secs(200), peer(1), Sources::DHT), Ok(false));
    assert_eq!(roster.next_time(secs(200)), None);
    assert_eq!(roster.add(secs(200), peer(1), Sources::PEX), Ok(false));
    assert_eq!(roster.fails(peer(1)), 2);
    assert_eq!(roster.next_time(secs(200)), Some(secs(300)));
    assert_eq!(roster.next(secs(299), &OURS), None);
    assert_eq!(roster.next(secs(300), &OURS), Some(peer(1)));
    assert_eq!(roster.sources(peer(1)).unwrap().bits(), 0x06);
}

#[test]
fn a_useful_connection_forgives_and_a_useless_one_counts() {
    let mut roster = named(CONFIG, 1..2);
    for round in 0..2 {
        roster.connecting(secs(round * 300), peer(1));
        assert!(roster.connected(secs(round * 300), peer(1)));
        roster.disconnected(secs(round * 300 + 1), peer(1), false);
    }
    assert_eq!(roster.fails(peer(1)), 2);
    roster.connecting(secs(900), peer(1));
    roster.connected(secs(900), peer(1));
    roster.disconnected(secs(950), peer(1), true);
    assert_eq!(roster.fails(peer(1)), 0);
    assert_eq!(roster.next_time(secs(950)), Some(secs(1_010)));
}

#[test]
fn who_was_of_use_is_dialled_before_the_unknown() {
    let mut roster = named(CONFIG, 0..20);
    let last = *dial_all(&mut roster, Time::ZERO).last().unwrap();
    for host in 0..20 {
        roster.connected(secs(1), peer(host));
        if peer(host) == last {
            roster.disconnected(secs(1), last, true);
        } else {
            roster.rejected(secs(1), peer(host), Why::Ours);
        }
    }
    assert_eq!(roster.next(secs(61), &OURS), Some(last));
}

#[test]
fn ourselves_are_never_dialled_again_whoever_names_us() {
    let mut roster = named(CONFIG, 1..2);
    roster.connecting(Time::ZERO, peer(1));
    roster.connected(Time::ZERO, peer(1));
    roster.rejected(Time::ZERO, peer(1), Why::Useless);
    for _ in 0..5 {
        roster.add(secs(500), peer(1), Sources::TRACKER).unwrap();
    }
    assert_eq!(roster.next_time(secs(500)), None);
}

#[test]
fn when_we_are_finished_seeds_are_skipped() {
    let mut roster = named(CONFIG, 1..4);
    roster.mark_seed(peer(1), true);
    roster.mark_seed(peer(2), true);
    roster.mark_seed(peer(2), true);
    assert_eq!((roster.list_seeds(), roster.connect_candidates()), (2, 3));
    let finished = Ours { finished: true, ..OURS };
    assert_eq!(roster.next(Time::ZERO, &finished), Some(peer(3)));
    roster.connecting(Time::ZERO, peer(3));
    assert_eq!(roster.next(Time::ZERO, &finished), None);
    roster.mark_seed(peer(2), false);
    assert_eq!(roster.next(Time::ZERO, &finished), Some(peer(2)));
    assert_eq!(roster.list_seeds(), 1);
    // Files were selected again.
    assert_eq!(dial_all(&mut roster, Time::ZERO).len(), 2);
}

#[test]
fn there_is_one_connection_to_an_address_unless_several_are_allowed() {
    let here = |port| SocketAddr::from(([127, 0, 0, 1], port));
    for (several, expected) in [(false, 1), (true, 3)] {
        let mut roster = roster(Config {
            several_per_ip: several,
            ..CONFIG
        });
        for port in 1..4 {
            roster.add(Time::ZERO, here(port), Sources::TRACKER).unwrap();
        }
        let dialled = dial_all(&mut roster, Time::ZERO);
        assert_eq!(dialled.len(), expected);
        assert!(roster.connected(Time::ZERO, dialled[0]));
        assert_eq!(roster.accept(Time::ZERO, here(9)).is_ok(), several);
        roster.disconnected(secs(1), dialled[0], true);
        assert_eq!(roster.next(secs(1), &OURS).is_some(), !several);
    }
}

#[test]
fn who_is_dialled_and_calls_at_the_same_time_is_connected_twice_for_a_moment() {
    let mut roster = named(CONFIG, 1..2);
    let caller = SocketAddr::new(peer(1).ip(), 50_000);
    roster.connecting(Time::ZERO, peer(1));
    assert_eq!(roster.accept(Time::ZERO, caller), Ok(()));
    assert!(!roster.connected(Time::ZERO, peer(1)));
    roster.rejected(Time::ZERO, caller, Why::Ours);
    assert_eq!(roster.accept(Time::ZERO, caller), Err(Refusal::SameIp));
    roster.disconnected(Time::ZERO, peer(1), true);
    assert!(roster.busy.is_empty());
    // Over uTP both have the same endpoints.
    roster.connecting(secs(60), peer(1));
    assert_eq!(roster.accept(secs(60), peer(1)), Ok(()));
    roster.failed(secs(61), peer(1), Why::Ours);
    assert_eq!(roster.next(secs(900), &OURS), None);
    roster.disconnected(secs(900), peer(1), true);
    assert!(roster.busy.is_empty());
    assert_eq!(roster.next(secs(960), &OURS), Some(peer(1)));
}

#[test]
fn a_caller_is_remembered_where_it_listens() {
    let mut roster = roster(CONFIG);
    let caller = SocketAddr::new(peer(1).ip(), 50_000);
    roster.accept(Time::ZERO, caller).unwrap();
    assert_eq!(roster.list_peers(), 0);
    let endpoint = roster.listens(secs(1), caller, 6_881);
    assert_eq!(endpoint, peer(1));
    assert_eq!(roster.sources(endpoint).unwrap().bits(), 0x20);
    assert_eq!(roster.next(secs(2), &OURS), None);
    roster.disconnected(secs(3), endpoint, true);
    assert_eq!(roster.next_time(secs(3)), Some(secs(63)));
    // Who does not say it, or nonsense, keeps its name.
    roster.accept(secs(4), caller).unwrap();
    assert_eq!(roster.listens(secs(4), caller, 0), caller);
}

#[test]
fn a_banned_address_is_neither_dialled_nor_accepted_nor_remembered() {
    let mut roster = named(CONFIG, 1..3);
    let open = SocketAddr::new(peer(1).ip(), 7_000);
    roster.accept(Time::ZERO, open).unwrap();
    roster.ban(peer(1).ip());
    assert_eq!(roster.list_peers(), 1);
    assert_eq!(roster.add(Time::ZERO, peer(1), Sources::TRACKER), Err(Refusal::Banned));
    roster.disconnected(Time::ZERO, open, true);
    assert_eq!(roster.accept(Time::ZERO, open), Err(Refusal::Banned));
    assert_eq!(roster.next(Time::ZERO, &OURS), Some(peer(2)));
    roster.connecting(Time::ZERO, peer(2));
    // One in use is forgotten when it ends.
    roster.ban(peer(2).ip());
    assert_eq!(roster.list_peers(), 1);
    roster.failed(Time::ZERO, peer(2), Why::Ours);
    assert_eq!((roster.list_peers(), roster.busy.len()), (0, 0));
    assert_eq!(roster.banned().collect::<Vec<_>>(), [peer(1).ip(), peer(2).ip()]);
}

#[test]
fn when_full_the_oldest_ban_is_lifted() {
    let mut roster = roster(Config { bans: 2, ..CONFIG });
    for host in [1, 2, 2, 3] {
        roster.ban(peer(host).ip());
    }
    assert_eq!(
        [1, 2, 3].map(|host| roster.is_banned(peer(host).ip())),
        [false, true, true]
    );
}

#[test]
fn ten_thousand_peers_leave_no_more_than_the_limit() {
    let mut roster = roster(CONFIG);
    let peers = (0..10_000u32).map(|number| SocketAddr::from((Ipv4Addr::from_bits(0x0a00_0000 + number), 80)));
    let results: Vec<_> = peers.map(|peer| roster.add(Time::ZERO, peer, Sources::PEX)).collect();
    assert_eq!(results.iter().filter(|result| **result == Ok(true)).count(), 8_000);
    assert_eq!(results.last(), Some(&Err(Refusal::Full)));
    assert_eq!((roster.list_peers(), roster.connect_candidates()), (8_000, 8_000));
    // A person's wish is granted all the same.
    assert_eq!(roster.add(Time::ZERO, peer(200), Sources::GIVEN), Ok(true));
    assert_eq!(
        (roster.list_peers(), roster.next(Time::ZERO, &OURS)),
        (8_000, Some(peer(200)))
    );
}

#[test]
fn above_nine_tenths_the_worst_make_room() {
    let mut roster = named(Config { capacity: 10, ..CONFIG }, 0..9);
    roster.connecting(Time::ZERO, peer(3));
    roster.failed(Time::ZERO, peer(3), Why::Theirs);
    roster.connecting(Time::ZERO, peer(4));
    roster.failed(Time::ZERO, peer(4), Why::Useless);
    for host in [20, 21] {
        roster.add(secs(1), peer(host), Sources::DHT).unwrap();
    }
    assert_eq!((roster.sources(peer(4)), roster.sources(peer(3))), (None, None));
    assert_eq!(roster.list_peers(), 9);
    roster.add(secs(1), peer(22), Sources::DHT).unwrap();
    assert_eq!(roster.add(secs(1), peer(23), Sources::DHT), Err(Refusal::Full));
}

#[test]
fn one_address_has_a_few_endpoints() {
    let mut roster = roster(CONFIG);
    let results: Vec<_> = (1..9)
        .map(|port| roster.add(Time::ZERO, SocketAddr::new(peer(1).ip(), port), Sources::PEX))
        .collect();
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 4);
    assert_eq!(results[7], Err(Refusal::Crowded));
}

#[test]
fn nobody_is_where_nobody_can_be() {
    let mut roster = roster(CONFIG);
    for text in [
        "10.0.0.1:0",
        "0.0.0.0:80",
        "224.0.0.1:80",
        "255.255.255.255:80",
        "[::]:80",
        "[ff02::1]:80",
    ] {
        let result = roster.add(Time::ZERO, text.parse().unwrap(), Sources::PEX);
        assert_eq!(result, Err(Refusal::Unusable), "{text}");
    }
}

/// One peer of the oracle.
#[derive(Clone, Debug)]
struct Known {
    peer: SocketAddr,
    sources: u8,
    tried: Option<u64>,
    seen: u64,
    fails: u8,
    seed: bool,
    proven: bool,
    useless: bool,
    dialling: bool,
    live: bool,
}

/// The same as a list that is scanned.
#[derive(Default)]
struct Oracle {
    known: Vec<Known>,
    banned: Vec<IpAddr>,
    finished: bool,
}

impl Oracle {
    fn get(&mut self, peer: SocketAddr) -> Option<&mut Known> {
        self.known.iter_mut().find(|known| known.peer == peer)
    }

    fn add(&mut self, now: u64, peer: SocketAddr, source: u8, capacity: usize) -> bool {
        if self.banned.contains(&peer.ip()) {
            return false;
        }
        if let Some(known) = self.get(peer) {
            known.sources |= source;
            known.seen = now;
            if source == 0x40 {
                (known.fails, known.tried) = (0, None);
            } else if source & 5 != 0 {
                known.fails = known.fails.saturating_sub(1);
            }
            return false;
        }
        while self.known.len() >= capacity * 9 / 10 {
            let poor = self.known.iter().filter(|known| {
                !known.dialling && !known.live && (known.useless || known.fails > 0 || known.sources == 0x10)
            });
            let worth = |known: &&Known| {
                let class = if known.useless || known.fails >= 3 {
                    0
                } else if known.fails > 0 {
                    1
                } else {
                    2
                };
                (class, known.seen, known.peer)
            };
            let Some(worst) = poor.min_by_key(worth).map(|known| known.peer) else {
                break;
            };
            self.known.retain(|known| known.peer != worst);
        }
        if self.known.len() >= capacity {
            return false;
        }
        self.known.push(Known {
            peer,
            sources: source,
            tried: None,
            seen: now,
            fails: 0,
            seed: false,
            proven: false,
            useless: false,
            dialling: false,
            live: false,
        });
        true
    }

    fn candidates(&self) -> impl Iterator<Item = (u64, &Known)> {
        let is_busy = |ip: IpAddr| {
            self.known
                .iter()
                .any(|known| known.peer.ip() == ip && (known.dialling || known.live))
        };
        let all = self.known.iter().filter(move |known| {
            let is_dead = known.useless || known.fails >= 3;
            !(is_busy(known.peer.ip()) || is_dead || self.finished && known.seed)
        });
        all.map(|known| {
            let due = known
                .tried
                .map_or(0, |tried| tried + 60 * u64::from(known.fails.max(1)));
            (due, known)
        })
    }

    fn next(&self, now: u64) -> Option<SocketAddr> {
        let ours = SocketAddr::from((OURS.v4.unwrap(), OURS.port));
        let due = self.candidates().filter(|(due, _)| *due <= now);
        let best = due.min_by_key(|(_, known)| {
            let tier = if known.sources & 0x40 != 0 {
                0
            } else if known.sources & 0x88 != 0 {
                1
            } else {
                2
            };
            let priority = std::cmp::Reverse(canonical_priority(ours, known.peer).unwrap());
            (tier, known.fails, !known.proven, priority, known.peer)
        });
        best.map(|(_, known)| known.peer)
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Add(u8, u8),
    Dial,
    Answer(usize),
    Fail(usize, u8),
    Lose(usize, bool),
    Seed(u8),
    Ban(u8),
    Finish(bool),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0u8..30, 0u8..8).prop_map(|(host, bit)| Step::Add(host, 1 << bit)),
        5 => Just(Step::Dial),
        2 => (0usize..8).prop_map(Step::Answer),
        3 => (0usize..8, 0u8..10).prop_map(|(which, why)| Step::Fail(which, why)),
        2 => (0usize..8, any::<bool>()).prop_map(|(which, useful)| Step::Lose(which, useful)),
        1 => (0u8..30).prop_map(Step::Seed),
        1 => (0u8..60).prop_map(Step::Ban),
        1 => any::<bool>().prop_map(Step::Finish),
        3 => (1u64..90).prop_map(Step::Wait),
    ]
}

/// Thirty endpoints, two on each address.
fn endpoint(number: u8) -> SocketAddr {
    SocketAddr::from(([10, number / 2, 0, 1], 1_000 + u16::from(number % 2)))
}

proptest! {
    #[test]
    fn a_roster_does_what_a_list_would(steps in prop::collection::vec(step(), 1..200)) {
        let config = Config { capacity: 20, ..CONFIG };
        let mut roster = roster(config);
        let mut oracle = Oracle::default();
        let mut now = 0;
        for step in steps {
            let at = secs(now);
            let dialling: Vec<SocketAddr> = oracle.known.iter().filter(|known| known.dialling).map(|known| known.peer).collect();
            let live: Vec<SocketAddr> = oracle.known.iter().filter(|known| known.live).map(|known| known.peer).collect();
            match step {
                Step::Add(host, source) => {
                    // A wish at the limit drives out the last in order, which another test shows.
                    if source == 0x40 && oracle.known.len() >= 18 { continue }
                    let sources = Sources::from_bits(source);
                    let added = roster.add(at, endpoint(host), sources) == Ok(true);
                    prop_assert_eq!(added, oracle.add(now, endpoint(host), source, config.capacity));
                }
                Step::Dial => {
                    let ours = Ours { finished: oracle.finished, ..OURS };
                    let next = roster.next(at, &ours);
                    prop_assert_eq!(next, oracle.next(now));
                    if let Some(peer) = next {
                        roster.connecting(at, peer);
                        let known = oracle.get(peer).unwrap();
                        (known.dialling, known.tried) = (true, Some(now));
                    }
                }
                Step::Answer(which) => if let Some(peer) = dialling.get(which) {
                    prop_assert!(roster.connected(at, *peer));
                    let known = oracle.get(*peer).unwrap();
                    (known.dialling, known.live, known.seen) = (false, true, now);
                },
                Step::Fail(which, why) => if let Some(peer) = dialling.get(which) {
                    let why = match why { 0 => Why::Useless, 1..4 => Why::Ours, _ => Why::Theirs };
                    roster.failed(at, *peer, why);
                    let known = oracle.get(*peer).unwrap();
                    (known.dialling, known.tried) = (false, Some(now));
                    known.useless |= why == Why::Useless;
                    known.fails += u8::from(why == Why::Theirs);
                },
                Step::Lose(which, useful) => if let Some(peer) = live.get(which) {
                    roster.disconnected(at, *peer, useful);
                    let known = oracle.get(*peer).unwrap();
                    (known.live, known.tried) = (false, Some(now));
                    known.proven |= useful;
                    known.fails = if useful { 0 } else { known.fails + 1 };
                },
                Step::Seed(host) => {
                    roster.mark_seed(endpoint(host), true);
                    if let Some(known) = oracle.get(endpoint(host)) {
                        known.seed = true;
                    }
                }
                Step::Ban(host) => if host < 30 {
                    roster.ban(endpoint(host).ip());
                    oracle.banned.push(endpoint(host).ip());
                },
                Step::Finish(finished) => oracle.finished = finished,
                Step::Wait(seconds) => now += seconds,
            }
            let banned = oracle.banned.clone();
            oracle.known.retain(|known| known.dialling || known.live || !banned.contains(&known.peer.ip()));
            let ours = Ours { finished: oracle.finished, ..OURS };
            prop_assert_eq!(roster.next(secs(now), &ours), oracle.next(now));
            prop_assert_eq!(roster.list_peers(), oracle.known.len());
            prop_assert_eq!(roster.list_seeds(), oracle.known.iter().filter(|known| known.seed).count());
            prop_assert_eq!(roster.connect_candidates(), oracle.candidates().count());
            let next_time = oracle.candidates().map(|(due, _)| secs(due.max(now))).min();
            prop_assert_eq!(roster.next_time(secs(now)), next_time);
            let busy = oracle.known.iter().filter(|known| known.dialling || known.live).count();
            prop_assert_eq!(roster.busy.len(), busy);
        }
    }
}
