//! A value, its 95% interval, and what stands behind it.

/// Standard deviations on either side of the mean that hold 95% of a normal distribution.
pub(crate) const Z: f64 = 1.959_964;

/// How an estimate is made, in words for people.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Method {
    /// One word or two, for tables.
    pub name: &'static str,
    /// What is counted.
    pub counts: &'static str,
    /// What must be true for the interval to hold.
    pub assumes: &'static str,
}

/// An estimate with its 95% interval.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Estimate {
    /// The value.
    pub value: f64,
    /// The lower end of the interval.
    pub low: f64,
    /// The upper end of the interval.
    pub high: f64,
    /// How it was made.
    pub method: &'static Method,
}

impl Estimate {
    /// A number that is known: counted to the last one.
    pub const fn exact(value: f64, method: &'static Method) -> Self {
        Self {
            value,
            low: value,
            high: value,
            method,
        }
    }

    /// Whether the interval holds `truth`.
    pub fn covers(&self, truth: f64) -> bool {
        (self.low..=self.high).contains(&truth)
    }

    /// The variance of a value that is normally distributed around its mean.
    pub(crate) fn normal(value: f64, variance: f64, method: &'static Method) -> Self {
        let half = Z * variance.max(0.0).sqrt();
        Self {
            value,
            low: value - half,
            high: value + half,
            method,
        }
    }

    /// The same for a value whose logarithm is: sizes and their ratios, which are never below zero. `relative` is the
    /// variance divided by the square of the value.
    pub(crate) fn log_normal(value: f64, relative: f64, method: &'static Method) -> Self {
        Self::exact(value, method).blurred(relative)
    }

    /// `seen` for certain, and about `unseen` more, whose logarithm is normal (Chao 1987; network-model 4.3).
    pub(crate) fn beyond(seen: f64, unseen: f64, variance: f64, method: &'static Method) -> Self {
        let more = if unseen > 0.0 {
            Self::log_normal(unseen, variance / (unseen * unseen), method)
        } else {
            Self::exact(0.0, method)
        };
        Self {
            value: seen + more.value,
            low: seen + more.low,
            high: seen + more.high,
            method,
        }
    }

    /// With one more independent source of error, of this relative variance.
    pub(crate) fn blurred(self, relative: f64) -> Self {
        let more = Z * (1.0 + relative.max(0.0)).ln().sqrt();
        let widened = |ratio: f64| if ratio > 0.0 { ratio.ln().hypot(more).exp() } else { 1.0 };
        Self {
            low: self.value / widened(self.value / self.low),
            high: self.value * widened(self.high / self.value),
            ..self
        }
    }

    /// `factor` times as much, and known so.
    pub fn times(self, factor: f64) -> Self {
        Self {
            value: self.value * factor,
            low: self.low * factor,
            high: self.high * factor,
            ..self
        }
    }

    /// The product with another, independent estimate, as a number of things with a share of them; neither is below zero.
    pub fn product(self, other: &Self) -> Self {
        self.blurred(other.relative_variance()).times(other.value)
    }

    /// The variance divided by the square of the value, read back from the width of the interval.
    fn relative_variance(&self) -> f64 {
        if self.low > 0.0 {
            let deviation = (self.high / self.low).ln() / (2.0 * Z);
            (deviation * deviation).exp() - 1.0
        } else {
            // As wide as it gets: the interval begins at nothing.
            1.0
        }
    }

    /// A share of `of` trials, of which `part` succeeded, by Wilson (1927): inside 0 and 1, and sound where few or nearly all
    /// did. `None` without a trial.
    pub fn share(part: u64, of: u64, method: &'static Method) -> Option<Self> {
        if of == 0 || part > of {
            return None;
        }
        let (share, of) = (part as f64 / of as f64, of as f64);
        let square = Z * Z / of;
        let middle = (share + square / 2.0) / (1.0 + square);
        let half = (share * (1.0 - share) * square + square * square / 4.0).sqrt() / (1.0 + square);
        Some(Self {
            value: share,
            low: (middle - half).max(0.0),
            high: (middle + half).min(1.0),
            method,
        })
    }
}

/// The quantile of a gamma distribution of this shape (scale 1) that lies `deviations` above the middle, by Wilson and Hilferty
/// (1931): off by 0.3% at shape 8, by less above.
pub(crate) fn gamma_quantile(shape: f64, deviations: f64) -> f64 {
    let spread = 1.0 / (9.0 * shape);
    shape * (1.0 - spread + deviations * spread.sqrt()).powi(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    const METHOD: Method = Method {
        name: "test",
        counts: "",
        assumes: "",
    };

    #[test]
    fn quantiles_of_gamma_are_those_of_the_tables() {
        // Half of chi-squared with 16 and 128 degrees of freedom, 2.5% and 97.5%.
        for (shape, low, high) in [(8.0, 6.908 / 2.0, 28.845 / 2.0), (64.0, 98.576 / 2.0, 161.209 / 2.0)] {
            assert!((gamma_quantile(shape, -Z) / low - 1.0).abs() < 0.005, "{shape}");
            assert!((gamma_quantile(shape, Z) / high - 1.0).abs() < 0.005, "{shape}");
        }
    }

    #[test]
    fn independent_errors_add_up_by_their_squares() {
        let once = Estimate::log_normal(100.0, 0.01, &METHOD);
        let twice = once.blurred(0.01);
        let ratio = (twice.high / 100.0).ln() / (once.high / 100.0).ln();
        assert!((ratio - 2.0_f64.sqrt()).abs() < 1e-9, "{ratio}");
        let product = once.product(&once);
        assert!((product.value - 10_000.0).abs() < 1e-6);
        assert!((product.high / product.value - twice.high / twice.value).abs() < 1e-9);
        assert_eq!(once.blurred(0.0), once);
    }

    #[test]
    fn what_was_seen_is_never_below_itself() {
        let estimate = Estimate::beyond(50.0, 10.0, 400.0, &METHOD);
        assert!(estimate.low > 50.0 && estimate.covers(60.0));
        assert_eq!(Estimate::beyond(50.0, 0.0, 0.0, &METHOD).high, 50.0);
    }

    #[test]
    fn shares_stay_between_none_and_all() {
        let share = |part| Estimate::share(part, 10, &METHOD);
        let none = share(0).unwrap();
        assert!(none.value == 0.0 && none.low < 1e-9);
        assert!((none.high - 0.2775).abs() < 0.001);
        assert!(share(10).unwrap().high > 1.0 - 1e-9);
        assert_eq!(share(11), None);
    }
}
