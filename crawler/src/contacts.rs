//! Contacts by the handful, and the two address families that never mix (BEP 32).

use std::net::{IpAddr, SocketAddr};
use std::ops::Deref;

use wire::NodeId;
pub use wire::compact::Contact;

/// One of the two DHTs: IPv4 and IPv6 are separate overlays with separate routing tables (BEP 32).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Family {
    /// The IPv4 DHT.
    V4,
    /// The IPv6 DHT.
    V6,
}

impl Family {
    /// The DHT that a node at `addr` belongs to.
    pub const fn of(addr: &SocketAddr) -> Self {
        match addr {
            SocketAddr::V4(_) => Self::V4,
            SocketAddr::V6(_) => Self::V6,
        }
    }

    /// The DHT of a host.
    pub const fn of_ip(ip: &IpAddr) -> Self {
        match ip {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

/// Which of the two DHTs a node takes part in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Families {
    /// The IPv4 DHT.
    pub v4: bool,
    /// The IPv6 DHT.
    pub v6: bool,
}

impl Families {
    /// Whether we take part in `family`.
    pub const fn has(self, family: Family) -> bool {
        match family {
            Family::V4 => self.v4,
            Family::V6 => self.v6,
        }
    }
}

/// Kademlia's k: entries of a bucket, nodes in a reply, holders of a key (BEP 5).
pub const K: usize = 8;

const NOBODY: Contact = Contact {
    id: NodeId::new([0; 20]),
    addr: SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0),
};

/// Up to [`K`] contacts, held in place: the hot path passes them around without allocating.
#[derive(Clone, Copy)]
pub struct Few {
    len: usize,
    contacts: [Contact; K],
}

impl Few {
    /// No contacts.
    pub const fn new() -> Self {
        Self {
            len: 0,
            contacts: [NOBODY; K],
        }
    }

    /// Appends `contact`; false, and nothing happens, when [`K`] are held already.
    pub fn push(&mut self, contact: Contact) -> bool {
        let Some(slot) = self.contacts.get_mut(self.len) else {
            return false;
        };
        *slot = contact;
        self.len += 1;
        true
    }
}

/// A distance as two numbers, which compare in two instructions where bytes need a call. Answering `find_node` is mostly
/// comparing.
type Far = (u128, u32);

fn far(one: &NodeId, other: &NodeId) -> Far {
    let parts = |id: &NodeId| {
        let [high @ .., a, b, c, d] = *id.as_bytes();
        (u128::from_be_bytes(high), u32::from_be_bytes([a, b, c, d]))
    };
    let ((one_high, one_low), (other_high, other_low)) = (parts(one), parts(other));
    (one_high ^ other_high, one_low ^ other_low)
}

/// Of all contacts offered, the [`K`] nearest to a point.
#[derive(Clone, Debug)]
pub struct Nearest {
    target: NodeId,
    /// Of the contacts kept, nearest first: how far it is, and its place in `few`.
    order: [(Far, usize); K],
    /// In the order of their coming: contacts are large, and moving them up and down took most of the time.
    few: Few,
}

impl Nearest {
    /// Nobody was offered yet.
    pub fn to(target: &NodeId) -> Self {
        Self {
            target: *target,
            order: [((0, 0), 0); K],
            few: Few::new(),
        }
    }

    /// Keeps `contact` if it is among the nearest so far; of two equally near ones the first.
    pub fn offer(&mut self, contact: &Contact) {
        let distance = far(&contact.id, &self.target);
        let len = self.few.len;
        let at = self.order[..len].iter().take_while(|held| held.0 <= distance).count();
        if at == K {
            return;
        }
        // The furthest makes way.
        let place = if len < K { len } else { self.order[K - 1].1 };
        let len = K.min(len + 1);
        self.few.len = len;
        self.order.copy_within(at..len - 1, at + 1);
        self.order[at] = (distance, place);
        self.few.contacts[place] = *contact;
    }

    /// Whether [`K`] were offered.
    pub const fn is_full(&self) -> bool {
        self.few.len == K
    }

    /// The nearest, nearest first.
    pub fn few(&self) -> Few {
        let order = &self.order[..self.few.len];
        order.iter().map(|&(_, place)| self.few.contacts[place]).collect()
    }
}

impl Default for Few {
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for Few {
    type Target = [Contact];

    fn deref(&self) -> &[Contact] {
        &self.contacts[..self.len]
    }
}

impl PartialEq for Few {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Few {}

impl std::fmt::Debug for Few {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl FromIterator<Contact> for Few {
    /// The first [`K`] of them; the rest is dropped.
    fn from_iter<I: IntoIterator<Item = Contact>>(contacts: I) -> Self {
        let mut few = Self::new();
        for contact in contacts {
            if !few.push(contact) {
                break;
            }
        }
        few
    }
}

/// Somebody who knows good nodes near any point: the routing table, as the responder sees it.
pub trait Closest {
    /// The good nodes of `family` nearest to `target`, nearest first.
    fn closest(&self, target: &NodeId, family: Family) -> Few;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contact(first: u8) -> Contact {
        let mut id = [0; 20];
        id[0] = first;
        Contact {
            id: NodeId::new(id),
            addr: SocketAddr::from(([127, 0, 0, first], 6881)),
        }
    }

    #[test]
    fn the_nearest_eight_stay() {
        let target = NodeId::new([0; 20]);
        let mut nearest = Nearest::to(&target);
        for first in [9, 3, 7, 1, 8, 2, 6, 4, 5, 10] {
            nearest.offer(&contact(first));
        }
        let firsts: Vec<u8> = nearest.few().iter().map(|held| held.id.as_bytes()[0]).collect();
        assert_eq!(firsts, [1, 2, 3, 4, 5, 6, 7, 8]);
    }

    #[test]
    fn the_ninth_is_refused() {
        let mut few: Few = (1..=8).map(contact).collect();
        assert!(!few.push(contact(9)));
        assert_eq!(few.len(), K);
    }
}
