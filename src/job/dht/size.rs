//! How many nodes there are: walks to random points, and what their nearest nodes say (network-model 4.1a).

use analysis::size;
use crawler::{Answer, AskId, Family, K, LookupDone, Node, Target};
use rand::Rng;
use rand::rngs::ChaCha8Rng;
use wire::NodeId;
use world::{Seed, Time};

use super::Said;
use crate::job::around::Around;
use crate::report::{columns, interval};

/// Walks at once. More would only wait for the global rate, and for the hosts near our start.
const AT_ONCE: u32 = 16;

/// The walks of one inquiry.
pub(super) struct Size {
    rng: ChaCha8Rng,
    wanted: u32,
    begun: u32,
    over: u32,
    /// The ends of walks, where neighbours are still asked for theirs; by address family.
    around: Vec<[Option<Around>; 2]>,
    /// Distances of the eighth nearest node of each walk, as shares of the key space; by address family.
    shares: [Vec<f64>; 2],
}

impl Size {
    pub(super) fn new(wanted: u32, seed: Seed) -> Self {
        Self {
            rng: seed.rng(),
            wanted,
            begun: 0,
            over: 0,
            around: Vec::new(),
            shares: [Vec::new(), Vec::new()],
        }
    }

    /// Begins the walks whose turn it is.
    pub(super) fn begin(&mut self, now: Time, node: &mut Node) {
        while self.begun < self.wanted && self.begun - self.over < AT_ONCE {
            let mut point = [0; 20];
            self.rng.fill_bytes(&mut point);
            node.find_node(now, NodeId::new(point));
            self.begun += 1;
        }
    }

    /// A walk ended: its nearest nodes are asked for their neighbours. Whether all is over.
    pub(super) fn note(&mut self, now: Time, node: &mut Node, done: &LookupDone) -> bool {
        let Target::Node(point) = done.target else { return false };
        // One that ran out of time has not found the nearest.
        let closest = if done.converged { &done.closest[..] } else { &[] };
        let around = [Family::V4, Family::V6].map(|family| Around::new(point, family, closest));
        self.around.push(around);
        self.go_on(now, node)
    }

    /// A question ended. Whether all is over.
    pub(super) fn heard(&mut self, now: Time, node: &mut Node, ask: AskId, answer: &Answer) -> bool {
        let mut around = self.around.iter_mut().flatten().flatten();
        around.any(|around| around.heard(ask, answer)) && self.go_on(now, node)
    }

    /// Asks on around all points, and counts those that are done.
    fn go_on(&mut self, now: Time, node: &mut Node) -> bool {
        let mut going = Vec::new();
        for mut ends in self.around.drain(..) {
            ends.iter_mut().flatten().for_each(|around| around.ask(now, node));
            if ends.iter().flatten().all(Around::is_over) {
                self.over += 1;
                for around in ends.iter().flatten() {
                    self.shares[around.family() as usize].extend(around.share());
                }
            } else {
                going.push(ends);
            }
        }
        self.around = going;
        self.over == self.wanted
    }

    /// What came of it, in the order of telling.
    pub(super) fn told(&self) -> Vec<Said> {
        let mut told = Vec::new();
        for (family, shares) in ["ipv4", "ipv6"].into_iter().zip(&self.shares) {
            let k = u32::try_from(K).unwrap_or(u32::MAX);
            let Some(nodes) = size::order_statistics(shares.iter().copied(), k) else {
                continue;
            };
            told.push(Said::Line(columns(family, &nodes)));
            told.push(Said::Note(format!(
                "{family}: {}, from {} walks; {}",
                interval(&nodes),
                shares.len(),
                nodes.method.counts
            )));
        }
        told.push(Said::Note(if told.is_empty() {
            format!("none of {} walks found eight nodes that answer", self.begun)
        } else {
            format!("assumed: {}", size::ORDER_STATISTICS.assumes)
        }));
        told
    }
}
