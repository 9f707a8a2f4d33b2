//! Flags of `dht`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::{InsideLabArgs, NetArgs};

/// Ask the DHT one question.
#[derive(Args, Debug, Serialize)]
pub struct DhtArgs {
    /// The question.
    #[command(subcommand)]
    pub command: DhtCommand,
}

/// The questions.
#[derive(Subcommand, Debug, Serialize)]
pub enum DhtCommand {
    /// Is this node there? Prints its id, version and round trip
    Ping {
        /// The node
        #[arg(value_name = "HOST:PORT")]
        node: String,
        /// What every question takes
        #[command(flatten)]
        common: DhtCommon,
    },
    /// Which nodes are closest to an id? One node's answer, or a whole lookup
    FindNode {
        /// 40 hex digits
        #[arg(value_name = "ID")]
        target: String,
        /// Ask only this node
        #[arg(long, value_name = "HOST:PORT")]
        node: Option<String>,
        /// What every question takes
        #[command(flatten)]
        common: DhtCommon,
    },
    /// Who has this torrent? One node's answer, or a whole lookup
    GetPeers {
        /// 40 hex digits, or a magnet link
        #[arg(value_name = "INFOHASH")]
        info_hash: String,
        /// Ask only this node
        #[arg(long, value_name = "HOST:PORT")]
        node: Option<String>,
        /// What every question takes
        #[command(flatten)]
        common: DhtCommon,
    },
    /// How many nodes are there? Estimated from the distances of the nearest nodes to random points
    Size {
        /// Walks to random points; the interval is ±18% with 16, ±9% with 64
        #[arg(long, default_value_t = 16, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
        lookups: u32,
        /// What every question takes
        #[command(flatten)]
        common: DhtCommon,
    },
    /// How many seeds and other peers does this torrent have? Estimated from filters (BEP 33)
    Scrape {
        /// 40 hex digits, or a magnet link
        #[arg(value_name = "INFOHASH")]
        info_hash: String,
        /// What every question takes
        #[command(flatten)]
        common: DhtCommon,
    },
    /// Which infohashes does this node store? (BEP 51)
    Sample {
        /// The node
        #[arg(value_name = "HOST:PORT")]
        node: String,
        /// 40 hex digits; the node names its contacts closest to it [default: chosen at random]
        #[arg(long, value_name = "ID")]
        target: Option<String>,
        /// What every question takes
        #[command(flatten)]
        common: DhtCommon,
    },
}

/// What every question takes.
#[derive(Args, Debug, Serialize)]
pub struct DhtCommon {
    /// Where a crawl keeps the nodes it knows, to start from
    #[arg(long, default_value = "data", value_name = "DIR")]
    pub data_dir: PathBuf,
    /// Seconds to wait at the most
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    pub overall_timeout: u64,
    /// How it behaves toward the network
    #[command(flatten)]
    pub net: NetArgs,
    /// A lab inside this command
    #[command(flatten)]
    pub lab: InsideLabArgs,
}
