//! Questions in SQL about the tables of crawls, answered by DataFusion; only with the feature `sql`.
//!
//! | part | does |
//! |---|---|
//! | [`Session`] | opens files as the tables of [`read::Table`](crate::read::Table), runs questions |
//! | `scan`, `build` | rows of CSV as batches of the engine, several stretches at once |
//! | `keep`, `shelves`, `kept` | tables read once for several questions, sorted by infohash |
//! | `views` | which files are which table: one view for each, with a `crawl` column |
//! | `fault` | errors of the engine in one line |
//! | `functions` | what SQL has not: `power_law`, `keys_estimated`, `country`, `asn`, `as_name` |
//! | [`Report`] | a question in a file, with a header that says what it is |
//! | [`Answer`] | what came out: as text for a terminal, as CSV, as a plot, as part of a page |
//! | [`Page`], [`Pictures`] | answers as a page that needs nothing beside it; plots as PNG |
//! | [`convert()`] | tables as Parquet |
//! | `cluster` | the same questions, answered by several machines (feature `cluster`) |
//!
//! The engine has threads and a runtime of its own, which [`Session`] holds: no function of ours that is called from elsewhere is
//! asynchronous.
#![expect(
    clippy::disallowed_types,
    reason = "the engine's threads tell what was no row in one list"
)]

mod answer;
mod build;
#[cfg(feature = "cluster")]
mod cluster;
mod convert;
mod fault;
mod functions;
mod html;
mod keep;
mod kept;
mod picture;
mod report;
mod scan;
mod session;
mod shelves;
mod views;

pub use answer::{Answer, Column};
#[cfg(feature = "cluster")]
pub use cluster::{Executor, Scheduler, execute, schedule};
pub use convert::{Converted, convert};
pub use html::Page;
pub use picture::Pictures;
pub use report::{Drawing, DrawingKind, Report, ReportError};
pub use session::{Options, Session};

/// A program without the feature `cluster` knows no scheduler.
#[cfg(not(feature = "cluster"))]
pub type Scheduler = std::convert::Infallible;
