//! How the queries of a run are spread over hosts, in fixed memory.

use std::hash::BuildHasher;

use world::{KeyedMap, KeyedState, Seed};

use super::place::Host;

/// Hosts counted at most; about 0.6 MiB.
const MOST: usize = 16_384;

/// Queries per host over the whole run.
///
/// Exact up to 16,384 hosts. Beyond, distinct sampling (Gibbons, VLDB 2001): only hosts whose keyed hash ends in
/// enough zero bits are counted, one more bit each time that the table fills up, so the rest stays a fair sample of
/// hosts, each counted from its first query on. A histogram of it is right within about 1%.
pub(crate) struct Census {
    chance: KeyedState,
    zeros: u32,
    counts: KeyedMap<Host, u32>,
}

/// Hosts by the number of queries that each was sent (crawlers R10).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Histogram {
    /// Hosts sent 1 query; 2 or 3; 4 to 7; and so on, doubling. Estimates, if [`one_in`](Self::one_in) is not 1.
    pub hosts: [u64; 32],
    /// The share of hosts that were counted: one in so many.
    pub one_in: u64,
}

impl Histogram {
    /// Hosts altogether.
    pub fn total(&self) -> u64 {
        self.hosts.iter().sum()
    }
}

impl Census {
    pub(crate) fn new(seed: Seed) -> Self {
        Self {
            chance: seed.derive("census sample").hasher(),
            zeros: 0,
            // Twice the room: removals then never make the map grow.
            counts: KeyedMap::with_capacity_and_hasher(2 * MOST, seed.derive("census").hasher()),
        }
    }

    /// Counts a query to `host`.
    pub(crate) fn count(&mut self, host: Host) {
        if let Some(count) = self.counts.get_mut(&host) {
            *count = count.saturating_add(1);
        } else if in_sample(self.chance, self.zeros, host) {
            while self.counts.len() >= MOST && self.zeros < 63 {
                self.zeros += 1;
                let (chance, zeros) = (self.chance, self.zeros);
                self.counts.retain(|&host, _| in_sample(chance, zeros, host));
            }
            if in_sample(self.chance, self.zeros, host) {
                self.counts.insert(host, 1);
            }
        }
    }

    /// Bytes taken, all of them from the start: an entry and a control byte for each place of the map, which the standard
    /// library fills to 7/8 at most.
    pub(crate) fn memory_bytes(&self) -> usize {
        (self.counts.capacity() * 8 / 7).next_power_of_two() * (size_of::<(Host, u32)>() + 1)
    }

    /// The counts so far.
    pub(crate) fn histogram(&self) -> Histogram {
        let one_in = 1 << self.zeros;
        let mut hosts = [0; 32];
        for count in self.counts.values() {
            let class = count.checked_ilog2().and_then(|class| usize::try_from(class).ok());
            hosts[class.unwrap_or(0)] += one_in;
        }
        Histogram { hosts, one_in }
    }
}

fn in_sample(chance: KeyedState, zeros: u32, host: Host) -> bool {
    chance.hash_one(host).trailing_zeros() >= zeros
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    fn census(hosts: u32, queries: u32) -> Histogram {
        let mut census = Census::new(Seed::from_number(1));
        for _ in 0..queries {
            for number in 0..hosts {
                census.count(Host::of(IpAddr::V4(Ipv4Addr::from_bits(number))));
            }
        }
        census.histogram()
    }

    #[test]
    fn few_hosts_are_counted_exactly() {
        let histogram = census(1000, 5);
        assert_eq!((histogram.hosts[2], histogram.one_in), (1000, 1));
    }

    #[test]
    fn many_hosts_are_estimated_from_a_fair_sample() {
        let histogram = census(200_000, 3);
        assert_eq!(histogram.one_in, 16);
        assert!((190_000..210_000).contains(&histogram.hosts[1]), "{histogram:?}");
        assert_eq!(histogram.hosts.iter().sum::<u64>(), histogram.hosts[1]);
    }
}
