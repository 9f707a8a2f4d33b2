//! What of this package touches the world: files, directories and threads (only with the feature `cli`).
#![expect(
    clippy::disallowed_types,
    reason = "the stage of estudely-analyze: it opens what the library reads"
)]

mod chance;
mod cores;
mod count;
mod error;
mod find;
mod source;
#[cfg(feature = "sql")]
mod whole;
mod write;

pub use chance::secret;
pub use cores::cores;
pub use count::count;
pub use error::BadInput;
pub use find::{Found, find};
pub use source::{Packed, Source, Stretch, What};
#[cfg(feature = "sql")]
pub use whole::{read_text, write_file};
pub use write::{key, new_file};
