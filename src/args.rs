//! What may be typed. The doc comments are the help.

mod crawl;
mod dht;
mod lab;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use serde::Serialize;

pub use crawl::{CrawlArgs, NetArgs, Observed, OutArgs, Profile};
pub use dht::{DhtArgs, DhtCommand, DhtCommon};
pub use lab::{InsideLabArgs, LabArgs, LabProfile};

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
    Fetch(Box<FetchArgs>),
    /// Ask the DHT one question
    Dht(Box<DhtArgs>),
    /// Run a private DHT with peers on loopback, to try anything on
    Lab(LabArgs),
    /// Print what is in a .torrent file, an info dictionary or a magnet link
    Show(ShowArgs),
}

/// Fetch metadata for given infohashes.
#[derive(Args, Debug, Serialize)]
#[command(after_help = "Examples:\n  \
    estudely peers > peers_stream.csv; estudely fetch peers.csv > metadata.csv\n  \
    estudely fetch 0123456789abcdef0123456789abcdef01234567\n  \
    estudely fetch 'magnet:?xt=urn:btih:...' --peer 192.0.2.7:6881")]
pub struct FetchArgs {
    /// A peers.csv (columns infohash,peer_ip,peer_port), `-` for one on stdin, or infohashes and magnet links
    #[arg(required = true, value_name = "PEERS.CSV | INFOHASH | MAGNET")]
    pub what: Vec<String>,
    /// Ask this peer and no other; repeatable. Without it the DHT is asked for peers
    #[arg(long, value_name = "IP:PORT")]
    pub peer: Vec<std::net::SocketAddr>,
    /// Peers dialled at the most per infohash; 0 means no limit
    #[arg(long, default_value_t = 5, value_name = "N")]
    pub metadata_peer_attempts: u32,
    /// Seconds until the whole run ends; 0 means no limit
    #[arg(long, default_value_t = 86_400, value_name = "SECONDS")]
    pub overall_timeout: u64,
    /// Write each fetched info dictionary as DATA_DIR/torrents/INFOHASH.torrent
    #[arg(long)]
    pub save_torrents: bool,
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

/// Print what is in a torrent.
#[derive(Args, Debug, Serialize)]
pub struct ShowArgs {
    /// A .torrent file, a bare info dictionary, or a magnet link
    #[arg(value_name = "FILE | MAGNET")]
    pub what: String,
    /// Files listed at the most; 0 means all
    #[arg(long, default_value_t = 10, value_name = "N")]
    pub files: usize,
}
