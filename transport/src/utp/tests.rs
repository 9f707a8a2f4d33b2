//! Two sockets in virtual time.

mod congestion;
mod ends;
mod limits;
mod path;
mod transfer;

use std::time::Duration;

use super::Config;

/// As the door has it, but with timers short enough for tests to see them.
pub(crate) fn config() -> Config {
    Config {
        connect: Duration::from_secs(4),
        syn: Duration::from_secs(1),
        half_open: Duration::from_secs(8),
        linger: Duration::from_secs(30),
        idle: Duration::from_secs(150),
        keepalive: Some(Duration::from_secs(29)),
        timeouts: 5,
        max_streams: 100,
        max_accepted: 50,
        max_half_open: 20,
        send_buffer: 1 << 20,
        receive_window: 1 << 18,
        reorder_bytes: 1 << 22,
        target_delay: Duration::from_millis(100),
        resets_per_second: 10,
    }
}
