//! The end of a crawl in figures, each of which says what it counts.

use crawler::stats::Asked;
use host::{Counters, Ended, Written};
use world::{Member as _, Time};

use super::{Crawl, Ending};
use crate::job::account::Account;
use crate::job::harvest::{Harvested, Outcome};
use crate::output;
use crate::report::{Figures, per_minute, ratio, share, thousands};

/// What was recorded in this run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Tally {
    /// Infohashes recorded.
    pub(super) processed: u64,
    /// Of these, with metadata.
    pub(super) fetched: u64,
    /// Of these, with a peer.
    pub(super) with_peers: u64,
    /// Rows with a peer.
    pub(super) peers: u64,
    /// Dictionaries that hash to the infohash and could not be read.
    pub(super) unreadable: u64,
}

impl Tally {
    /// Counts a record.
    pub(super) fn record(&mut self, harvested: &Harvested, metadata_ok: bool) {
        self.processed += 1;
        self.fetched += u64::from(metadata_ok);
        self.with_peers += u64::from(!harvested.peers.is_empty());
        self.peers += harvested.peers.len() as u64;
        self.unreadable += u64::from(!metadata_ok && matches!(harvested.outcome, Outcome::Metadata(_)));
    }
}

/// The last line of progress (CRL-13).
pub(super) fn last_line(tally: &Tally, ended: &Ended, ending: Option<Ending>, failed: bool) -> String {
    let why = match ending {
        _ if failed => "stopped by an error",
        Some(Ending::Enough) => "as many as were asked for",
        Some(Ending::TimeUp) => "time is up",
        Some(Ending::Quiet) => "nothing new came for a while",
        Some(Ending::Listed) => "all zones of the census are listed",
        Some(Ending::Stopped) => "stopped",
        None => "ended at once",
    };
    format!(
        "Final: {} infohashes processed in {:.1}s ({why}; {} with metadata)",
        tally.processed,
        ended.at.since(Time::ZERO).as_secs_f64(),
        tally.fetched
    )
}

/// Everything that is worth keeping of a crawl.
pub(super) fn figures(
    tally: &Tally,
    crawl: &Crawl,
    now: Time,
    counters: &Counters,
    observed: Option<&Written>,
) -> Figures {
    let mut figures = Figures::default();
    infohashes(&mut figures, tally, crawl, now);
    dht(&mut figures, tally, crawl);
    estimates(&mut figures, crawl);
    manners(&mut figures, crawl);
    fetch(&mut figures, crawl);
    host(&mut figures, counters);
    if let Some(written) = observed {
        output::recorded(written, &mut figures);
    }
    figures
}

fn infohashes(figures: &mut Figures, tally: &Tally, crawl: &Crawl, now: Time) {
    let counts = crawl.frontier().counts();
    figures.group("infohashes", "Infohashes");
    figures.count(
        "sightings",
        counts.new + counts.again,
        "sightings: infohashes shown to us, repetitions included",
    );
    figures.count(
        "new",
        counts.new,
        "distinct infohashes seen for the first time in this data directory",
    );
    figures.count(
        "recorded",
        tally.processed,
        "infohashes recorded: done with, rows written",
    );
    figures.count(
        "with_peers",
        tally.with_peers,
        "recorded infohashes with at least one peer",
    );
    figures.remark(share(tally.with_peers, tally.processed, "recorded"));
    figures.count("with_metadata", tally.fetched, "recorded infohashes with metadata");
    figures.remark(share(tally.fetched, tally.processed, "recorded"));
    figures.count("peer_rows", tally.peers, "rows that name a peer");
    figures.count(
        "unreadable",
        tally.unreadable,
        "dictionaries that hash to the infohash and cannot be read",
    );
    rounds(figures, crawl);
    let passive = crawl.passive();
    figures.count("asked_for", passive.asked_for, "get_peers queries from others");
    figures.count(
        "wanted",
        passive.wanted,
        "of these, for an infohash that two hosts asked for: sightings, followed after all that was shown",
    );
    figures.count("announced", passive.announced, "announces to us: sightings, and peers");
    figures.count(
        "announced_peers",
        passive.known,
        "peers that had announced themselves to us when their infohash was taken in work",
    );
    figures.count(
        "evicted",
        counts.evicted,
        "put out of the full queue before they were tried",
    );
    figures.figure(
        "fetched_per_minute",
        per_minute(tally.fetched, now),
        "infohashes with metadata per minute",
    );
}

fn rounds(figures: &mut Figures, crawl: &Crawl) {
    let counts = crawl.frontier().counts();
    figures.level(
        "waiting",
        crawl.frontier().ready() as u64,
        "seen and not tried yet at the end",
    );
    figures.level(
        "to_retry",
        crawl.waiting_count() as u64,
        "tried in vain and waiting for another round at the end, not recorded",
    );
    figures.count(
        "retries",
        counts.retries,
        "rounds that failed and were put off for another",
    );
    figures.count(
        "restored",
        counts.restored,
        "infohashes that the last run left waiting for another round",
    );
    figures.count(
        "put_out",
        counts.put_out,
        "given up early because too many wait for another round",
    );
}

fn dht(figures: &mut Figures, tally: &Tally, crawl: &Crawl) {
    let Some(node) = crawl.harvest().node() else { return };
    let stats = node.stats();
    let guard = node.guard();
    figures.group("dht", "DHT");
    figures.count("hosts_asked", guard.histogram().total(), "distinct hosts sent a query");
    figures.count(
        "hosts_answered",
        guard.answers_histogram().total(),
        "distinct hosts that answered a query",
    );
    sampling(figures, node);
    for &asked in Asked::ALL {
        figures.labelled(
            "query",
            asked.label(),
            stats.sent[asked],
            format!("{} queries sent", asked.label()),
        );
        figures.remark(format!("({} answered)", thousands(stats.answered[asked])));
    }
    figures.count("timeouts", stats.timeouts.total(), "queries not answered in time");
    figures.count("errors", stats.errors.total(), "queries answered by an error");
    figures.figure(
        "queries_per_new_infohash",
        ratio(stats.sent.total(), crawl.frontier().counts().new),
        "queries of any kind per new infohash",
    );
    figures.figure(
        "get_peers_per_infohash_with_peers",
        ratio(stats.sent[Asked::GetPeers], tally.with_peers),
        "get_peers queries per recorded infohash with a peer",
    );
    let gauges = node.gauges();
    figures.level(
        "table",
        gauges.tables.iter().map(|table| table.nodes as u64).sum(),
        "nodes in the routing tables at the end",
    );
    figures.group("drops", "Datagrams without effect, by reason");
    figures.reasons(&stats.drops);
}

fn estimates(figures: &mut Figures, crawl: &Crawl) {
    let Some(node) = crawl.harvest().node() else { return };
    let estimated = crawl.estimates().at_this_moment(node);
    figures.group("estimates", "Estimates, from samples and walks alone");
    let [v4, v6] = &estimated.nodes;
    for (what, keys, number) in [
        ("nodes (IPv4)", ["nodes_ipv4", "nodes_ipv4_low", "nodes_ipv4_high"], v4),
        ("nodes (IPv6)", ["nodes_ipv6", "nodes_ipv6_low", "nodes_ipv6_high"], v6),
        (
            "nodes that answer, by zones listed",
            ["nodes_by_zones", "nodes_by_zones_low", "nodes_by_zones_high"],
            &estimated.nodes_by_zones,
        ),
        ("infohashes", ["keys", "keys_low", "keys_high"], &estimated.keys),
        (
            "infohashes, another way",
            ["keys_by_halves", "keys_by_halves_low", "keys_by_halves_high"],
            &estimated.keys_by_halves,
        ),
    ] {
        if let Some(number) = number {
            figures.estimate(what, keys, number);
        }
    }
    for (what, keys, share) in [
        (
            "coverage",
            ["coverage", "coverage_low", "coverage_high"],
            &estimated.coverage,
        ),
        (
            "coverage where it is lowest, of sixteen parts of the key space",
            ["lowest_coverage", "lowest_coverage_low", "lowest_coverage_high"],
            &estimated.lowest,
        ),
        ("infohashes seen", ["seen", "seen_low", "seen_high"], &estimated.seen),
    ] {
        if let Some(share) = share {
            figures.estimated_share(what, keys, share);
        }
    }
    if let Some(zone) = crawl.estimates().zones().first() {
        let zones = crawl.estimates().zones();
        figures.level(
            "zones",
            zones.len() as u64,
            "zones of the key space listed by the census",
        );
        figures.level("zone_bits", zone.bits.into(), "bits that the ids of a zone share");
        let (known, found) = zones
            .iter()
            .fold((0, 0), |(known, found), zone| (known + zone.known, found + zone.found));
        figures.level("zone_known", known, "nodes in them at which walks from outside ended");
        figures.level("zone_found", found, "of these, listed before");
    }
    figures.level(
        "made_of_nodes",
        estimated.counts.nodes,
        "nodes whose samples the estimates are made of",
    );
    figures.level(
        "made_of_keys",
        estimated.counts.distinct,
        "infohashes of these samples that account was kept of",
    );
    figures.level(
        "one_in",
        estimated.counts.one_in,
        "account was kept of one infohash in so many",
    );
}

fn manners(figures: &mut Figures, crawl: &Crawl) {
    let Some(node) = crawl.harvest().node() else { return };
    let stats = node.guard().stats();
    figures.group("manners", "Manners");
    figures.level(
        "busiest_second",
        u64::from(stats.busiest_second),
        "queries to the busiest host within one second (burst 3 at the most)",
    );
    figures.level(
        "busiest_ten_seconds",
        u64::from(stats.busiest_ten_seconds),
        "queries to the busiest host within ten seconds (1/s and a burst of 3)",
    );
    figures.level(
        "most_flows",
        stats.most_flows as u64,
        "endpoints touched within 120 s, at the most",
    );
    figures.count(
        "answers_withheld",
        stats.answers_withheld,
        "queries of hosts that ask too much, not answered",
    );
    figures.group("refused", "Destinations never asked, by reason");
    figures.reasons(&stats.refusals);
}

fn fetch(figures: &mut Figures, crawl: &Crawl) {
    if let Some(account) = Account::of(crawl.harvest()) {
        account.figures(figures);
    }
}

fn host(figures: &mut Figures, counters: &Counters) {
    figures.group("host", "This machine");
    figures.count("datagrams_in", counters.datagrams_in, "datagrams received");
    figures.count("datagrams_out", counters.datagrams_out, "datagrams sent");
    figures.count(
        "send_failures",
        counters.send_dropped + counters.send_errors.total(),
        "datagrams that could not be sent",
    );
    figures.count("connections", counters.dialled, "connections asked for");
    figures.count("opened", counters.opened, "connections asked for that opened");
    figures.count("accepted", counters.accepted, "connections that others opened to us");
    figures.count(
        "accept_no_room",
        counters.accept_no_room,
        "connections of others hung up on for want of room",
    );
}

fn sampling(figures: &mut Figures, node: &crawler::Node) {
    let Some(sampler) = node.sampler() else { return };
    let stats = sampler.stats();
    figures.level(
        "nodes_known",
        sampler.known() as u64,
        "nodes named to us or heard from, in the ledger",
    );
    figures.count(
        "nodes_sampled",
        stats.sampled_nodes,
        "nodes that answered sample_infohashes with samples at least once",
    );
    figures.figure(
        "queries_per_sample",
        stats.queries_per_sample(),
        "sampling queries for each sample, to nodes that answer (above 1: losses)",
    );
    figures.count(
        "inside_interval",
        stats.inside_interval,
        "sampling queries inside a node's interval",
    );
    figures.count(
        "to_non_samplers",
        stats.to_non_samplers,
        "sampling queries to a node known not to sample",
    );
}
