//! Neighbours in the XOR metric, from an array sorted by id.

use std::ops::Range;

use wire::NodeId;
use wire::id::Distance;

/// Something that has a place in the key space.
pub(crate) trait Placed {
    fn id(&self) -> &NodeId;
}

impl Placed for NodeId {
    fn id(&self) -> &NodeId {
        self
    }
}

/// The items that share at least `bits` leading bits with `target`: a run of the sorted array.
pub(crate) fn sharing<T: Placed>(sorted: &[T], target: &NodeId, bits: u32) -> Range<usize> {
    let (mut low, mut high) = (*target.as_bytes(), *target.as_bytes());
    let mut left = bits;
    for (low, high) in low.iter_mut().zip(&mut high) {
        let mask = 0xff_u8.checked_shr(left).unwrap_or(0);
        *low &= !mask;
        *high |= mask;
        left = left.saturating_sub(8);
    }
    let (low, high) = (NodeId::new(low), NodeId::new(high));
    let start = sorted.partition_point(|item| *item.id() < low);
    let len = sorted[start..].partition_point(|item| *item.id() <= high);
    start..start + len
}

/// Puts the `count` items nearest to `target` into `out` with their positions, nearest first; fewer if there are fewer.
pub(crate) fn nearest<T: Placed>(sorted: &[T], target: &NodeId, count: usize, out: &mut Vec<(Distance, usize)>) {
    out.clear();
    // A run of all that share so many bits holds the nearest; the longest prefix with enough of them holds few more.
    let mut bits = (sorted.len() / count.max(1)).checked_ilog2().unwrap_or(0) + 2;
    let mut run = sharing(sorted, target, bits);
    while run.len() < count && bits > 0 {
        bits -= 1;
        run = sharing(sorted, target, bits);
    }
    out.extend(run.map(|at| (target.distance(sorted[at].id()), at)));
    out.sort_unstable();
    out.truncate(count);
}

#[cfg(test)]
mod tests {
    use rand::Rng;
    use world::Seed;

    use super::*;

    fn ids(count: usize) -> Vec<NodeId> {
        let mut rng = Seed::from_number(3).rng();
        let mut ids: Vec<NodeId> = (0..count)
            .map(|_| {
                let mut bytes = [0; 20];
                rng.fill_bytes(&mut bytes);
                NodeId::new(bytes)
            })
            .collect();
        ids.sort_unstable();
        ids
    }

    #[test]
    fn nearest_agrees_with_a_full_sort() {
        let (sorted, targets) = (ids(500), ids(20));
        for target in &targets {
            let mut all: Vec<_> = sorted
                .iter()
                .enumerate()
                .map(|(at, id)| (target.distance(id), at))
                .collect();
            all.sort_unstable();
            let mut found = Vec::new();
            for count in [1, 8, 40, 600] {
                nearest(&sorted, target, count, &mut found);
                assert_eq!(found, all[..count.min(500)]);
            }
        }
    }

    #[test]
    fn sharing_counts_common_prefixes() {
        let sorted = ids(300);
        for bits in [0, 1, 5, 8, 9, 160] {
            let expected = sorted.iter().filter(|id| id.common_prefix(&sorted[7]) >= bits).count();
            assert_eq!(sharing(&sorted, &sorted[7], bits).len(), expected);
        }
    }
}
