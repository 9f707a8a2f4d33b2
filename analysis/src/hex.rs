//! Infohashes as they stand in tables: 40 hex digits, eight at a time.

/// 20 bytes, as numbers that compare fast.
pub(crate) type Key = (u64, u64, u32);

/// 40 hex digits as they stand, eight in a number, the first in its highest byte.
pub(crate) type Digits = [u64; 5];

/// The first 40 bytes, whatever they are.
pub(crate) fn digits(text: &[u8]) -> Option<Digits> {
    let (words, _) = text.first_chunk::<40>()?.as_chunks::<8>();
    let mut digits = [0; 5];
    for (digit, word) in digits.iter_mut().zip(words) {
        *digit = u64::from_be_bytes(*word);
    }
    Some(digits)
}

/// Whether they are the same; without a call, unlike `==`.
pub(crate) fn are_same(one: &Digits, two: &Digits) -> bool {
    one.iter().zip(two).fold(0, |all, (one, two)| all | (one ^ two)) == 0
}

/// The key of 40 hex digits, and whether they are as we write them, without capitals; `None` if they are something else.
pub(crate) fn key_of(digits: &Digits) -> Option<(Key, bool)> {
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
    // Constants, so that a build with few optimisations does not work them out each time.
    const ZEROS: u64 = each(b'0');
    const SMALL: u64 = each(0x20);
    const BEFORE_A: u64 = each(0x60);
    const FROM_TEN: u64 = each(0x80 - 10);
    const FROM_ONE: u64 = each(0x80 - 1);
    const FROM_SEVEN: u64 = each(0x80 - 7);
    // `0` to `9` become 0 to 9, `a` to `f` and `A` to `F` 1 to 6.
    let number = low ^ ZEROS;
    let letter = (low | SMALL) ^ BEFORE_A;
    let numbers = !(number + FROM_TEN) & HIGH;
    let letters = (letter + FROM_ONE) & !(letter + FROM_SEVEN) & HIGH;
    (letters, (numbers | letters) & !digits)
}

/// The number that eight valid digits are: four bits of each, then two of these in a byte, and so on.
const fn value(digits: u64) -> u64 {
    const LOW_FOUR: u64 = each(0x0f);
    const ONES: u64 = each(1);
    let fours = (digits & LOW_FOUR) + ((digits >> 6) & ONES) * 9;
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
}
