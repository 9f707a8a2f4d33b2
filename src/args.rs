//! What may be typed. The doc comments are the help.

mod crawl;
mod dht;
mod download;
mod lab;
mod record;
mod simulate;
mod torrent;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use serde::Serialize;

pub use crawl::{CrawlArgs, Encryption, Mode, NetArgs, OutArgs, Profile};
pub use dht::{DhtArgs, DhtCommand, DhtCommon};
pub use download::{Allocation, DownloadArgs, SeedArgs, SwarmArgs};
pub use lab::{InsideLabArgs, LabArgs, LabProfile};
pub use record::{Anonymize, Observed, RecordArgs};
pub use simulate::{Policy, SimulateArgs, World};
pub use torrent::{CreateArgs, VerifyArgs};

/// Survey BitTorrent's Mainline DHT.
///
/// Crawls infohashes with `sample_infohashes` (BEP 51) and `get_peers` (BEP 5), fetches their metadata from peers with
/// `ut_metadata` (BEP 9), and streams the results to CSV. For education and research: respect network etiquette.
#[derive(Parser, Debug)]
#[command(
    name = "estudely",
    version,
    propagate_version = true,
    max_term_width = 110,
    after_help = "Try it without the Internet:  estudely crawl --lab\n\
                  Manners (rates, back-off, refused addresses) are on by default; see `estudely crawl --help`."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Crawl: find infohashes and peers, fetch metadata, one row per known peer to metadata.txt and stdout
    Crawl(Box<CrawlArgs>),
    /// Collect peers only: infohash,peer_ip,peer_port to stdout and peers.csv (step one of two)
    Peers(Box<CrawlArgs>),
    /// Fetch metadata: for a peers.csv (step two of two), or for infohashes and magnet links
    ///
    /// Rows of successes go to stdout (infohash,name,file_count,total_bytes,piece_length), all that people read to stderr. A list
    /// may be of any size, and packed with gzip or zstd; lines that are no rows are told by number and passed over.
    /// Consecutive rows of an infohash are fetched as one. Where it comes again later its peers are added if it is in work; if it
    /// was fetched (of the last 3.6 million successes, for certain) it is passed over.
    Fetch(Box<FetchArgs>),
    /// Download torrents: infohashes, magnet links, .torrent files, or a choice of a metadata.txt
    Download(Box<DownloadArgs>),
    /// Serve a torrent whose files are here
    Seed(Box<SeedArgs>),
    /// Ask the DHT one question
    Dht(Box<DhtArgs>),
    /// Run a private DHT with peers on loopback, to try anything on
    Lab(LabArgs),
    /// Compare crawl policies in virtual time, on a whole pretend DHT in memory: no packet is sent
    Simulate(SimulateArgs),
    /// Print what is in a .torrent file, an info dictionary, libtorrent's resume data or a magnet link
    Show(ShowArgs),
    /// Make a .torrent file of a file or a directory: v1, v2 or both
    #[command(visible_alias = "create-torrent")]
    Create(Box<CreateArgs>),
    /// Check files against a .torrent: which are damaged or missing, and in which pieces
    Verify(VerifyArgs),
    /// Figures of what crawls left: runs estudely-analyze, which is built by itself (README.md)
    #[command(disable_help_flag = true)]
    Analyze(AnalyzeArgs),
}

/// Fetch metadata for given infohashes.
#[derive(Args, Debug, Serialize)]
#[command(after_help = "Examples:\n  \
    estudely peers > peers_stream.csv; estudely fetch peers.csv > metadata.csv\n  \
    estudely fetch peers.csv.zst --output metadata.csv   (again after any interruption: it goes on)\n  \
    zcat lists/*.gz | estudely fetch - --jsonl --all > results.jsonl\n  \
    estudely fetch --magnets links.txt --save-torrents\n  \
    estudely fetch 0123456789abcdef0123456789abcdef01234567\n  \
    estudely fetch 'magnet:?xt=urn:btih:...' --peer 192.0.2.7:6881")]
pub struct FetchArgs {
    /// A peers.csv (columns infohash,peer_ip,peer_port) or a file of bare infohashes, `-` for one on stdin; or infohashes and
    /// magnet links
    #[arg(required_unless_present = "magnets", value_name = "PEERS.CSV | INFOHASH | MAGNET")]
    pub what: Vec<String>,
    /// A list of magnet links or infohashes, one a line, `#` begins a comment; `-` is stdin
    #[arg(long, value_name = "FILE", conflicts_with = "what")]
    pub magnets: Option<String>,
    /// Ask this peer and no other; repeatable. Without it the DHT is asked for peers
    #[arg(long, value_name = "IP:PORT")]
    pub peer: Vec<std::net::SocketAddr>,
    /// Ask the DHT about infohashes without a peer, also if the first of a peers.csv has one [default: only if it has none]
    #[arg(long)]
    pub lookup: bool,
    /// Peers dialled at the most per infohash; 0 means no limit
    #[arg(long, default_value_t = 10, value_name = "N")]
    pub metadata_peer_attempts: u32,
    /// Threads that fetch, each with sockets of its own and its share of connections; the DHT is asked by one only, so for a list
    /// that names no peers it stays one. A host that has several infohashes may be dialled by each thread at once
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub threads: u16,
    /// Seconds until the whole run ends; 0 means no limit
    #[arg(long, default_value_t = 86_400, value_name = "SECONDS")]
    pub overall_timeout: u64,
    /// Where rows go
    #[command(flatten)]
    pub rows: RowArgs,
    /// Write each fetched info dictionary as DATA_DIR/torrents/INFOHASH.torrent
    #[arg(long)]
    pub save_torrents: bool,
    /// What is recorded besides
    #[command(flatten)]
    pub record: RecordArgs,
    /// Serve the run's figures for Prometheus at http://IP:PORT/metrics, and /healthz
    #[arg(long, value_name = "IP:PORT")]
    pub metrics: Option<std::net::SocketAddr>,
    /// Where lasting state is kept
    #[arg(long, default_value = "data", value_name = "DIR")]
    pub data_dir: PathBuf,
    /// How it behaves toward the network
    #[command(flatten)]
    pub net: NetArgs,
    /// A lab inside this command
    #[command(flatten)]
    pub lab: InsideLabArgs,
}

/// What the rows of a fetch are, and where they go.
#[derive(Args, Debug, Serialize)]
#[command(next_help_heading = "Output")]
pub struct RowArgs {
    /// Append rows to this file instead of stdout, and remember in FILE.journal what is done: the same command goes on where
    /// it stopped, also after kill -9. Without it (rows on stdout) nothing can be resumed
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Failures, too: the eight columns of metadata.txt, one row per peer, metadata_ok at the end
    #[arg(long)]
    pub all: bool,
    /// One JSON object a line, with files, peer and duration; with --all failures and their reason, too
    #[arg(long)]
    pub jsonl: bool,
    /// Fetch again what earlier runs gave up; by default that is done
    #[arg(long, requires = "output")]
    pub retry_failed: bool,
    /// Start anew: FILE and its journal are set aside under a numbered name, never truncated
    #[arg(long, requires = "output")]
    pub fresh: bool,
}

/// What is passed on to `estudely-analyze`.
#[derive(Args, Debug, Serialize)]
pub struct AnalyzeArgs {
    /// Its command and arguments; `estudely analyze --help` lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
    pub words: Vec<std::ffi::OsString>,
}

/// Print what is in a torrent.
#[derive(Args, Debug, Serialize)]
pub struct ShowArgs {
    /// A .torrent file, a bare info dictionary, a .fastresume file, or a magnet link
    #[arg(value_name = "FILE | MAGNET")]
    pub what: String,
    /// Files listed at the most; 0 means all
    #[arg(long, default_value_t = 10, value_name = "N")]
    pub files: usize,
}
