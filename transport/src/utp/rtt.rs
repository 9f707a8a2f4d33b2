//! Round trips, and how long to wait for an answer.

use std::time::Duration;

/// BEP 29: never less than half a second, so that a delayed acknowledgement is no loss.
const FLOOR: Duration = Duration::from_millis(500);
/// Before anything was measured (BEP 29).
const INITIAL: Duration = Duration::from_secs(1);
/// However often it was doubled.
const CEILING: Duration = Duration::from_secs(30);

/// The mean round trip and its deviation, microseconds.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Rtt {
    mean: u32,
    deviation: u32,
}

impl Rtt {
    /// A packet that was sent only once was acknowledged after `sample`.
    pub(super) fn measured(&mut self, sample: Duration) {
        let sample = u32::try_from(sample.as_micros()).unwrap_or(u32::MAX).clamp(1, 1 << 28);
        if self.mean == 0 {
            (self.mean, self.deviation) = (sample, sample / 2);
            return;
        }
        let off = self.mean.abs_diff(sample);
        self.deviation = self.deviation - self.deviation / 4 + off / 4;
        self.mean = self.mean - self.mean / 8 + sample / 8;
    }

    /// How long to wait for an acknowledgement after `doubled` waits in vain.
    pub(super) fn timeout(&self, doubled: u8) -> Duration {
        let wait = if self.mean == 0 {
            INITIAL
        } else {
            Duration::from_micros(u64::from(self.mean) + 4 * u64::from(self.deviation)).max(FLOOR)
        };
        wait.saturating_mul(1 << doubled.min(8)).min(CEILING)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_follows_the_round_trip_and_doubles() {
        let mut rtt = Rtt::default();
        assert_eq!(rtt.timeout(0), INITIAL);
        assert_eq!(rtt.timeout(2), INITIAL * 4);
        rtt.measured(Duration::from_millis(400));
        assert_eq!(rtt.timeout(0), Duration::from_millis(1_200));
        for _ in 0..50 {
            rtt.measured(Duration::from_millis(10));
        }
        assert_eq!(rtt.timeout(0), FLOOR);
        assert_eq!(rtt.timeout(200), CEILING);
    }
}
