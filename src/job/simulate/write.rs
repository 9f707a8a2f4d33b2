//! What a simulation leaves in its directory: series as CSV, a page with plots, and a manifest.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context;
use store::{Counters, Manifest};

use super::bias::CLASSES;
use super::page;
use super::result::Outcome;
use crate::args::SimulateArgs;
use crate::exit::at;
use crate::report::note;

/// The directory.
pub(super) struct Out {
    dir: PathBuf,
}

impl Out {
    /// Makes it, so that a place that cannot be written is known before the hours pass.
    pub(super) fn open(dir: &Path) -> anyhow::Result<Self> {
        host::create_dir(dir).map_err(|error| at(error, "--out"))?;
        Ok(Self { dir: dir.to_owned() })
    }

    /// Writes all files; those of an earlier simulation are replaced.
    pub(super) fn write(&self, args: &SimulateArgs, started: u64, outcomes: &[Outcome]) -> anyhow::Result<()> {
        for (name, text) in [
            ("series.csv", series(outcomes)),
            ("load.csv", load(outcomes)),
            ("coverage.csv", coverage(outcomes)),
            ("bias.csv", bias(outcomes)),
        ] {
            self.put(name, text.as_bytes())?;
        }
        let plots = page::plots(outcomes);
        for plot in &plots {
            self.put(&format!("{}.svg", plot.key), plot.svg().as_bytes())?;
        }
        self.put("report.html", page::page(args, outcomes, &plots).as_bytes())?;
        let manifest = Manifest {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            command: "simulate".to_owned(),
            config: serde_json::json!({ "flags": serde_json::to_value(args)? }),
            seed: args.seed.to_string(),
            started,
            ended: Some(host::unix_now()),
            counters: counters(outcomes),
        };
        let mut json = Vec::new();
        manifest.write(&mut json)?;
        self.put("run.json", &json)?;
        note(&format!("written to {}", self.dir.display()));
        Ok(())
    }

    fn put(&self, name: &str, contents: &[u8]) -> anyhow::Result<()> {
        let path = self.dir.join(name);
        host::replace_file(&path, contents).with_context(|| format!("{name} is not written"))
    }
}

fn series(outcomes: &[Outcome]) -> String {
    let mut text =
        "policy,seconds,queries,get_peers,sample_infohashes,answers,infohashes,metadata,failed,tcp_syns,utp_syns\n"
            .to_owned();
    for outcome in outcomes {
        for point in &outcome.points {
            let _ = writeln!(
                text,
                "{},{},{},{},{},{},{},{},{},{},{}",
                outcome.policy.label(),
                point.at,
                point.queries,
                point.get_peers,
                point.samples,
                point.answers,
                point.infohashes,
                point.metadata,
                point.failed,
                point.tcp_syns,
                point.utp_syns
            );
        }
    }
    text
}

fn load(outcomes: &[Outcome]) -> String {
    let mut text = "policy,queries_in_hour,host_hours\n".to_owned();
    for outcome in outcomes {
        for (queries, hours) in outcome.load.iter().enumerate().filter(|(_, hours)| **hours > 0) {
            let _ = writeln!(text, "{},{queries},{hours}", outcome.policy.label());
        }
    }
    text
}

fn coverage(outcomes: &[Outcome]) -> String {
    let mut text = "policy,prefix,planted,found\n".to_owned();
    for outcome in outcomes {
        for (zone, (planted, found)) in outcome.zones.iter().enumerate() {
            let _ = writeln!(text, "{},{zone:06b},{planted},{found}", outcome.policy.label());
        }
    }
    text
}

/// Shares of infohashes by listed peers: of all planted, of those that samples showed, and of these by their weights.
fn bias(outcomes: &[Outcome]) -> String {
    let mut text = "policy,listed_peers_from,planted,shown,weighted\n".to_owned();
    for outcome in outcomes {
        let [planted, shown, weighted] =
            [outcome.bias.planted, outcome.bias.shown, outcome.bias.weighted].map(|classes| classes.shares());
        let shares = planted.iter().zip(shown).zip(weighted);
        for (least, ((planted, shown), weighted)) in CLASSES.iter().zip(shares) {
            let _ = writeln!(
                text,
                "{},{least},{planted:.6},{shown:.6},{weighted:.6}",
                outcome.policy.label()
            );
        }
    }
    text
}

/// The end of each run, by policy.
fn counters(outcomes: &[Outcome]) -> Counters {
    outcomes
        .iter()
        .map(|outcome| {
            let last = outcome.last();
            let (planted, found) = outcome.coverage();
            let mut of = Counters::from([
                ("nodes".to_owned(), outcome.nodes.0.into()),
                ("nodes_answering".to_owned(), outcome.nodes.1.into()),
                ("planted".to_owned(), planted.into()),
                ("found".to_owned(), found.into()),
                ("forged".to_owned(), outcome.forged.into()),
                ("infohashes".to_owned(), last.infohashes.into()),
                ("answers".to_owned(), last.answers.into()),
                ("metadata".to_owned(), last.metadata.into()),
                ("failed".to_owned(), last.failed.into()),
                ("tcp_syns".to_owned(), last.tcp_syns.into()),
                ("utp_syns".to_owned(), last.utp_syns.into()),
                ("hosts".to_owned(), (outcome.hosts as u64).into()),
                ("bans".to_owned(), outcome.bans.into()),
                ("asked_for".to_owned(), outcome.asked_for.into()),
                ("one_peer_share".to_owned(), outcome.one_peer.1.into()),
                ("one_peer_share_true".to_owned(), outcome.one_peer.0.into()),
                ("fingerprint".to_owned(), outcome.fingerprint.into()),
                ("build_ms".to_owned(), outcome.walls[0].into()),
                ("run_ms".to_owned(), outcome.walls[1].into()),
            ]);
            let queries = outcome.queries.iter();
            let queries: Counters = queries
                .map(|(asked, count)| (world::Member::label(asked).to_owned(), count.into()))
                .collect();
            of.insert("queries".to_owned(), queries.into());
            if let Some(share) = outcome.bias.one_peer {
                of.insert("one_peer_share_weighted".to_owned(), share.value.into());
                of.insert("one_peer_share_weighted_low".to_owned(), share.low.into());
                of.insert("one_peer_share_weighted_high".to_owned(), share.high.into());
            }
            (outcome.policy.label().to_owned(), of.into())
        })
        .collect()
}
