//! How many peers a torrent has: the filters of the nodes nearest to it, united (BEP 33, network-model 4.6).

use analysis::Estimate;
use analysis::swarm::{self, Filters};
use crawler::{Answer, LookupDone, Node, Question};
use wire::InfoHash;
use wire::bloom::Bloom;
use world::Time;

use super::Said;
use crate::report::{columns, interval, thousands};

/// The filters of one inquiry.
pub(super) struct Scrape {
    info_hash: InfoHash,
    asked: usize,
    answered: usize,
    over: usize,
    filters: Filters,
    /// Nodes whose filters are full: more peers than a filter can tell apart, or forged.
    full: u32,
}

impl Scrape {
    pub(super) fn new(info_hash: InfoHash) -> Self {
        Self {
            info_hash,
            asked: 0,
            answered: 0,
            over: 0,
            filters: Filters::default(),
            full: 0,
        }
    }

    /// Walks to the nodes that hold it.
    pub(super) fn begin(&self, now: Time, node: &mut Node) {
        node.find_node(now, self.info_hash.as_target());
    }

    /// The walk ended: each of the nearest nodes is asked. Whether there is none.
    pub(super) fn found(&mut self, now: Time, node: &mut Node, done: &LookupDone) -> bool {
        for near in &done.closest {
            self.asked += 1;
            node.ask_named(now, *near, Question::Scrape(self.info_hash));
        }
        self.asked == 0
    }

    /// A node answered, or did not; whether it was the last.
    pub(super) fn heard(&mut self, answer: &Answer) -> bool {
        self.over += 1;
        if let Answer::Reply { filters, .. } = answer {
            self.answered += 1;
            if let Some(filters) = filters {
                let [seeds, peers] = &**filters;
                if seeds.estimate().is_none() || peers.estimate().is_none() {
                    self.full += 1;
                } else {
                    self.filters.unite(seeds, peers);
                }
            }
        }
        self.over == self.asked
    }

    /// What came of it, in the order of telling.
    pub(super) fn told(&self) -> Vec<Said> {
        let mut told = Vec::new();
        let Filters { nodes, seeds, peers } = &self.filters;
        if *nodes > 0 {
            for (name, filter) in [("seeds", seeds), ("others", peers), ("all", &self.filters.all())] {
                told.extend(line(name, filter));
            }
        }
        told.push(Said::Note(format!(
            "{} of the nearest nodes asked, {} answered, {nodes} gave filters{}",
            self.asked,
            self.answered,
            if self.full > 0 {
                format!(
                    ", {} gave full ones, not counted: more than {} peers, or forged",
                    self.full,
                    thousands(swarm::MOST as u64)
                )
            } else {
                String::new()
            }
        )));
        if *nodes > 0 {
            let method = &swarm::FILTERS;
            told.push(Said::Note(format!("counted: {}", method.counts)));
            told.push(Said::Note(format!("assumed: {}", method.assumes)));
        }
        told
    }
}

fn line(name: &str, filter: &Bloom) -> [Said; 2] {
    match swarm::size(filter) {
        Some(size) => [
            Said::Line(columns(name, &size)),
            Said::Note(format!("{name}: {}", interval(&size))),
        ],
        None => {
            let most = Estimate {
                high: f64::INFINITY,
                ..Estimate::exact(swarm::MOST, &swarm::FILTERS)
            };
            [
                Said::Line(columns(name, &most)),
                Said::Note(format!("{name}: more than {}", thousands(swarm::MOST as u64))),
            ]
        }
    }
}
