//! What `--mode harvest` is worth beside the crawlers of others, in one small realistic world: each claim of
//! `sim/POLICIES.md` that was reached, so that it cannot be lost unnoticed. The figures there are of larger worlds.
#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

use std::sync::LazyLock;

use clap::Parser;
use estudely::args::{Cli, Command, Policy};
use estudely::job::simulate::load::quantile;
use estudely::job::simulate::result::Outcome;
use estudely::job::simulate::simulate;

const HARVEST: usize = 0;
const BITMAGNET: usize = 2;
const MLDHT: usize = 4;

/// Each policy in a world of its own, all from one seed, for as long as its figure takes: the serial one needs hours.
static OUTCOMES: LazyLock<Vec<Outcome>> = LazyLock::new(|| {
    let run = |policy, hours: &str| {
        let world = ["--nodes", "4000", "--rate", "250", "--seed", "3", "--hours", hours];
        match Cli::parse_from(["estudely", "simulate"].iter().chain(&world)).command {
            Command::Simulate(args) => simulate(&args, policy).unwrap(),
            other => panic!("not a simulation: {other:?}"),
        }
    };
    vec![
        run(Policy::Harvest, "0.1"),
        run(Policy::EstudelyLike, "12"),
        run(Policy::BitmagnetLike, "0.1"),
        run(Policy::MagneticoLike, "0.03"),
        run(Policy::MldhtLike, "0.1"),
    ]
});

/// Planted infohashes found for each query that looks for some, at a quarter of a sweep.
fn infohashes_per_query(outcome: &Outcome) -> f64 {
    let (point, found) = outcome.quarter.unwrap();
    found as f64 / (point.queries - point.get_peers) as f64
}

fn metadata_per_tcp_syn(outcome: &Outcome) -> f64 {
    let end = outcome.last();
    end.metadata as f64 / end.tcp_syns as f64
}

#[test]
fn a_query_of_harvest_shows_a_third_more_than_one_of_the_best_other() {
    let yields: Vec<f64> = OUTCOMES.iter().map(infohashes_per_query).collect();
    let best = yields[1..].iter().copied().fold(0.0, f64::max);
    assert!(yields[HARVEST] >= 1.3 * best, "{yields:?}");
}

#[test]
fn harvest_asks_at_most_four_times_for_the_peers_of_an_infohash() {
    let Outcome { wanted, .. } = &OUTCOMES[HARVEST];
    let asked = OUTCOMES[HARVEST].last().get_peers;
    assert!(
        asked <= 4 * wanted,
        "{asked} get_peers for {wanted} infohashes with peers"
    );
}

#[test]
fn a_syn_of_harvest_brings_twice_the_metadata_of_one_of_bitmagnet() {
    let [ours, theirs] = [HARVEST, BITMAGNET].map(|at| metadata_per_tcp_syn(&OUTCOMES[at]));
    assert!(ours >= 2.0 * theirs, "{ours} and {theirs}");
}

#[test]
fn harvest_is_banned_by_nobody_and_burdens_no_host_more_than_mldht_does() {
    assert_eq!(OUTCOMES[HARVEST].bans, 0);
    let [ours, theirs] = [HARVEST, MLDHT].map(|at| quantile(&OUTCOMES[at].load, 0.99));
    assert!(ours <= theirs, "{ours} and {theirs} queries in an hour");
}
