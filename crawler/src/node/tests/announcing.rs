//! What our own node serves is announced, and found by others.

use wire::krpc::error_code;

use super::*;
use crate::event::LookupId;

/// The peers that a node was told of since the start.
fn peers(net: &Net, number: usize) -> Vec<SocketAddr> {
    let told = net.events.iter().filter_map(|(addr, event)| match event {
        Event::Peers { peer, .. } if *addr == at(number) => Some(*peer),
        _ => None,
    });
    told.collect()
}

/// Has node 50 of a hundred announce, by way of `port`.
fn announced(port: u16, seed: bool, info_hash: InfoHash) -> (Net, LookupId) {
    let mut net = Net::joined(100);
    net.node(50).set_announce_port(port);
    let lookup = net.with(50, |node, now| node.announce(now, info_hash, seed));
    net.run(Duration::from_secs(30));
    (net, lookup)
}

#[test]
fn the_eight_nearest_are_told_with_their_own_tokens_and_tell_a_third() {
    let info_hash = info_hash(0xa7);
    let (mut net, lookup) = announced(51413, true, info_hash);
    assert_eq!(net.done(50).map(|done| done.lookup), Some(lookup));
    let nearest = net.nearest(&info_hash.as_target(), 50);
    let told: Vec<SocketAddr> = net.announces.iter().map(|(_, to, _)| *to).collect();
    assert_eq!(told, nearest);
    for (from, _, bytes) in &net.announces {
        assert_eq!(*from, at(50));
        let Body::Query(query) = Message::decode(bytes).unwrap().body else {
            panic!("no query");
        };
        assert!(matches!(
            query.method,
            Method::AnnouncePeer { info_hash: named, port: 51413, implied_port: false, seed: true, name: None, .. }
                if named == info_hash
        ));
    }
    let stats = *net.node(50).stats();
    assert_eq!((stats.sent[Asked::Announce], stats.answered[Asked::Announce]), (8, 8));
    assert_eq!(stats.announces_unsent, 0);
    net.with(20, |node, now| node.get_peers(now, info_hash, FULL));
    net.run(Duration::from_secs(30));
    let mut served = at(50);
    served.set_port(51413);
    assert_eq!(peers(&net, 20), [served]);
    assert!(net.node(50).is_idle());
}

#[test]
fn port_zero_is_the_port_that_datagrams_come_from() {
    let (mut net, _) = announced(0, false, info_hash(3));
    assert_eq!(net.announces.len(), K);
    net.with(20, |node, now| node.get_peers(now, info_hash(3), FULL));
    net.run(Duration::from_secs(30));
    assert_eq!(peers(&net, 20), [at(50)]);
}

#[test]
fn a_lookup_announces_nothing() {
    let mut net = Net::joined(30);
    net.node(5).set_announce_port(51413);
    net.with(5, |node, now| node.get_peers(now, info_hash(3), FULL));
    net.run(Duration::from_secs(30));
    assert!(net.done(5).is_some_and(|done| done.answered >= 8));
    assert!(net.announces.is_empty());
}

#[test]
fn without_a_port_an_announce_is_a_lookup() {
    let mut net = Net::joined(30);
    let lookup = net.with(5, |node, now| node.announce(now, info_hash(3), true));
    net.run(Duration::from_secs(30));
    assert!(
        net.done(5)
            .is_some_and(|done| done.lookup == lookup && done.answered >= 8)
    );
    assert!(net.announces.is_empty());
}

#[test]
fn a_read_only_node_announces_nothing() {
    let mut net = Net::joined(30);
    let mut config = lab_config();
    config.read_only = true;
    config.routers = vec![at(1)];
    net.nodes.insert(at(99), Node::new(config, Seed::from_number(99), None));
    net.with(99, |node, now| {
        node.set_announce_port(51413);
        node.bootstrap(now);
    });
    net.run(Duration::from_secs(60));
    let lookup = net.with(99, |node, now| node.announce(now, info_hash(3), true));
    net.run(Duration::from_secs(30));
    assert!(
        net.done(99)
            .is_some_and(|done| done.lookup == lookup && done.answered >= 8)
    );
    assert!(net.announces.is_empty());
}

#[test]
fn who_gives_no_token_is_passed_over_for_the_next_nearest() {
    let mut net = Net::joined(40);
    let info_hash = info_hash(0x3c);
    let nearest = net.nearest(&info_hash.as_target(), 5);
    // Its store is full, so it wants no announce.
    let full = nearest[0];
    for number in 0..100 {
        let other = InfoHash::new([100 + number; 20]);
        announce(&mut net, full, SocketAddr::from(([127, 9, 1, number], 51413)), other);
    }
    net.announces.clear();
    net.node(5).set_announce_port(51413);
    net.with(5, |node, now| node.announce(now, info_hash, false));
    net.run(Duration::from_secs(60));
    let told: Vec<SocketAddr> = net.announces.iter().map(|(_, to, _)| *to).collect();
    assert_eq!(told[..7], nearest[1..]);
    assert_eq!(told.len(), 8);
    assert!(!told.contains(&full));
}

#[test]
fn many_announces_at_once_keep_our_manners() {
    let mut net = Net::joined(20);
    net.node(5).set_announce_port(51413);
    for first in 0..10 {
        net.with(5, |node, now| node.announce(now, info_hash(first), false));
    }
    net.run(Duration::from_secs(120));
    assert!(net.announces.len() > 60, "{}", net.announces.len());
    assert!(net.announces.iter().all(|(announcer, ..)| *announcer == at(5)));
    let stats = *net.node(5).stats();
    assert_eq!(stats.sent[Asked::Announce], stats.answered[Asked::Announce]);
    let mut told: BTreeMap<SocketAddr, usize> = BTreeMap::new();
    for (_, to, _) in &net.announces {
        *told.entry(*to).or_default() += 1;
    }
    assert!(told.values().any(|&times| times > 3), "nobody had to be waited for");
    assert!(net.node(5).guard().stats().busiest_second <= 3);
}

#[test]
fn a_refusal_is_counted() {
    let mut net = Net::new();
    net.nodes.insert(at(1), node(1));
    net.node(1).set_announce_port(0);
    net.with(1, |node, now| node.add_node(now, at(2)));
    let id = NodeId::new([2; 20]);
    let answer = |net: &mut Net, refuse: bool| {
        let (_, (_, _, question)) = net.under_way.pop_first().unwrap();
        let transaction = Message::decode(&question).unwrap().transaction;
        let body = if refuse {
            let (code, text) = (error_code::PROTOCOL, &b"no"[..]);
            Body::Error { code, text }
        } else {
            let token = Some(&b"token"[..]);
            Body::Reply(Reply {
                token,
                ..Reply::new(id)
            })
        };
        let mut bytes = Vec::new();
        Message::new(transaction, body).encode(&mut bytes);
        net.deliver(at(2), at(1), &bytes);
    };
    answer(&mut net, false);
    net.with(1, |node, now| node.announce(now, info_hash(1), false));
    answer(&mut net, false);
    answer(&mut net, true);
    let stats = *net.node(1).stats();
    assert_eq!((stats.sent[Asked::Announce], stats.errors[Asked::Announce]), (1, 1));
    assert_eq!(stats.answered[Asked::Announce], 0);
}

#[test]
fn what_was_opted_out_or_called_off_meanwhile_is_not_announced() {
    let mut net = Net::joined(30);
    net.node(5).set_announce_port(51413);
    let (private, dropped) = (info_hash(1), info_hash(2));
    net.with(5, |node, now| node.announce(now, private, false));
    let lookup = net.with(5, |node, now| node.announce(now, dropped, false));
    net.node(5).opt_out(private);
    net.with(5, |node, now| node.cancel_lookup(now, lookup));
    net.run(Duration::from_secs(60));
    assert!(net.announces.is_empty());
    assert!(net.node(5).is_idle());
}

#[test]
fn a_stopped_node_tells_nobody_any_more() {
    let mut net = Net::joined(30);
    net.node(5).set_announce_port(51413);
    net.with(5, |node, now| node.announce(now, info_hash(1), false));
    net.run(Duration::from_millis(100));
    net.with(5, |node, now| node.handle(now, Input::Stop));
    net.run(Duration::from_secs(60));
    assert!(net.announces.is_empty());
    assert!(net.node(5).is_idle());
}
