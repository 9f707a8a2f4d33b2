//! Picking some of many in order, as the programs do it.

use crate::dice::Dice;

/// Picks `count` of `0..len` in ascending order.
///
/// With `biased`, as libtorrent picks samples and values: it takes an item if a number in `0..=left` is at most what is
/// still wanted, so it fills up early and the last items of a store are drawn too rarely (crawlers F1).
pub(crate) fn pick(len: usize, count: usize, biased: bool, dice: Dice, out: &mut Vec<usize>) {
    out.clear();
    let mut wanted = count.min(len) as u64;
    let extra = u64::from(biased);
    for at in 0..len {
        if wanted == 0 {
            break;
        }
        let left = (len - at) as u64;
        if dice.below(at as u64, 0, left + extra) < wanted + extra {
            out.push(at);
            wanted -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use world::Seed;

    use super::*;

    /// How often the last tenth of a store is drawn, relative to fair.
    fn last_tenth(len: usize, biased: bool) -> f64 {
        const ROUNDS: u64 = 4000;
        let dice = Dice::new(Seed::from_number(1), "test");
        let (mut picked, mut last) = (Vec::new(), 0);
        for round in 0..ROUNDS {
            pick(len, 20, biased, dice.of(round), &mut picked);
            assert_eq!(picked.len(), 20);
            last += picked.iter().filter(|at| **at >= len - len / 10).count();
        }
        last as f64 / (ROUNDS as f64 * 20.0 * (len / 10) as f64 / len as f64)
    }

    #[test]
    fn fair_picks_are_fair() {
        assert!((last_tenth(130, false) - 1.0).abs() < 0.05);
    }

    #[test]
    fn the_bias_is_that_of_libtorrent() {
        // Sampling quirk 1: 0.80, 0.66 and 0.62 of the fair chance for stores of 40, 130 and 500 keys.
        for (len, share) in [(40, 0.80), (130, 0.66), (500, 0.62)] {
            let have = last_tenth(len, true);
            assert!((have - share).abs() < 0.05, "{have} for {share}");
        }
    }

    #[test]
    fn a_small_store_is_shown_whole() {
        for biased in [false, true] {
            let mut picked = Vec::new();
            pick(7, 20, biased, Dice::new(Seed::from_number(1), "test"), &mut picked);
            assert_eq!(picked, [0, 1, 2, 3, 4, 5, 6]);
        }
    }
}
