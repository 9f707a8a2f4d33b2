//! What a person sees while a crawl runs: a display that moves on a terminal, a line every ten infohashes in a log.

use std::time::Duration;

use analysis::Estimate;
use indicatif::ProgressBar;
use world::Time;

use super::{interval, moving_line, note, percent, plain, thousands};

/// How often the display is redrawn at the most. Faster than a person reads, slower than a terminal minds.
const REDRAW: Duration = Duration::from_millis(200);

/// A log line for so many infohashes (CRL-13).
const EVERY: u64 = 10;

/// What there is to see.
#[derive(Clone, Copy, Debug, Default)]
pub struct View {
    /// Infohashes recorded.
    pub processed: u64,
    /// Of these, with metadata.
    pub fetched: u64,
    /// Infohashes that wait for another round.
    pub to_retry: u64,
    /// Distinct infohashes seen.
    pub seen: u64,
    /// Infohashes in work.
    pub in_work: usize,
    /// DHT nodes that wait to be sampled.
    pub queued: usize,
    /// DHT queries sent.
    pub queries: u64,
    /// Of these, answered.
    pub answered: u64,
    /// TCP connections, dialled or open.
    pub connections: usize,
    /// The share of what nodes show that was seen before.
    pub coverage: Option<Estimate>,
    /// Infohashes in the DHT.
    pub keys: Option<Estimate>,
}

/// The progress of one run.
pub struct Progress {
    bar: Option<ProgressBar>,
    drawn: Time,
    lines: u64,
}

impl Progress {
    /// A display if somebody watches and rows do not go to the same terminal; log lines otherwise.
    pub fn new(rows_on_terminal: bool) -> Self {
        Self {
            bar: moving_line(rows_on_terminal),
            drawn: Time::ZERO,
            lines: 0,
        }
    }

    /// Whether it is time to look again; gathering a view costs more than this question.
    pub fn wants(&self, now: Time, processed: u64) -> bool {
        match self.bar {
            Some(_) => now >= self.drawn + REDRAW,
            None => processed / EVERY > self.lines,
        }
    }

    /// Shows where the run is.
    pub fn show(&mut self, now: Time, view: &View) {
        self.drawn = now;
        if let Some(bar) = &self.bar {
            bar.set_message(line(view, now));
            bar.tick();
        } else if view.processed / EVERY > self.lines {
            self.lines = view.processed / EVERY;
            note(&format!(
                "Progress: {} infohashes processed, {:.1}/min, {} nodes queued, {} with metadata ({:.1}/min){}",
                self.lines * EVERY,
                per_minute(view.processed, now),
                view.queued,
                view.fetched,
                per_minute(view.fetched, now),
                estimated(view, ", ")
            ));
        }
    }

    /// Prints a line above the display, or into the log.
    pub fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| note(text)),
            None => note(text),
        }
    }

    /// Tells of a success, in a log only: on a terminal the display counts them.
    pub fn fetched(&self, name: &str, files: u64, bytes: u64) {
        if self.bar.is_none() {
            note(&format!(
                "SUCCESS! Got metadata: '{}' ({files} files, {} bytes)",
                plain(name.as_bytes()),
                thousands(bytes)
            ));
        }
    }

    /// Takes the display away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn line(view: &View, now: Time) -> String {
    format!(
        "{} infohashes seen · {} processed · {} with metadata ({:.1}/min) · {} to retry · {} in work · {} connections · {} of {} queries answered{}",
        thousands(view.seen),
        thousands(view.processed),
        thousands(view.fetched),
        per_minute(view.fetched, now),
        thousands(view.to_retry),
        view.in_work,
        view.connections,
        thousands(view.answered),
        thousands(view.queries),
        estimated(view, " · "),
    )
}

/// How much there is and how much of it was seen, as far as it can be told.
fn estimated(view: &View, before: &str) -> String {
    let coverage = view
        .coverage
        .as_ref()
        .map(|share| format!("coverage {}", percent(share)));
    let keys = view
        .keys
        .as_ref()
        .map(|keys| format!("about {} infohashes exist", interval(keys)));
    let told = coverage.into_iter().chain(keys);
    told.map(|text| format!("{before}{text}")).collect()
}

/// Per minute since the start.
pub fn per_minute(count: u64, now: Time) -> f64 {
    let minutes = now.since(Time::ZERO).as_secs_f64() / 60.0;
    if minutes > 0.0 { count as f64 / minutes } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_gets_exactly_one_line_for_ten_infohashes() {
        let mut progress = Progress {
            bar: None,
            drawn: Time::ZERO,
            lines: 0,
        };
        let due: Vec<u64> = (0..=35)
            .filter(|&processed| {
                let wants = progress.wants(Time::ZERO, processed);
                if wants {
                    progress.show(
                        Time::from_secs(60),
                        &View {
                            processed,
                            ..View::default()
                        },
                    );
                }
                wants
            })
            .collect();
        assert_eq!(due, [10, 20, 30]);
    }

    #[test]
    fn rates_are_per_minute() {
        assert!((per_minute(30, Time::from_secs(120)) - 15.0).abs() < 1e-9);
        assert!(per_minute(30, Time::ZERO).abs() < 1e-9);
    }
}
