//! A limit on each host, in a table of bounded size that forgets: as bitmagnet keeps it (crawlers 1.2).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use world::Time;

/// Tokens for each host; the host that was not asked for longest gives way.
pub(super) struct Limiter {
    every: Duration,
    burst: u32,
    room: usize,
    forget: Duration,
    /// When the bucket of a host is full again, and when it was last used.
    hosts: BTreeMap<IpAddr, (Time, Time)>,
    order: BTreeSet<(Time, IpAddr)>,
}

impl Limiter {
    pub(super) const fn new(every: Duration, burst: u32, room: usize, forget: Duration) -> Self {
        Self {
            every,
            burst,
            room,
            forget,
            hosts: BTreeMap::new(),
            order: BTreeSet::new(),
        }
    }

    /// Takes a token of this host, and says when it may be used.
    pub(super) fn reserve(&mut self, now: Time, host: IpAddr) -> Time {
        while let Some(&(used, oldest)) = self.order.first() {
            if self.hosts.len() < self.room && now.since(used) < self.forget {
                break;
            }
            self.order.pop_first();
            self.hosts.remove(&oldest);
        }
        let (full, used) = self.hosts.get(&host).copied().unwrap_or((now, now));
        self.order.remove(&(used, host));
        let full = full.max(now) + self.every;
        let at = (full - self.every * self.burst).max(now);
        self.hosts.insert(host, (full, now));
        self.order.insert((now, host));
        at
    }
}
