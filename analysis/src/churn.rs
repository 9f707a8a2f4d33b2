//! How long nodes stay (network-model 4.8).

use crate::estimate::{Estimate, Method, Z};

/// By sessions whose beginning was seen.
pub const SURVIVAL: Method = Method {
    name: "Kaplan-Meier",
    counts: "share of new sessions that last longer than this",
    assumes: "sessions count only if they began in the first half of the watch, and a node that answers nothing was asked often enough \
              to be gone",
};

/// By two looks at the same nodes.
pub const STILL_THERE: Method = Method {
    name: "two looks",
    counts: "share of the nodes met at one moment that are still there at the other: those that stay long are met more often",
    assumes: "a node that is there answers as likely at the second look as at a third, right after the first",
};

/// A session as it was watched. Times in any unit, the same throughout.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Session {
    /// When it was first seen, after it had not been there before.
    pub began: f64,
    /// When it was found gone, or `None` if it was there to the end of the watch.
    pub ended: Option<f64>,
}

/// A point of a curve.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Step {
    /// This long.
    pub length: f64,
    /// The share of sessions that last longer.
    pub survival: Estimate,
}

/// The share of sessions that last longer than each length at which one ended, by Kaplan and Meier (1958) with Greenwood's
/// variance on the scale of log(-log S).
///
/// `watched` is how long the watch lasted. Only sessions that began in its first half count, and for half of it at the most: otherwise long ones would
/// be counted too often, or their ends too seldom (the create-based method).
pub fn survival(sessions: impl IntoIterator<Item = Session>, watched: f64) -> Vec<Step> {
    let half = watched / 2.0;
    let began_early = |session: &Session| (0.0..=half).contains(&session.began);
    let mut lengths: Vec<(f64, bool)> = sessions
        .into_iter()
        .filter(began_early)
        .map(|session| {
            let length = session.ended.unwrap_or(watched) - session.began;
            (length.clamp(0.0, half), session.ended.is_some() && length <= half)
        })
        .collect();
    lengths.sort_unstable_by(|one, other| one.0.total_cmp(&other.0));
    let mut left = lengths.len() as f64;
    let (mut survival, mut greenwood) = (1.0, 0.0);
    let mut steps = Vec::new();
    for same in lengths.chunk_by(|one, other| one.0 == other.0) {
        let ended = same.iter().filter(|(_, ended)| *ended).count() as f64;
        if ended > 0.0 {
            survival *= 1.0 - ended / left;
            greenwood += ended / (left * (left - ended));
            let length = same.first().map_or(0.0, |(length, _)| *length);
            let survival = within(survival, greenwood);
            steps.push(Step { length, survival });
        }
        left -= same.len() as f64;
    }
    steps
}

/// The survival at a length: the last step up to it. `None` before the first one.
pub fn at(steps: &[Step], length: f64) -> Option<Estimate> {
    let after = steps.partition_point(|step| step.length <= length);
    steps.get(after.checked_sub(1)?).map(|step| step.survival)
}

/// Of `before` nodes met at a first look, `again` answered at a second one. `probed` of them were asked again right after the first, and
/// `answered`: what these miss is not gone. `None` where nobody was met, or nobody answered.
pub fn still_there(before: u64, again: u64, probed: u64, answered: u64) -> Option<Estimate> {
    if answered == 0 || answered > probed {
        return None;
    }
    let raw = Estimate::share(again, before, &STILL_THERE)?;
    let chance = answered as f64 / probed as f64;
    let corrected = raw.times(1.0 / chance).blurred((1.0 - chance) / answered as f64);
    Some(Estimate {
        value: corrected.value.min(1.0),
        low: corrected.low.min(1.0),
        high: corrected.high.min(1.0),
        ..corrected
    })
}

fn within(survival: f64, greenwood: f64) -> Estimate {
    let (mut low, mut high) = (survival, survival);
    if survival > 0.0 && survival < 1.0 {
        let half = Z * greenwood.sqrt() / survival.ln().abs();
        (low, high) = (survival.powf(half.exp()), survival.powf((-half).exp()));
    }
    Estimate {
        value: survival,
        low,
        high,
        method: &SURVIVAL,
    }
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;
    use crate::testing::{Rand, covered};

    /// Minutes: 0.75 of Exp(190), 0.25 of Exp(4245) (network-model D2).
    fn length(rng: &mut Rand) -> f64 {
        let mean = if rng.random::<f64>() < 0.75 { 190.0 } else { 4_245.0 };
        -mean * (1.0 - rng.random::<f64>()).ln()
    }

    fn truth(length: f64) -> f64 {
        0.75 * (-length / 190.0).exp() + 0.25 * (-length / 4_245.0).exp()
    }

    #[test]
    fn sessions_that_began_in_time_give_the_law() {
        let watched = 1_440.0;
        for length_of in [60.0, 200.0, 700.0] {
            covered(100, 0.95, |seed| {
                let mut rng = seed.rng();
                let sessions: Vec<Session> = (0..800)
                    .map(|_| {
                        let began = rng.random::<f64>() * watched;
                        let end = began + length(&mut rng);
                        let ended = Some(end).filter(|end| *end < watched);
                        Session { began, ended }
                    })
                    .collect();
                at(&survival(sessions, watched), length_of)
                    .unwrap()
                    .covers(truth(length_of))
            });
        }
    }

    #[test]
    fn a_second_look_is_corrected_for_those_that_only_keep_silent() {
        covered(200, 0.95, |seed| {
            let mut rng = seed.rng();
            let mut of = |count: u64, chance: f64| (0..count).filter(|_| rng.random::<f64>() < chance).count() as u64;
            let (stay, answer) = (0.83, 0.7);
            let there = of(1_000, stay);
            let again = of(there, answer);
            let answered = of(400, answer);
            still_there(1_000, again, 400, answered).unwrap().covers(stay)
        });
        assert_eq!(still_there(0, 0, 1, 1), None);
        assert_eq!(still_there(10, 5, 10, 0), None);
    }

    #[test]
    fn the_curve_falls_where_sessions_end() {
        let session = |began, ended| Session { began, ended };
        let steps = survival(
            [
                session(0.0, Some(1.0)),
                session(0.0, Some(2.0)),
                session(1.0, Some(3.0)),
                session(0.0, None),
                session(9.0, Some(9.5)),
            ],
            10.0,
        );
        let curve: Vec<(f64, f64)> = steps.iter().map(|step| (step.length, step.survival.value)).collect();
        assert_eq!(curve, [(1.0, 0.75), (2.0, 0.25)]);
        assert_eq!(at(&steps, 0.5), None);
        assert_eq!(at(&steps, 1.5).map(|survival| survival.value), Some(0.75));
        assert!(survival([], 10.0).is_empty());
    }
}
