//! The peers of one infohash, and which to try next.

use std::cmp::Reverse;
use std::net::SocketAddr;

use crate::pool::hosts::Host;
use crate::pool::memory::Standing;

/// What came of telling about a peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Offered {
    /// It was not known.
    New,
    /// It was known, and has one vote more.
    Vote,
    /// It was not known, and there is no room for it.
    Surplus,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// To be tried.
    Ready,
    /// To be tried when this host is free.
    Aside(Host),
    /// Tried, or not worth trying.
    Done,
}

#[derive(Debug)]
struct Peer {
    addr: SocketAddr,
    votes: u32,
    state: State,
}

/// The peers of one infohash. Bounded: when full, a new one is forgotten.
#[derive(Debug)]
pub(super) struct Peers {
    list: Vec<Peer>,
    limit: usize,
}

impl Peers {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            list: Vec::new(),
            limit,
        }
    }

    /// Somebody named `addr`. Everyone who does is a vote for it.
    pub(super) fn offer(&mut self, addr: SocketAddr) -> Offered {
        if let Some(peer) = self.list.iter_mut().find(|peer| peer.addr == addr) {
            peer.votes = peer.votes.saturating_add(1);
            return Offered::Vote;
        }
        if self.list.len() >= self.limit {
            return Offered::Surplus;
        }
        self.list.push(Peer {
            addr,
            votes: 1,
            state: State::Ready,
        });
        Offered::New
    }

    /// The peer to try next: who has delivered before, then who has more votes, then who was named first (R7).
    pub(super) fn best(&self, standing: impl Fn(SocketAddr) -> Standing) -> Option<SocketAddr> {
        let ready = self
            .list
            .iter()
            .enumerate()
            .filter(|(_, peer)| peer.state == State::Ready);
        let best = ready.max_by_key(|&(at, peer)| (standing(peer.addr), peer.votes, Reverse(at)));
        best.map(|(_, peer)| peer.addr)
    }

    /// `addr` is being tried, or is not worth trying.
    pub(super) fn done(&mut self, addr: SocketAddr) {
        self.put(addr, State::Done);
    }

    /// `addr` waits for its host.
    pub(super) fn set_aside(&mut self, addr: SocketAddr, host: Host) {
        self.put(addr, State::Aside(host));
    }

    /// `addr` may be tried, again if it was before.
    pub(super) fn retry(&mut self, addr: SocketAddr) {
        self.put(addr, State::Ready);
    }

    /// Whoever waited for `host` may be tried.
    pub(super) fn host_is_free(&mut self, host: Host) {
        for peer in &mut self.list {
            if peer.state == State::Aside(host) {
                peer.state = State::Ready;
            }
        }
    }

    /// The hosts that peers wait for.
    pub(super) fn awaited(&self) -> impl Iterator<Item = Host> {
        self.list.iter().filter_map(|peer| match peer.state {
            State::Aside(host) => Some(host),
            State::Ready | State::Done => None,
        })
    }

    /// Whether a peer could be tried now.
    pub(super) fn any_ready(&self) -> bool {
        self.list.iter().any(|peer| peer.state == State::Ready)
    }

    /// Whether nobody is left to try, now or later.
    pub(super) fn all_done(&self) -> bool {
        self.list.iter().all(|peer| peer.state == State::Done)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    fn put(&mut self, addr: SocketAddr, state: State) {
        if let Some(peer) = self.list.iter_mut().find(|peer| peer.addr == addr) {
            peer.state = state;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(number: u16) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], number))
    }

    /// Peers 1, 2 and 3, offered in this order.
    fn three() -> Peers {
        let mut peers = Peers::new(3);
        for number in [1, 2, 3] {
            assert_eq!(peers.offer(peer(number)), Offered::New);
        }
        peers
    }

    #[test]
    fn first_named_is_tried_first() {
        assert_eq!(three().best(|_| Standing::Unknown), Some(peer(1)));
    }

    #[test]
    fn votes_outrank_order() {
        let mut peers = three();
        assert_eq!(peers.offer(peer(3)), Offered::Vote);
        assert_eq!(peers.best(|_| Standing::Unknown), Some(peer(3)));
    }

    #[test]
    fn success_outranks_votes() {
        let mut peers = three();
        peers.offer(peer(3));
        let standing = |addr| {
            if addr == peer(2) {
                Standing::Proven(1)
            } else {
                Standing::Unknown
            }
        };
        assert_eq!(peers.best(standing), Some(peer(2)));
    }

    #[test]
    fn when_full_new_peers_are_surplus() {
        let mut peers = three();
        assert_eq!(peers.offer(peer(4)), Offered::Surplus);
        assert_eq!(peers.offer(peer(1)), Offered::Vote);
    }
}
