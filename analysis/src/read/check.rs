//! Fields as values.

use std::net::{IpAddr, Ipv4Addr};

use super::form::Kind;
use super::scan::Value;

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
    text.len() == 40
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
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
    if text.len() <= 15 && text.parse::<Ipv4Addr>().is_ok() {
        return true;
    }
    text.trim().parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

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
