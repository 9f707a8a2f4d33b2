//! `estudely`: the door. Parses, runs one job, and names the result by its exit code.

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use estudely::args::Cli;
use estudely::exit::Exit;
use estudely::{exit, job, report};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // Help and version are no failures; they are clap's to print.
        Err(told) if !told.use_stderr() || told.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            told.exit()
        }
        Err(mistake) => {
            report::error(&exit::misuse(&mistake).into());
            return Exit::BadInput.into();
        }
    };
    match job::run(&cli) {
        Ok(exit) => exit.into(),
        Err(error) => {
            report::error(&error);
            exit::code_of(&error).into()
        }
    }
}
