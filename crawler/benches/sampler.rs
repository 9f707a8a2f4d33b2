//! What a node costs to know and to ask: bytes, and time for each step of a sweep over a full ledger.
//!
//! `cargo bench -p crawler --bench sampler`.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a bench measures the real world, and tells"
)]

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crawler::guard::{self, Guard, Limit};
use crawler::ledger::Provenance;
use crawler::sampler::{Ask, Config, Sampler};
use crawler::{Contact, Families, Family};
use rand::Rng;
use wire::NodeId;
use wire::krpc::Reply;
use world::{Seed, Time};

fn main() {
    println!("    nodes  bytes/node  ns: learn   next  on_reply  closest_known");
    for bits in [11, 16, 20] {
        sweep(1 << bits);
    }
}

fn sweep(nodes: u32) {
    let mut sampler = Sampler::new(config(nodes), Families { v4: true, v6: false }, Seed::from_number(1));
    let mut guard = guard();
    let contacts = contacts(nodes);
    let learn = timed(nodes, || {
        for contact in &contacts {
            sampler.learn(Time::ZERO, contact, Provenance::Named, None, &guard);
        }
    });
    let mut asks: Vec<Ask> = Vec::with_capacity(contacts.len());
    let next = timed(nodes, || {
        asks.extend(std::iter::from_fn(|| sampler.next(Time::ZERO, &mut guard)));
    });
    let samples = [7; 400];
    let reply = timed(nodes, || {
        for ask in &asks {
            let reply = Reply {
                samples: Some(&samples),
                num: Some(500),
                ..Reply::new(ask.to.id)
            };
            black_box(sampler.on_reply(Time::ZERO, &ask.to, Some(b"LT"), &reply, &guard));
        }
    });
    let closest = timed(nodes, || {
        for ask in &asks {
            black_box(sampler.closest_known(&ask.target, Family::V4));
        }
    });
    let bytes = sampler.memory_bytes() as f64 / sampler.known() as f64;
    println!("{nodes:>9}  {bytes:>10.1}  {learn:>9.0}  {next:>5.0}  {reply:>8.0}  {closest:>13.0}");
}

/// Nanoseconds for each of `count` steps.
fn timed(count: u32, steps: impl FnOnce()) -> f64 {
    let start = Instant::now();
    steps();
    start.elapsed().as_nanos() as f64 / f64::from(count)
}

fn contacts(count: u32) -> Vec<Contact> {
    let mut rng = Seed::from_number(2).rng();
    let contact = |number: u32| {
        let mut id = [0; 20];
        rng.fill_bytes(&mut id);
        let [_, b, c, d] = number.to_be_bytes();
        Contact {
            id: NodeId::new(id),
            addr: SocketAddr::from(([127, b, c, d], 6881)),
        }
    };
    (0..count).map(contact).collect()
}

fn config(nodes: u32) -> Config {
    Config {
        max_nodes: nodes as usize,
        max_in_flight: usize::MAX,
        interval_floor: Duration::ZERO,
        retry_after: Duration::ZERO,
        silent_rest: Duration::ZERO,
        non_sampler_rest: Duration::ZERO,
        zones: None,
    }
}

/// A guard that never says wait: nothing is charged to it.
fn guard() -> Guard {
    let limit = Limit::per_second(1_000, 1_000);
    let config = guard::Config {
        per_host: limit,
        per_network: limit,
        total: limit,
        max_flows: 1_000,
        flow_window: Duration::from_secs(120),
        back_off: guard::BackOff {
            first: Duration::ZERO,
            cap: Duration::ZERO,
            trial: Duration::from_secs(5),
            refused: Duration::ZERO,
            memory: 1_000,
        },
        answers_per_host: limit,
        answers_in_total: limit,
        blocklist: Vec::new(),
    };
    Guard::new(&config, true, Seed::from_number(3))
}
