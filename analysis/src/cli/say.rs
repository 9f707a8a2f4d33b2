//! Everything printed: figures on stdout, words for people on stderr.

use std::io::{self, Write};

/// A line for people.
pub(super) fn note(text: &str) {
    // Its loss is no reason to stop.
    let _ = writeln!(io::stderr().lock(), "# {text}");
}

/// The one line of a failure: what, where and what to do.
pub(super) fn error(error: &anyhow::Error) {
    let text = format!("{error:#}").replace('\n', " ");
    let _ = writeln!(io::stderr().lock(), "estudely-analyze: {text}");
}

/// What was asked for.
///
/// # Errors
///
/// Those of stdout.
pub(super) fn answer(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
