//! Flags of `lab`, and of the lab inside another command.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::Serialize;

/// Run a private DHT with peers on loopback.
///
/// Every virtual host has an address of its own in 127.0.0.0/8. The same seed gives the same population.
#[derive(Args, Debug, Serialize)]
#[command(after_help = "In another terminal:\n  \
    estudely crawl --allow-loopback --bind 127.0.0.1:0 --profile lab --bootstrap <the address printed>")]
pub struct LabArgs {
    /// DHT nodes alive
    #[arg(long, default_value_t = 2_000, value_name = "N")]
    pub nodes: usize,
    /// Torrents announced
    #[arg(long, default_value_t = 2_000, value_name = "N")]
    pub torrents: usize,
    /// How well the network behaves
    #[arg(long, value_enum, default_value_t = LabProfile::Ideal)]
    pub profile: LabProfile,
    /// The population's seed
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seed: u64,
    /// UDP and TCP port of every virtual host; port+1 is silent by TCP, port+2 refuses. 0 takes free ones
    #[arg(long, default_value_t = 0, value_name = "PORT")]
    pub port: u16,
    /// Write the truth, in the columns of metadata.txt, to this file
    #[arg(long, value_name = "FILE")]
    pub truth: Option<PathBuf>,
    /// Append the infohash of every peer that is connected to, one a line, to this file
    #[arg(long, value_name = "FILE")]
    pub calls: Option<PathBuf>,
    /// Seconds until the lab ends by itself; 0 means that Ctrl-C ends it
    #[arg(long, default_value_t = 0, value_name = "SECONDS")]
    pub overall_timeout: u64,
}

/// A lab inside another command.
#[derive(Args, Debug, Serialize)]
#[command(next_help_heading = "Lab")]
pub struct InsideLabArgs {
    /// Bring a private DHT along on loopback, crawl it, and compare with the truth at the end
    #[arg(long)]
    pub lab: bool,
    /// DHT nodes alive in it
    #[arg(long, default_value_t = 2_000, value_name = "N", requires = "lab")]
    pub lab_nodes: usize,
    /// Torrents announced in it
    #[arg(long, default_value_t = 2_000, value_name = "N", requires = "lab")]
    pub lab_torrents: usize,
    /// How well its network behaves
    #[arg(long, value_enum, default_value_t = LabProfile::Ideal, requires = "lab")]
    pub lab_profile: LabProfile,
    /// Its population's seed
    #[arg(long, default_value_t = 1, value_name = "N", requires = "lab")]
    pub lab_seed: u64,
    /// Write its truth, in the columns of metadata.txt, to this file
    #[arg(long, value_name = "FILE", requires = "lab")]
    pub truth: Option<PathBuf>,
}

impl InsideLabArgs {
    /// For a command that brings none along.
    pub const fn none() -> Self {
        Self {
            lab: false,
            lab_nodes: 0,
            lab_torrents: 0,
            lab_profile: LabProfile::Ideal,
            lab_seed: 0,
            truth: None,
        }
    }
}

/// How well a lab's network behaves (`network-model.md`, section 3).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, ValueEnum)]
pub enum LabProfile {
    /// No loss, everyone answers, every peer serves: for correctness and upper bounds
    Ideal,
    /// Loss, NAT, dead and forged contacts, mixed clients with their quirks, most peers unreachable
    Realistic,
    /// The same, with many nodes, peers and torrents that mean harm
    Hostile,
    /// Everyone answers, and no peer ever says a word: to measure connections that are held
    Tarpit,
}

impl InsideLabArgs {
    /// The lab to build, if one was asked for.
    pub fn wanted(&self) -> Option<LabArgs> {
        self.lab.then(|| LabArgs {
            nodes: self.lab_nodes,
            torrents: self.lab_torrents,
            profile: self.lab_profile,
            seed: self.lab_seed,
            port: 0,
            truth: self.truth.clone(),
            calls: None,
            overall_timeout: 0,
        })
    }
}
