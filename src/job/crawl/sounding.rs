//! How many nodes there are, asked beside a crawl (network-model 4.1a).
//!
//! Where a walk of the node's upkeep ends, its nearest nodes are asked for their neighbours: the walk alone may have missed some, and
//! then there seem to be fewer nodes than there are.

use crawler::{Answer, AskId, Census, Contact, Family, Node};
use wire::NodeId;
use world::Time;

use crate::job::around::Around;

/// Questions that nothing has to pay for, so that there is an estimate within the first minute.
const FREE: u64 = 60;

/// Beyond these, one question is asked for so many sampling queries.
const SAMPLES_TO_A_QUESTION: u64 = 50;

/// The ends of walks, one at a time.
#[derive(Debug, Default)]
pub(super) struct Sounding {
    /// Whose surroundings are being asked, by address family.
    around: [Option<Around>; 2],
    /// Questions asked around points that are done with.
    asked: u64,
    /// What came of the latest 64, by address family.
    found: [Census; 2],
}

impl Sounding {
    /// A walk ended.
    pub(super) fn walked(&mut self, now: Time, node: &mut Node, target: NodeId, closest: &[Contact]) {
        let samples = node.sampler().map_or(0, |sampler| sampler.stats().sample_queries);
        if self.around.iter().any(Option::is_some) || self.asked > FREE + samples / SAMPLES_TO_A_QUESTION {
            return;
        }
        self.around = [Family::V4, Family::V6].map(|family| Around::new(target, family, closest));
        self.go_on(now, node);
    }

    /// A question ended.
    pub(super) fn heard(&mut self, now: Time, node: &mut Node, ask: AskId, answer: &Answer) {
        if self.around.iter_mut().flatten().any(|around| around.heard(ask, answer)) {
            self.go_on(now, node);
        }
    }

    fn go_on(&mut self, now: Time, node: &mut Node) {
        for slot in &mut self.around {
            let Some(around) = slot else { continue };
            around.ask(now, node);
            if !around.is_over() {
                continue;
            }
            self.asked += u64::from(around.asked());
            if let Some(share) = around.share() {
                self.found[around.family() as usize].note(around.point(), share);
            }
            *slot = None;
        }
    }

    /// Distances to the eighth nearest node that answers, as shares of the key space.
    pub(super) fn shares(&self, family: Family) -> impl Iterator<Item = f64> {
        self.found[family as usize].shares()
    }
}
