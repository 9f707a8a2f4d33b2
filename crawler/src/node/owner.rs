//! What the owner does beside its commands: dial peers within the same flow budget, and change its mind.

use std::net::SocketAddr;

use wire::InfoHash;
use world::Time;

use super::Node;
use crate::event::LookupId;

/// One in so many endpoints of the flow budget is for those who ask us: a node is asked by one in some seconds (network-model F12).
const ANSWERS: usize = 32;

impl Node {
    /// Whether we know somebody and have walked home: a lookup begun now starts near the truth.
    pub fn is_joined(&self) -> bool {
        self.tables.iter().any(|table| table.size().nodes > 0) && self.lookups.len() == 0
    }

    /// Endpoints that may still be touched within the flow window (crawlers R11). What is left at the last is for answers to
    /// those who ask us, which wait for nobody.
    pub fn flow_room(&mut self, now: Time) -> usize {
        let most = self.config.guard.max_flows;
        (most - most / ANSWERS).saturating_sub(self.guard.flows(now))
    }

    /// Keeps so many endpoints of the flow budget free of queries: for peers that the owner dials.
    pub fn keep_flows_free(&mut self, endpoints: usize) {
        self.guard.keep_flows_free(endpoints);
    }

    /// The owner dials `to`: a flow on the routers in between, like a query.
    pub fn touch_flow(&mut self, now: Time, to: SocketAddr) {
        self.guard.touch_flow(now, to);
    }

    /// Peers of a torrent that announced themselves to us lately, at most `most`: the freshest there are.
    pub fn announced(&mut self, now: Time, info_hash: &InfoHash, most: usize) -> Vec<SocketAddr> {
        self.responder.announced(now, info_hash, most)
    }

    /// The owner has what it looked for: no further query is spent on this lookup, nothing more is told of it, and
    /// it ends in no announce.
    pub fn cancel_lookup(&mut self, now: Time, lookup: LookupId) {
        self.idle_since = None;
        self.announces.cancel(lookup);
        self.lookups.cancel(now, lookup);
    }
}
