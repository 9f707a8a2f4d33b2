//! Which infohashes there are, with what is known of each, 24 bytes a place.

/// It stood at the beginning of a line as it is, in small letters.
pub(super) const FIELD: u32 = 1;
/// A row is about it.
pub(super) const ROW: u32 = 2;
/// A row says that it has metadata.
pub(super) const OK: u32 = 4;

/// 20 bytes, as numbers that compare fast.
pub(super) type Key = (u64, u64, u32);

#[derive(Clone, Copy, Default, Debug)]
struct Place {
    a: u64,
    b: u64,
    c: u32,
    /// 0 is an empty place.
    marks: u32,
}

/// A set of keys with marks: open addressing, at most three quarters full.
///
/// Places are in the order of the hashes, so that one set is poured into another, and into a larger one, from its first place to its last:
/// memory is walked, not jumped about in.
#[derive(Debug)]
pub(super) struct Keys {
    places: Vec<Place>,
    /// Bits of a hash that name a place.
    bits: u32,
    used: usize,
    secret: [u64; 2],
}

impl Keys {
    /// `secret` is nobody's to foresee: with it nobody can choose infohashes that all want one place.
    pub(super) fn new(secret: [u64; 2]) -> Self {
        const BITS: u32 = 10;
        Self {
            places: vec![Place::default(); 1 << BITS],
            bits: BITS,
            used: 0,
            secret,
        }
    }

    /// Adds marks to a key.
    pub(super) fn mark(&mut self, (a, b, c): Key, marks: u32) {
        if self.used * 4 >= self.places.len() * 3 {
            self.grow();
        }
        self.put(Place { a, b, c, marks });
    }

    fn put(&mut self, new: Place) {
        let mask = self.places.len() - 1;
        let mut at = self.place_of(&new);
        while let Some(place) = self.places.get_mut(at) {
            if place.marks == 0 {
                *place = new;
                self.used += 1;
                return;
            }
            if (place.a, place.b, place.c) == (new.a, new.b, new.c) {
                place.marks |= new.marks;
                return;
            }
            at = (at + 1) & mask;
        }
    }

    /// The first bits of a hash of the key under the secret: products of 128 bits, folded.
    fn place_of(&self, place: &Place) -> usize {
        let fold = |a: u64, b: u64| {
            let product = u128::from(a) * u128::from(b);
            (product as u64) ^ ((product >> 64) as u64)
        };
        let [one, two] = self.secret;
        let half = fold(place.a ^ one, place.b ^ two);
        let hash = fold(half ^ u64::from(place.c) ^ two, one | 1);
        usize::try_from(hash >> (64 - self.bits)).unwrap_or(0)
    }

    fn grow(&mut self) {
        self.bits += 1;
        let larger = vec![Place::default(); 1 << self.bits];
        let old = std::mem::replace(&mut self.places, larger);
        self.used = 0;
        for place in old.into_iter().filter(|place| place.marks != 0) {
            self.put(place);
        }
    }

    /// All that another set of the same secret has.
    pub(super) fn unite(mut self, mut other: Self) -> Self {
        if other.used > self.used {
            std::mem::swap(&mut self, &mut other);
        }
        for place in other.places.into_iter().filter(|place| place.marks != 0) {
            self.mark((place.a, place.b, place.c), place.marks);
        }
        self
    }

    /// Keys that have all these marks.
    pub(super) fn count(&self, marks: u32) -> u64 {
        self.places
            .iter()
            .filter(|place| place.marks & marks == marks && place.marks != 0)
            .count() as u64
    }
}

/// The key of 40 hex digits, and whether they are as we write them, without capitals; `None` if they are something else.
pub(super) fn key_of(text: &[u8]) -> Option<(Key, bool)> {
    let (words, rest) = text.as_chunks::<8>();
    let [a, b, c, d, e] = words else { return None };
    if !rest.is_empty() {
        return None;
    }
    let mut capitals = false;
    let mut word = |digits: &[u8; 8]| {
        let mut number = 0;
        for digit in digits {
            let value = HEX.get(usize::from(*digit)).copied().unwrap_or(NONE);
            if value & NONE != 0 {
                return None;
            }
            capitals |= value & CAPITAL != 0;
            number = number << 4 | u32::from(value & 0xf);
        }
        Some(number)
    };
    let long = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
    let key = (long(word(a)?, word(b)?), long(word(c)?, word(d)?), word(e)?);
    Some((key, !capitals))
}

const NONE: u8 = 0x80;
const CAPITAL: u8 = 0x40;

/// What each byte is as a hex digit.
const HEX: [u8; 256] = {
    let mut table = [NONE; 256];
    let mut digit = 0;
    while digit < 16 {
        let small = b"0123456789abcdef"[digit];
        let large = small.to_ascii_uppercase();
        table[large as usize] = digit as u8 | CAPITAL;
        table[small as usize] = digit as u8;
        digit += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_of_hex_digits_and_nothing_else() {
        let key = key_of(b"0123456789abcdef0123456789abcdef01234567").unwrap();
        assert_eq!(key, ((0x0123_4567_89ab_cdef, 0x0123_4567_89ab_cdef, 0x0123_4567), true));
        let capital = key_of(b"0123456789ABCDEF0123456789abcdef01234567").unwrap();
        assert_eq!(capital, (key.0, false));
        assert_eq!(key_of(b"0123456789abcdef0123456789abcdef0123456"), None);
        assert_eq!(key_of(b"0123456789abcdef0123456789abcdef0123456g"), None);
    }

    #[test]
    fn a_set_holds_each_key_once_with_all_its_marks() {
        let secret = [0x1234_5678_9abc_def1, 0x0fed_cba9_8765_4321];
        let (mut one, mut two) = (Keys::new(secret), Keys::new(secret));
        for number in 0..20_000u64 {
            one.mark((number, 0, 0), FIELD);
            two.mark((number + 10_000, 0, 0), FIELD | ROW);
            two.mark((number + 10_000, 0, 0), OK);
            one.mark((secret[0] ^ 1, number, 7), ROW);
        }
        let all = one.unite(two);
        assert_eq!(all.count(FIELD), 30_000);
        assert_eq!(all.count(ROW), 40_000);
        assert_eq!(all.count(OK), 20_000);
        assert_eq!(all.count(FIELD | ROW | OK), 20_000);
    }
}
