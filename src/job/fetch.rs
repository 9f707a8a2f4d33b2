//! `estudely fetch`: metadata for given infohashes, from given peers or from those that the DHT names.

mod machine;
mod wanted;

use std::ops::ControlFlow;

use host::Stage;
use world::Time;

use crate::args::FetchArgs;
use crate::config::{self, Net};
use crate::exit::Exit;
use crate::job::harvest::{self, Harvest, Origin};
use crate::job::lab::Inside;
use crate::job::start::{self, Chance, Incoming, Started};
use crate::output::Results;
use crate::report::{self, Figures, per_minute, ratio};

pub use machine::{Event, Fetch, Want};

/// Runs the fetch to its end. Rows of `metadata.csv` go to stdout, successes only (OUT-09); the rest is told on stderr.
///
/// # Errors
///
/// [`BadInput`](crate::exit::BadInput) for what was typed or read; otherwise what the world refused.
pub fn run(args: &FetchArgs) -> anyhow::Result<Exit> {
    let mut wanted = wanted::read(args)?;
    let (net, chance) = start::checked(&args.net, &args.lab)?;
    wanted.obey(&net);
    let Joined {
        stage,
        mut harvest,
        lab,
    } = join(args, &net, chance, wanted.list.iter().any(|want| want.peers.is_empty()))?;
    if let Some(addr) = stage.listen_addr() {
        harvest.set_listen_port(addr.port());
    }
    let asked = wanted.list.len() as u64;
    let overall = (args.overall_timeout > 0).then(|| Time::from_secs(args.overall_timeout));
    let mut fetch = Fetch::new(harvest, wanted.list.into(), overall, config::LEAVE_WITHIN);
    let mut results = Results::open(wanted.is_batch, args.save_torrents.then_some(args.data_dir.as_path()))?;
    let mut failure = None;
    let ended = host::run(stage, &mut fetch, |_, _, event| match event {
        Event::Record(harvested) => match results.record(&harvested) {
            Ok(true) => ControlFlow::Continue(()),
            Ok(false) => ControlFlow::Break(()),
            Err(error) => {
                failure = Some(error);
                ControlFlow::Break(())
            }
        },
        Event::Dht(_) | Event::Attempt(_) => ControlFlow::Continue(()),
        Event::Over => ControlFlow::Break(()),
    })?;
    lab.map(Inside::stop).transpose()?;
    if let Some(failure) = failure {
        return Err(failure);
    }
    report::text(&summary(&fetch, asked, results.fetched(), ended.at).text());
    Ok(if asked > 0 && results.fetched() == 0 {
        Exit::Failed
    } else {
        Exit::Done
    })
}

struct Joined {
    stage: Stage,
    harvest: Harvest,
    lab: Option<Inside>,
}

/// The minds that this fetch needs: without an infohash to look up there is no DHT node, and sockets only for peers.
fn join(args: &FetchArgs, net: &Net, chance: Chance, needs_dht: bool) -> anyhow::Result<Joined> {
    let config = config::pool(net, args.metadata_peer_attempts, 0);
    let pool = fetcher::Pool::new(config, chance.seed.derive("pool"));
    let limits = harvest::Limits {
        known_from: Origin::Given,
        ..config::harvest(net, 0)
    };
    if !needs_dht {
        let stage = start::open(&net.bind.clone().any_free(), Incoming::Welcome)?;
        let lab = start::lab(&args.lab)?;
        return Ok(Joined {
            stage,
            harvest: Harvest::new(None, Some(pool), limits, chance.seed).admitting(config::admission(net)),
            lab,
        });
    }
    let data_dir = Some(args.data_dir.as_path());
    let Started { stage, mut node, lab } = start::start(net, &args.lab, Incoming::Welcome, None, chance, data_dir)?;
    node.bootstrap(Time::ZERO);
    Ok(Joined {
        stage,
        harvest: Harvest::new(Some(node), Some(pool), limits, chance.seed),
        lab,
    })
}

fn summary(fetch: &Fetch, asked: u64, fetched: u64, now: Time) -> Figures {
    let mut figures = Figures::default();
    figures.group("fetch", "Fetched");
    figures.count("asked", asked, "infohashes asked for");
    figures.count(
        "fetched",
        fetched,
        format!("of these, with metadata ({:.1}%)", 100.0 * ratio(fetched, asked.max(1))),
    );
    figures.count("left", fetch.left() as u64, "not begun when the run ended");
    if now >= Time::from_secs(60) {
        figures.figure("per_minute", per_minute(fetched, now), "with metadata per minute");
    }
    if let Some(pool) = fetch.harvest().pool() {
        crate::job::account::funnel(&mut figures, pool.stats());
    }
    figures
}
