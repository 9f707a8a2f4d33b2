//! What a person sees while a simulation runs: how far virtual time has come.

use indicatif::{MultiProgress, ProgressBar};
use world::Time;

use super::{moving_line, note, thousands};

/// Where the progress of policies that run at once is shown.
#[derive(Default)]
pub struct SimulateDisplay(MultiProgress);

/// The progress of one policy.
pub struct SimulateProgress {
    bar: Option<ProgressBar>,
    policy: &'static str,
    until: Time,
    /// Tenths of the time that a line was written for.
    tenths: u64,
}

impl SimulateProgress {
    /// A line that moves if somebody watches; else a line for each tenth of the time.
    pub fn new(policy: &'static str, until: Time, display: &SimulateDisplay) -> Self {
        Self {
            bar: moving_line(false).map(|bar| display.0.add(bar)),
            policy,
            until,
            tenths: 0,
        }
    }

    /// Shows where the run is.
    pub fn show(&mut self, now: Time, queries: u64, infohashes: u64, metadata: u64) {
        let tenths = now.as_secs() * 10 / self.until.as_secs().max(1);
        let text = format!(
            "{}: {:.1} of {:.1} h · {} queries · {} infohashes · {} with metadata",
            self.policy,
            now.as_secs() as f64 / 3600.0,
            self.until.as_secs() as f64 / 3600.0,
            thousands(queries),
            thousands(infohashes),
            thousands(metadata)
        );
        match &self.bar {
            Some(bar) => {
                bar.set_message(text);
                bar.tick();
            }
            None if tenths > self.tenths => {
                self.tenths = tenths;
                note(&text);
            }
            None => {}
        }
    }

    /// Takes the display away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
