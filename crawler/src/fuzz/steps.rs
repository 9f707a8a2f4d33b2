//! Bytes as a list of things that happen to a node, mostly things that belong to a DHT.

use std::net::SocketAddr;

use wire::NodeId;
use wire::bencode::Encoder;
use wire::compact::{Contact, put_addr, put_contact};
use wire::fuzz::Steps;

use super::{Step, addr_of};

/// Every list of bytes is a list of steps; a short list is continued with zeros.
pub fn steps(bytes: &[u8]) -> Vec<Step> {
    let mut rest = Steps(bytes);
    let mut steps = Vec::new();
    while !rest.0.is_empty() {
        steps.push(step(&mut rest));
    }
    steps
}

fn step(rest: &mut Steps<'_>) -> Step {
    let (kind, host) = (rest.next(), rest.next() % 24);
    match kind % 16 {
        0 => Step::Datagram {
            host,
            bytes: piece(rest).to_vec(),
        },
        1..=3 => Step::Datagram {
            host,
            bytes: query(host, rest),
        },
        4..=8 => Step::Answer {
            host,
            body: body(host, rest),
        },
        9 => Step::Wait {
            millis: u32::from_be_bytes([0, 0, rest.next(), rest.next()]),
        },
        // Up to four hours, for intervals and rests.
        10 => Step::Wait {
            millis: u32::from(rest.next()) * 60_000,
        },
        11 => Step::GetPeers {
            host,
            first: rest.next(),
        },
        12 => Step::FindNode { first: rest.next() },
        13 => Step::Announce {
            host,
            first: rest.next(),
        },
        14 if kind > 240 => Step::Stop,
        15 => Step::Serve {
            first: rest.next(),
            seed: host.is_multiple_of(2),
        },
        _ => Step::Ask { host },
    }
}

/// A query with any of the methods and a made-up token.
fn query(host: u8, rest: &mut Steps<'_>) -> Vec<u8> {
    let (method, point) = (rest.next(), [rest.next(); 20]);
    let mut out = Vec::new();
    let mut to = Encoder::new(&mut out);
    to.begin_dict().key(b"a").begin_dict().key(b"id").bytes(&id_of(host));
    let name: &[u8] = match method % 8 {
        0 => b"ping",
        1 => b"find_node",
        2 => b"sample_infohashes",
        3 => b"get",
        4 => b"announce_peer",
        5 => b"vote",
        _ => b"get_peers",
    };
    match method % 8 {
        0 => {}
        4 | 6 | 7 => {
            to.key(b"info_hash").bytes(&point);
        }
        _ => {
            to.key(b"target").bytes(&point);
        }
    }
    if method % 8 == 4 {
        to.key(b"port").int(rest.next().into());
        to.key(b"token").bytes(piece(rest));
    }
    to.end().key(b"q").bytes(name);
    if method & 8 != 0 {
        to.key(b"ro").int(1);
    }
    to.key(b"t").bytes(piece(rest)).key(b"y").bytes(b"q").end();
    out
}

/// What follows the transaction of an answer: a reply, mostly, and the end of the message.
fn body(host: u8, rest: &mut Steps<'_>) -> Vec<u8> {
    let kind = rest.next();
    let mut out = Vec::new();
    if kind >= 240 {
        out.extend_from_slice(piece(rest));
        return out;
    }
    if kind >= 224 {
        let code = [201, 202, 203, 204, i64::MIN][usize::from(kind % 5)];
        let mut to = Encoder::new(&mut out);
        to.bytes(b"e").begin_list().int(code).bytes(piece(rest)).end();
        out.extend_from_slice(b"1:y1:ee");
        return out;
    }
    let id = if kind & 1 == 0 { id_of(host) } else { [rest.next(); 20] };
    let mut to = Encoder::new(&mut out);
    to.bytes(b"r").begin_dict().key(b"id").bytes(&id);
    if kind & 2 != 0 {
        to.key(b"interval").int(i64::from(rest.next()) << (rest.next() % 56));
    }
    if kind & 4 != 0 {
        to.key(b"nodes").bytes(&contacts(rest));
    }
    if kind & 8 != 0 {
        to.key(b"num").int(i64::from(rest.next()) << (rest.next() % 56));
    }
    if kind & 16 != 0 {
        let samples: Vec<u8> = piece(rest).iter().flat_map(|&first| [first; 20]).collect();
        to.key(b"samples").bytes(&samples);
    }
    if kind & 32 != 0 {
        to.key(b"token").bytes(piece(rest));
    }
    if kind & 64 != 0 {
        to.key(b"values").begin_list();
        for &peer in piece(rest) {
            let mut entry = Vec::new();
            put_addr(&addr_of(peer), &mut entry);
            to.bytes(&entry);
        }
        to.end();
    }
    to.end();
    if kind & 128 != 0 {
        let client = [b"LT\x01\x02", b"LT\x02\x08", b"UT\xb0\x12", b"TR\x04\x00"][usize::from(rest.next() % 4)];
        to.bytes(b"v").bytes(client);
    }
    out.extend_from_slice(b"1:y1:re");
    out
}

/// Contacts by number, most of them as they would answer; from 240 on, the number is also the port.
fn contacts(rest: &mut Steps<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    for &number in piece(rest) {
        let mut addr: SocketAddr = addr_of(number);
        if number >= 240 {
            addr.set_port(number.into());
        }
        let id = NodeId::new(id_of(number));
        put_contact(&Contact { id, addr }, &mut out);
    }
    out
}

/// The id under which a host answers: spread over the key space.
fn id_of(host: u8) -> [u8; 20] {
    [host.reverse_bits(); 20]
}

/// Up to 63 bytes.
fn piece<'a>(rest: &mut Steps<'a>) -> &'a [u8] {
    let len = usize::from(rest.next() % 64);
    rest.take(len)
}
