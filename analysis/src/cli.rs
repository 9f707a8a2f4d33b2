//! The door of `estudely-analyze`: arguments, and everything printed (only with the feature `cli`).

mod anonymize;
mod args;
#[cfg(feature = "sql")]
mod ask;
#[cfg(feature = "cluster")]
mod cluster;
#[cfg(feature = "sql")]
mod engine;
mod generate;
#[cfg(feature = "sql")]
mod report;
mod say;
mod stats;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use crate::stage::BadInput;
use args::{Cli, Command};

/// Runs what the command line says. Codes as those of `estudely`: 0 done, 1 the world did not play along, 2 what was typed or
/// given cannot be used.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse_from(std::env::args_os().map(comment)) {
        Ok(cli) => cli,
        // Help and version are no failures; they are clap's to print.
        Err(told) if !told.use_stderr() || told.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            told.exit()
        }
        Err(mistake) => {
            say::error(&misuse(&mistake).into());
            return ExitCode::from(2);
        }
    };
    let done = match cli.command {
        Command::Stats(args) => stats::run(&args),
        Command::Anonymize(args) => anonymize::run(&args),
        Command::Generate(args) => generate::run(&args),
        #[cfg(feature = "sql")]
        Command::Report(args) => report::run(&args),
        #[cfg(feature = "sql")]
        Command::Sql(args) => ask::run(&args),
        #[cfg(feature = "sql")]
        Command::Convert(args) => ask::run_convert(&args),
        #[cfg(feature = "cluster")]
        Command::Cluster(command) => cluster::run(command),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            say::error(&error);
            ExitCode::from(if error.is::<BadInput>() { 2 } else { 1 })
        }
    }
}

/// A question in SQL that begins with a comment is no flag: behind a space it looks like none.
fn comment(word: OsString) -> OsString {
    match word.as_encoded_bytes() {
        [b'-', b'-', next, ..] if next.is_ascii_whitespace() => {
            let mut question = OsString::from(" ");
            question.push(word);
            question
        }
        _ => word,
    }
}

/// Who read has seen enough, as `head` does.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<std::io::Error>();
    error.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// What clap says of a command line, in one line.
fn misuse(error: &clap::Error) -> BadInput {
    let text = error.render().to_string();
    let lines = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("Usage:"));
    let words: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    let text = words.join(" ");
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    BadInput(format!("{text}; see estudely analyze --help"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_command_line_is_told_in_one_line() {
        let told = |words: &str| misuse(&Cli::try_parse_from(words.split(' ')).unwrap_err()).0;
        assert_eq!(
            told("estudely-analyze stats"),
            "the following required arguments were not provided: <FILE>; see estudely analyze --help"
        );
        assert_eq!(
            told("estudely-analyze stats a --nonsense"),
            "unexpected argument '--nonsense' found tip: to pass '--nonsense' as a value, use '-- --nonsense'; see estudely analyze --help"
        );
    }
}
