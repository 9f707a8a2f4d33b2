//! Where a party is: its address, its line, what the line does to what it sends.

use std::net::SocketAddr;
use std::time::Duration;

use crate::disk::{Faults, Speed};

/// A party's line to the middle of the network. Two parties are the sum of their delays apart, unless
/// [`Stage::set_delay`](super::Stage::set_delay) says otherwise.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Line {
    /// Bytes it can send in a second; at least 1.
    pub up: u64,
    /// Bytes it can receive in a second; at least 1.
    pub down: u64,
    /// One way to the middle of the network.
    pub delay: Duration,
    /// Share of its datagrams that are lost. Streams lose nothing: what TCP does about loss is not modelled.
    pub loss: f64,
    /// Share of its datagrams that arrive twice.
    pub duplicates: f64,
    /// Its datagrams take up to so much longer, drawn evenly: they overtake one another.
    pub jitter: Duration,
}

impl Line {
    /// A line of these rates and this delay that loses nothing.
    pub const fn new(up: u64, down: u64, delay: Duration) -> Self {
        Self {
            up,
            down,
            delay,
            loss: 0.0,
            duplicates: 0.0,
            jitter: Duration::ZERO,
        }
    }
}

/// Faults in the streams that a party writes to, drawn for each 16 KiB of a stream's direction, whatever the party meant with
/// them. For well-formed messages with wrong blocks see [`Faults::garbled_reads`].
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Noise {
    /// Share of blocks in which one byte is another.
    pub garbled: f64,
    /// Share of blocks in which the connection is reset, at both ends.
    pub cut: f64,
}

impl Noise {
    /// None.
    pub const NONE: Self = Self { garbled: 0.0, cut: 0.0 };
}

/// What happens to those who dial a party.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reach {
    /// They get through.
    Open,
    /// [`world::Closed::Refused`], after a round trip.
    Refuses,
    /// Nothing, for ever.
    Silent,
}

/// A party as it is set up.
#[derive(Clone, PartialEq, Debug)]
pub struct Place {
    /// Where it listens, and sends datagrams from. Its calls come from other ports of the same host.
    pub addr: SocketAddr,
    /// Its line.
    pub line: Line,
    /// What happens to those who dial it.
    pub reach: Reach,
    /// Faults in its streams.
    pub noise: Noise,
    /// How fast its disk is.
    pub speed: Speed,
    /// What goes wrong with its disk.
    pub faults: Faults,
}

impl Place {
    /// A party that can be called, with a fast disk and no faults.
    pub const fn new(addr: SocketAddr, line: Line) -> Self {
        Self {
            addr,
            line,
            reach: Reach::Open,
            noise: Noise::NONE,
            speed: Speed::SOLID,
            faults: Faults::NONE,
        }
    }
}

/// Bounds of the network, the same for all parties.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Bytes of a connection that the system takes beyond those on their way: [`world::Effect::Report`] is answered when no
    /// more than these are left. As a Linux socket: some 128 KiB.
    pub kernel: usize,
    /// Bytes beyond those, as the host holds them; more: [`world::Closed::Congested`]. The host has 1 MiB.
    pub unsent: usize,
    /// Datagrams that wait for a party's line, either way; the next are lost. The host has 1,024.
    pub datagrams: usize,
}
