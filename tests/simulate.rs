//! `estudely simulate` as a test: the same seed is the same run, and policies meet the same world.
#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

use clap::Parser;
use estudely::args::{Cli, Command, Policy, SimulateArgs};
use estudely::job::simulate::result::Outcome;
use estudely::job::simulate::simulate;

fn args(flags: &str) -> SimulateArgs {
    let words = ["estudely", "simulate"].into_iter().chain(flags.split(' '));
    match Cli::parse_from(words).command {
        Command::Simulate(args) => args,
        other => panic!("not a simulation: {other:?}"),
    }
}

fn outcome(flags: &str) -> Outcome {
    simulate(&args(flags), Policy::Estudely).unwrap()
}

#[test]
fn the_same_seed_gives_the_same_run_to_the_bit() {
    let flags = "--nodes 500 --torrents 400 --hours 0.05 --rate 100 --profile hostile --seed";
    let [one, two, other] = [7, 7, 8].map(|seed| outcome(&format!("{flags} {seed}")));
    assert_eq!(one.fingerprint, two.fingerprint);
    assert_eq!((&one.points, &one.load), (&two.points, &two.load));
    assert_ne!(one.fingerprint, other.fingerprint);
}

#[test]
fn an_ideal_world_is_found_and_fetched() {
    let outcome = outcome("--nodes 300 --torrents 300 --hours 0.2 --rate 100 --profile ideal");
    let (planted, found) = outcome.coverage();
    assert!(found * 100 >= planted * 99, "{found} of {planted}");
    assert!(outcome.last().metadata * 100 >= planted * 99, "{:?}", outcome.last());
    assert_eq!((outcome.forged, outcome.bans), (0, 0));
}
