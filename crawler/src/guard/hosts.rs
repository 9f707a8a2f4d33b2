//! Who was asked how often: the limit of each host, and the proof that it was kept.

use std::collections::VecDeque;
use std::time::Duration;

use world::{Seed, Time};

use super::bucket::{Bucket, Limit};
use super::place::Host;
use super::recent::Recent;

/// The windows in which the busiest host is looked for: one second, and the ten over which libtorrent averages before
/// it bans (crawlers F4).
const SPANS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(10)];

/// Queries within ten seconds that there is room for at most, if the global rate has no limit (or a wild one): 110 MiB.
const MOST: usize = 1 << 20;

/// What is known of one host.
#[derive(Default)]
struct Account {
    bucket: Bucket,
    /// Queries within each of [`SPANS`].
    within: [u32; 2],
}

/// The queries of the last `span`, all hosts together, oldest first.
struct Window {
    span: Duration,
    capacity: usize,
    sent: VecDeque<(Time, Host)>,
}

/// One account for each host asked within the last ten seconds (or whose bucket is not full yet).
///
/// An account is forgotten only when it says nothing any more, and there is room for as many as the global rate can
/// open in that time. So the limit of a host cannot be washed away by asking many others, and should the table be full
/// after all, new hosts wait.
pub(crate) struct Hosts {
    limit: Limit,
    keep: Duration,
    accounts: Recent<Host, Account>,
    windows: [Window; 2],
    busiest: [u32; 2],
}

impl Hosts {
    /// Sized for `total`, the limit on all queries together: about 110 bytes for each query within ten seconds.
    pub(crate) fn new(limit: Limit, total: &Limit, seed: Seed) -> Self {
        let keep = SPANS[1].max(limit.refill());
        let room = |span: Duration| total.most_within(span).min(MOST);
        Self {
            limit,
            keep,
            accounts: Recent::new(room(keep), seed.derive("hosts").hasher()),
            windows: SPANS.map(|span| Window {
                span,
                capacity: room(span),
                sent: VecDeque::with_capacity(room(span)),
            }),
            busiest: [0; 2],
        }
    }

    /// When `host` may be asked next; not after now means at once.
    pub(crate) fn ready(&mut self, now: Time, host: Host) -> Time {
        if let Some(account) = self.accounts.get(&host) {
            return account.bucket.ready(&self.limit);
        }
        self.forget(now);
        match self.accounts.oldest() {
            Some((_, account, touched)) if self.accounts.is_full() => self.forgettable_at(account, touched),
            _ => now,
        }
    }

    /// Counts a query to `host`.
    pub(crate) fn take(&mut self, now: Time, host: Host) {
        self.forget(now);
        // No room: only if the owner sends without being ready. The global limit still counts it.
        let Some(account) = self.accounts.touch(now, host) else {
            return;
        };
        account.bucket.take(now, &self.limit);
        for (number, window) in self.windows.iter_mut().enumerate() {
            account.within[number] += 1;
            self.busiest[number] = self.busiest[number].max(account.within[number]);
            window.sent.push_back((now, host));
        }
    }

    /// The most queries that any host was sent in any one second, and in any ten.
    pub(crate) const fn busiest(&self) -> [u32; 2] {
        self.busiest
    }

    /// Bytes taken, all of them from the start.
    pub(crate) fn memory_bytes(&self) -> usize {
        let windows: usize = self.windows.iter().map(|window| window.capacity).sum();
        self.accounts.memory_bytes() + windows * size_of::<(Time, Host)>()
    }

    fn forgettable_at(&self, account: &Account, touched: Time) -> Time {
        (touched + self.keep).max(account.bucket.full_at())
    }

    /// Drops what has left the windows, then the accounts that say nothing any more.
    fn forget(&mut self, now: Time) {
        for (number, window) in self.windows.iter_mut().enumerate() {
            while let Some(&(sent, host)) = window.sent.front() {
                // A window that is full lets its oldest go early: possible only if its owner exceeds the global limit.
                if now < sent + window.span && window.sent.len() < window.capacity {
                    break;
                }
                window.sent.pop_front();
                if let Some(account) = self.accounts.get_mut(&host) {
                    account.within[number] = account.within[number].saturating_sub(1);
                }
            }
        }
        while let Some((_, account, touched)) = self.accounts.oldest() {
            if now < self.forgettable_at(account, touched) {
                break;
            }
            self.accounts.pop_oldest();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    const LIMIT: Limit = Limit {
        every: Duration::from_secs(1),
        burst: 3,
    };

    fn host(number: u32) -> Host {
        Host::of(IpAddr::V4(Ipv4Addr::from_bits(number)))
    }

    fn hosts(total: Limit) -> Hosts {
        Hosts::new(LIMIT, &total, Seed::from_number(1))
    }

    #[test]
    fn a_host_is_asked_thrice_then_once_a_second() {
        let mut hosts = hosts(Limit::per_second(1000, 10));
        let now = Time::from_secs(5);
        for _ in 0..3 {
            assert!(hosts.ready(now, host(1)) <= now);
            hosts.take(now, host(1));
        }
        assert_eq!(hosts.ready(now, host(1)), Time::from_secs(6));
        assert!(hosts.ready(now, host(2)) <= now);
    }

    #[test]
    fn the_busiest_ten_seconds_slide() {
        let mut hosts = hosts(Limit::per_second(1000, 10));
        for micros in [0, 9_000_000, 9_500_000, 10_500_000, 30_000_000] {
            hosts.take(Time::from_micros(micros), host(1));
        }
        assert_eq!(hosts.busiest(), [2, 3]);
    }

    #[test]
    fn a_full_table_makes_new_hosts_wait_and_forgets_no_limit() {
        let mut hosts = hosts(Limit {
            every: Duration::from_secs(10),
            burst: 1,
        });
        for number in [1, 1, 1, 2] {
            hosts.take(Time::ZERO, host(number));
        }
        let now = Time::from_secs(1);
        assert_eq!(hosts.ready(now, host(3)), Time::from_secs(10));
        assert!(hosts.ready(Time::from_micros(999_999), host(1)) > Time::from_micros(999_999));
        let later = Time::from_secs(10);
        assert!(hosts.ready(later, host(3)) <= later);
    }
}
