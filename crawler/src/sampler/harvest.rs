//! What a sampling query is expected to bring: new infohashes, by who is asked and where (crawlers R2).
//!
//! An answer shows at most 20 infohashes of the `num` that its node stores. How many of them are new is judged by how many
//! were in the same part of the key space lately; whether there is an answer at all, by how often nodes of the same turn
//! gave one.

use wire::NodeId;

use super::{Probe, Turn};
use crate::ledger::{Node, Standing, USUAL_SAMPLE};

/// Bits of an id that say in which part of the key space it is: a thousand parts, so that each has some samples within a
/// tenth of a sweep of the real DHT, and each is small beside what its own samples say of it.
const BITS: u32 = 10;

/// Sightings that count of one part: older ones fade, as what was new there is forgotten by the network in hours.
const MEMORY: f32 = 200.0;

/// What is believed of a part before it was sampled, in sightings: all new.
const PRIOR: f32 = 20.0;

/// Queries that the first guess of a turn is worth.
const GUESSED: f32 = 20.0;

/// Of one part of the key space.
#[derive(Clone, Copy, Debug)]
struct Part {
    sightings: f32,
    new: f32,
}

/// How often a turn was taken, and gave a sample.
#[derive(Clone, Copy, Debug)]
struct Luck {
    asked: f32,
    shown: f32,
}

/// What is expected of whom.
#[derive(Debug)]
pub(super) struct Harvest {
    parts: Vec<Part>,
    luck: [Luck; Turn::ALL.len()],
}

impl Harvest {
    /// Nothing is known but the figures of the network model: 58% of fresh contacts answer, 70% of these sample (B9, F1).
    pub(super) fn new() -> Self {
        let guess = |share: f32| Luck {
            asked: GUESSED,
            shown: GUESSED * share,
        };
        let part = Part {
            sightings: PRIOR,
            new: PRIOR,
        };
        Self {
            parts: vec![part; 1 << BITS],
            luck: Turn::ALL.map(|turn| match turn {
                Turn::Sure | Turn::Again | Turn::Small => guess(0.9),
                Turn::First => guess(0.4),
                Turn::Doubtful => guess(0.2),
                Turn::Discover => guess(0.0),
            }),
        }
    }

    /// New infohashes that a node is expected to show.
    pub(super) fn expected(&self, node: &Node) -> f32 {
        let turn = node.turn();
        let luck = self.luck[turn as usize];
        let shown = match node.standing {
            Standing::Samples => node.num.min(USUAL_SAMPLE),
            _ => USUAL_SAMPLE,
        };
        let part = self.parts[part(&node.id)];
        luck.shown / luck.asked * f32::from(shown) * (part.new / part.sightings)
    }

    /// A question of this turn is over.
    pub(super) fn asked(&mut self, turn: Turn, shown: bool) {
        let luck = &mut self.luck[turn as usize];
        if luck.asked >= MEMORY {
            luck.asked /= 2.0;
            luck.shown /= 2.0;
        }
        luck.asked += 1.0;
        luck.shown += f32::from(u8::from(shown));
    }

    /// A node near `id` showed an infohash that was new, or one that was known.
    pub(super) fn sighted(&mut self, id: &NodeId, new: bool) {
        let part = &mut self.parts[part(id)];
        if part.sightings >= MEMORY {
            part.sightings /= 2.0;
            part.new /= 2.0;
        }
        part.sightings += 1.0;
        part.new += f32::from(u8::from(new));
    }

    pub(super) fn bytes(&self) -> usize {
        self.parts.capacity() * size_of::<Part>()
    }
}

fn part(id: &NodeId) -> usize {
    let [a, b, ..] = *id.as_bytes();
    usize::from(u16::from_be_bytes([a, b]) >> (u16::BITS - BITS))
}

/// Turns that are compared by what is expected; who is only asked for nodes comes after them.
pub(super) fn is_compared(turn: Turn) -> bool {
    turn.probe() == Probe::Sample
}
