//! How much of the DHT there is and how much of it this crawl saw, as far as its samples and walks tell.
//!
//! Samples only. What others ask us for or announce to us comes from the neighbourhood of our own id and from whoever likes to talk
//! to us: mixed in, it would make a sample of nothing.

use std::net::SocketAddr;

use analysis::{Counts, Estimate, Incidence, richness, size};
use crawler::observation::{Observation, Outcome};
use crawler::sampler::Zone;
use crawler::{Family, K, Node, Sighting, Source};
use world::{KeyedState, Seed};

use super::sounding::Sounding;

/// Keys and nodes of which account is kept; of more, a fair share. An estimate from so many is off by half a percent for that.
const MOST: usize = 65_536;

/// Of the nodes that answered so many may be missing where only a fair share is kept.
const MET_AT_LEAST: f64 = 0.95;

/// Of the nodes that answer so many must have been met before infohashes are estimated: a crawl goes from one part of the key
/// space to the next, and until then what it has seen tells of the parts where it was.
const READ_AT_LEAST: f64 = 0.5;

/// What a node may store at the most, as far as it is believed (network-model 4.7).
const NUM_MAX: i64 = 16_384;

/// What was noted for estimates.
#[derive(Debug)]
pub struct Estimates {
    samples: Incidence<KeyedState>,
    /// Nodes that answered anything: how many of all were met.
    met: Incidence<KeyedState>,
    /// Who showed something invented lately: the sightings of its sample follow.
    liar: Option<SocketAddr>,
    /// Zones that a census has listed.
    zones: Vec<Zone>,
    /// How near the nearest nodes are.
    sounding: Sounding,
}

/// The estimates at one moment. What cannot be estimated yet is `None`.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Estimated {
    /// Nodes of the IPv4 and of the IPv6 DHT.
    pub nodes: [Option<Estimate>; 2],
    /// Nodes, by the zones that a census has listed.
    pub nodes_by_zones: Option<Estimate>,
    /// Infohashes in the DHT.
    pub keys: Option<Estimate>,
    /// The same, by another way.
    pub keys_by_halves: Option<Estimate>,
    /// The share of them that was seen.
    pub seen: Option<Estimate>,
    /// The share of showings that are of infohashes seen before.
    pub coverage: Option<Estimate>,
    /// The same where it is lowest, of sixteen parts of the key space.
    pub lowest: Option<Estimate>,
    /// What they are made of.
    pub counts: Counts,
}

impl Estimates {
    /// Nothing was noted yet.
    pub fn new(seed: Seed) -> Self {
        Self {
            samples: Incidence::new(seed.derive("estimates").hasher(), MOST),
            met: Incidence::new(seed.derive("nodes met").hasher(), MOST),
            liar: None,
            zones: Vec::new(),
            sounding: Sounding::default(),
        }
    }

    /// A node answered or did not.
    pub fn observed(&mut self, observation: &Observation) {
        let answered = matches!(observation.outcome, Outcome::Answer | Outcome::Late);
        let (true, Some(id)) = (answered, &observation.id) else {
            return;
        };
        self.met.read(id, 0);
        let liar = observation.store.is_some_and(|store| store.far_fetched);
        self.liar = liar.then_some(observation.addr);
        if let (Some(store), false) = (&observation.store, liar) {
            self.samples.read(id, believed(store.num, store.shown));
        }
    }

    /// An infohash was shown.
    pub fn sighted(&mut self, sighting: &Sighting) {
        let invented = self.liar == Some(sighting.from.addr);
        if let (Source::Sample { .. }, false) = (sighting.source, invented) {
            self.samples.note(&sighting.from.id, &sighting.info_hash);
        }
    }

    /// What is asked to learn how many nodes there are.
    pub(super) const fn sounding(&mut self) -> &mut Sounding {
        &mut self.sounding
    }

    /// A census has listed a zone.
    pub(super) fn listed(&mut self, zone: Zone) {
        self.zones.push(zone);
    }

    /// Zones that a census has listed.
    pub fn zones(&self) -> &[Zone] {
        &self.zones
    }

    /// All zones listed, as one: what they stand for is so many times as much.
    fn as_one(&self) -> Option<(size::Zone, f64)> {
        let bits = self.zones.first()?.bits;
        let sum = |of: fn(&Zone) -> u64| self.zones.iter().map(of).sum();
        let zone = size::Zone {
            bits,
            seen: sum(|zone| zone.nodes),
            known: sum(|zone| zone.known),
            found: sum(|zone| zone.found),
        };
        Some((zone, 1.0 / self.zones.len() as f64))
    }

    /// What follows from it for the crawl of `node`.
    pub fn at_this_moment(&self, node: &Node) -> Estimated {
        let k = u32::try_from(K).unwrap_or(u32::MAX);
        let met = self.met.counts().nodes as f64;
        let nodes = [Family::V4, Family::V6].map(|family| size::order_statistics(self.sounding.shares(family), k));
        let nodes = unless_refuted(nodes, met);
        let read = Some(read_share(&nodes, met)).filter(|read| *read >= READ_AT_LEAST);
        self.follow(node, nodes, read)
    }

    /// What follows from it where there are so many nodes, and those of the samples were read all over the key space.
    pub fn of(&self, node: &Node, nodes: [Option<Estimate>; 2]) -> Estimated {
        let met = self.met.counts().nodes as f64;
        self.follow(node, nodes, Some(read_share(&nodes, met)))
    }

    /// Of infohashes only where `read` is known, the share of all nodes that was read; a census knows its own.
    fn follow(&self, node: &Node, nodes: [Option<Estimate>; 2], read: Option<f64>) -> Estimated {
        let counts = self.samples.counts();
        let census = self.as_one();
        // A key lies with the nodes nearest to it, which are of its zone. While zones are under way, their samples are in the
        // counts and they are not in the list.
        let (read_share, scale) = match (&census, node.sampler()) {
            (Some((zone, share)), Some(sampler)) if sampler.is_census_over() => {
                let read = zone.found as f64 / zone.known.max(1) as f64;
                (Some(read), 2.0_f64.powi(i32::try_from(zone.bits).unwrap_or(0)) * share)
            }
            (_, Some(sampler)) if sampler.is_census() => (None, 1.0),
            _ => (read, 1.0),
        };
        let chance = read_share.map(|read| counts.shown_share() * read);
        let keys = chance
            .and_then(|chance| richness::chao2(&counts, chance))
            .map(|keys| keys.times(scale));
        Estimated {
            nodes,
            keys,
            nodes_by_zones: census.and_then(|(zone, share)| Some(size::zone(&zone)?.times(share))),
            keys_by_halves: chance
                .and_then(|chance| richness::chapman(&counts, chance))
                .map(|keys| keys.times(scale)),
            seen: keys.map(|keys| richness::share_seen(&counts, &keys)),
            coverage: richness::coverage(&counts),
            lowest: self
                .samples
                .by_zone(4)
                .iter()
                .filter_map(richness::coverage)
                .min_by(|one, other| one.value.total_cmp(&other.value)),
            counts,
        }
    }
}

/// How many infohashes a node stores, as far as it is believed: what it shows is all, or a part of 20 at least (network-model 4.7).
pub fn believed(num: Option<i64>, shown: u16) -> u32 {
    let shown = u32::from(shown);
    let num = num.filter(|num| shown >= 20 && (i64::from(shown)..=NUM_MAX).contains(num));
    num.and_then(|num| u32::try_from(num).ok()).unwrap_or(shown)
}

/// The share of all nodes that was read. A node that answers is sampled first of all, so those met are to all as those read are to
/// all that can be read.
fn read_share(nodes: &[Option<Estimate>; 2], met: f64) -> f64 {
    let all: f64 = nodes.iter().flatten().map(|nodes| nodes.value).sum();
    if all > 0.0 { (met / all).min(1.0) } else { 0.0 }
}

/// Estimates of nodes, unless more than they allow have answered: walks that end far from their targets find what is sparse.
fn unless_refuted(nodes: [Option<Estimate>; 2], met: f64) -> [Option<Estimate>; 2] {
    let most: f64 = nodes.iter().flatten().map(|nodes| nodes.high).sum();
    if most < met * MET_AT_LEAST { [None, None] } else { nodes }
}

#[cfg(test)]
mod tests {
    use analysis::Estimate;
    use analysis::population::STORED;

    use super::{believed, unless_refuted};

    #[test]
    fn an_estimate_that_those_who_answered_refute_is_none() {
        let nodes = [Some(Estimate::exact(71_000.0, &STORED)), None];
        assert_eq!(unless_refuted(nodes, 650_000.0), [None, None]);
        assert_eq!(unless_refuted(nodes, 72_000.0), nodes);
        assert_eq!(unless_refuted([None, None], 0.0), [None, None]);
    }

    #[test]
    fn a_number_is_believed_if_it_agrees_with_what_is_shown() {
        for (num, shown, want) in [
            (Some(135), 20, 135),
            (Some(7), 7, 7),
            (Some(7), 20, 20),
            (Some(500), 7, 7),
            (Some(i64::MAX), 20, 20),
            (None, 20, 20),
        ] {
            assert_eq!(believed(num, shown), want, "{num:?} {shown}");
        }
    }
}
