//! What a table looks like to a run that continues it.

use wire::InfoHash;

use crate::journal::Done;

/// The form of a table.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    /// The first line, without its newline; empty if there is none.
    pub header: &'static str,
    /// What every file of this form begins with.
    pub(crate) begins: &'static str,
    /// Which infohash a line is about and whether the line says that it has metadata, for lines without a record.
    pub(crate) done: fn(&[u8]) -> Option<Done>,
}

/// What a row says that begins with an infohash and a comma; `is_ok` judges the whole row.
pub(crate) fn named(row: &[u8], is_ok: fn(&[u8]) -> bool) -> Option<Done> {
    let digits = std::str::from_utf8(row.get(..40)?).ok()?;
    if row.get(40) != Some(&b',') {
        return None;
    }
    Some(Done {
        info_hash: InfoHash::from_hex(digits).ok()?,
        metadata_ok: is_ok(row),
    })
}
