//! What we show of what we store (BEP 51).

use rand::Rng;
use wire::InfoHash;
use world::Time;

use super::{Config, SAMPLE};
use crate::peer_store::PeerStore;

/// The sample of one store.
///
/// While the store holds no more than fits, everything is shown, as it is now. A larger one shows a fair sample that
/// stays as it is for the whole interval: whoever asks again before learns nothing, and BEP 51 wants it so, since
/// otherwise one asker could list all that we store.
pub(super) struct Samples {
    held: [InfoHash; SAMPLE],
    frozen_until: Time,
}

impl Default for Samples {
    fn default() -> Self {
        Self {
            held: [InfoHash::new([0; 20]); SAMPLE],
            frozen_until: Time::ZERO,
        }
    }
}

/// What one answer shows.
pub(super) struct Shown<'a> {
    pub(super) samples: &'a [InfoHash],
    /// After how many seconds there may be others.
    pub(super) seconds: u128,
}

impl Samples {
    pub(super) fn show(&mut self, now: Time, config: &Config, store: &mut PeerStore, rng: &mut impl Rng) -> Shown<'_> {
        let mut shown = SAMPLE;
        if self.frozen_until <= now {
            store.sweep_all(now);
            shown = store.sample(rng, &mut self.held);
            if store.keys() <= SAMPLE {
                return Shown {
                    samples: &self.held[..shown],
                    seconds: u128::from(config.whole_interval.as_secs()),
                };
            }
            self.frozen_until = now + config.sample_interval;
        }
        Shown {
            samples: &self.held[..shown],
            seconds: self.frozen_until.since(now).as_micros().div_ceil(1_000_000),
        }
    }
}
