//! Bytes from a connection to the disk.

#![allow(clippy::unwrap_used, reason = "a test that cannot set itself up fails")]

mod support;

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::ops::ControlFlow;
use std::path::Path;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use std::{fs, mem};

use allocation_counter::measure;
use host::{Counters, DiskLimits, Limits, Setup, Stage};
use support::disk::{pattern, ways};
use support::{LIMITS, play, setup};
use world::disk::{Folder, Source};
use world::{ConnId, DiskOp, Done, Effect, Input, JobId, Machine, Output, StoreId, Time};

const BLOCK: usize = 16 * 1024;
/// Before each block, as a `piece` message has.
const HEAD: usize = 13;
const STORE: StoreId = StoreId(3);

/// What comes on a connection: heads and blocks.
fn stream(content: &[u8]) -> Vec<u8> {
    let messages = content
        .chunks(BLOCK)
        .map(|block| [[0xAB; HEAD].as_slice(), block].concat());
    messages.collect::<Vec<_>>().concat()
}

/// A peer that sends all of it in pieces of a size, then waits to be hung up on.
fn sender(stream: Vec<u8>, piece: usize) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let sends = thread::spawn(move || {
        let (mut to, _) = listener.accept().unwrap();
        to.set_nodelay(true).unwrap();
        for piece in stream.chunks(piece) {
            to.write_all(piece).unwrap();
        }
        let _ = std::io::copy(&mut to, &mut std::io::sink());
    });
    (addr, sends)
}

/// Stores what it receives, heads left out.
struct Storing {
    peer: SocketAddr,
    stores: u32,
    begun: bool,
    opening: u32,
    folder: String,
    /// Bytes of the stream so far, and of the content; bytes of content that are with the system.
    streamed: usize,
    received: usize,
    written: usize,
    total: usize,
    /// Writes of the bytes received last, to be polled: file, place in the content, place in the bytes, length.
    writes: Vec<(usize, usize, usize)>,
    /// Ends as soon as it has asked for the last write.
    hasty: bool,
}

impl Storing {
    fn new(peer: SocketAddr, folder: &Path, total: usize) -> Self {
        Self {
            peer,
            stores: 1,
            begun: false,
            opening: 0,
            folder: folder.to_str().unwrap().to_owned(),
            streamed: 0,
            received: 0,
            written: 0,
            total,
            writes: Vec::new(),
            hasty: false,
        }
    }

    fn cut(&mut self, len: usize) {
        let mut at = 0;
        while at < len {
            let within = self.streamed % (HEAD + BLOCK);
            let (kind_left, is_content) = if within < HEAD {
                (HEAD - within, false)
            } else {
                (HEAD + BLOCK - within, true)
            };
            let now = kind_left.min(len - at);
            if is_content {
                self.writes.push((self.received, at, now));
                self.received += now;
            }
            at += now;
            self.streamed += now;
        }
        // The last is polled first.
        self.writes.reverse();
    }

    /// Blocks take turns among the stores.
    fn store_of(&self, place: usize) -> StoreId {
        StoreId(STORE.0 + (place / BLOCK) as u32 % self.stores)
    }
}

impl Machine for Storing {
    type Event = ();

    fn handle(&mut self, _: Time, input: Input<'_>) {
        match input {
            Input::Received { bytes, .. } => self.cut(bytes.len()),
            Input::Disk { done, .. } => match done {
                Done::Opened(_) => {}
                Done::Wrote(bytes) => self.written += bytes,
                other => panic!("{other:?}"),
            },
            _ => {}
        }
    }

    fn poll(&mut self, _: Time, payload: &mut Vec<u8>) -> Option<Output<()>> {
        if self.opening < self.stores {
            let store = StoreId(STORE.0 + self.opening);
            self.opening += 1;
            Folder::encode(payload, &self.folder, [(format!("{}", store.0), 0)]);
            let op = DiskOp::Open { len: payload.len() };
            let job = JobId(0);
            return Some(Output::Effect(Effect::Disk { store, job, op }));
        }
        if !mem::replace(&mut self.begun, true) {
            let (conn, to, via) = (ConnId(1), self.peer, None);
            return Some(Output::Effect(Effect::Dial { conn, to, via }));
        }
        if let Some((place, start, len)) = self.writes.pop() {
            let op = DiskOp::Write {
                file: 0,
                at: place as u64,
                source: Source::Input { start, len },
            };
            let (store, job) = (self.store_of(place), JobId(1));
            return Some(Output::Effect(Effect::Disk { store, job, op }));
        }
        let so_far = if self.hasty { self.received } else { self.written };
        (so_far == self.total).then_some(Output::Event(()))
    }

    fn deadline(&self) -> Option<Time> {
        None
    }
}

fn run(mut machine: Storing, disk: DiskLimits, sends: JoinHandle<()>) -> Counters {
    let limits = Limits { disk, ..LIMITS };
    let stage = Stage::open(&Setup { limits, ..setup() }).unwrap();
    let ended = host::run(stage, &mut machine, |_, _, ()| ControlFlow::Break(())).unwrap();
    sends.join().unwrap();
    ended.counters
}

#[test]
fn what_is_received_is_stored_and_not_copied() {
    let content = pattern(8 << 20, 1);
    for way in ways() {
        let folder = tempfile::tempdir().unwrap();
        let (peer, sends) = sender(stream(&content), 1 << 20);
        let counters = run(Storing::new(peer, folder.path(), content.len()), way, sends);
        assert!(fs::read(folder.path().join("3")).unwrap() == content, "{way:?}");
        let disk = counters.disk;
        assert_eq!(disk.bytes_written, content.len() as u64);
        // What comes in handfuls is copied; how much does is the kernel's affair.
        assert!(disk.bytes_copied < disk.bytes_written, "{disk:?}");
        assert!(disk.writes < disk.blocks_written, "{disk:?}");
        assert_eq!((disk.held, disk.failures), (0, 0));
        assert!(counters.receives > 0 && disk.most_held <= way.held as u64);
    }
}

#[test]
fn a_stream_in_small_pieces_is_stored_too() {
    let content = pattern(1 << 20, 2);
    for way in ways() {
        let folder = tempfile::tempdir().unwrap();
        let (peer, sends) = sender(stream(&content), 1_411);
        run(Storing::new(peer, folder.path(), content.len()), way, sends);
        assert!(fs::read(folder.path().join("3")).unwrap() == content, "{way:?}");
    }
}

#[test]
fn one_chunk_may_be_for_stores_of_several_workers() {
    let content = pattern(4 << 20, 3);
    for way in ways() {
        let folder = tempfile::tempdir().unwrap();
        let (peer, sends) = sender(stream(&content), 1 << 20);
        let mut machine = Storing::new(peer, folder.path(), content.len());
        machine.stores = 3;
        run(machine, way, sends);
        for store in 0..3 {
            let mut file = fs::read(folder.path().join(format!("{}", 3 + store))).unwrap();
            file.resize(content.len(), 0);
            for (at, block) in content.chunks(BLOCK).enumerate().skip(store).step_by(3) {
                assert!(&file[at * BLOCK..][..BLOCK] == block, "block {at}, {way:?}");
            }
        }
    }
}

#[test]
fn nothing_is_read_while_the_disk_is_behind_and_nothing_is_lost() {
    let content = pattern(16 << 20, 4);
    let folder = tempfile::tempdir().unwrap();
    let (peer, sends) = sender(stream(&content), 1 << 20);
    // Room for one chunk: each that is on its way stops the reading.
    let disk = DiskLimits {
        held: 1,
        inline_writes: false,
        ..LIMITS.disk
    };
    let counters = run(Storing::new(peer, folder.path(), content.len()), disk, sends);
    assert!(fs::read(folder.path().join("3")).unwrap() == content);
    let disk = counters.disk;
    assert!(disk.pauses > 4 && disk.most_held <= 2 << 20, "{disk:?}");
}

#[test]
fn what_is_asked_before_the_end_of_a_run_is_written() {
    let content = pattern(2 << 20, 5);
    for way in ways() {
        let folder = tempfile::tempdir().unwrap();
        let (peer, sends) = sender(stream(&content), 1 << 20);
        let mut machine = Storing::new(peer, folder.path(), content.len());
        machine.hasty = true;
        let counters = run(machine, way, sends);
        assert!(fs::read(folder.path().join("3")).unwrap() == content, "{way:?}");
        assert_eq!(counters.disk.bytes_written, content.len() as u64);
    }
}

#[test]
fn a_sync_among_writes_of_what_was_received_comes_after_those_before_it() {
    for way in ways() {
        let folder = tempfile::tempdir().unwrap();
        let content = pattern(200_000, 6);
        let (peer, sends) = sender(content.clone(), 200_000);
        let limits = Limits { disk: way, ..LIMITS };
        let stage = Stage::open(&Setup { limits, ..setup() }).unwrap();
        let (mut received, mut syncs) = (0, 0);
        let ended = play(
            stage,
            |acts| {
                let mut form = Vec::new();
                Folder::encode(&mut form, folder.path().to_str().unwrap(), [("a", 0)]);
                acts.disk(STORE, JobId(0), DiskOp::Open { len: form.len() }, &form);
                acts.dial(1, peer);
            },
            |acts, _, input| match input {
                Input::Received { bytes, .. } => {
                    let (at, len) = (received as u64, bytes.len());
                    received += len;
                    let source = Source::Input { start: 0, len };
                    acts.disk(STORE, JobId(1), DiskOp::Write { file: 0, at, source }, &[]);
                    acts.disk(STORE, JobId(2), DiskOp::Sync, &[]);
                    syncs += 1;
                }
                Input::Disk { job: JobId(2), done } => {
                    assert_eq!(done, Done::Ok);
                    syncs -= 1;
                    if received == content.len() && syncs == 0 {
                        acts.done();
                    }
                }
                _ => {}
            },
        );
        sends.join().unwrap();
        assert!(fs::read(folder.path().join("a")).unwrap() == content);
        let disk = ended.counters.disk;
        assert!(
            disk.syncs >= 1 && disk.bytes_written == content.len() as u64,
            "{disk:?}"
        );
    }
}

/// Allocations on the loop's thread of a run that stores so many bytes.
fn allocations(disk: DiskLimits, len: usize) -> (u64, u64) {
    let folder = tempfile::tempdir().unwrap();
    let (peer, sends) = sender(stream(&vec![7; len]), 1 << 20);
    let mut machine = Storing::new(peer, folder.path(), len);
    // For as many writes as a chunk can have.
    machine.writes.reserve(1024);
    let limits = Limits { disk, ..LIMITS };
    let stage = Stage::open(&Setup { limits, ..setup() }).unwrap();
    let mut blocks = 0;
    let counted = measure(|| {
        let ended = host::run(stage, &mut machine, |_, _, ()| ControlFlow::Break(())).unwrap();
        blocks = ended.counters.disk.blocks_written;
    });
    sends.join().unwrap();
    (counted.count_total, blocks)
}

#[test]
fn storing_more_allocates_no_more() {
    for way in ways() {
        // Few buffers, so that a short run too comes to have all of them.
        let way = DiskLimits { held: 2 << 20, ..way };
        let _warm_up = allocations(way, BLOCK);
        let (few, _) = allocations(way, 8 << 20);
        let (many, blocks) = allocations(way, 32 << 20);
        // Buffers are made until there are enough, which depends on how far the disk falls behind.
        assert!(blocks >= 2048);
        assert!(many < few + blocks / 16, "{few} for 8 MiB, {many} for 32 MiB: {way:?}");
    }
}

#[test]
fn no_thread_is_there_before_the_machine_asks() {
    let threads = || {
        let tasks = fs::read_dir("/proc/self/task").unwrap();
        let names = tasks.filter_map(|task| fs::read_to_string(task.unwrap().path().join("comm")).ok());
        names.filter(|name| name.starts_with("quiet-")).count()
    };
    let run = thread::Builder::new().name("quiet-run".to_owned());
    let counted = run
        .spawn(move || {
            let mut seen = 0;
            let ended = play(
                Stage::open(&setup()).unwrap(),
                |acts| acts.wake = Some(Time::ZERO + Duration::from_millis(1)),
                |acts, _, _| {
                    seen = threads();
                    acts.done();
                },
            );
            (seen, ended.counters.disk.handed_over)
        })
        .unwrap();
    assert_eq!(counted.join().unwrap(), (1, 0));
}
