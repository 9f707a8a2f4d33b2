//! Lookups, answered by a script.

use std::time::Duration;

use wire::{InfoHash, NodeId};

use super::*;
use crate::contacts::Few;

const CONFIG: config::Lookup = config::Lookup {
    branching: 5,
    max_running: 2,
    max_waiting: 1,
    deadline: Duration::from_secs(30),
    enough_peers: 3,
    max_peers: 100,
};

/// A node whose id starts with `first`; lookups here walk to zero, so `first` is its distance.
fn node(first: u8) -> Contact {
    let mut id = [0x55; 20];
    id[0] = first;
    Contact {
        id: NodeId::new(id),
        addr: SocketAddr::from(([10, 0, 0, first], 6881)),
    }
}

fn peer(last: u8) -> SocketAddr {
    SocketAddr::from(([10, 9, 9, last], 51413))
}

fn start(depth: Depth, first: &[u8], known: &[u8]) -> Start {
    Start {
        target: Target::Swarm(InfoHash::new([0; 20])),
        plan: Plan {
            first: first.iter().copied().map(node).collect(),
            avoid: [None; K],
            depth,
        },
        known: [known.iter().copied().map(node).collect(), Few::new()],
        routers: Vec::new(),
        quiet: false,
    }
}

const FEW: Depth = Depth::Replicas { max_queries: 4 };

struct Bench {
    lookups: Lookups,
    now: Time,
    told: Vec<SocketAddr>,
    finished: VecDeque<Finished>,
}

impl Bench {
    fn new() -> Self {
        Self {
            lookups: Lookups::new(CONFIG, false),
            now: Time::ZERO,
            told: Vec::new(),
            finished: VecDeque::new(),
        }
    }

    fn start(&mut self, start: Start) -> LookupId {
        self.lookups.start(self.now, start).unwrap_or_else(|finished| {
            let lookup = finished.done.lookup;
            self.finished.push_back(*finished);
            lookup
        })
    }

    /// The hosts (last byte) asked until the lookups want nothing more, everybody being free.
    fn asked(&mut self) -> Vec<u8> {
        self.asked_if(|_| Verdict::Go)
    }

    fn asked_if(&mut self, may_ask: impl Fn(u8) -> Verdict) -> Vec<u8> {
        self.asked_among(&[], may_ask)
    }

    /// The same, where these are known by now.
    fn asked_among(&mut self, known: &[u8], may_ask: impl Fn(u8) -> Verdict) -> Vec<u8> {
        let known = [known.iter().copied().map(node).collect(), Few::new()];
        let mut asked = Vec::new();
        while let Some(next) = self.lookups.next(self.now, |to| may_ask(last(to)), |_| known) {
            match next {
                Next::Ask(call) => asked.push(last(call.to)),
                Next::Over(finished) => self.finished.push_back(finished),
            }
        }
        asked
    }

    fn over(&mut self) -> Option<Finished> {
        assert_eq!(self.asked(), []);
        self.finished.pop_front()
    }

    fn answer(&mut self, lookup: LookupId, from: u8, nodes: &[u8], peers: &[u8]) {
        let slot = self.lookups.slots.iter().position(|walk| walk.runs(lookup)).unwrap();
        let told = &mut self.told;
        self.lookups.answered(
            self.now,
            (slot, lookup),
            node(from).addr,
            nodes.iter().copied().map(node),
            peers.iter().copied().map(peer),
            |peer| {
                told.push(peer);
            },
        );
    }

    fn silence(&mut self, lookup: LookupId, from: u8) {
        let slot = self.lookups.slots.iter().position(|walk| walk.runs(lookup)).unwrap();
        self.lookups.failed(self.now, (slot, lookup), node(from).addr);
    }
}

fn last(addr: SocketAddr) -> u8 {
    match addr {
        SocketAddr::V4(addr) => addr.ip().octets()[3],
        SocketAddr::V6(_) => 0,
    }
}

/// Of these it is said that they were asked often.
fn spares(often: &[u8]) -> impl Fn(u8) -> Verdict {
    move |to| {
        if often.contains(&to) {
            Verdict::Spare
        } else {
            Verdict::Go
        }
    }
}

#[test]
fn who_was_asked_often_gives_way_to_one_about_as_near() {
    let mut bench = Bench::new();
    let lookup = bench.start(start(FEW, &[4], &[5, 100]));
    assert_eq!(bench.asked_if(spares(&[4])), [5]);
    bench.answer(lookup, 5, &[1, 2, 90], &[]);
    assert_eq!(bench.asked_if(spares(&[4, 1])), [2]);
}

#[test]
fn who_was_asked_often_is_asked_all_the_same_if_nobody_is_as_near() {
    let mut bench = Bench::new();
    bench.start(start(FEW, &[4], &[100]));
    assert_eq!(bench.asked_if(spares(&[4])), [4]);
}

#[test]
fn a_second_opinion_is_not_worth_asking_who_was_asked_often() {
    let mut bench = Bench::new();
    let lookup = bench.start(start(FEW, &[4], &[]));
    assert_eq!(bench.asked(), [4]);
    bench.answer(lookup, 4, &[1], &[7]);
    assert_eq!(bench.asked_if(spares(&[1])), []);
    assert!(bench.finished.pop_front().is_some());
}

#[test]
fn who_became_known_while_a_walk_had_to_wait_stands_in() {
    let mut bench = Bench::new();
    bench.start(start(FEW, &[4], &[100]));
    let busy = |to| {
        if to == 4 {
            Verdict::Wait(Time::from_secs(2))
        } else {
            Verdict::Go
        }
    };
    assert_eq!(bench.asked_among(&[3], busy), [], "known when it began: 100 only");
    bench.now = Time::from_secs(2);
    assert_eq!(bench.asked_among(&[3], spares(&[4])), [3]);
}

#[test]
fn who_showed_the_infohash_is_asked_first_and_alone() {
    let mut bench = Bench::new();
    bench.start(start(FEW, &[4], &[1, 2]));
    assert_eq!(bench.asked(), [4]);
}

#[test]
fn three_peers_end_it_after_one_question() {
    let mut bench = Bench::new();
    let lookup = bench.start(start(FEW, &[4], &[]));
    bench.asked();
    bench.answer(lookup, 4, &[1, 2, 3], &[1, 2, 3]);
    let done = bench.over().unwrap().done;
    assert_eq!((done.peers, done.queries, done.answered), (3, 1, 1));
    assert_eq!(bench.told, [peer(1), peer(2), peer(3)]);
}

#[test]
fn too_few_peers_lead_to_the_nearest_named_one_at_a_time() {
    let mut bench = Bench::new();
    let lookup = bench.start(start(FEW, &[4], &[]));
    bench.asked();
    bench.answer(lookup, 4, &[9, 3, 7, 2], &[1]);
    assert_eq!(bench.asked(), [2]);
    bench.answer(lookup, 2, &[], &[2]);
    assert_eq!(bench.asked(), [3]);
}

#[test]
fn another_round_asks_others_than_the_first() {
    let mut bench = Bench::new();
    let first = bench.start(start(FEW, &[4], &[]));
    for host in [4, 1, 2] {
        assert_eq!(bench.asked(), [host]);
        bench.answer(first, host, &[1, 2, 3, 5], &[]);
    }
    let done = bench.over().unwrap().done;
    assert_eq!(done.asked, [1, 2, 4].map(|host| Some(node(host).addr)));
    assert_eq!(done.spare, [Some(node(3)), Some(node(5)), None]);
    let mut again = start(FEW, &[3], &[1]);
    again.plan.avoid[..3].copy_from_slice(&done.asked);
    let second = bench.start(again);
    for host in [3, 5] {
        assert_eq!(bench.asked(), [host]);
        bench.answer(second, host, &[1, 2, 4, 5], &[]);
    }
    assert_eq!(bench.over().unwrap().done.queries, 2);
}

#[test]
fn replicas_that_agree_end_it() {
    let mut bench = Bench::new();
    let lookup = bench.start(start(FEW, &[4], &[]));
    bench.asked();
    bench.answer(lookup, 4, &[2, 3, 5], &[1]);
    bench.asked();
    bench.answer(lookup, 2, &[], &[1]);
    assert_eq!(bench.over().unwrap().done.queries, 2);
    assert_eq!(bench.told, [peer(1)]);
}

#[test]
fn three_replicas_without_a_peer_end_it() {
    let mut bench = Bench::new();
    let depth = Depth::Replicas { max_queries: 9 };
    let lookup = bench.start(start(depth, &[4], &[]));
    for host in [4, 1, 2] {
        assert_eq!(bench.asked(), [host]);
        bench.answer(lookup, host, &[1, 2, 3, 5], &[]);
    }
    assert_eq!(bench.over().unwrap().done.answered, 3);
}

#[test]
fn questions_among_replicas_are_counted_silent_ones_too() {
    let mut bench = Bench::new();
    let lookup = bench.start(start(FEW, &[4], &[1, 2, 3, 5, 6, 7]));
    let mut asked = Vec::new();
    for _ in 0..4 {
        let one = bench.asked();
        one.iter().for_each(|&host| bench.silence(lookup, host));
        asked.extend(one);
    }
    assert_eq!(asked, [4, 1, 2, 3]);
    assert_eq!(bench.over().unwrap().done.queries, 4);
}

#[test]
fn an_equally_near_node_stands_in_for_one_that_must_wait() {
    let busy = |host| {
        if host == 0x40 {
            Verdict::Wait(Time::from_secs(2))
        } else {
            Verdict::Go
        }
    };
    let mut bench = Bench::new();
    bench.start(start(FEW, &[0x40], &[0x60]));
    assert_eq!(bench.asked_if(busy), [0x60]);
    // One much further away does not: it would only name nodes that we could not believe to be holders.
    let mut bench = Bench::new();
    bench.start(start(FEW, &[0x01], &[0x60]));
    let busy = |host| {
        if host == 0x01 {
            Verdict::Wait(Time::from_secs(2))
        } else {
            Verdict::Go
        }
    };
    assert_eq!(bench.asked_if(busy), []);
    assert_eq!(bench.lookups.wake(), Some(Time::from_secs(2)));
    bench.now = Time::from_secs(2);
    assert_eq!(bench.asked(), [0x01]);
}

#[test]
fn a_full_walk_keeps_five_questions_on_the_wire() {
    let mut bench = Bench::new();
    let lookup = bench.start(start(Depth::Full, &[], &[1, 2, 3, 4, 5, 6, 7, 8]));
    assert_eq!(bench.asked(), [1, 2, 3, 4, 5]);
    bench.answer(lookup, 3, &[], &[]);
    assert_eq!(bench.asked(), [6]);
}

#[test]
fn a_full_walk_ends_when_the_eight_nearest_have_answered() {
    let mut bench = Bench::new();
    let lookup = bench.start(start(Depth::Full, &[], &[100, 101, 102]));
    let mut asked = Vec::new();
    loop {
        let round = bench.asked();
        if round.is_empty() {
            break;
        }
        for host in round {
            asked.push(host);
            bench.answer(lookup, host, &(host / 2..host / 2 + 8).collect::<Vec<u8>>(), &[]);
        }
    }
    let finished = bench.over().unwrap();
    assert!(finished.done.converged);
    let nearest: Vec<u8> = finished.done.closest.iter().map(|node| last(node.addr)).collect();
    assert_eq!(nearest, [0, 1, 2, 3, 4, 5, 6, 7]);
}

#[test]
fn one_host_has_one_say() {
    let mut bench = Bench::new();
    let lookup = bench.start(start(FEW, &[4], &[]));
    bench.asked();
    let slot = 0;
    let twins = (1..=5).map(|first| Contact {
        id: node(first).id,
        addr: SocketAddr::from(([10, 0, 0, 77], u16::from(first))),
    });
    bench
        .lookups
        .answered(bench.now, (slot, lookup), node(4).addr, twins, [].into_iter(), |_| ());
    assert_eq!(bench.asked(), [77]);
}

#[test]
fn the_deadline_ends_it_with_what_it_has() {
    let mut bench = Bench::new();
    let lookup = bench.start(start(Depth::Full, &[], &[1, 2]));
    bench.asked();
    bench.answer(lookup, 1, &[], &[1]);
    assert_eq!(bench.asked(), []);
    assert_eq!(bench.lookups.wake(), Some(Time::from_secs(30)));
    bench.now = Time::from_secs(30);
    assert_eq!(bench.over().unwrap().done.peers, 1);
}

#[test]
fn refused_hosts_count_as_silent() {
    let mut bench = Bench::new();
    bench.start(start(FEW, &[4], &[1]));
    let refuse = |_| Verdict::Never(crate::guard::Refusal::Bogon);
    assert!(matches!(
        bench.lookups.next(bench.now, refuse, |_| [Few::new(); 2]),
        Some(Next::Over(_))
    ));
}

#[test]
fn one_that_may_not_be_asked_at_all_is_replaced_by_whoever_is_near() {
    let off = |host| {
        if host == 0x01 {
            Verdict::Off(Time::from_secs(600))
        } else {
            Verdict::Go
        }
    };
    let mut bench = Bench::new();
    bench.start(start(FEW, &[0x01], &[0x60]));
    assert_eq!(bench.asked_if(off), [0x60]);
}

#[test]
fn lookups_beyond_the_limit_wait_and_beyond_that_end_at_once() {
    let mut bench = Bench::new();
    let running = bench.start(start(FEW, &[1], &[]));
    bench.start(start(FEW, &[2], &[]));
    bench.start(start(FEW, &[3], &[]));
    let refused = bench.start(start(FEW, &[4], &[]));
    assert_eq!(bench.asked(), [1, 2]);
    assert_eq!(bench.over().unwrap().done.lookup, refused);
    bench.silence(running, 1);
    assert_eq!(bench.asked(), [3]);
    assert_eq!(bench.over().unwrap().done.lookup, running);
}

#[test]
fn an_answer_for_a_lookup_that_is_over_changes_nothing() {
    let mut bench = Bench::new();
    let lookup = bench.start(start(FEW, &[1], &[]));
    bench.asked();
    bench.silence(lookup, 1);
    bench.over().unwrap();
    let told = &mut bench.told;
    let peers = [peer(1)].into_iter();
    bench
        .lookups
        .answered(bench.now, (0, lookup), node(1).addr, [].into_iter(), peers, |peer| {
            told.push(peer);
        });
    assert!(bench.told.is_empty());
    assert_eq!(bench.lookups.wake(), None);
}

#[test]
fn a_walk_past_many_dead_nodes_still_learns_of_nearer_ones() {
    let mut bench = Bench::new();
    let lookup = bench.start(start(Depth::Full, &[], &[200, 201, 202, 203, 204]));
    assert_eq!(bench.asked(), [200, 201, 202, 203, 204]);
    // More than a walk remembers, and none of them is there. One of the first is slow.
    let dead: Vec<u8> = (100..180).collect();
    bench.answer(lookup, 200, &dead, &[]);
    (202..=204).for_each(|from| bench.answer(lookup, from, &[], &[]));
    loop {
        let asked = bench.asked();
        if asked.is_empty() {
            break;
        }
        asked.iter().for_each(|to| bench.silence(lookup, *to));
    }
    bench.answer(lookup, 201, &[5], &[]);
    assert_eq!(bench.asked(), [5]);
}
