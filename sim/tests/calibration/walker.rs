//! A client that walks to points of the key space: it asks the nearest of whom it has heard, whoever is silent twice more, for the point
//! and then for their own neighbours, since all nodes near a point name the same eight. It ends when all up to the eighth nearest that
//! answers have been asked.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use wire::NodeId;
use wire::id::Distance;
use wire::krpc::{Body, Message, Method};
use world::{Effect, Input, Machine, Output, Time};

use crate::naive::{point, put_query};

/// Nodes that a walk is to find (BEP 5).
const K: usize = 8;
/// Questions on their way at once (Kademlia's alpha).
const AT_ONCE: usize = 3;
/// How long a question waits for its answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Questions to one that is silent.
const TRIES: u32 = 3;

/// What a contact is to be asked next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    Point,
    Neighbours,
    Nothing,
}

/// Somebody heard of in a walk.
#[derive(Clone, Copy, Debug)]
struct Contact {
    addr: SocketAddr,
    id: NodeId,
    step: Step,
    tries: u32,
    waits_until: Option<Time>,
}

impl Contact {
    fn answers(&self) -> bool {
        self.step != Step::Point
    }
}

/// Walks, one after the other.
#[derive(Debug)]
pub(crate) struct Walker {
    router: SocketAddr,
    walks: usize,
    begun: u32,
    target: NodeId,
    /// When the router is asked for this walk; asked again as long as it names nobody.
    router_at: Option<Time>,
    heard: BTreeMap<Distance, Contact>,
    sent: BTreeMap<[u8; 4], Distance>,
    next: u32,
    eighths: Vec<f64>,
}

impl Walker {
    pub(crate) fn new(router: SocketAddr, walks: usize) -> Self {
        let mut walker = Self {
            router,
            walks,
            begun: 0,
            target: NodeId::new([0; 20]),
            router_at: None,
            heard: BTreeMap::new(),
            sent: BTreeMap::new(),
            next: 0,
            eighths: Vec::new(),
        };
        walker.begin(Time::ZERO);
        walker
    }

    /// Nodes by the distances of the eighth nearest (network-model 4.1a): `(L*k - 1) / sum`.
    pub(crate) fn nodes(&self) -> f64 {
        (self.eighths.len() as f64 * K as f64 - 1.0) / self.eighths.iter().sum::<f64>()
    }

    /// Whether so many walks as are wanted have found eight nodes.
    pub(crate) fn is_done(&self) -> bool {
        self.eighths.len() == self.walks
    }

    fn begin(&mut self, now: Time) {
        self.begun += 1;
        self.target = point(self.begun);
        self.router_at = Some(now);
        self.heard.clear();
        self.sent.clear();
    }

    fn answering(&self) -> impl Iterator<Item = &Distance> {
        self.heard
            .iter()
            .filter(|(_, contact)| contact.answers())
            .map(|(distance, _)| distance)
    }

    /// The nearest one to be asked now; none if eight nearer ones have answered, or enough is on its way.
    fn to_ask(&self) -> Option<Distance> {
        let eighth = self.answering().nth(K - 1);
        let mut waiting = 0;
        for (distance, contact) in &self.heard {
            if eighth.is_some_and(|eighth| distance > eighth) || waiting == AT_ONCE {
                return None;
            }
            if contact.waits_until.is_some() {
                waiting += 1;
            } else if contact.step != Step::Nothing && contact.tries < TRIES {
                return Some(*distance);
            }
        }
        None
    }

    /// When the first of those who wait has been silent for too long.
    fn silence(&self) -> Option<Time> {
        self.heard.values().filter_map(|contact| contact.waits_until).min()
    }

    fn heard(&mut self, now: Time, from: SocketAddr, message: &Message<'_>) {
        let Body::Reply(reply) = message.body else { return };
        let Ok(transaction) = <[u8; 4]>::try_from(message.transaction) else {
            return;
        };
        let asked = self.sent.get(&transaction).copied();
        if from == self.router {
            self.router_at = None;
        } else {
            let Some(contact) = asked.and_then(|asked| self.heard.get_mut(&asked)) else {
                return;
            };
            if contact.addr != from || contact.id != reply.id {
                return;
            }
            contact.step = match contact.step {
                Step::Point => Step::Neighbours,
                Step::Neighbours | Step::Nothing => Step::Nothing,
            };
            (contact.tries, contact.waits_until) = (0, None);
        }
        for contact in reply.contacts() {
            if contact.addr.port() == 6881 && contact.addr.ip().is_loopback() {
                self.heard.entry(self.target.distance(&contact.id)).or_insert(Contact {
                    addr: contact.addr,
                    id: contact.id,
                    step: Step::Point,
                    tries: 0,
                    waits_until: None,
                });
            }
        }
        if self.heard.is_empty() {
            self.router_at = Some(now + PATIENCE);
        }
    }

    /// Waits no longer for who is silent; ends walks that have nobody left to ask.
    fn settle(&mut self, now: Time) {
        for contact in self.heard.values_mut() {
            contact.waits_until = contact.waits_until.filter(|until| *until > now);
        }
        let over = self.router_at.is_none() && self.to_ask().is_none() && self.silence().is_none();
        if over && !self.is_done() {
            // A walk that the router has sent to too many dead contacts is none.
            let eighth = self.answering().nth(K - 1).map(Distance::share);
            self.eighths.extend(eighth);
            self.begin(now);
        }
    }

    fn ask(&mut self, target: NodeId, payload: &mut Vec<u8>) -> [u8; 4] {
        self.next += 1;
        let transaction = self.next.to_be_bytes();
        put_query(&transaction, Method::FindNode { target }, payload);
        transaction
    }
}

impl Machine for Walker {
    type Event = ();

    fn handle(&mut self, now: Time, input: Input<'_>) {
        if let Input::Datagram { from, bytes, .. } = input
            && let Ok(message) = Message::decode(bytes)
        {
            self.heard(now, from, &message);
        }
    }

    fn poll(&mut self, now: Time, payload: &mut Vec<u8>) -> Option<Output<()>> {
        self.settle(now);
        if self.is_done() {
            return None;
        }
        let to = if self.router_at.is_some_and(|at| at <= now) {
            self.router_at = Some(now + PATIENCE);
            self.ask(self.target, payload);
            self.router
        } else {
            let distance = self.to_ask()?;
            let contact = self.heard.get_mut(&distance)?;
            contact.tries += 1;
            contact.waits_until = Some(now + PATIENCE);
            let (to, id, step) = (contact.addr, contact.id, contact.step);
            let transaction = self.ask(if step == Step::Point { self.target } else { id }, payload);
            self.sent.insert(transaction, distance);
            to
        };
        let len = payload.len();
        Some(Output::Effect(Effect::Send { from: None, to, len }))
    }

    fn deadline(&self) -> Option<Time> {
        if self.is_done() {
            return None;
        }
        self.router_at.into_iter().chain(self.silence()).min()
    }
}
