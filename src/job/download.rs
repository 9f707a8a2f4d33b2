//! `estudely download` and `estudely seed`: torrents from what names them to files that are whole, and back to others.

mod adding;
mod machine;
mod resume;
mod run;
mod summary;
mod wanted;

use std::net::SocketAddr;

use anyhow::Context;
use engine::{Engine, Verify};
use fetcher::Pool;
use host::{LsdReach, Relay, Stage};
use transport::Transport;
use world::disk::Allocation as Room;

use crate::args::{Allocation, DownloadArgs, InsideLabArgs, SeedArgs, SwarmArgs};
use crate::bad_input;
use crate::config::{self, Net};
use crate::exit::{BadInput, Exit};
use crate::job::lab::Inside;
use crate::job::start::{self, Chance, Incoming, Started};
use crate::report::note;
use adding::Manner;
use resume::Import;
use run::{End, Run};
use wanted::Wanted;

pub use machine::{Download, ENGINE_CONNS, Event};

/// Runs `estudely download`.
///
/// # Errors
///
/// [`BadInput`] for what was typed or cannot be read; otherwise what the world refused.
pub fn run(args: &DownloadArgs) -> anyhow::Result<Exit> {
    let allocation = match args.allocation {
        Allocation::Sparse => Room::Sparse,
        Allocation::Full => Room::Full,
        Allocation::Fallocate => Room::Fallocate,
        Allocation::Compact => bad_input!(
            "--allocation compact: files would be packed while they come and moved piece by piece at the end, which every \
             file system with sparse files does better by itself; use sparse (the default) or fallocate"
        ),
    };
    if args.seed_ratio.is_some_and(|ratio| !ratio.is_finite() || ratio <= 0.0) {
        bad_input!("--seed-ratio: a number above 0, as 1.5");
    }
    let wanted = wanted::all(args)?;
    let manner = Manner {
        folder: args.output_dir.clone(),
        allocation,
        verify: verify(args.verify),
        sequential: args.sequential,
        import: args.import_resume.clone().map(|path| Import {
            path,
            trust: args.trust_resume,
        }),
        ..manner(&args.swarm)
    };
    let end = match (args.no_seed, args.seed_ratio) {
        (true, _) => End::Complete,
        (_, Some(ratio)) => End::Ratio(ratio),
        _ => End::Never,
    };
    swarm(&args.swarm, wanted, manner, end)
}

/// Runs `estudely seed`.
///
/// # Errors
///
/// As [`run`].
pub fn seed(args: &SeedArgs) -> anyhow::Result<Exit> {
    let torrents = args.torrents.iter().map(|path| wanted::torrent_file(path));
    let mut wanted = torrents.collect::<anyhow::Result<Vec<Wanted>>>()?;
    for wanted in &mut wanted {
        wanted.peers.extend(&args.swarm.peer);
    }
    if !args.data.is_dir() {
        return Err(BadInput(format!("{}: no such folder; name it with --data", args.data.display())).into());
    }
    let manner = Manner {
        folder: args.data.clone(),
        verify: verify(args.verify),
        ..manner(&args.swarm)
    };
    swarm(&args.swarm, wanted, manner, End::Never)
}

const fn verify(all: bool) -> Verify {
    if all { Verify::All } else { Verify::Trust }
}

fn manner(args: &SwarmArgs) -> Manner {
    Manner {
        folder: std::path::PathBuf::new(),
        data_dir: args.data_dir.clone(),
        allocation: Room::Sparse,
        verify: Verify::Trust,
        sequential: false,
        import: None,
        trackers: args.tracker.clone(),
        use_trackers: !args.no_trackers,
        use_web_seeds: !args.no_web_seeds,
    }
}

/// Joins the minds and lets them work to their end.
fn swarm(args: &SwarmArgs, wanted: Vec<Wanted>, manner: Manner, end: End) -> anyhow::Result<Exit> {
    let net = config::net(&args.net, None)?;
    let chance = Chance::new(args.net.seed)?;
    host::create_dir(&args.data_dir)?;
    let Joined {
        stage,
        download,
        lab,
        relay,
    } = join(args, &net, chance)?;
    let stopper = stage.stopper();
    let mut download = download;
    let mut run = Run::begin(args, wanted, manner, end, stopper, &mut download)?;
    let ended = host::run(stage, &mut download, |now, download, event| {
        run.on_event(now, download, event)
    })
    .context("the run cannot begin")?;
    drop(relay);
    if let Some(node) = download.node() {
        start::save_state(node, &args.data_dir)?;
    }
    lab.map(Inside::stop).transpose()?;
    run.finish(ended.at, &download, &ended.counters)
}

struct Joined {
    stage: Stage,
    download: Download,
    lab: Option<Inside>,
    /// To be kept as long as datagrams are to pass.
    relay: Option<Relay>,
}

/// The minds, on open sockets. Without the DHT, or without a way into it, peers come from elsewhere.
fn join(args: &SwarmArgs, net: &Net, chance: Chance) -> anyhow::Result<Joined> {
    // A loopback network that names no node has no DHT.
    let with_dht = !args.no_dht && (!net.network.lab || !args.net.bootstrap.is_empty());
    let started = if with_dht {
        let data_dir = Some(args.data_dir.as_path());
        let lab = InsideLabArgs::none();
        match start::start(net, &lab, Incoming::Welcome, None, chance, data_dir) {
            Ok(started) => Some(started),
            Err(error) if args.net.bootstrap.is_empty() => {
                note(&format!("going on without the DHT: {error:#}"));
                None
            }
            Err(error) => return Err(error),
        }
    } else {
        None
    };
    let (stage, node, lab) = match started {
        Some(Started { stage, mut node, lab }) => {
            node.bootstrap(world::Time::ZERO);
            (stage, Some(node), lab)
        }
        None => (start::open(&net.bind, Incoming::Welcome)?, None, None),
    };
    let mut stage = stage;
    stage.allow_web(&config::web(net, args.proxy.as_ref()))?;
    if !args.no_lsd {
        let reach = if net.network.lab {
            LsdReach::Loopback
        } else {
            LsdReach::Networks
        };
        stage.hear_lsd(reach);
    }
    let port = stage.listen_addr().as_ref().map_or(0, SocketAddr::port);
    let mut node = node;
    if let (Some(node), true) = (&mut node, port != 0) {
        node.set_announce_port(port);
    }
    let relay = relay(args)?;
    let udp_trackers = args.proxy.is_none() || relay.is_some();
    let mut engine = Engine::new(config::engine(args, net, port, udp_trackers), chance.seed);
    engine.set_listen_port(port);
    let attempts = u32::try_from(config::PEERS_PER_MAGNET).unwrap_or(u32::MAX);
    let pool = Pool::new(config::pool_of_a_list(net, 0, attempts), chance.seed.derive("pool"));
    let transport = Transport::new(config::streams(net), chance.seed);
    let mut download = Download::new(node, pool, transport, engine, config::admission(net), chance.seed);
    if let Some(relay) = &relay {
        download.relay_by(relay.addr());
    }
    Ok(Joined {
        stage,
        download,
        lab,
        relay,
    })
}

/// What carries datagrams to UDP trackers by the proxy; without one they are not asked.
fn relay(args: &SwarmArgs) -> anyhow::Result<Option<Relay>> {
    let Some(proxy) = args.proxy.as_ref().filter(|_| !args.no_trackers) else {
        return Ok(None);
    };
    if !proxy.is_socks() {
        note("UDP trackers are not asked: a proxy of http:// carries no datagrams");
        return Ok(None);
    }
    match proxy.relay() {
        Ok(relay) => Ok(Some(relay)),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            note(&format!("UDP trackers are not asked: {error}"));
            Ok(None)
        }
        Err(error) => Err(error).context("--proxy cannot be reached"),
    }
}
