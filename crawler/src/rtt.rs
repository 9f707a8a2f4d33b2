//! How long answers take, and so how long to wait for one.

use std::time::Duration;

/// Four buckets an octave (each at most 25% wide), from 1 microsecond to beyond 16 s.
const BUCKETS: usize = 4 * 26;
/// Answers after which the measured quantile replaces the initial timeout.
const ENOUGH: u32 = 32;
/// Answers after which old ones weigh half: the estimate follows the network within minutes.
const FADE: u32 = 1024;

/// Round trip times, as a fading histogram.
#[derive(Debug)]
pub(crate) struct RoundTrips {
    buckets: [u32; BUCKETS],
    total: u32,
}

impl RoundTrips {
    pub(crate) const fn new() -> Self {
        Self {
            buckets: [0; BUCKETS],
            total: 0,
        }
    }

    /// Notes one round trip. Late answers count too: a histogram of those in time only would shrink the timeout for ever.
    pub(crate) fn note(&mut self, rtt: Duration) {
        if self.total >= FADE {
            self.total = 0;
            for bucket in &mut self.buckets {
                *bucket /= 2;
                self.total += *bucket;
            }
        }
        self.buckets[bucket_of(rtt)] += 1;
        self.total += 1;
    }

    /// Twice the 90% quantile; `None` until enough is known. With the round trips of network-model C1 (lognormal,
    /// P90 402 ms) that waits for 98% of the answers, yet holds a slot for less than a second.
    pub(crate) fn patience(&self) -> Option<Duration> {
        if self.total < ENOUGH {
            return None;
        }
        let rank = self.total - self.total / 10;
        let mut below = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            below += count;
            if below >= rank {
                return Some(2 * upper_bound(index));
            }
        }
        None
    }
}

fn bucket_of(rtt: Duration) -> usize {
    let micros = u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX).max(4);
    let octave = micros.ilog2();
    let quarter = (micros >> (octave - 2)) & 3;
    let index = (octave - 2) * 4 + u32::try_from(quarter).unwrap_or(0);
    usize::try_from(index).unwrap_or(BUCKETS).min(BUCKETS - 1)
}

fn upper_bound(index: usize) -> Duration {
    let (octave, quarter) = (index / 4, index % 4);
    let micros = u64::try_from(5 + quarter).unwrap_or(0) << octave;
    Duration::from_micros(micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_round_trip_is_below_the_bound_of_its_bucket_and_within_a_quarter_of_it() {
        for micros in (4..16_000_000).step_by(977) {
            let bound = upper_bound(bucket_of(Duration::from_micros(micros)));
            assert!(bound > Duration::from_micros(micros));
            assert!(bound <= Duration::from_micros(micros * 5 / 4 + 1));
        }
    }

    #[test]
    fn patience_is_unknown_at_first_and_then_follows_the_slow_tenth() {
        let mut trips = RoundTrips::new();
        assert_eq!(trips.patience(), None);
        for millis in 1..=100 {
            trips.note(Duration::from_millis(millis));
        }
        let patience = trips.patience().unwrap();
        assert!(
            (Duration::from_millis(180)..Duration::from_millis(230)).contains(&patience),
            "{patience:?}"
        );
    }

    #[test]
    fn old_round_trips_fade() {
        let mut trips = RoundTrips::new();
        (0..2000).for_each(|_| trips.note(Duration::from_millis(1)));
        (0..20_000).for_each(|_| trips.note(Duration::from_secs(1)));
        assert!(trips.patience().unwrap() > Duration::from_secs(2));
    }
}
