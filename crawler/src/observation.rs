//! What came of each question of ours: the facts that a table of nodes is made of (DESIGN section 2).

use std::net::SocketAddr;
use std::time::Duration;

use wire::NodeId;
use world::closed_list;

use crate::rpc::Asker;
use crate::stats::Asked;

closed_list! {
    /// How a question ended.
    Outcome {
        /// Answered in time, from the address asked, under the id expected.
        Answer => "answer",
        /// The same, after the timeout; told as that before.
        Late => "late",
        /// Refused by a KRPC error.
        Refused => "error",
        /// Not answered in time.
        Timeout => "timeout",
        /// Answered under another id than the one asked for: not believed.
        WrongId => "wrong_id",
    }
}

closed_list! {
    /// What a question was for.
    Purpose {
        /// Upkeep of the routing table.
        Upkeep => "upkeep",
        /// A lookup: for peers, or for the nodes near a point.
        Lookup => "lookup",
        /// The owner asked for this one.
        Owner => "owner",
        /// Sampling: whose infohashes to see next.
        Sampler => "sampler",
        /// Announcing what this program serves.
        Announcer => "announcer",
    }
}

impl Purpose {
    pub(crate) const fn of(asker: Asker) -> Self {
        match asker {
            Asker::Upkeep => Self::Upkeep,
            Asker::Lookup { .. } => Self::Lookup,
            Asker::Owner(_) => Self::Owner,
            Asker::Sampler => Self::Sampler,
            Asker::Announcer => Self::Announcer,
        }
    }
}

/// A question of ours to a node, and what came of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Observation {
    /// Where it went.
    pub addr: SocketAddr,
    /// The id that the node answered with; without a believed answer, the one by which it was named, if it was.
    pub id: Option<NodeId>,
    /// What was asked.
    pub asked: Asked,
    /// What for.
    pub purpose: Purpose,
    /// How it ended.
    pub outcome: Outcome,
    /// The code of a refusal (BEP 5).
    pub code: Option<i64>,
    /// From the question to the answer; `None` without one, or if it was late.
    pub rtt: Option<Duration>,
    /// What the node runs.
    pub version: Version,
    /// What it said of its store (BEP 51), if it answered with a sample.
    pub store: Option<Store>,
}

/// What a node says of its store (BEP 51), as it says it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Store {
    /// Infohashes that it stores; `None` if it did not say.
    pub num: Option<i64>,
    /// Infohashes shown.
    pub shown: u16,
    /// Seconds until the sample changes; `None` if it did not say.
    pub interval: Option<i64>,
    /// The infohashes lie too far from its id to be what it stores (network-model 4.7): they, or the id, are invented.
    pub far_fetched: bool,
}

/// The first bytes of a client version (`v`): two letters and a number, as most have it (BEP 5). Held in place: the way of a datagram
/// allocates nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Version {
    len: u8,
    bytes: [u8; Self::MOST],
}

impl Version {
    /// Bytes kept of a longer one.
    pub const MOST: usize = 8;

    /// The beginning of a `v`.
    pub fn of(version: Option<&[u8]>) -> Self {
        let mut kept = Self::default();
        for (slot, byte) in kept.bytes.iter_mut().zip(version.unwrap_or_default()) {
            *slot = *byte;
            kept.len += 1;
        }
        kept
    }

    /// Its bytes; none if the node sent no `v`.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}
