//! The pieces of one info dictionary, from one peer or several.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use wire::ut_metadata;
use world::ConnId;

/// Which assembly of an infohash. Peers that claim the same size share one, until shared pieces once made the wrong
/// bytes; from then on each peer has its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Key {
    /// Bytes of the info dictionary, as claimed.
    pub(crate) size: u32,
    /// The only connection that may add to it; `None` if it is shared.
    pub(crate) owner: Option<ConnId>,
}

/// The pieces of one info dictionary of a claimed size. What it holds grows with the pieces that arrive, never with the
/// claim.
#[derive(Debug)]
pub(crate) struct Assembly {
    key: Key,
    /// The first pieces without a gap: as most come in order, most are copied once.
    raw: Vec<u8>,
    /// How many they are.
    joined: u32,
    /// Who gave them, each once.
    contributors: Vec<SocketAddr>,
    /// Pieces behind a gap.
    pieces: BTreeMap<u32, Piece>,
    /// No piece from here on was ever asked for.
    fresh: u32,
    /// Asked for, and given up by the peer that was asked.
    returned: BTreeSet<u32>,
}

#[derive(Debug)]
struct Piece {
    from: SocketAddr,
    bytes: Box<[u8]>,
}

/// A complete assembly.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Assembled {
    /// The bytes, not verified.
    pub(crate) raw: Vec<u8>,
    /// The peers that gave pieces, each once.
    pub(crate) contributors: Vec<SocketAddr>,
}

impl Assembly {
    pub(crate) fn new(key: Key) -> Self {
        Self {
            key,
            raw: Vec::new(),
            joined: 0,
            contributors: Vec::new(),
            pieces: BTreeMap::new(),
            fresh: 0,
            returned: BTreeSet::new(),
        }
    }

    pub(crate) fn key(&self) -> Key {
        self.key
    }

    /// Pieces that arrived.
    pub(crate) fn pieces(&self) -> usize {
        usize::try_from(self.joined)
            .unwrap_or(usize::MAX)
            .saturating_add(self.pieces.len())
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.joined == self.count()
    }

    /// The piece that a peer should be asked for next, which waits for those in `asked` already: one that nobody was
    /// asked for; else one that was given up; else one that another peer still owes, so that a peer that stalls holds up
    /// nobody.
    pub(crate) fn next_for(&mut self, asked: &[u32]) -> Option<u32> {
        while self.fresh < self.count() {
            let piece = self.fresh;
            self.fresh += 1;
            if self.lacks(piece, asked) {
                return Some(piece);
            }
        }
        let given_up = self.returned.iter().copied().find(|&piece| self.lacks(piece, asked));
        if let Some(piece) = given_up {
            self.returned.remove(&piece);
            return Some(piece);
        }
        (0..self.count()).find(|&piece| self.lacks(piece, asked))
    }

    /// A peer that was asked for `piece` will not give it.
    pub(crate) fn give_back(&mut self, piece: u32) {
        if !self.has(piece) {
            self.returned.insert(piece);
        }
    }

    /// Keeps a piece. The first of two that come is kept. The session has checked index and length.
    pub(crate) fn put(&mut self, piece: u32, bytes: &[u8], from: SocketAddr) {
        self.returned.remove(&piece);
        if self.has(piece) {
            return;
        }
        if piece != self.joined {
            let bytes = bytes.into();
            self.pieces.insert(piece, Piece { from, bytes });
            return;
        }
        self.join(bytes, from);
        while let Some(Piece { from, bytes }) = self.pieces.remove(&self.joined) {
            self.join(&bytes, from);
        }
    }

    fn join(&mut self, bytes: &[u8], from: SocketAddr) {
        // Room for four pieces, then for as much again, but for no more than is claimed: doubling would go beyond.
        let missing = usize::try_from(self.key.size)
            .unwrap_or(usize::MAX)
            .saturating_sub(self.raw.len());
        if self.raw.capacity() - self.raw.len() < bytes.len() {
            self.raw.reserve_exact(missing.min(self.raw.len().max(4 * bytes.len())));
        }
        self.raw.extend_from_slice(bytes);
        self.joined += 1;
        if !self.contributors.contains(&from) {
            self.contributors.push(from);
        }
    }

    /// All bytes in order, and whose they are.
    pub(crate) fn finish(self) -> Assembled {
        Assembled {
            raw: self.raw,
            contributors: self.contributors,
        }
    }

    fn count(&self) -> u32 {
        piece_count(self.key.size)
    }

    fn has(&self, piece: u32) -> bool {
        piece < self.joined || self.pieces.contains_key(&piece)
    }

    fn lacks(&self, piece: u32, asked: &[u32]) -> bool {
        !self.has(piece) && !asked.contains(&piece)
    }
}

/// Bytes of every piece but the last (BEP 9).
const BLOCK: u32 = ut_metadata::BLOCK as u32;

/// Pieces of an info dictionary of `size` bytes.
pub(crate) fn piece_count(size: u32) -> u32 {
    size.div_ceil(BLOCK)
}

/// Bytes of `piece`; 0 if there is none such.
pub(crate) fn piece_len(size: u32, piece: u32) -> u32 {
    size.saturating_sub(piece.saturating_mul(BLOCK)).min(BLOCK)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: u32 = 40_000;

    fn shared() -> Assembly {
        Assembly::new(Key {
            size: SIZE,
            owner: None,
        })
    }

    fn peer(number: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], number))
    }

    #[test]
    fn the_last_piece_is_what_remains() {
        assert_eq!(piece_count(SIZE), 3);
        assert_eq!(
            [0, 1, 2, 3].map(|piece| piece_len(SIZE, piece)),
            [16_384, 16_384, 7_232, 0]
        );
        assert_eq!(piece_count(16_384), 1);
        assert_eq!(piece_len(16_384, u32::MAX), 0);
    }

    #[test]
    fn each_piece_is_asked_for_once_while_others_remain() {
        let mut assembly = shared();
        assert_eq!(assembly.next_for(&[]), Some(0));
        assert_eq!(assembly.next_for(&[]), Some(1));
        assert_eq!(assembly.next_for(&[0]), Some(2));
    }

    #[test]
    fn what_was_given_up_is_asked_for_before_what_is_owed() {
        let mut assembly = shared();
        while assembly.fresh < 3 {
            assembly.next_for(&[]);
        }
        assembly.give_back(1);
        assert_eq!(assembly.next_for(&[]), Some(1));
        assert_eq!(assembly.next_for(&[1]), Some(0));
        assert_eq!(assembly.next_for(&[0, 1]), Some(2));
        assert_eq!(assembly.next_for(&[0, 1, 2]), None);
    }

    #[test]
    fn pieces_in_any_order_make_the_bytes() {
        let mut assembly = shared();
        for piece in [2, 0, 1, 0] {
            let len = usize::try_from(piece_len(SIZE, piece)).unwrap();
            let from = peer(if piece == 1 { 1 } else { 2 });
            assembly.put(piece, &vec![u8::try_from(piece).unwrap(); len], from);
        }
        assert!(assembly.is_complete());
        let assembled = assembly.finish();
        assert_eq!(assembled.raw.len(), 40_000);
        assert_eq!(
            (assembled.raw[0], assembled.raw[16_384], assembled.raw[39_999]),
            (0, 1, 2)
        );
        assert_eq!(assembled.contributors, [peer(2), peer(1)]);
    }
}
