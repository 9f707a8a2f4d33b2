//! Which node is at an address: an index of fixed size, five and a third bytes for each node that there may be.

use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use world::{KeyedState, Seed};

use super::node::Node;
use crate::guard::place::Endpoint;
use crate::tagged::Tagged;

/// Open addressing over the numbers of nodes. At most three quarters full, so probes are
/// short; a removal moves the following entries back, so they stay so.
pub(super) struct Endpoints {
    slots: Vec<Tagged>,
    key: KeyedState,
    v6: Addresses,
}

/// IPv6 addresses, of which there are few, kept aside so that they do not make every node larger.
#[derive(Default)]
struct Addresses {
    list: Vec<Ipv6Addr>,
    free: Vec<u32>,
}

impl Endpoints {
    pub(super) fn new(max_nodes: usize, seed: Seed) -> Self {
        Self {
            slots: vec![Tagged::EMPTY; max_nodes * 4 / 3 + 4],
            key: seed.derive("endpoints").hasher(),
            v6: Addresses::default(),
        }
    }

    /// The address of `node`.
    pub(super) fn addr(&self, node: &Node) -> SocketAddr {
        let ip = if node.v6 {
            IpAddr::V6(self.v6.list[node.ip as usize])
        } else {
            IpAddr::V4(Ipv4Addr::from_bits(node.ip))
        };
        SocketAddr::new(ip, node.port)
    }

    /// The number of the node at `addr`.
    pub(super) fn find(&self, nodes: &[Node], addr: &SocketAddr) -> Option<u32> {
        let hash = self.hash(addr);
        let mut at = self.home(hash);
        loop {
            let held = self.slots[at];
            let number = held.number()?;
            if held.may_be(tag(hash)) && self.addr(&nodes[number as usize]) == *addr {
                return Some(number);
            }
            at = self.after(at);
        }
    }

    /// Takes note of an address, for [`Node::ip`] and [`Node::v6`].
    pub(super) fn intern(&mut self, ip: IpAddr) -> (u32, bool) {
        match ip {
            IpAddr::V4(ip) => (ip.to_bits(), false),
            IpAddr::V6(ip) => (self.v6.add(ip), true),
        }
    }

    /// Adds node `number`, whose address was not there. There is room: nodes are no more than `max_nodes`.
    pub(super) fn insert(&mut self, nodes: &[Node], number: u32) {
        let hash = self.hash(&self.addr(&nodes[number as usize]));
        let mut at = self.home(hash);
        while self.slots[at] != Tagged::EMPTY {
            at = self.after(at);
        }
        self.slots[at] = Tagged::new(number, tag(hash));
    }

    /// Forgets where node `number` is; its address is still to be released.
    pub(super) fn remove(&mut self, nodes: &[Node], number: u32) {
        let mut hole = self.home(self.hash(&self.addr(&nodes[number as usize])));
        while let Some(held) = self.slots[hole].number()
            && held != number
        {
            hole = self.after(hole);
        }
        if self.slots[hole] == Tagged::EMPTY {
            return;
        }
        let mut at = hole;
        loop {
            at = self.after(at);
            let Some(follower) = self.slots[at].number() else {
                break;
            };
            // It may fill the hole unless its home lies between the hole and itself.
            let home = self.home(self.hash(&self.addr(&nodes[follower as usize])));
            if self.distance(home, at) >= self.distance(hole, at) {
                self.slots[hole] = self.slots[at];
                hole = at;
            }
        }
        self.slots[hole] = Tagged::EMPTY;
    }

    /// Gives back what [`Endpoints::intern`] gave.
    pub(super) fn release(&mut self, node: &Node) {
        if node.v6 {
            self.v6.free.push(node.ip);
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Tagged>()
            + self.v6.list.capacity() * size_of::<Ipv6Addr>()
            + self.v6.free.capacity() * size_of::<u32>()
    }

    fn hash(&self, addr: &SocketAddr) -> u64 {
        self.key.hash_one(Endpoint::of(*addr))
    }

    fn home(&self, hash: u64) -> usize {
        ((u128::from(hash) * self.slots.len() as u128) >> u64::BITS) as usize
    }

    const fn after(&self, at: usize) -> usize {
        if at + 1 == self.slots.len() { 0 } else { at + 1 }
    }

    /// Slots from `from` on to `to`, around the end if need be.
    const fn distance(&self, from: usize, to: usize) -> usize {
        if to >= from {
            to - from
        } else {
            to + self.slots.len() - from
        }
    }
}

/// A home is told by the highest bits of a hash, so nodes that share one share these: the lowest tell them apart.
const fn tag(hash: u64) -> u64 {
    hash.reverse_bits()
}

impl Addresses {
    fn add(&mut self, ip: Ipv6Addr) -> u32 {
        if let Some(index) = self.free.pop() {
            self.list[index as usize] = ip;
            return index;
        }
        self.list.push(ip);
        (self.list.len() - 1) as u32
    }
}
