//! What an engine is told in the property of this room: so little of everything that every bound is met often.

use std::time::Duration;

use crate::{
    BLOCK, Config, Deadlines, Limits, Rates, announce, blame, choker, limiter, lsd, pace, roster, webseed, window,
};

const ROSTER: roster::Config = roster::Config {
    capacity: 8,
    per_ip: 2,
    max_fails: 2,
    reconnect: Duration::from_secs(5),
    several_per_ip: true,
    bans: 4,
};

const LIMITS: Limits = Limits {
    connections: 6,
    connections_per_torrent: 4,
    greetings: 2,
    requests: 8,
    send_ahead: 64 << 10,
    unwritten: 48 << 10,
    held: 2 * BLOCK as usize,
    checks: 2,
};

const fn deadlines() -> Deadlines {
    Deadlines {
        handshake: Duration::from_secs(5),
        silence: Duration::from_secs(120),
        useless: Duration::from_secs(300),
        keep_alive: Duration::from_secs(60),
        durable: Duration::from_secs(5),
        suspect: Duration::from_millis(100),
        durable_bytes: 64 << 10,
        pex: Duration::from_secs(60),
        want_peers: Duration::from_secs(300),
        turnover: Duration::from_secs(300),
        leave: Duration::from_secs(10),
    }
}

/// Small enough that every bound is met often.
pub(super) fn config() -> Config {
    let secs = Duration::from_secs;
    Config {
        peer_id_prefix: *b"-FZ0001-",
        client: String::new(),
        first_conn: 0,
        limits: LIMITS,
        deadlines: deadlines(),
        pace: pace::Config {
            per_second: 10,
            half_open: 3,
            connections: 6,
            boost: 2,
        },
        window: window::Config {
            floor: 3,
            least: 2,
            cap: 16,
            queue_time: secs(3),
            piece_timeout: secs(20),
            request_timeout: secs(50),
            whole_pieces: secs(20),
        },
        choking: choker::Config {
            interval: secs(10),
            optimistic_rounds: 3,
            optimistic: 1,
            seeding: choker::Rule::RoundRobin {
                pieces: 1,
                least: secs(20),
            },
        },
        slots: choker::AutoConfig {
            least: 1,
            most: 3,
            step: 2_048,
        },
        roster: ROSTER,
        blame: blame::Config {
            pieces: 2,
            notes: 8,
            suspects: 4,
            lies: 1,
        },
        webseed: webseed::WebSeedConfig {
            requests: 2,
            timeout: secs(20),
        },
        announce: announcing(),
        random_first: 1,
        endgame_copies: 2,
        lanes: wire::lanes::LANES,
        allowed_fast: 1,
        pex: true,
        lsd: Some(lsd::LsdConfig {
            every: secs(300),
            gap: secs(60),
            peers: 2,
        }),
        close_redundant: true,
        rates: Rates::default(),
        limiter: limiter::Config {
            tick: Duration::from_millis(10),
            burst: Duration::from_millis(50),
            least_burst: 16_384,
            grain: 512,
        },
        exempt_local: false,
        first_web: 0,
    }
}

fn announcing() -> announce::Config {
    let secs = Duration::from_secs;
    announce::Config {
        port: 7_000,
        num_want: 10,
        announce_ip: None,
        supports_crypto: true,
        announce_to_all: true,
        receive_timeout: secs(20),
        completion_timeout: secs(60),
        stop_timeout: secs(5),
        min_interval: secs(30),
        default_interval: secs(300),
        udp_timeout: secs(15),
        udp_retries: 2,
        udp_patience: 1,
        retry: secs(1),
        retry_most: secs(60),
        dns_ttl: secs(300),
        most_at_once: 2,
        most_response: 1 << 12,
        most_peers: 4,
        may_speak_to: |_| true,
    }
}
