//! A datagram comes in: a question, an answer, or a refusal.

use std::net::SocketAddr;
use std::time::Duration;

use wire::bloom::{self, Bloom};
use wire::krpc::{Body, Message, Method, Query, Reply, error_code, query_transaction};
use world::Time;

use super::Node;
use crate::contacts::{Contact, Family};
use crate::event::{Answer, Event, LookupId, NAME_HINT_MAX, Target};
use crate::observation::Outcome;
use crate::responder::{Heard, OurSide};
use crate::rpc::{Asker, Call, Mismatch, Question, Request};
use crate::stats::{Drop, Kind};

impl Node {
    /// A datagram from `from`.
    pub(super) fn receive(&mut self, now: Time, from: SocketAddr, bytes: &[u8]) {
        if !self.config.families.has(Family::of(&from)) {
            return self.stats.drops.count(Drop::Family);
        }
        let Ok(message) = Message::decode(bytes) else {
            self.stats.drops.count(Drop::Malformed);
            return self.complain(now, from, bytes);
        };
        match message.body {
            Body::Query(query) => {
                self.stats.datagrams_in.count(Kind::Query);
                self.questioned(now, from, &message, &query);
            }
            Body::Reply(reply) => {
                self.stats.datagrams_in.count(Kind::Reply);
                self.answered(now, from, &message, &reply);
            }
            Body::Error { code, text } => {
                self.stats.datagrams_in.count(Kind::Error);
                self.refused(now, from, message.transaction, (code, text));
            }
        }
    }

    /// Somebody asks us something.
    fn questioned(&mut self, now: Time, from: SocketAddr, message: &Message<'_>, query: &Query<'_>) {
        if self.is_own_id(&query.id) {
            return self.stats.drops.count(Drop::OwnId);
        }
        if let Err(reason) = self.may_respond(now, from) {
            return self.stats.drops.count(reason);
        }
        let Some(buffer) = self.outbox.buffer() else {
            return self.stats.drops.count(Drop::NoRoom);
        };
        let our = OurSide {
            id: self.tables[Family::of(&from) as usize].me(),
            version: &self.config.version,
            nodes: &self.tables,
        };
        let heard = self
            .responder
            .answer(now, from, message.transaction, query, &our, buffer);
        self.reply(now, from, Kind::Reply);
        match heard {
            Heard::Nothing => {}
            Heard::Sighting(sighting) => self.tell(Event::Sighting(sighting)),
            Heard::Announce { sighting, peer } => {
                let (seed, name) = told_of_torrent(&query.method, self.observing);
                self.tell(Event::Announced {
                    sighting,
                    peer,
                    seed,
                    name,
                });
            }
        }
        if !message.read_only {
            let contact = Contact {
                id: query.id,
                addr: from,
            };
            self.noticed(now, contact, message.version);
        }
    }

    /// What is no KRPC message, but says that it is a question, is told so.
    fn complain(&mut self, now: Time, from: SocketAddr, bytes: &[u8]) {
        let Some(transaction) = query_transaction(bytes) else {
            return;
        };
        if self.may_respond(now, from).is_err() {
            return;
        }
        if let Some(buffer) = self.outbox.buffer() {
            self.responder
                .answer_malformed(from, transaction, &self.config.version, buffer);
            self.reply(now, from, Kind::Error);
        }
    }

    /// Whether a question from this address is to be answered, and if not, why.
    fn may_respond(&mut self, now: Time, from: SocketAddr) -> Result<(), Drop> {
        if self.config.read_only {
            Err(Drop::ReadOnly)
        } else if !self.guard.admits_contact(&from) {
            Err(Drop::Source)
        } else if !self.guard.may_answer(now, from) {
            Err(Drop::Flood)
        } else {
            Ok(())
        }
    }

    /// Sends what stands in the buffer of the outbox.
    fn reply(&mut self, now: Time, to: SocketAddr, kind: Kind) {
        if self.outbox.commit(to) {
            self.guard.touch_flow(now, to);
            self.stats.datagrams_out.count(kind);
        }
    }

    /// A node that answers queries made itself known to us.
    fn noticed(&mut self, now: Time, contact: Contact, version: Option<&[u8]>) {
        if self.config.routers.contains(&contact.addr) {
            return;
        }
        let table = self.table(Family::of(&contact.addr));
        table.heard(now, &contact);
        if table.wants(&contact) {
            self.probe(now, contact.addr, Some(contact.id));
        }
        self.met(now, &contact, version);
    }

    /// Somebody answers, or claims to.
    fn answered(&mut self, now: Time, from: SocketAddr, message: &Message<'_>, reply: &Reply<'_>) {
        let (call, rtt) = match self.rpc.settle(now, from, message.transaction, Some(reply.id)) {
            Ok(settled) => settled,
            Err(Mismatch::Late(Some(call))) => return self.belated(now, from, &call, message, reply),
            Err(mismatch) => return self.disbelieve(now, from, mismatch),
        };
        self.guard.answered(now, from);
        if self.is_own_id(&reply.id) {
            self.stats.drops.count(Drop::OwnId);
            return self.fruitless(now, &call);
        }
        self.stats.answered.count(call.request.asked());
        self.vote(now, from, message.ip);
        let contact = Contact {
            id: reply.id,
            addr: from,
        };
        if !self.config.routers.contains(&from) {
            self.table(Family::of(&from)).answered(now, contact);
        }
        if call.asker == Asker::Sampler {
            return self.feed_sampler(now, &contact, (message, reply), (&call, Some(rtt)));
        }
        self.observed_answer(from, &call, Some(rtt), (message, reply), false);
        self.overheard(now, &contact, message.version, reply);
        match call.asker {
            Asker::Upkeep | Asker::Sampler | Asker::Announcer => {}
            Asker::Lookup { slot, lookup } => self.feed_lookup(now, (slot, lookup), contact, reply),
            Asker::Owner(ask) => {
                let answer = Box::new(whole_answer(rtt, message.version, reply));
                self.events.push_back(Event::Answer { ask, from, answer });
            }
        }
    }

    /// An answer after the timeout. Its node was taken for silent; what it shows and whom it names is as good as any, and a
    /// sample that were lost here would be asked for again inside its interval.
    fn belated(&mut self, now: Time, from: SocketAddr, call: &Call, message: &Message<'_>, reply: &Reply<'_>) {
        self.stats.drops.count(Drop::Late);
        self.guard.answered(now, from);
        if self.is_own_id(&reply.id) {
            return;
        }
        let contact = Contact {
            id: reply.id,
            addr: from,
        };
        match call.asker {
            Asker::Sampler => {
                self.feed_sampler(now, &contact, (message, reply), (call, None));
                self.belated_refusal(now, from, call, reply.samples.is_none());
            }
            Asker::Lookup { slot, lookup } => {
                self.observed_answer(from, call, None, (message, reply), false);
                self.feed_lookup(now, (slot, lookup), contact, reply);
            }
            Asker::Upkeep | Asker::Owner(_) | Asker::Announcer => {
                self.observed_answer(from, call, None, (message, reply), false);
            }
        }
    }

    /// After the timeout it turned out that a node does not sample.
    fn belated_refusal(&mut self, now: Time, from: SocketAddr, call: &Call, refused: bool) {
        let asked = call.asker == Asker::Sampler && matches!(call.request, Request::Question(Question::Sample(_)));
        if let (true, Some(sampler)) = (asked && refused, &mut self.sampler) {
            sampler.on_belated_refusal(now, from);
        }
    }

    /// An answer that is not believed, and what follows from it.
    fn disbelieve(&mut self, now: Time, from: SocketAddr, mismatch: Mismatch) {
        match mismatch {
            Mismatch::UnknownTransaction => self.stats.drops.count(Drop::UnknownTransaction),
            Mismatch::WrongAddress => self.stats.drops.count(Drop::WrongAddress),
            Mismatch::Late(_) => {
                self.stats.drops.count(Drop::Late);
                self.guard.answered(now, from);
            }
            Mismatch::WrongId(call) => {
                self.stats.drops.count(Drop::WrongId);
                self.observed_failure(&call, Outcome::WrongId, None);
                self.guard.answered(now, from);
                if let Some(id) = call.id {
                    self.table(Family::of(&from)).suspect(&Contact { id, addr: from });
                }
                match (&mut self.sampler, call.asker) {
                    (Some(sampler), Asker::Sampler) => sampler.on_stranger(now, from),
                    _ => self.fruitless(now, &call),
                }
            }
        }
    }

    /// The node asked refuses.
    fn refused(&mut self, now: Time, from: SocketAddr, transaction: &[u8], (code, text): (i64, &[u8])) {
        let (call, _) = match self.rpc.settle(now, from, transaction, None) {
            Ok(settled) => settled,
            Err(Mismatch::Late(Some(call))) => {
                self.stats.drops.count(Drop::Late);
                self.guard.refused(now, from, code);
                return self.belated_refusal(now, from, &call, code == error_code::METHOD_UNKNOWN);
            }
            Err(mismatch) => return self.disbelieve(now, from, mismatch),
        };
        self.stats.errors.count(call.request.asked());
        self.observed_failure(&call, Outcome::Refused, Some(code));
        self.guard.refused(now, from, code);
        match call.asker {
            Asker::Upkeep | Asker::Announcer => {}
            Asker::Lookup { slot, lookup } => self.lookups.failed(now, (slot, lookup), from),
            Asker::Sampler => {
                if let Some(sampler) = &mut self.sampler {
                    sampler.on_error(now, from, code);
                }
            }
            Asker::Owner(ask) => {
                let text = text.to_vec();
                let answer = Box::new(Answer::Error { code, text });
                self.events.push_back(Event::Answer { ask, from, answer });
            }
        }
    }

    /// A question was not answered in time.
    pub(super) fn unanswered(&mut self, now: Time, call: &Call) {
        self.stats.timeouts.count(call.request.asked());
        self.observed_failure(call, Outcome::Timeout, None);
        self.guard.silent(now, call.to);
        if let Some(id) = call.id {
            let contact = Contact { id, addr: call.to };
            self.table(Family::of(&call.to)).silent(now, &contact);
        }
        self.fruitless(now, call);
    }

    /// A question brought nothing: whoever asked must look elsewhere.
    pub(super) fn fruitless(&mut self, now: Time, call: &Call) {
        match call.asker {
            Asker::Upkeep => {}
            Asker::Announcer => self.announce_over(call),
            Asker::Lookup { slot, lookup } => self.lookups.failed(now, (slot, lookup), call.to),
            Asker::Sampler => {
                if let Some(sampler) = &mut self.sampler {
                    sampler.on_timeout(now, call.to);
                }
            }
            Asker::Owner(ask) => {
                let answer = Box::new(Answer::Timeout);
                self.events.push_back(Event::Answer {
                    ask,
                    from: call.to,
                    answer,
                });
            }
        }
    }

    fn feed_lookup(&mut self, now: Time, run: (usize, LookupId), from: Contact, reply: &Reply<'_>) {
        let Some(target) = self.lookups.target(run) else {
            return;
        };
        if let Some(token) = reply.token {
            self.announces.offer(now, run.1, from, token);
        }
        let (guard, families) = (&self.guard, self.config.families);
        let plausible = |addr: &SocketAddr| families.has(Family::of(addr)) && guard.admits_contact(addr);
        let own = [self.tables[0].me(), self.tables[1].me()];
        let nodes = reply
            .contacts()
            .filter(|node| plausible(&node.addr) && !own.contains(&node.id));
        // A peer may be of either family, whichever DHT names it.
        let peers = reply.peers().filter(|peer| guard.admits_contact(peer));
        let (events, lost) = (&mut self.events, &mut self.stats.events_lost);
        self.lookups.answered(now, run, from.addr, nodes, peers, |peer| {
            let Target::Swarm(info_hash) = target else {
                return;
            };
            if events.len() < super::MAX_EVENTS {
                events.push_back(Event::Peers {
                    lookup: run.1,
                    info_hash,
                    from,
                    peer,
                });
            } else {
                *lost += 1;
            }
        });
    }
}

/// What an announce says of its torrent besides: whether the peer has all of it, and what it is called.
fn told_of_torrent(method: &Method<'_>, names: bool) -> (bool, Option<Box<[u8]>>) {
    match method {
        Method::AnnouncePeer { seed, name, .. } => {
            let name = name.filter(|name| names && !name.is_empty());
            (
                *seed,
                name.map(|name| name.iter().copied().take(NAME_HINT_MAX).collect()),
            )
        }
        _ => (false, None),
    }
}

/// Both filters of a scrape; a node that has only one kind of peers may leave the other out.
fn filters(reply: &Reply<'_>) -> Option<Box<[Bloom; 2]>> {
    let filter = |bytes: Option<&[u8; bloom::LEN]>| bytes.map_or_else(Bloom::new, |bytes| Bloom::from_bytes(*bytes));
    let (seeds, peers) = (reply.bloom_seeds, reply.bloom_peers);
    (seeds.is_some() || peers.is_some()).then(|| Box::new([filter(seeds), filter(peers)]))
}

fn whole_answer(rtt: Duration, version: Option<&[u8]>, reply: &Reply<'_>) -> Answer {
    Answer::Reply {
        id: reply.id,
        version: version.map(<[u8]>::to_vec),
        rtt,
        nodes: reply.contacts().collect(),
        peers: reply.peers().collect(),
        samples: reply.samples.map(|_| reply.samples().collect()),
        num: reply.num,
        interval: reply.interval,
        token: reply.token.is_some(),
        filters: filters(reply),
    }
}
