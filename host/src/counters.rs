//! What the host counts.

/// What passed through the sockets of one run, and what did not.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Counters {
    /// Datagrams received and handed to the machine.
    pub datagrams_in: u64,
    /// Datagrams handed to the kernel.
    pub datagrams_out: u64,
    /// Datagrams that were not sent because the backlog was full; the kernel was not taking them.
    pub send_dropped: u64,
    /// Datagrams that the kernel refused, by reason.
    pub send_errors: SendErrors,
    /// Receive calls that failed, as after an ICMP error for an earlier datagram.
    pub receive_errors: u64,
    /// Datagrams and connections that a lab refused because they were for an address outside 127/8.
    pub not_loopback: u64,
    /// Connections that the machine asked for.
    pub dialled: u64,
    /// Of those, opened.
    pub opened: u64,
    /// Of those, not tried for want of room or descriptors.
    pub dial_no_room: u64,
    /// Connections that strangers opened.
    pub accepted: u64,
    /// Connections of strangers closed at once for want of room, in all or among theirs.
    pub accept_no_room: u64,
    /// Accept calls that failed.
    pub accept_errors: u64,
    /// Connections given up because the remote read more slowly than the machine wrote.
    pub congested: u64,
    /// Bytes received on connections.
    pub bytes_in: u64,
    /// Bytes that the kernel took for connections.
    pub bytes_out: u64,
}

/// Why the kernel refused datagrams. None of it is fatal: the queries time out as if lost.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct SendErrors {
    /// The kernel or the network card is out of buffers (`ENOBUFS`, `ENOMEM`).
    pub no_buffers: u64,
    /// A local firewall or policy forbids it (`EPERM`, `EACCES`).
    pub forbidden: u64,
    /// There is no route (`ENETUNREACH`, `EHOSTUNREACH`, `ENETDOWN`, `EADDRNOTAVAIL`).
    pub unreachable: u64,
    /// Longer than a datagram may be (`EMSGSIZE`).
    pub too_long: u64,
    /// No socket of that family is open.
    pub no_socket: u64,
    /// Anything else.
    pub other: u64,
}

impl SendErrors {
    /// All of them.
    pub const fn total(&self) -> u64 {
        self.no_buffers + self.forbidden + self.unreachable + self.too_long + self.no_socket + self.other
    }
}
