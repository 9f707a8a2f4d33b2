//! One bucket: what may pass now, what it owes, and who waits for it.

use std::collections::VecDeque;
use std::time::Duration;

use world::Time;

use super::Config;

/// Levels are in millionths of a byte: what a rate brings in a microsecond, so that nothing is lost to rounding.
const BYTE: i64 = 1_000_000;
/// Into how many turns an equal share is divided.
const TURNS: u64 = 4;

/// A bucket that fills at a rate up to a burst, and may be in debt.
#[derive(Debug)]
pub(super) struct Bucket {
    /// Bytes a second; `None` lets everything pass, 0 nothing.
    rate: Option<u64>,
    /// What may pass at `filled`; a debt if negative.
    level: i64,
    filled: Time,
    /// Flows that wait here, the first to be served first. Bounded by the flows there are.
    pub(super) queue: VecDeque<u32>,
    /// The alarm that counts among those set for this bucket.
    pub(super) armed: Option<Time>,
}

impl Bucket {
    /// Starts with what a tick brings, so that the first need not wait.
    pub(super) fn new(now: Time, rate: Option<u64>, config: &Config) -> Self {
        let mut bucket = Self {
            rate,
            level: 0,
            filled: now,
            queue: VecDeque::new(),
            armed: None,
        };
        bucket.level = units(bucket.quantum(config));
        bucket
    }

    /// Another rate from now on. What was saved or owed stays as far as the new burst.
    pub(super) fn set_rate(&mut self, now: Time, rate: Option<u64>, config: &Config) {
        self.fill(now, config);
        self.filled = now;
        self.rate = rate;
        let burst = units(self.burst(config));
        self.level = self.level.clamp(-burst, burst);
    }

    /// Adds what the time since last has brought.
    pub(super) fn fill(&mut self, now: Time, config: &Config) {
        let Some(rate) = self.rate else { return };
        let micros = now.as_micros().saturating_sub(self.filled.as_micros());
        let brought = i64::try_from(rate.saturating_mul(micros)).unwrap_or(i64::MAX);
        self.level = self.level.saturating_add(brought).min(units(self.burst(config)));
        self.filled = self.filled.max(now);
    }

    /// Takes bytes out, into debt if need be.
    pub(super) fn pay(&mut self, bytes: u64) {
        if self.rate.is_some() {
            self.level = self.level.saturating_sub(units(bytes));
        }
    }

    /// Puts bytes back that were not used.
    pub(super) fn refund(&mut self, bytes: u64, config: &Config) {
        if self.rate.is_some() {
            self.level = self.level.saturating_add(units(bytes)).min(units(self.burst(config)));
        }
    }

    /// The first in the queue has had its turn.
    pub(super) fn leave_first(&mut self) {
        self.queue.pop_front();
        self.disarm_if_empty();
    }

    /// A flow waits here no more.
    pub(super) fn leave(&mut self, flow: u32) {
        self.queue.retain(|waiting| *waiting != flow);
        self.disarm_if_empty();
    }

    fn disarm_if_empty(&mut self) {
        if self.queue.is_empty() {
            self.armed = None;
        }
    }

    /// Whether `want` bytes, or a quantum of them, may pass.
    pub(super) fn passes(&self, want: u64, config: &Config) -> bool {
        self.rate.is_none() || self.level >= units(want.min(self.quantum(config)))
    }

    /// Of `want` bytes, how many one turn gives of `waiting` flows. A part of an equal share, so that what one does not
    /// want is for all others and not for the next; but at least a quantum. All that is there if nobody else waits.
    pub(super) fn turn(&self, want: u64, waiting: usize, config: &Config) -> u64 {
        if self.rate.is_none() {
            return want;
        }
        let here = u64::try_from(self.level / BYTE).unwrap_or(0);
        if waiting < 2 {
            return want.min(here);
        }
        let waiting = u64::try_from(waiting).unwrap_or(u64::MAX);
        let turn = here / waiting / TURNS;
        want.min(turn.max(self.quantum(config)).min(here))
    }

    /// When enough is there again to wake somebody who wants `want`; `None` if never.
    pub(super) fn ready_at(&self, want: u64, config: &Config) -> Option<Time> {
        let Some(rate) = self.rate else {
            return Some(self.filled);
        };
        let enough = self.tick(config).max(config.grain).min(self.burst(config)).min(want);
        let missing = units(enough).saturating_sub(self.level);
        let missing = u64::try_from(missing).unwrap_or(0);
        if missing == 0 {
            return Some(self.filled);
        }
        (rate > 0).then(|| self.filled + Duration::from_micros(missing.div_ceil(rate)))
    }

    /// The most that can be saved.
    fn burst(&self, config: &Config) -> u64 {
        self.in_span(config.burst).max(config.least_burst)
    }

    /// The least that is given of more: what a tick brings, but never less than a grain or more than a block.
    fn quantum(&self, config: &Config) -> u64 {
        let most = config.least_burst.max(config.grain);
        self.tick(config).clamp(config.grain, most)
    }

    fn tick(&self, config: &Config) -> u64 {
        self.in_span(config.tick)
    }

    fn in_span(&self, span: Duration) -> u64 {
        let bytes = u128::from(self.rate.unwrap_or(0)) * span.as_micros() / 1_000_000;
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}

fn units(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX).saturating_mul(BYTE)
}
