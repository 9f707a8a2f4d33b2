//! Info dictionaries that somebody asks for, made once and shared.

use std::collections::VecDeque;
use std::sync::Arc;

use wire::InfoHash;
use world::{KeyedMap, Seed};

use crate::content::Torrent;
use crate::keys::Key;

/// The info dictionaries asked for last: at most [`Infos::BYTES_MAX`] of them, and the one that was made first gives way.
/// It is made again when it is asked for again.
#[derive(Debug)]
pub(crate) struct Infos {
    made: KeyedMap<InfoHash, Arc<[u8]>>,
    order: VecDeque<InfoHash>,
    bytes: usize,
    /// Where one is made, as large as the largest: growing anew each time costs as much as copying.
    scratch: Vec<u8>,
}

impl Infos {
    /// Two thousand torrents of the usual size.
    const BYTES_MAX: usize = 64 << 20;

    pub(crate) fn new(seed: Seed) -> Self {
        Self {
            made: KeyedMap::with_hasher(seed.derive("infos").hasher()),
            order: VecDeque::new(),
            bytes: 0,
            scratch: Vec::new(),
        }
    }

    /// The info dictionary of a key; `torrent` draws the torrent that it is.
    pub(crate) fn of(&mut self, key: &Key, torrent: impl FnOnce() -> Option<Torrent>) -> Option<Arc<[u8]>> {
        if let Some(info) = self.made.get(&key.infohash) {
            return Some(Arc::clone(info));
        }
        self.scratch.clear();
        torrent()?.info(&mut self.scratch);
        let info: Arc<[u8]> = self.scratch.as_slice().into();
        self.bytes += info.len();
        self.order.push_back(key.infohash);
        self.made.insert(key.infohash, Arc::clone(&info));
        while self.bytes > Self::BYTES_MAX
            && let Some(first) = self.order.pop_front()
        {
            self.bytes -= self.made.remove(&first).map_or(0, |info| info.len());
        }
        Some(info)
    }
}
