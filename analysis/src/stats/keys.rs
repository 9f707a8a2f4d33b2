//! Which infohashes there are, with what is known of each, 24 bytes a place.

/// It stood at the beginning of a line as it is, in small letters.
pub(super) const FIELD: u32 = 1;
/// A row is about it.
pub(super) const ROW: u32 = 2;
/// A row says that it has metadata.
pub(super) const OK: u32 = 4;

/// 20 bytes, as numbers that compare fast.
pub(super) type Key = (u64, u64, u32);

/// A key and its marks, these in the low half of the last word.
type Place = [u64; 3];

/// The mark of an empty place. Not of zeros: of those the system would give one page for all, and take it back, at several times the cost,
/// when a place is first read and then written.
const VACANT: Place = [0, 0, 1 << 31];

const fn key_part(place: &Place) -> (u64, u64, u64) {
    (place[0], place[1], place[2] >> 32)
}

const fn marks_part(place: &Place) -> u64 {
    place[2] & (VACANT[2] - 1)
}

const fn is_vacant(place: &Place) -> bool {
    place[2] & VACANT[2] != 0
}

/// Keys that wait until there are so many: then their places are looked at together, before any is used.
const WAITING: usize = 256;

/// A set of keys with marks: open addressing, at most three quarters full.
///
/// Places are in the order of the hashes, so that one set is poured into another, and into a larger one, from its first place to its last:
/// memory is walked, not jumped about in. Keys as they come do jump, each to memory that no cache has; a loop that only reads lets
/// the processor fetch many of these at once, three times as fast as one after the other.
#[derive(Debug)]
pub(super) struct Keys {
    places: Vec<Place>,
    /// Bits of a hash that name a place.
    bits: u32,
    used: usize,
    waiting: Vec<(u64, Place)>,
    secret: [u64; 2],
    /// What the loop that only reads has read, so that it is not left out as useless.
    read: u64,
}

impl Keys {
    /// With room for so many keys before it grows. `secret` is nobody's to foresee: with it nobody can choose infohashes that all want one
    /// place.
    pub(super) fn new(secret: [u64; 2], room: usize) -> Self {
        let bits = (room / 3 * 4).max(1 << 10).next_power_of_two().ilog2();
        Self {
            places: vec![VACANT; 1 << bits],
            bits,
            used: 0,
            waiting: Vec::with_capacity(WAITING),
            secret,
            read: 0,
        }
    }

    /// Adds marks to a key.
    pub(super) fn mark(&mut self, (a, b, c): Key, marks: u32) {
        let place = [a, b, u64::from(c) << 32 | u64::from(marks)];
        self.waiting.push((self.hash(&place), place));
        if self.waiting.len() == WAITING {
            self.settle();
        }
    }

    /// Puts those that wait where they belong.
    fn settle(&mut self) {
        while (self.used + WAITING) * 4 >= self.places.len() * 3 {
            self.grow();
        }
        for (hash, _) in &self.waiting {
            self.read ^= self.places.get(self.place_of(*hash)).map_or(0, |place| place[2]);
        }
        let mut waiting = std::mem::take(&mut self.waiting);
        for (hash, place) in waiting.drain(..) {
            self.put(hash, place);
        }
        self.waiting = waiting;
    }

    fn put(&mut self, hash: u64, new: Place) {
        let mask = self.places.len() - 1;
        let mut at = self.place_of(hash);
        while let Some(place) = self.places.get_mut(at) {
            if is_vacant(place) {
                *place = new;
                self.used += 1;
                return;
            }
            if key_part(place) == key_part(&new) {
                place[2] |= new[2];
                return;
            }
            at = (at + 1) & mask;
        }
    }

    const fn place_of(&self, hash: u64) -> usize {
        (hash >> (64 - self.bits)) as usize
    }

    /// A hash of the key under the secret: products of 128 bits, folded.
    fn hash(&self, place: &Place) -> u64 {
        let fold = |a: u64, b: u64| {
            let product = u128::from(a) * u128::from(b);
            (product as u64) ^ ((product >> 64) as u64)
        };
        let [one, two] = self.secret;
        let half = fold(place[0] ^ one, place[1] ^ two);
        fold(half ^ (place[2] >> 32) ^ two, one | 1)
    }

    fn grow(&mut self) {
        self.bits += 1;
        let old = std::mem::replace(&mut self.places, vec![VACANT; 1 << self.bits]);
        self.used = 0;
        self.pour(&old);
    }

    /// Takes the places of another table, for which there is room.
    fn pour(&mut self, places: &[Place]) {
        for place in places.iter().filter(|place| !is_vacant(place)) {
            self.put(self.hash(place), *place);
        }
    }

    /// Takes all that another set of the same secret has.
    fn unite(&mut self, other: &Self) {
        // Room first: keys in the order of their hashes would fill the first places of a small table beyond measure.
        while (self.used + other.used) * 4 >= self.places.len() * 3 {
            self.grow();
        }
        self.pour(&other.places);
    }

    /// What is known of a key.
    fn marks(&self, key: &Place) -> u64 {
        let mask = self.places.len() - 1;
        let mut at = self.place_of(self.hash(key));
        while let Some(place) = self.places.get(at) {
            if is_vacant(place) {
                break;
            }
            if key_part(place) == key_part(key) {
                return marks_part(place);
            }
            at = (at + 1) & mask;
        }
        0
    }
}

/// For each of these masks, keys that have all of its marks in one of the sets or in several together; the sets are of one secret.
pub(super) fn counts<const N: usize>(mut sets: Vec<Keys>, masks: [u32; N]) -> [u64; N] {
    let mut counts = [0; N];
    let mut add = |marks: u64, before: u64| {
        for (count, mask) in counts.iter_mut().zip(masks.map(u64::from)) {
            *count += u64::from(marks & mask == mask && before & mask != mask);
        }
    };
    sets.iter_mut().for_each(Keys::settle);
    let Some(mut all) = sets.pop() else { return counts };
    // One set is only looked at: of two none has to grow.
    let last = sets.pop();
    for other in &sets {
        all.unite(other);
    }
    for place in &all.places {
        add(marks_part(place), 0);
    }
    for place in last
        .iter()
        .flat_map(|last| &last.places)
        .filter(|place| !is_vacant(place))
    {
        let before = all.marks(place);
        add(before | marks_part(place), before);
    }
    counts
}

/// 40 hex digits as they stand, eight in a number, the first in its highest byte.
pub(super) type Digits = [u64; 5];

/// The first 40 bytes, whatever they are.
pub(super) fn digits(text: &[u8]) -> Option<Digits> {
    let (words, _) = text.first_chunk::<40>()?.as_chunks::<8>();
    let mut digits = [0; 5];
    for (digit, word) in digits.iter_mut().zip(words) {
        *digit = u64::from_be_bytes(*word);
    }
    Some(digits)
}

/// Whether they are the same; without a call, unlike `==`.
pub(super) fn are_same(one: &Digits, two: &Digits) -> bool {
    one.iter().zip(two).fold(0, |all, (one, two)| all | (one ^ two)) == 0
}

/// The key of 40 hex digits, and whether they are as we write them, without capitals; `None` if they are something else.
pub(super) fn key_of(digits: &Digits) -> Option<(Key, bool)> {
    let mut capitals = 0;
    let mut word = |digits: u64| {
        let (letters, valid) = letters(digits);
        // The bit that a capital lacks.
        capitals |= letters & !(digits << 2);
        (valid == HIGH).then(|| value(digits))
    };
    let long = |high: u64, low: u64| high << 32 | low;
    let [a, b, c, d, e] = *digits;
    let key = (long(word(a)?, word(b)?), long(word(c)?, word(d)?), word(e)? as u32);
    Some((key, capitals == 0))
}

/// The highest bit of each byte.
const HIGH: u64 = 0x8080_8080_8080_8080;

/// The same byte eight times.
const fn each(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// Which bytes are letters of a hex number, and which are any of its digits: their highest bit is set. All eight at once; no sum
/// exceeds its byte where the byte is below 0x80, and what is not is not valid.
const fn letters(digits: u64) -> (u64, u64) {
    let low = digits & !HIGH;
    // `0` to `9` become 0 to 9, `a` to `f` and `A` to `F` 1 to 6.
    let number = low ^ each(b'0');
    let letter = (low | each(0x20)) ^ each(0x60);
    let numbers = !(number + each(0x80 - 10)) & HIGH;
    let letters = (letter + each(0x80 - 1)) & !(letter + each(0x80 - 7)) & HIGH;
    (letters, (numbers | letters) & !digits)
}

/// The number that eight valid digits are: four bits of each, then two of these in a byte, and so on.
const fn value(digits: u64) -> u64 {
    let fours = (digits & each(0x0f)) + ((digits >> 6) & each(1)) * 9;
    let bytes = (fours | fours >> 4) & 0x00ff_00ff_00ff_00ff;
    let pairs = (bytes | bytes >> 8) & 0x0000_ffff_0000_ffff;
    (pairs | pairs >> 16) & 0xffff_ffff
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &[u8]) -> Option<(Key, bool)> {
        key_of(&digits(text)?)
    }

    #[test]
    fn keys_are_of_hex_digits_and_nothing_else() {
        let text = b"0123456789abcdef0123456789abcdef01234567";
        let small = key(text).unwrap();
        assert_eq!(
            small,
            ((0x0123_4567_89ab_cdef, 0x0123_4567_89ab_cdef, 0x0123_4567), true)
        );
        assert_eq!(key(&text.to_ascii_uppercase()), Some((small.0, false)));
        assert_eq!(key(&text[1..]), None);
        for at in 0..40 {
            for byte in 0..=u8::MAX {
                let mut text = *text;
                text[at] = byte;
                let want = byte.is_ascii_hexdigit().then_some(!byte.is_ascii_uppercase());
                assert_eq!(key(&text).map(|(_, small)| small), want, "{byte} at {at}");
            }
        }
    }

    #[test]
    fn a_set_holds_each_key_once_with_all_its_marks() {
        let secret = [0x1234_5678_9abc_def1, 0x0fed_cba9_8765_4321];
        let (mut one, mut two) = (Keys::new(secret, 0), Keys::new(secret, 50_000));
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
        assert_eq!(counts(vec![three], masks), [1, 1, 0, 0]);
        let mut three = Keys::new(secret, 0);
        three.mark((5, 0, 0), ROW | OK);
        three.mark((6, 0, 0), FIELD);
        assert_eq!(counts(vec![one, two, three], masks), [30_000, 40_001, 20_001, 20_001]);
        assert_eq!(counts(Vec::new(), masks), [0; 4]);
    }
}
