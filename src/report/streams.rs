//! How peers were reached, in figures.

use transport::Stats;
use world::{Member, Via};

use super::Figures;

/// Keys in run.json: dialled, opened, heard, accepted.
const KEYS: [(Via, [&str; 4]); 4] = [
    (Via::Tcp, ["tcp_dialled", "tcp_opened", "tcp_heard", "tcp_accepted"]),
    (
        Via::TcpMse,
        ["tcp_mse_dialled", "tcp_mse_opened", "tcp_mse_heard", "tcp_mse_accepted"],
    ),
    (Via::Utp, ["utp_dialled", "utp_opened", "utp_heard", "utp_accepted"]),
    (
        Via::UtpMse,
        ["utp_mse_dialled", "utp_mse_opened", "utp_mse_heard", "utp_mse_accepted"],
    ),
];

/// The streams to and from peers, by transport. What never happened is left out, but for plain TCP.
pub fn streams(figures: &mut Figures, stats: &Stats) {
    figures.group("streams", "Streams to peers, by transport");
    for (via, [dialled, opened, heard, accepted]) in KEYS {
        let name = in_words(via);
        if stats.dialled[via] > 0 || via == Via::Tcp {
            figures.count(dialled, stats.dialled[via], format!("dials by {name}"));
            figures.count(opened, stats.opened[via], "of these, opened");
            figures.count(heard, stats.heard[via], "streams on which the peer said something");
        }
        if stats.accepted[via] > 0 {
            figures.count(
                accepted,
                stats.accepted[via],
                format!("streams that others opened by {name}"),
            );
        }
    }
    figures.count(
        "dialled_again",
        stats.again.total(),
        "of the dials, those after a peer hung up on its greeting",
    );
    figures.count(
        "turned_away",
        stats.turned_away,
        "streams of others that there was no room for",
    );
    if stats.methods.total() > 0 {
        figures.group("mse", "Encrypted handshakes, by what was agreed");
        figures.reasons(&stats.methods);
    }
    for (&via, key) in Via::ALL.iter().zip([
        "stream_failures_tcp",
        "stream_failures_tcp_mse",
        "stream_failures_utp",
        "stream_failures_utp_mse",
    ]) {
        if stats.failed[via].total() > 0 {
            figures.group(key, title(via));
            figures.reasons(&stats.failed[via]);
        }
    }
}

const fn in_words(via: Via) -> &'static str {
    match via {
        Via::Tcp => "TCP",
        Via::TcpMse => "TCP, encrypted",
        Via::Utp => "uTP",
        Via::UtpMse => "uTP, encrypted",
    }
}

const fn title(via: Via) -> &'static str {
    match via {
        Via::Tcp => "Streams by TCP that failed, by reason",
        Via::TcpMse => "Encrypted streams by TCP that failed, by reason",
        Via::Utp => "Streams by uTP that failed, by reason",
        Via::UtpMse => "Encrypted streams by uTP that failed, by reason",
    }
}
