//! Fields as values.

use std::net::IpAddr;

use super::form::Kind;
use super::scan::Value;
use crate::hex;

/// What a field says, if it is of that kind; `text` is not empty.
pub(super) fn value(kind: Kind, text: &str) -> Option<Value<'_>> {
    match kind {
        Kind::Hash => is_hash(text).then_some(Value::Text(text)),
        Kind::Text | Kind::Word => Some(Value::Text(text)),
        Kind::Count | Kind::Time => number(text).map(Value::Count),
        Kind::Port => number(text)
            .filter(|port| *port <= u64::from(u16::MAX))
            .map(Value::Count),
        Kind::Whole => text.trim().parse().ok().map(Value::Whole),
        Kind::Real => {
            let real: f64 = text.trim().parse().ok()?;
            real.is_finite().then_some(Value::Real(real))
        }
        Kind::Flag => match text {
            "True" => Some(Value::Flag(true)),
            "False" => Some(Value::Flag(false)),
            _ => None,
        },
        Kind::Ip => is_ip(text).then_some(Value::Text(text)),
    }
}

/// 40 hex digits, lower-case: what has capitals was made lower-case before.
fn is_hash(text: &str) -> bool {
    digits(text).is_some_and(|(_, small)| small)
}

/// Whether it is 40 hex digits with capitals.
pub(super) fn has_capitals(text: &str) -> bool {
    digits(text).is_some_and(|(_, small)| !small)
}

fn digits(text: &str) -> Option<(hex::Key, bool)> {
    let digits = hex::digits(text.as_bytes()).filter(|_| text.len() == 40)?;
    hex::key_of(&digits)
}

fn number(text: &str) -> Option<u64> {
    let digits = text.as_bytes();
    // 19 digits cannot overflow.
    if digits.len() > 19 {
        return text.parse().ok();
    }
    let mut number = 0;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return text.trim().parse().ok();
        }
        number = number * 10 + u64::from(digit);
    }
    Some(number)
}

fn is_ip(text: &str) -> bool {
    is_ipv4(text.as_bytes()) || text.trim().parse::<IpAddr>().is_ok()
}

/// Four numbers up to 255 without leading zeros: most addresses, in half the time of the standard library, which also says which.
fn is_ipv4(text: &[u8]) -> bool {
    let (mut dots, mut number, mut length) = (0, 0, 0);
    for byte in text {
        match byte {
            b'0'..=b'9' if length == 0 || (length < 3 && number > 0) => {
                number = number * 10 + u32::from(byte - b'0');
                length += 1;
            }
            b'.' if length > 0 && number <= 255 => {
                dots += 1;
                (number, length) = (0, 0);
            }
            _ => return false,
        }
    }
    dots == 3 && length > 0 && number <= 255
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ipv4_is_what_the_standard_library_takes_for_it(text in "[0-9.]{0,16}|([0-9]{1,3}[.]){3}[0-9]{1,3}|((0|1?[0-9]{1,2}|2[0-9]{2})[.]?){4}") {
            prop_assert_eq!(is_ipv4(text.as_bytes()), text.parse::<Ipv4Addr>().is_ok());
        }
    }

    #[test]
    fn fields_are_values_of_their_kind_or_nothing() {
        let hash = "0123456789abcdef0123456789abcdef01234567";
        let good = [
            (Kind::Hash, hash, Value::Text(hash)),
            (Kind::Count, "0", Value::Count(0)),
            (Kind::Count, "18446744073709551615", Value::Count(u64::MAX)),
            (Kind::Count, " 7 ", Value::Count(7)),
            (Kind::Whole, "-1", Value::Whole(-1)),
            (Kind::Real, "81.3", Value::Real(81.3)),
            (Kind::Flag, "True", Value::Flag(true)),
            (Kind::Ip, "192.0.2.7", Value::Text("192.0.2.7")),
            (Kind::Ip, "2001:db8::1", Value::Text("2001:db8::1")),
            (Kind::Port, "65535", Value::Count(65_535)),
        ];
        for (kind, text, want) in good {
            assert_eq!(value(kind, text), Some(want), "{text}");
        }
        let bad = [
            (Kind::Hash, &hash[1..]),
            (Kind::Hash, "0123456789abcdef0123456789abcdef0123456g"),
            (Kind::Count, "-1"),
            (Kind::Count, "1.0"),
            (Kind::Count, "18446744073709551616"),
            (Kind::Whole, "x"),
            (Kind::Real, "inf"),
            (Kind::Flag, "true"),
            (Kind::Ip, "192.0.2"),
            (Kind::Ip, "[2001:db8::1]"),
            (Kind::Port, "65536"),
        ];
        for (kind, text) in bad {
            assert_eq!(value(kind, text), None, "{kind:?} {text}");
        }
    }
}
