//! How much of what can be fetched is fetched, and what it costs: our way of asking peers against one peer after the other,
//! in the same world from the same seed, in virtual time. All listed peers are given, so that only the asking differs.
//!
//! The full run, 20,000 torrents of the realistic lab:
//! `cargo test --release --test reach -- --ignored --nocapture`
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that fails says where; figures are read by people"
)]

mod policy;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::time::Duration;

use clap::Parser;
use estudely::args::{Cli, Command};
use estudely::config;
use estudely::job::harvest::Harvest;
use estudely::job::simulate::syns::{Counted, Syns};
use policy::{Done, Ours, Serial, Wanted};
use sim::{Lab, Plan, Profile};

use transport::Transport;
use wire::InfoHash;
use world::{Machine, Member as _, Seed, Tally, Time, Via};

const CLIENT: &str = "127.0.0.1:4000";

/// What a way of asking came to.
struct Figures {
    /// Infohashes with a listed peer.
    wanted: u64,
    /// Of those, ones that some listed peer delivers, by the plainest transport by which one does.
    reachable: Tally<Via>,
    /// Of the reachable, fetched.
    fetched: Tally<Via>,
    syns: Syns,
    /// Of each success, in order.
    times: Vec<Duration>,
}

impl Figures {
    fn share(&self) -> f64 {
        self.fetched.total() as f64 / self.reachable.total() as f64
    }

    fn share_via(&self, via: Via) -> f64 {
        self.fetched[via] as f64 / self.reachable[via] as f64
    }

    /// Metadata for each TCP SYN packet.
    fn per_syn(&self) -> f64 {
        self.fetched.total() as f64 / self.syns.tcp as f64
    }

    /// The same with uTP SYNs counted like those of TCP.
    fn per_syn_of_any_kind(&self) -> f64 {
        self.fetched.total() as f64 / (self.syns.tcp + self.syns.utp) as f64
    }

    fn time(&self, quantile: f64) -> f64 {
        let at = (self.times.len() as f64 * quantile) as usize;
        self.times.get(at).map_or(0.0, Duration::as_secs_f64)
    }

    fn print(&self, name: &str) {
        let Syns { dials, tcp, utp } = self.syns;
        println!(
            "{name}: {} infohashes with peers, {} reachable, {} fetched ({:.2} %)",
            self.wanted,
            self.reachable.total(),
            self.fetched.total(),
            100.0 * self.share()
        );
        for (via, reachable) in self.reachable.iter().filter(|(_, reachable)| *reachable > 0) {
            let share = 100.0 * self.share_via(via);
            println!("  plainest by {}: {reachable}, fetched {share:.2} %", via.label());
        }
        println!("  TCP: {dials} dials, {tcp} SYN packets; uTP: {utp} SYN packets");
        println!(
            "  metadata per TCP SYN {:.4}, per dial {:.4}, per SYN of either kind {:.4}",
            self.per_syn(),
            self.fetched.total() as f64 / dials as f64,
            self.per_syn_of_any_kind()
        );
        println!(
            "  time per success: median {:.2} s, 95th percentile {:.2} s",
            self.time(0.5),
            self.time(0.95)
        );
    }
}

fn lab(profile: Profile, torrents: usize, seed: u64) -> Lab {
    let config = sim::Config {
        nodes: 200,
        torrents,
        port: 6881,
        profile,
    };
    Lab::new(config, Seed::from_number(seed))
}

/// What the lab has that can be asked for: the infohashes with peers, and by what each can be had.
fn listed(lab: &Lab) -> (Wanted, BTreeMap<InfoHash, Option<Via>>) {
    let truth = || lab.population().truth().filter(|row| !row.peers.is_empty());
    let wanted = truth().map(|row| (row.infohash, row.peers)).collect();
    (wanted, truth().map(|row| (row.infohash, row.fetchable)).collect())
}

/// Carries a client until it is done with all.
fn measure<M: Machine<Event = Done>>(
    machine: M,
    lab: &mut Lab,
    reachable: &BTreeMap<InfoHash, Option<Via>>,
) -> (Figures, M) {
    let mut client = Counted::new(machine);
    let plan = Plan {
        client: CLIENT.parse::<SocketAddr>().unwrap(),
        // The serial one takes days.
        until: Time::from_secs(100 * 86_400),
        stop: None,
    };
    let mut figures = Figures {
        wanted: reachable.len() as u64,
        reachable: Tally::new(),
        fetched: Tally::new(),
        syns: Syns::default(),
        times: Vec::new(),
    };
    reachable
        .values()
        .flatten()
        .for_each(|via| figures.reachable.count(*via));
    let mut left = reachable.len();
    let (_, ended) = sim::run(&plan, &mut client, lab, Time::ZERO, &mut |_, _, done: Done| {
        if done.fetched {
            let via = reachable[&done.infohash].expect("nobody could have given it");
            figures.fetched.count(via);
            figures.times.push(done.took);
        }
        left -= 1;
        if left == 0 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    assert_eq!(ended, sim::Ended::Broken, "not done with all");
    figures.times.sort_unstable();
    figures.syns = client.syns;
    (figures, client.machine)
}

/// Both ways of asking, each in a world of its own from the same seed. `attempts` is `--metadata-peer-attempts`.
fn compare(profile: &Profile, torrents: usize, seed: u64, attempts: u32) -> (Figures, Figures) {
    let Command::Fetch(args) = Cli::parse_from(["estudely", "fetch", "x", "--lab"]).command else {
        panic!("not a fetch")
    };
    let net = config::net(&args.net, Some("lab".to_owned())).unwrap();
    let chance = Seed::from_number(seed).derive("client");
    let mut world = lab(profile.clone(), torrents, seed);
    let (wanted, reachable) = listed(&world);
    let pool = fetcher::Pool::new(config::pool(&net, attempts, 0), chance.derive("pool"));
    let transport = Transport::new(config::streams(&net), chance);
    let harvest = Harvest::new(None, Some(pool), transport, config::harvest(&net, 0), chance);
    let (ours, machine) = measure(Ours::new(harvest, wanted.clone()), &mut world, &reachable);
    println!("{:?}", machine.harvest().pool().unwrap().stats().failures);
    let mut world = lab(profile.clone(), torrents, seed);
    let serial = Serial::new(config::pool(&net, 0, 0), wanted, chance);
    let (serial, _) = measure(serial, &mut world, &reachable);
    ours.print("ours");
    serial.print("five peers, one after the other");
    println!(
        "ours to serial: metadata per TCP SYN {:.2}, per SYN of either kind {:.2}\n",
        ours.per_syn() / serial.per_syn(),
        ours.per_syn_of_any_kind() / serial.per_syn_of_any_kind()
    );
    (ours, serial)
}

#[test]
fn nearly_all_that_can_be_had_is_had_for_half_the_packets() {
    let (ours, serial) = compare(&Profile::realistic(), 2_000, 1, 10);
    assert!(ours.share() >= 0.96);
    assert!(ours.per_syn() >= 2.0 * serial.per_syn());
}

#[test]
#[ignore = "minutes; the figures of the full lab"]
fn the_full_lab() {
    for attempts in [0, 5, 10] {
        println!("{attempts} attempts for each infohash (0: all)");
        let (ours, serial) = compare(&Profile::realistic(), 20_000, 1, attempts);
        assert!(ours.per_syn() >= 2.0 * serial.per_syn());
        assert!(ours.share() >= 0.97 || attempts == 5);
    }
}
