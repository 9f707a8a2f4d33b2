//! What a run of `download` or `seed` came to, in figures.

use engine::{Parted, Status};
use host::Counters;
use world::{Member, Time};

use super::machine::Download;
use crate::report::{Figures, plain, ratio, share, size};

/// The figures of the whole run.
pub(super) fn figures(statuses: &[Status], download: &Download, counters: &Counters, now: Time) -> Figures {
    let totals = download.engine().totals();
    let mut figures = Figures::default();
    let secs = now.as_micros() as f64 / 1e6;
    figures.group("run", "Run");
    let complete = statuses
        .iter()
        .filter(|status| status.wanted_done >= status.wanted)
        .count();
    figures.count("torrents", statuses.len() as u64, "torrents");
    figures.count(
        "complete",
        complete as u64,
        "torrents of which all that is wanted is there",
    );
    let down = totals.down.total();
    figures.count("downloaded", down, "bytes of content received");
    figures.remark(format!(
        "{}, {}/s over {secs:.1} s",
        size(down),
        size((down as f64 / secs.max(0.001)) as u64)
    ));
    let up = totals.up.total();
    figures.count("uploaded", up, "bytes of content sent");
    figures.remark(size(up));
    figures.count(
        "redundant",
        totals.redundant,
        "bytes received that another peer had given, or nobody asked for",
    );
    figures.remark(share(totals.redundant, down, "content received"));
    figures.count("failed", totals.failed, "bytes of pieces whose hash was wrong");
    figures.count(
        "read_back",
        totals.read_back,
        "pieces read back from the disk for their hash",
    );
    let blocks = down / u64::from(engine::BLOCK);
    let calls = counters.receives + counters.disk.writes;
    figures.count("calls", calls, "system calls that received content or wrote it");
    if blocks > 0 {
        figures.remark(format!("{:.2} a block", ratio(calls, blocks)));
    }
    let copied = counters.disk.bytes_copied;
    figures.count(
        "copied",
        copied,
        "bytes copied between the kernel's giving and taking them",
    );
    figures.remark(share(copied, down, "content received"));
    figures.group("partings", "Connections that ended");
    for (why, count) in totals.parted.iter().filter(|(_, count)| *count > 0) {
        figures.count(key(why), count, why.label());
    }
    figures
}

const fn key(why: Parted) -> &'static str {
    match why {
        Parted::Unreachable => "unreachable",
        Parted::HungUp => "hung_up",
        Parted::Silent => "silent",
        Parted::Ourselves => "ourselves",
        Parted::Stranger => "stranger",
        Parted::Twice => "twice",
        Parted::Garbled => "garbled",
        Parted::Banned => "banned",
        Parted::Useless => "useless",
        Parted::Replaced => "replaced",
        Parted::Leaving => "leaving",
    }
}

/// A line for each torrent.
pub(super) fn torrent(status: &Status) -> String {
    format!(
        "# {}: {:.1}% of {}, {} of {} pieces, {} up, {} down{}\n",
        plain(status.name.as_bytes()),
        status.progress() * 100.0,
        size(status.wanted),
        status.pieces_done,
        status.pieces,
        size(status.all_uploaded),
        size(status.all_downloaded),
        status
            .fault
            .map_or_else(String::new, |(fault, _)| format!("; {}", fault.label())),
    )
}
