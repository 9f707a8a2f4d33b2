//! The walk along the key space, from its beginning to its end (crawlers 1.4 `KeyspaceSampler`).

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use wire::NodeId;
use world::Time;

use super::Known;

/// Questions at once (1.4).
const IN_FLIGHT: usize = 10;
/// Responders of one bucket: more, and it is split (1.4).
const BUCKET: f64 = 8.0;
/// From the end of a sweep to the next (1.4).
const REST: Duration = Duration::from_secs(7 * 3600);

pub(super) struct Sweep {
    /// Ahead, by id: nodes that were named and not visited.
    candidates: BTreeMap<NodeId, SocketAddr>,
    visited: BTreeSet<NodeId>,
    in_flight: BTreeSet<NodeId>,
    /// Where the bucket begins that the walk has come to.
    cursor: NodeId,
    /// In this sweep.
    responders: u32,
    next: Time,
}

impl Sweep {
    pub(super) const fn new() -> Self {
        Self {
            candidates: BTreeMap::new(),
            visited: BTreeSet::new(),
            in_flight: BTreeSet::new(),
            cursor: NodeId::new([0; 20]),
            responders: 0,
            next: Time::ZERO,
        }
    }

    /// Somebody was named: a candidate, unless the walk has passed it or visited it.
    pub(super) fn learn(&mut self, id: &NodeId, addr: SocketAddr) {
        if *id >= self.cursor && !self.visited.contains(id) {
            self.candidates.insert(*id, addr);
        }
    }

    /// Whom to ask now: the first ahead.
    pub(super) fn next(&mut self, now: Time, known: &Known) -> Option<(NodeId, SocketAddr)> {
        if now < self.next {
            return None;
        }
        while self.in_flight.len() < IN_FLIGHT {
            let Some((id, addr)) = self.candidates.pop_first() else {
                if self.in_flight.is_empty() && self.responders > 0 {
                    self.end(now, known);
                }
                return None;
            };
            self.visited.insert(id);
            if known.rests(now, addr.ip()) {
                continue;
            }
            // A bucket is left when nobody in it is a candidate or waited for.
            let first = self.in_flight.first().copied().unwrap_or(id).min(id);
            self.cursor = bucket_of(&first, self.depth()).max(self.cursor);
            self.in_flight.insert(id);
            return Some((id, addr));
        }
        None
    }

    fn end(&mut self, now: Time, known: &Known) {
        *self = Self {
            candidates: known.alive.clone(),
            next: now + REST,
            ..Self::new()
        };
    }

    /// Bits that the ids of one bucket share: as many as leave eight responders in it.
    pub(super) fn depth(&self) -> u32 {
        let [a, b, c, d, ..] = *self.cursor.as_bytes();
        let share = f64::from(u32::from_be_bytes([a, b, c, d])) / f64::from(u32::MAX);
        if self.responders < BUCKET as u32 || share <= 0.0 {
            return 0;
        }
        let in_all = f64::from(self.responders) / share;
        (in_all / BUCKET).log2().max(0.0) as u32
    }

    pub(super) fn answered(&mut self, id: &NodeId) {
        self.in_flight.remove(id);
        self.responders += 1;
    }

    pub(super) fn failed(&mut self, id: &NodeId) {
        self.in_flight.remove(id);
    }

    /// When there is something to do by itself.
    pub(super) fn wake(&self) -> Option<Time> {
        (self.in_flight.is_empty() && !self.candidates.is_empty()).then_some(self.next)
    }
}

/// The first id of the bucket that `id` is in, if its ids share so many bits.
fn bucket_of(id: &NodeId, depth: u32) -> NodeId {
    let mut bytes = *id.as_bytes();
    for (byte, at) in bytes.iter_mut().zip(0..) {
        let kept = depth.saturating_sub(8 * at).min(8);
        *byte &= !(0xff_u16 >> kept) as u8;
    }
    NodeId::new(bytes)
}
