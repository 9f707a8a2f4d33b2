//! A census: zones of the key space, drawn by lot and listed to the end (crawlers R4).
//!
//! A zone is all ids with the same first bits, few enough that about [`Config::nodes`] nodes of it answer. Every zone has the
//! same chance, and every node of a drawn zone is sampled, so what is found in the zones stands for the whole; keys lie
//! with the nodes nearest to them, which are of the same zone. What a listing misses is judged by two walks to random
//! points of the zone, which set out from the routing table: of the nodes that they end at, so many were listed
//! (Wang and Kangasharju 2013, network-model 4.1d).

use std::collections::VecDeque;

use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use wire::NodeId;
use world::Time;

use super::{Probe, Sampler, Standing, secs};
use crate::Contact;
use crate::ledger::{Entry, Ledger};

/// How zones are drawn and listed.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Answering nodes that a zone shall have, about.
    pub nodes: u32,
    /// Zones listed at once: while one waits for its silent nodes, others go on.
    pub at_once: usize,
    /// Zones drawn in all, at most.
    pub most: usize,
}

/// A zone that was listed to the end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Zone {
    /// The first bits of its ids, as a number.
    pub prefix: u32,
    /// How many bits these are: the same for all zones of a run.
    pub bits: u32,
    /// Nodes that answered.
    pub nodes: u64,
    /// Of these, such as gave a sample.
    pub samplers: u64,
    /// Nodes at which the walks ended.
    pub known: u64,
    /// Of these, listed.
    pub found: u64,
}

/// Walks that judge a listing.
const WALKS: usize = 2;
/// A zone is looked through again after so many seconds, while nobody in it is ready.
const LOOK_AGAIN: u32 = 1;
/// Seconds that the first walk into a zone may take, before a zone without a node to ask is taken to be empty.
const ENTRY: u32 = 20;
/// Seconds after which a walk that has not ended never will.
const WALK: u32 = 70;
/// Whoever was silent once is waited for if it rests no longer than this, in seconds: the guard's first back-off, and a little.
const FIRST_REST: u32 = 330;
/// Zones that can be told apart: a shuffled list of them is kept.
const MAX_BITS: u32 = 16;

/// One zone under way.
struct Listing {
    prefix: u32,
    ready: VecDeque<Entry>,
    looked: u32,
    began: u32,
    /// Walks out to judge the listing, and when they set out; none while nodes are still being asked.
    walks: Vec<NodeId>,
    judged: Option<u32>,
    /// Who was listed when the walks set out, in order.
    listed: Vec<NodeId>,
    result: Zone,
    met: Vec<NodeId>,
}

/// All zones of a run.
pub(super) struct Zones {
    config: Config,
    rng: ChaCha8Rng,
    bits: Option<u32>,
    /// Prefixes in the order of the lot, the next last.
    lot: Vec<u32>,
    drawn: usize,
    under_way: Vec<Listing>,
    turn: usize,
    /// Points to walk to.
    points: VecDeque<NodeId>,
    done: VecDeque<Zone>,
}

impl Zones {
    pub(super) const fn new(config: Config, rng: ChaCha8Rng) -> Self {
        Self {
            config,
            rng,
            bits: None,
            lot: Vec::new(),
            drawn: 0,
            under_way: Vec::new(),
            turn: 0,
            points: VecDeque::new(),
            done: VecDeque::new(),
        }
    }

    /// Whether it is still to be said how many nodes there are.
    pub(super) const fn wants_estimate(&self) -> bool {
        self.bits.is_none()
    }

    /// About so many nodes answer: decides how large zones are, and draws the first.
    pub(super) fn begin(&mut self, now: u32, nodes: f64, ledger: &Ledger) {
        let share = (nodes / f64::from(self.config.nodes.max(1))).max(1.0);
        let bits = (share.log2() as u32).min(MAX_BITS).min(ledger.bits());
        self.bits = Some(bits);
        self.lot = (0..1 << bits).collect();
        for last in (1..self.lot.len()).rev() {
            self.lot.swap(last, self.rng.random_range(0..=last));
        }
        self.draw(now);
    }

    fn draw(&mut self, now: u32) {
        let Some(bits) = self.bits else { return };
        while self.under_way.len() < self.config.at_once.max(1) && self.drawn < self.config.most {
            let Some(prefix) = self.lot.pop() else { return };
            self.drawn += 1;
            let point = self.point(prefix, bits);
            self.points.push_back(point);
            self.under_way.push(Listing {
                prefix,
                ready: VecDeque::new(),
                looked: 0,
                began: now,
                walks: Vec::new(),
                judged: None,
                listed: Vec::new(),
                result: Zone {
                    prefix,
                    bits,
                    nodes: 0,
                    samplers: 0,
                    known: 0,
                    found: 0,
                },
                met: Vec::new(),
            });
        }
    }

    /// A random id of a zone.
    fn point(&mut self, prefix: u32, bits: u32) -> NodeId {
        let mut bytes: [u8; 20] = self.rng.random();
        let [a, b, c, d, ..] = &mut bytes;
        let free = u32::MAX.checked_shr(bits).unwrap_or(0);
        let first = u32::from_be_bytes([*a, *b, *c, *d]) & free | prefix.checked_shl(u32::BITS - bits).unwrap_or(0);
        [*a, *b, *c, *d] = first.to_be_bytes();
        NodeId::new(bytes)
    }

    /// A point that is to be walked to next.
    pub(super) fn next_walk(&mut self) -> Option<NodeId> {
        self.points.pop_front()
    }

    /// A zone that was listed to the end.
    pub(super) fn next_done(&mut self) -> Option<Zone> {
        self.done.pop_front()
    }

    /// Whether all zones are listed that ever will be.
    pub(super) fn is_over(&self) -> bool {
        self.bits.is_some() && self.under_way.is_empty()
    }

    /// Bits that a target shares with the node that is asked, at least: others' zones are not walked through.
    pub(super) fn bits(&self) -> u32 {
        self.bits.unwrap_or(0)
    }

    /// Whom to ask now: the zones take turns.
    pub(super) fn pick(&mut self, now: u32, ledger: &Ledger) -> Option<Entry> {
        for _ in 0..self.under_way.len() {
            self.turn = (self.turn + 1) % self.under_way.len().max(1);
            let bits = self.bits();
            let listing = self.under_way.get_mut(self.turn)?;
            if listing.judged.is_some() {
                self.end_if_overdue(now);
                continue;
            }
            while let Some(entry) = listing.ready.pop_front() {
                if is_wanted(ledger, entry) {
                    return Some(entry);
                }
            }
            if now < listing.looked + LOOK_AGAIN {
                continue;
            }
            listing.looked = now;
            let pending = listing.look_through(bits, ledger);
            if let Some(entry) = listing.ready.pop_front() {
                return Some(entry);
            }
            if !pending && now >= listing.began + ENTRY {
                self.judge(now, ledger);
            }
        }
        None
    }

    /// Nobody is left to ask in the zone whose turn it is: walks set out that say how much was missed.
    fn judge(&mut self, now: u32, ledger: &Ledger) {
        let bits = self.bits();
        let Some(prefix) = self.under_way.get(self.turn).map(|listing| listing.prefix) else {
            return;
        };
        let walks: Vec<NodeId> = (0..WALKS).map(|_| self.point(prefix, bits)).collect();
        self.points.extend(&walks);
        if let Some(listing) = self.under_way.get_mut(self.turn) {
            let answered = |entry: &Entry| ledger.node(*entry).standing != Standing::Hearsay;
            let nodes = || {
                ledger
                    .in_zone(prefix, bits)
                    .filter(answered)
                    .map(|entry| ledger.node(entry))
            };
            listing.listed = nodes().map(|node| node.id).collect();
            listing.listed.sort_unstable();
            listing.result.nodes = listing.listed.len() as u64;
            listing.result.samplers = nodes().filter(|node| node.standing == Standing::Samples).count() as u64;
            listing.walks = walks;
            listing.judged = Some(now);
        }
    }

    /// A walk to `target` ended at these nodes. Says whether it was one that judges a listing.
    pub(super) fn walked(&mut self, now: u32, target: &NodeId, closest: &[Contact]) -> bool {
        let bits = self.bits();
        let walk_of = |listing: &Listing| listing.walks.iter().position(|walk| walk == target);
        let Some((at, walk)) = self
            .under_way
            .iter()
            .enumerate()
            .find_map(|(at, listing)| Some((at, walk_of(listing)?)))
        else {
            return false;
        };
        let Some(listing) = self.under_way.get_mut(at) else {
            return false;
        };
        listing.walks.swap_remove(walk);
        for node in closest.iter().filter(|node| node.id.common_prefix(target) >= bits) {
            if !listing.met.contains(&node.id) {
                listing.met.push(node.id);
                listing.result.known += 1;
                listing.result.found += u64::from(listing.listed.binary_search(&node.id).is_ok());
            }
        }
        if listing.walks.is_empty() {
            self.end(now, at);
        }
        true
    }

    fn end_if_overdue(&mut self, now: u32) {
        let judged = self.under_way.get(self.turn).and_then(|listing| listing.judged);
        if judged.is_some_and(|judged| now >= judged + WALK) {
            self.end(now, self.turn);
        }
    }

    fn end(&mut self, now: u32, at: usize) {
        let listing = self.under_way.swap_remove(at);
        self.done.push_back(listing.result);
        self.draw(now);
    }
}

impl Sampler {
    /// Whether this is a census.
    pub const fn is_census(&self) -> bool {
        self.zones.is_some()
    }

    /// Whether a census waits to be told how many nodes there are.
    pub fn wants_estimate(&self) -> bool {
        self.zones.as_ref().is_some_and(Zones::wants_estimate)
    }

    /// About so many nodes answer: a census begins.
    pub fn begin_census(&mut self, now: Time, nodes: f64) {
        if let Some(zones) = &mut self.zones {
            zones.begin(secs(now), nodes, &self.ledger);
        }
    }

    /// A point that a census wants to be walked to, from the routing table.
    pub fn next_walk(&mut self) -> Option<NodeId> {
        self.zones.as_mut()?.next_walk()
    }

    /// A walk has ended at these nodes. Says whether it was one that judges a listing.
    pub fn walked(&mut self, now: Time, target: &NodeId, closest: &[Contact]) -> bool {
        let zones = self.zones.as_mut();
        zones.is_some_and(|zones| zones.walked(secs(now), target, closest))
    }

    /// A zone that a census has listed to the end.
    pub fn next_zone(&mut self) -> Option<Zone> {
        self.zones.as_mut()?.next_done()
    }

    /// Whether a census is through with all its zones.
    pub fn is_census_over(&self) -> bool {
        self.zones.as_ref().is_some_and(Zones::is_over)
    }
}

impl Listing {
    /// Finds who in the zone is to be asked. Says whether there will be others: whoever was asked may name some, and whoever
    /// was silent once is asked again.
    fn look_through(&mut self, bits: u32, ledger: &Ledger) -> bool {
        let mut pending = false;
        for entry in ledger.in_zone(self.prefix, bits) {
            let node = ledger.node(entry);
            if is_wanted(ledger, entry) {
                self.ready.push_back(entry);
            }
            let once_silent = node.failures == 1 && matches!(node.standing, Standing::Hearsay | Standing::Alive);
            let soon = |due: u32| due.saturating_sub(node.asked) <= FIRST_REST;
            pending |= ledger.asked(entry).is_some() || once_silent && ledger.waits_until(entry).is_some_and(soon);
        }
        pending
    }
}

/// Whether a census asks this node: for a first sample, or, if it was silent, whether it is there.
fn is_wanted(ledger: &Ledger, entry: Entry) -> bool {
    let node = ledger.node(entry);
    let asks = match node.turn().probe() {
        Probe::Sample => node.standing != Standing::Samples,
        Probe::FindNode => node.standing == Standing::Hearsay && node.failures < 2,
    };
    asks && ledger.is_ready(entry)
}
