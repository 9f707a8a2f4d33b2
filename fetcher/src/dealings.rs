//! What happens beside fetching, as closed lists: calls of strangers, what is served, peers that name others, meetings.

use world::closed_list;

closed_list! {
    /// What became of a connection that a stranger opened to us.
    Call {
        /// It is a source of an infohash in work.
        Source => "source",
        /// It is served of the shelf.
        Guest => "guest",
        /// It wants a torrent that we do not have, or do not give.
        Unknown => "unknown",
        /// It does not speak the extension protocol, and could not ask.
        NoExtensions => "no_extensions",
        /// We had a connection with its host.
        Busy => "busy",
        /// As many called as may.
        Full => "full",
        /// No whole handshake in time.
        Silent => "silent",
        /// It hung up before its handshake was whole.
        Closed => "closed",
        /// Its first bytes are another protocol's.
        NotBitTorrent => "not_bittorrent",
        /// We stopped before its handshake was whole.
        Stopped => "stopped",
    }
}

closed_list! {
    /// How a request for metadata was answered.
    Answer {
        /// With a piece of 16 KiB, by `ut_metadata`.
        Piece => "piece",
        /// With some 256ths, by `LT_metadata`.
        Parts => "parts",
        /// Rejected: it is not there, or not yet.
        Absent => "absent",
        /// Rejected: the peer, or its host, was given enough.
        Enough => "enough",
    }
}

closed_list! {
    /// How listening to a peer that has no metadata ended.
    Listening {
        /// It named others, and there was time to try them.
        Named => "named",
        /// It named nobody in time.
        Silent => "silent",
        /// It hung up.
        Closed => "closed",
        /// It broke the protocol.
        Faulty => "faulty",
        /// The infohash was done with, or another wanted the peer.
        Over => "over",
    }
}

closed_list! {
    /// A step of a meeting through a relay (BEP 55).
    Meeting {
        /// We asked a relay for a peer that we could not reach.
        Asked => "asked",
        /// A relay said that the peer comes to meet us.
        Arranged => "arranged",
        /// A relay said that a peer wants to meet us.
        Called => "called",
        /// A relay refused.
        Refused => "refused",
        /// We let two peers meet.
        Relayed => "relayed",
        /// We refused to.
        RefusedByUs => "refused_by_us",
        /// Out of turn, or too often; not followed.
        Ignored => "ignored",
    }
}
