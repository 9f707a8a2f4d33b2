//! Counters, each of one closed list of things that can happen.

use std::ops::{Index, IndexMut};

/// Declares a closed list with a label for each member, usable as an index of [`Tally`].
macro_rules! closed_list {
    ($(#[$doc:meta])* $name:ident { $($(#[$member_doc:meta])* $member:ident => $label:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum $name { $($(#[$member_doc])* $member,)* }

        impl $name {
            /// All members, in order.
            pub const ALL: &'static [Self] = &[$(Self::$member,)*];

            /// A short name for summaries and metrics.
            pub const fn label(self) -> &'static str {
                match self { $(Self::$member => $label,)* }
            }
        }

        impl $crate::stats::Member for $name {
            fn position(self) -> usize {
                self as usize
            }
        }
    };
}
pub(crate) use closed_list;

/// A member of a closed list that can be counted.
pub trait Member: Copy {
    /// Position in the list, from 0.
    fn position(self) -> usize;
}

/// One counter for each of the `N` members of a closed list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tally<const N: usize>([u64; N]);

impl<const N: usize> Default for Tally<N> {
    fn default() -> Self {
        Self([0; N])
    }
}

impl<const N: usize> Tally<N> {
    /// Counts one.
    pub fn count(&mut self, member: impl Member) {
        self[member] += 1;
    }

    /// All of them together.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

impl<M: Member, const N: usize> Index<M> for Tally<N> {
    type Output = u64;

    fn index(&self, member: M) -> &u64 {
        &self.0[member.position()]
    }
}

impl<M: Member, const N: usize> IndexMut<M> for Tally<N> {
    fn index_mut(&mut self, member: M) -> &mut u64 {
        &mut self.0[member.position()]
    }
}

closed_list! {
    /// What we ask of others.
    Asked {
        /// `ping`.
        Ping => "ping",
        /// `find_node`.
        FindNode => "find_node",
        /// `get_peers`.
        GetPeers => "get_peers",
        /// `sample_infohashes`.
        Sample => "sample_infohashes",
    }
}

closed_list! {
    /// What a datagram is.
    Kind {
        /// A question.
        Query => "query",
        /// An answer.
        Reply => "reply",
        /// A refusal.
        Error => "error",
    }
}

closed_list! {
    /// Why a datagram that reached us had no effect.
    Drop {
        /// Not a KRPC message.
        Malformed => "malformed",
        /// The source is a special-purpose, blocked or own address.
        Source => "source",
        /// Of an address family that we take no part in.
        Family => "family",
        /// The host asks more than we answer.
        Flood => "flood",
        /// An answer to no question of ours.
        UnknownTransaction => "unknown_transaction",
        /// The transaction of an outstanding question, from another address than the one asked.
        WrongAddress => "wrong_address",
        /// Answered by another node id than the one asked for.
        WrongId => "wrong_id",
        /// Answered after the timeout: what it shows is used, who asked has gone on. Or a second copy of an answer.
        Late => "late",
        /// Our own node id, echoed back or forged.
        OwnId => "own_id",
        /// A question, while we answer none (BEP 43).
        ReadOnly => "read_only",
        /// A question, while all buffers hold answers that wait to be sent.
        NoRoom => "no_room",
    }
}

/// Counters since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    /// Questions sent.
    pub sent: Tally<4>,
    /// Of these, answered in time, with address and id as expected.
    pub answered: Tally<4>,
    /// Of these, refused by a KRPC error.
    pub errors: Tally<4>,
    /// Of these, not answered in time.
    pub timeouts: Tally<4>,
    /// Datagrams that reached us and are KRPC messages.
    pub datagrams_in: Tally<3>,
    /// Datagrams sent.
    pub datagrams_out: Tally<3>,
    /// Datagrams without effect.
    pub drops: Tally<11>,
    /// Sightings and peers that nobody was told of, because too many waited to be polled.
    pub events_lost: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_member_has_its_own_counter() {
        let mut drops = Tally::<11>::default();
        for &reason in Drop::ALL {
            drops.count(reason);
        }
        assert!(Drop::ALL.iter().all(|&reason| drops[reason] == 1));
        assert_eq!(drops.total(), 11);
    }
}
