//! What a person sees of a long fetch: counts, rates and the time that is left, every second on a terminal, now and then
//! in a log.

use std::collections::VecDeque;
use std::time::Duration;

use indicatif::ProgressBar;
use world::Time;

use super::{moving_line, note, thousands};

/// Between two lines of a log.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// Seconds that a rate is taken over.
const RATE_OVER: usize = 10;

/// What there is to see.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct BatchView {
    /// Infohashes with metadata.
    pub fetched: u64,
    /// Infohashes given up.
    pub failed: u64,
    /// Infohashes passed over: done before.
    pub skipped: u64,
    /// Infohashes in work.
    pub in_work: usize,
    /// Connections, dialled or open.
    pub connections: usize,
    /// How much of the list is behind us, and how much of it was before this run, from 0 to 1; `None` for a pipe.
    pub part: Option<(f64, f64)>,
}

impl BatchView {
    const fn done(&self) -> u64 {
        self.fetched + self.failed
    }
}

/// The progress of one fetch.
pub struct BatchProgress {
    bar: Option<ProgressBar>,
    logged: Time,
    /// Infohashes done at the last seconds.
    seconds: VecDeque<(Time, u64)>,
}

impl BatchProgress {
    /// A display if somebody watches and rows do not go to the same terminal; log lines otherwise.
    pub fn new(rows_on_terminal: bool) -> Self {
        Self {
            bar: moving_line(rows_on_terminal),
            logged: Time::ZERO,
            seconds: VecDeque::from([(Time::ZERO, 0)]),
        }
    }

    /// Shows where the fetch is; to be called once a second.
    pub fn show(&mut self, now: Time, view: &BatchView) {
        self.seconds.push_back((now, view.done()));
        if self.seconds.len() > RATE_OVER + 1 {
            self.seconds.pop_front();
        }
        let text = line(now, view, self.rate());
        if let Some(bar) = &self.bar {
            bar.set_message(text);
            bar.tick();
        } else if now >= self.logged + LOG_EVERY {
            self.logged = now;
            note(&format!("Progress: {text}"));
        }
    }

    /// Prints a line above the display, or into the log.
    pub fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| note(text)),
            None => note(text),
        }
    }

    /// Takes the display away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// Infohashes a second, of late.
    fn rate(&self) -> f64 {
        match (self.seconds.front(), self.seconds.back()) {
            (Some((from, before)), Some((to, after))) if to > from => {
                (after - before) as f64 / to.since(*from).as_secs_f64()
            }
            _ => 0.0,
        }
    }
}

fn line(now: Time, view: &BatchView, rate: f64) -> String {
    let (done, behind) = (view.done(), view.done() + view.skipped);
    let mut text = thousands(behind);
    // The list is some of what was done by earlier runs, and what this run has read of it.
    if let Some((part, before)) = view.part
        && part - before > 0.001
        && part < 1.0
    {
        let in_all = (behind + view.in_work as u64) as f64 * (1.0 - before) / (part - before);
        text = format!("{text} of about {}", thousands(in_all as u64));
    }
    let share = 100.0 * view.fetched as f64 / done.max(1) as f64;
    text = format!(
        "{text} infohashes · {} with metadata ({share:.1}%) · {rate:.1}/s · {} in work · {} connections",
        thousands(view.fetched),
        view.in_work,
        view.connections
    );
    if view.skipped > 0 {
        text = format!("{text} · {} done before", thousands(view.skipped));
    }
    match left(now, view.part) {
        Some(left) => format!("{text} · about {} left", words(left)),
        None => text,
    }
}

/// The time that is left if the rest of the list goes as what is behind us went.
fn left(now: Time, part: Option<(f64, f64)>) -> Option<Duration> {
    let (part, before) = part?;
    let behind = part - before;
    if behind <= 0.001 || part > 1.0 {
        return None;
    }
    let seconds = now.since(Time::ZERO).as_secs_f64() * (1.0 - part) / behind;
    Duration::try_from_secs_f64(seconds).ok()
}

fn words(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds @ 7_200..172_800 => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
        seconds => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_takes_as_long_as_what_is_behind() {
        let at = Time::from_secs(100);
        assert_eq!(left(at, Some((0.5, 0.0))), Some(Duration::from_secs(100)));
        // Half was done before: this run did a quarter in 100 s, and a quarter is left.
        assert_eq!(left(at, Some((0.75, 0.5))), Some(Duration::from_secs(100)));
        assert_eq!(left(at, Some((0.5, 0.5))), None);
        assert_eq!(left(at, None), None);
        assert_eq!(words(Duration::from_secs(90)), "90 s");
        assert_eq!(words(Duration::from_secs(3_600)), "60 min");
        assert_eq!(words(Duration::from_secs(7_260)), "2 h 1 min");
    }

    #[test]
    fn a_line_has_counts_rate_and_what_is_left() {
        let view = BatchView {
            fetched: 300,
            failed: 100,
            skipped: 0,
            in_work: 100,
            connections: 7,
            part: Some((0.5, 0.0)),
        };
        assert_eq!(
            line(Time::from_secs(60), &view, 6.66),
            "400 of about 1,000 infohashes · 300 with metadata (75.0%) · 6.7/s · 100 in work · 7 connections · about 60 s left"
        );
    }
}
