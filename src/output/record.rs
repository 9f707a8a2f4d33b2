//! Observation tables (`--record`): one row per fact, handed to a thread that writes them, a new file each hour.
//!
//! Rows are gathered for a second (ten, where they are packed), then handed over together. The loop never waits for the disk: what it
//! does not take is lost, and counted.

mod shape;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crawler::Event as DhtEvent;
use host::{AppendFile, Scribe, Sheet, Written};
use store::{Veil, fetches, observed};
use world::Time;

use self::shape::Shape;
use crate::args::{Observed, RecordArgs};
use crate::config;
use crate::exit::at;
use crate::job::harvest::{Attempt, Harvested};
use crate::report::{Figures, note, utc};

/// All tables, in the order of their numbers.
const TABLES: [Observed; 5] = [
    Observed::Nodes,
    Observed::Sightings,
    Observed::Peers,
    Observed::Fetches,
    Observed::Files,
];

/// The folder of the tables, below the data directory.
pub const FOLDER: &str = "observed";

const fn name(table: Observed) -> &'static str {
    match table {
        Observed::Nodes => "nodes",
        Observed::Sightings => "sightings",
        Observed::Peers => "peers",
        Observed::Fetches => "fetches",
        Observed::Files => "files",
    }
}

const fn header(table: Observed) -> &'static str {
    match table {
        Observed::Nodes => observed::NODES,
        Observed::Sightings => observed::SIGHTINGS,
        Observed::Peers => observed::PEERS,
        Observed::Fetches => fetches::HEADER,
        Observed::Files => observed::FILES,
    }
}

/// Rows of one table that were not handed over yet.
#[derive(Debug, Default)]
struct Unwritten {
    wanted: bool,
    /// The hour of all of them, since 1970.
    hour: u64,
    rows: u64,
    bytes: Vec<u8>,
}

/// Where rows go.
enum Sink {
    /// Nothing is recorded.
    Nowhere,
    /// To a thread that writes them.
    Scribe(Scribe),
    /// They stay here.
    Kept(Vec<Sheet>),
}

/// The observation tables of one run: those that were asked for.
pub struct Recorder {
    sink: Sink,
    /// Unix milliseconds where time is pretended; `None` is the system's clock.
    time_ms: Option<u64>,
    folder: PathBuf,
    packed: bool,
    tables: [Unwritten; TABLES.len()],
    shape: Shape,
    row: Vec<u8>,
    handed_in: Time,
    /// Trouble was told.
    told: bool,
}

impl Recorder {
    /// Begins with the tables named.
    ///
    /// # Errors
    ///
    /// When their folder cannot be made, or the system has no thread to give.
    pub fn open(args: &RecordArgs, data_dir: &Path, veil: Veil) -> anyhow::Result<Self> {
        let mut recorder = Self {
            sink: Sink::Nowhere,
            time_ms: None,
            folder: data_dir.join(FOLDER),
            packed: args.record_zstd,
            tables: Default::default(),
            shape: Shape::new(veil),
            row: Vec::new(),
            handed_in: Time::ZERO,
            told: false,
        };
        for (table, unwritten) in TABLES.iter().zip(&mut recorder.tables) {
            unwritten.wanted = args.record.contains(table);
        }
        if !args.record.is_empty() {
            host::create_dir(&recorder.folder).map_err(|error| at(error, "--data-dir"))?;
            recorder.sink = Sink::Scribe(Scribe::start(config::SHEETS_WAITING)?);
        }
        Ok(recorder)
    }

    /// All tables, packed, in memory until [`kept`](Self::kept); time is what [`set_time`](Self::set_time) says.
    pub fn keeping(time_ms: u64) -> Self {
        let mut recorder = Self {
            sink: Sink::Kept(Vec::new()),
            time_ms: Some(time_ms),
            folder: Path::new("data").join(FOLDER),
            packed: true,
            tables: Default::default(),
            shape: Shape::new(Veil::None),
            row: Vec::new(),
            handed_in: Time::ZERO,
            told: false,
        };
        for unwritten in &mut recorder.tables {
            unwritten.wanted = true;
        }
        recorder
    }

    /// From now on it is this time, Unix milliseconds.
    pub fn set_time(&mut self, time_ms: u64) {
        self.time_ms = Some(time_ms);
    }

    /// The files so far, as they would stand below the directory of the run, and nothing is kept of them.
    pub fn kept(&mut self) -> BTreeMap<PathBuf, Vec<u8>> {
        (0..TABLES.len()).for_each(|table| self.hand_in(table));
        let mut files = BTreeMap::new();
        if let Sink::Kept(sheets) = &mut self.sink {
            for mut sheet in sheets.drain(..) {
                let file: &mut Vec<u8> = files.entry(sheet.path).or_insert(sheet.header);
                file.append(&mut sheet.bytes);
            }
        }
        files
    }

    fn now_ms(&self) -> u64 {
        self.time_ms.unwrap_or_else(host::unix_millis)
    }

    /// What the DHT mind told: a question that ended, a sighting, an announce, a peer.
    pub fn dht(&mut self, event: &DhtEvent) {
        if matches!(self.sink, Sink::Nowhere) {
            return;
        }
        let time_ms = self.now_ms();
        if let DhtEvent::Observed(observation) = event {
            self.shape.heard(observation);
            self.put(Observed::Nodes, time_ms, |shape, out| {
                shape.node(time_ms, observation, out)
            });
        }
        self.put(Observed::Sightings, time_ms, |shape, out| {
            shape.sighting(time_ms, event, out)
        });
        self.put(Observed::Peers, time_ms, |shape, out| shape.peer(time_ms, event, out));
    }

    /// What came of a peer.
    pub fn fetch(&mut self, attempt: &Attempt) {
        let time_ms = self.now_ms();
        self.put(Observed::Fetches, time_ms, |shape, out| {
            shape.fetch(time_ms, attempt, out)
        });
    }

    /// The files of a torrent, if its metadata was fetched.
    pub fn files(&mut self, harvested: &Harvested) {
        let time_ms = self.now_ms();
        self.put(Observed::Files, time_ms, |shape, out| {
            shape.files(time_ms, harvested, out)
        });
    }

    /// A second has passed: rows that have waited long enough are handed over; the first trouble is told.
    pub fn pulse(&mut self, now: Time) {
        let wait = if self.packed {
            config::PACK_EVERY
        } else {
            config::RECORD_EVERY
        };
        if matches!(self.sink, Sink::Nowhere) || now < self.handed_in + wait {
            return;
        }
        self.handed_in = now;
        (0..TABLES.len()).for_each(|table| self.hand_in(table));
        self.tell();
    }

    /// Hands over what is left, and waits for the disk.
    pub fn finish(&mut self) -> Written {
        (0..TABLES.len()).for_each(|table| self.hand_in(table));
        let written = match std::mem::replace(&mut self.sink, Sink::Nowhere) {
            Sink::Scribe(scribe) => scribe.finish(),
            Sink::Nowhere | Sink::Kept(_) => Written::default(),
        };
        self.told |= written.why.is_none();
        self.tell_of(&written);
        written
    }

    /// What became of the rows so far; `None` if nothing is recorded.
    pub fn written(&self) -> Option<Written> {
        match &self.sink {
            Sink::Scribe(scribe) => Some(scribe.written()),
            Sink::Nowhere | Sink::Kept(_) => None,
        }
    }

    /// Appends what `shape` makes of a fact, any number of rows, if the table is wanted.
    fn put(&mut self, table: Observed, time_ms: u64, shape: impl FnOnce(&mut Shape, &mut Vec<u8>) -> u64) {
        let number = table as usize;
        if !self.tables.get(number).is_some_and(|unwritten| unwritten.wanted) {
            return;
        }
        self.row.clear();
        let rows = shape(&mut self.shape, &mut self.row);
        if rows == 0 {
            return;
        }
        let hour = time_ms / 3_600_000;
        if let Some(unwritten) = self.tables.get(number)
            && (unwritten.hour != hour || unwritten.bytes.len() + self.row.len() > config::SHEET_BYTES)
        {
            self.hand_in(number);
        }
        if let Some(unwritten) = self.tables.get_mut(number) {
            unwritten.hour = hour;
            unwritten.rows += rows;
            unwritten.bytes.extend_from_slice(&self.row);
        }
    }

    fn hand_in(&mut self, number: usize) {
        let (Some(unwritten), Some(&table)) = (self.tables.get_mut(number), TABLES.get(number)) else {
            return;
        };
        if unwritten.rows == 0 {
            return;
        }
        let seconds = i64::try_from(unwritten.hour * 3_600).unwrap_or(i64::MAX);
        let date = utc(seconds);
        let hour = date.split_once(':').map_or(&*date, |(hour, _)| hour);
        let end = if self.packed { "csv.zst" } else { "csv" };
        let sheet = Sheet {
            table: number,
            path: self.folder.join(format!("{}-{hour}.{end}", name(table))),
            header: packed(self.packed, format!("{}\n", header(table)).into_bytes()),
            bytes: packed(self.packed, std::mem::take(&mut unwritten.bytes)),
            rows: std::mem::take(&mut unwritten.rows),
            whole: if self.packed {
                store::whole_frames::<AppendFile>
            } else {
                store::whole_lines
            },
        };
        match &mut self.sink {
            Sink::Nowhere => {}
            Sink::Scribe(scribe) => scribe.hand_in(sheet),
            Sink::Kept(sheets) => sheets.push(sheet),
        }
    }

    fn tell(&mut self) {
        if let Some(written) = self.written() {
            self.tell_of(&written);
        }
    }

    fn tell_of(&mut self, written: &Written) {
        if self.told || written.failed + written.too_slow == 0 {
            return;
        }
        self.told = true;
        let why = written.why.as_deref().unwrap_or("the disk is too slow for them");
        note(&format!(
            "observations are lost: {why}; the run goes on, and counts them"
        ));
    }
}

/// What became of rows, in figures.
pub fn figures(written: &Written, figures: &mut Figures) {
    figures.group("observations", "Observation tables");
    figures.count("rows", written.rows, "rows written");
    figures.count(
        "lost_slow",
        written.too_slow,
        "rows lost because the disk was too slow for them",
    );
    figures.count(
        "lost_failed",
        written.failed,
        "rows lost because they could not be written",
    );
}

/// One frame, where rows are packed.
fn packed(packs: bool, bytes: Vec<u8>) -> Vec<u8> {
    let mut frame = Vec::new();
    match packs.then(|| store::pack(&bytes, &mut frame)) {
        Some(Ok(())) => frame,
        // No memory to pack it in, either: written as nothing, it is no frame to cut.
        Some(Err(_)) => Vec::new(),
        None => bytes,
    }
}

#[cfg(test)]
mod tests;
