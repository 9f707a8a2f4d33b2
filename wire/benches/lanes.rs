//! SHA-1 of pieces side by side against one after the other: `cargo bench -p wire --bench lanes`.
//!
//! Each lane has four blocks in a row, as a fast peer sends them, behind the heads of their messages. Contenders take turns,
//! round by round, so that a busy machine is busy for all; the medians are compared. `-- --test` runs one round.
#![expect(clippy::print_stdout, reason = "a bench is there to be read")]
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a bench reads the clock"
)]

use std::hint::black_box;
use std::time::Instant;

use sha1::{Digest, Sha1};
use wire::lanes::{self, Lane};

/// Odd, so that the median is one of them.
const ROUNDS: usize = 61;
/// Bytes of a block, and of the head of its message.
const BLOCK: usize = 16 * 1024;
const HEAD: usize = 13;
/// Blocks of a lane.
const RUN: usize = 4;

fn main() {
    let rounds = if std::env::args().any(|arg| arg == "--test") {
        1
    } else {
        ROUNDS
    };
    let input: Vec<u8> = (0..lanes::LANES * RUN * (HEAD + BLOCK))
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    println!(
        "this processor hashes {} side by side; medians of {rounds} rounds",
        lanes::width()
    );
    println!(
        "{:>6} {:>16} {:>16} {:>8}",
        "pieces", "one by one MB/s", "together MB/s", "ratio"
    );
    for count in [1, 4, lanes::WORTH, 8, 12, lanes::LANES] {
        let runs = |lane: usize| (0..RUN).map(move |block| ((lane * RUN + block) * (HEAD + BLOCK) + HEAD, BLOCK));
        let mut together: Vec<Lane> = (0..count).map(|_| Lane::default()).collect();
        let (mut alone_ns, mut together_ns) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            let start = Instant::now();
            for lane in 0..count {
                let mut sha = Sha1::new();
                runs(lane).for_each(|(at, len)| sha.update(black_box(&input[at..at + len])));
                black_box(sha.finalize());
            }
            alone_ns.push(start.elapsed().as_nanos());
            let start = Instant::now();
            for (at, lane) in together.iter_mut().enumerate() {
                lane.running = lanes::Running::default();
                lane.runs.extend(runs(at));
            }
            lanes::advance(black_box(&input), &mut together);
            together.iter().for_each(|lane| {
                black_box(lane.running.digest());
            });
            together_ns.push(start.elapsed().as_nanos());
        }
        let bytes = (count * RUN * BLOCK) as f64;
        let [alone, together] = [alone_ns, together_ns].map(|mut times| {
            times.sort_unstable();
            bytes * 1e3 / times[rounds / 2] as f64
        });
        println!("{count:>6} {alone:>16.0} {together:>16.0} {:>8.2}", together / alone);
    }
}
