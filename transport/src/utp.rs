//! uTP (BEP 29): streams over datagrams, which give way to other traffic.
//!
//! [`Socket`] holds all streams of one datagram socket. Datagrams go in, [`Above`](crate::Above) and datagrams come out
//! of polling; it owns no socket and no clock.

mod config;
mod inbox;
mod incoming;
mod ledbat;
mod outgoing;
mod rtt;
mod socket;
mod stats;
mod stream;
mod table;
#[cfg(test)]
pub(crate) mod tests;

pub use config::Config;
pub use socket::Socket;
pub use stats::{Count, Ignored, Stats};

/// Payload of a packet, bytes. With header, UDP and IPv6 it makes 1,268, below the 1,280 that every IPv6 path carries
/// and that leave room for tunnels on IPv4 ones. Larger packets would have to be probed for, since a uTP packet can only
/// be sent again as it was: one that is too large for its path would stop the stream.
const SEGMENT: u32 = 1_200;
