//! What it takes to add a torrent to five thousand, and to list them all: `cargo bench --bench torrents`.
//!
//! Torrents of one file of 64 pieces, all of it wanted, on a disk that answers at once that nothing is there. `-- --test` does the
//! same with fifty.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench measures the real world: the clock, and tells; and ends where it cannot set itself up"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use clap::Parser;
use engine::{Add, Engine, Layout, NameRules};
use estudely::args::{Cli, Command};
use wire::bencode::Encoder;
use wire::metainfo::{self, Torrent};
use world::{DiskOp, Done, Effect, Input, Machine, Output, Seed, Time};

/// What the issue of the engine asks for, each.
const GOAL: Duration = Duration::from_millis(100);
const PIECES: usize = 64;
const PIECE: usize = 16 << 10;

fn main() {
    let count = if std::env::args().any(|arg| arg == "--test") {
        50
    } else {
        5_000
    };
    let Command::Download(args) = Cli::parse_from(["estudely", "download", "x"]).command else {
        return;
    };
    let net = estudely::config::net(&args.swarm.net, None).unwrap();
    let config = estudely::config::engine(&args.swarm, &net, 6881, true);
    let mut engine = Engine::new(config, Seed::from_number(1));
    let mut adds: Vec<Duration> = (0..count).map(|number| add(&mut engine, number)).collect();
    println!("adding {count} torrents: {:?}", adds.iter().sum::<Duration>());
    adds.sort_unstable();
    println!(
        "one of them: {:?} (median), {:?} (longest)",
        adds[count / 2],
        adds[count - 1]
    );
    println!("one more: {:?} (goal {GOAL:?})", add(&mut engine, count));
    let start = Instant::now();
    let statuses: Vec<_> = engine
        .torrents()
        .filter_map(|id| engine.status(Time::ZERO, id))
        .collect();
    let took = start.elapsed();
    println!("listing {}: {took:?} (goal {GOAL:?})", black_box(statuses).len());
}

/// From the bytes of a .torrent until the engine has nothing more to say.
fn add(engine: &mut Engine, number: usize) -> Duration {
    let bytes = torrent(number);
    let start = Instant::now();
    let torrent = Torrent::parse(&bytes).unwrap();
    let info = torrent.info.clone().into();
    let layout = Layout::new(info, torrent.raw_info().into(), NameRules::Exact).unwrap();
    engine
        .add(Time::ZERO, Add::new(layout, None, "/files".to_owned()))
        .unwrap();
    let mut payload = Vec::new();
    let mut asked = Vec::new();
    loop {
        payload.clear();
        match engine.poll(Time::ZERO, &mut payload) {
            Some(Output::Effect(Effect::Disk { job, op, .. })) => asked.push((job, op)),
            Some(_) => {}
            None if asked.is_empty() => return start.elapsed(),
            None => {
                for (job, op) in std::mem::take(&mut asked) {
                    let done = if matches!(op, DiskOp::Open { .. }) {
                        Done::Opened(&[None])
                    } else {
                        Done::Ok
                    };
                    engine.handle(Time::ZERO, Input::Disk { job, done });
                }
            }
        }
    }
}

/// The bytes of a .torrent that is like no other.
fn torrent(number: usize) -> Vec<u8> {
    let mut info = Vec::new();
    let mut to = Encoder::new(&mut info);
    to.begin_dict();
    to.key(b"length").int((PIECES * PIECE) as i64);
    to.key(b"name").bytes(format!("file {number}").as_bytes());
    to.key(b"piece length").int(PIECE as i64);
    to.key(b"pieces").bytes(&[0; PIECES * 20]);
    to.end();
    metainfo::wrap::<&str>(&info, &[])
}
