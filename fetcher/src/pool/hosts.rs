//! One connection per host at a time, and who waits for which host.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use wire::InfoHash;
use world::{KeyedMap, Seed};

use crate::config::Exclusion;

/// What at most one connection is held with.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct Host(SocketAddr);

impl Host {
    /// The network part of an IPv6 address: one customer has all 64 bits below.
    const V6_NETWORK: u128 = !0 << 64;

    pub(super) fn of(peer: SocketAddr, exclusion: Exclusion) -> Self {
        let ip = peer.ip().to_canonical();
        Self(match (exclusion, ip) {
            (Exclusion::Endpoint, _) => SocketAddr::new(ip, peer.port()),
            (Exclusion::Host, IpAddr::V4(_)) => SocketAddr::new(ip, 0),
            (Exclusion::Host, IpAddr::V6(ip)) => {
                let network = Ipv6Addr::from_bits(ip.to_bits() & Self::V6_NETWORK);
                SocketAddr::new(network.into(), 0)
            }
        })
    }
}

/// The hosts that we hold a connection with. As many as there are connections; each with at most one entry for each
/// infohash that waits for it.
#[derive(Debug)]
pub(super) struct Hosts {
    table: KeyedMap<Host, Entry>,
}

#[derive(Default, Debug)]
struct Entry {
    busy: bool,
    waiting: VecDeque<InfoHash>,
}

impl Hosts {
    pub(super) fn new(seed: Seed) -> Self {
        Self {
            table: KeyedMap::with_hasher(seed.hasher()),
        }
    }

    pub(super) fn is_busy(&self, host: Host) -> bool {
        self.table.get(&host).is_some_and(|entry| entry.busy)
    }

    /// A connection with `host` begins.
    pub(super) fn take(&mut self, host: Host) {
        self.table.entry(host).or_default().busy = true;
    }

    /// The connection with `host` is over. Those who wait are still there: see [`Hosts::next_waiting`].
    pub(super) fn release(&mut self, host: Host) {
        if let Some(entry) = self.table.get_mut(&host) {
            entry.busy = false;
        }
    }

    /// `info_hash` waits for `host`, once, behind those who wait already.
    pub(super) fn wait(&mut self, host: Host, info_hash: InfoHash) {
        let waiting = &mut self.table.entry(host).or_default().waiting;
        if !waiting.contains(&info_hash) {
            waiting.push_back(info_hash);
        }
    }

    /// `info_hash` no longer waits.
    pub(super) fn forget(&mut self, host: Host, info_hash: InfoHash) {
        if let Some(entry) = self.table.get_mut(&host) {
            entry.waiting.retain(|waiting| *waiting != info_hash);
        }
    }

    /// Who waits for whom.
    pub(super) fn waits(&self) -> impl Iterator<Item = (Host, InfoHash)> {
        let entries = self.table.iter();
        entries.flat_map(|(&host, entry)| entry.waiting.iter().map(move |&info_hash| (host, info_hash)))
    }

    /// Who has waited longest for `host`, if it is free. The entry goes when nobody is left.
    pub(super) fn next_waiting(&mut self, host: Host) -> Option<InfoHash> {
        let entry = self.table.get_mut(&host).filter(|entry| !entry.busy)?;
        let next = entry.waiting.pop_front();
        if next.is_none() {
            self.table.remove(&host);
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(peer: &str) -> Host {
        Host::of(peer.parse().unwrap(), Exclusion::Host)
    }

    #[test]
    fn a_host_is_an_address_or_a_slash_64() {
        assert_eq!(host("1.2.3.4:5"), host("1.2.3.4:6"));
        assert_eq!(host("1.2.3.4:5"), host("[::ffff:1.2.3.4]:5"));
        assert_ne!(host("1.2.3.4:5"), host("1.2.3.5:5"));
        assert_eq!(host("[2001:db8::1]:5"), host("[2001:db8::2]:6"));
        assert_ne!(host("[2001:db8::1]:5"), host("[2001:db8:0:1::1]:5"));
    }

    #[test]
    fn in_a_lab_a_host_is_an_endpoint() {
        let endpoint = |peer: &str| Host::of(peer.parse().unwrap(), Exclusion::Endpoint);
        assert_ne!(endpoint("127.0.0.1:5"), endpoint("127.0.0.1:6"));
    }

    #[test]
    fn who_waits_gets_a_free_host_in_order() {
        let (first, second) = (InfoHash::new([1; 20]), InfoHash::new([2; 20]));
        let mut hosts = Hosts::new(Seed::from_number(1));
        let host = host("1.2.3.4:5");
        hosts.take(host);
        hosts.wait(host, first);
        hosts.wait(host, second);
        hosts.wait(host, first);
        assert_eq!(hosts.next_waiting(host), None);
        hosts.release(host);
        assert_eq!(hosts.next_waiting(host), Some(first));
        assert_eq!(hosts.next_waiting(host), Some(second));
        assert_eq!(hosts.next_waiting(host), None);
        assert!(hosts.table.is_empty());
    }
}
