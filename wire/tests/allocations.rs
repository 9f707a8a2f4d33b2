//! The hot path allocates nothing: a datagram is decoded, looked through, and answered into a vector that is there.

use std::net::SocketAddr;

use allocation_counter::measure;
use wire::bencode::{Limits, decode};
use wire::compact::{self, Contact};
use wire::krpc::{Body, Message, Method, Query, Reply, Values, Want};
use wire::{InfoHash, NodeId};

const ID: NodeId = NodeId::new([7; 20]);
const HASH: InfoHash = InfoHash::new([9; 20]);

fn nothing_allocated(what: &str, run: impl FnMut()) {
    let mut run = run;
    // Once to grow what grows.
    run();
    let counted = measure(|| (0..10).for_each(|_| run()));
    assert_eq!(counted.count_total, 0, "{what}");
}

fn encoded(body: Body<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    Message::new(b"aa", body).encode(&mut out);
    out
}

#[test]
fn replies_are_read_and_written_without_allocating() {
    let peers: Vec<SocketAddr> = (0..100).map(|n| SocketAddr::from(([10, 0, 0, n], 6881))).collect();
    let mut nodes = Vec::new();
    let contact = Contact { id: ID, addr: peers[0] };
    (0..8).for_each(|_| compact::put_contact(&contact, &mut nodes));
    let reply = Reply {
        nodes: &nodes,
        values: Values::from(&peers[..]),
        samples: Some(&[1; 400]),
        num: Some(20),
        interval: Some(60),
        token: Some(b"token"),
        ..Reply::new(ID)
    };
    let bytes = encoded(Body::Reply(reply));
    let mut out = Vec::new();
    nothing_allocated("reply", || {
        let message = Message::decode(&bytes).unwrap();
        let Body::Reply(reply) = message.body else { panic!() };
        assert_eq!(
            (reply.contacts().count(), reply.peers().count(), reply.samples().len()),
            (8, 100, 20)
        );
        out.clear();
        message.encode(&mut out);
        assert_eq!(out, bytes);
    });
}

#[test]
fn queries_errors_and_refusals_are_read_and_written_without_allocating() {
    let query = |method| {
        let want = Want { n4: true, n6: true };
        encoded(Body::Query(Query { id: ID, method, want }))
    };
    let datagrams = [
        query(Method::Ping),
        query(Method::FindNode { target: ID }),
        query(Method::GetPeers {
            info_hash: HASH,
            noseed: true,
            scrape: true,
        }),
        query(Method::AnnouncePeer {
            info_hash: HASH,
            port: 6881,
            implied_port: true,
            token: b"token",
            name: Some(b"name"),
            seed: true,
        }),
        encoded(Body::Error { code: 203, text: b"no" }),
    ];
    let mut out = Vec::new();
    for bytes in &datagrams {
        nothing_allocated("message", || {
            let message = Message::decode(bytes).unwrap();
            out.clear();
            message.encode(&mut out);
            assert_eq!(out, *bytes);
        });
        nothing_allocated("truncated", || {
            assert!(Message::decode(&bytes[..bytes.len() - 1]).is_err());
        });
    }
}

#[test]
fn a_view_on_bencode_allocates_nothing() {
    let bytes = b"d4:infod5:filesld6:lengthi5e4:pathl1:a1:beee4:name1:xe5:nodeslee";
    nothing_allocated("view", || {
        let value = decode(bytes, &Limits::METAINFO).unwrap();
        let info = value.get(b"info").unwrap();
        let files = info.get(b"files").and_then(|files| files.as_list()).unwrap();
        assert_eq!(
            files
                .iter()
                .filter_map(|file| file.get(b"length")?.as_int())
                .sum::<i64>(),
            5
        );
    });
}
