//! `estudely-analyze`: what `estudely analyze` runs.

use std::process::ExitCode;

fn main() -> ExitCode {
    analysis::cli::main()
}
