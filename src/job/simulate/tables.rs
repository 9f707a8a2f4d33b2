//! The rows and observation tables that a crawl of ours would have left: the same bytes from the same seed.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use anyhow::Context;
use store::metadata;
use world::Time;

use crate::exit::at;
use crate::job::crawl::Event;
use crate::output::{Recorder, Table};

/// When virtual time begins: 2026-01-01 00:00 UTC, Unix milliseconds.
const BEGINNING_MS: u64 = 1_767_225_600_000;

/// What was told so far, as rows. The policy fills it while the simulation has hold of the policy.
#[derive(Clone)]
pub struct Tables(Rc<RefCell<Rows>>);

struct Rows {
    recorder: Recorder,
    metadata: Vec<u8>,
}

impl Tables {
    /// None yet.
    pub(super) fn new() -> Self {
        Self(Rc::new(RefCell::new(Rows {
            recorder: Recorder::keeping(BEGINNING_MS),
            metadata: format!("{}\n", metadata::HEADER).into_bytes(),
        })))
    }

    /// Notes what the crawl told.
    pub(super) fn note(&self, now: Time, event: &Event) {
        let Rows { recorder, metadata } = &mut *self.0.borrow_mut();
        recorder.set_time(BEGINNING_MS + now.as_micros() / 1_000);
        match event {
            Event::Dht(event) => recorder.dht(event),
            Event::Attempt(attempt) => recorder.fetch(attempt),
            Event::Record(harvested) => {
                recorder.files(harvested);
                Table::Metadata.put(harvested, metadata);
            }
            Event::Pulse | Event::Over(_) => {}
        }
    }

    /// Writes them as a run leaves them: `metadata.txt`, and a file an hour below `data/observed`. Those of an earlier simulation are
    /// replaced.
    pub(super) fn write(&self, dir: &Path) -> anyhow::Result<()> {
        let Rows { recorder, metadata } = &mut *self.0.borrow_mut();
        let mut files = recorder.kept();
        files.insert("metadata.txt".into(), std::mem::take(metadata));
        for (name, bytes) in files {
            let path = dir.join(name);
            if let Some(dir) = path.parent() {
                host::create_dir(dir).map_err(|error| at(error, "--out"))?;
            }
            host::replace_file(&path, &bytes).with_context(|| format!("{} is not written", path.display()))?;
        }
        Ok(())
    }
}
