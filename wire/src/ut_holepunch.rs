//! Meeting a peer that cannot be called, through one that is connected with both (BEP 55).

use std::net::SocketAddr;

use thiserror::Error;

use crate::compact;

const RENDEZVOUS: u8 = 0;
const CONNECT: u8 = 1;
const ERROR: u8 = 2;

/// Why bytes are no `ut_holepunch` message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum UtHolepunchError {
    /// They end too early.
    #[error("ut_holepunch: {0} bytes are too few")]
    Short(usize),
    /// An address family that BEP 55 does not name.
    #[error("ut_holepunch: address type {0}")]
    AddressType(u8),
}

/// Why a relay does not arrange a meeting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// The endpoint is none that a peer can have.
    NoSuchPeer,
    /// The relay is not connected with the endpoint.
    NotConnected,
    /// The peer there does not know `ut_holepunch`.
    NoSupport,
    /// The endpoint is the relay's own.
    NoSelf,
    /// A number without a meaning.
    Other(u32),
}

impl Refusal {
    const fn code(self) -> u32 {
        match self {
            Self::NoSuchPeer => 1,
            Self::NotConnected => 2,
            Self::NoSupport => 3,
            Self::NoSelf => 4,
            Self::Other(code) => code,
        }
    }

    const fn from_code(code: u32) -> Self {
        match code {
            1 => Self::NoSuchPeer,
            2 => Self::NotConnected,
            3 => Self::NoSupport,
            4 => Self::NoSelf,
            code => Self::Other(code),
        }
    }
}

/// One message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UtHolepunch {
    /// To a relay: let this peer and me meet.
    Rendezvous(SocketAddr),
    /// From a relay: open a uTP stream to this peer, which does the same now.
    Connect(SocketAddr),
    /// From a relay: no meeting with this peer.
    Error(SocketAddr, Refusal),
    /// A type without a meaning.
    Unknown {
        /// Its number.
        msg_type: u8,
    },
}

impl UtHolepunch {
    /// Reads the payload of an extended message that came under *our* number for `ut_holepunch`. The error code may be
    /// left out where it says nothing; bytes after it are ignored.
    ///
    /// # Errors
    ///
    /// [`UtHolepunchError`] if there is no address to be read.
    pub fn decode(payload: &[u8]) -> Result<Self, UtHolepunchError> {
        let short = UtHolepunchError::Short(payload.len());
        let (&[msg_type, family], rest) = payload.split_first_chunk().ok_or(short)?;
        if msg_type > ERROR {
            return Ok(Self::Unknown { msg_type });
        }
        let len = match family {
            0 => compact::PEER4_LEN,
            1 => compact::PEER6_LEN,
            other => return Err(UtHolepunchError::AddressType(other)),
        };
        let (addr, rest) = rest.split_at_checked(len).ok_or(short)?;
        let addr = compact::peer(addr).ok_or(short)?;
        Ok(match msg_type {
            RENDEZVOUS => Self::Rendezvous(addr),
            CONNECT => Self::Connect(addr),
            _ => {
                let code = rest.first_chunk().ok_or(short)?;
                Self::Error(addr, Refusal::from_code(u32::from_be_bytes(*code)))
            }
        })
    }

    /// Appends the payload, without the extended message's head (see
    /// [`extended_frame`](crate::message::extended_frame)).
    pub fn encode(&self, out: &mut Vec<u8>) {
        let (msg_type, addr, code) = match self {
            Self::Rendezvous(addr) => (RENDEZVOUS, addr, 0),
            Self::Connect(addr) => (CONNECT, addr, 0),
            Self::Error(addr, refusal) => (ERROR, addr, refusal.code()),
            Self::Unknown { msg_type } => {
                out.extend_from_slice(&[*msg_type, 0]);
                return;
            }
        };
        out.extend_from_slice(&[msg_type, u8::from(addr.is_ipv6())]);
        compact::put_addr(addr, out);
        out.extend_from_slice(&u32::to_be_bytes(code));
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use proptest::prelude::*;

    use super::*;

    fn encoded(message: &UtHolepunch) -> Vec<u8> {
        let mut out = Vec::new();
        message.encode(&mut out);
        out
    }

    #[test]
    fn messages_are_those_of_bep_55() {
        let v4 = "192.0.2.1:6881".parse().unwrap();
        let rendezvous = [0, 0, 192, 0, 2, 1, 0x1a, 0xe1, 0, 0, 0, 0];
        assert_eq!(encoded(&UtHolepunch::Rendezvous(v4)), rendezvous);
        let refused = encoded(&UtHolepunch::Error(v4, Refusal::NoSupport));
        assert_eq!(refused, [2, 0, 192, 0, 2, 1, 0x1a, 0xe1, 0, 0, 0, 3]);
        let v6 = encoded(&UtHolepunch::Connect("[2001:db8::1]:1".parse().unwrap()));
        assert_eq!((&v6[..4], v6.len()), (&[1, 1, 0x20, 0x01][..], 2 + 18 + 4));
    }

    #[test]
    fn a_connect_without_error_code_is_understood() {
        let payload = [1, 0, 192, 0, 2, 1, 0x1a, 0xe1];
        let addr = "192.0.2.1:6881".parse().unwrap();
        assert_eq!(UtHolepunch::decode(&payload), Ok(UtHolepunch::Connect(addr)));
        let error = [2, 0, 192, 0, 2, 1, 0x1a, 0xe1];
        assert_eq!(UtHolepunch::decode(&error), Err(UtHolepunchError::Short(8)));
    }

    #[test]
    fn what_names_no_address_is_refused() {
        assert_eq!(UtHolepunch::decode(&[0]), Err(UtHolepunchError::Short(1)));
        assert_eq!(UtHolepunch::decode(&[0, 0, 1]), Err(UtHolepunchError::Short(3)));
        assert_eq!(UtHolepunch::decode(&[0, 2]), Err(UtHolepunchError::AddressType(2)));
        assert_eq!(UtHolepunch::decode(&[7, 9]), Ok(UtHolepunch::Unknown { msg_type: 7 }));
    }

    proptest! {
        #[test]
        fn every_message_round_trips(kind in 0..3, ip in any::<IpAddr>(), port: u16, code: u32) {
            let addr = SocketAddr::new(ip, port);
            let message = match kind {
                0 => UtHolepunch::Rendezvous(addr),
                1 => UtHolepunch::Connect(addr),
                _ => UtHolepunch::Error(addr, Refusal::from_code(code)),
            };
            prop_assert_eq!(UtHolepunch::decode(&encoded(&message)), Ok(message));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..30)) {
            crate::fuzz::ut_holepunch(&bytes);
        }
    }
}
