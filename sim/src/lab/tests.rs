//! A lab is asked as strangers ask it: by datagrams.

use wire::compact;
use wire::krpc::{Body, Message, Method, Query, Reply, Want};
use wire::{InfoHash, NodeId};

use super::*;
use crate::client::{Habits, Kind};
use crate::profile::{Liars, Profile};

const CLIENT: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 5000));

fn lab(profile: Profile, nodes: usize, torrents: usize) -> Lab {
    let config = Config {
        nodes,
        torrents,
        port: 6881,
        profile,
    };
    Lab::new(config, Seed::from_number(1))
}

/// The ideal world with another kind of program in all nodes, and its real habits.
fn world_of(kind: Kind) -> Profile {
    let mut profile = Profile::ideal();
    profile.nodes.kinds = std::array::from_fn(|at| if at == kind.index() { 1.0 } else { 0.0 });
    profile.habits = Kind::ALL.map(Habits::of);
    profile.nodes.inbound_per_second = 0.0;
    profile
}

fn query(method: Method<'_>) -> Vec<u8> {
    let query = Query {
        id: NodeId::new([9; 20]),
        method,
        want: Want::default(),
    };
    let mut bytes = Vec::new();
    Message::new(b"aa", Body::Query(query)).encode(&mut bytes);
    bytes
}

/// Asks one address and waits for what comes back, if anything does.
fn ask(lab: &mut Lab, now: Time, to: SocketAddr, method: Method<'_>) -> Option<Vec<u8>> {
    let bytes = query(method);
    let from = CLIENT;
    lab.handle(
        now,
        Input::Datagram {
            from,
            to,
            bytes: &bytes,
        },
    );
    answer(lab, to)
}

fn answer(lab: &mut Lab, expected: SocketAddr) -> Option<Vec<u8>> {
    let mut payload = Vec::new();
    while let Some(at) = lab.queue.next() {
        payload.clear();
        while let Some(output) = lab.poll(at, &mut payload) {
            if let Output::Effect(Effect::Send { from, to, len }) = output {
                assert_eq!((to, len), (CLIENT, payload.len()));
                // Questions of the lab's own nodes come in between.
                if from == Some(expected) {
                    return Some(payload);
                }
            }
            payload.clear();
        }
    }
    None
}

fn reply(bytes: &[u8]) -> Reply<'_> {
    match Message::decode(bytes).unwrap().body {
        Body::Reply(reply) => reply,
        other => panic!("{other:?}"),
    }
}

fn addr(lab: &Lab, node: Host) -> SocketAddr {
    SocketAddr::from((lab.population.addresses.of(node), 6881))
}

const SAMPLE: Method<'_> = Method::SampleInfohashes {
    target: NodeId::new([3; 20]),
};

fn samples(bytes: &[u8]) -> Vec<InfoHash> {
    reply(bytes).samples().collect()
}

#[test]
fn the_router_gives_contacts_and_nothing_else() {
    let mut lab = lab(Profile::ideal(), 100, 50);
    let router = lab.bootstrap();
    let target = NodeId::new([3; 20]);
    let bytes = ask(&mut lab, Time::ZERO, router, Method::FindNode { target }).unwrap();
    assert_eq!(reply(&bytes).contacts().count(), 8);
    // libtorrent finds its first nodes so.
    let method = Method::GetPeers {
        info_hash: lab.population.keys.all()[0].infohash,
        noseed: false,
        scrape: false,
    };
    let bytes = ask(&mut lab, Time::ZERO, router, method).unwrap();
    assert_eq!(reply(&bytes).contacts().count(), 8);
    assert!(reply(&bytes).token.is_none() && !reply(&bytes).values.is_present());
    assert_eq!(ask(&mut lab, Time::ZERO, router, SAMPLE), None);
}

#[test]
fn contacts_lead_to_nodes_that_have_their_ids() {
    let mut lab = lab(Profile::ideal(), 100, 50);
    let target = NodeId::new([3; 20]);
    let router = lab.bootstrap();
    let bytes = ask(&mut lab, Time::ZERO, router, Method::FindNode { target }).unwrap();
    for contact in compact::nodes4(reply(&bytes).nodes) {
        let pong = ask(&mut lab, Time::ZERO, contact.addr, Method::Ping).unwrap();
        assert_eq!(reply(&pong).id, contact.id);
    }
}

#[test]
fn a_holder_lists_the_peers_of_a_key() {
    let mut lab = lab(Profile::ideal(), 100, 50);
    let key = *lab
        .population
        .keys
        .all()
        .iter()
        .find(|key| (2..50).contains(&key.peers))
        .unwrap();
    let info_hash = key.infohash;
    let mut holders = 0;
    for node in 0..100 {
        let method = Method::GetPeers {
            info_hash,
            noseed: false,
            scrape: false,
        };
        let to = addr(&lab, node);
        let bytes = ask(&mut lab, Time::ZERO, to, method).unwrap();
        assert!(reply(&bytes).token.is_some());
        if reply(&bytes).values.is_present() {
            holders += 1;
            let mut peers: Vec<SocketAddr> = reply(&bytes).peers().collect();
            let mut listed = lab.population.truth_of(&key).peers;
            peers.sort();
            listed.sort();
            assert_eq!(peers, listed);
        }
    }
    assert_eq!(holders, 8);
}

#[test]
fn libtorrent_freezes_its_sample_for_the_interval() {
    // Few nodes, many keys: every store is large.
    let mut lab = lab(world_of(Kind::Libtorrent), 10, 100);
    let node = addr(&lab, 4);
    let first = ask(&mut lab, Time::from_secs(10), node, SAMPLE).unwrap();
    assert_eq!(reply(&first).interval, Some(21_600));
    assert_eq!(samples(&first).len(), 20);
    assert!(reply(&first).num > Some(50));
    let again = ask(&mut lab, Time::from_secs(21_000), node, SAMPLE).unwrap();
    assert_eq!(samples(&again), samples(&first));
    // The node thaws six hours after it froze; a client that asked again in between is early nonetheless.
    let next = ask(&mut lab, Time::from_secs(21_700), node, SAMPLE).unwrap();
    assert_ne!(samples(&next), samples(&first));
    let counts = lab.counts();
    assert_eq!((counts.samples_answered, counts.samples_inside_interval), (3, 2));
}

#[test]
fn an_answer_that_nobody_can_use_is_not_held_against_the_client() {
    let unreadable = |profile: &mut Profile| {
        profile.liars = Liars {
            malformed: 1.0,
            ..Liars::NONE
        };
    };
    let late = |profile: &mut Profile| (profile.net.think.slow, profile.net.think.slow_mean_ms) = (1.0, 1e9);
    let changes: [&dyn Fn(&mut Profile); 2] = [&unreadable, &late];
    for change in changes {
        let mut profile = world_of(Kind::Libtorrent);
        change(&mut profile);
        let mut lab = lab(profile, 10, 100);
        let node = addr(&lab, 4);
        assert!(ask(&mut lab, Time::from_secs(10), node, SAMPLE).is_some());
        ask(&mut lab, Time::from_secs(20), node, SAMPLE);
        assert_eq!(lab.counts().samples_inside_interval, 0);
    }
}

#[test]
fn an_ideal_node_shows_other_keys_each_time() {
    let mut lab = lab(Profile::ideal(), 10, 100);
    let node = addr(&lab, 4);
    let first = ask(&mut lab, Time::from_secs(10), node, SAMPLE).unwrap();
    let second = ask(&mut lab, Time::from_secs(11), node, SAMPLE).unwrap();
    assert_ne!(samples(&first), samples(&second));
    assert_eq!(lab.counts().samples_inside_interval, 0);
    assert!(samples(&first).iter().all(|infohash| lab.has_shown(infohash)));
    assert_eq!(lab.shown_count(), lab.shown().count());
}

#[test]
fn programs_that_do_not_sample_refuse_in_their_own_way() {
    for (kind, answers) in [
        (Kind::Utorrent, true),
        (Kind::Transmission, false),
        (Kind::Rtorrent, false),
    ] {
        let mut lab = lab(world_of(kind), 20, 50);
        let node = addr(&lab, 4);
        let said = ask(&mut lab, Time::ZERO, node, SAMPLE);
        assert_eq!(said.is_some(), answers, "{kind:?}");
        if let Some(bytes) = said {
            assert!(reply(&bytes).samples.is_none() && reply(&bytes).contacts().count() > 0);
        }
    }
    let mut lab = lab(world_of(Kind::Unknown), 200, 50);
    let codes: Vec<i64> = (0..200)
        .filter_map(|node| {
            let to = addr(&lab, node);
            let bytes = ask(&mut lab, Time::ZERO, to, SAMPLE)?;
            match Message::decode(&bytes).unwrap().body {
                Body::Error { code, .. } => Some(code),
                _ => None,
            }
        })
        .collect();
    assert!((130..180).contains(&codes.len()) && codes.iter().all(|code| *code == 204));
}

#[test]
fn libtorrent_ignores_a_host_that_asks_too_fast() {
    let mut lab = lab(world_of(Kind::Libtorrent), 20, 50);
    let node = addr(&lab, 4);
    let answers =
        (0..60).filter(|number| ask(&mut lab, Time::from_micros(number * 1000), node, Method::Ping).is_some());
    assert_eq!(answers.count(), 49);
    assert_eq!(lab.counts().bans, 1);
    assert_eq!(ask(&mut lab, Time::from_secs(200), node, Method::Ping), None);
    assert!(ask(&mut lab, Time::from_secs(400), node, Method::Ping).is_some());
}

#[test]
fn libtorrent_has_an_upload_quota() {
    let mut profile = world_of(Kind::Libtorrent);
    profile.habits[Kind::Libtorrent.index()].ban = None;
    let mut lab = lab(profile, 200, 50);
    let node = addr(&lab, 4);
    let target = NodeId::new([3; 20]);
    let answers = (0..200)
        .filter(|_| ask(&mut lab, Time::ZERO, node, Method::FindNode { target }).is_some())
        .count();
    // 24,000 bytes in answers of some 290.
    assert!((70..100).contains(&answers), "{answers}");
}

#[test]
fn an_announce_with_a_good_token_is_kept() {
    let mut lab = lab(Profile::ideal(), 20, 50);
    let (node, info_hash) = (addr(&lab, 4), InfoHash::new([7; 20]));
    let get = Method::GetPeers {
        info_hash,
        noseed: false,
        scrape: false,
    };
    let bytes = ask(&mut lab, Time::ZERO, node, get).unwrap();
    assert!(!reply(&bytes).values.is_present());
    let announce = |token| Method::AnnouncePeer {
        info_hash,
        port: 7000,
        implied_port: false,
        token,
        name: None,
        seed: false,
    };
    let refused = ask(&mut lab, Time::ZERO, node, announce(b"wrong")).unwrap();
    assert!(matches!(
        Message::decode(&refused).unwrap().body,
        Body::Error { code: 203, .. }
    ));
    let token = reply(&bytes).token.unwrap();
    let taken = ask(&mut lab, Time::from_secs(500), node, announce(token)).unwrap();
    reply(&taken);
    let bytes = ask(&mut lab, Time::from_secs(500), node, get).unwrap();
    assert_eq!(
        reply(&bytes).peers().collect::<Vec<_>>(),
        [SocketAddr::from(([127, 0, 0, 1], 7000))]
    );
}

#[test]
fn a_scrape_brings_filters_instead_of_peers() {
    let mut lab = lab(Profile::ideal(), 8, 50);
    let key = *lab.population.keys.all().iter().find(|key| key.peers > 3).unwrap();
    let method = Method::GetPeers {
        info_hash: key.infohash,
        noseed: false,
        scrape: true,
    };
    let to = addr(&lab, 0);
    let bytes = ask(&mut lab, Time::ZERO, to, method).unwrap();
    assert!(!reply(&bytes).values.is_present() && reply(&bytes).bloom_seeds.is_some());
}

#[test]
fn nodes_ask_a_client_back_and_hear_it_through_their_nat() {
    let mut profile = Profile::ideal();
    profile.nodes.classes.open = 0.0;
    profile.nodes.classes.restricted = 1.0;
    profile.nodes.inbound_per_second = 1.0;
    let mut lab = lab(profile, 20, 5);
    let router = lab.bootstrap();
    ask(&mut lab, Time::ZERO, router, Method::Ping);
    let mut payload = Vec::new();
    for second in 1..200 {
        lab.handle(Time::from_secs(second), Input::Tick);
        while lab.poll(Time::from_secs(second + 1), &mut payload).is_some() {}
    }
    assert!((120..260).contains(&lab.counts().asked), "{}", lab.counts().asked);
    assert!(Message::decode(&payload[..40]).is_err() && payload.starts_with(b"d1:a"));
    // Twenty nodes, one question a second: all have asked within the last minute, or nearly.
    let heard = (0..20).filter(|node| {
        let to = addr(&lab, *node);
        ask(&mut lab, Time::from_secs(199), to, Method::Ping).is_some()
    });
    assert!(heard.count() > 15);
    let to = addr(&lab, 0);
    assert_eq!(ask(&mut lab, Time::from_secs(1000), to, Method::Ping), None);
}

#[test]
fn stop_is_answered() {
    let mut lab = lab(Profile::ideal(), 2, 2);
    lab.handle(Time::ZERO, Input::Stop);
    assert_eq!(
        lab.poll(Time::ZERO, &mut Vec::new()),
        Some(Output::Event(Event::Stopped))
    );
    assert_eq!(lab.deadline(), None);
}
