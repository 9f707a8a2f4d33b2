//! Tables beside the main output, written by a thread of their own: the loop never waits for their disk.
//!
//! Sheets of rows wait in a queue of fixed length. When the disk is slower than the rows come, or does not take them at all, rows are
//! lost, counted, and the reason is told; the run goes on.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use crate::files::{AppendFile, FileError};

/// Rows for the end of one file.
#[derive(Clone, Debug)]
pub struct Sheet {
    /// Which table it is of: each has one file open at a time, the latest that was named.
    pub table: usize,
    /// The file. It is made if it is not there.
    pub path: PathBuf,
    /// What a new file begins with.
    pub header: Vec<u8>,
    /// The rows. They go to the file in one piece, or not at all.
    pub bytes: Vec<u8>,
    /// How many there are, for counting.
    pub rows: u64,
    /// How much of a file that was there before is whole, bytes; the rest is cut.
    pub whole: fn(&mut AppendFile) -> io::Result<u64>,
}

/// What became of the rows so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Rows in files.
    pub rows: u64,
    /// Rows lost because the queue was full: the disk was too slow.
    pub too_slow: u64,
    /// Rows lost because they could not be written.
    pub failed: u64,
    /// Why not, the last time.
    pub why: Option<String>,
}

/// The thread and its queue.
#[derive(Debug)]
pub struct Scribe {
    queue: SyncSender<Sheet>,
    written: Arc<Mutex<Written>>,
    thread: JoinHandle<()>,
}

impl Scribe {
    /// Starts the thread; `most` sheets can wait.
    ///
    /// # Errors
    ///
    /// When the system has no thread to give.
    pub fn start(most: usize) -> io::Result<Self> {
        let (queue, sheets) = sync_channel(most);
        let written = Arc::new(Mutex::new(Written::default()));
        let noted = Arc::clone(&written);
        let thread = std::thread::Builder::new()
            .name("scribe".to_owned())
            .spawn(move || write_all(&sheets, &noted))?;
        Ok(Self { queue, written, thread })
    }

    /// Hands in a sheet. It never waits: with a full queue the rows are lost, and counted.
    pub fn hand_in(&self, sheet: Sheet) {
        match self.queue.try_send(sheet) {
            Ok(()) => {}
            Err(TrySendError::Full(sheet)) => note(&self.written, |written| written.too_slow += sheet.rows),
            Err(TrySendError::Disconnected(sheet)) => note(&self.written, |written| written.failed += sheet.rows),
        }
    }

    /// What became of the rows so far.
    pub fn written(&self) -> Written {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until all that was handed in is on the disk, or is not to be had there.
    pub fn finish(self) -> Written {
        drop(self.queue);
        // A thread that panicked has written what it counted.
        let _ = self.thread.join();
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        written.clone()
    }
}

fn note(written: &Mutex<Written>, change: impl FnOnce(&mut Written)) {
    change(&mut written.lock().unwrap_or_else(PoisonError::into_inner));
}

/// The thread: writes until nobody hands in any more.
fn write_all(sheets: &Receiver<Sheet>, written: &Mutex<Written>) {
    let mut open: Vec<Option<AppendFile>> = Vec::new();
    while let Ok(sheet) = sheets.recv() {
        if open.len() <= sheet.table {
            open.resize_with(sheet.table + 1, || None);
        }
        let Some(place) = open.get_mut(sheet.table) else {
            continue;
        };
        match write(place, &sheet) {
            Ok(()) => note(written, |written| written.rows += sheet.rows),
            Err(error) => {
                // What is torn is cut when it is opened again.
                *place = None;
                note(written, |written| {
                    written.failed += sheet.rows;
                    written.why = Some(error.to_string());
                });
            }
        }
    }
    for mut file in open.into_iter().flatten() {
        if let Err(error) = file.sync() {
            note(written, |written| written.why = Some(error.to_string()));
        }
    }
}

fn write(place: &mut Option<AppendFile>, sheet: &Sheet) -> Result<(), ScribeError> {
    if place.as_ref().is_none_or(|file| file.path() != sheet.path) {
        if let Some(mut done) = place.take() {
            done.sync()?;
        }
        *place = Some(open(&sheet.path, sheet)?);
    }
    if let Some(file) = place {
        file.write_all(&sheet.bytes)?;
    }
    Ok(())
}

fn open(path: &Path, sheet: &Sheet) -> Result<AppendFile, ScribeError> {
    let mut file = AppendFile::open(path)?;
    let whole = (sheet.whole)(&mut file)?;
    file.cut(whole)?;
    if whole == 0 {
        file.write_all(&sheet.header)?;
    }
    Ok(file)
}

/// Both say what was tried, and on which file.
#[derive(Debug, thiserror::Error)]
enum ScribeError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Io(#[from] io::Error),
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{Read, Seek, SeekFrom};
    use std::process::Command;

    use super::*;

    /// Up to the end of the last line.
    fn lines(file: &mut AppendFile) -> io::Result<u64> {
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(0))?;
        file.read_to_end(&mut bytes)?;
        Ok(bytes
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at as u64 + 1))
    }

    fn sheet(path: &Path, row: &str) -> Sheet {
        Sheet {
            table: 0,
            path: path.to_owned(),
            header: b"header\n".to_vec(),
            bytes: format!("{row}\n").into_bytes(),
            rows: 1,
            whole: lines,
        }
    }

    #[test]
    fn a_torn_row_is_cut_and_a_new_file_begins_with_its_header() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (dir.path().join("old"), dir.path().join("new"));
        fs::write(&old, "header\n1\n2tor").unwrap();
        let scribe = Scribe::start(16).unwrap();
        for (path, row) in [(&old, "3"), (&new, "4"), (&new, "5")] {
            scribe.hand_in(sheet(path, row));
        }
        assert_eq!(scribe.finish().rows, 3);
        assert_eq!(fs::read_to_string(&old).unwrap(), "header\n1\n3\n");
        assert_eq!(fs::read_to_string(&new).unwrap(), "header\n4\n5\n");
    }

    #[test]
    fn a_full_disk_costs_rows_and_says_why() {
        let scribe = Scribe::start(16).unwrap();
        let mut full = sheet(Path::new("/dev/full"), "row");
        full.whole = |_| Ok(0);
        (0..3).for_each(|_| scribe.hand_in(full.clone()));
        let written = scribe.finish();
        assert_eq!((written.rows, written.failed), (0, 3));
        let why = written.why.unwrap();
        assert!(why.contains("/dev/full: the disk is full"), "{why}");
    }

    #[test]
    fn a_slow_disk_costs_rows_and_no_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        // A pipe that nobody reads takes 64 KiB and then nothing, as a dead network disk would.
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        let scribe = Scribe::start(4).unwrap();
        let mut stuck = sheet(&path, "row");
        stuck.whole = |_| Ok(0);
        stuck.bytes = vec![b'x'; 1 << 17];
        (0..100).for_each(|_| scribe.hand_in(stuck.clone()));
        let lost = scribe.written().too_slow;
        assert!((95..=96).contains(&lost), "{lost}");
    }
}
