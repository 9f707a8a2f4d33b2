//! How a link spells bytes: percent escapes (RFC 3986), hex, base32 (RFC 4648).

use std::fmt;

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Longest piece of foreign text that an error quotes, characters.
const MAX_SHOWN: usize = 80;

/// Undoes percent escapes. A `%` that starts none stays, and what is not UTF-8 becomes U+FFFD: links in the wild have
/// names cut in the middle of an escape.
pub(super) fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let escaped = (first == b'%').then(|| tail.split_first_chunk()).flatten();
        if let Some((byte, tail)) = escaped.and_then(|(&[high, low], tail)| Some((hex_byte(high, low)?, tail))) {
            bytes.push(byte);
            rest = tail;
        } else {
            bytes.push(first);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Text with everything escaped but RFC 3986's unreserved characters.
pub(super) struct Escaped<'a>(pub(super) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.bytes() {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
                write!(f, "{}", char::from(byte))?;
            } else {
                write!(f, "%{byte:02X}")?;
            }
        }
        Ok(())
    }
}

/// Foreign text as an error may quote it: short, and without control characters.
pub(super) fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(MAX_SHOWN).flat_map(char::escape_debug).collect();
    if text.chars().nth(MAX_SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

/// 64 hex digits of either case.
pub(super) fn from_hex(text: &str) -> Option<[u8; 32]> {
    let digits: &[u8; 64] = text.as_bytes().try_into().ok()?;
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.as_chunks().0) {
        let &[high, low] = pair;
        *byte = hex_byte(high, low)?;
    }
    Some(bytes)
}

fn hex_byte(high: u8, low: u8) -> Option<u8> {
    let digit = |c: u8| char::from(c).to_digit(16).and_then(|value| u8::try_from(value).ok());
    Some((digit(high)? << 4) | digit(low)?)
}

/// 32 base32 characters of either case: 20 bytes, without padding.
pub(super) fn from_base32(text: &str) -> Option<[u8; 20]> {
    let digits: &[u8; 32] = text.as_bytes().try_into().ok()?;
    let mut bytes = [0; 20];
    for (five, eight) in bytes.as_chunks_mut::<5>().0.iter_mut().zip(digits.as_chunks::<8>().0) {
        let mut bits = 0u64;
        for digit in eight {
            let value = BASE32.iter().position(|known| known.eq_ignore_ascii_case(digit))?;
            bits = (bits << 5) | u64::try_from(value).ok()?;
        }
        let [_, _, _, group @ ..] = bits.to_be_bytes();
        *five = group;
    }
    Some(bytes)
}

/// The 32 base32 characters of 20 bytes, upper case.
pub(super) fn to_base32(bytes: &[u8; 20]) -> String {
    let mut text = String::with_capacity(32);
    for &[a, b, c, d, e] in bytes.as_chunks::<5>().0 {
        let bits = u64::from_be_bytes([0, 0, 0, a, b, c, d, e]);
        for shift in (0..8).rev() {
            let digit = usize::try_from((bits >> (shift * 5)) & 31)
                .ok()
                .and_then(|at| BASE32.get(at));
            text.extend(digit.copied().map(char::from));
        }
    }
    text
}
