//! What all baselines share: questions and their answers, the line's rate, dials, and what was told already.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use rand::Rng;
use rand::rngs::ChaCha8Rng;
use transport::Transport;
use wire::krpc::{Body, Message, Method, Query, Reply, Want};
use wire::{InfoHash, NodeId};
use world::{Effect, Input, KeyedSet, Output, Seed, Time};

use super::Event;
use super::fetch::Fetches;

/// One question.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Question {
    Ping,
    FindNode(NodeId),
    Sample(NodeId),
    GetPeers(InfoHash),
    /// For the filters of the swarm (BEP 33).
    Scrape(InfoHash),
}

impl Question {
    const fn method(self) -> Method<'static> {
        match self {
            Self::Ping => Method::Ping,
            Self::FindNode(target) => Method::FindNode { target },
            Self::Sample(target) => Method::SampleInfohashes { target },
            Self::GetPeers(info_hash) | Self::Scrape(info_hash) => Method::GetPeers {
                info_hash,
                noseed: false,
                scrape: matches!(self, Self::Scrape(_)),
            },
        }
    }
}

/// A reply, with the question that it answers.
pub(super) struct Answer<'a> {
    pub(super) from: SocketAddr,
    pub(super) question: Question,
    /// How long it took.
    pub(super) took: Duration,
    pub(super) reply: Reply<'a>,
}

/// What a datagram was.
#[expect(clippy::large_enum_variant, reason = "read once, on the stack, and never kept")]
pub(super) enum Heard<'a> {
    Answer(Answer<'a>),
    /// A KRPC error.
    Refused(Question),
    /// A question of another: who has this?
    Asked(InfoHash),
}

struct Pending {
    to: SocketAddr,
    question: Question,
    sent: Time,
    due: Time,
}

struct Waiting {
    to: SocketAddr,
    question: Question,
    patience: Duration,
}

/// Questions, dials and tidings of one baseline.
pub(super) struct Desk {
    id: NodeId,
    rng: ChaCha8Rng,
    rate: u32,
    /// When the line is free again.
    free_at: Time,
    waiting: VecDeque<Waiting>,
    pending: BTreeMap<u32, Pending>,
    due: BTreeSet<(Time, u32)>,
    number: u32,
    turns: u64,
    events: VecDeque<Event>,
    seen: KeyedSet<InfoHash>,
    with_peers: KeyedSet<InfoHash>,
    done: KeyedSet<InfoHash>,
    pub(super) fetches: Fetches,
    transport: Transport,
}

impl Desk {
    pub(super) fn new(rate: u32, encrypted: bool, seed: Seed) -> Self {
        let mut rng = seed.derive("desk").rng();
        let id = random_id(&mut rng);
        let set = |label| KeyedSet::with_hasher(seed.derive(label).hasher());
        Self {
            id,
            rng,
            rate: rate.max(1),
            free_at: Time::ZERO,
            waiting: VecDeque::new(),
            pending: BTreeMap::new(),
            due: BTreeSet::new(),
            number: 0,
            turns: 0,
            events: VecDeque::new(),
            seen: set("seen"),
            with_peers: set("with peers"),
            done: set("done"),
            fetches: Fetches::new(),
            transport: Transport::new(super::fetch::streams(encrypted), seed),
        }
    }

    pub(super) const fn id(&self) -> NodeId {
        self.id
    }

    pub(super) const fn rng(&mut self) -> &mut ChaCha8Rng {
        &mut self.rng
    }

    pub(super) fn random_id(&mut self) -> NodeId {
        random_id(&mut self.rng)
    }

    /// A random point that shares its first `bits` with `id`.
    pub(super) fn near(&mut self, id: &NodeId, bits: u32) -> NodeId {
        let mut bytes = *self.random_id().as_bytes();
        for (at, (byte, own)) in bytes.iter_mut().zip(id.as_bytes()).enumerate() {
            let kept = bits.saturating_sub(8 * at as u32).min(8);
            let mask = !(0xff_u16 >> kept) as u8;
            *byte = *own & mask | *byte & !mask;
        }
        NodeId::new(bytes)
    }

    /// Asks, as soon as the line is free; no answer within `patience` of that is none.
    pub(super) fn ask(&mut self, to: SocketAddr, question: Question, patience: Duration) {
        self.turns += 1;
        self.waiting.push_back(Waiting { to, question, patience });
    }

    /// Questions that wait for the line.
    pub(super) fn backlog(&self) -> usize {
        self.waiting.len()
    }

    /// Counts what the crawler asked for: if it has not changed, there is nothing new to do.
    pub(super) fn turns(&self) -> u64 {
        self.turns + self.fetches.turns()
    }

    /// Whether an infohash was never seen before; told if so.
    pub(super) fn see(&mut self, info_hash: InfoHash) -> bool {
        let new = self.seen.insert(info_hash);
        if new {
            self.tell(Event::Seen(info_hash));
        }
        new
    }

    /// A node named peers of it.
    pub(super) fn tell_peers(&mut self, info_hash: InfoHash) {
        if self.with_peers.insert(info_hash) {
            self.tell(Event::Peers(info_hash));
        }
    }

    pub(super) fn tell_fetched(&mut self, info_hash: InfoHash) {
        if self.done.insert(info_hash) {
            self.tell(Event::Fetched(info_hash));
        }
    }

    pub(super) fn is_done(&self, info_hash: &InfoHash) -> bool {
        self.done.contains(info_hash)
    }

    fn tell(&mut self, event: Event) {
        self.turns += 1;
        self.events.push_back(event);
    }

    /// Reads a datagram. A reply must come from who was asked, with the transaction's number.
    pub(super) fn heard<'a>(&mut self, now: Time, from: SocketAddr, bytes: &'a [u8]) -> Option<Heard<'a>> {
        let message = Message::decode(bytes).ok()?;
        let body = match message.body {
            Body::Query(Query {
                method: Method::GetPeers { info_hash, .. } | Method::AnnouncePeer { info_hash, .. },
                ..
            }) => return Some(Heard::Asked(info_hash)),
            Body::Query(_) => return None,
            other => other,
        };
        let number = u32::from_be_bytes(message.transaction.try_into().ok()?);
        if self.pending.get(&number)?.to != from {
            return None;
        }
        let Pending {
            question, sent, due, ..
        } = self.pending.remove(&number)?;
        self.due.remove(&(due, number));
        self.turns += 1;
        Some(match body {
            Body::Reply(reply) => Heard::Answer(Answer {
                from,
                question,
                took: now.since(sent),
                reply,
            }),
            _ => Heard::Refused(question),
        })
    }

    /// A question that was not answered in time.
    pub(super) fn expired(&mut self, now: Time) -> Option<(SocketAddr, Question)> {
        let &(due, number) = self.due.first()?;
        if due > now {
            return None;
        }
        self.due.pop_first();
        self.turns += 1;
        let pending = self.pending.remove(&number)?;
        Some((pending.to, pending.question))
    }

    /// Something happened to a stream.
    pub(super) fn stream(&mut self, now: Time, input: Input<'_>) {
        if let Some(input) = self.transport.receive(now, input) {
            self.fetches.handle(now, input);
        }
    }

    pub(super) fn poll(&mut self, now: Time, payload: &mut Vec<u8>) -> Option<Output<Event>> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(Output::Event(event));
            }
            if let Some(effect) = self.send(now, payload) {
                return Some(Output::Effect(effect));
            }
            if let Some((effect, bytes)) = self.fetches.pop() {
                payload.extend_from_slice(&bytes);
                if let Some(effect) = self.transport.act(now, effect, payload) {
                    return Some(Output::Effect(effect));
                }
                payload.clear();
                continue;
            }
            match self.transport.poll(now, payload)? {
                Output::Effect(effect) => return Some(Output::Effect(effect)),
                Output::Event(above) => {
                    if let Some(input) = above.input(payload) {
                        self.fetches.handle(now, input);
                    }
                    payload.clear();
                }
            }
        }
    }

    /// The next question, if the line is free.
    fn send(&mut self, now: Time, payload: &mut Vec<u8>) -> Option<Effect> {
        if now < self.free_at {
            return None;
        }
        let Waiting { to, question, patience } = self.waiting.pop_front()?;
        self.free_at = now + Duration::from_secs(1) / self.rate;
        self.number = self.number.wrapping_add(1);
        let due = now + patience;
        self.due.insert((due, self.number));
        self.pending.insert(
            self.number,
            Pending {
                to,
                question,
                sent: now,
                due,
            },
        );
        let query = Query {
            id: self.id,
            method: question.method(),
            want: Want::default(),
        };
        let before = payload.len();
        Message::new(&self.number.to_be_bytes(), Body::Query(query)).encode(payload);
        let len = payload.len() - before;
        Some(Effect::Send { from: None, to, len })
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        let line = (!self.waiting.is_empty()).then_some(self.free_at);
        let due = self.due.first().map(|&(due, _)| due);
        let fetches = self.fetches.deadline();
        line.into_iter()
            .chain(due)
            .chain(fetches)
            .chain(self.transport.deadline())
            .min()
    }
}

fn random_id(rng: &mut ChaCha8Rng) -> NodeId {
    let mut bytes = [0; 20];
    rng.fill_bytes(&mut bytes);
    NodeId::new(bytes)
}
