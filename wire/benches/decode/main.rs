//! How fast a datagram is read, side by side with two general decoders: `cargo bench -p wire --bench decode`.
//!
//! Each contender gets the same bytes and must hand out the same facts: every contact, peer and infohash is read, and
//! the sums that come out are compared. `bt_bencode` and `serde_bencode` decode into a struct made for the purpose,
//! their fastest way, which borrows in the one case and owns in the other. `bt_bencode value` decodes into a tree, which
//! is what a program without a struct for each message does. Contenders take turns, round by round, so that a busy
//! machine is busy for all; the medians are compared. `-- --test` runs one round.
#![expect(clippy::print_stdout, reason = "a bench is there to be read")]
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a bench reads the clock"
)]

mod rivals;
mod samples;

use std::hint::black_box;
use std::time::Instant;

use wire::krpc::{Body, Message, Method};

/// Odd, so that the median is one of them.
const ROUNDS: usize = 61;
/// Long against the clock's resolution, short against a scheduler's slice.
const RUNS_PER_ROUND: u32 = 2000;

type Reader = fn(&[u8]) -> u64;

const CONTENDERS: [(&str, Reader); 4] = [
    ("wire", read),
    ("bt_bencode", rivals::bt_bencode),
    ("bt_bencode value", rivals::bt_bencode_value),
    ("serde_bencode", rivals::serde_bencode),
];

fn main() {
    let rounds = match std::env::args().any(|arg| arg == "--test") {
        true => 1,
        false => ROUNDS,
    };
    println!("decode and read all fields; median of {rounds} alternating rounds of {RUNS_PER_ROUND}");
    println!(
        "{:<28} {:>5} {:>8}   times as long: the others",
        "datagram", "bytes", "wire ns"
    );
    for (name, bytes) in samples::all() {
        let expected = read(&bytes);
        for (rival, reader) in CONTENDERS {
            assert_eq!(reader(&bytes), expected, "{rival} reads something else");
        }
        let times = race(
            rounds,
            CONTENDERS.map(|(_, reader)| {
                let bytes = &bytes;
                move || {
                    black_box(reader(black_box(bytes)));
                }
            }),
        );
        let [ours, others @ ..] = times;
        print!("{name:<28} {:>5} {ours:>8.0}", bytes.len());
        for ((rival, _), time) in CONTENDERS.iter().skip(1).zip(others) {
            print!("   {rival} {time:.0} ns, {:.1}x", time / ours);
        }
        println!();
    }
    println!("\nencode into a lent vector");
    for (name, bytes) in samples::all() {
        let message = Message::decode(&bytes).expect("samples are sound");
        let mut out = Vec::with_capacity(bytes.len());
        let [wire] = race(
            rounds,
            [|| {
                out.clear();
                black_box(&message).encode(&mut out);
                black_box(&out);
            }],
        );
        println!("{name:<28} {:>5} {wire:>8.0}", bytes.len());
    }
}

/// Nanoseconds a run of each contender.
fn race<const N: usize>(rounds: usize, mut contenders: [impl FnMut(); N]) -> [f64; N] {
    let mut times = [const { Vec::new() }; N];
    for _ in 0..rounds {
        for (run, times) in contenders.iter_mut().zip(&mut times) {
            let start = Instant::now();
            for _ in 0..RUNS_PER_ROUND {
                run();
            }
            times.push(start.elapsed().as_secs_f64() * 1e9 / f64::from(RUNS_PER_ROUND));
        }
    }
    times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times.get(rounds / 2).copied().unwrap_or(f64::NAN)
    })
}

/// Everything that a crawler looks at, summed up.
fn read(bytes: &[u8]) -> u64 {
    let message = Message::decode(bytes).expect("samples are sound");
    let header = samples::envelope(message.transaction, message.version, message.ip);
    header
        + match message.body {
            Body::Query(query) => {
                let target = match query.method {
                    Method::GetPeers { info_hash, .. } => info_hash.as_target(),
                    Method::FindNode { target } => target,
                    _ => query.id,
                };
                samples::id(query.id.as_bytes()) + samples::id(target.as_bytes())
            }
            Body::Reply(reply) => {
                let contacts: u64 = reply.contacts().map(|contact| samples::contact(&contact)).sum();
                let peers: u64 = reply.values.iter().map(|peer| samples::addr(&peer)).sum();
                let hashes: u64 = reply.samples().map(|hash| samples::id(hash.as_bytes())).sum();
                let token = reply.token.map_or(0, |token| token.len() as u64);
                let numbers = reply.num.unwrap_or_default() + reply.interval.unwrap_or_default();
                samples::id(reply.id.as_bytes()) + contacts + peers + hashes + token + numbers as u64
            }
            Body::Error { code, text } => code as u64 + text.len() as u64,
        }
}
