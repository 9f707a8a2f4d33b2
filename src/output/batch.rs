//! Results of `fetch`: rows to stdout, or to a file with a journal that lets the same command go on.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use anyhow::Context;
use host::AppendFile;
use store::journal::{Done, Entry, Mark, Note};
use store::{Form, Sealed, StoreError, Veil, batch, json, metadata, survey};

use super::veil::veiled;
use super::{Table, cut, row, to_stdout};
use crate::args::FetchArgs;
use crate::exit::{BadInput, at};
use crate::job::harvest::Harvested;
use crate::report::note;

/// What became of a result.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kept {
    /// It is where it belongs: a success, or not.
    Yes(bool),
    /// Nobody reads stdout any more.
    Nowhere,
}

/// The open output of one fetch.
pub struct Results {
    all: bool,
    jsonl: bool,
    /// Tells a person what came of each.
    tells: bool,
    torrents: Option<PathBuf>,
    veil: Veil,
    file: Option<File>,
    fetched: u64,
    failed: u64,
    block: Vec<u8>,
    /// Rows for stdout that were not said yet; at most [`UNSAID_MAX`] and one more.
    unsaid: Vec<u8>,
    /// So many bytes of rows may wait: none where a person sees them come.
    may_wait: usize,
}

/// Rows for a pipe wait until there are as many bytes of them, or for the next [`Results::say`]: a call for each row would
/// wake whoever reads them each time, too.
const UNSAID_MAX: usize = 16 << 10;

struct File {
    path: PathBuf,
    /// `None` after a write that failed.
    rows: Option<Sealed<AppendFile, AppendFile>>,
}

impl Results {
    /// Opens the output of `args`; `earlier` hears what its journal says. Addresses are shown as `veil` says. `tells` tells a person what came of each.
    ///
    /// # Errors
    ///
    /// [`BadInput`] for files that are not ours; otherwise what the file system says, in one line.
    pub fn open(args: &FetchArgs, veil: Veil, tells: bool, earlier: impl FnMut(Entry)) -> anyhow::Result<Self> {
        let torrents = args.save_torrents.then(|| args.data_dir.join("torrents"));
        let mut results = Self {
            all: args.rows.all,
            jsonl: args.rows.jsonl,
            tells,
            torrents,
            veil,
            file: None,
            fetched: 0,
            failed: 0,
            block: Vec::new(),
            unsaid: Vec::new(),
            may_wait: if io::stdout().is_terminal() { 0 } else { UNSAID_MAX },
        };
        if let Some(path) = &args.rows.output {
            let rows = open_file(path, results.form(), args.rows.fresh, earlier)?;
            results.file = Some(File {
                path: path.clone(),
                rows: Some(rows),
            });
        } else if !results.form().header.is_empty() {
            to_stdout(format!("{}\n", results.form().header).as_bytes())?;
        }
        if let Some(dir) = &results.torrents {
            host::create_dir(dir).map_err(|error| at(error, "--data-dir"))?;
        }
        Ok(results)
    }

    const fn form(&self) -> Form {
        match (self.jsonl, self.all) {
            (true, _) => json::FORM,
            (false, true) => metadata::FORM,
            (false, false) => batch::FORM,
        }
    }

    /// Infohashes of this run with metadata, and without.
    pub const fn counts(&self) -> (u64, u64) {
        (self.fetched, self.failed)
    }

    /// Writes what came of one infohash, which was wanted at byte `at` of its list. What was abandoned is not written: it
    /// is not done.
    ///
    /// # Errors
    ///
    /// When a file or stdout cannot be written; what the file has is whole then, too.
    pub fn record(&mut self, harvested: &Harvested, at: u64) -> anyhow::Result<Kept> {
        if self.tells {
            row::tell(harvested);
        }
        if harvested.is_abandoned() {
            return Ok(Kept::Yes(false));
        }
        self.block.clear();
        let shown = veiled(&self.veil, harvested);
        let fetched = match (self.jsonl, self.all) {
            (true, failures) => row::put_json(&shown, failures, &mut self.block),
            (false, true) => Table::Metadata.put(&shown, &mut self.block).is_some(),
            (false, false) => row::put_batch(&shown, &mut self.block),
        };
        if let (Some(dir), true) = (&self.torrents, fetched) {
            row::save_torrent(dir, harvested)?;
        }
        if fetched {
            self.fetched += 1;
        } else {
            self.failed += 1;
        }
        let is_kept = match &mut self.file {
            Some(file) => file.put(harvested, fetched, &self.block, at).map(|()| true)?,
            None => {
                self.unsaid.extend_from_slice(&self.block);
                self.unsaid.len() <= self.may_wait || self.say()?
            }
        };
        Ok(if is_kept { Kept::Yes(fetched) } else { Kept::Nowhere })
    }

    /// Writes the rows that wait to stdout; false if nobody reads it any more. To be called once a second.
    ///
    /// # Errors
    ///
    /// When stdout cannot be written.
    pub fn say(&mut self) -> anyhow::Result<bool> {
        if self.unsaid.is_empty() {
            return Ok(true);
        }
        let said = to_stdout(&self.unsaid);
        // Nothing is said twice, whatever became of it.
        self.unsaid.clear();
        said
    }

    /// Remembers how far the list is done.
    ///
    /// # Errors
    ///
    /// When the journal cannot be written.
    pub fn mark(&mut self, mark: Mark) -> anyhow::Result<()> {
        match self.file.as_mut().and_then(|file| file.rows.as_mut()) {
            Some(rows) => Ok(rows.note(Note::Read(mark))?),
            None => Ok(()),
        }
    }

    /// Waits until the disk has every row.
    ///
    /// # Errors
    ///
    /// When it cannot take them.
    pub fn seal(&mut self) -> anyhow::Result<()> {
        if let Some(rows) = self.file.as_mut().and_then(|file| file.rows.take()) {
            let (mut rows, mut journal) = rows.into_parts();
            rows.sync()?;
            journal.sync()?;
        }
        Ok(())
    }
}

impl File {
    fn put(&mut self, harvested: &Harvested, fetched: bool, block: &[u8], at: u64) -> anyhow::Result<()> {
        let Some(rows) = &mut self.rows else {
            anyhow::bail!("an earlier write to {} failed", self.path.display());
        };
        let info_hash = harvested.info_hash;
        let done = Done {
            info_hash,
            metadata_ok: fetched,
        };
        let failed = (!fetched).then_some(Note::Failed { info_hash, at });
        let written = match failed {
            Some(failed) if block.is_empty() => rows.note(failed),
            failed => rows.put_with(done, block, failed),
        };
        if let Err(error) = written {
            self.cut_torn();
            return Err(error.into());
        }
        Ok(())
    }

    /// After a write that failed: takes away what it left of a block, so that readers of the file find whole rows.
    fn cut_torn(&mut self) {
        if let Some(rows) = self.rows.take() {
            let whole = rows.whole();
            let (mut rows, _) = rows.into_parts();
            // Should that fail, too, the next run cuts it: the journal knows.
            let _ = rows.cut(whole);
        }
    }
}

/// The journal of an output file stands beside it and has its name.
fn journal_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".journal");
    PathBuf::from(name)
}

fn open_file(
    path: &Path,
    form: Form,
    fresh: bool,
    earlier: impl FnMut(Entry),
) -> anyhow::Result<Sealed<AppendFile, AppendFile>> {
    let journal = journal_of(path);
    if fresh {
        for old in [path, &journal] {
            if let Some(aside) = host::set_aside(old)? {
                note(&format!("{} is set aside as {}", old.display(), aside.display()));
            }
        }
    }
    let mut rows = AppendFile::open(path).map_err(|error| at(error, "--output"))?;
    let mut records = AppendFile::open(&journal).map_err(|error| at(error, "--output"))?;
    let standing = survey(form, &mut rows, &mut records).map_err(|error| refused(error, path, &journal))?;
    cut(&mut rows, &mut records, &standing)?;
    let sealed = Sealed::begin(rows, records, &standing, earlier);
    sealed.with_context(|| format!("cannot continue {}", path.display()))
}

fn refused(error: StoreError, path: &Path, journal: &Path) -> anyhow::Error {
    let what = match error {
        StoreError::NotOurTable { .. } => path,
        StoreError::Foreign | StoreError::Newer { .. } => journal,
        StoreError::Io(_) | StoreError::Changed => {
            return anyhow::Error::new(error).context(format!("cannot read {}", path.display()));
        }
    };
    let advice = "the same --all and --jsonl as before go on, --fresh sets it aside, or name another --output";
    BadInput(format!("{}: {error}; {advice}", what.display())).into()
}
