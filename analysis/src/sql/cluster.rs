//! The same questions, answered by several machines (only with the feature `cluster`): who asks plans a question, a scheduler of
//! Ballista cuts it into parts, executors run them.
//!
//! All three are this program, since all of them need our functions by name; [`schedule`] and [`execute`] are the other two. Executors read
//! the files themselves, so what is asked of is Parquet, which they see under the same path as who asks.

mod planner;
mod serve;

use std::io;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use ballista_core::config::{
    BALLISTA_CLIENT_GRPC_CONNECT_TIMEOUT_SECONDS, BALLISTA_CLIENT_GRPC_HTTP2_KEEPALIVE_INTERVAL_SECONDS,
};
use ballista_core::extension::{SessionConfigExt as _, SessionStateExt as _};
use ballista_core::utils::default_session_builder;
use datafusion::common::DataFusionError;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{FunctionRegistry as _, SessionState, SessionStateBuilder};
use datafusion::prelude::{SessionConfig, SessionContext};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::fault::told;
use super::functions::{self, Places};
use crate::stage::{BadInput, Found, What};
use planner::Planner;
pub use serve::{Executor, execute, schedule};

/// How long a scheduler may take to be reached, and to say how many executors it has.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a scheduler without executors is waited for, and how often it is asked meanwhile: they may be starting.
const EXECUTORS: (u32, Duration) = (40, Duration::from_millis(250));

/// Bytes of the answer to the question how many executors there are: a status line, a few headers, a line of text.
const ANSWER: u64 = 4096;

/// Where a scheduler is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scheduler {
    /// A name or an address; IPv6 in brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl std::fmt::Display for Scheduler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "df://{}:{}", self.host, self.port)
    }
}

impl FromStr for Scheduler {
    type Err = BadInput;

    fn from_str(text: &str) -> Result<Self, BadInput> {
        let of = || {
            let (host, port) = text.strip_prefix("df://").unwrap_or(text).rsplit_once(':')?;
            let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
            let good = match bare {
                Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
                None => {
                    !host.is_empty()
                        && host
                            .bytes()
                            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
                }
            };
            Some(Self {
                host: good.then(|| host.to_owned())?,
                port: port.parse().ok().filter(|port| *port > 0)?,
            })
        };
        of().ok_or_else(|| {
            BadInput(format!(
                "{text}: no scheduler of a cluster; it looks like df://HOST:PORT (analysis/cluster/README.md)"
            ))
        })
    }
}

/// A context whose questions the cluster answers, each in so many parts; those that are not for it, within so much memory.
///
/// # Errors
///
/// [`BadInput`] for data that executors do not read; that there is no scheduler, or none with an executor.
pub(super) async fn context(
    scheduler: &Scheduler,
    found: &Found,
    places: &Places,
    parts: usize,
    memory: usize,
) -> anyhow::Result<SessionContext> {
    if let Some(csv) = found.sources.iter().find(|source| matches!(source.what, What::Csv(_))) {
        let what = "a cluster reads only Parquet; first: estudely analyze convert DATA --parquet DIR, where all its machines see DIR";
        return Err(BadInput::at(&csv.path, None, what).into());
    }
    ready(scheduler).await?;
    let config = SessionConfig::new_with_ballista()
        .with_target_partitions(parts)
        .set_bool("datafusion.execution.parquet.pushdown_filters", true)
        .set_u64(BALLISTA_CLIENT_GRPC_CONNECT_TIMEOUT_SECONDS, PATIENCE.as_secs())
        .set_u64(
            BALLISTA_CLIENT_GRPC_HTTP2_KEEPALIVE_INTERVAL_SECONDS,
            PATIENCE.as_secs(),
        );
    let pool = Arc::new(FairSpillPool::new(memory));
    let state = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(RuntimeEnvBuilder::new().with_memory_pool(pool).build_arc()?)
        .with_default_features()
        .build()
        .upgrade_for_ballista(format!("http://{}:{}", scheduler.host, scheduler.port))
        .map_err(told)?;
    let planner = Planner::new(state.query_planner());
    let state = SessionStateBuilder::new_from_existing(state)
        .with_query_planner(Arc::new(planner))
        .build();
    let context = SessionContext::new_with_state(state);
    for function in functions::all(places) {
        context.register_udf(function);
    }
    Ok(context)
}

/// What scheduler and executors make of a question's configuration: all functions of the engine, and ours.
fn state(config: SessionConfig, places: &Places) -> Result<SessionState, DataFusionError> {
    let mut state = default_session_builder(config)?;
    for function in functions::all(places) {
        state.register_udf(Arc::new(function))?;
    }
    Ok(state)
}

/// Waits, not for long, until the scheduler has an executor: it would keep a question until one came.
async fn ready(scheduler: &Scheduler) -> anyhow::Result<()> {
    let (times, pause) = EXECUTORS;
    for _ in 0..times {
        let status = timeout(PATIENCE, status(scheduler)).await;
        let status = status.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        match status {
            Ok(200) => return Ok(()),
            Ok(503) => tokio::time::sleep(pause).await,
            Ok(_) => anyhow::bail!("--cluster {scheduler}: no scheduler of Ballista listens there"),
            Err(error) => anyhow::bail!(
                "--cluster {scheduler}: no scheduler there ({error}); start one: estudely analyze cluster scheduler"
            ),
        }
    }
    anyhow::bail!(
        "--cluster {scheduler}: no executor came within {} s; start some: estudely analyze cluster executor",
        (pause * times).as_secs()
    )
}

/// Asks a scheduler over HTTP whether it has executors: 200 if so, 503 if not. No such number is no scheduler.
async fn status(scheduler: &Scheduler) -> io::Result<u16> {
    let Scheduler { host, port } = scheduler;
    let mut stream = TcpStream::connect(format!("{host}:{port}")).await?;
    let question = format!("GET /readyz HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n");
    stream.write_all(question.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(ANSWER).read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer);
    let mut words = answer.lines().next().unwrap_or_default().split(' ');
    let http = words.next().is_some_and(|word| word.starts_with("HTTP/1."));
    let number = words.next().filter(|_| http).and_then(|word| word.parse().ok());
    Ok(number.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scheduler_has_a_host_and_a_port() {
        for (text, host) in [
            ("df://10.0.0.1:50050", "10.0.0.1"),
            ("localhost:50050", "localhost"),
            ("df://[::1]:50050", "[::1]"),
        ] {
            let scheduler: Scheduler = text.parse().unwrap();
            assert_eq!((scheduler.host.as_str(), scheduler.port), (host, 50050));
        }
        for text in [
            "",
            "df://",
            "df://host",
            "df://:1",
            "df://a/b:1",
            "df://host:0",
            "http://host:1",
            "::1:1",
        ] {
            assert!(text.parse::<Scheduler>().is_err(), "{text}");
        }
    }
}
