//! How much a crawl of ours holds, beside how much it may: memory counted as state, not as what the system lends.

use crawler::Family;
use world::{Tally, closed_list};

use super::policy::Setup;
use crate::config;
use crate::job::crawl::Crawl;

closed_list! {
    /// State that grows with what others say.
    Held {
        /// Nodes that the sampler remembers.
        Nodes => "nodes remembered",
        /// Nodes of the routing table, spares included.
        Table => "nodes in the routing table",
        /// Infohashes ever seen.
        Seen => "infohashes seen",
        /// Infohashes that wait for their first try.
        Ready => "infohashes waiting",
        /// Infohashes that wait for another.
        Waiting => "infohashes waiting for another round",
        /// Infohashes in work.
        Works => "infohashes in work",
        /// Questions on the wire.
        Questions => "questions on the wire",
        /// Lookups that run or wait.
        Lookups => "lookups",
        /// Connections to peers.
        Connections => "connections",
        /// Bytes of info dictionaries that are being put together.
        Assembly => "bytes being assembled",
        /// Infohashes that others announced to us.
        Announced => "infohashes announced to us",
        /// Endpoints touched in 120 s.
        Flows => "endpoints touched",
        /// Bytes of the largest tables: manners, nodes remembered, infohashes seen and waiting.
        Bytes => "bytes of the largest tables",
    }
}

/// Of each kind of state so much.
pub type Levels = Tally<Held>;

/// What the hostile profile leaves a client, bytes (network-model 3.3 `memory_cap_mb`).
const MEMORY_CAP: u64 = 512 << 20;

/// An id has this many bits, and a routing table at most a bucket for each, of eight nodes and as many spares.
const TABLE_MAX: u64 = 160 * 16;

/// How much it holds now.
pub(super) fn levels(crawl: &Crawl) -> Levels {
    let mut levels = Levels::new();
    let (harvest, frontier) = (crawl.harvest(), crawl.frontier());
    let mut set = |held, count: usize| levels[held] += count as u64;
    set(Held::Seen, frontier.seen());
    set(Held::Ready, frontier.ready());
    set(Held::Waiting, frontier.waiting());
    set(Held::Works, harvest.in_work());
    let mut bytes = frontier.memory_bytes();
    if let Some(node) = harvest.node() {
        let gauges = node.gauges();
        set(
            Held::Table,
            gauges.tables.iter().map(|table| table.nodes + table.spares).sum(),
        );
        set(Held::Questions, gauges.outstanding);
        set(Held::Lookups, gauges.lookups);
        set(Held::Announced, node.responder().store(Family::V4).keys());
        set(Held::Flows, node.guard().stats().most_flows);
        bytes += node.guard().memory_bytes();
        if let Some(sampler) = node.sampler() {
            set(Held::Nodes, sampler.known());
            bytes += sampler.memory_bytes();
        }
    }
    if let Some(pool) = harvest.pool() {
        set(Held::Connections, pool.connections());
        set(Held::Assembly, pool.assembly_bytes() as usize);
    }
    set(Held::Bytes, bytes);
    levels
}

/// How much it may hold.
pub(super) fn bounds(setup: &Setup) -> Levels {
    let (net, args) = (&setup.net, &setup.args);
    let frontier = config::frontier(net, config::has_retries(args));
    let pool = config::pool_of_a_crawl(net, args);
    let sampling = config::sampling_of_a_crawl(net, args);
    let families = crawler::Families { v4: true, v6: false };
    let node = config::node(net, families, Vec::new(), None);
    let mut bounds = Levels::new();
    for (held, bound) in [
        (Held::Nodes, sampling.max_nodes),
        (Held::Table, TABLE_MAX as usize),
        (Held::Seen, frontier.max_seen),
        (Held::Ready, frontier.max_ready),
        (Held::Waiting, frontier.max_waiting),
        (Held::Works, config::harvest(net, args.peers_per_infohash).works),
        (Held::Questions, node.rpc.max_outstanding),
        (Held::Lookups, node.lookup.max_running + node.lookup.max_waiting),
        (Held::Connections, pool.max_connections),
        (Held::Assembly, pool.limits.assembly_bytes as usize),
        (Held::Announced, node.responder.store.max_keys),
        (Held::Flows, node.guard.max_flows),
        (Held::Bytes, MEMORY_CAP as usize),
    ] {
        bounds[held] += bound as u64;
    }
    bounds
}
