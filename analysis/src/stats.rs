//! `metadata.txt` counted as it passes: what the recipes of the README count, to the digit, and what they leave out.
//!
//! | recipe | figure |
//! |---|---|
//! | `wc -l` | [`Figures::lines`] |
//! | `grep ",True$" \| wc -l` | [`Figures::true_lines`] |
//! | `cut -d',' -f1 \| sort -u \| wc -l` | [`Figures::first_fields`] |
//!
//! The recipes count bytes: a header is a line and a first field, a last line without its end is none for `wc` and one for the others, and
//! where lines end with CRLF `grep` finds nothing. (All of that in the C locale; in others `grep` stops at what is not UTF-8.) The other
//! figures are of rows: lines that begin with an infohash and end with `True` or `False`, with CRLF or without. Numbers and
//! addresses in between are not looked at here, as [`Scan`](crate::read::Scan) does.

mod counter;
mod keys;

pub use counter::{Counter, Ended, Figures, Kinds, NotRow, Why};
