//! Addresses that are not talked to again.

use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;

use super::record::{Ip, ip_bytes, ip_of};

/// Bounded: when full, the oldest ban is lifted.
#[derive(Debug)]
pub(super) struct Bans {
    capacity: usize,
    banned: BTreeSet<Ip>,
    /// The same, oldest first.
    order: VecDeque<Ip>,
}

impl Bans {
    pub(super) const fn new(capacity: usize) -> Self {
        Self {
            capacity,
            banned: BTreeSet::new(),
            order: VecDeque::new(),
        }
    }

    pub(super) fn insert(&mut self, ip: IpAddr) {
        let ip = ip_bytes(ip);
        if self.banned.insert(ip) {
            self.order.push_back(ip);
        }
        while self.order.len() > self.capacity
            && let Some(oldest) = self.order.pop_front()
        {
            self.banned.remove(&oldest);
        }
    }

    pub(super) fn has(&self, ip: Ip) -> bool {
        self.banned.contains(&ip)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.order.iter().map(|ip| ip_of(*ip))
    }
}
