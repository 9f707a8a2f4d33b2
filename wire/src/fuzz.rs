//! The properties of the decoders, for any bytes at all: what the fuzz targets and the property tests call.
//!
//! Each function takes what a stranger might send and panics if a promise of its decoder is broken.

mod peer;
mod steps;
mod tracker;

use crate::bencode::{self, Entry, Kind, Limits, Value};
use crate::compact;
use crate::krpc::{self, Body, Message};
use crate::utp::Packet;

pub use peer::{
    extended, frames, handshake, info, lsd, lt_metadata, magnet, torrent, ut_holepunch, ut_metadata, ut_pex,
};
pub use steps::Steps;
pub use tracker::{tracker_http, tracker_udp, tracker_url};

/// Bencode: a view covers exactly what was read, agrees with itself at every level, and canonical input is
/// reproduced byte for byte.
pub fn bencode(bytes: &[u8]) {
    let limits = Limits {
        depth: 32,
        tokens: 10_000,
    };
    match bencode::decode_prefix(bytes, &limits) {
        Ok((value, rest)) => {
            let whole = value.raw().len() + rest.len();
            assert_eq!(whole, bytes.len(), "value and rest cover the input");
            assert_eq!(bencode::decode(bytes, &limits).is_ok(), rest.is_empty());
            agrees(value);
            let mut out = Vec::new();
            Entry::from(value).encode(&mut out);
            match bencode::decode_strict(value.raw(), &limits) {
                Ok(_) => assert_eq!(out, value.raw(), "canonical input is reproduced"),
                Err(error) => assert!(error.offset() < value.raw().len()),
            }
            assert!(bencode::decode_strict(&out, &limits).is_ok(), "output is canonical");
        }
        Err(error) => {
            assert!(error.offset() <= bytes.len());
            assert!(bencode::decode(bytes, &limits).is_err());
            assert!(bencode::decode_strict(bytes, &limits).is_err());
        }
    }
}

/// The parts of a value are values, and their raw bytes add up to those of the whole.
fn agrees(value: Value<'_>) {
    let limits = Limits::METAINFO;
    assert_eq!(bencode::decode(value.raw(), &limits), Ok(value));
    let inside: usize = match value.kind() {
        Kind::Int => {
            assert!(value.as_int().is_some());
            return;
        }
        Kind::Bytes => {
            assert!(value.as_bytes().is_some());
            return;
        }
        Kind::List => value.as_list().into_iter().flatten().map(sized).sum(),
        Kind::Dict => value
            .as_dict()
            .into_iter()
            .flatten()
            .map(|(key, value)| string(key) + sized(value))
            .sum(),
        Kind::End => unreachable!("a value does not begin with its end"),
    };
    assert_eq!(inside + 2, value.raw().len());
}

fn sized(value: Value<'_>) -> usize {
    agrees(value);
    value.raw().len()
}

/// How long `text` is as bencode.
fn string(text: &[u8]) -> usize {
    let mut out = Vec::new();
    bencode::Encoder::new(&mut out).bytes(text);
    out.len()
}

/// KRPC: what was understood can be said again, and says the same.
pub fn krpc(bytes: &[u8]) {
    let Ok(message) = Message::decode(bytes) else {
        if let Some(transaction) = krpc::query_transaction(bytes) {
            assert!(transaction.len() <= krpc::MAX_TRANSACTION_LEN);
        }
        return;
    };
    if let Body::Reply(reply) = &message.body {
        assert!(reply.contacts().count() * compact::NODE4_LEN <= bytes.len());
        assert!(reply.peers().count() * compact::PEER4_LEN <= bytes.len());
        // One entry can pack more peers than a list within the limits may hold; nobody sends that on.
        if reply.peers().count() > Limits::KRPC.tokens / 2 {
            return;
        }
    }
    let mut out = Vec::new();
    message.encode(&mut out);
    assert_eq!(Message::decode(&out), Ok(message), "what is written reads back");
    let mut again = Vec::new();
    message.encode(&mut again);
    assert_eq!(out, again);
}

/// Compact strings: every whole entry is read and can be written back; only a ragged tail is lost.
pub fn compact(bytes: &[u8]) {
    let whole = |entry: usize| bytes.get(..bytes.len() - bytes.len() % entry).unwrap_or_default();
    let mut out = Vec::new();
    compact::nodes4(bytes).for_each(|contact| compact::put_contact(&contact, &mut out));
    assert_eq!(out, whole(compact::NODE4_LEN));
    out.clear();
    compact::nodes6(bytes).for_each(|contact| compact::put_contact(&contact, &mut out));
    assert_eq!(out, whole(compact::NODE6_LEN));
    out.clear();
    compact::peers4(bytes).for_each(|peer| compact::put_addr(&peer, &mut out));
    assert_eq!(out, whole(compact::PEER4_LEN));
    out.clear();
    compact::peers6(bytes).for_each(|peer| compact::put_addr(&peer, &mut out));
    assert_eq!(out, whole(compact::PEER6_LEN));
}

/// uTP packets: what was read can be written again, and says the same; what begins as none is none.
pub fn utp(bytes: &[u8]) {
    let Ok(packet) = Packet::decode(bytes) else {
        return;
    };
    assert!(crate::utp::begins(bytes));
    let told = packet.sack.received().inspect(|&behind| assert!(behind >= 2)).count();
    assert!(told <= packet.sack.mask().len() * 8 && packet.payload.len() < bytes.len());
    // What is written is never longer than 252 bytes of mask.
    if packet.sack.mask().len() > 252 {
        return;
    }
    let mut out = Vec::new();
    packet.header.encode(packet.sack.mask(), &mut out);
    out.extend_from_slice(packet.payload);
    assert_eq!(Packet::decode(&out), Ok(packet), "what is written reads back");
}
