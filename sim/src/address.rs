//! Every simulated host has an address of its own, as per-address limits need (`network-model.md` 2.3): in 127.0.0.0/8,
//! which a lab on sockets can have, or anywhere on the Internet, for worlds that only virtual time has.

use std::net::{IpAddr, Ipv4Addr};

use world::Seed;

use crate::dice::{Dice, Shuffle};

/// A host of the lab: nodes first, then contacts that nobody answers for, then peers.
pub(crate) type Host = u32;

/// A keyed one-to-one map between host numbers and addresses, so that neither direction needs a table and neighbours in
/// number are not neighbours in address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Addresses {
    shuffle: Shuffle,
    plan: Plan,
}

/// Where hosts live.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Plan {
    /// 127.0.0.0/8: 16.5 million.
    Loopback,
    /// The unicast space but for eight /8 that hold special-purpose networks: 3.58 billion.
    Internet,
}

/// First octets with networks that no Internet host has (RFC 6890).
const SPECIAL: [u32; 8] = [10, 100, 127, 169, 172, 192, 198, 203];
/// First octets of unicast addresses end before this one.
const MULTICAST: u32 = 224;

/// 127.0.0.0/16 stays free for clients, the router and whatever else a machine runs on loopback.
const FIRST_OCTETS: u32 = 255;
/// Last octets 0 and 255 look like networks and broadcasts.
const LAST_OCTETS: u32 = 254;

impl Addresses {
    /// How many hosts fit on loopback: 16.5 million.
    pub(crate) const LOOPBACK: u32 = FIRST_OCTETS * 256 * LAST_OCTETS;

    pub(crate) fn new(plan: Plan, seed: Seed) -> Self {
        Self {
            shuffle: Shuffle::new(Dice::new(seed, "addresses"), Self::capacity(plan)),
            plan,
        }
    }

    /// Whether hosts of either plan may have this address: it is no bogon to a client of theirs.
    pub(crate) fn plausible(address: IpAddr) -> bool {
        let IpAddr::V4(address) = address else { return false };
        let first = u32::from(address.octets()[0]);
        address.is_loopback() || ((1..MULTICAST).contains(&first) && !SPECIAL.contains(&first))
    }

    /// Whether whole addresses are drawn, or the last three octets of loopback ones.
    fn is_internet(self) -> bool {
        self.plan == Plan::Internet
    }

    /// Whether this address is of the kind that hosts have.
    pub(crate) fn has(self, address: Ipv4Addr) -> bool {
        Self::plausible(address.into()) && self.is_internet() != address.is_loopback()
    }

    /// Where clients and the router are, which the lab leaves free.
    pub(crate) const fn outside(plan: Plan, third: u8) -> Ipv4Addr {
        match plan {
            Plan::Loopback => Ipv4Addr::new(127, 0, third, 1),
            Plan::Internet => Ipv4Addr::new(203, 0, third, 1),
        }
    }

    /// Whether this address is one that the lab leaves free.
    pub(crate) const fn is_outside(address: Ipv4Addr) -> bool {
        matches!(address.octets(), [127 | 203, 0, ..])
    }

    /// How many hosts fit.
    pub(crate) const fn capacity(plan: Plan) -> u32 {
        match plan {
            Plan::Loopback => Self::LOOPBACK,
            Plan::Internet => (MULTICAST - 1 - SPECIAL.len() as u32) * 65_536 * LAST_OCTETS,
        }
    }

    /// The address of a host below [`Self::capacity`].
    pub(crate) fn of(self, host: Host) -> Ipv4Addr {
        let number = self.shuffle.of(host);
        let (rest, last) = (number / LAST_OCTETS, number % LAST_OCTETS);
        let network = if self.is_internet() {
            let first = SPECIAL
                .iter()
                .fold(rest / 65_536 + 1, |first, special| first + u32::from(first >= *special));
            (first << 16) | (rest % 65_536)
        } else {
            (127 << 16) | ((rest / 256 + 1) << 8) | (rest % 256)
        };
        Ipv4Addr::from((network << 8) | (last + 1))
    }

    /// The host at an address, if it is one that hosts get.
    pub(crate) fn host(self, address: Ipv4Addr) -> Option<Host> {
        let bits = u32::from(address);
        let (network, last) = (bits >> 8, bits & 0xff);
        if !self.has(address) || Self::is_outside(address) || !(1..=LAST_OCTETS).contains(&last) {
            return None;
        }
        let rest = if self.is_internet() {
            let first = network >> 16;
            let below = SPECIAL.iter().filter(|special| **special < first).count() as u32;
            (first - 1 - below) * 65_536 + network % 65_536
        } else {
            network % 65_536 - 256
        };
        Some(self.shuffle.back(rest * LAST_OCTETS + last - 1))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn addresses_lead_back_to_their_hosts() {
        for plan in [Plan::Loopback, Plan::Internet] {
            let addresses = Addresses::new(plan, Seed::from_number(1));
            let capacity = Addresses::capacity(plan);
            for host in (0..1000).chain(capacity - 1000..capacity) {
                assert_eq!(addresses.host(addresses.of(host)), Some(host));
                assert!(addresses.has(addresses.of(host)));
            }
        }
    }

    #[test]
    fn addresses_spread_over_networks_and_leave_the_client_alone() {
        let addresses = Addresses::new(Plan::Loopback, Seed::from_number(1));
        let all: Vec<Ipv4Addr> = (0..1000).map(|host| addresses.of(host)).collect();
        assert!(
            all.iter()
                .all(|address| address.is_loopback() && address.octets()[1] != 0)
        );
        let networks: BTreeSet<[u8; 2]> = all
            .iter()
            .map(|address| [address.octets()[1], address.octets()[2]])
            .collect();
        assert!(networks.len() > 950);
        assert_eq!(addresses.host(Ipv4Addr::LOCALHOST), None);
        assert_eq!(addresses.host(Ipv4Addr::new(10, 1, 1, 1)), None);
    }
}
