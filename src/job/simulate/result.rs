//! What a simulated crawl came to, held against the truth that the simulator knows.

use std::fmt::Write as _;
use std::time::Duration;

use sim::{HomeCounts, Lab};
use world::Time;

use super::bias::{Bias, Classes};
use super::held::Levels;
use super::load::quantile;
use super::watch::{Asked, Course, Point, Watched};
use crate::args::{Policy, SimulateArgs};
use crate::report::thousands;

/// Zones of the key space by which coverage is told: the first six bits.
pub const ZONES: usize = 64;

/// What one policy came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Who crawled.
    pub policy: Policy,
    /// The course of it; the last is the end.
    pub points: Vec<Point>,
    /// Queries by method, in the order of [`Asked`].
    pub queries: world::Tally<Asked>,
    /// Hours of hosts by their queries.
    pub load: Vec<u64>,
    /// Hosts asked.
    pub hosts: usize,
    /// Infohashes planted, and of these found, by the first six bits. Baits are none of them.
    pub zones: [(u64, u64); ZONES],
    /// At a quarter of a sweep: how it stood, and planted infohashes that were found.
    pub quarter: Option<(Point, u64)>,
    /// Infohashes with a listed peer whose peers were asked for.
    pub wanted: u64,
    /// Infohashes believed that nobody ever announced.
    pub forged: u64,
    /// Baits, which one operator minted: planted, found, and with metadata.
    pub baits: (u64, u64, u64),
    /// Queries to the victim that liars name, the most of them in ten seconds, and the least burst with which a limiter of one a
    /// second lets them pass.
    pub to_victim: (u64, usize, f64),
    /// The longest time without a query, until it was over.
    pub longest_pause: Duration,
    /// When it ended by itself, if it did before its time was up.
    pub over: Option<Time>,
    /// The most that it held of each kind of state, and how much it may hold. Zeros of a policy that does not tell.
    pub held: [Levels; 2],
    /// Packets of floods that came.
    pub flooded: u64,
    /// Share with one listed peer among all planted infohashes that have a listed peer, and among those found.
    pub one_peer: (f64, f64),
    /// What samples showed by listed peers, held against what was planted.
    pub bias: Bias,
    /// Times that somebody asked for an infohash.
    pub asked_for: u64,
    /// Nodes that began to ignore the client.
    pub bans: u64,
    /// What it took the whole to be.
    pub estimates: Course,
    /// What happened at the router in front of it, if there was one.
    pub home: Option<HomeCounts>,
    /// Bytes of the world, in the end.
    pub world_bytes: u64,
    /// Living nodes when it was over, and those of them that answer strangers.
    pub nodes: (u64, u64),
    /// Milliseconds to make the world, and to run it.
    pub walls: [u64; 2],
    /// Equal for equal runs.
    pub fingerprint: u64,
}

impl Outcome {
    pub(super) fn new(
        policy: Policy,
        watched: &Watched,
        lab: &Lab,
        end: Time,
        (bounds, walls): (Levels, [u64; 2]),
    ) -> Self {
        let population = lab.population();
        let mut zones = [(0, 0); ZONES];
        let mut planted = Classes::default();
        let baits_of = |infohashes: &mut dyn Iterator<Item = &wire::InfoHash>| {
            infohashes.filter(|infohash| population.is_bait(infohash)).count() as u64
        };
        let mut baits = (0, baits_of(&mut watched.seen()), baits_of(&mut watched.fetched()));
        for (infohash, peers) in population.infohashes_by(end) {
            if population.is_bait(&infohash) {
                baits.0 += 1;
                continue;
            }
            zones[zone(&infohash)].0 += 1;
            planted.add(peers, 1.0);
        }
        let (mut found, mut forged) = (Classes::default(), 0);
        for infohash in watched.seen().filter(|infohash| !population.is_bait(infohash)) {
            if let Some(peers) = population.listed(infohash) {
                zones[zone(infohash)].1 += 1;
                found.add(peers, 1.0);
            } else {
                forged += 1;
            }
        }
        let over = watched.over().unwrap_or(end);
        Self {
            policy,
            points: watched.points().to_vec(),
            queries: *watched.queries(),
            load: watched.load().histogram(),
            hosts: watched.load().hosts(),
            zones,
            quarter: watched.quarter().map(|quarter| {
                let planted = quarter.seen.iter().filter(|hash| population.listed(hash).is_some());
                (quarter.point, planted.count() as u64)
            }),
            wanted: watched
                .wanted()
                .filter(|hash| population.listed(hash).is_some_and(|peers| peers > 0))
                .count() as u64,
            forged,
            baits,
            to_victim: lab.to_victim(),
            longest_pause: watched.longest_pause(over),
            over: watched.over(),
            held: [*watched.held(), bounds],
            flooded: lab.counts().flooded,
            one_peer: (planted.shares()[0], found.shares()[0]),
            bias: watched.showings().against(population, planted),
            asked_for: watched.asked_for(),
            bans: lab.counts().bans,
            estimates: watched.estimates().clone(),
            home: lab.home_counts(),
            world_bytes: lab.memory_bytes() as u64,
            nodes: (population.nodes_at(over) as u64, population.answering_at(over).0 as u64),
            walls,
            fingerprint: watched.fingerprint(),
        }
    }

    /// Where it stood in the end.
    pub fn last(&self) -> Point {
        self.points.last().copied().unwrap_or_default()
    }

    /// Infohashes with metadata that somebody but the operator of the baits announced.
    pub fn true_metadata(&self) -> u64 {
        self.last().metadata - self.baits.2
    }

    /// The kind of state of which it held most for what it may, and that share.
    pub fn fullest(&self) -> Option<(&'static str, f64)> {
        let [held, bounds] = &self.held;
        held.iter()
            .filter(|(of, _)| bounds[*of] > 0)
            .map(|(of, level)| (world::Member::label(of), level as f64 / bounds[of] as f64))
            .max_by(|one, other| one.1.total_cmp(&other.1))
            .filter(|(_, share)| *share > 0.0)
    }

    /// Infohashes planted, and of these found.
    pub fn coverage(&self) -> (u64, u64) {
        let sum = |(all, found), zone: &(u64, u64)| (all + zone.0, found + zone.1);
        self.zones.iter().fold((0, 0), sum)
    }
}

fn zone(infohash: &wire::InfoHash) -> usize {
    usize::from(infohash.as_bytes()[0] >> 2)
}

/// A figure of the table: what it is called, and what it is of a run.
type Row = (&'static str, fn(&Outcome) -> String);

/// What people are shown, a line each.
const ROWS: &[Row] = &[
    ("queries sent", |o| thousands(o.last().queries)),
    ("answered", |o| percent(o.last().answers, o.last().queries)),
    ("infohashes shown by samples and announces", |o| {
        thousands(o.last().infohashes)
    }),
    ("  of those planted", |o| percent(o.coverage().1, o.coverage().0)),
    ("  never planted (forged)", |o| percent(o.forged, o.last().infohashes)),
    ("  minted by one operator (bait)", |o| {
        percent(o.baits.1, o.last().infohashes)
    }),
    ("  per query", |o| ratio(o.last().infohashes, o.last().queries)),
    ("at a quarter of a sweep: queries that look for infohashes", |o| {
        o.quarter
            .map_or_else(String::new, |(point, _)| thousands(point.queries - point.get_peers))
    }),
    ("  planted infohashes per such query", |o| {
        o.quarter.map_or_else(String::new, |(point, found)| {
            ratio(found, point.queries - point.get_peers)
        })
    }),
    ("  per query of any kind", |o| {
        o.quarter
            .map_or_else(String::new, |(point, found)| ratio(found, point.queries))
    }),
    ("infohashes with metadata", |o| thousands(o.last().metadata)),
    ("  of these bait", |o| percent(o.baits.2, o.last().metadata)),
    ("  given up without", |o| thousands(o.last().failed)),
    ("  per TCP SYN", |o| ratio(o.last().metadata, o.last().tcp_syns)),
    ("  per SYN of either kind", |o| {
        ratio(o.last().metadata, o.last().tcp_syns + o.last().utp_syns)
    }),
    ("get_peers per infohash with peers asked for", |o| {
        ratio(o.last().get_peers, o.wanted)
    }),
    ("metadata per query of any kind", |o| {
        ratio(o.last().metadata, o.last().queries)
    }),
    ("get_peers per infohash done with", |o| {
        ratio(o.last().get_peers, o.last().metadata + o.last().failed)
    }),
    ("hosts asked", |o| thousands(o.hosts as u64)),
    ("queries to a host in an hour: median, p99, most", |o| {
        [0.5, 0.99, 1.0]
            .map(|share| quantile(&o.load, share).to_string())
            .join(" / ")
    }),
    ("nodes that banned us", |o| thousands(o.bans)),
    ("queries to the victim of liars, most in ten seconds", |o| {
        format!("{} / {}", thousands(o.to_victim.0), o.to_victim.1)
    }),
    ("longest time without a query, s", |o| {
        format!("{:.1}", o.longest_pause.as_secs_f64())
    }),
    ("ended by itself, after s", |o| {
        o.over.map_or_else(|| "-".to_owned(), |over| thousands(over.as_secs()))
    }),
    ("fullest of what it holds, for what it may", |o| {
        o.fullest()
            .map_or_else(|| "-".to_owned(), |(of, share)| format!("{of} {:.0}%", 100.0 * share))
    }),
    ("one-peer share of those found (truth)", |o| {
        format!("{:.3} ({:.3})", o.one_peer.1, o.one_peer.0)
    }),
    ("  of those that samples showed, weighted", |o| {
        o.bias.one_peer.map_or_else(
            || "-".to_owned(),
            |share| format!("{:.3} ({:.3} to {:.3})", share.value, share.low, share.high),
        )
    }),
    ("infohashes that others asked us for, times", |o| thousands(o.asked_for)),
    ("estimate of infohashes (truth)", |o| {
        against(&o.estimates.keys, o.estimates.last, o.coverage().0 + o.baits.0)
    }),
    ("estimate of nodes that answer (truth)", |o| {
        against(&o.estimates.nodes, o.estimates.last, o.nodes.1)
    }),
    ("router at home: most mappings, flows dropped", |o| {
        o.home.map_or_else(
            || "-".to_owned(),
            |home| format!("{} / {}", home.most, home.overflows + home.punished),
        )
    }),
    ("endpoints touched in 120 s: mean, most", |o| {
        o.home.map_or_else(
            || "-".to_owned(),
            |home| format!("{:.0} / {}", home.mean_flows, home.most_flows),
        )
    }),
    ("bytes of the world per living node", |o| {
        (o.world_bytes / o.nodes.0.max(1)).to_string()
    }),
    ("seconds to make the world, to run it", |o| {
        o.walls.map(|ms| format!("{:.1}", ms as f64 / 1000.0)).join(" / ")
    }),
    ("fingerprint", |o| format!("{:016x}", o.fingerprint)),
];

/// The estimate at the end, if there is one, beside what it is of.
fn against(course: &[(u64, [f64; 3])], end: u64, truth: u64) -> String {
    course.last().filter(|(at, _)| *at == end).map_or_else(
        || format!("- ({truth})"),
        |(_, [_, value, _])| format!("{value:.0} ({truth})"),
    )
}

fn percent(part: u64, whole: u64) -> String {
    format!("{:.2}%", 100.0 * part as f64 / whole.max(1) as f64)
}

fn ratio(part: u64, whole: u64) -> String {
    format!("{:.4}", part as f64 / whole.max(1) as f64)
}

/// Every figure by name, and what it is of each outcome.
pub(super) fn figures(outcomes: &[Outcome]) -> impl Iterator<Item = (&'static str, Vec<String>)> {
    let cells = |figure: &fn(&Outcome) -> String| outcomes.iter().map(figure).collect();
    ROWS.iter().map(move |(name, figure)| (*name, cells(figure)))
}

/// The outcomes side by side, for people.
pub(super) fn table(args: &SimulateArgs, outcomes: &[Outcome]) -> String {
    let mut text = format!(
        "# {} nodes, {} hours, {:?}, {} queries/s, seed {}\n",
        thousands(args.nodes.into()),
        args.hours,
        args.profile,
        args.queries_per_second(),
        args.seed
    );
    let mut line = |name: &str, cells: Vec<String>| {
        let _ = write!(text, "# {name:52}");
        for cell in cells {
            let _ = write!(text, " {cell:>21}");
        }
        text.push('\n');
    };
    line(
        "",
        outcomes
            .iter()
            .map(|outcome| outcome.policy.label().to_owned())
            .collect(),
    );
    for (name, cells) in figures(outcomes) {
        line(name, cells);
    }
    if let Some(kib) = peak_memory() {
        let _ = writeln!(
            text,
            "# memory of this process at the most: {}",
            crate::report::size(kib << 10)
        );
    }
    text
}

/// The most memory that this process ever had resident, KiB, where the system tells.
pub fn peak_memory() -> Option<u64> {
    let status = host::read_file(std::path::Path::new("/proc/self/status")).ok()??;
    let status = String::from_utf8(status).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}
