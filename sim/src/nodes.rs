//! Who is in the DHT, and what each of them knows of the others.

use std::collections::BTreeSet;

use rand::Rng;
use wire::NodeId;
use wire::id::Distance;
use world::Seed;

use crate::address::Host;
use crate::client::Kind;
use crate::dice::Dice;
use crate::liar::Lie;
use crate::nearest::{self, Placed};
use crate::profile::{Liars, Profile};

/// Whether a stranger can reach a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reach {
    /// Answers everybody.
    Open,
    /// Answers, but its NAT forgets a host after so many silent seconds.
    Forgetful(u16),
    /// Answers whom it has just asked.
    Restricted,
    /// Asks, but never answers.
    Mute,
}

impl Reach {
    /// Whether it answers a stranger at all.
    pub(crate) const fn answers(self) -> bool {
        matches!(self, Self::Open | Self::Forgetful(_))
    }
}

/// What one living node is. Eight bytes: there may be millions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Traits {
    pub(crate) kind: Kind,
    pub(crate) reach: Reach,
    pub(crate) lie: Option<Lie>,
    /// Answers sample_infohashes (BEP 51).
    pub(crate) samples: bool,
    /// Answers scrapes (BEP 33).
    pub(crate) scrapes: bool,
}

impl Traits {
    /// Whether a stranger gets an answer that carries the right id.
    pub(crate) const fn believable(&self) -> bool {
        let garbled = matches!(self.lie, Some(Lie::IdChaser | Lie::Malformed | Lie::Reflector));
        self.reach.answers() && !garbled
    }

    /// Whether that answer also fits the buffer of a reader.
    pub(crate) fn readable(&self) -> bool {
        self.believable() && self.lie != Some(Lie::Oversize)
    }
}

/// A name that goes round in `nodes` lists: what is there may be another, or nobody.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Rumour {
    pub(crate) id: NodeId,
    pub(crate) host: Host,
}

impl Placed for Rumour {
    fn id(&self) -> &NodeId {
        &self.id
    }
}

/// All living nodes, in the order of their ids, and all contacts that circulate.
#[derive(Debug)]
pub(crate) struct Nodes {
    ids: Vec<NodeId>,
    traits: Vec<Traits>,
    rumours: Vec<Rumour>,
    /// Living nodes whose address also goes round under a wrong id.
    misnamed: BTreeSet<Host>,
    /// Hosts above the nodes that circulate although nobody is there.
    ghosts: u32,
    buckets: Dice,
}

/// Contacts in a bucket below the extended ones, and in a reply (BEP 5).
pub(crate) const K: usize = 8;

impl Nodes {
    /// Draws `count` living nodes, and the contacts that circulate besides. Ids are uniform: BEP 42 exempts local
    /// addresses.
    pub(crate) fn new(profile: &Profile, count: usize, seed: Seed) -> Self {
        let mut rng = seed.derive("node ids").rng();
        let mut random_id = || {
            let mut bytes = [0; 20];
            rng.fill_bytes(&mut bytes);
            NodeId::new(bytes)
        };
        let mut ids: Vec<NodeId> = (0..count).map(|_| random_id()).collect();
        ids.sort_unstable();
        let dice = Dice::new(seed, "node traits");
        let traits: Vec<Traits> = (0..count as u64).map(|node| draw_traits(profile, dice, node)).collect();

        let contacts = profile.nodes.contacts;
        let answering = traits.iter().filter(|traits| traits.believable()).count();
        let unreachable = traits.iter().filter(|traits| !traits.reach.answers()).count();
        // The share that answers was measured over paths that lose packets, in both directions.
        let arrives = (1.0 - profile.net.loss.map_or(0.0, |loss| loss.mean())).powi(2);
        let per_answering = |share: f64| (answering as f64 * arrives * share / contacts.answering).round();
        // Answering nodes all circulate; of those behind NATs so many that the mix comes out.
        let natted = per_answering(contacts.natted) / unreachable.max(1) as f64;
        let rumour = Dice::new(seed, "rumours");
        let mut rumours: Vec<Rumour> = (0..count as Host)
            .filter(|node| traits[*node as usize].reach.answers() || rumour.happens(u64::from(*node), 0, natted))
            .map(|node| Rumour {
                id: ids[node as usize],
                host: node,
            })
            .collect();
        let (dead, forged) = (
            per_answering(contacts.dead) as u32,
            per_answering(contacts.forged) as u32,
        );
        let ghosts = dead + forged;
        let mut misnamed = BTreeSet::new();
        for ghost in 0..ghosts {
            // Half of what is forged names a real host by a wrong id, which answers and is not believed.
            let borrowed = ghost >= dead && ghost % 2 == 0;
            let host = if borrowed {
                let somebody = rumour.below(u64::from(ghost), 1, count as u64) as Host;
                misnamed.insert(somebody);
                somebody
            } else {
                count as Host + ghost
            };
            rumours.push(Rumour { id: random_id(), host });
        }
        rumours.sort_unstable_by_key(|rumour| rumour.id);
        Self {
            ids,
            traits,
            rumours,
            misnamed,
            ghosts,
            buckets: Dice::new(seed, "buckets"),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    /// The first host number that is neither node nor ghost.
    pub(crate) fn hosts_end(&self) -> Host {
        self.ids.len() as Host + self.ghosts
    }

    pub(crate) fn id(&self, node: Host) -> NodeId {
        self.ids[node as usize]
    }

    /// The traits of a host, if it is a living node.
    pub(crate) fn traits(&self, host: Host) -> Option<&Traits> {
        self.traits.get(host as usize)
    }

    /// The nodes whose ids begin with these bits: neighbours in number, since hosts are numbered by id.
    pub(crate) fn leading(&self, number: usize, bits: u32) -> std::ops::Range<Host> {
        let mut prefix = [0; 20];
        let word = (number as u64) << (64 - u64::from(bits.max(1)));
        if bits > 0 {
            prefix[..8].copy_from_slice(&word.to_be_bytes());
        }
        let run = nearest::sharing(&self.ids, &NodeId::new(prefix), bits);
        run.start as Host..run.end as Host
    }

    /// Bytes that nodes and what is said of them take.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.ids.capacity() * size_of::<NodeId>()
            + self.traits.capacity() * size_of::<Traits>()
            + self.rumours.capacity() * size_of::<Rumour>()
    }

    /// Every living node with its traits, by id.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Host, NodeId, &Traits)> {
        (0..)
            .zip(&self.ids)
            .zip(&self.traits)
            .map(|((host, id), traits)| (host, *id, traits))
    }

    pub(crate) fn is_misnamed(&self, node: Host) -> bool {
        self.misnamed.contains(&node)
    }

    pub(crate) fn rumours(&self) -> &[Rumour] {
        &self.rumours
    }

    /// The contacts nearest to `target` among those that `node` knows, nearest first, at most [`K`] (BEP 5, Kademlia
    /// 2.3).
    ///
    /// A node knows everybody in its own neighbourhood and a few random contacts in each wider half of the key space.
    /// Which few is a matter of dice, so that no routing table needs to be kept.
    pub(crate) fn known_to(&self, node: Host, buckets: &[usize; 4], target: &NodeId, out: &mut Vec<(Distance, usize)>) {
        out.clear();
        let own = self.ids[node as usize];
        let shared = own.common_prefix(target);
        self.bucket(node, buckets, target, shared, out);
        // Too few there: all deeper buckets lie at the same side of the target, so they compete; wider ones only fill
        // up.
        let mut depth = shared + 1;
        while out.len() < K && depth < 160 && nearest::sharing(&self.rumours, &own, depth).len() > 1 {
            self.bucket(node, buckets, target, depth, out);
            depth += 1;
        }
        for depth in (0..shared).rev() {
            if out.len() >= K {
                break;
            }
            self.bucket(node, buckets, target, depth, out);
        }
        out.sort_unstable();
        out.dedup();
        out.truncate(K);
    }

    /// Adds what `node` knows of the ids that share exactly `depth` bits with its own.
    fn bucket(&self, node: Host, sizes: &[usize; 4], target: &NodeId, depth: u32, out: &mut Vec<(Distance, usize)>) {
        let own = self.ids[node as usize];
        let size = sizes.get(depth as usize).copied().unwrap_or(K);
        let mut far = *own.as_bytes();
        let Some(byte) = far.get_mut(depth as usize / 8) else {
            return;
        };
        *byte ^= 0x80 >> (depth % 8);
        let run = nearest::sharing(&self.rumours, &NodeId::new(far), depth + 1);
        let mut add = |at: usize| {
            if self.rumours[at].host != node {
                out.push((target.distance(&self.rumours[at].id), at));
            }
        };
        if run.len() <= size {
            run.for_each(&mut add);
            return;
        }
        for slot in 0..size as u64 {
            let at = self
                .buckets
                .below(u64::from(node), u64::from(depth) << 16 | slot, run.len() as u64);
            add(run.start + at as usize);
        }
    }

    /// What a router hands out: contacts it has lately heard, wherever they are, the nearest of a random few.
    pub(crate) fn known_to_router(&self, draw: u64, target: &NodeId, out: &mut Vec<(Distance, usize)>) {
        out.clear();
        out.extend((0..4 * K as u64).map(|slot| {
            let at = self.buckets.below(!draw, slot, self.rumours.len() as u64) as usize;
            (target.distance(&self.rumours[at].id), at)
        }));
        out.sort_unstable();
        out.dedup();
        out.truncate(K);
    }
}

fn draw_traits(profile: &Profile, dice: Dice, node: u64) -> Traits {
    let nodes = &profile.nodes;
    let classes = nodes.classes;
    let kind = Kind::ALL[dice.pick(node, 0, &nodes.kinds)];
    let habits = profile.habits(kind);
    let shares = [
        classes.open + classes.fullcone,
        classes.restricted,
        classes.oneway + classes.readonly,
    ];
    let reach = match dice.pick(node, 1, &shares) {
        0 if dice.happens(node, 2, nodes.forgetful) => Reach::Forgetful(draw_idle(profile, dice, node)),
        0 => Reach::Open,
        1 => Reach::Restricted,
        _ => Reach::Mute,
    };
    let lie = if reach.answers() {
        draw_lie(&profile.liars, nodes.contacts.answering, dice, node)
    } else {
        None
    };
    Traits {
        kind,
        reach,
        lie,
        samples: dice.happens(node, 3, habits.sampling),
        scrapes: dice.happens(node, 4, habits.scraping),
    }
}

fn draw_idle(profile: &Profile, dice: Dice, node: u64) -> u16 {
    let idle = profile.nodes.mapping_idle;
    let mut at = dice.unit(node, 5) * idle.iter().map(|(_, weight)| weight).sum::<f64>();
    let mut last = 0;
    for (seconds, weight) in idle {
        last = *seconds;
        if at < *weight {
            break;
        }
        at -= weight;
    }
    u16::try_from(last).unwrap_or(u16::MAX)
}

/// Shares of lies are of all contacts, and a liar answers: `answering` of the contacts do.
fn draw_lie(liars: &Liars, answering: f64, dice: Dice, node: u64) -> Option<Lie> {
    let mut at = dice.unit(node, 6) * answering;
    for (lie, share) in Lie::shares(liars) {
        if at < share {
            return Some(lie);
        }
        at -= share;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn realistic(count: usize) -> Nodes {
        Nodes::new(&Profile::realistic(), count, Seed::from_number(5))
    }

    #[test]
    fn contacts_have_the_mix_of_the_model() {
        let nodes = realistic(5000);
        let total = nodes.rumours().len() as f64;
        let answers = |rumour: &&Rumour| nodes.traits(rumour.host).is_some_and(Traits::believable);
        let answering = nodes.rumours().iter().filter(answers).count() as f64 / total;
        assert!((0.57..0.60).contains(&answering), "{answering}");
        let dead = nodes
            .rumours()
            .iter()
            .filter(|rumour| nodes.traits(rumour.host).is_none())
            .count() as f64
            / total;
        assert!((0.26..0.31).contains(&dead), "{dead}");
    }

    #[test]
    fn a_node_knows_its_neighbours_and_converges_on_any_target() {
        let nodes = Nodes::new(&Profile::ideal(), 2000, Seed::from_number(5));
        let buckets = [8; 4];
        let (mut known, mut truth) = (Vec::new(), Vec::new());
        for target in [3, 700, 1999].map(|node| nodes.id(node)) {
            nearest::nearest(nodes.rumours(), &target, K, &mut truth);
            let (mut at, mut hops) = (42, 0);
            loop {
                nodes.known_to(at, &buckets, &target, &mut known);
                let next = nodes.rumours()[known[0].1].host;
                if target.distance(&nodes.id(next)) >= target.distance(&nodes.id(at)) {
                    break;
                }
                (at, hops) = (next, hops + 1);
            }
            assert_eq!(nodes.id(at), target);
            assert!((2..=12).contains(&hops), "{hops} hops");
            // Its own neighbourhood is what it knows best. It does not name itself.
            let named: Vec<usize> = known.iter().map(|(_, at)| *at).collect();
            assert!(truth[1..4].iter().all(|(_, at)| named.contains(at)));
        }
    }

    #[test]
    fn same_seed_same_nodes() {
        let (one, two) = (realistic(300), realistic(300));
        assert_eq!(one.rumours, two.rumours);
        assert_eq!(one.traits, two.traits);
        let other = Nodes::new(&Profile::realistic(), 300, Seed::from_number(6));
        assert_ne!(one.rumours, other.rumours);
    }
}
