//! Infohashes that others ask us for: which of them somebody really wants.
//!
//! Clients walk to random points with `get_peers`, and whoever passes by on such a walk asks each node once. An infohash that two
//! hosts ask for is no random point: it is followed, after all that somebody showed.

use std::collections::VecDeque;
use std::net::IpAddr;

use wire::InfoHash;
use world::{KeyedMap, Seed};

/// Infohashes remembered that one host has asked for: some minutes of a busy node.
const MOST: usize = 4_096;

/// Who asked for what lately.
#[derive(Debug)]
pub(super) struct Wanted {
    once: KeyedMap<InfoHash, IpAddr>,
    /// The same, in the order of their coming.
    order: VecDeque<InfoHash>,
}

impl Wanted {
    pub(super) fn new(seed: Seed) -> Self {
        Self {
            once: KeyedMap::with_hasher(seed.derive("wanted").hasher()),
            order: VecDeque::new(),
        }
    }

    /// `by` asked for it: whether another host did before.
    pub(super) fn asked(&mut self, info_hash: InfoHash, by: IpAddr) -> bool {
        if let Some(first) = self.once.get(&info_hash) {
            return *first != by;
        }
        if self.order.len() >= MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.once.remove(&oldest);
        }
        self.once.insert(info_hash, by);
        self.order.push_back(info_hash);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(number: u32) -> InfoHash {
        let mut bytes = [0; 20];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        InfoHash::new(bytes)
    }

    #[test]
    fn it_takes_two_hosts_to_want_something() {
        let mut wanted = Wanted::new(Seed::from_number(1));
        let host = |last: u8| IpAddr::from([192, 0, 2, last]);
        assert!(!wanted.asked(hash(1), host(1)));
        assert!(!wanted.asked(hash(1), host(1)), "the same again");
        assert!(!wanted.asked(hash(2), host(2)));
        assert!(wanted.asked(hash(1), host(2)));
        (10..10 + MOST as u32).for_each(|number| _ = wanted.asked(hash(number), host(3)));
        assert!(!wanted.asked(hash(1), host(2)), "forgotten");
        assert!(wanted.once.len() <= MOST && wanted.order.len() <= MOST);
    }
}
