//! What a socket counts.

use world::{Tally, closed_list};

closed_list! {
    /// Why a datagram, or what it carried, came to nothing.
    Ignored {
        /// No uTP packet.
        Malformed => "malformed",
        /// Of a stream unknown: answered with a RESET if the rate allows.
        Unknown => "unknown",
        /// A SYN of a stream that exists, and no repetition.
        StraySyn => "stray_syn",
        /// A SYN while there is no place for another stream.
        NoRoom => "no_room",
        /// A SYN while too many are unconfirmed.
        HalfOpen => "half_open",
        /// It acknowledges what was never sent, or long ago: forged, or very late.
        BadAck => "bad_ack",
        /// Its number is far from what is due.
        BadSeq => "bad_seq",
        /// Payload that arrived before.
        Duplicate => "duplicate",
        /// Payload beyond the window that was advertised, or beyond the room for packets out of order.
        Window => "window",
        /// Payload of a stream that its owner left, or after its end.
        AfterEnd => "after_end",
        /// The answer to a dial that was due first.
        NotYet => "not_yet",
    }
}

closed_list! {
    /// Things that happen to streams.
    Count {
        /// Streams dialled.
        Dialled => "dialled",
        /// SYNs sent, repetitions too.
        SynSent => "syn_sent",
        /// Dials that came to be streams.
        Opened => "opened",
        /// SYNs of strangers for which a place was given.
        SynReceived => "syn_received",
        /// Strangers' streams told to the owner.
        Accepted => "accepted",
        /// Places given to a SYN that nothing followed.
        HalfOpenExpired => "half_open_expired",
        /// Packets sent again after three later ones were acknowledged.
        FastRetransmit => "fast_retransmit",
        /// Packets sent again after a timeout.
        Retransmit => "retransmit",
        /// Retransmission timeouts.
        Timeout => "timeout",
        /// Packets sent into a window of zero bytes, to learn of its opening.
        Probe => "probe",
        /// Times a congestion window was halved.
        Backoff => "backoff",
        /// RESETs sent.
        ResetSent => "reset_sent",
        /// RESETs received that ended a stream.
        ResetReceived => "reset_received",
        /// Streams that ended because nothing was answered any more.
        Dead => "dead",
        /// Streams that ended because nothing arrived for long.
        Idle => "idle",
        /// Streams closed by us whose last bytes were not acknowledged in time.
        Undelivered => "undelivered",
        /// Datagrams sent.
        PacketsOut => "packets_out",
        /// uTP packets received.
        PacketsIn => "packets_in",
        /// Payload bytes sent, repetitions too.
        BytesOut => "bytes_out",
        /// Payload bytes delivered to the owner.
        BytesIn => "bytes_in",
    }
}

/// What a socket counts.
#[derive(Clone, Copy, Default, Debug)]
pub struct Stats {
    /// Things that happened.
    pub counts: Tally<Count>,
    /// Packets that came to nothing, by reason.
    pub ignored: Tally<Ignored>,
}

impl Stats {
    /// Adds what another socket counted.
    pub fn merge(&mut self, other: &Self) {
        let Self { counts, ignored } = other;
        self.counts += counts;
        self.ignored += ignored;
    }
}
