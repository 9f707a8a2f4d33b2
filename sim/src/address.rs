//! Every simulated host has an address of its own in 127.0.0.0/8, as per-address limits need (`network-model.md` 2.3).

use std::net::Ipv4Addr;

use world::Seed;

use crate::dice::Dice;

/// A host of the lab: nodes first, then contacts that nobody answers for, then peers.
pub(crate) type Host = u32;

/// A keyed one-to-one map between host numbers and addresses, so that neither direction needs a table and neighbours in
/// number are not neighbours in address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Addresses {
    dice: Dice,
}

/// 127.0.0.0/16 stays free for clients, the router and whatever else a machine runs on loopback.
const FIRST_OCTETS: u32 = 255;
/// Last octets 0 and 255 look like networks and broadcasts.
const LAST_OCTETS: u32 = 254;

impl Addresses {
    /// How many hosts fit: 16.5 million.
    pub(crate) const CAPACITY: u32 = FIRST_OCTETS * 256 * LAST_OCTETS;

    pub(crate) fn new(seed: Seed) -> Self {
        Self {
            dice: Dice::new(seed, "addresses"),
        }
    }

    /// The address of a host below [`Self::CAPACITY`].
    pub(crate) fn of(self, host: Host) -> Ipv4Addr {
        let mut number = self.shuffle(host % Self::CAPACITY);
        // Cycle walking: the shuffle is one-to-one on 24 bits, so walking on until it falls inside is one-to-one
        // inside.
        while number >= Self::CAPACITY {
            number = self.shuffle(number);
        }
        let (rest, last) = (number / LAST_OCTETS, number % LAST_OCTETS);
        Ipv4Addr::from((127 << 24) | ((rest / 256 + 1) << 16) | ((rest % 256) << 8) | (last + 1))
    }

    /// The host at an address, if it is one that hosts get.
    pub(crate) fn host(self, address: Ipv4Addr) -> Option<Host> {
        let bits = u32::from(address);
        let (first, middle, last) = ((bits >> 16) & 0xff, (bits >> 8) & 0xff, bits & 0xff);
        if bits >> 24 != 127 || first == 0 || !(1..=LAST_OCTETS).contains(&last) {
            return None;
        }
        let mut number = self.unshuffle(((first - 1) * 256 + middle) * LAST_OCTETS + last - 1);
        while number >= Self::CAPACITY {
            number = self.unshuffle(number);
        }
        Some(number)
    }

    fn round(self, half: u32, round: u64) -> u32 {
        (self.dice.bits(u64::from(half), round) & 0xfff) as u32
    }

    /// Four rounds of a Feistel network on 24 bits.
    fn shuffle(self, number: u32) -> u32 {
        let (mut left, mut right) = (number >> 12, number & 0xfff);
        for round in 0..4 {
            (left, right) = (right, left ^ self.round(right, round));
        }
        (left << 12) | right
    }

    fn unshuffle(self, number: u32) -> u32 {
        let (mut left, mut right) = (number >> 12, number & 0xfff);
        for round in (0..4).rev() {
            (left, right) = (right ^ self.round(left, round), left);
        }
        (left << 12) | right
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn addresses_lead_back_to_their_hosts() {
        let addresses = Addresses::new(Seed::from_number(1));
        for host in (0..1000).chain(Addresses::CAPACITY - 1000..Addresses::CAPACITY) {
            assert_eq!(addresses.host(addresses.of(host)), Some(host));
        }
    }

    #[test]
    fn addresses_spread_over_networks_and_leave_the_client_alone() {
        let addresses = Addresses::new(Seed::from_number(1));
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
