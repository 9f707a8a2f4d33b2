//! What is written down of one node, in 52 bytes.

use wire::NodeId;

use super::Client;

/// No index: the end of a list, or not in the heap.
pub(super) const NONE: u32 = u32::MAX;

/// What a node showed of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// Only heard of: it never answered.
    Hearsay,
    /// It answered something; whether it samples is not known.
    Alive,
    /// It answered with samples (BEP 51).
    Samples,
    /// It does not sample: its kind does not, or it answered without samples, or only what was no sampling query.
    Never,
}

/// What it is to be asked next, most useful first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turn {
    /// A sample, for the first time: it answered something else, and its kind samples.
    Sure,
    /// A sample, for the first time.
    First,
    /// Another sample: it stores more than it can show at once.
    Again,
    /// A sample, for the first time: it answered something else, and of its kind few sample.
    Doubtful,
    /// Another sample: it shows all that it stores, so only what is new there is to be gained.
    Small,
    /// No sample: which nodes it knows (`find_node`).
    Discover,
}

impl Turn {
    /// All, most useful first.
    pub(crate) const ALL: [Self; 6] = [
        Self::Sure,
        Self::First,
        Self::Again,
        Self::Doubtful,
        Self::Small,
        Self::Discover,
    ];
}

/// What a node is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Probe {
    /// `sample_infohashes`, whose answer names nodes as well (BEP 51).
    Sample,
    /// `find_node`.
    FindNode,
}

impl Turn {
    /// The query that it takes.
    pub const fn probe(self) -> Probe {
        match self {
            Self::Sure | Self::First | Self::Again | Self::Doubtful | Self::Small => Probe::Sample,
            Self::Discover => Probe::FindNode,
        }
    }
}

/// Where it stands in the schedule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// May be asked now.
    Ready,
    /// To be left alone until it is due.
    Waiting,
    /// Was asked this, and has yet to answer; due when the answer is overdue.
    Asked(Probe),
}

/// How many infohashes an answer to `sample_infohashes` usually shows at most.
pub(crate) const USUAL_SAMPLE: u16 = 20;

/// A node. Times are whole seconds since the start: 136 years.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node {
    pub(crate) id: NodeId,
    /// An IPv4 address, or the index of an IPv6 address.
    pub(super) ip: u32,
    pub(super) port: u16,
    /// Seconds to the next sample, as it was last asked to be left alone; at most 21,600.
    pub(crate) interval: u16,
    /// The next node of the same bucket.
    pub(super) next: u32,
    /// Position in the heap, if it is not ready.
    pub(super) heap: u32,
    pub(super) due: u32,
    /// When it was last asked.
    pub(crate) asked: u32,
    /// Infohashes that it says it stores; 65,535 means at least so many.
    pub(crate) num: u16,
    /// Queries left unanswered since its last answer, at most one of them from before an answer to another kind of query.
    pub(crate) failures: u8,
    /// Answers of others that named it; 255 means 255 or more.
    pub(crate) named: u8,
    pub(crate) client: Client,
    pub(crate) standing: Standing,
    pub(super) place: Place,
    pub(super) v6: bool,
}

const _: () = assert!(size_of::<Node>() == 52, "the ledger's bytes for each node are promised");

impl Node {
    /// Follows from the rest, so that it need not be kept.
    pub(crate) const fn turn(&self) -> Turn {
        match self.standing {
            // A node that was silent to a sampling query may be of a kind that is: the second query is one that all know.
            Standing::Hearsay if self.failures > 0 => Turn::Discover,
            Standing::Hearsay => Turn::First,
            // Silent once to a sampling query: that may have been a loss.
            Standing::Alive if self.failures > 0 => Turn::Doubtful,
            Standing::Alive => match self.client.samples() {
                Some(true) => Turn::Sure,
                _ => Turn::Doubtful,
            },
            Standing::Samples if self.num > USUAL_SAMPLE => Turn::Again,
            Standing::Samples => Turn::Small,
            Standing::Never => Turn::Discover,
        }
    }

    /// It sent a message of its own; an `answer`, or a question. Its kind may say that it does not sample.
    pub(crate) fn heard(&mut self, client: Client, answer: bool) {
        let before = self.client.samples();
        if client != Client::Unknown {
            self.client = client;
        }
        // A question with another's source address had put it down as a kind that does not sample.
        if answer && before == Some(false) && self.client.samples() == Some(true) {
            self.standing = Standing::Alive;
        }
        if answer && self.standing == Standing::Hearsay {
            self.standing = Standing::Alive;
        }
        match (self.client.samples(), self.standing) {
            (Some(false), _) if answer => self.does_not_sample(),
            (Some(false), _) => self.standing = Standing::Never,
            // One silence is remembered: if a sampling query meets another, its kind is silent to those.
            (_, Standing::Never) if answer => self.failures = 0,
            _ if answer => self.failures = self.failures.min(1),
            _ => {}
        }
    }

    /// It answered, and will not sample.
    pub(crate) const fn does_not_sample(&mut self) {
        self.standing = Standing::Never;
        self.failures = 0;
    }

    /// It left a query unanswered, or refused it. A node that answers, but is silent to a second sampling query, is taken
    /// not to sample, unless its kind is known to.
    pub(crate) fn failed(&mut self) {
        self.failures = self.failures.saturating_add(1);
        if self.standing == Standing::Alive && self.failures > 1 && self.client.samples().is_none() {
            self.does_not_sample();
        }
    }

    /// What is lost if it is forgotten; the least goes first. A node that never answered is worth little, and less if it
    /// was asked.
    pub(super) const fn worth(&self) -> u8 {
        match self.standing {
            Standing::Hearsay if self.failures > 0 => 0,
            Standing::Hearsay => 1,
            Standing::Never => 2,
            Standing::Alive => 3,
            Standing::Samples => 4,
        }
    }
}
