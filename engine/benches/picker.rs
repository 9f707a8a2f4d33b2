//! What it costs to choose a block, and to hear that one more peer has a piece: a million pieces, five hundred peers.
//!
//! `cargo bench -p engine --bench picker`. `-- --test` does the same with twenty thousand pieces and twenty peers.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a bench measures the real world: the clock, and tells"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use engine::picker::{Arrived, Ask, Has, Picker, Shape, Slot, Speed};
use engine::{Bits, PeerKey};
use rand::Rng;
use rand::rngs::ChaCha8Rng;
use world::Seed;

/// What `engines.md` asks for, recommendation 5, in nanoseconds.
const PICK: f64 = 2_000.0;
const HAVE: f64 = 100.0;

struct Swarm {
    picker: Picker,
    peers: Vec<Bits>,
    rng: ChaCha8Rng,
}

fn main() {
    let (pieces, peers, turns) = match std::env::args().any(|arg| arg == "--test") {
        true => (20_000, 20, 5_000),
        false => (1_000_000, 500, 1_000_000),
    };
    let start = Instant::now();
    let mut swarm = Swarm::new(pieces, peers);
    println!("{pieces} pieces, {peers} peers; entered in {:?}", start.elapsed());
    let have = swarm.haves(turns);
    let pick = swarm.picks(turns);
    println!("have: {have:.0} ns (goal {HAVE})");
    println!("pick: {pick:.0} ns (goal {PICK})");
}

impl Swarm {
    /// Peers that have from a little to nearly everything.
    fn new(pieces: u32, peers: u32) -> Self {
        let mut rng = Seed::from_number(1).rng();
        let shape = Shape {
            pieces,
            blocks_per_piece: 64,
            blocks_in_last: 1,
        };
        let mut picker = Picker::new(shape, Seed::from_number(2));
        let peers: Vec<Bits> = (0..peers).map(|peer| some(pieces, peer, peers, &mut rng)).collect();
        peers.iter().for_each(|has| picker.add(has));
        Self { picker, peers, rng }
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.rng.next_u32()).unwrap_or(0) % bound
    }

    /// Nanoseconds for each piece that one more peer has.
    fn haves(&mut self, turns: u32) -> f64 {
        let mut news = Vec::new();
        for _ in 0..turns {
            let peer = self.below(self.peers.len());
            let piece = self.rng.next_u32() % self.picker.shape().pieces;
            if self.peers[peer].set(piece) {
                news.push(piece);
            }
        }
        let start = Instant::now();
        for &piece in &news {
            self.picker.peer_has(black_box(piece));
        }
        start.elapsed().as_nanos() as f64 / news.len() as f64
    }

    /// Nanoseconds for each block that is asked for, while blocks arrive and pieces pass.
    fn picks(&mut self, turns: u32) -> f64 {
        let mut waiting: Vec<(Slot, PeerKey)> = Vec::new();
        let (mut out, mut cancel) = (Vec::new(), Vec::new());
        let mut took = Duration::ZERO;
        let mut blocks = 0;
        for _ in 0..turns {
            let peer = self.below(self.peers.len());
            let key = PeerKey(u32::try_from(peer).unwrap_or(0));
            let ask = Ask {
                has: Has::Some(&self.peers[peer]),
                peer: key,
                want: 1,
                speed: [Speed::Slow, Speed::Medium, Speed::Fast][peer % 3],
                whole_pieces: peer.is_multiple_of(7),
                spread: 1,
                parole: false,
                copies: 1,
                allowed: None,
                suggested: None,
            };
            out.clear();
            let start = Instant::now();
            blocks += black_box(&mut self.picker).pick(&ask, &mut out).blocks;
            took += start.elapsed();
            waiting.extend(out.iter().map(|&slot| (slot, key)));
            if waiting.len() > 20 * self.peers.len() {
                let (slot, from) = waiting.swap_remove(self.below(waiting.len()));
                assert_eq!(self.picker.arrived(slot, from, &mut cancel), Arrived::Fresh);
                if self.picker.is_complete(slot.piece) {
                    self.picker.passed(slot.piece);
                }
            }
        }
        assert!(blocks > 0, "nothing was picked");
        took.as_nanos() as f64 / f64::from(turns)
    }
}

/// Of the pieces, the more the higher the number of the peer.
fn some(pieces: u32, peer: u32, peers: u32, rng: &mut ChaCha8Rng) -> Bits {
    let mut has = Bits::new(pieces);
    for piece in 0..pieces {
        if rng.next_u32() % peers <= peer {
            has.set(piece);
        }
    }
    has
}
