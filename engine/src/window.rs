//! How many blocks to have outstanding at one peer, and when it has been silent for too long.
//!
//! The window is what the peer brings in [`Config::queue_time`] at its measured rate. As a rate can only be measured of
//! what was asked for, it starts as TCP does: with each block that arrives it grows by one, doubling every round trip,
//! until a second brings hardly more than the one before.

use std::collections::VecDeque;
use std::time::Duration;

use world::Time;

use crate::key::BLOCK;
use crate::picker::Speed;
use crate::rate::Meter;

/// Requests made within this time share one age: at most eight ages for each second of [`Config::request_timeout`].
const AGE_GRAIN: Duration = Duration::from_millis(125);
/// How long a span is whose bytes are compared with those of the one before, in slow start.
const EPOCH: Duration = Duration::from_secs(1);
/// A peer is of medium speed that sends a piece within this many times [`Config::whole_pieces`].
const MEDIUM: u64 = 6;

/// What a window is told.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Blocks outstanding at first. Recommended: 5 (Cohen's paper; D-14).
    pub floor: usize,
    /// Blocks outstanding at least, once the rate is known. Recommended: 2, one that is being sent and one that waits: what a
    /// slow peer is asked for early is taken from others, who may have it sooner.
    pub least: usize,
    /// Blocks outstanding at most, whatever the peer allows (its `reqq`). Recommended: 500; 2,000 keep 1 Gbit/s busy
    /// over 250 ms.
    pub cap: usize,
    /// How long what is outstanding should last at the measured rate. Recommended: 3 s.
    pub queue_time: Duration,
    /// A peer that has requests, does not choke us, and sends nothing for this long is snubbing us. Recommended: 20 s.
    pub piece_timeout: Duration,
    /// A request this old should be made elsewhere. Recommended: 50 s.
    pub request_timeout: Duration,
    /// A peer that can send a piece within this time should get whole ones. Recommended: 20 s (PICK-15).
    pub whole_pieces: Duration,
}

/// What was found to be late.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Late {
    /// Nothing at all came in [`Config::piece_timeout`]: the peer snubs us. All its requests are written off; ask
    /// others for these blocks. It gets one request at a time until something comes.
    Silent,
    /// This many requests, the oldest ones, are older than [`Config::request_timeout`], and written off.
    Overdue(usize),
}

/// Requests made at about the same time.
#[derive(Clone, Copy, Debug)]
struct Age {
    at: Time,
    count: usize,
}

/// The requests of one peer, by number and age.
///
/// Peers answer in the order of asking, or nearly: so an answer is taken for the oldest request.
#[derive(Clone, Debug)]
pub struct Window {
    config: Config,
    /// What the peer said it would queue (BEP 10), or the cap.
    reqq: usize,
    outstanding: usize,
    /// What was outstanding after the last request.
    asked: usize,
    /// Oldest first. Bounded by what is outstanding, and by [`AGE_GRAIN`].
    ages: VecDeque<Age>,
    /// When the peer last sent something of use, or was first asked after it owed nothing.
    heard: Time,
    snubbed: bool,
    /// The window while in slow start.
    growing: Option<usize>,
    /// What a timeout has left of the window; grows by one with each block, and is gone at the cap.
    ceiling: Option<usize>,
    epoch: Epoch,
    meter: Meter,
}

#[derive(Clone, Copy, Debug)]
struct Epoch {
    began: Time,
    bytes: u64,
    /// Bytes a second of the last one that brought any.
    before: u64,
}

impl Window {
    /// The window of a peer that was asked for nothing yet.
    pub fn new(now: Time, config: Config) -> Self {
        Self {
            config,
            reqq: config.cap,
            outstanding: 0,
            asked: 0,
            ages: VecDeque::new(),
            heard: now,
            snubbed: false,
            growing: Some(config.floor),
            ceiling: None,
            epoch: Epoch::new(now),
            meter: Meter::new(now),
        }
    }

    /// The peer says how many requests it queues (BEP 10 `reqq`). 0 counts as 1.
    pub fn allow(&mut self, reqq: usize) {
        self.reqq = reqq.max(1);
    }

    /// Blocks that should be outstanding now; at least one.
    pub fn target(&self, now: Time) -> usize {
        if self.snubbed {
            return 1;
        }
        let queue = blocks(self.meter.rate(now), self.config.queue_time);
        let wanted = match self.growing {
            Some(grown) => queue.max(grown),
            None => queue.max(self.config.least),
        };
        let wanted = wanted.min(self.ceiling.unwrap_or(usize::MAX));
        wanted.min(self.config.cap).min(self.reqq).max(1)
    }

    /// Blocks that should be asked for now, beside those outstanding.
    pub fn room(&self, now: Time) -> usize {
        self.target(now).saturating_sub(self.outstanding)
    }

    /// Blocks asked for, and neither arrived nor given up.
    pub const fn outstanding(&self) -> usize {
        self.outstanding
    }

    /// Whether the peer took our requests and sends nothing (flag 0x1000 of SES-17).
    pub const fn is_snubbed(&self) -> bool {
        self.snubbed
    }

    /// `blocks` more were asked for.
    pub fn requested(&mut self, now: Time, blocks: usize) {
        if blocks == 0 {
            return;
        }
        if self.outstanding == 0 {
            if now.since(self.heard) > self.config.piece_timeout {
                // The measured rate is gone with the time, and what the path carries may be another.
                self.start(now);
            }
            self.heard = now;
            self.epoch.begin(now);
        }
        self.outstanding = self.outstanding.saturating_add(blocks);
        self.asked = self.outstanding;
        match self.ages.back_mut() {
            Some(age) if now.since(age.at) < AGE_GRAIN => age.count = age.count.saturating_add(blocks),
            _ => self.ages.push_back(Age { at: now, count: blocks }),
        }
    }

    /// A block of `bytes` bytes arrived, asked for or not.
    pub fn arrived(&mut self, now: Time, bytes: u64) {
        self.meter.add(now, bytes);
        self.heard = now;
        if self.snubbed {
            self.snubbed = false;
            self.start(now);
        }
        // Only a window that was used can be too small.
        if let Some(grown) = &mut self.growing
            && self.asked.saturating_mul(2) >= *grown
        {
            *grown = grown.saturating_add(1).min(self.config.cap);
        }
        if let Some(ceiling) = self.ceiling {
            self.ceiling = Some(ceiling.saturating_add(1)).filter(|ceiling| *ceiling < self.config.cap);
        }
        self.forget(1);
        if self.epoch.counted(now, bytes) {
            self.growing = None;
        }
    }

    /// Part of a block arrived: the peer is alive, if slow. Its bytes count when the block is whole.
    pub fn heard(&mut self, now: Time) {
        self.heard = now;
    }

    /// `blocks` requests were rejected (BEP 6) or cancelled, and nothing will come of them.
    pub fn rejected(&mut self, blocks: usize) {
        self.forget(blocks);
    }

    /// The peer chokes us. Without BEP 6 that drops all requests; with it, each is rejected, so do not call this.
    pub fn choked(&mut self) {
        self.write_off();
    }

    /// The peer unchokes us: the window starts anew, unless the peer is snubbing us.
    pub fn unchoked(&mut self, now: Time) {
        if self.outstanding == 0 {
            self.start(now);
        }
    }

    /// When [`Self::timed_out`] will find something; `None` if nothing is outstanding.
    pub fn deadline(&self) -> Option<Time> {
        let oldest = self.ages.front()?;
        let silent = self.heard + self.config.piece_timeout;
        Some(silent.min(oldest.at + self.config.request_timeout))
    }

    /// What is late by `now`. Halves the window, or closes it to a single request.
    pub fn timed_out(&mut self, now: Time) -> Option<Late> {
        if self.deadline()? > now {
            return None;
        }
        if self.heard + self.config.piece_timeout <= now {
            self.write_off();
            self.snubbed = true;
            self.heard = now;
            return Some(Late::Silent);
        }
        let half = self.target(now) / 2;
        let mut overdue = 0usize;
        while let Some(age) = self.ages.front()
            && age.at + self.config.request_timeout <= now
        {
            overdue = overdue.saturating_add(age.count);
            self.ages.pop_front();
        }
        self.outstanding = self.outstanding.saturating_sub(overdue);
        self.growing = None;
        self.ceiling = Some(half.max(1));
        Some(Late::Overdue(overdue))
    }

    /// Bytes of blocks a second that the peer brings.
    pub fn rate(&self, now: Time) -> u64 {
        self.meter.rate(now)
    }

    /// The highest rate so far (SES-17 `download_rate_peak`).
    pub fn peak(&self, now: Time) -> u64 {
        self.meter.peak(now)
    }

    /// Whether the peer should be given whole pieces of `length` bytes (PICK-15).
    pub fn takes_whole(&self, now: Time, length: u64) -> bool {
        u128::from(self.meter.rate(now)) * self.config.whole_pieces.as_millis() >= u128::from(length) * 1_000
    }

    /// How fast the peer is for pieces of `length` bytes (PICK-16): fast if it takes whole ones, slow if one takes it
    /// more than six times as long.
    pub fn speed(&self, now: Time, length: u64) -> Speed {
        if self.takes_whole(now, length) {
            Speed::Fast
        } else if self.takes_whole(now, length / MEDIUM) {
            Speed::Medium
        } else {
            Speed::Slow
        }
    }

    /// Over how many pieces of `length` bytes requests may be spread, `most` or fewer: as many as it sends in a second, so that
    /// none is whole more than a second later for it. Too few to be worth hashing side by side are 1.
    pub fn spread(&self, now: Time, length: u64, most: usize) -> usize {
        let in_a_second = usize::try_from(self.meter.rate(now) / length.max(1)).unwrap_or(usize::MAX);
        match in_a_second.min(most) {
            few if few < wire::lanes::WORTH => 1,
            spread => spread,
        }
    }

    fn start(&mut self, now: Time) {
        self.growing = Some(self.config.floor);
        self.epoch = Epoch::new(now);
        self.meter.restart(now);
    }

    /// Forgets the oldest requests.
    fn forget(&mut self, blocks: usize) {
        let mut left = blocks.min(self.outstanding);
        self.outstanding -= left;
        while left > 0
            && let Some(age) = self.ages.front_mut()
        {
            let here = left.min(age.count);
            age.count -= here;
            left -= here;
            if age.count == 0 {
                self.ages.pop_front();
            }
        }
    }

    fn write_off(&mut self) {
        self.outstanding = 0;
        self.ages.clear();
    }
}

impl Epoch {
    const fn new(now: Time) -> Self {
        Self {
            began: now,
            bytes: 0,
            before: 0,
        }
    }

    /// Starts to measure after a time when nothing was owed.
    fn begin(&mut self, now: Time) {
        self.began = now;
        self.bytes = 0;
    }

    /// Counts bytes; true if an epoch ended whose rate was less than a tenth above that of the one before.
    fn counted(&mut self, now: Time, bytes: u64) -> bool {
        let mut flat = false;
        let length = now.since(self.began);
        if length >= EPOCH {
            // An epoch without a byte says only that the round trip is long.
            if self.bytes > 0 {
                let rate = u128::from(self.bytes) * 1_000_000 / length.as_micros().max(1);
                let rate = u64::try_from(rate).unwrap_or(u64::MAX);
                flat = self.before > 0 && rate.saturating_mul(10) < self.before.saturating_mul(11);
                self.before = rate;
            }
            self.begin(now);
        }
        self.bytes = self.bytes.saturating_add(bytes);
        flat
    }
}

/// How many blocks pass in `span` at `rate` bytes a second, rounded up.
fn blocks(rate: u64, span: Duration) -> usize {
    let bytes = u128::from(rate) * span.as_millis() / 1_000;
    usize::try_from(bytes.div_ceil(u128::from(BLOCK))).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
