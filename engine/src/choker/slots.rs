//! How many upload slots: another while there is bandwidth to fill it, one less when there is not (PICK-24).

use std::time::Duration;

use world::Time;

use super::Candidate;

/// What is told to [`AutoSlots`].
#[derive(Clone, Copy, Debug)]
pub struct AutoConfig {
    /// Never fewer; 0 counts as 1. Recommended: 4 (BEP 3's swarms).
    pub least: usize,
    /// Never more. Recommended: 100.
    pub most: usize,
    /// Without a limit, the first slot is worth opening for a peer that takes this many bytes a second, the second for
    /// one that takes twice that, and so on. Recommended: 2,048.
    pub step: u64,
}

/// The number of slots, moved by one a round at most if there is a limit.
#[derive(Clone, Copy, Debug)]
pub struct AutoSlots {
    config: AutoConfig,
    slots: usize,
}

impl AutoSlots {
    /// Starts with the least.
    pub fn new(config: AutoConfig) -> Self {
        Self {
            config,
            slots: config.least.max(1),
        }
    }

    /// The number of slots.
    pub const fn slots(&self) -> usize {
        self.slots
    }

    /// Before a round, with the bytes a second that are uploaded, the limit on them, and whether anybody had to wait
    /// for the limiter since the last round: opens a slot if less than nine tenths of the limit are used, closes one if
    /// it is saturated.
    pub fn review(&mut self, rate: u64, limit: u64, saturated: bool) -> usize {
        let used = u128::from(rate) * 10;
        if used < u128::from(limit) * 9 && !saturated {
            self.set(self.slots.saturating_add(1));
        } else if saturated {
            self.set(self.slots.saturating_sub(1));
        }
        self.slots
    }

    /// The same without a limit, from what each candidate took in the `round` that ended: as many as take enough for
    /// their place, and one more to find out.
    pub fn review_unlimited<K>(&mut self, candidates: &[Candidate<K>], round: Duration, rates: &mut Vec<u64>) -> usize {
        rates.clear();
        let taking = candidates.iter().filter(|peer| peer.unchoked && !peer.local);
        rates.extend(taking.map(|peer| per_second(peer.took, round)));
        rates.sort_unstable_by(|a, b| b.cmp(a));
        let step = self.config.step.max(1);
        let thresholds = (1..=u64::MAX).map(|place| place.saturating_mul(step));
        let enough = rates.iter().zip(thresholds).take_while(|(rate, least)| *rate >= least);
        self.set(enough.count().saturating_add(1));
        self.slots
    }

    fn set(&mut self, slots: usize) {
        let least = self.config.least.max(1);
        self.slots = slots.clamp(least, self.config.most.max(least));
    }
}

fn per_second(bytes: u64, span: Duration) -> u64 {
    let span = Time::ZERO + span;
    let micros = u128::from(span.as_micros().max(1));
    u64::try_from(u128::from(bytes) * 1_000_000 / micros).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::Role;
    use super::*;

    const CONFIG: AutoConfig = AutoConfig {
        least: 2,
        most: 6,
        step: 2_048,
    };

    fn taking(rate: u64) -> Candidate<u64> {
        Candidate {
            key: rate,
            role: Role::Seeding,
            interested: true,
            local: false,
            snubbed: false,
            on_parole: false,
            unchoked: true,
            since: Time::ZERO,
            gave: 0,
            took: rate * 10,
            took_since_unchoke: 0,
            piece_length: 1 << 18,
        }
    }

    #[test]
    fn a_slot_opens_below_nine_tenths_and_closes_when_saturated() {
        let mut slots = AutoSlots::new(CONFIG);
        assert_eq!(slots.slots(), 2);
        assert_eq!(slots.review(89_999, 100_000, false), 3);
        assert_eq!(slots.review(90_000, 100_000, false), 3);
        assert_eq!(slots.review(99_000, 100_000, true), 2);
        // Debts of the limiter are still being paid, though little passes.
        assert_eq!(slots.review(10_000, 100_000, true), 2);
    }

    #[test]
    fn slots_stay_between_least_and_most() {
        let mut slots = AutoSlots::new(CONFIG);
        for _ in 0..10 {
            slots.review(0, 100_000, false);
        }
        assert_eq!(slots.slots(), 6);
        for _ in 0..10 {
            slots.review(100_000, 100_000, true);
        }
        assert_eq!(slots.slots(), 2);
        let none = AutoConfig { least: 0, ..CONFIG };
        assert_eq!(AutoSlots::new(none).slots(), 1);
    }

    #[test]
    fn without_a_limit_slots_are_as_many_as_are_filled_well() {
        let mut slots = AutoSlots::new(CONFIG);
        let round = Duration::from_secs(10);
        let mut rates = Vec::new();
        // 2,048 for the first, 4,096 for the second, 6,144 for the third: the fourth would need 8,192.
        let peers = [6_144, 9_000, 7_000, 8_191].map(taking);
        assert_eq!(slots.review_unlimited(&peers, round, &mut rates), 4);
        let peers = [100, 100, 100, 100].map(taking);
        assert_eq!(slots.review_unlimited(&peers, round, &mut rates), 2);
    }
}
