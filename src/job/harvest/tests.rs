//! What strangers may bring in.

use clap::Parser;
use fetcher::config::Exclusion;
use transport::Transport;
use wire::PeerId;
use wire::compact::put_addr;
use wire::extended::{self, ExtendedHandshake};
use wire::handshake::Handshake;
use wire::message::extended_frame;
use wire::ut_pex::UtPex;
use world::ConnId;

use super::*;
use crate::args::{Cli, Command};
use crate::config;

const HASH: InfoHash = InfoHash::new([7; 20]);

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A harvest without a node, that blocks 8.8.0.0/16.
fn harvest() -> Harvest {
    let Command::Fetch(args) = Cli::parse_from(["estudely", "fetch", "x"]).command else {
        panic!("not a fetch");
    };
    let net = config::net(&args.net, None).unwrap();
    let mut pool = config::pool(&net, 0, 0);
    pool.exclusion = Exclusion::Endpoint;
    let seed = Seed::from_number(1);
    let admission = Admission::new(&["8.8.0.0/16".parse().unwrap()], false);
    let pool = Pool::new(pool, seed);
    let transport = Transport::new(config::streams(&net), seed);
    Harvest::new(None, Some(pool), transport, config::harvest(&net, 0), seed).admitting(admission)
}

/// Everything that the harvest wants of the world.
fn effects(harvest: &mut Harvest) -> Vec<Effect> {
    let mut payload = Vec::new();
    let mut effects = Vec::new();
    while let Some(step) = harvest.poll(Time::ZERO, &mut payload) {
        if let Step::Effect(effect) = step {
            effects.push(effect);
        }
        payload.clear();
    }
    effects
}

fn dials(effects: &[Effect]) -> Vec<(ConnId, SocketAddr)> {
    let dialled = |effect: &Effect| match *effect {
        Effect::Dial { conn, to, .. } => Some((conn, to)),
        _ => None,
    };
    effects.iter().filter_map(dialled).collect()
}

#[test]
fn peers_that_peers_name_are_dialled_if_they_may_be_believed() {
    let mut harvest = harvest();
    harvest.begin(Time::ZERO, HASH, None, &[addr("9.9.9.1:6881")]);
    let (conn, _) = dials(&effects(&mut harvest))[0];
    harvest.handle(Time::ZERO, Input::Opened { conn, via: Via::Tcp });
    let mut said = Vec::new();
    Handshake::new(HASH, PeerId::new([1; 20]))
        .with_extended()
        .encode(&mut said);
    let offer = ExtendedHandshake {
        ut_metadata: Some(3),
        ut_pex: Some(1),
        ..ExtendedHandshake::default()
    };
    extended_frame(&mut said, extended::HANDSHAKE, |out| offer.encode(out));
    let mut added = Vec::new();
    for named in ["8.8.8.8:7000", "10.0.0.1:7000", "9.9.9.3:80", "9.9.9.2:7000"] {
        put_addr(&addr(named), &mut added);
    }
    let pex = UtPex {
        added: &added,
        ..UtPex::default()
    };
    let Command::Fetch(args) = Cli::parse_from(["estudely", "fetch", "x"]).command else {
        panic!("not a fetch");
    };
    let net = config::net(&args.net, None).unwrap();
    let number = config::pool(&net, 0, 0).extensions.ut_pex;
    extended_frame(&mut said, number, |out| pex.encode(out));
    harvest.handle(Time::ZERO, Input::Received { conn, bytes: &said });
    let named: Vec<_> = dials(&effects(&mut harvest)).into_iter().map(|(_, to)| to).collect();
    assert_eq!(named, [addr("9.9.9.2:7000")]);
}

#[test]
fn a_blocked_host_that_calls_is_hung_up_on() {
    let mut harvest = harvest();
    harvest.begin(Time::ZERO, HASH, None, &[addr("9.9.9.1:6881")]);
    effects(&mut harvest);
    let mut call = |number, from| {
        let conn = ConnId(ConnId::ACCEPTED | number);
        let (from, to, via) = (addr(from), addr("9.9.9.9:6881"), Via::Tcp);
        harvest.handle(Time::ZERO, Input::Accepted { conn, from, to, via });
        effects(&mut harvest).contains(&Effect::Close { conn })
    };
    assert!(call(1, "8.8.8.8:50000"));
    assert!(!call(2, "9.9.9.4:50000"));
}

#[test]
fn a_node_that_names_many_peers_does_not_take_the_place_of_others() {
    let mut harvest = harvest();
    harvest.limits.peers_per_infohash = 20;
    harvest.begin(Time::ZERO, HASH, None, &[addr("9.9.9.1:6881")]);
    let mut name = |node: &str, peers: std::ops::Range<u16>| {
        for port in peers {
            let peer = SocketAddr::from(([9, 9, 1, 1], port));
            if harvest.is_taken(&HASH, addr(node), peer) {
                harvest.learn_peer(Time::ZERO, HASH, peer);
            }
        }
    };
    name("8.0.0.1:6881", 2000..2050);
    name("8.0.0.2:6881", 3000..3003);
    harvest.looked_up(Time::ZERO, HASH, 2);
    let ports: Vec<u16> = harvest.works[&HASH].peers.iter().map(SocketAddr::port).collect();
    let expected: Vec<u16> = [6881]
        .into_iter()
        .chain(2000..2004)
        .chain(3000..3003)
        .chain(2004..2016)
        .collect();
    assert_eq!(ports, expected);
}
