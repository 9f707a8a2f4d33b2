//! uTP packets (BEP 29): a header of 20 bytes, extensions, payload.

use thiserror::Error;

/// Bytes of a header without extensions.
pub const HEADER_LEN: usize = 20;

/// The only version there is; the low half of the first byte.
const VERSION: u8 = 1;

/// Number of the extension that carries a selective acknowledgement.
const SACK: u8 = 1;

/// What a packet is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// Payload.
    Data,
    /// The last packet of its sender.
    Fin,
    /// Only an acknowledgement; takes no sequence number.
    State,
    /// The sender knows nothing of this stream, or gives it up.
    Reset,
    /// Opens a stream.
    Syn,
}

/// The fixed part of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// What the packet is for.
    pub kind: Kind,
    /// The receiver's number for the stream; in a SYN the number that the answer is to carry.
    pub connection_id: u16,
    /// The sender's clock when it sent this, microseconds; wraps.
    pub timestamp: u32,
    /// The sender's clock less the timestamp of the packet it last received, microseconds; 0 if it has none yet.
    pub timestamp_difference: u32,
    /// Bytes that the sender has room for.
    pub window: u32,
    /// Number of this packet; of the next one if it is a [`Kind::State`].
    pub seq_nr: u16,
    /// Number of the last packet that the sender received with none missing before it.
    pub ack_nr: u16,
}

/// One packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Packet<'a> {
    /// The fixed part.
    pub header: Header,
    /// What else was received; empty if the packet does not say.
    pub sack: Sack<'a>,
    /// The rest.
    pub payload: &'a [u8],
}

/// A selective acknowledgement: which packets after a gap were received.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Sack<'a>(&'a [u8]);

/// Bytes that are no uTP packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum Malformed {
    /// Fewer bytes than a header.
    #[error("{0} bytes, fewer than a header has")]
    Short(usize),
    /// Not version 1.
    #[error("version {0}")]
    Version(u8),
    /// A kind that BEP 29 does not have.
    #[error("packet of kind {0}")]
    Kind(u8),
    /// An extension that ends after the packet.
    #[error("an extension is cut short")]
    Extension,
}

/// Whether a datagram begins as a uTP packet does. No KRPC message does: those begin with `d`.
pub fn begins(datagram: &[u8]) -> bool {
    datagram
        .first()
        .is_some_and(|&first| first & 0x0f == VERSION && kind(first >> 4).is_some())
}

fn kind(number: u8) -> Option<Kind> {
    Some(match number {
        0 => Kind::Data,
        1 => Kind::Fin,
        2 => Kind::State,
        3 => Kind::Reset,
        4 => Kind::Syn,
        _ => return None,
    })
}

impl<'a> Packet<'a> {
    /// Reads a datagram. Extensions other than the selective acknowledgement are passed over; of several of those the
    /// last one counts.
    ///
    /// # Errors
    ///
    /// [`Malformed`] if it is not a uTP packet.
    pub fn decode(datagram: &'a [u8]) -> Result<Self, Malformed> {
        let Some((fixed, mut rest)) = datagram.split_first_chunk::<HEADER_LEN>() else {
            return Err(Malformed::Short(datagram.len()));
        };
        let [first, mut extension, a, b, c @ .., d, e, f, g] = *fixed;
        if first & 0x0f != VERSION {
            return Err(Malformed::Version(first & 0x0f));
        }
        let [t0, t1, t2, t3, u0, u1, u2, u3, w0, w1, w2, w3] = c;
        let header = Header {
            kind: kind(first >> 4).ok_or(Malformed::Kind(first >> 4))?,
            connection_id: u16::from_be_bytes([a, b]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            timestamp_difference: u32::from_be_bytes([u0, u1, u2, u3]),
            window: u32::from_be_bytes([w0, w1, w2, w3]),
            seq_nr: u16::from_be_bytes([d, e]),
            ack_nr: u16::from_be_bytes([f, g]),
        };
        let mut sack = Sack::default();
        while extension != 0 {
            let (&[next, len], after) = rest.split_first_chunk().ok_or(Malformed::Extension)?;
            let (content, after) = after.split_at_checked(usize::from(len)).ok_or(Malformed::Extension)?;
            if extension == SACK {
                sack = Sack(content);
            }
            (extension, rest) = (next, after);
        }
        Ok(Self {
            header,
            sack,
            payload: rest,
        })
    }
}

impl Header {
    /// Appends the header, and `sack` as an extension unless it is empty: a bit mask of at most 252 bytes, in multiples
    /// of four, as [`Sack`] reads it. What is longer is cut.
    pub fn encode(&self, sack: &[u8], out: &mut Vec<u8>) {
        let number: u8 = match self.kind {
            Kind::Data => 0,
            Kind::Fin => 1,
            Kind::State => 2,
            Kind::Reset => 3,
            Kind::Syn => 4,
        };
        let sack = sack.get(..252).unwrap_or(sack);
        out.extend_from_slice(&[number << 4 | VERSION, if sack.is_empty() { 0 } else { SACK }]);
        out.extend_from_slice(&self.connection_id.to_be_bytes());
        out.extend_from_slice(&self.timestamp.to_be_bytes());
        out.extend_from_slice(&self.timestamp_difference.to_be_bytes());
        out.extend_from_slice(&self.window.to_be_bytes());
        out.extend_from_slice(&self.seq_nr.to_be_bytes());
        out.extend_from_slice(&self.ack_nr.to_be_bytes());
        if !sack.is_empty() {
            out.extend_from_slice(&[0, u8::try_from(sack.len()).unwrap_or(0)]);
            out.extend_from_slice(sack);
        }
    }
}

impl<'a> Sack<'a> {
    /// A mask as it stands in a packet: the lowest bit of the first byte is `ack_nr + 2`.
    pub const fn new(mask: &'a [u8]) -> Self {
        Self(mask)
    }

    /// The mask.
    pub const fn mask(self) -> &'a [u8] {
        self.0
    }

    /// Whether nothing is acknowledged selectively.
    pub fn is_empty(self) -> bool {
        self.0.iter().all(|&byte| byte == 0)
    }

    /// How far behind `ack_nr` each packet is that was received, in order: 2 and more.
    pub fn received(self) -> impl Iterator<Item = u16> + use<'a> {
        (2_u16..).step_by(8).zip(self.0).flat_map(|(first, &byte)| {
            (0..8)
                .filter(move |bit| byte >> bit & 1 == 1)
                .map(move |bit| first + bit)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What opens a stream.
    const SYN: [u8; 20] = [
        0x41, 0, 0x12, 0x34, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0xab, 0xcd, 0, 0,
    ];

    #[test]
    fn a_syn_reads_as_it_is() {
        let packet = Packet::decode(&SYN).unwrap();
        let header = Header {
            kind: Kind::Syn,
            connection_id: 0x1234,
            timestamp: 9,
            timestamp_difference: 0,
            window: 0,
            seq_nr: 0xabcd,
            ack_nr: 0,
        };
        assert_eq!(packet.header, header);
        assert!(packet.sack.is_empty() && packet.payload.is_empty());
        assert!(begins(&SYN) && !begins(b"d1:ad2:id20:") && !begins(&[0x51]) && !begins(&[0x02]) && !begins(&[]));
    }

    #[test]
    fn a_mask_counts_from_the_second_missing_packet() {
        let sack = Sack::new(&[0b0000_0101, 0b1000_0000, 0, 1]);
        assert_eq!(sack.received().collect::<Vec<_>>(), [2, 4, 17, 26]);
    }

    #[test]
    fn unknown_extensions_are_passed_over() {
        let mut bytes = SYN;
        bytes[1] = 2;
        let mut bytes = bytes.to_vec();
        bytes.extend_from_slice(&[3, 8, 1, 2, 3, 4, 5, 6, 7, 8, 1, 0, 0, 4, 1, 0, 0, 0, 77]);
        let packet = Packet::decode(&bytes).unwrap();
        assert_eq!(packet.sack.mask(), [1, 0, 0, 0]);
        assert_eq!(packet.payload, [77]);
    }

    #[test]
    fn what_is_not_utp_says_why() {
        assert_eq!(Packet::decode(&SYN[..19]), Err(Malformed::Short(19)));
        let with = |at: usize, byte| {
            let mut bytes = SYN;
            bytes[at] = byte;
            Packet::decode(&bytes).map(|_| ()).unwrap_err()
        };
        assert_eq!(with(0, 0x42), Malformed::Version(2));
        assert_eq!(with(0, 0x51), Malformed::Kind(5));
        assert_eq!(with(1, 7), Malformed::Extension);
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..80), first in 0_u8..6, extension in 0_u8..3) {
            let mut bytes = bytes;
            crate::fuzz::utp(&bytes);
            if let [kind, chain, ..] = bytes.as_mut_slice() {
                (*kind, *chain) = (first << 4 | VERSION, extension);
            }
            crate::fuzz::utp(&bytes);
        }
    }
}
