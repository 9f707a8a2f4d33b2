//! A private DHT on loopback: alone, or inside another command, with the truth to compare with.

mod compare;

use std::io::Write;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::path::Path;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, anyhow};
use host::{AppendFile, Stage, Stopper};

use sim::{Event, Lab, Profile, Truth};
use store::metadata::{self, Entry, Torrent};
use world::Seed;

use crate::args::{LabArgs, LabProfile};
use crate::config;
use crate::exit::{Exit, at};
use crate::report::{self, thousands};

pub use compare::{compare, found};

/// Runs `estudely lab`.
///
/// # Errors
///
/// When its ports cannot be had, or the truth cannot be written.
pub fn run(args: &LabArgs) -> anyhow::Result<Exit> {
    let (stage, mut lab) = build(args, true)?;
    if let Some(path) = &args.truth {
        write_truth(&lab, path)?;
    }
    let (answering, sampling) = lab.population().answering();
    report::note(&format!(
        "lab: {} nodes, of which {} answer strangers and {} sample; {} torrents; bootstrap {}",
        thousands(args.nodes as u64),
        thousands(answering as u64),
        thousands(sampling as u64),
        thousands(args.torrents as u64),
        lab.bootstrap()
    ));
    report::note(&format!(
        "try: estudely crawl --allow-loopback --bind 127.0.0.1:0 --bootstrap {}   (Ctrl-C ends the lab)",
        lab.bootstrap()
    ));
    let end = (args.overall_timeout > 0).then(|| Duration::from_secs(args.overall_timeout));
    let timer = end.map(|after| end_after(after, stage.stopper()));
    let mut calls = match &args.calls {
        Some(path) => Some(AppendFile::open(path).map_err(|error| at(error, "--calls"))?),
        None => None,
    };
    if calls.is_some() {
        lab.tell_calls();
    }
    let mut failure = None;
    host::run(stage, &mut lab, |_, _, event| match (event, &mut calls) {
        (Event::Called(info_hash), Some(calls)) => match calls.write_all(format!("{info_hash}\n").as_bytes()) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failure = Some(error);
                ControlFlow::Break(())
            }
        },
        _ => ControlFlow::Break(()),
    })?;
    drop(timer);
    if let Some(failure) = failure {
        return Err(failure.into());
    }
    note_counts(&lab);
    Ok(Exit::Done)
}

/// Stops a run after a while, from a thread of its own that dies with the process.
fn end_after(after: Duration, stopper: Stopper) -> JoinHandle<()> {
    std::thread::spawn(move || {
        std::thread::sleep(after);
        stopper.stop();
    })
}

fn note_counts(lab: &Lab) {
    let counts = lab.counts();
    report::note(&format!(
        "lab: {} queries received, {} answered; {} infohashes shown; {} bans; {} connections accepted",
        thousands(counts.queries.total()),
        thousands(counts.answered),
        thousands(lab.shown_count() as u64),
        thousands(counts.bans),
        thousands(counts.accepted)
    ));
}

/// A lab that runs beside a job, on a thread of its own.
pub struct Inside {
    thread: JoinHandle<anyhow::Result<Lab>>,
    stopper: Stopper,
    bootstrap: SocketAddr,
}

impl Inside {
    /// Builds the lab and starts it.
    ///
    /// # Errors
    ///
    /// When its ports cannot be had, or the truth cannot be written.
    pub fn start(args: &LabArgs) -> anyhow::Result<Self> {
        // Ctrl-C is for the job; it then stops the lab.
        let (stage, mut lab) = build(args, false)?;
        if let Some(path) = &args.truth {
            write_truth(&lab, path)?;
        }
        let (stopper, bootstrap) = (stage.stopper(), lab.bootstrap());
        let thread = std::thread::Builder::new().name("lab".to_owned()).spawn(move || {
            host::run(stage, &mut lab, |_, _, _| ControlFlow::Break(()))?;
            Ok(lab)
        })?;
        Ok(Self {
            thread,
            stopper,
            bootstrap,
        })
    }

    /// Where a node begins.
    pub fn bootstrap(&self) -> SocketAddr {
        self.bootstrap
    }

    /// Ends the lab and gives it back, with all that it counted.
    ///
    /// # Errors
    ///
    /// When its thread failed.
    pub fn stop(self) -> anyhow::Result<Lab> {
        self.stopper.stop();
        self.thread.join().map_err(|_| anyhow!("the lab's thread died"))?
    }
}

/// What run.json calls the network of this lab: same words, same population.
pub fn network_name(args: &LabArgs) -> String {
    format!(
        "lab: {} nodes, {} torrents, {:?} profile, seed {}",
        args.nodes, args.torrents, args.profile, args.seed
    )
    .to_lowercase()
}

fn build(args: &LabArgs, signals: bool) -> anyhow::Result<(Stage, Lab)> {
    let stage = Stage::lab(args.port, signals, config::LAB_HOST)?;
    let port = stage
        .udp_addrs()
        .first()
        .map(SocketAddr::port)
        .context("the lab has no socket")?;
    let profile = match args.profile {
        LabProfile::Ideal => Profile::ideal(),
        LabProfile::Realistic => Profile::realistic(),
        LabProfile::Hostile => Profile::hostile(),
        LabProfile::Tarpit => Profile::tarpit(),
    };
    let config = sim::Config {
        nodes: args.nodes,
        torrents: args.torrents,
        port,
        profile,
    };
    Ok((stage, Lab::new(config, Seed::from_number(args.seed))))
}

/// The truth in the columns of metadata.txt: what a crawl writes that misses nothing.
fn write_truth(lab: &Lab, path: &Path) -> anyhow::Result<()> {
    let mut text = format!("{}\n", metadata::HEADER).into_bytes();
    for truth in lab.population().truth() {
        metadata::put_block(&entry(&truth), &mut text);
    }
    host::replace_file(path, &text).map_err(|error| at(error, "--truth"))
}

/// The row of an infohash whose metadata can be had, or of one whose cannot.
fn entry(truth: &Truth) -> Entry<'_> {
    let torrent = truth.fetchable.map(|_| Torrent {
        name: &truth.name,
        file_count: truth.file_count,
        total_bytes: truth.total_bytes,
        piece_length: truth.piece_length,
    });
    Entry {
        info_hash: truth.infohash,
        torrent,
        peers: &truth.peers,
    }
}
