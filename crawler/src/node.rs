//! The node: joins the parts, and decides nothing itself.
//!
//! A datagram goes to `inbound`; what we ask comes from `outbound`, which gives the global rate to whoever waits, in
//! this order: the owner's single questions, the upkeep of the tables, announces, lookups, the sampler. Sampling comes last because
//! it feeds the lookups: when they lag behind, it has to slow down.

use std::collections::VecDeque;
use std::net::SocketAddr;

use wire::{InfoHash, NodeId};
use world::{Effect, Input, KeyedSet, Machine, Output, Seed, Time};

use crate::announces::Announces;
use crate::census::Census;
use crate::config::Config;
use crate::contacts::Family;
use crate::errands::Errands;
use crate::event::Event;
use crate::guard::Guard;
use crate::identity::IpVotes;
use crate::lookup::Lookups;
use crate::responder::Responder;
use crate::routing::Table;
use crate::rpc::Rpc;
use crate::sampler::Sampler;
use crate::state::SavedState;
use crate::stats::Stats;

mod address;
mod announcing;
mod commands;
mod inbound;
mod join;
mod observing;
mod outbound;
mod outbox;
mod owner;
mod sampling;

pub use commands::Gauges;
use join::Join;
use outbox::Outbox;

/// Single questions of the owner that may wait for their host's budget; one more is answered [`Busy`](crate::Answer::Busy).
const MAX_ASKS: usize = 1024;
/// Nodes that wait for a ping before they enter a table; the rest goes without, others will come.
const MAX_PROBES: usize = 256;
/// Sightings and peers that wait to be polled; what one datagram can hold, since each is polled out before the next.
const MAX_EVENTS: usize = 4096;

/// A DHT node: a member of one or both DHTs, a lookup service, and a sampler of other nodes' stores.
pub struct Node {
    config: Config,
    guard: Guard,
    rpc: Rpc,
    tables: [Table; 2],
    census: [Census; 2],
    lookups: Lookups,
    asks: Errands,
    probes: Errands,
    announces: Announces,
    sampler: Option<Sampler>,
    paused: bool,
    responder: Responder,
    votes: IpVotes,
    /// In which of the two DHTs our id may still follow our address (BEP 42): once, and never if the owner chose it.
    may_move: [bool; 2],
    join: Join,
    /// Infohashes that no query of ours may name.
    opted_out: KeyedSet<InfoHash>,
    events: VecDeque<Event>,
    outbox: Outbox,
    stats: Stats,
    asked: u64,
    stopping: bool,
    /// Each question of ours, and what came of it, is told.
    observing: bool,
    /// When the last poll found nothing to do. Nothing is due within [`outbound::BREATH`] of it, whatever a part says:
    /// a part that is wrong about its time costs a little waiting, not a spinning loop.
    idle_since: Option<Time>,
    seed: Seed,
}

impl Node {
    /// A node that has asked nobody yet: call [`Node::bootstrap`] to make it join. Of `saved`, the ids are taken unless
    /// `config` names one, and the nodes are pinged when it joins.
    pub fn new(config: Config, seed: Seed, saved: Option<SavedState>) -> Self {
        let saved = saved.unwrap_or_default();
        let ids = commands::first_ids(&config, seed, &saved);
        let table = |family, id| {
            Table::new(
                family,
                id,
                config.routing,
                config.lab,
                seed.derive_number("table", family as u64),
            )
        };
        let mut guard = Guard::new(&config.guard, config.lab, seed);
        for &named in config.routers.iter().chain(&config.first_nodes) {
            guard.named_by_user(named);
        }
        let sampler = config.sampling.map(|sampling| {
            let mut sampler = Sampler::new(sampling, config.families, seed);
            sampler.set_routers(&config.routers);
            sampler.set_own_id(Family::V4, ids[0]);
            sampler.set_own_id(Family::V6, ids[1]);
            sampler
        });
        let mut opted_out = KeyedSet::with_hasher(seed.derive("opt-out").hasher());
        opted_out.extend(config.opt_out.iter().copied());
        Self {
            rpc: Rpc::new(config.rpc, seed),
            tables: [table(Family::V4, ids[0]), table(Family::V6, ids[1])],
            census: <[Census; 2]>::default(),
            lookups: Lookups::new(config.lookup, config.lab),
            asks: Errands::new(MAX_ASKS),
            probes: Errands::new(MAX_PROBES),
            announces: Announces::new(),
            sampler,
            paused: false,
            responder: Responder::new(config.responder.clone(), seed),
            votes: IpVotes::new(config.lab),
            may_move: [config.node_id.is_none() && !config.lab; 2],
            join: Join::new(saved.nodes),
            opted_out,
            events: VecDeque::with_capacity(64),
            outbox: Outbox::new(),
            stats: Stats::default(),
            asked: 0,
            stopping: false,
            observing: false,
            idle_since: None,
            guard,
            config,
            seed,
        }
    }

    fn table(&mut self, family: Family) -> &mut Table {
        &mut self.tables[family as usize]
    }

    /// Our id in the DHT that `addr` belongs to.
    fn id_towards(&self, addr: &SocketAddr) -> NodeId {
        self.tables[Family::of(addr) as usize].me()
    }

    fn is_own_id(&self, id: &NodeId) -> bool {
        self.tables.iter().any(|table| table.me() == *id)
    }

    /// Tells a sighting or a peer; lost, and counted, if [`MAX_EVENTS`] wait.
    fn tell(&mut self, event: Event) {
        if self.events.len() < MAX_EVENTS {
            self.events.push_back(event);
        } else {
            self.stats.events_lost += 1;
        }
    }
}

impl Machine for Node {
    type Event = Event;

    fn handle(&mut self, now: Time, input: Input<'_>) {
        self.idle_since = None;
        match input {
            Input::Datagram { from, bytes, .. } => self.receive(now, from, bytes),
            Input::Stop => self.stop(now),
            // A tick is what the polls that follow it make of the time; all else is of others.
            Input::Tick
            | Input::Opened { .. }
            | Input::Accepted { .. }
            | Input::Received { .. }
            | Input::Closed { .. }
            | Input::Flushed { .. }
            | Input::Disk { .. }
            | Input::Http { .. }
            | Input::Resolved { .. } => {}
        }
    }

    fn poll(&mut self, now: Time, payload: &mut Vec<u8>) -> Option<Output<Event>> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(Output::Event(event));
            }
            if let Some((to, len)) = self.outbox.pop(payload) {
                return Some(Output::Effect(Effect::Send { from: None, to, len }));
            }
            if let Some(call) = self.rpc.expire(now) {
                self.unanswered(now, &call);
            } else if let Some((to, len)) = self.next_question(now, payload) {
                return Some(Output::Effect(Effect::Send { from: None, to, len }));
            } else if self.events.is_empty() {
                self.idle_since = Some(now);
                return None;
            }
        }
    }

    fn deadline(&self) -> Option<Time> {
        self.next_due()
    }
}

#[cfg(test)]
mod tests;
