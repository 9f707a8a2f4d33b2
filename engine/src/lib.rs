//! The download mind: which block to ask whom for, what to believe of it, whom to serve, and what is safely on disk.
//!
//! [`Engine`] is a [`world::Machine`]: torrents in, files out, and back to others. It joins parts that know nothing of one
//! another. *Which*: `picker` (blocks), `bits`. *Whom*: `roster` (peers known), `choker` (peers served), `window` and
//! `limiter` (how much at once), `blame` (who lied). *What*: `layout` (files), `intake` (a peer's bytes), `progress` (a piece that
//! comes), `hashes` (trees of v2), `journal` (what is safe). *From where*: `announce` (trackers). `torrent` joins them for one
//! torrent, `engine` for all.
#![deny(clippy::indexing_slicing, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::expect_used, clippy::panic))]

pub mod announce;
mod bits;
pub mod blame;
pub mod choker;
mod config;
mod desk;
mod engine;
mod event;
pub mod fuzz;
pub mod hashes;
mod intake;
pub mod journal;
mod key;
pub mod layout;
pub mod limiter;
mod limits;
pub mod lsd;
mod outbox;
pub mod pace;
mod peer;
pub mod picker;
mod progress;
pub mod rate;
pub mod roster;
pub mod status;
mod torrent;
pub mod webseed;
pub mod window;

pub use bits::Bits;
pub use config::{Config, Deadlines, Limits, Rates};
pub use engine::{Add, AddError, Engine, JournalPlace};
pub use event::{Event, State, TorrentId, TrackerNews};
pub use hashes::Hashes;
pub use journal::Resume;
pub use key::{BLOCK, PeerKey};
pub use layout::{Layout, LayoutError, NameRules};
pub use status::{PeerStatus, Status};
pub use torrent::{Parted, Verify};
