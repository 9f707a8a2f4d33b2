//! What a person sees while many bytes are read: a bar on a terminal, a line now and then in a log.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::{is_watched, note, size};

/// Between two lines of a log.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// The progress of one pass over bytes.
pub struct BytesProgress {
    bar: Option<ProgressBar>,
    began: Instant,
    logged: Instant,
    total: u64,
    done: u64,
}

impl BytesProgress {
    /// Begins now, with `total` bytes to come.
    pub fn new(total: u64) -> Self {
        let bar = is_watched().then(|| {
            let bar = ProgressBar::new(total);
            if let Ok(style) = ProgressStyle::with_template("{elapsed_precise} [{bar:30}] {percent:>3}%  {msg}") {
                bar.set_style(style.progress_chars("=> "));
            }
            bar
        });
        let now = Instant::now();
        Self {
            bar,
            began: now,
            logged: now,
            total,
            done: 0,
        }
    }

    /// So many more are behind us.
    pub fn add(&mut self, bytes: u64) {
        self.done = self.done.saturating_add(bytes);
    }

    /// Shows where it is; to be called a few times a second.
    pub fn show(&mut self) {
        if let Some(bar) = &self.bar {
            bar.set_message(line(self.done, self.total, self.began.elapsed()));
            bar.set_position(self.done);
        } else if self.logged.elapsed() >= LOG_EVERY {
            self.logged = Instant::now();
            note(&format!(
                "Progress: {}",
                line(self.done, self.total, self.began.elapsed())
            ));
        }
    }

    /// Takes the bar away, and says what was done in which time: `1.0 GiB in 1.2 s (853.3 MiB/s)`.
    pub fn finish(&self) -> String {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let took = self.began.elapsed();
        format!(
            "{} in {:.1} s ({}/s)",
            size(self.done),
            took.as_secs_f64(),
            size(rate(self.done, took))
        )
    }

    /// Since it began.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }
}

/// Bytes a second.
fn rate(done: u64, took: Duration) -> u64 {
    (done as f64 / took.as_secs_f64().max(0.001)) as u64
}

fn line(done: u64, total: u64, took: Duration) -> String {
    let rate = rate(done, took);
    let mut text = format!("{} of {} · {}/s", size(done), size(total), size(rate));
    if rate > 0 && done < total {
        let left = (total - done) / rate;
        text = match left {
            0..120 => format!("{text} · about {left} s left"),
            120..7_200 => format!("{text} · about {} min left", left / 60),
            _ => format!("{text} · about {} h {} min left", left / 3_600, left / 60 % 60),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_rate_and_what_is_left() {
        let second = Duration::from_secs(1);
        assert_eq!(
            line(1 << 20, 3 << 20, second),
            "1.0 MiB of 3.0 MiB · 1.0 MiB/s · about 2 s left"
        );
        assert_eq!(
            line(1 << 20, 601 << 20, second),
            "1.0 MiB of 601.0 MiB · 1.0 MiB/s · about 10 min left"
        );
        assert_eq!(
            line(1 << 20, 7_321 << 20, second),
            "1.0 MiB of 7.1 GiB · 1.0 MiB/s · about 2 h 2 min left"
        );
        assert_eq!(line(5, 5, second), "5 B of 5 B · 5 B/s");
        assert_eq!(line(0, 5, second), "0 B of 5 B · 0 B/s");
    }
}
