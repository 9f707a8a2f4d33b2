//! The disk: what the machine asks of its stores, and the answers.
//!
//! Bytes that came from a connection stay in the chunk that the loop read them into: the chunk goes to the disk with a
//! list of what goes where, and the loop reads on into another. What is asked for is done by a few threads, each of which
//! writes for its own stores, so that the order of a store holds; or, as [`DiskLimits`] say, by the loop itself. No thread
//! is there before the machine asks for something.

mod allocate;
mod arrange;
mod batch;
mod buffers;
mod fault;
mod folder;
mod handles;
mod hash;
mod office;
mod queue;
mod read;
mod relocate;
mod stores;
mod sync;
mod work;
mod write;

use std::task::Context;

use world::{DiskOp, Done, JobId, StoreId};

use self::batch::Target;
use self::office::Office;
use self::queue::What;
use crate::Counters;

pub(crate) use self::queue::Answer;

/// Bytes read from a connection at once, and of a buffer on its way to the disk: four blocks of each of sixteen pieces, which
/// are hashed side by side, and each put down at nearly full speed (twice that of blocks one by one); and no more, so that
/// what was read is still in the processor's second cache when it is hashed and written.
pub(crate) const CHUNK: usize = 1024 * 1024;
/// Received bytes that are worth a chunk of their own on the way to the disk; fewer are copied together, or a slow peer's
/// packets would each hold a whole chunk.
const WORTH_A_CHUNK: usize = CHUNK / 16;
/// How the host deals with the disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DiskLimits {
    /// Threads. 0: the loop does everything itself, and waits for the disk each time. Recommended: 2.
    pub workers: usize,
    /// Files open at once; more, and the one not used for longest is closed. Recommended: 40 (STO-10).
    pub open_files: usize,
    /// Bytes of buffers with what is to be written, or read and not yet told. From there on nothing is read from any
    /// socket, until it is three quarters (STO-14): what comes is never dropped here. Recommended: 64 MiB.
    pub held: usize,
    /// Whether the loop writes what was received itself, as soon as the machine has decided: it costs no hand-over, and
    /// the bytes are in the cache. When the system holds it up for the disk's sake, the workers write for a while.
    /// Recommended: yes.
    pub inline_writes: bool,
    /// Whether the loop itself reads what the system has in memory (Linux can say). It never waits for the disk.
    /// Recommended: yes.
    pub inline_reads: bool,
}

/// The bytes that the machine is being told of, for [`Source::Input`](world::disk::Source::Input).
#[derive(Clone, Copy)]
pub(crate) enum Lent<'a> {
    /// None.
    Nothing,
    /// In a buffer of somebody else's: what is to be written is copied.
    Copied(&'a [u8]),
    /// In the loop's own chunk, which can be had: [`Disk::settle`] follows.
    Chunk(&'a [u8]),
}

impl<'a> Lent<'a> {
    /// Bytes that were received into the loop's chunk.
    pub(crate) const fn received(bytes: &'a [u8]) -> Self {
        if bytes.len() < WORTH_A_CHUNK {
            Self::Copied(bytes)
        } else {
            Self::Chunk(bytes)
        }
    }

    fn all(self) -> &'a [u8] {
        match self {
            Self::Nothing => &[],
            Self::Copied(bytes) | Self::Chunk(bytes) => bytes,
        }
    }

    /// `None` if it is not there.
    fn get(self, start: usize, len: usize) -> Option<&'a [u8]> {
        match self {
            Self::Nothing => None,
            Self::Copied(bytes) | Self::Chunk(bytes) => bytes.get(start..start.checked_add(len)?),
        }
    }
}

/// The loop's side.
pub(crate) struct Disk {
    limits: DiskLimits,
    /// From the first effect on.
    office: Option<Box<Office>>,
}

impl Disk {
    pub(crate) const fn new(limits: DiskLimits) -> Self {
        Self { limits, office: None }
    }

    /// Carries an effect out, or queues it.
    pub(crate) fn carry_out(
        &mut self,
        (store, job, op): (StoreId, JobId, DiskOp),
        payload: &[u8],
        lent: Lent<'_>,
        counters: &mut Counters,
    ) {
        let limits = self.limits;
        let office = self.office.get_or_insert_with(|| Box::new(Office::open(limits)));
        match op {
            DiskOp::Write { file, at, source } => {
                let to = Target { store, file, at, job };
                office.write(to, source, payload, lent, counters);
            }
            DiskOp::Read { file, at, len } => office.read(store, job, (file, at, len), counters),
            DiskOp::Hash { len, .. } => {
                let bytes = payload.get(..len).unwrap_or(payload).to_vec();
                office.hash(store, job, op, bytes, counters);
            }
            DiskOp::Open { len } | DiskOp::Rename { len, .. } | DiskOp::Move { len } => {
                let bytes = payload.get(..len).unwrap_or(payload).to_vec();
                office.ask_own(store, job, op, bytes, lent, counters);
            }
            DiskOp::Allocate { .. } | DiskOp::Sync | DiskOp::Delete | DiskOp::Release => {
                office.ask_own(store, job, op, Vec::new(), lent, counters);
            }
        }
    }

    /// To be called when the machine has been polled after it was told of bytes in `chunk`: if they are to be written,
    /// another chunk is in its place.
    pub(crate) fn settle(&mut self, chunk: &mut Vec<u8>, counters: &mut Counters) {
        if let Some(office) = &mut self.office {
            office.settle(chunk, counters);
        }
    }

    /// Hands over what is collected.
    pub(crate) fn flush(&mut self, counters: &mut Counters) {
        if let Some(office) = &mut self.office {
            office.flush_all(counters);
        }
    }

    /// Fetches what the workers have done; `cx` is woken when there is more.
    pub(crate) fn collect(&mut self, cx: &Context<'_>, counters: &mut Counters) {
        if let Some(office) = &mut self.office {
            office.collect(cx, counters);
        }
    }

    /// The next answer to be told; to be given [back](Self::told) afterwards.
    pub(crate) fn next_answer(&mut self) -> Option<Answer> {
        self.office.as_mut()?.next_answer()
    }

    /// Takes the buffers of an answer back.
    pub(crate) fn told(&mut self, answer: Answer) {
        if let (Some(office), What::Read(buffer, _) | What::Unread(buffer, _)) = (&mut self.office, answer.what) {
            office.take_back(buffer);
        }
    }

    /// Whether there are answers to be told.
    pub(crate) fn has_answers(&self) -> bool {
        self.office.as_ref().is_some_and(|office| office.has_answers())
    }

    /// Whether so much is held that nothing may be read from sockets.
    pub(crate) fn is_full(&mut self, counters: &mut Counters) -> bool {
        self.office.as_mut().is_some_and(|office| office.is_full(counters))
    }

    /// Has everything written that is to be, and ends the workers.
    pub(crate) fn finish(&mut self, counters: &mut Counters) {
        if let Some(mut office) = self.office.take() {
            office.finish(counters);
        }
    }
}

impl Answer {
    /// The number, and the answer as it is told.
    pub(crate) fn done(&self) -> (JobId, Done<'_>) {
        let done = match &self.what {
            What::Opened(files) => Done::Opened(files),
            What::Wrote(bytes) => Done::Wrote(*bytes),
            What::Read(buffer, len) => Done::Read(buffer.get(..*len).unwrap_or_default()),
            What::Hashed(digests) => Done::Hashed(digests),
            What::Hole => Done::Hole,
            What::Done => Done::Ok,
            &What::Failed(fault, bytes) => Done::Failed { fault, bytes },
            &What::Unread(_, fault) => Done::Failed { fault, bytes: 0 },
        };
        (self.job, done)
    }
}
