//! Everything printed: figures on stdout, words for people on stderr.

use std::io::{self, Write};
use std::path::PathBuf;

use crate::read::Rejects;
use crate::stage::{Source, Stretch};

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

/// What of a stretch of a file is no row: the first by line and reason, the others by number.
pub(super) fn rejects(source: &Source, stretch: Stretch, rejects: &Rejects) -> anyhow::Result<()> {
    for reject in &rejects.first {
        let line = source.line(stretch, reject.line)?;
        note(&format!("{}:{line}: no row: {}", source.path.display(), reject.fault));
    }
    let more = rejects.count - rejects.first.len() as u64;
    if more > 0 {
        note(&format!(
            "{}: and {more} more lines that are no rows",
            source.path.display()
        ));
    }
    Ok(())
}

/// Files without even a header.
pub(super) fn empty(paths: &[PathBuf]) {
    for path in paths {
        note(&format!("{}: empty", path.display()));
    }
}
