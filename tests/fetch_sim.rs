//! Fetching a given list in virtual time: through the DHT, without a word about who has what.
#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::time::Duration;

use clap::Parser;
use estudely::args::{Cli, Command};
use estudely::config;
use estudely::job::fetch::{Event, Fetch, Want};
use estudely::job::harvest::{Harvest, Outcome};
use sim::{Lab, Plan, Profile, Truth};
use world::{Seed, Time};

/// A fetch that asks the DHT of a lab for `wanted`; gives what became of each, and the time that it took.
fn fetch(lab: &mut Lab, wanted: VecDeque<Want>, overall: Option<Time>) -> (Vec<Outcome>, Time) {
    let Command::Fetch(args) = Cli::parse_from(["estudely", "fetch", "x", "--lab"]).command else {
        panic!("not a fetch")
    };
    let net = config::net(&args.net, Some("lab".to_owned())).unwrap();
    let seed = Seed::from_number(1);
    let families = crawler::Families { v4: true, v6: false };
    let client: SocketAddr = "127.0.0.1:4000".parse().unwrap();
    let mut node = crawler::Node::new(config::node(&net, families, vec![lab.bootstrap()], None), seed, None);
    node.own_address(client);
    node.bootstrap(Time::ZERO);
    let pool = fetcher::Pool::new(config::pool(&net, 0, 0), seed);
    let harvest = Harvest::new(Some(node), Some(pool), config::harvest(&net, 0), seed);
    let mut machine = Fetch::new(harvest, wanted, overall, Duration::from_secs(3));
    let until = Time::from_secs(3600);
    let plan = Plan {
        client,
        until,
        stop: None,
    };
    let mut outcomes = Vec::new();
    let (at, ended) = sim::run(&plan, &mut machine, lab, Time::ZERO, &mut |_, _, event| match event {
        Event::Record(harvested) => {
            outcomes.push(harvested.outcome);
            ControlFlow::Continue(())
        }
        Event::Attempt(_) | Event::Dht(_) => ControlFlow::Continue(()),
        Event::Over => ControlFlow::Break(()),
    });
    assert_eq!(ended, sim::Ended::Broken, "the fetch did not end by itself, nor spin");
    (outcomes, at)
}

fn lab(torrents: usize) -> Lab {
    let config = sim::Config {
        nodes: 300,
        torrents,
        port: 6881,
        profile: Profile::ideal(),
    };
    Lab::new(config, Seed::from_number(9))
}

fn want(truth: &Truth) -> Want {
    Want {
        info_hash: truth.infohash,
        peers: Vec::new(),
    }
}

#[test]
fn every_infohash_of_a_list_is_found_through_the_dht() {
    let mut lab = lab(40);
    let wanted: VecDeque<Want> = lab.population().truth().map(|truth| want(&truth)).collect();
    let (outcomes, at) = fetch(&mut lab, wanted, None);
    assert_eq!(outcomes.len(), 40);
    assert!(
        outcomes.iter().all(|outcome| matches!(outcome, Outcome::Metadata(_))),
        "{outcomes:?}"
    );
    // They run side by side: one after the other, walks of a second or more each would take far longer.
    assert!(at < Time::from_secs(30), "{at:?}");
}

#[test]
fn an_infohash_that_nobody_has_ends() {
    let mut lab = lab(1);
    let nobodys = Want {
        info_hash: wire::InfoHash::new([7; 20]),
        peers: Vec::new(),
    };
    let (outcomes, _) = fetch(&mut lab, VecDeque::from([nobodys]), None);
    assert_eq!(outcomes, [Outcome::NoPeers]);
}

#[test]
fn a_limit_on_time_ends_a_fetch_that_cannot_join() {
    let mut lab = lab(1);
    let wanted = VecDeque::from([want(&lab.population().truth().next().unwrap())]);
    let (outcomes, at) = fetch(&mut lab, wanted, Some(Time::ZERO));
    assert_eq!(outcomes, []);
    assert!(at <= Time::from_secs(3), "{at:?}");
}
