//! How the process ends: three codes, and which errors are the user's.

use std::process::ExitCode;

use host::{FileError, FileFault};
use thiserror::Error;

/// The codes that a script may rely on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// It did what was asked, also when it was interrupted.
    Done,
    /// The world did not play along: disk full, nothing answered.
    Failed,
    /// What was typed or given cannot be used; nothing was changed.
    BadInput,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Done => Self::SUCCESS,
            Exit::Failed => Self::from(1),
            Exit::BadInput => Self::from(2),
        }
    }
}

/// An error that the user can mend: says what, where and what to do, in one line.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct BadInput(pub String);

/// Returns a [`BadInput`] from the enclosing function.
#[macro_export]
macro_rules! bad_input {
    ($($arg:tt)*) => {
        return Err($crate::exit::BadInput(format!($($arg)*)).into())
    };
}

/// What a file operation failed of, with what to do about it; `flag` is the one that names another place.
///
/// A path that cannot be what the flag wants is the user's to mend; a full disk, a lock or a permission is the world's.
pub fn at(error: FileError, flag: &str) -> anyhow::Error {
    match error.fault {
        FileFault::Missing => BadInput(format!("{error}; make its directory first, or name another {flag}")).into(),
        FileFault::IsDirectory | FileFault::NotDirectory | FileFault::Exists => {
            BadInput(format!("{error}; name another {flag}")).into()
        }
        FileFault::ReadOnly | FileFault::Permission => {
            let advice = format!("{error}; name a place that can be written with {flag}");
            anyhow::Error::msg(advice)
        }
        FileFault::InUse => {
            anyhow::Error::new(error).context(format!("another run is at work; end it or name another {flag}"))
        }
        FileFault::DiskFull | FileFault::Other(_) => error.into(),
    }
}

/// What clap says of a command line, in one line.
pub fn misuse(error: &clap::Error) -> BadInput {
    let text = error.render().to_string();
    let mut what = String::new();
    let mut help = String::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(usage) = line.strip_prefix("Usage: ") {
            // The command's words, without its arguments.
            let words = usage.split(' ').take_while(|word| !word.starts_with(['[', '<', '-']));
            help = words.map(|word| format!("{word} ")).collect();
        } else if !line.starts_with("For more information") {
            let line = line.strip_prefix("error: ").unwrap_or(line);
            let joint = match what.chars().last() {
                None => "",
                Some(':') => " ",
                Some(_) if line.starts_with('[') => " ",
                Some(_) => "; ",
            };
            what.push_str(joint);
            what.push_str(line);
        }
    }
    BadInput(format!("{what}; see {help}--help"))
}

/// Which code an error leads to.
pub fn code_of(error: &anyhow::Error) -> Exit {
    if error.is::<BadInput>() {
        Exit::BadInput
    } else {
        Exit::Failed
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::Parser;

    use super::*;
    use crate::args::Cli;

    fn misused(words: &str) -> String {
        misuse(&Cli::try_parse_from(words.split(' ')).unwrap_err()).0
    }

    #[test]
    fn a_mistyped_command_line_is_told_in_one_line() {
        assert_eq!(
            misused("estudely crawl --nonsense"),
            "unexpected argument '--nonsense' found; see estudely crawl --help"
        );
        assert_eq!(
            misused("estudely crawl --rat 3"),
            "unexpected argument '--rat' found; tip: a similar argument exists: '--rate'; see estudely crawl --help"
        );
        assert_eq!(
            misused("estudely crawl --lab-nodes 3"),
            "the following required arguments were not provided: --lab; see estudely crawl --help"
        );
        assert_eq!(
            misused("estudely crawl --profile x"),
            "invalid value 'x' for '--profile <PROFILE>' [possible values: home, vps, lab]; see --help"
        );
    }

    #[test]
    fn a_path_that_cannot_be_is_the_users_and_a_busy_one_is_not() {
        let error = host::AppendFile::open(Path::new("/nowhere/table")).unwrap_err();
        let error = at(error, "--output");
        assert_eq!(code_of(&error), Exit::BadInput);
        assert_eq!(
            error.to_string(),
            "cannot open /nowhere/table: no such file or directory; make its directory first, or name another --output"
        );
        let dir = tempfile::tempdir().unwrap();
        let _first = host::DirLock::acquire(dir.path()).unwrap();
        let error = at(host::DirLock::acquire(dir.path()).unwrap_err(), "--data-dir");
        assert_eq!(code_of(&error), Exit::Failed);
        assert!(format!("{error:#}").contains("--data-dir"), "{error:#}");
    }
}
