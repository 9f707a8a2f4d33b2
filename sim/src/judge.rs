//! What a client found, held against what was planted.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::net::Ipv4Addr;

use wire::InfoHash;

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
    /// Infohashes of which some peer delivers over plain TCP.
    pub fetchable: usize,
    /// Infohashes that a delivered sample displayed.
    pub shown: usize,
    /// Of those, ones with a listed peer.
    pub shown_with_peers: usize,
    /// Of those, ones of which some peer delivers over plain TCP.
    pub shown_fetchable: usize,
    /// Infohashes reported.
    pub found: usize,
    /// Shown ones that were reported.
    pub found_shown: usize,
    /// Reported ones that were never planted: inventions of liars, or errors.
    pub found_unknown: usize,
    /// Reported with metadata.
    pub fetched: usize,
    /// Shown and fetchable ones that were reported with metadata.
    pub fetched_shown: usize,
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

impl Report {
    /// Share of the shown infohashes that were reported; 1 if none was shown.
    pub fn coverage(&self) -> f64 {
        share(self.found_shown, self.shown)
    }

    /// Share of the shown and fetchable infohashes that were reported with metadata; 1 if there was none.
    pub fn fetch_rate(&self) -> f64 {
        share(self.fetched_shown, self.shown_fetchable)
    }

    /// get_peers queries for each shown infohash with peers.
    pub fn get_peers_per_infohash(&self) -> f64 {
        self.counts.queries.get_peers as f64 / self.shown_with_peers.max(1) as f64
    }

    /// sample_infohashes queries that reached sampling nodes, for each of these nodes that gave a sample.
    pub fn samples_per_sampler(&self) -> f64 {
        self.counts.samples_to_samplers as f64 / self.counts.samplers.max(1) as f64
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
            .filter(|key| population.fetchable(key))
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
        report.shown_fetchable += usize::from(population.fetchable(key));
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
        if fetched.insert(row.infohash) {
            report.fetched_shown += usize::from(shown && truth.fetchable);
        }
        let told = (
            &*clean(&truth.name),
            truth.file_count,
            truth.total_bytes,
            truth.piece_length,
        );
        if !truth.fetchable || told != (&row.name, row.file_count, row.total_bytes, row.piece_length) {
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
            "shown and fetchable: {} infohashes, of which {} were fetched ({:.2} %); rows that differ from the truth: {}",
            self.shown_fetchable,
            self.fetched_shown,
            percent(self.fetch_rate()),
            self.wrong
        )?;
        writeln!(
            f,
            "cost: {:.2} get_peers per infohash with peers, {:.3} sampling queries per sampling node",
            self.get_peers_per_infohash(),
            self.samples_per_sampler()
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
