//! How many peers a torrent has, by BEP 33 filters of several nodes (network-model 4.6).

use wire::bloom::{self, Bloom};

use crate::estimate::{Estimate, Method};

/// By filters, united.
pub const FILTERS: Method = Method {
    name: "BEP 33",
    counts: "addresses of peers in the filters of all nodes asked, each once: peers of the last 45 minutes or so, and one for all \
             that share an address",
    assumes: "filters are honest, and nodes hold all peers that were announced to them (libtorrent: 500 a torrent)",
};

/// By what the filters of two nodes have in common.
pub const OVERLAP: Method = Method {
    name: "BEP 33 overlap",
    counts: "addresses of peers that announce at all, those that neither of the two nodes has included",
    assumes: "a peer's announce reaches one of the two nodes whether or not it reached the other",
};

/// Addresses in a filter above which it tells nothing more: it is often full.
pub const MOST: f64 = 6_000.0;

/// Bits of a filter, and bits set for an address.
const BITS: f64 = 8.0 * bloom::LEN as f64;
const HASHES: f64 = 2.0;

/// The filters of all nodes asked, united: never added up, since they overlap.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Filters {
    /// Nodes that gave filters.
    pub nodes: u32,
    /// Addresses of seeds (`BFsd`).
    pub seeds: Bloom,
    /// Addresses of other peers (`BFpe`).
    pub peers: Bloom,
}

impl Filters {
    /// One more node's filters.
    pub fn unite(&mut self, seeds: &Bloom, peers: &Bloom) {
        self.nodes += 1;
        self.seeds.unite(seeds);
        self.peers.unite(peers);
    }

    /// All addresses. Seeds and other peers overlap, so they are united, too.
    pub fn all(&self) -> Bloom {
        let mut all = self.seeds.clone();
        all.unite(&self.peers);
        all
    }
}

/// Addresses in a filter. `None` if it is full: more than [`MOST`], or forged, and no number.
pub fn size(filter: &Bloom) -> Option<Estimate> {
    let value = filter.estimate()?;
    let estimate = Estimate::normal(value, variance(value), &FILTERS);
    // Every address sets two bits at most.
    let least = f64::from(filter.ones()) / HASHES;
    Some(Estimate {
        low: estimate.low.max(least),
        high: estimate.high.max(least),
        ..estimate
    })
}

/// Peers in all, by capture and recapture between the filters of two nodes: `n(A) * n(B) / n(A and B)`. `None` where one of them is
/// full, or they have nothing in common.
pub fn overlap(one: &Bloom, other: &Bloom) -> Option<Estimate> {
    let mut either = one.clone();
    either.unite(other);
    let (a, b, united) = (one.estimate()?, other.estimate()?, either.estimate()?);
    let common = a + b - united;
    if common < 1.0 {
        return None;
    }
    let value = a * b / common;
    // Chapman's variance, and that of reading the common part off three filters.
    let recapture = (a - common).max(0.0) * (b - common).max(0.0) / (a * b * common);
    let read = (variance(a) + variance(b) + variance(united)) / (common * common);
    Some(Estimate::log_normal(value, recapture + read, &OVERLAP))
}

/// Of the estimate from a filter of so many addresses: `m(e^t - t - 1)/k²` with `t = k*n/m`.
fn variance(addresses: f64) -> f64 {
    let t = HASHES * addresses / BITS;
    BITS * (t.exp() - t - 1.0) / (HASHES * HASHES)
}

#[cfg(test)]
mod tests {
    use std::borrow::Borrow;
    use std::net::{IpAddr, Ipv4Addr};

    use rand::RngExt;

    use super::*;
    use crate::testing::{Rand, covered};

    fn addresses(rng: &mut Rand, count: usize) -> Vec<IpAddr> {
        let mut draw = || IpAddr::from(Ipv4Addr::from_bits(rng.random()));
        (0..count).map(|_| draw()).collect()
    }

    fn filter<I: IntoIterator<Item: Borrow<IpAddr>>>(addresses: I) -> Bloom {
        let mut bloom = Bloom::new();
        addresses.into_iter().for_each(|ip| bloom.insert(*ip.borrow()));
        bloom
    }

    #[test]
    fn filters_are_counted_within_the_interval() {
        for count in [3, 100, 1_000, 4_000] {
            covered(100, 0.95, |seed| {
                let addresses = addresses(&mut seed.rng(), count);
                size(&filter(&addresses)).unwrap().covers(count as f64)
            });
        }
    }

    #[test]
    fn several_nodes_are_united_and_an_empty_filter_is_nobody() {
        let addresses = addresses(&mut world::Seed::from_number(1).rng(), 200);
        let mut filters = Filters::default();
        filters.unite(&filter(&addresses[..120]), &Bloom::new());
        filters.unite(&filter(&addresses[60..150]), &filter(&addresses[140..]));
        assert_eq!(filters.nodes, 2);
        assert!(size(&filters.seeds).unwrap().covers(150.0));
        assert!(size(&filters.all()).unwrap().covers(200.0));
        let nobody = size(&Bloom::new()).unwrap();
        assert_eq!((nobody.value, nobody.low, nobody.high), (0.0, 0.0, 0.0));
        assert_eq!(size(&Bloom::from_bytes([0xFF; bloom::LEN])), None);
    }

    #[test]
    fn what_two_nodes_have_in_common_tells_what_both_miss() {
        covered(100, 0.9, |seed| {
            let mut rng = seed.rng();
            let addresses = addresses(&mut rng, 600);
            let mut half = || filter(addresses.iter().filter(|_| rng.random::<bool>()));
            let (one, other) = (half(), half());
            overlap(&one, &other).unwrap().covers(600.0)
        });
        assert_eq!(overlap(&Bloom::new(), &Bloom::new()), None);
    }
}
