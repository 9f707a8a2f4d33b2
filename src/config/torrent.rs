//! How files are hashed, for `create` and `verify`.

use std::time::Duration;

/// Bytes that a thread hashes before it takes the next: large enough that handing out costs nothing, small enough that all
/// threads end together.
pub const HASH_RUN: u64 = 4 << 20;

/// Between two looks at how far it is.
pub const HASH_TICK: Duration = Duration::from_millis(200);
