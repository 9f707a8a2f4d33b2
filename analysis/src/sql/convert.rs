//! Tables as Parquet: a directory for each, by the hour where a table has times.

use std::path::{Path, PathBuf};

use super::{Session, views};
use crate::read::{Kind, Table};
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
pub fn convert(session: &mut Session, dir: &Path) -> anyhow::Result<Vec<Converted>> {
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

fn write(session: &mut Session, table: Table, dir: &Path) -> anyhow::Result<u64> {
    let path = dir.display().to_string();
    let path = path.replace('\'', "''");
    let names: Vec<String> = views::columns(table)
        .iter()
        .map(|(name, _)| views::quoted(name))
        .collect();
    let names = names.join(", ");
    // Infohashes in their order begin alike. What was too long to be kept lies as it does in its files.
    session.keep(&[table])?;
    let order = if session.is_sorted(table)? {
        " ORDER BY infohash"
    } else {
        ""
    };
    let options = options(table);
    let hours = session.has(table, "time_ms");
    let sql = if hours {
        let hour = "coalesce(to_char(to_timestamp_millis(time_ms), '%Y-%m-%dT%H'), 'unknown')";
        format!(
            "COPY (SELECT crawl, {names}, {hour} AS hour FROM {}{order}) TO '{path}/' STORED AS PARQUET PARTITIONED BY (hour) {options}",
            table.name()
        )
    } else {
        format!(
            "COPY (SELECT crawl, {names} FROM {}{order}) TO '{path}/' STORED AS PARQUET {options}",
            table.name()
        )
    };
    let answer = session.ask(&sql, 1)?;
    let count = answer.numbers.first().and_then(|row| row.first().copied().flatten());
    Ok(count.unwrap_or(0.0) as u64)
}

/// How the columns of a table are packed. Of most strings here there are too many for a dictionary, which is then in the way.
fn options(table: Table) -> String {
    let mut options = vec![
        ("format.compression".to_owned(), "zstd(3)"),
        // What comes again is found within a page only: pages of many rows.
        ("format.data_page_row_count_limit".to_owned(), "1000000"),
        ("format.data_pagesize_limit".to_owned(), "16777216"),
    ];
    for field in table.fields() {
        // Addresses come again far away, names have words in common: worth looking for. In digits of hashes nothing comes again but by chance,
        // and to say where costs more than the digits.
        let (encoding, level) = match field.kind {
            Kind::Hash => ("delta_byte_array", "zstd(1)"),
            Kind::Ip => ("plain", "zstd(12)"),
            Kind::Text => ("delta_byte_array", "zstd(9)"),
            Kind::Count if matches!(field.name, "total_bytes" | "length") => ("plain", "zstd(9)"),
            Kind::Port => ("byte_stream_split", "zstd(3)"),
            _ => continue,
        };
        let of = |option: &str| format!("format.{option}::{}", field.name);
        options.push((of("dictionary_enabled"), "false"));
        options.push((of("encoding"), encoding));
        options.push((of("compression"), level));
    }
    let options: Vec<String> = options
        .iter()
        .map(|(name, value)| format!("'{name}' '{value}'"))
        .collect();
    format!("OPTIONS ({})", options.join(", "))
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
