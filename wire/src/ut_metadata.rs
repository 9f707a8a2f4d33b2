//! Asking a peer for the info dictionary, and giving it (BEP 9).

use thiserror::Error;

use crate::bencode::{self, BencodeError, Encoder, Limits, Value};

/// Bytes of every piece but the last.
pub const BLOCK: usize = 16_384;

/// A message has three integers; a few more entries are let through.
const LIMITS: Limits = Limits { depth: 4, tokens: 64 };

const REQUEST: i64 = 0;
const DATA: i64 = 1;
const REJECT: i64 = 2;

/// Why bytes are no `ut_metadata` message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum UtMetadataError {
    /// They do not begin with bencode.
    #[error("ut_metadata: {0}")]
    Bencode(#[from] BencodeError),
    /// An entry that the message needs is missing, no integer, or out of range.
    #[error("ut_metadata: no usable `{0}`")]
    Entry(&'static str),
}

/// One message. In [`Data`](Self::Data) raw bytes follow the dictionary.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UtMetadata<'a> {
    /// Give me this piece.
    Request {
        /// Index, from 0.
        piece: u32,
    },
    /// A piece.
    Data {
        /// Index, from 0.
        piece: u32,
        /// Bytes of the whole info dictionary, as claimed: any number at all.
        total_size: i64,
        /// The piece.
        bytes: &'a [u8],
    },
    /// You will not get this piece from me.
    Reject {
        /// Index, from 0.
        piece: u32,
    },
    /// A type that BEP 9 tells to ignore.
    Unknown {
        /// Its number.
        msg_type: i64,
    },
}

impl<'a> UtMetadata<'a> {
    /// Reads the payload of an extended message that came under *our* number for `ut_metadata`.
    ///
    /// # Errors
    ///
    /// [`UtMetadataError`] if there is no dictionary at the start, or it lacks an entry.
    pub fn decode(payload: &'a [u8]) -> Result<Self, UtMetadataError> {
        let (dict, bytes) = bencode::decode_prefix(payload, &LIMITS)?;
        let int = |key: &'static str| {
            let number = dict.get(key.as_bytes()).and_then(Value::as_int);
            number.ok_or(UtMetadataError::Entry(key))
        };
        let piece = || u32::try_from(int("piece")?).map_err(|_| UtMetadataError::Entry("piece"));
        Ok(match int("msg_type")? {
            REQUEST => Self::Request { piece: piece()? },
            DATA => Self::Data {
                piece: piece()?,
                total_size: int("total_size")?,
                bytes,
            },
            REJECT => Self::Reject { piece: piece()? },
            msg_type => Self::Unknown { msg_type },
        })
    }

    /// Appends the payload, without the extended message's head (see
    /// [`extended_frame`](crate::message::extended_frame)).
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut to = Encoder::new(out);
        to.begin_dict().key(b"msg_type");
        match *self {
            Self::Request { piece } => to.int(REQUEST).key(b"piece").int(piece.into()).end(),
            Self::Reject { piece } => to.int(REJECT).key(b"piece").int(piece.into()).end(),
            Self::Unknown { msg_type } => to.int(msg_type).end(),
            Self::Data {
                piece,
                total_size,
                bytes,
            } => {
                to.int(DATA).key(b"piece").int(piece.into());
                to.key(b"total_size").int(total_size).end().raw(bytes)
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(message: &UtMetadata<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        message.encode(&mut out);
        out
    }

    #[test]
    fn messages_are_those_of_bep_9() {
        assert_eq!(encoded(&UtMetadata::Request { piece: 0 }), b"d8:msg_typei0e5:piecei0ee");
        assert_eq!(encoded(&UtMetadata::Reject { piece: 7 }), b"d8:msg_typei2e5:piecei7ee");
        let data = UtMetadata::Data {
            piece: 0,
            total_size: 34_256,
            bytes: b"xxxx",
        };
        assert_eq!(encoded(&data), b"d8:msg_typei1e5:piecei0e10:total_sizei34256eexxxx");
    }

    #[test]
    fn bytes_of_a_piece_may_look_like_bencode() {
        let payload = b"d8:msg_typei1e5:piecei1e10:total_sizei9eed6:lengthi5e";
        let data = UtMetadata::Data {
            piece: 1,
            total_size: 9,
            bytes: b"d6:lengthi5e",
        };
        assert_eq!(UtMetadata::decode(payload), Ok(data));
    }

    #[test]
    fn keys_may_come_in_any_order() {
        let payload = b"d5:piecei3e8:msg_typei2ee";
        assert_eq!(UtMetadata::decode(payload), Ok(UtMetadata::Reject { piece: 3 }));
    }

    #[test]
    fn a_message_without_a_needed_entry_is_refused() {
        let refused = |payload| UtMetadata::decode(payload).unwrap_err();
        assert_eq!(refused(b"d5:piecei0ee"), UtMetadataError::Entry("msg_type"));
        assert_eq!(refused(b"d8:msg_typei0ee"), UtMetadataError::Entry("piece"));
        assert_eq!(refused(b"d8:msg_typei0e5:piecei-1ee"), UtMetadataError::Entry("piece"));
        assert_eq!(
            refused(b"d8:msg_typei1e5:piecei0ee"),
            UtMetadataError::Entry("total_size")
        );
        assert_eq!(refused(b"le"), UtMetadataError::Entry("msg_type"));
        assert!(matches!(refused(b"d8:msg_typei0e"), UtMetadataError::Bencode(_)));
    }

    #[test]
    fn an_unknown_type_is_told() {
        assert_eq!(
            UtMetadata::decode(b"d8:msg_typei9ee"),
            Ok(UtMetadata::Unknown { msg_type: 9 })
        );
    }

    proptest! {
        #[test]
        fn every_message_round_trips(
            kind in 0..4,
            piece: u32,
            total_size: i64,
            bytes in proptest::collection::vec(any::<u8>(), 0..100),
        ) {
            let message = match kind {
                0 => UtMetadata::Request { piece },
                1 => UtMetadata::Data { piece, total_size, bytes: &bytes },
                2 => UtMetadata::Reject { piece },
                _ => UtMetadata::Unknown { msg_type: i64::from(piece) + 3 },
            };
            let payload = encoded(&message);
            prop_assert_eq!(UtMetadata::decode(&payload), Ok(message));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in "d(8:msg_typei[0-3]e)?(5:piecei[0-9-]{1,12}e)?(10:total_sizei[0-9]e)?e.{0,9}") {
            crate::fuzz::ut_metadata(bytes.as_bytes());
        }
    }
}
