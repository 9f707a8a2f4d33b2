//! Both ends against one another, in any split, and each against what no honest end says.

use proptest::prelude::*;
use wire::InfoHash;
use world::{Member, Seed};

use super::*;

const TORRENT: InfoHash = InfoHash::new([7; 20]);

fn admitted() -> Admitted {
    let mut admitted = Admitted::new(2, Seed::from_number(1));
    admitted.admit(InfoHash::new([6; 20]));
    admitted.admit(TORRENT);
    admitted
}

/// Two ends, and what is on its way between them.
struct Wire {
    a: Initiator,
    b: Responder,
    to_a: Vec<u8>,
    to_b: Vec<u8>,
    secured_a: Option<Secured>,
    secured_b: Option<Secured>,
}

impl Wire {
    fn new(level: [Level; 2], prefer_rc4: bool, initial: &[u8], seed: u64) -> Self {
        let seed = |end| Seed::from_number(seed).derive(end);
        let mut to_b = Vec::new();
        Self {
            a: Initiator::new(TORRENT, level[0], initial, seed("a"), &mut to_b),
            b: Responder::new(level[1], prefer_rc4, seed("b")),
            to_a: Vec::new(),
            to_b,
            secured_a: None,
            secured_b: None,
        }
    }

    /// Carries bytes in parts of `part` until both are through or nothing moves.
    fn run(&mut self, part: usize, admitted: &Admitted) -> Result<(), Failure> {
        loop {
            let mut moved = false;
            if self.secured_b.is_none() {
                let given: Vec<u8> = self.to_b.drain(..part.min(self.to_b.len())).collect();
                moved |= !given.is_empty();
                let mut input = given.as_slice();
                self.secured_b = self.b.receive(&mut input, admitted, &mut self.to_a)?;
                self.to_b.splice(..0, input.iter().copied());
            }
            if self.secured_a.is_none() {
                let given: Vec<u8> = self.to_a.drain(..part.min(self.to_a.len())).collect();
                moved |= !given.is_empty();
                let mut input = given.as_slice();
                self.secured_a = self.a.receive(&mut input, &mut self.to_b)?;
                self.to_a.splice(..0, input.iter().copied());
            }
            let through = self.secured_a.is_some() && self.secured_b.is_some();
            if through || !moved {
                return Ok(());
            }
        }
    }

    /// What B reads of the stream, when A writes `more` after the initial bytes.
    fn read_by_b(&mut self, more: &[u8]) -> Vec<u8> {
        let mut more = more.to_vec();
        self.secured_a.as_mut().unwrap().encrypt(&mut more);
        self.to_b.extend(more);
        let mut read = std::mem::take(&mut self.to_b);
        self.secured_b.as_mut().unwrap().decrypt(&mut read);
        read
    }

    fn read_by_a(&mut self, said: &[u8]) -> Vec<u8> {
        let mut said = said.to_vec();
        self.secured_b.as_mut().unwrap().encrypt(&mut said);
        self.to_a.extend(said);
        let mut read = std::mem::take(&mut self.to_a);
        self.secured_a.as_mut().unwrap().decrypt(&mut read);
        read
    }
}

/// What two levels come to, as NET-10 says.
fn agreed(caller: Level, called: Level, prefer_rc4: bool) -> Option<Method> {
    match (caller, called) {
        (Level::Both, Level::Both) if prefer_rc4 => Some(Method::Rc4),
        (Level::Both | Level::Plaintext, Level::Plaintext) => Some(Method::Plaintext),
        (Level::Both | Level::Rc4, Level::Rc4) | (Level::Rc4, Level::Both) => Some(Method::Rc4),
        (Level::Plaintext | Level::Both, Level::Both) => Some(Method::Plaintext),
        (Level::Plaintext, Level::Rc4) | (Level::Rc4, Level::Plaintext) => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn every_pair_of_levels_agrees_in_any_split(
        pair in (0..3_usize, 0..3_usize),
        prefer_rc4: bool,
        part in prop_oneof![1..40_usize, Just(100_000)],
        initial in proptest::collection::vec(any::<u8>(), 0..=INITIAL_MAX),
        seed: u64,
    ) {
        let level = [Level::ALL[pair.0], Level::ALL[pair.1]];
        let expected = agreed(level[0], level[1], prefer_rc4);
        let mut wire = Wire::new(level, prefer_rc4, &initial, seed);
        let outcome = wire.run(part, &admitted());
        let Some(method) = expected else {
            prop_assert_eq!(outcome, Err(Failure::NoMethod));
            return Ok(());
        };
        prop_assert_eq!(outcome, Ok(()));
        prop_assert_eq!(wire.b.info_hash(), Some(TORRENT));
        for secured in [&wire.secured_a, &wire.secured_b] {
            prop_assert_eq!(secured.as_ref().unwrap().method(), method);
        }
        prop_assert_eq!(wire.read_by_b(b"more"), [initial.as_slice(), b"more"].concat());
        prop_assert_eq!(wire.read_by_a(b"and back"), b"and back");
        let bare = method == Method::Plaintext;
        prop_assert_eq!(wire.secured_a.unwrap().is_bare(), bare);
        prop_assert_eq!(wire.secured_b.unwrap().is_bare(), bare);
    }

    #[test]
    fn any_bytes_end_in_a_reason_or_in_waiting(
        key in proptest::collection::vec(any::<u8>(), 0..2_000),
        part in 1..200_usize,
    ) {
        let mut out = Vec::new();
        let mut a = Initiator::new(TORRENT, Level::Both, b"", Seed::from_number(1), &mut out);
        let mut b = Responder::new(Level::Both, false, Seed::from_number(2));
        let (mut of_a, mut of_b) = (Ok(None), Ok(None));
        for mut input in key.chunks(part) {
            let mut again = input;
            if of_a.is_ok() {
                of_a = a.receive(&mut input, &mut out);
            }
            if of_b.is_ok() {
                of_b = b.receive(&mut again, &admitted(), &mut out);
            }
        }
        // The longest wait for a mark.
        if key.len() >= KEY_LEN + PAD_MAX + 20 {
            prop_assert!(of_a.is_err() && of_b.is_err());
        }
        prop_assert!(out.len() <= 3 * (KEY_LEN + PAD_MAX) + 100);
    }
}

#[test]
fn a_torrent_that_is_not_admitted_is_refused() {
    let mut admitted = admitted();
    admitted.dismiss(TORRENT);
    let mut wire = Wire::new([Level::Both; 2], false, b"", 1);
    assert_eq!(wire.run(usize::MAX, &admitted), Err(Failure::UnknownTorrent));
}

#[test]
fn when_full_the_torrent_admitted_first_gives_way() {
    let mut admitted = admitted();
    admitted.admit(InfoHash::new([8; 20]));
    let mut wire = Wire::new([Level::Both; 2], false, b"", 1);
    assert_eq!(wire.run(usize::MAX, &admitted), Ok(()));
    admitted.admit(InfoHash::new([9; 20]));
    let mut wire = Wire::new([Level::Both; 2], false, b"", 1);
    assert_eq!(wire.run(usize::MAX, &admitted), Err(Failure::UnknownTorrent));
}

#[test]
fn one_changed_byte_after_the_keys_is_noticed() {
    let mut wire = Wire::new([Level::Both; 2], false, b"", 1);
    let mut none = Vec::new();
    // B reads A's key and padding, A reads B's, and answers.
    let first = std::mem::take(&mut wire.to_b);
    assert!(
        wire.b
            .receive(&mut first.as_slice(), &admitted(), &mut wire.to_a)
            .is_ok()
    );
    let key = std::mem::take(&mut wire.to_a);
    assert!(wire.a.receive(&mut key.as_slice(), &mut none).is_ok());
    let mut changed = none;
    // The verification constant: after the two hashes.
    changed[40] ^= 1;
    let outcome = wire.b.receive(&mut changed.as_slice(), &admitted(), &mut wire.to_a);
    assert_eq!(outcome.err(), Some(Failure::BadConstant));
}

#[test]
fn a_selection_that_was_not_offered_is_refused() {
    // The called end is told by another caller's level what to select.
    let mut out = Vec::new();
    let seed = Seed::from_number(1);
    let mut offers_rc4 = Initiator::new(TORRENT, Level::Rc4, b"", seed, &mut Vec::new());
    let mut offers_plaintext = Initiator::new(TORRENT, Level::Plaintext, b"", seed, &mut out);
    let mut b = Responder::new(Level::Both, false, Seed::from_number(2));
    let mut said = Vec::new();
    assert!(b.receive(&mut out.as_slice(), &admitted(), &mut said).is_ok());
    let mut answer = Vec::new();
    assert!(offers_plaintext.receive(&mut said.as_slice(), &mut answer).is_ok());
    assert!(b.receive(&mut answer.as_slice(), &admitted(), &mut said).is_ok());
    let outcome = offers_rc4.receive(&mut said.as_slice(), &mut Vec::new());
    assert_eq!(outcome.err(), Some(Failure::NoMethod));
}

#[test]
fn a_handshake_cut_short_waits() {
    let mut out = Vec::new();
    let mut a = Initiator::new(TORRENT, Level::Both, b"", Seed::from_number(1), &mut out);
    assert!(matches!(
        a.receive(&mut [3; KEY_LEN - 1].as_slice(), &mut out),
        Ok(None)
    ));
    assert!(matches!(a.receive(&mut [].as_slice(), &mut out), Ok(None)));
}
