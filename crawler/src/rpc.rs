//! Questions on the wire: who was asked what, and which answers may be believed.
//!
//! An answer counts only if its transaction, its source address and, where we knew it, the node id are those of an
//! outstanding question (crawlers R13): without that, samples and peers are easily forged.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use rand::Rng;
use rand::rngs::ChaCha8Rng;
use wire::{InfoHash, NodeId};
use world::{Seed, Time};

use crate::alarms::Alarms;
use crate::config;
use crate::event::{AskId, LookupId};
use crate::rtt::RoundTrips;
use crate::stats::Asked;

/// What can be asked of a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Question {
    /// Are you there (BEP 5)?
    Ping,
    /// Which nodes do you know near this point (BEP 5)?
    FindNode(NodeId),
    /// Which peers, or else nodes near it, do you know for this torrent (BEP 5)?
    GetPeers(InfoHash),
    /// How many peers do you know for this torrent (BEP 33)?
    Scrape(InfoHash),
    /// Which infohashes do you store, and which nodes do you know near this point (BEP 51)?
    Sample(NodeId),
}

impl Question {
    /// The point of the key space that it names.
    pub(crate) const fn point(self) -> Option<NodeId> {
        match self {
            Self::Ping => None,
            Self::FindNode(target) | Self::Sample(target) => Some(target),
            Self::GetPeers(info_hash) | Self::Scrape(info_hash) => Some(info_hash.as_target()),
        }
    }
}

/// What is sent to a node: a question that anybody may ask, or what only this node itself sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Request {
    Question(Question),
    /// `announce_peer` (BEP 5), whose token is kept in `announces` under this number.
    Announce {
        info_hash: InfoHash,
        number: u32,
    },
}

impl Request {
    /// Its kind, for counting.
    pub(crate) const fn asked(self) -> Asked {
        match self {
            Self::Question(Question::Ping) => Asked::Ping,
            Self::Question(Question::FindNode(_)) => Asked::FindNode,
            Self::Question(Question::GetPeers(_) | Question::Scrape(_)) => Asked::GetPeers,
            Self::Question(Question::Sample(_)) => Asked::Sample,
            Self::Announce { .. } => Asked::Announce,
        }
    }

    /// The point of the key space that it names.
    pub(crate) const fn point(self) -> Option<NodeId> {
        match self {
            Self::Question(question) => question.point(),
            Self::Announce { info_hash, .. } => Some(info_hash.as_target()),
        }
    }
}

/// Who in this node asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Asker {
    /// The upkeep of the routing table.
    Upkeep,
    /// A lookup, and the slot where it runs.
    Lookup { slot: usize, lookup: LookupId },
    /// The owner, a single question.
    Owner(AskId),
    /// The sampler.
    Sampler,
    /// Who announces what this program serves.
    Announcer,
}

/// One question to one address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Call {
    pub(crate) to: SocketAddr,
    /// The id that the node must answer with, where it is known.
    pub(crate) id: Option<NodeId>,
    pub(crate) request: Request,
    pub(crate) asker: Asker,
}

/// Why an answer is not believed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mismatch {
    /// No outstanding question has this transaction.
    UnknownTransaction,
    /// Somebody else than the one asked; the question stays outstanding, or a forger could silence anyone.
    WrongAddress,
    /// The right host after the timeout, or a second time. The question, if this is its first answer, with the right id:
    /// its asker has gone on, and what it says is still true.
    Late(Option<Call>),
    /// The right host under another id than the one asked for; the question is over.
    WrongId(Call),
}

/// A transaction id: which slot, and 32 bits that a stranger must guess.
pub(crate) type Transaction = [u8; 6];

const NOWHERE: Call = Call {
    to: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
    id: None,
    request: Request::Question(Question::Ping),
    asker: Asker::Upkeep,
};

#[derive(Debug)]
struct Slot {
    call: Call,
    nonce: [u8; 4],
    sent: Time,
    /// False once answered or timed out; what it held stays for recognising a late answer until the slot is reused.
    waiting: bool,
    answered: bool,
}

/// The outstanding questions: a table of fixed size, whose slots are reused oldest first.
#[derive(Debug)]
pub(crate) struct Rpc {
    slots: Vec<Slot>,
    free: VecDeque<usize>,
    alarms: Alarms,
    chance: ChaCha8Rng,
    trips: RoundTrips,
    timeout: Duration,
    config: config::Rpc,
}

impl Rpc {
    pub(crate) fn new(config: config::Rpc, seed: Seed) -> Self {
        let slots = config.max_outstanding.clamp(1, usize::from(u16::MAX));
        Self {
            slots: (0..slots).map(|_| Slot::unused()).collect(),
            free: (0..slots).collect(),
            alarms: Alarms::new(slots),
            chance: seed.derive("rpc").rng(),
            trips: RoundTrips::new(),
            timeout: config.initial_timeout,
            config,
        }
    }

    /// Whether one more question may be outstanding. If not, askers wait: nothing is lost.
    pub(crate) fn has_room(&self) -> bool {
        !self.free.is_empty()
    }

    /// How long a question sent now waits for its answer.
    pub(crate) const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// How many questions are outstanding.
    pub(crate) fn outstanding(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// A question is being sent: gives its transaction id, or `None` if there is no room.
    pub(crate) fn begin(&mut self, now: Time, call: Call) -> Option<Transaction> {
        let index = self.free.pop_front()?;
        let mut nonce = [0; 4];
        self.chance.fill_bytes(&mut nonce);
        self.slots[index] = Slot {
            call,
            nonce,
            sent: now,
            waiting: true,
            answered: false,
        };
        self.alarms.set(index, now + self.timeout);
        let number = u16::try_from(index).unwrap_or(u16::MAX).to_be_bytes();
        Some([number[0], number[1], nonce[0], nonce[1], nonce[2], nonce[3]])
    }

    /// An answer (`id` of who answers) or an error (`None`: errors carry no id) arrived.
    pub(crate) fn settle(
        &mut self,
        now: Time,
        from: SocketAddr,
        transaction: &[u8],
        id: Option<NodeId>,
    ) -> Result<(Call, Duration), Mismatch> {
        let index = self.find(transaction).ok_or(Mismatch::UnknownTransaction)?;
        let slot = &mut self.slots[index];
        if slot.call.to != from {
            return Err(Mismatch::WrongAddress);
        }
        let rtt = now.since(slot.sent);
        let (waiting, call) = (slot.waiting, slot.call);
        let first = !std::mem::replace(&mut slot.answered, true);
        if first {
            self.learn(rtt);
        }
        if !waiting {
            let right_id = call.id.is_none() || id.is_none() || call.id == id;
            return Err(Mismatch::Late((first && right_id).then_some(call)));
        }
        self.release(index);
        match (call.id, id) {
            (Some(expected), Some(id)) if expected != id => Err(Mismatch::WrongId(call)),
            _ => Ok((call, rtt)),
        }
    }

    /// The next question that was not answered in time.
    pub(crate) fn expire(&mut self, now: Time) -> Option<Call> {
        let (at, index) = self.alarms.first()?;
        if at > now {
            return None;
        }
        self.release(index);
        Some(self.slots[index].call)
    }

    /// When the next question times out.
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.alarms.first().map(|(at, _)| at)
    }

    fn find(&self, transaction: &[u8]) -> Option<usize> {
        let [high, low, nonce @ ..] = *<&Transaction>::try_from(transaction).ok()?;
        let index = usize::from(u16::from_be_bytes([high, low]));
        let slot = self.slots.get(index)?;
        (slot.nonce == nonce && slot.sent != Time::MAX).then_some(index)
    }

    fn release(&mut self, index: usize) {
        self.slots[index].waiting = false;
        self.alarms.clear(index);
        self.free.push_back(index);
    }

    fn learn(&mut self, rtt: Duration) {
        self.trips.note(rtt);
        if let Some(patience) = self.trips.patience() {
            self.timeout = patience.clamp(self.config.min_timeout, self.config.max_timeout);
        }
    }
}

impl Slot {
    /// Never used: `sent` at the end of time marks it, so that a guessed transaction of zeros finds nothing.
    const fn unused() -> Self {
        Self {
            call: NOWHERE,
            nonce: [0; 4],
            sent: Time::MAX,
            waiting: false,
            answered: false,
        }
    }
}

#[cfg(test)]
mod tests;
