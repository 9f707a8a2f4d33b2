//! `analyze generate`.

use std::io::{self, BufWriter, Write};

use world::Seed;

use super::args::GenerateArgs;
use crate::{generate, stage};

/// Writes a table of a seed.
pub(super) fn run(args: &GenerateArgs) -> anyhow::Result<()> {
    let mut rng = Seed::from_number(args.seed).derive("metadata").rng();
    let mut out: Box<dyn Write> = match &args.output {
        Some(path) => Box::new(stage::new_file(path)?),
        None => Box::new(BufWriter::new(io::stdout().lock())),
    };
    generate::metadata(args.rows, &mut rng, &mut out)?;
    Ok(())
}
