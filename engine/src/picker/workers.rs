//! What each peer has to do with blocks: how many it is asked for, how many it gave to pieces that are not settled.

use super::{PeerKey, index};

/// Keys of peers are below this.
pub(super) const MAX_KEY: u32 = 1 << 16;

#[derive(Clone, Copy, Debug)]
struct Worker {
    asked: u32,
    given: u32,
    /// The piece that it was asked for last.
    piece: Option<u32>,
}

const IDLE: Worker = Worker {
    asked: 0,
    given: 0,
    piece: None,
};

/// By key, 16 bytes each up to the highest key that was ever asked.
#[derive(Debug)]
pub(super) struct Workers {
    all: Vec<Worker>,
    busy: u32,
    asked: u64,
}

impl Workers {
    pub(super) fn new() -> Self {
        Self {
            all: Vec::new(),
            busy: 0,
            asked: 0,
        }
    }

    /// Makes room for a key; whether there is.
    pub(super) fn admit(&mut self, peer: PeerKey) -> bool {
        let fits = peer.0 < MAX_KEY;
        if fits && self.all.len() <= index(peer.0) {
            self.all.resize(index(peer.0) + 1, IDLE);
        }
        fits
    }

    /// Peers that are asked for anything.
    pub(super) fn busy(&self) -> u32 {
        self.busy
    }

    /// Requests in all.
    pub(super) fn asked_in_all(&self) -> u64 {
        self.asked
    }

    pub(super) fn asked_of(&self, peer: PeerKey) -> u32 {
        self.all.get(index(peer.0)).map_or(0, |worker| worker.asked)
    }

    pub(super) fn given_by(&self, peer: PeerKey) -> u32 {
        self.all.get(index(peer.0)).map_or(0, |worker| worker.given)
    }

    /// The piece that a peer was asked for last.
    pub(super) fn piece(&self, peer: PeerKey) -> Option<u32> {
        self.all.get(index(peer.0))?.piece
    }

    pub(super) fn ask(&mut self, peer: PeerKey, piece: u32) {
        if let Some(worker) = self.all.get_mut(index(peer.0)) {
            worker.piece = Some(piece);
            worker.asked += 1;
            self.busy += u32::from(worker.asked == 1);
            self.asked += 1;
        }
    }

    pub(super) fn unask(&mut self, peer: PeerKey) {
        if let Some(worker) = self.all.get_mut(index(peer.0)) {
            worker.asked -= 1;
            self.busy -= u32::from(worker.asked == 0);
            self.asked -= 1;
        }
    }

    pub(super) fn give(&mut self, peer: PeerKey) {
        if let Some(worker) = self.all.get_mut(index(peer.0)) {
            worker.given += 1;
        }
    }

    pub(super) fn ungive(&mut self, peer: PeerKey) {
        if let Some(worker) = self.all.get_mut(index(peer.0)) {
            worker.given -= 1;
        }
    }

    /// Keys with what they are asked for and what they gave.
    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = (PeerKey, u32, u32)> {
        (0..)
            .zip(&self.all)
            .map(|(key, worker)| (PeerKey(key), worker.asked, worker.given))
    }
}
