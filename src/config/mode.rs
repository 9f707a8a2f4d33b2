//! What a crawl is after, in numbers.

use std::time::Duration;

use crawler::sampler;

use super::Net;
use crate::args::{CrawlArgs, Mode};

/// What one infohash may cost in a round.
#[derive(Clone, Copy, Debug)]
struct Effort {
    /// Nodes asked for its peers (crawlers R5).
    lookup_queries: u32,
    /// Peers dialled, unless the user says how many.
    attempts: u32,
    /// Dials at once to begin with.
    start: usize,
    /// Between two dials.
    stagger: Duration,
    /// Whether there are further rounds.
    retries: bool,
    /// Infohashes that wait while nobody is sampled.
    backlog: usize,
}

impl Mode {
    const fn effort(self) -> Effort {
        match self {
            // One that showed it, and two of the replicas that it names (FEATURES CRL-07). Ten peers by default (crawlers
            // R7), where FEATURES CRL-04 has 5, which is too few (tests/reach).
            Self::Thorough | Self::Census => Effort {
                lookup_queries: 3,
                attempts: 10,
                start: 2,
                stagger: Duration::from_millis(750),
                retries: true,
                // A tenth of what the frontier holds: discovery outruns fetching 10 to 100 times (network-model 7).
                backlog: 10_000,
            },
            // Of what is fetched with three nodes asked, one node alone gives two thirds, two give nearly nine tenths. Three
            // dials instead of ten, one at a time and each given its second and a half, lose a tenth and save a quarter of
            // the SYNs. Further rounds bring a tenth more, for more than as many queries again (sim/POLICIES.md).
            Self::Harvest => Effort {
                lookup_queries: 2,
                attempts: 3,
                start: 1,
                stagger: Duration::from_millis(1_500),
                retries: false,
                // Two seconds of work at 500 queries/s: who is asked for peers meanwhile shows that it is alive and what it
                // runs, and is sampled next with hardly a query in vain.
                backlog: 500,
            },
        }
    }
}

/// Nodes asked for the peers of an infohash in its first round.
pub(super) const fn lookup_queries(args: &CrawlArgs) -> u32 {
    args.mode.effort().lookup_queries
}

/// The survey of other nodes' stores that a crawl makes.
pub fn sampling_of_a_crawl(net: &Net, args: &CrawlArgs) -> sampler::Config {
    let zones = sampler::ZonesConfig {
        // Eight times as many as hold a key (network-model F6), so that hardly any holder is beyond the border; with the
        // usual 64 zones, 6,400 nodes, which tell the whole within 3% (network-model 4.1d).
        nodes: 100,
        // Each waits five minutes for its silent nodes; 16 of them are 3,000 questions in that time, a fifth of a home line.
        at_once: 16,
        most: args.zones as usize,
    };
    sampler::Config {
        zones: (args.mode == Mode::Census).then_some(zones),
        ..super::sampling(net)
    }
}

/// Infohashes that wait while nobody is sampled.
pub(super) const fn pause_sampling_at(args: &CrawlArgs) -> usize {
    args.mode.effort().backlog
}

/// Whether an infohash gets further rounds.
pub const fn has_retries(args: &CrawlArgs) -> bool {
    args.mode.effort().retries && !args.no_retries
}

/// The metadata mind of a crawl.
pub fn pool_of_a_crawl(net: &Net, args: &CrawlArgs) -> fetcher::Config {
    let effort = args.mode.effort();
    let attempts = args.metadata_peer_attempts.unwrap_or(effort.attempts);
    let mut pool = super::pool(net, attempts, args.peers_per_infohash);
    pool.dialling.start = effort.start;
    pool.dialling.stagger = effort.stagger;
    pool
}
