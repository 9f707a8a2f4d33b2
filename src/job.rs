//! The jobs: each joins minds into a machine, hands it to the host, and sends what it tells to files and people.

pub mod account;
pub mod analyze;
mod around;
pub mod crawl;
pub mod create;
pub mod dht;
pub mod download;
pub mod fetch;
pub mod harvest;
pub mod hashing;
pub mod lab;
pub mod metrics;
pub mod show;
pub mod simulate;
pub mod verify;

pub mod start;

use crate::args::{Cli, Command};
use crate::config;
use crate::exit::Exit;

/// Runs the command.
///
/// # Errors
///
/// [`BadInput`](crate::exit::BadInput) for what the user can mend; any other error is the world's.
pub fn run(cli: &Cli) -> anyhow::Result<Exit> {
    host::raise_descriptor_limit(config::DESCRIPTORS);
    match &cli.command {
        Command::Crawl(args) => crawl::run(args, crawl::Yield::Metadata),
        Command::Peers(args) => crawl::run(args, crawl::Yield::Peers),
        Command::Fetch(args) => fetch::run(args),
        Command::Download(args) => download::run(args),
        Command::Seed(args) => download::seed(args),
        Command::Dht(args) => dht::run(&args.command),
        Command::Lab(args) => lab::run(args),
        Command::Simulate(args) => simulate::run(args),
        Command::Show(args) => show::run(args),
        Command::Create(args) => create::run(args),
        Command::Verify(args) => verify::run(args),
        Command::Analyze(args) => analyze::run(args),
    }
}
