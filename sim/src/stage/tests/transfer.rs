//! A whole example: a file goes from one party's disk to another's, and survives whatever ends the second one.
//!
//! Two kinds of machines share one type, so that they can be on one stage. The giver reads its file in blocks and writes them
//! to whoever calls; the taker writes what it gets where it belongs, straight from the input, syncs after each part, and notes
//! in a second store how much is safe. What the note claims must be there after a crash at any point.

use world::disk::{Folder, Source};
use world::{ConnId, DiskOp, Done, JobId, StoreId};

use super::*;
use crate::disk::{Content, Speed};

const BLOCK: u32 = 16 << 10;
const DATA: StoreId = StoreId(0);
const NOTE: StoreId = StoreId(1);
const READ: JobId = JobId(1);
const WRITE: JobId = JobId(2);
const OTHER: JobId = JobId(3);
/// A sync's number says how many bytes it makes safe.
const SYNC: u64 = 1 << 32;

enum Role {
    Giver {
        conn: Option<ConnId>,
        size: u64,
    },
    Taker {
        from: SocketAddr,
        got: u64,
        asked: u64,
        safe: u64,
    },
}

struct Machinist {
    role: Role,
    wants: VecDeque<(Effect, Vec<u8>)>,
    done: bool,
}

impl Machinist {
    fn giver(size: u64) -> Self {
        let mut giver = Self {
            role: Role::Giver { conn: None, size },
            wants: VecDeque::new(),
            done: false,
        };
        giver.open(DATA, "/give", "file");
        giver
    }

    /// Begins where the note says that its predecessor got to.
    fn taker(from: SocketAddr, safe: u64) -> Self {
        let mut taker = Self {
            role: Role::Taker {
                from,
                got: safe,
                asked: safe,
                safe,
            },
            wants: VecDeque::new(),
            done: false,
        };
        taker.open(NOTE, "/note", "safe");
        taker.open(DATA, "/take", "file");
        taker
    }

    fn disk(&mut self, store: StoreId, job: JobId, op: DiskOp, payload: &[u8]) {
        self.wants
            .push_back((Effect::Disk { store, job, op }, payload.to_vec()));
    }

    fn open(&mut self, store: StoreId, folder: &str, file: &str) {
        let mut payload = Vec::new();
        Folder::encode(&mut payload, folder, [(file, 0)]);
        self.disk(store, OTHER, DiskOp::Open { len: payload.len() }, &payload);
        if store == DATA
            && let Role::Taker { from, got, .. } = self.role
        {
            let (conn, to) = (ConnId(1), from);
            self.wants.push_back((Effect::Dial { conn, to, via: None }, Vec::new()));
            let bytes = got.to_le_bytes();
            self.wants.push_back((Effect::Write { conn, len: 8 }, bytes.to_vec()));
        }
    }

    fn read(&mut self, at: u64, size: u64) {
        let len = u64::from(BLOCK).min(size.saturating_sub(at)) as u32;
        if len > 0 {
            self.disk(DATA, READ, DiskOp::Read { file: 0, at, len }, &[]);
        }
    }

    fn received(&mut self, bytes: &[u8]) {
        match &mut self.role {
            Role::Giver { size, .. } => {
                let at = u64::from_le_bytes(*bytes.first_chunk().unwrap());
                let size = *size;
                // All of it is asked for at once: this example is about disks, not about windows.
                for at in (at..size).step_by(BLOCK as usize) {
                    self.read(at, size);
                }
            }
            Role::Taker { got, .. } => {
                let at = *got;
                *got += bytes.len() as u64;
                let source = Source::Input {
                    start: 0,
                    len: bytes.len(),
                };
                self.disk(DATA, WRITE, DiskOp::Write { file: 0, at, source }, &[]);
            }
        }
    }

    fn answered(&mut self, job: JobId, done: Done<'_>) {
        match (&mut self.role, job, done) {
            (Role::Giver { conn: Some(conn), .. }, READ, Done::Read(bytes)) => {
                let (conn, len) = (*conn, bytes.len());
                self.wants.push_back((Effect::Write { conn, len }, bytes.to_vec()));
            }
            (Role::Taker { got, asked, .. }, WRITE, Done::Wrote(_)) if *got >= *asked + 40_000 => {
                *asked = *got;
                // It vouches for writes that were asked before, answered or not.
                let job = JobId(SYNC + *got);
                self.disk(DATA, job, DiskOp::Sync, &[]);
            }
            (Role::Taker { safe, .. }, JobId(sync @ SYNC..), Done::Ok) => {
                *safe = sync - SYNC;
                let bytes = safe.to_le_bytes();
                let source = Source::Payload { len: 8 };
                self.disk(NOTE, OTHER, DiskOp::Write { file: 0, at: 0, source }, &bytes);
                self.disk(NOTE, OTHER, DiskOp::Sync, &[]);
            }
            _ => {}
        }
    }
}

impl Machine for Machinist {
    type Event = ();

    fn handle(&mut self, _: Time, input: Input<'_>) {
        match (input, &mut self.role) {
            (Input::Accepted { conn, .. }, Role::Giver { conn: mine, .. }) => *mine = Some(conn),
            (Input::Received { bytes, .. }, _) => self.received(bytes),
            (Input::Disk { job, done }, _) => self.answered(job, done),
            _ => {}
        }
        if let Role::Taker { got, asked, .. } = &mut self.role
            && *got == SIZE
            && *asked < SIZE
        {
            *asked = SIZE;
            self.disk(DATA, JobId(SYNC + SIZE), DiskOp::Sync, &[]);
        }
    }

    fn poll(&mut self, _: Time, payload: &mut Vec<u8>) -> Option<Output<()>> {
        if let Some((effect, bytes)) = self.wants.pop_front() {
            payload.extend(bytes);
            return Some(Output::Effect(effect));
        }
        let is_whole = matches!(self.role, Role::Taker { safe: SIZE, .. });
        (is_whole && !std::mem::replace(&mut self.done, true)).then_some(Output::Event(()))
    }

    fn deadline(&self) -> Option<Time> {
        None
    }
}

const SIZE: u64 = 300_001;
const GIVER: usize = 0;
const TAKER: usize = 1;

fn content() -> Content {
    Content::pattern(Seed::from_number(42), SIZE)
}

fn scene(seed: u64) -> Stage<Machinist> {
    let mut stage = Stage::new(LIMITS, Seed::from_number(seed));
    let line = Line::new(2_000_000, 5_000_000, millis(10));
    // Reads are answered in the order of asking: this giver writes them as they come.
    let instant = Place {
        speed: Speed::INSTANT,
        ..Place::new(addr(0), line)
    };
    stage.add(instant, Machinist::giver(SIZE));
    stage.disk_mut(GIVER).plant("/give/file", content());
    let slow = Place {
        speed: Speed::SPINNING,
        ..Place::new(addr(1), line)
    };
    stage.add(slow, Machinist::taker(addr(0), 0));
    stage
}

/// What the note on the taker's disk claims.
fn claimed(stage: &Stage<Machinist>) -> u64 {
    let note = stage.disk(TAKER).file("/note/safe").unwrap_or_default();
    note.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// Runs to the end, or to the point at which the disk stops.
fn until_told(stage: &mut Stage<Machinist>) -> Told<()> {
    let (party, told) = stage.next(Time::from_secs(60)).unwrap();
    assert_eq!(party, TAKER);
    told
}

/// What the note claims is there; a note may be torn by nothing, being one sector.
fn assert_claim_holds(stage: &Stage<Machinist>) -> u64 {
    let safe = claimed(stage);
    let mut bytes = vec![0; safe as usize];
    stage.disk(TAKER).read_at("/take/file", 0, &mut bytes);
    assert!(bytes == content().slice(0..safe).to_vec(), "{safe} bytes are claimed");
    safe
}

#[test]
fn a_file_goes_from_one_disk_to_the_other() {
    let mut stage = scene(1);
    assert_eq!(until_told(&mut stage), Told::Event(()));
    assert!(stage.disk(TAKER).holds("/take/file", &content()));
    assert_eq!(stage.traffic(TAKER).received, SIZE);
    // 2 MB/s, and a round trip.
    let took = stage.now().since(Time::ZERO).as_millis();
    assert!((190..280).contains(&took), "{took}");
    assert_eq!(
        stage.run(Time::MAX, &mut |_, _, _| ControlFlow::Continue(())),
        Ended::Idle
    );
    assert_eq!(claimed(&stage), SIZE);
}

#[test]
fn what_is_claimed_is_there_after_a_stop_at_any_point() {
    let mut whole = scene(1);
    until_told(&mut whole);
    let points = whole.disk(TAKER).points();
    assert!(points > 50, "{points}");
    let mut claims = BTreeMap::new();
    for point in 1..=points {
        let mut stage = scene(1);
        stage.disk_mut(TAKER).crash_at(Some(point));
        assert_eq!(until_told(&mut stage), Told::Stopped, "point {point}");
        if point % 2 == 0 {
            stage.lose_power(TAKER);
        } else {
            stage.kill(TAKER);
        }
        let safe = assert_claim_holds(&stage);
        *claims.entry(safe).or_insert(0) += 1;
        stage.start(TAKER, Machinist::taker(addr(0), safe));
        assert_eq!(until_told(&mut stage), Told::Event(()));
        assert!(stage.disk(TAKER).holds("/take/file", &content()), "point {point}");
    }
    assert!(claims.len() > 3, "{claims:?}");
}

/// The example above would not notice if a crash lost nothing: this one claims too early, and is found out.
#[test]
fn a_claim_before_the_sync_is_found_out() {
    let lied = (0..40).filter(|&seed| {
        let mut stage = scene(seed);
        let _ = stage.next(Time::from_micros(130_000));
        let there = stage
            .disk(TAKER)
            .paths()
            .find(|(path, _)| *path == "/take/file")
            .unwrap()
            .1;
        stage.lose_power(TAKER);
        let mut bytes = vec![0; there as usize];
        stage.disk(TAKER).read_at("/take/file", 0, &mut bytes);
        bytes != content().slice(0..there).to_vec()
    });
    assert!(lied.count() > 20);
}
