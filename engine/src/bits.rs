//! A set of pieces: one bit each, 64 to a word, and how many they are.

/// A set of the numbers below a fixed length: which pieces a peer has, which we want, and so on.
///
/// Numbers from `len` on are never in it; to ask about one or to change one does nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bits {
    /// Number `n` is bit `n % 64` of word `n / 64`. Bits beyond `len` are 0.
    words: Box<[u64]>,
    len: u32,
    ones: u32,
}

const WORD: u32 = u64::BITS;

impl Bits {
    /// None of `len` numbers.
    pub fn new(len: u32) -> Self {
        Self {
            words: vec![0; index(len.div_ceil(WORD))].into(),
            len,
            ones: 0,
        }
    }

    /// All of `len` numbers.
    pub fn full(len: u32) -> Self {
        let mut bits = Self::new(len);
        bits.words.fill(u64::MAX);
        if let Some(last) = bits.words.last_mut() {
            *last &= !spare(len);
        }
        bits.ones = len;
        bits
    }

    /// Reads the payload of a bitfield (BEP 3: one bit a piece, the first piece in the highest bit of the first byte).
    /// `None` if it is not as long as `len` bits take, or a bit beyond the last piece is set.
    pub fn from_wire(bytes: &[u8], len: u32) -> Option<Self> {
        if bytes.len() != index(len.div_ceil(8)) {
            return None;
        }
        let mut bits = Self::new(len);
        for (word, chunk) in bits.words.iter_mut().zip(bytes.chunks(8)) {
            let mut eight = [0; 8];
            for (to, from) in eight.iter_mut().zip(chunk) {
                *to = *from;
            }
            *word = u64::from_be_bytes(eight).reverse_bits();
        }
        if bits.words.last().is_some_and(|last| last & spare(len) != 0) {
            return None;
        }
        bits.ones = bits.words.iter().map(|word| word.count_ones()).sum();
        Some(bits)
    }

    /// Appends the payload of a bitfield, spare bits 0.
    pub fn to_wire(&self, out: &mut Vec<u8>) {
        let end = out.len() + index(self.len.div_ceil(8));
        for word in &self.words {
            out.extend_from_slice(&word.reverse_bits().to_be_bytes());
        }
        out.truncate(end);
    }

    /// Whether `number` is in the set.
    pub fn get(&self, number: u32) -> bool {
        let word = self.words.get(index(number / WORD));
        word.is_some_and(|word| word >> (number % WORD) & 1 == 1)
    }

    /// Puts `number` in. Whether it was not in before.
    pub fn set(&mut self, number: u32) -> bool {
        if number >= self.len {
            return false;
        }
        let changed = self.flip(number, 0);
        self.ones += u32::from(changed);
        changed
    }

    /// Takes `number` out. Whether it was in before.
    pub fn clear(&mut self, number: u32) -> bool {
        let changed = self.flip(number, 1);
        self.ones -= u32::from(changed);
        changed
    }

    /// Changes the bit if it is `from`; whether it was.
    fn flip(&mut self, number: u32, from: u64) -> bool {
        let Some(word) = self.words.get_mut(index(number / WORD)) else {
            return false;
        };
        let is = *word >> (number % WORD) & 1 == from;
        *word ^= u64::from(is) << (number % WORD);
        is
    }

    /// How many are in; kept, so it costs nothing.
    pub fn count(&self) -> u32 {
        self.ones
    }

    /// How many could be in.
    #[expect(
        clippy::len_without_is_empty,
        reason = "`is_empty` could mean two things: see is_empty_set"
    )]
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether all are in.
    pub fn is_full(&self) -> bool {
        self.ones == self.len
    }

    /// Whether none is in.
    pub fn is_empty_set(&self) -> bool {
        self.ones == 0
    }

    /// Those in the set, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        ones(self.words.iter().copied())
    }

    /// Those not in the set, ascending.
    pub fn iter_zeros(&self) -> impl Iterator<Item = u32> {
        let len = self.len;
        ones(self.words.iter().map(|word| !word)).take_while(move |&number| number < len)
    }

    /// The lowest that is not in the set.
    pub fn first_zero(&self) -> Option<u32> {
        self.iter_zeros().next()
    }

    /// The lowest in the set that is not below `from`.
    pub fn next(&self, from: u32) -> Option<u32> {
        next(self.words.iter().copied(), from)
    }

    /// The lowest in both sets that is not below `from`.
    pub fn next_common(&self, other: &Self, from: u32) -> Option<u32> {
        next(self.and(other), from)
    }

    /// How many are in both sets.
    pub fn common(&self, other: &Self) -> u32 {
        self.and(other).map(u64::count_ones).sum()
    }

    /// Whether any is in both sets: as `common() > 0`, but it stops at the first.
    pub fn meets(&self, other: &Self) -> bool {
        self.and(other).any(|word| word != 0)
    }

    /// Number `n` is bit `n % 64` of word `n / 64`; bits beyond the length are 0.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    fn and(&self, other: &Self) -> impl Iterator<Item = u64> {
        self.words.iter().zip(&other.words).map(|(a, b)| a & b)
    }
}

/// The bits of the last word that stand for no number.
fn spare(len: u32) -> u64 {
    match len % WORD {
        0 => 0,
        used => u64::MAX << used,
    }
}

fn ones(words: impl Iterator<Item = u64>) -> impl Iterator<Item = u32> {
    (0_u32..).zip(words).flat_map(|(at, word)| {
        let lowest_off = |word: &u64| Some(word & word.wrapping_sub(1));
        std::iter::successors(Some(word), lowest_off)
            .take_while(|&word| word != 0)
            .map(move |word| at * WORD + word.trailing_zeros())
    })
}

fn next(words: impl Iterator<Item = u64>, from: u32) -> Option<u32> {
    let mut below = (1_u64 << (from % WORD)) - 1;
    for (at, word) in (from / WORD..).zip(words.skip(index(from / WORD))) {
        let word = word & !below;
        below = 0;
        if word != 0 {
            return Some(at * WORD + word.trailing_zeros());
        }
    }
    None
}

/// A number of pieces or words as a place in memory.
fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8], len: u32) -> Option<Vec<u32>> {
        Some(Bits::from_wire(bytes, len)?.iter().collect())
    }

    #[test]
    fn the_first_piece_is_the_highest_bit_of_the_first_byte() {
        let bytes = [0b1101_0110, 0b1100_0000];
        let bits = Bits::from_wire(&bytes, 10).unwrap();
        assert_eq!(bits.iter().collect::<Vec<_>>(), [0, 1, 3, 5, 6, 8, 9]);
        assert_eq!(bits.iter_zeros().collect::<Vec<_>>(), [2, 4, 7]);
        assert_eq!((bits.count(), bits.first_zero()), (7, Some(2)));
    }

    #[test]
    fn a_row_of_24_pieces_is_read_and_written() {
        let bytes = [0b1011_0100, 0b1110_0011, 0b0100_0000];
        let bits = Bits::from_wire(&bytes, 24).unwrap();
        assert_eq!(bits.iter().collect::<Vec<_>>(), [0, 2, 3, 5, 8, 9, 10, 14, 15, 17]);
        let mut out = vec![7];
        bits.to_wire(&mut out);
        assert_eq!(out, [&[7], bytes.as_slice()].concat());
    }

    #[test]
    fn spare_bits_and_wrong_lengths_are_refused() {
        assert_eq!(read(&[0b1101_0110, 0b1110_0000], 10), None);
        assert_eq!(read(&[0xff], 10), None);
        assert_eq!(read(&[0xff, 0, 0], 10), None);
        assert_eq!(read(&[], 0), Some(vec![]));
        assert_eq!(read(&[0x80], 1), Some(vec![0]));
    }

    #[test]
    fn all_of_a_length_are_in_a_full_set_and_no_more() {
        for len in [0, 1, 63, 64, 65, 128, 200] {
            let bits = Bits::full(len);
            assert_eq!(bits.iter().count(), index(len));
            assert!(bits.is_full() && bits.first_zero().is_none() && !bits.get(len));
        }
    }

    #[test]
    fn numbers_beyond_the_length_are_never_in() {
        let mut bits = Bits::new(3);
        assert!(!bits.set(3) && !bits.set(64) && !bits.clear(3) && !bits.get(u32::MAX));
        assert!(bits.is_empty_set());
    }

    proptest! {
        #[test]
        fn it_is_a_set_of_numbers(
            len in 0..300_u32,
            changes in vec((0..300_u32, any::<bool>()), 0..200),
            others in vec(0..300_u32, 0..100),
            from in 0..300_u32,
        ) {
            let (mut bits, mut set) = (Bits::new(len), BTreeSet::new());
            for (number, put) in changes {
                let (is, expected) = match put {
                    true => (bits.set(number), number < len && set.insert(number)),
                    false => (bits.clear(number), set.remove(&number)),
                };
                prop_assert_eq!(is, expected);
            }
            let mut other = Bits::new(len);
            for number in others {
                other.set(number);
            }
            prop_assert!(bits.iter().eq(set.iter().copied()));
            prop_assert!(bits.iter_zeros().eq((0..len).filter(|number| !set.contains(number))));
            prop_assert_eq!(index(bits.count()), set.len());
            prop_assert_eq!(bits.next(from), set.range(from..).next().copied());
            let both: Vec<u32> = set.iter().copied().filter(|&number| other.get(number)).collect();
            prop_assert_eq!(bits.next_common(&other, from), both.iter().copied().find(|&number| number >= from));
            prop_assert_eq!(index(bits.common(&other)), both.len());
            prop_assert_eq!(bits.meets(&other), !both.is_empty());
            let mut wire = Vec::new();
            bits.to_wire(&mut wire);
            prop_assert_eq!(Bits::from_wire(&wire, len), Some(bits));
        }

        #[test]
        fn what_is_read_is_written_the_same(bytes in vec(any::<u8>(), 0..40), short in 0..8_u32) {
            let len = (u32::try_from(bytes.len()).unwrap() * 8).saturating_sub(short);
            if let Some(bits) = Bits::from_wire(&bytes, len) {
                let mut out = Vec::new();
                bits.to_wire(&mut out);
                prop_assert_eq!(out, bytes);
            }
        }
    }
}
