//! What the node tells its owner.

use std::net::SocketAddr;
use std::time::Duration;

use wire::bloom::Bloom;
use wire::{InfoHash, NodeId};

use crate::Contact;
use crate::lookup::SPARES;
use crate::observation::Observation;
use crate::sampler::Zone;

/// Bytes kept of a name that comes with an announce.
pub const NAME_HINT_MAX: usize = 255;

/// One lookup, by number; never used twice in a run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LookupId(pub u64);

/// One single question, by number; never used twice in a run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AskId(pub u64);

/// How an infohash came to be seen, with the figures that a weighted estimate needs (crawlers R3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// In the answer to `sample_infohashes` (BEP 51).
    Sample {
        /// How many infohashes the node says it stores; -1 if it did not say.
        num: i64,
        /// How many the answer showed.
        sample_size: u16,
        /// Position of this one in the answer, when sorted.
        rank: u16,
        /// Seconds after which the node's sample changes, as advertised.
        interval: u32,
    },
    /// Somebody asked us for its peers.
    GetPeers,
    /// Somebody announced itself to us as its peer.
    Announce,
}

/// Somebody showed us an infohash.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sighting {
    /// What was shown.
    pub info_hash: InfoHash,
    /// Who showed it: the node to ask for peers first, where `source` is a sample.
    pub from: Contact,
    /// How.
    pub source: Source,
}

/// What a lookup was for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Target {
    /// The nodes nearest to a point (`find_node`).
    Node(NodeId),
    /// The peers of a torrent (`get_peers`).
    Swarm(InfoHash),
}

impl Target {
    /// The point of the key space that the lookup walks to.
    pub const fn point(self) -> NodeId {
        match self {
            Self::Node(id) => id,
            Self::Swarm(info_hash) => info_hash.as_target(),
        }
    }
}

/// A lookup ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LookupDone {
    /// Which.
    pub lookup: LookupId,
    /// What it was for.
    pub target: Target,
    /// Distinct peers told by [`Event::Peers`].
    pub peers: u32,
    /// Queries sent.
    pub queries: u32,
    /// Queries answered.
    pub answered: u32,
    /// It found no nearer node to ask, rather than running out of time; false unless it was a full walk.
    pub converged: bool,
    /// The nearest nodes that answered, nearest first; empty (and unallocated) unless it was a full walk.
    pub closest: Vec<Contact>,
    /// The nearest nodes that were asked or were not to be asked, nearest first; routers are not among them.
    pub asked: [Option<SocketAddr>; SPARES],
    /// The nearest nodes that were named and not asked, nearest first: other replicas, for another try. In place, since
    /// a lookup allocates nothing.
    pub spare: [Option<Contact>; SPARES],
}

/// What came of a single question.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// An answer, with all it held.
    Reply {
        /// Who the node says it is.
        id: NodeId,
        /// Its client version (`v`), verbatim.
        version: Option<Vec<u8>>,
        /// Round trip time.
        rtt: Duration,
        /// The nodes it named, both families.
        nodes: Vec<Contact>,
        /// The peers it named.
        peers: Vec<SocketAddr>,
        /// The infohashes it showed (BEP 51); `None` if the answer had no `samples`.
        samples: Option<Vec<InfoHash>>,
        /// How many infohashes it says it stores (BEP 51).
        num: Option<i64>,
        /// Seconds until its sample changes, as advertised (BEP 51).
        interval: Option<i64>,
        /// A write token for an announce was given.
        token: bool,
        /// The seeds and the other peers that it stores, as filters (BEP 33), if it answers scrapes and has the torrent.
        filters: Option<Box<[Bloom; 2]>>,
    },
    /// The node refused, with its code and text (BEP 5).
    Error {
        /// 201 and up.
        code: i64,
        /// Its text, verbatim.
        text: Vec<u8>,
    },
    /// Silence until the timeout; or somebody else answered, who has another id.
    Timeout,
    /// Never sent: our own manners forbid the destination.
    Refused(crate::guard::Refusal),
    /// Never sent: too many questions wait.
    Busy,
    /// Never sent: it would name an infohash that is opted out, or a private torrent (BEP 27).
    OptedOut,
}

/// What the node tells its owner.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// An infohash was shown to us.
    Sighting(Sighting),
    /// A question of ours ended; told before what its answer shows, and only if [`Node::observe`](crate::Node::observe) was asked
    /// for.
    Observed(Observation),
    /// A census has listed a zone to the end.
    Zone(Zone),
    /// A walk of our own upkeep found the nodes nearest to its target, those of both families; told only if
    /// [`Node::observe`](crate::Node::observe) was asked for. Walks into the zones of a census are not told.
    Walked {
        /// Where to.
        target: NodeId,
        /// Who answered there, nearest first: eight of a family, if there are so many.
        closest: Vec<Contact>,
    },
    /// Somebody announced a peer to us, with a token that proves its address.
    Announced {
        /// The torrent, and the node that announced.
        sighting: Sighting,
        /// Where the peer says that it listens.
        peer: SocketAddr,
        /// It says that it has the whole torrent (BEP 33).
        seed: bool,
        /// What it says that the torrent is called (`n`, of libtorrent), verbatim, [`NAME_HINT_MAX`] bytes at the most: a hint, for
        /// nothing speaks for it. Kept only for an owner that observes ([`Node::observe`](crate::Node::observe)): it is allocated.
        name: Option<Box<[u8]>>,
    },
    /// A peer of the torrent that a lookup is for; once for each distinct address.
    Peers {
        /// The lookup.
        lookup: LookupId,
        /// The torrent.
        info_hash: InfoHash,
        /// The node that named the peer.
        from: Contact,
        /// The peer, as named: not checked beyond the address filter.
        peer: SocketAddr,
    },
    /// A lookup ended.
    LookupDone(LookupDone),
    /// A single question ended. Boxed: rare and large.
    Answer {
        /// Which question.
        ask: AskId,
        /// Who was asked.
        from: SocketAddr,
        /// What came of it.
        answer: Box<Answer>,
    },
    /// Our node id changed: enough strangers agree on our address, and the old id did not fit it (BEP 42).
    NewNodeId(NodeId),
}
