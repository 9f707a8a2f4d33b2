//! The only place that speaks to people. All of it goes to stderr; stdout belongs to rows (OUT-10).

mod batch;
mod bytes;
mod date;
mod downloads;
mod estimates;
mod figures;
mod progress;
mod simulated;

use std::io::{self, IsTerminal, Write};

use indicatif::{ProgressBar, ProgressStyle};

pub use batch::{BatchProgress, BatchView};
pub use bytes::BytesProgress;
pub use date::utc;
pub use downloads::Downloads;
pub use estimates::{columns, interval, percent};
pub use figures::{Figure, Figures, ratio, share};
pub use progress::{Progress, View, per_minute};
pub use simulated::{SimulateDisplay, SimulateProgress};

/// One line for people: `# ` before it, so that a log is told from rows.
pub fn note(text: &str) {
    say(&format!("# {text}\n"));
}

/// Lines for people that have their `# ` already, as a summary.
pub fn text(lines: &str) {
    say(lines);
}

/// The one line of a failure: what, where and what to do.
pub fn error(error: &anyhow::Error) {
    let text = format!("{error:#}").replace('\n', " ");
    say(&format!("estudely: {text}\n"));
}

/// Writes to stderr. Its loss is no reason to stop: the rows are what the run is for.
fn say(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// A line that moves, if somebody watches and rows do not go to the same terminal.
fn moving_line(rows_on_terminal: bool) -> Option<ProgressBar> {
    (is_watched() && !rows_on_terminal).then(|| {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed_precise}  {msg}") {
            bar.set_style(style);
        }
        bar
    })
}

/// Whether a person watches: then a display that moves is of use.
pub fn is_watched() -> bool {
    io::stderr().is_terminal()
}

/// `1234567` as `1,234,567`.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes in the unit that people read, as `1.5 GiB`.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    // Shown with one decimal: the loss of precision of the float is far below that.
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// A client version as people read it: BEP 20 style two letters and the bytes of a version, or hex.
pub fn client(version: &[u8]) -> String {
    match version.split_at_checked(2) {
        Some((name, number)) if name.iter().all(u8::is_ascii_alphanumeric) => {
            let number: Vec<String> = number.iter().map(u8::to_string).collect();
            format!("{} {}", plain(name), number.join("."))
        }
        _ => version.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

/// Text from strangers, fit for one line of a terminal: control characters (and the escapes that they begin), and what
/// breaks or reorders a line, become U+FFFD.
pub fn plain(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .chars()
        .map(|c| {
            if c.is_control() || moves_text(c) {
                char::REPLACEMENT_CHARACTER
            } else {
                c
            }
        })
        .collect()
}

/// Line and paragraph separators, and the controls of the bidirectional algorithm (UAX #9): with these a name could show
/// as another, or move what stands beside it. None of them is in `char::is_control`.
const fn moves_text(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}' | '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(1_000), "1,000");
        assert_eq!(thousands(12_345_678), "12,345,678");
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(1536), "1.5 KiB");
        assert_eq!(size(u64::MAX), "16.0 EiB");
    }

    #[test]
    fn client_versions_are_readable() {
        assert_eq!(client(b"LT\x02\x01"), "LT 2.1");
        assert_eq!(client(b"\x00\x1b"), "001b");
        assert_eq!(client(b""), "");
    }

    #[test]
    fn a_name_cannot_drive_the_terminal() {
        assert_eq!(plain(b"a\x1b[31mb\n"), "a\u{fffd}[31mb\u{fffd}");
    }

    #[test]
    fn a_name_cannot_reorder_or_break_its_line() {
        for c in "\u{61c}\u{200e}\u{200f}\u{202a}\u{202e}\u{2066}\u{2069}\u{2028}\u{2029}".chars() {
            assert_eq!(
                plain(format!("exe.{c}gpj").as_bytes()),
                "exe.\u{fffd}gpj",
                "{}",
                c.escape_unicode()
            );
        }
        // Neighbours that letters need stay: the joiners of Persian and Hindi.
        assert_eq!(plain("\u{200c}\u{200d}".as_bytes()), "\u{200c}\u{200d}");
    }
}
