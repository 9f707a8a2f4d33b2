//! What carries a stream, and what lies over it.

use world::Via;

/// What carries the bytes of a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Carrier {
    /// The world's own streams.
    Tcp,
    /// Our own, over datagrams (BEP 29).
    Utp,
}

impl Carrier {
    /// What carries a stream of this kind.
    pub(crate) const fn of(via: Via) -> Self {
        match via {
            Via::Tcp | Via::TcpMse => Self::Tcp,
            Via::Utp | Via::UtpMse => Self::Utp,
        }
    }

    /// The kind of stream that this carries, plain or encrypted.
    pub(crate) const fn via(self, encrypted: bool) -> Via {
        match (self, encrypted) {
            (Self::Tcp, false) => Via::Tcp,
            (Self::Tcp, true) => Via::TcpMse,
            (Self::Utp, false) => Via::Utp,
            (Self::Utp, true) => Via::UtpMse,
        }
    }
}

/// Whether a stream of this kind is under message stream encryption.
pub(crate) const fn is_encrypted(via: Via) -> bool {
    matches!(via, Via::TcpMse | Via::UtpMse)
}
