//! What can be asked about: what is had and missing, whether a peer is interesting, pieces under way.

use super::partials::BlockState;
use super::{Has, Partial, Picker, Speed};
use crate::{Bits, PeerKey};

/// A piece that is begun (SES-20).
#[derive(Clone, Copy, Debug)]
pub struct Begun<'a>(&'a Partial);

/// A block of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BlockInfo {
    /// What has become of it.
    pub state: BlockState,
    /// Asked: the first peer that was. Arrived: who gave it; nobody if it was on disk or padding.
    pub peer: Option<PeerKey>,
    /// Peers that are asked for it now.
    pub askers: u8,
}

impl<'a> Begun<'a> {
    /// Which piece.
    pub fn piece(&self) -> u32 {
        self.0.piece()
    }

    /// For what peers it is; `None` while nobody is asked.
    pub fn speed(&self) -> Option<Speed> {
        self.0.speed()
    }

    /// Its blocks in order.
    pub fn blocks(&self) -> impl Iterator<Item = BlockInfo> + use<'a> {
        let partial = self.0;
        (0..partial.blocks()).filter_map(|block| {
            let (state, peer, askers) = partial.block(block)?;
            Some(BlockInfo { state, peer, askers })
        })
    }
}

impl Picker {
    /// The pieces that we have.
    pub fn we_have(&self) -> &Bits {
        &self.have
    }

    /// Pieces that we want and lack.
    pub fn wanted_left(&self) -> u32 {
        self.missing.count()
    }

    /// Whether we have all that we want.
    pub fn is_finished(&self) -> bool {
        self.missing.is_empty_set()
    }

    /// Blocks of pieces that we want, for which nobody is asked. At 0 it is time for endgame.
    pub fn open_blocks_left(&self) -> u64 {
        self.open_blocks
    }

    /// Requests that are not answered, those for the same block counted each.
    pub fn asked(&self) -> u64 {
        self.workers.asked_in_all()
    }

    /// Blocks that a peer is asked for.
    pub fn asked_of(&self, peer: PeerKey) -> u32 {
        self.workers.asked_of(peer)
    }

    /// Whether the picker still knows a key: its peer is asked for something, or gave blocks of a piece that has neither
    /// passed nor failed. Until it does not, the key must not be given to another peer, who would be blamed.
    pub fn is_named(&self, peer: PeerKey) -> bool {
        self.workers.asked_of(peer) > 0 || self.workers.given_by(peer) > 0
    }

    /// Whether we want and lack a piece, so that a peer that says it has it becomes interesting.
    pub fn wants(&self, piece: u32) -> bool {
        self.missing.get(piece)
    }

    /// Whether a peer has a piece that we want and lack. It stops at the first; if there is none it has looked at 64
    /// pieces a step.
    pub fn is_interesting(&self, has: Has<'_>) -> bool {
        match has {
            Has::All => !self.is_finished(),
            Has::Some(bits) => self.missing.meets(bits),
        }
    }

    /// How many pieces that we want and lack a peer has. A caller that keeps this number counts it down with every piece
    /// that passes and up with every [wanted](Picker::wants) one that the peer gets, and need not ask again.
    pub fn wanted_of(&self, has: Has<'_>) -> u32 {
        match has {
            Has::All => self.missing.count(),
            Has::Some(bits) => self.missing.common(bits),
        }
    }

    /// Pieces that are begun, in no order, complete ones whose hash is not compared yet among them.
    pub fn partials(&self) -> impl Iterator<Item = Begun<'_>> {
        self.partials.iter().map(Begun)
    }

    /// How many pieces are begun.
    pub fn begun(&self) -> u32 {
        self.partials.len()
    }

    /// A piece, if it is begun.
    pub fn partial_of(&self, piece: u32) -> Option<Begun<'_>> {
        self.partial(piece).map(Begun)
    }

    /// A block of a piece that is begun.
    pub fn block(&self, piece: u32, block: u32) -> Option<BlockInfo> {
        let (state, peer, askers) = self.partial(piece)?.block(block)?;
        Some(BlockInfo { state, peer, askers })
    }
}
