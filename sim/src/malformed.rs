//! Bytes that are nearly KRPC (`network-model.md` J6, and the list in 3.3): forty ways to spoil a reply.

use crate::dice::Dice;

/// What is done to the bytes of a reply. What the message does not have stays as it is.
#[derive(Clone, Copy, Debug)]
enum Spoil {
    /// Ends somewhere.
    Truncate,
    /// Three bytes somewhere are others.
    Flip,
    /// Something before all of it.
    Before(&'static [u8]),
    /// Something behind it.
    Behind(&'static [u8]),
    /// Other bytes in the place of the first that are these.
    Put(&'static [u8], &'static [u8]),
    /// The value of a key of the answer becomes another; the old one stays, under a key that nobody knows.
    Value(&'static [u8], &'static [u8]),
    /// The same with so many bytes as value.
    Long(&'static [u8], usize),
    /// So many of these inside one another, closed or not, as the value of a key.
    Nest(&'static [u8], &'static [u8], bool),
    /// All of it is this.
    All(&'static [u8]),
    /// Nothing but zeros.
    Zeros,
    /// The whole message twice.
    Twice,
}

/// Lists inside one another: a reader that calls itself for each overflows its stack.
const DEPTH: usize = 10_000;

/// All ways.
const WAYS: [Spoil; 40] = [
    // Lengths of the whole.
    Spoil::Truncate,
    Spoil::Flip,
    Spoil::Behind(b"e"),
    Spoil::Behind(b"1:zi1e"),
    Spoil::Twice,
    Spoil::Before(b"i-0e"),
    Spoil::All(b""),
    Spoil::All(b"d"),
    Spoil::All(b"le"),
    Spoil::All(b"20:aaaaaaaaaaaaaaaaaaaa"),
    Spoil::Zeros,
    // Numbers.
    Spoil::Put(b"2:id20:", b"2:id19:"),
    Spoil::Put(b"2:id20:", b"2:id21:"),
    Spoil::Put(b"2:id20:", b"2:id020:"),
    Spoil::Put(b"2:id20:", b"2:id-1:"),
    Spoil::Put(b"2:id20:", b"2:id9223372036854775808:"),
    Spoil::Put(b"d", b"d99999999999999999999:"),
    Spoil::Value(b"2:id", b"i007e"),
    Spoil::Value(b"2:id", b"ie"),
    Spoil::Value(b"2:id", b"i99999999999999999999e"),
    // Depth.
    Spoil::Nest(b"5:nodes", b"l", true),
    Spoil::Nest(b"1:t", b"l", false),
    Spoil::Nest(b"1:v", b"d1:a", true),
    // Values of a wrong kind or size.
    Spoil::Value(b"5:nodes", b"27:..........................."),
    Spoil::Value(b"5:nodes", b"ld2:idi1eee"),
    Spoil::Value(b"6:values", b"6:......"),
    Spoil::Value(b"6:values", b"l5:.....7:.......i6ee"),
    Spoil::Value(b"7:samples", b"21:....................."),
    Spoil::Value(b"7:samples", b"le"),
    Spoil::Value(b"3:num", b"i-5e"),
    Spoil::Value(b"8:interval", b"5:21600"),
    Spoil::Value(b"5:token", b"de"),
    Spoil::Value(b"1:v", b"2:\xff\xfe"),
    // The frame.
    Spoil::Put(b"1:t", b"1:s"),
    Spoil::Value(b"1:t", b"0:"),
    Spoil::Long(b"1:t", 300),
    Spoil::Put(b"1:y1:r", b"1:y1:e1:y1:r"),
    Spoil::Value(b"1:y", b"i1e"),
    Spoil::Value(b"1:r", b"le"),
    // Unsorted.
    Spoil::Put(b"1:y1:r", b"1:y1:r1:a0:"),
];

/// How many ways there are.
pub(crate) const COUNT: u64 = WAYS.len() as u64;

/// Spoils a reply in one of the ways, of which there are [`COUNT`].
pub(crate) fn spoil(way: u64, dice: Dice, out: &mut Vec<u8>) {
    let at = dice.below(0, 5, out.len() as u64) as usize;
    match WAYS[(way % COUNT) as usize] {
        Spoil::Truncate => out.truncate(at),
        Spoil::Flip => out.iter_mut().skip(at).take(3).for_each(|byte| *byte ^= 0x55),
        Spoil::Before(what) => out.splice(0..0, what.iter().copied()).for_each(drop),
        Spoil::Behind(what) => out.extend_from_slice(what),
        Spoil::Put(this, that) => put_for(out, this, that),
        Spoil::Value(key, value) => put_value(out, key, value),
        Spoil::Long(key, len) => {
            let value = [format!("{len}:").as_bytes(), &vec![b'.'; len]].concat();
            put_value(out, key, &value);
        }
        Spoil::Nest(key, open, closed) => {
            let value = [open.repeat(DEPTH), b"e".repeat(if closed { DEPTH } else { 0 })].concat();
            put_value(out, key, &value);
        }
        Spoil::All(what) => *out = what.to_vec(),
        Spoil::Zeros => out.fill(0),
        Spoil::Twice => out.extend_from_within(..),
    }
}

/// Puts other bytes in the place of the first that are `this`.
fn put_for(bytes: &mut Vec<u8>, this: &[u8], that: &[u8]) {
    if let Some(at) = bytes.windows(this.len()).position(|part| part == this) {
        bytes.splice(at..at + this.len(), that.iter().copied());
    }
}

fn put_value(bytes: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    put_for(bytes, key, &[key, value, b"1:x"].concat());
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use wire::krpc::Message;
    use world::Seed;

    use super::*;

    /// A reply with all that one can have.
    const REPLY: &[u8] =
        b"d1:rd2:id20:aaaaaaaaaaaaaaaaaaaa8:intervali21600e5:nodes26:bbbbbbbbbbbbbbbbbbbbccccdd3:numi1e\
        7:samples20:eeeeeeeeeeeeeeeeeeee5:token4:ffff6:valuesl6:gggggge1:t2:hh1:v4:LT\x02\x0b1:y1:re";

    #[test]
    fn forty_ways_differ_from_one_another_and_are_survived() {
        let seed = Seed::from_number(1);
        let mut seen = BTreeSet::from([REPLY.to_vec()]);
        for way in 0..COUNT {
            let mut bytes = REPLY.to_vec();
            spoil(way, Dice::new(seed, "test"), &mut bytes);
            // Whether a reader is strict is its own affair: it must come to an end.
            let _ = Message::decode(&bytes);
            assert!(seen.insert(bytes), "way {way} changes nothing, or is another again");
        }
        assert_eq!(seen.len(), 41);
    }
}
