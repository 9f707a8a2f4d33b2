//! How many remote endpoints a router on the way has to remember because of us.

use std::net::SocketAddr;
use std::time::Duration;

use world::{Seed, Time};

use super::place::Endpoint;
use super::recent::Recent;

/// The flow budget: distinct endpoints touched within the window (crawlers R11).
///
/// A home router keeps an entry for each, and fails when they are too many; packets a second tell it nothing. When the
/// budget is spent, endpoints that are touched already may be asked again, and new ones wait for the oldest to lapse.
pub(crate) struct Flows {
    max: usize,
    /// Of these, kept free of queries: for peers that the owner dials.
    kept: usize,
    window: Duration,
    touched: Recent<Endpoint, ()>,
    most: usize,
}

impl Flows {
    /// Room for `max` endpoints, about 70 bytes each, taken at the start.
    pub(crate) fn new(max: usize, window: Duration, seed: Seed) -> Self {
        Self {
            max,
            kept: 0,
            window,
            touched: Recent::new(max, seed.derive("flows").hasher()),
            most: 0,
        }
    }

    /// Keeps room for so many endpoints that no query may take; at most three quarters of all.
    pub(crate) fn keep_free(&mut self, endpoints: usize) {
        self.kept = endpoints.min(self.max / 4 * 3);
    }

    /// When `to` may be touched by a query; not after now means at once.
    pub(crate) fn ready(&mut self, now: Time, to: SocketAddr) -> Time {
        self.lapse(now);
        if self.touched.len() + self.kept < self.max || self.touched.get(&Endpoint::of(to)).is_some() {
            return now;
        }
        self.touched.oldest().map_or(now, |(.., touched)| touched + self.window)
    }

    /// A datagram goes to `to`, or came from there. Not counted when the budget is spent: the flow exists whatever we
    /// think of it, and no new one of our own is opened until there is room.
    pub(crate) fn touch(&mut self, now: Time, to: SocketAddr) {
        self.lapse(now);
        self.touched.touch(now, Endpoint::of(to));
        self.most = self.most.max(self.touched.len());
    }

    /// Endpoints touched within the window.
    pub(crate) fn open(&mut self, now: Time) -> usize {
        self.lapse(now);
        self.touched.len()
    }

    /// The most endpoints that were ever touched within one window.
    pub(crate) const fn most(&self) -> usize {
        self.most
    }

    /// Bytes taken, all of them from the start.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.touched.memory_bytes()
    }

    fn lapse(&mut self, now: Time) {
        while let Some((.., touched)) = self.touched.oldest() {
            if now < touched + self.window {
                break;
            }
            self.touched.pop_oldest();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(port: u16) -> SocketAddr {
        SocketAddr::from(([8, 8, 8, 8], port))
    }

    fn flows() -> Flows {
        Flows::new(2, Duration::from_secs(120), Seed::from_number(1))
    }

    #[test]
    fn the_third_endpoint_waits_for_the_oldest_to_lapse() {
        let mut flows = flows();
        flows.touch(Time::from_secs(1), addr(1));
        flows.touch(Time::from_secs(2), addr(2));
        let now = Time::from_secs(3);
        assert_eq!(flows.ready(now, addr(3)), Time::from_secs(121));
        assert!(flows.ready(now, addr(1)) <= now);
        assert_eq!(flows.open(Time::from_secs(121)), 1);
    }

    #[test]
    fn what_is_kept_free_is_for_no_query() {
        let mut flows = Flows::new(8, Duration::from_secs(120), Seed::from_number(1));
        flows.keep_free(5);
        (1..=3).for_each(|port| flows.touch(Time::ZERO, addr(port)));
        let now = Time::from_secs(1);
        assert_eq!(flows.ready(now, addr(4)), Time::from_secs(120));
        assert!(flows.ready(now, addr(3)) <= now);
        flows.keep_free(8);
        assert!(flows.ready(Time::from_secs(120), addr(4)) <= Time::from_secs(120));
    }

    #[test]
    fn touching_again_keeps_a_flow_open() {
        let mut flows = flows();
        flows.touch(Time::from_secs(1), addr(1));
        flows.touch(Time::from_secs(100), addr(1));
        assert_eq!(flows.open(Time::from_secs(219)), 1);
        assert_eq!(flows.open(Time::from_secs(220)), 0);
    }
}
