//! Flags of what is recorded besides the rows, and of what becomes of addresses.

use clap::{Args, ValueEnum};
use serde::Serialize;

/// What is recorded besides the rows, and what becomes of addresses in all of it.
#[derive(Args, Debug, Serialize)]
pub struct RecordArgs {
    /// Observation tables to append to, below DATA_DIR/observed, a row per fact, a new file each hour
    #[arg(long, value_enum, value_delimiter = ',', value_name = "TABLE,...")]
    pub record: Vec<Observed>,
    /// Pack the observation tables (zstd); a kill then costs their last ten seconds instead of the last one
    #[arg(long, requires = "record")]
    pub record_zstd: bool,
    /// IP addresses in rows and tables: `truncate` keeps the network (/24, /48), `hash` makes pseudonyms by a key in
    /// DATA_DIR/anonymize.key, or from --seed. Peers in such rows cannot be fetched from. What a run needs to go on
    /// (retries.csv, dht.state) keeps addresses
    #[arg(long, value_enum, default_value_t = Anonymize::None, value_name = "HOW")]
    pub anonymize_ips: Anonymize,
}

/// A table of observations.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, ValueEnum)]
pub enum Observed {
    /// Each question of ours to a node, and what came of it
    Nodes,
    /// Each infohash that somebody showed us, asked us for or announced to us
    Sightings,
    /// Each peer that a node named or that announced itself
    Peers,
    /// What came of each peer that was dialled or that called
    Fetches,
    /// The files of each torrent whose metadata was fetched
    Files,
}

/// What becomes of addresses on output.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, ValueEnum)]
pub enum Anonymize {
    /// They stay
    None,
    /// The network stays
    Truncate,
    /// A pseudonym, the same for the same address and key
    Hash,
}
