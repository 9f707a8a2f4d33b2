//! Writes that are collected, and the bytes they are of.

use world::{DiskFault, JobId, StoreId};

use super::CHUNK;
use super::buffers::Buffers;
use crate::counters::DiskCounters;

/// Where bytes are to go, and whose they are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) store: StoreId,
    pub(super) file: u32,
    pub(super) at: u64,
    pub(super) job: JobId,
}

/// Bytes that go to one place.
pub(super) struct Part {
    pub(super) to: Target,
    /// Which of the batch's chunks holds them.
    chunk: usize,
    start: usize,
    pub(super) len: usize,
}

impl Part {
    /// Whether bytes behind those of this part in the same chunk, going to `to`, make it longer.
    fn goes_on(&self, to: Target, chunk: usize, start: usize) -> bool {
        let end = Target {
            at: self.to.at.saturating_add(self.len as u64),
            ..self.to
        };
        self.chunk == chunk && self.start + self.len == start && end == to
    }
}

/// Writes for one worker, in the order in which they were asked, with the chunks that hold their bytes: it is all that a
/// worker needs, and comes back with its buffers when the bytes are with the system.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) parts: Vec<Part>,
    chunks: Vec<Vec<u8>>,
    /// The place of the chunk that the loop still reads from, and will hand over.
    claimed: Option<usize>,
    /// The chunk that small writes are copied to, and how much of it is used.
    filling: Option<(usize, usize)>,
    /// The worker that it is with, if it is.
    pub(super) worker: Option<usize>,
    /// Bytes of all parts.
    pub(super) bytes: usize,
    /// What came of it.
    pub(super) outcomes: Vec<Outcome>,
    pub(super) counted: DiskCounters,
}

/// What came of some writes of a job.
pub(super) struct Outcome {
    pub(super) job: JobId,
    pub(super) bytes: usize,
    pub(super) fault: Option<DiskFault>,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// How many chunks it holds.
    pub(super) fn chunks(&self) -> usize {
        self.chunks.len()
    }

    /// Adds bytes of the chunk that the loop reads from; [`Batch::hand_over`] must follow.
    pub(super) fn claim(&mut self, to: Target, start: usize, len: usize) {
        let chunk = *self.claimed.get_or_insert_with(|| {
            self.chunks.push(Vec::new());
            self.chunks.len() - 1
        });
        self.add(to, chunk, start, len);
    }

    /// Takes the chunk that was claimed.
    pub(super) fn hand_over(&mut self, chunk: Vec<u8>) {
        if let Some(place) = self.claimed.take().and_then(|at| self.chunks.get_mut(at)) {
            *place = chunk;
        }
    }

    /// Leaves the chunk that was claimed to the loop: its bytes are copied, into a chunk of the size of that one.
    pub(super) fn give_up(&mut self, bytes: &[u8], buffers: &mut Buffers) {
        let mut copy = buffers.take();
        if let Some(to) = copy.get_mut(..bytes.len()) {
            to.copy_from_slice(bytes);
        }
        self.counted.bytes_copied += bytes.len() as u64;
        self.hand_over(copy);
    }

    /// Adds bytes, copied.
    pub(super) fn copy(&mut self, mut to: Target, mut bytes: &[u8], buffers: &mut Buffers) {
        self.counted.bytes_copied += bytes.len() as u64;
        loop {
            let (at, used) = match self.filling {
                Some((at, used)) if used < CHUNK => (at, used),
                _ => {
                    self.chunks.push(buffers.take());
                    (self.chunks.len() - 1, 0)
                }
            };
            let room = self.chunks.get_mut(at).and_then(|chunk| chunk.get_mut(used..));
            let room = room.unwrap_or_default();
            let (now, later) = bytes.split_at(bytes.len().min(room.len()));
            if let Some(room) = room.get_mut(..now.len()) {
                room.copy_from_slice(now);
            }
            self.filling = Some((at, used + now.len()));
            self.add(to, at, used, now.len());
            if later.is_empty() {
                return;
            }
            to.at = to.at.saturating_add(now.len() as u64);
            bytes = later;
        }
    }

    fn add(&mut self, to: Target, chunk: usize, start: usize, len: usize) {
        self.bytes += len;
        match self.parts.last_mut() {
            Some(last) if last.goes_on(to, chunk, start) => last.len += len,
            _ => self.parts.push(Part { to, chunk, start, len }),
        }
    }

    /// The bytes of a part.
    pub(super) fn bytes_of(&self, part: &Part) -> &[u8] {
        let chunk = self.chunks.get(part.chunk);
        chunk
            .and_then(|chunk| chunk.get(part.start..part.start + part.len))
            .unwrap_or_default()
    }

    /// Notes what came of a part; together with the one before if it is of the same job.
    pub(super) fn note(&mut self, job: JobId, bytes: usize, fault: Option<DiskFault>) {
        match self.outcomes.last_mut() {
            Some(last) if last.job == job && last.fault == fault => last.bytes += bytes,
            _ => self.outcomes.push(Outcome { job, bytes, fault }),
        }
    }

    /// Gives all buffers back, and begins anew.
    pub(super) fn empty(&mut self, buffers: &mut Buffers) {
        for chunk in self.chunks.drain(..) {
            buffers.give(chunk);
        }
        self.parts.clear();
        self.outcomes.clear();
        (self.claimed, self.filling, self.worker, self.bytes) = (None, None, None, 0);
        self.counted = DiskCounters::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(at: u64) -> Target {
        Target {
            store: StoreId(1),
            file: 0,
            at,
            job: JobId(1),
        }
    }

    #[test]
    fn what_goes_on_is_one_part_and_what_is_longer_than_a_chunk_is_several() {
        let mut buffers = Buffers::new(CHUNK, 4);
        let mut batch = Batch::default();
        let long = vec![3; CHUNK];
        batch.copy(to(0), &[1; 10], &mut buffers);
        batch.copy(to(10), &[2; 5], &mut buffers);
        batch.copy(to(15), &long, &mut buffers);
        let parts: Vec<_> = batch.parts.iter().map(|part| (part.to.at, part.len)).collect();
        assert_eq!(parts, [(0, CHUNK), (CHUNK as u64, 15)]);
        let bytes: Vec<u8> = batch
            .parts
            .iter()
            .flat_map(|part| batch.bytes_of(part))
            .copied()
            .collect();
        assert_eq!(bytes, [[1; 10].as_slice(), &[2; 5], &long].concat());
        assert_eq!((batch.chunks(), batch.bytes), (2, CHUNK + 15));
    }

    #[test]
    fn a_chunk_that_is_given_up_leaves_its_bytes() {
        let mut buffers = Buffers::new(CHUNK, 4);
        let mut batch = Batch::default();
        batch.claim(to(0), 2, 3);
        batch.claim(to(90), 6, 1);
        batch.give_up(b"..abc.d", &mut buffers);
        let bytes: Vec<_> = batch.parts.iter().map(|part| batch.bytes_of(part)).collect();
        assert_eq!(bytes, [b"abc".as_slice(), b"d"]);
    }
}
