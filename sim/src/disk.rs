//! A pretend disk: what a mind asks by `world::Effect::Disk` is carried out on files in memory, with a cache that a crash
//! loses.
//!
//! **Time.** An operation takes effect when it is answered: [`Disk::ask`] at one time, [`Disk::take`] at a later one, by
//! [`Speed`]. Writes of a store, and what makes or names files (`Open`, `Allocate`, `Rename`, `Move`, `Delete`, `Release`), are
//! done in the order of asking; so is [`DiskOp::Sync`]. Reading and hashing overtake writes and one another, and wait only
//! for what made or named files before. Writes that share a job are answered by themselves or together, as chance has it.
//!
//! **Cache.** What was written is seen at once and durable after the next `Sync` of its store that was *asked* after it; then
//! so are the file's length, its path and that it is there at all. [`Disk::lose_power`] brings back, for each 4 KiB page,
//! length and path, one of the values it had since; one crash in four loses all of them, one in four keeps all, the others
//! mix, with pages torn between sectors of 512 bytes. [`Disk::kill`] ends the process and keeps the cache. Both carry out any
//! subset of what was asked and not answered, and forget the stores: a new machine opens them anew.
//!
//! **Faults.** [`Faults`], changed at any time through [`Disk::faults_mut`]; [`Disk::truncate`], [`Disk::remove`] and
//! [`Disk::plant`] are others who meddle. Paths that leave their store's folder are [`DiskFault::Unfit`] and counted in
//! [`Counts::escapes`]; questions about a store or file that was not named are [`DiskFault::Gone`] and counted in
//! [`Counts::misused`]. There are no links here, and folders are but the paths of files.
//!
//! **Points.** Each question is a point and each answer is another; [`Disk::crash_at`] stops the run at one of them, before
//! the question is carried out, or after it was and before anybody hears. [`Disk::points`] of a run that ended well says
//! how many there are.
//!
//! Memory: a page for each 4 KiB that differs, once for all disks of a [`Stage`](crate::stage::Stage); planted [`Content`]
//! is a function and takes none. [`Faults::space`] is the bound.

mod act;
mod content;
mod crash;
mod digest;
mod faults;
mod file;
mod meddle;
mod names;
mod pages;
mod past;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use world::disk::{FileStat, Slices, Source};
use world::{DiskFault, DiskOp, Done, JobId, Seed, StoreId, Tally, Time};

pub use content::Content;
pub use faults::{Failure, Faults, Kind, Speed};
pub use pages::PAGE;

use faults::Draws;
use file::File;
use names::Names;
pub(crate) use pages::Pages;

/// Nanoseconds since 1970 when a run begins.
const BEGAN_NS: i64 = 1_700_000_000_000_000_000;

/// The time of change that a file has from virtual time.
const fn mtime(now: Time) -> i64 {
    BEGAN_NS.saturating_add(now.as_micros().cast_signed().saturating_mul(1_000))
}

/// What a disk has done.
#[derive(Clone, Default, Debug)]
pub struct Counts {
    /// Operations that were carried out or failed, by kind.
    pub done: Tally<Kind>,
    /// Answers that were faults.
    pub faults: Tally<DiskFault>,
    /// Bytes written, read, hashed.
    pub written: u64,
    /// Bytes that [`DiskOp::Read`] brought.
    pub read: u64,
    /// Bytes that [`DiskOp::Hash`] read.
    pub hashed: u64,
    /// Reads of which a byte is wrong.
    pub garbled: u64,
    /// Paths that would have left their folder.
    pub escapes: u64,
    /// Questions about a store or file that was not named.
    pub misused: u64,
}

/// An answer, for [`world::Input::Disk`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// Of which job.
    pub job: JobId,
    pub(crate) reply: Reply,
}

/// [`Done`] with its bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Reply {
    Opened(Vec<Option<FileStat>>),
    Wrote(usize),
    Read(Vec<u8>),
    Hashed(Vec<u8>),
    Hole,
    Ok,
    Failed(DiskFault, usize),
}

impl Answer {
    /// What the machine is told.
    pub fn done(&self) -> Done<'_> {
        match &self.reply {
            Reply::Opened(stats) => Done::Opened(stats),
            Reply::Wrote(bytes) => Done::Wrote(*bytes),
            Reply::Read(bytes) => Done::Read(bytes),
            Reply::Hashed(bytes) => Done::Hashed(bytes),
            Reply::Hole => Done::Hole,
            Reply::Ok => Done::Ok,
            Reply::Failed(fault, bytes) => Done::Failed {
                fault: *fault,
                bytes: *bytes,
            },
        }
    }
}

/// A question on its way.
#[derive(PartialEq, Eq, Debug)]
struct Asked {
    at: Time,
    /// The how-manyth question of this disk, from 1.
    number: u64,
    store: StoreId,
    job: JobId,
    op: DiskOp,
    /// The payload, or the bytes of the input.
    bytes: Vec<u8>,
}

impl Ord for Asked {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

impl PartialOrd for Asked {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// Folder and files as a machine has named them.
#[derive(Clone, Default, Debug)]
struct Store {
    is_named: bool,
    folder: String,
    /// Paths below the folder.
    files: Vec<String>,
    /// When the last question that was asked is answered.
    last: Time,
    /// When the last write is.
    write: Time,
    /// What is asked now is answered no earlier.
    barrier: Time,
}

/// Writes of one job.
#[derive(Clone, Copy, Default, Debug)]
struct Shared {
    /// Not yet carried out.
    open: usize,
    /// Bytes written that will be answered with a later one.
    held: usize,
}

/// A disk; see the module.
#[derive(Debug)]
pub struct Disk {
    speed: Speed,
    faults: Faults,
    draws: Draws,
    pages: Pages,
    files: BTreeMap<u64, File>,
    names: Names,
    next_file: u64,
    stores: BTreeMap<StoreId, Store>,
    queue: BinaryHeap<Reverse<Asked>>,
    /// Answers that came beside another one.
    ready: Option<Answer>,
    /// Writes under way by job, and bytes of answers that are held back for a later one.
    shared: BTreeMap<(StoreId, JobId), Shared>,
    /// Stores of which somebody deleted a file that was not synced.
    deleted: BTreeSet<StoreId>,
    asked: u64,
    /// Bytes that all files take.
    used: u64,
    /// When the device is free.
    free: Time,
    points: u64,
    crash_at: Option<u64>,
    counts: Counts,
}

impl Disk {
    /// An empty disk.
    pub fn new(speed: Speed, faults: Faults, seed: Seed) -> Self {
        Self::sharing(speed, faults, seed, Pages::default())
    }

    /// An empty disk that holds pages once for all that share these.
    pub(crate) fn sharing(speed: Speed, faults: Faults, seed: Seed, pages: Pages) -> Self {
        Self {
            speed,
            faults,
            draws: Draws::new(seed),
            pages,
            files: BTreeMap::new(),
            names: Names::default(),
            next_file: 0,
            stores: BTreeMap::new(),
            queue: BinaryHeap::new(),
            ready: None,
            shared: BTreeMap::new(),
            deleted: BTreeSet::new(),
            asked: 0,
            used: 0,
            free: Time::ZERO,
            points: 0,
            crash_at: None,
            counts: Counts::default(),
        }
    }

    /// What has been done so far.
    pub const fn counts(&self) -> &Counts {
        &self.counts
    }

    /// What goes wrong from now on.
    pub const fn faults_mut(&mut self) -> &mut Faults {
        &mut self.faults
    }

    /// Questions and answers so far.
    pub const fn points(&self) -> u64 {
        self.points
    }

    /// Stops at this point, counted from the disk's first; `None`: at none.
    pub const fn crash_at(&mut self, point: Option<u64>) {
        self.crash_at = point;
    }

    /// Whether that point has come. From then on nothing is carried out and nothing is answered, until
    /// [`Disk::kill`] or [`Disk::lose_power`].
    pub fn is_stopped(&self) -> bool {
        self.crash_at.is_some_and(|point| self.points >= point)
    }

    /// Takes a question. `payload` is what the machine appended to the lent buffer; `input` are the bytes of the
    /// [`world::Input::Received`] or [`world::HttpPart::Body`] that it handled last, if nothing came after.
    ///
    /// # Panics
    /// If the machine breaks the contract: a payload of another length than it says, or a part that the input does not have.
    pub fn ask(&mut self, now: Time, store: StoreId, job: JobId, op: DiskOp, payload: &[u8], input: &[u8]) {
        if self.is_stopped() {
            return;
        }
        self.points += 1;
        if self.is_stopped() {
            return;
        }
        self.asked += 1;
        let (said, bytes) = match op {
            DiskOp::Write { source, .. } => {
                self.shared.entry((store, job)).or_default().open += 1;
                match source {
                    Source::Payload { len } => (len, payload),
                    Source::Input { start, len } => {
                        let part = start.checked_add(len).and_then(|end| input.get(start..end));
                        assert!(
                            part.is_some(),
                            "{job:?} writes {len} bytes at {start} of an input of {} bytes",
                            input.len()
                        );
                        (len, part.unwrap_or_default())
                    }
                }
            }
            DiskOp::Open { len } | DiskOp::Hash { len, .. } | DiskOp::Rename { len, .. } | DiskOp::Move { len } => {
                (len, payload)
            }
            _ => (0, &[][..]),
        };
        assert_eq!(bytes.len(), said, "{job:?}: the payload of {op:?}");
        let at = self.when(now, store, &op, bytes);
        self.queue.push(Reverse(Asked {
            at,
            number: self.asked,
            store,
            job,
            op,
            bytes: bytes.to_vec(),
        }));
    }

    /// When a question is answered.
    fn when(&mut self, now: Time, store: StoreId, op: &DiskOp, payload: &[u8]) -> Time {
        let bytes = match *op {
            DiskOp::Write { .. } => payload.len() as u64,
            DiskOp::Read { len, .. } => u64::from(len),
            DiskOp::Hash { .. } => Slices::read(payload).map(|slice| u64::from(slice.len)).sum(),
            _ => 0,
        };
        self.free = self.free.max(now) + self.speed.pass(bytes);
        let store = self.stores.entry(store).or_default();
        let mut at = self.free + self.speed.delay(self.draws.delay, self.asked);
        at = at.max(store.barrier).max(self.faults.stalled_until);
        match Kind::of(op) {
            Kind::Read | Kind::Hash => {}
            Kind::Write => {
                at = at.max(store.write);
                store.write = at;
            }
            Kind::Sync => at = at.max(store.last),
            _ => {
                at = at.max(store.last);
                store.barrier = at;
            }
        }
        store.last = store.last.max(at);
        at
    }
}

#[cfg(test)]
mod tests;
