//! The Diffie-Hellman exchange.

use std::sync::LazyLock;

use crypto_bigint::modular::ConstMontyForm;
use crypto_bigint::{U192, U768, const_monty_params};
use rand::Rng;
use sha1::{Digest, Sha1};

use crate::mse::{Failure, KEY_LEN};

const_monty_params!(
    Prime,
    U768,
    "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404ddef9519b3cd3a431b302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a63a36210000000000090563",
    "The modulus of the exchange."
);

type Residue = ConstMontyForm<Prime, { U768::LIMBS }>;

/// Bits of a private key: what the specification calls enough, and a fifth of the work of 768.
const PRIVATE_BITS: u32 = 160;

/// Bits of the private key of who only pretends: the work is a seventh, and there is no secrecy.
const PRETENDED_BITS: u32 = 16;

/// Powers of two: in row `n`, those with exponents `0, 1, .. 15` times `16^n`. All our public keys are products of 40 of them, one
/// of each row. 60 KiB.
static POWERS: LazyLock<Vec<[Residue; 16]>> = LazyLock::new(|| {
    let mut base = Residue::new(&U768::from_u8(2));
    let row = |_| {
        let mut power = Residue::ONE;
        let row = std::array::from_fn(|_| {
            let this = power;
            power = this * base;
            this
        });
        base = power;
        row
    };
    (0..PRIVATE_BITS / 4).map(row).collect()
});

/// Our half of an exchange.
pub(super) struct Exchange {
    private: U192,
}

impl Exchange {
    pub(super) fn new(rng: &mut impl Rng) -> Self {
        Self::of_bytes::<{ PRIVATE_BITS as usize / 8 }>(rng)
    }

    /// Half of an exchange that need not be kept from anybody.
    pub(super) fn pretended(rng: &mut impl Rng) -> Self {
        let mut exchange = Self::of_bytes::<{ PRETENDED_BITS as usize / 8 }>(rng);
        // One in 65,536 were 0 else, whose power is refused.
        exchange.private |= U192::ONE;
        exchange
    }

    fn of_bytes<const BYTES: usize>(rng: &mut impl Rng) -> Self {
        let mut drawn = [0; BYTES];
        rng.fill_bytes(&mut drawn);
        let mut private = [0; 24];
        private.iter_mut().zip(drawn).for_each(|(byte, drawn)| *byte = drawn);
        Self {
            private: U192::from_le_slice(&private),
        }
    }

    /// What we tell the other end.
    pub(super) fn public(&self) -> [u8; KEY_LEN] {
        let digits = self.private.to_le_bytes();
        let digits = digits.iter().flat_map(|byte| [byte & 0xf, byte >> 4]);
        let factors = POWERS.iter().zip(digits).filter(|(_, digit)| *digit > 0);
        let factors = factors.filter_map(|(row, digit)| row.get(usize::from(digit)));
        bytes(&factors.fold(Residue::ONE, |product, factor| product * *factor))
    }

    /// What only the two ends know.
    ///
    /// # Errors
    ///
    /// [`Failure::BadKey`] for 0, 1, -1 and what is no residue.
    pub(super) fn secret(&self, theirs: &[u8; KEY_LEN]) -> Result<Secret, Failure> {
        let theirs = U768::from_be_slice(theirs);
        let last = Prime::LAST;
        if theirs <= U768::ONE || theirs >= last {
            return Err(Failure::BadKey);
        }
        // A key serves for one stream that is disguised, not secret (there is no proof of who is there): how long this takes may tell
        // of it. In constant time it takes a seventh longer.
        let shared = Residue::new(&theirs).pow_vartime(&self.private);
        Ok(Secret(bytes(&shared)))
    }
}

impl Prime {
    /// The modulus less one, which is -1.
    const LAST: U768 = <Self as crypto_bigint::modular::ConstMontyParams<{ U768::LIMBS }>>::PARAMS
        .modulus()
        .as_ref()
        .wrapping_sub(&U768::ONE);
}

fn bytes(residue: &Residue) -> [u8; KEY_LEN] {
    let mut out = [0; KEY_LEN];
    out.copy_from_slice(&residue.retrieve().to_be_bytes());
    out
}

/// The shared secret S.
pub(super) struct Secret([u8; KEY_LEN]);

impl Secret {
    /// `HASH(label, S, tail)`.
    pub(super) fn hash(&self, label: &str, tail: &[u8]) -> [u8; 20] {
        hash(&[label.as_bytes(), &self.0, tail])
    }

    /// `HASH('req3', S)` over a hash: hides it, or shows it again.
    pub(super) fn mask(&self, hash: [u8; 20]) -> [u8; 20] {
        let mut masked = self.hash("req3", &[]);
        for (byte, other) in masked.iter_mut().zip(hash) {
            *byte ^= other;
        }
        masked
    }
}

/// `HASH('req2', SKEY)`: a torrent's name in handshakes.
pub(super) fn torrent_hash(info_hash: &wire::InfoHash) -> [u8; 20] {
    hash(&[b"req2", info_hash.as_bytes()])
}

fn hash(parts: &[&[u8]]) -> [u8; 20] {
    let mut hasher = Sha1::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// Appends padding of random bytes, shorter than [`PAD_MAX`](crate::mse::PAD_MAX): real clients differ on whether 512
/// itself is one too many.
pub(super) fn pad(rng: &mut impl Rng, out: &mut Vec<u8>) -> u16 {
    use rand::RngExt;
    let len = rng.random_range(0..512_u16);
    let at = out.len();
    out.resize(at + usize::from(len), 0);
    if let Some(padding) = out.get_mut(at..) {
        rng.fill_bytes(padding);
    }
    len
}

#[cfg(test)]
mod tests {
    use super::*;
    use world::Seed;

    fn exchange(number: u64) -> Exchange {
        Exchange::new(&mut Seed::from_number(number).rng())
    }

    #[test]
    fn both_ends_know_the_same() {
        let (a, b) = (exchange(1), exchange(2));
        let (of_a, of_b) = (a.secret(&b.public()).unwrap(), b.secret(&a.public()).unwrap());
        assert_eq!(of_a.0, of_b.0);
        assert_ne!(of_a.0, a.public());
    }

    #[test]
    fn public_keys_are_powers_of_two() {
        let two = Residue::new(&U768::from_u8(2));
        let pretended = |number| Exchange::pretended(&mut Seed::from_number(number).rng());
        for exchange in (0..20).map(exchange).chain((0..20).map(pretended)) {
            let power = two.pow_bounded_exp(&exchange.private, PRIVATE_BITS);
            assert_eq!(exchange.public(), bytes(&power));
        }
    }

    #[test]
    fn who_pretends_is_understood() {
        let (a, b) = (exchange(1), Exchange::pretended(&mut Seed::from_number(2).rng()));
        let (of_a, of_b) = (a.secret(&b.public()).unwrap(), b.secret(&a.public()).unwrap());
        assert_eq!(of_a.0, of_b.0);
    }

    #[test]
    fn a_key_that_gives_the_secret_away_is_refused() {
        let numbers = [
            U768::ZERO,
            U768::ONE,
            Prime::LAST,
            Prime::LAST.wrapping_add(&U768::ONE),
            U768::MAX,
        ];
        for number in numbers {
            let mut key = [0; KEY_LEN];
            key.copy_from_slice(&number.to_be_bytes());
            assert_eq!(exchange(1).secret(&key).err(), Some(Failure::BadKey));
        }
    }

    #[test]
    fn powers_of_two_are_as_computed_elsewhere() {
        // 2^768 mod P = 2^768 - P, since P > 2^767.
        let power = Residue::new(&U768::from_u8(2)).pow_bounded_exp(&U192::from_u32(768), 160);
        assert_eq!(
            power.retrieve(),
            U768::ZERO.wrapping_sub(&Prime::LAST).wrapping_sub(&U768::ONE)
        );
    }
}
