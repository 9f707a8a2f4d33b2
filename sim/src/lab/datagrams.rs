//! Datagrams in, datagrams out: the paths, the NATs and the limits before a node answers, and the judge's books.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use wire::krpc::{Body, Message, Method, Query, Reply};
use world::Time;

use super::Lab;
use crate::address::Host;
use crate::answer::{Asked, Said, put_rumours};
use crate::client::{Habits, Kind};
use crate::nodes::{Reach, Traits};
use crate::pair::Verdict;
use crate::queue::What;

/// A query on its way to a host.
struct Asking<'a> {
    now: Time,
    from: SocketAddr,
    to: SocketAddr,
    client: Ipv4Addr,
    host: SocketAddrV4,
    bytes: &'a [u8],
    transaction: &'a [u8],
    query: Query<'a>,
}

/// An answer that takes longer may come too late for a client that has given up, as adaptive timeouts do from here on:
/// asking again is not held against it.
const PROMPT: Duration = Duration::from_millis(500);

impl Lab {
    pub(super) fn datagram(&mut self, now: Time, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        if wire::utp::begins(bytes) {
            return self.stream_packet(now, from, to, bytes);
        }
        let (IpAddr::V4(client), SocketAddr::V4(host)) = (from.ip(), to) else {
            self.counts.unreadable += 1;
            return;
        };
        let Ok(message) = Message::decode(bytes) else {
            self.counts.unreadable += 1;
            return;
        };
        let Body::Query(query) = message.body else {
            self.counts.replies += 1;
            return;
        };
        if !message.read_only {
            self.callers.heard(now, from, query.id);
        }
        let full = self.pairs.len() >= self.pairs_max();
        if full && !self.pairs.contains_key(&(client, host)) {
            self.counts.lost += 1;
            return;
        }
        let (victim, pace) = &mut self.victim;
        if *victim == *host.ip() {
            pace.count(now);
        }
        let pair = self.pairs.entry((client, host)).or_default();
        pair.packets += 1;
        pair.pace.count(now);
        self.counts.queries.count(&query.method);
        if let Method::GetPeers { info_hash, .. } = &query.method {
            let listed = self.population.find(info_hash).is_some_and(|key| key.peers > 0);
            self.counts.get_peers_of_listed += u64::from(listed);
        }
        let packet = self.net.packet(client, *host.ip(), pair.packets);
        if self.net.loses(&mut pair.to_host, 0, now, packet) {
            self.counts.lost += 1;
            return;
        }
        let asking = Asking {
            now,
            from,
            to,
            client,
            host,
            bytes,
            transaction: message.transaction,
            query,
        };
        if to == self.population.bootstrap() {
            self.ask_router(&asking);
        } else if let Some(node) = self
            .population
            .node_at(host)
            .filter(|node| self.population.nodes.is_there(*node, now))
        {
            self.ask_node(&asking, node);
        } else {
            self.counts.nobody += 1;
        }
    }

    /// A router answers ping and find_node (A9), and get_peers, by which libtorrent finds its first nodes: with contacts
    /// only.
    fn ask_router(&mut self, asking: &Asking<'_>) {
        let population = &self.population;
        self.draft.nodes.clear();
        let target = match asking.query.method {
            Method::Ping => None,
            Method::FindNode { target } => Some(target),
            Method::GetPeers { info_hash, .. } => Some(info_hash.as_target()),
            _ => return,
        };
        if let Some(target) = target {
            let pair = self.pairs.get(&(asking.client, asking.host));
            let draw = pair.map_or(0, |pair| pair.packets);
            let mut near = Vec::new();
            population.nodes.known_to_router(draw, &target, asking.now, &mut near);
            put_rumours(population, &near, &mut self.draft.nodes);
        }
        let mut reply = Reply::new(population.router);
        reply.nodes = &self.draft.nodes;
        let mut message = Message::new(asking.transaction, Body::Reply(reply));
        message.version = population.config.profile.habits(Kind::Utorrent).version;
        message.ip = Some(asking.from);
        let mut out = self.queue.buffer();
        message.encode(&mut out);
        self.send(asking, out);
    }

    fn ask_node(&mut self, asking: &Asking<'_>, node: Host) {
        let Some(&traits) = self.population.nodes.traits(node) else {
            return;
        };
        if !self.comes_through(asking, node, traits) {
            return;
        }
        let Some(pair) = self.pairs.get_mut(&(asking.client, asking.host)) else {
            return;
        };
        let packet = self.net.packet(asking.client, *asking.host.ip(), pair.packets);
        let samples = matches!(asking.query.method, Method::SampleInfohashes { .. });
        if samples && traits.samples && traits.readable() {
            self.counts.samples_to_samplers += 1;
        }
        if samples && asking.now < pair.next_sample {
            self.counts.samples_inside_interval += 1;
        }
        if samples && pair.refused_sample {
            self.counts.samples_to_known_refusers += 1;
        }
        let mut asked = Asked {
            population: &self.population,
            guests: &mut self.guests,
            node,
            traits,
            frozen: &mut self.memories.entry(node).or_default().frozen,
            from: asking.from,
            now: asking.now,
            dice: packet.dice(),
        };
        let said = asked.answer(&asking.query, &mut self.draft);
        if said == Said::Reply
            && let Some(lie) = traits.lie
        {
            lie.spoil(&asked, &asking.query, &mut self.draft);
        }
        let mut out = self.queue.buffer();
        self.draft.encode(said, &asked, asking.transaction, &mut out);
        if out.is_empty() {
            self.counts.unanswered += 1;
            return self.queue.recycle(out);
        }
        if let Some(lie) = traits.lie {
            lie.garble(packet.dice(), asking.bytes, &mut out);
        }
        if !self.has_upload(asking, node, traits, out.len()) {
            self.counts.over_limit += 1;
            return self.queue.recycle(out);
        }
        if let Some(delay) = self.send(asking, out)
            && samples
            && traits.readable()
        {
            // Who was told a wrong id for this host does not believe its answer, either.
            self.sampled(asking, delay <= PROMPT && !self.population.nodes.is_misnamed(node));
        }
    }

    /// Whether NAT and limits let a query reach the program.
    fn comes_through(&mut self, asking: &Asking<'_>, node: Host, traits: Traits) -> bool {
        let now = asking.now;
        let reopens = self.population.config.profile.nodes.mapping_reopens;
        let Some(pair) = self.pairs.get_mut(&(asking.client, asking.host)) else {
            return false;
        };
        // The NAT keeps a mapping for a while after a packet to the asker (B12).
        let called = pair.called.is_some_and(|called| now.since(called).as_secs() < 60);
        let silent = pair.heard.map(|heard| now.since(heard));
        let reached = match traits.reach {
            Reach::Open => true,
            Reach::Forgetful(idle) => {
                called || silent.is_none_or(|silent| silent.as_secs() < u64::from(idle) || silent >= reopens)
            }
            Reach::Restricted => called,
            Reach::Mute => false,
        };
        if !reached {
            self.counts.filtered += 1;
            return false;
        }
        pair.heard = Some(now);
        let habits = self.population.config.profile.habits(traits.kind);
        let verdict = habits.ban.map_or(Verdict::Heard, |ban| pair.blocker.hear(&ban, now));
        if verdict == Verdict::Banned {
            self.counts.bans += 1;
        }
        let per_host = habits.per_host.is_none_or(|limit| pair.tokens.take(&limit, now, 1.0));
        let memory = self.memories.entry(node).or_default();
        let total = habits.queries.is_none_or(|limit| memory.queries.take(&limit, now, 1.0));
        let answers = verdict == Verdict::Heard && per_host && total;
        if !answers {
            self.counts.over_limit += 1;
        }
        answers
    }

    fn has_upload(&mut self, asking: &Asking<'_>, node: Host, traits: Traits, len: usize) -> bool {
        let Habits { upload, .. } = self.population.config.profile.habits(traits.kind);
        let memory = self.memories.entry(node).or_default();
        upload.is_none_or(|limit| memory.upload.take(&limit, asking.now, len as f64))
    }

    /// Keeps the judge's books on an answer to sample_infohashes that gets through.
    fn sampled(&mut self, asking: &Asking<'_>, believed: bool) {
        let Some(pair) = self.pairs.get_mut(&(asking.client, asking.host)) else {
            return;
        };
        if self.draft.samples.is_none() {
            pair.refused_sample |= believed;
            return;
        }
        let interval = self
            .draft
            .interval
            .and_then(|secs| u64::try_from(secs).ok())
            .unwrap_or(0);
        self.counts.intervals += u64::from(asking.now >= pair.next_sample);
        if believed {
            pair.next_sample = asking.now + Duration::from_secs(interval);
        }
        self.counts.samples_answered += 1;
        self.counts.samplers += u64::from(!pair.gave_sample);
        pair.gave_sample = true;
        self.counts.infohashes_in_samples += self.draft.shown.len() as u64;
        for key in &self.draft.shown {
            self.shown[*key as usize / 64] |= 1 << (key % 64);
        }
    }

    /// Sends an answer on its way; gives how long that takes, or `None` if it will not arrive.
    fn send(&mut self, asking: &Asking<'_>, bytes: Vec<u8>) -> Option<Duration> {
        let pair = self.pairs.get_mut(&(asking.client, asking.host))?;
        let packet = self.net.packet(asking.client, *asking.host.ip(), pair.packets);
        self.counts.answered += 1;
        if self.net.loses(&mut pair.to_asker, 1, asking.now, packet) || !self.queue.has_room() {
            self.counts.lost += 1;
            self.queue.recycle(bytes);
            return None;
        }
        let delay = self
            .net
            .answer_after(self.net.rtt(asking.client, *asking.host.ip()), packet);
        let (at, from, to) = (asking.now + delay, asking.to, asking.from);
        if self.net.duplicates(packet) {
            let bytes = bytes.clone();
            self.queue.push(at, What::Datagram { from, to, bytes });
        }
        if self.net.spoofs(packet) {
            let (bytes, mut other) = (bytes.clone(), from);
            other.set_port(from.port().wrapping_add(1));
            let from = other;
            self.queue.push(at, What::Datagram { from, to, bytes });
        }
        self.queue.push(at, What::Datagram { from, to, bytes });
        Some(delay)
    }

    /// Sends the questions that nodes of the lab have for clients.
    pub(super) fn call_clients(&mut self, now: Time) {
        loop {
            let mut bytes = self.queue.buffer();
            let call = self.callers.call(now, &self.population, &mut bytes);
            let (Some(call), true) = (call, self.queue.has_room()) else {
                return self.queue.recycle(bytes);
            };
            let IpAddr::V4(client) = call.to.ip() else { continue };
            let from = self.population.node_addr(call.node);
            if self.pairs.len() >= self.pairs_max() {
                continue;
            }
            self.pairs.entry((client, from)).or_default().called = Some(now);
            self.counts.asked += 1;
            let at = now + self.net.rtt(client, *from.ip()) / 2;
            let (from, to) = (from.into(), call.to);
            self.queue.push(at, What::Datagram { from, to, bytes });
        }
    }

    /// Sends what floods a client.
    pub(super) fn flood_client(&mut self, now: Time) {
        let (Some(flood), Some(to)) = (&mut self.flood, self.callers.first()) else {
            return;
        };
        for _ in 0..flood.due(now) {
            let mut bytes = self.queue.buffer();
            let from = flood.packet(&self.population, &mut bytes).into();
            if !self.queue.has_room() {
                return self.queue.recycle(bytes);
            }
            self.counts.flooded += 1;
            self.queue.push(now, What::Datagram { from, to, bytes });
        }
    }
}
