//! A question goes out: whose turn it is, and how it is written.

use std::net::SocketAddr;
use std::time::Duration;

use wire::krpc::{Body, Message, Method, Query, Want};
use wire::{InfoHash, NodeId};
use world::Time;

use super::Node;
use super::join::Step;
use crate::contacts::{Closest, Families, Family, Few, K, Nearest};
use crate::errands::Errand;
use crate::event::{Answer, Event, Target};
use crate::lookup::{Finished, Next, Plan, Start};
use crate::routing::{Table, Upkeep};
use crate::rpc::{Asker, Call, Question, Request};
use crate::sampler::Sampler;
use crate::stats::Kind;

/// After a poll that found nothing to do, nothing is due for this long.
pub(super) const BREATH: Duration = Duration::from_millis(1);
/// A step of upkeep that found no room is tried again after this.
const LATER: Duration = Duration::from_secs(5);

impl Node {
    /// The next question to send, written to `payload`: its destination and length. `None` if nobody may ask anything
    /// now; events may wait to be told.
    pub(super) fn next_question(&mut self, now: Time, payload: &mut Vec<u8>) -> Option<(SocketAddr, usize)> {
        if self.stopping {
            return None;
        }
        self.keep_up(now);
        while self.events.is_empty() && self.rpc.has_room() && self.guard.next_global(now) <= now {
            let call = self.next_call(now)?;
            if let Some(len) = self.send(now, &call, payload) {
                return Some((call.to, len));
            }
            self.fruitless(now, &call);
        }
        None
    }

    /// Whose turn it is. `None` also if an event came of it instead.
    fn next_call(&mut self, now: Time) -> Option<Call> {
        self.next_errand(now)
            .or_else(|| self.next_announce(now))
            .or_else(|| self.next_of_lookups(now))
            .or_else(|| self.next_sample(now))
    }

    fn next_errand(&mut self, now: Time) -> Option<Call> {
        let guard = &mut self.guard;
        while let Some(errand) = self.asks.next(now, |to| guard.may_ask(now, to)) {
            match errand {
                Errand::Ask(call) => return Some(call),
                Errand::Refused(call, refusal) => {
                    if let Asker::Owner(ask) = call.asker {
                        let answer = Box::new(Answer::Refused(refusal));
                        let from = call.to;
                        self.events.push_back(Event::Answer { ask, from, answer });
                    }
                }
            }
        }
        while let Some(errand) = self.probes.next(now, |to| guard.may_ask(now, to)) {
            if let Errand::Ask(call) = errand {
                return Some(call);
            }
        }
        None
    }

    fn next_of_lookups(&mut self, now: Time) -> Option<Call> {
        loop {
            let (guard, tables, sampler) = (&mut self.guard, &self.tables, self.sampler.as_ref());
            let families = self.config.families;
            let near = |point: &NodeId| known_near(tables, sampler, families, point);
            match self.lookups.next(now, |to| guard.may_ask(now, to), near)? {
                Next::Ask(call) => return Some(call),
                Next::Over(finished) => self.finish(now, finished),
            }
        }
    }

    /// Writes the question and counts it; `None` if it must not be asked.
    fn send(&mut self, now: Time, call: &Call, payload: &mut Vec<u8>) -> Option<usize> {
        let named = call.request.point().map(|point| InfoHash::new(*point.as_bytes()));
        if named.is_some_and(|named| self.opted_out.contains(&named)) {
            return None;
        }
        let announce;
        let method = match call.request {
            Request::Question(question) => method(question),
            Request::Announce { info_hash, number } => {
                announce = self.announces.take(now, number)?;
                announce.method(info_hash)
            }
        };
        let transaction = self.rpc.begin(now, *call)?;
        self.guard.charge(now, call.to);
        let query = Query {
            id: self.id_towards(&call.to),
            method,
            want: want(self.config.families),
        };
        let message = Message {
            version: Some(&self.config.version),
            read_only: self.config.read_only,
            ..Message::new(&transaction, Body::Query(query))
        };
        let before = payload.len();
        message.encode(payload);
        self.stats.sent.count(call.request.asked());
        self.stats.datagrams_out.count(Kind::Query);
        Some(payload.len() - before)
    }

    /// A lookup is over: its end is told, what it says about the number of nodes is noted, and if it was to end in
    /// announces, they wait for their turn.
    pub(super) fn finish(&mut self, now: Time, finished: Finished) {
        self.stats.announces_unsent += self.announces.end(now, finished.done.lookup);
        let target = finished.done.target.point();
        let judges = match &mut self.sampler {
            Some(sampler) if finished.quiet => sampler.walked(now, &target, &finished.done.closest),
            _ => false,
        };
        // Walks within the zones of a census are not independent of one another.
        if finished.done.converged && !judges {
            for (family, census) in [Family::V4, Family::V6].into_iter().zip(&mut self.census) {
                let mut near = finished
                    .done
                    .closest
                    .iter()
                    .filter(|node| Family::of(&node.addr) == family);
                if let Some(eighth) = near.nth(K - 1) {
                    census.note(&target, target.distance(&eighth.id).share());
                }
            }
            self.size_up();
        }
        if !finished.quiet {
            self.events.push_back(Event::LookupDone(finished.done));
        } else if self.observing && finished.done.converged && !judges {
            let closest = finished.done.closest;
            self.events.push_back(Event::Walked { target, closest });
        }
    }

    /// Joins, and keeps the tables in order.
    fn keep_up(&mut self, now: Time) {
        for family in [Family::V4, Family::V6] {
            if !self.config.families.has(family) {
                continue;
            }
            let index = family as usize;
            let useless = self.tables[index].is_useless();
            match self.join.step(now, index, useless) {
                Some(Step::FromRouters) => self.walk_home(now, family, true),
                Some(Step::FromTable) => self.walk_home(now, family, false),
                None => {}
            }
            while let Some(step) = self.tables[index].upkeep(now) {
                let taken = match step {
                    Upkeep::Ping(contact) => self.probe(now, contact.addr, Some(contact.id)),
                    Upkeep::Refresh(point) => self.walk(now, family, point, Vec::new()),
                };
                if !taken {
                    self.tables[index].put_off(&step, now + LATER);
                }
            }
        }
    }

    /// Walks to our own id, which makes us known to those who must know us. From routers, to the opposite point too: a
    /// router names those nearest to what it is asked for, so nodes that ask for themselves only would know one half of
    /// the key space, and so would everyone that they name.
    fn walk_home(&mut self, now: Time, family: Family, from_routers: bool) {
        let home = self.tables[family as usize].me();
        if !from_routers {
            self.walk(now, family, home, Vec::new());
            return;
        }
        let of_family = |door: &&SocketAddr| Family::of(door) == family;
        let doors = self.config.routers.iter().chain(&self.config.first_nodes);
        let doors: Vec<SocketAddr> = doors.filter(of_family).copied().collect();
        let opposite = NodeId::new(home.as_bytes().map(|byte| !byte));
        self.walk(now, family, home, doors.clone());
        self.walk(now, family, opposite, doors);
    }

    /// Starts a walk of our own within one DHT; false if as many walks as may be wait already.
    pub(super) fn walk(&mut self, now: Time, family: Family, point: NodeId, routers: Vec<SocketAddr>) -> bool {
        let mut known = [Few::new(); 2];
        known[family as usize] = self.tables[family as usize].closest(&point, family);
        let plan = Plan::full();
        let (target, quiet) = (Target::Node(point), true);
        let start = Start {
            target,
            plan,
            known,
            routers,
            quiet,
        };
        self.lookups.start(now, start).is_ok()
    }

    /// Queues a ping; false if as many as may be wait already, or one to the same address does.
    pub(super) fn probe(&mut self, now: Time, to: SocketAddr, id: Option<NodeId>) -> bool {
        let request = Request::Question(Question::Ping);
        let asker = Asker::Upkeep;
        self.probes.push_once(now, Call { to, id, request, asker })
    }

    /// When something is due. The parts' wishes count only while there is room and rate to fulfil them.
    pub(super) fn next_due(&self) -> Option<Time> {
        let mut due = self.rpc.deadline();
        if !self.stopping && self.rpc.has_room() {
            let wishes = [
                self.asks.wake(),
                self.probes.wake(),
                self.announces.wake(),
                self.lookups.wake(),
                self.next_sampling(),
                self.next_upkeep(),
            ];
            let gate = self.guard.next_global(Time::ZERO);
            let wish = wishes.into_iter().flatten().min().map(|wish| wish.max(gate));
            due = due.into_iter().chain(wish).min();
        }
        due.map(|due| self.idle_since.map_or(due, |idle| due.max(idle + BREATH)))
    }

    fn next_upkeep(&self) -> Option<Time> {
        let families = [Family::V4, Family::V6]
            .into_iter()
            .filter(|&family| self.config.families.has(family));
        let useless = families
            .map(|family| family as usize)
            .filter(|&index| self.tables[index].is_useless());
        let joins = useless.filter_map(|index| self.join.wake(index));
        let tables = self.tables.iter().map(Table::wake);
        joins.chain(tables).min().filter(|&at| at < Time::MAX)
    }
}

/// The nodes nearest to `point` that we know, of each DHT that we are in.
pub(super) fn known_near(
    tables: &[Table; 2],
    sampler: Option<&Sampler>,
    families: Families,
    point: &NodeId,
) -> [Few; 2] {
    [Family::V4, Family::V6].map(|family| {
        if !families.has(family) {
            return Few::new();
        }
        let in_table = tables[family as usize].closest(point, family);
        let Some(sampler) = sampler else {
            return in_table;
        };
        let mut nearest = Nearest::to(point);
        in_table.iter().for_each(|contact| nearest.offer(contact));
        let others = sampler.closest_known(point, family);
        others
            .iter()
            .filter(|other| !in_table.contains(other))
            .for_each(|other| nearest.offer(other));
        nearest.few()
    })
}

fn method(question: Question) -> Method<'static> {
    match question {
        Question::Ping => Method::Ping,
        Question::FindNode(target) => Method::FindNode { target },
        Question::GetPeers(info_hash) | Question::Scrape(info_hash) => Method::GetPeers {
            info_hash,
            noseed: false,
            // Only where filters are wanted: libtorrent answers with them instead of peers (crawlers F5).
            scrape: matches!(question, Question::Scrape(_)),
        },
        Question::Sample(target) => Method::SampleInfohashes { target },
    }
}

/// Nothing said means the family of the datagram (BEP 32), which is all that a node of one DHT can use.
const fn want(families: Families) -> Want {
    let both = families.v4 && families.v6;
    Want { n4: both, n6: both }
}
