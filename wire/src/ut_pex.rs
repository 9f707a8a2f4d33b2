//! Peer exchange: whom the sender is connected with (BEP 11).

use std::net::SocketAddr;

use thiserror::Error;

use crate::bencode::{self, BencodeError, Encoder, Limits, Value};
use crate::compact;

/// A message has eight strings; a few more entries are let through.
const LIMITS: Limits = Limits { depth: 4, tokens: 64 };

/// What is said of a peer in `added.f`.
pub mod flag {
    /// It prefers encryption.
    pub const PREFERS_ENCRYPTION: u8 = 0x01;
    /// It is a seed, or wants nothing.
    pub const SEED: u8 = 0x02;
    /// It speaks uTP.
    pub const UTP: u8 = 0x04;
    /// It knows `ut_holepunch` (BEP 55).
    pub const HOLEPUNCH: u8 = 0x08;
    /// The sender called it: it can be reached.
    pub const REACHABLE: u8 = 0x10;
}

/// Why bytes are no `ut_pex` message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum UtPexError {
    /// They do not begin with bencode.
    #[error("ut_pex: {0}")]
    Bencode(#[from] BencodeError),
    /// They begin with something else than a dictionary.
    #[error("ut_pex: not a dictionary")]
    NotDict,
}

/// Strings of compact endpoints and their flags, as they stood. One of the wrong kind counts as absent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct UtPex<'a> {
    /// IPv4 peers that the sender is connected with (BEP 23).
    pub added: &'a [u8],
    /// One byte of flags for each of these; see [`flag`].
    pub added_flags: &'a [u8],
    /// IPv6 peers that the sender is connected with (BEP 7).
    pub added6: &'a [u8],
    /// One byte of flags for each of these.
    pub added6_flags: &'a [u8],
    /// IPv4 peers that the sender is no longer connected with.
    pub dropped: &'a [u8],
    /// IPv6 peers that the sender is no longer connected with.
    pub dropped6: &'a [u8],
}

impl<'a> UtPex<'a> {
    /// Reads the payload of an extended message that came under *our* number for `ut_pex`. Bytes after the dictionary
    /// are ignored.
    ///
    /// # Errors
    ///
    /// [`UtPexError`] if there is no dictionary at the start.
    pub fn decode(payload: &'a [u8]) -> Result<Self, UtPexError> {
        let (value, _) = bencode::decode_prefix(payload, &LIMITS)?;
        let dict = value.as_dict().ok_or(UtPexError::NotDict)?;
        let string = |key: &[u8]| dict.get(key).and_then(Value::as_bytes).unwrap_or_default();
        Ok(Self {
            added: string(b"added"),
            added_flags: string(b"added.f"),
            added6: string(b"added6"),
            added6_flags: string(b"added6.f"),
            dropped: string(b"dropped"),
            dropped6: string(b"dropped6"),
        })
    }

    /// The peers added, with their flags; 0 for a peer without.
    pub fn peers(&self) -> impl Iterator<Item = (SocketAddr, u8)> + use<'a> {
        let flags = |flags: &'a [u8]| flags.iter().copied().chain(std::iter::repeat(0));
        let v4 = compact::peers4(self.added).zip(flags(self.added_flags));
        v4.chain(compact::peers6(self.added6).zip(flags(self.added6_flags)))
    }

    /// Appends the payload, without the extended message's head (see
    /// [`extended_frame`](crate::message::extended_frame)). Strings that are empty are left out.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut to = Encoder::new(out);
        to.begin_dict();
        let strings: [(&[u8], &[u8]); 6] = [
            (b"added", self.added),
            (b"added.f", self.added_flags),
            (b"added6", self.added6),
            (b"added6.f", self.added6_flags),
            (b"dropped", self.dropped),
            (b"dropped6", self.dropped6),
        ];
        for (key, string) in strings {
            if !string.is_empty() {
                to.key(key).bytes(string);
            }
        }
        to.end();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_common_client_sends_is_understood() {
        let payload =
            b"d5:added12:\xc0\0\x02\x01\x1a\xe1\xc0\0\x02\x02\x1a\xe27:added.f2:\x02\x186:added60:8:added6.f0:\
            7:dropped6:\x01\x02\x03\x04\0\x05e";
        let said = UtPex::decode(payload).unwrap();
        let peers: Vec<_> = said.peers().collect();
        let seed = ("192.0.2.1:6881".parse().unwrap(), flag::SEED);
        let punched = ("192.0.2.2:6882".parse().unwrap(), flag::HOLEPUNCH | flag::REACHABLE);
        assert_eq!(peers, [seed, punched]);
        assert_eq!(said.dropped.len(), compact::PEER4_LEN);
    }

    #[test]
    fn peers_without_flags_have_none() {
        let said = UtPex::decode(b"d5:added6:\xc0\0\x02\x01\x1a\xe1e").unwrap();
        let flags: Vec<_> = said.peers().map(|(_, flags)| flags).collect();
        assert_eq!(flags, [0]);
    }

    #[test]
    fn entries_of_the_wrong_kind_count_as_absent() {
        assert_eq!(UtPex::decode(b"d5:addedi7e7:droppedlee"), Ok(UtPex::default()));
        assert_eq!(UtPex::decode(b"le"), Err(UtPexError::NotDict));
        assert!(matches!(UtPex::decode(b"d5:added"), Err(UtPexError::Bencode(_))));
    }

    proptest! {
        #[test]
        fn every_message_round_trips(strings in proptest::array::uniform6(proptest::collection::vec(any::<u8>(), 0..40))) {
            let [added, added_flags, added6, added6_flags, dropped, dropped6] = strings.each_ref().map(Vec::as_slice);
            let message = UtPex { added, added_flags, added6, added6_flags, dropped, dropped6 };
            let mut payload = Vec::new();
            message.encode(&mut payload);
            prop_assert_eq!(UtPex::decode(&payload), Ok(message));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in "(d5:added[0-9]:.{0,9})?(7:added\\.f[0-9]:.{0,3})?e?.{0,9}") {
            crate::fuzz::ut_pex(bytes.as_bytes());
        }
    }
}
