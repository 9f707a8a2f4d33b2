//! The download mind: which block to ask whom for, what to believe of it, whom to serve, and what is safely on disk.
#![deny(clippy::indexing_slicing, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::expect_used, clippy::panic))]

pub mod announce;
mod bits;
pub mod blame;
pub mod choker;
mod key;
pub mod layout;
pub mod limiter;
pub mod pace;
pub mod picker;
pub mod rate;
pub mod roster;
pub mod window;
pub mod hashes;
mod key;
pub mod layout;
pub mod picker;

pub use bits::Bits;
pub use hashes::{Check, Hashes, LayerError, Received, Served};
pub use key::{BLOCK, PeerKey};
pub use layout::{Layout, LayoutError, NameRules};
