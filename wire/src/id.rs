//! The 160-bit names of the DHT: node ids and infohashes live in one space (BEP 5).

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use thiserror::Error;

/// Text that is not 40 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("not 40 hex digits")]
pub struct NotHex;

/// As big-endian numbers, by the first 64 bits where they differ, as nearly always: a call of `memcmp` for 20 bytes was a sixth
/// of a crawl among a million nodes.
#[inline]
fn order(one: &[u8; 20], other: &[u8; 20]) -> Ordering {
    let first = |&[a, b, c, d, e, f, g, h, ..]: &[u8; 20]| u64::from_be_bytes([a, b, c, d, e, f, g, h]);
    first(one).cmp(&first(other)).then_with(|| one.cmp(other))
}

macro_rules! id20 {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq)]
        pub struct $name([u8; 20]);

        impl Ord for $name {
            #[inline]
            fn cmp(&self, other: &Self) -> Ordering {
                order(&self.0, &other.0)
            }
        }

        impl PartialOrd for $name {
            #[inline]
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl Hash for $name {
            /// As three numbers: half the work of hashing a slice, which begins with its length.
            #[inline]
            fn hash<H: Hasher>(&self, state: &mut H) {
                let [high @ .., a, b, c, d] = self.0;
                let high = u128::from_be_bytes(high);
                state.write_u64((high >> 64) as u64);
                state.write_u64(high as u64);
                state.write_u32(u32::from_be_bytes([a, b, c, d]));
            }
        }

        impl $name {
            /// Wraps 20 bytes.
            pub const fn new(bytes: [u8; 20]) -> Self {
                Self(bytes)
            }

            /// Exactly 20 bytes, or nothing.
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }

            /// Reads 40 hex digits of either case.
            ///
            /// # Errors
            ///
            /// [`NotHex`] for any other text.
            pub fn from_hex(text: &str) -> Result<Self, NotHex> {
                let digits: &[u8; 40] = text.as_bytes().try_into().map_err(|_| NotHex)?;
                let mut bytes = [0; 20];
                for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
                    for &digit in pair {
                        let value = char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
                        *byte = (*byte << 4) | value.ok_or(NotHex)?;
                    }
                }
                Ok(Self(bytes))
            }

            /// The bytes, most significant first.
            pub const fn as_bytes(&self) -> &[u8; 20] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            /// 40 lower-case hex digits.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

id20! {
    /// The name of a DHT node, and any point of the key space that a query aims at.
    NodeId
}

id20! {
    /// The name of a torrent: SHA-1 of its info dictionary, or the first 20 bytes of the SHA-256 for a v2 torrent (BEP 52).
    InfoHash
}

id20! {
    /// The name that a peer gives itself in the handshake (BEP 20).
    PeerId
}

/// The full name of a v2 torrent: SHA-256 of its info dictionary (BEP 52).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InfoHashV2([u8; 32]);

impl InfoHashV2 {
    /// Wraps 32 bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, most significant first.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first 20 bytes, which name the torrent in the DHT, in handshakes and to trackers (BEP 52).
    pub fn truncated(&self) -> InfoHash {
        let mut short = [0; 20];
        for (to, from) in short.iter_mut().zip(self.0) {
            *to = from;
        }
        InfoHash(short)
    }
}

impl fmt::Display for InfoHashV2 {
    /// 64 lower-case hex digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for InfoHashV2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl InfoHash {
    /// The same point of the key space, as a target of lookups.
    pub const fn as_target(self) -> NodeId {
        NodeId(self.0)
    }
}

impl NodeId {
    /// XOR distance to `other`; ordered as a big-endian number (Kademlia, section 2.1).
    pub fn distance(&self, other: &Self) -> Distance {
        let mut bytes = self.0;
        for (byte, with) in bytes.iter_mut().zip(other.0) {
            *byte ^= with;
        }
        Distance(bytes)
    }

    /// How many leading bits `other` shares, 0 to 160.
    pub fn common_prefix(&self, other: &Self) -> u32 {
        self.distance(other).leading_zeros()
    }

    /// Bit `index` from the most significant, `index < 160`; false beyond.
    pub fn bit(&self, index: u32) -> bool {
        let byte = usize::try_from(index / 8).ok().and_then(|at| self.0.get(at));
        byte.is_some_and(|byte| byte & (0x80 >> (index % 8)) != 0)
    }
}

/// XOR of two ids.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Distance([u8; 20]);

impl Ord for Distance {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        order(&self.0, &other.0)
    }
}

impl PartialOrd for Distance {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Distance {
    /// Leading zero bits, 160 for equal ids.
    pub fn leading_zeros(&self) -> u32 {
        let mut zeros = 0;
        for byte in self.0 {
            zeros += byte.leading_zeros();
            if byte != 0 {
                break;
            }
        }
        zeros
    }

    /// The distance as a share of the key space, 0 to 1; 64 bits of it are enough for any network.
    pub fn share(&self) -> f64 {
        let mut share = 0.0;
        let mut weight = 1.0;
        for byte in self.0.iter().take(8) {
            weight /= 256.0;
            share += f64::from(*byte) * weight;
        }
        share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(first: u8) -> NodeId {
        let mut bytes = [0; 20];
        bytes[0] = first;
        NodeId::new(bytes)
    }

    #[test]
    fn hex_round_trips_in_either_case() {
        let text = "0123456789abcdef0123456789abcdef01234567";
        assert_eq!(InfoHash::from_hex(text).unwrap().to_string(), text);
        assert_eq!(InfoHash::from_hex(&text.to_uppercase()).unwrap().to_string(), text);
    }

    #[test]
    fn hex_refuses_other_text() {
        for text in [
            "",
            "0123",
            "g123456789abcdef0123456789abcdef01234567",
            "é123456789abcdef0123456789abcdef0123456",
        ] {
            assert_eq!(InfoHash::from_hex(text), Err(NotHex));
        }
    }

    #[test]
    fn distance_orders_as_a_number() {
        assert!(id(0x80).distance(&id(0x81)) < id(0x80).distance(&id(0x00)));
        assert_eq!(id(0x80).common_prefix(&id(0x81)), 7);
        assert_eq!(id(1).common_prefix(&id(1)), 160);
    }

    #[test]
    fn distances_are_shares_of_the_key_space() {
        assert!((id(0x80).distance(&id(0)).share() - 0.5).abs() < 1e-12);
        assert!((id(0xff).distance(&id(0)).share() - 255.0 / 256.0).abs() < 1e-12);
        assert!(id(1).distance(&id(1)).share() < 1e-12);
    }

    #[test]
    fn bits_count_from_the_top() {
        assert!(id(0x80).bit(0));
        assert!(!id(0x80).bit(1));
        assert!(!id(0x80).bit(160));
    }
}
