//! Which files are which table: for each table one view over all files that feed it, as SQL.

use std::fmt::Write as _;

use super::build::{COUNTED, Cut, data_type};
use crate::read::{Form, Table};

/// Where rows of a table come from: one crawl's files of one form, or Parquet files with the columns of the table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Feed {
    /// The name of the engine's own table.
    pub(super) name: String,
    /// Whose rows they are; Parquet says itself.
    pub(super) crawl: Option<String>,
    /// The form of CSV; `None` of Parquet.
    pub(super) form: Option<Form>,
}

/// What of a form a table is made of.
pub(super) const fn cut(table: Table, form: Form) -> Cut {
    match (table, form) {
        (Table::Torrents, _) => Cut::Torrents,
        (Table::Peers, Form::Metadata | Form::PeerList) => Cut::Peers,
        _ => Cut::Whole,
    }
}

/// The columns of a table after `crawl`, with their type in SQL.
pub(super) fn columns(table: Table) -> Vec<(&'static str, &'static str)> {
    let mut columns: Vec<_> = table
        .fields()
        .iter()
        .map(|field| (field.name, sql_type(&data_type(field.kind))))
        .collect();
    if table == Table::Torrents {
        columns.extend(COUNTED.map(|name| (name, "BIGINT")));
    }
    columns
}

const fn sql_type(kind: &datafusion::arrow::datatypes::DataType) -> &'static str {
    use datafusion::arrow::datatypes::DataType;
    match kind {
        DataType::Int64 => "BIGINT",
        DataType::Int32 => "INT",
        DataType::Float64 => "DOUBLE",
        DataType::Boolean => "BOOLEAN",
        _ => "VARCHAR",
    }
}

/// The view of a table, fed by these.
pub(super) fn view(table: Table, feeds: &[Feed]) -> String {
    let mut parts = Vec::new();
    let parquet = feeds.iter().filter(|feed| feed.form.is_none());
    for feed in parquet {
        let names: Vec<String> = columns(table).iter().map(|(name, _)| quoted(name)).collect();
        parts.push(format!("SELECT crawl, {} FROM {}", names.join(", "), feed.name));
    }
    let csv = || feeds.iter().filter(|feed| feed.form.is_some());
    if table == Table::Torrents {
        let mut crawls: Vec<&str> = csv().filter_map(|feed| feed.crawl.as_deref()).collect();
        crawls.sort_unstable();
        crawls.dedup();
        for crawl in crawls {
            let of = csv().filter(|feed| feed.crawl.as_deref() == Some(crawl));
            parts.push(torrents(crawl, of.map(|feed| feed.name.as_str())));
        }
    } else {
        parts.extend(csv().map(|feed| plain(table, feed)));
    }
    parts.join(" UNION ALL ")
}

/// One row for each infohash: a file may have it in several places.
#[expect(single_use_lifetimes, reason = "an anonymous one in `impl Trait` is unstable")]
fn torrents<'a>(crawl: &str, names: impl Iterator<Item = &'a str>) -> String {
    let all: Vec<String> = names.map(|name| format!("SELECT * FROM {name}")).collect();
    let mut sql = format!("SELECT {} AS crawl, infohash", text(crawl));
    for name in ["name", "file_count", "total_bytes", "piece_length"] {
        let _ = write!(sql, ", max({name}) AS {name}");
    }
    let _ = write!(sql, ", bool_or(metadata_ok) AS metadata_ok");
    for name in COUNTED {
        let _ = write!(sql, ", sum({name}) AS {name}");
    }
    let _ = write!(sql, " FROM ({}) AS t GROUP BY infohash", all.join(" UNION ALL "));
    sql
}

/// The columns that the form has; the others are empty.
fn plain(table: Table, feed: &Feed) -> String {
    let has = |name: &str| {
        let form = feed.form.map(|form| form.columns()).unwrap_or_default();
        form.iter().any(|column| column.name == name)
    };
    let source = match feed.form {
        Some(Form::Metadata) => Some("metadata"),
        Some(Form::PeerList) => Some("list"),
        _ => None,
    };
    let mut sql = format!("SELECT {} AS crawl", text(feed.crawl.as_deref().unwrap_or_default()));
    for (name, kind) in columns(table) {
        let name = quoted(name);
        let _ = match source {
            Some(source) if name == "source" => write!(sql, ", '{source}' AS source"),
            _ if has(name.trim_matches('"')) => write!(sql, ", {name}"),
            _ => write!(sql, ", CAST(NULL AS {kind}) AS {name}"),
        };
    }
    let _ = write!(sql, " FROM {}", feed.name);
    sql
}

/// A name that SQL would take for a word of its own.
pub(super) fn quoted(name: &str) -> String {
    if matches!(name, "index" | "interval" | "round") {
        format!("\"{name}\"")
    } else {
        name.to_owned()
    }
}

/// Text as SQL has it.
fn text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_crawls_are_text_in_sql() {
        let feed = |form| Feed {
            name: "t0".to_owned(),
            crawl: Some("o'one".to_owned()),
            form: Some(form),
        };
        let sql = view(Table::Peers, &[feed(Form::Metadata)]);
        assert!(sql.starts_with("SELECT 'o''one' AS crawl, CAST(NULL AS BIGINT) AS time_ms, infohash, peer_ip, peer_port, 'metadata' AS source"));
        let sql = view(Table::Torrents, &[feed(Form::Metadata), feed(Form::Batch)]);
        assert!(sql.contains("SELECT * FROM t0 UNION ALL SELECT * FROM t0") && sql.ends_with("GROUP BY infohash"));
    }
}
