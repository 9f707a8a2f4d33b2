//! What the host holds at most.

use std::time::Duration;

/// How the host deals with the disk; a job that asks nothing of it has none of this.
pub const DISK: host::DiskLimits = host::DiskLimits {
    // One for each core of a small machine; hashing is what they are for.
    workers: 2,
    // libtorrent's: enough for the pieces in work, and few enough for any limit of descriptors.
    open_files: 40,
    // A second of a fast line, while a disk that spins finds its place.
    held: 64 << 20,
    inline_writes: true,
    inline_reads: true,
};

/// What the host holds at most beside a job.
pub const HOST: host::Limits = host::Limits {
    // More than any profile dials at once, and as many as a system that is asked for them gives descriptors.
    connections: 16_384,
    // A caller costs a slot and a few kilobytes until its handshake says what it wants; few torrents have so many peers.
    accepted: 256,
    write_buffer: 1 << 20,
    send_backlog: 1_024,
    close_grace: Duration::from_secs(5),
    disk: DISK,
};

/// What the host holds at most under a lab: the other end of every connection, and every answer.
pub const LAB_HOST: host::Limits = host::Limits {
    connections: 32_768,
    accepted: 16_384,
    write_buffer: 16 << 20,
    send_backlog: 16_384,
    close_grace: Duration::from_secs(5),
    disk: DISK,
};

/// Descriptors to ask of the system: both ends of every connection of a lab, and room. Many systems begin with 1,024 or
/// less, and a dial without one fails.
pub const DESCRIPTORS: u64 = 65_536;

/// Routers are looked up for this long, all together.
pub const RESOLVE_WITHIN: Duration = Duration::from_secs(10);
