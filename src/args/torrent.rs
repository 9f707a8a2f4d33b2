//! Flags of `create` and `verify`.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use wire::HostPort;

/// Make a .torrent file.
#[derive(Args, Debug, Serialize)]
#[command(after_help = "Examples:\n  \
    estudely create file.mp4 --v2 --output file.torrent --tracker http://tracker.example.com/announce\n  \
    estudely create directory/ --hybrid --output directory.torrent\n  \
    estudely create data/ --tracker udp://a.example:6969,udp://b.example:6969 --tracker http://c.example/announce\n  \
    estudely create data/ --no-date --created-by ''      (the same bytes whenever and wherever it is made)\n\n\
    The magnet link goes to stdout, all that people read to stderr. Symbolic links and special files are left out, with a line\n\
    for each; hidden and empty files are in. Files are in the order of their paths, byte by byte. Ctrl-C leaves nothing behind.")]
pub struct CreateArgs {
    /// A file, or a directory with all that is in it
    #[arg(value_name = "PATH")]
    pub path: PathBuf,
    /// The file to write [default: the name of PATH with .torrent, in this directory]
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Replace the output if it exists
    #[arg(long)]
    pub force: bool,
    /// Version 1 (BEP 3): every program can load it. This is the default
    #[arg(long, conflicts_with_all = ["v2", "hybrid"])]
    pub v1: bool,
    /// Version 2 only (BEP 52): SHA-256, a hash tree for each file; older programs cannot load it
    #[arg(long, conflicts_with = "hybrid")]
    pub v2: bool,
    /// Both in one torrent: peers of either version can share it; padding (BEP 47) lets each file begin a piece
    #[arg(long)]
    pub hybrid: bool,
    /// A tracker, by URL; repeatable, each a tier that is tried after the one before. Comma-separated URLs are one tier
    #[arg(long, value_name = "URL,...")]
    pub tracker: Vec<String>,
    /// A web server that has the content (BEP 19), by URL; repeatable. One that ends in `/` gets the torrent's name appended
    #[arg(long, value_name = "URL")]
    pub web_seed: Vec<String>,
    /// A DHT node to start from (BEP 5); repeatable
    #[arg(long, value_name = "HOST:PORT")]
    #[serde(serialize_with = "as_text")]
    pub node: Vec<HostPort>,
    /// Only peers that the trackers name may have it: no DHT, no peer exchange (BEP 27)
    #[arg(long)]
    pub private: bool,
    /// Bytes of a piece, a power of two from 16KiB to 128MiB [default: 16KiB below 16 MiB of content, 256KiB below 512 MiB, else
    /// 1MiB, or as much as keeps it below 20,000 pieces]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub piece_length: Option<u64>,
    /// Free text for people
    #[arg(long, value_name = "TEXT")]
    pub comment: Option<String>,
    /// The program that made it; empty for none
    #[arg(long, value_name = "TEXT", default_value = concat!("DHT-Estudely ", env!("CARGO_PKG_VERSION")))]
    pub created_by: String,
    /// Text inside the info dictionary: gives the same content another infohash, as private trackers want it
    #[arg(long, value_name = "TEXT")]
    pub source: Option<String>,
    /// Do not write when it was made
    #[arg(long)]
    pub no_date: bool,
}

/// Check files against a torrent.
#[derive(Args, Debug, Serialize)]
#[command(after_help = "Examples:\n  \
    estudely verify some.torrent --data ~/downloads\n  \
    estudely verify some.torrent --data ~/downloads --json | jq 'select(.state != \"ok\")'\n\n\
    Exit code 0 if every byte is there and right, 1 if not, 2 if what was given cannot be used.")]
pub struct VerifyArgs {
    /// The .torrent file
    #[arg(value_name = "FILE.TORRENT")]
    pub torrent: PathBuf,
    /// Where the content is: the directory that has the torrent's file or directory in it, or that itself
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub data: PathBuf,
    /// Look at sizes, and hash only the first and the last piece of each file
    #[arg(long)]
    pub quick: bool,
    /// List the files that are right, too
    #[arg(long)]
    pub all: bool,
    /// One JSON object a line: each file, and a summary at the end
    #[arg(long)]
    pub json: bool,
}

/// A number of bytes, with or without a unit: `65536`, `16KiB`, `1 MiB`, `1M`.
fn size(text: &str) -> Result<u64, String> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        _ => return Err("write it as 65536, 256KiB or 1MiB".into()),
    };
    let number: u64 = digits.parse().map_err(|_| "write it as 65536, 256KiB or 1MiB")?;
    number.checked_mul(factor).ok_or_else(|| "too large".into())
}

fn as_text<S: serde::Serializer>(nodes: &[HostPort], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(nodes.iter().map(ToString::to_string))
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes_are_read_with_and_without_units() {
        for (text, bytes) in [
            ("65536", 65_536),
            ("16KiB", 16_384),
            ("1 MiB", 1 << 20),
            ("2m", 2 << 20),
            ("1g", 1 << 30),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "KiB", "1.5MiB", "-1", "16kB", "99999999999g"] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
