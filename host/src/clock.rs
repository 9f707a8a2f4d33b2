//! Time and chance, where they come from.

use std::io;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use world::{Seed, Time};

/// The clock of one run: monotonic, zero when the run began.
#[derive(Clone, Copy)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { start: Instant::now() }
    }

    pub(crate) fn now(self) -> Time {
        Time::ZERO + self.start.elapsed()
    }

    /// When `time` is, for a timer. What lies more than a day ahead is a day ahead: the timer is set again then.
    pub(crate) fn instant(self, time: Time) -> Instant {
        let latest = self.now() + Duration::from_secs(86_400);
        self.start + time.min(latest).since(Time::ZERO)
    }
}

/// A seed that nobody knows, from the operating system.
///
/// # Errors
///
/// The operating system has no entropy to give.
pub fn entropy() -> io::Result<Seed> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(io::Error::from)?;
    Ok(Seed::from_bytes(bytes))
}

/// Seconds since 1970 by the system's clock; 0 if it stands before that.
pub fn unix_now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// Milliseconds since 1970 by the system's clock; 0 if it stands before that.
pub fn unix_millis() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_seeds_differ() {
        assert_ne!(entropy().unwrap(), entropy().unwrap());
    }

    #[test]
    fn times_that_never_come_are_still_instants() {
        let clock = Clock::start();
        assert!(clock.instant(Time::MAX) > clock.instant(Time::from_secs(3600)));
        assert_eq!(clock.instant(Time::ZERO), clock.start);
    }
}
