//! The account of fetching: how far peers came, by what transport, why not further, and how long success took.

mod dials;

use std::time::Duration;

use fetcher::{Stage, Stats, stats::Streams};
use transport::utp;
use world::{Member as _, Via};

use crate::job::harvest::Harvest;

use crate::report::{Figures, share};

/// What the metadata mind and the transport of one harvest counted, or of several.
#[derive(Clone, Copy, Default, Debug)]
pub struct Account {
    pool: Stats,
    streams: transport::Stats,
    packets: utp::Stats,
}

impl Account {
    /// As it stands; `None` for a harvest that fetches nothing.
    pub fn of(harvest: &Harvest) -> Option<Self> {
        Some(Self {
            pool: *harvest.pool()?.stats(),
            streams: *harvest.transport().stats(),
            packets: *harvest.transport().utp_stats(),
        })
    }

    /// Adds what another harvest counted.
    pub fn merge(&mut self, other: &Self) {
        self.pool.merge(&other.pool);
        self.streams.merge(&other.streams);
        self.packets.merge(&other.packets);
    }

    /// All of it.
    pub fn figures(&self, figures: &mut Figures) {
        funnel(figures, &self.pool);
        dials::dials(figures, &self.streams, &self.packets);
    }
}

/// How far peers came, and why they did not come further: each stage with its share of the one before.
fn funnel(figures: &mut Figures, stats: &Stats) {
    figures.group("funnel", "Metadata from peers: how far they came");
    stages(figures, Stage::ALL, |stage| stats.funnel[stage]);
    figures.group(
        "fetch_failures",
        "Peers that were dialled and did not deliver, by reason",
    );
    figures.reasons(&stats.failures);
    for &via in Via::ALL {
        let [key, failed] = keys(via);
        streams(figures, [key, failed], (via.label(), via_in_words(via)), stats.via(via));
    }
    streams(
        figures,
        ["by_callers", "failures_callers"],
        ("incoming", "by calling us"),
        &stats.incoming,
    );
    fetching(figures, stats);
    figures.group("given_up", "Rounds of fetching given up, by reason");
    figures.reasons(&stats.endings);
    dealings(figures, stats);
}

/// The stages in turn, each with its share of the one before.
fn stages(figures: &mut Figures, stages: &[Stage], count: impl Fn(Stage) -> u64) {
    let mut before = None;
    for &stage in stages {
        figures.labelled("stage", stage.label(), count(stage), stage_in_words(stage));
        if let Some(before) = before {
            figures.remark(share(count(stage), count(before), before.label()));
        }
        before = Some(stage);
    }
}

/// What came of the connections of one kind.
fn streams(
    figures: &mut Figures,
    [key, failed]: [&'static str; 2],
    (label, words): (&'static str, &str),
    streams: &Streams,
) {
    let title = format!("Peers reached {words}: how far they came");
    let family = ("streams", "Peers by how they were reached and how far they came");
    figures.group_of(key, title, family, ("via", label));
    let from_connected: Vec<Stage> = Stage::ALL.iter().copied().filter(|&s| s >= Stage::Connected).collect();
    stages(figures, &from_connected, |stage| streams.funnel[stage]);
    let title = format!("Peers reached {words} that did not deliver, by reason");
    let family = (
        "stream_failures",
        "Peers reached that did not deliver, by how they were reached and why",
    );
    figures.group_of(failed, title, family, ("via", label));
    figures.reasons(&streams.failures);
}

/// What the pool counts beside the way of each peer.
fn fetching(figures: &mut Figures, stats: &Stats) {
    figures.group("fetching", "Fetching");
    figures.count(
        "started",
        stats.started,
        "rounds of fetching begun: an infohash with a peer, each round once",
    );
    figures.count(
        "verified",
        stats.verified(),
        "info dictionaries fetched and verified, from peers dialled or calling",
    );
    let seconds = |took: Option<Duration>| took.map_or(f64::NAN, |took| took.as_secs_f64());
    for (spread, keys, from) in [
        (
            &stats.from_start,
            ["median_seconds", "p95_seconds"],
            "from an infohash's first peer",
        ),
        (
            &stats.from_dial,
            ["median_from_dial_seconds", "p95_from_dial_seconds"],
            "from the first dial",
        ),
    ] {
        let [median, p95] = keys;
        figures.figure(
            median,
            seconds(spread.quantile(0.5)),
            format!("seconds {from} to its info dictionary, the median of successes"),
        );
        figures.figure(
            p95,
            seconds(spread.quantile(0.95)),
            format!("seconds {from} to its info dictionary, the 95th percentile of successes"),
        );
    }
    figures.count(
        "surplus",
        stats.surplus,
        "peers named beyond the limit of their infohash",
    );
    figures.count(
        "remembered",
        stats.remembered,
        "peers not dialled because of what is remembered of them",
    );
    figures.count(
        "set_aside",
        stats.set_aside,
        "times that a peer had to wait because its host was busy",
    );
    figures.count(
        "mixed_mismatches",
        stats.mixed_mismatches,
        "times that pieces of several peers did not fit together",
    );
    figures.count("received_bytes", stats.bytes_received, "bytes received from peers");
    figures.level(
        "most_connections",
        stats.most_connections as u64,
        "connections held at once, at the most",
    );
    figures.count("named", stats.named, "peers that other peers named to us (BEP 11)");
    figures.count(
        "no_descriptor",
        stats.no_descriptor,
        "dials that this machine had no room for, each taken back",
    );
}

/// What happened beside fetching.
fn dealings(figures: &mut Figures, stats: &Stats) {
    figures.group("calls", "Connections that others opened to us, by what became of them");
    figures.reasons(&stats.calls);
    figures.group("answers", "Requests of others for metadata, by how we answered");
    figures.reasons(&stats.answers);
    figures.group(
        "listening",
        "Peers without metadata listened to for names, by how that ended",
    );
    figures.reasons(&stats.listening);
    figures.group("meetings", "Meetings through a relay (BEP 55), by step");
    figures.reasons(&stats.meetings);
}

/// What run.json calls the way of peers that are reached like this, and their failures.
const fn keys(via: Via) -> [&'static str; 2] {
    match via {
        Via::Tcp => ["by_tcp", "failures_tcp"],
        Via::TcpMse => ["by_tcp_mse", "failures_tcp_mse"],
        Via::Utp => ["by_utp", "failures_utp"],
        Via::UtpMse => ["by_utp_mse", "failures_utp_mse"],
    }
}

const fn via_in_words(via: Via) -> &'static str {
    match via {
        Via::Tcp => "over plain TCP",
        Via::TcpMse => "over obfuscated TCP (MSE)",
        Via::Utp => "over uTP",
        Via::UtpMse => "over obfuscated uTP (MSE)",
    }
}

const fn stage_in_words(stage: Stage) -> &'static str {
    match stage {
        Stage::Known => "peers named for infohashes in work",
        Stage::Dialled => "of these, dialled",
        Stage::Connected => "connected",
        Stage::Handshaken => "answered the handshake with our infohash and extensions",
        Stage::Extended => "offered ut_metadata and a size that we accept",
        Stage::Requested => "were asked for a piece",
        Stage::Received => "gave a piece",
        Stage::Verified => "info dictionaries that hash to their infohash",
    }
}
