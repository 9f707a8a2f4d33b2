//! Observation tables (`--record`): one row per fact, appended as it happens.

use std::io::Write as _;
use std::path::Path;

use host::AppendFile;
use store::fetches;
use world::Member as _;

use crate::args::Observed;
use crate::bad_input;
use crate::exit::at;
use crate::job::harvest::{Attempt, Origin};

/// The file of a table, below the data directory.
pub const fn file_name(table: Observed) -> &'static str {
    match table {
        Observed::Fetches => "fetches.csv",
    }
}

/// The observation tables of one run: those that were asked for.
pub struct Recorder {
    fetches: Option<AppendFile>,
    row: Vec<u8>,
}

impl Recorder {
    /// Opens the tables named. What a kill left torn at the end of one is cut; a new one gets its header.
    ///
    /// # Errors
    ///
    /// [`BadInput`](crate::exit::BadInput) for a file that is another table; otherwise what the file system says.
    pub fn open(tables: &[Observed], data_dir: &Path) -> anyhow::Result<Self> {
        let mut recorder = Self {
            fetches: None,
            row: Vec::new(),
        };
        if tables.contains(&Observed::Fetches) {
            host::create_dir(data_dir).map_err(|error| at(error, "--data-dir"))?;
            let path = data_dir.join(file_name(Observed::Fetches));
            recorder.fetches = Some(open(&path, fetches::HEADER)?);
        }
        Ok(recorder)
    }

    /// Writes what came of a peer, if that is recorded.
    ///
    /// # Errors
    ///
    /// When the table cannot be written; what it has is whole then, too, or cut by the next run.
    pub fn fetch(&mut self, attempt: &Attempt) -> anyhow::Result<()> {
        let Some(file) = &mut self.fetches else { return Ok(()) };
        let millis = |span: std::time::Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let row = fetches::Row {
            time_ms: host::unix_millis(),
            info_hash: attempt.info_hash,
            peer: attempt.peer,
            incoming: attempt.origin == Origin::Caller,
            via: attempt.via.map(world::Via::label),
            source: attempt.origin.label(),
            stage: attempt.reached.label(),
            result: attempt.result.map_or_else(fetcher::Failure::label, |()| "ok"),
            took_ms: millis(attempt.took),
            opened_ms: attempt.opened_after.map(millis),
            size: attempt.size,
            received: attempt.received,
            round: attempt.round.into(),
        };
        self.row.clear();
        fetches::put_row(&row, &mut self.row);
        // One write: a reader that follows the file finds whole rows.
        file.write_all(&self.row)?;
        Ok(())
    }
}

fn open(path: &Path, header: &str) -> anyhow::Result<AppendFile> {
    let mut file = AppendFile::open(path).map_err(|error| at(error, "--data-dir"))?;
    let whole = store::whole_lines(&mut file)?;
    file.cut(whole)?;
    if whole == 0 {
        file.write_all(format!("{header}\n").as_bytes())?;
        return Ok(file);
    }
    if !store::begins_with(&mut file, header)? {
        bad_input!(
            "{}: not a table of this version's columns; --fresh sets it aside, or name another --data-dir",
            path.display()
        );
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use super::*;

    fn attempt() -> Attempt {
        Attempt {
            info_hash: wire::InfoHash::new([7; 20]),
            peer: "192.0.2.7:6881".parse().unwrap(),
            origin: Origin::Dht,
            via: None,
            reached: fetcher::Stage::Dialled,
            result: Err(fetcher::Failure::Refused),
            took: Duration::from_millis(30),
            opened_after: None,
            size: None,
            received: 0,
            round: 1,
        }
    }

    #[test]
    fn a_torn_row_is_cut_and_there_is_one_header() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fetches.csv");
        for _ in 0..3 {
            let mut recorder = Recorder::open(&[Observed::Fetches], dir.path()).unwrap();
            recorder.fetch(&attempt()).unwrap();
            drop(recorder);
            let mut text = fs::read(&path).unwrap();
            text.extend_from_slice(b"1700000000000,0707");
            fs::write(&path, text).unwrap();
        }
        drop(Recorder::open(&[Observed::Fetches], dir.path()).unwrap());
        let text = fs::read_to_string(&path).unwrap();
        let rows: Vec<_> = fetches::rows(text.as_bytes()).collect::<Result<_, _>>().unwrap();
        assert_eq!((rows.len(), text.lines().count()), (3, 4));
        assert_eq!((rows[0].row().result, rows[0].row().source), ("refused", "dht"));
    }

    #[test]
    fn what_is_not_asked_for_is_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let mut recorder = Recorder::open(&[], dir.path()).unwrap();
        recorder.fetch(&attempt()).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_foreign_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("fetches.csv"), "precious\n").unwrap();
        assert!(Recorder::open(&[Observed::Fetches], dir.path()).is_err());
        assert_eq!(fs::read(dir.path().join("fetches.csv")).unwrap(), b"precious\n");
    }
}
