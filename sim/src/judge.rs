//! What a client found, held against what was planted.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::net::Ipv4Addr;

use wire::InfoHash;
use world::{Member as _, Tally, Via};

use crate::counts::Counts;
use crate::lab::Lab;
use crate::pair::Pair;

/// One infohash as a client reports it: the columns of `metadata.txt` without the peer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// The key.
    pub infohash: InfoHash,
    /// The name as the client writes it.
    pub name: String,
    /// Files, without padding.
    pub file_count: u64,
    /// Bytes, without padding.
    pub total_bytes: u64,
    /// Bytes.
    pub piece_length: u64,
    /// Whether the client says that it has the metadata.
    pub metadata_ok: bool,
}

/// The host that was asked most, by the rate that a polite client keeps to.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Busiest {
    /// Who asked.
    pub client: Ipv4Addr,
    /// Who was asked.
    pub host: Ipv4Addr,
    /// Queries in all.
    pub queries: u64,
    /// Most queries in any ten seconds.
    pub most_in_ten_seconds: usize,
    /// The least burst with which a limiter of one query a second lets all of them pass.
    pub burst_at_one_per_second: f64,
}

/// The verdict, in plain numbers. Infohashes are counted once, however often they were reported.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
pub struct Report {
    /// Living nodes.
    pub nodes: usize,
    /// Of those, honest ones that answer strangers.
    pub answering: usize,
    /// Of those, ones that sample.
    pub sampling: usize,
    /// Nodes that were asked anything.
    pub nodes_asked: usize,
    /// Infohashes planted.
    pub planted: usize,
    /// Infohashes of which some peer delivers, by whatever transport.
    pub fetchable: usize,
    /// Infohashes that a delivered sample displayed.
    pub shown: usize,
    /// Of those, ones with a listed peer.
    pub shown_with_peers: usize,
    /// Of those, ones of which some peer delivers, by the plainest transport by which one does.
    pub shown_fetchable: Tally<Via>,
    /// Infohashes reported.
    pub found: usize,
    /// Shown ones that were reported.
    pub found_shown: usize,
    /// Reported ones that were never planted: inventions of liars, or errors.
    pub found_unknown: usize,
    /// Reported with metadata.
    pub fetched: usize,
    /// Shown and fetchable ones that were reported with metadata, by the plainest transport by which they could be had.
    pub fetched_shown: Tally<Via>,
    /// Reported with metadata that differs from the truth, or that nobody could have given.
    pub wrong: usize,
    /// What the lab counted.
    pub counts: Counts,
    /// The host that was asked in the greatest hurry.
    pub busiest: Option<Busiest>,
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 1.0 } else { part as f64 / whole as f64 }
}

fn per(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

impl Report {
    /// Share of the shown infohashes that were reported; 1 if none was shown.
    pub fn coverage(&self) -> f64 {
        share(self.found_shown, self.shown)
    }

    /// Share of the shown and fetchable infohashes that were reported with metadata; 1 if there was none.
    pub fn fetch_rate(&self) -> f64 {
        share(
            self.fetched_shown.total() as usize,
            self.shown_fetchable.total() as usize,
        )
    }

    /// The same for those whose plainest transport is `via`.
    pub fn fetch_rate_via(&self, via: Via) -> f64 {
        share(self.fetched_shown[via] as usize, self.shown_fetchable[via] as usize)
    }

    /// get_peers queries for infohashes with peers, for each such infohash that was shown.
    pub fn get_peers_per_infohash(&self) -> f64 {
        per(self.counts.get_peers_of_listed, self.shown_with_peers as u64)
    }

    /// All get_peers queries, for each shown infohash with peers: what the others cost is included.
    pub fn get_peers_in_all_per_infohash(&self) -> f64 {
        per(self.counts.queries.get_peers, self.shown_with_peers as u64)
    }

    /// sample_infohashes queries that reached sampling nodes, for each node and interval of which a sample was
    /// delivered.
    pub fn samples_per_interval(&self) -> f64 {
        per(self.counts.samples_to_samplers, self.counts.intervals)
    }

    /// sample_infohashes queries that reached sampling nodes, for each of these nodes that gave a sample.
    pub fn samples_per_sampler(&self) -> f64 {
        per(self.counts.samples_to_samplers, self.counts.samplers)
    }
}

/// Compares what was found with what `lab` planted and has shown.
///
/// `clean` makes a true name look as the client's files show names.
pub fn judge(
    lab: &Lab,
    found: impl IntoIterator<Item = Found>,
    clean: impl for<'n> Fn(&'n str) -> Cow<'n, str>,
) -> Report {
    let population = lab.population();
    let (answering, sampling) = population.answering();
    let mut report = Report {
        nodes: population.nodes.len(),
        answering,
        sampling,
        planted: population.keys.all().len(),
        fetchable: population
            .keys
            .all()
            .iter()
            .filter(|key| population.fetchable(key).is_some())
            .count(),
        counts: *lab.counts(),
        busiest: busiest(lab.pairs()),
        nodes_asked: lab.hosts_asked(),
        ..Report::default()
    };
    for index in lab.shown_keys() {
        let key = &population.keys.all()[index as usize];
        report.shown += 1;
        report.shown_with_peers += usize::from(key.peers > 0);
        if let Some(via) = population.fetchable(key) {
            report.shown_fetchable.count(via);
        }
    }
    let (mut seen, mut fetched, mut wrong) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for row in found {
        let Some(key) = population.find(&row.infohash) else {
            report.found_unknown += usize::from(seen.insert(row.infohash));
            continue;
        };
        let shown = lab.has_shown(&row.infohash);
        if seen.insert(row.infohash) {
            report.found_shown += usize::from(shown);
        }
        if !row.metadata_ok {
            continue;
        }
        let truth = population.truth_of(key);
        if fetched.insert(row.infohash)
            && let Some(via) = truth.fetchable.filter(|_| shown)
        {
            report.fetched_shown.count(via);
        }
        let told = (
            &*clean(&truth.name),
            truth.file_count,
            truth.total_bytes,
            truth.piece_length,
        );
        if truth.fetchable.is_none() || told != (&row.name, row.file_count, row.total_bytes, row.piece_length) {
            wrong.insert(row.infohash);
        }
    }
    report.found = seen.len();
    report.fetched = fetched.len();
    report.wrong = wrong.len();
    report
}

#[expect(single_use_lifetimes, reason = "an anonymous lifetime in `impl Trait` is unstable")]
fn busiest<'p>(pairs: impl Iterator<Item = (Ipv4Addr, Ipv4Addr, &'p Pair)>) -> Option<Busiest> {
    pairs
        .filter(|(_, _, pair)| pair.pace.queries > 0)
        .map(|(client, host, pair)| Busiest {
            client,
            host,
            queries: pair.pace.queries,
            most_in_ten_seconds: pair.pace.most,
            burst_at_one_per_second: pair.pace.burst,
        })
        .max_by(|one, other| {
            let by = |busiest: &Busiest| (busiest.burst_at_one_per_second, busiest.queries, busiest.host);
            by(one).partial_cmp(&by(other)).unwrap_or(std::cmp::Ordering::Equal)
        })
}

impl fmt::Display for Report {
    /// A few lines for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |share: f64| 100.0 * share;
        writeln!(
            f,
            "truth: {} nodes ({} answer, {} sample), {} infohashes ({} can be fetched)",
            self.nodes, self.answering, self.sampling, self.planted, self.fetchable
        )?;
        writeln!(
            f,
            "shown by samples: {} infohashes, of which {} were found ({:.2} %)",
            self.shown,
            self.found_shown,
            percent(self.coverage())
        )?;
        writeln!(
            f,
            "shown and fetchable: {} infohashes, of which {} were fetched ({:.2} %); rows unlike the truth: {}",
            self.shown_fetchable.total(),
            self.fetched_shown.total(),
            percent(self.fetch_rate()),
            self.wrong
        )?;
        for (via, fetchable) in self.shown_fetchable.iter().filter(|(_, fetchable)| *fetchable > 0) {
            let fetched = self.fetched_shown[via];
            writeln!(f, "  plainest by {}: {fetchable}, fetched {fetched}", via.label())?;
        }
        writeln!(
            f,
            "cost: {:.2} get_peers per infohash with peers ({:.2} with all others), {:.3} samples asked per node and interval",
            self.get_peers_per_infohash(),
            self.get_peers_in_all_per_infohash(),
            self.samples_per_interval()
        )?;
        write!(
            f,
            "manners: {} samples inside an interval, {} to nodes known not to sample, {} bans",
            self.counts.samples_inside_interval, self.counts.samples_to_known_refusers, self.counts.bans
        )?;
        if let Some(busiest) = self.busiest {
            write!(
                f,
                "; busiest host {}: {} queries, {} in ten seconds, burst {:.1}",
                busiest.host, busiest.queries, busiest.most_in_ten_seconds, busiest.burst_at_one_per_second
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use wire::NodeId;
    use wire::krpc::{Body, Message, Method, Query, Want};
    use world::{Input, Machine, Seed, Time};

    use super::*;
    use crate::population::{Config, Truth};
    use crate::profile::Profile;

    /// A lab of which every node has been asked for a sample once.
    fn sampled() -> Lab {
        let config = Config {
            nodes: 30,
            torrents: 40,
            port: 6881,
            profile: Profile::ideal(),
        };
        let mut lab = Lab::new(config, Seed::from_number(1));
        let query = Query {
            id: NodeId::new([1; 20]),
            method: Method::SampleInfohashes {
                target: NodeId::new([2; 20]),
            },
            want: Want::default(),
        };
        let mut bytes = Vec::new();
        Message::new(b"q", Body::Query(query)).encode(&mut bytes);
        let from = SocketAddr::from(([127, 0, 0, 1], 5000));
        for node in 0..30 {
            let to = SocketAddr::from((lab.population().addresses.of(node), 6881));
            lab.handle(
                Time::ZERO,
                Input::Datagram {
                    from,
                    to,
                    bytes: &bytes,
                },
            );
        }
        lab
    }

    fn found(
        Truth {
            infohash,
            name,
            file_count,
            total_bytes,
            piece_length,
            fetchable,
            ..
        }: Truth,
    ) -> Found {
        let name = name.to_uppercase();
        Found {
            infohash,
            name,
            file_count,
            total_bytes,
            piece_length,
            metadata_ok: fetchable.is_some(),
        }
    }

    fn upper(name: &str) -> Cow<'_, str> {
        Cow::Owned(name.to_uppercase())
    }

    #[test]
    fn the_truth_is_judged_right() {
        let lab = sampled();
        let report = judge(&lab, lab.population().truth().map(found), upper);
        assert!(report.shown > 35);
        assert_eq!((report.found, report.fetched, report.wrong), (40, 40, 0));
        assert_eq!(
            (report.nodes, report.answering, report.sampling, report.nodes_asked),
            (30, 30, 30, 30)
        );
        assert!((report.coverage() - 1.0).abs() < 1e-9 && (report.fetch_rate() - 1.0).abs() < 1e-9);
        assert!(
            (report.samples_per_sampler() - 1.0).abs() < 1e-9 && (report.samples_per_interval() - 1.0).abs() < 1e-9
        );
        assert!((report.busiest.unwrap().burst_at_one_per_second - 1.0).abs() < 1e-9);
    }

    #[test]
    fn what_is_missing_wrong_or_invented_is_told_apart() {
        let lab = sampled();
        let mut rows: Vec<Found> = lab.shown().map(found).collect();
        let shown = rows.len();
        rows.truncate(10);
        rows[0].total_bytes += 1;
        rows[1].metadata_ok = false;
        rows[2].infohash = InfoHash::new([7; 20]);
        // The same infohash again, as with a second peer.
        rows.push(rows[9].clone());
        let report = judge(&lab, rows, upper);
        assert_eq!(
            (report.shown, report.found, report.found_shown, report.found_unknown),
            (shown, 10, 9, 1)
        );
        assert_eq!(
            (report.fetched, report.fetched_shown[Via::Tcp], report.wrong),
            (8, 8, 1)
        );
    }
}
