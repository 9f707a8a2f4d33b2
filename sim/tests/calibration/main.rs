//! The lab against the checks that `network-model.md` section 2 demands before anybody trusts it, with clients as naive
//! as possible, in virtual time.

mod dialler;
mod naive;
mod walker;

use std::net::SocketAddr;
use std::ops::ControlFlow;

use dialler::Dialler;
use naive::Naive;
use sim::{Config, Ended, Lab, Plan, Profile};
use walker::Walker;
use world::{Seed, Time, Via};

fn lab(profile: Profile, nodes: usize, torrents: usize, seed: u64) -> Lab {
    let config = Config {
        nodes,
        torrents,
        port: 6881,
        profile,
    };
    Lab::new(config, Seed::from_number(seed))
}

fn plan(until_secs: u64) -> Plan {
    Plan {
        client: SocketAddr::from(([127, 0, 0, 1], 5000)),
        until: Time::from_secs(until_secs),
        stop: None,
    }
}

fn crawl(lab: &mut Lab) -> Naive {
    let mut naive = Naive::new(lab.bootstrap());
    let (_, ended) = sim::run(&plan(3600), &mut naive, lab, Time::ZERO, &mut |_, _, ()| {
        ControlFlow::Continue(())
    });
    assert!(matches!(ended, Ended::TimeUp | Ended::Idle), "{ended:?}");
    naive
}

fn dial(lab: &mut Lab) -> Dialler {
    let jobs = lab
        .population()
        .truth()
        .filter(|row| !row.name.is_empty() && !row.peers.is_empty());
    let mut dialler = Dialler::new(jobs.map(|row| (row.infohash, row.peers)).collect());
    sim::run(&plan(7200), &mut dialler, lab, Time::ZERO, &mut |_, _, ()| {
        ControlFlow::Continue(())
    });
    dialler
}

#[track_caller]
fn between(share: f64, low: f64, high: f64) {
    assert!((low..=high).contains(&share), "{share} is not within {low} to {high}");
}

#[test]
fn contacts_answer_as_often_as_the_model_says() {
    let mut lab = lab(Profile::realistic(), 3000, 200, 1);
    let found = crawl(&mut lab);
    between(found.share_of_contacts_that_answer(), 0.55, 0.62);
    between(found.share_that_samples(), 0.66, 0.74);
    between(found.share_that_still_answers(), 0.52, 0.60);
    assert_eq!(lab.counts().bans, 0);
}

#[test]
fn a_sweep_of_large_stores_sees_what_the_model_says() {
    // Ten keys for each storing node, which 0.48 of the nodes are (section 2.1).
    let mut lab = lab(Profile::realistic(), 500, 2400, 1);
    let found = crawl(&mut lab);
    between(found.mean_sample_of_large_stores(), 19.0, 20.0);
    between(found.share_of_frozen_samples(), 1.0, 1.0);
    let all = lab.population().truth().count() as f64;
    between(lab.shown_count() as f64 / all, 0.5, 0.8);
}

#[test]
fn a_sweep_of_the_ideal_lab_meets_everybody() {
    let mut lab = lab(Profile::ideal(), 500, 600, 1);
    let found = crawl(&mut lab);
    between(found.share_of_contacts_that_answer(), 1.0, 1.0);
    between(found.share_that_samples(), 1.0, 1.0);
    between(found.share_that_still_answers(), 1.0, 1.0);
    assert!(found.answered() >= 500);
    // Stores hold ten keys on average: nearly all are shown whole.
    between(lab.shown_count() as f64 / 600.0, 0.99, 1.0);
    assert!(found.infohashes().all(|infohash| lab.has_shown(infohash)));
}

/// Chance alone moves one estimate by four in a hundred: the mean of eight worlds is what the lab is like.
#[test]
fn sixty_four_walks_tell_how_many_nodes_answer() {
    for profile in [Profile::ideal, Profile::realistic] {
        let ratios = (1..=8).map(|seed| {
            let mut lab = lab(profile(), 3000, 200, seed);
            let mut walker = Walker::new(lab.bootstrap(), 64);
            sim::run(&plan(36_000), &mut walker, &mut lab, Time::ZERO, &mut |_, _, ()| {
                ControlFlow::Continue(())
            });
            assert!(walker.is_done());
            walker.nodes() / lab.population().answering().0 as f64
        });
        between(ratios.sum::<f64>() / 8.0, 0.9, 1.1);
    }
}

#[test]
fn three_swarms_in_five_have_one_peer_and_one_in_three_delivers() {
    let mut lab = lab(Profile::realistic(), 100, 3000, 2);
    let listed: Vec<usize> = lab
        .population()
        .truth()
        .map(|row| row.peers.len())
        .filter(|peers| *peers > 0)
        .collect();
    let one = listed.iter().filter(|peers| **peers == 1).count();
    between(one as f64 / listed.len() as f64, 0.58, 0.64);
    let found = dial(&mut lab);
    between(found.success_of_all(), 0.27, 0.34);
    between(found.success_of_first(), 0.15, 0.19);
    let fetchable = lab
        .population()
        .truth()
        .filter(|row| row.fetchable == Some(Via::Tcp))
        .count();
    // One in a thousand peers takes longer than the dialler waits.
    between(found.succeeded() as f64 / fetchable as f64, 0.997, 1.0);
}

#[test]
fn every_ideal_peer_delivers() {
    let mut lab = lab(Profile::ideal(), 50, 150, 2);
    let found = dial(&mut lab);
    between(found.success_of_first(), 1.0, 1.0);
}

#[test]
fn same_seed_same_run() {
    let counts = |seed| {
        let mut lab = lab(Profile::realistic(), 300, 200, seed);
        crawl(&mut lab);
        *lab.counts()
    };
    assert_eq!(counts(5), counts(5));
    assert_ne!(counts(5), counts(6));
}
