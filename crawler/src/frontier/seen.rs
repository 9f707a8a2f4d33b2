//! Every infohash ever seen, in about ten bytes each (crawlers R6).
//!
//! An infohash is kept as a 64-bit keyed fingerprint: six bits choose one of 64 shards, the other 58 are stored, and the
//! six bits that this leaves of a word hold what became of the infohash and how often it was shown. Two infohashes with
//! one fingerprint pass for one: among n infohashes about n²/2⁶⁵ are lost so (10 million: 0.000003; 100 million:
//! 0.0003), and since the key comes from the seed nobody can aim for it.
//!
//! A shard is one open-addressing table, probed linearly and kept in the order of its fingerprints. Order makes a miss as
//! cheap as a hit at high load, and lets a table grow in place in two sequential passes. A shard grows by an eighth at
//! seven eighths full, so it is between 7/9 and 7/8 full: 9.2 to 10.4 bytes an infohash, with no second copy at any time,
//! and a pause of one shard, not of the whole set.

use std::hash::{BuildHasher, Hasher};

use wire::InfoHash;
use world::{KeyedState, Seed};

/// What became of an infohash.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Standing {
    /// Seen, and not queued: it was evicted before its turn. The next sighting queues it again.
    Idle = 1,
    /// Queued, waiting for a retry, or taken.
    Pending,
    /// All tries are used up.
    GivenUp,
    /// Fetched, in this run or an earlier one.
    Done,
}

/// The keyed 64-bit hash of an infohash: its name in the seen set and in the queue.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct Fingerprint(u64);

/// A sighting, after it was written down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Noted {
    /// What became of the infohash up to now.
    pub(super) standing: Standing,
    /// Sightings in this run, this one included; 7 means 7 or more.
    pub(super) sightings: u8,
    /// It was in the set before, shown or primed.
    pub(super) known: bool,
}

const SHARD_BITS: u32 = 6;
/// The bits of a word that hold the standing. Never zero, so a zero word is an empty slot.
const STANDING: u64 = 0b111;
const SIGHTINGS_SHIFT: u32 = 3;
const MAX_SIGHTINGS: u8 = 7;
/// The bits of a word that hold the fingerprint.
const TAG: u64 = !0 << SHARD_BITS;

/// The set. Grows without bound: the frontier asks [`SeenSet::len`] before it lets an infohash in.
pub(super) struct SeenSet {
    shards: Vec<Shard>,
    key: KeyedState,
    len: usize,
}

impl SeenSet {
    pub(super) fn new(seed: Seed) -> Self {
        Self {
            shards: (0..1 << SHARD_BITS).map(|_| Shard::default()).collect(),
            key: seed.derive("seen").hasher(),
            len: 0,
        }
    }

    pub(super) fn fingerprint(&self, info_hash: &InfoHash) -> Fingerprint {
        let mut hasher = self.key.build_hasher();
        hasher.write(info_hash.as_bytes());
        Fingerprint(hasher.finish())
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Bytes allocated for fingerprints.
    pub(super) fn bytes(&self) -> usize {
        self.shards.iter().map(|shard| shard.slots.bytes()).sum()
    }

    pub(super) fn contains(&self, fingerprint: Fingerprint) -> bool {
        let (shard, tag) = split(fingerprint);
        self.shards[shard].find(tag).is_ok()
    }

    /// Counts one more sighting of `fingerprint`, and adds it if it is new.
    pub(super) fn note(&mut self, fingerprint: Fingerprint) -> Noted {
        let (shard, tag) = split(fingerprint);
        let shard = &mut self.shards[shard];
        match shard.find(tag) {
            Ok(at) => {
                let mut word = shard.slots.get(at).unwrap_or(0);
                if sightings_of(word) < MAX_SIGHTINGS {
                    word += 1 << SIGHTINGS_SHIFT;
                    shard.slots.replace(at, word);
                }
                Noted {
                    standing: standing_of(word),
                    sightings: sightings_of(word),
                    known: true,
                }
            }
            Err(at) => {
                shard.insert(at, tag | 1 << SIGHTINGS_SHIFT | Standing::Idle as u64);
                self.len += 1;
                Noted {
                    standing: Standing::Idle,
                    sightings: 1,
                    known: false,
                }
            }
        }
    }

    /// Writes down what became of `fingerprint`; adds it, without a sighting, if it is new.
    pub(super) fn set(&mut self, fingerprint: Fingerprint, standing: Standing) {
        let (shard, tag) = split(fingerprint);
        let shard = &mut self.shards[shard];
        match shard.find(tag) {
            Ok(at) => {
                let word = shard.slots.get(at).unwrap_or(0);
                shard.slots.replace(at, (word & !STANDING) | standing as u64);
            }
            Err(at) => {
                shard.insert(at, tag | standing as u64);
                self.len += 1;
            }
        }
    }
}

const fn split(fingerprint: Fingerprint) -> (usize, u64) {
    let shard = fingerprint.0 >> (u64::BITS - SHARD_BITS);
    (shard as usize, fingerprint.0 << SHARD_BITS)
}

const fn standing_of(word: u64) -> Standing {
    match word & STANDING {
        1 => Standing::Idle,
        2 => Standing::Pending,
        3 => Standing::GivenUp,
        _ => Standing::Done,
    }
}

const fn sightings_of(word: u64) -> u8 {
    (word >> SIGHTINGS_SHIFT) as u8 & MAX_SIGHTINGS
}

/// One ordered table. Words never wrap around: past the last home comes a tail for those that were pushed on.
#[derive(Default)]
struct Shard {
    slots: Slots,
    /// Slots that a fingerprint can start from.
    homes: usize,
    len: usize,
}

/// Slots past the last home. At seven eighths full the chance that words are pushed on by d slots is about e^(-d/4), so a
/// longer tail is needed once in millions of insertions at that spot, and is then added.
const TAIL: usize = 64;

impl Shard {
    /// The first slot to look at: monotone in `tag`, so that order by slot is order by fingerprint.
    const fn home(tag: u64, homes: usize) -> usize {
        ((tag as u128 * homes as u128) >> u64::BITS) as usize
    }

    /// Where `tag` is, or else where it belongs.
    fn find(&self, tag: u64) -> Result<usize, usize> {
        let mut at = Self::home(tag, self.homes);
        while let Some(word) = self.slots.get(at) {
            if word == 0 || word & TAG > tag {
                break;
            }
            if word & TAG == tag {
                return Ok(at);
            }
            at += 1;
        }
        Err(at)
    }

    /// Adds `word`, which [`Shard::find`] said belongs at `at`: it takes the slot, and pushes the rest on up to the next
    /// empty one.
    fn insert(&mut self, at: usize, word: u64) {
        let mut at = at;
        if (self.len + 1) * 8 > self.homes * 7 {
            self.grow();
            at = self.find(word & TAG).unwrap_or_else(|belongs| belongs);
        }
        let mut pushed = word;
        while pushed != 0 {
            if at == self.slots.len() {
                self.slots.lengthen(1);
            }
            pushed = self.slots.replace(at, pushed);
            at += 1;
        }
        self.len += 1;
    }

    /// Adds an eighth of homes, a segment at least, and spreads the words over them, in place.
    fn grow(&mut self) {
        let old = self.slots.len();
        self.slots.lengthen((old / SEGMENT / 8).max(1));
        let homes = self.slots.len() - TAIL;
        self.homes = homes;
        let mut end = 0;
        for at in 0..old {
            if let Some(word) = self.slots.get(at).filter(|&word| word != 0) {
                end = Self::home(word & TAG, homes).max(end) + 1;
            }
        }
        self.slots
            .lengthen(end.saturating_sub(self.slots.len()).div_ceil(SEGMENT));

        // Pack all words against the end, then deal them out from the front. A word is never dealt past the place it is
        // read from, because what follows it fits behind it.
        let mut packed = self.slots.len();
        for from in (0..old).rev() {
            let word = self.slots.replace(from, 0);
            if word != 0 {
                packed -= 1;
                self.slots.replace(packed, word);
            }
        }
        let mut next = 0;
        for from in packed..self.slots.len() {
            let word = self.slots.replace(from, 0);
            let at = Self::home(word & TAG, homes).max(next);
            self.slots.replace(at, word);
            next = at + 1;
        }
    }
}

/// Words in a segment: 2 KiB, of which an allocator's own header is under one percent.
const SEGMENT: usize = 256;

/// A row of words in segments of one size, never moved nor freed while it grows. One block for each shard would leave
/// holes that the next larger block does not fit: measured, up to half as much again in resident memory.
#[derive(Default)]
#[expect(
    clippy::vec_box,
    reason = "the boxes are there to stay where they are while the row of them moves"
)]
struct Slots {
    segments: Vec<Box<[u64; SEGMENT]>>,
}

impl Slots {
    const fn len(&self) -> usize {
        self.segments.len() * SEGMENT
    }

    fn bytes(&self) -> usize {
        self.len() * size_of::<u64>() + self.segments.capacity() * size_of::<Box<[u64; SEGMENT]>>()
    }

    fn lengthen(&mut self, segments: usize) {
        self.segments.reserve_exact(segments);
        self.segments.extend((0..segments).map(|_| Box::new([0; SEGMENT])));
    }

    fn get(&self, at: usize) -> Option<u64> {
        self.segments.get(at / SEGMENT).map(|segment| segment[at % SEGMENT])
    }

    /// Puts `word` at `at`, which is within [`Slots::len`], and returns what was there.
    fn replace(&mut self, at: usize, word: u64) -> u64 {
        std::mem::replace(&mut self.segments[at / SEGMENT][at % SEGMENT], word)
    }
}

#[cfg(test)]
mod tests;
