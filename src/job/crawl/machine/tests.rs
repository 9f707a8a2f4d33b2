//! Rounds that lie hours apart, without a DHT: peers are known, and a script answers each dial.

use std::net::SocketAddr;

use clap::Parser as _;
use crawler::frontier::Outcome as Failed;
use crawler::{Contact, Sighting};
use wire::{InfoHash, NodeId};
use world::{Closed, Effect};

use super::*;
use crate::args::{Cli, Command};
use crate::config;

const HASH: InfoHash = InfoHash::new([7; 20]);
const HOUR: u64 = 3_600;
const MINUTE: u64 = 60;

/// A crawl of the Internet that knows nobody, with these flags.
fn crawl(flags: &[&str]) -> Crawl {
    // A dial that TCP refuses is then over at once.
    let words = ["estudely", "crawl", "--overall-timeout", "0", "--no-utp"];
    let Command::Crawl(args) = Cli::parse_from(words.iter().chain(flags)).command else {
        panic!("not a crawl");
    };
    let net = config::net(&args.net, None).unwrap();
    let seed = Seed::from_number(1);
    let pool = fetcher::Pool::new(config::pool_of_a_crawl(&net, &args), seed);
    let transport = transport::Transport::new(config::streams(&net), seed);
    let harvest = Harvest::new(None, Some(pool), transport, config::harvest(&net, 20), seed);
    let frontier = Frontier::new(config::frontier(&net, config::has_retries(&args)), seed);
    Crawl::new(harvest, frontier, config::crawl(&args), seed)
}

fn peer(last: u8) -> SocketAddr {
    SocketAddr::from(([203, 0, 113, last], 6881))
}

fn waiting(due: u64) -> Waiting {
    Waiting {
        info_hash: HASH,
        due: Time::from_secs(due),
        tries: 1,
        last: Failed::Unreachable,
        peers: vec![peer(1)],
        spare: Vec::new(),
        asked: Vec::new(),
    }
}

/// What happened, and when, in seconds.
#[derive(PartialEq, Eq, Debug)]
enum Happened {
    Dialled(u64, SocketAddr),
    Recorded(u64, Outcome),
    Over(Ending),
}

/// Runs until `until`, from deadline to deadline; whoever is dialled does not answer the SYN for long.
fn run(crawl: &mut Crawl, from: u64, until: u64) -> Vec<Happened> {
    let (mut now, mut happened, mut payload) = (Time::from_secs(from), Vec::new(), Vec::new());
    while now <= Time::from_secs(until) {
        crawl.handle(now, Input::Tick);
        while let Some(output) = crawl.poll(now, &mut payload) {
            match output {
                Output::Effect(Effect::Dial { conn, to, .. }) => {
                    happened.push(Happened::Dialled(now.as_secs(), to));
                    let why = Closed::Unreachable;
                    crawl.handle(now, Input::Closed { conn, why });
                }
                Output::Event(Event::Record(harvested)) => {
                    assert_eq!(harvested.peers, [peer(1)]);
                    happened.push(Happened::Recorded(now.as_secs(), harvested.outcome));
                }
                Output::Event(Event::Over(why)) => {
                    happened.push(Happened::Over(why));
                    return happened;
                }
                Output::Effect(_) | Output::Event(_) => {}
            }
            payload.clear();
        }
        now = crawl.deadline().expect("a crawl has a pulse").max(now);
    }
    happened
}

#[test]
fn rounds_lie_hours_apart_and_only_the_last_is_recorded() {
    use Happened::{Dialled, Recorded};
    let mut crawl = crawl(&[]);
    assert!(crawl.restore(waiting(20 * MINUTE)));
    let second = 20 * MINUTE;
    let (third, last) = (second + 3 * HOUR, second + 15 * HOUR);
    assert_eq!(
        run(&mut crawl, 0, 24 * HOUR),
        [
            Dialled(second, peer(1)),
            Dialled(third, peer(1)),
            Dialled(last, peer(1)),
            Recorded(last, Outcome::Unreachable),
        ]
    );
    assert_eq!((crawl.waiting_count(), crawl.frontier().waiting()), (0, 0));
}

#[test]
fn what_waits_when_a_crawl_is_stopped_is_kept_and_not_recorded() {
    let mut crawl = crawl(&[]);
    assert!(crawl.restore(waiting(20 * MINUTE)));
    assert_eq!(run(&mut crawl, 0, HOUR), [Happened::Dialled(20 * MINUTE, peer(1))]);
    crawl.handle(Time::from_secs(HOUR), Input::Stop);
    assert_eq!(run(&mut crawl, HOUR, 2 * HOUR), [Happened::Over(Ending::Stopped)]);
    let kept: Vec<_> = crawl.waiting().cloned().collect();
    let due = Time::from_secs(20 * MINUTE + 3 * HOUR);
    assert!(kept[0].due >= due && kept[0].due.since(due) < Duration::from_secs(5));
    assert_eq!((kept.len(), kept[0].tries, &kept[0].peers[..]), (1, 2, &[peer(1)][..]));
}

#[test]
fn without_files_what_waits_is_recorded_at_the_end() {
    let mut crawl = crawl(&["--stdout-only"]);
    assert!(crawl.restore(waiting(HOUR)));
    crawl.handle(Time::ZERO, Input::Stop);
    assert_eq!(
        run(&mut crawl, 0, MINUTE),
        [
            Happened::Recorded(0, Outcome::Unreachable),
            Happened::Over(Ending::Stopped)
        ]
    );
}

#[test]
fn without_retries_a_failure_is_recorded_at_once() {
    let mut crawl = crawl(&["--no-retries"]);
    let from = Contact {
        id: NodeId::new([1; 20]),
        addr: peer(9),
    };
    let source = Source::Announce;
    let info_hash = HASH;
    crawl.frontier.sighted(
        Time::ZERO,
        &Sighting {
            info_hash,
            from,
            source,
        },
    );
    let taken = crawl.frontier.take(Time::ZERO).unwrap();
    crawl.harvest.begin(Time::ZERO, taken.info_hash, None, &[peer(1)]);
    crawl.taken += 1;
    assert_eq!(
        run(&mut crawl, 0, MINUTE),
        [
            Happened::Dialled(0, peer(1)),
            Happened::Recorded(0, Outcome::Unreachable)
        ]
    );
}

#[test]
fn what_is_done_since_is_not_taken_up_again() {
    let mut crawl = crawl(&[]);
    crawl.frontier.prime(&HASH);
    assert!(!crawl.restore(waiting(0)));
    assert_eq!(crawl.waiting_count(), 0);
}
