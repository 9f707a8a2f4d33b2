//! The torrents that strangers may call about.

use wire::InfoHash;
use world::{KeyedMap, Seed};

use crate::mse::exchange::torrent_hash;

/// Infohashes by their name in handshakes, `HASH('req2', SKEY)`. Bounded: when full, a new one is not admitted.
#[derive(Debug)]
pub struct Admitted {
    by_hash: KeyedMap<[u8; 20], InfoHash>,
    limit: usize,
}

impl Admitted {
    /// None yet, and `limit` at the most.
    pub fn new(limit: usize, seed: Seed) -> Self {
        Self {
            by_hash: KeyedMap::with_hasher(seed.hasher()),
            limit,
        }
    }

    /// Strangers may call about it. False if there is no room for another.
    pub fn admit(&mut self, info_hash: InfoHash) -> bool {
        let hash = torrent_hash(&info_hash);
        if self.by_hash.len() >= self.limit && !self.by_hash.contains_key(&hash) {
            return false;
        }
        self.by_hash.insert(hash, info_hash);
        true
    }

    /// Nobody may call about it any more. Handshakes that are through are not touched.
    pub fn dismiss(&mut self, info_hash: InfoHash) {
        self.by_hash.remove(&torrent_hash(&info_hash));
    }

    pub(super) fn find(&self, hash: &[u8; 20]) -> Option<InfoHash> {
        self.by_hash.get(hash).copied()
    }
}
