//! What the transport did, in figures: dials by TCP and uTP, plain and obfuscated.

use transport::{Stats, utp};
use world::{Member as _, Via};

use super::via_in_words;
use crate::report::Figures;

/// Dials and calls by transport, what encrypted handshakes agreed on, why dials failed, and the packets of uTP.
pub(super) fn dials(figures: &mut Figures, stats: &Stats, utp: &utp::Stats) {
    for &via in Via::ALL {
        let [key, failed] = keys(via);
        let words = via_in_words(via);
        let family = (
            "dials",
            "Dials and calls of peers, by transport and by what came of them",
        );
        figures.group_of(key, format!("Dials {words}"), family, ("via", via.label()));
        for (outcome, count, counts) in [
            ("dialled", stats.dialled[via], "dials, each a SYN at least"),
            (
                "again",
                stats.again[via],
                "of these, ones that the peer hung up on: dialled otherwise",
            ),
            ("opened", stats.opened[via], "opened"),
            (
                "abandoned",
                stats.abandoned[via],
                "not waited for: another transport opened first, or we gave up",
            ),
            (
                "heard",
                stats.heard[via],
                "streams, of either side's dialling, on which the peer spoke",
            ),
            ("accepted", stats.accepted[via], "streams that others opened to us"),
        ] {
            figures.labelled("outcome", outcome, count, counts);
        }
        let family = (
            "dial_failures",
            "Dials and calls that came to nothing, by transport and reason",
        );
        figures.group_of(
            failed,
            format!("Dials {words} that came to nothing, by reason"),
            family,
            ("via", via.label()),
        );
        figures.reasons(&stats.failed[via]);
    }
    figures.group("mse", "Obfuscated handshakes, by what was agreed for the stream");
    figures.reasons(&stats.methods);
    figures.group("callers", "Streams of others");
    figures.count("turned_away", stats.turned_away, "closed at once for want of room");
    figures.group("utp", "uTP, what happened");
    figures.reasons(&utp.counts);
    figures.group("utp_ignored", "uTP packets that came to nothing, by reason");
    figures.reasons(&utp.ignored);
}

const fn keys(via: Via) -> [&'static str; 2] {
    match via {
        Via::Tcp => ["dials_tcp", "dial_failures_tcp"],
        Via::TcpMse => ["dials_tcp_mse", "dial_failures_tcp_mse"],
        Via::Utp => ["dials_utp", "dial_failures_utp"],
        Via::UtpMse => ["dials_utp_mse", "dial_failures_utp_mse"],
    }
}
