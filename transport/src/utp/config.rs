//! What a socket must be told before it starts. Plain data: the door holds the defaults.

use std::time::Duration;

/// Everything a [`Socket`](crate::utp::Socket) is told at its start.
#[derive(Clone, Debug)]
pub struct Config {
    /// From dialling to giving up: [`Closed::TimedOut`](world::Closed::TimedOut).
    pub connect: Duration,
    /// From the first SYN to the second (BEP 29: 1 s). Each further wait is twice as long, until `connect` is over.
    pub syn: Duration,
    /// How long a stranger's SYN is remembered that nothing follows. libutp and libtorrent send again within 3 s.
    pub half_open: Duration,
    /// How long a stream outlives its end, to deliver what was written before. Then it is forgotten.
    pub linger: Duration,
    /// A stream on which nothing arrived for this long is taken for dead: [`Closed::Reset`](world::Closed::Reset).
    pub idle: Duration,
    /// After this long without a packet of ours we send an empty one, so that NATs keep their entry (libutp: 29 s, as
    /// measured on home routers). `None`: never.
    pub keepalive: Option<Duration>,
    /// Retransmission timeouts in a row, each twice as long, after which a stream is dead (libutp: 4).
    pub timeouts: u8,
    /// Streams in all: being dialled, half-open, open and ending. A dial beyond it is closed as
    /// [`Closed::NoRoom`](world::Closed::NoRoom).
    pub max_streams: usize,
    /// Streams that strangers opened, half-open ones too, of `max_streams`. Further SYNs are ignored and counted.
    pub max_accepted: usize,
    /// Streams of `max_accepted` whose opener has not yet shown that it reads our answers. A SYN may be forged, and costs
    /// no more than one of these places for the time `half_open`. Further SYNs are ignored and counted.
    pub max_half_open: usize,
    /// Bytes of one stream that were written and not yet acknowledged. One more closes it:
    /// [`Closed::Congested`](world::Closed::Congested). Also the ceiling of its congestion window.
    pub send_buffer: usize,
    /// Bytes of one stream that may wait for an earlier packet: the window that is advertised. What is beyond it is
    /// dropped, and comes again.
    pub receive_window: u32,
    /// The same for all streams together: over it, packets out of order are dropped.
    pub reorder_bytes: usize,
    /// Delay that our own packets may cause in queues on the way (LEDBAT, BEP 29: 100 ms).
    pub target_delay: Duration,
    /// RESETs a second in answer to packets of streams unknown; more of those get silence. No answer is longer than its
    /// question, so nobody is flooded through us.
    pub resets_per_second: u32,
}
