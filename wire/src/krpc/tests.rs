//! Messages as the BEPs and real clients write them.

use std::net::{IpAddr, SocketAddr};

use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::bloom;
use crate::compact::{self, Contact};
use crate::{InfoHash, NodeId};

/// The id of BEP 5's examples.
const ASKER: NodeId = NodeId::new(*b"abcdefghij0123456789");
const TARGET: NodeId = NodeId::new(*b"mnopqrstuvwxyz123456");
const TORRENT: InfoHash = InfoHash::new(*b"mnopqrstuvwxyz123456");

fn decode(text: &[u8]) -> Message<'_> {
    Message::decode(text).unwrap()
}

fn query<'a>(method: Method<'a>) -> Message<'a> {
    let want = Want::default();
    let id = ASKER;
    Message::new(b"aa", Body::Query(Query { id, method, want }))
}

fn reply(text: &[u8]) -> Reply<'_> {
    match decode(text).body {
        Body::Reply(reply) => reply,
        other => panic!("{other:?}"),
    }
}

/// Both ways: this text says this message, and this message is written so.
fn check(text: &[u8], message: Message<'_>) {
    assert_eq!(Message::decode(text), Ok(message), "{}", text.escape_ascii());
    let mut out = Vec::new();
    message.encode(&mut out);
    assert_eq!(out.escape_ascii().to_string(), text.escape_ascii().to_string());
}

fn refused(text: &[u8], with: KrpcError) {
    assert_eq!(Message::decode(text), Err(with), "{}", text.escape_ascii());
}

#[test]
fn queries_of_bep_5() {
    check(
        b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe",
        query(Method::Ping),
    );
    check(
        b"d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e1:q9:find_node1:t2:aa1:y1:qe",
        query(Method::FindNode { target: TARGET }),
    );
    check(
        b"d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e1:q9:get_peers1:t2:aa1:y1:qe",
        query(Method::GetPeers {
            info_hash: TORRENT,
            noseed: false,
            scrape: false,
        }),
    );
    check(
        b"d1:ad2:id20:abcdefghij012345678912:implied_porti1e9:info_hash20:mnopqrstuvwxyz1234564:porti6881e\
          5:token8:aoeusnthe1:q13:announce_peer1:t2:aa1:y1:qe",
        query(Method::AnnouncePeer {
            info_hash: TORRENT,
            port: 6881,
            implied_port: true,
            token: b"aoeusnth",
            name: None,
            seed: false,
        }),
    );
}

#[test]
fn errors_of_bep_5() {
    let body = Body::Error {
        code: error_code::GENERIC,
        text: b"A Generic Error Ocurred",
    };
    check(
        b"d1:eli201e23:A Generic Error Ocurrede1:t2:aa1:y1:ee",
        Message::new(b"aa", body),
    );
}

#[test]
fn values_of_both_families_are_read_and_written() {
    let peers: [SocketAddr; 2] = [
        "97.98.99.100:25958".parse().unwrap(),
        "[6161::7a]:25958".parse().unwrap(),
    ];
    let answer = Reply {
        token: Some(b"tok"),
        values: Values::from(&peers[..]),
        ..Reply::new(ASKER)
    };
    check(
        b"d1:rd2:id20:abcdefghij01234567895:token3:tok6:valuesl6:abcdef18:aa\0\0\0\0\0\0\0\0\0\0\0\0\0zefee1:t2:aa1:y1:re",
        Message::new(b"aa", Body::Reply(answer)),
    );
}

#[test]
fn a_find_node_reply_names_contacts_and_drops_a_ragged_tail() {
    let contact = Contact {
        id: ASKER,
        addr: "1.2.3.4:5".parse().unwrap(),
    };
    let contact6 = Contact {
        id: TARGET,
        addr: "[2001:db8::1]:6".parse().unwrap(),
    };
    let (mut nodes, mut nodes6) = (Vec::new(), Vec::new());
    compact::put_contact(&contact, &mut nodes);
    compact::put_contact(&contact6, &mut nodes6);
    nodes.push(7);
    let answer = Reply {
        nodes: &nodes,
        nodes6: &nodes6,
        ..Reply::new(TARGET)
    };
    let mut out = Vec::new();
    Message::new(b"1", Body::Reply(answer)).encode(&mut out);
    let answer = reply(&out);
    assert_eq!(answer.nodes.len(), 27);
    assert_eq!(answer.contacts().collect::<Vec<_>>(), [contact, contact6]);
}

#[test]
fn want_of_bep_32_is_a_list_or_a_lone_string() {
    let target = TARGET;
    let want = Want { n4: true, n6: true };
    let message = query(Method::FindNode { target });
    let Body::Query(asked) = message.body else { panic!() };
    let body = Body::Query(Query { want, ..asked });
    check(
        b"d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz1234564:wantl2:n42:n6ee\
          1:q9:find_node1:t2:aa1:y1:qe",
        Message { body, ..message },
    );
    let lone = b"d1:ad2:id20:abcdefghij01234567894:want2:n6e1:q4:ping1:t2:aa1:y1:qe";
    let Body::Query(asked) = decode(lone).body else {
        panic!()
    };
    assert_eq!(asked.want, Want { n4: false, n6: true });
}

#[test]
fn a_scrape_of_bep_33_has_two_filters_and_tolerates_the_key_of_mldht() {
    check(
        b"d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz1234566:noseedi1e6:scrapei1ee\
          1:q9:get_peers1:t2:aa1:y1:qe",
        query(Method::GetPeers {
            info_hash: TORRENT,
            noseed: true,
            scrape: true,
        }),
    );
    let (seeds, peers) = ([1; bloom::LEN], [2; bloom::LEN]);
    let message = Message::new(
        b"aa",
        Body::Reply(Reply {
            bloom_seeds: Some(&seeds),
            bloom_peers: Some(&peers),
            ..Reply::new(ASKER)
        }),
    );
    let mut out = Vec::new();
    message.encode(&mut out);
    assert_eq!(decode(&out), message);
    let at = out.windows(4).position(|key| key == b"BFsd").unwrap();
    out[at..at + 4].copy_from_slice(b"BFse");
    assert_eq!(decode(&out), message);
    // A filter of another length is none.
    assert_eq!(
        reply(b"d1:rd4:BFsd3:abc2:id20:abcdefghij0123456789e1:t1:11:y1:re").bloom_seeds,
        None
    );
}

#[test]
fn the_envelope_carries_ip_ro_and_version() {
    let message = Message {
        version: Some(b"LT\x01\x02"),
        read_only: true,
        ip: Some("1.2.3.4:258".parse().unwrap()),
        ..query(Method::Ping)
    };
    check(
        b"d1:ad2:id20:abcdefghij0123456789e2:ip6:\x01\x02\x03\x04\x01\x021:q4:ping2:roi1e1:t2:aa1:v4:LT\x01\x021:y1:qe",
        message,
    );
}

#[test]
fn items_of_bep_44_keep_their_raw_value() {
    let target = TARGET;
    check(
        b"d1:ad2:id20:abcdefghij01234567893:seqi4e6:target20:mnopqrstuvwxyz123456e1:q3:get1:t2:aa1:y1:qe",
        query(Method::Get { target, seq: Some(4) }),
    );
    let (k, sig) = ([b'k'; 32], [b's'; 64]);
    let put = Method::Put {
        token: b"tok",
        v: b"d1:bi1e1:ai2ee",
        k: Some(&k),
        sig: Some(&sig),
        seq: Some(1),
        salt: Some(b"salt"),
        cas: Some(-1),
    };
    let text = format!(
        "d1:ad3:casi-1e2:id20:abcdefghij01234567891:k32:{}4:salt4:salt3:seqi1e3:sig64:{}5:token3:tok\
         1:vd1:bi1e1:ai2eee1:q3:put1:t2:aa1:y1:qe",
        "k".repeat(32),
        "s".repeat(64)
    );
    check(text.as_bytes(), query(put));

    let got = Reply {
        k: Some(&k),
        sig: Some(&sig),
        seq: Some(1),
        v: Some(b"12:Hello World!"),
        ..Reply::new(ASKER)
    };
    let mut out = Vec::new();
    Message::new(b"aa", Body::Reply(got)).encode(&mut out);
    assert_eq!(reply(&out), got);
}

#[test]
fn a_put_whose_key_has_a_wrong_length_is_no_immutable_put() {
    refused(
        b"d1:ad2:id20:abcdefghij01234567891:k3:abc5:token1:t1:vi1ee1:q3:put1:t2:aa1:y1:qe",
        KrpcError::BadItem,
    );
    refused(
        b"d1:ad2:id20:abcdefghij01234567893:sig3:abc5:token1:t1:vi1ee1:q3:put1:t2:aa1:y1:qe",
        KrpcError::BadItem,
    );
    refused(
        b"d1:ad2:id20:abcdefghij01234567895:token1:te1:q3:put1:t2:aa1:y1:qe",
        KrpcError::BadItem,
    );
}

#[test]
fn samples_of_bep_51() {
    check(
        b"d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e1:q17:sample_infohashes1:t2:aa1:y1:qe",
        query(Method::SampleInfohashes { target: TARGET }),
    );
    let text = b"d1:rd2:id20:abcdefghij01234567898:intervali21600e5:nodes0:3:numi70000e\
                 7:samples45:mnopqrstuvwxyz123456abcdefghij0123456789extrae1:t2:aa1:y1:re";
    let answer = reply(text);
    assert_eq!((answer.num, answer.interval), (Some(70_000), Some(21_600)));
    assert_eq!(
        answer.samples().collect::<Vec<_>>(),
        [TORRENT, InfoHash::new(*b"abcdefghij0123456789")]
    );
    assert_eq!(
        reply(b"d1:rd2:id20:abcdefghij01234567897:samples0:e1:t1:11:y1:re").samples,
        Some(&b""[..])
    );
}

#[test]
fn values_are_found_in_each_form_that_nodes_send() {
    let peer: SocketAddr = "97.98.99.100:25958".parse().unwrap();
    let peer6: SocketAddr = "[6161::7a]:25958".parse().unwrap();
    let values = |value: &[u8]| {
        let mut text = b"d1:rd2:id20:abcdefghij01234567896:values".to_vec();
        text.extend_from_slice(value);
        text.extend_from_slice(b"e1:t2:aa1:y1:re");
        let values = reply(&text).values;
        (values.is_present(), values.iter().collect::<Vec<_>>())
    };
    assert_eq!(values(b"le"), (true, vec![]));
    assert_eq!(values(b"l6:abcdef6:abcdefe"), (true, vec![peer; 2]));
    // Everything in one entry, and that entry without a list.
    assert_eq!(values(b"l12:abcdefabcdefe"), (true, vec![peer; 2]));
    assert_eq!(values(b"12:abcdefabcdef"), (true, vec![peer; 2]));
    // What is no peer is passed over: another length, another type, an empty string.
    assert_eq!(values(b"l7:abcdefgi5eld1:ai1eee0:6:abcdefe"), (true, vec![peer]));
    assert_eq!(
        values(b"l18:aa\0\0\0\0\0\0\0\0\0\0\0\0\0zef6:abcdefe"),
        (true, vec![peer6, peer])
    );
    assert_eq!(values(b"i5e"), (false, vec![]));
    assert_eq!(values(b"d1:a6:abcdefe"), (false, vec![]));
}

#[test]
fn an_announce_needs_a_port_or_implies_it() {
    let port = |arguments: &str| {
        let text = format!(
            "d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz1234565:token1:t{arguments}e\
             1:q13:announce_peer1:t2:aa1:y1:qe"
        );
        Message::decode(text.as_bytes()).map(|message| match message.body {
            Body::Query(Query {
                method: Method::AnnouncePeer { port, implied_port, .. },
                ..
            }) => (port, implied_port),
            other => panic!("{other:?}"),
        })
    };
    assert_eq!(port("4:porti6881e"), Ok((6881, false)));
    assert_eq!(port("12:implied_porti1e4:porti6881e"), Ok((6881, true)));
    assert_eq!(port("12:implied_porti1e"), Ok((0, true)));
    assert_eq!(port("12:implied_porti1e4:porti-1e"), Ok((0, true)));
    for arguments in ["", "4:porti0e", "4:porti65536e", "4:porti-1e", "4:port4:6881"] {
        assert_eq!(port(arguments), Err(KrpcError::BadPort), "{arguments}");
    }
}

#[test]
fn an_unknown_method_keeps_what_it_aims_at() {
    let text = b"d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e1:q4:vote1:t2:aa1:y1:qe";
    let Body::Query(asked) = decode(text).body else {
        panic!()
    };
    let target = Some(TARGET);
    assert_eq!(asked.method, Method::Unknown { name: b"vote", target });
}

#[test]
fn the_network_is_forgiven() {
    // Unsorted, with unknown keys that nest, with a version that is a number, with bytes after the message.
    let text = b"d1:y1:r1:zd1:al1:bee1:vi5e2:ip3:abc1:t0:1:rd7:unknownld1:ai1eee5:nodesi5e\
                 2:id20:abcdefghij01234567892:id20:mnopqrstuvwxyz123456ee\0\0";
    let expected = Message::new(b"", Body::Reply(Reply::new(TARGET)));
    assert_eq!(decode(text), expected);
    // Both a reply and an error: `y` decides.
    let both = b"d1:eli201e4:busye1:rd2:id20:abcdefghij0123456789e1:t1:11:y1:re";
    assert_eq!(decode(both).body, Body::Reply(Reply::new(ASKER)));
}

#[test]
fn an_error_counts_however_it_is_told() {
    let error = |value: &str| {
        let text = format!("d{value}1:t1:11:y1:ee");
        match Message::decode(text.as_bytes()).unwrap().body {
            Body::Error { code, text } => (code, String::from_utf8(text.to_vec()).unwrap()),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(error("1:eli203e3:bade"), (203, "bad".into()));
    assert_eq!(error("1:el3:badi203ee"), (203, "bad".into()));
    assert_eq!(error("1:eli204ee"), (204, String::new()));
    assert_eq!(error("1:e3:bad"), (0, "bad".into()));
    assert_eq!(error("1:ei202e"), (202, String::new()));
    assert_eq!(error("1:ede"), (0, String::new()));
    assert_eq!(error(""), (0, String::new()));
}

#[test]
fn each_refusal_has_its_reason() {
    refused(b"", KrpcError::Bencode);
    refused(b"d1:t1:1", KrpcError::Bencode);
    refused(b"\x17\xfe\xfd\x00", KrpcError::Bencode);
    refused(b"li1ee", KrpcError::NotDict);
    refused(b"4:spam", KrpcError::NotDict);
    refused(b"de", KrpcError::NoTransaction);
    refused(b"d1:ti5e1:y1:qe", KrpcError::NoTransaction);
    refused(b"d1:t1:1e", KrpcError::NoKind);
    refused(b"d1:t1:11:y1:xe", KrpcError::NoKind);
    refused(b"d1:t1:11:y1:re", KrpcError::NoBody);
    refused(b"d1:rle1:t1:11:y1:re", KrpcError::NoBody);
    refused(b"d1:q4:ping1:t1:11:y1:qe", KrpcError::NoBody);
    refused(b"d1:ade1:t1:11:y1:qe", KrpcError::NoMethod);
    refused(b"d1:ade1:q4:ping1:t1:11:y1:qe", KrpcError::NoId);
    refused(b"d1:ad2:idi5ee1:q4:ping1:t1:11:y1:qe", KrpcError::NoId);
    refused(b"d1:ad2:id3:abce1:q4:ping1:t1:11:y1:qe", KrpcError::BadId);
    refused(b"d1:rde1:t1:11:y1:re", KrpcError::NoId);
    refused(b"d1:rd2:id21:abcdefghij0123456789xe1:t1:11:y1:re", KrpcError::BadId);
    let asks = |method: &str| format!("d1:ad2:id20:abcdefghij01234567896:target3:abce1:q{method}1:t1:11:y1:qe");
    for method in [
        "9:find_node",
        "9:get_peers",
        "17:sample_infohashes",
        "3:get",
        "13:announce_peer",
    ] {
        refused(asks(method).as_bytes(), KrpcError::BadTarget);
    }
    refused(
        b"d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz1234564:porti1ee1:q13:announce_peer1:t1:11:y1:qe",
        KrpcError::NoToken,
    );
}

#[test]
fn a_transaction_may_be_empty_but_not_long() {
    let sized = |length: usize| format!("d1:eli201e0:e1:t{length}:{}1:y1:ee", "t".repeat(length));
    assert_eq!(decode(sized(0).as_bytes()).transaction, b"");
    assert_eq!(decode(sized(MAX_TRANSACTION_LEN).as_bytes()).transaction.len(), 64);
    refused(sized(MAX_TRANSACTION_LEN + 1).as_bytes(), KrpcError::LongTransaction);
}

#[test]
fn the_transaction_of_an_unsound_query_can_be_answered() {
    let bad = b"d1:ad2:id3:abce1:q4:ping1:t2:xy1:y1:qe";
    assert!(Message::decode(bad).is_err());
    assert_eq!(query_transaction(bad), Some(&b"xy"[..]));
    assert_eq!(query_transaction(b"d1:rd2:id3:abce1:t2:xy1:y1:re"), None);
    assert_eq!(query_transaction(b"d1:y1:qe"), None);
    assert_eq!(query_transaction(b"spam"), None);
}

#[test]
fn depth_and_number_of_tokens_are_bounded() {
    let deep = format!("d1:x{}{}1:t1:1e", "l".repeat(10_000), "e".repeat(10_000));
    refused(deep.as_bytes(), KrpcError::Bencode);
    let many = format!("d1:xl{}e1:t1:1e", "0:".repeat(2_000));
    refused(many.as_bytes(), KrpcError::Bencode);
}

#[test]
fn reasons_count_from_zero_and_have_distinct_labels() {
    for (at, reason) in KrpcError::ALL.into_iter().enumerate() {
        assert_eq!(reason as usize, at);
        assert!(KrpcError::ALL[..at].iter().all(|other| other.label() != reason.label()));
    }
}

/// What a message of any kind is made of.
#[derive(Clone, Debug)]
struct Parts {
    kind: u8,
    ids: [[u8; 20]; 2],
    texts: [Vec<u8>; 4],
    maybe: Option<Vec<u8>>,
    numbers: [Option<i64>; 3],
    flags: [bool; 4],
    addrs: Vec<SocketAddr>,
    port: u16,
}

impl Parts {
    fn message(&self) -> Message<'_> {
        let [first, second] = self.ids;
        let [flag, other, n4, n6] = self.flags;
        let [transaction, ..] = &self.texts;
        let want = Want { n4, n6 };
        let id = NodeId::new(first);
        let body = match self.kind {
            0 => Body::Error {
                code: self.numbers[0].unwrap_or_default(),
                text: &self.texts[1],
            },
            1 => Body::Reply(self.reply(id)),
            _ => Body::Query(Query {
                id,
                method: self.method(second),
                want,
            }),
        };
        Message {
            transaction,
            version: self.maybe.as_deref(),
            read_only: flag ^ other,
            ip: self.addrs.first().copied(),
            body,
        }
    }

    fn reply(&self, id: NodeId) -> Reply<'_> {
        let [number, num, seq] = self.numbers;
        let [_, nodes, nodes6, samples] = &self.texts;
        Reply {
            nodes,
            nodes6,
            values: if self.flags[0] {
                Values::from(&self.addrs[..])
            } else {
                Values::ABSENT
            },
            token: self.maybe.as_deref(),
            samples: self.flags[1].then_some(samples),
            num,
            interval: number,
            port: self.flags[2].then_some(self.port),
            seq,
            v: self.flags[3].then_some(b"ld1:bi1e1:ai2eee"),
            ..Reply::new(id)
        }
    }

    fn method(&self, target: [u8; 20]) -> Method<'_> {
        let [first, second, third] = self.numbers;
        let [_, token, name, _] = &self.texts;
        let [flag, other, ..] = self.flags;
        let (target, info_hash) = (NodeId::new(target), InfoHash::new(target));
        match self.kind {
            2 => Method::Ping,
            3 => Method::FindNode { target },
            4 => Method::GetPeers {
                info_hash,
                noseed: flag,
                scrape: other,
            },
            5 => Method::AnnouncePeer {
                info_hash,
                port: self.port,
                implied_port: flag || self.port == 0,
                token,
                name: self.maybe.as_deref(),
                seed: other,
            },
            6 => Method::SampleInfohashes { target },
            7 => Method::Get { target, seq: first },
            8 => Method::Put {
                token,
                v: b"4:spam",
                k: None,
                sig: None,
                seq: second,
                salt: self.maybe.as_deref(),
                cas: third,
            },
            _ => Method::Unknown {
                name,
                target: flag.then_some(target),
            },
        }
    }
}

fn parts() -> impl Strategy<Value = Parts> {
    let texts = prop::array::uniform4(prop::collection::vec(any::<u8>(), 0..=MAX_TRANSACTION_LEN));
    let maybe = option::of(prop::collection::vec(any::<u8>(), 0..120));
    let addr = (any::<IpAddr>(), any::<u16>()).prop_map(SocketAddr::from);
    (
        (0..10_u8, any::<[[u8; 20]; 2]>(), texts, maybe),
        any::<[Option<i64>; 3]>(),
        any::<[bool; 4]>(),
        prop::collection::vec(addr, 0..8),
        any::<u16>(),
    )
        .prop_map(|((kind, ids, texts, maybe), numbers, flags, addrs, port)| Parts {
            kind,
            ids,
            texts,
            maybe,
            numbers,
            flags,
            addrs,
            port,
        })
}

proptest! {
    #[test]
    fn what_is_written_reads_back(parts in parts()) {
        let message = parts.message();
        let mut out = Vec::new();
        message.encode(&mut out);
        prop_assert_eq!(Message::decode(&out), Ok(message));
        crate::fuzz::krpc(&out);
    }

    #[test]
    fn a_truncated_message_is_not_bencode(parts in parts(), at in any::<prop::sample::Index>()) {
        let mut out = Vec::new();
        parts.message().encode(&mut out);
        out.truncate(at.index(out.len()));
        prop_assert_eq!(Message::decode(&out), Err(KrpcError::Bencode));
    }

    #[test]
    fn a_changed_byte_never_panics(parts in parts(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut out = Vec::new();
        parts.message().encode(&mut out);
        let at = at.index(out.len());
        out[at] = byte;
        crate::fuzz::krpc(&out);
    }

    #[test]
    fn any_bytes_are_a_message_or_a_reason(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        crate::fuzz::krpc(&bytes);
        crate::fuzz::compact(&bytes);
    }
}
