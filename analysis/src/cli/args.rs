//! What may be typed. The doc comments are the help.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Figures, reports and SQL of what crawls left in files: no network.
#[derive(Parser, Debug)]
#[command(
    name = "estudely-analyze",
    bin_name = "estudely analyze",
    version,
    max_term_width = 110
)]
pub(super) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(super) command: Command,
}

/// The commands.
#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// Count the rows and infohashes of a metadata.txt: the shell recipes at once, and by torrent
    ///
    /// One line a figure on stdout, NAME VALUE. `lines`, `true_lines` and `first_fields` are what `wc -l`,
    /// `grep ",True$" | wc -l` and `cut -d',' -f1 | sort -u | wc -l` say, to the digit; the others count rows and torrents.
    Stats(StatsArgs),
}

/// Count a metadata.txt.
#[derive(Args, Debug)]
pub(super) struct StatsArgs {
    /// A metadata.txt, plain, gzip or zstd
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    /// Threads that count [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(super) threads: Option<u16>,
}
