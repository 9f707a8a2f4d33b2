//! Counters, each of one closed list of things that can happen.

use world::{Tally, closed_list};

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
        /// `announce_peer`, for what this program serves itself.
        Announce => "announce_peer",
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
    pub sent: Tally<Asked>,
    /// Of these, answered in time, with address and id as expected.
    pub answered: Tally<Asked>,
    /// Of these, refused by a KRPC error.
    pub errors: Tally<Asked>,
    /// Of these, not answered in time.
    pub timeouts: Tally<Asked>,
    /// Datagrams that reached us and are KRPC messages.
    pub datagrams_in: Tally<Kind>,
    /// Datagrams sent.
    pub datagrams_out: Tally<Kind>,
    /// Datagrams without effect.
    pub drops: Tally<Drop>,
    /// Announces given up before they were sent: by our manners, for want of room, or because the token was out of date.
    pub announces_unsent: u64,
    /// Sightings and peers that nobody was told of, because too many waited to be polled.
    pub events_lost: u64,
}
