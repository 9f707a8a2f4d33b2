//! Each question, asked as others ask it, and its answer, read as others read it.

use proptest::prelude::*;
use wire::bloom::Bloom;
use wire::krpc::Want;

use super::*;
use crate::Few;

const US: NodeId = NodeId::new([1; 20]);
const THEM: NodeId = NodeId::new([2; 20]);

/// Eight nodes of each family, wherever one looks.
struct Neighbours;

impl Closest for Neighbours {
    fn closest(&self, _: &NodeId, family: Family) -> Few {
        let addr = |number: u8| match family {
            Family::V4 => SocketAddr::from(([9, 9, 9, number], 6881)),
            Family::V6 => SocketAddr::from(([0x2600, 0, 0, 0, 0, 0, 0, u16::from(number)], 6881)),
        };
        let contact = |number| Contact {
            id: NodeId::new([number; 20]),
            addr: addr(number),
        };
        (10..18).map(contact).collect()
    }
}

fn config() -> Config {
    Config {
        store: peer_store::Config {
            max_keys: 100,
            max_peers_per_key: 500,
            expiry: Duration::from_secs(2700),
        },
        max_peers_reply: 50,
        sample_interval: Duration::from_secs(21_600),
        whole_interval: Duration::from_secs(300),
    }
}

/// A node and the time that passes for it.
struct Node {
    responder: Responder,
    now: Time,
    heard: Heard,
    out: Vec<u8>,
}

/// A question without anything special.
fn plain(method: Method<'_>) -> Query<'_> {
    Query {
        id: THEM,
        method,
        want: Want::default(),
    }
}

fn get_peers<'a>(info_hash: InfoHash) -> Query<'a> {
    plain(Method::GetPeers {
        info_hash,
        noseed: false,
        scrape: false,
    })
}

fn scrape<'a>(info_hash: InfoHash) -> Query<'a> {
    plain(Method::GetPeers {
        info_hash,
        noseed: false,
        scrape: true,
    })
}

fn announce(info_hash: InfoHash, token: &[u8]) -> Query<'_> {
    plain(Method::AnnouncePeer {
        info_hash,
        port: 7000,
        implied_port: false,
        token,
        name: None,
        seed: false,
    })
}

fn sample<'a>() -> Query<'a> {
    plain(Method::SampleInfohashes { target: US })
}

fn key(number: u8) -> InfoHash {
    InfoHash::new([number; 20])
}

fn asker(number: u16) -> SocketAddr {
    let [high, low] = number.to_be_bytes();
    SocketAddr::from(([8, 8, high, low], 6000))
}

fn asker6() -> SocketAddr {
    "[2600::77]:6000".parse().unwrap()
}

impl Node {
    fn new() -> Self {
        Self::with(config())
    }

    fn with(config: Config) -> Self {
        Self {
            responder: Responder::new(config, Seed::from_number(1)),
            now: Time::ZERO,
            heard: Heard::Nothing,
            out: Vec::new(),
        }
    }

    fn ask(&mut self, from: SocketAddr, query: &Query<'_>) -> Body<'_> {
        let our = OurSide {
            id: US,
            version: b"ES01",
            nodes: &Neighbours,
        };
        self.out.clear();
        self.heard = self.responder.answer(self.now, from, b"aa", query, &our, &mut self.out);
        assert!(self.out.len() <= 1200, "{} bytes", self.out.len());
        let message = Message::decode(&self.out).unwrap();
        assert_eq!(message.transaction, b"aa");
        assert_eq!(message.version, Some(&b"ES01"[..]));
        assert_eq!(message.ip, Some(from));
        message.body
    }

    fn reply(&mut self, from: SocketAddr, query: &Query<'_>) -> Reply<'_> {
        match self.ask(from, query) {
            Body::Reply(reply) => reply,
            other => panic!("{other:?}"),
        }
    }

    fn error(&mut self, from: SocketAddr, query: &Query<'_>) -> i64 {
        match self.ask(from, query) {
            Body::Error { code, .. } => code,
            other => panic!("{other:?}"),
        }
    }

    fn token(&mut self, from: SocketAddr, info_hash: InfoHash) -> Vec<u8> {
        self.reply(from, &get_peers(info_hash)).token.unwrap().to_vec()
    }

    /// Gets a token and announces with it.
    fn announce(&mut self, from: SocketAddr, info_hash: InfoHash) {
        let token = self.token(from, info_hash);
        self.reply(from, &announce(info_hash, &token));
    }
}

#[test]
fn ping_is_answered_with_our_id_and_nothing_else() {
    assert_eq!(Node::new().reply(asker(1), &plain(Method::Ping)), Reply::new(US));
}

#[test]
fn find_node_names_nodes_of_the_askers_family() {
    let query = plain(Method::FindNode { target: THEM });
    let mut node = Node::new();
    let reply = node.reply(asker(1), &query);
    assert_eq!((reply.nodes.len(), reply.nodes6.len()), (8 * 26, 0));
    assert_eq!(reply.contacts().next().unwrap().addr, "9.9.9.10:6881".parse().unwrap());
    let reply = node.reply(asker6(), &query);
    assert_eq!((reply.nodes.len(), reply.nodes6.len()), (0, 8 * 38));
}

#[test]
fn find_node_names_nodes_of_the_families_that_are_wanted() {
    for (n4, n6) in [(true, false), (false, true), (true, true)] {
        for from in [asker(1), asker6()] {
            let query = Query {
                want: Want { n4, n6 },
                ..plain(Method::FindNode { target: THEM })
            };
            let mut node = Node::new();
            let reply = node.reply(from, &query);
            assert_eq!((!reply.nodes.is_empty(), !reply.nodes6.is_empty()), (n4, n6));
        }
    }
}

#[test]
fn get_peers_has_a_token_and_nodes_and_then_peers_too() {
    let mut node = Node::new();
    let reply = node.reply(asker(1), &get_peers(key(5)));
    assert!(reply.token.is_some() && !reply.nodes.is_empty() && !reply.values.is_present());
    node.announce(asker(2), key(5));
    let reply = node.reply(asker(1), &get_peers(key(5)));
    assert!(reply.token.is_some() && !reply.nodes.is_empty());
    assert_eq!(reply.peers().collect::<Vec<_>>(), ["8.8.0.2:7000".parse().unwrap()]);
}

#[test]
fn implied_port_is_that_of_the_datagram() {
    let mut node = Node::new();
    let token = node.token(asker(2), key(5));
    let query = plain(Method::AnnouncePeer {
        info_hash: key(5),
        port: 7000,
        implied_port: true,
        token: &token,
        name: Some(b"a name"),
        seed: true,
    });
    node.reply(asker(2), &query);
    let reply = node.reply(asker(1), &get_peers(key(5)));
    assert_eq!(reply.peers().collect::<Vec<_>>(), [asker(2)]);
    assert_eq!(reply.name, Some(&b"a name"[..]));
}

#[test]
fn the_families_have_stores_of_their_own() {
    let mut node = Node::new();
    node.announce(asker6(), key(5));
    assert!(!node.reply(asker(1), &get_peers(key(5))).values.is_present());
    assert_eq!(node.reply(asker6(), &get_peers(key(5))).peers().count(), 1);
    assert_eq!(node.responder.store(Family::V6).keys(), 1);
}

#[test]
fn a_reply_holds_max_peers_reply_and_not_always_the_same() {
    let mut node = Node::new();
    for number in 0..200 {
        node.announce(asker(number), key(5));
    }
    let mut shown = std::collections::BTreeSet::new();
    for _ in 0..30 {
        let reply = node.reply(asker(999), &get_peers(key(5)));
        assert_eq!(reply.peers().count(), 50);
        shown.extend(reply.peers());
    }
    assert!(shown.len() > 190, "{}", shown.len());
}

#[test]
fn a_token_of_another_address_or_an_old_one_is_error_203() {
    let mut node = Node::new();
    let token = node.token(asker(1), key(5));
    assert_eq!(node.error(asker(2), &announce(key(5), &token)), 203);
    node.now = Time::from_secs(601);
    assert_eq!(node.error(asker(1), &announce(key(5), &token)), 203);
    assert_eq!(node.responder.store(Family::V4).keys(), 0);
    assert_eq!(node.responder.served()[Served::BadToken], 2);
}

#[test]
fn the_infohash_of_zeros_is_neither_stored_nor_told() {
    let mut node = Node::new();
    assert_eq!(node.reply(asker(1), &get_peers(key(0))).token, None);
    assert_eq!(node.heard, Heard::Nothing);
    let token = node.token(asker(1), key(5));
    assert_eq!(node.error(asker(1), &announce(key(0), &token)), 203);
    assert_eq!(node.heard, Heard::Nothing);
}

#[test]
fn a_full_store_gives_no_token_for_new_infohashes_and_error_202() {
    let mut node = Node::new();
    let token = node.token(asker(1), key(200));
    for number in 1..=100 {
        node.announce(asker(1), key(number));
    }
    assert_eq!(node.reply(asker(1), &get_peers(key(200))).token, None);
    assert!(node.reply(asker(1), &get_peers(key(100))).token.is_some());
    assert_eq!(node.error(asker(1), &announce(key(200), &token)), 202);
}

#[test]
fn a_scrape_counts_seeds_and_others() {
    let mut node = Node::new();
    for number in 0..60 {
        let token = node.token(asker(number), key(5));
        let query = plain(Method::AnnouncePeer {
            info_hash: key(5),
            port: 7000,
            implied_port: false,
            token: &token,
            name: Some(&[b'x'; 100]),
            seed: number < 20,
        });
        node.reply(asker(number), &query);
    }
    let count = |bloom: Option<&[u8; 256]>| Bloom::from_bytes(*bloom.unwrap()).estimate().unwrap().round();
    let reply = node.reply(asker(99), &scrape(key(5)));
    assert_eq!(count(reply.bloom_seeds), 20.0);
    assert_eq!(count(reply.bloom_peers), 40.0);
    assert!(reply.values.is_present() && reply.token.is_some());
    assert_eq!(node.reply(asker(99), &scrape(key(6))).bloom_seeds, None);
}

#[test]
fn a_small_store_shows_all_it_has_at_once() {
    let mut node = Node::new();
    for number in 1..=20 {
        node.announce(asker(1), key(number));
        let reply = node.reply(asker(2), &sample());
        assert_eq!(reply.samples().len(), usize::from(number));
        assert_eq!((reply.num, reply.interval), (Some(i64::from(number)), Some(300)));
        assert!(!reply.nodes.is_empty());
    }
}

#[test]
fn an_empty_store_says_so() {
    let mut node = Node::new();
    let reply = node.reply(asker(2), &sample());
    assert_eq!((reply.samples, reply.num), (Some(&b""[..]), Some(0)));
}

#[test]
fn a_large_store_shows_a_sample_that_stays_for_its_interval() {
    let mut node = Node::new();
    let mut samples = Vec::new();
    for at in [0, 1000, 21_599, 21_600] {
        node.now = Time::from_secs(at);
        for number in 1..=90 {
            node.announce(asker(1), key(number));
        }
        let reply = node.reply(asker(2), &sample());
        assert_eq!(reply.num, Some(90));
        samples.push((reply.samples().collect::<Vec<_>>(), reply.interval.unwrap()));
    }
    let (first, last) = (samples[0].0.clone(), samples[3].0.clone());
    assert_eq!(first.len(), SAMPLE);
    assert_ne!(first, last);
    assert_eq!(
        samples,
        [
            (first.clone(), 21_600),
            (first.clone(), 20_600),
            (first, 1),
            (last, 21_600)
        ]
    );
}

#[test]
fn what_expired_is_not_sampled() {
    let mut node = Node::new();
    node.announce(asker(1), key(5));
    node.now = Time::from_secs(2700);
    let reply = node.reply(asker(2), &sample());
    assert_eq!((reply.samples().len(), reply.num), (0, Some(0)));
}

#[test]
fn get_of_bep_44_names_nodes_and_gives_no_token() {
    let mut node = Node::new();
    let reply = node.reply(asker(1), &plain(Method::Get { target: US, seq: None }));
    assert!(!reply.nodes.is_empty());
    assert_eq!((reply.token, reply.v), (None, None));
}

#[test]
fn what_we_do_not_serve_is_error_204() {
    let put = Method::Put {
        token: b"",
        v: b"1:x",
        k: None,
        sig: None,
        seq: None,
        salt: None,
        cas: None,
    };
    let vote = Method::Unknown {
        name: b"vote",
        target: Some(US),
    };
    for method in [put, vote] {
        assert_eq!(Node::new().error(asker(1), &plain(method)), 204);
    }
}

#[test]
fn what_cannot_be_read_is_error_203() {
    let mut node = Node::new();
    node.responder.answer_malformed(asker(1), b"aa", b"ES01", &mut node.out);
    let message = Message::decode(&node.out).unwrap();
    assert!(matches!(message.body, Body::Error { code: 203, .. }));
    assert_eq!(message.ip, Some(asker(1)));
}

#[test]
fn what_is_heard_is_told_with_its_source() {
    let mut node = Node::new();
    let sighting = |source| Sighting {
        info_hash: key(5),
        from: Contact {
            id: THEM,
            addr: asker(1),
        },
        source,
    };
    let token = node.token(asker(1), key(5));
    assert_eq!(node.heard, Heard::Sighting(sighting(Source::GetPeers)));
    node.reply(asker(1), &announce(key(5), &token));
    let expected = Heard::Announce {
        sighting: sighting(Source::Announce),
        peer: "8.8.0.1:7000".parse().unwrap(),
    };
    assert_eq!(node.heard, expected);
    node.error(asker(1), &announce(key(5), b"forged"));
    assert_eq!(node.heard, Heard::Nothing);
}

/// Any question, sound or odd, about few enough infohashes that stores fill up.
fn any_query() -> impl Strategy<Value = (SocketAddr, u64, Query<'static>)> {
    let info_hash = (0..140_u8).prop_map(key);
    let method = prop_oneof![
        Just(Method::Ping),
        any::<[u8; 20]>().prop_map(|target| Method::FindNode {
            target: NodeId::new(target)
        }),
        (info_hash.clone(), any::<bool>(), any::<bool>()).prop_map(|(info_hash, noseed, scrape)| Method::GetPeers {
            info_hash,
            noseed,
            scrape
        }),
        (info_hash, any::<u16>(), any::<bool>(), any::<bool>()).prop_map(|(info_hash, port, implied_port, seed)| {
            Method::AnnouncePeer {
                info_hash,
                port,
                implied_port,
                token: b"",
                name: Some(&[b'n'; 100]),
                seed,
            }
        }),
        Just(Method::SampleInfohashes { target: US }),
        Just(Method::Get {
            target: US,
            seq: Some(-1)
        }),
        Just(Method::Unknown {
            name: b"",
            target: None
        }),
    ];
    let from = prop_oneof![
        any::<[u8; 4]>().prop_map(|ip| SocketAddr::from((ip, 1))),
        any::<u128>().prop_map(|ip| SocketAddr::from((std::net::Ipv6Addr::from_bits(ip), 1)))
    ];
    let want = (any::<bool>(), any::<bool>()).prop_map(|(n4, n6)| Want { n4, n6 });
    (from, 0..100_000_u64, method, want)
        .prop_map(|(from, pause, method, want)| (from, pause, Query { id: THEM, method, want }))
}

proptest! {
    /// Announces get a good token here, so that they reach the store.
    #[test]
    fn every_question_gets_one_answer_that_fits_a_datagram(queries in prop::collection::vec(any_query(), 0..150)) {
        let store = peer_store::Config { max_keys: 30, max_peers_per_key: 60, ..config().store };
        let mut node = Node::with(Config { store, ..config() });
        for (from, pause, query) in queries {
            let from = SocketAddr::new(from.ip().to_canonical(), from.port());
            node.now = node.now + Duration::from_millis(pause);
            let good = node.responder.tokens.issue(node.now, from.ip());
            let mut query: Query<'_> = query;
            if let Method::AnnouncePeer { token, .. } = &mut query.method {
                *token = &good;
            }
            node.ask(from, &query);
            prop_assert!(node.responder.store(Family::V4).keys() <= 30);
        }
    }
}
