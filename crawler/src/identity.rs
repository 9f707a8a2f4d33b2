//! Who we are: node ids bound to addresses (BEP 42), and the vote that tells us our own address.
//!
//! A node behind a translator does not know how the world sees it. Each reply says so in its top-level `ip`; since any
//! one of them may lie, an address counts as ours only when most of many unrelated networks agree on it.

use std::net::{IpAddr, SocketAddr};

use rand::{Rng, RngExt};
use wire::NodeId;
use wire::crc32c;

use crate::Family;
use crate::guard::bogon;
use crate::guard::place::{Host, Network};

/// Bits of an address that go into the id: fewer of the later bytes, so that a whole network can place only few ids.
const MASK_V4: u32 = 0x030f_3fff;
const MASK_V6: u64 = 0x0103_070f_1f3f_7fff;

/// Leading bits of an id that the address decides.
const BOUND_BITS: u32 = 21;

/// A node id that fits `ip`: 21 bits from the address and 3 random bits, the rest random (BEP 42).
pub(crate) fn node_id(ip: IpAddr, rng: &mut impl Rng) -> NodeId {
    let mut bytes: [u8; 20] = rng.random();
    let bound = bound_bits(ip, bytes[19]).to_be_bytes();
    bytes[0] = bound[0];
    bytes[1] = bound[1];
    bytes[2] = (bound[2] & 0xf8) | (bytes[2] & 0x07);
    NodeId::new(bytes)
}

/// Whether `id` fits `ip`. Any id fits an address that is not global: such nodes live in a private network, where BEP 42
/// asks for nothing.
pub(crate) fn fits(id: &NodeId, ip: IpAddr) -> bool {
    if !bogon::is_global(ip) {
        return true;
    }
    let [first, second, third, .., last] = *id.as_bytes();
    let differing = u32::from_be_bytes([first, second, third, 0]) ^ bound_bits(ip, last);
    differing.leading_zeros() >= BOUND_BITS
}

/// The number whose leading [`BOUND_BITS`] an id at `ip` has to start with, if its last byte is `last`.
fn bound_bits(ip: IpAddr, last: u8) -> u32 {
    let chosen = last & 0x07;
    match ip.to_canonical() {
        IpAddr::V4(ip) => crc32c(&(ip.to_bits() & MASK_V4 | u32::from(chosen) << 29).to_be_bytes()),
        IpAddr::V6(ip) => {
            let [a, b, c, d, e, f, g, h, ..] = ip.octets();
            let prefix = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
            crc32c(&(prefix & MASK_V6 | u64::from(chosen) << 61).to_be_bytes())
        }
    }
}

/// Networks whose latest vote counts; one more displaces the vote cast longest ago.
const VOTERS: usize = 64;

/// Votes before the first count. Few enough for the first seconds of a run, too many for the nodes of one liar's
/// neighbourhood.
const QUORUM: usize = 8;

/// Whom a voter speaks for: one network, one vote. In a lab, where all are in one network, one host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Voter {
    Network(Network),
    Host(Host),
}

/// The votes on our address in one family.
#[derive(Clone, Debug)]
struct Ballot {
    /// Latest vote last.
    votes: Vec<(Voter, IpAddr)>,
    agreed: Option<IpAddr>,
}

/// The vote on our own addresses, one for each family.
#[derive(Clone, Debug)]
pub(crate) struct IpVotes {
    lab: bool,
    v4: Ballot,
    v6: Ballot,
}

impl IpVotes {
    /// No vote cast. In a `lab`, our address is a loopback address, and each host has a vote.
    pub(crate) fn new(lab: bool) -> Self {
        Self {
            lab,
            v4: Ballot::new(),
            v6: Ballot::new(),
        }
    }

    /// Node `voter`, in its answer to a query of ours, says that it came from `seen`.
    ///
    /// Returns our address when the vote settles on a new one: more than half of the last 64 networks to vote, and at
    /// least 8 of them, name it. A vote for an address of another family than the voter's, or one that we cannot have,
    /// is void.
    pub(crate) fn vote(&mut self, voter: SocketAddr, seen: IpAddr) -> Option<IpAddr> {
        let seen = seen.to_canonical();
        let family = Family::of_ip(&voter.ip().to_canonical());
        let possible = if self.lab {
            bogon::is_loopback(seen)
        } else {
            bogon::is_global(seen)
        };
        if !possible || Family::of_ip(&seen) != family {
            return None;
        }
        let voter = if self.lab {
            Voter::Host(Host::of(voter.ip()))
        } else {
            Voter::Network(Network::of(voter.ip()))
        };
        match family {
            Family::V4 => self.v4.cast(voter, seen),
            Family::V6 => self.v6.cast(voter, seen),
        }
    }
}

impl Ballot {
    fn new() -> Self {
        Self {
            votes: Vec::with_capacity(VOTERS),
            agreed: None,
        }
    }

    fn cast(&mut self, voter: Voter, seen: IpAddr) -> Option<IpAddr> {
        if let Some(at) = self.votes.iter().position(|(earlier, _)| *earlier == voter) {
            self.votes.remove(at);
        } else if self.votes.len() == VOTERS {
            self.votes.remove(0);
        }
        self.votes.push((voter, seen));
        if self.agreed == Some(seen) {
            return None;
        }
        let votes = self.votes.iter().filter(|(_, named)| *named == seen).count();
        let settled = self.votes.len() >= QUORUM && votes * 2 > self.votes.len();
        if settled {
            self.agreed = Some(seen);
        }
        settled.then_some(seen)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use world::Seed;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_ids_of_bep_42_fit_their_addresses() {
        for (address, id) in [
            ("124.31.75.21", "5fbfbff10c5d6a4ec8a88e4c6ab4c28b95eee401"),
            ("21.75.31.124", "5a3ce9c14e7a08645677bbd1cfe7d8f956d53256"),
            ("65.23.51.170", "a5d43220bc8f112a3d426c84764f8c2a1150e616"),
            ("84.124.73.14", "1b0321dd1bb1fe518101ceef99462b947a01ff41"),
            ("43.213.53.83", "e56f6cbf5b7c4be0237986d5243b87aa6d51305a"),
        ] {
            let id = NodeId::from_hex(id).unwrap();
            assert!(fits(&id, ip(address)), "{address}");
            assert!(!fits(&id, ip("8.8.8.8")), "{address}");
        }
    }

    #[test]
    fn any_id_fits_a_private_address() {
        let id = NodeId::new([7; 20]);
        assert!(fits(&id, ip("127.0.0.1")) && fits(&id, ip("192.168.1.1")) && fits(&id, ip("::1")));
    }

    #[test]
    fn most_of_many_networks_decide_and_one_network_has_one_vote() {
        let mut votes = IpVotes::new(false);
        let truth = ip("9.9.9.9");
        let network = |net: u8, host: u8| SocketAddr::from(([1, 2, net, host], 6881));
        for host in 0..100 {
            assert_eq!(votes.vote(network(0, host), ip("6.6.6.6")), None);
        }
        for net in 1..7 {
            assert_eq!(votes.vote(network(net, 1), truth), None);
        }
        assert_eq!(votes.vote(network(7, 1), truth), Some(truth));
        assert_eq!(votes.vote(network(8, 1), truth), None);
        assert_eq!(votes.v4.agreed, Some(truth));
    }

    #[test]
    fn a_new_address_is_noticed_when_most_say_so() {
        let mut votes = IpVotes::new(false);
        let mut settled = Vec::new();
        for (name, networks) in [("9.9.9.9", 0..64), ("7.7.7.7", 64..128)] {
            for net in networks {
                settled.extend(votes.vote(SocketAddr::from(([1, 2, net, 1], 6881)), ip(name)));
            }
        }
        assert_eq!(settled, [ip("9.9.9.9"), ip("7.7.7.7")]);
    }

    #[test]
    fn impossible_votes_are_void() {
        let mut votes = IpVotes::new(false);
        for net in 0..64 {
            let voter = SocketAddr::from(([1, 2, net, 1], 6881));
            assert_eq!(votes.vote(voter, ip("10.0.0.1")), None);
            assert_eq!(votes.vote(voter, ip("2600::1")), None);
        }
    }

    #[test]
    fn in_a_lab_hosts_vote() {
        let mut votes = IpVotes::new(true);
        let settled: Vec<IpAddr> = (1..20)
            .filter_map(|host| votes.vote(SocketAddr::from(([127, 0, 0, host], 6881)), ip("127.0.0.99")))
            .collect();
        assert_eq!(settled, [ip("127.0.0.99")]);
    }

    proptest! {
        #[test]
        fn a_made_id_fits_its_address(v4: u32, v6: u128, seed: u64) {
            let mut rng = Seed::from_number(seed).rng();
            for address in [IpAddr::V4(v4.into()), IpAddr::V6(v6.into())] {
                let id = node_id(address, &mut rng);
                prop_assert!(fits(&id, address));
            }
        }
    }
}
