//! `estudely dht`: one question to one node, or one lookup; answers to stdout, one a line.

mod machine;
mod scrape;
mod size;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::ops::ControlFlow;

use anyhow::bail;
use crawler::{Answer, Question};
use host::Resolver;
use rand::Rng;
use wire::magnet::Magnet;
use wire::{InfoHash, NodeId};
use world::{Member as _, Seed, Time};

use crate::args::{DhtCommand, DhtCommon};
use crate::bad_input;
use crate::config;
use crate::exit::Exit;
use crate::job::lab::Inside;
use crate::job::start::{self, Incoming, Started};
use crate::report::{client, note, plain};

pub use machine::{Inquiry, Said, Wish};

/// Asks, and prints what is answered.
///
/// # Errors
///
/// [`BadInput`](crate::exit::BadInput) for what was typed; otherwise what the world refused.
pub fn run(command: &DhtCommand) -> anyhow::Result<Exit> {
    let (wish, common) = understand(command)?;
    let (mut net, chance) = start::checked(&common.net, &common.lab)?;
    let wish = wish.choose(chance.seed);
    if let Wish::Ask(..) = wish {
        // One node is asked by its address: nothing is to be joined, and no name of a router to be looked up.
        net.routers.clear();
    }
    let Started { stage, mut node, lab } =
        start::start(&net, &common.lab, Incoming::No, None, chance, Some(&common.data_dir))?;
    if !matches!(wish, Wish::Ask(..)) {
        node.bootstrap(Time::ZERO);
    }
    let overall = (common.overall_timeout > 0).then(|| Time::from_secs(common.overall_timeout));
    let mut inquiry = Inquiry::new(node, wish, overall);
    let mut answered = false;
    host::run(stage, &mut inquiry, |_, _, said| match said {
        Said::Line(line) => {
            answered = true;
            if writeln!(io::stdout().lock(), "{line}").is_ok() {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        }
        Said::Answer(from, answer) => {
            answered |= print_answer(from, &answer).unwrap_or(true);
            ControlFlow::Continue(())
        }
        Said::Note(text) => {
            note(&text);
            ControlFlow::Continue(())
        }
        Said::Over => ControlFlow::Break(()),
    })?;
    lab.map(Inside::stop).transpose()?;
    Ok(if answered { Exit::Done } else { Exit::Failed })
}

/// What was typed, with names resolved.
fn understand(command: &DhtCommand) -> anyhow::Result<(Typed, &DhtCommon)> {
    Ok(match command {
        DhtCommand::Ping { node, common } => (Typed::One(resolve(node)?, Some(Question::Ping)), common),
        DhtCommand::FindNode { target, node, common } => {
            let target = id(target)?;
            (
                Typed::of(
                    node.as_deref(),
                    Question::FindNode(target),
                    crawler::Target::Node(target),
                )?,
                common,
            )
        }
        DhtCommand::GetPeers {
            info_hash,
            node,
            common,
        } => {
            let info_hash = swarm(info_hash)?;
            (
                Typed::of(
                    node.as_deref(),
                    Question::GetPeers(info_hash),
                    crawler::Target::Swarm(info_hash),
                )?,
                common,
            )
        }
        DhtCommand::Size { lookups, common } => (Typed::Size(*lookups), common),
        DhtCommand::Scrape { info_hash, common } => (Typed::Scrape(swarm(info_hash)?), common),
        DhtCommand::Sample { node, target, common } => {
            let target = target.as_deref().map(id).transpose()?;
            (Typed::One(resolve(node)?, target.map(Question::Sample)), common)
        }
    })
}

/// A wish whose random target is not chosen yet.
enum Typed {
    /// One question to one node; `None` is a sample with a target chosen at random.
    One(SocketAddr, Option<Question>),
    Lookup(crawler::Target),
    /// Random points are not chosen yet.
    Size(u32),
    Scrape(InfoHash),
}

impl Typed {
    fn of(node: Option<&str>, question: Question, target: crawler::Target) -> anyhow::Result<Self> {
        Ok(match node {
            Some(node) => Self::One(resolve(node)?, Some(question)),
            None => Self::Lookup(target),
        })
    }

    fn choose(self, seed: Seed) -> Wish {
        match self {
            Self::One(to, question) => Wish::Ask(
                to,
                question.unwrap_or_else(|| {
                    let mut target = [0; 20];
                    seed.derive("sample target").rng().fill_bytes(&mut target);
                    Question::Sample(NodeId::new(target))
                }),
            ),
            Self::Lookup(target) => Wish::Lookup(target),
            Self::Size(lookups) => Wish::Size(lookups, seed.derive("size")),
            Self::Scrape(info_hash) => Wish::Scrape(info_hash),
        }
    }
}

fn resolve(place: &str) -> anyhow::Result<SocketAddr> {
    let resolved = Resolver::new(config::RESOLVE_WITHIN).resolve(&[place.to_owned()])?;
    match resolved.into_iter().next().map(|resolved| resolved.addrs) {
        Some(Ok(addrs)) if !addrs.is_empty() => Ok(addrs[0]),
        Some(Err(error)) => bail!("{place}: {error}"),
        _ => bail!("{place} has no address"),
    }
}

fn id(text: &str) -> anyhow::Result<NodeId> {
    match NodeId::from_hex(text) {
        Ok(id) => Ok(id),
        Err(error) => bad_input!("{text}: {error}"),
    }
}

fn swarm(text: &str) -> anyhow::Result<InfoHash> {
    match Magnet::from_link_or_hash(text) {
        Ok(magnet) => match magnet.swarm_hashes().next() {
            Some(info_hash) => Ok(info_hash),
            None => bad_input!("{text}: a magnet link without an infohash"),
        },
        Err(error) => bad_input!("{text}: {error}"),
    }
}

/// Prints one node's answer; whether it was one.
fn print_answer(from: SocketAddr, answer: &Answer) -> io::Result<bool> {
    let mut out = io::stdout().lock();
    match answer {
        Answer::Reply {
            id,
            version,
            rtt,
            nodes,
            peers,
            samples,
            num,
            interval,
            token,
            ..
        } => {
            let version = version.as_deref().map_or_else(|| "no version".to_owned(), client);
            note(&format!(
                "{from} is {id} ({version}), {:.1} ms; {} nodes named, {} peers{}",
                rtt.as_secs_f64() * 1e3,
                nodes.len(),
                peers.len(),
                if *token { ", a write token" } else { "" }
            ));
            if let Some(samples) = samples {
                let known = |number: Option<i64>| {
                    number.map_or_else(|| "an unknown number".to_owned(), |number| number.to_string())
                };
                note(&format!(
                    "{} infohashes shown of {} stored; they change in {} s",
                    samples.len(),
                    known(*num),
                    known(*interval)
                ));
                samples.iter().try_for_each(|info_hash| writeln!(out, "{info_hash}"))?;
            } else if !peers.is_empty() {
                peers.iter().try_for_each(|peer| writeln!(out, "{peer}"))?;
            } else if nodes.is_empty() {
                writeln!(out, "{id} {from}")?;
            } else {
                nodes
                    .iter()
                    .try_for_each(|node| writeln!(out, "{} {}", node.id, node.addr))?;
            }
            return Ok(true);
        }
        Answer::Error { code, text } => note(&format!("{from} refused: error {code}, {}", plain(text))),
        Answer::Timeout => note(&format!("{from} did not answer")),
        Answer::Refused(refusal) => note(&format!("{from} was not asked: {}", refusal.label())),
        Answer::OptedOut => note("not asked: the infohash is on the opt-out list"),
        Answer::Busy => note("not asked: too many questions wait"),
    }
    Ok(false)
}
