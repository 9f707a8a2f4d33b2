//! The pickable pieces in one array, the best bucket first, in random order within a bucket.
//!
//! A piece whose bucket changes jumps over the buckets between: at each it trades places with the one at the edge, so
//! a change costs what the non-empty buckets between cost, and never depends on the number of pieces. 8 bytes a piece.

use rand::Rng;
use rand::rngs::ChaCha8Rng;
use world::Seed;

use super::index;

/// The place of a piece that is not ranked.
const NOWHERE: u32 = u32::MAX;

/// The last bucket of pieces whose level comes before any availability: 7.
pub(super) const URGENT: u32 = 1;
/// The bucket of begun pieces while these go first.
pub(super) const BEGUN: u32 = 2;
/// The bucket of level 6: as rare as can be.
const RARE: u32 = 3;
/// The first bucket of pieces that no peer has but seeds, and the last.
pub(super) const UNHELD: (u32, u32) = (4, 7);
/// Buckets for each availability.
const STEPS: u32 = 4;

/// Which bucket a piece that may be picked belongs in: the lower, the sooner (PICK-06).
///
/// Level 7 is before all, level 6 next to it, whatever their availability. The rest goes by availability (of which seeds
/// are no part: they have everything), and within one availability: 4 and 5; 3, and begun pieces; 2; 1. With `begun_first`
/// (PICK-17), begun pieces of levels 1 to 6 come before all that is not begun but level 7.
pub(super) fn bucket_of(level: u8, availability: u16, begun: bool, begun_first: bool) -> u32 {
    let step = match level {
        7.. => return if begun { 0 } else { URGENT },
        _ if begun && begun_first => return BEGUN,
        6 => return RARE,
        4 | 5 => 0,
        3 => 1,
        _ if begun => 1,
        2 => 2,
        _ => 3,
    };
    UNHELD.0 + STEPS * u32::from(availability) + step
}

/// See the module.
#[derive(Debug)]
pub(super) struct Ranking {
    order: Vec<u32>,
    /// Where in `order` each piece stands.
    place: Box<[u32]>,
    /// Where in `order` each bucket ends.
    ends: Vec<u32>,
    rng: ChaCha8Rng,
}

impl Ranking {
    /// No piece of so many.
    pub(super) fn new(pieces: u32, seed: Seed) -> Self {
        Self {
            order: Vec::new(),
            place: vec![NOWHERE; index(pieces)].into(),
            ends: Vec::new(),
            rng: seed.rng(),
        }
    }

    /// The piece at a place.
    pub(super) fn at(&self, place: u32) -> Option<u32> {
        self.order.get(index(place)).copied()
    }

    /// The place of a piece, or a number beyond all places.
    pub(super) fn place(&self, piece: u32) -> u32 {
        self.place.get(index(piece)).copied().unwrap_or(NOWHERE)
    }

    /// Pieces ranked.
    pub(super) fn len(&self) -> u32 {
        u32::try_from(self.order.len()).unwrap_or(NOWHERE)
    }

    /// The first place behind a bucket.
    pub(super) fn end(&self, bucket: u32) -> u32 {
        self.ends.get(index(bucket)).copied().unwrap_or_else(|| self.len())
    }

    /// The first place of a bucket.
    pub(super) fn start(&self, bucket: u32) -> u32 {
        bucket.checked_sub(1).map_or(0, |before| self.end(before))
    }

    /// Moves a piece from one bucket to another; `None` is out of the ranking. The caller knows where it is.
    pub(super) fn shift(&mut self, piece: u32, from: Option<u32>, to: Option<u32>) {
        if from == to {
            return;
        }
        let mut grown = u32::try_from(self.ends.len()).unwrap_or(NOWHERE);
        if let Some(to) = to.filter(|&to| to >= grown) {
            grown = to + 1;
            self.ends.resize(index(grown), self.len());
        }
        // Beyond the last bucket stands who comes in or goes out.
        let place = if from.is_some() {
            self.place(piece)
        } else {
            let place = self.len();
            self.order.push(piece);
            place
        };
        let (from, to) = (from.unwrap_or(grown), to.unwrap_or(grown));
        let hole = match from < to {
            true => self.later(place, from, to),
            false => self.sooner(place, to, from),
        };
        if to == grown {
            self.order.pop();
            self.note(piece, NOWHERE);
            return;
        }
        // Which of the places of its bucket it gets is chance.
        let (start, size) = (self.start(to), self.end(to) - self.start(to));
        let chosen = start + self.below(size);
        self.carry(chosen, hole);
        self.put(piece, chosen);
    }

    /// Moves a hole towards the end, over the ends of the buckets `from..to`; returns where it is then.
    fn later(&mut self, mut hole: u32, from: u32, to: u32) -> u32 {
        for bucket in from..to {
            let Some(end) = self.ends.get_mut(index(bucket)) else {
                break;
            };
            *end -= 1;
            let last = *end;
            self.carry(last, hole);
            hole = last;
        }
        hole
    }

    /// Moves a hole towards the front, over the ends of the buckets `to..from`, the last first.
    fn sooner(&mut self, mut hole: u32, to: u32, from: u32) -> u32 {
        for bucket in (to..from).rev() {
            let Some(end) = self.ends.get_mut(index(bucket)) else {
                break;
            };
            let first = *end;
            *end += 1;
            self.carry(first, hole);
            hole = first;
        }
        hole
    }

    /// Moves whoever is at `from` to `to`.
    fn carry(&mut self, from: u32, to: u32) {
        if from != to
            && let Some(piece) = self.at(from)
        {
            self.put(piece, to);
        }
    }

    fn put(&mut self, piece: u32, place: u32) {
        if let Some(at) = self.order.get_mut(index(place)) {
            *at = piece;
        }
        self.note(piece, place);
    }

    fn note(&mut self, piece: u32, place: u32) {
        if let Some(at) = self.place.get_mut(index(piece)) {
            *at = place;
        }
    }

    /// Ranks all pieces anew, each in the bucket that `bucket` says, shuffled. For changes of many pieces at once: it
    /// costs a pass over all, and no jumps.
    pub(super) fn rebuild(&mut self, bucket: impl Fn(u32) -> Option<u32>) {
        let pieces = u32::try_from(self.place.len()).unwrap_or(NOWHERE);
        self.ends.clear();
        for bucket in (0..pieces).filter_map(&bucket) {
            if self.ends.len() <= index(bucket) {
                self.ends.resize(index(bucket) + 1, 0);
            }
            if let Some(count) = self.ends.get_mut(index(bucket)) {
                *count += 1;
            }
        }
        // From counts to starts; filling the buckets turns starts into ends.
        let mut total = 0;
        for count in &mut self.ends {
            total += std::mem::replace(count, total);
        }
        self.order.clear();
        self.order.resize(index(total), 0);
        self.place.fill(NOWHERE);
        for piece in 0..pieces {
            if let Some(bucket) = bucket(piece)
                && let Some(next) = self.ends.get_mut(index(bucket))
            {
                let place = *next;
                *next += 1;
                self.put(piece, place);
            }
        }
        self.shuffle();
    }

    fn shuffle(&mut self) {
        let mut start = 0;
        for bucket in 0..self.ends.len() {
            let end = self.ends.get(bucket).copied().unwrap_or(start);
            for place in start..end {
                let other = place + self.below(end - place);
                if let (Some(one), Some(two)) = (self.at(place), self.at(other)) {
                    self.put(two, place);
                    self.put(one, other);
                }
            }
            start = end;
        }
    }

    /// A number below `bound`, each as likely; 0 for 0.
    pub(super) fn below(&mut self, bound: u32) -> u32 {
        let drawn = u64::from(self.rng.next_u32()) * u64::from(bound);
        u32::try_from(drawn >> 32).unwrap_or(0)
    }

    /// That order and places agree, and each ranked piece is in its bucket.
    #[cfg(test)]
    pub(super) fn check(&self, bucket: impl Fn(u32) -> Option<u32>) {
        let mut ranked = 0;
        for piece in 0..u32::try_from(self.place.len()).unwrap() {
            let place = self.place(piece);
            let Some(bucket) = bucket(piece) else {
                assert_eq!(place, NOWHERE, "piece {piece} is ranked");
                continue;
            };
            ranked += 1;
            assert_eq!(self.at(place), Some(piece));
            assert!((self.start(bucket)..self.end(bucket)).contains(&place), "piece {piece}");
        }
        assert_eq!(ranked, self.len());
        assert!(self.ends.is_sorted());
        assert!(self.ends.last().is_none_or(|&end| end == ranked));
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// The rank of a level among pieces of availability 3 that nobody has begun.
    fn level(level: u8) -> u32 {
        bucket_of(level, 3, false, false)
    }

    #[test]
    fn a_higher_level_is_never_later() {
        for first in [false, true] {
            for begun in [false, true] {
                for availability in 0..5 {
                    let ranks = (1..=7).map(|level| bucket_of(level, availability, begun, first));
                    assert!(ranks.rev().is_sorted());
                }
            }
        }
    }

    #[test]
    fn level_2_is_before_level_1_of_the_same_availability_only() {
        assert!(level(2) < level(1));
        assert!(level(2) > bucket_of(1, 2, false, false));
    }

    #[test]
    fn level_3_is_as_likely_as_a_begun_piece() {
        assert_eq!(level(3), bucket_of(1, 3, true, false));
    }

    #[test]
    fn levels_4_and_5_are_before_begun_pieces_but_not_before_lower_availability() {
        assert_eq!(level(4), level(5));
        assert!(level(4) < bucket_of(1, 3, true, false));
        assert!(level(4) > bucket_of(1, 2, false, false));
    }

    #[test]
    fn level_6_is_as_rare_as_a_single_copy() {
        assert_eq!(bucket_of(6, 9, false, false), bucket_of(6, 1, false, false));
        assert!(level(6) < bucket_of(5, 1, false, false));
    }

    #[test]
    fn level_7_knows_no_availability() {
        assert_eq!(level(7), bucket_of(7, 9, false, false));
        assert!(level(7) < bucket_of(6, 1, true, true));
    }

    #[test]
    fn a_newcomer_gets_any_place_of_its_bucket() {
        let places: std::collections::BTreeSet<u32> = (0..64)
            .map(|number| {
                let mut ranking = Ranking::new(4, Seed::from_number(number));
                (0..4).for_each(|piece| ranking.shift(piece, None, Some(5)));
                ranking.place(3)
            })
            .collect();
        assert_eq!(places.len(), 4);
    }

    #[test]
    fn a_rebuilt_bucket_is_in_any_order() {
        let firsts: std::collections::BTreeSet<u32> = (0..64)
            .filter_map(|number| {
                let mut ranking = Ranking::new(4, Seed::from_number(number));
                ranking.rebuild(|_| Some(2));
                ranking.at(0)
            })
            .collect();
        assert_eq!(firsts.len(), 4);
    }

    proptest! {
        #[test]
        fn pieces_stand_in_the_buckets_they_were_put_in(
            moves in vec((0..30_u32, proptest::option::of(0..12_u32)), 0..200),
            rebuild_at in 0..200_usize,
        ) {
            let mut buckets = vec![None; 30];
            let mut ranking = Ranking::new(30, Seed::from_number(1));
            for (turn, (piece, to)) in moves.into_iter().enumerate() {
                let from = std::mem::replace(&mut buckets[index(piece)], to);
                ranking.shift(piece, from, to);
                ranking.check(|piece| buckets[index(piece)]);
                if turn == rebuild_at {
                    ranking.rebuild(|piece| buckets[index(piece)]);
                    ranking.check(|piece| buckets[index(piece)]);
                }
            }
        }
    }
}
