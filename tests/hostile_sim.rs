//! Peers that mean harm, in virtual time: each behaviour of `network-model.md` 3.3 costs a bounded time and memory, and is
//! counted under its own reason.
#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::ControlFlow;
use std::time::Duration;

use clap::Parser;
use estudely::args::{Cli, Command};
use estudely::config;
use estudely::job::harvest::{Harvest, Step};
use fetcher::{Event, Failure, Pool};
use sim::{Abuse, Lab, Plan, Profile};
use transport::Transport;
use wire::InfoHash;
use world::{ConnId, Effect, Input, Machine, Member as _, Output, Seed, Time, Via};

const CLIENT: &str = "127.0.0.1:4000";

fn net() -> config::Net {
    let Command::Fetch(args) = Cli::parse_from(["estudely", "fetch", "x", "--lab"]).command else {
        panic!("not a fetch")
    };
    config::net(&args.net, Some("lab".to_owned())).unwrap()
}

/// A pool, and the most that it held.
struct Watched {
    pool: Pool,
    assembly_bytes: u64,
}

impl Machine for Watched {
    type Event = Event;

    fn handle(&mut self, now: Time, input: Input<'_>) {
        self.pool.handle(now, input);
        self.assembly_bytes = self.assembly_bytes.max(self.pool.assembly_bytes());
    }

    fn poll(&mut self, now: Time, payload: &mut Vec<u8>) -> Option<Output<Event>> {
        self.pool.poll(now, payload)
    }

    fn deadline(&self) -> Option<Time> {
        self.pool.deadline()
    }
}

/// What a lab of nothing but such peers cost.
struct Cost {
    failures: BTreeSet<Failure>,
    fetched: u64,
    attempts: u64,
    longest: Duration,
    most_assembly_bytes: u64,
    bytes_received: u64,
}

/// Fetches everything from a lab in which each peer does the same harm.
fn suffer(abuse: &'static [(Abuse, f64)]) -> Cost {
    let mut profile = Profile::ideal();
    profile.peers.abuse = abuse;
    let config = sim::Config {
        nodes: 10,
        torrents: 60,
        port: 6881,
        profile,
    };
    let mut lab = Lab::new(config, Seed::from_number(4));
    let pool = Pool::new(config::pool(&net(), 3, 0), Seed::from_number(5));
    let mut client = Watched {
        pool,
        assembly_bytes: 0,
    };
    let mut left = 0;
    for row in lab.population().truth() {
        client.pool.start(Time::ZERO, row.infohash);
        row.peers.iter().for_each(|peer| client.pool.offer(row.infohash, *peer));
        client.pool.no_more_peers(row.infohash);
        left += 1;
    }
    let mut cost = Cost {
        failures: BTreeSet::new(),
        fetched: 0,
        attempts: 0,
        longest: Duration::ZERO,
        most_assembly_bytes: 0,
        bytes_received: 0,
    };
    let plan = Plan {
        client: CLIENT.parse().unwrap(),
        until: Time::from_secs(3600),
        stop: None,
    };
    let (_, ended) = sim::run(&plan, &mut client, &mut lab, Time::ZERO, &mut |_, _, event| {
        match event {
            Event::Attempt { took, result, .. } => {
                cost.attempts += 1;
                cost.longest = cost.longest.max(took);
                // Who others were faster than has shown nothing.
                cost.failures
                    .extend(result.err().filter(|why| *why != Failure::Superseded));
                return ControlFlow::Continue(());
            }
            Event::Metadata { .. } => cost.fetched += 1,
            Event::GaveUp { .. } => {}
            _ => return ControlFlow::Continue(()),
        }
        left -= 1;
        if left == 0 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    assert_eq!(ended, sim::Ended::Broken, "{abuse:?}: not done with all in an hour");
    assert_eq!((client.pool.connections(), client.pool.assembly_bytes()), (0, 0));
    cost.most_assembly_bytes = client.assembly_bytes;
    cost.bytes_received = client.pool.stats().bytes_received;
    cost
}

/// What each behaviour is counted as, and what it may say before it is left: bytes for each talk.
fn expected(abuse: Abuse) -> (&'static [(Abuse, f64)], &'static [Failure], u64) {
    const NOISE: u64 = (2 << 20) + (64 << 10);
    // Blocks of the largest torrent of the lab, and whatever else is said.
    const TALK: u64 = 1 << 20;
    match abuse {
        Abuse::Silence => (&[(Abuse::Silence, 1.0)], &[Failure::HandshakeTimeout], 0),
        Abuse::Slow => (&[(Abuse::Slow, 1.0)], &[Failure::HandshakeTimeout], 10),
        Abuse::WrongInfoHash => (&[(Abuse::WrongInfoHash, 1.0)], &[Failure::WrongInfoHash], TALK),
        Abuse::EndlessExtended => (&[(Abuse::EndlessExtended, 1.0)], &[Failure::Noise], NOISE),
        Abuse::EndlessKeepalive => (&[(Abuse::EndlessKeepalive, 1.0)], &[Failure::Noise], NOISE),
        Abuse::OversizePrefix => (&[(Abuse::OversizePrefix, 1.0)], &[Failure::OversizeFrame], TALK),
        Abuse::Absurd => (
            &[(Abuse::Absurd, 1.0)],
            &[Failure::BadSize, Failure::TooLarge, Failure::BadPiece],
            TALK,
        ),
        // What is under an id that is not ours is not for us.
        Abuse::WrongId => (&[(Abuse::WrongId, 1.0)], &[Failure::PieceTimeout], TALK),
        Abuse::Rejects => (&[(Abuse::Rejects, 1.0)], &[Failure::Rejected], TALK),
        Abuse::WrongIndex => (&[(Abuse::WrongIndex, 1.0)], &[Failure::BadPiece], TALK),
        Abuse::WrongLength => (&[(Abuse::WrongLength, 1.0)], &[Failure::BadPiece], TALK),
        Abuse::Twice => (&[(Abuse::Twice, 1.0)], &[Failure::BadPiece], TALK),
        Abuse::Fake => (&[(Abuse::Fake, 1.0)], &[Failure::HashMismatch], TALK),
    }
}

#[test]
fn each_harm_has_its_reason_and_its_price() {
    let deadlines = config::pool(&net(), 0, 0).deadlines;
    // Every phase to its end: no behaviour of these ever gives a whole piece that is right but once.
    let phases = deadlines.connect + deadlines.handshake + deadlines.extended + deadlines.piece;
    let assemblies = config::pool(&net(), 0, 0).limits.assembly_bytes;
    for &abuse in Abuse::ALL {
        let (shares, failures, bytes) = expected(abuse);
        let cost = suffer(shares);
        let label = abuse.label();
        assert_eq!(cost.fetched, 0, "{label}");
        assert_eq!(cost.failures, failures.iter().copied().collect(), "{label}");
        assert!(cost.attempts >= 60, "{label}: {} attempts", cost.attempts);
        assert!(cost.longest <= phases, "{label}: a talk took {:?}", cost.longest);
        assert!(cost.most_assembly_bytes <= assemblies, "{label}");
        let each = cost.bytes_received / cost.attempts;
        assert!(each <= bytes, "{label}: {each} bytes a talk");
    }
}

#[test]
fn one_honest_peer_among_enemies_is_enough() {
    let mut profile = Profile::hostile();
    // Everybody is there, and two of three mean harm, in every way.
    profile.peers = sim::profile::Peers {
        accept: 1.0,
        silent: 0.0,
        utp_only: 0.0,
        reset: 0.0,
        stale: 0.0,
        handshake: 1.0,
        mse_required: 0.0,
        tarpit: 0.0,
        ut_metadata: 1.0,
        has_metadata: 1.0,
        finish: 1.0,
        correlation: None,
        step_ms: 0.0,
        abuse: &[(Abuse::Fake, 0.2), (Abuse::Twice, 0.2), (Abuse::Slow, 0.2)],
        ..profile.peers
    };
    // What is lost or late on the way is not the question.
    profile.net = Profile::ideal().net;
    let config = sim::Config {
        nodes: 10,
        torrents: 300,
        port: 6881,
        profile,
    };
    let mut lab = Lab::new(config, Seed::from_number(6));
    let mut pool = Pool::new(config::pool(&net(), 0, 0), Seed::from_number(5));
    let mut honest: BTreeSet<InfoHash> = BTreeSet::new();
    for row in lab.population().truth() {
        honest.extend(row.fetchable.map(|_| row.infohash));
        pool.start(Time::ZERO, row.infohash);
        row.peers.iter().for_each(|peer| pool.offer(row.infohash, *peer));
        pool.no_more_peers(row.infohash);
    }
    let plan = Plan {
        client: CLIENT.parse().unwrap(),
        until: Time::from_secs(3600),
        stop: None,
    };
    assert!(honest.len() > 100);
    sim::run(
        &plan,
        &mut pool,
        &mut lab,
        Time::ZERO,
        &mut |_, pool: &mut Pool, event| {
            if let Event::Metadata { info_hash, .. } = event {
                honest.remove(&info_hash);
            }
            if pool.is_idle() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        },
    );
    assert!(honest.is_empty(), "missed: {honest:?}");
}

/// Callers whose handshakes never come to an end, as many as a machine could be flooded with in a moment.
#[test]
fn half_handshakes_of_strangers_are_hung_up_on() {
    const CALLERS: u64 = 10_000;
    // What a pool may keep open of callers.
    const OPEN_MAX: usize = 1_024;
    let seed = Seed::from_number(7);
    let pool = Pool::new(config::pool(&net(), 0, 0), seed);
    let transport = Transport::new(config::streams(&net()), seed);
    let mut harvest = Harvest::new(None, Some(pool), transport, config::harvest(&net(), 0), seed);
    let mut open = BTreeSet::new();
    let mut now = Time::ZERO;
    let settle = |harvest: &mut Harvest, open: &mut BTreeSet<ConnId>, now| {
        let mut payload = Vec::new();
        while let Some(step) = harvest.poll(now, &mut payload) {
            if let Step::Effect(Effect::Close { conn }) = step {
                assert!(open.remove(&conn), "closed twice");
            }
            payload.clear();
        }
        assert!(open.len() <= OPEN_MAX, "{} strangers held", open.len());
    };
    for number in 0..CALLERS {
        let conn = ConnId(ConnId::ACCEPTED | number);
        let ip = Ipv4Addr::from(0x7f01_0000 + number as u32);
        let (from, to) = (SocketAddr::from((ip, 9)), CLIENT.parse().unwrap());
        open.insert(conn);
        harvest.handle(
            now,
            Input::Accepted {
                conn,
                from,
                to,
                via: Via::Tcp,
            },
        );
        settle(&mut harvest, &mut open, now);
        if open.contains(&conn) {
            let bytes = &b"\x13BitTorrent protocol\0\0\0\0\0\x10\0\0half"[..1 + number as usize % 32];
            harvest.handle(now, Input::Received { conn, bytes });
            settle(&mut harvest, &mut open, now);
        }
    }
    while let Some(at) = harvest.deadline().filter(|at| *at <= Time::from_secs(60)) {
        now = at;
        harvest.handle(now, Input::Tick);
        settle(&mut harvest, &mut open, now);
    }
    assert!(open.is_empty(), "{} strangers held for a minute", open.len());
}
