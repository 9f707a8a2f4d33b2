//! Memory: what a run leaves behind, and how the next run trusts it.
//!
//! * Tables (DESIGN section 2): [`metadata`] (`metadata.txt`, `truth.csv`), [`peers`] (`peers.csv`), [`batch`]
//!   (`metadata.csv`). One record is one line, so `grep`, `cut`, `wc` and `tail -f` tell the truth; a reader gives every
//!   line it cannot use back as a [`Fault`] with its number, and goes on.
//! * The [`Sealed`] table: a table and its [`journal`], written so that `kill -9` at any byte neither loses, doubles nor
//!   tears an infohash.
//! * Observation tables, a row per fact: [`fetches`], [`observed`]; addresses as they are or veiled ([`Veil`]).
//! * What waits for another try ([`retries`]), and the [`Manifest`] of a run (`run.json`): replaced whole.
//! * Where a download stands: [`fastresume`] as libtorrent keeps it, [`state`] for people (`state.json`).
//!
//! This room opens no path: it works over any `Read` and `Write`, and its tests cut those at every byte.

pub mod batch;
pub mod fastresume;
pub mod fetches;
pub mod fuzz;
pub mod journal;
pub mod json;
pub mod metadata;
pub mod observed;
pub mod peers;
pub mod retries;
pub mod state;
pub mod wants;

mod form;
mod line;
mod manifest;
mod name;
mod packed;
mod recover;
mod sealed;
mod veil;

pub use form::Form;
pub use line::{Fault, LINE_MAX, ReadError, first_field, put_field};
pub use manifest::{Counter, Counters, Manifest, ManifestError};
pub use name::{NAME_MAX, clean};
pub use packed::{Packing, pack, unpack, whole_frames};
pub use recover::{Standing, StoreError, begins_with, survey, survey_journal, whole_lines};
pub use sealed::Sealed;
pub use veil::Veil;
