//! The routing table of one address family (Kademlia 2.2 and 2.4, BEP 5).
//!
//! Only nodes that answered us are in it. A bucket holds [`K`] of them and as many spares, which replace a failing node
//! at once; without a spare it stays until it failed often (DHT-06). One node per IP address (crawlers R13), in a lab
//! one per endpoint. Routers never get here: the node filters them.

use rand::Rng;
use rand::rngs::ChaCha8Rng;
use wire::NodeId;
use world::{Seed, Time};

use crate::config;
use crate::contacts::{Closest, Contact, Family, Few, Nearest};

mod bucket;
use bucket::{Bucket, Entry};

/// An id has this many bits, and a table at most this many buckets.
const BITS: usize = 160;

/// What keeps a table in order, one step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Upkeep {
    /// Ask this questionable node whether it is still there.
    Ping(Contact),
    /// Walk to this point: its bucket has been quiet.
    Refresh(NodeId),
}

/// How many nodes a table holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TableSize {
    /// Nodes in buckets (DHT-19 `dht_nodes`).
    pub nodes: usize,
    /// Of these, without a failure since they last answered.
    pub good: usize,
    /// Spares (DHT-19 `dht_cache_nodes`).
    pub spares: usize,
    /// Buckets.
    pub buckets: usize,
}

#[derive(Debug)]
pub(crate) struct Table {
    me: NodeId,
    family: Family,
    /// Bucket `i` holds the nodes that share exactly `i` leading bits with us; the last one all nearer ones too.
    buckets: Vec<Bucket>,
    config: config::Routing,
    lab: bool,
    /// No upkeep is due before this; a lower bound, made exact whenever it is reached.
    next_upkeep: Time,
    /// For the points that refreshes walk to.
    chance: ChaCha8Rng,
}

impl Table {
    pub(crate) fn new(family: Family, me: NodeId, config: config::Routing, lab: bool, seed: Seed) -> Self {
        Self {
            me,
            family,
            buckets: vec![Bucket::new(Time::MAX)],
            config,
            lab,
            next_upkeep: Time::MAX,
            chance: seed.derive("routing").rng(),
        }
    }

    /// The id that the buckets are arranged around.
    pub(crate) const fn me(&self) -> NodeId {
        self.me
    }

    /// `contact` answered us, under the id we expected: it is, or becomes, a good node.
    pub(crate) fn answered(&mut self, now: Time, contact: Contact) {
        if contact.id == self.me || Family::of(&contact.addr) != self.family {
            return;
        }
        let index = self.index(&contact.id);
        let due = now + self.config.questionable_after;
        let entry = Entry::answered(contact, due);
        if let Some(held) = self.buckets[index].find(&contact.id) {
            // An id that moves is taken over only if its old address fails: or anybody could take anyone's place.
            if held.contact.addr == contact.addr || held.fails > 0 {
                *held = entry;
                self.buckets[index].refresh_due = now + self.config.refresh_after;
            }
            return;
        }
        if self.buckets[index].has_place() {
            if self.holds_host(&contact) {
                return;
            }
            self.insert(now, entry);
        } else if index + 1 == self.buckets.len() && self.buckets.len() < BITS {
            if self.holds_host(&contact) {
                return;
            }
            self.split(now);
            self.insert(now, entry);
        } else {
            self.buckets[index].keep_spare(entry);
        }
    }

    /// Whether `contact` would find a place if it answered us: worth a ping.
    pub(crate) fn wants(&self, contact: &Contact) -> bool {
        let index = self.index(&contact.id);
        let bucket = &self.buckets[index];
        let splits = index + 1 == self.buckets.len() && self.buckets.len() < BITS;
        contact.id != self.me
            && Family::of(&contact.addr) == self.family
            && !bucket.holds(&contact.id)
            && (bucket.has_place() || splits)
            && !self.holds_host(contact)
    }

    /// `contact` asked us something. BEP 5: a node that answered once and now asks is as good as one that answers.
    pub(crate) fn heard(&mut self, now: Time, contact: &Contact) {
        let due = now + self.config.questionable_after;
        let index = self.index(&contact.id);
        if let Some(held) = self.buckets[index].find(&contact.id)
            && held.contact.addr == contact.addr
            && held.fails == 0
        {
            held.due = due;
        }
    }

    /// `contact` did not answer in time.
    pub(crate) fn silent(&mut self, now: Time, contact: &Contact) {
        let index = self.index(&contact.id);
        let Some(held) = self.buckets[index].find(&contact.id) else {
            return;
        };
        if held.contact.addr != contact.addr {
            return;
        }
        held.fails = held.fails.saturating_add(1);
        // A fresh question to a node that fails is worth little: wait longer after each failure.
        held.due = now + bucket::RETRY * u32::from(held.fails);
        if let Some(spare) = self.take_spare(index) {
            self.buckets[index].remove(&contact.id);
            self.insert(now, spare);
        } else if self.buckets[index].failed_often(&contact.id, self.config.max_fail_count) {
            self.buckets[index].remove(&contact.id);
        }
    }

    /// The node at this address is not who it was said to be: neither is anything else that we hold of `contact`.
    pub(crate) fn suspect(&mut self, contact: &Contact) {
        let index = self.index(&contact.id);
        let bucket = &mut self.buckets[index];
        if bucket
            .find(&contact.id)
            .is_some_and(|held| held.contact.addr == contact.addr)
        {
            bucket.remove(&contact.id);
        }
        bucket.spare.retain(|held| held.contact.addr != contact.addr);
    }

    /// The next step of upkeep that is due, if any. Taking it puts the next one for the same node or bucket off.
    pub(crate) fn upkeep(&mut self, now: Time) -> Option<Upkeep> {
        if now < self.next_upkeep {
            return None;
        }
        let mut next = Time::MAX;
        for index in 0..self.buckets.len() {
            let bucket = &mut self.buckets[index];
            if bucket.refresh_due <= now {
                bucket.refresh_due = now + self.config.refresh_after;
                return Some(Upkeep::Refresh(self.within(index)));
            }
            next = next.min(bucket.refresh_due);
            for entry in &mut bucket.live {
                if entry.due <= now {
                    entry.due = now + bucket::RETRY;
                    return Some(Upkeep::Ping(entry.contact));
                }
                next = next.min(entry.due);
            }
        }
        self.next_upkeep = next;
        None
    }

    /// The step that [`Table::upkeep`] gave could not be taken yet: give it again at `at`.
    pub(crate) fn put_off(&mut self, step: &Upkeep, at: Time) {
        match step {
            Upkeep::Ping(contact) => {
                let index = self.index(&contact.id);
                if let Some(held) = self.buckets[index].find(&contact.id) {
                    held.due = at;
                }
            }
            Upkeep::Refresh(target) => {
                let index = self.index(target);
                self.buckets[index].refresh_due = at;
            }
        }
        self.next_upkeep = self.next_upkeep.min(at);
    }

    /// When upkeep may be due next; never later than it is.
    pub(crate) const fn wake(&self) -> Time {
        self.next_upkeep
    }

    /// All nodes in buckets: good ones and failing ones.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = Contact> + '_ {
        self.buckets
            .iter()
            .flat_map(|bucket| bucket.live.iter().map(|entry| entry.contact))
    }

    /// How many nodes are held.
    pub(crate) fn size(&self) -> TableSize {
        let mut size = TableSize {
            buckets: self.buckets.len(),
            ..TableSize::default()
        };
        for bucket in &self.buckets {
            size.nodes += bucket.live.len();
            size.good += bucket.live.iter().filter(|entry| entry.fails == 0).count();
            size.spares += bucket.spare.len();
        }
        size
    }

    /// Whether no node in it is known to be good.
    pub(crate) fn is_useless(&self) -> bool {
        !self
            .buckets
            .iter()
            .any(|bucket| bucket.live.iter().any(|entry| entry.fails == 0))
    }

    /// The same nodes around another id of ours.
    pub(crate) fn rebuilt(&self, now: Time, me: NodeId, seed: Seed) -> Self {
        let mut table = Self::new(self.family, me, self.config, self.lab, seed);
        for bucket in &self.buckets {
            for entry in bucket.live.iter().chain(&bucket.spare) {
                if entry.fails == 0 {
                    table.answered(now, entry.contact);
                }
            }
        }
        table
    }

    fn index(&self, id: &NodeId) -> usize {
        let shared = usize::try_from(self.me.common_prefix(id)).unwrap_or(BITS);
        shared.min(self.buckets.len() - 1)
    }

    /// Puts `entry` into its bucket, splitting the last one as long as it overflows; a spare if there is no place.
    fn insert(&mut self, now: Time, entry: Entry) {
        loop {
            let index = self.index(&entry.contact.id);
            let splits = index + 1 == self.buckets.len() && self.buckets.len() < BITS;
            let bucket = &mut self.buckets[index];
            if bucket.has_place() {
                bucket.place(entry);
                let quiet_until = now + self.config.refresh_after;
                bucket.refresh_due = if bucket.is_full() {
                    quiet_until
                } else {
                    bucket.refresh_due.min(quiet_until)
                };
                self.next_upkeep = self.next_upkeep.min(entry.due).min(bucket.refresh_due);
                return;
            }
            if !splits {
                bucket.keep_spare(entry);
                return;
            }
            self.split(now);
        }
    }

    fn split(&mut self, now: Time) {
        let depth = self.buckets.len() - 1;
        let me = self.me;
        let is_nearer = |entry: &Entry| usize::try_from(me.common_prefix(&entry.contact.id)).unwrap_or(BITS) > depth;
        let mut nearer = Bucket::new(Time::MAX);
        let last = &mut self.buckets[depth];
        nearer.live.extend(last.live.extract_if(.., |entry| is_nearer(entry)));
        nearer.spare.extend(last.spare.extract_if(.., |entry| is_nearer(entry)));
        // Each half is known less well than it could be. Unless it soon fills by itself, walk into it.
        let settled = now + bucket::SETTLE;
        for half in [last, &mut nearer] {
            if !half.is_full() {
                half.refresh_due = settled;
            }
        }
        self.buckets.push(nearer);
        self.next_upkeep = self.next_upkeep.min(settled);
    }

    fn take_spare(&mut self, index: usize) -> Option<Entry> {
        while let Some(spare) = self.buckets[index].spare.pop() {
            if !self.holds_host(&spare.contact) {
                return Some(spare);
            }
        }
        None
    }

    fn holds_host(&self, contact: &Contact) -> bool {
        let same = |held: &Contact| {
            if self.lab {
                held.addr == contact.addr
            } else {
                held.addr.ip() == contact.addr.ip()
            }
        };
        self.nodes().any(|held| same(&held))
    }

    /// A point that falls into bucket `index`: ours up to bit `index`, which differs, and any other bits after it.
    fn within(&mut self, index: usize) -> NodeId {
        let mut bytes = [0; 20];
        self.chance.fill_bytes(&mut bytes);
        let last = index + 1 == self.buckets.len();
        let shared = if last { index } else { index + 1 };
        for bit in 0..shared {
            let flip = bit == index;
            let (mask, ours) = (0x80 >> (bit % 8), self.me.as_bytes()[bit / 8]);
            let wanted = if flip { !ours } else { ours } & mask;
            bytes[bit / 8] = bytes[bit / 8] & !mask | wanted;
        }
        NodeId::new(bytes)
    }
}

impl Closest for Table {
    fn closest(&self, target: &NodeId, family: Family) -> Few {
        let mut nearest = Nearest::to(target);
        if family != self.family {
            return nearest.few();
        }
        // Nodes that leave our path where `target` does are nearest to it; then, together, those that follow our path
        // further; then those that leave it earlier, the later the nearer. Most answers need one bucket.
        let home = self.index(target);
        let offer = |nearest: &mut Nearest, bucket: &Bucket| {
            for entry in bucket.live.iter().filter(|entry| entry.fails == 0) {
                nearest.offer(&entry.contact);
            }
        };
        offer(&mut nearest, &self.buckets[home]);
        if !nearest.is_full() {
            for bucket in &self.buckets[home + 1..] {
                offer(&mut nearest, bucket);
            }
        }
        for bucket in self.buckets[..home].iter().rev() {
            if nearest.is_full() {
                break;
            }
            offer(&mut nearest, bucket);
        }
        nearest.few()
    }
}

impl Closest for [Table; 2] {
    fn closest(&self, target: &NodeId, family: Family) -> Few {
        self[family as usize].closest(target, family)
    }
}

#[cfg(test)]
mod tests;
