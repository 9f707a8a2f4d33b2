//! The same work by two general decoders.

use bt_bencode::Value;
use serde::Deserialize;
use serde_bytes::{ByteBuf, Bytes};
use wire::compact;

use crate::samples;

/// The keys that the samples use; `B` is a string, borrowed or owned.
#[derive(Deserialize)]
struct Datagram<B> {
    t: B,
    y: B,
    v: Option<B>,
    ip: Option<B>,
    q: Option<B>,
    a: Option<Arguments<B>>,
    r: Option<Returned<B>>,
    e: Option<(i64, B)>,
}

#[derive(Deserialize)]
struct Arguments<B> {
    id: B,
    target: Option<B>,
    info_hash: Option<B>,
}

#[derive(Deserialize)]
struct Returned<B> {
    id: B,
    nodes: Option<B>,
    nodes6: Option<B>,
    values: Option<Vec<B>>,
    token: Option<B>,
    samples: Option<B>,
    num: Option<i64>,
    interval: Option<i64>,
}

pub(crate) fn bt_bencode(bytes: &[u8]) -> u64 {
    let datagram: Datagram<&Bytes> = bt_bencode::from_slice(bytes).expect("samples are sound");
    read(&datagram, |bytes| bytes)
}

/// The same decoder without a struct, into its tree of values, from which the keys are looked up.
pub(crate) fn bt_bencode_value(bytes: &[u8]) -> u64 {
    let tree: Value = bt_bencode::from_slice(bytes).expect("samples are sound");
    let datagram = Datagram {
        t: text(&tree, "t").unwrap_or_default(),
        y: text(&tree, "y").unwrap_or_default(),
        v: text(&tree, "v"),
        ip: text(&tree, "ip"),
        q: text(&tree, "q"),
        a: tree.get("a").map(|asked| Arguments {
            id: text(asked, "id").unwrap_or_default(),
            target: text(asked, "target"),
            info_hash: text(asked, "info_hash"),
        }),
        r: tree.get("r").map(|reply| Returned {
            id: text(reply, "id").unwrap_or_default(),
            nodes: text(reply, "nodes"),
            nodes6: text(reply, "nodes6"),
            values: reply
                .get("values")
                .and_then(Value::as_list)
                .map(|list| list.iter().filter_map(string).collect()),
            token: text(reply, "token"),
            samples: text(reply, "samples"),
            num: reply.get("num").and_then(number),
            interval: reply.get("interval").and_then(number),
        }),
        e: tree
            .get("e")
            .and_then(|error| Some((number(error.get(0)?)?, string(error.get(1)?)?))),
    };
    read(&datagram, |bytes| bytes)
}

fn text<'a>(dict: &'a Value, key: &str) -> Option<&'a [u8]> {
    dict.get(key).and_then(string)
}

fn number(value: &Value) -> Option<i64> {
    value.as_u64().and_then(|number| number.try_into().ok())
}

fn string(value: &Value) -> Option<&[u8]> {
    value.as_byte_str().map(|text| text.as_ref())
}

pub(crate) fn serde_bencode(bytes: &[u8]) -> u64 {
    let datagram: Datagram<ByteBuf> = serde_bencode::from_bytes(bytes).expect("samples are sound");
    read(&datagram, |bytes| bytes.as_slice())
}

fn read<B>(datagram: &Datagram<B>, bytes: fn(&B) -> &[u8]) -> u64 {
    let transaction = bytes(&datagram.t);
    let ip = datagram.ip.as_ref().and_then(|ip| compact::peer(bytes(ip)));
    let header = samples::envelope(transaction, datagram.v.as_ref().map(bytes), ip);
    header
        + match bytes(&datagram.y) {
            b"q" => datagram.a.as_ref().map_or(0, |asked| {
                assert!(datagram.q.as_ref().is_some_and(|name| bytes(name) == b"get_peers"));
                let target = asked.info_hash.as_ref().or(asked.target.as_ref());
                samples::id(bytes(&asked.id)) + target.map_or(0, |target| samples::id(bytes(target)))
            }),
            b"r" => datagram.r.as_ref().map_or(0, |reply| returned(reply, bytes)),
            _ => datagram
                .e
                .as_ref()
                .map_or(0, |(code, text)| *code as u64 + bytes(text).len() as u64),
        }
}

fn returned<B>(reply: &Returned<B>, bytes: fn(&B) -> &[u8]) -> u64 {
    let nodes = compact::nodes4(reply.nodes.as_ref().map_or(&[], bytes));
    let nodes6 = compact::nodes6(reply.nodes6.as_ref().map_or(&[], bytes));
    let contacts: u64 = nodes.chain(nodes6).map(|contact| samples::contact(&contact)).sum();
    let peers = reply
        .values
        .iter()
        .flatten()
        .filter_map(|peer| compact::peer(bytes(peer)));
    let peers: u64 = peers.map(|peer| samples::addr(&peer)).sum();
    let hashes: &[u8] = reply.samples.as_ref().map_or(&[], bytes);
    let hashes: u64 = hashes.chunks_exact(20).map(samples::id).sum();
    let token = reply.token.as_ref().map_or(0, |token| bytes(token).len() as u64);
    let numbers = reply.num.unwrap_or_default() + reply.interval.unwrap_or_default();
    samples::id(bytes(&reply.id)) + contacts + peers + hashes + token + numbers as u64
}
