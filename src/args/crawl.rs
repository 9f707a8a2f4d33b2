//! Flags of `crawl` and `peers`, and those that several commands share.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::Serialize;
use transport::Policy;

use super::{InsideLabArgs, RecordArgs};

/// Crawl the DHT.
#[derive(Args, Debug, Serialize)]
#[command(after_help = "Watch it live:       tail -f metadata.txt\n\
    Count successes:     grep \",True$\" metadata.txt | wc -l\n\
    Count infohashes:    cut -d, -f1 metadata.txt | sort -u | wc -l\n\
    Run it again to go on where it stopped; --fresh sets the old files aside.")]
pub struct CrawlArgs {
    /// What the crawl is after
    #[arg(long, value_enum, default_value_t = Mode::Thorough)]
    pub mode: Mode,
    /// Zones of the key space that a census lists before it ends
    #[arg(long, default_value_t = 64, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub zones: u32,
    /// Infohashes processed at the most; 0 means no limit
    #[arg(long, default_value_t = 999_999, value_name = "N")]
    pub max_infohashes: u64,
    /// Peers kept, and rows written, at the most per infohash; 0 means no limit
    #[arg(long, default_value_t = 20, value_name = "N")]
    pub peers_per_infohash: u32,
    /// Peers dialled at the most per infohash, in each round; 0 means no limit [default: 10, or 3 in mode harvest]
    #[arg(long, value_name = "N")]
    pub metadata_peer_attempts: Option<u32>,
    /// Record an infohash without metadata after one try, instead of trying again after minutes and hours
    #[arg(long)]
    pub no_retries: bool,
    /// Seconds until the crawl ends by itself; 0 means no limit
    #[arg(long, default_value_t = 86_400, value_name = "SECONDS")]
    pub overall_timeout: u64,
    /// Where rows go
    #[command(flatten)]
    pub out: OutArgs,
    /// How it behaves toward the network
    #[command(flatten)]
    pub net: NetArgs,
    /// A lab inside this command
    #[command(flatten)]
    pub lab: InsideLabArgs,
}

/// What a crawl is after. Manners are the same in every mode.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// All that can be had of each infohash: three nodes asked, ten peers dialled, further rounds
    Thorough,
    /// Most for each query and each dial: two nodes asked, three peers dialled, one round
    Harvest,
    /// A fair picture: zones of the key space drawn by lot, each node in them sampled once, the whole estimated from them
    Census,
}

/// Where rows and state go.
#[derive(Args, Debug, Serialize)]
#[command(next_help_heading = "Output")]
pub struct OutArgs {
    /// The file that rows are appended to [default: metadata.txt, or peers.csv for `peers`]
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Rows to stdout only; no file is written or read, nothing is resumed
    #[arg(long, conflicts_with_all = ["output", "fresh", "record"])]
    pub stdout_only: bool,
    /// Rows to stdout even if it is a terminal (there a progress display stands instead)
    #[arg(long)]
    pub stdout: bool,
    /// Where lasting state is kept: resume journal, node id and contacts, run.json, torrents/
    #[arg(long, default_value = "data", value_name = "DIR")]
    pub data_dir: PathBuf,
    /// Start anew: old files are set aside under a numbered name, never truncated
    #[arg(long)]
    pub fresh: bool,
    /// What is recorded besides
    #[command(flatten)]
    pub record: RecordArgs,
    /// Serve the run's figures for Prometheus at http://IP:PORT/metrics, and /healthz
    #[arg(long, value_name = "IP:PORT")]
    pub metrics: Option<SocketAddr>,
    /// Write each fetched info dictionary as DATA_DIR/torrents/INFOHASH.torrent
    #[arg(long)]
    pub save_torrents: bool,
}

/// How the node behaves toward the network.
#[derive(Args, Debug, Serialize)]
#[command(next_help_heading = "Network")]
pub struct NetArgs {
    /// A node to start from; repeatable, and replaces the public routers
    #[arg(long, value_name = "HOST:PORT")]
    pub bootstrap: Vec<String>,
    /// Local address, of UDP and of TCP connections from others; repeatable, one per family [default: 0.0.0.0 and ::, first free port of 6881-6889]
    #[arg(long, value_name = "ADDR:PORT")]
    pub bind: Vec<SocketAddr>,
    /// What the line can carry: sets --rate and --max-flows together [default: home; lab on loopback]
    #[arg(long, value_enum)]
    pub profile: Option<Profile>,
    /// DHT queries per second, over all hosts [default: home 50, vps 500, lab 4000]
    #[arg(long, value_name = "N")]
    pub rate: Option<u32>,
    /// Remote endpoints touched in any 120 s, the load on a NAT table [default: home 2048, vps 60000, lab 1000000]
    #[arg(long, value_name = "N")]
    pub max_flows: Option<usize>,
    /// Connections to peers at once [default: home 128, vps 1024, lab 1024]
    #[arg(long, value_name = "N")]
    pub max_connections: Option<usize>,
    /// Infohashes in work at once [default: home 64, vps 512, lab 512]
    #[arg(long, value_name = "N")]
    pub max_works: Option<usize>,
    /// The source of all chance, to repeat a run [default: drawn, and written to run.json]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Talk to 127.0.0.0/8 and ::1, as a lab needs; refused otherwise
    #[arg(long)]
    pub allow_loopback: bool,
    /// Networks never to be contacted: a file of CIDR blocks, one a line, `#` begins a comment
    #[arg(long, value_name = "FILE")]
    pub blocklist: Option<PathBuf>,
    /// Infohashes never to be asked for or written: a file, one a line, `#` begins a comment
    #[arg(long, value_name = "FILE")]
    pub opt_out: Option<PathBuf>,
    /// Reach peers by TCP alone, not by uTP (BEP 29)
    #[arg(long)]
    pub no_utp: bool,
    /// Encrypted streams to peers (MSE): only these, also these, or none
    #[arg(long, value_enum, default_value_t = Encryption::Enabled)]
    pub encryption: Encryption,
    /// Tell other nodes that we answer no queries (BEP 43), for a node that strangers cannot reach
    #[arg(long)]
    pub read_only: bool,
}

/// Whether streams to peers are encrypted (NET-09).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Encryption {
    /// Only encrypted, both ways
    Forced,
    /// Plain first, encrypted where the peer hangs up on that; both accepted
    Enabled,
    /// Only plain, both ways
    Disabled,
}

impl From<Encryption> for Policy {
    fn from(encryption: Encryption) -> Self {
        match encryption {
            Encryption::Forced => Self::Forced,
            Encryption::Enabled => Self::Enabled,
            Encryption::Disabled => Self::Disabled,
        }
    }
}

/// What the line can carry.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, ValueEnum)]
pub enum Profile {
    /// A home router: 50 queries/s, 2,048 flows
    Home,
    /// A server without NAT: 500 queries/s, 60,000 flows
    Vps,
    /// A private network on this machine: 4,000 queries/s, 1,000,000 flows
    Lab,
}
