//! `analyze`: the questions of `estudely-analyze`, a program of its own, since its SQL engine is large.

use std::io;

use anyhow::Context;

use crate::args::AnalyzeArgs;
use crate::bad_input;

const PROGRAM: &str = "estudely-analyze";

/// Becomes `estudely-analyze`.
///
/// # Errors
///
/// [`BadInput`](crate::exit::BadInput) when there is none; any other error is of running it.
pub fn run(args: &AnalyzeArgs) -> anyhow::Result<crate::exit::Exit> {
    let error = host::become_program(PROGRAM, &args.words);
    if error.kind() == io::ErrorKind::NotFound {
        bad_input!(
            "no {PROGRAM} beside this program or on PATH; build it: cargo build --release -p analysis --features sql (cli instead of sql: without SQL, but in a minute)"
        );
    }
    Err(error).context(format!("cannot run {PROGRAM}"))
}
