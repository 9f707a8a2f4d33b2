//! How long things took, in few numbers.

use std::time::Duration;

/// Parts of an octave, as a power of two: 8.
const PART_BITS: u32 = 3;
const PARTS: u32 = 1 << PART_BITS;
/// The unit is 2^10 µs, about a millisecond.
const UNIT_BITS: u32 = 10;
/// Values from 2^20 units (18 minutes) on share the last bucket; no fetch lasts as long.
const TOP_BITS: u32 = 20;
const BUCKETS: usize = (PARTS * (TOP_BITS - PART_BITS + 1)) as usize;

/// Counts of durations in buckets that grow with what they count: below 8 ms each is one millisecond wide, beyond that
/// an eighth of its octave. A quantile is therefore off by at most 6.25%, or half a millisecond.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Spread {
    buckets: [u64; BUCKETS],
}

impl Default for Spread {
    fn default() -> Self {
        Self { buckets: [0; BUCKETS] }
    }
}

impl Spread {
    /// Counts one.
    pub fn add(&mut self, took: Duration) {
        let units = u64::try_from(took.as_micros() >> UNIT_BITS).unwrap_or(u64::MAX);
        if let Some(bucket) = self.buckets.get_mut(bucket_of(units)) {
            *bucket += 1;
        }
    }

    /// Counts what `other` counted, too.
    pub fn merge(&mut self, other: &Self) {
        for (bucket, more) in self.buckets.iter_mut().zip(&other.buckets) {
            *bucket += more;
        }
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The duration that `share` (0 to 1) of all do not exceed: 0.5 is the median. `None` if nothing was counted.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let total = self.count();
        if total == 0 {
            return None;
        }
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rank among fewer than 2^52"
        )]
        let rank = ((total as f64 * share.clamp(0.0, 1.0)).ceil() as u64).max(1);
        let mut below = 0;
        let at = self.buckets.iter().position(|&count| {
            below += count;
            below >= rank
        })?;
        Some(middle(at))
    }
}

fn bucket_of(units: u64) -> usize {
    let octave = units.max(1).ilog2().saturating_sub(PART_BITS);
    // 0 to 7 in the first octave of all, 8 to 15 in every other.
    let part = (units >> octave) as usize;
    let bucket = (octave * PARTS) as usize + part;
    bucket.min(BUCKETS - 1)
}

/// The middle of a bucket.
fn middle(bucket: usize) -> Duration {
    let parts = PARTS as usize;
    let octave = u32::try_from((bucket / parts).saturating_sub(1)).unwrap_or(0);
    let part = (bucket - octave as usize * parts) as u64;
    let micros = (2 * part + 1) << (octave + UNIT_BITS - 1);
    Duration::from_micros(micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_near_the_truth() {
        for millis in [0, 1, 7, 8, 9, 15, 16, 17, 120, 999, 1_024, 90_000, 600_000] {
            let mut spread = Spread::default();
            let took = Duration::from_millis(millis);
            spread.add(took);
            let error = spread.quantile(0.5).unwrap().abs_diff(took);
            assert!(
                error <= (took / 16).max(Duration::from_micros(512)) + Duration::from_micros(1),
                "{millis} ms: off by {error:?}"
            );
        }
    }

    #[test]
    fn quantiles_split_what_was_counted() {
        let mut spread = Spread::default();
        assert_eq!(spread.quantile(0.5), None);
        for millis in 1..=1_000 {
            spread.add(Duration::from_millis(millis));
        }
        let near = |share: f64, millis: f64| {
            let found = spread.quantile(share).unwrap().as_secs_f64() * 1_000.0;
            (found - millis).abs() < millis / 15.0
        };
        assert!(near(0.5, 500.0) && near(0.95, 950.0) && near(1.0, 1_000.0));
        assert_eq!(spread.count(), 1_000);
    }

    #[test]
    fn what_takes_forever_is_in_the_last_bucket() {
        let mut spread = Spread::default();
        spread.add(Duration::MAX);
        assert!(spread.quantile(1.0).unwrap() >= Duration::from_secs(1_000));
        assert!((0..BUCKETS).is_sorted_by_key(middle));
    }
}
