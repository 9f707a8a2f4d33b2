//! A small world to try a node in.

use std::time::Duration;

use crate::config::{Config, Lookup, Routing, Rpc};
use crate::guard::{self, BackOff, Limit};
use crate::{Families, peer_store, responder, sampler};

/// A configuration for a lab: small tables, so that short lists of inputs fill them.
pub fn lab_config() -> Config {
    Config {
        lab: true,
        families: Families { v4: true, v6: false },
        read_only: false,
        version: *b"ES\x00\x01",
        node_id: None,
        routers: Vec::new(),
        first_nodes: Vec::new(),
        opt_out: Vec::new(),
        guard: guard::Config {
            per_host: Limit::per_second(1, 3),
            per_network: Limit::per_second(0, 0),
            total: Limit::per_second(1000, 50),
            max_flows: 4096,
            flow_window: Duration::from_secs(120),
            back_off: BackOff {
                first: Duration::from_secs(300),
                cap: Duration::from_secs(7200),
                trial: Duration::from_secs(5),
                refused: Duration::from_secs(600),
                memory: 1000,
            },
            answers_per_host: Limit::per_second(20, 40),
            answers_in_total: Limit::per_second(5000, 1000),
            blocklist: Vec::new(),
        },
        responder: responder::Config {
            store: peer_store::Config {
                max_keys: 100,
                max_peers_per_key: 100,
                expiry: Duration::from_secs(2700),
            },
            max_peers_reply: 50,
            sample_interval: Duration::from_secs(21_600),
            whole_interval: Duration::from_secs(60),
        },
        sampling: None,
        rpc: Rpc {
            initial_timeout: Duration::from_secs(2),
            min_timeout: Duration::from_millis(100),
            max_timeout: Duration::from_secs(15),
            max_outstanding: 256,
        },
        routing: Routing {
            max_fail_count: 20,
            questionable_after: Duration::from_secs(900),
            refresh_after: Duration::from_secs(900),
        },
        lookup: Lookup {
            branching: 5,
            max_running: 16,
            max_waiting: 16,
            deadline: Duration::from_secs(30),
            enough_peers: 3,
            max_peers: 100,
        },
    }
}

/// A sampler for a lab.
pub fn sampling() -> sampler::Config {
    sampler::Config {
        max_nodes: 1000,
        max_in_flight: 64,
        interval_floor: Duration::from_secs(300),
        retry_after: Duration::from_secs(600),
        silent_rest: Duration::from_secs(7200),
        non_sampler_rest: Duration::from_secs(86_400),
        zones: None,
    }
}
