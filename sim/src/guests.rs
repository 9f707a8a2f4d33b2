//! Peers that real clients announce to the lab's nodes, so that they find one another there.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use wire::InfoHash;
use world::Time;

use crate::address::Host;

/// What strangers announced. Not part of the population: neither samples nor the truth know of it.
///
/// Holds at most [`Guests::MAX`] announces; when full, the one with the lowest infohash makes room.
#[derive(Debug, Default)]
pub(crate) struct Guests {
    announces: BTreeMap<(InfoHash, Host, SocketAddr), Time>,
}

impl Guests {
    const MAX: usize = 1 << 16;
    /// As libtorrent keeps them (E).
    const EXPIRY: Duration = Duration::from_secs(45 * 60);

    pub(crate) fn announce(&mut self, now: Time, node: Host, infohash: InfoHash, peer: SocketAddr) {
        self.announces.insert((infohash, node, peer), now);
        if self.announces.len() > Self::MAX {
            self.announces.pop_first();
        }
    }

    /// Peers that a node has heard of, not longer ago than it remembers.
    pub(crate) fn of(&self, now: Time, node: Host, infohash: &InfoHash) -> impl Iterator<Item = SocketAddr> {
        let (infohash, lowest) = (*infohash, SocketAddr::from(([0, 0, 0, 0], 0)));
        self.announces
            .range((infohash, node, lowest)..)
            .take_while(move |((key, at, _), _)| *key == infohash && *at == node)
            .filter(move |(_, heard)| now.since(**heard) < Self::EXPIRY)
            .map(|((_, _, peer), _)| *peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn announces_stay_with_their_node_and_expire() {
        let mut guests = Guests::default();
        let (infohash, peer) = (InfoHash::new([7; 20]), SocketAddr::from(([127, 0, 0, 1], 9)));
        guests.announce(Time::ZERO, 3, infohash, peer);
        let of = |secs, node| guests.of(Time::from_secs(secs), node, &infohash).collect::<Vec<_>>();
        assert_eq!(of(60, 3), [peer]);
        assert!(of(60, 4).is_empty());
        assert!(of(3600, 3).is_empty());
    }
}
