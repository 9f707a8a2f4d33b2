//! What the flags mean: every default of the program, with its unit and its reason. Nothing raw survives this file.

mod engine;
mod mode;
mod records;
mod stage;
mod streams;
mod threads;
mod torrent;

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use crawler::guard::{BackOff, Cidr, Limit};
use crawler::{Families, frontier, guard, peer_store, responder, sampler};
use serde::Serialize;
use wire::InfoHash;
use world::Time;

use fetcher::config::Exclusion;

use crate::args::{CrawlArgs, NetArgs, Profile};
use crate::bad_input;
use crate::exit::BadInput;
use crate::job::harvest::Origin;
use crate::job::{crawl, harvest};

pub use engine::{engine, web};
pub use mode::{has_retries, pool_of_a_crawl, sampling_of_a_crawl};
pub use records::{ESTIMATE_EVERY, KEEP_STATE_EVERY, PACK_EVERY, RECORD_EVERY, SHEET_BYTES, SHEETS_WAITING};
pub use stage::{DESCRIPTORS, DISK, HOST, LAB_HOST, RESOLVE_WITHIN};
pub use streams::streams;
pub use threads::{hash_threads, worlds_at_once};
pub use torrent::{HASH_RUN, HASH_TICK};

/// Bootstrap nodes of the Mainline DHT (DHT-03). Asked while the table is empty, never in it.
const ROUTERS: [&str; 4] = [
    "router.bittorrent.com:6881",
    "dht.transmissionbt.com:6881",
    "router.utorrent.com:6881",
    "dht.libtorrent.org:25401",
];

/// Whether this `HOST:PORT` is a public service for joining. Any other place is a node like all, which may hold what
/// nobody else does.
pub fn is_router(place: &str) -> bool {
    ROUTERS.contains(&place)
}

/// What run.json calls a network on loopback that is not our own lab.
const LOOPBACK: &str = "loopback";

/// BEP 20: two letters and four digits of version (D-09: our own, never another client's).
const PEER_ID_PREFIX: [u8; 8] = *b"-ES0010-";

/// What peers are told of us (BEP 10 `v`).
const CLIENT: &str = concat!("DHT-Estudely ", env!("CARGO_PKG_VERSION"));

/// The longest that a query waits for its answer.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Peers kept for a magnet link while its info dictionary is looked for.
pub const PEERS_PER_MAGNET: usize = 100;

/// Ports tried in turn when none is named (D-25).
const PORTS: std::ops::RangeInclusive<u16> = 6881..=6889;

/// What the line can carry, in numbers.
#[derive(Clone, Copy, Debug)]
struct Line {
    /// DHT queries a second over all hosts.
    rate: u32,
    /// Endpoints touched in 120 s.
    max_flows: usize,
    /// TCP connections at once.
    connections: usize,
    /// Infohashes in work at once.
    works: usize,
}

impl Profile {
    /// Home: cheap routers hold 1,500 to 5,000 NAT entries (network-model B13), and others use the line, too.
    /// Vps: no NAT; 500/s is what one LT node sees of a whole day in seconds, and any host still gets one a second.
    /// Lab: all hosts are this machine; the virtual hosts' own limits still hold.
    const fn line(self) -> Line {
        match self {
            Self::Home => Line {
                rate: 50,
                max_flows: 2_048,
                connections: 128,
                works: 64,
            },
            Self::Vps => Line {
                rate: 500,
                max_flows: 60_000,
                connections: 1_024,
                works: 512,
            },
            Self::Lab => Line {
                rate: 4_000,
                max_flows: 1_000_000,
                connections: 1_024,
                works: 512,
            },
        }
    }
}

/// Which network a run is on. Rows of two networks must not mix in one file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Network {
    /// Loopback is admitted, and nothing else.
    pub lab: bool,
    /// As `run.json` calls it: `mainline`, `loopback`, or the lab with its parameters.
    pub name: String,
}

/// The part of a configuration that all commands with a DHT node share.
#[derive(Clone, Debug)]
pub struct Net {
    /// Which network.
    pub network: Network,
    /// `HOST:PORT` of the bootstrap nodes, to be resolved.
    pub routers: Vec<String>,
    /// Where to listen.
    pub bind: Bind,
    /// Infohashes never asked for nor written.
    pub opt_out: Vec<InfoHash>,
    /// Networks never contacted.
    pub blocklist: Vec<Cidr>,
    /// What the line can carry; the profile with what the user set.
    line: Line,
    read_only: bool,
    /// Peers are dialled by uTP, too.
    utp: bool,
    /// Whether streams are encrypted (NET-09).
    encryption: transport::Policy,
    /// Threads that share what is allowed.
    threads: usize,
}

/// Where to listen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Bind {
    /// At these addresses, or not at all.
    Exactly(Vec<SocketAddr>),
    /// At the first port that is free, in every family that this machine has.
    FirstFree(Vec<u16>),
}

impl Bind {
    /// The address families that can be had.
    pub fn families(&self) -> Families {
        match self {
            Self::Exactly(addrs) => Families {
                v4: addrs.iter().any(SocketAddr::is_ipv4),
                v6: addrs.iter().any(SocketAddr::is_ipv6),
            },
            Self::FirstFree(_) => Families { v4: true, v6: true },
        }
    }

    /// For a job without a DHT node: a port of its own choice, unless the user named one. The usual ports are for nodes.
    pub fn any_free(self) -> Self {
        match self {
            Self::FirstFree(_) => Self::FirstFree(vec![0]),
            exactly => exactly,
        }
    }

    /// For one more thread of such a job: the same addresses, and a port of its own choice.
    pub fn beside(self) -> Self {
        match self.any_free() {
            Self::Exactly(addrs) => {
                Self::Exactly(addrs.into_iter().map(|addr| SocketAddr::new(addr.ip(), 0)).collect())
            }
            free => free,
        }
    }

    /// The addresses to try, in turn; each is one socket per family.
    pub fn candidates(&self) -> Vec<Vec<SocketAddr>> {
        match self {
            Self::Exactly(addrs) => vec![addrs.clone()],
            Self::FirstFree(ports) => {
                let any = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
                ports
                    .iter()
                    .map(|&port| any.iter().map(|&ip| SocketAddr::new(ip, port)).collect())
                    .collect()
            }
        }
    }
}

impl Net {
    /// One of several equal shares, for a thread of its own.
    pub fn share(&self, threads: usize) -> Self {
        let mut share = self.clone();
        share.threads = threads.max(1);
        share.line.connections = (share.line.connections / share.threads).max(1);
        share.line.works = (share.line.works / share.threads).max(1);
        share
    }

    /// DHT queries a second over all hosts.
    pub const fn rate(&self) -> u32 {
        self.line.rate
    }

    /// Whether the user's blocklist has this host.
    pub fn is_blocked(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        let mut blocks = self.blocklist.iter();
        blocks.any(|block| (block.first()..=block.last()).contains(&ip))
    }
}

/// Checks the network flags. `lab` names the lab that the command brings along.
///
/// # Errors
///
/// [`BadInput`](crate::exit::BadInput) with file and line for a list that cannot be read.
pub fn net(args: &NetArgs, lab: Option<String>) -> anyhow::Result<Net> {
    let loopback = lab.is_some() || args.allow_loopback;
    let name = lab.unwrap_or_else(|| if args.allow_loopback { LOOPBACK } else { "mainline" }.to_owned());
    let usual = if loopback { Profile::Lab } else { Profile::Home };
    let mut line = args.profile.unwrap_or(usual).line();
    line.rate = args.rate.unwrap_or(line.rate);
    line.max_flows = args.max_flows.unwrap_or(line.max_flows);
    if line.rate == 0 || line.max_flows == 0 {
        bad_input!("--rate and --max-flows must be at least 1");
    }
    line.connections = within("--max-connections", args.max_connections, line.connections)?;
    line.works = within("--max-works", args.max_works, line.works)?;
    for router in &args.bootstrap {
        if !router
            .rsplit_once(':')
            .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
        {
            bad_input!("--bootstrap {router}: not HOST:PORT, as in router.bittorrent.com:6881 or [2001:db8::1]:6881");
        }
    }
    let routers = if args.bootstrap.is_empty() {
        ROUTERS.map(str::to_owned).to_vec()
    } else {
        args.bootstrap.clone()
    };
    Ok(Net {
        bind: bind(args, loopback)?,
        routers,
        opt_out: read_list(args.opt_out.as_deref(), "an infohash of 40 hex digits", |text| {
            InfoHash::from_hex(text).ok()
        })?,
        blocklist: read_list(args.blocklist.as_deref(), "a CIDR block, as 192.0.2.0/24", |text| {
            text.parse().ok()
        })?,
        network: Network { lab: loopback, name },
        line,
        read_only: args.read_only,
        utp: !args.no_utp,
        encryption: args.encryption.into(),
        threads: 1,
    })
}

/// What the user set, or `usual`. More than the host holds beside the connections of strangers would be refused one by one.
fn within(flag: &str, wanted: Option<usize>, usual: usize) -> anyhow::Result<usize> {
    let most = HOST.connections - HOST.accepted;
    match wanted {
        Some(wanted) if !(1..=most).contains(&wanted) => bad_input!("{flag} {wanted}: from 1 to {most}"),
        wanted => Ok(wanted.unwrap_or(usual)),
    }
}

fn bind(args: &NetArgs, loopback: bool) -> anyhow::Result<Bind> {
    let families = (
        args.bind.iter().filter(|addr| addr.is_ipv4()).count(),
        args.bind.iter().filter(|addr| addr.is_ipv6()).count(),
    );
    if families.0 > 1 || families.1 > 1 {
        bad_input!("--bind: one address for IPv4 and one for IPv6 at the most");
    }
    Ok(if !args.bind.is_empty() {
        Bind::Exactly(args.bind.clone())
    } else if loopback {
        Bind::Exactly(vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))])
    } else {
        Bind::FirstFree(PORTS.collect())
    })
}

/// A list of one item a line; `#` begins a comment.
fn read_list<T>(path: Option<&Path>, what: &str, parse: impl Fn(&str) -> Option<T>) -> anyhow::Result<Vec<T>> {
    let Some(path) = path else { return Ok(Vec::new()) };
    let text = fs::read_to_string(path).map_err(|error| {
        BadInput(format!(
            "cannot read {}: {error}; name a list of {what}",
            path.display()
        ))
    })?;
    let mut items = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let item = line.split('#').next().unwrap_or_default().trim();
        if item.is_empty() {
            continue;
        }
        match parse(item) {
            Some(item) => items.push(item),
            None => bad_input!("{}:{}: `{item}` is not {what}", path.display(), index + 1),
        }
    }
    Ok(items)
}

/// Limits of DESIGN 6, for any DHT node of ours.
fn guard(net: &Net) -> guard::Config {
    guard::Config {
        // crawlers F4: below every limiter that deployed nodes have.
        per_host: Limit {
            every: Duration::from_secs(1),
            burst: 3,
        },
        per_network: Limit {
            every: Duration::from_millis(200),
            burst: 10,
        },
        // A tenth of a second's worth in a row, so that a batch is possible and a burst is not.
        total: Limit::per_second(net.line.rate, (net.line.rate / 10).max(1)),
        max_flows: net.line.max_flows,
        flow_window: Duration::from_secs(120),
        back_off: BackOff {
            first: Duration::from_secs(5 * 60),
            cap: Duration::from_secs(6 * 3600),
            trial: LONGEST_WAIT,
            refused: Duration::from_secs(10 * 60),
            memory: 262_144,
        },
        // What mldht allows each host (network-model E), and twice what we ask of others in all.
        answers_per_host: Limit {
            every: Duration::from_millis(500),
            burst: 10,
        },
        answers_in_total: Limit::per_second(net.line.rate.max(100) * 2, net.line.rate.max(100)),
        blocklist: net.blocklist.clone(),
    }
}

/// Which infohash next, with further rounds for those that failed, or without.
pub fn frontier(net: &Net, retries: bool) -> frontier::Config {
    let rounds: [&[u64]; 2] = match (retries, net.network.lab) {
        (false, _) => [&[], &[]],
        // A lab is over in half a minute, and its peers that are back are so within seconds.
        (true, true) => [&[5, 10], &[10]],
        // Who restarts is back in minutes; who works or sleeps, in hours (network-model 7). Nobody named by three replicas
        // is mostly a dead torrent: one look more, through others.
        (true, false) => [&[20 * 60, 3 * 3600, 12 * 3600], &[3 * 3600]],
    };
    let [with_peers, no_peers] = rounds.map(|delays| delays.iter().copied().map(Duration::from_secs).collect());
    frontier::Config {
        // 206 MB of fingerprints at the most: a week of the whole DHT.
        max_seen: 20_000_000,
        // 30 MB of waiting work; the worst ranked gives way. As much for retries, and on average 200 bytes of peers each.
        max_ready: 100_000,
        max_waiting: 100_000,
        retry: frontier::Retry { no_peers, with_peers },
        opt_out: net.opt_out.clone(),
    }
}

/// How often a crawl keeps its schedule of further rounds on disk: what a kill loses of it at the most.
pub fn keep_retries_every(net: &Net) -> Duration {
    Duration::from_secs(if net.network.lab { 1 } else { 60 })
}

/// How often a person is told that nobody answers.
pub const HINT_EVERY: Duration = Duration::from_secs(10);

/// Peers kept of one infohash of a list: far more than are dialled, and a row of each still fits a block.
pub const PEERS_PER_WANT: usize = 100;

/// Time to leave after a stop: a session that is receiving pieces finishes in this time or is not worth the wait.
pub const LEAVE_WITHIN: Duration = Duration::from_secs(3);

/// A lab is finite: after this long without news there is none. Longer than its second rounds and its slowest peer.
const LAB_QUIET: Duration = Duration::from_secs(12);

/// The DHT mind; it joins by `routers`, unless it is told of other nodes to join by.
pub fn node(
    net: &Net,
    families: Families,
    routers: Vec<SocketAddr>,
    sampling: Option<sampler::Config>,
) -> crawler::Config {
    crawler::Config {
        lab: net.network.lab,
        families,
        read_only: net.read_only,
        version: *b"ES\0\x01",
        node_id: None,
        routers,
        first_nodes: Vec::new(),
        opt_out: net.opt_out.clone(),
        guard: guard(net),
        responder: responder::Config {
            store: peer_store::Config {
                max_keys: 2_000,
                max_peers_per_key: 500,
                expiry: Duration::from_secs(45 * 60),
            },
            max_peers_reply: 50,
            sample_interval: Duration::from_secs(6 * 3600),
            // Everything is shown at once: sooner than this, little can be new.
            whole_interval: Duration::from_secs(10 * 60),
        },
        sampling,
        rpc: crawler::config::Rpc {
            initial_timeout: Duration::from_secs(2),
            min_timeout: Duration::from_millis(500),
            max_timeout: LONGEST_WAIT,
            max_outstanding: 8_192,
        },
        routing: crawler::config::Routing {
            max_fail_count: 20,
            questionable_after: Duration::from_secs(15 * 60),
            refresh_after: Duration::from_secs(15 * 60),
        },
        lookup: crawler::config::Lookup {
            branching: 5,
            max_running: net.line.works,
            max_waiting: net.line.works,
            deadline: Duration::from_secs(60),
            enough_peers: 3,
            max_peers: 1_000,
        },
    }
}

/// The metadata mind of a fetch, which lasts as long as its list: strangers hardly come to know of it, and a large shelf is
/// cold memory for each info dictionary (18,700 page faults for 5,000 of them, against 11,300).
pub fn pool_of_a_list(net: &Net, attempts_per_infohash: u32, peers_per_infohash: u32) -> fetcher::Config {
    let mut pool = pool(net, attempts_per_infohash, peers_per_infohash);
    pool.serving.shelf_bytes = (4 << 20) / net.threads;
    pool
}

/// The metadata mind.
pub fn pool(net: &Net, attempts_per_infohash: u32, peers_per_infohash: u32) -> fetcher::Config {
    fetcher::Config {
        peer_id_prefix: PEER_ID_PREFIX,
        client: CLIENT.to_owned(),
        extensions: fetcher::config::Extensions {
            ut_metadata: 1,
            ut_pex: 2,
            lt_metadata: 3,
            ut_holepunch: 4,
        },
        slots: net.line.works,
        max_connections: net.line.connections,
        // On a loopback network without virtual hosts, many peers share 127.0.0.1.
        exclusion: if net.network.name == LOOPBACK {
            Exclusion::Endpoint
        } else {
            Exclusion::Host
        },
        dialling: fetcher::config::Dialling {
            start: 2,
            stagger: Duration::from_millis(750),
            parallel: 4,
            // One stagger more for a peer that has shown itself.
            patience: Duration::from_millis(750),
            hold_back: Duration::from_secs(2),
            attempts_per_infohash,
            peers_per_infohash: usize::try_from(peers_per_infohash).unwrap_or(usize::MAX),
        },
        deadlines: fetcher::config::Deadlines {
            connect: streams::connect(net),
            // network-model C1: 951 ms is the 99th percentile of round trips. A peer that hangs up on a plain greeting is
            // dialled once more and called encrypted: five in all.
            handshake: Duration::from_secs(5),
            extended: Duration::from_secs(3),
            // Transmission up to 4.0 sends pieces in batches, 2 to 4 s apart.
            piece: Duration::from_secs(6),
            total: Duration::from_secs(90),
        },
        limits: fetcher::config::Limits {
            // crawlers R9: honest ones of 15 MB exist (network-model H4).
            max_metadata: 16 << 20,
            max_frame: 64 << 10,
            noise_frames: 2_000,
            noise_bytes: 2 << 20,
            pipeline: 4,
            assembly_bytes: ((256 << 20) / net.threads as u64).max(16 << 20),
        },
        memory: fetcher::config::Memory {
            capacity: 65_536,
            refused: Duration::from_secs(3600),
            silent: Duration::from_secs(10 * 60),
            silent_max: Duration::from_secs(6 * 3600),
            useless: Duration::from_secs(6 * 3600),
            success_half_life: Duration::from_secs(6 * 3600),
        },
        serving: fetcher::config::Serving {
            // Half of those that the host accepts: libtorrent stays for as long as it may.
            callers: 128,
            shelf_entries: 1_000 / net.threads,
            shelf_bytes: (32 << 20) / net.threads,
            times: 2,
            // The largest of all once, or a hundred of the usual size.
            bytes_per_host: 16 << 20,
            window: Duration::from_secs(10 * 60),
            idle: Duration::from_secs(10),
        },
        exchange: fetcher::config::Exchange {
            // BEP 11: no more than 50 are added by a message that is not the first.
            names: 50,
            // libtorrent names peers within some 5 s of its handshake.
            listen: Duration::from_secs(12),
            few: 3,
            listeners_per_infohash: 2,
            listeners: net.line.connections / 4,
            meetings: 3,
        },
    }
}

/// Whom peers may name where there is no DHT node to know.
pub fn admission(net: &Net) -> guard::Admission {
    guard::Admission::new(&net.blocklist, net.network.lab)
}

/// The join of the two minds.
pub fn harvest(net: &Net, peers_per_infohash: u32) -> harvest::Limits {
    let peers = usize::try_from(peers_per_infohash).unwrap_or(usize::MAX);
    harvest::Limits {
        works: net.line.works,
        peers_per_infohash: if peers == 0 { usize::MAX } else { peers },
        flows_per_work: 8,
        // Peers need little room so long as queries do not take it all: of 2,048 endpoints 17 lapse each second.
        flows_for_peers: (net.line.max_flows / 8).min(4 * net.line.connections),
        // What a crawl knows is what the DHT named in an earlier round.
        known_from: Origin::Dht,
    }
}

/// The crawl as a whole.
pub fn crawl(args: &CrawlArgs) -> crawl::Limits {
    crawl::Limits {
        max_infohashes: (args.max_infohashes > 0).then_some(args.max_infohashes),
        overall: (args.overall_timeout > 0).then(|| Time::from_secs(args.overall_timeout)),
        quiet: args.lab.lab.then_some(LAB_QUIET),
        leave_within: LEAVE_WITHIN,
        lookup_queries: mode::lookup_queries(args),
        retry_queries: 3,
        keep_schedule: !args.out.stdout_only,
        pause_sampling_at: mode::pause_sampling_at(args),
    }
}

/// The full configuration, as run.json keeps it: every flag with its value, and what profiles came to.
///
/// # Errors
///
/// Never in practice: flags are plain data.
pub fn manifest<A: Serialize>(args: &A, net: &Net) -> anyhow::Result<serde_json::Value> {
    Ok(serde_json::json!({
        "network": net.network.name,
        "flags": serde_json::to_value(args)?,
        "effective": { "rate": net.line.rate, "max_flows": net.line.max_flows, "connections": net.line.connections, "works": net.line.works },
    }))
}

/// The survey of other nodes' stores.
pub fn sampling(net: &Net) -> sampler::Config {
    sampler::Config {
        // 64 MB of ledger at the most.
        max_nodes: 1_000_000,
        // What the rate sends within the longest timeout.
        max_in_flight: (net.line.rate as usize * 5).clamp(64, 4_096),
        interval_floor: Duration::from_secs(5 * 60),
        // Labs lose packets, too, and are soon over.
        retry_after: Duration::from_secs(if net.network.lab { 10 } else { 5 * 60 }),
        silent_rest: Duration::from_secs(2 * 3600),
        non_sampler_rest: Duration::from_secs(24 * 3600),
        zones: None,
    }
}
