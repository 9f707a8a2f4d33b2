//! What may be typed of the commands that ask in SQL (only with the feature `sql`).

use std::path::PathBuf;

use clap::Args;

use crate::sql::Scheduler;
use crate::stage::BadInput;

/// How questions are answered.
#[derive(Args, Debug)]
pub(super) struct EngineArgs {
    /// Threads that work on a question [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(super) threads: Option<u16>,
    /// Memory for tables that are kept and for questions, MiB; what does not fit goes to temporary files
    #[arg(long, value_name = "MIB", default_value_t = 1536, value_parser = clap::value_parser!(u64).range(64..=1_048_576))]
    pub(super) memory: u64,
    /// A MaxMind file (.mmdb) that says where addresses are: `country(ip)`, `asn(ip)`, `as_name(ip)`; may be given several times
    #[arg(long, value_name = "FILE")]
    pub(super) geoip: Vec<PathBuf>,
}

/// Who answers.
#[derive(Args, Default, Debug)]
pub(super) struct ClusterArgs {
    /// Let a cluster answer that `analyze cluster` made of several machines; DATA is Parquet that all of them see under the same path, and --threads is
    /// the parts that a question is cut into [default: 16]
    #[arg(long, value_name = "df://HOST:PORT", hide = cfg!(not(feature = "cluster")))]
    cluster: Option<String>,
}

impl ClusterArgs {
    /// The scheduler that is named.
    ///
    /// # Errors
    ///
    /// [`BadInput`] for what is none, and for a program that cannot ask one.
    pub(super) fn scheduler(&self) -> Result<Option<Scheduler>, BadInput> {
        let Some(text) = &self.cluster else {
            return Ok(None);
        };
        #[cfg(feature = "cluster")]
        {
            text.parse().map(Some)
        }
        #[cfg(not(feature = "cluster"))]
        {
            Err(BadInput(format!(
                "--cluster {text}: this program cannot ask a cluster; build one that can: cargo build --release -p analysis --features cluster"
            )))
        }
    }
}

/// Answer reports.
#[derive(Args, Debug)]
pub(super) struct ReportArgs {
    /// Names of reports, if not all are wanted; then files, directories or patterns
    #[arg(value_name = "NAME|DATA")]
    pub(super) given: Vec<PathBuf>,
    /// All reports that the data can answer; so it is if none is named
    #[arg(long)]
    pub(super) all: bool,
    /// Tell which reports there are
    #[arg(long)]
    pub(super) list: bool,
    /// Write one page that needs nothing beside it, with tables that sort and plots
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<PathBuf>,
    /// Write each answer as DIR/NAME.csv
    #[arg(long, value_name = "DIR")]
    pub(super) csv: Option<PathBuf>,
    /// Write each plot as DIR/NAME.png
    #[arg(long, value_name = "DIR")]
    pub(super) plots: Option<PathBuf>,
    /// A directory with reports of yours, each NAME.sql; may be given several times
    #[arg(long, value_name = "DIR")]
    pub(super) reports: Vec<PathBuf>,
    /// Rows of an answer on the terminal
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(super) rows: usize,
    #[command(flatten)]
    pub(super) cluster: ClusterArgs,
    #[command(flatten)]
    pub(super) engine: EngineArgs,
}

impl ReportArgs {
    /// Answers go to files: the terminal is not told them as well.
    pub(super) const fn shows_elsewhere(&self) -> bool {
        self.html.is_some() || self.csv.is_some() || self.plots.is_some()
    }
}

/// Ask in SQL.
#[derive(Args, Debug)]
pub(super) struct SqlArgs {
    /// A question, in quotes, then files, directories or patterns; without a question there is a prompt
    #[arg(value_name = "SQL|DATA", required = true)]
    pub(super) given: Vec<PathBuf>,
    /// All rows, as CSV
    #[arg(long)]
    pub(super) csv: bool,
    /// Rows of an answer, where it is no CSV
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub(super) rows: usize,
    #[command(flatten)]
    pub(super) cluster: ClusterArgs,
    #[command(flatten)]
    pub(super) engine: EngineArgs,
}

/// Write tables as Parquet.
#[derive(Args, Debug)]
pub(super) struct ConvertArgs {
    /// Files, directories or patterns
    #[arg(value_name = "DATA", required = true)]
    pub(super) data: Vec<PathBuf>,
    /// Where each table gets a directory
    #[arg(long, value_name = "DIR")]
    pub(super) parquet: PathBuf,
    #[command(flatten)]
    pub(super) engine: EngineArgs,
}
