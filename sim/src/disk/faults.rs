//! What goes wrong with a disk, and how fast it is.

use std::time::Duration;

use world::{DiskFault, DiskOp, Seed, Time};

use crate::dice::Dice;

world::closed_list! {
    /// What can be asked of a disk, as faults and counters name it.
    Kind {
        /// [`DiskOp::Open`].
        Open => "open",
        /// [`DiskOp::Allocate`].
        Allocate => "allocate",
        /// [`DiskOp::Write`].
        Write => "write",
        /// [`DiskOp::Read`].
        Read => "read",
        /// [`DiskOp::Hash`].
        Hash => "hash",
        /// [`DiskOp::Sync`].
        Sync => "sync",
        /// [`DiskOp::Rename`].
        Rename => "rename",
        /// [`DiskOp::Move`].
        Move => "move",
        /// [`DiskOp::Delete`].
        Delete => "delete",
        /// [`DiskOp::Release`].
        Release => "release",
    }
}

impl Kind {
    /// Of which kind this is.
    pub const fn of(op: &DiskOp) -> Self {
        match op {
            DiskOp::Open { .. } => Self::Open,
            DiskOp::Allocate { .. } => Self::Allocate,
            DiskOp::Write { .. } => Self::Write,
            DiskOp::Read { .. } => Self::Read,
            DiskOp::Hash { .. } => Self::Hash,
            DiskOp::Sync => Self::Sync,
            DiskOp::Rename { .. } => Self::Rename,
            DiskOp::Move { .. } => Self::Move,
            DiskOp::Delete => Self::Delete,
            DiskOp::Release => Self::Release,
        }
    }
}

/// How long a disk takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Speed {
    /// An answer comes this long after its operation had the device, at least and at most: drawn evenly, so that answers
    /// overtake one another.
    pub delay: (Duration, Duration),
    /// Bytes that pass in a second, one operation after the other. 0: bytes take no time.
    pub rate: u64,
}

impl Speed {
    /// Answers at the moment of asking, in the order of asking.
    pub const INSTANT: Self = Self {
        delay: (Duration::ZERO, Duration::ZERO),
        rate: 0,
    };
    /// 0.1 to 0.5 ms and 500 MB/s.
    pub const SOLID: Self = Self {
        delay: (Duration::from_micros(100), Duration::from_micros(500)),
        rate: 500_000_000,
    };
    /// 2 to 15 ms and 150 MB/s.
    pub const SPINNING: Self = Self {
        delay: (Duration::from_millis(2), Duration::from_millis(15)),
        rate: 150_000_000,
    };

    pub(crate) fn pass(self, bytes: u64) -> Duration {
        let nanos = (bytes * 1_000_000_000).checked_div(self.rate).unwrap_or(0);
        Duration::from_micros(nanos.div_ceil(1_000))
    }

    pub(crate) fn delay(self, dice: Dice, number: u64) -> Duration {
        let (least, most) = self.delay;
        let spread = most.saturating_sub(least).as_micros() as u64 + 1;
        least + Duration::from_micros(dice.below(number, 1, spread))
    }
}

/// Operations that fail: `count` of a kind, from the `nth` one on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Failure {
    /// Of which kind.
    pub on: Kind,
    /// The first that fails; the first of a disk's life is 1.
    pub nth: u64,
    /// How many fail.
    pub count: u64,
    /// How they fail. A write that fails leaves its first half written; a sync that fails leaves behind what no later sync
    /// takes along, as Linux does: only bytes that are written again become durable.
    pub fault: DiskFault,
}

/// What goes wrong with a disk.
#[derive(Clone, PartialEq, Debug)]
pub struct Faults {
    /// Bytes that fit, in pages of 4 KiB. A write over it fails with [`DiskFault::Full`], and what fits is written.
    pub space: Option<u64>,
    /// Operations that fail by number.
    pub failures: Vec<Failure>,
    /// Share of reads ([`DiskOp::Read`] alone) of which one byte is wrong. A seed with such a disk is a liar who believes
    /// itself honest: its messages are well formed, its blocks are not what they should be.
    pub garbled_reads: f64,
    /// Writing, making, renaming, deleting fail with [`DiskFault::Denied`].
    pub read_only: bool,
    /// Nothing is answered before this time: a device that hangs, or a disk that wakes up.
    pub stalled_until: Time,
}

impl Faults {
    /// Nothing goes wrong.
    pub const NONE: Self = Self {
        space: None,
        failures: Vec::new(),
        garbled_reads: 0.0,
        read_only: false,
        stalled_until: Time::ZERO,
    };

    /// How the `nth` operation of a kind fails, if it does.
    pub(crate) fn strikes(&self, on: Kind, nth: u64) -> Option<DiskFault> {
        let changes = !matches!(on, Kind::Open | Kind::Read | Kind::Hash | Kind::Sync | Kind::Release);
        if self.read_only && changes {
            return Some(DiskFault::Denied);
        }
        self.failures
            .iter()
            .find(|failure| failure.on == on && (failure.nth..failure.nth.saturating_add(failure.count)).contains(&nth))
            .map(|failure| failure.fault)
    }
}

/// What a disk draws: one stream for each thing, so that a fault more shifts no other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Draws {
    pub(crate) delay: Dice,
    pub(crate) garble: Dice,
    pub(crate) merge: Dice,
}

impl Draws {
    pub(crate) fn new(seed: Seed) -> Self {
        Self {
            delay: Dice::new(seed, "disk delay"),
            garble: Dice::new(seed, "disk garbles"),
            merge: Dice::new(seed, "disk merges"),
        }
    }
}
