//! What is announced, by how many, and which node holds it.

mod place;

use std::cell::{Ref, RefCell};
use std::time::Duration;

use wire::{InfoHash, NodeId};
use world::{Seed, Time};

use crate::address::Host;
use crate::client::Kind;
use crate::dice::{Beta, Dice};
use crate::keys::place::{AROUND, Block};
use crate::nearest;
use crate::nodes::{Nodes, Traits};
use crate::profile::{Profile, Store};

/// Number of a key in the order of infohashes.
pub(crate) type KeyIndex = u32;

/// What is behind a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Content {
    /// The torrent with this number.
    Torrent(u32),
    /// The one with this number of those that an operator minted.
    Bait(u32),
}

/// One infohash that somebody announced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Key {
    pub(crate) infohash: InfoHash,
    /// What it was drawn as: torrents first, then keys without a torrent.
    pub(crate) origin: u32,
    /// The host number of its first peer; the others follow.
    pub(crate) first_peer: Host,
    /// Peers that are still listed; 0 for a key that outlived them.
    pub(crate) peers: u32,
}

/// That a node holds a key, and by which of [`ROUTES`] searches announces came to it.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Held {
    pub(crate) key: KeyIndex,
    routes: u32,
}

/// Searches by which peers find where to announce. Peer `n` takes route `n % ROUTES`: more searches for one key would
/// reach hardly another node (F6: 17 holders for more than 20 peers).
const ROUTES: u32 = 24;

impl Held {
    /// Whether the announce of the peer with this rank reached the node.
    pub(crate) const fn lists(self, rank: u32) -> bool {
        self.routes & (1 << (rank % ROUTES)) != 0
    }
}

/// All keys by infohash, and each node's share of them.
///
/// Who holds what is worked out when somebody asks, a block of the key space at once: the nodes nearest to a key share
/// its first bits, so a block of enough nodes is a world of its own. Where nodes come and go it is worked out anew each hour:
/// peers announce every quarter of an hour to whoever is nearest then, and what they announced before is forgotten after 45 minutes
/// (1.E).
#[derive(Debug)]
pub(crate) struct Keys {
    keys: Vec<Key>,
    torrents: u32,
    baits: u32,
    /// Who is the peer of all baits.
    operator: Host,
    first_bait: Option<KeyIndex>,
    /// Bits that the ids and infohashes of a block share.
    bits: u32,
    blocks: Vec<RefCell<Option<Block>>>,
    sizes: Sizes,
    rules: Rules,
}

/// How long who holds what stays as it is.
const EPOCH: Duration = Duration::from_secs(3600);

/// How announces find their nodes.
#[derive(Debug)]
struct Rules {
    store: Store,
    dice: Dice,
    visibility: Option<Beta>,
    keys: Dice,
    /// Most keys of a node, by its kind.
    rooms: [usize; 6],
    /// Keys that come, and go, in a day, as a share of all; `None` if none ever does.
    per_day: Option<f64>,
    /// Nodes come and go.
    changes: bool,
}

impl Keys {
    /// Announces torrents, then baits (by their infohashes), and keys without a torrent to `nodes`.
    /// There are addresses for `hosts` in all.
    pub(crate) fn new(
        profile: &Profile,
        [torrents, baits]: [Vec<InfoHash>; 2],
        nodes: &Nodes,
        hosts: u32,
        seed: Seed,
    ) -> Self {
        let counts = [torrents.len() as u32, baits.len() as u32];
        let dice = Dice::new(seed, "keys");
        let sizes = Sizes::new(profile, torrents.len());
        let bogus = bogus(profile, torrents.len(), dice);
        let all = torrents.into_iter().chain(baits).chain(bogus);
        let is_bait = |origin: u32| (counts[0]..counts[0] + counts[1]).contains(&origin);
        // Every key that somebody announced has holders, even if its peers have gone since.
        let mut keys: Vec<Key> = (0..)
            .zip(all)
            .map(|(origin, infohash)| {
                let dead = dice.happens(u64::from(origin), 1, profile.keys.dead);
                let peers = match (is_bait(origin), dead) {
                    (true, _) => 1,
                    (false, true) => 0,
                    (false, false) => sizes.of(dice, origin),
                };
                Key {
                    infohash,
                    origin,
                    first_peer: 0,
                    peers,
                }
            })
            .collect();
        keys.sort_unstable_by_key(|key| key.infohash);
        keys.dedup_by_key(|key| key.infohash);
        let operator = nodes.hosts_end();
        let mut next_peer = operator + u32::from(counts[1] > 0);
        for key in &mut keys {
            key.first_peer = next_peer;
            if !is_bait(key.origin) {
                key.peers = key.peers.min(hosts.saturating_sub(next_peer));
                next_peer += key.peers;
            }
        }
        let bits = block_bits(nodes);
        let first_bait = (0..).zip(&keys).find(|(_, key)| is_bait(key.origin)).map(|(at, _)| at);
        Self {
            keys,
            torrents: counts[0],
            baits: counts[1],
            operator,
            first_bait,
            bits,
            blocks: (0..1_u32 << bits).map(|_| RefCell::new(None)).collect(),
            sizes,
            rules: Rules {
                store: profile.store,
                dice: Dice::new(seed, "announces"),
                visibility: profile.store.visibility.map(|shape| Beta::new(shape, shape)),
                keys: dice,
                rooms: Kind::ALL.map(|kind| profile.habits(kind).max_keys),
                per_day: profile
                    .nodes
                    .churn
                    .filter(|churn| nodes.change() && churn.keys_per_day > 0.0)
                    .map(|churn| churn.keys_per_day),
                changes: nodes.change(),
            },
        }
    }

    pub(crate) fn all(&self) -> &[Key] {
        &self.keys
    }

    /// Where an infohash is in [`Self::all`].
    pub(crate) fn find(&self, infohash: &InfoHash) -> Option<usize> {
        let guess = nearest::leading_word(&infohash.as_target());
        let at = nearest::first_from(self.keys.len(), guess, |at| self.keys[at].infohash < *infohash);
        self.keys.get(at).filter(|key| key.infohash == *infohash).map(|_| at)
    }

    /// What is behind a key, if anything is.
    pub(crate) fn content(&self, key: &Key) -> Option<Content> {
        match key.origin.checked_sub(self.torrents) {
            None => Some(Content::Torrent(key.origin)),
            Some(number) if number < self.baits => Some(Content::Bait(number)),
            Some(_) => None,
        }
    }

    /// Whether an operator minted this key.
    pub(crate) fn is_bait(&self, key: &Key) -> bool {
        matches!(self.content(key), Some(Content::Bait(_)))
    }

    /// The first of the baits.
    pub(crate) fn first_bait(&self) -> Option<&Key> {
        self.keys.get(self.first_bait? as usize)
    }

    /// The peer of all baits, if this host is that one.
    pub(crate) fn is_operator(&self, host: Host) -> bool {
        self.baits > 0 && host == self.operator
    }

    /// The host of a peer.
    pub(crate) fn host(&self, key: &Key, rank: u32) -> Host {
        if self.is_bait(key) {
            self.operator
        } else {
            key.first_peer + rank
        }
    }

    /// The keys that a node holds at a time, in the order of infohashes.
    pub(crate) fn held_by(&self, nodes: &Nodes, node: Host, now: Time) -> Ref<'_, [Held]> {
        let holder = nodes.traits(node).is_some_and(holds);
        let number = if holder { leading(&nodes.id(node), self.bits) } else { 0 };
        let block = &self.blocks[number];
        let from = if self.rules.changes {
            Time::from_secs(now.as_secs() / EPOCH.as_secs() * EPOCH.as_secs())
        } else {
            Time::ZERO
        };
        let is_placed = block.borrow().as_ref().is_some_and(|block| block.from == from);
        if holder && !is_placed {
            *block.borrow_mut() = Some(self.place(number, nodes, from));
        }
        Ref::map(block.borrow(), |block| {
            block
                .as_ref()
                .filter(|_| holder)
                .map_or(&[][..], |block| block.of(node))
        })
    }

    /// When a key comes or goes, days from the start, and whether it comes; `None` for those that are there all the time.
    fn turn(&self, key: &Key) -> Option<(f64, bool)> {
        let dice = self.rules.keys;
        // As many come as go, each at any time alike.
        let days = dice.unit(u64::from(key.origin), 5) / (2.0 * self.rules.per_day?);
        (days < TURNING_DAYS).then(|| (days, dice.happens(u64::from(key.origin), 6, 0.5)))
    }

    /// Whether somebody has announced a key by then.
    pub(crate) fn has_come(&self, key: &Key, now: Time) -> bool {
        self.turn(key)
            .is_none_or(|(days, comes)| !comes || days_of(now) >= days)
    }

    /// Whether a key is announced at a time: it has come, and has not gone.
    fn lasts(&self, key: &Key, now: Time) -> bool {
        self.turn(key)
            .is_none_or(|(days, comes)| comes == (days_of(now) >= days))
    }

    /// Bytes that keys and what is worked out of their holders take.
    pub(crate) fn memory_bytes(&self) -> usize {
        let blocks = self.blocks.iter();
        let blocks: usize = blocks
            .filter_map(|block| block.borrow().as_ref().map(Block::memory_bytes))
            .sum();
        blocks + self.keys.capacity() * size_of::<Key>() + self.blocks.len() * size_of::<RefCell<Option<Block>>>()
    }

    /// Finds an infohash among the keys that a node holds.
    pub(crate) fn find_held(&self, nodes: &Nodes, node: Host, infohash: &InfoHash, now: Time) -> Option<(Held, &Key)> {
        let held = self.held_by(nodes, node, now);
        let at = held
            .binary_search_by(|held| self.keys[held.key as usize].infohash.cmp(infohash))
            .ok()?;
        let held = held[at];
        Some((held, &self.keys[held.key as usize]))
    }

    /// The key and the rank that a host has as a peer.
    pub(crate) fn peer(&self, host: Host) -> Option<(KeyIndex, u32)> {
        let (first, last) = (self.keys.first()?.first_peer, self.keys.last()?.first_peer);
        let share = f64::from(host.saturating_sub(first)) / f64::from(last - first).max(1.0);
        let guess = (share * u64::MAX as f64) as u64;
        let after = nearest::first_from(self.keys.len(), guess, |at| self.keys[at].first_peer <= host);
        let index = after.checked_sub(1)?;
        let key = &self.keys[index];
        let rank = host - key.first_peer;
        (rank < key.peers && !self.is_bait(key)).then_some((index as KeyIndex, rank))
    }
}

/// Keys of other programs, and the zero key.
fn bogus(profile: &Profile, torrents: usize, dice: Dice) -> impl Iterator<Item = InfoHash> {
    let bogus = (torrents as f64 * profile.keys.bogus).round() as u64;
    let random = move |number| {
        let mut bytes = [0; 20];
        for (chunk, word) in bytes.chunks_mut(8).zip(0..) {
            let random = dice.of(number).bits(word, 2).to_be_bytes();
            chunk.copy_from_slice(&random[..chunk.len()]);
        }
        InfoHash::new(bytes)
    };
    let zero = profile.keys.zero.then_some(InfoHash::new([0; 20]));
    (0..bogus).map(random).chain(zero)
}

/// How many peers torrents have: weight `x^-2 * exp(-x / cut)`, cut to what a lab of this size can show (G4).
#[derive(Debug)]
struct Sizes {
    cumulative: Vec<f64>,
}

impl Sizes {
    fn new(profile: &Profile, torrents: usize) -> Self {
        // The biggest of n draws has about n peers: the cut hardly matters to a lab, and bounds its addresses.
        let most = u32::try_from(torrents.max(50))
            .unwrap_or(u32::MAX)
            .min(profile.keys.popularity_max);
        let mut sum = 0.0;
        let cumulative = (1..=most)
            .map(|size| {
                let size = f64::from(size);
                sum += (-size / profile.keys.popularity_cut).exp() / (size * size);
                sum
            })
            .collect();
        Self { cumulative }
    }

    fn of(&self, dice: Dice, origin: u32) -> u32 {
        let total = self.cumulative.last().copied().unwrap_or(1.0);
        let at = dice.unit(u64::from(origin), 0) * total;
        let below = self.cumulative.partition_point(|sum| *sum <= at);
        below.min(self.cumulative.len().saturating_sub(1)) as u32 + 1
    }
}

/// The first `bits` bits of an id, as a number.
fn leading(id: &NodeId, bits: u32) -> usize {
    let [a, b, c, d, ..] = *id.as_bytes();
    (u64::from(u32::from_be_bytes([a, b, c, d])) >> (32 - bits)) as usize
}

/// So many bits that each block has holders enough to be a world of its own.
fn block_bits(nodes: &Nodes) -> u32 {
    let holders = || {
        nodes
            .iter()
            .filter(|(node, _, traits)| holds(traits) && nodes.is_there(*node, Time::ZERO))
    };
    // Eight times as many as are needed, so that the poorest block has enough; else larger ones.
    let mut bits = (holders().count() / (8 * AROUND)).checked_ilog2().unwrap_or(0);
    loop {
        let mut counts = vec![0_usize; 1 << bits];
        holders().for_each(|(_, id, _)| counts[leading(&id, bits)] += 1);
        if bits == 0 || counts.iter().all(|count| *count >= AROUND) {
            return bits;
        }
        bits -= 1;
    }
}

/// Whether announces come to a node like this.
fn holds(traits: &Traits) -> bool {
    traits.reach.answers() && traits.lie.is_none()
}

/// Keys come and go in so many days from the start; then they stay as they are. Those that are to come are among those that a
/// world has, one in thirty-six.
const TURNING_DAYS: f64 = 7.0;

fn days_of(now: Time) -> f64 {
    now.as_secs() as f64 / 86_400.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Addresses;

    fn keys(profile: &Profile, nodes: usize, torrents: u64) -> (Keys, Nodes) {
        let seed = Seed::from_number(9);
        let dice = Dice::new(seed, "test infohashes");
        let mut infohashes = Vec::new();
        for number in 0..torrents {
            let mut bytes = [0; 20];
            bytes[..8].copy_from_slice(&dice.bits(number, 0).to_be_bytes());
            bytes[8..16].copy_from_slice(&dice.bits(number, 1).to_be_bytes());
            infohashes.push(InfoHash::new(bytes));
        }
        let nodes = Nodes::new(profile, nodes, false, seed);
        let infohashes = [infohashes, Vec::new()];
        (Keys::new(profile, infohashes, &nodes, Addresses::LOOPBACK, seed), nodes)
    }

    fn mean_holders((keys, nodes): &(Keys, Nodes), peers: impl Fn(u32) -> bool) -> f64 {
        let wanted = |held: &&Held| peers(keys.all()[held.key as usize].peers);
        let held = nodes
            .iter()
            .flat_map(|(node, _, _)| keys.held_by(nodes, node, Time::ZERO).to_vec());
        let holders = held.filter(|held| wanted(&held)).count();
        holders as f64 / keys.all().iter().filter(|key| peers(key.peers)).count() as f64
    }

    #[test]
    fn holders_grow_with_the_swarm() {
        let keys = keys(&Profile::realistic(), 4000, 6000);
        // F6: 8.0 for 1 peer, 11.8 for 2 to 5, 17 for more than 20.
        assert!((7.9..8.1).contains(&mean_holders(&keys, |peers| peers == 1)));
        let small = mean_holders(&keys, |peers| (2..=5).contains(&peers));
        assert!((10.5..13.0).contains(&small), "{small}");
        let big = mean_holders(&keys, |peers| peers > 20);
        assert!((15.0..20.0).contains(&big), "{big}");
    }

    #[test]
    fn keys_come_and_go_as_often_as_the_model_says() {
        let profile = Profile::realistic();
        let seed = Seed::from_number(9);
        let nodes = Nodes::new(&profile, 200, true, seed);
        let (keys, _) = keys(&profile, 200, 40_000);
        let infohashes = keys.all().iter().map(|key| key.infohash).collect();
        let keys = Keys::new(&profile, [infohashes, Vec::new()], &nodes, Addresses::LOOPBACK, seed);
        let lasting = |days: u64| {
            let now = Time::from_secs(days * 86_400);
            let all = keys.all().iter().filter(|key| keys.lasts(key, now));
            all.map(|key| key.infohash).collect::<std::collections::BTreeSet<_>>()
        };
        let (first, later) = (lasting(0), lasting(5));
        let share = |part: usize| part as f64 / first.len() as f64 / 5.0;
        // 0.4 % of the keys each day (3.2).
        for part in [first.difference(&later).count(), later.difference(&first).count()] {
            assert!((0.0035..0.0045).contains(&share(part)), "{}", share(part));
        }
        let now = Time::from_secs(5 * 86_400);
        assert!(
            keys.all()
                .iter()
                .all(|key| keys.has_come(key, now) || !keys.lasts(key, now))
        );
    }

    #[test]
    fn who_holds_a_key_changes_with_who_is_there() {
        let profile = Profile::realistic();
        let seed = Seed::from_number(9);
        let nodes = Nodes::new(&profile, 2_000, true, seed);
        let (all, _) = keys(&profile, 200, 4_000);
        let infohashes = all.all().iter().map(|key| key.infohash).collect();
        let keys = Keys::new(&profile, [infohashes, Vec::new()], &nodes, Addresses::LOOPBACK, seed);
        let held = |hours: u64| {
            let now = Time::from_secs(hours * 3600);
            let of = |node| keys.held_by(&nodes, node, now).len();
            let there = (0..nodes.len() as Host).filter(|node| nodes.is_there(*node, now));
            let away = (0..nodes.len() as Host).filter(|node| !nodes.is_there(*node, now));
            (there.map(of).sum::<usize>(), away.map(of).sum::<usize>())
        };
        for hours in [0, 9, 30] {
            let (there, away) = held(hours);
            assert!(there > 8 * 4_000 && away == 0, "{there} and {away} after {hours} h");
        }
    }

    #[test]
    fn three_in_five_have_one_peer() {
        let (keys, _) = keys(&Profile::realistic(), 200, 8000);
        let listed: Vec<u32> = keys
            .all()
            .iter()
            .map(|key| key.peers)
            .filter(|peers| *peers > 0)
            .collect();
        let one = listed.iter().filter(|peers| **peers == 1).count() as f64 / listed.len() as f64;
        assert!((0.58..0.64).contains(&one), "{one}");
    }

    #[test]
    fn ideal_announces_reach_exactly_the_eight_nearest() {
        let (keys, nodes) = keys(&Profile::ideal(), 300, 200);
        let mut near = Vec::new();
        for key in keys.all() {
            nearest::nearest(nodes.rumours(), &key.infohash.as_target(), 8, &mut near);
            for (_, at) in &near {
                let (held, found) = keys
                    .find_held(&nodes, nodes.rumours()[*at as usize].host, &key.infohash, Time::ZERO)
                    .unwrap();
                assert_eq!(found, key);
                assert!((0..key.peers).all(|rank| held.lists(rank)));
            }
        }
        let held = nodes
            .iter()
            .map(|(node, _, _)| keys.held_by(&nodes, node, Time::ZERO).len());
        assert_eq!(held.sum::<usize>(), 8 * 200);
    }

    #[test]
    fn peers_lead_back_to_their_keys() {
        let (keys, _) = keys(&Profile::realistic(), 100, 500);
        for (index, key) in (0..).zip(keys.all()) {
            for rank in 0..key.peers {
                assert_eq!(keys.peer(key.first_peer + rank), Some((index, rank)));
            }
        }
        assert_eq!(keys.peer(3), None);
        assert_eq!(keys.peer(Addresses::LOOPBACK), None);
    }
}
