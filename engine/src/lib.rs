//! The download mind: which block to ask whom for, what to believe of it, whom to serve, and what is safely on disk.
#![deny(clippy::indexing_slicing, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::expect_used, clippy::panic))]

mod key;

pub use key::{BLOCK, PeerKey};
