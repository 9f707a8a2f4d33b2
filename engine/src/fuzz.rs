//! The property of the engine, for any list of inputs at all: what the fuzz target and the property test call.
//!
//! Bytes become a list of steps: what an owner wants, and what a world may legally tell. After each step the world carries
//! out what the engine wants, and judges it.

mod config;
mod disk;
mod peers;
mod world;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ::world::{Closed, HttpPart, Input, Machine, Member, Seed, Time, Via, WebFault};
use sha1::{Digest, Sha1};
use wire::fuzz::Steps;
use wire::metainfo::Info;
use wire::{lsd, merkle};

use self::world::World;
use crate::picker::Order;
use crate::roster::Sources;
use crate::{Add, BLOCK, Engine, Hashes, JournalPlace, Layout, NameRules, Rates, TorrentId};

/// Bytes of a piece, and of the one file of each torrent: three pieces, of which the last is short. The content is zeros; what
/// is on a disk before it is written is not.
const PIECE: u32 = 2 * BLOCK;
const FILE: u32 = 2 * PIECE + 5_000;
/// How long may pass at once, seconds.
const SECS: [u64; 6] = [0, 1, 3, 20, 60, 130];

/// A torrent of zeros: of v1, of v2, or of both.
fn torrent(number: u8) -> Option<Add> {
    let (v1, v2) = (number != 1, number != 0);
    let zeros = vec![0; FILE as usize];
    let mut raw = b"d".to_vec();
    let hashes: Vec<merkle::Hash> = zeros.chunks(BLOCK as usize).map(merkle::leaf).collect();
    if v2 {
        raw.extend(format!("9:file treed1:ad0:d6:lengthi{FILE}e11:pieces root32:").bytes());
        raw.extend(merkle::root(&hashes));
        raw.extend(b"eee");
    }
    if v1 {
        raw.extend(format!("6:lengthi{FILE}e").bytes());
    }
    if v2 {
        raw.extend(b"12:meta versioni2e");
    }
    raw.extend(format!("4:name1:a12:piece lengthi{PIECE}e").bytes());
    if v1 {
        raw.extend(b"6:pieces60:");
        zeros
            .chunks(PIECE as usize)
            .for_each(|piece| raw.extend(Sha1::digest(piece)));
    }
    raw.push(b'e');
    let info = Arc::new(Info::parse(&raw).ok()?);
    let layout = Layout::new(info, raw.into(), NameRules::Exact).ok()?;
    let trees = layout.has_v2().then(|| Hashes::new(&layout));
    let mut add = Add::new(layout, trees, format!("/{number}"));
    add.journal = Some(JournalPlace {
        folder: "/journal".to_owned(),
        file: number.to_string(),
    });
    add.trackers = vec![vec!["http://t/a".to_owned()], vec!["udp://t:1".to_owned()]];
    add.web_seeds = vec!["http://w/".to_owned()];
    Some(add)
}

/// Whatever the world says: no panic; it speaks of connections that exist; a piece that it tells of is on the disk; it does
/// not spin; and after a stop nothing is left.
pub fn engine(bytes: &[u8]) {
    let mut steps = Steps(bytes);
    let seed = Seed::from_number(u64::from(steps.next()));
    let mut run = Run {
        engine: Engine::new(config::config(), seed),
        world: World::default(),
        now: Time::ZERO,
        calls: 0,
    };
    for add in (0..3).filter_map(torrent) {
        assert!(run.engine.add(run.now, add).is_ok(), "it is added");
    }
    run.look();
    while !steps.0.is_empty() {
        run.step(&mut steps);
        run.look();
    }
    run.end();
}

struct Run {
    engine: Engine,
    world: World,
    now: Time,
    /// Strangers so far.
    calls: u64,
}

impl Run {
    fn look(&mut self) {
        self.world.look(&mut self.engine, self.now, &[]);
    }

    /// Tells the engine something, and carries out what it wants then: some of that may be in the bytes.
    fn tell(&mut self, input: Input<'_>) {
        self.engine.handle(self.now, input);
        let bytes = match input {
            Input::Received { bytes, .. } => bytes,
            Input::Http {
                part: HttpPart::Body(bytes),
                ..
            } => bytes,
            _ => &[],
        };
        self.world.look(&mut self.engine, self.now, bytes);
    }

    fn step(&mut self, steps: &mut Steps<'_>) {
        match steps.next() % 16 {
            0..=2 => self.answer(steps.next(), steps.next()),
            3..=5 => self.speak(steps),
            6 => self.connect(steps),
            7 => self.pass(Duration::from_secs(steps.one_of(&SECS).unwrap_or(0))),
            8 => self.offer(steps),
            9 => self.command(steps),
            10 => self.web(steps),
            11 => {
                let Some(conn) = self.world.reports.pop_front() else {
                    return;
                };
                self.tell(Input::Flushed { conn });
            }
            12 => {
                let Some(conn) = steps.one_of(&self.world.lines(true)) else {
                    return;
                };
                let len = usize::from(steps.next());
                self.tell(Input::Received {
                    conn,
                    bytes: steps.take(len),
                });
            }
            13 => self.datagram(steps),
            14 => {
                let Some(conn) = steps.one_of(&self.world.lines(true)) else {
                    return;
                };
                self.world.closed(conn);
                let why = Closed::ByRemote;
                self.tell(Input::Closed { conn, why });
            }
            _ => self.answer_all(),
        }
    }

    /// Answers a job of the disk.
    fn answer(&mut self, which: u8, how: u8) {
        let Some((job, reply)) = self.world.disk.carry_out(usize::from(which), how) else {
            return;
        };
        self.tell(Input::Disk {
            job,
            done: reply.done(),
        });
    }

    /// Answers all that the disk was asked until now.
    fn answer_all(&mut self) {
        for _ in 0..self.world.disk.pending() {
            self.answer(0, 0);
        }
    }

    /// A peer says something that belongs in the protocol.
    fn speak(&mut self, steps: &mut Steps<'_>) {
        let Some(conn) = steps.one_of(&self.world.lines(true)) else {
            return;
        };
        let mut bytes = Vec::new();
        self.world.words(conn, steps, &mut bytes);
        self.tell(Input::Received { conn, bytes: &bytes });
    }

    /// A dialled connection opens or does not, or a stranger calls.
    fn connect(&mut self, steps: &mut Steps<'_>) {
        let via = steps.one_of(Via::ALL).unwrap_or(Via::Tcp);
        let dialled = steps.one_of(&self.world.lines(false));
        match (steps.next() % 4, dialled) {
            (0, _) => {
                self.calls += 1;
                let conn = ::world::ConnId(::world::ConnId::ACCEPTED | self.calls);
                let (from, to) = (address(steps.next()), address(0));
                self.world.called(conn);
                self.tell(Input::Accepted { conn, from, to, via });
            }
            (1, Some(conn)) => {
                self.world.closed(conn);
                let why = Closed::Refused;
                self.tell(Input::Closed { conn, why });
            }
            (_, Some(conn)) => {
                self.world.opened(conn);
                self.tell(Input::Opened { conn, via });
            }
            (_, None) => {}
        }
    }

    /// Time passes, in which the engine is woken when it wants to be.
    fn pass(&mut self, span: Duration) {
        let until = self.now + span;
        let mut wakes = 0;
        while let Some(deadline) = self.engine.deadline().filter(|deadline| *deadline <= until) {
            wakes += 1;
            assert!(wakes <= 200 * (1 + span.as_secs()), "spins");
            self.now = self.now.max(deadline);
            self.tell(Input::Tick);
        }
        self.now = until;
        self.tell(Input::Tick);
    }

    fn offer(&mut self, steps: &mut Steps<'_>) {
        let id = torrent_of(steps);
        let addr = address(steps.next());
        self.engine.offer_peer(self.now, id, addr, Sources::DHT);
    }

    fn command(&mut self, steps: &mut Steps<'_>) {
        let id = torrent_of(steps);
        let (now, engine) = (self.now, &mut self.engine);
        match steps.next() % 11 {
            0 => drop(engine.pause(now, id)),
            1..=2 => drop(engine.resume(now, id)),
            3 => drop(engine.recheck(now, id)),
            4 => drop(engine.set_levels(now, id, vec![steps.next() % 8])),
            5 => drop(engine.set_order(id, Order::Sequential)),
            6 => drop(engine.rename_file(id, 0, steps.one_of(&["b", "c/d", "..", ""]).unwrap_or("b"))),
            7 => drop(engine.move_storage(id, "/moved")),
            8 => engine.set_rates(
                now,
                Rates {
                    down: Some(u64::from(steps.next()) << 12).filter(|rate| *rate > 0),
                    up: Some(u64::from(steps.next()) << 12).filter(|rate| *rate > 0),
                },
            ),
            9 => engine.reannounce(now, id),
            _ => drop(engine.remove(now, id, steps.next().is_multiple_of(2))),
        }
    }

    /// A name is found, or a part of a document comes.
    fn web(&mut self, steps: &mut Steps<'_>) {
        if let Some(id) = self.world.resolves.pop_front() {
            let addrs = [address(steps.next())];
            let count = usize::from(steps.next() % 2);
            return self.tell(Input::Resolved {
                id,
                addrs: addrs.get(..count).unwrap_or_default(),
            });
        }
        let Some(id) = steps.one_of(&self.world.fetches()) else {
            return;
        };
        let zeros = [0; 9_000];
        let part = match steps.next() % 6 {
            0 => HttpPart::Head {
                status: steps.one_of(&[200, 206, 404, 503]).unwrap_or(200),
                length: None,
                from: self.world.range_of(id),
                server: "",
            },
            1 | 2 => HttpPart::Body(zeros.get(..usize::from(steps.next()) * 35).unwrap_or_default()),
            3 => {
                let len = usize::from(steps.next());
                HttpPart::Body(steps.take(len))
            }
            4 => HttpPart::End,
            _ => HttpPart::Failed(WebFault::Broken),
        };
        if matches!(part, HttpPart::End | HttpPart::Failed(_)) {
            self.world.fetched(id);
        }
        self.tell(Input::Http { id, part });
    }

    /// To the group of local discovery, or of a tracker.
    fn datagram(&mut self, steps: &mut Steps<'_>) {
        let to = if steps.next().is_multiple_of(2) {
            lsd::GROUP_V4
        } else {
            address(0)
        };
        let len = usize::from(steps.next());
        self.tell(Input::Datagram {
            from: address(steps.next()),
            to,
            bytes: steps.take(len),
        });
    }

    /// After a stop everything comes to an end while the disk answers, or when the time for it is over.
    fn end(&mut self) {
        self.tell(Input::Stop);
        for _ in 0..20 {
            self.answer_all();
            self.pass(Duration::from_secs(1));
        }
        assert!(self.world.stopped, "it stops");
        assert_eq!(self.engine.connections(), 0, "a connection is left");
        assert!(self.world.lines(true).is_empty() && self.world.lines(false).is_empty());
    }
}

/// One of the torrents, or none.
fn torrent_of(steps: &mut Steps<'_>) -> TorrentId {
    TorrentId(u32::from(steps.next() % 4))
}

/// An address of a few.
fn address(number: u8) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(192, 0, 2, number % 6), 6_881 + u16::from(number / 128)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn an_engine_takes_whatever_comes(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
            engine(&bytes);
        }
    }

    /// Two strangers call from two addresses and give one name: the second was hung up on twice.
    #[test]
    fn who_calls_twice_is_hung_up_on_once() {
        engine(&[
            0x34, 0x2f, 0xff, 0x86, 0x59, 0xff, 0x04, 0x04, 0xfa, 0x09, 0xd7, 0xf6, 0x28, 0x04, 0, 0, 0, 0x18, 0xff,
            0x04, 0, 0, 0, 0, 0, 0x04, 0xfa, 0x34, 0xd7,
        ]);
    }

    #[test]
    fn each_torrent_is_one() {
        for number in 0..3 {
            let add = torrent(number).unwrap();
            assert_eq!((add.layout.pieces(), add.hashes.is_some()), (3, number > 0));
        }
    }
}
