//! Two ends of an encrypted handshake, and somebody in between who may change what they say.

use wire::InfoHash;
use world::{Member, Seed};

use crate::mse::{Admitted, Failure, INITIAL_MAX, Initiator, KEY_LEN, Level, PAD_MAX, Responder, Secured};

const TORRENT: InfoHash = InfoHash::new([7; 20]);
const GREETING: &[u8; INITIAL_MAX] = &[5; INITIAL_MAX];

/// Most bytes that one end says in a handshake: its key, two paddings, two hashes, the fields, the greeting.
const SAID_MAX: usize = KEY_LEN + 2 * PAD_MAX + 40 + 16 + INITIAL_MAX;

/// Whatever comes: no panic, nothing is said beyond what a handshake has, and two ends that nobody interfered with
/// understand one another or have no method in common.
///
/// The first byte chooses the levels, the second the chance. Then each pair is a part of what one end said: how many
/// bytes reach the other (in fours), and which bits of its first byte are changed.
pub fn mse(bytes: &[u8]) {
    let Some((&[levels, chance], mut parts)) = bytes.split_first_chunk() else {
        return;
    };
    let mut run = Run::new(levels, chance);
    while let Some((&[len, change], rest)) = parts.split_first_chunk() {
        parts = rest;
        run.carry(usize::from(len) * 4, change);
    }
    // What is still on its way.
    for _ in 0..6 {
        run.carry(usize::MAX, 0);
    }
    run.judge();
}

struct Run {
    a: Initiator,
    b: Responder,
    admitted: Admitted,
    to_a: Vec<u8>,
    to_b: Vec<u8>,
    said: [usize; 2],
    of_a: Result<Option<Secured>, Failure>,
    of_b: Result<Option<Secured>, Failure>,
    changed: bool,
}

impl Run {
    fn new(levels: u8, chance: u8) -> Self {
        let level = |number: u8| Level::ALL.get(usize::from(number % 3)).copied().unwrap_or(Level::Both);
        let seed = Seed::from_number(u64::from(chance));
        let mut admitted = Admitted::new(1, seed.derive("admitted"));
        admitted.admit(TORRENT);
        let mut to_b = Vec::new();
        let a = Initiator::new(TORRENT, level(levels), GREETING, seed.derive("a"), &mut to_b);
        Self {
            a,
            b: Responder::new(level(levels / 3), levels & 0x80 != 0, seed.derive("b")),
            admitted,
            to_a: Vec::new(),
            said: [to_b.len(), 0],
            to_b,
            of_a: Ok(None),
            of_b: Ok(None),
            changed: false,
        }
    }

    fn carry(&mut self, len: usize, change: u8) {
        if matches!(self.of_b, Ok(None)) {
            let part = self.part(1, len, change);
            let (mut input, before) = (part.as_slice(), self.to_a.len());
            self.of_b = self.b.receive(&mut input, &self.admitted, &mut self.to_a);
            self.said[1] += self.to_a.len() - before;
            self.to_b.splice(..0, input.iter().copied());
        }
        if matches!(self.of_a, Ok(None)) {
            let part = self.part(0, len, change);
            let (mut input, before) = (part.as_slice(), self.to_b.len());
            self.of_a = self.a.receive(&mut input, &mut self.to_b);
            self.said[0] += self.to_b.len() - before;
            self.to_a.splice(..0, input.iter().copied());
        }
    }

    /// The next bytes for A (0) or B (1).
    fn part(&mut self, end: u8, len: usize, change: u8) -> Vec<u8> {
        let way = if end == 0 { &mut self.to_a } else { &mut self.to_b };
        let mut part: Vec<u8> = way.drain(..len.min(way.len())).collect();
        if let (Some(first), true) = (part.first_mut(), change != 0) {
            *first ^= change;
            self.changed = true;
        }
        part
    }

    fn judge(self) {
        assert!(
            self.said.iter().all(|&said| said <= SAID_MAX),
            "more was said than is to be"
        );
        if self.changed {
            return;
        }
        match (self.of_a, self.of_b) {
            (Ok(Some(mut a)), Ok(Some(mut b))) => {
                assert_eq!(a.method(), b.method(), "they agreed on two methods");
                let mut read = self.to_b;
                b.decrypt(&mut read);
                assert_eq!(read, GREETING, "the greeting went along");
                let mut word = *b"word";
                a.encrypt(&mut word);
                b.decrypt(&mut word);
                assert_eq!(&word, b"word", "they do not understand one another");
            }
            (_, Err(failure)) => assert_eq!(failure, Failure::NoMethod, "an honest caller was refused"),
            (of_a, of_b) => assert!(
                of_a.is_err() && of_b.is_err(),
                "an honest handshake did not end: {of_a:?}, {of_b:?}"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_interference(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            super::mse(&bytes);
        }

        #[test]
        fn any_split(levels: u8, parts in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut bytes = vec![levels, 0];
            bytes.extend(parts.iter().flat_map(|&len| [len, 0]));
            super::mse(&bytes);
        }
    }
}
