//! The bias of libtorrent's samples (network-model 4.7, quirk 1 of section 1.E).
//!
//! libtorrent goes through its store in the order of infohashes and takes one if a number in `0..=left` is at most what is still
//! wanted. So it takes each with a chance of (wanted+1)/(left+1) instead of wanted/left, has its sample too early, and seldom comes to the end of its
//! store: the last tenth gets 0.6 to 0.8 of the fair chance.

/// What the place in a sample says: for each rank, from 0, the mean of the inverse of the true chance, divided by
/// the inverse of the fair one. Their mean is 1. `stored` is bounded by what libtorrent keeps.
pub fn weights(stored: u32, shown: u32) -> Vec<f64> {
    let (stored, shown) = (stored.min(STORE_MAX) as usize, shown as usize);
    if shown == 0 || stored <= shown {
        return vec![1.0; shown];
    }
    // The chance that so many are still wanted when the walk comes to a place of the store; and for each rank, of this place
    // being the one shown there.
    let mut wanted = vec![0.0; shown + 1];
    wanted[shown] = 1.0;
    let mut weights = vec![0.0; shown];
    let mut taken = vec![0.0; shown];
    for place in 0..stored {
        let left = (stored - place) as f64;
        let mut chance = 0.0;
        for want in 1..=shown {
            let take = wanted[want] * ((want as f64 + 1.0) / (left + 1.0)).min(1.0);
            taken[shown - want] = take;
            chance += take;
            wanted[want] -= take;
            wanted[want - 1] += take;
        }
        if chance > 0.0 {
            for (weight, take) in weights.iter_mut().zip(&taken) {
                *weight += take / chance;
            }
        }
    }
    let fair = stored as f64 / shown as f64;
    weights.iter_mut().for_each(|weight| *weight /= fair);
    weights
}

/// Keys that libtorrent stores at most (network-model 1.E).
pub const STORE_MAX: u32 = 2_000;

#[cfg(test)]
mod tests {
    use rand::RngExt;
    use world::Seed;

    use super::*;
    use crate::testing::Rand;

    /// One sample, as libtorrent takes it.
    fn sample(rng: &mut Rand, stored: usize, shown: usize) -> Vec<usize> {
        let mut sample = Vec::new();
        for place in 0..stored {
            let left = stored - place;
            if sample.len() < shown && rng.random_range(0..=left) <= shown - sample.len() {
                sample.push(place);
            }
        }
        sample
    }

    #[test]
    fn weighted_samples_give_every_part_of_the_store_its_due() {
        let (stored, shown, rounds) = (130, 20, 6_000);
        let weights = weights(stored, shown);
        let mut rng = Seed::from_number(1).rng();
        let (mut raw, mut due) = ([0.0; 2], [0.0; 2]);
        for _ in 0..rounds {
            for (place, weight) in sample(&mut rng, stored as usize, shown as usize).iter().zip(&weights) {
                let late = usize::from(*place >= 117);
                raw[late] += 1.0;
                due[late] += weight;
            }
        }
        let last = |counts: [f64; 2]| counts[1] / (counts[0] + counts[1]) / 0.1;
        // Raw: 0.66 of the fair share (quirk 1). The rank says only about where in the store a key was.
        assert!((0.62..0.70).contains(&last(raw)), "{}", last(raw));
        assert!(last(due) > last(raw) + 0.1, "{}", last(due));
    }

    #[test]
    fn weights_have_the_mean_one_and_rise_towards_the_end() {
        for (stored, shown) in [(40, 20), (130, 20), (500, 20), (9_000_000, 20)] {
            let weights = weights(stored, shown);
            let mean = weights.iter().sum::<f64>() / weights.len() as f64;
            assert!((mean - 1.0).abs() < 0.001, "{stored}: {mean}");
            assert!(weights[19] > 1.1 && weights[0] < 1.0, "{stored}: {weights:?}");
        }
        assert_eq!(weights(7, 7), [1.0; 7]);
        assert!(weights(100, 0).is_empty());
    }
}
