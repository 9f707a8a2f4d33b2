//! An answer to `sample_infohashes`, checked (BEP 51).

use wire::InfoHash;
use wire::krpc::Reply;

use crate::ledger::USUAL_SAMPLE;
use crate::{Contact, Sighting, Source};

/// Infohashes taken from one answer: more than an unfragmented datagram holds beside its nodes. Of more, the first count.
pub const MAX_SAMPLES: usize = 64;

/// The longest interval that BEP 51 allows, in seconds; a longer one counts as this.
pub const MAX_INTERVAL: u32 = 21_600;

/// What an answer showed, sorted and without repetitions.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    from: Contact,
    num: i64,
    interval: u32,
    len: usize,
    sorted: [InfoHash; MAX_SAMPLES],
    oversized: bool,
}

impl Sample {
    /// The sample in an answer from `from`; `None` if it has none. A ragged tail of the string is ignored (DHT-02).
    pub(super) fn read(from: Contact, reply: &Reply<'_>) -> Option<Self> {
        reply.samples?;
        let shown = reply.samples();
        let mut sorted = [InfoHash::new([0; 20]); MAX_SAMPLES];
        let oversized = shown.len() > MAX_SAMPLES;
        let mut len = 0;
        for (slot, info_hash) in sorted.iter_mut().zip(shown) {
            *slot = info_hash;
            len += 1;
        }
        sorted[..len].sort_unstable();
        let mut kept = 0;
        for at in 0..len {
            if at == 0 || sorted[at] != sorted[at - 1] {
                sorted[kept] = sorted[at];
                kept += 1;
            }
        }
        let interval = reply.interval.unwrap_or(0).clamp(0, i64::from(MAX_INTERVAL));
        Some(Self {
            from,
            num: reply.num.filter(|&num| num >= 0).unwrap_or(-1),
            interval: interval as u32,
            len: kept,
            sorted,
            oversized,
        })
    }

    /// The infohashes, sorted.
    pub fn info_hashes(&self) -> &[InfoHash] {
        &self.sorted[..self.len]
    }

    /// How many infohashes the node says it stores, unchecked; -1 if it did not say.
    pub const fn num(&self) -> i64 {
        self.num
    }

    /// Seconds until the node's sample changes, as it says, within the bounds of BEP 51.
    pub const fn interval(&self) -> u32 {
        self.interval
    }

    /// One sighting for each infohash, with the figures that a weighted estimate needs (crawlers R3).
    pub fn sightings(&self) -> impl Iterator<Item = Sighting> {
        (0..).zip(self.info_hashes()).map(|(rank, &info_hash)| Sighting {
            info_hash,
            from: self.from,
            source: Source::Sample {
                num: self.num,
                sample_size: self.len as u16,
                rank,
                interval: self.interval,
            },
        })
    }

    /// It held more than [`MAX_SAMPLES`].
    pub(super) const fn is_oversized(&self) -> bool {
        self.oversized
    }

    /// Whether `num` agrees with what was shown: all, if that is at most 20, and otherwise 20 at least
    /// (network-model 4.7). A number that does not is not believed.
    pub(super) fn is_plausible(&self) -> bool {
        let shown = self.len as i64;
        shown == self.num || shown >= i64::from(USUAL_SAMPLE) && shown <= self.num
    }

    /// How many infohashes the node stores, as far as it is believed.
    pub(super) fn believed_num(&self) -> u16 {
        let num = if self.is_plausible() { self.num } else { self.len as i64 };
        u16::try_from(num).unwrap_or(u16::MAX)
    }

    /// Whether the infohashes lie too far from the node to be what it stores, in a network of about `nodes` nodes: half of
    /// an honest node's keys share log₂(M / num) + 1 bits with its id or more (M keys in all, network-model 4.7), and
    /// M / num is about nodes / holders. Flagged below half of that, in samples large enough to tell.
    pub(super) fn is_far_fetched(&self, nodes: usize) -> bool {
        let expected = (nodes / HOLDERS).max(1).ilog2() + 1;
        if self.len < MIN_JUDGED || expected < MIN_EXPECTED {
            return false;
        }
        let near = |info_hash: &&InfoHash| info_hash.as_target().common_prefix(&self.from.id) * 2 >= expected;
        self.info_hashes().iter().filter(near).count() * 2 < self.len
    }
}

/// Nodes that hold a key (network-model F6).
const HOLDERS: usize = 10;
/// Samples smaller than this are not judged by their median.
const MIN_JUDGED: usize = 8;
/// Nor is any in a network so small that an honest median is as short as this, in bits.
const MIN_EXPECTED: u32 = 6;

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use wire::NodeId;

    use super::*;

    fn node() -> Contact {
        Contact {
            id: NodeId::new([0xaa; 20]),
            addr: SocketAddr::from(([127, 0, 0, 1], 6881)),
        }
    }

    fn read(samples: &[u8], num: i64, interval: i64) -> Sample {
        let reply = Reply {
            samples: Some(samples),
            num: Some(num),
            interval: Some(interval),
            ..Reply::new(node().id)
        };
        Sample::read(node(), &reply).unwrap()
    }

    fn hashes(firsts: impl IntoIterator<Item = u8>) -> Vec<u8> {
        firsts
            .into_iter()
            .flat_map(|first| {
                let mut bytes = [0; 20];
                bytes[0] = first;
                bytes
            })
            .collect()
    }

    #[test]
    fn ranks_are_positions_in_sorted_order_without_repetitions() {
        let sample = read(&hashes([3, 1, 2, 1]), 3, 0);
        let ranks: Vec<_> = sample
            .sightings()
            .map(|sighting| match sighting.source {
                Source::Sample { rank, sample_size, .. } => (sighting.info_hash.as_bytes()[0], rank, sample_size),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(ranks, [(1, 0, 3), (2, 1, 3), (3, 2, 3)]);
    }

    #[test]
    fn an_answer_without_samples_is_no_sample_and_an_empty_one_is() {
        assert!(Sample::read(node(), &Reply::new(node().id)).is_none());
        assert!(read(&[], 0, 0).info_hashes().is_empty());
    }

    #[test]
    fn a_ragged_tail_and_what_is_beyond_the_bound_are_ignored() {
        let mut bytes = hashes(0..100);
        bytes.push(7);
        let sample = read(&bytes, 100, 0);
        assert_eq!((sample.info_hashes().len(), sample.is_oversized()), (MAX_SAMPLES, true));
    }

    #[test]
    fn intervals_stay_within_the_bounds_of_bep_51() {
        assert_eq!(read(&[], 0, -5).interval(), 0);
        assert_eq!(read(&[], 0, i64::MAX).interval(), MAX_INTERVAL);
    }

    #[test]
    fn a_number_is_believed_if_it_agrees_with_what_is_shown() {
        for (shown, num, believed) in [
            (5, 5, 5),
            (20, 400, 400),
            (20, i64::MAX, u16::MAX),
            (30, 31, 31),
            (5, 400, 5),
            (20, 3, 20),
            (5, -7, 5),
        ] {
            let sample = read(&hashes(0..shown), num, 0);
            assert_eq!(sample.believed_num(), believed, "{shown} shown of {num}");
        }
    }

    #[test]
    fn samples_from_all_over_the_key_space_are_flagged() {
        let spread = read(&hashes((0..20).map(|part| part * 12)), 20, 0);
        assert!(spread.is_far_fetched(1_000_000));
        assert!(!spread.is_far_fetched(100));
        let mut near = Vec::new();
        for last in 0..20 {
            near.extend_from_slice(&[0xaa; 19]);
            near.push(last);
        }
        assert!(!read(&near, 20, 0).is_far_fetched(1_000_000));
    }
}
