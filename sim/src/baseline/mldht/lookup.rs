//! A full lookup of one infohash (crawlers 1.4).

use std::collections::BTreeMap;
use std::net::SocketAddr;

use wire::id::Distance;
use wire::{InfoHash, NodeId};
use world::Time;

use super::Known;

/// Questions at once (1.4: low priority).
const IN_FLIGHT: usize = 3;
/// Over when so many of the nearest have answered (BEP 5).
const NEAREST: usize = 8;
/// Nodes of the table and the cache, on either side of the target, of which the nearest begin a lookup.
const AROUND: usize = 32;

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    Asked,
    Answered,
    Failed,
}

pub(super) struct Lookup {
    target: NodeId,
    candidates: BTreeMap<Distance, (NodeId, SocketAddr, State)>,
    in_flight: usize,
    /// Peers, and how many nodes named each.
    votes: BTreeMap<SocketAddr, u32>,
}

impl Lookup {
    pub(super) fn new(info_hash: &InfoHash, known: &Known, now: Time) -> Self {
        let target = info_hash.as_target();
        let mut lookup = Self {
            target,
            candidates: BTreeMap::new(),
            in_flight: 0,
            votes: BTreeMap::new(),
        };
        let above = known.alive.range(target..).take(AROUND);
        let below = known.alive.range(..target).rev().take(AROUND);
        let mut near: Vec<(Distance, NodeId, SocketAddr)> = above
            .chain(below)
            .filter(|(_, addr)| !known.rests(now, addr.ip()))
            .map(|(id, addr)| (id.distance(&target), *id, *addr))
            .collect();
        near.sort_unstable();
        for (_, id, addr) in near.into_iter().take(NEAREST) {
            lookup.learn(&id, addr);
        }
        lookup
    }

    pub(super) fn learn(&mut self, id: &NodeId, addr: SocketAddr) {
        let distance = id.distance(&self.target);
        self.candidates.entry(distance).or_insert((*id, addr, State::New));
    }

    /// Whom to ask next: the nearest, unless eight nearer ones have answered.
    pub(super) fn next(&mut self, rests: impl Fn(SocketAddr) -> bool) -> Option<(NodeId, SocketAddr)> {
        let mut answered = 0;
        for (id, addr, state) in self.candidates.values_mut() {
            match *state {
                State::Answered => answered += 1,
                State::New if self.in_flight >= IN_FLIGHT || answered >= NEAREST => return None,
                State::New if rests(*addr) => *state = State::Failed,
                State::New => {
                    *state = State::Asked;
                    self.in_flight += 1;
                    return Some((*id, *addr));
                }
                State::Asked | State::Failed => {}
            }
        }
        None
    }

    pub(super) fn answered(&mut self, id: &NodeId, peers: impl Iterator<Item = SocketAddr>) {
        self.settle(id, State::Answered);
        for peer in peers {
            *self.votes.entry(peer).or_insert(0) += 1;
        }
    }

    pub(super) fn failed(&mut self, id: &NodeId) {
        self.settle(id, State::Failed);
    }

    fn settle(&mut self, id: &NodeId, now: State) {
        if let Some((_, _, state)) = self.candidates.get_mut(&id.distance(&self.target))
            && *state == State::Asked
        {
            *state = now;
            self.in_flight -= 1;
        }
    }

    /// Fast termination: nobody among the nearest is still to be asked or heard.
    pub(super) fn is_over(&self) -> bool {
        let mut answered = 0;
        for (_, _, state) in self.candidates.values() {
            match state {
                State::Answered => answered += 1,
                State::New | State::Asked => return answered >= NEAREST,
                State::Failed => {}
            }
            if answered >= NEAREST {
                return true;
            }
        }
        true
    }

    /// Those that most nodes named last.
    pub(super) fn peers(self) -> Vec<SocketAddr> {
        let mut peers: Vec<(u32, SocketAddr)> = self.votes.into_iter().map(|(peer, votes)| (votes, peer)).collect();
        peers.sort_unstable();
        peers.into_iter().map(|(_, peer)| peer).collect()
    }
}
