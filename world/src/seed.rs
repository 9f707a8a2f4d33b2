//! Where chance comes from: one seed a run, split by label.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::{BuildHasher, Hasher};

use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use siphasher::sip::SipHasher13;

/// The one source of chance of a run.
///
/// Every consumer takes its own stream with [`Seed::derive`], so that adding a draw in one place shifts nothing in
/// another (common random numbers, `network-model.md` section 2.7).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Seed([u8; 32]);

impl Seed {
    /// A seed from 32 bytes, as an entropy source gives them.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A seed from a number that a person can type (`--seed`).
    pub fn from_number(number: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        Self(bytes)
    }

    /// The seed of the stream called `label`: unrelated to that of any other label.
    pub fn derive(self, label: &str) -> Self {
        self.derive_number(label, 0)
    }

    /// The seed of the `number`th stream called `label`, as one for each simulated node.
    pub fn derive_number(self, label: &str, number: u64) -> Self {
        let mut bytes = [0; 32];
        for (index, word) in bytes.chunks_exact_mut(8).enumerate() {
            let mut hasher = SipHasher13::new_with_key(&self.key(index % 2));
            hasher.write(&self.0);
            hasher.write(&[u8::try_from(index).unwrap_or(0)]);
            hasher.write(&number.to_le_bytes());
            hasher.write(label.as_bytes());
            word.copy_from_slice(&hasher.finish().to_le_bytes());
        }
        Self(bytes)
    }

    /// A generator that starts at this seed. ChaCha8: strangers must not guess transaction ids and tokens from earlier ones.
    pub fn rng(self) -> ChaCha8Rng {
        ChaCha8Rng::from_seed(self.0)
    }

    /// A hasher for tables, keyed so that strangers cannot choose colliding keys and runs repeat.
    pub fn hasher(self) -> KeyedState {
        KeyedState { key: self.key(0) }
    }

    fn key(self, half: usize) -> [u8; 16] {
        let mut key = [0; 16];
        key.copy_from_slice(&self.0[half * 16..half * 16 + 16]);
        key
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(")?;
        for byte in self.0 {
            write!(f, "{byte:02x}")?;
        }
        f.write_str(")")
    }
}

/// `BuildHasher` with a key from a [`Seed`], in place of the standard library's, which draws entropy.
#[derive(Clone, Copy)]
pub struct KeyedState {
    key: [u8; 16],
}

impl BuildHasher for KeyedState {
    type Hasher = SipHasher13;

    fn build_hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_key(&self.key)
    }
}

impl fmt::Debug for KeyedState {
    /// Keeps the key out of logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyedState(..)")
    }
}

/// A hash map that repeats from its seed: `KeyedMap::with_hasher(seed.derive("...").hasher())`.
pub type KeyedMap<K, V> = HashMap<K, V, KeyedState>;

/// A hash set that repeats from its seed.
pub type KeyedSet<K> = HashSet<K, KeyedState>;

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;

    #[test]
    fn same_seed_same_stream() {
        let draw = |label| Seed::from_number(7).derive(label).rng().next_u64();
        assert_eq!(draw("a"), draw("a"));
        assert_ne!(draw("a"), draw("b"));
    }

    #[test]
    fn numbered_streams_differ() {
        let seed = Seed::from_number(7);
        assert_ne!(seed.derive_number("node", 1), seed.derive_number("node", 2));
        assert_eq!(seed.derive("node"), seed.derive_number("node", 0));
    }

    #[test]
    fn debug_of_a_hasher_hides_its_key() {
        assert_eq!(format!("{:?}", Seed::from_number(7).hasher()), "KeyedState(..)");
    }
}
