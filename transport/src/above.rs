//! What the transport tells the mind above it: the inputs about streams, without their bytes.

use std::net::SocketAddr;

use world::{Closed, ConnId, Input, Via};

/// Something that happened to a stream, for the mind above.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Above {
    /// A stream that was asked for is open.
    Opened {
        /// The number given when dialling.
        conn: ConnId,
        /// What it came to be.
        via: Via,
    },
    /// A stranger opened a stream to us.
    Accepted {
        /// A number with [`ConnId::ACCEPTED`] set.
        conn: ConnId,
        /// The stranger.
        from: SocketAddr,
        /// The local address that was called.
        to: SocketAddr,
        /// What it is as far as is known yet.
        via: Via,
    },
    /// Bytes of a stream.
    Received {
        /// The stream.
        conn: ConnId,
        /// How many this poll appended to the lent buffer.
        len: usize,
    },
    /// A stream is something else now than was told: its encrypted handshake is through, or it was dialled once more.
    Rerouted {
        /// The stream.
        conn: ConnId,
        /// What it is.
        via: Via,
    },
    /// What was written to a stream before it was asked to report is with the kernel, or for the most part acknowledged.
    Flushed {
        /// The stream.
        conn: ConnId,
    },
    /// A stream ended, or never came about.
    Closed {
        /// The stream.
        conn: ConnId,
        /// How it ended.
        why: Closed,
    },
}

impl Above {
    /// The input that the mind above is to be given, if it is to be given one; `payload` is the buffer that was lent to the
    /// poll.
    pub fn input(self, payload: &[u8]) -> Option<Input<'_>> {
        Some(match self {
            Self::Opened { conn, via } => Input::Opened { conn, via },
            Self::Accepted { conn, from, to, via } => Input::Accepted { conn, from, to, via },
            Self::Received { conn, len } => Input::Received {
                conn,
                bytes: payload.get(..len).unwrap_or(payload),
            },
            Self::Flushed { conn } => Input::Flushed { conn },
            Self::Closed { conn, why } => Input::Closed { conn, why },
            Self::Rerouted { .. } => return None,
        })
    }
}
