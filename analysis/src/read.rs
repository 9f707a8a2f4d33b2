//! Tables of a crawl as they stand in files: which there are, and their rows as typed values.
//!
//! [`Form`] is what a file looks like: `metadata.txt` and its kin, told by the header. [`Table`] is what is asked of: one or several forms
//! feed it. A [`Scan`] reads the rows of a form from any `Read`, a stretch of a file or all of it. A line that is no row is a [`Reject`]
//! with its number and a reason, and the scan goes on; what can be no table at all (a binary file, an endless line) is a
//! [`Refusal`].

mod check;
mod form;
mod lines;
mod reject;
mod scan;
mod table;

pub use form::{Column, Form, Kind, Layout};
pub use lines::{ENDLESS, Line, Lines, Share};
pub use reject::{Fault, Refusal, Reject, Rejects, SHOWN};
pub use scan::{COLUMNS_MAX, Row, Scan, Value};
pub use table::{Field, Table};
