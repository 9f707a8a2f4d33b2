//! Facts as rows of the observation tables.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use analysis::rank;
use crawler::ledger::Client;
use crawler::observation::Observation;
use crawler::{Contact, Event as DhtEvent, Sighting, Source};
use store::observed::{self, Node, Peer, Sample};
use store::{Veil, fetches};
use wire::NodeId;
use wire::metainfo::Info;
use world::Member as _;

use crate::job::crawl::believed;
use crate::job::harvest::{Attempt, Harvested, Origin, Outcome};
use crate::report::client;

/// Weights of different stores that are remembered.
const WEIGHTS_MAX: usize = 4_096;

/// What is needed to shape rows.
pub(super) struct Shape {
    veil: Veil,
    /// Who answered last, and whether it is libtorrent: the sightings of its sample follow.
    last: Option<(SocketAddr, bool)>,
    /// Weights of libtorrent's samples, by the sizes of store and sample.
    weights: BTreeMap<(u32, u32), Vec<f64>>,
}

impl Shape {
    pub(super) const fn new(veil: Veil) -> Self {
        Self {
            veil,
            last: None,
            weights: BTreeMap::new(),
        }
    }

    /// Notes who answered.
    pub(super) fn heard(&mut self, observation: &Observation) {
        let version = Some(observation.version.as_bytes());
        self.last = Some((observation.addr, Client::of(version) == Client::Libtorrent));
    }

    pub(super) fn node(&self, time_ms: u64, observation: &Observation, out: &mut Vec<u8>) -> u64 {
        let version = observation.version.as_bytes();
        let row = Node {
            time_ms,
            id: &observation.id.map(|id| self.id(id)).unwrap_or_default(),
            addr: self.veil.addr(observation.addr),
            asked: observation.asked.label(),
            purpose: observation.purpose.label(),
            outcome: observation.outcome.label(),
            code: observation.code,
            rtt_ms: observation.rtt.map(|rtt| rtt.as_secs_f64() * 1e3),
            version: &client(version),
            num: observation.store.and_then(|store| store.num),
            shown: observation.store.map(|store| store.shown),
            interval: observation.store.and_then(|store| store.interval),
            far_fetched: observation.store.map(|store| store.far_fetched),
        };
        observed::put_node(&row, out);
        1
    }

    pub(super) fn sighting(&mut self, time_ms: u64, event: &DhtEvent, out: &mut Vec<u8>) -> u64 {
        let (sighting, name) = match event {
            DhtEvent::Sighting(sighting) => (sighting, None),
            DhtEvent::Announced { sighting, name, .. } => (sighting, name.as_deref()),
            _ => return 0,
        };
        let row = observed::Sighting {
            time_ms,
            info_hash: sighting.info_hash,
            source: match sighting.source {
                Source::Sample { .. } => "sample",
                Source::GetPeers => "get_peers",
                Source::Announce => "announce",
            },
            id: &self.id(sighting.from.id),
            addr: self.veil.addr(sighting.from.addr),
            sample: self.sample(sighting),
            name_hint: &String::from_utf8_lossy(name.unwrap_or_default()),
        };
        observed::put_sighting(&row, out);
        1
    }

    pub(super) fn peer(&self, time_ms: u64, event: &DhtEvent, out: &mut Vec<u8>) -> u64 {
        let (info_hash, peer, source, from, seed): (_, _, _, &Contact, _) = match event {
            DhtEvent::Peers {
                info_hash, peer, from, ..
            } => (*info_hash, *peer, "dht", from, None),
            DhtEvent::Announced {
                sighting, peer, seed, ..
            } => (sighting.info_hash, *peer, "announce", &sighting.from, Some(*seed)),
            _ => return 0,
        };
        let row = Peer {
            time_ms,
            info_hash,
            peer: self.veil.addr(peer),
            source,
            id: &self.id(from.id),
            addr: self.veil.addr(from.addr),
            seed,
        };
        observed::put_named(&row, out);
        1
    }

    pub(super) fn fetch(&self, time_ms: u64, attempt: &Attempt, out: &mut Vec<u8>) -> u64 {
        let millis = |span: std::time::Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let row = fetches::Row {
            time_ms,
            info_hash: attempt.info_hash,
            peer: self.veil.addr(attempt.peer),
            incoming: attempt.origin == Origin::Caller,
            via: attempt.via.map(world::Via::label),
            source: attempt.origin.label(),
            stage: attempt.reached.label(),
            result: attempt.result.map_or_else(fetcher::Failure::label, |()| "ok"),
            took_ms: millis(attempt.took),
            opened_ms: attempt.opened_after.map(millis),
            size: attempt.size,
            received: attempt.received,
            round: attempt.round.into(),
        };
        fetches::put_row(&row, out);
        1
    }

    #[expect(clippy::unused_self, reason = "as the others")]
    pub(super) fn files(&self, time_ms: u64, harvested: &Harvested, out: &mut Vec<u8>) -> u64 {
        let Outcome::Metadata(raw) = &harvested.outcome else {
            return 0;
        };
        let Ok(salvaged) = Info::salvage(raw) else { return 0 };
        let mut rows = 0;
        let files = salvaged.info.files().filter(|file| !file.pad);
        for (index, file) in (0..).zip(files.take(observed::FILES_MAX)) {
            let path = file.path_lossy();
            observed::put_file(time_ms, harvested.info_hash, (index, file.length, &path), out);
            rows += 1;
        }
        rows
    }

    fn id(&self, id: NodeId) -> String {
        self.veil.id(id).to_string()
    }

    /// What a sample says of one of its infohashes, and its weight: stored by shown, and for libtorrent the bias of its picking
    /// (network-model 4.7).
    fn sample(&mut self, sighting: &Sighting) -> Option<Sample> {
        let Source::Sample {
            num,
            sample_size,
            rank,
            interval,
        } = sighting.source
        else {
            return None;
        };
        let shown = u32::from(sample_size);
        let stored = believed(Some(num), sample_size);
        let fair = f64::from(stored) / f64::from(shown.max(1));
        let bias = if self.last == Some((sighting.from.addr, true)) {
            self.bias(stored, shown, rank)
        } else {
            1.0
        };
        Some(Sample {
            num,
            shown: sample_size,
            rank,
            interval,
            weight: fair * bias,
        })
    }

    fn bias(&mut self, stored: u32, shown: u32, rank: u16) -> f64 {
        if self.weights.len() >= WEIGHTS_MAX {
            self.weights.clear();
        }
        let weights = self
            .weights
            .entry((stored.min(rank::STORE_MAX), shown))
            .or_insert_with(|| rank::weights(stored, shown));
        weights.get(usize::from(rank)).copied().unwrap_or(1.0)
    }
}
