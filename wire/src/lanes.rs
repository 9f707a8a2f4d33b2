//! SHA-1 of several messages side by side (FIPS 180-4).
//!
//! SHA-1 is a chain: each step waits for the one before, so a processor's own SHA instructions go no faster than their
//! latency, about two bytes a nanosecond. Sixteen chains in the sixteen lanes of AVX-512 go three to four times as fast
//! together. Pieces of a torrent are such chains, if their bytes are at hand at the same time: who asks peers for content
//! sees to that. With fewer lanes than [`WORTH`], or on another processor, one after the other is faster, and is what is
//! done.

use sha1::block_api;

#[cfg(target_arch = "x86_64")]
mod sixteen;

/// Bytes that are hashed in one step.
const STEP: usize = 64;
/// Where the length of a message stands in its last step, in bits and eight bytes.
const LENGTH_AT: usize = STEP - 8;
/// Messages that go side by side.
pub const LANES: usize = 16;
/// Fewer than this are faster one by one: sixteen lanes took as long as 4.5 messages on a Xeon of 2023.
pub const WORTH: usize = 5;
/// A message of which nothing has come.
const START: [u32; 5] = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476, 0xC3D2_E1F0];

/// How many messages go side by side on this processor: [`LANES`], or 1 where they don't.
pub fn width() -> usize {
    #[cfg(target_arch = "x86_64")]
    if sixteen::simd().is_some() {
        return LANES;
    }
    1
}

/// A message that is being hashed.
#[derive(Clone, Debug)]
pub struct Running {
    state: [u32; 5],
    /// The bytes behind the last whole step.
    part: [u8; STEP],
    /// Bytes so far.
    length: u64,
}

impl Default for Running {
    fn default() -> Self {
        Self {
            state: START,
            part: [0; STEP],
            length: 0,
        }
    }
}

impl Running {
    /// Bytes in `part`.
    const fn filled(&self) -> usize {
        (self.length % STEP as u64) as usize
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        let rest = self.align(bytes);
        let (steps, tail) = rest.as_chunks();
        block_api::compress(&mut self.state, steps);
        self.length += (rest.len() - tail.len()) as u64;
        self.align(tail);
    }

    /// Adds the bytes that make `part` whole, or all if there are fewer; without a part, no more than less than a step.
    /// What is left is whole steps and a tail.
    fn align<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let filled = self.filled();
        if filled == 0 && bytes.len() >= STEP {
            return bytes;
        }
        let (now, later) = bytes.split_at(bytes.len().min(STEP - filled));
        if let Some(room) = self.part.get_mut(filled..filled + now.len()) {
            room.copy_from_slice(now);
        }
        self.length += now.len() as u64;
        if filled + now.len() == STEP {
            block_api::compress(&mut self.state, &[self.part]);
        }
        later
    }

    /// The hash of all bytes so far.
    pub fn digest(&self) -> [u8; 20] {
        let mut last = self.clone();
        let bits = self.length.wrapping_mul(8);
        let filled = self.filled();
        last.update(&[0x80]);
        let zeros = if filled < LENGTH_AT {
            LENGTH_AT - 1 - filled
        } else {
            STEP + LENGTH_AT - 1 - filled
        };
        last.update([0; STEP].get(..zeros).unwrap_or_default());
        last.update(&bits.to_be_bytes());
        let mut digest = [0; 20];
        for (to, word) in digest.as_chunks_mut().0.iter_mut().zip(last.state) {
            *to = word.to_be_bytes();
        }
        digest
    }
}

/// A message, and the runs of an input that are next of it, in order.
#[derive(Debug, Default)]
pub struct Lane {
    /// The message.
    pub running: Running,
    /// Where its bytes lie in the input: start and length. Emptied when they are hashed.
    pub runs: Vec<(usize, usize)>,
    /// How much of `runs` is hashed: whole runs, and bytes of the one behind.
    done: (usize, usize),
}

impl Lane {
    /// Bytes that lie side by side and are next.
    fn next<'a>(&self, input: &'a [u8]) -> &'a [u8] {
        let (run, offset) = self.done;
        let run = self
            .runs
            .get(run)
            .and_then(|&(start, len)| input.get(start..start.checked_add(len)?));
        run.and_then(|run| run.get(offset..)).unwrap_or_default()
    }

    /// So many bytes of what is next are hashed; without any, it is not in the input.
    fn pass(&mut self, bytes: usize) {
        self.done.1 += bytes;
        if bytes == 0 || self.runs.get(self.done.0).is_none_or(|&(_, len)| self.done.1 >= len) {
            self.done = (self.done.0 + 1, 0);
        }
    }

    fn is_done(&self) -> bool {
        self.done.0 >= self.runs.len()
    }

    /// Goes on until whole steps lie side by side; how many do.
    fn align(&mut self, input: &[u8]) -> usize {
        while !self.is_done() {
            let next = self.next(input);
            if self.running.filled() == 0 && next.len() >= STEP {
                return next.len() / STEP;
            }
            let passed = next.len() - self.running.align(next).len();
            self.pass(passed);
        }
        0
    }

    /// Hashes all that is left.
    fn finish(&mut self, input: &[u8]) {
        while !self.is_done() {
            let next = self.next(input);
            self.running.update(next);
            self.pass(next.len());
        }
        self.runs.clear();
        self.done = (0, 0);
    }
}

/// Hashes what each lane has in `input`, side by side where that is faster. Runs that are not in the input are left out.
/// Allocates nothing.
pub fn advance(input: &[u8], lanes: &mut [Lane]) {
    #[cfg(target_arch = "x86_64")]
    if let Some(simd) = sixteen::simd() {
        for lanes in lanes.chunks_mut(LANES) {
            while lanes.len() >= WORTH && sixteen::step(simd, input, lanes) {}
        }
    }
    for lane in lanes {
        lane.finish(input);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sha1::{Digest, Sha1};

    use super::*;

    proptest! {
        #[test]
        fn lanes_come_to_what_each_message_comes_to_alone(
            lanes in prop::collection::vec(prop::collection::vec((0_usize..8_800, 0_usize..700), 0..6), 0..40),
            before in prop::collection::vec(any::<u8>(), 0..130),
        ) {
            let input: Vec<u8> = (0..9_500_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
            let mut at_work: Vec<Lane> = lanes
                .iter()
                .map(|runs| {
                    let mut lane = Lane { runs: runs.clone(), ..Lane::default() };
                    lane.running.update(&before);
                    lane
                })
                .collect();
            advance(&input, &mut at_work);
            for (runs, lane) in lanes.iter().zip(&at_work) {
                let mut alone = Sha1::new().chain_update(&before);
                for &(start, len) in runs {
                    alone.update(input.get(start..start + len).unwrap_or_default());
                }
                prop_assert_eq!(lane.running.digest(), <[u8; 20]>::from(alone.finalize()));
                prop_assert!(lane.runs.is_empty());
            }
        }

        #[test]
        fn one_message_in_any_parts_comes_to_its_hash(bytes in prop::collection::vec(any::<u8>(), 0..400), cut in 0_usize..400) {
            let (first, second) = bytes.split_at(cut.min(bytes.len()));
            let mut running = Running::default();
            running.update(first);
            running.update(second);
            prop_assert_eq!(running.digest(), <[u8; 20]>::from(Sha1::digest(&bytes)));
        }
    }
}
