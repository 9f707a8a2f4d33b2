//! The transport mind: a stream to a peer by whatever works.
//!
//! It stands between a mind that wants streams and the world that has TCP and datagrams: [`Transport::act`] takes what the
//! mind above asks for, [`Transport::receive`] what the world tells, and polling gives effects for the world and
//! [`Above`] for the mind above.
#![deny(clippy::indexing_slicing, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::expect_used, clippy::panic))]

mod above;
mod carrier;
pub mod config;
pub mod fuzz;
mod ladder;
mod memory;
pub mod mse;
mod outbox;
pub mod stats;
mod streams;
#[cfg(test)]
mod testing;
pub mod utp;

pub use above::Above;
pub use config::{Config, Policy};
pub use stats::Stats;
pub use streams::Transport;
