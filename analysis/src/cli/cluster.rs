//! `analyze cluster`: the processes that answer together (only with the feature `cluster`).

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::say;
use crate::sql::{self, Scheduler};
use crate::stage;

/// Who to be.
#[derive(Subcommand, Debug)]
pub(super) enum ClusterCommand {
    /// Take questions and give executors parts of them
    Scheduler(SchedulerArgs),
    /// Run parts of questions. Whoever asks and all other executors must reach it
    Executor(ExecutorArgs),
}

/// Take questions.
#[derive(Args, Debug)]
pub(super) struct SchedulerArgs {
    /// Where it is reached
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:50050")]
    bind: SocketAddr,
    /// A MaxMind file, as all executors have it
    #[arg(long, value_name = "FILE")]
    geoip: Vec<PathBuf>,
}

/// Run parts of questions.
#[derive(Args, Debug)]
pub(super) struct ExecutorArgs {
    /// Who gives it work
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:50050")]
    scheduler: Scheduler,
    /// Where it is reached: at this port and the one above
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:50051")]
    bind: SocketAddr,
    /// A directory of its own for what it has in work, removed at the end [default: a temporary one]
    #[arg(long, value_name = "DIR")]
    work: Option<PathBuf>,
    /// Parts that it runs at once [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    threads: Option<u16>,
    /// Memory for all of them, MiB; what does not fit goes to temporary files
    #[arg(long, value_name = "MIB", default_value_t = 1536, value_parser = clap::value_parser!(u64).range(64..=1_048_576))]
    memory: u64,
    /// A MaxMind file, as the scheduler and all executors have it
    #[arg(long, value_name = "FILE")]
    geoip: Vec<PathBuf>,
}

/// Runs until Ctrl-C or SIGTERM.
pub(super) fn run(command: ClusterCommand) -> anyhow::Result<()> {
    match command {
        ClusterCommand::Scheduler(args) => sql::schedule(args.bind, &args.geoip, || {
            say::note(&format!("scheduler: df://{}", args.bind));
        }),
        ClusterCommand::Executor(args) => {
            let executor = sql::Executor {
                scheduler: args.scheduler,
                bind: args.bind,
                work: args.work,
                threads: args.threads.map_or_else(stage::cores, usize::from),
                memory: args.memory << 20,
                geoip: args.geoip,
            };
            sql::execute(&executor, || {
                say::note(&format!(
                    "executor at {}: works for {}",
                    executor.bind, executor.scheduler
                ));
            })
        }
    }
}
