//! Tables as Parquet: a directory for each, by the hour where a table has times.

use std::path::{Path, PathBuf};

use super::{Session, views};
use crate::read::Table;
use crate::stage::BadInput;

/// One table that was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Converted {
    /// Which.
    pub table: Table,
    /// Where.
    pub dir: PathBuf,
    /// Its rows.
    pub rows: u64,
    /// Bytes of its files.
    pub bytes: u64,
}

/// Writes all tables of a session below `dir`.
///
/// # Errors
///
/// [`BadInput`] if a table is there already; those of reading and writing.
pub fn convert(session: &Session, dir: &Path) -> anyhow::Result<Vec<Converted>> {
    let tables: Vec<Table> = session.tables().collect();
    for table in &tables {
        let dir = dir.join(table.name());
        if dir.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(BadInput::at(
                &dir,
                None,
                "not empty; name a directory of its own, since rows of several would mix",
            )
            .into());
        }
    }
    let mut done = Vec::new();
    for table in tables {
        let dir = dir.join(table.name());
        std::fs::create_dir_all(&dir)?;
        let rows = write(session, table, &dir)?;
        let mut bytes = 0;
        measure(&dir, &mut bytes)?;
        done.push(Converted {
            table,
            dir,
            rows,
            bytes,
        });
    }
    Ok(done)
}

fn write(session: &Session, table: Table, dir: &Path) -> anyhow::Result<u64> {
    let path = dir.display().to_string();
    let path = path.replace('\'', "''");
    let names: Vec<String> = views::columns(table)
        .iter()
        .map(|(name, _)| views::quoted(name))
        .collect();
    let names = names.join(", ");
    // Neighbours share their infohash, or its beginning: what differs from the one before is little, and packs better than a
    // dictionary that overflows.
    let options = "OPTIONS ('format.compression' 'zstd(3)', 'format.encoding::infohash' 'delta_byte_array', \
                   'format.dictionary_enabled::infohash' 'false')";
    let hours = session.has(table, "time_ms");
    let sql = if hours {
        let hour = "coalesce(to_char(to_timestamp_millis(time_ms), '%Y-%m-%dT%H'), 'unknown')";
        format!(
            "COPY (SELECT crawl, {names}, {hour} AS hour FROM {}) TO '{path}/' STORED AS PARQUET PARTITIONED BY (hour) {options}",
            table.name()
        )
    } else {
        format!(
            "COPY (SELECT crawl, {names} FROM {}) TO '{path}/' STORED AS PARQUET {options}",
            table.name()
        )
    };
    let answer = session.ask(&sql, 1)?;
    let count = answer.numbers.first().and_then(|row| row.first().copied().flatten());
    Ok(count.unwrap_or(0.0) as u64)
}

fn measure(dir: &Path, bytes: &mut u64) -> std::io::Result<()> {
    for entry in dir.read_dir()? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            measure(&entry.path(), bytes)?;
        } else {
            *bytes += metadata.len();
        }
    }
    Ok(())
}
