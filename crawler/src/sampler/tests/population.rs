//! A sweep over a small population of nodes that behave like libtorrent: Kademlia buckets, the eight nearest they know.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use super::*;
use crate::{K, Nearest};

const NODES: u32 = 2_000;

struct Population {
    nodes: Vec<Contact>,
    /// What each node knows: up to eight of each distance.
    tables: Vec<Vec<usize>>,
    by_addr: BTreeMap<SocketAddr, usize>,
}

/// One for all tests: it takes longer to make than to sweep.
static POPULATION: LazyLock<Population> = LazyLock::new(population);

fn population() -> Population {
    let mut rng = Seed::from_number(3).rng();
    let node = |number: u32| {
        let mut id = [0; 20];
        rng.fill_bytes(&mut id);
        let [.., c, d] = number.to_be_bytes();
        Contact {
            id: NodeId::new(id),
            addr: SocketAddr::from(([127, 1, c, d], 6881)),
        }
    };
    let nodes: Vec<Contact> = (0..NODES).map(node).collect();
    let mut rng = Seed::from_number(4).rng();
    let firsts: Vec<u64> = nodes.iter().map(|node| first_bits(&node.id)).collect();
    let owners = 0..nodes.len();
    let tables = owners.map(|owner| table(owner, &firsts, rng.next_u64())).collect();
    let by_addr = nodes.iter().enumerate().map(|(at, node)| (node.addr, at)).collect();
    Population { nodes, tables, by_addr }
}

/// The first 64 bits of an id: enough to tell 2,000 apart.
fn first_bits(id: &NodeId) -> u64 {
    id.as_bytes()[..8]
        .iter()
        .fold(0, |bits, &byte| bits << 8 | u64::from(byte))
}

/// The first eight of each distance that come by, for an owner who meets the others from `start` on.
fn table(owner: usize, firsts: &[u64], start: u64) -> Vec<usize> {
    let mut sizes = [0; 65];
    let start = start as usize % firsts.len();
    let met = (start..firsts.len()).chain(0..start);
    met.filter(|&other| {
        let size = &mut sizes[(firsts[owner] ^ firsts[other]).leading_zeros() as usize];
        *size += 1;
        owner != other && *size <= K
    })
    .collect()
}

impl Population {
    fn nearest(&self, node: usize, target: &NodeId) -> Vec<u8> {
        let mut nearest = Nearest::to(target);
        for &other in &self.tables[node] {
            nearest.offer(&self.nodes[other]);
        }
        let mut bytes = Vec::new();
        for contact in nearest.few().iter() {
            let SocketAddr::V4(addr) = contact.addr else {
                panic!("{contact:?}")
            };
            bytes.extend_from_slice(contact.id.as_bytes());
            bytes.extend_from_slice(&addr.ip().octets());
            bytes.extend_from_slice(&addr.port().to_be_bytes());
        }
        bytes
    }
}

/// Asks until nobody is left to ask before `until`; returns how often each node was asked.
fn sweep(population: &Population, sampler: &mut Sampler, until: Time, answers: impl Fn(usize) -> bool) -> Vec<u32> {
    let mut guard = guard();
    let mut asked = vec![0; population.nodes.len()];
    for first in &population.nodes[..8] {
        sampler.learn(at(0), first, Provenance::Named, None, &guard);
    }
    while let Some(now) = sampler.wake().filter(|&wake| wake < until) {
        let Some(ask) = sampler.next(now, &mut guard) else {
            continue;
        };
        let node = population.by_addr[&ask.to.addr];
        asked[node] += 1;
        if !answers(node) {
            sampler.on_timeout(now, ask.to.addr);
            continue;
        }
        let nodes = population.nearest(node, &ask.target);
        let samples = samples(500, 21_600);
        let reply = Reply {
            nodes: &nodes,
            samples: (ask.probe == Probe::Sample).then_some(&samples.0),
            num: Some(samples.1),
            interval: Some(samples.2),
            ..Reply::new(ask.to.id)
        };
        sampler.on_reply(now, &ask.to, LT, &reply, &guard);
    }
    asked
}

#[test]
fn one_sweep_finds_every_node_and_asks_each_once() {
    let mut sampler = sampler();
    let asked = sweep(&POPULATION, &mut sampler, at(21_600), |_| true);
    let found = asked.iter().filter(|&&times| times > 0).count();
    assert!(found * 1_000 >= POPULATION.nodes.len() * 995, "{found} of {NODES}");
    assert!(asked.iter().all(|&times| times <= 1));
    assert_eq!(sampler.stats().queries_per_sample(), 1.0);
}

#[test]
fn six_hours_later_each_is_asked_once_more() {
    let asked = sweep(&POPULATION, &mut sampler(), at(2 * 21_600), |_| true);
    assert!(asked.iter().filter(|&&times| times == 2).count() * 1_000 >= POPULATION.nodes.len() * 995);
    assert!(asked.iter().all(|&times| times <= 2));
}

/// The dead stand in others' tables as often as anybody, name nobody, and cost two queries each within the hour. So one
/// node is named by five others in the mean, not eight, and one in two hundred by none.
#[test]
fn a_sweep_finds_the_living_among_the_dead() {
    let alive = |node: usize| node < 8 || !node.is_multiple_of(3);
    let asked = sweep(&POPULATION, &mut sampler(), at(3_600), alive);
    let (mut found, mut living) = (0, 0);
    for (node, &times) in asked.iter().enumerate() {
        assert!(times <= if alive(node) { 1 } else { 2 });
        living += usize::from(alive(node));
        found += usize::from(alive(node) && times > 0);
    }
    assert!(found * 100 >= living * 99, "{found} of {living}");
}

#[test]
fn a_sweep_repeats_from_its_seed() {
    let order = || {
        let mut sampler = sampler();
        sweep(&POPULATION, &mut sampler, at(100), |_| true);
        sampler.stats()
    };
    assert_eq!(order(), order());
}

#[test]
fn what_is_known_near_a_key_is_nearest() {
    let mut sampler = sampler();
    sweep(&POPULATION, &mut sampler, at(100), |_| true);
    let target = NodeId::new([0x5a; 20]);
    let mut nearest: Vec<_> = POPULATION.nodes.iter().map(|node| node.id.distance(&target)).collect();
    nearest.sort_unstable();
    let known: BTreeSet<_> = sampler
        .closest_known(&target, Family::V4)
        .iter()
        .map(|node| node.id.distance(&target))
        .collect();
    let found = nearest[..K].iter().filter(|distance| known.contains(distance)).count();
    assert!(found >= K - 1, "{found}");
}
