//! How many nodes there are, judged by how near the nearest ones are (network-model 4.1a).

use wire::NodeId;

use crate::contacts::K;

/// Walks that count: 64 give a coefficient of variation of 4.4%.
const WALKS: usize = 64;

/// Distances of the eighth nearest answering node of the latest full walks, as shares of the key space.
///
/// One walk for each neighbourhood: a node walks to its own again and again, and the same eight nodes would be counted as
/// if they were many independent draws.
#[derive(Debug, Default)]
pub struct Census {
    /// Of each walk the target and the share; the latest last.
    walks: Vec<(NodeId, f64)>,
}

impl Census {
    /// The eighth nearest node to `target` that answers is so far from it, as a share of the key space.
    pub fn note(&mut self, target: &NodeId, share: f64) {
        let apart = |earlier: &(NodeId, f64)| earlier.0.distance(target).share() > share.max(earlier.1);
        self.walks.retain(apart);
        if self.walks.len() == WALKS {
            self.walks.remove(0);
        }
        self.walks.push((*target, share));
    }

    /// The shares, by which the number of nodes can be estimated.
    pub fn shares(&self) -> impl Iterator<Item = f64> {
        self.walks.iter().map(|(_, share)| *share)
    }

    /// Nodes that a lookup can find: `(L*k - 1) / sum of shares`, unbiased for uniform ids. `None` before the first walk.
    pub fn estimate(&self) -> Option<f64> {
        let sum: f64 = self.shares().sum();
        let count = u32::try_from(self.walks.len() * K).map(f64::from).unwrap_or_default();
        (sum > 0.0).then(|| (count - 1.0) / sum)
    }
}

#[cfg(test)]
mod tests {
    use rand::Rng;
    use world::Seed;

    use super::*;

    #[test]
    fn two_thousand_nodes_are_estimated_within_a_fifth() {
        let mut rng = Seed::from_number(5).rng();
        let mut draw = || {
            let mut id = [0; 20];
            rng.fill_bytes(&mut id);
            NodeId::new(id)
        };
        let nodes: Vec<NodeId> = (0..2_000).map(|_| draw()).collect();
        let mut census = Census::default();
        assert_eq!(census.estimate(), None);
        for _ in 0..WALKS {
            let target = draw();
            let mut near = nodes.clone();
            near.sort_by_key(|id| id.distance(&target));
            census.note(&target, target.distance(&near[K - 1]).share());
        }
        let estimate = census.estimate().unwrap();
        assert!((1_600.0..2_400.0).contains(&estimate), "{estimate}");
    }

    #[test]
    fn a_neighbourhood_counts_once_however_often_it_is_walked_to() {
        let id = |first: u8, last: u8| {
            let mut id = [0; 20];
            (id[0], id[19]) = (first, last);
            NodeId::new(id)
        };
        let mut census = Census::default();
        let share = id(0x80, 0).distance(&id(0x90, 0)).share();
        census.note(&id(0x80, 0), share);
        let once = census.estimate();
        (1..100).for_each(|last| census.note(&id(0x80, last), share));
        assert_eq!(census.walks.len(), 1);
        assert!((census.estimate().unwrap() - once.unwrap()).abs() < 0.1);
    }
}
