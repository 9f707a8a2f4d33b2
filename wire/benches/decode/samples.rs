//! Datagrams as the network sends them, and how their facts are summed up.

use std::net::SocketAddr;

use wire::compact::{self, Contact};
use wire::krpc::{Body, Message, Method, Query, Reply, Values, Want};
use wire::{InfoHash, NodeId};

/// Name and bytes of each.
pub(crate) fn all() -> Vec<(&'static str, Vec<u8>)> {
    let nodes = nodes(8);
    let peers: Vec<SocketAddr> = (0..50)
        .map(|n| SocketAddr::from(([81, 2, 69, n], 6881 + u16::from(n))))
        .collect();
    let samples: Vec<u8> = (0..20).flat_map(|n| bytes20(n + 100)).collect();
    let id = NodeId::new(bytes20(1));
    let with_nodes = Reply {
        nodes: &nodes,
        ..Reply::new(id)
    };
    let found = Body::Reply(with_nodes);
    let peers = Body::Reply(Reply {
        token: Some(b"8bytetok"),
        values: Values::from(&peers[..]),
        ..with_nodes
    });
    let sampled = Body::Reply(Reply {
        samples: Some(&samples),
        num: Some(4321),
        interval: Some(21_600),
        ..with_nodes
    });
    let asked = Body::Query(Query {
        id,
        method: Method::GetPeers {
            info_hash: InfoHash::new(bytes20(9)),
            noseed: false,
            scrape: false,
        },
        want: Want::default(),
    });
    let refused = Body::Error {
        code: 203,
        text: b"Protocol Error",
    };
    [
        ("query: get_peers", asked),
        ("reply: find_node, 8 nodes", found),
        ("reply: get_peers, 50 values", peers),
        ("reply: sample, 20 samples", sampled),
        ("error", refused),
    ]
    .map(|(name, body)| (name, datagram(body)))
    .into()
}

fn datagram(body: Body<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    let message = Message {
        version: Some(b"LT\x01\x2f"),
        ip: Some(SocketAddr::from(([93, 184, 216, 34], 6881))),
        ..Message::new(b"\x12\x34", body)
    };
    message.encode(&mut out);
    out
}

fn nodes(count: u8) -> Vec<u8> {
    let mut nodes = Vec::new();
    for n in 0..count {
        let contact = Contact {
            id: NodeId::new(bytes20(n)),
            addr: SocketAddr::from(([5, 6, 7, n], 6000 + u16::from(n))),
        };
        compact::put_contact(&contact, &mut nodes);
    }
    nodes
}

fn bytes20(seed: u8) -> [u8; 20] {
    std::array::from_fn(|at| seed.wrapping_mul(31).wrapping_add(at as u8 * 7))
}

pub(crate) fn envelope(transaction: &[u8], version: Option<&[u8]>, ip: Option<SocketAddr>) -> u64 {
    id(transaction) + version.map_or(0, id) + ip.map_or(0, |ip| addr(&ip))
}

pub(crate) fn id(bytes: &[u8]) -> u64 {
    bytes.first().map_or(0, |byte| u64::from(*byte))
}

pub(crate) fn addr(addr: &SocketAddr) -> u64 {
    u64::from(addr.port())
}

pub(crate) fn contact(contact: &Contact) -> u64 {
    id(contact.id.as_bytes()) + addr(&contact.addr)
}
