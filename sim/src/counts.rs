//! What happened in a lab, in plain numbers.

use wire::krpc::Method;

/// Queries that came in, by method.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Queries {
    /// BEP 5.
    pub ping: u64,
    /// BEP 5.
    pub find_node: u64,
    /// BEP 5.
    pub get_peers: u64,
    /// BEP 5.
    pub announce_peer: u64,
    /// BEP 51.
    pub sample_infohashes: u64,
    /// BEP 44, and what no BEP knows.
    pub other: u64,
}

impl Queries {
    pub(crate) fn count(&mut self, method: &Method<'_>) {
        *match method {
            Method::Ping => &mut self.ping,
            Method::FindNode { .. } => &mut self.find_node,
            Method::GetPeers { .. } => &mut self.get_peers,
            Method::AnnouncePeer { .. } => &mut self.announce_peer,
            Method::SampleInfohashes { .. } => &mut self.sample_infohashes,
            Method::Get { .. } | Method::Put { .. } | Method::Unknown { .. } => &mut self.other,
        } += 1;
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.ping + self.find_node + self.get_peers + self.announce_peer + self.sample_infohashes + self.other
    }
}

/// Everything that a lab counts as it goes. Queries from all clients together.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Counts {
    /// Queries that were sent to any address of the lab.
    pub queries: Queries,
    /// get_peers queries for an infohash of the population that has a listed peer.
    pub get_peers_of_listed: u64,
    /// Datagrams that are no KRPC, or not IPv4.
    pub unreadable: u64,
    /// Packets lost on the way, either direction.
    pub lost: u64,
    /// Queries to addresses where nobody is.
    pub nobody: u64,
    /// Queries that a NAT or a firewall kept out.
    pub filtered: u64,
    /// Queries dropped by a ban, a limit on queries, or a spent upload quota.
    pub over_limit: u64,
    /// Queries that a program chose not to answer.
    pub unanswered: u64,
    /// Answers sent.
    pub answered: u64,
    /// Times that a node began to ignore a client.
    pub bans: u64,
    /// sample_infohashes queries that reached a node that samples.
    pub samples_to_samplers: u64,
    /// Samples that were delivered.
    pub samples_answered: u64,
    /// Of those, samples outside of an interval: each began one.
    pub intervals: u64,
    /// Pairs of client and node between which a sample was delivered.
    pub samplers: u64,
    /// Infohashes in the delivered samples, repetitions included.
    pub infohashes_in_samples: u64,
    /// sample_infohashes queries that reached a node before the interval of its last delivered sample was over. Only
    /// samples that the client must have believed count: it may have given up on one that took half a second, and one
    /// from a host that goes round under two ids may have had the wrong one for it.
    pub samples_inside_interval: u64,
    /// sample_infohashes queries that reached a node that had already answered one without a sample; as above.
    pub samples_to_known_refusers: u64,
    /// Questions that nodes asked clients.
    pub asked: u64,
    /// Packets of floods that were sent to a client.
    pub flooded: u64,
    /// Replies and errors that clients sent.
    pub replies: u64,
    /// TCP connections that peers accepted.
    pub accepted: u64,
    /// uTP connections that peers accepted.
    pub accepted_utp: u64,
    /// uTP packets that were sent to any address of the lab.
    pub stream_packets: u64,
}
