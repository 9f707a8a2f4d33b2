//! How many keys there are, and what they are like on average, from weighted samples (network-model 4.5, 4.7).
//!
//! A key with many holders is shown more often than one with few. Weighted by the inverse of its chance, each counts as
//! one again.

use crate::estimate::{Estimate, Method};

/// What all nodes store together (network-model 4.5).
pub const STORED: Method = Method {
    name: "stored",
    counts: "keys that all nodes which answer samples store, each counted once for every holder",
    assumes: "the nodes read are a random part of them, and say honestly how many keys they store",
};

/// By the number of holders of some keys (network-model 4.5).
pub const MULTIPLICITY: Method = Method {
    name: "multiplicity",
    counts: "keys that nodes which answer samples hold",
    assumes: "nodes say honestly how many keys they store, samples are random, and the holders of the audited keys were all \
              found, by the same rule by which nodes were read",
};

/// By the chance that each key had of being shown (network-model 4.7).
pub const INVERSE_CHANCE: Method = Method {
    name: "inverse chance",
    counts: "keys with a holder among the nodes read",
    assumes: "all holders of each shown key among the nodes read are known, and their samples are random",
};

/// A mean over keys (network-model 4.5).
pub const WEIGHTED_MEAN: Method = Method {
    name: "weighted mean",
    counts: "mean over all keys, however often each is shown",
    assumes: "each weight is the inverse of the key's chance to be shown, up to a common factor",
};

/// Keys that all nodes store together: the mean of what the nodes read say (`num` of BEP 51), times how many such nodes there are.
/// `None` without a node.
pub fn stored(num: impl IntoIterator<Item = f64>, nodes: &Estimate) -> Option<Estimate> {
    let moments = Moments::of(num.into_iter().map(|num| (1.0, num)));
    if moments.count == 0.0 {
        return None;
    }
    // Of a part of the nodes the mean is uncertain; of all of them it is not.
    let unread = (1.0 - moments.count / nodes.value.max(moments.count)).max(0.0);
    let mean = moments.mean();
    let relative = if mean > 0.0 {
        unread * moments.variance() / (mean * mean)
    } else {
        0.0
    };
    let total = nodes.times(mean).blurred(relative);
    Some(Estimate {
        method: &STORED,
        ..total
    })
}

/// One showing of a key whose holders were counted.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Audited {
    /// Its weight among the showings: stored by the node, divided by shown by it; times the inverse chance of the node to be
    /// read, where nodes differ in that.
    pub weight: f64,
    /// Nodes found that hold the key. 0: nobody does any more, and it counts for nothing.
    pub holders: u32,
}

/// Keys in all: what is `stored` once for every holder, times the mean of one divided by the holders. `None` without two
/// audited showings.
pub fn multiplicity(stored: &Estimate, audited: impl IntoIterator<Item = Audited>) -> Option<Estimate> {
    let moments = Moments::of(audited.into_iter().map(|audited| {
        let once = if audited.holders > 0 {
            1.0 / f64::from(audited.holders)
        } else {
            0.0
        };
        (audited.weight, once)
    }));
    let mean = moments.mean();
    if moments.count < 2.0 || mean <= 0.0 {
        return None;
    }
    let keys = stored.times(mean).blurred(moments.variance() / (mean * mean));
    Some(Estimate {
        method: &MULTIPLICITY,
        ..keys
    })
}

/// The chance that a key was shown: `1 - product(1 - min(1, shown/stored))` over the nodes read that hold it.
pub fn chance(holders: impl IntoIterator<Item = (u32, f64)>) -> f64 {
    let missed = holders.into_iter().map(|(shown, stored)| {
        let share = if stored > 0.0 { f64::from(shown) / stored } else { 0.0 };
        1.0 - share.clamp(0.0, 1.0)
    });
    1.0 - missed.product::<f64>()
}

/// Keys in all, from the [`chance`] of each key that was shown: the sum of the inverse chances (Horvitz and Thompson 1952).
/// Keys without a chance are passed over. `None` if there is none.
pub fn inverse_chance(chances: impl IntoIterator<Item = f64>) -> Option<Estimate> {
    let (mut seen, mut total, mut variance) = (0.0, 0.0, 0.0);
    for chance in chances.into_iter().filter(|chance| *chance > 0.0) {
        let chance = chance.min(1.0);
        seen += 1.0;
        total += 1.0 / chance;
        variance += (1.0 - chance) / (chance * chance);
    }
    (seen > 0.0).then(|| Estimate::beyond(seen, total - seen, variance, &INVERSE_CHANCE))
}

/// The mean of a figure over keys, from pairs of weight and figure: `sum(w*y) / sum(w)` (Hajek 1971). A share is the mean of zeros
/// and ones. `None` without two of them.
pub fn weighted_mean(items: impl IntoIterator<Item = (f64, f64)>) -> Option<Estimate> {
    let moments = Moments::of(items);
    (moments.count >= 2.0 && moments.weight > 0.0)
        .then(|| Estimate::normal(moments.mean(), moments.variance(), &WEIGHTED_MEAN))
}

/// Sums over weighted figures.
#[derive(Clone, Copy, Debug, Default)]
struct Moments {
    count: f64,
    weight: f64,
    first: f64,
    /// Sums of w², w²y and w²y²: for the variance of the weighted mean.
    squares: [f64; 3],
}

impl Moments {
    fn of(items: impl IntoIterator<Item = (f64, f64)>) -> Self {
        let mut sums = Self::default();
        for (weight, figure) in items.into_iter().filter(|(weight, _)| *weight > 0.0) {
            sums.count += 1.0;
            sums.weight += weight;
            sums.first += weight * figure;
            let square = weight * weight;
            for (sum, power) in sums.squares.iter_mut().zip([1.0, figure, figure * figure]) {
                *sum += square * power;
            }
        }
        sums
    }

    fn mean(&self) -> f64 {
        if self.weight > 0.0 {
            self.first / self.weight
        } else {
            0.0
        }
    }

    /// Of the mean, linearised: `n/(n-1) * sum(w²(y - mean)²) / sum(w)²`.
    fn variance(&self) -> f64 {
        if self.count < 2.0 {
            return 0.0;
        }
        let (mean, [w, wy, wyy]) = (self.mean(), self.squares);
        let sum = (wyy - 2.0 * mean * wy + mean * mean * w).max(0.0);
        self.count / (self.count - 1.0) * sum / (self.weight * self.weight)
    }
}

#[cfg(test)]
mod tests {
    use rand::RngExt;
    use world::Seed;

    use super::*;
    use crate::testing::{Rand, covered};

    /// Keys with 1 to 15 holders among 300 nodes, and a figure that goes with the holders.
    struct World {
        holders: Vec<Vec<usize>>,
        stores: Vec<Vec<usize>>,
        rng: Rand,
    }

    const SHOWN: usize = 20;

    impl World {
        fn new(seed: Seed) -> Self {
            let mut rng = seed.rng();
            let mut stores = vec![Vec::new(); 300];
            let holders: Vec<Vec<usize>> = (0..3_000)
                .map(|key| {
                    let mut holders: Vec<usize> = (0..300).collect();
                    let count = 1 + rng.random_range(0..15);
                    for at in 0..count {
                        let other = rng.random_range(at..300);
                        holders.swap(at, other);
                    }
                    holders.truncate(count);
                    holders.iter().for_each(|node: &usize| stores[*node].push(key));
                    holders
                })
                .collect();
            Self { holders, stores, rng }
        }

        fn sample(&mut self, node: usize) -> Vec<usize> {
            let mut store = self.stores[node].clone();
            for at in 0..SHOWN.min(store.len()) {
                let other = self.rng.random_range(at..store.len());
                store.swap(at, other);
            }
            store.truncate(SHOWN);
            store
        }
    }

    #[test]
    fn holders_counted_of_a_few_hundred_keys_give_all_keys() {
        covered(100, 0.95, |seed| {
            let mut world = World::new(seed);
            let read = 60;
            let num: Vec<f64> = world.stores[..read].iter().map(|store| store.len() as f64).collect();
            let stored = stored(num.iter().copied(), &Estimate::exact(300.0, &STORED)).unwrap();
            let mut draws = Vec::new();
            for node in 0..read {
                let sample = world.sample(node);
                let weight = world.stores[node].len() as f64 / sample.len() as f64;
                draws.extend(sample.into_iter().map(|key| (weight, key)));
            }
            let audited = (0..300).map(|_| {
                let (weight, key) = draws[world.rng.random_range(0..draws.len())];
                let holders = world.holders[key].len() as u32;
                Audited { weight, holders }
            });
            let audited: Vec<Audited> = audited.collect();
            multiplicity(&stored, audited).unwrap().covers(3_000.0)
        });
    }

    #[test]
    fn known_holders_among_the_read_correct_the_mean_of_what_was_seen() {
        covered(100, 0.95, |seed| {
            let mut world = World::new(seed);
            let mut seen = std::collections::BTreeSet::new();
            (0..300).for_each(|node| seen.extend(world.sample(node)));
            let chance_of = |key: &usize| {
                chance(world.holders[*key].iter().map(|node| {
                    let store = world.stores[*node].len();
                    (SHOWN.min(store) as u32, store as f64)
                }))
            };
            let keys = inverse_chance(seen.iter().map(chance_of)).unwrap();
            let truth = world.holders.iter().filter(|holders| holders.len() == 1).count() as f64 / 3_000.0;
            let is_single = |key: &usize| f64::from(u8::from(world.holders[*key].len() == 1));
            let raw = seen.iter().map(is_single).sum::<f64>() / seen.len() as f64;
            assert!(raw < truth, "popular keys are seen first");
            let share = weighted_mean(seen.iter().map(|key| (1.0 / chance_of(key), is_single(key)))).unwrap();
            keys.covers(3_000.0) && share.covers(truth)
        });
    }

    #[test]
    fn reading_every_node_leaves_no_doubt_about_what_is_stored() {
        let all = Estimate::exact(3.0, &STORED);
        let stored = stored([1.0, 5.0, 6.0], &all).unwrap();
        assert_eq!((stored.low, stored.value, stored.high), (12.0, 12.0, 12.0));
    }

    #[test]
    fn nothing_known_is_no_estimate() {
        assert_eq!(stored([], &Estimate::exact(3.0, &STORED)), None);
        assert_eq!(multiplicity(&Estimate::exact(3.0, &STORED), []), None);
        assert_eq!(inverse_chance([0.0]), None);
        assert_eq!(weighted_mean([(1.0, 1.0)]), None);
        assert!(chance([]).abs() < 1e-9 && (chance([(20, 10.0)]) - 1.0).abs() < 1e-9);
    }
}
