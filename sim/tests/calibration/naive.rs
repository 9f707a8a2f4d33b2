//! A client that asks every contact it hears of, three times, and keeps a tally.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use wire::krpc::{Body, Message, Method, Query, Want};
use wire::{InfoHash, NodeId};
use world::{Effect, Input, Machine, Output, Time};

/// What a contact is asked, one after the other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Step {
    Fresh,
    Sample,
    SampleAgain,
    AfterFiveMinutes,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Ask {
    step: Step,
    to: SocketAddr,
    id: Option<NodeId>,
}

/// The tally of a sweep.
#[derive(Debug, Default)]
pub(crate) struct Naive {
    due: BTreeSet<(Time, Ask)>,
    sent: BTreeMap<[u8; 4], Ask>,
    known: BTreeSet<(SocketAddr, NodeId)>,
    next: u32,
    asked: BTreeMap<Step, u32>,
    answered: BTreeMap<Step, u32>,
    samples: BTreeMap<SocketAddr, Vec<InfoHash>>,
    large: Vec<usize>,
    frozen: (u32, u32),
    infohashes: BTreeSet<InfoHash>,
}

/// Between questions to one host.
const PAUSE: Duration = Duration::from_secs(5);
const FIVE_MINUTES: Duration = Duration::from_secs(300);

/// Points all over the key space: multiples of an odd constant.
pub(crate) fn point(number: u32) -> NodeId {
    let mut point = [0; 20];
    point[..4].copy_from_slice(&number.wrapping_mul(0x9e37_79b1).to_be_bytes());
    NodeId::new(point)
}

/// Appends a question as naive clients ask it.
pub(crate) fn put_query(transaction: &[u8], method: Method<'_>, payload: &mut Vec<u8>) {
    let id = NodeId::new([0x55; 20]);
    let want = Want::default();
    let mut message = Message::new(transaction, Body::Query(Query { id, method, want }));
    message.read_only = true;
    message.encode(payload);
}

impl Naive {
    pub(crate) fn new(router: SocketAddr) -> Self {
        let mut naive = Self::default();
        // A router is not a contact: asked as a fresh one, but often enough to get a start.
        for second in 0..5 {
            let ask = Ask {
                step: Step::Fresh,
                to: router,
                id: None,
            };
            naive.due.insert((Time::from_secs(second), ask));
        }
        naive
    }

    fn share(&self, part: Step, whole: Step) -> f64 {
        f64::from(self.answered[&part]) / f64::from(self.answered[&whole])
    }

    pub(crate) fn answered(&self) -> u32 {
        self.answered[&Step::Fresh]
    }

    pub(crate) fn share_of_contacts_that_answer(&self) -> f64 {
        f64::from(self.answered()) / f64::from(self.asked[&Step::Fresh])
    }

    pub(crate) fn share_that_samples(&self) -> f64 {
        self.share(Step::Sample, Step::Fresh)
    }

    pub(crate) fn share_that_still_answers(&self) -> f64 {
        self.share(Step::AfterFiveMinutes, Step::Fresh)
    }

    pub(crate) fn mean_sample_of_large_stores(&self) -> f64 {
        self.large.iter().sum::<usize>() as f64 / self.large.len() as f64
    }

    pub(crate) fn share_of_frozen_samples(&self) -> f64 {
        f64::from(self.frozen.0) / f64::from(self.frozen.1)
    }

    pub(crate) fn infohashes(&self) -> impl Iterator<Item = &InfoHash> {
        self.infohashes.iter()
    }

    fn heard(&mut self, now: Time, from: SocketAddr, message: &Message<'_>) {
        let Ok(transaction) = <[u8; 4]>::try_from(message.transaction) else {
            return;
        };
        let Some(ask) = self.sent.remove(&transaction).filter(|ask| ask.to == from) else {
            return;
        };
        let Body::Reply(reply) = message.body else {
            return;
        };
        if ask.id.is_some_and(|id| id != reply.id) {
            return;
        }
        for contact in reply
            .contacts()
            .filter(|contact| contact.addr.port() != 0 && contact.addr.ip().is_loopback())
        {
            if contact.addr.port() == 6881 && self.known.insert((contact.addr, contact.id)) {
                let ask = Ask {
                    step: Step::Fresh,
                    to: contact.addr,
                    id: Some(contact.id),
                };
                self.due.insert((now, ask));
            }
        }
        let Some(id) = ask.id else { return };
        let libtorrent = message.version.is_some_and(|version| version.starts_with(b"LT"));
        let mut next = |step, after| {
            let ask = Ask {
                step,
                id: Some(id),
                ..ask
            };
            self.due.insert((now + after, ask));
        };
        match ask.step {
            Step::Fresh => {
                next(Step::Sample, PAUSE);
                next(Step::AfterFiveMinutes, 2 * PAUSE + FIVE_MINUTES);
            }
            Step::Sample if reply.samples.is_some() => {
                next(Step::SampleAgain, PAUSE);
                let samples: Vec<InfoHash> = reply.samples().collect();
                if reply.num > Some(20) {
                    self.large.push(samples.len());
                }
                self.infohashes.extend(&samples);
                self.samples.insert(from, samples);
            }
            // Honest ones only: no libtorrent node holds more than 2000 keys.
            Step::SampleAgain if libtorrent && (20..=2000).contains(&reply.num.unwrap_or(0)) => {
                let first = self.samples.get(&from).into_iter().flatten();
                self.frozen.0 += u32::from(reply.samples().eq(first.copied()));
                self.frozen.1 += 1;
            }
            _ => {}
        }
        if ask.step != Step::Sample || reply.samples.is_some() {
            *self.answered.entry(ask.step).or_default() += 1;
        }
    }
}

impl Machine for Naive {
    type Event = ();

    fn handle(&mut self, now: Time, input: Input<'_>) {
        if let Input::Datagram { from, bytes, .. } = input
            && let Ok(message) = Message::decode(bytes)
        {
            self.heard(now, from, &message);
        }
    }

    fn poll(&mut self, now: Time, payload: &mut Vec<u8>) -> Option<Output<()>> {
        if self.due.first()?.0 > now {
            return None;
        }
        let (_, ask) = self.due.pop_first()?;
        self.next += 1;
        let transaction = self.next.to_be_bytes();
        let target = point(self.next);
        let method = match ask.step {
            Step::Fresh | Step::AfterFiveMinutes => Method::FindNode { target },
            Step::Sample | Step::SampleAgain => Method::SampleInfohashes { target },
        };
        put_query(&transaction, method, payload);
        if ask.id.is_some() {
            *self.asked.entry(ask.step).or_default() += 1;
        }
        let to = ask.to;
        self.sent.insert(transaction, ask);
        let len = payload.len();
        Some(Output::Effect(Effect::Send { from: None, to, len }))
    }

    fn deadline(&self) -> Option<Time> {
        self.due.first().map(|(at, _)| *at)
    }
}
