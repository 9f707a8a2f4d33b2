//! Counters, each of one closed list of things that can happen.

use world::{Member, Tally, Via};

use crate::dealings::{Answer, Call, Listening, Meeting};
use crate::{Ending, Failure, Spread, Stage};

/// What came of the connections of one kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Streams {
    /// How far peers came, from [`Stage::Connected`] on.
    pub funnel: Tally<Stage>,
    /// How those that opened ended, except those that delivered.
    pub failures: Tally<Failure>,
}

impl Streams {
    fn merge(&mut self, other: &Self) {
        self.funnel += &other.funnel;
        self.failures += &other.failures;
    }
}

/// Counters since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    /// How far peers came. Each counts at every stage up to the one it reached, except [`Stage::Verified`], which counts
    /// infohashes. One that is dialled twice (see [`Stats::mixed_mismatches`]) counts twice, but is known once.
    pub funnel: Tally<Stage>,
    /// The same from [`Stage::Connected`] on, by how the peers that were dialled were reached: see [`Stats::via`]. One
    /// that is reached another way in the end counts there only.
    pub by_via: [Streams; Via::ALL.len()],
    /// The same of peers that called us: in no other funnel.
    pub incoming: Streams,
    /// From the start of an infohash to its info dictionary.
    pub from_start: Spread,
    /// From the first dial for an infohash to its info dictionary; not of those that came from a caller before any dial.
    pub from_dial: Spread,
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
    /// Connections that strangers opened to us, by what became of them. Those that wait for a handshake are in none.
    pub calls: Tally<Call>,
    /// Requests for metadata, by how we answered.
    pub answers: Tally<Answer>,
    /// Peers without metadata that were listened to, by how that ended.
    pub listening: Tally<Listening>,
    /// Peers that others named to us (BEP 11).
    pub named: u64,
    /// Steps of meetings through a relay (BEP 55).
    pub meetings: Tally<Meeting>,
    /// Bytes received on connections.
    pub bytes_received: u64,
    /// Most connections held at once.
    pub most_connections: usize,
}

impl Stats {
    /// What came of the connections that were dialled and reached their peer this way.
    pub fn via(&self, via: Via) -> &Streams {
        let [tcp, tcp_mse, utp, utp_mse] = &self.by_via;
        match via {
            Via::Tcp => tcp,
            Via::TcpMse => tcp_mse,
            Via::Utp => utp,
            Via::UtpMse => utp_mse,
        }
    }

    /// Adds what another pool counted. [`Stats::most_connections`] is then an upper bound: that both had their most at once.
    pub fn merge(&mut self, other: &Self) {
        // Each field is named, so that none is forgotten.
        let Self {
            funnel,
            by_via,
            incoming,
            from_start,
            from_dial,
            failures,
            endings,
            started,
            surplus,
            remembered,
            set_aside,
            no_descriptor,
            mixed_mismatches,
            calls,
            answers,
            listening,
            named,
            meetings,
            bytes_received,
            most_connections,
        } = other;
        self.funnel += funnel;
        for (streams, more) in self.by_via.iter_mut().zip(by_via) {
            streams.merge(more);
        }
        self.incoming.merge(incoming);
        self.from_start.merge(from_start);
        self.from_dial.merge(from_dial);
        self.failures += failures;
        self.endings += endings;
        self.started += started;
        self.surplus += surplus;
        self.remembered += remembered;
        self.set_aside += set_aside;
        self.no_descriptor += no_descriptor;
        self.mixed_mismatches += mixed_mismatches;
        self.calls += calls;
        self.answers += answers;
        self.listening += listening;
        self.named += named;
        self.meetings += meetings;
        self.bytes_received += bytes_received;
        self.most_connections += most_connections;
    }

    /// Info dictionaries that hash to their infohash, whoever gave the last piece.
    pub fn verified(&self) -> u64 {
        self.funnel[Stage::Verified] + self.incoming.funnel[Stage::Verified]
    }

    pub(crate) fn via_mut(&mut self, via: Via) -> &mut Streams {
        let [tcp, tcp_mse, utp, utp_mse] = &mut self.by_via;
        match via {
            Via::Tcp => tcp,
            Via::TcpMse => tcp_mse,
            Via::Utp => utp,
            Via::UtpMse => utp_mse,
        }
    }
}
