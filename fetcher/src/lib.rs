//! The metadata mind: which peer to ask, the talk with one peer, and proof that its bytes are the torrent's.
//!
//! [`Pool`] is a [`world::Machine`]: infohashes and their peers in, verified info dictionaries out. It joins parts that
//! know nothing of one another: `session` (what one peer says: BEP 3, 10 and 9), `assembly` (pieces from several peers),
//! and in `pool` who is dialled when, who waits for whom, and what is remembered of endpoints. Everything that can go
//! wrong is in `failure`.
//!
//! Peers that call us are sources of what is in work, guests who are served of what was fetched (`dealings` lists what
//! else may become of them), or hung up on.
#![deny(clippy::indexing_slicing, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::expect_used, clippy::panic))]

mod assembly;
pub mod config;
pub mod dealings;
mod event;
mod failure;
pub mod fuzz;
mod pool;
mod session;
mod spread;
pub mod stats;
#[cfg(test)]
mod testing;

pub use config::Config;
pub use event::Event;
pub use failure::{Ending, Failure, Stage};
pub use pool::{Pool, Standing};
pub use spread::Spread;
pub use stats::Stats;
