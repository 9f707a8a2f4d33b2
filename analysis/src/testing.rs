//! Whether intervals hold what they should, over many seeds.

use world::Seed;

/// The generator of a seed.
pub(crate) type Rand = rand::rngs::ChaCha8Rng;

/// Asserts that `holds` is true for the share `at_least` of `seeds` seeds, less what chance takes off (three standard deviations).
pub(crate) fn covered(seeds: u64, at_least: f64, mut holds: impl FnMut(Seed) -> bool) {
    let held = (0..seeds).filter(|&seed| holds(Seed::from_number(seed))).count();
    let (share, of) = (held as f64 / seeds as f64, seeds as f64);
    let slack = 3.0 * (at_least * (1.0 - at_least) / of).sqrt();
    assert!(share >= at_least - slack, "{held} of {seeds}");
}
