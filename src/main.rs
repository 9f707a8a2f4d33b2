//! `estudely`: the door. Parses, runs one job, and names the result by its exit code.

use std::process::ExitCode;

use clap::Parser;
use estudely::args::Cli;
use estudely::{exit, job, report};

fn main() -> ExitCode {
    let cli = Cli::parse();
    match job::run(&cli) {
        Ok(exit) => exit.into(),
        Err(error) => {
            report::error(&error);
            exit::code_of(&error).into()
        }
    }
}
