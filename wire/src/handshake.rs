//! The 68 bytes with which two peers begin (BEP 3), and the feature bits in them.

use thiserror::Error;

use crate::{InfoHash, PeerId};

/// Bytes of a handshake: 1 + 19 + 8 + 20 + 20. A v2 torrent uses the same form with its truncated hash (BEP 52).
pub const LEN: usize = 68;

/// The length byte and the protocol's name, with which every handshake starts.
pub const PREAMBLE: &[u8; 20] = b"\x13BitTorrent protocol";

/// One feature bit: its byte among the eight reserved ones, and its mask.
type Bit = (usize, u8);
const EXTENDED: Bit = (5, 0x10);
const DHT: Bit = (7, 0x01);
const FAST: Bit = (7, 0x04);
const V2: Bit = (7, 0x10);

/// The bytes do not start with [`PREAMBLE`]: another protocol, or an obfuscated stream (MSE).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("not a BitTorrent handshake")]
pub struct NotBitTorrent;

/// What each side says first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Handshake {
    /// Feature bits, as they are on the wire. Unknown bits are kept and mean nothing.
    pub reserved: [u8; 8],
    /// Which torrent the connection is about. The answering side echoes it; for a hybrid torrent it may answer with
    /// the other hash (BEP 52).
    pub info_hash: InfoHash,
    /// The sender's name for itself.
    pub peer_id: PeerId,
}

impl Handshake {
    /// A handshake that claims no feature.
    pub const fn new(info_hash: InfoHash, peer_id: PeerId) -> Self {
        Self {
            reserved: [0; 8],
            info_hash,
            peer_id,
        }
    }

    /// Appends the 68 bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(PREAMBLE);
        out.extend_from_slice(&self.reserved);
        out.extend_from_slice(self.info_hash.as_bytes());
        out.extend_from_slice(self.peer_id.as_bytes());
    }

    /// Reads the 68 bytes. Whether the infohash is one that we asked for is the caller's question.
    ///
    /// # Errors
    ///
    /// [`NotBitTorrent`] if the preamble differs; every other byte has a meaning.
    pub fn decode(bytes: &[u8; LEN]) -> Result<Self, NotBitTorrent> {
        let parts = || {
            let rest = bytes.strip_prefix(PREAMBLE)?;
            let (reserved, rest) = rest.split_first_chunk()?;
            let (info_hash, rest) = rest.split_first_chunk()?;
            let peer_id = PeerId::from_slice(rest)?;
            Some(Self {
                reserved: *reserved,
                info_hash: InfoHash::new(*info_hash),
                peer_id,
            })
        };
        parts().ok_or(NotBitTorrent)
    }

    /// Whether the sender speaks the extension protocol (BEP 10).
    pub fn supports_extended(&self) -> bool {
        self.has(EXTENDED)
    }

    /// Whether the sender runs a DHT node (BEP 5).
    pub fn supports_dht(&self) -> bool {
        self.has(DHT)
    }

    /// Whether the sender speaks the Fast extension (BEP 6).
    pub fn supports_fast(&self) -> bool {
        self.has(FAST)
    }

    /// Whether the sender can speak v2 for this torrent (BEP 52).
    pub fn supports_v2(&self) -> bool {
        self.has(V2)
    }

    /// Claims the extension protocol (BEP 10).
    #[must_use]
    pub fn with_extended(self) -> Self {
        self.with(EXTENDED)
    }

    /// Claims a DHT node (BEP 5).
    #[must_use]
    pub fn with_dht(self) -> Self {
        self.with(DHT)
    }

    /// Claims the Fast extension (BEP 6).
    #[must_use]
    pub fn with_fast(self) -> Self {
        self.with(FAST)
    }

    /// Claims v2 (BEP 52).
    #[must_use]
    pub fn with_v2(self) -> Self {
        self.with(V2)
    }

    fn has(&self, (at, mask): Bit) -> bool {
        self.reserved.get(at).is_some_and(|byte| byte & mask != 0)
    }

    fn with(mut self, (at, mask): Bit) -> Self {
        if let Some(byte) = self.reserved.get_mut(at) {
            *byte |= mask;
        }
        self
    }
}

/// Whether the first bytes of a stream can still become a handshake. A reader that asks this as bytes arrive hangs up
/// on another protocol at its first wrong byte instead of waiting for 68 bytes that never come.
pub fn may_become_handshake(first: &[u8]) -> bool {
    first.iter().zip(PREAMBLE).all(|(have, want)| have == want)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample() -> Handshake {
        Handshake::new(InfoHash::new([0xab; 20]), PeerId::new(*b"-PC0001-a8f3k2m9x1s4"))
    }

    fn encoded(handshake: &Handshake) -> [u8; LEN] {
        let mut bytes = Vec::new();
        handshake.encode(&mut bytes);
        bytes.try_into().unwrap()
    }

    #[test]
    fn bytes_are_where_bep_3_puts_them() {
        let bytes = encoded(&sample());
        assert_eq!(bytes[0], 19);
        assert_eq!(&bytes[1..20], b"BitTorrent protocol");
        assert_eq!(&bytes[20..28], [0; 8]);
        assert_eq!(&bytes[28..48], [0xab; 20]);
        assert_eq!(&bytes[48..], b"-PC0001-a8f3k2m9x1s4");
    }

    #[test]
    fn feature_bits_are_the_published_ones() {
        assert_eq!(sample().with_extended().reserved, [0, 0, 0, 0, 0, 0x10, 0, 0]);
        assert_eq!(sample().with_dht().reserved, [0, 0, 0, 0, 0, 0, 0, 0x01]);
        assert_eq!(sample().with_fast().reserved, [0, 0, 0, 0, 0, 0, 0, 0x04]);
        assert_eq!(sample().with_v2().reserved, [0, 0, 0, 0, 0, 0, 0, 0x10]);
        assert!(sample().with_extended().supports_extended());
        assert!(!sample().with_v2().supports_extended());
    }

    #[test]
    fn another_protocol_is_refused() {
        let mut bytes = encoded(&sample());
        bytes[5] ^= 1;
        assert_eq!(Handshake::decode(&bytes), Err(NotBitTorrent));
    }

    #[test]
    fn a_wrong_stream_shows_at_its_first_wrong_byte() {
        assert!(may_become_handshake(b""));
        assert!(may_become_handshake(b"\x13BitT"));
        assert!(may_become_handshake(&encoded(&sample())));
        assert!(!may_become_handshake(b"HTTP/1.1"));
        assert!(!may_become_handshake(b"\x13BitX"));
    }

    proptest! {
        #[test]
        fn every_handshake_round_trips(reserved: [u8; 8], info_hash: [u8; 20], peer_id: [u8; 20]) {
            let handshake = Handshake { reserved, info_hash: InfoHash::new(info_hash), peer_id: PeerId::new(peer_id) };
            prop_assert_eq!(Handshake::decode(&encoded(&handshake)), Ok(handshake));
        }
    }
}
