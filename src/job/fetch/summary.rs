//! The end of a fetch in figures, each of which says what it counts.

use world::Time;

use super::feed::Counts;
use crate::job::account::Account;
use crate::report::{Figures, per_minute, share};

/// How a fetch ended.
pub(super) struct End {
    /// What came from the list.
    pub(super) counts: Counts,
    /// Infohashes with metadata.
    pub(super) fetched: u64,
    /// Infohashes given up.
    pub(super) failed: u64,
    /// Infohashes in work when it ended.
    pub(super) not_done: u64,
    /// The list was read to its end.
    pub(super) is_read: bool,
}

/// The summary.
pub(super) fn figures(end: &End, account: &Account, now: Time) -> Figures {
    let counts = &end.counts;
    let asked = end.fetched + end.failed + end.not_done;
    let mut figures = Figures::default();
    figures.group("fetch", "Fetched");
    figures.count("asked", asked, "infohashes asked for");
    figures.count("fetched", end.fetched, "of these, with metadata");
    figures.remark(share(end.fetched, asked, "asked for"));
    figures.count("failed", end.failed, "given up");
    figures.level("left", end.not_done, "in work, not done at the end");
    if !end.is_read {
        figures.remark("(the list was not read to its end)");
    }
    for (key, count, words) in [
        ("done_before", counts.skipped, "passed over: done before"),
        ("bad_rows", counts.bad, "lines that are no rows"),
        ("surplus", counts.surplus, "peers beyond those kept of one infohash"),
        (
            "left_out",
            counts.left_out,
            "infohashes left out: --opt-out, --blocklist",
        ),
        ("blocked", counts.blocked, "peers left out: --blocklist"),
    ] {
        if count > 0 {
            figures.count(key, count, words);
        }
    }
    if now >= Time::from_secs(60) {
        figures.figure("per_minute", per_minute(end.fetched, now), "with metadata per minute");
    }
    account.figures(&mut figures);
    figures
}
