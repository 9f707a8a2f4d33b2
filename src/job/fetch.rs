//! `estudely fetch`: metadata for given infohashes, from given peers or from those that the DHT names.
//!
//! A list is read by a thread of its own and brought by the `feed` to the machine that fetches, or to several on `threads` of
//! their own; results go to the output, and the `book` knows what is under way, what is done, and up to where the list is done.

mod book;
mod done;
mod feed;
mod list;
mod machine;
mod summary;
mod threads;
mod wanted;

use std::io::{self, IsTerminal};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use crawler::Node;
use host::Stage;
use store::journal::Mark;
use store::wants::Place;
use transport::Transport;
use world::{Seed, Time};

use crate::args::FetchArgs;
use crate::config::{self, Net};
use crate::exit::Exit;
use crate::job::account::Account;
use crate::job::harvest::{self, Harvest, Harvested, Origin};
use crate::job::lab::Inside;
use crate::job::metrics::Page;
use crate::job::start::{self, Chance, Incoming, Started};
use crate::output::{self, Kept, Recorder, Results};
use crate::report::{self, BatchProgress, BatchView, note, thousands};
use book::{Book, Earlier, Resumed};
use feed::{Feed, Lanes};
use list::List;
use threads::Part;
use wanted::Wanted;

pub use machine::{Event, Fetch, Next, Source, Want};

/// Runs the fetch to its end. Rows go to stdout or to a file (OUT-09); the rest is told on stderr.
///
/// # Errors
///
/// [`BadInput`](crate::exit::BadInput) for what was typed or read; otherwise what the world refused.
pub fn run(args: &FetchArgs) -> anyhow::Result<Exit> {
    let mut wanted = Wanted::read(args)?;
    let (net, chance) = start::checked(&args.net, &args.lab)?;
    let data_dir = Some(args.data_dir.as_path());
    let veil = output::veil(args.record.anonymize_ips, data_dir, args.net.seed.is_some(), chance)?;
    let watched = Watched {
        page: Page::serve(args.metrics, "fetch")?,
        recorder: Recorder::open(&args.record, &args.data_dir, veil)?,
    };
    let Joined { sides, lab } = join(args, &net, chance, wanted.needs_dht)?;
    let list = wanted.source().cloned();
    let mut book = Book::new(chance.seed.derive("book"));
    let is_ours = |mark: &Mark| list.as_ref().is_some_and(|list| list.is_ours(mark));
    let mut earlier = Earlier::new(&mut book, &is_ours, args.rows.retry_failed);
    let results = Results::open(args, veil, list.is_none(), |entry| earlier.learn(entry))?;
    let resumed = earlier.finish();
    tell(&resumed, list.as_ref());
    if resumed.from > Place::default() {
        wanted.skip_to(resumed.from)?;
    }
    let feed = Feed::new(sides.len(), book);
    let overall = (args.overall_timeout > 0).then(|| Time::from_secs(args.overall_timeout));
    let part = |(lane, (stage, mut harvest)): (usize, (Stage, Harvest))| {
        if let Some(addr) = stage.listen_addr() {
            harvest.set_listen_port(addr.port());
        }
        let source = Lanes::new(&feed, lane, stage.waker());
        let fetch = Fetch::new(harvest, source, overall, config::LEAVE_WITHIN);
        Part { stage, fetch }
    };
    let parts: Vec<Part> = sides.into_iter().enumerate().map(part).collect();
    wanted
        .spawn(&net, Arc::clone(&feed))
        .context("no thread to read with")?;
    let mut run = Run::begin(args, list, results, resumed.from, feed, watched, parts.len())?;
    run.until = overall;
    let run = Mutex::new(run);
    let ended = threads::run(parts, &run)?;
    lab.map(Inside::stop).transpose()?;
    run.into_inner().unwrap_or_else(PoisonError::into_inner).finish(ended)
}

/// Says what earlier runs did.
fn tell(resumed: &Resumed, list: Option<&List>) {
    if let (true, Some(list)) = (resumed.other_list, list) {
        note(&format!(
            "{} is not the list that the last run read: it is read from its beginning, what is done stays done",
            list.name()
        ));
    }
    if resumed.fetched + resumed.failed > 0 {
        note(&format!(
            "earlier runs fetched {} infohashes and gave up {} times; going on at line {}",
            thousands(resumed.fetched),
            thousands(resumed.failed),
            thousands(resumed.from.line + 1)
        ));
    }
}

struct Joined {
    /// For each thread, what it runs and on what.
    sides: Vec<(Stage, Harvest)>,
    lab: Option<Inside>,
}

/// The minds that this fetch needs: without an infohash to look up there is no DHT node, and sockets only for peers. With
/// one there is one thread, which has the node.
fn join(args: &FetchArgs, net: &Net, chance: Chance, needs_dht: bool) -> anyhow::Result<Joined> {
    let peers = u32::try_from(config::PEERS_PER_WANT).unwrap_or(u32::MAX);
    let harvest = |net: &Net, node: Option<Node>, seed: Seed| {
        let config = config::pool_of_a_list(net, args.metadata_peer_attempts, peers);
        let pool = fetcher::Pool::new(config, seed.derive("pool"));
        let limits = harvest::Limits {
            known_from: Origin::Given,
            ..config::harvest(net, peers)
        };
        let transport = Transport::new(config::streams(net), seed);
        Harvest::new(node, Some(pool), transport, limits, seed)
    };
    if !needs_dht {
        let share = net.share(args.threads.into());
        let mut sides = Vec::new();
        for thread in 0..args.threads {
            let bind = net.bind.clone();
            let bind = if thread == 0 { bind.any_free() } else { bind.beside() };
            let seed = chance.seed.derive_number("thread", thread.into());
            let harvest = harvest(&share, None, seed).admitting(config::admission(net));
            sides.push((start::open(&bind, Incoming::Welcome)?, harvest));
        }
        let lab = start::lab(&args.lab)?;
        return Ok(Joined { sides, lab });
    }
    if args.threads > 1 {
        note("the DHT is asked for peers: one thread fetches");
    }
    let data_dir = Some(args.data_dir.as_path());
    let Started { stage, mut node, lab } = start::start(net, &args.lab, Incoming::Welcome, None, chance, data_dir)?;
    node.bootstrap(Time::ZERO);
    node.observe(!args.record.record.is_empty());
    let sides = vec![(stage, harvest(net, Some(node), chance.seed))];
    Ok(Joined { sides, lab })
}

/// A pulse is passed over if another thread's was less than this ago: all come once a second.
const SHOW_AFTER: Duration = Duration::from_millis(500);

/// Where others can watch a fetch.
struct Watched {
    page: Page,
    recorder: Recorder,
}

/// A fetch under way: its output, its display, its place in the list.
struct Run {
    list: Option<List>,
    /// Where this run began in the list, and where it was marked as done up to.
    began: Place,
    marked: Place,
    feed: Arc<Feed>,
    results: Results,
    /// Nobody needs a display for what was typed.
    progress: Option<BatchProgress>,
    watched: Watched,
    failure: Option<anyhow::Error>,
    /// When it ends by itself, and whether somebody ended it before.
    until: Option<Time>,
    interrupted: bool,
    /// Results go nowhere any more, or they cannot be written.
    over: bool,
    /// Of each thread, what its pool counted, and its connections, when it last told.
    stock: Vec<(Account, usize)>,
    shown: Option<Time>,
    /// The part of the list that was behind us when the first infohash was taken.
    part_before: Option<f64>,
}

impl Run {
    fn begin(
        args: &FetchArgs,
        list: Option<List>,
        mut results: Results,
        began: Place,
        feed: Arc<Feed>,
        watched: Watched,
        threads: usize,
    ) -> anyhow::Result<Self> {
        if let Some(mark) = list.as_ref().and_then(|list| list.mark(began)) {
            results.mark(mark)?;
        }
        let rows_on_terminal = args.rows.output.is_none() && io::stdout().is_terminal();
        let progress = list.is_some().then(|| BatchProgress::new(rows_on_terminal));
        Ok(Self {
            list,
            began,
            marked: began,
            feed,
            results,
            progress,
            watched,
            failure: None,
            until: None,
            interrupted: false,
            over: false,
            stock: vec![(Account::default(), 0); threads],
            shown: None,
            part_before: None,
        })
    }

    fn on_event<S: Source>(&mut self, lane: usize, now: Time, fetch: &Fetch<S>, event: Event) -> ControlFlow<()> {
        if event == Event::Over {
            return ControlFlow::Break(());
        }
        let done = match event {
            Event::Record(harvested) => self.record(&harvested),
            Event::Pulse => {
                self.take_stock(lane, fetch.harvest());
                self.pulse(now)
            }
            Event::Attempt(attempt) => {
                self.watched.recorder.fetch(&attempt);
                Ok(Kept::Yes(false))
            }
            Event::Dht(event) => {
                self.watched.recorder.dht(&event);
                Ok(Kept::Yes(false))
            }
            Event::Leaving => {
                self.interrupted |= self.until.is_none_or(|until| now < until);
                Ok(Kept::Yes(false))
            }
            Event::Over => Ok(Kept::Yes(false)),
        };
        match done {
            Ok(Kept::Yes(_)) => return ControlFlow::Continue(()),
            Ok(Kept::Nowhere) => {}
            Err(error) => self.failure = Some(error),
        }
        self.over = true;
        ControlFlow::Break(())
    }

    /// Notes what a thread's pool has counted so far, and its connections.
    fn take_stock(&mut self, lane: usize, harvest: &Harvest) {
        if let (Some(stock), Some(account)) = (self.stock.get_mut(lane), Account::of(harvest)) {
            *stock = (account, harvest.pool().map_or(0, fetcher::Pool::connections));
        }
    }

    /// What all threads counted.
    fn account(&self) -> Account {
        let mut sum = Account::default();
        self.stock.iter().for_each(|(account, _)| sum.merge(account));
        sum
    }

    /// Nobody is to go on.
    fn is_over(&self) -> bool {
        self.over
    }

    fn record(&mut self, harvested: &Harvested) -> anyhow::Result<Kept> {
        let info_hash = &harvested.info_hash;
        // A place of a pipe means nothing to a later run.
        let is_lasting = self.list.as_ref().is_some_and(|list| list.size().is_some());
        let at = if is_lasting {
            self.feed.place_of(info_hash).byte
        } else {
            u64::MAX
        };
        let kept = self.results.record(harvested, at)?;
        if let Kept::Yes(fetched) = kept
            && !harvested.is_abandoned()
        {
            self.feed.done(info_hash, fetched);
            self.watched.recorder.files(harvested);
        }
        Ok(kept)
    }

    /// Once a second: rows that wait, what the reader has to say, the display, and the mark in the journal.
    fn pulse(&mut self, now: Time) -> anyhow::Result<Kept> {
        if !self.results.say()? {
            return Ok(Kept::Nowhere);
        }
        // Each thread has a pulse.
        if self.shown.is_some_and(|shown| now.since(shown) < SHOW_AFTER) {
            return Ok(Kept::Yes(false));
        }
        self.shown = Some(now);
        self.watched.recorder.pulse(now);
        let (counts, in_work, notes) = self.feed.look();
        for line in &notes {
            match &self.progress {
                Some(progress) => progress.line(line),
                None => note(line),
            }
        }
        let (fetched, failed) = self.results.counts();
        let view = BatchView {
            fetched,
            failed,
            skipped: counts.skipped,
            in_work,
            connections: self.stock.iter().map(|(_, connections)| connections).sum(),
            part: self.part(counts.source_bytes),
        };
        if let Some(progress) = &mut self.progress {
            progress.show(now, &view);
        }
        let end = summary::End {
            counts,
            fetched,
            failed,
            not_done: in_work as u64,
            is_read: self.feed.end().0,
        };
        let account = self.account();
        self.watched.page.renew(|| summary::figures(&end, &account, now));
        self.mark().map(|()| Kept::Yes(false))
    }

    /// How much of the list is behind us, and was before this run.
    fn part(&mut self, source_bytes: u64) -> Option<(f64, f64)> {
        let size = self.list.as_ref()?.size().filter(|size| *size > 0)?;
        let part = (source_bytes as f64 / size as f64).min(1.0);
        let beginning = if self.began.byte > 0 { part } else { 0.0 };
        Some((part, *self.part_before.get_or_insert(beginning)))
    }

    fn mark(&mut self) -> anyhow::Result<()> {
        let low = self.feed.low();
        if low > self.marked
            && let Some(mark) = self.list.as_ref().and_then(|list| list.mark(low))
        {
            self.results.mark(mark)?;
            self.marked = low;
        }
        Ok(())
    }

    fn finish(mut self, now: Time) -> anyhow::Result<Exit> {
        if let Some(progress) = self.progress.take() {
            progress.finish();
        }
        self.feed.close();
        let (counts, in_work, notes) = self.feed.look();
        notes.iter().for_each(|line| note(line));
        let unsaid = self.results.say().err();
        self.failure = self.failure.or(unsaid);
        if self.failure.is_none() {
            self.failure = self.mark().and_then(|()| self.results.seal()).err();
        }
        if counts.left_out + counts.blocked > 0 {
            note(&format!(
                "{} infohashes and {} peers are left out: --opt-out, --blocklist",
                counts.left_out, counts.blocked
            ));
        }
        let (fetched, failed) = self.results.counts();
        let is_read = self.feed.end();
        let end = summary::End {
            counts,
            fetched,
            failed,
            not_done: in_work as u64,
            is_read: is_read.0,
        };
        let mut figures = summary::figures(&end, &self.account(), now);
        if self.watched.recorder.written().is_some() {
            output::recorded(&self.watched.recorder.finish(), &mut figures);
        }
        report::text(&figures.text());
        if let Some(failure) = self.failure {
            return Err(failure.context("the fetch stopped; what was written is whole"));
        }
        if let (_, Some(trouble)) = is_read {
            return Err(anyhow::Error::msg(trouble));
        }
        Ok(if counts.taken > 0 && fetched == 0 && !self.interrupted {
            Exit::Failed
        } else {
            Exit::Done
        })
    }
}
