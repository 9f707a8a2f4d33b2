//! One infohash from "take it" to "this is what we know": peers from the DHT, metadata from peers.
//!
//! Joins the DHT mind, the metadata mind and the transport below it, which do not know each other. `crawl` and `fetch`
//! differ only in where infohashes come from.

mod told;

use std::net::{IpAddr, SocketAddr};

use crawler::guard::Admission;
use crawler::{Contact, Depth, LookupDone, LookupId, Node, Plan, Target};
use fetcher::{Failure, Pool};
use transport::{Above, Transport};
use wire::InfoHash;
use world::{Effect, Input, KeyedMap, Machine, Output, Seed, Time, Via};

pub use told::{Attempt, Harvested, Origin, Outcome};

/// How a dial ends that never became a connection.
const NEVER_OPEN: [Failure; 4] = [
    Failure::Refused,
    Failure::Unreachable,
    Failure::ConnectTimeout,
    Failure::NoDescriptor,
];

/// Nodes that must have answered before their naming nobody is believed.
const WITNESSES: u32 = 2;

/// Peers of an infohash that are taken from one node at once. More of its wait until the lookup is over: a liar names fifty that do
/// not exist (network-model J2), and must not take the place of what others name.
const PEERS_OF_A_NODE: usize = 4;

/// What a poll of the harvest gives.
#[derive(Debug)]
pub enum Step {
    /// For the world.
    Effect(Effect),
    /// An infohash is done with.
    Harvested(Harvested),
    /// A peer of an infohash in work is.
    Attempt(Attempt),
    /// Something else that the DHT mind told.
    Dht(crawler::Event),
}

/// Bounds of a harvest.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Infohashes in work at once; no more are taken.
    pub works: usize,
    /// Peers kept for each; more are neither dialled nor reported.
    pub peers_per_infohash: usize,
    /// Endpoints that one infohash usually touches: with less room than this in the flow budget none is begun.
    pub flows_per_work: usize,
    /// Endpoints of the flow budget that no query takes, so that there is room for peers.
    pub flows_for_peers: usize,
    /// Who named the peers that [`Harvest::begin`] is told of.
    pub known_from: Origin,
}

/// An infohash in work. Its lookup, its fetch, or both are under way.
#[derive(Debug, Default)]
struct Work {
    began: Time,
    /// How the peers that gave metadata were reached; the last of them.
    via: Option<Via>,
    peers: Vec<SocketAddr>,
    /// So many of them, the first, were known when it was begun.
    given: usize,
    lookup: Option<LookupId>,
    /// The pool was told to start on it, and has not ended it.
    fetching: bool,
    /// Nodes that named peers, and how many of each were taken.
    named: Vec<(SocketAddr, usize)>,
    /// Peers that wait until the lookup is over, at most as many as are kept.
    surplus: Vec<SocketAddr>,
    spare: Vec<Contact>,
    asked: Vec<SocketAddr>,
}

/// The infohashes in work, and the two minds that work on them.
pub struct Harvest {
    node: Option<Node>,
    pool: Option<Pool>,
    /// What carries the pool's streams.
    transport: Transport,
    /// Whom peers may name, if there is no node to know.
    admission: Option<Admission>,
    limits: Limits,
    works: KeyedMap<InfoHash, Work>,
    /// Ended, to be told at the next poll. Never longer than `works` was.
    ended: Vec<Harvested>,
}

impl Harvest {
    /// Without a node only the given peers are asked; without a pool only peers are collected.
    pub fn new(mut node: Option<Node>, pool: Option<Pool>, transport: Transport, limits: Limits, seed: Seed) -> Self {
        if let (Some(node), Some(_)) = (&mut node, &pool) {
            node.keep_flows_free(limits.flows_for_peers);
        }
        let works = KeyedMap::with_hasher(seed.derive("harvest").hasher());
        Self {
            node,
            pool,
            transport,
            admission: None,
            limits,
            works,
            ended: Vec::new(),
        }
    }

    /// Without a node, says whom peers may name; else nobody is believed.
    pub fn admitting(mut self, admission: Admission) -> Self {
        self.admission = Some(admission);
        self
    }

    /// Strangers can call us on this port.
    pub fn set_listen_port(&mut self, port: u16) {
        if let Some(pool) = &mut self.pool {
            pool.set_listen_port(port);
        }
    }

    /// The DHT mind, if this harvest has one.
    pub fn node(&self) -> Option<&Node> {
        self.node.as_ref()
    }

    /// The DHT mind, to command it.
    pub fn node_mut(&mut self) -> Option<&mut Node> {
        self.node.as_mut()
    }

    /// The metadata mind, if this harvest has one.
    pub fn pool(&self) -> Option<&Pool> {
        self.pool.as_ref()
    }

    /// What carries the streams of the metadata mind.
    pub fn transport(&self) -> &Transport {
        &self.transport
    }

    /// Whether a slot is free.
    pub fn has_slot(&self) -> bool {
        self.works.len() < self.limits.works
    }

    /// Whether another infohash can be begun: a slot is free, and the flow budget has room for its peers.
    pub fn has_room(&mut self, now: Time) -> bool {
        let flows = self
            .node
            .as_mut()
            .is_none_or(|node| node.flow_room(now) >= self.limits.flows_per_work);
        self.has_slot() && flows
    }

    /// Infohashes in work.
    pub fn in_work(&self) -> usize {
        self.works.len()
    }

    /// Begins with an infohash: `plan` says how to look for peers, `known` are peers named before. An infohash that is
    /// in work already only gains the known peers.
    pub fn begin(&mut self, now: Time, info_hash: InfoHash, plan: Option<Plan>, known: &[SocketAddr]) {
        let is_new = !self.works.contains_key(&info_hash);
        self.works.entry(info_hash).or_insert_with(|| Work {
            began: now,
            ..Work::default()
        });
        for &peer in known {
            self.learn_peer(now, info_hash, peer);
        }
        if let (true, Some(work)) = (is_new, self.works.get_mut(&info_hash)) {
            work.given = work.peers.len();
        }
        let lookup = match (&mut self.node, plan) {
            (Some(node), Some(plan)) => Some(node.get_peers(now, info_hash, plan)),
            _ => None,
        };
        let Some(work) = self.works.get_mut(&info_hash) else {
            return;
        };
        if lookup.is_some() {
            work.lookup = lookup;
        } else {
            self.looked_up(now, info_hash, 0);
        }
    }

    /// Gives up everything in work, each as [`Outcome::Abandoned`].
    pub fn abandon(&mut self, now: Time) {
        for (&info_hash, work) in &mut self.works {
            if let (true, Some(pool)) = (work.fetching, &mut self.pool) {
                pool.cancel(now, info_hash);
            }
            self.transport.dismiss(info_hash);
            let peers = std::mem::take(&mut work.peers);
            self.ended.push(Harvested {
                info_hash,
                peers,
                outcome: Outcome::Abandoned,
                spare: Vec::new(),
                asked: Vec::new(),
                tried: 0,
                from: None,
                via: None,
                took: now.since(work.began),
            });
        }
        self.works.clear();
    }

    /// Passes an input to the mind that it concerns.
    pub fn handle(&mut self, now: Time, input: Input<'_>) {
        let for_node = match input {
            Input::Datagram { bytes, .. } => !Transport::claims(bytes),
            Input::Tick | Input::Stop => true,
            _ => false,
        };
        if let (true, Some(node)) = (for_node, &mut self.node) {
            node.handle(now, input);
        }
        if for_node && matches!(input, Input::Datagram { .. }) {
            return;
        }
        if let (Some(input), Some(pool)) = (self.transport.receive(now, input), &mut self.pool) {
            pool.handle(now, input);
        }
    }

    /// The next thing to do or to tell.
    pub fn poll(&mut self, now: Time, payload: &mut Vec<u8>) -> Option<Step> {
        loop {
            if let Some(harvested) = self.ended.pop() {
                return Some(Step::Harvested(harvested));
            }
            if let Some(output) = self.node.as_mut().and_then(|node| node.poll(now, payload)) {
                match output {
                    Output::Effect(effect) => return Some(Step::Effect(effect)),
                    Output::Event(
                        event @ crawler::Event::Peers {
                            info_hash, from, peer, ..
                        },
                    ) => {
                        if self.is_taken(&info_hash, from.addr, peer) {
                            self.learn_peer(now, info_hash, peer);
                        }
                        return Some(Step::Dht(event));
                    }
                    Output::Event(crawler::Event::LookupDone(done)) if self.is_ours(&done) => {
                        if let Target::Swarm(info_hash) = done.target {
                            if let Some(work) = self.works.get_mut(&info_hash) {
                                work.spare = done.spare.into_iter().flatten().collect();
                                work.asked = done.asked.into_iter().flatten().collect();
                            }
                            self.looked_up(now, info_hash, done.answered);
                        }
                    }
                    Output::Event(event) => return Some(Step::Dht(event)),
                }
                continue;
            }
            if let (Some(pool), Some(node)) = (&mut self.pool, &mut self.node) {
                pool.allow_dials(node.flow_room(now));
            }
            if let Some(output) = self.pool.as_mut().and_then(|pool| pool.poll(now, payload)) {
                match output {
                    Output::Effect(effect) => {
                        // Before anybody else is allowed to dial: the transport takes its time.
                        if let (Effect::Dial { to, .. }, Some(node)) = (effect, &mut self.node) {
                            node.touch_flow(now, to);
                        }
                        if let Some(effect) = self.transport.act(now, effect, payload) {
                            return Some(Step::Effect(effect));
                        }
                        payload.clear();
                    }
                    Output::Event(event) => {
                        if let Some(attempt) = self.on_fetch(now, event) {
                            return Some(Step::Attempt(attempt));
                        }
                    }
                }
                continue;
            }
            match self.transport.poll(now, payload)? {
                Output::Effect(effect) => {
                    // A stream is a flow like any other to the NAT in between (crawlers R11).
                    if let (Effect::Dial { to, .. } | Effect::Send { to, .. }, Some(node)) = (effect, &mut self.node) {
                        node.touch_flow(now, to);
                    }
                    return Some(Step::Effect(effect));
                }
                Output::Event(above) => {
                    self.heard(now, above, payload);
                    payload.clear();
                }
            }
        }
    }

    /// Something happened to a stream.
    fn heard(&mut self, now: Time, above: Above, payload: &[u8]) {
        if let Above::Accepted { conn, from, .. } = above
            && self.is_blocked(from.ip())
        {
            self.transport.act(now, Effect::Close { conn }, &[]);
            return;
        }
        match (above, &mut self.pool) {
            (Above::Rerouted { conn, via }, Some(pool)) => pool.rerouted(conn, via),
            (above, Some(pool)) => {
                if let Some(input) = above.input(payload) {
                    pool.handle(now, input);
                }
            }
            (_, None) => {}
        }
    }

    /// The earliest deadline of the three.
    pub fn deadline(&self) -> Option<Time> {
        let node = self.node.as_ref().and_then(Machine::deadline);
        let pool = self.pool.as_ref().and_then(Machine::deadline);
        node.into_iter().chain(pool).chain(self.transport.deadline()).min()
    }

    fn is_ours(&self, done: &LookupDone) -> bool {
        let Target::Swarm(info_hash) = done.target else {
            return false;
        };
        self.works
            .get(&info_hash)
            .is_some_and(|work| work.lookup == Some(done.lookup))
    }

    /// A peer named another (BEP 11). It may be dialled if it may be believed, as one that a node names; it is no peer of
    /// the record, for nothing but that one's word speaks for it.
    fn learn_named(&mut self, info_hash: InfoHash, peer: SocketAddr, by: SocketAddr, flags: u8) {
        let admitted = match (&self.node, &self.admission) {
            (Some(node), _) => node.guard().admits_contact(&peer),
            (None, Some(admission)) => admission.admits(&peer),
            (None, None) => false,
        };
        if let (true, Some(pool)) = (admitted, &mut self.pool) {
            pool.offer_named(info_hash, peer, by, flags);
        }
    }

    /// Whether the user forbids this host.
    fn is_blocked(&self, ip: IpAddr) -> bool {
        match (&self.node, &self.admission) {
            (Some(node), _) => node.guard().is_blocked(ip),
            (None, Some(admission)) => admission.is_blocked(ip),
            (None, None) => false,
        }
    }

    /// Whether a peer that a node named is taken now; it waits if that node named many.
    fn is_taken(&mut self, info_hash: &InfoHash, node: SocketAddr, peer: SocketAddr) -> bool {
        let Some(work) = self.works.get_mut(info_hash) else {
            return false;
        };
        let at = work.named.iter().position(|(named, _)| *named == node);
        let at = at.unwrap_or_else(|| {
            work.named.push((node, 0));
            work.named.len() - 1
        });
        let (_, taken) = &mut work.named[at];
        *taken += 1;
        if *taken <= PEERS_OF_A_NODE || work.peers.contains(&peer) {
            return true;
        }
        if work.surplus.len() < self.limits.peers_per_infohash {
            work.surplus.push(peer);
        }
        false
    }

    /// A peer of an infohash was named, or announced itself; nothing happens unless the infohash is in work.
    pub fn learn_peer(&mut self, now: Time, info_hash: InfoHash, peer: SocketAddr) {
        let Some(work) = self.works.get_mut(&info_hash) else {
            return;
        };
        if !work.peers.contains(&peer) {
            if work.peers.len() >= self.limits.peers_per_infohash {
                return;
            }
            work.peers.push(peer);
        }
        if let Some(pool) = &mut self.pool {
            if !work.fetching {
                pool.start(now, info_hash);
                self.transport.admit(info_hash);
                work.fetching = true;
            }
            // Named again by another node: another vote for it.
            pool.offer(info_hash, peer);
        }
    }

    /// No more peers will be named: the fetch ends when all were tried, or it never began.
    fn looked_up(&mut self, now: Time, info_hash: InfoHash, answered: u32) {
        let Some(work) = self.works.get_mut(&info_hash) else {
            return;
        };
        for peer in std::mem::take(&mut work.surplus) {
            self.learn_peer(now, info_hash, peer);
        }
        let Some(work) = self.works.get_mut(&info_hash) else {
            return;
        };
        work.lookup = None;
        if let (true, Some(pool)) = (work.fetching, &mut self.pool) {
            pool.no_more_peers(info_hash);
            return;
        }
        // Without a node nobody was asked: what the list says is all there is.
        let is_believed = answered >= WITNESSES || self.node.is_none();
        let outcome = match (work.peers.is_empty(), is_believed) {
            (false, _) => Outcome::PeersOnly,
            (true, true) => Outcome::NoPeers,
            (true, false) => Outcome::NoAnswer,
        };
        self.end(now, info_hash, outcome, 0, None);
    }

    fn on_fetch(&mut self, now: Time, event: fetcher::Event) -> Option<Attempt> {
        match event {
            fetcher::Event::Metadata {
                info_hash,
                raw,
                from,
                tried,
                ..
            } => {
                self.end(now, info_hash, Outcome::Metadata(raw), tried, Some(from));
            }
            fetcher::Event::GaveUp {
                info_hash,
                reasons,
                tried,
                ..
            } => {
                let never_open: u64 = NEVER_OPEN.iter().map(|&failure| reasons[failure]).sum();
                let reached = reasons.total() > never_open;
                let outcome = if reached {
                    Outcome::Unfetchable
                } else {
                    Outcome::Unreachable
                };
                self.end(now, info_hash, outcome, tried, None);
            }
            fetcher::Event::Attempt {
                info_hash,
                peer,
                via,
                incoming,
                reached,
                size,
                received,
                opened_after,
                took,
                result,
            } => {
                let origin = self.origin(&info_hash, peer, incoming);
                if let (Ok(()), Some(work)) = (&result, self.works.get_mut(&info_hash)) {
                    work.via = via;
                }
                return Some(Attempt {
                    info_hash,
                    peer,
                    origin,
                    via,
                    reached,
                    result,
                    took,
                    opened_after,
                    size,
                    received,
                    round: 1,
                });
            }
            fetcher::Event::Named {
                info_hash,
                peer,
                by,
                flags,
            } => self.learn_named(info_hash, peer, by, flags),
        }
        None
    }

    /// Who named a peer first. What neither the DHT nor the user named came from another peer.
    fn origin(&self, info_hash: &InfoHash, peer: SocketAddr, incoming: bool) -> Origin {
        if incoming {
            return Origin::Caller;
        }
        let work = self.works.get(info_hash);
        let known = work.and_then(|work| work.peers.iter().position(|&known| known == peer));
        match (work, known) {
            (Some(work), Some(at)) if at < work.given => self.limits.known_from,
            (_, Some(_)) => Origin::Dht,
            (_, None) => Origin::Pex,
        }
    }

    fn end(&mut self, now: Time, info_hash: InfoHash, outcome: Outcome, tried: u32, from: Option<SocketAddr>) {
        if let Some(work) = self.works.remove(&info_hash) {
            // What was fetched is served from now on.
            if !matches!(outcome, Outcome::Metadata(_)) {
                self.transport.dismiss(info_hash);
            }
            // Metadata came before the lookup was through: every further query would be for nothing.
            if let (Some(lookup), Some(node)) = (work.lookup, &mut self.node) {
                node.cancel_lookup(now, lookup);
            }
            self.ended.push(Harvested {
                info_hash,
                peers: work.peers,
                outcome,
                spare: work.spare,
                asked: work.asked,
                tried,
                from,
                via: work.via,
                took: now.since(work.began),
            });
        }
    }
}

/// A lookup among replicas, of so many queries at the most: `first` are nodes that hold the infohash.
pub fn replicas(first: &[Contact], max_queries: u32) -> Plan {
    Plan {
        first: first.iter().copied().collect(),
        depth: Depth::Replicas { max_queries },
        ..Plan::full()
    }
}

#[cfg(test)]
mod tests;
