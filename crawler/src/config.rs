//! What a node must be told before it starts. Plain data: the door holds the defaults.

use std::net::SocketAddr;
use std::time::Duration;

use wire::{InfoHash, NodeId};

use crate::{Families, guard, responder, sampler};

/// Everything a [`Node`](crate::Node) is told at its start.
#[derive(Clone, Debug)]
pub struct Config {
    /// Run on a lab's network: loopback addresses are admitted, and are the only ones.
    pub lab: bool,
    /// Which DHTs to take part in.
    pub families: Families,
    /// Set `ro` in our queries, and answer none (BEP 43).
    pub read_only: bool,
    /// Our client version, sent as `v` (BEP 20: two letters and two bytes of version).
    pub version: [u8; 4],
    /// Our node id; `None` takes the saved one, or draws one.
    pub node_id: Option<NodeId>,
    /// Public services to join by: asked while the table is empty, never in it, never sampled (DHT-04).
    pub routers: Vec<SocketAddr>,
    /// Ordinary nodes to join by: asked while the table is empty, and once they answer, nodes like any other.
    pub first_nodes: Vec<SocketAddr>,
    /// Infohashes that never appear in a query of ours: private torrents (BEP 27) and opt-outs.
    pub opt_out: Vec<InfoHash>,
    /// How much may be asked of whom.
    pub guard: guard::Config,
    /// What others get from us.
    pub responder: responder::Config,
    /// Whether and how to sample other nodes' stores (BEP 51).
    pub sampling: Option<sampler::Config>,
    /// Questions on the wire.
    pub rpc: Rpc,
    /// The routing tables.
    pub routing: Routing,
    /// Walks through the key space.
    pub lookup: Lookup,
}

/// Questions on the wire.
#[derive(Clone, Copy, Debug)]
pub struct Rpc {
    /// Timeout before any round trip was measured (DHT-01: 2 s).
    pub initial_timeout: Duration,
    /// The adaptive timeout never goes below this.
    pub min_timeout: Duration,
    /// The adaptive timeout never goes above this.
    pub max_timeout: Duration,
    /// Questions that may be unanswered at once; further ones wait with their asker.
    pub max_outstanding: usize,
}

/// The routing tables.
#[derive(Clone, Copy, Debug)]
pub struct Routing {
    /// Consecutive timeouts after which a node without a replacement is dropped (DHT-06: 20).
    pub max_fail_count: u8,
    /// Silence after which a node is questionable and is pinged (BEP 5: 15 min).
    pub questionable_after: Duration,
    /// Quiet after which a bucket is refreshed by a lookup (DHT-16: 15 min).
    pub refresh_after: Duration,
}

/// Walks through the key space.
#[derive(Clone, Copy, Debug)]
pub struct Lookup {
    /// Questions of one lookup on the wire at once: alpha (DHT-07 `search_branching`: 5).
    pub branching: usize,
    /// Lookups that run at once; further ones wait, up to `max_waiting`.
    pub max_running: usize,
    /// Lookups that wait to run; one more ends at once, unanswered.
    pub max_waiting: usize,
    /// A lookup ends after this long with what it has.
    pub deadline: Duration,
    /// Distinct peers after which step one or two is enough (crawlers R5: 3).
    pub enough_peers: u32,
    /// Distinct peers told of one lookup; more are ignored.
    pub max_peers: usize,
}
