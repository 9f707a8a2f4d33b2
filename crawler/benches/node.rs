//! What a datagram costs the node: `cargo bench -p crawler --bench node`.
//!
//! Nothing of a socket is in here. Questions: one in, one answer out, by a node with a full table. Sampling: one answer
//! with eight nodes and twenty infohashes in, one question out, the crowd's own work included. `-- --test` measures little.
#![expect(clippy::print_stdout, reason = "a bench is there to be read")]
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a bench reads the clock"
)]

#[path = "../tests/crowd/mod.rs"]
mod crowd;

use std::time::{Duration, Instant};

use crowd::{Crowd, one, query};
use wire::krpc::Method;
use wire::{InfoHash, NodeId};

/// Odd, so that the median is one of them.
const ROUNDS: usize = 31;
const RUNS_PER_ROUND: u32 = 5000;
/// Virtual seconds of sampling.
const SPAN: u64 = 300_000;

fn main() {
    let (rounds, span) = match std::env::args().any(|arg| arg == "--test") {
        true => (1, SPAN / 100),
        false => (ROUNDS, SPAN),
    };
    let mut crowd = Crowd::new(false);
    crowd.run(Duration::from_secs(600));
    let (target, info_hash) = (NodeId::new([0x3c; 20]), InfoHash::new([0x3c; 20]));
    let (noseed, scrape) = (false, false);
    for (name, method) in [
        ("ping", Method::Ping),
        ("find_node", Method::FindNode { target }),
        (
            "get_peers",
            Method::GetPeers {
                info_hash,
                noseed,
                scrape,
            },
        ),
        ("sample_infohashes", Method::SampleInfohashes { target }),
    ] {
        let question = query(method);
        let mut times: Vec<f64> = (0..rounds)
            .map(|_| {
                let start = Instant::now();
                for _ in 0..RUNS_PER_ROUND {
                    crowd.deliver(one(3).addr, &question);
                }
                start.elapsed().as_secs_f64() * 1e9 / f64::from(RUNS_PER_ROUND)
            })
            .collect();
        times.sort_by(f64::total_cmp);
        println!("{name:<20} {:>7.0} ns a question answered", times[rounds / 2]);
    }
    let mut crowd = Crowd::new(true);
    crowd.look_up_every = 40;
    crowd.run(Duration::from_secs(30_000));
    let (received, start) = (crowd.received, Instant::now());
    crowd.run(Duration::from_secs(span));
    let datagrams = (crowd.received - received) as f64;
    println!(
        "{:<20} {:>7.0} ns a question asked and answered",
        "sampling",
        start.elapsed().as_secs_f64() * 1e9 / datagrams
    );
}
