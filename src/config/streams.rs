//! How peers are reached: TCP and uTP, plain and encrypted.

use std::time::Duration;

use transport::config::{Deadlines, Limits, Memory};
use transport::mse::Level;
use transport::{Config, utp};

use super::Net;

/// From a dial to the last moment at which the pool hears of it, and a little: the transport knows better what failed.
pub(super) fn connect(net: &Net) -> Duration {
    streams(net).connect() + Duration::from_millis(500)
}

/// The transport below the pool.
pub fn streams(net: &Net) -> Config {
    Config {
        tcp: true,
        utp: net.utp,
        outgoing: net.encryption,
        incoming: net.encryption,
        level: Level::Both,
        // It is for filters on the way, who do not look behind the handshake; RC4 costs both ends.
        prefer_rc4: false,
        deadlines: Deadlines {
            // Two thirds of the peers that are named are silent (network-model G5), and each SYN to them is for nothing.
            // Linux sends the second after 1 s, the third after 3 s. With uTP to follow, which reaches most of those that
            // a lost SYN misses, one is enough (C1: 951 ms is the 99th percentile of round trips); without it, two.
            tcp_connect: Duration::from_millis(if net.utp { 950 } else { 2_900 }),
            // A SYN and a slow answer; after that uTP may be what works (network-model G7: 4% of the peers).
            beside_after: Duration::from_secs(1),
            // Two round trips, and an exponentiation on a machine that is busy.
            handshake: Duration::from_secs(4),
            accepted: Duration::from_secs(5),
        },
        limits: Limits {
            // As many as the host accepts.
            accepted: super::HOST.accepted,
            // 1 MB: those in work, and those that we could serve.
            admitted: 16_384,
        },
        memory: Memory {
            // 12 MB; the pool remembers as many endpoints.
            endpoints: 65_536,
            networks: 65_536,
            // Peers keep their settings for longer than their addresses.
            half_life: Duration::from_secs(6 * 3600),
        },
        socket: socket(net),
    }
}

fn socket(net: &Net) -> utp::Config {
    utp::Config {
        // One SYN, and as long as a slow answer and a lost packet of the path's other end take.
        connect: Duration::from_millis(1_900),
        syn: Duration::from_secs(2),
        // libutp and libtorrent send a SYN again within 3 s.
        half_open: Duration::from_secs(6),
        // What a peer is still owed after we are done with it is a request or two.
        linger: Duration::from_secs(5),
        // The pool's deadlines are shorter; this is for peers that we serve.
        idle: Duration::from_secs(120),
        keepalive: Some(Duration::from_secs(29)),
        timeouts: 5,
        // Dials and their ends, which linger.
        max_streams: 2 * net.line.connections + super::HOST.accepted,
        max_accepted: super::HOST.accepted,
        max_half_open: super::HOST.accepted / 4,
        // As the host keeps for TCP.
        send_buffer: super::HOST.write_buffer,
        // 16 blocks of metadata: four are asked for at once.
        receive_window: 256 << 10,
        reorder_bytes: 16 << 20,
        target_delay: Duration::from_millis(100),
        resets_per_second: 20,
    }
}
