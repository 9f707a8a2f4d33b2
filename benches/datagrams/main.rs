//! Datagrams handled per core-second by the node, against a bare echo on the same loop: `cargo bench --bench datagrams`.
//!
//! Two machines, each carried by a `host::run` of its own on a thread of its own, with a socket on loopback: one sends
//! back what it receives, the other is a node with a full table and a full store, which answers questions from thousands
//! of hosts. One load, a third `host::run`, keeps the same window of questions in flight with one of them after the
//! other, round by round, so that a busy machine is busy for both. What counts is the processor time of the thread that
//! serves, user and kernel, as its own clock tells it at the beginning and the end of each round.
//!
//! The node's answers are longer than the questions that the echo sends back; what the kernel does with the difference
//! is in the node's figure. Look at `busy`: below some 90 % other programs had the processors, too, and a batch then
//! finds cold caches, which costs the node more than the echo. `-- --test` runs one short round of each.
#![expect(clippy::print_stdout, reason = "a bench is there to be read")]

mod load;
mod metered;
mod population;

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::ControlFlow;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crawler::stats::Kind;
use host::{DiskLimits, Ended, HostError, Limits, Setup, Stage, Stopper};
use load::{Load, Question, Round, Target};
use metered::{Echo, Metered};
use world::Machine;

/// What issue 2 asks for: the node's datagrams per core-second, as a share of the echo's.
const TARGET: f64 = 0.5;

/// How much to do.
struct Plan {
    /// Of each machine. Odd, so that the median is one of them.
    rounds: usize,
    datagrams: u32,
}

impl Plan {
    fn of_arguments() -> Self {
        let short = std::env::args().any(|arg| arg == "--test");
        let (rounds, datagrams) = if short { (1, 5_000) } else { (31, 50_000) };
        Self { rounds, datagrams }
    }
}

fn main() -> Result<(), HostError> {
    let plan = Plan::of_arguments();
    let stage = Stage::lab(0, false, limits())?;
    let port = stage.udp_addrs().first().map_or(0, SocketAddr::port);
    let (node, questions) = population::fill(port);
    let gauges = node.gauges();
    println!("node: {} nodes in its table", gauges.tables[0].nodes);

    let echo = Served::start("echo", Echo::default(), true)?;
    let node = Served::start("node", node, false)?;
    let rounds = load(&plan, stage, [echo.target, node.target], questions)?;
    echo.stop()?;
    let node = node.stop()?;
    let stats = node.stats();
    println!(
        "node: {} replies, {} refusals, {} pings of its own, {} drops",
        stats.datagrams_out[Kind::Reply],
        stats.datagrams_out[Kind::Error],
        stats.datagrams_out[Kind::Query],
        stats.drops.total()
    );
    report(&rounds);
    Ok(())
}

/// A machine that answers on a thread of its own.
struct Served<M> {
    target: Target,
    stopper: Stopper,
    thread: JoinHandle<Result<(M, Ended), HostError>>,
}

impl<M: Machine + Send + 'static> Served<M> {
    /// `name` is what a profiler calls the thread.
    fn start(name: &str, machine: M, echoes: bool) -> Result<Self, HostError> {
        let stage = Stage::open(&Setup {
            udp: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))],
            listen: None,
            signals: false,
            limits: limits(),
        })?;
        let addr = stage.udp_addrs().first().copied();
        let addr = addr.unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let stopper = stage.stopper();
        let serve = move || {
            let mut metered = Metered::new(machine);
            let ended = host::run(stage, &mut metered, |_, _, _| ControlFlow::Continue(()))?;
            Ok((metered.machine, ended))
        };
        let thread = thread::Builder::new().name(name.to_owned()).spawn(serve);
        let thread = thread.map_err(HostError::Loop)?;
        Ok(Self {
            target: Target { addr, echoes },
            stopper,
            thread,
        })
    }

    fn stop(self) -> Result<M, HostError> {
        // Once is a wish, twice an order.
        self.stopper.stop();
        self.stopper.stop();
        let (machine, ended) = self.thread.join().expect("neither machine panics")?;
        assert_eq!(ended.counters.send_errors.total(), 0, "the kernel refused datagrams");
        Ok(machine)
    }
}

/// The rounds of each target.
fn load(
    plan: &Plan,
    stage: Stage,
    targets: [Target; 2],
    questions: Vec<Question>,
) -> Result<[Vec<Round>; 2], HostError> {
    let mut rounds = [Vec::new(), Vec::new()];
    let mut load = Load::new(questions, targets[0], plan.datagrams);
    host::run(stage, &mut load, |_, load: &mut Load, round| {
        let total: usize = rounds.iter().map(Vec::len).sum();
        rounds[total % 2].push(round);
        if total + 1 == 2 * plan.rounds {
            return ControlFlow::Break(());
        }
        load.begin(targets[(total + 1) % 2], plan.datagrams);
        ControlFlow::Continue(())
    })?;
    Ok(rounds)
}

/// Prints what each did.
fn report([echo, node]: &[Vec<Round>; 2]) {
    println!("median of {} rounds of each, by turns", echo.len());
    println!("        ns a datagram  datagrams a core-second  bytes answered  busy   lost");
    for (name, rounds) in [("echo", echo), ("node", node)] {
        let answered: f64 = rounds.iter().map(|round| f64::from(round.answered)).sum();
        println!(
            "{name:<6}  {:>13.0}  {:>23.0}  {:>14.0}  {:>3.0}%  {:>5}",
            1e9 / median(rounds.iter().map(rate)),
            median(rounds.iter().map(rate)),
            rounds.iter().map(|round| round.bytes as f64).sum::<f64>() / answered,
            100.0 * median(rounds.iter().map(busy)),
            rounds.iter().map(|round| round.lost).sum::<u32>(),
        );
    }
    let pairs = || echo.iter().zip(node).map(|(echo, node)| rate(node) / rate(echo));
    let ratio = median(pairs());
    let least = pairs().fold(f64::INFINITY, f64::min);
    let most = pairs().fold(0.0, f64::max);
    println!("node / echo: {ratio:.3} (least {least:.3}, most {most:.3}; target {TARGET})");
}

/// Datagrams answered per second of the serving thread's processor time.
fn rate(round: &Round) -> f64 {
    f64::from(round.answered) / round.served_in.as_secs_f64()
}

/// Share of the time that the serving thread ran.
fn busy(round: &Round) -> f64 {
    round.served_in.as_secs_f64() / round.lasted.as_secs_f64()
}

fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

fn limits() -> Limits {
    Limits {
        connections: 16,
        accepted: 16,
        write_buffer: 1 << 20,
        send_backlog: 4096,
        close_grace: Duration::from_secs(1),
        // Nobody asks for it.
        disk: DiskLimits {
            workers: 0,
            open_files: 1,
            held: 1,
            inline_writes: false,
            inline_reads: false,
        },
    }
}
