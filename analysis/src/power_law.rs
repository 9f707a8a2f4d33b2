//! Whether figures go as a power of themselves: how many infohashes have so many peers (network-model 1.G, rows G3 and G4).
//!
//! The exponent that makes the figures likeliest, for whole numbers, and the place from which on they follow it best, both as
//! Clauset, Shalizi and Newman (SIAM Review 51, 2009) have it: for each place the likeliest exponent, then the place whose law is
//! nearest to the figures by Kolmogorov and Smirnov.

use crate::Estimate;
use crate::estimate::Method;

/// By the likeliest exponent.
pub const POWER_LAW: Method = Method {
    name: "power law",
    counts: "the exponent by which frequencies fall, in the tail from the place named on",
    assumes: "the tail is a power law from that place on, and the place is known: it is chosen by the same figures, so the true \
              interval is somewhat wider",
};

/// Figures in the tail, at the least: of fewer, any curve looks straight.
const TAIL_MIN: u64 = 50;

/// Places that are tried, from the least figure on.
const PLACES: usize = 50;

/// A power law that fits the tail of some figures.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Fit {
    /// The exponent, above one.
    pub exponent: Estimate,
    /// The least figure of the tail.
    pub from: u64,
    /// Figures in the tail.
    pub tail: u64,
    /// Figures in all.
    pub all: u64,
    /// The greatest distance between the law and the share of figures up to some place.
    pub distance: f64,
}

/// Figures in ascending order, each with how often it is there.
#[derive(Clone, Debug, Default)]
pub struct Frequencies(Vec<(u64, u64)>);

impl Frequencies {
    /// From pairs of a figure and how often it is there, in any order; zeros are left out.
    pub fn new(pairs: impl IntoIterator<Item = (u64, u64)>) -> Self {
        let mut pairs: Vec<_> = pairs.into_iter().filter(|(x, n)| *x > 0 && *n > 0).collect();
        pairs.sort_unstable();
        pairs.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                kept.1 += later.1;
            }
            same
        });
        Self(pairs)
    }

    /// The law that fits best, from whatever place on. `None` of fewer than 50 figures, or if all are the same.
    pub fn fit(&self) -> Option<Fit> {
        let fits = self.0.iter().take(PLACES).filter_map(|(from, _)| self.fit_from(*from));
        fits.min_by(|a, b| a.distance.total_cmp(&b.distance))
    }

    /// The law that fits best from this place on.
    pub fn fit_from(&self, from: u64) -> Option<Fit> {
        let start = self.0.partition_point(|(x, _)| *x < from);
        let tail = self.0.get(start..).filter(|tail| tail.len() > 1)?;
        let count: u64 = tail.iter().map(|(_, n)| n).sum();
        if count < TAIL_MIN {
            return None;
        }
        let n = count as f64;
        let mean_log = tail.iter().map(|(x, n)| (*x as f64).ln() * *n as f64).sum::<f64>() / n;
        let exponent = likeliest(mean_log, from as f64);
        // Fisher information of one figure: the second derivative of the logarithm of the sum.
        let step = 1e-3;
        let log = |exponent: f64| zeta(exponent, from as f64).ln();
        let curve = (log(exponent + step) - 2.0 * log(exponent) + log(exponent - step)) / (step * step);
        let variance = if curve > 0.0 { 1.0 / (n * curve) } else { 0.0 };
        Some(Fit {
            exponent: Estimate::normal(exponent, variance, &POWER_LAW),
            from,
            tail: count,
            all: self.0.iter().map(|(_, n)| n).sum(),
            distance: distance(tail, exponent, from as f64, n),
        })
    }
}

/// The exponent for which figures of this mean logarithm are likeliest: `-ln zeta(a, from) - a * mean` has one maximum.
fn likeliest(mean_log: f64, from: f64) -> f64 {
    let likelihood = |exponent: f64| -zeta(exponent, from).ln() - exponent * mean_log;
    let (mut low, mut high) = (1.001, 20.0);
    for _ in 0..80 {
        let third = (high - low) / 3.0;
        if likelihood(low + third) < likelihood(high - third) {
            low += third;
        } else {
            high -= third;
        }
    }
    f64::midpoint(low, high)
}

/// Kolmogorov's and Smirnov's: over all places of the tail, those between two figures too.
fn distance(tail: &[(u64, u64)], exponent: f64, from: f64, n: f64) -> f64 {
    let whole = zeta(exponent, from);
    let up_to = |x: f64| 1.0 - zeta(exponent, x + 1.0) / whole;
    let (mut seen, mut most) = (0.0, 0.0_f64);
    for (x, times) in tail {
        let x = *x as f64;
        // Just before x as many were seen as before; the law has gone on.
        most = most.max((up_to(x - 1.0) - seen / n).abs());
        seen += *times as f64;
        most = most.max((up_to(x) - seen / n).abs());
    }
    most
}

/// The sum of `(from + k)^-exponent` over all k from 0 (Hurwitz), to ten digits: some terms, the rest by Euler and Maclaurin.
fn zeta(exponent: f64, from: f64) -> f64 {
    let terms = 16_u8;
    let first: f64 = (0..terms).map(|k| (from + f64::from(k)).powf(-exponent)).sum();
    let rest = from + f64::from(terms);
    let power = rest.powf(-exponent);
    first + rest * power / (exponent - 1.0) + power / 2.0 + exponent * power / rest / 12.0
        - exponent * (exponent + 1.0) * (exponent + 2.0) * power / rest.powi(3) / 720.0
}

#[cfg(test)]
mod tests {
    use rand::RngExt;
    use world::Seed;

    use super::*;
    use crate::testing::{Rand, covered};

    /// Whole numbers from `from` on with probabilities as `x^-exponent`, by a table of the first hundred thousand.
    struct Law(Vec<f64>, u64);

    impl Law {
        fn new(exponent: f64, from: u64) -> Self {
            let mut sum = 0.0;
            let table = (from..100_000)
                .map(|x| {
                    sum += (x as f64).powf(-exponent);
                    sum
                })
                .collect();
            Self(table, from)
        }

        fn draw(&self, rng: &mut Rand) -> u64 {
            let at = rng.random::<f64>() * self.0[self.0.len() - 1];
            self.1 + self.0.partition_point(|sum| *sum < at) as u64
        }
    }

    #[test]
    fn sums_are_those_of_the_tables() {
        assert!((zeta(2.0, 1.0) - std::f64::consts::PI.powi(2) / 6.0).abs() < 1e-9);
        assert!((zeta(3.0, 1.0) - 1.202_056_903).abs() < 1e-9);
        assert!((zeta(2.0, 1.0) - 1.0 - 0.25 - zeta(2.0, 3.0)).abs() < 1e-9);
    }

    #[test]
    fn the_interval_holds_the_exponent() {
        let law = Law::new(2.5, 3);
        covered(200, 0.95, |seed| {
            let mut rng = seed.rng();
            let figures = Frequencies::new((0..1_000).map(|_| (law.draw(&mut rng), 1)));
            figures.fit_from(3).unwrap().exponent.covers(2.5)
        });
    }

    #[test]
    fn the_place_where_a_law_begins_is_found() {
        let law = Law::new(2.2, 8);
        let mut rng = Seed::from_number(3).rng();
        // Below eight the figures are spread evenly.
        let tail = (0..4_000).map(|_| (law.draw(&mut rng), 1));
        let figures = Frequencies::new(tail.chain((1..8).map(|x| (x, 300))));
        let fit = figures.fit().unwrap();
        assert!((7..=12).contains(&fit.from), "{fit:?}");
        assert!((fit.exponent.value - 2.2).abs() < 0.1, "{fit:?}");
        assert_eq!(fit.all, 6_100);
    }

    #[test]
    fn few_figures_have_no_law() {
        assert_eq!(Frequencies::new([(1, 40), (2, 9)]).fit(), None);
        assert_eq!(Frequencies::new([(7, 4_000)]).fit(), None);
        assert_eq!(Frequencies::new([]).fit(), None);
    }
}
