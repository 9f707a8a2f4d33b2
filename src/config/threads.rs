//! How many threads do what takes all of a processor.

use std::num::NonZero;
use std::thread;

/// Bytes of memory for a node of a pretend world and what a crawl of it remembers after six hours: two worlds of a million nodes took 7.1 GB.
const NODE: u64 = 3_600;

/// Bytes of memory for all pretend worlds together: half of what a machine that runs them is expected to have.
const WORLDS: u64 = 12 << 30;

/// Processors that this process may use; 1 if the system does not tell.
fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// Threads that read and hash: one for each core, for hashing is what takes the time.
pub fn hash_threads() -> usize {
    cores()
}

/// Pretend worlds of so many nodes that run at once: one for each core, as far as memory goes.
pub fn worlds_at_once(nodes: u32) -> usize {
    let room = WORLDS / (NODE * u64::from(nodes.max(1)));
    cores().min(usize::try_from(room).unwrap_or(usize::MAX)).max(1)
}
