//! What the download engine is told: every default of `download` and `seed`, with its unit and its reason.

use std::net::SocketAddr;
use std::time::Duration;

use engine::{Config, Deadlines, Limits, Rates, announce, blame, choker, limiter, pace, roster, window};

use super::{Bind, Net};
use crate::args::SwarmArgs;
use crate::job::download::ENGINE_CONNS;

/// How the web is asked, for trackers and web seeds.
pub fn web(net: &Net, proxy: Option<&host::Proxy>) -> host::WebPolicy {
    host::WebPolicy {
        user_agent: concat!("estudely/", env!("CARGO_PKG_VERSION")).to_owned(),
        allow_loopback: net.network.lab,
        from: match &net.bind {
            Bind::Exactly(addrs) => addrs.iter().map(SocketAddr::ip).collect(),
            Bind::FirstFree(_) => Vec::new(),
        },
        proxy: proxy.cloned(),
        requests: 64,
    }
}

/// The engine.
pub fn engine(args: &SwarmArgs, net: &Net, port: u16, udp_trackers: bool) -> Config {
    let rates = Rates {
        down: args.limit_down,
        up: args.limit_up,
    };
    Config {
        peer_id_prefix: super::PEER_ID_PREFIX,
        client: super::CLIENT.to_owned(),
        first_conn: ENGINE_CONNS,
        limits: limits(net),
        deadlines: deadlines(),
        pace: pace::Config {
            per_second: 50,
            // A home router's table is filled by SYNs that nobody answers.
            half_open: 50,
            connections: net.line.connections.max(200),
            boost: 30,
        },
        window: window(),
        choking: choker::Config {
            // BEP 3; D-07.
            interval: Duration::from_secs(10),
            optimistic_rounds: 3,
            optimistic: 1,
            seeding: choker::Rule::RoundRobin {
                pieces: 20,
                least: Duration::from_secs(60),
            },
        },
        slots: choker::AutoConfig {
            // As in BEP 3's swarms: a seed of little bandwidth that gives to 8 at once makes all of them wait for whole pieces.
            least: 4,
            most: 100,
            step: 2_048,
        },
        roster: roster(net),
        blame: blame::Config {
            pieces: 64,
            notes: 65_536,
            suspects: 1_000,
            lies: 1,
        },
        webseed: engine::webseed::WebSeedConfig {
            requests: 5,
            timeout: Duration::from_secs(20),
        },
        announce: announce(net, port, udp_trackers),
        random_first: 4,
        // Two copies of the last blocks: a third is rarely the first to come.
        endgame_copies: 2,
        lanes: wire::lanes::width(),
        // BEP 6 gives 10 as the usual number.
        allowed_fast: 10,
        pex: !args.no_pex,
        lsd: (!args.no_lsd).then_some(engine::lsd::LsdConfig {
            every: Duration::from_secs(300),
            gap: Duration::from_secs(60),
            peers: 256,
        }),
        close_redundant: true,
        rates,
        limiter: limiter::Config {
            tick: Duration::from_millis(10),
            burst: Duration::from_millis(50),
            least_burst: 16_384,
            grain: 512,
        },
        exempt_local: args.no_limit_local,
        first_web: 0,
    }
}

fn limits(net: &Net) -> Limits {
    Limits {
        connections: net.line.connections.max(200),
        // libtorrent's 200 for all; one torrent alone may have them.
        connections_per_torrent: net.line.connections.clamp(2, 200),
        greetings: 64,
        // As libtorrent. Transmission asks twice in a second, for what we say that we note: with 500 it took 7 MB/s, not 20.
        requests: 2_000,
        // The host keeps 1 MiB of a connection; a run of content is 256 KiB.
        send_ahead: 512 << 10,
        // A quarter of a second of a fast disk.
        unwritten: 64 << 20,
        held: 64 << 20,
        checks: 8,
    }
}

const fn deadlines() -> Deadlines {
    Deadlines {
        handshake: Duration::from_secs(10),
        silence: Duration::from_secs(120),
        useless: Duration::from_secs(10 * 60),
        // PWP-04: half of the silence that peers bear.
        keep_alive: Duration::from_secs(60),
        durable: Duration::from_secs(5),
        // A note is one small write, which waits for no disk.
        suspect: Duration::from_millis(100),
        durable_bytes: 256 << 20,
        pex: Duration::from_secs(60),
        want_peers: Duration::from_secs(5 * 60),
        // As libtorrent's `peer_turnover_interval`.
        turnover: Duration::from_secs(5 * 60),
        // TRK-13: trackers are given ten seconds to hear that we leave.
        leave: Duration::from_secs(10),
    }
}

const fn window() -> window::Config {
    window::Config {
        floor: 5,
        least: 2,
        cap: 500,
        queue_time: Duration::from_secs(3),
        piece_timeout: Duration::from_secs(20),
        request_timeout: Duration::from_secs(50),
        whole_pieces: Duration::from_secs(20),
    }
}

fn roster(net: &Net) -> roster::Config {
    let several = net.network.lab;
    roster::Config {
        capacity: 8_000,
        // On loopback many peers share an address (NET-08).
        per_ip: if several { 8_000 } else { 4 },
        max_fails: 3,
        reconnect: Duration::from_secs(if several { 5 } else { 60 }),
        several_per_ip: several,
        bans: 10_000,
    }
}

fn announce(net: &Net, port: u16, by_udp: bool) -> announce::Config {
    announce::Config {
        port,
        num_want: 200,
        announce_ip: None,
        supports_crypto: net.encryption != transport::Policy::Disabled,
        // D-42: one tracker that works is enough.
        announce_to_all: false,
        receive_timeout: Duration::from_secs(20),
        completion_timeout: Duration::from_secs(60),
        stop_timeout: Duration::from_secs(10),
        min_interval: Duration::from_secs(300),
        default_interval: Duration::from_secs(1_800),
        udp_timeout: Duration::from_secs(15),
        udp_retries: 8,
        udp_patience: 1,
        retry: Duration::from_secs(1),
        retry_most: Duration::from_secs(30 * 60),
        dns_ttl: Duration::from_secs(300),
        most_at_once: 64,
        most_response: 1 << 20,
        most_peers: 2_000,
        may_speak_to: if !by_udp {
            |_| false
        } else if net.network.lab {
            |addr| addr.ip().is_loopback()
        } else {
            |addr| crawler::guard::bogon::is_global(addr.ip())
        },
    }
}
