//! How many keys there are, judged by how often those that were shown were shown again (network-model 4.2 to 4.4).
//!
//! The textbook forms suppose that each key could be shown any number of times. A key has some ten holders, and each shows it
//! once at the most, so where a good part of all holders has shown its keys, repetitions are rarer than they suppose, and they find too
//! many keys: Chao2 an eighth more unseen ones than there are, Chapman 5% in all, at the usual 15%. Therefore each takes the
//! chance that a holder has shown one of its keys: [`Counts::shown_share`] times the share of nodes that was read. 0, where
//! that is not known, is the textbook form.

use crate::Counts;
use crate::estimate::{Estimate, Method};

/// By keys shown by one and by two nodes (network-model 4.3).
pub const CHAO2: Method = Method {
    name: "Chao2",
    counts: "keys that nodes which answer samples hold, at the least: a lower bound where some keys are seldom shown",
    assumes: "nodes were read from all over the key space, none chosen for its keys, and invented keys were left out",
};

/// By two halves of the nodes (network-model 4.2).
pub const CHAPMAN: Method = Method {
    name: "Chapman",
    counts: "keys that nodes which answer samples hold; some too few, since keys with many holders are seen by both halves",
    assumes: "both halves, split by a hash of the node id, were read all over the key space, and every key was as likely to be \
              shown as any other",
};

/// By keys shown once (network-model 4.4).
pub const COVERAGE: Method = Method {
    name: "Good-Turing",
    counts: "share of what one more node would show that was shown before: of showings, not of keys",
    assumes: "the next node read is like those before it, and no invented keys were counted",
};

/// Keys in all, by Chao2 with the correction of Chao and Lin (2012) for what is drawn without replacement:
/// `S + Q1(Q1-1) / ((2(Q2+1) * t/(t-1) + Q1 * c/(1-c))`, `c` being `chance` (see above). `None` if nothing was shown.
pub fn chao2(counts: &Counts, chance: f64) -> Option<Estimate> {
    if counts.distinct == 0 {
        return None;
    }
    let (seen, once, twice) = (counts.distinct as f64, counts.once as f64, counts.twice as f64);
    let nodes = counts.nodes.max(1) as f64;
    let a = (nodes - 1.0) / nodes;
    let plain = a * once * (once - 1.0) / (2.0 * (twice + 1.0));
    let chance = chance.clamp(0.0, 0.999);
    let corrected = 1.0 / (1.0 + a * once * chance / (1.0 - chance) / (2.0 * (twice + 1.0)));
    let variance = if twice > 0.0 {
        let r = once / twice;
        twice * (a / 2.0 * r.powi(2) + a * a * r.powi(3) + a * a / 4.0 * r.powi(4))
    } else {
        let whole = seen + plain;
        a * once * (once - 1.0) / 2.0 + a * a * once * (2.0 * once - 1.0).powi(2) / 4.0
            - a * a * once.powi(4) / (4.0 * whole)
    };
    let estimate = Estimate::beyond(seen, plain * corrected, variance * corrected * corrected, &CHAO2);
    Some(thinned(estimate, counts))
}

/// Keys in all, by Chapman's form of capture and recapture, between the two halves of the nodes:
/// `(n1+1)(n2+1)/(m+1) - 1`, corrected for `chance` (see above). `None` if a half showed nothing, or both nothing in common.
pub fn chapman(counts: &Counts, chance: f64) -> Option<Estimate> {
    let [n1, n2] = counts.halves.map(|half| half as f64);
    let m = counts.both as f64;
    if n1 == 0.0 || n2 == 0.0 || m == 0.0 {
        return None;
    }
    let seen = n1 + n2 - m;
    let plain = (n1 + 1.0) * (n2 + 1.0) / (m + 1.0) - 1.0;
    let value = plain * shared_holders(m / seen, chance.clamp(0.0, 0.999));
    let variance = (n1 + 1.0) * (n2 + 1.0) * (n1 - m) * (n2 - m) / ((m + 1.0).powi(2) * (m + 2.0));
    let estimate = Estimate::beyond(seen, (value - seen).max(0.0), variance, &CHAPMAN);
    Some(thinned(estimate, counts))
}

/// By how much two halves of a key's holders find it both more seldom than if each half had holders of its own: `m / p²` where each
/// finds it with the chance `p`, both with `m`. The number of holders is the one that makes `both_of_seen` come out.
fn shared_holders(both_of_seen: f64, chance: f64) -> f64 {
    let shares = |holders: f64| {
        let (none, one_none) = ((1.0 - chance).powf(holders), (1.0 - chance / 2.0).powf(holders));
        (1.0 - one_none, 1.0 - 2.0 * one_none + none, 1.0 - none)
    };
    if chance <= 0.0 || both_of_seen >= 1.0 {
        return 1.0;
    }
    // More holders, more in common: halve until the number is found. One holder alone is in one half, and none in common.
    let (mut low, mut high) = (1.0, 1e6);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        let (_, both, seen) = shares(middle);
        if both / seen < both_of_seen {
            low = middle;
        } else {
            high = middle;
        }
    }
    let (one, both, _) = shares(low);
    if one > 0.0 && both > 0.0 {
        both / (one * one)
    } else {
        1.0
    }
}

/// The share of what one more node would show that was shown before (Good and Turing, in the form of Chao and Jost 2012 for nodes as
/// units). `None` if nothing was shown.
///
/// What one node shows is not independent of what else it shows: the interval is of the jackknife that leaves out a group of nodes at a
/// time, and never narrower than if all showings were independent (Esty 1983).
pub fn coverage(counts: &Counts) -> Option<Estimate> {
    let value = shown_before(counts)?;
    let (pairs, once, twice) = (counts.pairs as f64, counts.once as f64, counts.twice as f64);
    let independent = (once * (1.0 - once / pairs) + 2.0 * twice) / (pairs * pairs);
    let estimate = Estimate::normal(value, jackknife(counts).max(independent), &COVERAGE);
    Some(Estimate {
        low: estimate.low.max(0.0),
        high: estimate.high.min(1.0),
        ..estimate
    })
}

fn shown_before(counts: &Counts) -> Option<f64> {
    let (pairs, once, twice) = (counts.pairs as f64, counts.once as f64, counts.twice as f64);
    let before = counts.nodes.max(1) as f64 - 1.0;
    let damped = if once > 0.0 {
        before * once / (before * once + 2.0 * twice)
    } else {
        0.0
    };
    (pairs > 0.0).then(|| 1.0 - once / pairs * damped)
}

/// The variance of [`shown_before`], from how it differs when one group of nodes is left out at a time.
fn jackknife(counts: &Counts) -> f64 {
    let without: Vec<f64> = counts
        .without_each_group()
        .filter_map(|counts| shown_before(&counts))
        .collect();
    let groups = without.len() as f64;
    let mean = without.iter().sum::<f64>() / groups.max(1.0);
    let squares: f64 = without.iter().map(|value| (value - mean) * (value - mean)).sum();
    if groups > 1.0 {
        squares * (groups - 1.0) / groups
    } else {
        0.0
    }
}

/// By the number of keys.
pub const SHARE_SEEN: Method = Method {
    name: "keys seen of keys estimated",
    counts: "share of the keys that nodes which answer samples hold",
    assumes: "what is assumed of the number of keys; an estimate that is too low makes this too high",
};

/// The share of all keys that was seen, if there are as many as `keys` says.
pub fn share_seen(counts: &Counts, keys: &Estimate) -> Estimate {
    let share = |keys: f64| {
        if keys > 0.0 {
            (counts.keys() as f64 / keys).min(1.0)
        } else {
            0.0
        }
    };
    Estimate {
        value: share(keys.value),
        low: share(keys.high),
        high: share(keys.low),
        method: &SHARE_SEEN,
    }
}

/// From a share of the keys to all of them: that share was drawn, too.
fn thinned(estimate: Estimate, counts: &Counts) -> Estimate {
    if counts.one_in <= 1 {
        return estimate;
    }
    let one_in = counts.one_in as f64;
    estimate.times(one_in).blurred((1.0 - 1.0 / one_in) / estimate.value)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand::{Rng, RngExt};
    use wire::{InfoHash, NodeId};
    use world::{KeyedState, Seed};

    use super::*;
    use crate::Incidence;
    use crate::testing::{Rand, covered};

    const NODES: usize = 400;
    const KEYS: usize = 2_000;
    const HOLDERS: usize = 8;
    const SHOWN: usize = 10;

    fn name(rng: &mut Rand) -> [u8; 20] {
        let mut bytes = [0; 20];
        rng.fill_bytes(&mut bytes);
        bytes
    }

    struct World {
        incidence: Incidence<KeyedState>,
        read: usize,
        stores: Vec<Vec<InfoHash>>,
        shown: BTreeSet<InfoHash>,
    }

    /// Keys, each at eight of 400 nodes drawn at random; `read` of the nodes show ten of theirs each.
    fn survey(seed: Seed, read: usize, most: usize) -> World {
        let mut rng = seed.rng();
        let nodes: Vec<NodeId> = (0..NODES).map(|_| NodeId::new(name(&mut rng))).collect();
        let mut stores = vec![Vec::new(); nodes.len()];
        for _ in 0..KEYS {
            let key = InfoHash::new(name(&mut rng));
            let mut holders = BTreeSet::new();
            while holders.len() < HOLDERS {
                holders.insert(rng.random_range(0..nodes.len()));
            }
            holders.into_iter().for_each(|node| stores[node].push(key));
        }
        let mut incidence = Incidence::new(seed.derive("incidence").hasher(), most);
        let mut shown = BTreeSet::new();
        for (node, store) in nodes.iter().zip(&mut stores).take(read) {
            incidence.read(node, store.len() as u32);
            for at in 0..SHOWN.min(store.len()) {
                let other = rng.random_range(at..store.len());
                store.swap(at, other);
                incidence.note(node, &store[at]);
                shown.insert(store[at]);
            }
        }
        World {
            incidence,
            read,
            stores,
            shown,
        }
    }

    impl World {
        fn keys(&self, by: fn(&Counts, f64) -> Option<Estimate>) -> Estimate {
            let counts = self.incidence.counts();
            by(&counts, counts.shown_share() * self.read as f64 / NODES as f64).unwrap()
        }
    }

    #[test]
    fn keys_are_estimated_within_the_interval() {
        for read in [80, 200, 400] {
            for by in [chao2, chapman] {
                covered(60, 0.95, |seed| survey(seed, read, 10_000).keys(by).covers(KEYS as f64));
            }
        }
    }

    #[test]
    fn a_share_of_the_keys_estimates_all_of_them() {
        for by in [chao2, chapman] {
            covered(60, 0.95, |seed| {
                let world = survey(seed, 400, 500);
                assert!(world.incidence.counts().one_in > 1);
                world.keys(by).covers(KEYS as f64)
            });
        }
    }

    #[test]
    fn textbook_forms_find_too_many_where_every_holder_was_read() {
        let mean = |by: fn(&Counts, f64) -> Option<Estimate>, corrected: bool| {
            let values = (0..20).map(|seed| {
                let counts = survey(Seed::from_number(seed), NODES, 10_000).incidence.counts();
                let chance = if corrected { counts.shown_share() } else { 0.0 };
                by(&counts, chance).unwrap().value / KEYS as f64
            });
            values.sum::<f64>() / 20.0
        };
        for (by, textbook) in [(chao2 as fn(&Counts, f64) -> Option<Estimate>, 1.016), (chapman, 1.044)] {
            let (without, with) = (mean(by, false), mean(by, true));
            assert!((without - textbook).abs() < 0.006, "{without}");
            assert!((with - 1.0).abs() < 0.006, "{with}");
        }
    }

    #[test]
    fn coverage_is_the_share_of_what_the_others_would_show() {
        covered(60, 0.9, |seed| {
            let world = survey(seed, 200, 10_000);
            let others = world.stores[world.read..].iter().flatten();
            let known = others.clone().filter(|key| world.shown.contains(key)).count();
            let truth = known as f64 / others.count() as f64;
            coverage(&world.incidence.counts()).unwrap().covers(truth)
        });
    }

    #[test]
    fn nothing_new_means_that_all_is_seen() {
        let counts = Counts {
            nodes: 50,
            one_in: 1,
            distinct: 100,
            pairs: 800,
            halves: [100, 100],
            both: 100,
            ..Counts::default()
        };
        assert_eq!(chao2(&counts, 0.2).map(|all| (all.low, all.high)), Some((100.0, 100.0)));
        assert_eq!(
            chapman(&counts, 0.2).map(|all| (all.low, all.high)),
            Some((100.0, 100.0))
        );
        assert_eq!(coverage(&counts).unwrap().value, 1.0);
        assert_eq!(share_seen(&counts, &chao2(&counts, 0.0).unwrap()).value, 1.0);
        assert_eq!(chao2(&Counts::default(), 0.0), None);
    }

    #[test]
    fn only_singletons_make_a_wide_interval_and_no_nonsense() {
        let counts = Counts {
            nodes: 20,
            one_in: 1,
            distinct: 40,
            once: 40,
            pairs: 40,
            halves: [20, 20],
            ..Counts::default()
        };
        let all = chao2(&counts, 0.0).unwrap();
        assert!(all.low >= 40.0 && all.high > 1.5 * all.value, "{all:?}");
        assert_eq!(chapman(&counts, 0.0), None);
        let share = coverage(&counts).unwrap();
        assert!((0.0..=0.2).contains(&share.value), "{share:?}");
    }
}
