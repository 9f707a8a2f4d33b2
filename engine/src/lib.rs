//! The download mind: which block to ask whom for, what to believe of it, whom to serve, and what is safely on disk.
#![deny(clippy::indexing_slicing, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::expect_used, clippy::panic))]

mod bits;
pub mod announce;
mod key;
pub mod picker;
pub mod layout;

pub use bits::Bits;
pub use key::{BLOCK, PeerKey};
pub use layout::{Layout, LayoutError, NameRules};
