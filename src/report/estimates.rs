//! Estimates, as people and as programs read them.

use analysis::Estimate;

use super::thousands;

/// `2,013 (1,758 to 2,282)`: the value and its 95% interval.
pub fn interval(estimate: &Estimate) -> String {
    let [value, low, high] = [estimate.value, estimate.low, estimate.high].map(whole);
    format!("{value} ({low} to {high})")
}

/// `97.1% (96.0% to 98.2%)`: the same of a share.
pub fn percent(estimate: &Estimate) -> String {
    let [value, low, high] = [estimate.value, estimate.low, estimate.high].map(|share| 100.0 * share);
    format!("{value:.1}% ({low:.1}% to {high:.1}%)")
}

/// `NAME VALUE LOW HIGH`, one space between any two.
pub fn columns(name: &str, estimate: &Estimate) -> String {
    format!("{name} {:.0} {:.0} {:.0}", estimate.value, estimate.low, estimate.high)
}

fn whole(number: f64) -> String {
    thousands(number.round() as u64)
}

#[cfg(test)]
mod tests {
    use analysis::size::ORDER_STATISTICS;

    use super::*;

    #[test]
    fn estimates_are_told_with_their_interval() {
        let estimate = Estimate {
            low: 1_758.3,
            high: 2_282.0,
            ..Estimate::exact(2_013.4, &ORDER_STATISTICS)
        };
        assert_eq!(interval(&estimate), "2,013 (1,758 to 2,282)");
        assert_eq!(columns("ipv4", &estimate), "ipv4 2013 1758 2282");
        assert_eq!(percent(&estimate.times(1e-4)), "20.1% (17.6% to 22.8%)");
    }
}
