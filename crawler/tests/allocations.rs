//! The hot path of the node allocates nothing in the steady state: questions of others, sampling, lookups.

mod crowd;

use std::time::Duration;

use allocation_counter::measure;
use crowd::{Crowd, one, query};
use wire::krpc::{Body, Message, Method};
use wire::{InfoHash, NodeId};

#[test]
fn questions_are_answered_without_allocating() {
    let mut crowd = Crowd::new(false);
    crowd.run(Duration::from_secs(600));
    let (target, info_hash) = (NodeId::new([0x3c; 20]), InfoHash::new([0x3c; 20]));
    let (noseed, scrape) = (false, false);
    let questions = [
        query(Method::Ping),
        query(Method::FindNode { target }),
        query(Method::GetPeers {
            info_hash,
            noseed,
            scrape,
        }),
        query(Method::SampleInfohashes { target }),
    ];
    let mut ask = || {
        for question in &questions {
            crowd.deliver(one(3).addr, question);
        }
    };
    (0..20).for_each(|_| ask());
    let counted = measure(|| (0..1000).for_each(|_| ask()));
    assert_eq!(counted.count_total, 0);
    assert_eq!(crowd.node.stats().datagrams_out[crawler::stats::Kind::Reply], 4 * 1020);
}

#[test]
fn announces_and_questions_of_many_hosts_are_answered_without_allocating() {
    let mut crowd = Crowd::new(true);
    crowd.run(Duration::from_secs(40_000));
    let info_hash = InfoHash::new([0x3c; 20]);
    let (noseed, scrape) = (false, false);
    let get_peers = query(Method::GetPeers {
        info_hash,
        noseed,
        scrape,
    });
    let announces: Vec<Vec<u8>> = (0..300)
        .map(|number| {
            crowd.deliver(one(number).addr, &get_peers);
            query(Method::AnnouncePeer {
                info_hash,
                port: 0,
                implied_port: true,
                token: token(&crowd.sent),
                name: Some(b"name"),
                seed: false,
            })
        })
        .collect();
    let mut ask = || {
        for (number, announce) in (0..).zip(&announces) {
            crowd.now = crowd.now + Duration::from_millis(1);
            crowd.deliver(one(number).addr, announce);
            crowd.deliver(one(number).addr, &get_peers);
        }
    };
    ask();
    let counted = measure(|| (0..10).for_each(|_| ask()));
    assert_eq!(counted.count_total, 0);
    assert_eq!(crowd.node.stats().datagrams_out[crawler::stats::Kind::Error], 0);
    // Fifty peers and eight nodes.
    assert!(crowd.sent.len() > 600, "{} bytes", crowd.sent.len());
}

fn token(reply: &[u8]) -> &[u8] {
    match Message::decode(reply).map(|message| message.body) {
        Ok(Body::Reply(reply)) => reply.token.expect("a token"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn sampling_and_looking_up_allocate_nothing() {
    let mut crowd = Crowd::new(true);
    crowd.look_up_every = 40;
    let span = Duration::from_secs(40_000);
    crowd.run(span);
    let (received, sightings, peers) = (crowd.received, crowd.sightings, crowd.peers);
    let counted = measure(|| crowd.run(span));
    let received = crowd.received - received;
    assert!(received > 7_000, "{received}");
    assert!(crowd.sightings - sightings > 100_000 && crowd.peers > peers);
    assert_eq!(counted.count_total, 0, "in {received} datagrams");
}
