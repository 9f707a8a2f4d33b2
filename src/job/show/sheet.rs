//! Lines of `key: value`, aligned, and of files.

use std::fmt::Display;
use std::io::{self, Write};

use wire::metainfo::Info;

use crate::report::{plain, size, thousands};

/// Columns before a value: the longest key, its colon and two blanks.
const KEY_WIDTH: usize = 17;

/// Columns of a size with its unit, `1023.9 KiB` being the longest.
const SIZE_WIDTH: usize = 10;

/// The page that is written. All text of strangers reaches it through [`plain`].
pub(super) struct Sheet<W> {
    out: W,
}

impl<W: Write> Sheet<W> {
    pub(super) const fn new(out: W) -> Self {
        Self { out }
    }

    /// One `key: value` line. The key is ours, the value may be a stranger's.
    pub(super) fn row(&mut self, key: impl Display, value: impl Display) -> io::Result<()> {
        let (key, value) = (format!("{key}:"), plain(value.to_string().as_bytes()));
        writeln!(self.out, "{key:<KEY_WIDTH$}{value}")
    }

    /// A line if there is a value.
    pub(super) fn maybe(&mut self, key: impl Display, value: Option<impl Display>) -> io::Result<()> {
        value.map_or(Ok(()), |value| self.row(key, value))
    }

    /// A line for each value.
    pub(super) fn each<V: Display>(&mut self, key: &str, values: impl IntoIterator<Item = V>) -> io::Result<()> {
        values.into_iter().try_for_each(|value| self.row(key, value))
    }

    /// The first `limit` files, padding left out: size, exact size and path of each.
    pub(super) fn files(&mut self, info: &Info, limit: usize) -> io::Result<()> {
        // Read twice rather than kept: a torrent can name millions, and paths take more memory than the torrent did.
        let files = || info.files().filter(|file| !file.pad).take(limit);
        let longest = files().map(|file| file.length).max().unwrap_or_default();
        let width = thousands(longest).len();
        let mut listed = 0;
        for file in files() {
            let (size, exact) = (size(file.length), thousands(file.length));
            let path = plain(file.path_lossy().as_bytes());
            writeln!(self.out, "  {size:>SIZE_WIDTH$}  {exact:>width$} B  {path}")?;
            listed += 1;
        }
        match info.file_count().saturating_sub(listed) {
            0 => Ok(()),
            1 => writeln!(self.out, "  ... and 1 more file"),
            more => writeln!(self.out, "  ... and {} more files", thousands(more)),
        }
    }
}

/// Bytes in the unit that people read, and exactly where that rounds: `1.5 KiB (1,536 B)`.
pub(super) fn exact_size(bytes: u64) -> String {
    if bytes < 1024 {
        return size(bytes);
    }
    format!("{} ({} B)", size(bytes), thousands(bytes))
}
