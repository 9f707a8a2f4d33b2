//! Doing what was asked: on the threads of the workers, or on the loop's own.

use std::mem;

use world::disk::Slices;
use world::{DiskFault, DiskOp, JobId, StoreId};

use super::allocate::allocate;
use super::arrange::{delete, open, release, rename};
use super::batch::Batch;
use super::hash::{Hashed, hash};
use super::queue::{Answer, Back, Line, Next, Shared, Task, What, changes};
use super::read::read_full;
use super::relocate::relocate;
use super::stores::{Store, Unsynced};
use super::sync::flush;
use super::write::Writing;
use crate::counters::DiskCounters;

/// What a worker keeps from task to task.
#[derive(Default)]
pub(super) struct Tools {
    writing: Writing,
    /// What is hashed is read into this.
    reading: Vec<u8>,
}

impl Tools {
    /// Writes batches, and notes in them what came of it.
    pub(super) fn write(&mut self, shared: &Shared, batches: &mut [Batch]) {
        self.writing.write(&shared.stores, batches);
    }

    /// Does a task. `flush_here`: the second half of a sync too, which is otherwise for whoever has time.
    pub(super) fn perform(&mut self, shared: &Shared, task: Task, flush_here: bool) -> Option<Back> {
        let mut counted = DiskCounters::default();
        let (store, job, op, bytes) = match task {
            Task::Write(batch) => {
                let mut batches = [batch];
                self.write(shared, &mut batches);
                let [batch] = batches;
                return Some(Back::Batch(batch));
            }
            Task::Flush { store, job, unsynced } => {
                flush_for_all(shared, &store, job, unsynced);
                return None;
            }
            Task::Op { store, job, op, bytes } => (store, job, op, bytes),
        };
        let what = match op {
            DiskOp::Sync => sync(shared, store, job, flush_here, &mut counted)?,
            DiskOp::Read { file, at, len } => read(shared, store, (file, at, len), bytes, &mut counted),
            op => self
                .operate(shared, store, op, &bytes, &mut counted)
                .unwrap_or_else(failed),
        };
        counted.failures += u64::from(matches!(what, What::Failed(..) | What::Unread(..)));
        Some(Back::One {
            answer: Answer { job, what },
            changed: changes(op).then_some(store),
            counted,
        })
    }

    fn operate(
        &mut self,
        shared: &Shared,
        id: StoreId,
        op: DiskOp,
        bytes: &[u8],
        counted: &mut DiskCounters,
    ) -> Result<What, DiskFault> {
        let (stores, closing) = (&shared.stores, &shared.closing);
        if matches!(op, DiskOp::Open { .. }) {
            return open(stores, id, bytes, counted).map(What::Opened);
        }
        let store = stores.store(id)?;
        match op {
            DiskOp::Hash { digest, .. } => {
                let slices: Vec<_> = Slices::read(bytes).collect();
                let hashed = hash((stores, &store), digest, &slices, &mut self.reading, closing, counted)?;
                return Ok(match hashed {
                    Hashed::Digests(digests) => What::Hashed(digests),
                    Hashed::Hole => What::Hole,
                });
            }
            DiskOp::Allocate { file, size, how } => allocate(stores, &store, (file, size), how, closing)?,
            DiskOp::Rename { file, .. } => rename(&store, file, bytes)?,
            DiskOp::Move { .. } => relocate(stores, &store, bytes, closing)?,
            DiskOp::Delete => delete(stores, id)?,
            DiskOp::Release => release(stores, &store),
            // Opened above; written in batches; the others are done by whoever calls this.
            DiskOp::Open { .. } | DiskOp::Write { .. } | DiskOp::Sync | DiskOp::Read { .. } => {}
        }
        Ok(What::Done)
    }
}

const fn failed(fault: DiskFault) -> What {
    What::Failed(fault, 0)
}

fn done(result: Result<(), DiskFault>) -> What {
    result.map_or_else(failed, |()| What::Done)
}

fn read(
    shared: &Shared,
    store: StoreId,
    (file, at, len): (u32, u64, u32),
    mut buffer: Vec<u8>,
    counted: &mut DiskCounters,
) -> What {
    let part = buffer.get_mut(..len as usize).unwrap_or_default();
    let stores = &shared.stores;
    let fd = stores.store(store).and_then(|store| stores.to_read(&store, file));
    match fd.and_then(|fd| read_full(&fd, part, at)) {
        Ok(()) => {
            counted.bytes_read += u64::from(len);
            What::Read(buffer, len as usize)
        }
        Err(fault) => What::Unread(buffer, fault),
    }
}

/// Takes what was written up to here, and has it flushed; `None` if another worker does that and answers.
fn sync(shared: &Shared, store: StoreId, job: JobId, flush_here: bool, counted: &mut DiskCounters) -> Option<What> {
    let store = match shared.stores.store(store) {
        Ok(store) => store,
        Err(fault) => return Some(failed(fault)),
    };
    let mut names = store.names();
    if names.flushing {
        // What is being flushed was written before this sync too.
        names.waiting.push(job);
        return None;
    }
    let unsynced = mem::take(&mut names.unsynced);
    if flush_here || unsynced.is_empty() {
        drop(names);
        return Some(done(flush(&shared.stores, &store, unsynced, counted)));
    }
    names.flushing = true;
    drop(names);
    shared.push(Line::Soon, Task::Flush { store, job, unsynced });
    None
}

/// Flushes for a sync and answers it, and then for all that were asked meanwhile, at once. They stand for what the flush
/// before them was of, too: its fault is theirs.
fn flush_for_all(shared: &Shared, store: &Store, job: JobId, mut unsynced: Unsynced) {
    let mut jobs = vec![job];
    let mut before = Ok(());
    loop {
        let mut counted = DiskCounters::default();
        let synced = flush(&shared.stores, store, unsynced, &mut counted);
        let told = before.and(synced);
        before = synced;
        counted.failures += u64::from(told.is_err()) * jobs.len() as u64;
        // Told under the lock: a sync that is asked when this is known does not stand for it.
        let mut names = store.names();
        let waiting = mem::take(&mut names.waiting);
        names.flushing = !waiting.is_empty();
        shared.tell(jobs.into_iter().map(|job| Back::One {
            answer: Answer { job, what: done(told) },
            changed: None,
            counted: mem::take(&mut counted),
        }));
        if waiting.is_empty() {
            return;
        }
        jobs = waiting;
        unsynced = mem::take(&mut names.unsynced);
    }
}

/// The life of a worker.
pub(super) fn work(shared: &Shared, worker: usize, flush_here: bool) {
    let mut tools = Tools::default();
    let mut batches = Vec::new();
    let mut turn = 0;
    while let Some(next) = shared.next(worker, &mut turn, &mut batches) {
        match next {
            Next::Batches => {
                tools.write(shared, &mut batches);
                shared.tell(batches.drain(..).map(Back::Batch));
            }
            Next::One(task) => shared.tell(tools.perform(shared, task, flush_here)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::stores::Stores;

    fn ask_sync(shared: &Shared, job: u64) -> Option<Back> {
        let (store, job, op, bytes) = (StoreId(1), JobId(job), DiskOp::Sync, Vec::new());
        Tools::default().perform(shared, Task::Op { store, job, op, bytes }, false)
    }

    fn answers(shared: &Shared) -> Vec<(u64, bool)> {
        let backs = shared.collect_last().into_iter();
        let answers = backs.filter_map(|back| match back {
            Back::One { answer, .. } => Some((answer.job.0, matches!(answer.what, What::Done))),
            Back::Batch(_) => None,
        });
        answers.collect()
    }

    /// A store with a file that is written and one that will be lost, and a sync of them on its way to another worker.
    fn begun(folder: &std::path::Path) -> (Shared, Task) {
        let shared = Shared::new(Stores::new(4), 1);
        let files = vec!["kept".into(), "lost".into()];
        shared.stores.insert(StoreId(1), folder.into(), files);
        let store = shared.stores.store(StoreId(1)).unwrap();
        for file in [0, 1] {
            shared.stores.to_write(&store, file).unwrap();
            store.wrote(file);
        }
        assert!(ask_sync(&shared, 1).is_none());
        let Some(Next::One(flush)) = shared.next(0, &mut 0, &mut Vec::new()) else {
            panic!("the second half of the sync is in line")
        };
        (shared, flush)
    }

    #[test]
    fn a_sync_is_not_answered_before_the_one_that_has_taken_what_it_stands_for() {
        let folder = tempfile::tempdir().unwrap();
        let (shared, flush) = begun(folder.path());
        // Nothing is unsynced in the books now, and yet nothing is on stable storage.
        assert!(ask_sync(&shared, 2).is_none());
        assert_eq!(answers(&shared), []);
        assert!(Tools::default().perform(&shared, flush, false).is_none());
        assert_eq!(answers(&shared), [(1, true), (2, true)]);
        assert!(ask_sync(&shared, 3).is_some(), "nothing is under way any more");
    }

    #[test]
    fn the_fault_of_a_sync_is_that_of_those_asked_before_it_was_known() {
        let folder = tempfile::tempdir().unwrap();
        let (shared, flush) = begun(folder.path());
        assert!(ask_sync(&shared, 2).is_none());
        std::fs::remove_file(folder.path().join("lost")).unwrap();
        assert!(Tools::default().perform(&shared, flush, false).is_none());
        assert_eq!(answers(&shared), [(1, false), (2, false)]);
    }
}
