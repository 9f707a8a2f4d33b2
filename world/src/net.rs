//! What a mind may be told by the world, and what it may ask of it.

use std::net::SocketAddr;

use crate::web::{Get, HttpPart, WebId};
use crate::{DiskOp, Done, JobId, StoreId, closed_list};

closed_list! {
    /// How a stream of bytes reaches a peer: what carries it, and whether it is obfuscated.
    Via {
        /// TCP as it is.
        Tcp => "tcp",
        /// TCP under message stream encryption.
        TcpMse => "tcp_mse",
        /// uTP (BEP 29): a stream over datagrams.
        Utp => "utp",
        /// uTP under message stream encryption.
        UtpMse => "utp_mse",
    }
}

/// One stream to a peer, by number.
///
/// The dialling machine chooses the number, so it can speak of a connection before it exists; numbers with the top bit
/// set belong to the world, which gives them to connections that strangers open.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConnId(pub u64);

impl ConnId {
    /// Set in the numbers of accepted connections.
    pub const ACCEPTED: u64 = 1 << 63;
    /// Set in numbers that a machine between the asker and the world gives, so that they meet neither's.
    pub const INNER: u64 = 1 << 62;

    /// Whether a stranger opened this connection.
    pub const fn is_accepted(self) -> bool {
        self.0 & Self::ACCEPTED != 0
    }
}

/// Something that happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Input<'a> {
    /// The deadline has come.
    Tick,
    /// A datagram arrived. `to` is the local address that it was sent to, where the world knows it.
    Datagram {
        /// Who sent it, if the source address is to be believed.
        from: SocketAddr,
        /// The local address it arrived at; a lab answers for many.
        to: SocketAddr,
        /// The payload, borrowed from the receive buffer.
        bytes: &'a [u8],
    },
    /// A connection that [`Effect::Dial`] asked for is open.
    Opened {
        /// The number given when dialling.
        conn: ConnId,
        /// What it came to be.
        via: Via,
    },
    /// A stranger opened a connection to us.
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
    /// Bytes arrived on a connection; stream order, any split.
    Received {
        /// The connection.
        conn: ConnId,
        /// One or more bytes, borrowed from the receive buffer.
        bytes: &'a [u8],
    },
    /// A connection ended, or never came about. The last word on this number; never sent after [`Effect::Close`].
    Closed {
        /// The connection.
        conn: ConnId,
        /// How it ended.
        why: Closed,
    },
    /// All that was written to a connection before [`Effect::Report`] is with the kernel.
    Flushed {
        /// The connection.
        conn: ConnId,
    },
    /// An answer of the disk to [`Effect::Disk`].
    Disk {
        /// The number given when asking.
        job: JobId,
        /// What came of it.
        done: Done<'a>,
    },
    /// Part of an answer to [`Effect::Fetch`].
    Http {
        /// The number given when asking.
        id: WebId,
        /// Which part.
        part: HttpPart<'a>,
    },
    /// The answer to [`Effect::Resolve`].
    Resolved {
        /// The number given when asking.
        id: WebId,
        /// The addresses; none if there is no such name, or nobody could be asked.
        addrs: &'a [SocketAddr],
    },
    /// Finish: ask for nothing new, and be done soon.
    Stop,
}

/// How a connection ended without our asking.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Closed {
    /// The remote refused the connection (RST to our SYN).
    Refused,
    /// No route, no permission, or another local failure to connect.
    Unreachable,
    /// No answer within the time that whoever dialled for us allows.
    TimedOut,
    /// The remote closed its end (FIN).
    ByRemote,
    /// The connection was reset or failed while open.
    Reset,
    /// The remote reads more slowly than we write; the world's bounded buffer is full.
    Congested,
    /// The world is out of descriptors or over its own limit of connections.
    NoRoom,
}

/// Something a mind asks of the world. Payloads are in the buffer lent to [`Machine::poll`](crate::Machine::poll).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Send the `len` bytes appended to the buffer as one datagram.
    Send {
        /// Local address to send from; `None` lets the world choose. Who answers for many addresses names the one that
        /// was asked, and its port, by which the world finds the socket if it has several (0: any).
        from: Option<SocketAddr>,
        /// Destination. The world chooses the socket by its family, and by the port of `from`.
        to: SocketAddr,
        /// Bytes appended to the lent buffer by this poll.
        len: usize,
    },
    /// Open a connection; answered by [`Input::Opened`] or [`Input::Closed`]. The asker keeps the deadline.
    Dial {
        /// A fresh number without [`ConnId::ACCEPTED`].
        conn: ConnId,
        /// Destination.
        to: SocketAddr,
        /// Just so, or `None` for whatever works. The world itself has TCP only: anything else is
        /// [`Closed::Unreachable`].
        via: Option<Via>,
    },
    /// Write the `len` bytes appended to the buffer to a connection, after all earlier ones.
    Write {
        /// The connection.
        conn: ConnId,
        /// Bytes appended to the lent buffer by this poll.
        len: usize,
    },
    /// Close a connection, or give up dialling it. What was written before is still sent if the remote reads it. Final:
    /// no further input names this number.
    Close {
        /// The connection.
        conn: ConnId,
    },
    /// Say [`Input::Flushed`] when all that was written to a connection is with the kernel; at once if it is. So who has
    /// much to send keeps the world's bounded buffer short. Once for each time it is asked.
    Report {
        /// The connection.
        conn: ConnId,
    },
    /// Ask the disk for something; answered by [`Input::Disk`].
    Disk {
        /// Of which store.
        store: StoreId,
        /// The number of the answer.
        job: JobId,
        /// What.
        op: DiskOp,
    },
    /// Fetch a document over HTTP or HTTPS; answered by [`Input::Http`].
    Fetch {
        /// A fresh number.
        id: WebId,
        /// What of it.
        get: Get,
        /// Bytes of the URL, appended to the lent buffer by this poll.
        len: usize,
    },
    /// Give up a fetch. Final: no further input names this number.
    CancelFetch {
        /// The number.
        id: WebId,
    },
    /// Find the addresses of a host; answered by [`Input::Resolved`]. `host:port` is in the payload.
    Resolve {
        /// A fresh number.
        id: WebId,
        /// Bytes appended to the lent buffer by this poll.
        len: usize,
    },
}
