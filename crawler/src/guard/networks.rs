//! The looser limit of whole networks.

use world::{Seed, Time};

use super::bucket::{Bucket, Limit};
use super::place::Network;
use super::recent::Recent;

/// Networks remembered at most, if the global rate has no limit (or a wild one): 70 bytes each.
const MOST: usize = 1 << 20;

/// One bucket for each network asked lately, forgotten when it is full again.
pub(crate) struct Networks {
    limit: Limit,
    buckets: Recent<Network, Bucket>,
}

impl Networks {
    /// With room for every network that the `total` limit lets be asked before the first one's bucket is full again.
    pub(crate) fn new(limit: Limit, total: &Limit, seed: Seed) -> Self {
        let room = total.most_within(limit.refill()).min(MOST);
        Self {
            limit,
            buckets: Recent::new(room, seed.derive("networks").hasher()),
        }
    }

    /// When `network` may be asked next; not after now means at once. If there is no room for a new one, when there is.
    pub(crate) fn ready(&mut self, now: Time, network: Network) -> Time {
        if let Some(bucket) = self.buckets.get(&network) {
            return bucket.ready(&self.limit);
        }
        self.forget(now);
        match self.buckets.oldest() {
            Some((_, bucket, _)) if self.buckets.is_full() => bucket.full_at(),
            _ => now,
        }
    }

    /// Counts a query to `network`.
    pub(crate) fn take(&mut self, now: Time, network: Network) {
        self.forget(now);
        if let Some(bucket) = self.buckets.touch(now, network) {
            bucket.take(now, &self.limit);
        }
    }

    /// Bytes taken, all of them from the start.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.buckets.memory_bytes()
    }

    fn forget(&mut self, now: Time) {
        while let Some((_, bucket, _)) = self.buckets.oldest() {
            if now < bucket.full_at() {
                break;
            }
            self.buckets.pop_oldest();
        }
    }
}
