//! What the user can mend, and what the world did.

use std::io;
use std::path::Path;

use thiserror::Error;

use crate::read::Refusal;

/// Something given that cannot be used: says what, where and what to do, in one line. Exit code 2.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct BadInput(pub String);

impl BadInput {
    /// Of a file, at a line if it is one line's fault.
    pub fn at(path: &Path, line: Option<u64>, what: &str) -> Self {
        Self(match line {
            Some(line) => format!("{}:{line}: {what}", path.display()),
            None => format!("{}: {what}", path.display()),
        })
    }
}

/// What reading a path failed of: the user's, who named it, unless the disk itself failed.
pub(super) fn unreadable(path: &Path, error: io::Error) -> anyhow::Error {
    let what = match error.kind() {
        io::ErrorKind::NotFound => "no such file or directory",
        io::ErrorKind::NotADirectory => "part of the path is no directory",
        io::ErrorKind::PermissionDenied => "permission denied; make it readable, or leave it out",
        io::ErrorKind::IsADirectory => "a directory, not a file",
        _ => return broken(path, None, error),
    };
    BadInput::at(path, None, what).into()
}

/// What went wrong amid a file, after so many lines.
pub(crate) fn broken(path: &Path, line: Option<u64>, error: io::Error) -> anyhow::Error {
    let refusal = error.get_ref().and_then(|inner| inner.downcast_ref::<Refusal>());
    if let Some(refusal) = refusal {
        return BadInput::at(path, line, &refusal.to_string()).into();
    }
    match error.kind() {
        // What gzip and zstd say of bytes that are not theirs, or end too soon.
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof => BadInput::at(
            path,
            line,
            &format!("damaged where it is packed, or cut short: {error}"),
        )
        .into(),
        _ => anyhow::Error::new(error).context(format!("cannot read {}", path.display())),
    }
}
