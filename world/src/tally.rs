//! Counters, each of one closed list of things that can happen.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{AddAssign, Index, IndexMut};

/// Declares a closed list with a label for each member, each of which a [`Tally`](crate::Tally) can count.
#[macro_export]
macro_rules! closed_list {
    ($(#[$doc:meta])* $name:ident { $($(#[$member_doc:meta])* $member:ident => $label:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum $name { $($(#[$member_doc])* $member,)* }

        impl $crate::Member for $name {
            const ALL: &'static [Self] = &[$(Self::$member,)*];

            fn label(self) -> &'static str {
                match self { $(Self::$member => $label,)* }
            }

            fn position(self) -> usize {
                self as usize
            }
        }
    };
}

/// A member of a closed list, as [`closed_list!`](crate::closed_list) declares it.
pub trait Member: Copy + 'static {
    /// All members, in order.
    const ALL: &'static [Self];

    /// A short name for summaries and metrics.
    fn label(self) -> &'static str;

    /// Position in [`Member::ALL`].
    fn position(self) -> usize;
}

/// Members of the longest list that can be counted. A longer one does not compile.
const WIDTH: usize = 32;

/// One counter for each member of a closed list.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Tally<M> {
    counts: [u64; WIDTH],
    list: PhantomData<M>,
}

impl<M: Member> Tally<M> {
    /// All zero.
    pub fn new() -> Self {
        const { assert!(M::ALL.len() <= WIDTH) }
        Self {
            counts: [0; WIDTH],
            list: PhantomData,
        }
    }

    /// Counts one.
    pub fn count(&mut self, member: M) {
        self[member] += 1;
    }

    /// All of them together.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Every member with its count, zeros too, in the order of the list.
    pub fn iter(&self) -> impl Iterator<Item = (M, u64)> {
        M::ALL.iter().map(|&member| (member, self[member]))
    }
}

/// Counts of another machine, added to these.
impl<M: Member> AddAssign<&Self> for Tally<M> {
    fn add_assign(&mut self, other: &Self) {
        for (member, count) in other.iter() {
            self[member] += count;
        }
    }
}

impl<M: Member> Default for Tally<M> {
    fn default() -> Self {
        Self::new()
    }
}

impl<M: Member> Index<M> for Tally<M> {
    type Output = u64;

    /// Never out of bounds: a `Tally` only comes from `new`, which checks that every position is below `WIDTH`.
    fn index(&self, member: M) -> &u64 {
        &self.counts[member.position()]
    }
}

impl<M: Member> IndexMut<M> for Tally<M> {
    fn index_mut(&mut self, member: M) -> &mut u64 {
        &mut self.counts[member.position()]
    }
}

impl<M: Member> fmt::Debug for Tally<M> {
    /// The members that happened.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let happened = self.iter().filter(|&(_, count)| count > 0);
        f.debug_map()
            .entries(happened.map(|(member, count)| (member.label(), count)))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    closed_list! {
        /// How a coin falls.
        #[expect(unreachable_pub, reason = "the lists of the rooms are public")]
        Side {
            /// Up.
            Head => "head",
            /// Down.
            Tail => "tail",
            /// Neither.
            Edge => "edge",
        }
    }

    #[test]
    fn every_member_has_its_own_counter() {
        let mut falls = Tally::new();
        falls.count(Side::Tail);
        falls.count(Side::Tail);
        falls[Side::Edge] += 5;
        let counts: Vec<_> = falls.iter().collect();
        assert_eq!(counts, [(Side::Head, 0), (Side::Tail, 2), (Side::Edge, 5)]);
        assert_eq!(falls.total(), 7);
        let mut sum = falls;
        sum += &falls;
        assert_eq!((sum[Side::Tail], sum.total()), (4, 14));
    }

    #[test]
    fn debug_shows_what_happened() {
        let mut falls = Tally::new();
        falls.count(Side::Edge);
        assert_eq!(format!("{falls:?}"), r#"{"edge": 1}"#);
    }
}
