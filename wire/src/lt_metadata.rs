//! `LT_metadata`: how libtorrent gave info dictionaries before BEP 9 was written (FEATURES MDX-10). Peers that speak
//! `ut_metadata` need none of it.
//!
//! A range is asked for in 256ths of the info dictionary, whose size the asker need not know yet.

use std::ops::Range;

use thiserror::Error;

/// The extension's name in `m` of the extended handshake (BEP 10).
pub const NAME: &[u8] = b"LT_metadata";

/// Parts that an info dictionary is asked for in.
pub const PARTS: u16 = 256;

const REQUEST: u8 = 0;
const METADATA: u8 = 1;
const DONT_HAVE: u8 = 2;

/// Why bytes are no `LT_metadata` message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum LtMetadataError {
    /// Shorter than a message of its type.
    #[error("LT_metadata: {0} bytes are too few")]
    Short(usize),
    /// A request for parts beyond the last, or longer than one may be.
    #[error("LT_metadata: no such request")]
    Request,
}

/// One message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LtMetadata<'a> {
    /// Give me these parts.
    Request(Parts),
    /// Some bytes of the info dictionary. Sizes are as claimed: any number at all.
    Metadata {
        /// Bytes of the whole info dictionary.
        total_size: i32,
        /// Where these begin, bytes.
        offset: i32,
        /// The bytes; as many as the frame has left.
        bytes: &'a [u8],
    },
    /// I have no metadata.
    DontHave,
    /// A type that nobody has given a meaning.
    Unknown {
        /// Its number.
        msg_type: u8,
    },
}

/// Consecutive 256ths of an info dictionary: at least one, none beyond the last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Parts {
    start: u8,
    /// One less than there are, as on the wire.
    more: u8,
}

impl Parts {
    /// The first of all. Its answer tells the size.
    pub const FIRST: Self = Self { start: 0, more: 0 };

    /// The parts from `start` on, `more` beside the first; `None` if that is beyond the last.
    pub fn new(start: u8, more: u8) -> Option<Self> {
        start.checked_add(more)?;
        Some(Self { start, more })
    }

    /// The fewest parts that cover these bytes of an info dictionary of `total_size` bytes; `None` if there are no such
    /// bytes.
    pub fn covering(bytes: Range<u32>, total_size: u32) -> Option<Self> {
        if bytes.is_empty() || bytes.end > total_size {
            return None;
        }
        let part = |at: u32| u64::from(at) * u64::from(PARTS);
        let first = part(bytes.start) / u64::from(total_size);
        let end = part(bytes.end).div_ceil(u64::from(total_size));
        let more = end.checked_sub(first + 1)?;
        Self::new(first.try_into().ok()?, more.try_into().ok()?)
    }

    /// The bytes that these parts are, of an info dictionary of `total_size` bytes: a part begins where its fraction of
    /// the size does, rounded up. Empty if the dictionary is shorter than it has parts.
    pub fn bytes(self, total_size: u32) -> Range<u32> {
        let begin = |part: u64| {
            let at = (part * u64::from(total_size)).div_ceil(u64::from(PARTS));
            u32::try_from(at).unwrap_or(total_size)
        };
        let start = u64::from(self.start);
        begin(start)..begin(start + u64::from(self.more) + 1)
    }
}

impl<'a> LtMetadata<'a> {
    /// Reads the payload of an extended message that came under *our* number for `LT_metadata`.
    ///
    /// # Errors
    ///
    /// [`LtMetadataError`] if the bytes end too early, or ask for what cannot be.
    pub fn decode(payload: &'a [u8]) -> Result<Self, LtMetadataError> {
        let short = LtMetadataError::Short(payload.len());
        let (&msg_type, rest) = payload.split_first().ok_or(short)?;
        Ok(match msg_type {
            REQUEST => {
                let &[start, more] = rest.first_chunk().ok_or(short)?;
                Self::Request(Parts::new(start, more).ok_or(LtMetadataError::Request)?)
            }
            METADATA => {
                let (&total_size, rest) = rest.split_first_chunk().ok_or(short)?;
                let (&offset, bytes) = rest.split_first_chunk().ok_or(short)?;
                Self::Metadata {
                    total_size: i32::from_be_bytes(total_size),
                    offset: i32::from_be_bytes(offset),
                    bytes,
                }
            }
            DONT_HAVE => Self::DontHave,
            msg_type => Self::Unknown { msg_type },
        })
    }

    /// Appends the payload, without the extended message's head (see
    /// [`extended_frame`](crate::message::extended_frame)).
    pub fn encode(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Request(Parts { start, more }) => out.extend_from_slice(&[REQUEST, start, more]),
            Self::Metadata {
                total_size,
                offset,
                bytes,
            } => {
                out.push(METADATA);
                out.extend_from_slice(&total_size.to_be_bytes());
                out.extend_from_slice(&offset.to_be_bytes());
                out.extend_from_slice(bytes);
            }
            Self::DontHave => out.push(DONT_HAVE),
            Self::Unknown { msg_type } => out.push(msg_type),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::message::extended_frame;

    /// The message as a frame to a peer that gave `LT_metadata` the number 14.
    fn frame(message: &LtMetadata<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        extended_frame(&mut out, 14, |out| message.encode(out));
        out
    }

    #[test]
    fn messages_are_laid_out_as_libtorrent_documents() {
        // Length, 20 (extended), the extension's number, then: type, start, size less one.
        let request = LtMetadata::Request(Parts::new(0x40, 0x7f).unwrap());
        assert_eq!(frame(&request), [0, 0, 0, 5, 20, 14, 0, 0x40, 0x7f]);
        // Type, total size, offset, bytes.
        let metadata = LtMetadata::Metadata {
            total_size: 0x0001_0203,
            offset: 0x0000_0405,
            bytes: b"abc",
        };
        let expected = [0, 0, 0, 14, 20, 14, 1, 0, 1, 2, 3, 0, 0, 4, 5, b'a', b'b', b'c'];
        assert_eq!(frame(&metadata), expected);
        assert_eq!(frame(&LtMetadata::DontHave), [0, 0, 0, 3, 20, 14, 2]);
    }

    #[test]
    fn parts_are_fractions_rounded_up() {
        let whole = Parts::new(0, 255).unwrap();
        assert_eq!(whole.bytes(1_000), 0..1_000);
        assert_eq!(Parts::FIRST.bytes(1_000), 0..4);
        assert_eq!(Parts::new(1, 1).unwrap().bytes(1_000), 4..12);
        assert_eq!(Parts::new(255, 0).unwrap().bytes(1_000), 997..1_000);
        // Shorter than it has parts: most of them are empty.
        assert_eq!(Parts::new(7, 0).unwrap().bytes(1), 1..1);
        assert_eq!(Parts::new(200, 56), None);
    }

    #[test]
    fn what_ends_too_early_or_asks_too_much_is_refused() {
        for payload in [&[][..], &[0], &[0, 1], &[1, 0, 0, 0, 9, 0, 0, 0]] {
            assert_eq!(LtMetadata::decode(payload), Err(LtMetadataError::Short(payload.len())));
        }
        assert_eq!(LtMetadata::decode(&[0, 255, 1]), Err(LtMetadataError::Request));
        assert_eq!(LtMetadata::decode(&[9, 1]), Ok(LtMetadata::Unknown { msg_type: 9 }));
    }

    proptest! {
        #[test]
        fn parts_cover_what_they_should(total in 1u32..20_000_000, at: u32, len in 1u32..20_000) {
            let start = at % total;
            let end = start.saturating_add(len).min(total);
            let parts = Parts::covering(start..end, total).unwrap().bytes(total);
            prop_assert!(parts.start <= start && end <= parts.end && parts.end <= total);
            // Nothing beyond the neighbouring parts.
            let part = total.div_ceil(u32::from(PARTS));
            prop_assert!(parts.end - parts.start <= end - start + 2 * part);
        }

        #[test]
        fn every_message_round_trips(
            kind in 0..4, start: u8, total_size: i32, offset: i32, bytes in proptest::collection::vec(any::<u8>(), 0..50),
        ) {
            let message = match kind {
                0 => LtMetadata::Request(Parts::new(start, 255 - start).unwrap()),
                1 => LtMetadata::Metadata { total_size, offset, bytes: &bytes },
                2 => LtMetadata::DontHave,
                _ => LtMetadata::Unknown { msg_type: start | 4 },
            };
            let mut payload = Vec::new();
            message.encode(&mut payload);
            prop_assert_eq!(LtMetadata::decode(&payload), Ok(message));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..30)) {
            crate::fuzz::lt_metadata(&bytes);
        }
    }
}
