//! What the host counts.

use std::ops::AddAssign;

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
    /// Receive calls on connections that gave bytes, or the end.
    pub receives: u64,
    /// Send calls on connections that took bytes.
    pub sends: u64,
    /// What passed to and from the disk.
    pub disk: DiskCounters,
}

/// What passed to and from the disk (STO-12).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct DiskCounters {
    /// Writes that the machine asked for; usually a block each.
    pub blocks_written: u64,
    /// Calls that it took.
    pub writes: u64,
    /// Bytes that are with the system.
    pub bytes_written: u64,
    /// Bytes that were copied on their way from the socket or the machine to the system.
    pub bytes_copied: u64,
    /// Reads that the machine asked for; usually a block each.
    pub blocks_read: u64,
    /// Of these, answered at once from the system's memory.
    pub blocks_read_hit: u64,
    /// Bytes read.
    pub bytes_read: u64,
    /// Ranges hashed, or found to be holes.
    pub hashes: u64,
    /// Of these, holes.
    pub holes: u64,
    /// Bytes hashed, padding left out.
    pub bytes_hashed: u64,
    /// Syncs that the machine asked for.
    pub syncs: u64,
    /// Files flushed to stable storage for them.
    pub files_synced: u64,
    /// Answers that it cannot be done; for writes, each part that is lost.
    pub failures: u64,
    /// Tasks that were handed to another thread.
    pub handed_over: u64,
    /// Bytes of buffers with what is to be written or told, now.
    pub held: u64,
    /// The most that ever were.
    pub most_held: u64,
    /// How often the sockets were left alone until the disk had caught up.
    pub pauses: u64,
}

impl DiskCounters {
    /// Part of the writes that went to the system together with another, from 0 to 1.
    pub fn merged(&self) -> f64 {
        ratio(self.blocks_written.saturating_sub(self.writes), self.blocks_written)
    }

    /// Part of the reads that were answered from memory at once, from 0 to 1.
    pub fn hit(&self) -> f64 {
        ratio(self.blocks_read_hit, self.blocks_read)
    }
}

impl AddAssign<&Self> for DiskCounters {
    /// Adds what a worker has counted; levels stay.
    fn add_assign(&mut self, other: &Self) {
        self.blocks_written += other.blocks_written;
        self.writes += other.writes;
        self.bytes_written += other.bytes_written;
        self.bytes_copied += other.bytes_copied;
        self.blocks_read += other.blocks_read;
        self.blocks_read_hit += other.blocks_read_hit;
        self.bytes_read += other.bytes_read;
        self.hashes += other.hashes;
        self.holes += other.holes;
        self.bytes_hashed += other.bytes_hashed;
        self.syncs += other.syncs;
        self.files_synced += other.files_synced;
        self.failures += other.failures;
        self.handed_over += other.handed_over;
        self.pauses += other.pauses;
    }
}

#[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
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
