//! Fetching a given list in virtual time: through the DHT, without a word about who has what.
#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

use std::cell::Cell;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::time::Duration;

use clap::Parser;
use estudely::args::{Cli, Command};
use estudely::config;
use estudely::job::fetch::{Event, Fetch, Next, Source, Want};
use estudely::job::harvest::{Harvest, Harvested, Outcome};
use sim::{Lab, Plan, Profile, Truth};
use transport::Transport;
use world::{Seed, Time, Via};

/// A fetch that asks the DHT of a lab for `wanted`; gives what became of each, and the time that it took.
fn fetch(lab: &mut Lab, wanted: impl Source, overall: Option<Time>) -> (Vec<Outcome>, Time) {
    let (harvested, at) = harvest(lab, wanted, overall);
    (harvested.into_iter().map(|harvested| harvested.outcome).collect(), at)
}

/// As [`fetch`], with all that is known of each, in the order in which they were done.
fn harvest(lab: &mut Lab, wanted: impl Source, overall: Option<Time>) -> (Vec<Harvested>, Time) {
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
    let transport = Transport::new(config::streams(&net), seed);
    let harvest = Harvest::new(Some(node), Some(pool), transport, config::harvest(&net, 0), seed);
    let mut machine = Fetch::new(harvest, wanted, overall, Duration::from_secs(3));
    let until = Time::from_secs(3600);
    let plan = Plan {
        client,
        until,
        stop: None,
    };
    let mut all = Vec::new();
    let (at, ended) = sim::run(&plan, &mut machine, lab, Time::ZERO, &mut |_, _, event| match event {
        Event::Record(harvested) => {
            all.push(harvested);
            ControlFlow::Continue(())
        }
        Event::Attempt(_) | Event::Dht(_) | Event::Pulse | Event::Leaving => ControlFlow::Continue(()),
        Event::Over => ControlFlow::Break(()),
    });
    assert_eq!(ended, sim::Ended::Broken, "the fetch did not end by itself, nor spin");
    (all, at)
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

/// A source that has one infohash at every other question, and counts how often it was asked.
struct Slow {
    wanted: VecDeque<Want>,
    asked: Rc<Cell<u32>>,
    ready: bool,
}

impl Source for Slow {
    fn next(&mut self) -> Next {
        self.asked.set(self.asked.get() + 1);
        if self.wanted.is_empty() {
            return Next::End;
        }
        self.ready = !self.ready;
        if self.ready { self.wanted.next() } else { Next::Later }
    }
}

#[test]
fn a_source_that_has_nothing_yet_is_asked_again_at_a_tick_and_only_then() {
    let mut lab = lab(20);
    let wanted: VecDeque<Want> = lab.population().truth().map(|truth| want(&truth)).collect();
    let asked = Rc::default();
    let slow = Slow {
        wanted,
        asked: Rc::clone(&asked),
        ready: false,
    };
    let (outcomes, _) = fetch(&mut lab, slow, None);
    assert_eq!(outcomes.len(), 20);
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Metadata(_))));
    // A Later between any two, and the end.
    assert_eq!(asked.get(), 20 + 19 + 1);
}

/// The lab's closed port.
fn nobody() -> SocketAddr {
    "127.9.9.9:6883".parse().unwrap()
}

#[test]
fn peers_that_are_named_while_an_infohash_is_in_work_are_added_to_it() {
    let mut lab = lab(1);
    let truth = lab.population().truth().next().unwrap();
    let named = |peer| Want {
        info_hash: truth.infohash,
        peers: vec![peer],
    };
    let wanted = VecDeque::from([named(nobody()), named(truth.peers[0])]);
    let (harvested, _) = harvest(&mut lab, wanted, None);
    assert_eq!(harvested.len(), 1, "one infohash, one result");
    assert_eq!(harvested[0].peers, [nobody(), truth.peers[0]]);
    assert!(matches!(harvested[0].outcome, Outcome::Metadata(_)));
    let (from, via) = (harvested[0].from, harvested[0].via);
    assert_eq!((from, via), (Some(truth.peers[0]), Some(Via::Tcp)));
}

/// A list that counts what was taken of it.
struct Counted(VecDeque<Want>, Rc<Cell<usize>>);

impl Source for Counted {
    fn next(&mut self) -> Next {
        let next = self.0.next();
        self.1.set(self.1.get() + usize::from(matches!(next, Next::Want(_))));
        next
    }
}

#[test]
fn no_more_is_taken_than_there_are_slots() {
    let mut lab = lab(1);
    let nobodys = (0..2_000u16).map(|number| {
        let [high, low] = number.to_be_bytes();
        let mut bytes = [9; 20];
        bytes[..2].copy_from_slice(&[high, low]);
        Want {
            info_hash: wire::InfoHash::new(bytes),
            // The lab's silent port.
            peers: vec![SocketAddr::from(([127, 9, high, low], 6882))],
        }
    });
    let taken = Rc::default();
    let source = Counted(nobodys.collect(), Rc::clone(&taken));
    // Before the first dial is over.
    let (harvested, _) = harvest(&mut lab, source, Some(Time::from_secs(1)));
    assert_eq!((harvested.len(), taken.get()), (512, 512));
}
