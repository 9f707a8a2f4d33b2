//! What a table and its journal are worth after a kill: how much of each to keep.
//!
//! The rule. The table is the truth, and the journal says where its blocks end. A record precedes its block, so a kill
//! leaves either the whole block (kept), or a record whose block is torn or absent: then table and journal are cut back
//! to where that block would begin, and the infohash is not done. Rows that no record covers were not written through
//! the journal (an older file, a lost data directory): they are adopted, so that what a file says is done stays done.

use std::io::{self, BufReader, Read, Seek, SeekFrom};

use thiserror::Error;

use crate::form::Form;
use crate::journal::{self, Beginning, Line, Record};

/// Why table and journal cannot be continued.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Reading or writing failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The journal's file is something else.
    #[error("not a resume journal of estudely")]
    Foreign,
    /// The journal was written by a newer program.
    #[error("a resume journal of format {found}, newer than this program's {}", journal::VERSION)]
    Newer {
        /// Its format.
        found: u32,
    },
    /// The table's file is something else; appending would spoil it.
    #[error("a file that does not begin with `{begins}`")]
    NotOurTable {
        /// What was looked for.
        begins: &'static str,
    },
    /// Table or journal is not as long as [`survey`] said to cut it.
    #[error("the file changed while it was being opened")]
    Changed,
}

/// How much of table and journal to keep. Cut both to these lengths, the table first: should a kill come between, the
/// journal still says which block is torn.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    /// Bytes of the table.
    pub table: u64,
    /// Bytes of the journal.
    pub journal: u64,
    /// Bytes of the table that the kept records cover; what lies between this and `table` is to be adopted.
    pub(crate) covered: u64,
    /// The table's form; `None` when there is no table.
    pub(crate) form: Option<Form>,
}

/// Finds how much of `table`, which is to have that `form`, and of its `journal` to keep. Either may be empty.
///
/// # Errors
///
/// [`StoreError`] if one of the files is not ours, or cannot be read. Nothing has been changed.
pub fn survey<T: Read + Seek, J: Read + Seek>(
    form: Form,
    table: &mut T,
    journal: &mut J,
) -> Result<Standing, StoreError> {
    let len = table.seek(SeekFrom::End(0))?;
    check_beginning(form, table)?;
    let mut chain = follow(journal, len)?;
    if let Some(last) = chain.last_block
        && !holds(table, &last)?
    {
        // Somebody edited the table: where the blocks lie now, only its rows can tell.
        chain = Chain {
            journal: journal::HEADER_LEN,
            ..Chain::default()
        };
    }
    let limit = chain.beyond.map_or(len, |record| record.start().min(len));
    Ok(Standing {
        table: last_line_end(table, chain.covered, limit)?,
        journal: chain.journal,
        covered: chain.covered,
        form: Some(form),
    })
}

/// As [`survey`], for a run that keeps a journal and no table.
///
/// # Errors
///
/// [`StoreError`] if the file is not a journal of ours, or cannot be read.
pub fn survey_journal<J: Read + Seek>(journal: &mut J) -> Result<Standing, StoreError> {
    let chain = follow(journal, u64::MAX)?;
    Ok(Standing {
        table: 0,
        journal: chain.journal,
        covered: chain.covered,
        form: None,
    })
}

/// The journal's unbroken beginning, as far as the table reaches.
#[derive(Default)]
struct Chain {
    /// Bytes of the journal.
    journal: u64,
    /// Where the last kept record's block ends.
    covered: u64,
    /// The last kept record that has a block.
    last_block: Option<Record>,
    /// The first record whose block the table does not hold to its end.
    beyond: Option<Record>,
}

fn follow<J: Read + Seek>(journal: &mut J, table_len: u64) -> Result<Chain, StoreError> {
    journal.seek(SeekFrom::Start(0))?;
    let mut input = BufReader::new(journal);
    let mut chain = Chain::default();
    match journal::begin(&mut input)? {
        Beginning::New => return Ok(chain),
        Beginning::Ours => chain.journal = journal::HEADER_LEN,
        Beginning::Newer(found) => return Err(StoreError::Newer { found }),
        Beginning::Foreign => return Err(StoreError::Foreign),
    }
    while let Some(line) = journal::next(&mut input)? {
        let Line::Block(record) = line else {
            chain.journal += journal::RECORD_LEN;
            continue;
        };
        if record.start() < chain.covered {
            break;
        }
        if record.end > table_len {
            chain.beyond = Some(record);
            break;
        }
        chain.journal += journal::RECORD_LEN;
        chain.covered = record.end;
        if record.len > 0 {
            chain.last_block = Some(record);
        }
    }
    Ok(chain)
}

/// Whether the block of `record` is where the record says.
fn holds<T: Read + Seek>(table: &mut T, record: &Record) -> io::Result<bool> {
    table.seek(SeekFrom::Start(record.start()))?;
    let mut block = Vec::new();
    table.take(u64::from(record.len)).read_to_end(&mut block)?;
    Ok(journal::sum(&block) == record.sum)
}

/// A table begins as its form says, or with as much of it as a kill let through.
fn check_beginning<T: Read + Seek>(form: Form, table: &mut T) -> Result<(), StoreError> {
    let begins = form.begins;
    table.seek(SeekFrom::Start(0))?;
    let mut text = Vec::new();
    let longest = u64::try_from(begins.len() + 5).unwrap_or(u64::MAX);
    table.take(longest).read_to_end(&mut text)?;
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text);
    let whole = match text.strip_prefix(begins.as_bytes()) {
        // A header is a whole line; without one the first row goes on.
        Some(after) => {
            form.header.is_empty() || after.is_empty() || after.starts_with(b"\n") || after.starts_with(b"\r")
        }
        None => begins.as_bytes().starts_with(text),
    };
    if whole {
        Ok(())
    } else {
        Err(StoreError::NotOurTable { begins })
    }
}

/// Bytes of `table` up to the end of its last whole line: what to keep of a table without a journal (`peers.csv`).
///
/// # Errors
///
/// Those of reading.
pub fn whole_lines<T: Read + Seek>(table: &mut T) -> io::Result<u64> {
    let len = table.seek(SeekFrom::End(0))?;
    last_line_end(table, 0, len)
}

/// Whether the first line of `table` is `header`.
///
/// # Errors
///
/// Those of reading.
pub fn begins_with<T: Read + Seek>(table: &mut T, header: &str) -> io::Result<bool> {
    table.seek(SeekFrom::Start(0))?;
    let want = format!("{header}\n");
    let mut found = Vec::new();
    table
        .take(u64::try_from(want.len()).unwrap_or(u64::MAX))
        .read_to_end(&mut found)?;
    Ok(found == want.as_bytes())
}

/// The offset after the last newline in `from..limit`, or `from`. Reads backwards: a torn line is near the end.
fn last_line_end<T: Read + Seek>(table: &mut T, from: u64, limit: u64) -> io::Result<u64> {
    const STEP: u64 = 64 * 1024;
    let mut buffer = Vec::new();
    let mut end = limit;
    while end > from {
        let start = end.saturating_sub(STEP).max(from);
        table.seek(SeekFrom::Start(start))?;
        buffer.clear();
        table.by_ref().take(end - start).read_to_end(&mut buffer)?;
        if let Some(at) = buffer.iter().rposition(|&byte| byte == b'\n') {
            return Ok(start + u64::try_from(at).unwrap_or(0) + 1);
        }
        end = start;
    }
    Ok(from)
}
