//! Info dictionaries that others may have of us (MDX-09).

use std::collections::VecDeque;
use std::sync::Arc;

use wire::InfoHash;
use wire::metainfo::Info;
use world::{KeyedMap, Seed};

use crate::config::Serving;

/// Verified info dictionaries. Bounded in number and bytes: when full, the one that came first goes.
#[derive(Debug)]
pub(super) struct Shelf {
    entries: KeyedMap<InfoHash, Entry>,
    /// First come, first gone. Each entry once.
    order: VecDeque<InfoHash>,
    bytes: usize,
    most_entries: usize,
    most_bytes: usize,
}

#[derive(Debug)]
struct Entry {
    raw: Arc<Vec<u8>>,
    /// Whether strangers may have it; found out when one asks first.
    public: Option<bool>,
}

impl Shelf {
    pub(super) fn new(config: &Serving, seed: Seed) -> Self {
        Self {
            entries: KeyedMap::with_hasher(seed.hasher()),
            order: VecDeque::new(),
            bytes: 0,
            most_entries: config.shelf_entries,
            most_bytes: config.shelf_bytes,
        }
    }

    /// Keeps an info dictionary, whose hash is right. One that is larger than the shelf is not kept.
    pub(super) fn put(&mut self, info_hash: InfoHash, raw: Arc<Vec<u8>>) {
        if raw.len() > self.most_bytes || self.most_entries == 0 || self.entries.contains_key(&info_hash) {
            return;
        }
        self.bytes += raw.len();
        self.entries.insert(info_hash, Entry { raw, public: None });
        self.order.push_back(info_hash);
        while (self.bytes > self.most_bytes || self.entries.len() > self.most_entries)
            && let Some(oldest) = self.order.pop_front()
        {
            if let Some(gone) = self.entries.remove(&oldest) {
                self.bytes -= gone.raw.len();
            }
        }
    }

    /// What strangers may have. Not the info dictionary of a private torrent: its peers are for its tracker to choose
    /// (BEP 27), and a stranger who found us otherwise is none of them. Nor one that cannot be read, for it might be.
    pub(super) fn for_strangers(&mut self, info_hash: &InfoHash) -> Option<&Arc<Vec<u8>>> {
        let Entry { raw, public } = self.entries.get_mut(info_hash)?;
        let is_public = *public.get_or_insert_with(|| Info::salvage(raw).is_ok_and(|salvaged| !salvaged.info.private));
        is_public.then_some(raw)
    }

    /// Bytes kept.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shelf(entries: usize, bytes: usize) -> Shelf {
        let config = Serving {
            shelf_entries: entries,
            shelf_bytes: bytes,
            ..crate::testing::config().serving
        };
        Shelf::new(&config, Seed::from_number(1))
    }

    fn put(shelf: &mut Shelf, number: u8, raw: &[u8]) -> InfoHash {
        let info_hash = InfoHash::new([number; 20]);
        shelf.put(info_hash, Arc::new(raw.to_vec()));
        info_hash
    }

    const PUBLIC: &[u8] = b"d6:lengthi1e4:name1:n12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaae";
    const PRIVATE: &[u8] = b"d6:lengthi1e4:name1:n12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaa7:privatei1ee";

    #[test]
    fn when_full_the_first_goes() {
        let mut few = shelf(2, 10_000);
        let hashes = [1, 2, 3].map(|number| put(&mut few, number, PUBLIC));
        let kept = hashes.map(|hash| few.for_strangers(&hash).is_some());
        assert_eq!(kept, [false, true, true]);
        let mut small = shelf(9, 2 * PUBLIC.len());
        let hashes = [1, 2, 2, 3].map(|number| put(&mut small, number, PUBLIC));
        let kept = hashes.map(|hash| small.for_strangers(&hash).is_some());
        assert_eq!(kept, [false, true, true, true]);
        assert_eq!(small.bytes(), 2 * PUBLIC.len());
    }

    #[test]
    fn what_is_larger_than_the_shelf_drives_nobody_out() {
        let mut shelf = shelf(9, PUBLIC.len());
        let kept = put(&mut shelf, 1, PUBLIC);
        put(&mut shelf, 2, &[0; 10_000]);
        assert!(shelf.for_strangers(&kept).is_some());
    }

    #[test]
    fn private_torrents_and_riddles_are_not_for_strangers() {
        let mut shelf = shelf(9, 10_000);
        for (number, raw) in [(1, PRIVATE), (2, b"no bencode")] {
            let info_hash = put(&mut shelf, number, raw);
            assert_eq!(shelf.for_strangers(&info_hash), None);
        }
    }
}
