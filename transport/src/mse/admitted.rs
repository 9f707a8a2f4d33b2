//! The torrents that strangers may call about.

use std::collections::BTreeMap;

use wire::InfoHash;
use world::{KeyedMap, Seed};

use crate::mse::exchange::torrent_hash;

/// Infohashes by their name in handshakes, `HASH('req2', SKEY)`. Bounded: when full, the one admitted longest ago gives way.
#[derive(Debug)]
pub struct Admitted {
    by_hash: KeyedMap<[u8; 20], (InfoHash, u64)>,
    by_age: BTreeMap<u64, [u8; 20]>,
    stamp: u64,
    limit: usize,
}

impl Admitted {
    /// None yet, and `limit` at the most.
    pub fn new(limit: usize, seed: Seed) -> Self {
        Self {
            by_hash: KeyedMap::with_hasher(seed.hasher()),
            by_age: BTreeMap::new(),
            stamp: 0,
            limit,
        }
    }

    /// Strangers may call about it.
    pub fn admit(&mut self, info_hash: InfoHash) {
        let hash = torrent_hash(&info_hash);
        self.stamp += 1;
        if let Some((_, before)) = self.by_hash.insert(hash, (info_hash, self.stamp)) {
            self.by_age.remove(&before);
        }
        self.by_age.insert(self.stamp, hash);
        while self.by_age.len() > self.limit
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.by_hash.remove(&oldest);
        }
    }

    /// Nobody may call about it any more. Handshakes that are through are not touched.
    pub fn dismiss(&mut self, info_hash: InfoHash) {
        if let Some((_, stamp)) = self.by_hash.remove(&torrent_hash(&info_hash)) {
            self.by_age.remove(&stamp);
        }
    }

    pub(super) fn find(&self, hash: &[u8; 20]) -> Option<InfoHash> {
        self.by_hash.get(hash).map(|&(info_hash, _)| info_hash)
    }
}
