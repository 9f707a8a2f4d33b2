//! One rate limit, kept in one number.

use std::time::Duration;

use world::Time;

/// How often something may happen: once for each `every`, and `burst` times in a row after a rest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limit {
    /// Time that earns one use; zero means without limit. Whole microseconds, rounded down.
    pub every: Duration,
    /// Uses in a row after a rest, at least 1 (0 counts as 1).
    pub burst: u32,
}

impl Limit {
    /// `rate` uses a second; no limit when `rate` is 0 or above a million.
    pub fn per_second(rate: u32, burst: u32) -> Self {
        Self {
            every: Duration::from_micros(1_000_000_u64.checked_div(u64::from(rate)).unwrap_or(0)),
            burst,
        }
    }

    /// How far a bucket may run ahead of the clock: what the burst beyond the first use takes to earn.
    fn tolerance(&self) -> Duration {
        self.every.saturating_mul(self.burst.saturating_sub(1))
    }

    /// The time after which a bucket that was emptied is full again.
    pub(crate) fn refill(&self) -> Duration {
        self.every.saturating_mul(self.burst.max(1))
    }

    /// The most uses that fit in a window of `span` that is open at one end: burst + span / every, one more for the
    /// window's edge.
    pub(crate) fn most_within(&self, span: Duration) -> usize {
        let Some(earned) = span.as_micros().checked_div(self.every.as_micros()) else {
            return usize::MAX;
        };
        usize::try_from(earned)
            .unwrap_or(usize::MAX)
            .saturating_add(usize::try_from(self.burst.max(1)).unwrap_or(usize::MAX))
    }
}

/// The state of one [`Limit`]: the moment at which all that was used is earned back.
///
/// The generic cell rate algorithm (ITU-T I.371). Equal to a token bucket, with one number in place of two, no
/// fractions, and an obvious moment at which it may be forgotten: [when it is full](Self::full_at).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Bucket {
    earned_at: Time,
}

impl Bucket {
    /// When the next use is within `limit`; not after now means at once.
    pub(crate) fn ready(&self, limit: &Limit) -> Time {
        self.earned_at - limit.tolerance()
    }

    /// Takes one use at `now`, whether or not it was ready.
    pub(crate) fn take(&mut self, now: Time, limit: &Limit) {
        let micros = u64::try_from(limit.every.as_micros()).unwrap_or(u64::MAX);
        self.earned_at = self.earned_at.max(now) + Duration::from_micros(micros);
    }

    /// From when on it is as good as new.
    pub(crate) fn full_at(&self) -> Time {
        self.earned_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Limit = Limit {
        every: Duration::from_secs(1),
        burst: 3,
    };

    fn used(times: u32, at: Time) -> Bucket {
        let mut bucket = Bucket::default();
        for _ in 0..times {
            bucket.take(at, &LIMIT);
        }
        bucket
    }

    #[test]
    fn a_burst_then_one_a_second() {
        let at = Time::from_secs(10);
        assert!(used(2, at).ready(&LIMIT) <= at);
        assert_eq!(used(3, at).ready(&LIMIT), Time::from_secs(11));
    }

    #[test]
    fn it_is_full_again_after_the_refill() {
        let at = Time::from_secs(10);
        assert_eq!(used(3, at).full_at(), at + LIMIT.refill());
    }

    #[test]
    fn a_rest_earns_no_more_than_the_burst() {
        let mut bucket = used(3, Time::ZERO);
        let later = Time::from_secs(1000);
        for _ in 0..3 {
            assert!(bucket.ready(&LIMIT) <= later);
            bucket.take(later, &LIMIT);
        }
        assert_eq!(bucket.ready(&LIMIT), Time::from_secs(1001));
    }

    #[test]
    fn rate_zero_is_no_limit() {
        let limit = Limit::per_second(0, 1);
        let mut bucket = Bucket::default();
        for _ in 0..1000 {
            bucket.take(Time::ZERO, &limit);
        }
        assert_eq!(bucket.ready(&limit), Time::ZERO);
    }
}
