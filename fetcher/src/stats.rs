//! Counters, each of one closed list of things that can happen.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Index, IndexMut};

use crate::{Ending, Failure, Stage};

/// Declares a closed list with a label for each member, usable as an index of [`Tally`].
macro_rules! closed_list {
    ($(#[$doc:meta])* $name:ident { $($(#[$member_doc:meta])* $member:ident => $label:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum $name { $($(#[$member_doc])* $member,)* }

        impl $crate::stats::Member for $name {
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
pub(crate) use closed_list;

/// A member of a closed list.
pub trait Member: Copy + 'static {
    /// All members, in order.
    const ALL: &'static [Self];

    /// A short name for summaries and metrics.
    fn label(self) -> &'static str;

    /// Position in [`Member::ALL`].
    fn position(self) -> usize;
}

/// Members of the longest list.
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

impl<M: Member> Default for Tally<M> {
    fn default() -> Self {
        Self::new()
    }
}

impl<M: Member> Index<M> for Tally<M> {
    type Output = u64;

    #[expect(
        clippy::indexing_slicing,
        reason = "`new` checks that every position is below `WIDTH`"
    )]
    fn index(&self, member: M) -> &u64 {
        &self.counts[member.position()]
    }
}

impl<M: Member> IndexMut<M> for Tally<M> {
    #[expect(
        clippy::indexing_slicing,
        reason = "`new` checks that every position is below `WIDTH`"
    )]
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

/// Counters since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    /// How far peers came. Each counts at every stage up to the one it reached, except [`Stage::Verified`], which counts
    /// infohashes. One that is dialled twice (see [`Stats::mixed_mismatches`]) counts twice, but is known once.
    pub funnel: Tally<Stage>,
    /// How the peers that were dialled ended, except those that delivered.
    pub failures: Tally<Failure>,
    /// How infohashes were given up.
    pub endings: Tally<Ending>,
    /// Infohashes started.
    pub started: u64,
    /// Peers offered beyond the limit of their infohash, and forgotten.
    pub surplus: u64,
    /// Peers not dialled because of what is remembered of them.
    pub remembered: u64,
    /// Times that a peer was set aside because its host was busy.
    pub set_aside: u64,
    /// Dials that the world had no room for, each taken back.
    pub no_descriptor: u64,
    /// Times that pieces of several peers did not make the info dictionary together.
    pub mixed_mismatches: u64,
    /// Bytes received on connections.
    pub bytes_received: u64,
    /// Most connections held at once.
    pub most_connections: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_member_has_its_own_counter_and_label() {
        let mut failures = Tally::<Failure>::new();
        for &failure in Failure::ALL {
            failures.count(failure);
        }
        assert!(failures.iter().all(|(_, count)| count == 1));
        let mut labels: Vec<_> = Failure::ALL.iter().map(|failure| failure.label()).collect();
        labels.sort_unstable();
        labels.dedup();
        assert_eq!(labels.len(), Failure::ALL.len());
    }

    #[test]
    fn debug_shows_what_happened() {
        let mut failures = Tally::<Failure>::new();
        failures.count(Failure::Refused);
        assert_eq!(format!("{failures:?}"), r#"{"refused": 1}"#);
    }
}
