//! What passes between one asking address and one host of the lab: what the host remembers, and what the judge counts.

use std::collections::VecDeque;
use std::time::Duration;

use world::Time;

use crate::client::{Ban, Limit};
use crate::net::Direction;

/// A bucket of tokens that is full at first.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Bucket {
    /// What is missing to the brim.
    spent: f64,
    at: Time,
}

impl Bucket {
    /// Takes `tokens` if they are there.
    pub(crate) fn take(&mut self, limit: &Limit, now: Time, tokens: f64) -> bool {
        self.spent = (self.spent - now.since(self.at).as_secs_f64() * limit.per_second).max(0.0);
        self.at = now;
        let fits = self.spent + tokens <= limit.burst;
        if fits {
            self.spent += tokens;
        }
        fits
    }
}

/// A host's count of one stranger's packets, as libtorrent keeps it.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Blocker {
    count: u32,
    limit: Time,
}

/// What a [`Blocker`] says of one packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    Heard,
    /// This packet was the one too many.
    Banned,
    /// An earlier one was.
    Ignored,
}

impl Blocker {
    pub(crate) fn hear(&mut self, ban: &Ban, now: Time) -> Verdict {
        if self.count == 0 {
            self.limit = now + ban.window;
        }
        self.count = self.count.saturating_add(1);
        if self.count < ban.packets {
            return Verdict::Heard;
        }
        if now >= self.limit {
            // They took longer than the window: count afresh.
            self.count = 0;
            return Verdict::Heard;
        }
        if self.count == ban.packets {
            self.limit = now + ban.silence;
            return Verdict::Banned;
        }
        Verdict::Ignored
    }
}

/// How fast one address asked one host.
#[derive(Clone, Default, Debug)]
pub(crate) struct Pace {
    pub(crate) queries: u64,
    /// Times within the last [`Self::WINDOW`].
    recent: VecDeque<Time>,
    /// Most queries in any window.
    pub(crate) most: usize,
    /// A bucket that leaks one query a second: how full it is, and when.
    level: f64,
    at: Time,
    /// The smallest burst that a limiter of one query a second would have had to allow.
    pub(crate) burst: f64,
}

impl Pace {
    /// libtorrent counts over ten seconds.
    pub(crate) const WINDOW: Duration = Duration::from_secs(10);
    /// Times kept: a flood is counted up to here.
    const RECENT_MAX: usize = 1024;

    pub(crate) fn count(&mut self, now: Time) {
        self.queries += 1;
        while self.recent.front().is_some_and(|at| now.since(*at) >= Self::WINDOW)
            || self.recent.len() >= Self::RECENT_MAX
        {
            self.recent.pop_front();
        }
        self.recent.push_back(now);
        self.most = self.most.max(self.recent.len());
        self.level = (self.level - now.since(self.at).as_secs_f64()).max(0.0) + 1.0;
        self.at = now;
        self.burst = self.burst.max(self.level);
    }
}

/// One asker, one host.
#[derive(Clone, Default, Debug)]
pub(crate) struct Pair {
    /// Packets from the asker; numbers the draws.
    pub(crate) packets: u64,
    pub(crate) to_host: Direction,
    pub(crate) to_asker: Direction,
    /// When the last uTP packet to the asker arrives.
    pub(crate) in_order: Time,
    /// The asker's last packet that came through.
    pub(crate) heard: Option<Time>,
    /// When the host last asked the asker something: its NAT lets answers and questions in for a while.
    pub(crate) called: Option<Time>,
    pub(crate) blocker: Blocker,
    pub(crate) tokens: Bucket,
    pub(crate) pace: Pace,
    /// Before this time another sample is none (BEP 51 `interval`).
    pub(crate) next_sample: Time,
    /// The host has shown that it does not sample.
    pub(crate) refused_sample: bool,
    /// The host has shown a sample.
    pub(crate) gave_sample: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    const BAN: Ban = Ban {
        packets: 50,
        window: Duration::from_secs(10),
        silence: Duration::from_secs(300),
    };

    /// Verdicts on packets `gap_ms` apart.
    fn verdicts(gap_ms: u64, packets: u64) -> Vec<Verdict> {
        let mut blocker = Blocker::default();
        (0..packets)
            .map(|number| blocker.hear(&BAN, Time::from_micros(number * gap_ms * 1000)))
            .collect()
    }

    #[test]
    fn fifty_packets_in_ten_seconds_are_too_many() {
        let fast = verdicts(199, 60);
        assert!(fast[..49].iter().all(|verdict| *verdict == Verdict::Heard));
        assert_eq!(fast[49], Verdict::Banned);
        assert!(fast[50..].iter().all(|verdict| *verdict == Verdict::Ignored));
    }

    #[test]
    fn fewer_are_not() {
        assert!(verdicts(210, 1000).iter().all(|verdict| *verdict == Verdict::Heard));
    }

    #[test]
    fn a_ban_ends() {
        let mut blocker = Blocker::default();
        for number in 0..50 {
            blocker.hear(&BAN, Time::from_micros(number));
        }
        assert_eq!(blocker.hear(&BAN, Time::from_secs(299)), Verdict::Ignored);
        assert_eq!(blocker.hear(&BAN, Time::from_secs(301)), Verdict::Heard);
    }

    #[test]
    fn pace_finds_the_burst_and_the_busiest_window() {
        let mut pace = Pace::default();
        for second in [0, 0, 0, 1, 2, 3, 60] {
            pace.count(Time::from_secs(second));
        }
        assert!((pace.burst - 3.0).abs() < 1e-9);
        assert_eq!((pace.most, pace.queries), (6, 7));
    }

    #[test]
    fn buckets_refill() {
        let limit = Limit {
            per_second: 2.0,
            burst: 3.0,
        };
        let mut bucket = Bucket::default();
        let mut take = |second| bucket.take(&limit, Time::from_secs(second), 1.0);
        assert!(take(0) && take(0) && take(0));
        assert!(!take(0));
        assert!(take(1) && take(1));
        assert!(!take(1));
    }
}
