//! How much may be on its way: LEDBAT (BEP 29, RFC 6817).
//!
//! The other side tells how long each packet of ours took, by two clocks that do not agree. The shortest such time of the
//! last minutes stands for an empty path; what is beyond it is time in queues, and ours to keep near the target.

use std::time::Duration;

use world::Time;

use super::SEGMENT;

/// Minutes for which the shortest delay is remembered; then clocks may have drifted apart (libutp: 13, RFC 6817: 10).
const MINUTES: usize = 10;
/// Delay samples of which the least counts: one packet that was held up is no queue.
const FILTER: usize = 3;
/// To begin with, and after the path was silent: what TCP begins with (RFC 3390).
const INITIAL: u32 = 4 * SEGMENT;

/// The congestion window of one stream, and the delays it follows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ledbat {
    /// Bytes, times 256: what one acknowledgement adds can be less than a byte.
    window: u64,
    /// Below it the window doubles each round trip, if the path has no queue.
    threshold: u32,
    slow_start: bool,
    base: Base,
    recent: [u32; FILTER],
    /// Where in `recent` the next one goes.
    next: u8,
}

impl Ledbat {
    pub(super) const fn new() -> Self {
        Self {
            window: (INITIAL as u64) << 8,
            threshold: u32::MAX,
            slow_start: true,
            base: Base {
                least: [0; MINUTES],
                filled: 0,
                minute: 0,
            },
            recent: [0; FILTER],
            next: 0,
        }
    }

    /// Bytes that may be on their way; always at least one segment, so nothing starves.
    pub(super) fn window(&self) -> u32 {
        u32::try_from(self.window >> 8).unwrap_or(u32::MAX)
    }

    /// The other side says that a packet of ours took `delay` microseconds, by two clocks; wraps.
    pub(super) fn delay(&mut self, now: Time, delay: u32) {
        if self.base.least().is_none() {
            self.recent = [delay; FILTER];
        } else if let Some(place) = self.recent.get_mut(usize::from(self.next)) {
            *place = delay;
            self.next = (self.next + 1) % FILTER as u8;
        }
        self.base.note(now, delay);
    }

    /// Time that packets of ours now spend in queues, as far as is known.
    pub(super) fn queueing(&self) -> Option<Duration> {
        let base = self.base.least()?;
        let least = self.recent.iter().map(|&delay| behind(delay, base)).min()?;
        Some(Duration::from_micros(u64::from(least)))
    }

    /// `acked` bytes were acknowledged; `flying` were on their way before. The queueing delay cannot be longer than the
    /// round trip `rtt`, if that is known. The window never grows over `ceiling`.
    pub(super) fn acked(&mut self, acked: u32, flying: u32, rtt: Option<Duration>, target: Duration, ceiling: u32) {
        let queueing = self.queueing().map(|queueing| queueing.min(rtt.unwrap_or(queueing)));
        // A window that is not used says nothing about the path, so it does not grow.
        let used = flying.saturating_add(SEGMENT) >= self.window();
        if self.slow_start {
            let crowded = queueing.is_some_and(|queueing| queueing * 2 > target);
            if crowded || self.window() >= self.threshold {
                self.slow_start = false;
                self.threshold = self.threshold.min(self.window());
            } else if used {
                self.set(self.window.saturating_add(u64::from(acked) << 8), ceiling);
                return;
            }
        }
        let micros = |span: Duration| i64::try_from(span.as_micros()).unwrap_or(i64::MAX).min(1 << 30);
        let target = micros(target).max(1);
        let off = target - micros(queueing.unwrap_or_default());
        if off > 0 && !used {
            return;
        }
        // One segment more each round trip on an empty path; the same less at twice the target.
        let window = i64::from(self.window().max(1));
        let gain = i64::from(acked) * i64::from(SEGMENT) * off / target * 256 / window;
        self.set(self.window.saturating_add_signed(gain), ceiling);
    }

    /// A packet was lost: half the window. Not to be told twice of one window.
    pub(super) fn lost(&mut self) {
        self.slow_start = false;
        self.set(self.window / 2, u32::MAX);
        self.threshold = self.window();
    }

    /// Nothing was answered: begin again with one segment, and double up to half of what was.
    pub(super) fn silent(&mut self) {
        self.threshold = (self.window() / 2).max(2 * SEGMENT);
        self.slow_start = true;
        self.set(0, u32::MAX);
    }

    fn set(&mut self, window: u64, ceiling: u32) {
        let least = u64::from(SEGMENT) << 8;
        self.window = window.clamp(least, (u64::from(ceiling) << 8).max(least));
    }
}

/// The shortest delay of each of the last minutes.
#[derive(Clone, Copy, Debug)]
struct Base {
    least: [u32; MINUTES],
    /// How many of them are known, the latest first.
    filled: u8,
    /// Minute of the first one.
    minute: u32,
}

impl Base {
    fn note(&mut self, now: Time, delay: u32) {
        let minute = u32::try_from(now.as_secs() / 60).unwrap_or(u32::MAX);
        if self.filled == 0 || minute > self.minute {
            self.least.rotate_right(1);
            self.least[0] = delay;
            self.filled = (self.filled + 1).min(MINUTES as u8);
            self.minute = minute;
        } else if behind(self.least[0], delay) > 0 {
            self.least[0] = delay;
        }
    }

    fn least(&self) -> Option<u32> {
        let known = self.least.iter().take(usize::from(self.filled)).copied();
        known.reduce(|least, delay| if behind(least, delay) > 0 { delay } else { least })
    }
}

/// How much `delay` is over `base`; zero if it is not. Both wrap, and are never half the circle apart in truth.
fn behind(delay: u32, base: u32) -> u32 {
    let over = delay.wrapping_sub(base);
    if over < 1 << 31 { over } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: Duration = Duration::from_millis(100);

    fn round(ledbat: &mut Ledbat, delay: u32) {
        ledbat.delay(Time::ZERO, delay);
        let window = ledbat.window();
        ledbat.acked(window, window, None, TARGET, 1 << 20);
    }

    #[test]
    fn an_empty_path_is_filled_and_a_full_one_yielded() {
        let mut ledbat = Ledbat::new();
        ledbat.delay(Time::ZERO, 5_000);
        round(&mut ledbat, 5_000);
        assert_eq!(ledbat.window(), 2 * INITIAL, "slow start");
        ledbat.lost();
        assert_eq!(ledbat.window(), INITIAL);
        round(&mut ledbat, 5_000);
        assert_eq!(ledbat.window(), INITIAL + SEGMENT, "one segment each round trip");
        for _ in 0..3 {
            ledbat.delay(Time::ZERO, 105_000);
        }
        let before = ledbat.window();
        round(&mut ledbat, 105_000);
        assert_eq!(ledbat.window(), before, "at the target");
        for _ in 0..30 {
            round(&mut ledbat, 405_000);
        }
        assert_eq!(ledbat.window(), SEGMENT, "never less than one segment");
    }

    #[test]
    fn clocks_that_wrap_and_drift() {
        let mut ledbat = Ledbat::new();
        ledbat.delay(Time::ZERO, u32::MAX - 10);
        for _ in 0..3 {
            ledbat.delay(Time::ZERO, 89);
        }
        assert_eq!(ledbat.queueing(), Some(Duration::from_micros(100)));
        // The old base is forgotten after ten minutes.
        for minute in 1..=MINUTES as u64 {
            ledbat.delay(Time::from_secs(minute * 60), 89);
        }
        assert_eq!(ledbat.queueing(), Some(Duration::ZERO));
    }
}
