//! The processes of a cluster.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use ballista_core::config::TaskSchedulingPolicy;
use ballista_core::extension::SessionConfigExt as _;
use ballista_core::registry::BallistaFunctionRegistry;
use ballista_executor::executor_process::{ExecutorProcessConfig, start_executor_process};
use ballista_executor::health::ExecutorHealth;
use ballista_scheduler::cluster::BallistaCluster;
use ballista_scheduler::config::{SchedulerConfig, TaskDistributionPolicy};
use ballista_scheduler::scheduler_process::start_server;
use datafusion::prelude::SessionConfig;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::{Scheduler, state};
use crate::sql::fault::told;
use crate::sql::functions;
use crate::stage::BadInput;

/// Seconds between two signs of life of an executor; without one it is lost, and so is a question that has no other; and seconds between two looks.
const BEAT: u64 = 3;
const LOST: u64 = 20;
const LOOK: u64 = 5;

/// Seconds that what an executor has written for a question is kept if nobody says that it is done with, and between two looks for what is older.
const KEPT: u64 = 24 * 3600;
const CLEANED: u64 = 600;

/// Seconds that an executor waits for its scheduler.
const PATIENCE: u16 = 20;

/// Where an executor works.
#[derive(Clone, Debug)]
pub struct Executor {
    /// Who gives it work.
    pub scheduler: Scheduler,
    /// Its own address: from this port others fetch what it has done, and the port above is the scheduler's.
    pub bind: SocketAddr,
    /// For what it has in work; a temporary directory if it is not said.
    pub work: Option<PathBuf>,
    /// Parts of questions at once.
    pub threads: usize,
    /// Bytes for all of them.
    pub memory: u64,
    /// MaxMind files.
    pub geoip: Vec<PathBuf>,
}

/// Schedules until the process is told to end; `listening` is called once it can be reached.
///
/// # Errors
///
/// [`BadInput`] for an address that cannot be listened on and a MaxMind file that is none.
pub fn schedule(bind: SocketAddr, geoip: &[PathBuf], listening: impl FnOnce()) -> anyhow::Result<()> {
    let places = functions::open(geoip)?;
    let config = SchedulerConfig {
        bind_host: host(bind)?,
        bind_port: bind.port(),
        external_host: host(bind)?,
        scheduling_policy: TaskSchedulingPolicy::PushStaged,
        // To all alike, not to one until it is full.
        task_distribution: TaskDistributionPolicy::RoundRobin,
        executor_timeout_seconds: LOST,
        expire_dead_executor_interval_seconds: LOOK,
        no_executors_grace_period_seconds: LOST,
        override_session_builder: Some(Arc::new(move |config| state(config, &places))),
        ..SchedulerConfig::default()
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        free(bind).await?;
        let cluster = BallistaCluster::new_from_config(&config).await?;
        let server = tokio::spawn(start_server(cluster, bind, Arc::new(config)));
        while tokio::net::TcpStream::connect(bind).await.is_err() && !server.is_finished() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        if !server.is_finished() {
            listening();
        }
        tokio::select! {
            ended = server => ended?.with_context(|| format!("the scheduler at {bind} ended")),
            asked = asked_to_end() => asked,
        }
    })
}

/// Executes until the process is told to end; `registered` is called once the scheduler knows of it.
///
/// # Errors
///
/// [`BadInput`] for an address that cannot be listened on and a MaxMind file that is none; that the scheduler is not there.
pub fn execute(executor: &Executor, registered: impl FnOnce()) -> anyhow::Result<()> {
    let places = functions::open(&executor.geoip)?;
    let state = state(SessionConfig::new_with_ballista(), &places).map_err(told)?;
    let temporary = tempfile::Builder::new().prefix("estudely-executor-").tempdir()?;
    let work = executor.work.as_deref().unwrap_or_else(|| temporary.path());
    make_empty(work)?;
    let second = SocketAddr::new(executor.bind.ip(), executor.bind.port().wrapping_add(1));
    let health = ExecutorHealth::new();
    let config = ExecutorProcessConfig {
        bind_host: host(executor.bind)?,
        external_host: Some(host(executor.bind)?),
        port: executor.bind.port(),
        grpc_port: second.port(),
        scheduler_host: executor.scheduler.host.clone(),
        scheduler_port: executor.scheduler.port,
        scheduler_connect_timeout_seconds: PATIENCE,
        task_scheduling_policy: TaskSchedulingPolicy::PushStaged,
        vcores: executor.threads,
        work_dir: Some(work.display().to_string()),
        memory_pool_size: Some(executor.memory),
        executor_heartbeat_interval_seconds: BEAT,
        job_data_ttl_seconds: KEPT,
        job_data_clean_up_interval_seconds: CLEANED,
        override_function_registry: Some(Arc::new(BallistaFunctionRegistry::from(&state))),
        health: health.clone(),
        ..ExecutorProcessConfig::default()
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        free(executor.bind).await?;
        free(second).await?;
        let process = tokio::spawn(start_executor_process(Arc::new(config)));
        while !health.is_ready() && !process.is_finished() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        if health.is_ready() {
            registered();
        }
        process
            .await?
            .with_context(|| format!("no scheduler at {} that takes an executor", executor.scheduler))
    })
}

/// Makes a directory. One that has something in it is refused: all of it is removed at the end.
fn make_empty(dir: &Path) -> anyhow::Result<()> {
    let refused = |what: &str| BadInput::at(dir, None, what);
    std::fs::create_dir_all(dir).map_err(|error| refused(&format!("no directory for --work ({error})")))?;
    if dir.read_dir()?.next().is_some() {
        return Err(refused("not empty; --work names a directory of the executor's own, emptied at the end").into());
    }
    Ok(())
}

/// An address as part of a URL. It is told to others, so it must be one that they can reach.
fn host(address: SocketAddr) -> Result<String, BadInput> {
    match address {
        _ if address.ip().is_unspecified() || !(1..u16::MAX).contains(&address.port()) => Err(BadInput(format!(
            "--bind {address}: name the address under which the other machines reach this one, and a port of 1 to 65534"
        ))),
        SocketAddr::V4(address) => Ok(address.ip().to_string()),
        SocketAddr::V6(address) => Ok(format!("[{}]", address.ip())),
    }
}

/// That an address can be listened on: the library would say nothing, and go on without.
async fn free(address: SocketAddr) -> Result<(), BadInput> {
    let listens = TcpListener::bind(address).await;
    listens.map(drop).map_err(|error| {
        BadInput(format!(
            "{address}: cannot be listened on ({error}); name another with --bind IP:PORT"
        ))
    })
}

/// Waits for Ctrl-C or SIGTERM.
async fn asked_to_end() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
    }
    Ok(())
}
