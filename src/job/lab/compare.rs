//! What a crawl found, held against what the lab knows.

use std::io::BufRead;

use sim::{Found, Lab, Report, judge};
use store::clean;
use store::metadata::{self, Row};
use world::{Member as _, Via};

use crate::report::{Figures, thousands};

/// Holds the rows of a crawl against the lab's truth. Only what samples displayed in this run is asked for: nobody can
/// find what nobody shows.
pub fn compare(lab: &Lab, rows: impl BufRead, figures: &mut Figures) {
    let report = judge(lab, metadata::rows(rows).flatten().map(found), clean);
    let percent = |share: f64| format!("{:.2}%", 100.0 * share);
    figures.group("lab", "Lab: the crawl against the truth");
    figures.count(
        "shown",
        report.shown as u64,
        "infohashes that samples displayed in this run",
    );
    figures.count(
        "found",
        report.found_shown as u64,
        format!("of these, in the rows ({})", percent(report.coverage())),
    );
    figures.count(
        "fetchable",
        report.shown_fetchable.total(),
        "of the displayed, with a peer that delivers, by whatever transport",
    );
    figures.count(
        "fetched",
        report.fetched_shown.total(),
        format!("of these, with metadata ({})", percent(report.fetch_rate())),
    );
    by_transport(&report, figures);
    figures.count(
        "wrong",
        report.wrong as u64,
        "infohashes whose metadata differs from the truth",
    );
    figures.count(
        "unknown",
        report.found_unknown as u64,
        "infohashes in the rows that were never planted (of liars)",
    );
    figures.count("bans", report.counts.bans, "times that a node of the lab banned us");
    if let Some(busiest) = report.busiest {
        figures.count(
            "busiest",
            busiest.most_in_ten_seconds as u64,
            "queries that the busiest virtual host received within ten seconds",
        );
    }
    figures.figure(
        "get_peers",
        report.get_peers_per_infohash(),
        "get_peers queries received per displayed infohash with peers",
    );
    figures.figure(
        "samples",
        report.samples_per_sampler(),
        "sampling queries received per node that gave a sample (losses included)",
    );
    figures.count(
        "inside_interval",
        report.counts.samples_inside_interval,
        "sampling queries received inside a node's interval",
    );
    figures.count(
        "refusers",
        report.counts.samples_to_known_refusers,
        "sampling queries received by a node that had shown that it does not sample",
    );
}

/// The same by the plainest transport by which an infohash could be had.
fn by_transport(report: &Report, figures: &mut Figures) {
    let percent = |share: f64| format!("{:.2}%", 100.0 * share);
    for (via, fetchable) in report.shown_fetchable.iter().filter(|(_, fetchable)| *fetchable > 0) {
        figures.count(
            key(via),
            report.fetched_shown[via],
            format!(
                "of the {} whose plainest transport is {} ({})",
                thousands(fetchable),
                via.label(),
                percent(report.fetch_rate_via(via))
            ),
        );
    }
}

/// What run.json calls the infohashes fetched whose plainest transport this is.
const fn key(via: Via) -> &'static str {
    match via {
        Via::Tcp => "fetched_tcp",
        Via::TcpMse => "fetched_tcp_mse",
        Via::Utp => "fetched_utp",
        Via::UtpMse => "fetched_utp_mse",
    }
}

/// A row as the judge wants it.
pub fn found(row: Row) -> Found {
    Found {
        infohash: row.info_hash,
        name: row.name,
        file_count: row.file_count,
        total_bytes: row.total_bytes,
        piece_length: row.piece_length,
        metadata_ok: row.metadata_ok,
    }
}
