//! What a sampling query is expected to bring: new infohashes, by who is asked and where (crawlers R2).
//!
//! An answer shows at most 20 infohashes of the `num` that its node stores. Whether there is an answer at all is judged by how
//! often nodes of the same turn gave one. How many of what it shows will be new is judged by how many samples were taken of
//! the same part of the key space before: an infohash is stored with the eight nodes nearest to it, so that each of
//! them shows much of what the last one did. What a sample is worth at each such depth is learned as the crawl goes on.
//!
//! Sampling is foraging: who answers in a part where nobody was sampled shows what is all new, and makes its neighbours
//! known, who are alive and worth asking, each a little less than the one before. A part is left when the next sample of it
//! brings less than the mean query does (the marginal value theorem, Charnov 1976).

use wire::NodeId;

use super::{Probe, Turn};
use crate::ledger::{Node, USUAL_SAMPLE};

/// Nodes that can be found in a part, about: twice as many as store an infohash.
const NODES_TO_A_PART: f64 = 16.0;

/// Bits of an id that choose its part at the most: a million parts, one byte each, twice over.
const MAX_BITS: u32 = 20;

/// Bits until it is known how large the network is.
const FIRST_BITS: u32 = 10;

/// Samples of one part that are told apart; the last stands for all after it.
const DEPTHS: usize = 32;

/// Of nodes that were sampled before, those that hold no more than so many infohashes are judged apart from others: the
/// more there are, the less a second sample has in common with the first.
const HOLDINGS: [u16; 2] = [50, 200];

/// Kinds of samples by their node: its first; another, by what it holds.
const KINDS: usize = HOLDINGS.len() + 2;

/// What counts of the past, in queries and in sightings: as the crawl goes on, both become rarer.
const MEMORY: f32 = 1_000.0;

/// Queries that the first guess of a turn is worth, and sightings that of a depth is.
const GUESSED: f32 = 20.0;

/// How often something came to pass.
#[derive(Clone, Copy, Debug)]
struct Luck {
    tried: f32,
    came: f32,
}

impl Luck {
    fn guess(share: f32) -> Self {
        Self {
            tried: GUESSED,
            came: GUESSED * share,
        }
    }

    fn note(&mut self, came: bool) {
        if self.tried >= MEMORY {
            self.tried /= 2.0;
            self.came /= 2.0;
        }
        self.tried += 1.0;
        self.came += f32::from(u8::from(came));
    }

    fn share(self) -> f32 {
        self.came / self.tried
    }
}

/// A sample at the moment when it came.
#[derive(Clone, Copy, Debug)]
struct Taken {
    by: NodeId,
    kind: usize,
    depth: usize,
}

/// What kind of query it is, by how likely it is to be answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Try {
    pub(super) turn: Turn,
    /// Whether the node answered something else a moment before.
    pub(super) fresh: bool,
}

impl Try {
    const KINDS: usize = Turn::ALL.len() + 1;

    const FRESH: Self = Self {
        turn: Turn::Sure,
        fresh: true,
    };

    const fn kind(self) -> usize {
        if self.fresh {
            Turn::ALL.len()
        } else {
            self.turn as usize
        }
    }
}

/// What is expected of whom.
#[derive(Debug)]
pub(super) struct Harvest {
    /// Samples taken of each part at each fineness: those of `bits` bits begin at `1 << bits`.
    taken: Vec<u8>,
    /// Of an id that choose its part.
    bits: u32,
    /// How often a query of each kind brought a sample.
    luck: [Luck; Try::KINDS],
    /// How often what a sample showed was new, by its kind and by the samples taken of its part before.
    new: [[Luck; DEPTHS]; KINDS],
    /// New infohashes by query.
    mean: Luck,
    last: Option<Taken>,
}

impl Harvest {
    /// Nothing is known but the figures of the network model (58% of fresh contacts answer, 70% of these sample: B9, F1; of
    /// those that answered long ago, 44% are behind a NAT that has closed: D5), and what samples of one part have in common
    /// in a pretend network of that model.
    pub(super) fn new(max_nodes: usize) -> Self {
        let most = bits_for(max_nodes as f64);
        let new = |first: f32| std::array::from_fn(|depth| Luck::guess(first * 0.88_f32.powi(depth as i32)));
        let mut luck = [Luck::guess(0.9); Try::KINDS];
        luck[Turn::First as usize] = Luck::guess(0.4);
        luck[Turn::Sure as usize] = Luck::guess(0.5);
        luck[Turn::Doubtful as usize] = Luck::guess(0.2);
        Self {
            taken: vec![0; 2 << most],
            bits: FIRST_BITS.min(most),
            luck,
            new: [new(0.95), new(0.5), new(0.6), new(0.7)],
            mean: Luck::guess(8.0),
            last: None,
        }
    }

    /// The network is taken to be of so many nodes that a lookup can find.
    pub(super) fn sized(&mut self, nodes: f64) {
        let most = self.taken.len().ilog2() - 1;
        self.bits = bits_for(nodes).min(most);
    }

    /// New infohashes that a query to a node is expected to bring, what it opens included.
    pub(super) fn expected(&self, node: &Node, fresh: bool) -> f32 {
        let turn = node.turn();
        let (kind, depth) = (kind(turn, node.num), self.depth(&node.id));
        let shown = if kind == 0 {
            USUAL_SAMPLE
        } else {
            node.num.min(USUAL_SAMPLE)
        };
        let own = f32::from(shown) * self.new[kind][depth].share();
        let opened = if turn == Turn::First {
            self.opened(depth + 1)
        } else {
            0.0
        };
        self.luck[Try { turn, fresh }.kind()].share() * (own + opened)
    }

    /// What the neighbours of a node are worth above the mean, if so many samples were taken of its part.
    fn opened(&self, depth: usize) -> f32 {
        let sure = self.luck[Try::FRESH.kind()].share() * f32::from(USUAL_SAMPLE);
        let [first, ..] = &self.new;
        first[depth.min(DEPTHS)..]
            .iter()
            .map(|new| sure * new.share() - self.mean.share())
            .take_while(|above| *above > 0.0)
            .sum()
    }

    /// A sampling query is over, without a sample.
    pub(super) fn in_vain(&mut self, tried: Try) {
        self.luck[tried.kind()].note(false);
        self.mean.note(false);
    }

    /// A sampling query brought a sample of a node, of which this much was known before.
    pub(super) fn shown(&mut self, tried: Try, node: &Node) {
        self.luck[tried.kind()].note(true);
        self.mean.note(false);
        self.last = Some(Taken {
            by: node.id,
            kind: kind(tried.turn, node.num),
            depth: self.depth(&node.id),
        });
        for bits in 0..self.taken.len().ilog2() {
            let taken = &mut self.taken[part(&node.id, bits)];
            *taken = taken.saturating_add(1);
        }
    }

    /// The node that gave the latest sample showed an infohash that was new, or one that was known. Of others it is too late
    /// to say.
    pub(super) fn sighted(&mut self, by: &NodeId, new: bool) {
        let Some(taken) = self.last.filter(|taken| taken.by == *by) else {
            return;
        };
        self.new[taken.kind][taken.depth].note(new);
        self.mean.came += f32::from(u8::from(new));
    }

    /// Samples taken of the part that an id is in.
    fn depth(&self, id: &NodeId) -> usize {
        usize::from(self.taken[part(id, self.bits)]).min(DEPTHS - 1)
    }

    pub(super) const fn bytes(&self) -> usize {
        self.taken.capacity()
    }
}

/// The part of the key space that the first `bits` of an id stand for, after all of fewer bits.
fn part(id: &NodeId, bits: u32) -> usize {
    let [a, b, c, d, ..] = *id.as_bytes();
    let first = u64::from(u32::from_be_bytes([a, b, c, d])) >> (u32::BITS - bits);
    (1 << bits) + first as usize
}

fn bits_for(nodes: f64) -> u32 {
    let bits = (nodes / NODES_TO_A_PART).max(1.0).log2().round();
    (bits as u32).min(MAX_BITS)
}

/// The kind of sample that a node gives whose turn it is, and which said last that it holds `num` infohashes.
fn kind(turn: Turn, num: u16) -> usize {
    match turn {
        Turn::Again | Turn::Small => 1 + HOLDINGS.iter().filter(|most| num > **most).count(),
        _ => 0,
    }
}

/// Turns that are compared by what is expected; who is only asked for nodes comes after them.
pub(super) fn is_compared(turn: Turn) -> bool {
    turn.probe() == Probe::Sample
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use world::Seed;

    use super::*;
    use crate::Contact;
    use crate::ledger::{Ledger, Provenance};

    /// A stranger with an id that begins with these bytes.
    fn stranger(first: [u8; 2]) -> Node {
        let mut id = [0; 20];
        id[..2].copy_from_slice(&first);
        let contact = Contact {
            id: NodeId::new(id),
            addr: SocketAddr::from(([127, 0, 0, 1], 6881)),
        };
        let mut ledger = Ledger::new(100, Seed::from_number(1));
        ledger.learn(&contact, Provenance::Named);
        let entry = ledger.find(&contact.addr).unwrap();
        *ledger.node(entry)
    }

    fn alive(first: [u8; 2]) -> Node {
        let mut node = stranger(first);
        node.heard(crate::ledger::Client::Libtorrent, true);
        node
    }

    /// What counts of a network of 16,384 nodes: a thousand parts.
    fn harvest() -> Harvest {
        let mut harvest = Harvest::new(1_000_000);
        harvest.sized(16_384.0);
        harvest
    }

    #[test]
    fn each_sample_of_a_part_makes_the_next_one_worth_less() {
        let mut harvest = harvest();
        let worth: Vec<f32> = (0..10)
            .map(|_| {
                harvest.shown(Try::FRESH, &alive([1, 0]));
                harvest.expected(&alive([1, 1]), true)
            })
            .collect();
        assert!(worth.windows(2).all(|two| two[1] < two[0]), "{worth:?}");
        assert!(harvest.expected(&alive([2, 0]), true) > worth[0]);
    }

    #[test]
    fn a_new_part_is_opened_when_neighbours_bring_less_than_the_mean() {
        let mut harvest = harvest();
        let elsewhere = stranger([200, 0]);
        let worth_of = |harvest: &Harvest| {
            (
                harvest.expected(&alive([1, 1]), true),
                harvest.expected(&elsewhere, false),
            )
        };
        let (neighbour, stranger) = worth_of(&harvest);
        assert!(neighbour > stranger, "{neighbour} {stranger}");
        (0..7).for_each(|_| harvest.shown(Try::FRESH, &alive([1, 0])));
        let (neighbour, stranger) = worth_of(&harvest);
        assert!(neighbour < stranger, "{neighbour} {stranger}");
    }

    #[test]
    fn parts_are_as_fine_as_the_network_is_large() {
        let mut harvest = harvest();
        harvest.shown(Try::FRESH, &alive([1, 0]));
        let apart = alive([1, 128]);
        let alone = harvest.expected(&apart, true);
        harvest.sized(1_000.0);
        assert!(harvest.expected(&apart, true) < alone);
    }

    #[test]
    fn what_samples_show_at_a_depth_is_learned() {
        let mut harvest = harvest();
        let before = harvest.expected(&alive([1, 0]), true);
        for first in 0..=255 {
            let node = alive([first, 0]);
            harvest.shown(Try::FRESH, &node);
            (0..20).for_each(|_| harvest.sighted(&node.id, false));
        }
        harvest.sized(1_000_000.0);
        assert!(harvest.expected(&alive([1, 128]), true) < before / 2.0);
    }

    #[test]
    fn what_somebody_else_showed_counts_for_nobody() {
        let mut harvest = harvest();
        harvest.shown(Try::FRESH, &alive([1, 0]));
        let before = harvest.expected(&alive([2, 0]), true);
        (0..1_000).for_each(|_| harvest.sighted(&alive([3, 0]).id, false));
        assert_eq!(harvest.expected(&alive([2, 0]), true).to_bits(), before.to_bits());
    }
}
