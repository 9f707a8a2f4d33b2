//! What the owner may ask of the node.

use std::net::SocketAddr;
use std::time::Duration;

use rand::Rng;
use wire::{InfoHash, NodeId};
use world::{Seed, Time};

use super::Node;
use super::outbound::known_near;
use crate::config::Config;
use crate::contacts::{Contact, Family};
use crate::event::{Answer, AskId, Event, LookupId, Target};
use crate::guard::Guard;
use crate::lookup::{Plan, Start};
use crate::responder::Responder;
use crate::routing::TableSize;
use crate::rpc::{Asker, Call, Question, Request};
use crate::state::SavedState;
use crate::stats::Stats;

/// Infohashes opted out in a run; those of the configuration come on top. 20 MB.
const MAX_OPTED_OUT: usize = 1 << 20;

/// Levels, as opposed to the counters of [`Stats`] (DHT-19).
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Gauges {
    /// The IPv4 and the IPv6 table.
    pub tables: [TableSize; 2],
    /// Nodes in both DHTs that a lookup can find, estimated (`dht_global_nodes`); 0 before the first full walk.
    pub global_nodes: f64,
    /// How long a question sent now would wait for its answer.
    pub timeout: Duration,
    /// Questions on the wire.
    pub outstanding: usize,
    /// Lookups that run or wait.
    pub lookups: usize,
}

impl Node {
    /// Joins: pings the nodes of the last run, asks the routers if none of them answers, walks to our own id. Keeps
    /// trying, ever more rarely.
    pub fn bootstrap(&mut self, now: Time) {
        self.idle_since = None;
        for addr in self.join.begin(now) {
            self.probe(now, addr, None);
        }
    }

    /// Replaces the routers.
    pub fn set_routers(&mut self, routers: Vec<SocketAddr>) {
        for &router in &routers {
            self.guard.named_by_user(router);
        }
        if let Some(sampler) = &mut self.sampler {
            sampler.set_routers(&routers);
        }
        self.config.routers = routers;
    }

    /// Pings a node that the user named; it enters the table only if it answers (DHT-05).
    pub fn add_node(&mut self, now: Time, addr: SocketAddr) {
        self.idle_since = None;
        self.guard.named_by_user(addr);
        self.probe(now, addr, None);
    }

    /// This is an address that we are bound to: nobody needs to be asked there.
    pub fn own_address(&mut self, addr: SocketAddr) {
        self.guard.own(addr);
    }

    /// Looks for peers of a torrent. Ends in one [`Event::LookupDone`]: at once, if it is opted out, too many lookups
    /// wait, or the node is stopping.
    pub fn get_peers(&mut self, now: Time, info_hash: InfoHash, plan: Plan) -> LookupId {
        self.look_up(now, Target::Swarm(info_hash), plan)
    }

    /// Looks for the nodes nearest to `target`. Ends in one [`Event::LookupDone`].
    pub fn find_node(&mut self, now: Time, target: NodeId) -> LookupId {
        self.look_up(now, Target::Node(target), Plan::full())
    }

    /// Asks one node, named by the user, one question. Ends in one [`Event::Answer`].
    pub fn ask(&mut self, now: Time, to: SocketAddr, question: Question) -> AskId {
        self.guard.named_by_user(to);
        self.ask_one(now, to, None, question)
    }

    /// Asks one node, named by others, one question: its address has to be one that we would ask of ourselves, and who answers
    /// under another id has not answered. Ends in one [`Event::Answer`].
    pub fn ask_named(&mut self, now: Time, node: Contact, question: Question) -> AskId {
        self.ask_one(now, node.addr, Some(node.id), question)
    }

    fn ask_one(&mut self, now: Time, to: SocketAddr, id: Option<NodeId>, question: Question) -> AskId {
        self.idle_since = None;
        self.asked += 1;
        let ask = AskId(self.asked);
        let named = question.point().map(|point| InfoHash::new(*point.as_bytes()));
        let answer = if named.is_some_and(|named| self.opted_out.contains(&named)) {
            Answer::OptedOut
        } else if self.stopping || !self.config.families.has(Family::of(&to)) {
            Answer::Timeout
        } else {
            let asker = Asker::Owner(ask);
            if self.asks.push(
                now,
                Call {
                    to,
                    id,
                    request: Request::Question(question),
                    asker,
                },
            ) {
                return ask;
            }
            Answer::Busy
        };
        let answer = Box::new(answer);
        self.events.push_back(Event::Answer { ask, from: to, answer });
        ask
    }

    /// No query of ours names this infohash from now on, nor does what is under way: it turned out to be private
    /// (BEP 27), or its owner wants it left alone. False, and nothing happens, when a million are remembered.
    pub fn opt_out(&mut self, info_hash: InfoHash) -> bool {
        let has_room = self.opted_out.len() < MAX_OPTED_OUT;
        if has_room {
            self.opted_out.insert(info_hash);
        }
        has_room
    }

    /// Whether nothing is under way: after [`world::Input::Stop`], the time to go.
    pub fn is_idle(&self) -> bool {
        self.rpc.outstanding() == 0 && self.lookups.len() == 0 && self.announces.is_idle() && self.events.is_empty()
    }

    /// Counters since the start.
    pub const fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Levels at this moment.
    pub fn gauges(&self) -> Gauges {
        Gauges {
            tables: [self.tables[0].size(), self.tables[1].size()],
            global_nodes: self.census.iter().filter_map(crate::census::Census::estimate).sum(),
            timeout: self.rpc.timeout(),
            outstanding: self.rpc.outstanding(),
            lookups: self.lookups.len(),
        }
    }

    /// The keeper of our manners, for its figures and to filter addresses that others name.
    pub const fn guard(&self) -> &Guard {
        &self.guard
    }

    /// What was served to others, and what they announced to us (DHT-15, DHT-19 `dht_torrents`).
    pub const fn responder(&self) -> &Responder {
        &self.responder
    }

    /// Our id in one of the two DHTs.
    pub const fn id(&self, family: Family) -> NodeId {
        self.tables[family as usize].me()
    }

    /// The nodes of both routing tables.
    pub fn nodes(&self) -> impl Iterator<Item = Contact> + '_ {
        self.tables.iter().flat_map(crate::routing::Table::nodes)
    }

    /// What to keep for the next run (DHT-17).
    pub fn save(&self) -> SavedState {
        let mut nodes: Vec<SocketAddr> = self.nodes().map(|node| node.addr).collect();
        nodes.extend(self.join.saved());
        SavedState {
            node_id: Some(self.id(Family::V4)),
            node_id6: Some(self.id(Family::V6)),
            nodes,
        }
    }

    pub(super) fn look_up(&mut self, now: Time, target: Target, plan: Plan) -> LookupId {
        self.idle_since = None;
        let named = InfoHash::new(*target.point().as_bytes());
        let outcome = if self.stopping || self.opted_out.contains(&named) {
            Err(Box::new(self.lookups.refuse(target)))
        } else {
            let known = known_near(
                &self.tables,
                self.sampler.as_ref(),
                self.config.families,
                &target.point(),
            );
            let (routers, quiet) = (Vec::new(), false);
            let start = Start {
                target,
                plan,
                known,
                routers,
                quiet,
            };
            self.lookups.start(now, start)
        };
        outcome.unwrap_or_else(|finished| {
            let lookup = finished.done.lookup;
            self.finish(now, *finished);
            lookup
        })
    }

    /// Asks nothing new. Lookups end with what they have, questions that wait end unasked, announces too; those on the wire may still
    /// be answered.
    pub(super) fn stop(&mut self, now: Time) {
        self.stopping = true;
        self.announces.clear();
        while let Some(finished) = self.lookups.cancel_any(now) {
            self.finish(now, finished);
        }
        while let Some(call) = self.asks.pop() {
            self.fruitless(now, &call);
        }
        while self.probes.pop().is_some() {}
    }
}

/// Our ids in the two DHTs: the owner's choice, else those of the last run, else new ones. They are bound to our
/// addresses (BEP 42) once these are known.
pub(super) fn first_ids(config: &Config, seed: Seed, saved: &SavedState) -> [NodeId; 2] {
    let mut chance = seed.derive("node-id").rng();
    [saved.node_id, saved.node_id6].map(|saved| {
        let mut drawn = [0; 20];
        chance.fill_bytes(&mut drawn);
        config.node_id.or(saved).unwrap_or(NodeId::new(drawn))
    })
}
