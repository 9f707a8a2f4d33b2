//! Where an axis has its ticks, and how a number is written at one.

/// Four to ten round numbers up to `most`.
pub(super) fn ticks(most: f64) -> impl Iterator<Item = f64> {
    let rough = most / 5.0;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| *step >= rough)
        .unwrap_or(rough);
    (0..=10)
        .map(move |tick| f64::from(tick) * step)
        .filter(move |tick| *tick <= most)
}

/// Powers of ten from one up to `most`.
pub(super) fn powers(most: f64) -> impl Iterator<Item = f64> {
    (0..=15)
        .map(|power| 10_f64.powi(power))
        .take_while(move |power| *power <= most.max(10.0))
}

/// A number, short.
pub fn number(value: f64) -> String {
    match value {
        value if value >= 1e12 => format!("{}T", value / 1e12),
        value if value >= 1e9 => format!("{}G", value / 1e9),
        value if value >= 1e6 => format!("{}M", value / 1e6),
        value if value >= 1e4 => format!("{}k", value / 1e3),
        value => format!("{}", (value * 1e6).round() / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_few() {
        assert_eq!(
            ticks(1.0).collect::<Vec<_>>(),
            [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]
        );
        assert_eq!(ticks(43_000.0).last(), Some(40_000.0));
        for most in [0.003, 7.0, 12.0, 99.0, 2.5e7] {
            assert!((3..=10).contains(&ticks(most).count()), "{most}");
        }
        assert_eq!(powers(2_500.0).collect::<Vec<_>>(), [1.0, 10.0, 100.0, 1_000.0]);
    }
}
