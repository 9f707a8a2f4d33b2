//! What an infohash costs to remember: bytes at every size up to ten million, and time for each sighting.
//!
//! `cargo bench -p crawler --bench frontier`. Resident memory as the kernel sees it is printed too, because what an
//! allocator wastes is memory all the same; `-- --fragment` sets the allocator up to waste as much as it can. `-- --test`
//! stops at a million.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a bench measures the real world: the clock, the kernel's count of pages, and tells"
)]

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crawler::frontier::{Config, Frontier, Retry};
use crawler::{Contact, Sighting, Source};
use wire::{InfoHash, NodeId};
use world::{Seed, Time};

const MILLION: usize = 1_000_000;
/// Infohashes seen at the end.
const MOST: usize = 10 * MILLION;
/// The bound that `crawlers.md` asks for, in bytes an infohash.
const BOUND: f64 = 12.0;

fn main() {
    // A large block, freed, makes glibc serve blocks up to this size from its heap: the worst case for fragmentation.
    if std::env::args().any(|arg| arg == "--fragment") {
        drop(black_box(vec![1_u8; 31 << 20]));
    }
    let most = match std::env::args().any(|arg| arg == "--test") {
        true => MILLION,
        false => MOST,
    };
    let mut frontier = Frontier::new(config(), Seed::from_number(1));
    let before = resident();
    let mut worst = (0.0_f64, 0);
    println!("infohashes  bytes/infohash  worst since 100k  resident/infohash  ns/new sighting  ns/known sighting");
    let mut lap = Duration::ZERO;
    let mut slowest = Duration::ZERO;
    for number in 1..=most {
        let sighting = sighting(number);
        let start = Instant::now();
        black_box(frontier.sighted(Time::ZERO, &sighting));
        let took = start.elapsed();
        lap += took;
        slowest = slowest.max(took);
        if number >= 100_000 {
            let each = frontier.seen_bytes_each();
            if each > worst.0 {
                worst = (each, number);
            }
        }
        if number.is_multiple_of(MILLION) {
            println!(
                "{number:>10}  {:>14.2}  {:>16.2}  {:>17.2}  {:>15.0}  {:>17.0}",
                frontier.seen_bytes_each(),
                worst.0,
                (resident() - before) as f64 / number as f64,
                lap.as_nanos() as f64 / MILLION as f64,
                known(&mut frontier, number).as_nanos() as f64 / MILLION as f64,
            );
            lap = Duration::ZERO;
        }
    }
    println!(
        "worst {:.2} bytes at {} infohashes; slowest sighting {slowest:?}",
        worst.0, worst.1
    );
    println!(
        "resident: {:.1} MB for {most} infohashes",
        (resident() - before) as f64 / 1e6
    );
    let kept = (resident() - before) as f64 / most as f64;
    assert!(worst.0.max(kept) <= BOUND, "over the bound of {BOUND} bytes");
}

/// Time for a million sightings of infohashes that are known.
fn known(frontier: &mut Frontier, size: usize) -> Duration {
    let sightings: Vec<Sighting> = (0..1_000).map(|at| sighting(1 + at * 7_919 % size)).collect();
    let mut total = Duration::ZERO;
    for _ in 0..MILLION / sightings.len() {
        let start = Instant::now();
        for sighting in &sightings {
            black_box(frontier.sighted(Time::ZERO, sighting));
        }
        total += start.elapsed();
    }
    total
}

trait Each {
    fn seen_bytes_each(&self) -> f64;
}

impl Each for Frontier {
    fn seen_bytes_each(&self) -> f64 {
        self.seen_bytes() as f64 / self.seen() as f64
    }
}

/// A small queue: this measures what is remembered, not what waits.
fn config() -> Config {
    Config {
        max_seen: usize::MAX,
        max_ready: 1_000,
        max_waiting: 1_000,
        retry: Retry {
            no_peers: Vec::new(),
            with_peers: Vec::new(),
        },
        opt_out: Vec::new(),
    }
}

fn sighting(number: usize) -> Sighting {
    let mut bytes = [0; 20];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    Sighting {
        info_hash: InfoHash::new(bytes),
        from: Contact {
            id: NodeId::new([1; 20]),
            addr: SocketAddr::from(([127, 0, 0, 1], 6881)),
        },
        source: Source::GetPeers,
    }
}

/// Resident bytes of this process.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    kib.and_then(|kib| kib.trim().parse::<usize>().ok()).unwrap_or(0) * 1_024
}
