//! What may be typed. The doc comments are the help.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

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
    /// Copy tables with their addresses truncated or under pseudonyms, for others to have
    ///
    /// What `--anonymize-ips` of a crawl would have written (data/README.md says what each keeps). Lines that are no rows, and columns that
    /// estudely does not know, are left out. Packed tables come out packed with zstd.
    Anonymize(AnonymizeArgs),
    /// Make a metadata.txt of any size from a seed, to measure with: invented names, nobody's addresses
    Generate(GenerateArgs),
    /// Answer reports: questions in SQL that come along, and those of your own
    ///
    /// `analyze report --list` tells their names. DATA is a metadata.txt, a directory that a crawl left, a pattern, or Parquet that `convert` made.
    /// Answers are printed; with --html, --csv or --plots they are written instead.
    #[cfg(feature = "sql")]
    Report(super::engine::ReportArgs),
    /// Ask in SQL: one question, or a prompt
    ///
    /// Tables are torrents, peers, files, nodes, sightings and fetches, as far as DATA has them; data/README.md has their columns.
    #[cfg(feature = "sql")]
    Sql(super::engine::SqlArgs),
    /// Write tables as Parquet, by the hour where they have times
    #[cfg(feature = "sql")]
    Convert(super::engine::ConvertArgs),
    /// Be one of the machines that answer together: run until Ctrl-C
    ///
    /// A scheduler, an executor on each machine, then `analyze sql` and `analyze report` with --cluster: analysis/cluster/README.md. Whoever
    /// reaches their ports can read what they can read: nothing is encrypted, nobody is asked who they are.
    #[cfg(feature = "cluster")]
    #[command(subcommand)]
    Cluster(super::cluster::ClusterCommand),
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

/// Copy tables with their addresses veiled.
#[derive(Args, Debug)]
pub(super) struct AnonymizeArgs {
    /// Tables, directories of crawls, or patterns of either
    #[arg(required = true, value_name = "DATA")]
    pub(super) data: Vec<PathBuf>,
    /// Where the copies go: DIR/CRAWL/NAME. Nothing is overwritten
    #[arg(long, value_name = "DIR")]
    pub(super) output: PathBuf,
    /// What becomes of an address: its network stays (/24, /48), or it has a pseudonym
    #[arg(long, value_enum, value_name = "HOW")]
    pub(super) how: How,
    /// The key of pseudonyms, 32 hex digits, as data/anonymize.key of a crawl; drawn and kept there if there is none. Keep it to yourself
    /// [default: drawn, and kept nowhere: no later copy can be linked with this one]
    #[arg(long, value_name = "FILE")]
    pub(super) key: Option<PathBuf>,
}

/// What becomes of an address.
#[derive(Clone, Copy, ValueEnum, Debug)]
pub(super) enum How {
    /// Its network stays.
    Truncate,
    /// A pseudonym.
    Hash,
}

/// Make a metadata.txt.
#[derive(Args, Debug)]
pub(super) struct GenerateArgs {
    /// Rows, without the header
    #[arg(long, default_value_t = 10_000_000, value_name = "N")]
    pub(super) rows: u64,
    /// The same seed gives the same bytes
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(super) seed: u64,
    /// A new file [default: stdout]
    #[arg(long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
}
