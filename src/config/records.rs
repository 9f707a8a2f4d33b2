//! How often a crawl writes down what it has seen, and how much may wait for the disk.

use std::time::Duration;

/// How often observations are handed over to be written: what a kill costs.
pub const RECORD_EVERY: Duration = Duration::from_secs(1);

/// The same where they are packed: a frame of fewer rows would be hardly smaller than they are.
pub const PACK_EVERY: Duration = Duration::from_secs(10);

/// Bytes of observations handed over together at the most.
pub const SHEET_BYTES: usize = 256 << 10;

/// Sheets of observations that wait for the disk, 256 KiB each; beyond, they are lost.
pub const SHEETS_WAITING: usize = 64;

/// How often a crawl estimates how much it saw: each time costs about a millisecond.
pub const ESTIMATE_EVERY: Duration = Duration::from_secs(5);

/// How often a crawl keeps its node's contacts on disk.
pub const KEEP_STATE_EVERY: Duration = Duration::from_secs(5 * 60);
