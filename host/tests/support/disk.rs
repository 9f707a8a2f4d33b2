//! Asking a disk for things, and hearing what came of it.

use std::collections::BTreeMap;
use std::path::Path;

use host::{Counters, DiskLimits, Limits, Setup, Stage};
use world::disk::{Allocation, Digest, FileStat, Folder, Slice, Slices, Source};
use world::{DiskFault, DiskOp, Done, Input, JobId, StoreId};

use super::{Acts, LIMITS, play, setup};

/// The store of most tests.
pub(crate) const STORE: StoreId = StoreId(7);

/// The ways to deal with a disk, which must all come to the same.
pub(crate) fn ways() -> [DiskLimits; 4] {
    let limits = |workers, inline_writes| DiskLimits {
        workers,
        inline_writes,
        ..LIMITS.disk
    };
    [limits(2, false), limits(2, true), limits(1, false), limits(0, false)]
}

/// Something asked.
pub(crate) struct Ask {
    store: StoreId,
    op: DiskOp,
    payload: Vec<u8>,
}

impl Ask {
    pub(crate) fn of(op: DiskOp, payload: Vec<u8>) -> Self {
        Self {
            store: STORE,
            op,
            payload,
        }
    }

    pub(crate) fn store(self, store: StoreId) -> Self {
        Self { store, ..self }
    }
}

pub(crate) fn open(folder: &Path, files: &[&str]) -> Ask {
    let mut payload = Vec::new();
    Folder::encode(
        &mut payload,
        folder.to_str().unwrap(),
        files.iter().map(|path| (path, 0)),
    );
    Ask::of(DiskOp::Open { len: payload.len() }, payload)
}

pub(crate) fn write(file: u32, at: u64, bytes: &[u8]) -> Ask {
    let source = Source::Payload { len: bytes.len() };
    Ask::of(DiskOp::Write { file, at, source }, bytes.to_vec())
}

pub(crate) fn read(file: u32, at: u64, len: u32) -> Ask {
    Ask::of(DiskOp::Read { file, at, len }, Vec::new())
}

pub(crate) fn hash(digest: Digest, slices: &[(Option<u32>, u64, u32)]) -> Ask {
    let mut payload = Vec::new();
    let slices = slices.iter().map(|&(file, at, len)| Slice { file, at, len });
    Slices::encode(&mut payload, slices);
    let len = payload.len();
    Ask::of(DiskOp::Hash { digest, len }, payload)
}

pub(crate) fn allocate(file: u32, size: u64, how: Allocation) -> Ask {
    Ask::of(DiskOp::Allocate { file, size, how }, Vec::new())
}

pub(crate) fn rename(file: u32, path: &str) -> Ask {
    Ask::of(DiskOp::Rename { file, len: path.len() }, path.into())
}

pub(crate) fn relocate(folder: &Path) -> Ask {
    let payload: Vec<u8> = folder.to_str().unwrap().into();
    Ask::of(DiskOp::Move { len: payload.len() }, payload)
}

pub(crate) const fn plain(op: DiskOp) -> Ask {
    Ask {
        store: STORE,
        op,
        payload: Vec::new(),
    }
}

/// What was told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Told {
    Opened(Vec<Option<FileStat>>),
    /// Bytes written of it, and the fault and number of those lost, if any were.
    Wrote(usize, Option<(DiskFault, usize)>),
    Read(Vec<u8>),
    Hashed(Vec<u8>),
    Hole,
    Ok,
    Failed(DiskFault),
}

/// Answers that are still to come in whole, by the place of their question.
struct Listener {
    told: BTreeMap<u64, Told>,
    /// Bytes of writes that were asked and not answered.
    owed: BTreeMap<u64, usize>,
}

impl Listener {
    /// True when this was the last word on its question.
    fn hear(&mut self, job: u64, done: Done<'_>) -> bool {
        let told = match done {
            Done::Opened(files) => Told::Opened(files.to_vec()),
            Done::Read(bytes) => Told::Read(bytes.to_vec()),
            Done::Hashed(bytes) => Told::Hashed(bytes.to_vec()),
            Done::Hole => Told::Hole,
            Done::Ok => Told::Ok,
            Done::Failed { fault, .. } if !self.owed.contains_key(&job) => Told::Failed(fault),
            Done::Wrote(bytes) => return self.wrote(job, bytes, None),
            Done::Failed { fault, bytes } => return self.wrote(job, bytes, Some(fault)),
        };
        assert_eq!(self.told.insert(job, told), None, "one answer to {job}");
        true
    }

    fn wrote(&mut self, job: u64, bytes: usize, fault: Option<DiskFault>) -> bool {
        let owed = self.owed.get_mut(&job).unwrap();
        *owed -= bytes;
        let Told::Wrote(written, lost) = self.told.entry(job).or_insert(Told::Wrote(0, None)) else {
            panic!("{job} is a write")
        };
        match fault {
            None => *written += bytes,
            Some(fault) => *lost = Some((fault, bytes + lost.map_or(0, |(_, lost)| lost))),
        }
        *owed == 0
    }
}

/// Asks for the steps one after another, each when all of the one before is answered; gives the answers of each step.
pub(crate) fn ask(disk: DiskLimits, steps: Vec<Vec<Ask>>) -> (Vec<Vec<Told>>, Counters) {
    ask_watching(disk, steps, || {})
}

/// The same; looks around after each answer.
pub(crate) fn ask_watching(
    disk: DiskLimits,
    steps: Vec<Vec<Ask>>,
    mut watch: impl FnMut(),
) -> (Vec<Vec<Told>>, Counters) {
    let sizes: Vec<usize> = steps.iter().map(Vec::len).collect();
    let mut steps = steps.into_iter();
    let mut job = 0;
    let (mut left, mut owed) = (0, BTreeMap::new());
    let mut go_on = |acts: &mut Acts, owed: &mut BTreeMap<u64, usize>| {
        let Some(step) = steps.next() else {
            acts.done();
            return 0;
        };
        for ask in &step {
            if let DiskOp::Write { source, .. } = ask.op {
                let (Source::Payload { len } | Source::Input { len, .. }) = source;
                owed.insert(job, len);
            }
            acts.disk(ask.store, JobId(job), ask.op, &ask.payload);
            job += 1;
        }
        step.len()
    };
    let limits = Limits { disk, ..LIMITS };
    let stage = Stage::open(&Setup { limits, ..setup() }).unwrap();
    let mut begun = None;
    let mut listener = Listener {
        told: BTreeMap::new(),
        owed: BTreeMap::new(),
    };
    let ended = play(
        stage,
        // A timer, so that the first step is asked by the same closure as the others.
        |acts| acts.wake = Some(world::Time::ZERO),
        |acts, _, input| {
            match input {
                Input::Tick if begun.is_none() => begun = Some(()),
                Input::Disk { job, done } => {
                    listener.owed.append(&mut owed);
                    left -= usize::from(listener.hear(job.0, done));
                    watch();
                }
                _ => return,
            }
            if left == 0 {
                left = go_on(acts, &mut owed);
            }
        },
    );
    let mut told = listener.told.into_values();
    let told = sizes
        .into_iter()
        .map(|size| told.by_ref().take(size).collect())
        .collect();
    (told, ended.counters)
}

/// The last step's answers; those before must have gone well.
#[track_caller]
pub(crate) fn last(disk: DiskLimits, steps: Vec<Vec<Ask>>) -> Vec<Told> {
    let (mut told, _) = ask(disk, steps);
    let last = told.pop().unwrap();
    for told in told.concat() {
        assert!(
            !matches!(told, Told::Failed(_) | Told::Wrote(_, Some(_))),
            "before the last step: {told:?}"
        );
    }
    last
}

/// Bytes that are nowhere the same.
pub(crate) fn pattern(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        bytes.extend((state >> 16).to_le_bytes().into_iter().take(6));
    }
    bytes.truncate(len);
    bytes
}
