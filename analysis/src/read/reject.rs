//! Lines that are no rows, and files that are no tables.

use thiserror::Error;

use super::form::Kind;
use super::lines::ENDLESS;

/// Why a line is no row.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum Fault {
    /// Other than the header's number of fields.
    #[error("{found} fields instead of {want}")]
    Fields {
        /// On the line.
        found: usize,
        /// In the header.
        want: usize,
    },
    /// A quote that does not end, or text after it.
    #[error("a quote that does not end before the next comma")]
    Quote,
    /// A field that cannot be read.
    #[error("{column} is not {}", kind.wanted())]
    Type {
        /// The column's name.
        column: &'static str,
        /// What should stand there.
        kind: Kind,
    },
    /// Nothing where something must stand.
    #[error("{column} is empty")]
    Empty {
        /// The column's name.
        column: &'static str,
    },
    /// Bytes that are not UTF-8.
    #[error("not UTF-8")]
    Utf8,
    /// Zero bytes, as a power loss leaves.
    #[error("zero bytes")]
    Zeros,
    /// Longer than [`store::LINE_MAX`].
    #[error("longer than {} bytes", store::LINE_MAX)]
    TooLong,
    /// The last line, without its end, may lack some of its last field.
    #[error("torn: the file ends before the line does")]
    Torn,
}

/// A line that is no row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reject {
    /// Its number from where the scan began, from 1; that of the whole file if the scan began there.
    pub line: u64,
    /// What is wrong with it.
    pub fault: Fault,
}

/// Rejects that are kept to be shown, for each scan.
pub const SHOWN: usize = 10;

/// The rejects of a scan: all counted, the first [`SHOWN`] kept.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Rejects {
    /// All.
    pub count: u64,
    /// The first.
    pub first: Vec<Reject>,
}

impl Rejects {
    /// One more.
    pub fn add(&mut self, reject: Reject) {
        self.count += 1;
        if self.first.len() < SHOWN {
            self.first.push(reject);
        }
    }
}

/// Why a file is no table.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Refusal {
    /// Its first bytes are no text.
    #[error("a binary file, not a table")]
    Binary,
    /// A line that may never end.
    #[error("a line of more than {} MiB: not a table of lines", ENDLESS >> 20)]
    Endless,
    /// The header of nothing that is known.
    #[error("the first line is no header of a table that estudely knows")]
    NoTable,
    /// Columns that a form has and the header has not.
    #[error("no column {columns}, which {form} has")]
    Missing {
        /// The form that is nearest.
        form: &'static str,
        /// What it lacks.
        columns: String,
    },
    /// More columns than a scan takes.
    #[error("{found} columns, more than {}", super::COLUMNS_MAX)]
    TooWide {
        /// How many.
        found: usize,
    },
}
