//! How many nodes the DHT has (network-model 4.1).

use crate::estimate::{Estimate, Method, Z, gamma_quantile};

/// By the distance of the k-th nearest node (network-model 4.1a).
pub const ORDER_STATISTICS: Method = Method {
    name: "order statistics",
    counts: "nodes of the DHT that a lookup can find: they answer, under the id that was named",
    assumes: "ids are uniform, the points walked to were chosen at random and lie apart, and a walk finds all of the \
              nearest nodes that answer",
};

/// By a zone that was listed to exhaustion (network-model 4.1d).
pub const ZONE: Method = Method {
    name: "zone density",
    counts: "nodes of the DHT, of the kind that was listed in the zone",
    assumes: "ids are uniform, the zone was chosen at random, and the nodes known to be in it were as likely to be found as \
              any other",
};

/// From full lookups to random points: `shares` are the distances to the `k`-th nearest node that answered, each as a share
/// of the key space ([`wire::id::Distance::share`]). `(L*k - 1) / sum`, unbiased for uniform ids.
///
/// The sum of `L` such shares times the number of nodes has a gamma distribution of shape `L*k`, which gives the interval.
/// `None` without a walk, or if the first `k` nodes do not make an interval (`L*k < 3`).
pub fn order_statistics(shares: impl IntoIterator<Item = f64>, k: u32) -> Option<Estimate> {
    let (mut walks, mut sum) = (0.0, 0.0);
    for share in shares {
        walks += 1.0;
        sum += share;
    }
    let shape = walks * f64::from(k);
    (sum > 0.0 && shape >= 3.0).then(|| Estimate {
        value: (shape - 1.0) / sum,
        low: gamma_quantile(shape, -Z) / sum,
        high: gamma_quantile(shape, Z) / sum,
        method: &ORDER_STATISTICS,
    })
}

/// A zone of the key space that was listed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Zone {
    /// Leading bits that its ids share.
    pub bits: u32,
    /// Nodes found in it.
    pub seen: u64,
    /// Nodes known to be in it: planted there, or found by an independent listing.
    pub known: u64,
    /// Of these, found.
    pub found: u64,
}

/// From one zone: what was seen in it, divided by the share of the known that was found, times the number of zones.
/// `None` if nothing was seen, or none of the known.
pub fn zone(zone: &Zone) -> Option<Estimate> {
    let (seen, known, found) = (zone.seen as f64, zone.known as f64, zone.found as f64);
    if seen == 0.0 || found == 0.0 || found > known {
        return None;
    }
    let chance = found / known;
    let zones = 2.0_f64.powi(i32::try_from(zone.bits).unwrap_or(i32::MAX));
    let relative = 1.0 / seen + (1.0 - chance) / found;
    Some(Estimate::log_normal(zones * seen / chance, relative, &ZONE))
}

#[cfg(test)]
mod tests {
    use rand::{Rng, RngExt};
    use wire::NodeId;
    use world::Seed;

    use super::*;
    use crate::testing::{Rand, covered};

    fn ids(rng: &mut impl Rng, count: usize) -> Vec<NodeId> {
        let mut draw = || {
            let mut id = [0; 20];
            rng.fill_bytes(&mut id);
            NodeId::new(id)
        };
        (0..count).map(|_| draw()).collect()
    }

    fn walks(rng: &mut impl Rng, nodes: &[NodeId], count: usize, k: usize) -> Vec<f64> {
        let shares = ids(rng, count).into_iter().map(|target| {
            let mut shares: Vec<f64> = nodes.iter().map(|node| node.distance(&target).share()).collect();
            shares.sort_unstable_by(f64::total_cmp);
            shares[k - 1]
        });
        shares.collect()
    }

    #[test]
    fn walks_estimate_the_nodes_within_the_interval() {
        covered(80, 0.95, |seed: Seed| {
            let mut rng = seed.rng();
            let nodes = ids(&mut rng, 1_500);
            let estimate = order_statistics(walks(&mut rng, &nodes, 4, 8), 8).unwrap();
            estimate.covers(1_500.0)
        });
    }

    #[test]
    fn sixteen_walks_are_within_a_sixth_or_so() {
        let estimate = order_statistics([8.0 / 1e6; 16], 8).unwrap();
        assert!((estimate.value / 1e6 - 127.0 / 128.0).abs() < 1e-9);
        assert!((0.81..0.86).contains(&(estimate.low / 1e6)), "{estimate:?}");
        assert!((1.14..1.20).contains(&(estimate.high / 1e6)), "{estimate:?}");
        assert_eq!(order_statistics([], 8), None);
    }

    #[test]
    fn a_zone_is_corrected_for_what_was_missed() {
        covered(100, 0.95, |seed: Seed| {
            let mut rng = seed.rng();
            let count = ids(&mut rng, 6_000).iter().filter(|id| id.as_bytes()[0] < 16).count();
            let found = |rng: &mut Rand, of: usize| (0..of).filter(|_| rng.random::<f64>() < 0.7).count() as u64;
            let (seen, known) = (found(&mut rng, count), 300);
            let found = found(&mut rng, 300);
            let estimate = zone(&Zone {
                bits: 4,
                seen,
                known,
                found,
            });
            estimate.unwrap().covers(6_000.0)
        });
        let none = Zone {
            bits: 4,
            seen: 10,
            known: 3,
            found: 0,
        };
        assert_eq!(zone(&none), None);
    }
}
