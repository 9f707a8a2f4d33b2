//! Neighbours in the XOR metric, from an array sorted by id.

use std::ops::Range;

use wire::NodeId;

/// How far something is in the XOR metric, by the first 64 bits, and where it is in its array. Among millions of even ids no two
/// are as near as that to one target; if they were, the first would count as nearer.
pub(crate) type Near = (u64, u32);

/// How far an id is from another, as in [`Near`].
pub(crate) fn far(one: &NodeId, other: &NodeId) -> u64 {
    leading_word(one) ^ leading_word(other)
}

/// Something that has a place in the key space.
pub(crate) trait Placed {
    fn id(&self) -> &NodeId;
}

impl Placed for NodeId {
    fn id(&self) -> &NodeId {
        self
    }
}

/// The first of `len` sorted things that is not `below`, if they are spread evenly and `guess` of 2^64 of them are below:
/// among millions, what is looked at then lies close together.
pub(crate) fn first_from(len: usize, guess: u64, below: impl Fn(usize) -> bool) -> usize {
    let at = ((guess as u128 * len as u128) >> 64) as usize;
    // `from` is 0 or behind one that is below; `until` is the end or one that is not.
    let (mut from, mut until, mut step) = (at, at, 16);
    while from > 0 && !below(from - 1) {
        (until, from, step) = (from - 1, from.saturating_sub(step), step * 2);
    }
    step = 16;
    while until < len && below(until) {
        (from, until, step) = (until + 1, (until + step).min(len), step * 2);
    }
    while from < until {
        let middle = from + (until - from) / 2;
        if below(middle) {
            from = middle + 1;
        } else {
            until = middle;
        }
    }
    from
}

/// The first 64 bits of an id: how much of the key space lies before it.
pub(crate) fn leading_word(id: &NodeId) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *id.as_bytes();
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// The items that share at least `bits` leading bits with `target`: a run of the sorted array.
pub(crate) fn sharing<T: Placed>(sorted: &[T], target: &NodeId, bits: u32) -> Range<usize> {
    sharing_among(sorted, 0, target, bits)
}

/// The same where all items share their first `common` bits, and are spread evenly by those that follow.
fn sharing_among<T: Placed>(sorted: &[T], common: u32, target: &NodeId, bits: u32) -> Range<usize> {
    let (mut low, mut high) = (*target.as_bytes(), *target.as_bytes());
    let mut left = bits;
    for (low, high) in low.iter_mut().zip(&mut high) {
        let mask = 0xff_u8.checked_shr(left).unwrap_or(0);
        *low &= !mask;
        *high |= mask;
        left = left.saturating_sub(8);
    }
    let (low, high) = (NodeId::new(low), NodeId::new(high));
    let guess = |id| leading_word(id).checked_shl(common).unwrap_or(0);
    // By words first: nearly all ids differ in these, and to compare bytes takes a call.
    let order = |at: usize, bound: &NodeId| {
        let id = sorted[at].id();
        leading_word(id).cmp(&leading_word(bound)).then_with(|| id.cmp(bound))
    };
    let start = first_from(sorted.len(), guess(&low), |at| order(at, &low).is_lt());
    let end = first_from(sorted.len(), guess(&high), |at| order(at, &high).is_le());
    start..end
}

/// Puts the `count` items nearest to `target` into `out` with their positions, nearest first; fewer if there are fewer.
pub(crate) fn nearest<T: Placed>(sorted: &[T], target: &NodeId, count: usize, out: &mut Vec<Near>) {
    out.clear();
    // A run of all that share so many bits holds the nearest; the longest prefix with enough of them holds few more.
    let common = match sorted {
        [first, .., last] => first.id().common_prefix(last.id()),
        _ => 0,
    };
    let mut bits = common + (sorted.len() / count.max(1)).checked_ilog2().unwrap_or(0) + 2;
    let mut run = sharing_among(sorted, common, target, bits);
    while run.len() < count && bits > 0 {
        bits -= 1;
        run = sharing_among(sorted, common, target, bits);
    }
    out.extend(run.map(|at| (far(target, sorted[at].id()), at as u32)));
    if out.len() > count {
        out.select_nth_unstable(count);
        out.truncate(count);
    }
    out.sort_unstable();
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
            let mut all: Vec<_> = (0..500).map(|at| (far(target, &sorted[at as usize]), at)).collect();
            all.sort_unstable_by_key(|(_, at)| target.distance(&sorted[*at as usize]));
            let mut found = Vec::new();
            for count in [1, 8, 40, 600] {
                nearest(&sorted, target, count, &mut found);
                assert_eq!(found, all[..count.min(500)]);
            }
        }
    }

    #[test]
    fn nearest_agrees_with_a_full_sort_among_those_of_one_prefix() {
        let sorted: Vec<NodeId> = ids(4000).into_iter().filter(|id| id.as_bytes()[0] == 0x5a).collect();
        assert!(sorted.len() > 8);
        let mut found = Vec::new();
        // Some of the targets have the prefix, most have not.
        for target in ids(300).iter().chain(&sorted) {
            let mut all: Vec<_> = (0..).zip(&sorted).map(|(at, id)| (far(target, id), at)).collect();
            all.sort_unstable();
            nearest(&sorted, target, 5, &mut found);
            assert_eq!(found, all[..5]);
        }
    }

    #[test]
    fn the_first_is_found_whatever_the_guess() {
        let sorted = [1, 3, 3, 3, 8, 9, 20];
        for wanted in 0..22 {
            for guess in [0, 1 << 62, u64::MAX] {
                let found = first_from(sorted.len(), guess, |at| sorted[at] < wanted);
                assert_eq!(found, sorted.partition_point(|item| *item < wanted));
            }
        }
        assert_eq!(first_from(0, 7, |_| true), 0);
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
