//! Whole nodes, joined by a network in memory.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use wire::compact::Contact;
use wire::krpc::{Body, Message, Method, Query, Reply, Want};
use wire::{InfoHash, NodeId};
use world::{Effect, Input, Machine, Output, Seed, Time};

use super::*;
use crate::contacts::K;
use crate::event::{Answer, LookupDone};
use crate::fuzz::lab_config;
use crate::lookup::Plan;
use crate::rpc::Question;
use crate::stats::{Asked, Drop};

mod announcing;

/// Time that a datagram takes.
const LATENCY: Duration = Duration::from_millis(20);

/// A network in virtual time: nodes by address, datagrams under way, and everything that any node told.
struct Net {
    now: Time,
    nodes: BTreeMap<SocketAddr, Node>,
    under_way: BTreeMap<(Time, u64), (SocketAddr, SocketAddr, Vec<u8>)>,
    sent: u64,
    ticks: u64,
    /// By whom, to whom, when.
    log: Vec<(SocketAddr, SocketAddr, Time)>,
    events: Vec<(SocketAddr, Event)>,
    /// By whom, to whom: each `announce_peer` that one of the nodes sent.
    announces: Vec<(SocketAddr, SocketAddr, Vec<u8>)>,
}

fn at(number: usize) -> SocketAddr {
    let [.., high, low] = number.to_be_bytes();
    SocketAddr::from(([127, 7, high, low], 6881))
}

fn node(number: u64) -> Node {
    Node::new(lab_config(), Seed::from_number(number), None)
}

fn is_announce(bytes: &[u8]) -> bool {
    let body = Message::decode(bytes).map(|message| message.body);
    matches!(body, Ok(Body::Query(query)) if matches!(query.method, Method::AnnouncePeer { .. }))
}

impl Net {
    fn new() -> Self {
        Self {
            now: Time::ZERO,
            nodes: BTreeMap::new(),
            under_way: BTreeMap::new(),
            sent: 0,
            ticks: 0,
            log: Vec::new(),
            events: Vec::new(),
            announces: Vec::new(),
        }
    }

    /// `count` nodes at `at(1..=count)`; the first is the router of all others. All have joined.
    fn joined(count: usize) -> Self {
        let mut net = Self::new();
        for number in 1..=count {
            let mut config = lab_config();
            if number > 1 {
                config.routers = vec![at(1)];
            }
            let mut node = Node::new(config, Seed::from_number(number as u64), None);
            node.bootstrap(net.now);
            net.nodes.insert(at(number), node);
            net.drain(at(number));
            net.run(Duration::from_millis(200));
        }
        net.run(Duration::from_secs(90));
        net.events.clear();
        net
    }

    fn node(&mut self, number: usize) -> &mut Node {
        self.nodes.get_mut(&at(number)).unwrap()
    }

    /// Lets `command` act on a node, and sends what comes of it.
    fn with<T>(&mut self, number: usize, command: impl FnOnce(&mut Node, Time) -> T) -> T {
        let now = self.now;
        let result = command(self.node(number), now);
        self.drain(at(number));
        result
    }

    fn drain(&mut self, addr: SocketAddr) {
        let node = self.nodes.get_mut(&addr).unwrap();
        let mut payload = Vec::new();
        while let Some(output) = node.poll(self.now, &mut payload) {
            match output {
                Output::Effect(Effect::Send { to, len, .. }) => {
                    assert_eq!(len, payload.len());
                    self.log.push((addr, to, self.now));
                    self.sent += 1;
                    let bytes = std::mem::take(&mut payload);
                    if is_announce(&bytes) {
                        self.announces.push((addr, to, bytes.clone()));
                    }
                    self.under_way
                        .insert((self.now + LATENCY, self.sent), (addr, to, bytes));
                }
                Output::Effect(effect) => panic!("{effect:?}"),
                Output::Event(event) => self.events.push((addr, event)),
            }
        }
        let due = node.deadline();
        assert!(
            due.is_none_or(|due| due > self.now),
            "due at {due:?}, polled at {:?}",
            self.now
        );
    }

    fn deliver(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        if let Some(node) = self.nodes.get_mut(&to) {
            node.handle(self.now, Input::Datagram { from, to, bytes });
            self.drain(to);
        }
    }

    fn run(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            let due = self
                .nodes
                .iter()
                .filter_map(|(addr, node)| Some((node.deadline()?, *addr)))
                .min();
            let arrival = self.under_way.first_key_value().map(|(&key, _)| key);
            let next = arrival.map(|(at, _)| at).into_iter().chain(due.map(|(at, _)| at)).min();
            let Some(next) = next.filter(|&next| next <= end) else {
                self.now = end;
                return;
            };
            self.now = next;
            match arrival {
                Some(key) if key.0 == next => {
                    let (from, to, bytes) = self.under_way.remove(&key).unwrap();
                    self.deliver(from, to, &bytes);
                }
                _ => {
                    let (_, addr) = due.unwrap();
                    self.ticks += 1;
                    self.nodes.get_mut(&addr).unwrap().handle(next, Input::Tick);
                    self.drain(addr);
                }
            }
        }
    }

    fn done(&self, number: usize) -> Option<&LookupDone> {
        self.events.iter().rev().find_map(|(addr, event)| match event {
            Event::LookupDone(done) if *addr == at(number) => Some(done),
            _ => None,
        })
    }

    fn answer(&self, number: usize) -> Option<&Answer> {
        self.events.iter().rev().find_map(|(addr, event)| match event {
            Event::Answer { answer, .. } if *addr == at(number) => Some(&**answer),
            _ => None,
        })
    }

    /// The addresses of the nodes whose ids are nearest to `target`.
    fn nearest(&self, target: &NodeId, but: usize) -> Vec<SocketAddr> {
        let mut nodes: Vec<(&SocketAddr, NodeId)> = self
            .nodes
            .iter()
            .map(|(addr, node)| (addr, node.id(Family::V4)))
            .filter(|(addr, _)| **addr != at(but))
            .collect();
        nodes.sort_by_key(|(_, id)| id.distance(target));
        nodes.iter().take(K).map(|(addr, _)| **addr).collect()
    }
}

const FULL: Plan = Plan::full();

fn info_hash(first: u8) -> InfoHash {
    InfoHash::new([first; 20])
}

/// Announces a peer of `info_hash` from `host` to the node at `to`, as any client would: a token first.
fn announce(net: &mut Net, to: SocketAddr, host: SocketAddr, info_hash: InfoHash) {
    let id = NodeId::new([9; 20]);
    let ask = |method| {
        let mut bytes = Vec::new();
        let want = Want::default();
        let message = Message {
            read_only: true,
            ..Message::new(b"aa", Body::Query(Query { id, method, want }))
        };
        message.encode(&mut bytes);
        bytes
    };
    let (noseed, scrape) = (false, false);
    net.deliver(
        host,
        to,
        &ask(Method::GetPeers {
            info_hash,
            noseed,
            scrape,
        }),
    );
    let (_, _, reply) = net.under_way.last_entry().unwrap().remove();
    let Body::Reply(Reply { token: Some(token), .. }) = Message::decode(&reply).unwrap().body else {
        panic!("no token");
    };
    let (port, implied_port, name, seed) = (1, true, None, false);
    net.deliver(
        host,
        to,
        &ask(Method::AnnouncePeer {
            info_hash,
            port,
            implied_port,
            token,
            name,
            seed,
        }),
    );
    net.under_way.last_entry().unwrap().remove();
}

#[test]
fn a_lookup_among_a_hundred_nodes_finds_the_eight_nearest_and_the_stored_peer() {
    let mut net = Net::joined(100);
    let info_hash = info_hash(0xa7);
    let peer = SocketAddr::from(([127, 9, 9, 9], 51413));
    let nearest = net.nearest(&info_hash.as_target(), 50);
    for &holder in &nearest[..3] {
        announce(&mut net, holder, peer, info_hash);
    }
    let lookup = net.with(50, |node, now| node.get_peers(now, info_hash, FULL));
    net.run(Duration::from_secs(30));
    let done = net.done(50).unwrap();
    assert_eq!((done.lookup, done.peers), (lookup, 1));
    let found: Vec<SocketAddr> = done.closest.iter().map(|node| node.addr).collect();
    assert_eq!(found, nearest);
    let peers = net
        .events
        .iter()
        .filter(|(_, event)| matches!(event, Event::Peers { peer: told, .. } if *told == peer));
    assert_eq!(peers.count(), 1);
}

#[test]
fn the_size_of_the_network_is_estimated() {
    let mut net = Net::joined(100);
    for first in 0..16 {
        net.with(50, |node, now| node.find_node(now, NodeId::new([first * 16 + 5; 20])));
        net.run(Duration::from_secs(10));
    }
    let estimate = net.node(50).gauges().global_nodes;
    assert!((70.0..140.0).contains(&estimate), "{estimate}");
}

#[test]
fn routers_are_asked_and_never_enter_a_table() {
    let mut net = Net::joined(20);
    for number in 2..=20 {
        assert!(net.node(number).stats().sent[Asked::FindNode] > 0);
        assert!(net.node(number).nodes().count() > 0);
        assert!(net.node(number).nodes().all(|held| held.addr != at(1)));
    }
}

#[test]
fn an_ordinary_node_to_join_by_enters_the_table_and_is_sampled() {
    let mut net = Net::joined(4);
    let mut config = lab_config();
    config.first_nodes = vec![at(1)];
    config.sampling = Some(crate::fuzz::sampling());
    net.nodes.insert(at(9), Node::new(config, Seed::from_number(9), None));
    net.with(9, |node, now| node.bootstrap(now));
    net.run(Duration::from_secs(90));
    assert!(net.node(9).nodes().any(|held| held.addr == at(1)));
    let sampler = net.node(9).sampler().unwrap();
    assert_eq!((sampler.known(), sampler.stats().sampled_nodes), (4, 4));
}

#[test]
fn no_host_is_asked_beyond_its_budget() {
    let net = Net::joined(60);
    let mut queries: BTreeMap<(SocketAddr, SocketAddr), Vec<Time>> = BTreeMap::new();
    for &(from, to, time) in &net.log {
        queries.entry((from, to)).or_default().push(time);
    }
    // What one host sends another includes its answers, at most one for each query of the other: twice the burst of 3.
    for times in queries.values() {
        for window in times.windows(9) {
            assert!(window[8].since(window[0]) > Duration::from_secs(1));
        }
    }
    for node in net.nodes.values() {
        assert!(node.guard().stats().busiest_second <= 4);
    }
}

#[test]
fn a_saved_state_brings_the_node_back_without_routers() {
    let mut net = Net::joined(30);
    let saved = net.node(7).save();
    let id = net.node(7).id(Family::V4);
    let bytes = crate::state::encode(&saved);
    let saved = crate::state::decode(&bytes).unwrap();
    let mut node = Node::new(lab_config(), Seed::from_number(999), Some(saved));
    assert_eq!(node.id(Family::V4), id);
    node.bootstrap(net.now);
    net.nodes.insert(at(7), node);
    net.run(Duration::from_secs(60));
    assert!(net.node(7).nodes().count() >= K);
}

#[test]
fn a_forged_answer_from_elsewhere_is_dropped_and_counted() {
    let mut net = Net::new();
    net.nodes.insert(at(1), node(1));
    net.with(1, |node, now| node.ask(now, at(2), Question::Ping));
    let (_, (_, _, question)) = net.under_way.pop_first().unwrap();
    let transaction = Message::decode(&question).unwrap().transaction;
    let mut forged = Vec::new();
    Message::new(transaction, Body::Reply(Reply::new(NodeId::new([2; 20])))).encode(&mut forged);
    net.deliver(at(3), at(1), &forged);
    assert!(net.answer(1).is_none());
    assert_eq!(net.node(1).stats().drops[Drop::WrongAddress], 1);
    net.deliver(at(2), at(1), &forged);
    assert!(matches!(net.answer(1), Some(Answer::Reply { .. })));
}

#[test]
fn an_unanswered_question_times_out_after_two_seconds() {
    let mut net = Net::new();
    net.nodes.insert(at(1), node(1));
    net.with(1, |node, now| node.ask(now, at(2), Question::Ping));
    net.run(Duration::from_micros(1_999_999));
    assert_eq!(net.answer(1), None);
    net.run(Duration::from_micros(1));
    assert_eq!(net.answer(1), Some(&Answer::Timeout));
}

#[test]
fn the_timeout_adapts_to_the_round_trips() {
    let mut net = Net::joined(40);
    let timeout = net.node(9).gauges().timeout;
    assert!(
        (Duration::from_millis(80)..Duration::from_millis(500)).contains(&timeout),
        "{timeout:?}"
    );
}

#[test]
fn a_node_with_nothing_to_do_sleeps() {
    let mut net = Net::joined(20);
    let ticks = net.ticks;
    net.run(Duration::from_secs(600));
    // Twenty nodes, ten minutes: upkeep only.
    assert!(net.ticks - ticks < 20 * 100, "{}", net.ticks - ticks);
}

#[test]
fn an_opted_out_infohash_is_in_no_query() {
    let mut net = Net::joined(10);
    let private = info_hash(0x42);
    net.node(3).opt_out(private);
    let lookup = net.with(3, |node, now| node.get_peers(now, private, FULL));
    assert_eq!(net.done(3).map(|done| (done.lookup, done.queries)), Some((lookup, 0)));
    net.with(3, |node, now| node.ask(now, at(4), Question::GetPeers(private)));
    assert_eq!(net.answer(3), Some(&Answer::OptedOut));
    assert!(net.under_way.is_empty());
}

#[test]
fn a_sampling_node_is_shown_what_others_store() {
    let mut net = Net::joined(30);
    let stored: Vec<InfoHash> = (1..=6).map(info_hash).collect();
    for &info_hash in &stored {
        let holder = net.nearest(&info_hash.as_target(), 0)[0];
        announce(&mut net, holder, SocketAddr::from(([127, 9, 9, 9], 51413)), info_hash);
    }
    net.events.clear();
    let mut config = lab_config();
    config.sampling = Some(crate::fuzz::sampling());
    config.routers = vec![at(1)];
    let mut crawler = Node::new(config, Seed::from_number(77), None);
    crawler.bootstrap(net.now);
    net.nodes.insert(at(77), crawler);
    net.drain(at(77));
    net.run(Duration::from_secs(240));
    let mut shown: Vec<InfoHash> = Vec::new();
    for (addr, event) in &net.events {
        if let Event::Sighting(sighting) = event
            && *addr == at(77)
        {
            assert!(matches!(sighting.source, crate::Source::Sample { num, .. } if num > 0));
            shown.push(sighting.info_hash);
        }
    }
    shown.sort_unstable();
    shown.dedup();
    assert_eq!(shown, stored);
    // Everybody but the router once, and that one never.
    // Everybody that it heard of once, and the router never.
    let asked = net.node(77).stats().sent[Asked::Sample];
    assert!((20..=29).contains(&asked), "{asked}");
    assert_eq!(net.node(77).sampler().unwrap().stats().sampled_nodes, asked);
    net.node(77).pause_sampling(true);
    let sent = net.node(77).stats().sent[Asked::Sample];
    net.run(Duration::from_secs(3600));
    assert_eq!(net.node(77).stats().sent[Asked::Sample], sent);
}

#[test]
fn a_stopped_node_asks_nothing_and_ends_what_was_under_way() {
    let mut net = Net::joined(20);
    net.with(5, |node, now| node.get_peers(now, info_hash(1), FULL));
    net.with(5, |node, now| node.handle(now, Input::Stop));
    assert!(net.done(5).is_some());
    let sent = net.node(5).stats().sent.total();
    let refused = net.with(5, |node, now| node.get_peers(now, info_hash(2), FULL));
    assert_eq!(net.done(5).map(|done| done.lookup), Some(refused));
    net.run(Duration::from_secs(1000));
    assert_eq!(net.node(5).stats().sent.total(), sent);
    assert!(net.node(5).is_idle());
}

#[test]
fn a_read_only_node_says_so_and_answers_nobody() {
    let mut net = Net::joined(10);
    let mut config = lab_config();
    config.read_only = true;
    config.routers = vec![at(1)];
    let mut shy = Node::new(config, Seed::from_number(99), None);
    shy.bootstrap(net.now);
    net.nodes.insert(at(99), shy);
    net.drain(at(99));
    net.run(Duration::from_secs(60));
    assert!(net.node(99).nodes().count() > 0);
    assert!(
        net.nodes
            .iter()
            .all(|(addr, node)| *addr == at(99) || node.nodes().all(|held| held.addr != at(99)))
    );
    net.with(2, |node, now| node.ask(now, at(99), Question::Ping));
    net.run(Duration::from_secs(10));
    assert_eq!(net.answer(2), Some(&Answer::Timeout));
}

#[test]
fn an_answer_under_another_id_removes_the_node_from_the_table() {
    let mut net = Net::joined(10);
    let victim = net.node(3).nodes().next().unwrap();
    // The same address, another node: as after a restart without saved state.
    let mut config = lab_config();
    config.node_id = Some(NodeId::new([0xee; 20]));
    net.nodes
        .insert(victim.addr, Node::new(config, Seed::from_number(5), None));
    net.run(Duration::from_secs(1200));
    let held: Vec<Contact> = net.node(3).nodes().filter(|held| held.addr == victim.addr).collect();
    assert!(held.iter().all(|held| held.id == NodeId::new([0xee; 20])), "{held:?}");
    assert!(net.node(3).stats().drops[Drop::WrongId] > 0);
}

#[test]
fn an_announce_with_our_token_is_stored_and_told() {
    let mut net = Net::joined(2);
    let peer = SocketAddr::from(([127, 9, 9, 9], 51413));
    announce(&mut net, at(2), peer, info_hash(5));
    let told = net.events.iter().find_map(|(addr, event)| match event {
        Event::Announced { sighting, peer, .. } if *addr == at(2) => Some((sighting.info_hash, *peer)),
        _ => None,
    });
    assert_eq!(told, Some((info_hash(5), peer)));
    assert!(net.node(2).responder().store(Family::V4).has_room(&info_hash(5)));
}

/// Asks `host`, and lets it answer that it sees us at `seen`.
fn seen_at(node: &mut Node, host: SocketAddr, seen: SocketAddr) -> Vec<Event> {
    let now = Time::from_secs(u64::from(host.port()));
    let mut events = Vec::new();
    let mut payload = Vec::new();
    node.ask(now, host, Question::Ping);
    while let Some(output) = node.poll(now, &mut payload) {
        if let Output::Event(event) = output {
            events.push(event);
        }
    }
    let question = Message::decode(&payload).unwrap();
    let mut answer = Vec::new();
    Message {
        ip: Some(seen),
        ..Message::new(question.transaction, Body::Reply(Reply::new(NodeId::new([3; 20]))))
    }
    .encode(&mut answer);
    let (from, to, bytes) = (host, seen, &answer[..]);
    node.handle(now, Input::Datagram { from, to, bytes });
    payload.clear();
    while let Some(output) = node.poll(now, &mut payload) {
        if let Output::Event(event) = output {
            events.push(event);
        }
    }
    events
}

#[test]
fn the_id_is_fitted_to_the_address_that_others_agree_on_once() {
    let mut config = lab_config();
    config.lab = false;
    let mut node = Node::new(config.clone(), Seed::from_number(4), None);
    let first = node.id(Family::V4);
    let mut moves = Vec::new();
    for (from, seen) in [(0, "9.9.9.9:6881"), (70, "7.7.7.7:6881")] {
        for network in from..from + 70 {
            let host = SocketAddr::from(([1, 2, network, 1], 6881 + u16::from(network)));
            for event in seen_at(&mut node, host, seen.parse().unwrap()) {
                if let Event::NewNodeId(id) = event {
                    moves.push(id);
                }
            }
        }
    }
    let [moved] = moves[..] else { panic!("{moves:?}") };
    assert_ne!(moved, first);
    assert!(crate::identity::fits(&moved, [9, 9, 9, 9].into()));
    assert_eq!(node.id(Family::V4), moved);
    // Who chose an id keeps it.
    config.node_id = Some(first);
    let mut stubborn = Node::new(config, Seed::from_number(4), None);
    for network in 0..70 {
        let host = SocketAddr::from(([1, 2, network, 1], 6881 + u16::from(network)));
        seen_at(&mut stubborn, host, "9.9.9.9:6881".parse().unwrap());
    }
    assert_eq!(stubborn.id(Family::V4), first);
}

#[test]
fn the_ipv6_dht_is_one_of_its_own() {
    let at = |number: u16| SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 7000 + number));
    let mut net = Net::new();
    for number in 1..=30 {
        let mut config = lab_config();
        // All of them are one host.
        config.guard.per_host = crate::guard::Limit::per_second(0, 0);
        config.guard.answers_per_host = crate::guard::Limit::per_second(0, 0);
        config.families.v6 = true;
        config.routers = vec![at(1)];
        let mut node = Node::new(config, Seed::from_number(number.into()), None);
        node.own_address(at(number));
        node.bootstrap(net.now);
        net.nodes.insert(at(number), node);
        net.drain(at(number));
        net.run(Duration::from_millis(200));
    }
    net.run(Duration::from_secs(60));
    for node in net.nodes.values() {
        let [v4, v6] = node.gauges().tables;
        assert_eq!(v4.nodes, 0);
        assert!(v6.nodes >= K, "{v6:?}");
    }
    let node = &net.nodes[&at(9)];
    assert_ne!(node.id(Family::V4), node.id(Family::V6));
    let saved = crate::state::decode(&crate::state::encode(&node.save())).unwrap();
    assert_eq!(saved.node_id6, Some(node.id(Family::V6)));
    assert!(saved.nodes.iter().all(SocketAddr::is_ipv6));
}
