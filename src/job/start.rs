//! What every job with a DHT node does first: chance, sockets, routers, the state of the last run, a lab if one is wanted.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use crawler::state::{self, SavedState};
use crawler::{Node, sampler};
use host::{HostError, Resolver, Setup, Stage};
use rand::Rng;
use world::{Seed, Time};

use crate::args::InsideLabArgs;
use crate::config::{self, Bind, Net};
use crate::job::lab::{Inside, network_name};
use crate::report::{note, thousands};

/// Name of the file below the data directory that keeps the node id and known nodes (DHT-17).
const STATE_FILE: &str = "dht.state";
/// What is kept of the sampler's ledger, below the data directory.
const LEDGER_FILE: &str = "ledger.state";

/// The chance of a run, and the number that repeats it.
#[derive(Clone, Copy, Debug)]
pub struct Chance {
    /// Where all streams come from.
    pub seed: Seed,
    /// What `--seed` takes to have it again.
    pub number: u64,
}

impl Chance {
    /// The user's number, or one drawn from the system.
    ///
    /// # Errors
    ///
    /// When the system has no entropy to give.
    pub fn new(number: Option<u64>) -> anyhow::Result<Self> {
        let number = match number {
            Some(number) => number,
            None => host::entropy()
                .context("no entropy from the system; name a --seed")?
                .rng()
                .next_u64(),
        };
        Ok(Self {
            seed: Seed::from_number(number),
            number,
        })
    }
}

/// Whether strangers may open TCP connections to us.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Incoming {
    /// At the port of each UDP socket: peers that know us as a node or from a handshake call there.
    Welcome,
    /// Nobody of this job would answer them.
    No,
}

/// A node on open sockets, and where it came from.
pub struct Started {
    /// The sockets.
    pub stage: Stage,
    /// The DHT mind, told of its routers and the last run.
    pub node: Node,
    /// The lab that runs beside, if one was asked for.
    pub lab: Option<Inside>,
}

/// Opens sockets, starts the lab, finds the routers, and makes a node that will join by itself.
///
/// # Errors
///
/// One line for people: a port in use, routers that cannot be resolved with no node known from before, a lab without
/// ports.
pub fn start(
    net: &Net,
    lab: &InsideLabArgs,
    incoming: Incoming,
    sampling: Option<sampler::Config>,
    chance: Chance,
    data_dir: Option<&Path>,
) -> anyhow::Result<Started> {
    let stage = open(&net.bind, incoming)?;
    let mut saved = match data_dir {
        Some(dir) => load_state(&dir.join(STATE_FILE))?,
        None => None,
    };
    if let (None, Some(saved)) = (&sampling, &mut saved) {
        // The id belongs to the crawl of this data directory, which may be running: one id is one node.
        (saved.node_id, saved.node_id6) = (None, None);
    }
    let lab = self::lab(lab)?;
    let doors = match &lab {
        Some(lab) => Doors {
            routers: vec![lab.bootstrap()],
            nodes: Vec::new(),
        },
        None => resolve(
            &net.routers,
            saved.as_ref().is_some_and(|saved| !saved.nodes.is_empty()),
        )?,
    };
    let addrs = stage.udp_addrs();
    let families = Bind::Exactly(addrs.clone()).families();
    let ours = |mut doors: Vec<SocketAddr>| {
        doors.retain(|door| families.has(crawler::Family::of(door)));
        doors
    };
    let mut node = Node::new(
        crawler::Config {
            first_nodes: ours(doors.nodes),
            ..config::node(net, families, ours(doors.routers), sampling)
        },
        chance.seed.derive("node"),
        saved,
    );
    for &addr in &addrs {
        node.own_address(addr);
    }
    // Addresses of an earlier lab are nobody's.
    if let (Some(dir), None, true) = (data_dir, &lab, node.sampler().is_some()) {
        load_ledger(&mut node, dir)?;
    }
    Ok(Started { stage, node, lab })
}

/// Opens the first of the candidate addresses that can be had, and says where it listens. With [`Incoming::Welcome`]
/// that is the first whose TCP port is free, too; if there is none, connections of strangers are done without.
///
/// # Errors
///
/// When no UDP address can be had.
pub fn open(bind: &Bind, incoming: Incoming) -> anyhow::Result<Stage> {
    let mut first_error = None;
    let mut first_deaf = None;
    for udp in bind.candidates() {
        match open_pair(&udp, incoming) {
            Ok((stage, None)) => return Ok(announced(stage, incoming)),
            Ok((stage, Some(error))) => first_deaf = first_deaf.or(Some((stage, error))),
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    match (first_deaf, first_error) {
        (Some((stage, error)), _) => {
            note(&format!("{error}; going on without connections from others"));
            Ok(announced(stage, Incoming::No))
        }
        (None, Some(error)) => Err(error.into()),
        (None, None) => bail!("no address to listen on"),
    }
}

fn announced(stage: Stage, incoming: Incoming) -> Stage {
    let what = match incoming {
        Incoming::Welcome => "UDP and TCP",
        Incoming::No => "UDP",
    };
    for addr in stage.udp_addrs() {
        note(&format!("listening on {addr} ({what})"));
    }
    stage
}

/// UDP ports that the kernel chose are tried so often, until one is free for TCP, too.
const PAIR_TRIES: u32 = 16;

/// UDP sockets, and TCP listeners beside them if they are welcome and can be had; else why not.
fn open_pair(udp: &[SocketAddr], incoming: Incoming) -> Result<(Stage, Option<HostError>), HostError> {
    let chosen_for_us = udp.iter().any(|addr| addr.port() == 0);
    let mut tries = if chosen_for_us { PAIR_TRIES } else { 1 };
    loop {
        let mut stage = open_families(udp)?;
        tries -= 1;
        match incoming {
            Incoming::No => return Ok((stage, None)),
            Incoming::Welcome => match stage.listen_beside_udp() {
                Ok(()) => return Ok((stage, None)),
                Err(error) if tries == 0 => return Ok((stage, Some(error))),
                Err(_) => {}
            },
        }
    }
}

/// Opens one socket for each address. A machine without IPv6 is an ordinary machine: then IPv4 is enough, unless the
/// user named the address.
fn open_families(udp: &[SocketAddr]) -> Result<Stage, HostError> {
    let setup = |udp: Vec<SocketAddr>| Setup {
        udp,
        listen: None,
        signals: true,
        limits: config::HOST,
    };
    match Stage::open(&setup(udp.to_vec())) {
        Err(HostError::NotOurs { addr, .. }) if udp.len() > 1 && addr.is_ipv6() && addr.ip().is_unspecified() => {
            Stage::open(&setup(udp.iter().copied().filter(SocketAddr::is_ipv4).collect()))
        }
        opened => opened,
    }
}

/// Where a node joins.
#[derive(Default)]
struct Doors {
    /// Public services, or that of a lab.
    routers: Vec<SocketAddr>,
    /// Other nodes that the user named.
    nodes: Vec<SocketAddr>,
}

/// Resolves the routers. One that fails is a line; all failing is the end, unless nodes are known from the last run.
fn resolve(routers: &[String], knows_nodes: bool) -> anyhow::Result<Doors> {
    let mut doors = Doors::default();
    let mut failures = Vec::new();
    for resolved in Resolver::new(config::RESOLVE_WITHIN).resolve(routers)? {
        match resolved.addrs {
            Ok(found) if config::is_router(&resolved.place) => doors.routers.extend(found),
            Ok(found) => doors.nodes.extend(found),
            Err(error) => failures.push(error.to_string()),
        }
    }
    if !routers.is_empty() && doors.routers.is_empty() && doors.nodes.is_empty() && !knows_nodes {
        bail!(
            "no bootstrap node has an address ({}): check the network and its DNS, or name one with --bootstrap IP:PORT",
            failures.join("; ")
        );
    }
    for failure in &failures {
        note(&format!("a bootstrap node is passed over: {failure}"));
    }
    Ok(doors)
}

fn load_state(path: &Path) -> anyhow::Result<Option<SavedState>> {
    let Some(bytes) = host::read_file(path)? else {
        return Ok(None);
    };
    match state::decode(&bytes) {
        Ok(saved) => Ok(Some(saved)),
        Err(error) => {
            note(&format!("{} is not used: {error}", path.display()));
            Ok(None)
        }
    }
}

/// Keeps the node id and the known nodes for the next run.
///
/// # Errors
///
/// When the file cannot be written.
pub fn save_state(node: &Node, data_dir: &Path) -> anyhow::Result<()> {
    let path: PathBuf = data_dir.join(STATE_FILE);
    host::replace_file(&path, &state::encode(&node.save()))?;
    Ok(())
}

/// Takes up what the last crawl knew of other nodes, so that this one begins with those that sample, and asks none inside
/// its interval.
fn load_ledger(node: &mut Node, data_dir: &Path) -> anyhow::Result<()> {
    let path = data_dir.join(LEDGER_FILE);
    let Some(bytes) = host::read_file(&path)? else {
        return Ok(());
    };
    match node.restore_ledger(Time::ZERO, &bytes, host::unix_now()) {
        Ok(0) => {}
        Ok(nodes) => note(&format!(
            "{} nodes are known from earlier runs",
            thousands(nodes as u64)
        )),
        Err(error) => note(&format!("{} is not used: {error}", path.display())),
    }
    Ok(())
}

/// Keeps what the sampler knows of other nodes for the next run.
///
/// # Errors
///
/// When the file cannot be written.
pub fn save_ledger(node: &Node, now: Time, data_dir: &Path) -> anyhow::Result<()> {
    if let Some(bytes) = node.keep_ledger(now, host::unix_now()) {
        host::replace_file(&data_dir.join(LEDGER_FILE), &bytes)?;
    }
    Ok(())
}

/// The checked network flags, and the chance of the run.
///
/// # Errors
///
/// As [`config::net`] and [`Chance::new`].
pub fn checked(net: &crate::args::NetArgs, lab: &InsideLabArgs) -> anyhow::Result<(Net, Chance)> {
    let name = lab.wanted().map(|args| network_name(&args));
    Ok((config::net(net, name)?, Chance::new(net.seed)?))
}

/// Starts the lab that a command brings along, if it does.
///
/// # Errors
///
/// When its ports cannot be had, or its truth cannot be written.
pub fn lab(args: &InsideLabArgs) -> anyhow::Result<Option<Inside>> {
    args.wanted().map(|args| Inside::start(&args)).transpose()
}
