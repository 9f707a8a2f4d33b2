//! Where rows go: the output file with its journal, stdout, or both. The same bytes to each (OUT-02).

mod batch;
mod record;
mod row;
mod veil;

use std::collections::BTreeSet;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use host::{AppendFile, DirLock, FileError};
use store::journal::{Done, Entry};
use store::{Form, Manifest, Sealed, Standing, StoreError, Veil, metadata, peers, survey};
use wire::InfoHash;

use crate::args::OutArgs;
use crate::bad_input;
use crate::exit::at;
use crate::job::harvest::Harvested;
use crate::report::{note, plain};

pub use batch::{Kept, Results};
pub use record::{FOLDER, Recorder, figures as recorded};
pub use veil::veil;

/// Which table a run fills.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Table {
    /// `metadata.txt`: one row per peer with the torrent's columns.
    Metadata,
    /// `peers.csv`: one row per peer.
    Peers,
}

impl Table {
    const fn form(self) -> Form {
        match self {
            Self::Metadata => metadata::FORM,
            Self::Peers => peers::FORM,
        }
    }

    /// Appends the rows of one infohash; gives what they say of its metadata, if they have any.
    pub fn put(self, harvested: &Harvested, out: &mut Vec<u8>) -> Option<Got> {
        row::put(self, harvested, out)
    }

    const fn default_name(self) -> &'static str {
        match self {
            Self::Metadata => "metadata.txt",
            Self::Peers => "peers.csv",
        }
    }

    const fn journal_name(self) -> &'static str {
        match self {
            Self::Metadata => "metadata.journal",
            Self::Peers => "peers.journal",
        }
    }

    const fn retries_name(self) -> &'static str {
        match self {
            Self::Metadata => "retries.csv",
            Self::Peers => "peers.retries.csv",
        }
    }

    const fn network_name(self) -> &'static str {
        match self {
            Self::Metadata => "metadata.network",
            Self::Peers => "peers.network",
        }
    }
}

/// What a block of rows came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Written {
    /// The rows are where they belong, with metadata or without.
    Rows(Option<Got>),
    /// Nobody takes rows any more: there is no file, and stdout is closed.
    Nowhere,
}

/// What the rows of an infohash with metadata say of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Got {
    /// The name, as text.
    pub name: String,
    /// Files without padding.
    pub file_count: u64,
    /// Bytes without padding.
    pub total_bytes: u64,
}

/// The open output of one run.
pub struct Output {
    table: Table,
    file: Option<Sealed<AppendFile, AppendFile>>,
    path: Option<PathBuf>,
    /// Rows go to stdout, too, and somebody reads it.
    stdout: bool,
    torrents: Option<PathBuf>,
    data_dir: Option<PathBuf>,
    veil: Veil,
    /// Rows of a run without a file, for a lab's comparison.
    kept: Option<Vec<u8>>,
    block: Vec<u8>,
    /// Held to the end: two runs do not share a data directory.
    _lock: Option<DirLock>,
}

/// An output, and the infohashes that earlier runs are done with.
pub struct Opened {
    /// Where rows go.
    pub output: Output,
    /// Done by earlier runs: not to be done again.
    pub done: BTreeSet<InfoHash>,
}

impl Output {
    /// Opens the output of `args`. A torn end is cut, files of other networks are refused, and with `--fresh` all old
    /// files are set aside first. Addresses are shown as `veil` says. `keep` keeps the rows of a run without a file for [`Output::rows`].
    ///
    /// # Errors
    ///
    /// [`BadInput`](crate::exit::BadInput) for files that are not ours or of another network; otherwise what the file
    /// system says, in one line.
    pub fn open(table: Table, args: &OutArgs, network: &str, veil: Veil, keep: bool) -> anyhow::Result<Opened> {
        let stdout = args.stdout_only || args.stdout || !io::stdout().is_terminal();
        let mut output = Self {
            table,
            file: None,
            path: None,
            stdout,
            torrents: None,
            data_dir: None,
            veil,
            kept: None,
            block: Vec::new(),
            _lock: None,
        };
        let mut done = BTreeSet::new();
        if args.stdout_only {
            output.kept = keep.then(|| format!("{}\n", table.form().header).into_bytes());
        } else {
            output.open_files(args, network, &mut done)?;
        }
        if args.save_torrents {
            let dir = args.data_dir.join("torrents");
            host::create_dir(&dir).map_err(|error| at(error, "--data-dir"))?;
            output.torrents = Some(dir);
        }
        output.print(format!("{}\n", table.form().header).as_bytes())?;
        Ok(Opened { output, done })
    }

    fn open_files(&mut self, args: &OutArgs, network: &str, done: &mut BTreeSet<InfoHash>) -> anyhow::Result<()> {
        let path = args
            .output
            .clone()
            .unwrap_or_else(|| PathBuf::from(self.table.default_name()));
        let journal = args.data_dir.join(self.table.journal_name());
        let retries = args.data_dir.join(self.table.retries_name());
        let network_file = args.data_dir.join(self.table.network_name());
        let in_data_dir = |error| at(error, "--data-dir");
        self._lock = Some(DirLock::acquire(&args.data_dir).map_err(in_data_dir)?);
        if args.fresh {
            for old in [
                &path,
                &journal,
                &network_file,
                &retries,
                &args.data_dir.join(FOLDER),
                &manifest_path(&args.data_dir),
                &args.data_dir.join("dht.state"),
            ] {
                if let Some(aside) = host::set_aside(old)? {
                    note(&format!("{} is set aside as {}", old.display(), aside.display()));
                }
            }
        }
        let is_named = check_network(&network_file, network)?;
        let mut rows = AppendFile::open(&path).map_err(|error| at(error, "--output"))?;
        let mut journal = AppendFile::open(&journal).map_err(in_data_dir)?;
        let standing = survey(self.table.form(), &mut rows, &mut journal)
            .map_err(|error| refused(error, &path, &args.data_dir))?;
        cut(&mut rows, &mut journal, &standing)?;
        if !is_named {
            host::replace_file(&network_file, network.as_bytes())?;
        }
        let sealed = Sealed::begin(rows, journal, &standing, |earlier| {
            if let Entry::Done(earlier) = earlier {
                done.insert(earlier.info_hash);
            }
        });
        self.file = Some(sealed.with_context(|| format!("cannot continue {}", path.display()))?);
        self.path = Some(path);
        self.data_dir = Some(args.data_dir.clone());
        Ok(())
    }

    /// Writes the rows of one infohash, whole, wherever rows go.
    ///
    /// # Errors
    ///
    /// When the file cannot be written, or stdout where there is no file; what the file has is whole then, too.
    pub fn record(&mut self, harvested: &Harvested) -> anyhow::Result<Written> {
        self.block.clear();
        let got = self.table.put(&veil::veiled(&self.veil, harvested), &mut self.block);
        let metadata_ok = got.is_some();
        let block = std::mem::take(&mut self.block);
        if let (Some(dir), true) = (&self.torrents, metadata_ok) {
            row::save_torrent(dir, harvested)?;
        }
        let done = Done {
            info_hash: harvested.info_hash,
            metadata_ok,
        };
        if let Some(file) = &mut self.file
            && let Err(error) = file.put(done, &block)
        {
            self.cut_torn();
            return Err(error.into());
        }
        if let Some(kept) = &mut self.kept {
            kept.extend_from_slice(&block);
        }
        self.print(&block)?;
        self.block = block;
        let nowhere = self.file.is_none() && !self.stdout;
        Ok(if nowhere { Written::Nowhere } else { Written::Rows(got) })
    }

    /// After a write that failed: takes away what it left of a block, so that readers of the file find whole rows.
    fn cut_torn(&mut self) {
        if let Some(file) = self.file.take() {
            let whole = file.whole();
            let (mut rows, _) = file.into_parts();
            // Should that fail, too, the next run cuts it: the journal knows.
            let _ = rows.cut(whole);
        }
    }

    /// A closed pipe is an ordinary event, and with a file any trouble of stdout is: the file goes on.
    fn print(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        if !self.stdout {
            return Ok(());
        }
        let trouble = match to_stdout(bytes) {
            Ok(true) => return Ok(()),
            Ok(false) => "stdout is closed".to_owned(),
            Err(error) if self.path.is_none() => return Err(error),
            Err(error) => format!("{error:#}"),
        };
        self.stdout = false;
        match &self.path {
            Some(path) => note(&format!("{trouble}; rows go on to {}", path.display())),
            None => note(&format!("{trouble}, and there is no file: nothing more to write to")),
        }
        Ok(())
    }

    /// Whether rows go to a terminal, where they would mix with a progress display.
    pub fn is_on_terminal(&self) -> bool {
        self.stdout && io::stdout().is_terminal()
    }

    /// The file for what waits for another round, if this run has files.
    pub fn retries_path(&self) -> Option<PathBuf> {
        let dir = self.data_dir.as_ref()?;
        Some(dir.join(self.table.retries_name()))
    }

    /// The file that rows go to.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// All rows, those of earlier runs included, to be read.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn rows(&self) -> anyhow::Result<Vec<u8>> {
        Ok(match (&self.path, &self.kept) {
            (Some(path), _) => host::read_file(path)?.unwrap_or_default(),
            (None, Some(kept)) => kept.clone(),
            (None, None) => Vec::new(),
        })
    }

    /// Writes run.json, whole.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn write_manifest(&self, manifest: &Manifest) -> anyhow::Result<()> {
        let Some(dir) = &self.data_dir else { return Ok(()) };
        let mut text = Vec::new();
        manifest.write(&mut text)?;
        host::replace_file(&manifest_path(dir), &text)?;
        Ok(())
    }

    /// Waits until the disk has every row.
    ///
    /// # Errors
    ///
    /// When it cannot take them.
    pub fn seal(&mut self) -> anyhow::Result<()> {
        if let Some(file) = self.file.take() {
            let (mut rows, mut journal) = file.into_parts();
            rows.sync()?;
            journal.sync()?;
        }
        Ok(())
    }
}

fn manifest_path(data_dir: &Path) -> PathBuf {
    data_dir.join("run.json")
}

/// Rows of a lab and of the Internet in one file would be a lie in either: the first run says which network the table is
/// of, and later ones must agree. Whether it was said.
fn check_network(path: &Path, network: &str) -> anyhow::Result<bool> {
    match host::read_file(path)? {
        None => Ok(false),
        Some(earlier) if earlier == network.as_bytes() => Ok(true),
        Some(earlier) => bad_input!(
            "{}: these rows are of another network ({}, now {network}): --fresh sets them aside, or name another --data-dir and --output",
            path.display(),
            plain(&earlier)
        ),
    }
}

fn cut(rows: &mut AppendFile, journal: &mut AppendFile, standing: &Standing) -> Result<(), FileError> {
    // The rows first: should a kill come between, the journal still says which block is torn.
    rows.cut(standing.table)?;
    journal.cut(standing.journal)
}

/// Writes to stdout; false when nobody reads it any more, as after `| head`.
fn to_stdout(bytes: &[u8]) -> anyhow::Result<bool> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error).context("cannot write to stdout"),
    }
}

fn refused(error: StoreError, path: &Path, data_dir: &Path) -> anyhow::Error {
    let what = match error {
        StoreError::NotOurTable { .. } => path,
        StoreError::Foreign | StoreError::Newer { .. } => data_dir,
        StoreError::Io(_) | StoreError::Changed => {
            return anyhow::Error::new(error).context(format!("cannot read {}", path.display()));
        }
    };
    crate::exit::BadInput(format!(
        "{}: {error}; --fresh sets it aside, or name another",
        what.display()
    ))
    .into()
}
