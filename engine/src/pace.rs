//! How fast to dial, over all torrents: so many a second, so many unanswered, so many connections.

use std::time::Duration;

use world::Time;

/// A wake that comes this late costs no dial.
const SLACK: Duration = Duration::from_millis(100);

/// What a pace is told.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Dials a second; 0 is 200, as libtorrent's manual has it (NET-04). Recommended: 50.
    pub per_second: u32,
    /// Dials unanswered at once (NET-03). Recommended: 100; no limit is `usize::MAX`.
    pub half_open: usize,
    /// Connections at most, the unanswered ones with them. Recommended: 200 (PWP-29, PICK-25).
    pub connections: usize,
    /// Dials that a new torrent may make at once. Recommended: 30.
    pub boost: u32,
}

/// A budget of dials.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    config: Config,
    /// When the next one is due.
    due: Time,
    /// Dials that need not be due.
    boosted: u32,
}

impl Pace {
    /// May dial at once.
    pub const fn new(now: Time, config: Config) -> Self {
        Self {
            config,
            due: now,
            boosted: 0,
        }
    }

    /// A torrent was added: its first dials do not wait. Several together get no more than one.
    pub fn boost(&mut self) {
        self.boosted = self.boosted.max(self.config.boost);
    }

    /// Whether somebody may be dialled now, with so many dials unanswered and so many connections open beside them.
    pub fn may_dial(&self, now: Time, half_open: usize, open: usize) -> bool {
        self.has_room(half_open, open) && (self.boosted > 0 || self.due <= now)
    }

    /// When somebody may be dialled; `None` if not before a dial is answered or a connection ends.
    pub fn next_time(&self, now: Time, half_open: usize, open: usize) -> Option<Time> {
        let at = if self.boosted > 0 { now } else { self.due.max(now) };
        self.has_room(half_open, open).then_some(at)
    }

    /// Somebody was dialled.
    pub fn dialled(&mut self, now: Time) {
        if self.boosted > 0 {
            self.boosted -= 1;
            return;
        }
        let per_second = match self.config.per_second {
            0 => 200,
            some => some,
        };
        self.due = self.due.max(now - SLACK) + Duration::from_secs(1) / per_second;
    }

    fn has_room(&self, half_open: usize, open: usize) -> bool {
        half_open < self.config.half_open && half_open.saturating_add(open) < self.config.connections
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: Config = Config {
        per_second: 20,
        half_open: usize::MAX,
        connections: usize::MAX,
        boost: 30,
    };

    /// Dials in each of ten seconds, if every wake is `late`.
    fn dials(mut pace: Pace, late: Duration) -> Vec<u64> {
        let mut seconds = vec![0; 10];
        let mut now = Time::ZERO;
        while let Some(count) = seconds.get_mut(usize::try_from(now.as_secs()).unwrap()) {
            assert!(pace.may_dial(now, 0, 0));
            while pace.may_dial(now, 0, 0) {
                pace.dialled(now);
                *count += 1;
            }
            now = pace.next_time(now, 0, 0).unwrap() + late;
        }
        seconds
    }

    #[test]
    fn twenty_a_second_are_twenty_a_second() {
        for late in [0, 30] {
            let seconds = dials(Pace::new(Time::ZERO, CONFIG), Duration::from_millis(late));
            assert!(seconds.iter().all(|count| (19..=23).contains(count)), "{seconds:?}");
            assert!(seconds.iter().sum::<u64>().abs_diff(200) <= 3, "{seconds:?}");
        }
    }

    #[test]
    fn nothing_is_two_hundred() {
        let pace = Pace::new(
            Time::ZERO,
            Config {
                per_second: 0,
                ..CONFIG
            },
        );
        assert_eq!(dials(pace, Duration::ZERO)[5], 200);
    }

    #[test]
    fn a_new_torrent_dials_some_at_once() {
        let mut pace = Pace::new(Time::ZERO, CONFIG);
        pace.boost();
        pace.boost();
        let seconds = dials(pace, Duration::ZERO);
        assert_eq!((seconds[0], seconds[1]), (50, 20));
    }

    #[test]
    fn unanswered_dials_and_connections_are_limited() {
        let pace = Pace::new(
            Time::ZERO,
            Config {
                half_open: 2,
                connections: 200,
                ..CONFIG
            },
        );
        assert!(pace.may_dial(Time::ZERO, 1, 198));
        assert!(!pace.may_dial(Time::ZERO, 2, 0));
        assert!(!pace.may_dial(Time::ZERO, 1, 199));
        assert_eq!(pace.next_time(Time::ZERO, 1, 199), None);
    }
}
