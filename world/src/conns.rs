//! Tables of connections.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::ConnId;

/// A hash map by connection. The numbers are our own, given out one after the other, so no stranger can choose them to
/// collide, and one multiplication spreads them; a connection is looked up several times for each thing it brings.
pub type ConnMap<V> = HashMap<ConnId, V, BuildHasherDefault<ConnHasher>>;

/// Hashes the one number of a [`ConnId`].
#[derive(Clone, Copy, Default, Debug)]
pub struct ConnHasher(u64);

impl Hasher for ConnHasher {
    fn write_u64(&mut self, number: u64) {
        // 2^64 divided by the golden ratio: neighbours end far apart. The table looks at both ends of the hash, and only
        // the upper half is well mixed.
        let spread = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = spread ^ (spread >> 32);
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::hash::BuildHasher;

    use super::*;

    #[test]
    fn neighbours_of_either_kind_fall_into_different_buckets() {
        let hashers = BuildHasherDefault::<ConnHasher>::default();
        for kind in [0, ConnId::ACCEPTED] {
            let buckets: BTreeSet<u64> = (0..512)
                .map(|number| hashers.hash_one(ConnId(kind | number)) % 1_024)
                .collect();
            // Chance would leave 403 of 1,024 taken.
            assert!(buckets.len() > 380, "{}", buckets.len());
        }
    }
}
