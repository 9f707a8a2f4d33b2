//! The peers of one infohash, and which to try next.

use std::cmp::Reverse;
use std::net::SocketAddr;

use world::Via;

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
    /// Said to be a seed (BEP 11).
    seed: bool,
    /// The connected peer that named it, which may let us meet (BEP 55).
    named_by: Option<SocketAddr>,
    /// To be dialled just so the next time, and before others: it dials us at the same moment.
    via: Option<Via>,
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
        if let Some(peer) = self.find(addr) {
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
            seed: false,
            named_by: None,
            via: None,
        });
        Offered::New
    }

    /// `addr` was named by the connected peer `by`, as a seed or not.
    pub(super) fn was_named(&mut self, addr: SocketAddr, by: SocketAddr, seed: bool) {
        if let Some(peer) = self.find(addr) {
            peer.named_by.get_or_insert(by);
            peer.seed |= seed;
        }
    }

    /// The connected peer that named `addr`.
    pub(super) fn named_by(&self, addr: SocketAddr) -> Option<SocketAddr> {
        self.list.iter().find(|peer| peer.addr == addr)?.named_by
    }

    /// `addr` comes to meet us: it is to be dialled at once, by uTP, again if it was before; when its host is free, if it
    /// waits for that.
    pub(super) fn meet(&mut self, addr: SocketAddr) {
        if let Some(peer) = self.find(addr) {
            peer.via = Some(Via::Utp);
        }
        self.retry(addr);
    }

    /// How `addr` is to be dialled, if not by whatever works.
    pub(super) fn via(&self, addr: SocketAddr) -> Option<Via> {
        self.list.iter().find(|peer| peer.addr == addr)?.via
    }

    /// The peer to try next: who comes to meet us; then who has delivered or answered before, who is a seed, who has more
    /// votes, who was named first (R7).
    pub(super) fn best(&self, standing: impl Fn(SocketAddr) -> Standing) -> Option<SocketAddr> {
        let ready = self
            .list
            .iter()
            .enumerate()
            .filter(|(_, peer)| peer.state == State::Ready);
        let best = ready.max_by_key(|&(at, peer)| {
            let meets = peer.via.is_some();
            (meets, standing(peer.addr), peer.seed, peer.votes, Reverse(at))
        });
        best.map(|(_, peer)| peer.addr)
    }

    /// `addr` is being tried, or is not worth trying.
    pub(super) fn done(&mut self, addr: SocketAddr) {
        if let Some(peer) = self.find(addr) {
            peer.state = State::Done;
            peer.via = None;
        }
    }

    /// `addr` waits for its host.
    pub(super) fn set_aside(&mut self, addr: SocketAddr, host: Host) {
        if let Some(peer) = self.find(addr) {
            peer.state = State::Aside(host);
        }
    }

    /// `addr` may be tried again if it was before; when its host is free, if it waits for that.
    pub(super) fn retry(&mut self, addr: SocketAddr) {
        if let Some(peer) = self.find(addr)
            && peer.state == State::Done
        {
            peer.state = State::Ready;
        }
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

    /// How many could be tried, now or later.
    pub(super) fn waiting(&self) -> usize {
        self.list.iter().filter(|peer| peer.state != State::Done).count()
    }

    /// Whether nobody is left to try, now or later.
    pub(super) fn all_done(&self) -> bool {
        self.list.iter().all(|peer| peer.state == State::Done)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    fn find(&mut self, addr: SocketAddr) -> Option<&mut Peer> {
        self.list.iter_mut().find(|peer| peer.addr == addr)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Exclusion;

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
    fn a_seed_outranks_votes_and_one_that_meets_us_everybody() {
        let mut peers = three();
        peers.offer(peer(1));
        peers.was_named(peer(2), peer(9), true);
        assert_eq!(peers.best(|_| Standing::Unknown), Some(peer(2)));
        peers.done(peer(3));
        peers.meet(peer(3));
        assert_eq!(peers.best(|_| Standing::Unknown), Some(peer(3)));
        assert_eq!(peers.via(peer(3)), Some(Via::Utp));
        peers.done(peer(3));
        assert_eq!(peers.via(peer(3)), None);
        let host = Host::of(peer(1), Exclusion::Host);
        peers.set_aside(peer(1), host);
        peers.meet(peer(1));
        assert_eq!(peers.awaited().next(), Some(host));
        assert_eq!((peers.named_by(peer(2)), peers.waiting()), (Some(peer(9)), 2));
    }

    #[test]
    fn who_waits_for_its_host_waits_on_when_it_may_be_tried_again() {
        let mut peers = three();
        let host = Host::of(peer(1), Exclusion::Host);
        peers.set_aside(peer(1), host);
        peers.retry(peer(1));
        assert_eq!(peers.awaited().next(), Some(host));
        peers.done(peer(2));
        peers.retry(peer(2));
        assert_eq!(peers.best(|_| Standing::Unknown), Some(peer(2)));
    }

    #[test]
    fn when_full_new_peers_are_surplus() {
        let mut peers = three();
        assert_eq!(peers.offer(peer(4)), Offered::Surplus);
        assert_eq!(peers.offer(peer(1)), Offered::Vote);
    }
}
