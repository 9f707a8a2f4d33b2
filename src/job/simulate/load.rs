//! How often each host was asked, hour by hour.

use std::net::IpAddr;

use world::{KeyedMap, Seed, Time};

/// The current hour of one host.
#[derive(Clone, Copy, Debug)]
struct Hour {
    hour: u32,
    queries: u32,
}

/// Queries per host and hour, of the hours in which a host was asked at all.
#[derive(Debug)]
pub struct Load {
    hosts: KeyedMap<IpAddr, Hour>,
    /// Hours that are over, by their queries; the last counts all that are busier.
    over: Vec<u64>,
}

impl Load {
    /// Queries in an hour that are told apart: a host that is asked once a second is far below.
    const MOST: usize = 1 << 13;

    pub(super) fn new(seed: Seed) -> Self {
        Self {
            hosts: KeyedMap::with_hasher(seed.derive("load").hasher()),
            over: vec![0; Self::MOST],
        }
    }

    pub(super) fn count(&mut self, now: Time, host: IpAddr) {
        let hour = (now.as_secs() / 3600) as u32;
        let entry = self.hosts.entry(host).or_insert(Hour { hour, queries: 0 });
        if entry.hour != hour {
            self.over[(entry.queries as usize).min(Self::MOST - 1)] += 1;
            *entry = Hour { hour, queries: 0 };
        }
        entry.queries += 1;
    }

    /// Hosts that were asked.
    pub fn hosts(&self) -> usize {
        self.hosts.len()
    }

    /// How many hours of hosts had so many queries; the index is the number of queries.
    pub fn histogram(&self) -> Vec<u64> {
        let mut all = self.over.clone();
        for entry in self.hosts.values() {
            all[(entry.queries as usize).min(Self::MOST - 1)] += 1;
        }
        all
    }
}

/// The value below which this share of a [`Load::histogram`] lies; 0 of an empty one.
pub fn quantile(histogram: &[u64], share: f64) -> u64 {
    let total: u64 = histogram.iter().sum();
    let wanted = (total as f64 * share).ceil() as u64;
    let mut sum = 0;
    for (queries, hours) in (0..).zip(histogram) {
        sum += hours;
        if sum >= wanted && sum > 0 {
            return queries;
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_of_hosts_are_counted_apart() {
        let mut load = Load::new(Seed::from_number(1));
        let host = |last| IpAddr::from([10, 0, 0, last]);
        for (secs, last, times) in [(0, 1, 3), (3600, 1, 1), (3700, 2, 5)] {
            (0..times).for_each(|_| load.count(Time::from_secs(secs), host(last)));
        }
        let histogram = load.histogram();
        assert_eq!((histogram[1], histogram[3], histogram[5]), (1, 1, 1));
        assert_eq!(
            (load.hosts(), quantile(&histogram, 0.5), quantile(&histogram, 1.0)),
            (2, 3, 5)
        );
        assert_eq!(quantile(&Load::new(Seed::from_number(1)).histogram(), 0.5), 0);
    }
}
