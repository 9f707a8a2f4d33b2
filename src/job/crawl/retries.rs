//! The schedule of further rounds on disk: read at the start, replaced whole while the crawl runs.

use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::Duration;

use crawler::frontier::Outcome as Failed;
use host::FileError;
use store::retries::{self, Row};
use world::{Member as _, Time};

use super::{Crawl, Waiting};
use crate::config::Net;
use crate::report::{note, thousands};

/// The file, and what of the schedule it holds.
pub(super) struct Retries {
    /// `None` for a run without files.
    path: Option<PathBuf>,
    every: Duration,
    saved_at: Time,
    /// [`Crawl::schedule_changes`] when it was last saved.
    saved: u64,
    /// Waiting for a disk is not for the loop.
    writer: Option<JoinHandle<Result<(), FileError>>>,
}

impl Retries {
    pub(super) fn new(path: Option<PathBuf>, every: Duration) -> Self {
        Self {
            path,
            every,
            saved_at: Time::ZERO,
            saved: 0,
            writer: None,
        }
    }

    /// Gives the crawl what the last run left waiting. With `addresses` false only the infohashes are of use.
    pub(super) fn load(&self, crawl: &mut Crawl, net: &Net, addresses: bool) -> anyhow::Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        let Some(text) = host::read_file(path)? else {
            return Ok(());
        };
        let (now, mut taken_up, mut faults) = (host::unix_now(), 0, 0);
        for row in retries::rows(&text[..]) {
            match row.ok().and_then(|row| waiting(row, now)) {
                Some(mut waiting) => {
                    waiting.peers.retain(|peer| addresses && !net.is_blocked(peer.ip()));
                    waiting.spare.retain(|_| addresses);
                    waiting.asked.retain(|_| addresses);
                    taken_up += u64::from(crawl.restore(waiting));
                }
                None => faults += 1,
            }
        }
        if taken_up > 0 {
            note(&format!("{} infohashes wait for another try", thousands(taken_up)));
        }
        if faults > 0 {
            note(&format!(
                "{}: {} lines are passed over",
                path.display(),
                thousands(faults)
            ));
        }
        Ok(())
    }

    /// Writes the schedule now and then, if it has changed. An error is that of the last time.
    pub(super) fn keep(&mut self, now: Time, crawl: &Crawl) -> anyhow::Result<()> {
        if now < self.saved_at + self.every || self.saved == crawl.schedule_changes() {
            return Ok(());
        }
        if self.writer.as_ref().is_some_and(|writer| !writer.is_finished()) {
            return Ok(());
        }
        let last = self.wait();
        if let Some(path) = self.path.clone() {
            (self.saved_at, self.saved) = (now, crawl.schedule_changes());
            let text = text(now, crawl);
            let writer = std::thread::Builder::new().name("retries".to_owned());
            self.writer = Some(writer.spawn(move || host::replace_file(&path, &text))?);
        }
        last
    }

    /// Writes the schedule as it stands at the end.
    pub(super) fn finish(&mut self, now: Time, crawl: &Crawl) -> anyhow::Result<()> {
        // What the last time said is of no interest: this time will say it again.
        let _ = self.wait();
        if let Some(path) = &self.path {
            host::replace_file(path, &text(now, crawl))?;
        }
        Ok(())
    }

    fn wait(&mut self) -> anyhow::Result<()> {
        let Some(writer) = self.writer.take() else {
            return Ok(());
        };
        let ended = writer.join();
        Ok(ended.map_err(|_| anyhow::anyhow!("its thread died"))??)
    }
}

fn text(now: Time, crawl: &Crawl) -> Vec<u8> {
    let unix_now = host::unix_now();
    let mut text = format!("{}\n", retries::HEADER).into_bytes();
    for waiting in crawl.waiting() {
        let row = Row {
            info_hash: waiting.info_hash,
            next: unix_now + waiting.due.since(now).as_secs(),
            tries: waiting.tries,
            last: waiting.last.label().to_owned(),
            peers: waiting.peers.clone(),
            spare: waiting.spare.clone(),
            asked: waiting.asked.clone(),
        };
        retries::put_row(&row, &mut text);
    }
    text
}

/// `None` if the last round ended in a way that this version does not know.
fn waiting(row: Row, unix_now: u64) -> Option<Waiting> {
    let last = Failed::ALL.iter().copied().find(|last| last.label() == row.last)?;
    Some(Waiting {
        info_hash: row.info_hash,
        due: Time::from_secs(row.next.saturating_sub(unix_now)),
        tries: row.tries,
        last,
        peers: row.peers,
        spare: row.spare,
        asked: row.asked,
    })
}
