//! `analyze sql` and `analyze convert`.

use std::path::Path;

use rustyline::error::ReadlineError;

use super::engine::{ClusterArgs, ConvertArgs, SqlArgs};
use super::report::{open, told};
use super::say;
use crate::sql::{Session, convert};
use crate::stage::{BadInput, find};

/// Asks one question, or what is typed until the end.
pub(super) fn run(args: &SqlArgs) -> anyhow::Result<()> {
    let (question, data) = match args.given.split_first() {
        Some((first, data)) if is_sql(first) => (first.to_str().map(str::to_owned), data.to_vec()),
        _ => (None, args.given.clone()),
    };
    if data.is_empty() {
        return Err(BadInput("no data: name a metadata.txt, or a directory that a crawl left".to_owned()).into());
    }
    let session = open(&find(&data)?, &args.engine, &args.cluster)?;
    match question {
        Some(question) => answer(&session, &question, args)?,
        None => prompt(&session, args)?,
    }
    told(&session);
    Ok(())
}

/// A question, not a file: it has words.
fn is_sql(given: &Path) -> bool {
    !given.exists()
        && given
            .to_str()
            .is_some_and(|text| text.trim().contains([' ', '\n', ';']))
}

fn answer(session: &Session, sql: &str, args: &SqlArgs) -> anyhow::Result<()> {
    if !args.csv {
        let answer = session.ask(sql, args.rows)?;
        return Ok(say::answer(&answer.table(args.rows))?);
    }
    let mut first = true;
    session.each(sql, |piece| Ok(say::answer(&piece.csv(std::mem::take(&mut first)))?))
}

/// Reads statements, each up to its semicolon, and answers them. A mistake is told and is no end.
fn prompt(session: &Session, args: &SqlArgs) -> anyhow::Result<()> {
    let mut editor = rustyline::DefaultEditor::new()?;
    let tables: Vec<&str> = session.tables().map(crate::read::Table::name).collect();
    say::note(&format!(
        "tables: {}; DESCRIBE TABLE tells its columns; end with Ctrl-D",
        tables.join(", ")
    ));
    let mut sql = String::new();
    loop {
        match editor.readline(if sql.is_empty() { "sql> " } else { "...> " }) {
            Ok(line) => {
                sql.push_str(&line);
                sql.push('\n');
                if line.trim_end().ends_with(';') {
                    // What cannot be remembered is no reason to stop.
                    let _ = editor.add_history_entry(sql.trim());
                    try_one(session, &sql, args)?;
                    sql.clear();
                }
            }
            Err(ReadlineError::Interrupted) => sql.clear(),
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(error.into()),
        }
    }
    if !sql.trim().is_empty() {
        try_one(session, &sql, args)?;
    }
    Ok(())
}

fn try_one(session: &Session, sql: &str, args: &SqlArgs) -> anyhow::Result<()> {
    match answer(session, sql, args) {
        Err(error) if error.is::<std::io::Error>() => Err(error),
        Err(error) => {
            say::error(&error);
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

/// Writes all tables as Parquet.
pub(super) fn run_convert(args: &ConvertArgs) -> anyhow::Result<()> {
    let found = find(&args.data)?;
    let mut session = open(&found, &args.engine, &ClusterArgs::default())?;
    for done in convert(&mut session, &args.parquet)? {
        say::note(&format!(
            "{}: {} rows, {} bytes in {}",
            done.table.name(),
            done.rows,
            done.bytes,
            done.dir.display()
        ));
    }
    told(&session);
    Ok(())
}
