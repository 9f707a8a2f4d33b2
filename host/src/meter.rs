//! The counters of a run, while it runs.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use world::Time;

use crate::Counters;

/// How often the loop tells what it has counted.
const EVERY: Duration = Duration::from_secs(1);

/// What the loop has counted up to a second ago.
#[derive(Clone, Default, Debug)]
pub struct Meter {
    counters: Arc<Mutex<Counters>>,
}

impl Meter {
    /// The counters.
    pub fn read(&self) -> Counters {
        *self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The loop's end of a [`Meter`].
#[derive(Default)]
pub(crate) struct Metering {
    meter: Meter,
    next: Time,
}

impl Metering {
    pub(crate) fn of(meter: Meter) -> Self {
        Self {
            meter,
            next: Time::ZERO,
        }
    }

    /// Tells the counters, if it is time to.
    pub(crate) fn tell(&mut self, now: Time, counters: &Counters) {
        if now >= self.next {
            self.next = now + EVERY;
            *self.meter.counters.lock().unwrap_or_else(PoisonError::into_inner) = *counters;
        }
    }
}
