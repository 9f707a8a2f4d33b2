//! The main job in virtual time: the crawl that runs on sockets, against a population from a seed, judged by the truth.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that fails says where; what it prints is read when it does"
)]

use std::net::SocketAddr;
use std::ops::ControlFlow;

use clap::Parser;
use estudely::args::{Cli, Command, CrawlArgs};
use estudely::config;
use estudely::job::crawl::{self, Crawl, Event, Yield};
use estudely::job::lab::found;
use estudely::job::start::Chance;
use estudely::output::Table;
use sim::{Lab, Plan, Profile, Report, Trap, judge};
use store::{clean, metadata};
use world::{Input, Machine, Seed, Time, Via};

/// Where the client of a simulation is.
const CLIENT: &str = "127.0.0.1:4000";

/// A walk's question, to a point where no torrent need be.
const GET_PEERS: &[u8] =
    b"d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e1:q9:get_peers1:t2:aa1:y1:qe";

/// How a simulated crawl went.
struct Outcome {
    report: Report,
    crawl: Crawl,
    rows: Vec<u8>,
}

fn crawl_args(flags: &[&str]) -> Box<CrawlArgs> {
    let words = ["estudely", "crawl", "--lab", "--stdout-only"];
    match Cli::parse_from(words.iter().chain(flags)).command {
        Command::Crawl(args) => args,
        other => panic!("not a crawl: {other:?}"),
    }
}

/// Runs `crawl --lab` with these flags in virtual time, until it ends by itself.
fn simulate(profile: Profile, nodes: usize, torrents: usize, seed: u64, flags: &[&str]) -> Outcome {
    let args = crawl_args(flags);
    let lab_seed = Seed::from_number(seed).derive("lab");
    let mut lab = Lab::new(
        sim::Config {
            nodes,
            torrents,
            port: 6881,
            profile,
        },
        lab_seed,
    );
    let net = config::net(&args.net, Some("lab".to_owned())).unwrap();
    let chance = Chance {
        seed: Seed::from_number(seed),
        number: seed,
    };
    let client: SocketAddr = CLIENT.parse().unwrap();
    let families = crawler::Families { v4: true, v6: false };
    let node = config::node(
        &net,
        families,
        vec![lab.bootstrap()],
        Some(config::sampling_of_a_crawl(&net, &args)),
    );
    let mut node = crawler::Node::new(node, chance.seed.derive("node"), None);
    node.own_address(client);
    let mut crawl = crawl::compose(
        &args,
        Yield::Metadata,
        &net,
        chance,
        node,
        &std::collections::BTreeSet::new(),
    );
    let mut rows = format!("{}\n", metadata::HEADER).into_bytes();
    let plan = Plan {
        client,
        until: Time::from_secs(4 * 3600),
        stop: None,
    };
    let (_, ended) = sim::run(
        &plan,
        &mut crawl,
        &mut lab,
        Time::ZERO,
        &mut |_, _, event| match event {
            Event::Record(harvested) => {
                Table::Metadata.put(&harvested, &mut rows);
                ControlFlow::Continue(())
            }
            Event::Over(_) => ControlFlow::Break(()),
            Event::Attempt(_) | Event::Dht(_) | Event::Pulse => ControlFlow::Continue(()),
        },
    );
    assert_eq!(
        ended,
        sim::Ended::Broken,
        "seed {seed}: the crawl did not end by itself"
    );
    let found = metadata::rows(&rows[..]).map(|row| found(row.unwrap()));
    let report = judge(&lab, found, clean);
    println!("seed {seed}: {report:#?}");
    Outcome { report, crawl, rows }
}

/// What must hold on any network: the manners of DESIGN 6, and honesty.
fn assert_polite(outcome: &Outcome) {
    let report = &outcome.report;
    assert_eq!(report.counts.bans, 0, "nodes that banned us");
    assert_eq!(report.counts.samples_inside_interval, 0, "samples inside an interval");
    assert_eq!(
        report.counts.samples_to_known_refusers, 0,
        "samples to nodes known not to sample"
    );
    assert_eq!(report.wrong, 0, "rows that differ from the truth");
    let busiest = report.busiest.expect("somebody was asked");
    // The lab's clock and ours round to microseconds each in its own way.
    assert!(busiest.burst_at_one_per_second < 3.001, "the busiest host: {busiest:?}");
    let stats = outcome.crawl.harvest().node().unwrap().guard().stats();
    assert!(
        stats.busiest_second <= 3 && stats.busiest_ten_seconds <= 12,
        "{stats:?}"
    );
}

#[test]
fn an_ideal_lab_is_found_whole() {
    let outcome = simulate(Profile::ideal(), 2_000, 2_000, 1, &[]);
    assert_polite(&outcome);
    assert!(
        outcome.report.coverage() >= 0.99,
        "coverage {}",
        outcome.report.coverage()
    );
    assert!(
        outcome.report.fetch_rate() >= 0.99,
        "fetch rate {}",
        outcome.report.fetch_rate()
    );
}

#[test]
fn an_ideal_lab_costs_few_queries() {
    let outcome = simulate(Profile::ideal(), 500, 1_000, 2, &[]);
    assert!(
        outcome.report.get_peers_per_infohash() <= 4.0,
        "{} get_peers",
        outcome.report.get_peers_per_infohash()
    );
    assert!(
        outcome.report.samples_per_sampler() <= 1.05,
        "{} samples",
        outcome.report.samples_per_sampler()
    );
}

#[test]
fn a_realistic_lab_gives_nearly_all_that_can_be_had() {
    let all = ["--metadata-peer-attempts", "0", "--peers-per-infohash", "0"];
    let outcome = simulate(Profile::realistic(), 1_000, 2_000, 3, &all);
    assert_polite(&outcome);
    let plain = outcome.report.fetch_rate_via(Via::Tcp);
    assert!(plain >= 0.95, "fetch rate {plain}");
}

#[test]
fn a_hostile_lab_gives_much_and_nothing_false() {
    let all = ["--metadata-peer-attempts", "0", "--peers-per-infohash", "0"];
    let outcome = simulate(Profile::hostile(), 500, 1_000, 4, &all);
    assert_polite(&outcome);
    let plain = outcome.report.fetch_rate_via(Via::Tcp);
    // Of the three nodes asked for peers, one lies and one has gone.
    assert!(plain >= 0.6, "fetch rate {plain}");
    let pool = outcome.crawl.harvest().pool().unwrap();
    assert_eq!((pool.connections(), pool.assembly_bytes()), (0, 0));
}

#[test]
fn torrents_that_trip_their_readers_do_not() {
    let traps: [&[(Trap, f64)]; 3] = [&[(Trap::Nesting, 1.0)], &[(Trap::Paths, 1.0)], &[(Trap::Pieces, 1.0)]];
    for traps in traps {
        let mut profile = Profile::ideal();
        profile.meta.traps = traps;
        let outcome = simulate(profile, 50, 60, 10, &[]);
        assert_eq!(outcome.report.wrong, 0, "{traps:?}");
        assert!(outcome.report.fetch_rate() >= 0.99, "{traps:?}");
    }
}

#[test]
fn the_same_seed_writes_the_same_bytes() {
    let rows = |seed| simulate(Profile::realistic(), 150, 200, seed, &[]).rows;
    let first = rows(5);
    assert_eq!(first, rows(5));
    assert_ne!(first, rows(6));
}

#[test]
fn a_cap_on_infohashes_is_kept() {
    for profile in [Profile::ideal(), Profile::realistic()] {
        let outcome = simulate(profile, 100, 200, 7, &["--max-infohashes", "3"]);
        assert_eq!(outcome.report.found, 3);
    }
}

#[test]
fn what_one_host_asks_for_is_not_followed_and_what_two_ask_for_is() {
    let args = crawl_args(&[]);
    let net = config::net(&args.net, Some("lab".to_owned())).unwrap();
    let chance = Chance {
        seed: Seed::from_number(1),
        number: 1,
    };
    let families = crawler::Families { v4: true, v6: false };
    let node = crawler::Node::new(config::node(&net, families, Vec::new(), None), chance.seed, None);
    let mut crawl = crawl::compose(
        &args,
        Yield::Metadata,
        &net,
        chance,
        node,
        &std::collections::BTreeSet::new(),
    );
    let (mut answer, now) = (Vec::new(), Time::from_micros(1));
    for (host, followed) in [(5, 0), (5, 0), (6, 1)] {
        let (from, to) = (SocketAddr::from(([127, 5, 5, host], 7000)), CLIENT.parse().unwrap());
        let bytes = GET_PEERS;
        answer.clear();
        crawl.handle(now, Input::Datagram { from, to, bytes });
        while crawl.poll(now, &mut answer).is_some() {}
        assert!(!answer.is_empty(), "the question is answered all the same");
        assert_eq!(crawl.frontier().seen(), followed, "{:?}", crawl.passive());
        // No estimate is made of it.
        let estimated = crawl.estimates().at_this_moment(crawl.harvest().node().unwrap());
        assert_eq!(estimated.keys, None);
    }
    assert_eq!((crawl.passive().asked_for, crawl.passive().wanted), (3, 1));
}

#[test]
fn no_infohash_has_more_rows_than_peers_wanted() {
    let outcome = simulate(Profile::ideal(), 100, 300, 8, &["--peers-per-infohash", "2"]);
    let mut counts = std::collections::BTreeMap::new();
    for row in metadata::rows(&outcome.rows[..]).flatten() {
        *counts.entry(row.info_hash).or_insert(0) += 1;
    }
    assert_eq!(counts.values().max(), Some(&2));
}

#[test]
fn a_census_of_half_the_key_space_tells_how_many_nodes_there_are() {
    let outcome = simulate(
        Profile::realistic(),
        3_000,
        300,
        11,
        &["--mode", "census", "--zones", "4"],
    );
    assert_polite(&outcome);
    let estimated = outcome
        .crawl
        .estimates()
        .at_this_moment(outcome.crawl.harvest().node().unwrap());
    let zones = outcome.crawl.estimates().zones();
    println!("{zones:?} {estimated:?}");
    assert_eq!(zones.len(), 4);
    let nodes = estimated.nodes_by_zones.unwrap();
    let truth = outcome.report.answering as f64;
    assert!(nodes.covers(truth), "{nodes:?}, and there are {truth}");
    assert!(
        (0.8..1.2).contains(&(nodes.value / truth)),
        "{nodes:?}, and there are {truth}"
    );
    // Others than those of its zones are met on the way, and not sampled.
    assert!(outcome.report.counts.samplers * 10 < outcome.report.sampling as u64 * 8);
    assert!(estimated.keys.is_some());
}

#[test]
fn attempts_are_bounded_per_infohash() {
    let outcome = simulate(
        Profile::realistic(),
        150,
        200,
        9,
        &["--metadata-peer-attempts", "1", "--no-retries"],
    );
    let pool = outcome.crawl.harvest().pool().unwrap().stats();
    assert!(
        pool.funnel[fetcher::Stage::Dialled] <= outcome.report.found as u64,
        "{:?}",
        pool.funnel
    );
}
