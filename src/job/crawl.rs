//! `estudely crawl` and `estudely peers`: the crawl machine on sockets, its rows to files, its figures to people.

mod estimates;
mod machine;
mod retries;
mod schedule;
mod sounding;
mod summary;
mod wanted;

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::Path;

use anyhow::Context;
use crawler::Event as DhtEvent;
use crawler::frontier::Frontier;
use host::{Ended, Meter};
use store::{Manifest, Veil};
use transport::Transport;
use wire::InfoHash;
use world::Time;

use crate::args::CrawlArgs;
use crate::config::{self, Net};
use crate::exit::Exit;
use crate::job::harvest::Harvest;
use crate::job::lab::{self, Inside};
use crate::job::metrics::Page;
use crate::job::start::{self, Chance, Incoming, Started};
use crate::output::{self, Opened, Output, Recorder, Table, Written};
use crate::report::{self, Progress, View};

use retries::Retries;

pub use estimates::{Estimated, Estimates, believed};
pub use machine::{Crawl, Ending, Event, Limits, Passive};
pub use schedule::Waiting;

/// What is to be harvested of each infohash.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Yield {
    /// Peers and metadata: `crawl`.
    Metadata,
    /// Peers only: `peers`.
    Peers,
}

impl Yield {
    const fn table(self) -> Table {
        match self {
            Self::Metadata => Table::Metadata,
            Self::Peers => Table::Peers,
        }
    }

    /// Callers are for the metadata mind.
    const fn incoming(self) -> Incoming {
        match self {
            Self::Metadata => Incoming::Welcome,
            Self::Peers => Incoming::No,
        }
    }

    const fn command(self) -> &'static str {
        match self {
            Self::Metadata => "crawl",
            Self::Peers => "peers",
        }
    }
}

/// Runs the crawl to its end.
///
/// # Errors
///
/// [`BadInput`](crate::exit::BadInput) for what was typed; otherwise what the world refused, in one line.
pub fn run(args: &CrawlArgs, what: Yield) -> anyhow::Result<Exit> {
    let (net, chance) = start::checked(&args.net, &args.lab)?;
    let metrics = Page::serve(args.out.metrics, what.command())?;
    let data_dir = (!args.out.stdout_only).then_some(args.out.data_dir.as_path());
    let veil = output::veil(args.out.record.anonymize_ips, data_dir, args.net.seed.is_some(), chance)?;
    let opened = Output::open(what.table(), &args.out, &net.network.name, veil, args.lab.lab)?;
    let sampling = Some(config::sampling_of_a_crawl(&net, args));
    let Started { stage, node, lab } = start::start(&net, &args.lab, what.incoming(), sampling, chance, data_dir)?;
    let meter = stage.meter();
    let resumed = opened.done.len() as u64;
    let mut crawl = compose(args, what, &net, chance, node, &opened.done);
    if let Some(addr) = stage.listen_addr() {
        crawl.set_listen_port(addr.port());
    }
    if resumed > 0 {
        report::note(&format!(
            "{} infohashes are done by earlier runs (--fresh starts anew)",
            report::thousands(resumed)
        ));
    }
    let mut run = Run::begin(args, what, &net, chance, (opened, veil), (metrics, meter))?;
    // A lab that a command brings along has new ports each time: addresses of the last one are nobody's.
    run.retries.load(&mut crawl, &net, !args.lab.lab)?;
    let ended = host::run(stage, &mut crawl, |now, crawl, event| run.on_event(now, crawl, event))?;
    run.finish(&crawl, &ended, lab)
}

/// The minds, joined: what runs on sockets here, and in virtual time in the tests.
pub fn compose(
    args: &CrawlArgs,
    what: Yield,
    net: &Net,
    chance: Chance,
    mut node: crawler::Node,
    done: &BTreeSet<InfoHash>,
) -> Crawl {
    let seed = chance.seed;
    let mut frontier = Frontier::new(
        config::frontier(net, config::has_retries(args)),
        seed.derive("frontier"),
    );
    for info_hash in done {
        frontier.prime(info_hash);
    }
    let pool = match what {
        Yield::Metadata => Some(fetcher::Pool::new(
            config::pool_of_a_crawl(net, args),
            seed.derive("pool"),
        )),
        Yield::Peers => None,
    };
    node.bootstrap(Time::ZERO);
    let transport = Transport::new(config::streams(net), seed);
    let harvest = Harvest::new(
        Some(node),
        pool,
        transport,
        config::harvest(net, args.peers_per_infohash),
        seed,
    );
    Crawl::new(harvest, frontier, config::crawl(args), seed)
}

/// A crawl under way: its files, its display, its counts.
struct Run<'a> {
    args: &'a CrawlArgs,
    output: Output,
    progress: Progress,
    retries: Retries,
    recorder: Recorder,
    metrics: Page,
    /// What the sockets count.
    meter: Meter,
    manifest: Manifest,
    tally: summary::Tally,
    ending: Option<Ending>,
    failure: Option<anyhow::Error>,
    hinted: Time,
    kept_state: Time,
    /// The estimates as they were lately, for the display.
    estimated: (Time, Estimated),
}

impl<'a> Run<'a> {
    fn begin(
        args: &'a CrawlArgs,
        what: Yield,
        net: &Net,
        chance: Chance,
        (opened, veil): (Opened, Veil),
        (metrics, meter): (Page, Meter),
    ) -> anyhow::Result<Self> {
        let manifest = Manifest {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            command: what.command().to_owned(),
            config: config::manifest(args, net)?,
            seed: chance.number.to_string(),
            started: host::unix_now(),
            ended: None,
            counters: store::Counters::new(),
        };
        opened.output.write_manifest(&manifest)?;
        let progress = Progress::new(opened.output.is_on_terminal());
        let output = opened.output;
        let recorder = Recorder::open(&args.out.record, &args.out.data_dir, veil)?;
        let retries = Retries::new(output.retries_path(), config::keep_retries_every(net));
        let tally = summary::Tally::default();
        Ok(Self {
            args,
            output,
            progress,
            retries,
            recorder,
            metrics,
            meter,
            manifest,
            tally,
            ending: None,
            failure: None,
            hinted: Time::ZERO,
            kept_state: Time::ZERO,
            estimated: (Time::ZERO, Estimated::default()),
        })
    }

    fn on_event(&mut self, now: Time, crawl: &mut Crawl, event: Event) -> ControlFlow<()> {
        match event {
            Event::Record(harvested) => match self.output.record(&harvested) {
                Ok(Written::Rows(got)) => {
                    if let Some(got) = &got {
                        self.progress.fetched(&got.name, got.file_count, got.total_bytes);
                    }
                    self.tally.record(&harvested, got.is_some());
                    self.recorder.files(&harvested);
                }
                Ok(Written::Nowhere) => return ControlFlow::Break(()),
                Err(error) => {
                    self.failure = Some(error);
                    return ControlFlow::Break(());
                }
            },
            Event::Pulse => {
                self.keep_state(now, crawl);
                self.estimate(now, crawl);
                self.recorder.pulse(now);
                let figures = || {
                    let written = self.recorder.written();
                    summary::figures(&self.tally, crawl, now, &self.meter.read(), written.as_ref())
                };
                self.metrics.renew(figures);
                if let Err(error) = self.retries.keep(now, crawl) {
                    self.progress
                        .line(&format!("the schedule of retries is not kept: {error:#}"));
                }
            }
            Event::Attempt(attempt) => self.recorder.fetch(&attempt),
            Event::Dht(event) => {
                if let DhtEvent::NewNodeId(id) = event {
                    self.progress
                        .line(&format!("node id is now {id}: it fits our address (BEP 42)"));
                }
                self.recorder.dht(&event);
            }
            Event::Over(ending) => {
                self.ending = Some(ending);
                return ControlFlow::Break(());
            }
        }
        if self.progress.wants(now, self.tally.processed) {
            let estimated = &self.estimated.1;
            self.progress.show(
                now,
                &View {
                    coverage: estimated.coverage,
                    keys: estimated.keys,
                    ..view(&self.tally, crawl)
                },
            );
        }
        self.hint(now, crawl);
        ControlFlow::Continue(())
    }

    /// Estimates anew, now and then: that goes through all that was noted.
    fn estimate(&mut self, now: Time, crawl: &Crawl) {
        if now >= self.estimated.0 + config::ESTIMATE_EVERY
            && let Some(node) = crawl.harvest().node()
        {
            self.estimated = (now, crawl.estimates().at_this_moment(node));
        }
    }

    /// Keeps the node's contacts now and then, so that a crawl that is killed does not begin from the routers again.
    fn keep_state(&mut self, now: Time, crawl: &Crawl) {
        if self.args.out.stdout_only || now < self.kept_state + config::KEEP_STATE_EVERY {
            return;
        }
        self.kept_state = now;
        if let Some(Err(error)) = crawl
            .harvest()
            .node()
            .map(|node| keep_node(node, now, &self.args.out.data_dir))
        {
            self.progress.line(&format!("the node's state is not kept: {error:#}"));
        }
    }

    /// Nobody answers: say so now and then, with what may help (CRL-20).
    fn hint(&mut self, now: Time, crawl: &Crawl) {
        if now >= self.hinted + config::HINT_EVERY && !has_answers(crawl) {
            self.hinted = now;
            self.progress.line(
                "no DHT node has answered yet: check the network and any firewall for UDP, or name a reachable node with --bootstrap HOST:PORT",
            );
        }
    }

    fn finish(mut self, crawl: &Crawl, ended: &Ended, lab: Option<Inside>) -> anyhow::Result<Exit> {
        self.progress.finish();
        let lab = lab.map(Inside::stop).transpose()?;
        let written = (!self.args.out.record.record.is_empty()).then(|| self.recorder.finish());
        let mut figures = summary::figures(&self.tally, crawl, ended.at, &ended.counters, written.as_ref());
        if let (Some(lab), false) = (&lab, self.manifest.command == "peers") {
            lab::compare(lab, &self.output.rows()?[..], &mut figures);
        }
        report::note(&summary::last_line(
            &self.tally,
            ended,
            self.ending,
            self.failure.is_some(),
        ));
        report::text(&figures.text());
        if let Some(failure) = self.failure {
            return Err(failure.context("the crawl stopped; what was written is whole"));
        }
        self.output.seal()?;
        let not_kept = "the schedule of retries is not kept";
        self.retries.finish(ended.at, crawl).context(not_kept)?;
        if let (Some(node), false) = (crawl.harvest().node(), self.args.out.stdout_only) {
            keep_node(node, ended.at, &self.args.out.data_dir).context("the node's state is not kept")?;
        }
        self.manifest.ended = Some(host::unix_now());
        self.manifest.counters = figures.counters();
        self.output.write_manifest(&self.manifest)?;
        Ok(if has_answers(crawl) {
            Exit::Done
        } else {
            self.nobody_answered()
        })
    }

    fn nobody_answered(&self) -> Exit {
        report::error(&anyhow::anyhow!(
            "no DHT node ever answered: check the network and any firewall for UDP, or name a reachable node with --bootstrap HOST:PORT"
        ));
        Exit::Failed
    }
}

/// The node's id and contacts, and its ledger.
fn keep_node(node: &crawler::Node, now: Time, data_dir: &Path) -> anyhow::Result<()> {
    start::save_state(node, data_dir)?;
    start::save_ledger(node, now, data_dir)
}

fn has_answers(crawl: &Crawl) -> bool {
    crawl
        .harvest()
        .node()
        .is_some_and(|node| node.stats().answered.total() > 0)
}

fn view(tally: &summary::Tally, crawl: &Crawl) -> View {
    let node = crawl.harvest().node();
    View {
        processed: tally.processed,
        fetched: tally.fetched,
        to_retry: crawl.waiting_count() as u64,
        seen: crawl.frontier().seen() as u64,
        in_work: crawl.harvest().in_work(),
        queued: node
            .and_then(crawler::Node::sampler)
            .map_or(0, crawler::sampler::Sampler::known),
        queries: node.map_or(0, |node| node.stats().sent.total()),
        answered: node.map_or(0, |node| node.stats().answered.total()),
        connections: crawl.harvest().pool().map_or(0, fetcher::Pool::connections),
        ..View::default()
    }
}
