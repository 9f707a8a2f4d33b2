//! How fast bytes pass: a moving average for status lines, and its peak.

use std::time::Duration;

use world::Time;

/// Whole seconds that an average looks back, beside the one that runs.
const SPAN: u64 = 5;
/// Slots of a second each: those looked back on, and the running one.
const SLOTS: u64 = SPAN + 1;
/// No average is over less, or the first bytes of a connection were its peak.
const SHORTEST: Duration = Duration::from_secs(1);

/// Bytes a second over the last five to six seconds, in 80 bytes and without allocation.
#[derive(Clone, Copy, Debug)]
pub struct Meter {
    /// Bytes by second, at its number modulo [`SLOTS`].
    slots: [u64; SLOTS as usize],
    /// The latest second that was counted in.
    second: u64,
    /// When counting began, or began anew.
    since: Time,
    total: u64,
    peak: u64,
}

impl Meter {
    /// A meter that has counted nothing.
    pub const fn new(now: Time) -> Self {
        Self {
            slots: [0; SLOTS as usize],
            second: now.as_secs(),
            since: now,
            total: 0,
            peak: 0,
        }
    }

    /// Counts bytes that passed at `now`. Time that goes backwards counts as standing still.
    pub fn add(&mut self, now: Time, bytes: u64) {
        let second = now.as_secs().max(self.second);
        let passed = second - self.second;
        if passed > 0 {
            // The best moment to look is when a second is full: a part of one flatters or belittles.
            self.peak = self.peak.max(self.rate(Time::from_secs(self.second + 1)));
            for next in 1..=passed.min(SLOTS) {
                self.set(self.second + next, 0);
            }
            self.second = second;
        }
        self.set(second, self.slot(second).saturating_add(bytes));
        self.total = self.total.saturating_add(bytes);
    }

    /// Forgets the average, and keeps total and peak: what comes from now on has nothing to do with what came.
    pub fn restart(&mut self, now: Time) {
        self.peak = self.peak(now);
        self.slots = [0; SLOTS as usize];
        self.second = now.as_secs().max(self.second);
        self.since = now;
    }

    /// Bytes a second, averaged over five to six seconds up to `now`, or since counting began if that is less.
    pub fn rate(&self, now: Time) -> u64 {
        let second = now.as_secs().max(self.second);
        let first = second.saturating_sub(SPAN);
        let bytes = (first..=self.second).fold(0u64, |sum, at| sum.saturating_add(self.slot(at)));
        let from = Time::from_secs(first).max(self.since);
        let micros = now.since(from).max(SHORTEST).as_micros();
        u64::try_from(u128::from(bytes) * 1_000_000 / micros.max(1)).unwrap_or(u64::MAX)
    }

    /// The highest average at the end of any second (SES-17).
    pub fn peak(&self, now: Time) -> u64 {
        if now.as_secs() > self.second {
            return self.peak.max(self.rate(Time::from_secs(self.second + 1)));
        }
        self.peak
    }

    /// All bytes ever counted.
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// The slot of a second that is still held: one of the last [`SLOTS`].
    fn slot(&self, second: u64) -> u64 {
        self.slots.get((second % SLOTS) as usize).copied().unwrap_or(0)
    }

    fn set(&mut self, second: u64, bytes: u64) {
        if let Some(slot) = self.slots.get_mut((second % SLOTS) as usize) {
            *slot = bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn millis(millis: u64) -> Time {
        Time::from_micros(millis * 1_000)
    }

    #[test]
    fn a_steady_stream_is_measured_as_it_is() {
        let mut meter = Meter::new(Time::ZERO);
        for tick in 0..200 {
            meter.add(millis(tick * 100), 1_000);
        }
        let rate = meter.rate(millis(20_000));
        assert!((9_900..=10_100).contains(&rate), "{rate}");
        assert_eq!(meter.total(), 200_000);
    }

    #[test]
    fn a_meter_is_small() {
        assert_eq!(size_of::<Meter>(), 80);
    }

    #[test]
    fn the_first_moment_is_no_peak() {
        let mut meter = Meter::new(Time::from_secs(7));
        meter.add(Time::from_secs(7), 50_000);
        assert_eq!(meter.rate(millis(7_010)), 50_000);
        assert_eq!(meter.peak(millis(7_010)), 0);
        assert_eq!(meter.peak(millis(8_000)), 50_000);
    }

    #[test]
    fn silence_brings_the_rate_to_nothing_and_leaves_the_peak() {
        let mut meter = Meter::new(Time::ZERO);
        for second in 0..10 {
            meter.add(Time::from_secs(second), 6_000);
        }
        let peak = meter.peak(Time::from_secs(10));
        assert_eq!(meter.rate(Time::from_secs(16)), 0);
        assert_eq!(meter.peak(Time::from_secs(100)), peak);
        assert!(peak >= 6_000, "{peak}");
    }

    #[test]
    fn an_average_that_starts_anew_knows_nothing_of_before() {
        let mut meter = Meter::new(Time::ZERO);
        meter.add(Time::ZERO, 90_000);
        meter.restart(Time::from_secs(2));
        meter.add(Time::from_secs(2), 8_000);
        assert_eq!(meter.rate(Time::from_secs(3)), 8_000);
        assert_eq!((meter.total(), meter.peak(Time::from_secs(3))), (98_000, 90_000));
    }

    proptest! {
        /// Against a list of everything that ever passed.
        #[test]
        fn the_rate_is_that_of_a_full_list(steps in prop::collection::vec((0u64..4_000, 0u64..100_000), 1..60)) {
            let mut meter = Meter::new(Time::ZERO);
            let mut all: Vec<(Time, u64)> = Vec::new();
            let mut now = Time::ZERO;
            for (wait, bytes) in steps {
                now = now + Duration::from_millis(wait);
                meter.add(now, bytes);
                all.push((now, bytes));
                let first = Time::from_secs(now.as_secs().saturating_sub(SPAN));
                let sum: u64 = all.iter().filter(|(at, _)| *at >= first).map(|(_, bytes)| bytes).sum();
                let span = now.since(first).max(SHORTEST).as_micros();
                prop_assert_eq!(u128::from(meter.rate(now)), u128::from(sum) * 1_000_000 / span);
            }
        }
    }
}
