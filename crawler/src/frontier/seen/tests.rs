//! The seen set, held against an ordered map.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn set() -> SeenSet {
    SeenSet::new(Seed::from_number(1))
}

/// Fingerprints without hashing, so that a test can crowd them.
fn crowded() -> impl Strategy<Value = Fingerprint> {
    prop_oneof![
        any::<u64>().prop_map(Fingerprint),
        // Neighbours at both ends of a shard: the tail and zero tags.
        (0..4u64, 0..40u64).prop_map(|(shard, low)| Fingerprint((shard << 58) | low)),
        (0..4u64, 0..40u64).prop_map(|(shard, low)| Fingerprint(((shard + 1) << 58) - 1 - low)),
    ]
}

#[derive(Clone, Debug)]
enum Step {
    Note(Fingerprint),
    Set(Fingerprint, Standing),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let standing = prop_oneof![
        Just(Standing::Idle),
        Just(Standing::Pending),
        Just(Standing::GivenUp),
        Just(Standing::Done)
    ];
    let step = prop_oneof![
        3 => crowded().prop_map(Step::Note),
        1 => (crowded(), standing).prop_map(|(fingerprint, standing)| Step::Set(fingerprint, standing)),
    ];
    prop::collection::vec(step, 0..600)
}

proptest! {
    #[test]
    fn agrees_with_an_ordered_map(steps in steps()) {
        let mut seen = set();
        let mut model = BTreeMap::<Fingerprint, (Standing, u8)>::new();
        for step in steps {
            match step {
                Step::Note(fingerprint) => {
                    let known = model.contains_key(&fingerprint);
                    let entry = model.entry(fingerprint).or_insert((Standing::Idle, 0));
                    entry.1 = (entry.1 + 1).min(7);
                    let noted = Noted { standing: entry.0, sightings: entry.1, known };
                    prop_assert_eq!(seen.note(fingerprint), noted);
                }
                Step::Set(fingerprint, standing) => {
                    seen.set(fingerprint, standing);
                    match model.get_mut(&fingerprint) {
                        Some(entry) => entry.0 = standing,
                        None => drop(model.insert(fingerprint, (standing, 0))),
                    }
                }
            }
            prop_assert_eq!(seen.len(), model.len());
        }
        for &fingerprint in model.keys() {
            prop_assert!(seen.contains(fingerprint));
        }
        check_order(&seen);
    }
}

/// Each shard is ordered, and no word has an empty slot between its home and itself.
fn check_order(seen: &SeenSet) {
    for shard in &seen.shards {
        let words: Vec<u64> = (0..shard.slots.len()).filter_map(|at| shard.slots.get(at)).collect();
        let full = || words.iter().enumerate().filter(|&(_, &word)| word != 0);
        assert!(full().is_sorted_by_key(|(_, &word)| word));
        assert_eq!(full().count(), shard.len);
        for (at, &word) in full() {
            let home = Shard::home(word & TAG, shard.homes);
            assert!(home <= at && !words[home..at].contains(&0));
        }
    }
}

#[test]
fn never_more_than_twelve_bytes_beyond_a_small_floor() {
    let floor = (1 << SHARD_BITS) * (SEGMENT + TAIL) * size_of::<u64>();
    let mut seen = set();
    for number in 0..300_000u64 {
        seen.note(Fingerprint(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        assert!(
            seen.bytes() <= 12 * seen.len() + floor,
            "{} at {}",
            seen.bytes(),
            seen.len()
        );
    }
    check_order(&seen);
}

#[test]
fn a_crowd_past_the_last_home_is_found_again() {
    let mut seen = set();
    let crowd = || (0..500).map(|low| Fingerprint(u64::MAX - low));
    for fingerprint in crowd() {
        assert!(!seen.note(fingerprint).known);
    }
    assert!(crowd().all(|fingerprint| seen.note(fingerprint).known));
    check_order(&seen);
}

#[test]
fn sightings_saturate_and_leave_the_standing_alone() {
    let mut seen = set();
    let fingerprint = Fingerprint(0);
    seen.set(fingerprint, Standing::Done);
    for _ in 0..40 {
        seen.note(fingerprint);
    }
    let noted = seen.note(fingerprint);
    assert_eq!((noted.sightings, noted.standing), (7, Standing::Done));
}

#[test]
fn another_seed_gives_other_fingerprints() {
    let info_hash = InfoHash::new([7; 20]);
    let other = SeenSet::new(Seed::from_number(2));
    assert_ne!(set().fingerprint(&info_hash), other.fingerprint(&info_hash));
}
