//! How many nodes there are: walks to random points, and what their nearest nodes say (network-model 4.1a).

use analysis::size;
use crawler::{Family, K, LookupDone, Node, Target};
use rand::Rng;
use rand::rngs::ChaCha8Rng;
use wire::NodeId;
use world::{Seed, Time};

use super::Said;
use crate::report::{columns, interval};

/// Walks at once. More would only wait for the global rate, and for the hosts near our start.
const AT_ONCE: u32 = 16;

/// The walks of one inquiry.
pub(super) struct Size {
    rng: ChaCha8Rng,
    wanted: u32,
    begun: u32,
    over: u32,
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

    /// A walk ended; whether it was the last.
    pub(super) fn note(&mut self, done: &LookupDone) -> bool {
        self.over += 1;
        let Target::Node(point) = done.target else { return false };
        // One that ran out of time has not found the nearest.
        if done.converged {
            for (family, shares) in [Family::V4, Family::V6].into_iter().zip(&mut self.shares) {
                let mut near = done.closest.iter().filter(|node| Family::of(&node.addr) == family);
                shares.extend(near.nth(K - 1).map(|eighth| point.distance(&eighth.id).share()));
            }
        }
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
