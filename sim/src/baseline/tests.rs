use std::net::{IpAddr, SocketAddr};
use std::ops::ControlFlow;
use std::sync::LazyLock;
use std::time::Duration;

use world::Member;

use super::*;
use crate::{Config, Counts, Ended as Over, Lab, Plan, Profile, run};

/// What a baseline told, and what its lab counted.
#[derive(PartialEq, Eq, Debug)]
struct Run {
    seen: u64,
    with_peers: u64,
    fetched: u64,
    counts: Counts,
}

/// Ten minutes of each, made once for all tests.
static RUNS: LazyLock<Vec<Run>> = LazyLock::new(|| Like::ALL.iter().map(|&like| run_for(like, 600)).collect());

fn crawl(like: Like) -> &'static Run {
    &RUNS[like as usize]
}

/// A baseline in a small realistic lab.
fn run_for(like: Like, secs: u64) -> Run {
    let config = Config {
        nodes: 300,
        torrents: 1_200,
        port: 6881,
        profile: Profile::realistic(),
    };
    let mut lab = Lab::new(config, Seed::from_number(1).derive("lab"));
    let setup = Setup {
        routers: vec![lab.bootstrap()],
        rate: 10,
    };
    let mut baseline = Baseline::new(like, setup, Seed::from_number(1));
    let plan = Plan {
        client: SocketAddr::from(([127, 0, 0, 1], 6881)),
        until: Time::from_secs(secs),
        stop: None,
    };
    let (mut seen, mut with_peers, mut fetched) = (0, 0, 0);
    let (_, ended) = run(&plan, &mut baseline, &mut lab, Time::ZERO, &mut |_, _, event| {
        *match event {
            Event::Seen(_) => &mut seen,
            Event::Peers(_) => &mut with_peers,
            Event::Fetched(_) => &mut fetched,
        } += 1;
        ControlFlow::Continue(())
    });
    assert_ne!(ended, Over::Stuck, "{}", like.label());
    Run {
        seen,
        with_peers,
        fetched,
        counts: *lab.counts(),
    }
}

#[test]
fn each_finds_infohashes_peers_and_metadata() {
    for &like in Like::ALL {
        let run = crawl(like);
        let label = like.label();
        assert!(run.seen >= 60 && run.seen <= 1_300, "{label}: {run:?}");
        assert!(
            run.with_peers >= run.seen / 4 && run.with_peers < run.seen,
            "{label}: {run:?}"
        );
        assert!(
            run.fetched >= run.with_peers / 10 && run.fetched < run.with_peers,
            "{label}: {run:?}"
        );
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for &like in Like::ALL {
        assert_eq!(run_for(like, 60), run_for(like, 60), "{}", like.label());
    }
}

#[test]
fn the_original_asks_each_node_once_and_three_nodes_for_each_infohash() {
    let &Run { seen, counts, .. } = crawl(Like::Estudely);
    assert_eq!(counts.samples_inside_interval, 0);
    assert!(counts.queries.find_node > counts.queries.sample_infohashes - counts.samples_answered);
    let last = 3;
    assert!(
        (3 * (seen - 20)..=3 * seen + last).contains(&counts.queries.get_peers),
        "{seen} {counts:?}"
    );
}

#[test]
fn bitmagnet_and_magnetico_ask_again_inside_the_interval_and_mldht_does_not() {
    assert!(crawl(Like::Bitmagnet).counts.samples_inside_interval > 50);
    assert!(crawl(Like::Magnetico).counts.samples_inside_interval > 20);
    assert_eq!(crawl(Like::Mldht).counts.samples_inside_interval, 0);
}

#[test]
fn bitmagnet_asks_the_sampler_alone_for_peers() {
    let Run {
        seen, fetched, counts, ..
    } = crawl(Like::Bitmagnet);
    // And once more for the filters, when it has the metadata.
    assert!(counts.queries.get_peers <= seen + fetched, "{seen} {counts:?}");
    assert!(counts.queries.ping > 0 && counts.queries.find_node > counts.queries.ping);
}

#[test]
fn magnetico_asks_for_peers_of_whatever_it_is_shown() {
    let &Run { seen, counts, .. } = crawl(Like::Magnetico);
    assert!(counts.queries.get_peers > 2 * seen, "{seen} {counts:?}");
}

#[test]
fn mldht_visits_nearly_every_node_once_and_looks_up_in_full() {
    let &Run { seen, counts, .. } = crawl(Like::Mldht);
    assert!(counts.queries.get_peers > 10 * (seen / 2), "{seen} {counts:?}");
    // Of 300 nodes 144 answer strangers, and 70% of those sample.
    assert!(counts.samplers >= 80, "{counts:?}");
}

#[test]
fn a_limiter_that_is_full_forgets_whom_it_held_back() {
    let host = |last| IpAddr::from([127, 0, 0, last]);
    let mut limiter = limiter::Limiter::new(Duration::from_secs(1), 2, 2, Duration::from_secs(20));
    let now = Time::from_secs(1);
    let held = [now, now, Time::from_secs(2), Time::from_secs(3)];
    assert_eq!([(); 4].map(|()| limiter.reserve(now, host(1))), held);
    limiter.reserve(now, host(2));
    limiter.reserve(now, host(3));
    limiter.reserve(now, host(4));
    assert_eq!(limiter.reserve(now, host(1)), now);
}
