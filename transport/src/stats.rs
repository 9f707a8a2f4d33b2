//! What a transport counts, by how the peer was to be reached.

use std::ops::{Index, IndexMut};

use world::{Closed, Member, Tally, Via, closed_list};

use crate::mse;

closed_list! {
    /// Why a stream did not come about, or ended before the peer's first byte.
    Reason {
        /// The remote refused.
        Refused => "refused",
        /// No route, no permission, no such carrier.
        Unreachable => "unreachable",
        /// Nobody answered in time.
        TimedOut => "timed_out",
        /// The world is out of descriptors.
        NoRoom => "no_room",
        /// Open, and closed or reset before the peer's first byte.
        HungUp => "hung_up",
        /// Encrypted, and the handshake took too long.
        HandshakeTimeout => "handshake_timeout",
        /// To be encrypted, and what was to be sent names no infohash.
        NoInfohash => "no_infohash",
        /// Plain, where only encrypted streams are accepted.
        NotEncrypted => "not_encrypted",
        /// More was to be sent before the stream was ready than is kept.
        Congested => "congested",
        /// [`mse::Failure::BadKey`].
        BadKey => "mse_bad_key",
        /// [`mse::Failure::NoSync`].
        NoSync => "mse_no_sync",
        /// [`mse::Failure::UnknownTorrent`].
        UnknownTorrent => "mse_unknown_torrent",
        /// [`mse::Failure::BadConstant`].
        BadConstant => "mse_bad_constant",
        /// [`mse::Failure::NoMethod`].
        NoMethod => "mse_no_method",
        /// [`mse::Failure::PadTooLong`].
        PadTooLong => "mse_pad_too_long",
    }
}

impl From<mse::Failure> for Reason {
    fn from(failure: mse::Failure) -> Self {
        match failure {
            mse::Failure::BadKey => Self::BadKey,
            mse::Failure::NoSync => Self::NoSync,
            mse::Failure::UnknownTorrent => Self::UnknownTorrent,
            mse::Failure::BadConstant => Self::BadConstant,
            mse::Failure::NoMethod => Self::NoMethod,
            mse::Failure::PadTooLong => Self::PadTooLong,
        }
    }
}

impl From<Closed> for Reason {
    fn from(why: Closed) -> Self {
        match why {
            Closed::Refused => Self::Refused,
            Closed::Unreachable => Self::Unreachable,
            Closed::TimedOut => Self::TimedOut,
            Closed::NoRoom => Self::NoRoom,
            Closed::ByRemote | Closed::Reset => Self::HungUp,
            Closed::Congested => Self::Congested,
        }
    }
}

/// Counters since the start.
#[derive(Clone, Copy, Default, Debug)]
pub struct Stats {
    /// Dials: each is a SYN at least, of TCP or uTP.
    pub dialled: Tally<Via>,
    /// Of these, how many came to be open.
    pub opened: Tally<Via>,
    /// Dials that were not waited for, since the other carrier opened first or the mind above gave up.
    pub abandoned: Tally<Via>,
    /// Streams on which the peer said something that makes sense there: its first byte, or the end of its encrypted
    /// handshake.
    pub heard: Tally<Via>,
    /// Streams that strangers opened, once it was known what they are.
    pub accepted: Tally<Via>,
    /// Streams of strangers that were closed at once, for want of room.
    pub turned_away: u64,
    /// Streams dialled once more after the peer had hung up before its first byte, as what they were dialled then.
    pub again: Tally<Via>,
    /// What encrypted handshakes agreed on.
    pub methods: Tally<mse::Method>,
    /// What failed, and why.
    pub failed: ByVia<Tally<Reason>>,
}

impl Stats {
    /// Adds what another transport counted.
    pub fn merge(&mut self, other: &Self) {
        // Each field is named, so that none is forgotten.
        let Self {
            dialled,
            opened,
            abandoned,
            heard,
            accepted,
            turned_away,
            again,
            methods,
            failed,
        } = other;
        self.dialled += dialled;
        self.opened += opened;
        self.abandoned += abandoned;
        self.heard += heard;
        self.accepted += accepted;
        self.turned_away += turned_away;
        self.again += again;
        self.methods += methods;
        for (reasons, more) in self.failed.0.iter_mut().zip(&failed.0) {
            *reasons += more;
        }
    }
}

/// One thing for each way of reaching a peer.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct ByVia<T>([T; 4]);

impl<T> Index<Via> for ByVia<T> {
    type Output = T;

    #[expect(clippy::indexing_slicing, reason = "as many places as the list has members")]
    fn index(&self, via: Via) -> &T {
        &self.0[via.position()]
    }
}

impl<T> IndexMut<Via> for ByVia<T> {
    #[expect(clippy::indexing_slicing, reason = "as many places as the list has members")]
    fn index_mut(&mut self, via: Via) -> &mut T {
        &mut self.0[via.position()]
    }
}
