//! The property of the pool, for any list of inputs at all: what the fuzz target and the property test call.
//!
//! Bytes become a list of steps: commands, and what a world may legally tell. After each step the judge looks at what
//! the pool wants.

mod judge;
mod speech;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use wire::fuzz::Steps;
use wire::{InfoHash, metainfo};
use world::{Closed, ConnId, Input, Machine, Member, Seed, Time, Via};

use crate::Pool;
use crate::config::{Config, Deadlines, Dialling, Exchange, Exclusion, Extensions, Limits, Memory, Serving};
use judge::Judge;

/// Torrents whose info dictionaries are zeros: how many, and their SHA-1.
const TORRENTS: [(usize, &str); 3] = [
    (20_000, "9bd7c3d157e82753fd2bf3a9df26bea49bc29caf"),
    (16_384, "897256b6709e1a4da9daba92b6bde39ccfccd8c1"),
    (1, "5ba93c9db0cff93f52b521d7420e43f6eda2784f"),
];

/// What is on the shelf: an info dictionary of two pieces.
fn shelved() -> Vec<u8> {
    let name = "n".repeat(17_000);
    let pieces = "p".repeat(20);
    format!("d6:lengthi1e4:name17000:{name}12:piece lengthi16384e6:pieces20:{pieces}e").into_bytes()
}

/// Small enough that every bound is met often.
fn config() -> Config {
    Config {
        peer_id_prefix: *b"-PC0001-",
        client: String::new(),
        extensions: Extensions {
            ut_metadata: 1,
            lt_metadata: 101,
            ut_pex: 102,
            ut_holepunch: 103,
        },
        slots: 2,
        max_connections: 3,
        exclusion: Exclusion::Host,
        dialling: Dialling {
            start: 2,
            stagger: Duration::from_millis(750),
            parallel: 3,
            patience: Duration::from_millis(400),
            hold_back: Duration::from_secs(1),
            attempts_per_infohash: 6,
            peers_per_infohash: 5,
        },
        deadlines: Deadlines {
            connect: Duration::from_secs(2),
            handshake: Duration::from_secs(2),
            extended: Duration::from_secs(2),
            piece: Duration::from_secs(2),
            total: Duration::from_secs(20),
        },
        limits: Limits {
            max_metadata: 40_000,
            max_frame: 20_000,
            noise_frames: 5,
            noise_bytes: 1_000,
            pipeline: 2,
            assembly_bytes: 60_000,
        },
        memory: Memory {
            capacity: 6,
            refused: Duration::from_secs(5),
            silent: Duration::from_secs(1),
            silent_max: Duration::from_secs(4),
            useless: Duration::from_secs(6),
            success_half_life: Duration::from_secs(10),
        },
        serving: Serving {
            callers: 2,
            shelf_entries: 2,
            shelf_bytes: 30_000,
            times: 1,
            bytes_per_host: 30_000,
            window: Duration::from_secs(10),
            idle: Duration::from_secs(2),
        },
        exchange: Exchange {
            names: 3,
            listen: Duration::from_secs(3),
            few: 2,
            listeners_per_infohash: 1,
            listeners: 2,
            meetings: 2,
        },
    }
}

/// Whatever the world says: no panic; no bound is passed; the pool speaks of connections that exist, and of each until it
/// is closed; it does not spin; every start ends once, with the right bytes or none; and after a stop nothing is left.
pub fn pool(bytes: &[u8]) {
    let config = config();
    let shelved = shelved();
    let mut run = Run {
        judge: Judge::new(&config),
        pool: Pool::new(config, Seed::from_number(1)),
        now: Time::ZERO,
        shelved: metainfo::info_hash_v1(&shelved),
        calls: 0,
    };
    run.pool.shelve(run.shelved, Arc::new(shelved));
    run.pool.set_listen_port(7_000);
    let mut steps = Steps(bytes);
    while !steps.0.is_empty() {
        run.step(&mut steps);
        run.judge.look(&mut run.pool, run.now);
    }
    run.pool.handle(run.now, Input::Stop);
    run.judge.look(&mut run.pool, run.now);
    run.judge.nothing_is_left(&run.pool);
}

/// One of a few addresses.
fn named_peer(steps: &mut Steps<'_>) -> SocketAddr {
    let (host, port) = (steps.next() % 6, u16::from(steps.next() % 2));
    SocketAddr::from(([192, 0, 2, host], 1_000 + port))
}

/// A torrent.
fn torrent(steps: &mut Steps<'_>) -> InfoHash {
    let (_, hash) = steps.one_of(&TORRENTS).unwrap_or_default();
    InfoHash::from_hex(hash).unwrap_or(InfoHash::new([0; 20]))
}

struct Run {
    judge: Judge,
    pool: Pool,
    now: Time,
    /// The infohash on the shelf.
    shelved: InfoHash,
    calls: u64,
}

impl Run {
    fn step(&mut self, steps: &mut Steps<'_>) {
        match steps.next() % 16 {
            0 => {
                let info_hash = torrent(steps);
                self.judge.starts(info_hash);
                self.pool.start(self.now, info_hash);
            }
            1 | 2 => {
                let info_hash = torrent(steps);
                self.pool.offer(info_hash, named_peer(steps));
            }
            3 => self.pool.no_more_peers(torrent(steps)),
            4 if steps.next() < 32 => self.pool.cancel(self.now, torrent(steps)),
            5 if steps.next() < 4 => self.pool.handle(self.now, Input::Stop),
            6 => self.pass(Duration::from_millis(u64::from(steps.next()) * 10)),
            7 if steps.next() < 64 => {
                let deadline = self.pool.deadline().unwrap_or(self.now);
                self.pass(deadline.since(self.now));
            }
            8 => self.call(steps),
            9 => {
                if let Some((info_hash, peer, by, flags)) = self.judge.named() {
                    self.pool.offer_named(info_hash, peer, by, flags);
                }
            }
            _ => self.connection(steps),
        }
    }

    fn call(&mut self, steps: &mut Steps<'_>) {
        self.calls += 1;
        let conn = ConnId(ConnId::ACCEPTED | self.calls);
        let from = named_peer(steps);
        let via = steps.one_of(Via::ALL).unwrap_or(Via::Tcp);
        self.judge.called(conn, from);
        let to = SocketAddr::from(([192, 0, 2, 99], 7_000));
        self.pool.handle(self.now, Input::Accepted { conn, from, to, via });
    }

    fn pass(&mut self, span: Duration) {
        self.now = self.now + span;
        self.pool.handle(self.now, Input::Tick);
    }

    /// Something happens on a connection.
    fn connection(&mut self, steps: &mut Steps<'_>) {
        let kind = steps.next() % 9;
        let conn = match kind {
            0..=2 => steps.one_of(&self.judge.connections(false)),
            _ => steps.one_of(&self.judge.connections(true)),
        };
        let Some(conn) = conn else {
            return;
        };
        match kind {
            0 | 1 => {
                self.judge.opened(conn);
                let via = steps.one_of(Via::ALL).unwrap_or(Via::Tcp);
                self.pool.handle(self.now, Input::Opened { conn, via });
            }
            2 => self.close(conn, &[Closed::Refused, Closed::Unreachable, Closed::NoRoom], steps),
            8 => {
                let via = steps.one_of(Via::ALL).unwrap_or(Via::Tcp);
                self.pool.rerouted(conn, via);
            }
            3 if steps.next() < 64 => self.close(conn, &[Closed::ByRemote, Closed::Reset, Closed::Congested], steps),
            _ => {
                let bytes = self.speech(conn, steps);
                let cut = usize::from(steps.next()).min(bytes.len());
                let (first, second) = bytes.split_at_checked(cut).unwrap_or((&bytes, &[]));
                for bytes in [first, second] {
                    if !bytes.is_empty() && self.judge.is_open(conn) {
                        self.pool.handle(self.now, Input::Received { conn, bytes });
                        self.judge.look(&mut self.pool, self.now);
                    }
                }
            }
        }
    }

    fn close(&mut self, conn: ConnId, choices: &[Closed], steps: &mut Steps<'_>) {
        if let Some(why) = steps.one_of(choices) {
            self.judge.closed(conn);
            self.pool.handle(self.now, Input::Closed { conn, why });
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_torrents_are_what_they_claim() {
        for (len, hash) in TORRENTS {
            let info_hash = InfoHash::from_hex(hash).unwrap();
            assert!(metainfo::matches(&vec![0; len], &info_hash));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]
        #[test]
        fn any_list_of_inputs(bytes in proptest::collection::vec(any::<u8>(), 0..3_000)) {
            pool(&bytes);
        }
    }
}
