//! Which infohashes a crawl is shown more often than others, and what weights make of it.
//!
//! A holder shows a part of what it stores, so a torrent that many nodes hold is found sooner than one that few do. Whoever knows
//! the holders, of those that were read, knows the chance that a torrent was shown ([`population::chance`]), and one by that chance
//! is its weight. Here both are taken from what went over the wire, the same way for every policy; only how many peers a torrent
//! has is told by the simulator, so that what is compared is the choice of torrents and nothing else.

use std::hash::{BuildHasher, Hasher};
use std::net::SocketAddr;

use analysis::{Estimate, population};
use sim::Population;
use wire::InfoHash;
use wire::krpc::{Body, Message, Method, Reply};
use world::{KeyedMap, KeyedSet, KeyedState, Seed};

/// Of larger worlds, infohashes are taken by lot until there are about so many: a share is as well known by them.
const KEYS: usize = 200_000;
/// Questions for peers whose answers are waited for. When there are so many, nearly all of them will never be answered, and all
/// are forgotten.
const WAITING: usize = 100_000;

/// Torrents are told apart by listed peers: the least of each class.
pub(super) const CLASSES: [u32; 6] = [1, 2, 3, 6, 11, 31];

/// What nodes showed and hold, as far as it went by.
pub(super) struct Showings {
    /// Infohashes of which the low 32 bits are a multiple of it are kept.
    one_in: u32,
    /// Nodes that were read: the share of what each stores that it has not shown, and what stands for its last sample.
    read: KeyedMap<SocketAddr, (f64, u64)>,
    /// Who showed an infohash, or named peers for it.
    holders: KeyedMap<InfoHash, Vec<SocketAddr>>,
    /// Infohashes that samples showed.
    shown: KeyedSet<InfoHash>,
    /// Questions for peers that are not answered, by whom they went to and their transaction.
    waiting: KeyedMap<(SocketAddr, [u8; 4]), InfoHash>,
    hash: KeyedState,
}

impl Showings {
    /// Of a world with so many torrents.
    pub(super) fn new(torrents: usize, seed: Seed) -> Self {
        let seed = seed.derive("showings");
        Self {
            one_in: u32::try_from(torrents.div_ceil(KEYS)).unwrap_or(u32::MAX).max(1),
            read: KeyedMap::with_hasher(seed.derive("read").hasher()),
            holders: KeyedMap::with_hasher(seed.derive("holders").hasher()),
            shown: KeyedSet::with_hasher(seed.derive("shown").hasher()),
            waiting: KeyedMap::with_hasher(seed.derive("waiting").hasher()),
            hash: seed.derive("samples").hasher(),
        }
    }

    fn is_kept(&self, infohash: &InfoHash) -> bool {
        let [.., a, b, c, d] = *infohash.as_bytes();
        u32::from_be_bytes([a, b, c, d]).is_multiple_of(self.one_in)
    }

    /// A question was sent.
    pub(super) fn asked(&mut self, to: SocketAddr, transaction: &[u8], method: &Method<'_>) {
        if let Method::GetPeers { info_hash, .. } = method
            && self.is_kept(info_hash)
        {
            if self.waiting.len() >= WAITING {
                self.waiting.clear();
            }
            self.waiting.insert((to, key(transaction)), *info_hash);
        }
    }

    /// A datagram came.
    pub(super) fn heard(&mut self, from: SocketAddr, message: &Message<'_>) {
        let Body::Reply(reply) = &message.body else { return };
        let asked = self.waiting.remove(&(from, key(message.transaction)));
        if let Some(infohash) = asked
            && reply.values.iter().next().is_some()
        {
            self.holds(from, infohash);
        }
        if reply.samples.is_some() {
            self.sample(from, reply);
        }
    }

    fn sample(&mut self, from: SocketAddr, reply: &Reply<'_>) {
        let samples = reply.samples.unwrap_or_default();
        let mut hash = self.hash.build_hasher();
        hash.write(samples);
        let (unshown, last) = self.read.entry(from).or_insert((1.0, 0));
        // The same sample again says nothing new (BEP 51: until the interval is over).
        if std::mem::replace(last, hash.finish()) != *last {
            let shown = reply.samples().len() as f64;
            let stored = reply.num.map_or(shown, |num| num as f64).max(shown).max(1.0);
            *unshown *= 1.0 - shown / stored;
        }
        for infohash in reply.samples() {
            if self.is_kept(&infohash) {
                self.shown.insert(infohash);
                self.holds(from, infohash);
            }
        }
    }

    fn holds(&mut self, node: SocketAddr, infohash: InfoHash) {
        let holders = self.holders.entry(infohash).or_default();
        if !holders.contains(&node) {
            holders.push(node);
        }
    }

    /// The weight of an infohash that was shown: one by its chance to be.
    fn weight(&self, infohash: &InfoHash) -> f64 {
        let holders = self.holders.get(infohash).into_iter().flatten();
        let missed: f64 = holders
            .filter_map(|node| self.read.get(node))
            .map(|read| read.0)
            .product();
        1.0 / (1.0 - missed).max(f64::EPSILON)
    }

    /// Holds what was shown against what was planted; bait of liars is neither.
    pub(super) fn against(&self, population: &Population, planted: Classes) -> Bias {
        let mut bias = Bias {
            planted,
            ..Bias::default()
        };
        let honest = |infohash: &InfoHash| !population.is_bait(infohash);
        let mut singles = Vec::new();
        // Sums of fractions depend on their order, and that of the set is drawn.
        let mut shown: Vec<_> = self.shown.iter().filter(|infohash| honest(infohash)).collect();
        shown.sort_unstable();
        for infohash in shown {
            let Some(peers) = population.listed(infohash).filter(|peers| *peers > 0) else {
                continue;
            };
            let weight = self.weight(infohash);
            bias.shown.add(peers, 1.0);
            bias.weighted.add(peers, weight);
            singles.push((weight, f64::from(u8::from(peers == 1))));
        }
        bias.one_peer = population::weighted_mean(singles);
        bias
    }
}

/// The first bytes of a transaction, which are all of ours.
fn key(transaction: &[u8]) -> [u8; 4] {
    let mut key = [0; 4];
    key.iter_mut().zip(transaction).for_each(|(to, from)| *to = *from);
    key
}

/// Torrents by [`CLASSES`], counted or weighed.
#[derive(Clone, Copy, Default, Debug)]
pub struct Classes([f64; CLASSES.len()]);

impl Classes {
    /// Adds a torrent; one without a listed peer is in no class.
    pub(super) fn add(&mut self, peers: u32, weight: f64) {
        let class = CLASSES.partition_point(|least| *least <= peers);
        if let Some(sum) = class.checked_sub(1).and_then(|class| self.0.get_mut(class)) {
            *sum += weight;
        }
    }

    /// The share of each class.
    pub fn shares(&self) -> [f64; CLASSES.len()] {
        let all: f64 = self.0.iter().sum();
        self.0.map(|sum| if all > 0.0 { sum / all } else { 0.0 })
    }
}

/// What samples showed, held against what there is; infohashes that have a listed peer.
#[derive(Clone, Default, Debug)]
pub struct Bias {
    /// All.
    pub planted: Classes,
    /// Those that samples showed.
    pub shown: Classes,
    /// The same, each by its weight.
    pub weighted: Classes,
    /// The share with one listed peer, of those shown, weighted.
    pub one_peer: Option<Estimate>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_begin_where_they_say() {
        let mut classes = Classes::default();
        [0, 1, 2, 3, 5, 6, 10, 11, 30, 31, 4_000]
            .iter()
            .for_each(|peers| classes.add(*peers, 1.0));
        assert_eq!(classes.0, [1.0, 1.0, 2.0, 2.0, 2.0, 2.0]);
        assert_eq!(classes.shares().iter().sum::<f64>(), 1.0);
    }
}
