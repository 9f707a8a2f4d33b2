//! What is known of each node that was ever named or answered, outside the routing table (crawlers R1).
//!
//! A routing table keeps eight nodes of each distance; a crawl needs all of them, and when each was last asked. The
//! ledger keeps up to a million nodes in 64 bytes each (IPv6: 80), found by address, by place in the key space, and by
//! when they may be asked again:
//!
//! * by address: `Endpoints`, of fixed size;
//! * by id: buckets of the ids with a common prefix, about eight nodes in each when the ledger is full. The occupied
//!   buckets in order of their distance from a point are a walk over `Bits`, so the nearest known nodes cost no more
//!   than the few buckets that hold them;
//! * by turn: the buckets with a node that may be asked now, in bit-reversed (van der Corput) order, so that any part of a
//!   crawl is spread over the key space (crawlers R2); and `Later`, a heap of those that may not.
//!
//! When full, a newcomer displaces the least worthy node of its own bucket, if that is worth less: first those that were
//! asked and never answered. Otherwise it is refused. A bucket holds at most 64 nodes even while there is room, so
//! whoever forges nodes by the thousand near one key displaces nobody elsewhere, and each walk stays short.

mod bits;
mod client;
mod endpoints;
pub(crate) mod kept;
mod later;
mod node;

use std::net::SocketAddr;

use wire::NodeId;
use world::Seed;

use crate::guard::place::endpoint;
use crate::tagged::Tagged;
use crate::{Contact, Family, Few, K, Nearest};
use bits::Bits;
use endpoints::Endpoints;
use later::Later;
use node::{NONE, Place};

pub use client::Client;
pub use kept::KeptError;
pub(crate) use node::{Node, USUAL_SAMPLE};
pub use node::{Probe, Standing, Turn};

/// Nodes in a bucket, at most: eight times what is expected in a full ledger.
const MAX_BUCKET: usize = 8 * K;

/// Nodes looked at for one [`Ledger::closest`], at most: where few of many answer, the nearest of those may be missed.
const MAX_VISITED: usize = 4 * MAX_BUCKET;

/// How we came to hear of a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Provenance {
    /// Another node named it.
    Named,
    /// It asked us something: its address may be forged.
    Queried,
    /// It answered us: its address and id are its own.
    Answered,
}

/// A node in the ledger; valid until it is forgotten.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Entry(u32);

/// What became of a contact.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Learned {
    /// It is in the ledger now, and may be asked.
    New(Entry),
    /// It was there before.
    Known(Entry),
    /// No room.
    Full,
}

/// The ledger.
pub(crate) struct Ledger {
    nodes: Vec<Node>,
    /// First of the forgotten nodes, linked by [`Node::next`].
    free: u32,
    /// Nodes of the IPv4 and of the IPv6 DHT.
    len: [usize; 2],
    max_nodes: usize,
    evicted: u64,
    endpoints: Endpoints,
    /// Bits of an id that choose its bucket.
    bits: u32,
    heads: Vec<u32>,
    occupied: Bits,
    ready: [Bits; Turn::ALL.len()],
    later: Later,
}

impl Ledger {
    pub(crate) fn new(max_nodes: usize, seed: Seed) -> Self {
        let max_nodes = max_nodes.clamp(1, Tagged::NUMBERS as usize);
        let bits = (max_nodes / K).max(1).ilog2();
        Self {
            nodes: Vec::new(),
            free: NONE,
            len: [0; 2],
            max_nodes,
            evicted: 0,
            endpoints: Endpoints::new(max_nodes, seed),
            bits,
            heads: vec![NONE; 1 << bits],
            occupied: Bits::new(bits),
            ready: std::array::from_fn(|_| Bits::new(bits)),
            later: Later::default(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len.iter().sum()
    }

    pub(crate) const fn len_of(&self, family: Family) -> usize {
        self.len[family as usize]
    }

    /// Nodes displaced by worthier ones.
    pub(crate) const fn evicted(&self) -> u64 {
        self.evicted
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.nodes.capacity() * size_of::<Node>()
            + self.endpoints.bytes()
            + self.heads.capacity() * size_of::<u32>()
            + self.occupied.bytes()
            + self.ready.iter().map(Bits::bytes).sum::<usize>()
            + self.later.bytes()
    }

    pub(crate) fn find(&self, addr: &SocketAddr) -> Option<Entry> {
        self.endpoints.find(&self.nodes, &endpoint(*addr)).map(Entry)
    }

    pub(crate) fn node(&self, entry: Entry) -> &Node {
        &self.nodes[entry.0 as usize]
    }

    pub(crate) fn contact(&self, entry: Entry) -> Contact {
        let node = self.node(entry);
        Contact {
            id: node.id,
            addr: self.endpoints.addr(node),
        }
    }

    /// Takes note of a contact. An address has one id: its own word for it, or else what was said of it first, until it
    /// fails to answer to that.
    pub(crate) fn learn(&mut self, contact: &Contact, provenance: Provenance) -> Learned {
        let addr = endpoint(contact.addr);
        if let Some(number) = self.endpoints.find(&self.nodes, &addr) {
            let node = &mut self.nodes[number as usize];
            if provenance == Provenance::Named {
                node.named = node.named.saturating_add(1);
            }
            let believed =
                provenance == Provenance::Answered || node.failures > 0 && !matches!(node.place, Place::Asked(_));
            let worth = node.worth();
            // Renames obey the bound of a bucket, or forged ids would fill one after all.
            if node.id != contact.id && believed && self.make_room(self.bucket(&contact.id), worth, 0) {
                self.rename(number, contact.id);
            }
            return Learned::Known(Entry(number));
        }
        let standing = if provenance == Provenance::Answered {
            Standing::Alive
        } else {
            Standing::Hearsay
        };
        let (ip, v6) = self.endpoints.intern(addr.ip());
        let node = Node {
            id: contact.id,
            ip,
            port: addr.port(),
            interval: 0,
            next: NONE,
            heap: NONE,
            due: 0,
            asked: 0,
            num: 0,
            failures: 0,
            named: u8::from(provenance == Provenance::Named),
            client: Client::Unknown,
            standing,
            place: Place::Ready,
            v6,
        };
        if !self.make_room(self.bucket(&contact.id), node.worth(), 1) {
            self.endpoints.release(&node);
            return Learned::Full;
        }
        let number = self.store(node);
        self.endpoints.insert(&self.nodes, number);
        self.len[Family::of(&addr) as usize] += 1;
        self.link(number);
        self.show(number);
        Learned::New(Entry(number))
    }

    /// Changes what is known of a node. Its turn may change with it.
    pub(crate) fn update(&mut self, entry: Entry, change: impl FnOnce(&mut Node)) {
        let mut changed = *self.node(entry);
        change(&mut changed);
        // Most updates only confirm what is known: those leave its bucket alone.
        let moves = changed.turn() != self.node(entry).turn();
        if moves {
            self.hide(entry.0);
        }
        self.nodes[entry.0 as usize] = changed;
        if moves {
            self.show(entry.0);
        }
    }

    /// It was asked `probe` at `now`, and should have answered by `overdue`.
    pub(crate) fn ask(&mut self, entry: Entry, probe: Probe, now: u32, overdue: u32) {
        self.nodes[entry.0 as usize].asked = now;
        self.place(entry.0, Place::Asked(probe), overdue);
    }

    /// What it was asked, if nothing came of it yet.
    pub(crate) fn asked(&self, entry: Entry) -> Option<Probe> {
        match self.node(entry).place {
            Place::Asked(probe) => Some(probe),
            Place::Ready | Place::Waiting => None,
        }
    }

    /// When it may be asked again, if it may not be now.
    pub(crate) fn waits_until(&self, entry: Entry) -> Option<u32> {
        let node = self.node(entry);
        (node.place == Place::Waiting).then_some(node.due)
    }

    /// Leaves a node alone until `due`.
    pub(crate) fn put_off(&mut self, entry: Entry, due: u32) {
        self.place(entry.0, Place::Waiting, due);
    }

    /// The next moment at which a node becomes ready, or is overdue.
    pub(crate) fn first_due(&self) -> Option<u32> {
        self.later.first().map(|number| self.nodes[number as usize].due)
    }

    /// Makes the first node that is due by `now` ready. `None` if none is due; otherwise whether, instead, an answer was
    /// overdue: such a node stays asked, and the caller says what becomes of it.
    pub(crate) fn wake(&mut self, now: u32) -> Option<Option<Entry>> {
        let number = self.later.first()?;
        let node = &self.nodes[number as usize];
        if node.due > now {
            return None;
        }
        if matches!(node.place, Place::Asked(_)) {
            return Some(Some(Entry(number)));
        }
        self.place(number, Place::Ready, 0);
        Some(None)
    }

    /// Bits of an id that its place in the ledger is found by.
    pub(crate) const fn bits(&self) -> u32 {
        self.bits
    }

    /// Whether it may be asked now.
    pub(crate) fn is_ready(&self, entry: Entry) -> bool {
        self.node(entry).place == Place::Ready
    }

    /// Whether it may be asked now, and this is its turn.
    pub(crate) fn is_next(&self, entry: Entry, turn: Turn) -> bool {
        self.is_ready(entry) && self.node(entry).turn() == turn
    }

    /// The nodes whose ids begin with these `bits`, which are at most those of [`Ledger::bits`].
    pub(crate) fn in_zone(&self, prefix: u32, bits: u32) -> impl Iterator<Item = Entry> {
        let width = self.bits.saturating_sub(bits);
        let first = (prefix as usize) << width;
        (first..first + (1 << width))
            .filter(|&bucket| bucket < self.heads.len())
            .flat_map(|bucket| self.bucket_of(bucket))
            .map(Entry)
    }

    pub(crate) fn any_ready(&self) -> bool {
        self.ready.iter().any(|ready| !ready.is_empty())
    }

    /// A ready node with this turn, from the bucket after that of the last one in scattered order. It stays ready.
    pub(crate) fn next_ready(&self, turn: Turn, cursor: &mut usize) -> Option<Entry> {
        let ready = &self.ready[turn as usize];
        let rank = ready.next(*cursor, 0).or_else(|| ready.next(0, 0))?;
        *cursor = rank + 1;
        let candidates = self.ready_in(self.reversed(rank), turn);
        // The one named most often: where several share a bucket, it is the least likely to be dead or invented.
        candidates
            .max_by_key(|&number| self.nodes[number as usize].named)
            .map(Entry)
    }

    /// The nodes nearest to `target` that answered when they were last asked, nearest first.
    pub(crate) fn closest(&self, target: &NodeId, family: Family) -> Few {
        let mut nearest = Nearest::to(target);
        let origin = self.bucket(target);
        let mut visited = 0;
        let mut from = 0;
        while let Some(distance) = self.occupied.next(from, origin) {
            for number in self.bucket_of(distance ^ origin) {
                let node = &self.nodes[number as usize];
                visited += 1;
                if node.standing != Standing::Hearsay && node.failures == 0 && node.v6 == (family == Family::V6) {
                    nearest.offer(&self.contact(Entry(number)));
                }
            }
            // Whatever is in a further bucket is further away.
            if nearest.is_full() || visited >= MAX_VISITED {
                break;
            }
            from = distance + 1;
        }
        nearest.few()
    }

    /// Forgets a node.
    pub(crate) fn remove(&mut self, entry: Entry) {
        let number = entry.0;
        self.hide(number);
        self.later.remove(&mut self.nodes, number);
        self.unlink(number);
        self.endpoints.remove(&self.nodes, number);
        let node = &mut self.nodes[number as usize];
        self.len[usize::from(node.v6)] -= 1;
        self.endpoints.release(node);
        // Whoever remembers the entry must not take it for one that may be asked.
        node.place = Place::Waiting;
        node.next = self.free;
        self.free = number;
    }

    /// Room in `bucket` for one more node, `more` of them new to the ledger, by displacing one worth less than `worth` if
    /// need be.
    fn make_room(&mut self, bucket: usize, worth: u8, more: usize) -> bool {
        if self.len() + more <= self.max_nodes && self.bucket_of(bucket).count() < MAX_BUCKET {
            return true;
        }
        let displaceable = self.bucket_of(bucket).filter(|&number| {
            let node = &self.nodes[number as usize];
            !matches!(node.place, Place::Asked(_)) && node.worth() < worth
        });
        let Some(least) = displaceable.min_by_key(|&number| self.nodes[number as usize].worth()) else {
            return false;
        };
        self.remove(Entry(least));
        self.evicted += 1;
        true
    }

    fn store(&mut self, node: Node) -> u32 {
        if self.free != NONE {
            let number = self.free;
            self.free = self.nodes[number as usize].next;
            self.nodes[number as usize] = node;
            return number;
        }
        if self.nodes.len() == self.nodes.capacity() {
            self.nodes.reserve_exact(self.nodes.len() / 16 + 64);
        }
        self.nodes.push(node);
        (self.nodes.len() - 1) as u32
    }

    fn rename(&mut self, number: u32, id: NodeId) {
        self.hide(number);
        self.unlink(number);
        self.nodes[number as usize].id = id;
        self.link(number);
        self.show(number);
    }

    fn place(&mut self, number: u32, place: Place, due: u32) {
        self.hide(number);
        self.later.remove(&mut self.nodes, number);
        let node = &mut self.nodes[number as usize];
        node.place = place;
        node.due = due;
        if place == Place::Ready {
            self.show(number);
        } else {
            self.later.push(&mut self.nodes, number);
        }
    }

    /// Marks the bucket of a ready node.
    fn show(&mut self, number: u32) {
        let node = &self.nodes[number as usize];
        if node.place == Place::Ready {
            let rank = self.reversed(self.bucket(&node.id));
            self.ready[node.turn() as usize].insert(rank);
        }
    }

    /// Takes the mark off the bucket of a ready node, unless another node there has the same turn.
    fn hide(&mut self, number: u32) {
        let node = &self.nodes[number as usize];
        if node.place != Place::Ready {
            return;
        }
        let (turn, bucket) = (node.turn(), self.bucket(&node.id));
        if self.ready_in(bucket, turn).all(|other| other == number) {
            let rank = self.reversed(bucket);
            self.ready[turn as usize].remove(rank);
        }
    }

    fn ready_in(&self, bucket: usize, turn: Turn) -> impl Iterator<Item = u32> {
        self.bucket_of(bucket).filter(move |&number| {
            let node = &self.nodes[number as usize];
            node.place == Place::Ready && node.turn() == turn
        })
    }

    fn bucket(&self, id: &NodeId) -> usize {
        let [a, b, c, d, ..] = *id.as_bytes();
        (u64::from(u32::from_be_bytes([a, b, c, d])) >> (u32::BITS - self.bits)) as usize
    }

    /// The rank of a bucket in scattered order, and the bucket of a rank.
    const fn reversed(&self, bucket: usize) -> usize {
        ((bucket as u64).reverse_bits() >> (u64::BITS - 1 - self.bits) >> 1) as usize
    }

    fn bucket_of(&self, bucket: usize) -> impl Iterator<Item = u32> {
        let some = |number| (number != NONE).then_some(number);
        std::iter::successors(some(self.heads[bucket]), move |&number| {
            some(self.nodes[number as usize].next)
        })
    }

    fn link(&mut self, number: u32) {
        let bucket = self.bucket(&self.nodes[number as usize].id);
        self.nodes[number as usize].next = self.heads[bucket];
        self.heads[bucket] = number;
        self.occupied.insert(bucket);
    }

    fn unlink(&mut self, number: u32) {
        let Node { id, next, .. } = self.nodes[number as usize];
        let bucket = self.bucket(&id);
        let before = self
            .bucket_of(bucket)
            .find(|&other| self.nodes[other as usize].next == number);
        match before {
            Some(before) => self.nodes[before as usize].next = next,
            None => self.heads[bucket] = next,
        }
        if self.heads[bucket] == NONE {
            self.occupied.remove(bucket);
        }
    }
}

#[cfg(test)]
mod tests;
