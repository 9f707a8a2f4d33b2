//! `estudely simulate`: crawl policies in virtual time, each in a world of its own from the same seed.
//!
//! The machine under test is that of the real job, the world is `sim`; nothing is sent. Paths, losses and what peers do
//! are drawn by coordinates, so two policies that do the same meet the same.

mod bias;
pub mod held;
pub mod load;
mod others;
mod ours;
mod page;
pub mod policy;
pub mod result;
pub mod syns;
pub mod tables;
pub mod watch;
mod write;

use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use clap::Parser;
use sim::{Ended, Lab, Plan, Population, Profile};
use world::{Seed, Time};

use crate::args::{Cli, Command, CrawlArgs, Policy, SimulateArgs, World};
use crate::bad_input;
use crate::config;
use crate::exit::Exit;
use crate::job::start::Chance;
use crate::report::{self, SimulateDisplay, SimulateProgress};

use policy::Setup;
use result::Outcome;
use tables::Tables;
use watch::Watched;

/// Where client and nodes listen: the first port that a crawl tries.
const PORT: u16 = 6881;

/// Points of a series.
const POINTS: u32 = 120;

/// Torrents for each living node: with a holder for each announce, nodes then store as many keys as they were seen to
/// (network-model F3, section 2.1).
const TORRENTS_PER_NODE: u32 = 4;

/// Runs every policy, and tells.
///
/// # Errors
///
/// [`BadInput`](crate::exit::BadInput) for what was typed; what the disk refused.
pub fn run(args: &SimulateArgs) -> anyhow::Result<Exit> {
    if !(args.hours > 0.0 && args.hours <= 24.0 * 31.0) {
        bad_input!("--hours {}: above 0, and 744 (a month) at the most", args.hours);
    }
    if args.tables
        && let Some(policy) = args.policy.iter().find(|policy| !policy.leaves_tables())
    {
        bad_input!(
            "--tables: {} leaves none; estudely, harvest and census do",
            policy.label()
        );
    }
    let out = args.out.as_deref().map(write::Out::open).transpose()?;
    let started = host::unix_now();
    let outcomes = all(args)?;
    report::text(&result::table(args, &outcomes));
    if let Some(out) = &out {
        out.write(args, started, &outcomes)?;
    }
    Ok(Exit::Done)
}

/// Every policy, some at once: each has a world of its own, so what comes out is the same as one by one.
///
/// # Errors
///
/// As [`simulate`], of the first policy that fails.
pub fn all(args: &SimulateArgs) -> anyhow::Result<Vec<Outcome>> {
    let display = SimulateDisplay::default();
    let (next, display) = (AtomicUsize::new(0), &display);
    let run_next = || {
        let at = next.fetch_add(1, Ordering::Relaxed);
        let policy = *args.policy.get(at)?;
        Some((at, shown(args, policy, profile(args.profile), display)))
    };
    let at_once = args
        .at_once
        .map_or_else(|| config::worlds_at_once(args.nodes), usize::from);
    let mut outcomes: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..at_once.min(args.policy.len()))
            .map(|_| scope.spawn(|| std::iter::from_fn(run_next).collect::<Vec<_>>()))
            .collect();
        let done = threads.into_iter().map(|thread| {
            thread
                .join()
                .map_err(|_| anyhow::anyhow!("a thread that simulates died (a bug)"))
        });
        done.collect::<anyhow::Result<Vec<_>>>()
    })?
    .into_iter()
    .flatten()
    .collect();
    outcomes.sort_by_key(|(at, _)| *at);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

/// One policy, from its start to the end of the time.
///
/// # Errors
///
/// When the settings of the crawl that it stands for are refused.
pub fn simulate(args: &SimulateArgs, policy: Policy) -> anyhow::Result<Outcome> {
    simulate_in(args, policy, profile(args.profile))
}

/// The same in a world of any kind.
///
/// # Errors
///
/// As [`simulate`].
pub fn simulate_in(args: &SimulateArgs, policy: Policy, profile: Profile) -> anyhow::Result<Outcome> {
    shown(args, policy, profile, &SimulateDisplay::default())
}

fn shown(args: &SimulateArgs, policy: Policy, profile: Profile, display: &SimulateDisplay) -> anyhow::Result<Outcome> {
    let began = host::unix_millis();
    let mut lab = lab(args, profile);
    let setup = setup(args, policy, &lab)?;
    let built = host::unix_millis();
    let until = Time::ZERO + std::time::Duration::from_secs_f64(args.hours * 3600.0);
    let every = until.since(Time::ZERO) / POINTS;
    let mut watched = Watched::new(
        policy.compose(&setup),
        every,
        (lab.population().contacts() as u64 / 4, torrents(args) as usize),
        setup.chance.seed,
    );
    let plan = Plan {
        client: setup.client,
        until,
        stop: None,
    };
    let mut progress = SimulateProgress::new(policy.label(), until, display);
    let bounds = held::bounds(&setup);
    let (end, ended) = sim::run(&plan, &mut watched, &mut lab, Time::ZERO, &mut |now, _, point| {
        progress.show(now, point.queries, point.infohashes, point.metadata);
        ControlFlow::Continue(())
    });
    progress.finish();
    if ended == Ended::Stuck {
        anyhow::bail!(
            "{}: the crawl kept a deadline in the past (a bug); repeat it with --seed {}",
            policy.label(),
            args.seed
        );
    }
    if let (Some(tables), Some(out)) = (&setup.tables, &args.out) {
        tables.write(&out.join(policy.label()))?;
    }
    let walls = [built - began, host::unix_millis() - built];
    Ok(Outcome::new(policy, &watched, &lab, end, (bounds, walls)))
}

fn torrents(args: &SimulateArgs) -> u32 {
    args.torrents.unwrap_or(args.nodes * TORRENTS_PER_NODE)
}

fn lab(args: &SimulateArgs, profile: Profile) -> Lab {
    let config = sim::Config {
        nodes: args.nodes as usize,
        torrents: torrents(args) as usize,
        port: PORT,
        profile,
    };
    Lab::of(Population::on_internet(
        config,
        Seed::from_number(args.seed).derive("lab"),
    ))
}

fn profile(world: World) -> Profile {
    match world {
        World::Ideal => Profile::ideal(),
        World::Realistic => Profile::realistic(),
        World::Hostile => Profile::hostile(),
        World::NatHome => Profile::nat_home(),
    }
}

/// The settings of a real crawl at this rate, which never ends by itself.
fn setup(args: &SimulateArgs, policy: Policy, lab: &Lab) -> anyhow::Result<Setup> {
    let crawl = crawl_args(args, policy)?;
    Ok(Setup {
        net: config::net(&crawl.net, None)?,
        args: crawl,
        chance: Chance {
            seed: Seed::from_number(args.seed),
            number: args.seed,
        },
        client: SocketAddr::from((lab.population().client(), PORT)),
        router: lab.bootstrap(),
        tables: args.tables.then(Tables::new),
    })
}

/// What somebody with this line would type.
fn crawl_args(args: &SimulateArgs, policy: Policy) -> anyhow::Result<Box<CrawlArgs>> {
    let rate = args.queries_per_second().to_string();
    let line = match args.profile {
        World::NatHome => "home",
        World::Ideal | World::Realistic | World::Hostile => "vps",
    };
    let words = [
        "estudely",
        "crawl",
        "--stdout-only",
        "--max-infohashes",
        "0",
        "--overall-timeout",
        "0",
    ];
    let mode = match policy {
        Policy::Harvest => "harvest",
        Policy::Census => "census",
        _ => "thorough",
    };
    let line = ["--profile", line, "--rate", &rate, "--mode", mode];
    match Cli::try_parse_from(words.iter().chain(&line))?.command {
        Command::Crawl(args) => Ok(args),
        other => anyhow::bail!("not a crawl: {other:?}"),
    }
}
