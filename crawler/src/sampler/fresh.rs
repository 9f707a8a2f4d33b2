//! Who answered something else a moment ago, and would answer a sampling query as surely.
//!
//! Four nodes in ten are behind a NAT that lets us in while their mapping lasts, which is from half a minute on; who
//! answered longer ago is little better than a stranger (network-model B8, B12, D5).

use std::collections::VecDeque;

use world::{KeyedSet, Seed};

use super::choose::most;
use crate::ledger::{Entry, Ledger, Node, Turn};

/// Nodes remembered: the latest, since those of one neighbourhood answer many questions in a row.
const MOST: usize = 256;

/// Seconds for which an answer counts.
const LASTS: u32 = 30;

/// Nodes to be sampled while they answer.
#[derive(Debug)]
pub(super) struct Fresh {
    /// The latest last, each once, with the second at which it answered.
    latest: VecDeque<(Entry, u32)>,
    /// Asked while fresh, and not done with yet.
    asked: KeyedSet<Entry>,
}

impl Fresh {
    pub(super) fn new(seed: Seed) -> Self {
        Self {
            latest: VecDeque::with_capacity(MOST),
            asked: KeyedSet::with_hasher(seed.hasher()),
        }
    }

    /// It answered.
    pub(super) fn heard(&mut self, now: u32, entry: Entry) {
        if self.take(entry).is_none() && self.latest.len() == MOST {
            self.latest.pop_front();
        }
        self.latest.push_back((entry, now));
    }

    /// Of those that may be sampled, the one of whom most is expected, and how much that is.
    pub(super) fn best(&mut self, now: u32, ledger: &Ledger, expected: impl Fn(&Node) -> f32) -> Option<(f32, Entry)> {
        self.latest
            .retain(|&(entry, at)| now <= at + LASTS && ledger.is_next(entry, Turn::Sure));
        let all = self.latest.iter();
        most(all.map(|&(entry, _)| (expected(ledger.node(entry)), entry)))
    }

    /// It is asked for a sample.
    pub(super) fn asked(&mut self, now: u32, entry: Entry) {
        if self.take(entry).is_some_and(|at| now <= at + LASTS) {
            self.asked.insert(entry);
        }
    }

    /// Forgets it; says when it answered.
    fn take(&mut self, entry: Entry) -> Option<u32> {
        let at = self.latest.iter().position(|(other, _)| *other == entry)?;
        self.latest.remove(at).map(|(_, answered)| answered)
    }

    /// What it was asked is over; says whether it was fresh then.
    pub(super) fn ended(&mut self, entry: Entry) -> bool {
        self.asked.remove(&entry)
    }
}
