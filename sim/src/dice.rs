//! Chance by coordinates instead of by sequence.
//!
//! A lab of millions of peers cannot store what each of them is. It asks the dice: the same stream and the same
//! coordinates give the same number for ever, in any order of asking. Nothing drawn here meets an adversary, so the
//! mixing is fast instead of keyed; what strangers may choose keys for goes through `world::KeyedMap`.

use std::f64::consts::TAU;

use rand::Rng;
use world::Seed;

/// One stream of draws, addressed by two coordinates.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dice {
    key: u64,
}

/// The finalizer of SplitMix64: every input bit reaches every output bit.
const fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// The golden ratio in 64 bits: an odd number whose multiples spread evenly (Knuth, volume 3, section 6.4).
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

impl Dice {
    /// The stream called `label` of this seed.
    pub(crate) fn new(seed: Seed, label: &str) -> Self {
        Self {
            key: seed.derive(label).rng().next_u64(),
        }
    }

    /// 64 even bits for the coordinates.
    pub(crate) const fn bits(self, a: u64, b: u64) -> u64 {
        mix(mix(self.key ^ a.wrapping_mul(GOLDEN)).wrapping_add(b.wrapping_mul(GOLDEN)))
    }

    /// Even over `[0, 1)`.
    pub(crate) fn unit(self, a: u64, b: u64) -> f64 {
        // 53 bits are what a double holds.
        (self.bits(a, b) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Even over `0..bound`; 0 if `bound` is 0. The bias of the multiplication is below `bound / 2^64`.
    pub(crate) fn below(self, a: u64, b: u64, bound: u64) -> u64 {
        ((u128::from(self.bits(a, b)) * u128::from(bound)) >> 64) as u64
    }

    /// True with probability `share`.
    pub(crate) fn happens(self, a: u64, b: u64, share: f64) -> bool {
        self.unit(a, b) < share
    }

    /// Standard normal (Box and Muller).
    pub(crate) fn normal(self, a: u64, b: u64) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit(a, b)).ln()).sqrt();
        let angle = TAU * self.unit(!a, b);
        radius * angle.cos()
    }

    /// Lognormal with this median, and `sigma` the deviation of the logarithm.
    pub(crate) fn lognormal(self, a: u64, b: u64, median: f64, sigma: f64) -> f64 {
        median * (sigma * self.normal(a, b)).exp()
    }

    /// Exponential with this mean.
    pub(crate) fn exponential(self, a: u64, b: u64, mean: f64) -> f64 {
        -mean * (1.0 - self.unit(a, b)).ln()
    }

    /// Picks an index with the given weights; the last one if they are all zero.
    pub(crate) fn pick(self, a: u64, b: u64, weights: &[f64]) -> usize {
        let mut at = self.unit(a, b) * weights.iter().sum::<f64>();
        for (index, weight) in weights.iter().enumerate() {
            if at < *weight {
                return index;
            }
            at -= weight;
        }
        weights.len().saturating_sub(1)
    }

    /// The dice of one object, where two coordinates are not enough.
    pub(crate) const fn of(self, a: u64) -> Self {
        Self {
            key: self.bits(a, 0x5eed),
        }
    }
}

/// A one-to-one map of `0..len` onto itself that looks like chance: neighbours do not stay neighbours, and no table is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shuffle {
    dice: Dice,
    len: u32,
    /// Bits of half a number.
    half: u32,
}

impl Shuffle {
    /// `len` is at least 1.
    pub(crate) fn new(dice: Dice, len: u32) -> Self {
        let bits = u32::BITS - len.saturating_sub(1).leading_zeros();
        Self {
            dice,
            len,
            half: bits.div_ceil(2).max(1),
        }
    }

    /// Where a number goes.
    pub(crate) fn of(self, number: u32) -> u32 {
        let mut to = self.there(number % self.len);
        // Cycle walking: the rounds are one-to-one on a power of two, so walking on until it falls inside is one-to-one inside.
        while to >= self.len {
            to = self.there(to);
        }
        to
    }

    /// Where a number comes from.
    pub(crate) fn back(self, number: u32) -> u32 {
        let mut from = self.here(number % self.len);
        while from >= self.len {
            from = self.here(from);
        }
        from
    }

    fn mask(self) -> u32 {
        (1 << self.half) - 1
    }

    fn round(self, half: u32, round: u64) -> u32 {
        self.dice.bits(u64::from(half), round) as u32 & self.mask()
    }

    /// Four rounds of a Feistel network.
    fn there(self, number: u32) -> u32 {
        let (mut left, mut right) = (number >> self.half, number & self.mask());
        for round in 0..4 {
            (left, right) = (right, left ^ self.round(right, round));
        }
        (left << self.half) | right
    }

    fn here(self, number: u32) -> u32 {
        let (mut left, mut right) = (number >> self.half, number & self.mask());
        for round in (0..4).rev() {
            (left, right) = (right ^ self.round(left, round), left);
        }
        (left << self.half) | right
    }
}

/// `STEPS` equally likely values of the Beta distribution, ascending: a draw is one look-up.
#[derive(Clone, Debug)]
pub(crate) struct Beta(Vec<f64>);

impl Beta {
    const STEPS: usize = 512;
    const GRID: usize = 8192;

    /// Tabulates Beta(a, b) by summing its density over a grid.
    pub(crate) fn new(a: f64, b: f64) -> Self {
        let density = |at: usize| {
            let x = (at as f64 + 0.5) / Self::GRID as f64;
            ((a - 1.0) * x.ln() + (b - 1.0) * (1.0 - x).ln()).exp()
        };
        let total: f64 = (0..Self::GRID).map(density).sum();
        let mut quantiles = Vec::with_capacity(Self::STEPS);
        let mut sum = 0.0;
        for at in 0..Self::GRID {
            sum += density(at) / total;
            while quantiles.len() < Self::STEPS && sum >= (quantiles.len() as f64 + 0.5) / Self::STEPS as f64 {
                quantiles.push((at as f64 + 0.5) / Self::GRID as f64);
            }
        }
        quantiles.resize(Self::STEPS, 1.0);
        Self(quantiles)
    }

    /// The value at quantile `unit`, which is in `[0, 1)`.
    pub(crate) fn at(&self, unit: f64) -> f64 {
        let index = (unit * Self::STEPS as f64) as usize;
        self.0.get(index).copied().unwrap_or(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAWS: u64 = 20_000;

    fn mean(draw: impl Fn(u64) -> f64) -> f64 {
        (0..DRAWS).map(draw).sum::<f64>() / DRAWS as f64
    }

    #[test]
    fn draws_are_even() {
        let dice = Dice::new(Seed::from_number(1), "test");
        assert!((mean(|n| dice.unit(n, 0)) - 0.5).abs() < 0.01);
        assert!((mean(|n| dice.unit(0, n)) - 0.5).abs() < 0.01);
        assert!((mean(|n| dice.below(n, n, 10) as f64) - 4.5).abs() < 0.1);
    }

    #[test]
    fn normal_has_mean_zero_and_deviation_one() {
        let dice = Dice::new(Seed::from_number(1), "test");
        assert!(mean(|n| dice.normal(n, 3)).abs() < 0.03);
        assert!((mean(|n| dice.normal(n, 3).powi(2)) - 1.0).abs() < 0.03);
    }

    #[test]
    fn beta_has_its_mean() {
        let dice = Dice::new(Seed::from_number(1), "test");
        let beta = Beta::new(1.2, 4.8);
        assert!((mean(|n| beta.at(dice.unit(n, 0))) - 0.2).abs() < 0.01);
    }

    #[test]
    fn a_shuffle_leads_back_and_stays_inside() {
        for len in [1, 2, 7, 1000, 4097] {
            let shuffle = Shuffle::new(Dice::new(Seed::from_number(1), "test"), len);
            let mut to: Vec<u32> = (0..len).map(|number| shuffle.of(number)).collect();
            assert!((0..).zip(&to).all(|(number, to)| shuffle.back(*to) == number));
            to.sort_unstable();
            assert!(to.iter().copied().eq(0..len));
        }
    }

    #[test]
    fn streams_and_objects_differ() {
        let seed = Seed::from_number(1);
        let dice = Dice::new(seed, "test");
        assert_ne!(dice.bits(1, 2), dice.bits(2, 1));
        assert_ne!(dice.bits(1, 2), Dice::new(seed, "other").bits(1, 2));
        assert_ne!(dice.of(1).bits(1, 2), dice.of(2).bits(1, 2));
    }
}
