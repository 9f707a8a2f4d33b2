//! Who is in the DHT, and what each of them knows of the others.

use std::collections::BTreeSet;

use rand::Rng;
use wire::NodeId;
use world::{Seed, Time};

use crate::address::Host;
use crate::client::Kind;
use crate::dice::Dice;
use crate::liar::Lie;
use crate::life::Lives;
use crate::nearest::{self, Near, Placed};
use crate::places::{Door, IDS, Places};
use crate::profile::{Churn, Liars, Profile};

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

/// All nodes, in the order of their ids, and all contacts that circulate.
#[derive(Debug)]
pub(crate) struct Nodes {
    ids: Vec<NodeId>,
    traits: Vec<Traits>,
    lives: Lives,
    rumours: Vec<Rumour>,
    /// Living nodes whose address also goes round under a wrong id.
    misnamed: BTreeSet<Host>,
    /// Hosts above the nodes that circulate although nobody is there.
    ghosts: u32,
    /// Hosts above these that are ids of liars who have hundreds each.
    sisters: u32,
    places: Places,
    buckets: Dice,
}

/// What each id of a liar with hundreds of them is like.
const SISTER: Traits = Traits {
    kind: Kind::Libtorrent,
    reach: Reach::Open,
    lie: Some(Lie::ManyIds),
    samples: false,
    scrapes: false,
};

/// Contacts in a bucket below the extended ones, and in a reply (BEP 5).
pub(crate) const K: usize = 8;

impl Nodes {
    /// Draws nodes, of which `count` are there at once, and the contacts that circulate besides. Ids are uniform: BEP 42 exempts
    /// local addresses. On the Internet (`open`) there is more than one port to an address, and nodes come and go.
    pub(crate) fn new(profile: &Profile, count: usize, open: bool, seed: Seed) -> Self {
        let churn = profile.nodes.churn.filter(|_| open);
        let count = (count as f64 * churn.as_ref().map_or(1.0, Churn::seats)).round() as usize;
        let mut rng = seed.derive("node ids").rng();
        let mut ids: Vec<NodeId> = (0..count).map(|_| random_id(&mut rng)).collect();
        ids.sort_unstable();
        let dice = Dice::new(seed, "node traits");
        let mut traits: Vec<Traits> = (0..count as u64).map(|node| draw_traits(profile, dice, node)).collect();

        let contacts = profile.nodes.contacts;
        let lives = Lives::new(churn, count, Dice::new(seed, "lives"));
        let there = |node: Host| lives.is_there(node, Time::ZERO);
        let number =
            |is: &dyn Fn(Host, &Traits) -> bool| (0..).zip(&traits).filter(|(node, traits)| is(*node, traits)).count();
        let answering = number(&|node, traits| traits.believable() && there(node));
        let unreachable = number(&|node, traits| !traits.reach.answers() && there(node));
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
        // Who has gone of late is named, too; only what is missing then are contacts that never answered.
        let gone = number(&|node, traits| {
            let named = traits.reach.answers() || rumour.happens(u64::from(node), 0, natted);
            named && !there(node) && lives.is_named(node, Time::ZERO)
        });
        let dead = (per_answering(contacts.dead) as u32).saturating_sub(gone as u32);
        let forged = per_answering(contacts.forged) as u32;
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
            let id = random_id(&mut rng);
            rumours.push(Rumour { id, host });
        }
        if profile.liars.absent {
            take_liars_out(&mut traits, &mut rumours);
        }
        let many_ids = if open { profile.liars.many_ids } else { 0.0 };
        let named = rumours.iter().filter(|named| lives.is_named(named.host, Time::ZERO));
        let sisters = (named.count() as f64 * many_ids / (1.0 - many_ids)).round() as u32;
        let mut nodes = Self {
            ids,
            traits,
            lives,
            rumours,
            misnamed,
            ghosts,
            sisters,
            places: Places::new(open && profile.nodes.shared, count as u32, Dice::new(seed, "places")),
            buckets: Dice::new(seed, "buckets"),
        };
        for host in nodes.first_sister()..nodes.hosts_end() {
            let id = nodes.id(host);
            nodes.rumours.push(Rumour { id, host });
        }
        nodes.rumours.sort_unstable_by_key(|rumour| rumour.id);
        nodes
    }

    /// How many there are, those that are away included.
    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether a node is there.
    pub(crate) fn is_there(&self, node: Host, now: Time) -> bool {
        self.lives.is_there(node, now)
    }

    /// Whether nodes come and go at all.
    pub(crate) fn change(&self) -> bool {
        self.lives.change()
    }

    /// Whether a contact circulates: the node is there, or went not long ago, or never was.
    fn is_named(&self, at: usize, now: Time) -> bool {
        self.lives.is_named(self.rumours[at].host, now)
    }

    /// How many contacts circulate.
    pub(crate) fn named(&self, now: Time) -> usize {
        (0..self.rumours.len()).filter(|at| self.is_named(*at, now)).count()
    }

    /// The first host number that is neither node nor ghost nor liar.
    pub(crate) fn hosts_end(&self) -> Host {
        self.first_sister() + self.sisters
    }

    fn first_sister(&self) -> Host {
        self.ids.len() as Host + self.ghosts
    }

    fn is_sister(&self, host: Host) -> bool {
        (self.first_sister()..self.hosts_end()).contains(&host)
    }

    pub(crate) fn id(&self, node: Host) -> NodeId {
        let drawn = || {
            let mut bytes = [0; 20];
            for (chunk, word) in bytes.chunks_mut(8).zip(0..) {
                let random = self.buckets.of(u64::from(node)).bits(word, u64::MAX).to_be_bytes();
                chunk.copy_from_slice(&random[..chunk.len()]);
            }
            NodeId::new(bytes)
        };
        self.ids.get(node as usize).copied().unwrap_or_else(drawn)
    }

    /// The traits of a host, if it is a living node.
    pub(crate) fn traits(&self, host: Host) -> Option<&Traits> {
        let sister = self.is_sister(host).then_some(&SISTER);
        self.traits.get(host as usize).or(sister)
    }

    /// The one with this number of the ids on the address of a liar with many.
    pub(crate) fn sister(&self, host: Host, number: u32) -> Host {
        let first = host - (host - self.first_sister()) % IDS;
        (first + number).min(self.hosts_end() - 1)
    }

    /// Where a host is: the number of its address, and the door there.
    pub(crate) fn place(&self, host: Host) -> (Host, Door) {
        if (host as usize) < self.ids.len() {
            self.places.of(host)
        } else if self.is_sister(host) {
            let number = host - self.first_sister();
            (self.first_sister() + number / IDS, (number % IDS) as Door)
        } else {
            (host, 0)
        }
    }

    /// The living node that is there.
    pub(crate) fn at(&self, place: Host, door: Door) -> Option<Host> {
        if (place as usize) < self.ids.len() {
            return self.places.at(place, door);
        }
        let liar = place.checked_sub(self.first_sister())?;
        let host = liar.checked_mul(IDS)?.checked_add(u32::from(door))? + self.first_sister();
        (u32::from(door) < IDS && self.is_sister(host)).then_some(host)
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
            + self.lives.memory_bytes()
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
    pub(crate) fn known_to(&self, knower: &Knower<'_>, target: &NodeId, out: &mut Vec<Near>) {
        out.clear();
        let own = self.id(knower.node);
        let shared = own.common_prefix(target);
        self.bucket(knower, target, shared, out);
        // Too few there: all deeper buckets lie at the same side of the target, so they compete; wider ones only fill
        // up.
        let mut depth = shared + 1;
        while out.len() < K && depth < 160 && nearest::sharing(&self.rumours, &own, depth).len() > 1 {
            self.bucket(knower, target, depth, out);
            depth += 1;
        }
        for depth in (0..shared).rev() {
            if out.len() >= K {
                break;
            }
            self.bucket(knower, target, depth, out);
        }
        out.sort_unstable();
        out.dedup();
        out.truncate(K);
    }

    /// Adds what a node knows of the ids that share exactly `depth` bits with its own.
    fn bucket(&self, knower: &Knower<'_>, target: &NodeId, depth: u32, out: &mut Vec<Near>) {
        let &Knower { node, buckets, now } = knower;
        let own = self.id(node);
        let size = buckets.get(depth as usize).copied().unwrap_or(K);
        let mut opposite = *own.as_bytes();
        let Some(byte) = opposite.get_mut(depth as usize / 8) else {
            return;
        };
        *byte ^= 0x80 >> (depth % 8);
        let run = nearest::sharing(&self.rumours, &NodeId::new(opposite), depth + 1);
        let near = |at: usize| (nearest::far(target, &self.rumours[at].id), at as u32);
        let before = out.len();
        // A short run is looked through: as many as there is room for may circulate of it.
        if run.len() <= LOOKED_THROUGH * size {
            out.extend(
                run.clone()
                    .filter(|at| self.rumours[*at].host != node && self.is_named(*at, now))
                    .map(near),
            );
            if out.len() - before <= size {
                return;
            }
            out.truncate(before);
        }
        for slot in 0..size as u64 {
            let draw = |again: u64| {
                let slot = again << 32 | u64::from(depth) << 16 | slot;
                run.start + self.buckets.below(u64::from(node), slot, run.len() as u64) as usize
            };
            let at = (0..TRIES).map(draw).find(|at| self.is_named(*at, now));
            out.extend(at.filter(|at| self.rumours[*at].host != node).map(near));
        }
    }

    /// What a router hands out: contacts it has lately heard, wherever they are, the nearest of a random few.
    pub(crate) fn known_to_router(&self, draw: u64, target: &NodeId, now: Time, out: &mut Vec<Near>) {
        out.clear();
        out.extend((0..4 * K as u64).filter_map(|slot| {
            let at = |again: u64| self.buckets.below(!draw, again << 32 | slot, self.rumours.len() as u64) as usize;
            let at = (0..TRIES).map(at).find(|at| self.is_named(*at, now))?;
            Some((nearest::far(target, &self.rumours[at].id), at as u32))
        }));
        out.sort_unstable();
        out.dedup();
        out.truncate(K);
    }
}

/// Who knows whom, when.
pub(crate) struct Knower<'a> {
    pub(crate) node: Host,
    /// The sizes of its widest buckets.
    pub(crate) buckets: &'a [usize; 4],
    pub(crate) now: Time,
}

/// Where nodes come and go, about every other contact circulates: a place in a table is drawn again so often until one does.
const TRIES: u64 = 8;
/// Of so many times the places of a bucket all are looked at.
const LOOKED_THROUGH: usize = 4;

fn random_id(rng: &mut impl Rng) -> NodeId {
    let mut bytes = [0; 20];
    rng.fill_bytes(&mut bytes);
    NodeId::new(bytes)
}

/// Who lies is not there, and nobody names it.
fn take_liars_out(traits: &mut [Traits], rumours: &mut Vec<Rumour>) {
    let lies = |host: Host| traits.get(host as usize).is_some_and(|traits| traits.lie.is_some());
    rumours.retain(|rumour| !lies(rumour.host));
    for traits in traits.iter_mut().filter(|traits| traits.lie.is_some()) {
        (traits.reach, traits.lie) = (Reach::Mute, None);
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
        Nodes::new(&Profile::realistic(), count, false, Seed::from_number(5))
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
    fn contacts_keep_their_mix_while_nodes_come_and_go() {
        let nodes = Nodes::new(&Profile::realistic(), 5000, true, Seed::from_number(5));
        for hours in [0, 12, 24, 48] {
            let now = Time::from_secs(hours * 3600);
            let there = (0..nodes.len() as Host).filter(|node| nodes.is_there(*node, now));
            assert!((4_700..5_300).contains(&there.count()));
            let named = nodes
                .rumours()
                .iter()
                .filter(|rumour| nodes.lives.is_named(rumour.host, now));
            let answers = |rumour: &&Rumour| {
                nodes.traits(rumour.host).is_some_and(Traits::believable) && nodes.is_there(rumour.host, now)
            };
            let (named, answering) = (nodes.named(now), named.filter(answers).count());
            let share = answering as f64 / named as f64;
            // Towards the evening more have gone of late than by day.
            assert!((0.51..0.62).contains(&share), "{share} after {hours} h");
        }
    }

    #[test]
    fn a_node_knows_its_neighbours_and_converges_on_any_target() {
        let nodes = Nodes::new(&Profile::ideal(), 2000, false, Seed::from_number(5));
        let buckets = &[8; 4];
        let now = Time::ZERO;
        let (mut known, mut truth) = (Vec::new(), Vec::new());
        for target in [3, 700, 1999].map(|node| nodes.id(node)) {
            nearest::nearest(nodes.rumours(), &target, K, &mut truth);
            let (mut at, mut hops) = (42, 0);
            loop {
                let node = at;
                nodes.known_to(&Knower { node, buckets, now }, &target, &mut known);
                let next = nodes.rumours()[known[0].1 as usize].host;
                if target.distance(&nodes.id(next)) >= target.distance(&nodes.id(at)) {
                    break;
                }
                (at, hops) = (next, hops + 1);
            }
            assert_eq!(nodes.id(at), target);
            assert!((2..=12).contains(&hops), "{hops} hops");
            // Its own neighbourhood is what it knows best. It does not name itself.
            let named: Vec<u32> = known.iter().map(|(_, at)| *at).collect();
            assert!(truth[1..4].iter().all(|(_, at)| named.contains(at)));
        }
    }

    #[test]
    fn without_the_liars_all_others_are_as_they_were() {
        let profile = Profile::hostile();
        let liars = profile.liars.absent();
        let seed = Seed::from_number(5);
        let with = Nodes::new(&profile, 2000, true, seed);
        let without = Nodes::new(&Profile { liars, ..profile }, 2000, true, seed);
        assert_eq!(with.ids, without.ids);
        for (host, _, traits) in with.iter().filter(|(_, _, traits)| traits.lie.is_none()) {
            assert_eq!(without.traits(host), Some(traits));
        }
        assert!(without.iter().all(|(_, _, traits)| traits.lie.is_none()));
        let honest = |rumour: &&Rumour| with.traits(rumour.host).is_none_or(|traits| traits.lie.is_none());
        assert!(with.rumours.iter().filter(honest).eq(&without.rumours));
    }

    #[test]
    fn same_seed_same_nodes() {
        let (one, two) = (realistic(300), realistic(300));
        assert_eq!(one.rumours, two.rumours);
        assert_eq!(one.traits, two.traits);
        let other = Nodes::new(&Profile::realistic(), 300, false, Seed::from_number(6));
        assert_ne!(one.rumours, other.rumours);
    }
}
