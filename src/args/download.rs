//! Flags of `download` and `seed`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use host::Proxy;
use serde::Serialize;

use super::NetArgs;

/// Download torrents.
#[derive(Args, Debug, Serialize)]
#[command(after_help = "Examples:\n  \
    estudely download some.torrent --output-dir ~/downloads\n  \
    estudely download 'magnet:?xt=urn:btih:...' --select 0,3-5 --no-seed\n  \
    estudely download --from metadata.txt --match '\\.iso$' --max-bytes 5GiB --limit 3\n\
    Run the same command again to go on where it stopped, also after kill -9 or a power loss.")]
pub struct DownloadArgs {
    /// Infohashes, magnet links or .torrent files
    #[arg(value_name = "INFOHASH | MAGNET | FILE.torrent", required_unless_present = "from")]
    pub what: Vec<String>,
    /// Download torrents of a metadata.txt: those whose metadata is known, peers of its rows first
    #[arg(long, value_name = "METADATA.TXT")]
    pub from: Option<PathBuf>,
    /// Of --from, only torrents whose name matches (a regular expression; `(?i)` before it ignores case)
    #[arg(long = "match", value_name = "REGEX", requires = "from")]
    pub matching: Option<String>,
    /// Of --from, only torrents of at most this size (1500000, 700MiB, 5GiB)
    #[arg(long, value_name = "SIZE", requires = "from", value_parser = size)]
    pub max_bytes: Option<u64>,
    /// Of --from, this many torrents at the most
    #[arg(long, value_name = "N", requires = "from")]
    pub limit: Option<usize>,
    /// Folder that files are written to
    #[arg(long, default_value = ".", value_name = "DIR")]
    pub output_dir: PathBuf,
    /// Only these files, by number from 0 as `estudely show` lists them: 0,2-5. Of a magnet link its `so` by default
    #[arg(long, visible_alias = "so", value_name = "LIST")]
    pub select: Option<String>,
    /// Pieces in order, from the first; rarest first is better for everybody
    #[arg(long)]
    pub sequential: bool,
    /// How room is made for files
    #[arg(long, value_enum, default_value = "sparse")]
    pub allocation: Allocation,
    /// Hash what is there before anything else, whatever the journal says
    #[arg(long)]
    pub verify: bool,
    /// End when everything wanted is there, instead of seeding
    #[arg(long, conflicts_with = "seed_ratio")]
    pub no_seed: bool,
    /// Seed until this many bytes went out for each that came in, then end [default: until Ctrl-C]
    #[arg(long, value_name = "R")]
    pub seed_ratio: Option<f64>,
    /// Take over what libtorrent's resume data (.fastresume) or a state.json says of the torrent: pieces, which are hashed
    /// before they are believed; of .fastresume also blocks, peers, bans, counters, levels and names of files
    #[arg(long, value_name = "FILE", conflicts_with = "from")]
    pub import_resume: Option<PathBuf>,
    /// Believe the pieces of --import-resume without hashing them, if libtorrent would
    #[arg(long, requires = "import_resume")]
    pub trust_resume: bool,
    /// What download and seed share
    #[command(flatten)]
    pub swarm: SwarmArgs,
}

/// Seed a torrent.
#[derive(Args, Debug, Serialize)]
#[command(after_help = "Example:\n  \
    estudely create some-folder --output some.torrent && estudely seed some.torrent --data .\n\
    The first run hashes the files; later ones trust the journal unless --verify is given.")]
pub struct SeedArgs {
    /// The .torrent file
    #[arg(value_name = "FILE.torrent", required = true)]
    pub torrents: Vec<PathBuf>,
    /// The folder in which the torrent's file or folder is
    #[arg(long, default_value = ".", value_name = "DIR")]
    pub data: PathBuf,
    /// Hash everything first, whatever the journal says
    #[arg(long)]
    pub verify: bool,
    /// What download and seed share
    #[command(flatten)]
    pub swarm: SwarmArgs,
}

/// What `download` and `seed` share.
#[derive(Args, Debug, Serialize)]
#[command(next_help_heading = "Swarm")]
pub struct SwarmArgs {
    /// A peer to dial first; repeatable
    #[arg(long, value_name = "IP:PORT")]
    pub peer: Vec<SocketAddr>,
    /// One more tracker, as a tier of its own before the torrent's; repeatable
    #[arg(long, value_name = "URL")]
    pub tracker: Vec<String>,
    /// Bytes a second from peers, all torrents together (100KiB, 2MiB)
    #[arg(long, value_name = "RATE", value_parser = size)]
    pub limit_down: Option<u64>,
    /// Bytes a second to peers, all torrents together
    #[arg(long, value_name = "RATE", value_parser = size)]
    pub limit_up: Option<u64>,
    /// Peers of the local network are not limited
    #[arg(long)]
    pub no_limit_local: bool,
    /// Neither ask the DHT for peers nor announce to it
    #[arg(long)]
    pub no_dht: bool,
    /// Do not announce to the local network (BEP 14)
    #[arg(long)]
    pub no_lsd: bool,
    /// Do not exchange peers with peers (BEP 11)
    #[arg(long)]
    pub no_pex: bool,
    /// Ask no tracker
    #[arg(long)]
    pub no_trackers: bool,
    /// Use no web seed
    #[arg(long)]
    pub no_web_seeds: bool,
    /// Trackers and web seeds by this proxy: socks5://HOST:PORT or http://HOST:PORT, USER:PASSWORD@ before the host. UDP trackers
    /// need one that carries datagrams (SOCKS 5), and their names are looked up here. Peers and the DHT are met directly
    #[arg(long, value_name = "URL")]
    #[serde(skip)]
    pub proxy: Option<Proxy>,
    /// One JSON object a line on stdout, for programs: `status` of each torrent once a second, and events
    #[arg(long)]
    pub json: bool,
    /// Seconds until the whole run ends; 0 means no limit
    #[arg(long, default_value_t = 0, value_name = "SECONDS")]
    pub overall_timeout: u64,
    /// Where journals, state.json, libtorrent's resume data (.fastresume) and fetched .torrent files are kept
    #[arg(long, default_value = "data", value_name = "DIR")]
    pub data_dir: PathBuf,
    /// How it behaves toward the network
    #[command(flatten)]
    pub net: NetArgs,
}

/// How room is made for files (STO-03, STO-07).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, ValueEnum)]
pub enum Allocation {
    /// Blocks come as they are written
    Sparse,
    /// Zeros are written first: a full disk shows at the start
    Full,
    /// Blocks are reserved first, without writing, where the file system can
    Fallocate,
    /// Refused: see the message
    #[value(hide = true)]
    Compact,
}

/// A size or rate in bytes, with or without a unit.
fn size(text: &str) -> Result<u64, String> {
    let digits = text
        .find(|sign: char| !sign.is_ascii_digit() && sign != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: f64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "kb" => 1e3,
        "m" | "mb" => 1e6,
        "g" | "gb" => 1e9,
        "t" | "tb" => 1e12,
        "kib" => 1024.0,
        "mib" => 1024.0 * 1024.0,
        "gib" => 1024.0 * 1024.0 * 1024.0,
        "tib" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => return Err("a number with an optional unit, as 700MiB or 5GB".to_owned()),
    };
    let number: f64 = number
        .parse()
        .map_err(|_| "a number with an optional unit, as 700MiB or 5GB".to_owned())?;
    let bytes = number * factor;
    // Exact up to 2^53, far beyond any disk.
    if (0.0..9e15).contains(&bytes) {
        Ok(bytes as u64)
    } else {
        Err("too large".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes_are_read_with_their_units() {
        assert_eq!(size("1500"), Ok(1_500));
        assert_eq!(size("1.5KiB"), Ok(1_536));
        assert_eq!(size("2 MB"), Ok(2_000_000));
        assert_eq!(size("5GiB"), Ok(5 << 30));
        assert!(size("many").is_err() && size("5 parsec").is_err() && size("-1").is_err());
    }
}
