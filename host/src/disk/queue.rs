//! Between the loop and the workers: what is to be done, and what came of it.

use std::collections::VecDeque;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use world::disk::FileStat;
use world::{DiskFault, DiskOp, JobId, StoreId};

use super::batch::Batch;
use super::stores::{Store, Stores, Unsynced};
use crate::counters::DiskCounters;

/// Bytes of batches that a worker takes at once, to write what adjoins in them together: a worker that is behind takes more
/// and so catches up.
const GATHER: usize = 4 << 20;

/// Something for a worker.
pub(super) enum Task {
    /// Writes.
    Write(Batch),
    /// Anything else; `bytes` is what came with it, or the buffer to read into.
    Op {
        store: StoreId,
        job: JobId,
        op: DiskOp,
        bytes: Vec<u8>,
    },
    /// The second half of a sync, which any worker does while the store's own goes on writing.
    Flush {
        store: Arc<Store>,
        job: JobId,
        unsynced: Unsynced,
    },
}

/// What came of a task.
pub(super) enum Back {
    /// A batch, with its outcomes.
    Batch(Batch),
    /// An answer.
    One {
        answer: Answer,
        /// The store whose files it has changed, as [`changes`] says.
        changed: Option<StoreId>,
        counted: DiskCounters,
    },
}

/// An answer to be told.
pub(crate) struct Answer {
    pub(super) job: JobId,
    pub(super) what: What,
}

/// An answer's content.
pub(super) enum What {
    Opened(Vec<Option<FileStat>>),
    Wrote(usize),
    /// The first so many bytes of the buffer.
    Read(Vec<u8>, usize),
    Hashed(Vec<u8>),
    Hole,
    Done,
    Failed(DiskFault, usize),
    /// A read that failed, with its buffer.
    Unread(Vec<u8>, DiskFault),
}

/// What a worker is to do next.
#[expect(clippy::large_enum_variant, reason = "it is on the stack, and taken apart at once")]
pub(super) enum Next {
    /// To write the batches that it was given.
    Batches,
    /// A task that is no batch.
    One(Task),
}

/// Whether an operation changes what the files of a store are, so that what is asked after it must come after it.
pub(super) const fn changes(op: DiskOp) -> bool {
    match op {
        DiskOp::Open { .. }
        | DiskOp::Allocate { .. }
        | DiskOp::Rename { .. }
        | DiskOp::Move { .. }
        | DiskOp::Delete
        | DiskOp::Release => true,
        DiskOp::Write { .. } | DiskOp::Read { .. } | DiskOp::Hash { .. } | DiskOp::Sync => false,
    }
}

/// How a task is to be queued.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Line {
    /// For one worker, behind everything before.
    Of(usize),
    /// For any worker, before all hashing.
    Soon,
    /// For any worker.
    Later,
}

/// What the loop and the workers share.
pub(super) struct Shared {
    pub(super) stores: Stores,
    /// Set when the run is over: what takes long is given up.
    pub(super) closing: AtomicBool,
    lines: Mutex<Lines>,
    /// One for each worker.
    wake: Vec<Condvar>,
    /// A worker has ended.
    ended: Condvar,
    backs: Mutex<Backs>,
}

struct Lines {
    of: Vec<VecDeque<Task>>,
    soon: VecDeque<Task>,
    later: VecDeque<Task>,
    /// Which workers wait.
    idle: Vec<bool>,
    running: usize,
}

#[derive(Default)]
struct Backs {
    list: Vec<Back>,
    task: Option<Waker>,
}

impl Shared {
    pub(super) fn new(stores: Stores, workers: usize) -> Self {
        Self {
            stores,
            closing: AtomicBool::new(false),
            lines: Mutex::new(Lines {
                of: (0..workers).map(|_| VecDeque::new()).collect(),
                soon: VecDeque::new(),
                later: VecDeque::new(),
                idle: vec![false; workers],
                running: 0,
            }),
            wake: (0..workers).map(|_| Condvar::new()).collect(),
            ended: Condvar::new(),
            backs: Mutex::default(),
        }
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn backs(&self) -> MutexGuard<'_, Backs> {
        self.backs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a task, and wakes who is to do it if he waits.
    pub(super) fn push(&self, line: Line, task: Task) {
        let mut lines = self.lines();
        let worker = match line {
            Line::Of(worker) => {
                if let Some(line) = lines.of.get_mut(worker) {
                    line.push_back(task);
                }
                lines.idle.get(worker).is_some_and(|idle| *idle).then_some(worker)
            }
            Line::Soon => {
                lines.soon.push_back(task);
                lines.idle.iter().position(|idle| *idle)
            }
            Line::Later => {
                lines.later.push_back(task);
                lines.idle.iter().position(|idle| *idle)
            }
        };
        if let Some(worker) = worker {
            // So that the next task wakes another.
            if let Some(idle) = lines.idle.get_mut(worker) {
                *idle = false;
            }
            drop(lines);
            if let Some(wake) = self.wake.get(worker) {
                wake.notify_one();
            }
        }
    }

    /// A worker begins, before its thread does.
    pub(super) fn begins(&self) {
        self.lines().running += 1;
    }

    /// A worker has ended, or did not come to be.
    pub(super) fn ends(&self) {
        self.lines().running -= 1;
        self.ended.notify_all();
    }

    /// The next task of a worker; batches that follow one another go to `batches` together. `None` when the run is over
    /// and there is no more to do. `turn` goes round the three lines, so that none waits for another to be empty.
    pub(super) fn next(&self, worker: usize, turn: &mut usize, batches: &mut Vec<Batch>) -> Option<Next> {
        let mut lines = self.lines();
        loop {
            for step in 0..3 {
                let task = match (*turn + step) % 3 {
                    0 => lines.of.get_mut(worker).and_then(|line| take(line, batches)),
                    1 => lines.soon.pop_front().map(Next::One),
                    _ => lines.later.pop_front().map(Next::One),
                };
                if let Some(task) = task {
                    *turn = (*turn + step + 1) % 3;
                    return Some(task);
                }
            }
            if self.closing.load(Ordering::Acquire) {
                return None;
            }
            if let Some(idle) = lines.idle.get_mut(worker) {
                *idle = true;
            }
            let wake = self.wake.get(worker)?;
            lines = wake.wait(lines).unwrap_or_else(PoisonError::into_inner);
            if let Some(idle) = lines.idle.get_mut(worker) {
                *idle = false;
            }
        }
    }

    /// Says what came of tasks, and wakes the loop if it does not know that there is something.
    pub(super) fn tell(&self, told: impl IntoIterator<Item = Back>) {
        let mut backs = self.backs();
        let knows = !backs.list.is_empty();
        backs.list.extend(told);
        if !knows && let Some(task) = &backs.task {
            task.wake_by_ref();
        }
    }

    /// Takes what came of tasks into `list`, which is empty; `cx` is woken when there is more.
    pub(super) fn collect(&self, cx: &Context<'_>, list: &mut Vec<Back>) {
        let mut backs = self.backs();
        if !backs.task.as_ref().is_some_and(|task| task.will_wake(cx.waker())) {
            backs.task = Some(cx.waker().clone());
        }
        mem::swap(&mut backs.list, list);
    }

    /// Takes the last of it.
    pub(super) fn collect_last(&self) -> Vec<Back> {
        mem::take(&mut self.backs().list)
    }

    /// Lets the workers end when they have written what was asked: what nobody will hear of (reads, hashes) is dropped.
    /// Waits for them, but not for ever: a device may hang.
    pub(super) fn close(&self, within: Duration) {
        let mut lines = self.lines();
        self.closing.store(true, Ordering::Release);
        lines.later.clear();
        lines.soon.retain(|task| matches!(task, Task::Flush { .. }));
        for wake in &self.wake {
            wake.notify_all();
        }
        let until = Instant::now() + within;
        while lines.running > 0 {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let waited = self.ended.wait_timeout(lines, left);
            lines = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// What is next in a worker's own line: batches, as many as follow one another, or something else.
fn take(line: &mut VecDeque<Task>, batches: &mut Vec<Batch>) -> Option<Next> {
    let mut bytes = 0;
    while bytes < GATHER {
        match line.pop_front() {
            Some(Task::Write(batch)) => {
                bytes += batch.bytes.max(1);
                batches.push(batch);
            }
            Some(other) if batches.is_empty() => return Some(Next::One(other)),
            Some(other) => {
                line.push_front(other);
                break;
            }
            None => break,
        }
    }
    (!batches.is_empty()).then_some(Next::Batches)
}
