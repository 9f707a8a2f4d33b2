//! `analyze stats`.

use std::fmt::Write as _;

use super::args::StatsArgs;
use super::say;
use crate::stage;
use crate::stats::Figures;

/// Counts a file and prints its figures.
pub(super) fn run(args: &StatsArgs) -> anyhow::Result<()> {
    let threads = match args.threads {
        Some(threads) => usize::from(threads),
        None => stage::cores(),
    };
    let figures = stage::count(&args.file, threads)?;
    for not_row in &figures.first_not_rows {
        say::note(&format!(
            "{}:{}: no row: {}",
            args.file.display(),
            not_row.line,
            not_row.why
        ));
    }
    let more = figures.not_rows - figures.first_not_rows.len() as u64;
    if more > 0 {
        say::note(&format!("and {more} more lines that are no rows"));
    }
    say::answer(&text(&figures))?;
    Ok(())
}

fn text(figures: &Figures) -> String {
    let mut text = String::new();
    for (name, value) in [
        ("lines", figures.lines),
        ("true_lines", figures.true_lines),
        ("first_fields", figures.first_fields),
        ("rows", figures.rows),
        ("rows_with_metadata", figures.rows_with_metadata),
        ("rows_without_peer", figures.rows_without_peer),
        ("infohashes", figures.infohashes),
        ("infohashes_with_metadata", figures.infohashes_with_metadata),
        ("headers", figures.headers),
        ("not_rows", figures.not_rows),
    ] {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name} {value}");
    }
    text
}
