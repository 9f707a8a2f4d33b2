//! Messages to bytes, keys in canonical order, without an allocation.

use std::net::SocketAddr;

use super::query::Arguments;
use super::{Body, Message, Query, Reply, Want};
use crate::bencode::Encoder;
use crate::compact;

impl Message<'_> {
    /// Appends the message as canonical bencode. Raw values (`v` of BEP 44) are trusted to be bencode.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let to = &mut Encoder::new(out);
        to.begin_dict();
        match &self.body {
            Body::Query(query) => write_arguments(to, query),
            Body::Error { code, text } => {
                to.key(b"e").begin_list().int(*code).bytes(text).end();
            }
            Body::Reply(_) => {}
        }
        if let Some(ip) = &self.ip {
            to.key(b"ip");
            write_addr(to, ip);
        }
        match &self.body {
            Body::Query(query) => {
                to.key(b"q").bytes(query.method.name());
            }
            Body::Reply(reply) => write_reply(to, reply),
            Body::Error { .. } => {}
        }
        if self.read_only {
            to.key(b"ro").int(1);
        }
        to.key(b"t").bytes(self.transaction);
        bytes(to, b"v", self.version);
        let kind = match self.body {
            Body::Query(_) => b"q",
            Body::Reply(_) => b"r",
            Body::Error { .. } => b"e",
        };
        to.key(b"y").bytes(kind).end();
    }
}

fn write_arguments(to: &mut Encoder<'_>, query: &Query<'_>) {
    let arguments = Arguments::from(query);
    to.key(b"a").begin_dict();
    int(to, b"cas", arguments.cas);
    bytes(to, b"id", arguments.id);
    flag(to, b"implied_port", arguments.implied_port);
    bytes(to, b"info_hash", arguments.info_hash);
    bytes(to, b"k", arguments.k);
    bytes(to, b"n", arguments.name);
    flag(to, b"noseed", arguments.noseed);
    int(to, b"port", arguments.port);
    bytes(to, b"salt", arguments.salt);
    flag(to, b"scrape", arguments.scrape);
    flag(to, b"seed", arguments.seed);
    int(to, b"seq", arguments.seq);
    bytes(to, b"sig", arguments.sig);
    bytes(to, b"target", arguments.target);
    bytes(to, b"token", arguments.token);
    raw(to, b"v", arguments.v);
    if arguments.want != Want::default() {
        to.key(b"want").begin_list();
        if arguments.want.n4 {
            to.bytes(b"n4");
        }
        if arguments.want.n6 {
            to.bytes(b"n6");
        }
        to.end();
    }
    to.end();
}

fn write_reply(to: &mut Encoder<'_>, reply: &Reply<'_>) {
    let present = |nodes| Some(nodes).filter(|nodes: &&[u8]| !nodes.is_empty());
    to.key(b"r").begin_dict();
    bytes(to, b"BFpe", reply.bloom_peers.map(|filter| filter.as_slice()));
    bytes(to, b"BFsd", reply.bloom_seeds.map(|filter| filter.as_slice()));
    bytes(to, b"id", Some(reply.id.as_bytes()));
    int(to, b"interval", reply.interval);
    bytes(to, b"k", reply.k.map(|key| key.as_slice()));
    bytes(to, b"n", reply.name);
    bytes(to, b"nodes", present(reply.nodes));
    bytes(to, b"nodes6", present(reply.nodes6));
    int(to, b"num", reply.num);
    int(to, b"p", reply.port.map(i64::from));
    bytes(to, b"samples", reply.samples);
    int(to, b"seq", reply.seq);
    bytes(to, b"sig", reply.sig.map(|signature| signature.as_slice()));
    bytes(to, b"token", reply.token);
    raw(to, b"v", reply.v);
    if reply.values.is_present() {
        to.key(b"values").begin_list();
        for peer in reply.values {
            write_addr(to, &peer);
        }
        to.end();
    }
    to.end();
}

fn write_addr(to: &mut Encoder<'_>, addr: &SocketAddr) {
    match compact::packed(addr, &mut [0; compact::PEER6_LEN]) {
        // A popular torrent's reply holds a hundred of these: one copy each instead of two.
        &[a, b, c, d, high, low] => to.raw(&[b'6', b':', a, b, c, d, high, low]),
        other => to.bytes(other),
    };
}

#[inline]
fn bytes(to: &mut Encoder<'_>, key: &[u8], value: Option<&[u8]>) {
    if let Some(value) = value {
        to.key(key).bytes(value);
    }
}

#[inline]
fn int(to: &mut Encoder<'_>, key: &[u8], value: Option<i64>) {
    if let Some(value) = value {
        to.key(key).int(value);
    }
}

#[inline]
fn flag(to: &mut Encoder<'_>, key: &[u8], value: bool) {
    int(to, key, value.then_some(1));
}

#[inline]
fn raw(to: &mut Encoder<'_>, key: &[u8], value: Option<&[u8]>) {
    if let Some(value) = value {
        to.key(key).raw(value);
    }
}
