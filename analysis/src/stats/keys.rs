//! Which infohashes there are, with what is known of each, 24 bytes a note.
//!
//! A note is written to the list of its part, by a hash of the key; a list is gone through when all notes are there, or when it is twice as
//! long as it has different keys. So memory is written from the first place to the last, and the table that tells keys apart is of one
//! part only, small enough for the processor's caches: a table of all keys would be looked up in memory that no cache has, key by key.

use std::ops::Range;

use crate::hex::Key;

/// It stood at the beginning of a line as it is, in small letters.
pub(super) const FIELD: u32 = 1;
/// A row is about it.
pub(super) const ROW: u32 = 2;
/// A row says that it has metadata.
pub(super) const OK: u32 = 4;

/// A key and its marks, these in the low half of the last word.
type Note = [u64; 3];

/// An empty place of a table: a mark that no note has.
const VACANT: Note = [0, 0, 1 << 31];

const fn key_part(note: &Note) -> (u64, u64, u64) {
    (note[0], note[1], note[2] >> 32)
}

/// Parts, by the first bits of the hash.
pub(super) const PARTS: usize = 1 << PART_BITS;
const PART_BITS: u32 = 8;

/// Notes of a part before it is worth while to look for keys that came again.
const FEW: usize = 1 << 14;

/// Notes of keys, by part.
#[derive(Debug)]
pub(super) struct Keys {
    parts: Vec<Part>,
    secret: [u64; 2],
}

#[derive(Clone, Default, Debug)]
struct Part {
    notes: Vec<Note>,
    /// When there are so many, those of one key become one.
    limit: usize,
}

impl Keys {
    /// With room for so many notes before lists must be moved. `secret` is nobody's to foresee: with it nobody can choose infohashes that all want
    /// one place.
    pub(super) fn new(secret: [u64; 2], room: usize) -> Self {
        let part = || Part {
            notes: Vec::with_capacity(room / PARTS),
            limit: FEW.max(room / PARTS),
        };
        Self {
            parts: (0..PARTS).map(|_| part()).collect(),
            secret,
        }
    }

    /// Adds marks to a key.
    pub(super) fn mark(&mut self, (a, b, c): Key, marks: u32) {
        let note = [a, b, u64::from(c) << 32 | u64::from(marks)];
        let part = (hash(self.secret, &note) >> (64 - PART_BITS)) as usize;
        let Some(part) = self.parts.get_mut(part) else { return };
        part.notes.push(note);
        if part.notes.len() >= part.limit {
            let mut table = Table::default();
            table.fill(self.secret, &[&part.notes]);
            part.notes.clear();
            part.notes.extend(table.notes());
            part.limit = FEW.max(2 * part.notes.len());
        }
    }
}

/// A hash of the key under the secret: products of 128 bits, folded.
fn hash(secret: [u64; 2], note: &Note) -> u64 {
    let fold = |a: u64, b: u64| {
        let product = u128::from(a) * u128::from(b);
        (product as u64) ^ ((product >> 64) as u64)
    };
    let [one, two] = secret;
    let half = fold(note[0] ^ one, note[1] ^ two);
    fold(half ^ (note[2] >> 32) ^ two, one | 1)
}

/// For each of these masks, keys of these parts that have all of its marks, in one of the sets or in several together. The sets are of one
/// secret.
pub(super) fn counts<const N: usize>(sets: &[Keys], parts: Range<usize>, masks: [u32; N]) -> [u64; N] {
    let mut counts = [0; N];
    let Some(first) = sets.first() else { return counts };
    let mut table = Table::default();
    for part in parts {
        let lists = sets.iter().filter_map(|set| set.parts.get(part));
        let lists: Vec<&[Note]> = lists.map(|part| &part.notes[..]).collect();
        table.fill(first.secret, &lists);
        for note in table.notes() {
            for (count, mask) in counts.iter_mut().zip(masks.map(u64::from)) {
                *count += u64::from(note[2] & mask == mask);
            }
        }
    }
    counts
}

/// Tells the keys of a part apart: open addressing, at most half full.
#[derive(Default, Debug)]
struct Table {
    places: Vec<Note>,
}

impl Table {
    /// Takes these notes and no others; those of one key become one.
    fn fill(&mut self, secret: [u64; 2], lists: &[&[Note]]) {
        let notes: usize = lists.iter().map(|list| list.len()).sum();
        let size = (2 * notes).next_power_of_two().max(2);
        self.places.clear();
        self.places.resize(size, VACANT);
        let (mask, shift) = (size - 1, 64 - size.ilog2());
        for note in lists.iter().copied().flatten() {
            // The first bits are those of the part, and the same for all.
            let mut at = (hash(secret, note) << PART_BITS >> shift) as usize;
            while let Some(place) = self.places.get_mut(at) {
                if *place == VACANT {
                    *place = *note;
                    break;
                }
                if key_part(place) == key_part(note) {
                    place[2] |= note[2];
                    break;
                }
                at = (at + 1) & mask;
            }
        }
    }

    fn notes(&self) -> impl Iterator<Item = &Note> {
        self.places.iter().filter(|place| **place != VACANT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_is_counted_once_with_all_its_marks() {
        let secret = [0x1234_5678_9abc_def1, 0x0fed_cba9_8765_4321];
        let (mut one, mut two) = (Keys::new(secret, 0), Keys::new(secret, 0));
        for number in 0..20_000u64 {
            one.mark((number, 0, 0), FIELD);
            two.mark((number + 10_000, 0, 0), FIELD | ROW);
            two.mark((number + 10_000, 0, 0), OK);
            one.mark((secret[0] ^ 1, number, 7), ROW);
        }
        let masks = [FIELD, ROW, OK, FIELD | ROW | OK];
        let mut three = Keys::new(secret, 0);
        three.mark((5, 0, 0), ROW);
        three.mark((6, 0, 0), FIELD);
        let sets = [three];
        assert_eq!(counts(&sets, 0..PARTS, masks), [1, 1, 0, 0]);
        let [mut three] = sets;
        three.mark((5, 0, 0), OK);
        let sets = [one, two, three];
        assert_eq!(counts(&sets, 0..PARTS, masks), [30_000, 40_001, 20_001, 20_001]);
        let halves = [0..PARTS / 2, PARTS / 2..PARTS].map(|parts| counts(&sets, parts, masks));
        assert!(halves.iter().all(|half| half[0] > 10_000));
        assert_eq!(halves[0][0] + halves[1][0], 30_000);
        assert_eq!(counts(&[], 0..PARTS, masks), [0; 4]);
    }

    #[test]
    fn keys_that_come_again_and_again_take_no_more_room() {
        let mut keys = Keys::new([3, 5], 10_000);
        for round in 0..40_000u64 {
            for key in 0..3 {
                keys.mark((key, 1, 2), if round == 17 { OK } else { ROW });
            }
        }
        assert!(keys.parts.iter().all(|part| part.notes.len() <= FEW));
        assert_eq!(counts(&[keys], 0..PARTS, [ROW, ROW | OK]), [3, 3]);
    }
}
