//! A table that is written a whole infohash at a time and can be continued after a kill at any byte.

use std::hash::Hasher;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};

use siphasher::sip::SipHasher13;

use crate::form::Form;
use crate::journal::{self, Done, Entry, Note, Record};
use crate::line::{Line, Lines};
use crate::recover::{Standing, StoreError};

/// A table and its journal, open for appending.
///
/// Both are written without a buffer of ours: what [`put`](Sealed::put) has accepted survives the death of the process,
/// and `tail -f` sees it at once. A crash of the machine may lose what its kernel had not yet written; the survey then
/// finds the last block that is whole.
#[derive(Debug)]
pub struct Sealed<T, J> {
    table: T,
    journal: J,
    /// Where the next block will begin.
    end: u64,
    broken: bool,
}

impl<T: Read + Write + Seek, J: Read + Write + Seek> Sealed<T, J> {
    /// Continues files that have been cut to `standing`: writes the headers of new ones, journals rows that no record
    /// covers, and tells `known` of everything in the journal. Without a table, pass [`io::empty`].
    ///
    /// Both must write at their end, as a file opened for appending does.
    ///
    /// # Errors
    ///
    /// [`StoreError::Changed`] if the files were not cut, or those of reading and writing.
    pub fn begin(
        mut table: T,
        mut journal: J,
        standing: &Standing,
        mut known: impl FnMut(Entry),
    ) -> Result<Self, StoreError> {
        let lengths = (table.seek(SeekFrom::End(0))?, journal.seek(SeekFrom::End(0))?);
        if lengths != (standing.table, standing.journal) {
            return Err(StoreError::Changed);
        }
        if standing.journal == 0 {
            journal.write_all(&journal::header())?;
        }
        let mut end = standing.covered.max(standing.table);
        if let Some(form) = standing.form {
            adopt(&mut table, standing.covered..standing.table, form, &mut journal)?;
            if standing.table == 0 && !form.header.is_empty() {
                let line = format!("{}\n", form.header);
                table.write_all(line.as_bytes())?;
                end = length(&line)?.into();
            }
        }
        journal.seek(SeekFrom::Start(0))?;
        let mut input = BufReader::new(&mut journal);
        journal::begin(&mut input)?;
        while let Some(line) = journal::next(&mut input)? {
            known(line.entry());
        }
        journal.seek(SeekFrom::End(0))?;
        table.seek(SeekFrom::End(0))?;
        Ok(Self {
            table,
            journal,
            end,
            broken: false,
        })
    }
}

impl<T: Write, J: Write> Sealed<T, J> {
    /// Appends the rows of one infohash, and makes it done. One write each to journal and table, the journal first.
    ///
    /// Without a table `block` is empty.
    ///
    /// # Errors
    ///
    /// Those of writing. After one, every later call fails, too: the files are torn until they are opened again.
    pub fn put(&mut self, done: Done, block: &[u8]) -> io::Result<()> {
        self.put_with(done, block, None)
    }

    /// As [`put`](Sealed::put), with a note that follows the record in the same write.
    ///
    /// # Errors
    ///
    /// As [`put`](Sealed::put).
    pub fn put_with(&mut self, done: Done, block: &[u8], note: Option<Note>) -> io::Result<()> {
        self.check()?;
        let len = length(block)?;
        let record = Record {
            done,
            end: self.end + u64::from(len),
            len,
            sum: journal::sum(block),
        };
        self.broken = true;
        match note {
            None => self.journal.write_all(&record.encode())?,
            // In one write: a kill leaves both, or a record whose block is torn.
            Some(note) => self.journal.write_all(&[record.encode(), note.encode()].concat())?,
        }
        self.table.write_all(block)?;
        self.end = record.end;
        self.broken = false;
        Ok(())
    }

    /// Appends a note to the journal alone.
    ///
    /// # Errors
    ///
    /// As [`put`](Sealed::put).
    pub fn note(&mut self, note: Note) -> io::Result<()> {
        self.check()?;
        self.broken = true;
        self.journal.write_all(&note.encode())?;
        self.broken = false;
        Ok(())
    }

    fn check(&self) -> io::Result<()> {
        if self.broken {
            return Err(io::Error::other("an earlier write failed"));
        }
        Ok(())
    }

    /// Bytes of the table that are whole blocks: what to cut it to after a [`put`](Sealed::put) that failed.
    pub fn whole(&self) -> u64 {
        self.end
    }

    /// Gives the table and the journal back, to be synced or closed.
    pub fn into_parts(self) -> (T, J) {
        (self.table, self.journal)
    }
}

fn length(block: impl AsRef<[u8]>) -> io::Result<u32> {
    u32::try_from(block.as_ref().len()).map_err(|_| io::Error::other("a block of more than 4 GiB"))
}

/// Journals the rows in `range`: consecutive rows of an infohash are its block. Lines that name none are passed over.
fn adopt<T: Read + Seek>(
    table: &mut T,
    range: std::ops::Range<u64>,
    form: Form,
    journal: &mut impl Write,
) -> io::Result<()> {
    if range.is_empty() {
        return Ok(());
    }
    table.seek(SeekFrom::Start(range.start))?;
    let mut lines = Lines::new(BufReader::new(table.take(range.end - range.start)));
    let mut output = BufWriter::new(journal);
    let mut open: Option<Adopted> = None;
    while let Some(line) = lines.next_line()? {
        let named = line.bytes.and_then(form.done);
        if let Some(block) = &mut open
            && named == Some(block.done)
            && block.take(&line, range.start)
        {
            continue;
        }
        if let Some(block) = open.take() {
            output.write_all(&block.seal().encode())?;
        }
        if let Some(done) = named {
            let mut block = Adopted::new(done);
            if block.take(&line, range.start) {
                open = Some(block);
            }
        }
    }
    if let Some(block) = open {
        output.write_all(&block.seal().encode())?;
    }
    output.flush()
}

/// A block of rows that was not journalled when it was written.
struct Adopted {
    done: Done,
    end: u64,
    len: u32,
    hasher: SipHasher13,
}

impl Adopted {
    fn new(done: Done) -> Self {
        Self {
            done,
            end: 0,
            len: 0,
            hasher: SipHasher13::new(),
        }
    }

    /// Adds a line, unless the block would outgrow its record.
    fn take(&mut self, line: &Line<'_>, base: u64) -> bool {
        let len = u32::try_from(line.raw.len())
            .ok()
            .and_then(|len| self.len.checked_add(len));
        let Some(len) = len else {
            return false;
        };
        self.len = len;
        self.end = base + line.end;
        self.hasher.write(line.raw);
        true
    }

    fn seal(&self) -> Record {
        Record {
            done: self.done,
            end: self.end,
            len: self.len,
            sum: journal::low_half(self.hasher.finish()),
        }
    }
}

#[cfg(test)]
mod tests;
