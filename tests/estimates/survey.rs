//! A survey of one population in virtual time, by the node of the crawl and the machines of the commands.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::ops::ControlFlow;

use analysis::Estimate;
use analysis::population::{self, Audited};
use analysis::size::{self, Zone};
use clap::Parser;
use crawler::{Answer, Event, Node, Question, Source};
use estudely::args::{Cli, Command};
use estudely::config;
use estudely::job::crawl::{Estimated, Estimates, believed};
use estudely::job::dht::{Inquiry, Said, Wish};
use rand::RngExt;
use sim::{Lab, Plan, Population, Profile};
use wire::{InfoHash, NodeId};
use world::{Seed, Time};

/// Where the client is.
const CLIENT: &str = "127.0.0.1:4000";

/// A sweep of a small lab is over by then.
const SWEPT: Time = Time::from_secs(400);

/// Nodes asked whether they hold a key.
const NEAREST: usize = 24;

/// What kind of population.
pub(crate) struct World {
    pub(crate) nodes: usize,
    pub(crate) torrents: usize,
    pub(crate) profile: Profile,
}

/// What is true of it.
pub(crate) struct Truth {
    /// Infohashes that were announced.
    pub(crate) keys: f64,
    /// Of these, with peers left.
    pub(crate) alive: f64,
    /// Nodes that answer honestly.
    pub(crate) nodes: f64,
}

/// Who was read, and what each showed.
#[derive(Default)]
struct Read {
    /// By id: address, infohashes stored, as far as believed, and those shown.
    nodes: BTreeMap<NodeId, (SocketAddr, u32, Vec<InfoHash>)>,
    answered: BTreeSet<NodeId>,
    /// Who showed a key: the first, and whether others did.
    shown_by: BTreeMap<InfoHash, (NodeId, bool)>,
}

/// The survey.
pub(crate) struct Survey {
    config: sim::Config,
    seed: Seed,
    read: Read,
    /// An independent sweep at another time: other samples of the same nodes.
    other: Read,
}

impl Survey {
    pub(crate) fn new(world: &World, seed: u64) -> Self {
        let config = sim::Config {
            nodes: world.nodes,
            torrents: world.torrents,
            port: 6881,
            profile: world.profile.clone(),
        };
        let mut survey = Self {
            config,
            seed: Seed::from_number(seed),
            read: Read::default(),
            other: Read::default(),
        };
        // Samples are frozen from the first look on: a sweep that begins later sees others.
        let (other, _) = survey.go(Time::from_secs(50_000), "other", false);
        survey.other = other;
        survey
    }

    fn lab(&self) -> Lab {
        Lab::of(Population::new(self.config.clone(), self.seed.derive("lab")))
    }

    pub(crate) fn truth(&self) -> Truth {
        let population = Population::new(self.config.clone(), self.seed.derive("lab"));
        let keys: Vec<bool> = population.truth().map(|row| !row.peers.is_empty()).collect();
        Truth {
            keys: keys.len() as f64,
            alive: keys.iter().filter(|alive| **alive).count() as f64,
            nodes: population.answering().0 as f64,
        }
    }

    fn node(&self, lab: &Lab, label: &str, samples: bool) -> Node {
        let net = match Cli::parse_from(["estudely", "crawl", "--lab", "--stdout-only"]).command {
            Command::Crawl(args) => config::net(&args.net, Some("lab".to_owned())).unwrap(),
            other => panic!("not a crawl: {other:?}"),
        };
        let families = crawler::Families { v4: true, v6: false };
        let sampling = samples.then(|| config::sampling(&net));
        let node = config::node(&net, families, vec![lab.bootstrap()], sampling);
        let mut node = Node::new(node, self.seed.derive(label), None);
        node.own_address(CLIENT.parse().unwrap());
        node.observe(true);
        node
    }

    /// Sweeps until all is read; what was read, and the estimates from that, or with `part` from three nodes in ten, drawn by their ids.
    fn go(&self, start: Time, label: &str, part: bool) -> (Read, Estimated) {
        let mut lab = self.lab();
        let is_drawn = |id: &NodeId| !part || id.as_bytes()[19] < 77;
        let mut node = self.node(&lab, label, true);
        node.bootstrap(start);
        let mut estimates = Estimates::new(self.seed.derive(label));
        let mut read = Read::default();
        let until = start + SWEPT.since(Time::ZERO);
        let plan = plan(until);
        sim::run(&plan, &mut node, &mut lab, start, &mut |_, _, event| {
            match &event {
                Event::Observed(observation) if observation.id.as_ref().is_some_and(is_drawn) => {
                    estimates.observed(observation);
                    let answered = observation.outcome == crawler::observation::Outcome::Answer;
                    if let (Some(id), true) = (observation.id, answered) {
                        read.answered.insert(id);
                        if let Some(store) = observation.store.filter(|store| !store.far_fetched) {
                            let num = believed(store.num, store.shown);
                            read.nodes.insert(id, (observation.addr, num, Vec::new()));
                        }
                    }
                }
                Event::Sighting(sighting)
                    if matches!(sighting.source, Source::Sample { .. }) && is_drawn(&sighting.from.id) =>
                {
                    estimates.sighted(sighting);
                    if let Some((.., shown)) = read.nodes.get_mut(&sighting.from.id) {
                        shown.push(sighting.info_hash);
                        let first = read
                            .shown_by
                            .entry(sighting.info_hash)
                            .or_insert((sighting.from.id, false));
                        first.1 |= first.0 != sighting.from.id;
                    }
                }
                _ => {}
            }
            ControlFlow::Continue(())
        });
        // By plain walks, which here are enough.
        let nodes = Estimate::exact(node.gauges().global_nodes, &population::STORED);
        let estimated = estimates.of(&node, [Some(nodes), None]);
        (read, estimated)
    }

    /// Sweeps; the estimates from all, or from three nodes in ten.
    pub(crate) fn sweep(&mut self, part: bool) -> Estimated {
        let (read, estimated) = self.go(Time::ZERO, "survey", part);
        self.read = read;
        estimated
    }

    /// The share of what a node shows at another time that nodes other than itself have shown in this sweep: as if it were one more.
    pub(crate) fn known_of_next(&self) -> f64 {
        let (mut known, mut all) = (0, 0);
        for (id, (.., shown)) in &self.other.nodes {
            let by_others = |key: &&InfoHash| {
                let by = self.read.shown_by.get(*key);
                by.is_some_and(|(first, others)| first != id || *others)
            };
            all += shown.len();
            known += shown.iter().filter(by_others).count();
        }
        f64::from(known as u32) / f64::from(all as u32)
    }

    /// Asks the 24 nearest of the nodes that were read for the peers of 300 showings: who names some holds it.
    pub(crate) fn multiplicity(&self) -> Option<Estimate> {
        let mut rng = self.seed.derive("audit").rng();
        let mut draws = Vec::new();
        for (_, num, shown) in self.read.nodes.values() {
            let weight = f64::from(*num) / shown.len().max(1) as f64;
            draws.extend(shown.iter().map(|key| (weight, *key)));
        }
        let picked: Vec<(f64, InfoHash)> = (0..300).map(|_| draws[rng.random_range(0..draws.len())]).collect();
        let mut asks = Vec::new();
        for (_, key) in &picked {
            let mut near: Vec<_> = self.read.nodes.iter().map(|(id, (addr, ..))| (id, *addr)).collect();
            near.sort_by_key(|(id, _)| id.distance(&key.as_target()));
            asks.extend(near.iter().take(NEAREST).map(|(_, addr)| (*addr, *key)));
        }
        let holders = self.audit(&asks);
        let nums = self.read.nodes.values().map(|(_, num, _)| f64::from(*num));
        let all = Estimate::exact(self.read.nodes.len() as f64, &population::STORED);
        let stored = population::stored(nums, &all)?;
        let audited = picked.iter().map(|(weight, key)| Audited {
            weight: *weight,
            holders: holders.get(key).map_or(0, |holders| holders.len() as u32),
        });
        population::multiplicity(&stored, audited)
    }

    /// Who of those asked names peers; each is asked a second time if it is silent.
    fn audit(&self, asks: &[(SocketAddr, InfoHash)]) -> BTreeMap<InfoHash, BTreeSet<SocketAddr>> {
        let mut lab = self.lab();
        let mut node = self.node(&lab, "audit", false);
        let mut holders: BTreeMap<InfoHash, BTreeSet<SocketAddr>> = BTreeMap::new();
        let mut left: Vec<_> = asks.iter().rev().map(|(addr, key)| (*addr, *key, 1)).collect();
        let mut asked = BTreeMap::new();
        let next = |node: &mut Node, now, left: &mut Vec<_>, asked: &mut BTreeMap<_, _>| {
            if let Some((addr, key, tries)) = left.pop() {
                asked.insert(node.ask(now, addr, Question::GetPeers(key)), (addr, key, tries));
            }
        };
        (0..500).for_each(|_| next(&mut node, Time::ZERO, &mut left, &mut asked));
        let plan = plan(Time::from_secs(3_600));
        sim::run(&plan, &mut node, &mut lab, Time::ZERO, &mut |now, node, event| {
            if let Event::Answer { ask, answer, .. } = event
                && let Some((addr, key, tries)) = asked.remove(&ask)
            {
                match *answer {
                    Answer::Reply { peers, .. } if !peers.is_empty() => {
                        holders.entry(key).or_default().insert(addr);
                    }
                    Answer::Timeout if tries > 0 => left.insert(0, (addr, key, tries - 1)),
                    _ => {}
                }
                next(node, now, &mut left, &mut asked);
            }
            if asked.is_empty() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        holders
    }

    /// A quarter of the key space: what this sweep found there, and how much it missed of what the other found.
    pub(crate) fn zone(&self) -> Option<Estimate> {
        let in_zone = |id: &&NodeId| id.as_bytes()[0] < 64;
        size::zone(&Zone {
            bits: 2,
            seen: self.read.answered.iter().filter(in_zone).count() as u64,
            known: self.other.answered.iter().filter(in_zone).count() as u64,
            found: self
                .other
                .answered
                .iter()
                .filter(in_zone)
                .filter(|id| self.read.answered.contains(*id))
                .count() as u64,
        })
    }

    /// `dht size`.
    pub(crate) fn size(&self) -> Option<Estimate> {
        self.inquire(
            Wish::Size(16, self.seed.derive("size")),
            "ipv4",
            &size::ORDER_STATISTICS,
        )
    }

    /// `dht scrape`.
    pub(crate) fn scrape(&self, swarm: InfoHash) -> Option<Estimate> {
        self.inquire(Wish::Scrape(swarm), "all", &analysis::swarm::FILTERS)
    }

    /// Some swarms of ten peers and more, and their sizes.
    pub(crate) fn swarms(&self) -> Vec<(InfoHash, f64)> {
        let population = Population::new(self.config.clone(), self.seed.derive("lab"));
        let large = population.truth().filter(|row| row.peers.len() >= 10);
        let sizes = large.map(|row| {
            let hosts: BTreeSet<_> = row.peers.iter().map(SocketAddr::ip).collect();
            (row.infohash, hosts.len() as f64)
        });
        sizes.take(3).collect()
    }

    /// The line of a command that begins with `name`, as the estimate that it tells.
    fn inquire(&self, wish: Wish, name: &str, method: &'static analysis::Method) -> Option<Estimate> {
        let mut lab = self.lab();
        let mut node = self.node(&lab, "inquiry", false);
        node.bootstrap(Time::ZERO);
        let mut inquiry = Inquiry::new(node, wish, Some(Time::from_secs(300)));
        let mut told = None;
        let plan = plan(Time::from_secs(600));
        sim::run(
            &plan,
            &mut inquiry,
            &mut lab,
            Time::ZERO,
            &mut |_, _, said| match said {
                Said::Line(line) => {
                    let mut words = line.split_whitespace();
                    if words.next() == Some(name) {
                        let numbers: Vec<f64> = words.map(|word| word.parse().unwrap()).collect();
                        let [value, low, high] = numbers[..] else {
                            panic!("{line}")
                        };
                        told = Some(Estimate {
                            value,
                            low,
                            high,
                            method,
                        });
                    }
                    ControlFlow::Continue(())
                }
                Said::Over => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            },
        );
        told
    }
}

fn plan(until: Time) -> Plan {
    Plan {
        client: CLIENT.parse().unwrap(),
        until,
        stop: None,
    }
}
