//! The loop's side: collects writes, hands tasks to the workers or does them itself, and keeps count of what is held.

use std::collections::{HashMap, VecDeque};
use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::thread;
use std::time::{Duration, Instant};

use world::disk::Source;
use world::{DiskFault, DiskOp, JobId, StoreId};

use super::batch::{Batch, Target};
use super::buffers::Buffers;
use super::queue::{Answer, Back, Line, Shared, Task, What, changes};
use super::read::read_at_hand;
use super::stores::Stores;
use super::work::{Tools, work};
use super::{CHUNK, DiskLimits, Lent};
use crate::Counters;

/// A block, as peers ask for it.
const BLOCK: usize = 16 * 1024;
/// Chunks kept for the next use: 32 MiB, half of what may be held. A new one costs more than what it holds: pages to be zeroed twice.
const KEPT_CHUNKS: usize = 32;
/// As much as is read for a peer at once: 16 blocks.
const RUN: usize = 16 * BLOCK;
/// Buffers of such reads kept for the next use: 8 MiB.
const KEPT_RUNS: usize = 32;
/// Blocks kept for the next use: 2 MiB.
const KEPT_BLOCKS: usize = 128;
/// Emptied batches kept for the next use, a few KiB each.
const KEPT_BATCHES: usize = 64;
/// Bytes collected for a worker before it gets them, if the turn does not end before.
const HAND_OVER: usize = CHUNK;
/// A write of the loop's own that takes longer than this was held up for the disk's sake: the system takes a batch in a
/// fraction of a millisecond while it has memory for it, and a busy machine may take the processor away for a few.
const HELD_UP: Duration = Duration::from_millis(50);
/// For so long after that the workers write, so that nobody else waits.
const AVOID: Duration = Duration::from_secs(1);
/// A read may not be longer.
const LONGEST_READ: usize = 16 << 20;
/// How long the end of a run waits for what is to be written. A device that does not answer would keep it for ever.
const CLOSE_WITHIN: Duration = Duration::from_secs(30);

/// What there is once the machine has asked for something.
pub(super) struct Office {
    limits: DiskLimits,
    shared: Arc<Shared>,
    /// Threads that run; each has a line of its own.
    workers: usize,
    /// For what the loop does itself.
    tools: Tools,
    chunks: Buffers,
    runs: Buffers,
    blocks: Buffers,
    /// What is collected for each worker (without workers: one).
    batches: Vec<Batch>,
    spare: Vec<Batch>,
    /// Whose batch has the loop's chunk.
    claimed: Option<usize>,
    /// For each worker: what is in its line or hands and may not be overtaken by writes that the loop does itself.
    in_line: Vec<usize>,
    /// Stores whose files something in line will change, and how many times: reading waits its turn behind it.
    changing: HashMap<StoreId, usize>,
    /// Chunks in the hands of workers.
    chunks_away: usize,
    /// Bytes of buffers of reads that are not told yet.
    reads_held: usize,
    full: bool,
    /// Until then the loop does not write itself: the system held it up.
    avoid_until: Option<Instant>,
    answers: VecDeque<Answer>,
    backs: Vec<Back>,
}

impl Office {
    /// Starts the workers. Those that the system does not let us start are done without.
    pub(super) fn open(limits: DiskLimits) -> Self {
        let shared = Arc::new(Shared::new(Stores::new(limits.open_files), limits.workers));
        let flush_here = limits.workers <= 1;
        let started = (0..limits.workers).take_while(|&worker| {
            let with = Arc::clone(&shared);
            shared.begins();
            let thread = thread::Builder::new().name(format!("disk-{worker}"));
            let started = thread.spawn(move || {
                let _ends = Ends(&with);
                work(&with, worker, flush_here);
            });
            if started.is_err() {
                shared.ends();
            }
            started.is_ok()
        });
        let workers = started.count();
        Self {
            limits,
            workers,
            tools: Tools::default(),
            chunks: Buffers::new(CHUNK, KEPT_CHUNKS),
            runs: Buffers::new(RUN, KEPT_RUNS),
            blocks: Buffers::new(BLOCK, KEPT_BLOCKS),
            batches: (0..workers.max(1)).map(|_| Batch::default()).collect(),
            spare: Vec::new(),
            claimed: None,
            in_line: vec![0; workers.max(1)],
            changing: HashMap::new(),
            chunks_away: 0,
            reads_held: 0,
            full: false,
            avoid_until: None,
            answers: VecDeque::new(),
            backs: Vec::new(),
            shared,
        }
    }

    /// Who writes for a store.
    fn worker_of(&self, store: StoreId) -> usize {
        store.0 as usize % self.workers.max(1)
    }

    /// Collects a write.
    pub(super) fn write(
        &mut self,
        to: Target,
        source: Source,
        payload: &[u8],
        lent: Lent<'_>,
        counters: &mut Counters,
    ) {
        let worker = self.worker_of(to.store);
        let Self { batches, chunks, .. } = self;
        let Some(batch) = batches.get_mut(worker) else {
            return;
        };
        counters.disk.blocks_written += 1;
        match source {
            Source::Input { start, len } => match lent.get(start, len) {
                // Whoever is second to want the chunk gets a copy.
                Some(_) if matches!(lent, Lent::Chunk(_)) && self.claimed.is_none_or(|first| first == worker) => {
                    self.claimed = Some(worker);
                    batch.claim(to, start, len);
                }
                Some(bytes) => batch.copy(to, bytes, chunks),
                None => return self.lost(to.job, len, counters),
            },
            Source::Payload { len } => match payload.get(..len) {
                Some(bytes) => batch.copy(to, bytes, chunks),
                None => return self.lost(to.job, len, counters),
            },
        }
        if batch.bytes >= HAND_OVER && self.claimed != Some(worker) {
            self.flush(worker, counters);
        }
    }

    /// A write of bytes that are not there.
    fn lost(&mut self, job: JobId, bytes: usize, counters: &mut Counters) {
        counters.disk.failures += 1;
        let what = What::Failed(DiskFault::Device, bytes);
        self.answers.push_back(Answer { job, what });
    }

    /// Gives away the loop's chunk if somebody has claimed it, and puts another in its place.
    pub(super) fn settle(&mut self, chunk: &mut Vec<u8>, counters: &mut Counters) {
        let Some(worker) = self.claimed.take() else {
            return;
        };
        let Some(batch) = self.batches.get_mut(worker) else {
            return;
        };
        batch.hand_over(mem::take(chunk));
        if batch.bytes >= HAND_OVER {
            self.flush(worker, counters);
        }
        // If the loop has written it just now, it is the same chunk.
        *chunk = self.chunks.take();
    }

    pub(super) fn flush_all(&mut self, counters: &mut Counters) {
        for worker in 0..self.batches.len() {
            self.flush(worker, counters);
        }
    }

    /// Has written what is collected for a worker.
    fn flush(&mut self, worker: usize, counters: &mut Counters) {
        let Some(batch) = self.batches.get_mut(worker).filter(|batch| !batch.is_empty()) else {
            return;
        };
        let mut batch = mem::replace(batch, self.spare.pop().unwrap_or_default());
        let Some(in_line) = self.in_line.get_mut(worker) else {
            return;
        };
        let is_held_up = || self.avoid_until.is_some_and(|until| until > Instant::now());
        if self.workers == 0 || (self.limits.inline_writes && *in_line == 0 && !is_held_up()) {
            let began = Instant::now();
            let mut batches = [batch];
            self.tools.write(&self.shared, &mut batches);
            let [batch] = batches;
            if began.elapsed() > HELD_UP {
                self.avoid_until = Some(began + AVOID);
            }
            return self.written(batch, counters);
        }
        *in_line += 1;
        self.chunks_away += batch.chunks();
        batch.worker = Some(worker);
        counters.disk.handed_over += 1;
        self.shared.push(Line::Of(worker), Task::Write(batch));
    }

    /// Tells what came of a batch, and takes its buffers back.
    fn written(&mut self, mut batch: Batch, counters: &mut Counters) {
        counters.disk += &batch.counted;
        for outcome in batch.outcomes.drain(..) {
            let what = match outcome.fault {
                None => What::Wrote(outcome.bytes),
                Some(fault) => What::Failed(fault, outcome.bytes),
            };
            let job = outcome.job;
            self.answers.push_back(Answer { job, what });
        }
        batch.empty(&mut self.chunks);
        if self.spare.len() < KEPT_BATCHES {
            self.spare.push(batch);
        }
    }

    /// Has something done by the store's own worker, after all that was asked before.
    pub(super) fn ask_own(
        &mut self,
        store: StoreId,
        job: JobId,
        op: DiskOp,
        bytes: Vec<u8>,
        lent: Lent<'_>,
        counters: &mut Counters,
    ) {
        let worker = self.worker_of(store);
        if self.claimed == Some(worker)
            && let Some(batch) = self.batches.get_mut(worker)
        {
            // What was written from the chunk must go now, and the loop still reads from it.
            self.claimed = None;
            batch.give_up(lent.all(), &mut self.chunks);
        }
        self.flush(worker, counters);
        counters.disk.syncs += u64::from(op == DiskOp::Sync);
        if changes(op) {
            *self.changing.entry(store).or_default() += 1;
            if let Some(in_line) = self.in_line.get_mut(worker) {
                *in_line += 1;
            }
        }
        self.ask(Line::Of(worker), Task::Op { store, job, op, bytes }, counters);
    }

    /// Has slices hashed by whoever has time.
    pub(super) fn hash(&mut self, store: StoreId, job: JobId, op: DiskOp, bytes: Vec<u8>, counters: &mut Counters) {
        let line = self.line_of(store, Line::Later);
        self.ask(line, Task::Op { store, job, op, bytes }, counters);
    }

    /// Reads at once what the system has in memory, or has it read.
    pub(super) fn read(
        &mut self,
        store: StoreId,
        job: JobId,
        (file, at, len): (u32, u64, u32),
        counters: &mut Counters,
    ) {
        counters.disk.blocks_read += 1;
        let bytes = len as usize;
        if bytes > LONGEST_READ {
            counters.disk.failures += 1;
            let what = What::Failed(DiskFault::Unfit, 0);
            return self.answers.push_back(Answer { job, what });
        }
        let mut buffer = if bytes <= BLOCK {
            self.blocks.take()
        } else if bytes <= RUN {
            self.runs.take()
        } else {
            vec![0; bytes]
        };
        self.reads_held += buffer.len();
        let line = self.line_of(store, Line::Soon);
        if self.limits.inline_reads
            && line == Line::Soon
            && let Some(fd) = self.shared.stores.if_open(store, file)
            && read_at_hand(&fd, buffer.get_mut(..bytes).unwrap_or_default(), at)
        {
            counters.disk.blocks_read_hit += 1;
            counters.disk.bytes_read += u64::from(len);
            let what = What::Read(buffer, bytes);
            return self.answers.push_back(Answer { job, what });
        }
        let op = DiskOp::Read { file, at, len };
        let task = Task::Op {
            store,
            job,
            op,
            bytes: buffer,
        };
        self.ask(line, task, counters);
    }

    /// What could be done by any worker, but must be behind what changes the files.
    fn line_of(&self, store: StoreId, line: Line) -> Line {
        if self.changing.contains_key(&store) {
            Line::Of(self.worker_of(store))
        } else {
            line
        }
    }

    fn ask(&mut self, line: Line, task: Task, counters: &mut Counters) {
        if self.workers > 0 {
            counters.disk.handed_over += 1;
            self.shared.push(line, task);
        } else {
            let back = self.tools.perform(&self.shared, task, true);
            if let Some(back) = back {
                self.back(back, counters);
            }
        }
    }

    /// Fetches what the workers have done; `cx` is woken when there is more.
    pub(super) fn collect(&mut self, cx: &Context<'_>, counters: &mut Counters) {
        let mut list = mem::take(&mut self.backs);
        self.shared.collect(cx, &mut list);
        for back in list.drain(..) {
            self.back(back, counters);
        }
        self.backs = list;
    }

    fn back(&mut self, back: Back, counters: &mut Counters) {
        match back {
            Back::Batch(batch) => {
                self.chunks_away -= batch.chunks();
                self.passed(batch.worker);
                self.written(batch, counters);
            }
            Back::One {
                answer,
                changed,
                counted,
            } => {
                counters.disk += &counted;
                if let Some(store) = changed {
                    self.passed(Some(self.worker_of(store)));
                    if let Some(times) = self.changing.get_mut(&store) {
                        *times -= 1;
                        if *times == 0 {
                            self.changing.remove(&store);
                        }
                    }
                }
                self.answers.push_back(answer);
            }
        }
    }

    /// One thing less in a worker's line.
    fn passed(&mut self, worker: Option<usize>) {
        if let Some(in_line) = worker.and_then(|worker| self.in_line.get_mut(worker)) {
            *in_line -= 1;
        }
    }

    pub(super) fn next_answer(&mut self) -> Option<Answer> {
        self.answers.pop_front()
    }

    pub(super) fn has_answers(&self) -> bool {
        !self.answers.is_empty()
    }

    /// Takes back the buffer of a read.
    pub(super) fn take_back(&mut self, buffer: Vec<u8>) {
        self.reads_held -= buffer.len();
        if buffer.len() == BLOCK {
            self.blocks.give(buffer);
        } else if buffer.len() == RUN {
            self.runs.give(buffer);
        }
    }

    /// Whether nothing may be read from sockets: from the limit on, until three quarters of it.
    pub(super) fn is_full(&mut self, counters: &mut Counters) -> bool {
        let collected: usize = self.batches.iter().map(Batch::chunks).sum();
        let held = (collected + self.chunks_away) * CHUNK + self.reads_held;
        counters.disk.held = held as u64;
        counters.disk.most_held = counters.disk.most_held.max(counters.disk.held);
        let limit = self.limits.held;
        let was = self.full;
        self.full = held >= limit.max(1) || (was && held > limit / 4 * 3);
        counters.disk.pauses += u64::from(self.full && !was);
        self.full
    }

    /// Has everything written that is to be, and ends the workers.
    pub(super) fn finish(&mut self, counters: &mut Counters) {
        self.flush_all(counters);
        self.shared.close(CLOSE_WITHIN);
        for back in self.shared.collect_last() {
            self.back(back, counters);
        }
        counters.disk.held = 0;
    }
}

impl Drop for Office {
    /// After a panic of the machine, too, the workers end; nobody waits for them then.
    fn drop(&mut self) {
        if !self.shared.closing.load(Ordering::Acquire) {
            self.shared.close(Duration::ZERO);
        }
    }
}

/// Says that a worker has ended, however it did.
struct Ends<'s>(&'s Shared);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.ends();
    }
}
