//! Bytes to values and back, and nothing else: total functions from any bytes to a value or an error.
//!
//! No clock, chance, socket or file; no panic reachable from bytes (`indexing_slicing` and `unwrap_used` are denied).
#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(
    test,
    allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

pub mod bencode;
pub mod bloom;
pub mod compact;
mod crc32c;
pub mod extended;
pub mod fuzz;
pub mod handshake;
pub mod host_port;
pub mod id;
pub mod krpc;
pub mod lanes;
pub mod lsd;
pub mod lt_metadata;
pub mod magnet;
pub mod merkle;
pub mod message;
pub mod metainfo;
pub mod tracker;
pub mod ut_holepunch;
pub mod ut_metadata;
pub mod ut_pex;
pub mod utp;

pub use crc32c::crc32c;
pub use host_port::HostPort;
pub use id::{Distance, InfoHash, InfoHashV2, NodeId, PeerId};
