//! Names for what the parts of the engine speak of.

/// A connection to a peer, by its place in its torrent's table: dense, and used again after the peer is gone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PeerKey(pub u32);

/// The length of a block on the wire, bytes: by custom what everybody asks for, and the leaf of a v2 tree (BEP 3, BEP 52).
pub const BLOCK: u32 = 16_384;
