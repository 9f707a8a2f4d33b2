//! Flags of `simulate`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::Serialize;

/// Compare crawl policies in virtual time.
#[derive(Args, Debug, Serialize)]
#[command(after_help = "Example:\n  \
    estudely simulate --nodes 100000 --hours 6 --profile realistic --seed 1 --out sim/")]
pub struct SimulateArgs {
    /// DHT nodes alive at one moment
    #[arg(long, default_value_t = 10_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub nodes: u32,
    /// Torrents announced [default: 4 for each node]
    #[arg(long, value_name = "N")]
    pub torrents: Option<u32>,
    /// Virtual hours
    #[arg(long, default_value_t = 6.0, value_name = "H")]
    pub hours: f64,
    /// Who crawls: one policy or several, each in a world of its own from the same seed
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "estudely",
        value_name = "POLICY,..."
    )]
    pub policy: Vec<Policy>,
    /// What the world is like
    #[arg(long, value_enum, default_value_t = World::Realistic)]
    pub profile: World,
    /// DHT queries per second, over all hosts [default: 500; nat-home 50, with the flow budget of a line at home]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub rate: Option<u32>,
    /// The source of all chance: the same seed gives the same figures to the last bit
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seed: u64,
    /// Policies that run at once [default: one for each processor, as far as 12 GiB hold their worlds]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub at_once: Option<u16>,
    /// Write series as CSV and run.json to this directory
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Write what each crawl of ours would have left to DIR/POLICY: metadata.txt and the observation tables, from 2026-01-01 on. Their
    /// addresses are drawn from the seed; infohashes that wait for another round at the end have no row
    #[arg(long, requires = "out")]
    pub tables: bool,
}

impl SimulateArgs {
    /// Queries per second: what was typed, or what such a line carries (see `crate::config`).
    pub fn queries_per_second(&self) -> u32 {
        self.rate.unwrap_or(match self.profile {
            World::NatHome => 50,
            World::Ideal | World::Realistic | World::Hostile => 500,
        })
    }
}

/// A way to crawl.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// What `estudely crawl` does
    Estudely,
    /// The same with `--mode harvest`
    Harvest,
    /// The same with `--mode census`
    Census,
    /// As the Python original went about it
    EstudelyLike,
    /// As bitmagnet goes about it
    BitmagnetLike,
    /// As magnetico goes about it
    MagneticoLike,
    /// As mldht's TorrentDumper goes about it
    MldhtLike,
}

/// What a simulated world is like (`network-model.md`, section 3).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum World {
    /// No loss, everyone answers, every peer serves: for correctness and upper bounds
    Ideal,
    /// Loss, NAT, dead and forged contacts, mixed clients with their quirks, most peers unreachable
    Realistic,
    /// The same, with many nodes, peers and torrents that mean harm
    Hostile,
    /// The realistic one from behind a cheap router at home: 4,096 mappings, 600 of them taken by others
    NatHome,
}
