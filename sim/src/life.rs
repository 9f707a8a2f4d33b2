//! When the nodes of a world are there: sessions, the time between them, and day and night (`network-model.md` section 1.D, A3).
//!
//! A world has more nodes than are there at once. Each comes and goes by a renewal process of its own, drawn by coordinates from a
//! start that is like any other moment; so as many come as go, and who was never there before is one that comes for the first time.
//! What is kept of a node is in which of its phases it was last looked at: time goes forwards, so the next look is near.

use std::cell::Cell;
use std::f64::consts::{PI, TAU};
use std::time::Duration;

use world::Time;

use crate::address::Host;
use crate::dice::Dice;

/// How nodes come and go.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Churn {
    /// Share of the sessions that are short: the others are long, and both are exponential.
    pub short: f64,
    /// Mean of a short session.
    pub short_mean: Duration,
    /// Mean of a long one.
    pub long_mean: Duration,
    /// Median of the time until a node is back.
    pub off_median: Duration,
    /// Deviation of its logarithm.
    pub off_sigma: f64,
    /// How far the number of nodes swings around its mean in the course of a day.
    pub diurnal: f64,
    /// How long a node that has gone is still named by others.
    pub named_for: Duration,
    /// Keys that come, and go, in a day, as a share of all.
    pub keys_per_day: f64,
}

/// One phase of a node: there, or away.
#[derive(Clone, Copy, Default, Debug)]
struct Phase {
    /// Which, counted from the start; the first has number 0.
    number: u32,
    /// Seconds since the start: the first phase began before it.
    from: i32,
    until: i32,
    there: bool,
}

/// When each node is there.
#[derive(Debug)]
pub(crate) struct Lives {
    churn: Option<Churn>,
    dice: Dice,
    /// The phase in which a node was looked at last; none without churn.
    seen: Vec<Cell<Phase>>,
    /// The second asked about last, and its sine: most questions are about the same as the one before.
    daytime: Cell<(u64, f64)>,
}

/// Seconds of a day.
const DAY: f64 = 86_400.0;

impl Churn {
    /// Mean seconds of a session, and of the time until the next.
    fn means(&self) -> [f64; 2] {
        let [short, long] = [self.short_mean, self.long_mean].map(|mean| mean.as_secs_f64());
        let off = self.off_median.as_secs_f64() * (self.off_sigma * self.off_sigma / 2.0).exp();
        [self.short * short + (1.0 - self.short) * long, off]
    }

    /// Share of the nodes that are in a session at any time.
    fn there(&self) -> f64 {
        let [on, off] = self.means();
        on / (on + off)
    }

    /// Nodes of a world for each that is there at once, on the mean of a day.
    pub(crate) fn seats(&self) -> f64 {
        (1.0 + self.diurnal) / self.there()
    }
}

impl Lives {
    pub(crate) fn new(churn: Option<Churn>, nodes: usize, dice: Dice) -> Self {
        Self {
            churn,
            dice,
            seen: vec![Cell::default(); if churn.is_some() { nodes } else { 0 }],
            daytime: Cell::default(),
        }
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.seen.capacity() * size_of::<Cell<Phase>>()
    }

    /// Whether nodes come and go at all.
    pub(crate) const fn change(&self) -> bool {
        self.churn.is_some()
    }

    /// Whether a node is there.
    pub(crate) fn is_there(&self, node: Host, now: Time) -> bool {
        self.gone_for(node, now).is_none()
    }

    /// Whether others still name a node: it is there, or has gone not long ago (B9).
    pub(crate) fn is_named(&self, node: Host, now: Time) -> bool {
        let gone = self.gone_for(node, now);
        gone.is_none_or(|gone| self.churn.is_some_and(|churn| gone < churn.named_for))
    }

    /// How long a node has been away; `None` if it is there.
    fn gone_for(&self, node: Host, now: Time) -> Option<Duration> {
        let churn = self.churn.as_ref()?;
        let seen = self.seen.get(node as usize)?;
        let at = i32::try_from(now.as_secs()).unwrap_or(i32::MAX);
        let mut phase = seen.get();
        if !phase.contains(at) {
            phase = Phase::at(at, phase, churn, self.dice.of(node.into()));
            seen.set(phase);
        }
        let away = if phase.there { 0.0 } else { f64::from(at - phase.from) };
        let unit = self.dice.unit(node.into(), u64::MAX);
        let asleep = asleep_for(churn.diurnal, unit, self.sine(now.as_secs()), now.as_secs() as f64);
        (!phase.there || asleep > 0.0).then(|| Duration::from_secs_f64(away.max(asleep)))
    }

    /// How far the day has come up in this second, from -1 to 1.
    fn sine(&self, second: u64) -> f64 {
        let (known, mut sine) = self.daytime.get();
        if known != second {
            sine = (second as f64 / DAY * TAU).sin();
            self.daytime.set((second, sine));
        }
        sine
    }
}

/// How many seconds ago a node went to sleep; 0 if it is awake. Of all nodes so many are awake as
/// `(1 + diurnal * sin(time of day)) / (1 + diurnal)` says (A3): the first to sleep are the last to wake.
fn asleep_for(diurnal: f64, unit: f64, sine: f64, at: f64) -> f64 {
    let level = ((1.0 + diurnal) * unit - 1.0) / diurnal;
    if diurnal <= 0.0 || level <= -1.0 || sine >= level {
        return 0.0;
    }
    let angle = at / DAY * TAU;
    // It fell asleep when the sine fell through its level.
    let fell = PI - level.min(1.0).asin();
    let since = (angle - fell).rem_euclid(TAU);
    (since / TAU * DAY).max(1.0)
}

/// The phase of the start, as an observer meets it: longer ones are met more often, and somewhere in their course.
fn first(churn: &Churn, dice: Dice) -> Phase {
    let there = dice.unit(0, 0) < churn.there();
    let (before, after) = if there {
        let [on, _] = churn.means();
        let is_short = dice.unit(0, 1) < churn.short * churn.short_mean.as_secs_f64() / on;
        // What is left of an exponential time is as long as all of it.
        (0.0, dice.exponential(0, 2, churn.session(is_short)))
    } else {
        // A lognormal time that is met is lognormal, with its logarithm a variance longer.
        let sigma = churn.off_sigma;
        let median = churn.off_median.as_secs_f64() * (sigma * sigma).exp();
        let all = dice.lognormal(0, 3, median, sigma);
        let before = all * dice.unit(0, 4);
        (before, all - before)
    };
    Phase {
        number: 0,
        from: -(before as i32),
        until: (after as i32).max(1),
        there,
    }
}

impl Churn {
    fn session(&self, is_short: bool) -> f64 {
        let mean = if is_short { self.short_mean } else { self.long_mean };
        mean.as_secs_f64()
    }
}

impl Phase {
    fn contains(&self, at: i32) -> bool {
        (self.from..self.until).contains(&at)
    }

    /// The phase at a time, best from one before it.
    fn at(at: i32, before: Self, churn: &Churn, dice: Dice) -> Self {
        let mut phase = before;
        if phase.until == 0 || at < phase.from {
            phase = first(churn, dice);
        }
        while at >= phase.until && phase.until < i32::MAX {
            phase = phase.next(churn, dice);
        }
        phase
    }

    fn next(self, churn: &Churn, dice: Dice) -> Self {
        let number = self.number + 1;
        let draw = u64::from(number);
        let lasts = if self.there {
            dice.lognormal(draw, 3, churn.off_median.as_secs_f64(), churn.off_sigma)
        } else {
            let is_short = dice.unit(draw, 1) < churn.short;
            dice.exponential(draw, 2, churn.session(is_short))
        };
        Self {
            number,
            from: self.until,
            until: self.until.saturating_add((lasts as i32).max(1)),
            there: !self.there,
        }
    }
}

#[cfg(test)]
mod tests {
    use world::Seed;

    use super::*;
    use crate::profile::Profile;

    const NODES: u32 = 20_000;

    fn lives(diurnal: f64) -> (Lives, f64) {
        let churn = Profile::realistic().nodes.churn.unwrap();
        let churn = Churn { diurnal, ..churn };
        let dice = Dice::new(Seed::from_number(1), "test");
        (Lives::new(Some(churn), NODES as usize, dice), churn.seats())
    }

    fn there(lives: &Lives, hours: u64) -> Vec<u32> {
        let now = Time::from_secs(hours * 3600);
        (0..NODES).filter(|node| lives.is_there(*node, now)).collect()
    }

    #[test]
    fn as_many_come_as_go_and_most_stay() {
        let (lives, seats) = lives(0.0);
        let [first, later, next_day] = [0, 6, 24].map(|hours| there(&lives, hours));
        for many in [&first, &later, &next_day] {
            let share = many.len() as f64 * seats / f64::from(NODES);
            assert!((0.97..1.03).contains(&share), "{share}");
        }
        let stayed = |then: &[u32]| first.iter().filter(|node| then.contains(node)).count() as f64 / first.len() as f64;
        // D4: of those met, 0.83 are there without a break for six hours, 0.63 for a day; some are back by then.
        assert!((0.82..0.87).contains(&stayed(&later)), "{}", stayed(&later));
        assert!((0.66..0.78).contains(&stayed(&next_day)), "{}", stayed(&next_day));
    }

    #[test]
    fn nights_are_as_quiet_as_the_model_says() {
        let (lives, seats) = lives(0.29);
        for (hours, share) in [(0, 1.0), (6, 1.29), (12, 1.0), (18, 0.71), (30, 1.29)] {
            let have = there(&lives, hours).len() as f64 * seats / f64::from(NODES);
            assert!((have - share).abs() < 0.04, "{have} for {share} after {hours} h");
        }
    }

    #[test]
    fn looking_back_changes_nothing() {
        let (lives, _) = lives(0.29);
        let before = there(&lives, 6);
        there(&lives, 100);
        assert_eq!(there(&lives, 6), before);
    }

    #[test]
    fn who_has_gone_is_named_for_some_hours() {
        let (lives, _) = lives(0.0);
        let named = |hours: u64| {
            let now = Time::from_secs(hours * 3600);
            (0..NODES).filter(|node| lives.is_named(*node, now)).count()
        };
        // 5 in a hundred go each hour (D2), and are named for two.
        let share = named(48) as f64 / there(&lives, 48).len() as f64;
        assert!((1.08..1.11).contains(&share), "{share}");
    }
}
