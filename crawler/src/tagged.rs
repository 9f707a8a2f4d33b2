//! Numbers in the slots of a hash table, each with four bits of the hash of its key.
//!
//! A table that keeps numbers of things elsewhere looks at one of these things for each full slot that a probe comes past, and
//! among millions each look is a wait for memory. Of keys that are not the one looked for, fifteen in sixteen are told by their tags.

/// A slot: empty, or a number with a tag.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Tagged(u32);

const TAG_BITS: u32 = 4;
const NUMBER: u32 = u32::MAX >> TAG_BITS;

impl Tagged {
    /// No number.
    pub(crate) const EMPTY: Self = Self(u32::MAX);

    /// Numbers are below this.
    pub(crate) const NUMBERS: u32 = NUMBER;

    /// `number`, whose key has this hash: its four highest bits are the tag.
    pub(crate) const fn new(number: u32, hash: u64) -> Self {
        Self(tag(hash) | number & NUMBER)
    }

    /// The number, of a slot that is not empty.
    pub(crate) const fn number(self) -> Option<u32> {
        if self.0 == Self::EMPTY.0 {
            None
        } else {
            Some(self.0 & NUMBER)
        }
    }

    /// Whether a key with this hash may be the one; if not, it is another.
    pub(crate) const fn may_be(self, hash: u64) -> bool {
        self.0 & !NUMBER == tag(hash)
    }
}

const fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32 & !NUMBER
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_keeps_its_number_and_tells_most_other_keys() {
        for (number, hash) in [(0, 0), (Tagged::NUMBERS - 1, u64::MAX), (77, 0x7000_0000_0000_0000)] {
            let slot = Tagged::new(number, hash);
            assert_eq!(slot.number(), Some(number));
            assert!(slot.may_be(hash));
            let others = (0..16).filter(|tag| slot.may_be(tag << 60));
            assert_eq!(others.count(), 1);
        }
        assert_eq!(Tagged::EMPTY.number(), None);
    }
}
