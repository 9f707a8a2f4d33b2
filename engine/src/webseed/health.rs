//! How a web seed fares: how fast and how lately it delivered, how often it failed, and when it may be asked again.

use std::time::Duration;

use world::Time;

use crate::rate::Meter;

/// After the first failure; doubled with each further one in a row.
const BACK_OFF: Duration = Duration::from_secs(5);
/// Failures in a row after which it is not worth another try: the waits between them are eleven minutes in all.
const FAILURES_MOST: u32 = 8;

/// What is known of one seed.
#[derive(Debug)]
pub(super) struct Health {
    since: Time,
    /// Requests that were answered in full.
    done: u64,
    failed: u64,
    failures_in_a_row: u32,
    last_done: Option<Time>,
    pub(super) meter: Meter,
}

impl Health {
    pub(super) fn new(now: Time) -> Self {
        Self {
            since: now,
            done: 0,
            failed: 0,
            failures_in_a_row: 0,
            last_done: None,
            meter: Meter::new(now),
        }
    }

    /// A request was answered in full.
    pub(super) fn done(&mut self, now: Time) {
        self.done += 1;
        self.failures_in_a_row = 0;
        self.last_done = Some(now);
    }

    /// It failed; when it may be asked again, or `None` if that is no use.
    pub(super) fn failed(&mut self, now: Time) -> Option<Time> {
        self.failed += 1;
        self.failures_in_a_row += 1;
        if self.failures_in_a_row >= FAILURES_MOST {
            return None;
        }
        Some(now + BACK_OFF.saturating_mul(1 << (self.failures_in_a_row - 1)))
    }

    /// From 0 to 1,000: seven parts the share of requests that were answered in full, three parts how lately one was. One that
    /// was never tried has the benefit of the doubt.
    pub(super) fn score(&self, now: Time) -> u32 {
        let share = (self.done + 1) * 700 / (self.done + self.failed + 1);
        let minutes = now.since(self.last_done.unwrap_or(self.since)).as_secs() / 60;
        u32::try_from(share + 300 / (minutes + 1)).unwrap_or(1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(secs: u64) -> Time {
        Time::from_secs(secs)
    }

    #[test]
    fn each_failure_doubles_the_wait_until_it_is_no_use() {
        let mut health = Health::new(secs(0));
        let waits: Vec<_> = (0..8).map(|_| health.failed(secs(0)).map(Time::as_secs)).collect();
        let expected = [5, 10, 20, 40, 80, 160, 320].map(Some);
        assert_eq!(waits, [expected.as_slice(), &[None]].concat());
        let mut health = Health::new(secs(0));
        health.failed(secs(0));
        health.done(secs(1));
        assert_eq!(health.failed(secs(2)), Some(secs(7)));
    }

    #[test]
    fn who_delivers_more_surely_and_more_lately_is_preferred() {
        let now = secs(600);
        let scored = |done: u64, failed: u64, last: u64| {
            let mut health = Health::new(secs(0));
            for _ in 0..failed {
                health.failed(secs(0));
            }
            for _ in 0..done {
                health.done(secs(last));
            }
            health.score(now)
        };
        assert_eq!(scored(5, 0, 600), 1_000);
        assert!(scored(5, 1, 600) < scored(5, 0, 600));
        assert!(scored(5, 0, 60) < scored(5, 0, 600));
        assert!(scored(0, 3, 0) < scored(0, 0, 0));
    }
}
