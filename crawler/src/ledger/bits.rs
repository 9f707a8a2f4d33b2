//! A set of small numbers that finds its next member, in counting order or in order of XOR distance.

use std::array;

/// Levels of words, each bit of a level saying whether the word below it holds anything: three for the buckets of a
/// million nodes, so every operation is a handful of word operations.
#[derive(Clone, Debug)]
pub(super) struct Bits {
    /// Members first, the single top word last.
    levels: Vec<Vec<u64>>,
    size: usize,
}

const WORD_BITS: u32 = u64::BITS.ilog2();
const IN_WORD: usize = u64::BITS as usize - 1;

/// For each power of two below 64: the bits of a word whose number has that power clear.
const HALVES: [u64; WORD_BITS as usize] = [
    0x5555_5555_5555_5555,
    0x3333_3333_3333_3333,
    0x0f0f_0f0f_0f0f_0f0f,
    0x00ff_00ff_00ff_00ff,
    0x0000_ffff_0000_ffff,
    0x0000_0000_ffff_ffff,
];

impl Bits {
    /// An empty set of the numbers below 2^`bits`.
    pub(super) fn new(bits: u32) -> Self {
        let size: usize = 1 << bits;
        let mut levels = Vec::new();
        let mut words = size;
        while words > 1 || levels.is_empty() {
            words = words.div_ceil(1 << WORD_BITS);
            levels.push(vec![0; words]);
        }
        Self { levels, size }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.levels.last().is_none_or(|top| top[0] == 0)
    }

    pub(super) fn insert(&mut self, number: usize) {
        let mut at = number;
        for level in &mut self.levels {
            level[at >> WORD_BITS] |= 1 << (at & IN_WORD);
            at >>= WORD_BITS;
        }
    }

    pub(super) fn remove(&mut self, number: usize) {
        let mut at = number;
        for level in &mut self.levels {
            let word = &mut level[at >> WORD_BITS];
            *word &= !(1 << (at & IN_WORD));
            if *word != 0 {
                break;
            }
            at >>= WORD_BITS;
        }
    }

    /// The least distance, `from` or more, at which a member lies from `origin`: a member `m` has the distance
    /// `m ^ origin`. With origin 0 this is the next member itself.
    pub(super) fn next(&self, from: usize, origin: usize) -> Option<usize> {
        let mut rank = from;
        let mut size = self.size;
        for (height, level) in self.levels.iter().enumerate() {
            if rank >= size {
                return None;
            }
            let word = ranked_word(level, rank, origin >> (WORD_BITS as usize * height)) & (!0 << (rank & IN_WORD));
            if word != 0 {
                rank = (rank & !IN_WORD) | word.trailing_zeros() as usize;
                return Some(self.descend(height, rank, origin));
            }
            rank = (rank >> WORD_BITS) + 1;
            size = size.div_ceil(1 << WORD_BITS);
        }
        None
    }

    /// The first member below the bit of distance `rank` at `height`.
    fn descend(&self, height: usize, rank: usize, origin: usize) -> usize {
        let mut rank = rank;
        for height in (0..height).rev() {
            rank <<= WORD_BITS;
            let word = ranked_word(&self.levels[height], rank, origin >> (WORD_BITS as usize * height));
            rank |= word.trailing_zeros() as usize & IN_WORD;
        }
        rank
    }

    pub(super) fn bytes(&self) -> usize {
        self.levels.iter().map(|level| size_of_val(level.as_slice())).sum()
    }
}

/// The word that holds distance `rank` from `origin`, its bits in order of distance.
fn ranked_word(level: &[u64], rank: usize, origin: usize) -> u64 {
    let mut word = level[(rank ^ origin) >> WORD_BITS];
    let shifts: [u32; WORD_BITS as usize] = array::from_fn(|power| 1 << power);
    for (power, shift) in shifts.into_iter().enumerate() {
        if origin >> power & 1 != 0 {
            word = (word & HALVES[power]) << shift | (word >> shift) & HALVES[power];
        }
    }
    word
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn finds_what_a_search_finds(
            bits in 0..14_u32,
            steps in prop::collection::vec((any::<u16>(), any::<bool>()), 0..60),
            probes in prop::collection::vec((any::<u16>(), any::<u16>()), 1..30),
        ) {
            let mask = (1_usize << bits) - 1;
            let mut set = Bits::new(bits);
            let mut model = BTreeSet::new();
            for (number, insert) in steps {
                let number = usize::from(number) & mask;
                if insert {
                    set.insert(number);
                    model.insert(number);
                } else {
                    set.remove(number);
                    model.remove(&number);
                }
                prop_assert_eq!(set.is_empty(), model.is_empty());
            }
            for (from, origin) in probes {
                let (from, origin) = (usize::from(from) & mask, usize::from(origin) & mask);
                let nearest = model.iter().map(|member| member ^ origin).filter(|&rank| rank >= from).min();
                prop_assert_eq!(set.next(from, origin), nearest);
            }
        }
    }

    #[test]
    fn nothing_comes_after_the_last_number() {
        let mut set = Bits::new(13);
        set.insert(8_191);
        assert_eq!(set.next(8_191, 0), Some(8_191));
        assert_eq!(set.next(8_192, 0), None);
    }
}
