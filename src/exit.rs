//! How the process ends: three codes, and which errors are the user's.

use std::process::ExitCode;

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

/// Which code an error leads to.
pub fn code_of(error: &anyhow::Error) -> Exit {
    if error.is::<BadInput>() {
        Exit::BadInput
    } else {
        Exit::Failed
    }
}
