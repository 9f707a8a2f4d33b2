//! The disk by itself: asked by hand, answered in virtual time.

use std::time::Duration;

use rand::RngExt;
use sha1::{Digest as _, Sha1};
use sha2::Sha256;
use world::disk::{Allocation, Digest, Folder, Slice};

use super::*;

const STORE: StoreId = StoreId(1);

/// A disk and what it said.
struct Desk {
    disk: Disk,
    now: Time,
    job: u64,
}

impl Desk {
    fn with(speed: Speed, faults: Faults, files: &[(&str, u64)]) -> Self {
        let mut desk = Self {
            disk: Disk::new(speed, faults, Seed::from_number(1)),
            now: Time::ZERO,
            job: 0,
        };
        desk.open(files);
        desk
    }

    fn new(files: &[(&str, u64)]) -> Self {
        Self::with(Speed::INSTANT, Faults::NONE, files)
    }

    fn open(&mut self, files: &[(&str, u64)]) -> Reply {
        let mut payload = Vec::new();
        Folder::encode(&mut payload, "/d", files.iter().copied());
        self.one(DiskOp::Open { len: payload.len() }, &payload)
    }

    fn ask(&mut self, op: DiskOp, payload: &[u8]) -> JobId {
        self.job += 1;
        self.disk.ask(self.now, STORE, JobId(self.job), op, payload, &[]);
        JobId(self.job)
    }

    fn write(&mut self, file: u32, at: u64, bytes: &[u8]) -> JobId {
        let source = Source::Payload { len: bytes.len() };
        self.ask(DiskOp::Write { file, at, source }, bytes)
    }

    /// All answers until nothing is under way.
    fn rest(&mut self) -> Vec<(JobId, Reply)> {
        let mut answers = Vec::new();
        while let Some(at) = self.disk.deadline() {
            self.now = self.now.max(at);
            if let Some(answer) = self.disk.take(self.now) {
                answers.push((answer.job, answer.reply));
            }
        }
        answers
    }

    /// The one answer to one question.
    fn one(&mut self, op: DiskOp, payload: &[u8]) -> Reply {
        let job = self.ask(op, payload);
        let answers = self.rest();
        assert_eq!((answers.len(), answers[0].0), (1, job));
        answers[0].1.clone()
    }

    fn wrote(&mut self, file: u32, at: u64, bytes: &[u8]) -> Reply {
        let source = Source::Payload { len: bytes.len() };
        self.one(DiskOp::Write { file, at, source }, bytes)
    }

    fn read(&mut self, file: u32, at: u64, len: u32) -> Reply {
        self.one(DiskOp::Read { file, at, len }, &[])
    }

    fn hash(&mut self, digest: Digest, slices: &[Slice]) -> Reply {
        let mut payload = Vec::new();
        Slices::encode(&mut payload, slices.iter().copied());
        let len = payload.len();
        self.one(DiskOp::Hash { digest, len }, &payload)
    }

    fn text(&mut self, op: impl FnOnce(usize) -> DiskOp, text: &str) -> Reply {
        self.one(op(text.len()), text.as_bytes())
    }
}

fn failed(fault: DiskFault) -> Reply {
    Reply::Failed(fault, 0)
}

const ALLOCATE: DiskOp = DiskOp::Allocate {
    file: 0,
    size: 40_000,
    how: Allocation::Sparse,
};

#[test]
fn what_was_written_is_read_and_hashed() {
    let mut desk = Desk::new(&[("a", 0), ("b", 0)]);
    let bytes = Content::pattern(Seed::from_number(2), 20_000).to_vec();
    assert_eq!(desk.wrote(0, 3, &bytes), Reply::Wrote(20_000));
    assert_eq!(desk.read(0, 3, 20_000), Reply::Read(bytes.clone()));
    assert_eq!(desk.read(0, 0, 3), Reply::Read(vec![0; 3]));
    assert_eq!(desk.read(0, 4, 20_000), failed(DiskFault::Gone), "beyond the end");
    assert_eq!(desk.read(1, 0, 1), failed(DiskFault::Gone), "not there");
    let slices = [
        Slice {
            file: Some(0),
            at: 3,
            len: 20_000,
        },
        Slice {
            file: None,
            at: 0,
            len: 10,
        },
    ];
    let padded = [bytes.clone(), vec![0; 10]].concat();
    let mut both = Sha1::digest(&padded).to_vec();
    assert_eq!(desk.hash(Digest::Sha1, &slices), Reply::Hashed(both.clone()));
    // Padding is in no leaf.
    both.extend(bytes.chunks(16 * 1024).flat_map(Sha256::digest));
    assert_eq!(desk.hash(Digest::Both, &slices), Reply::Hashed(both));
}

#[test]
fn a_range_in_holes_is_a_hole() {
    let mut desk = Desk::new(&[("a", 0), ("b", 0)]);
    desk.one(ALLOCATE, &[]);
    let slice = |file, at| Slice { file, at, len: 5_000 };
    let holes = [
        slice(Some(0), 0),
        slice(Some(0), 39_000),
        slice(Some(1), 0),
        slice(None, 0),
    ];
    assert_eq!(desk.hash(Digest::Sha1, &holes), Reply::Hole);
    desk.wrote(0, 4_999, &[7]);
    assert_eq!(
        desk.hash(Digest::Sha1, &holes),
        failed(DiskFault::Gone),
        "a part is there, another is not"
    );
    assert!(matches!(
        desk.hash(Digest::Sha1, &[holes[0], holes[3]]),
        Reply::Hashed(_)
    ));
    assert!(
        matches!(desk.hash(Digest::Sha1, &holes[3..]), Reply::Hashed(_)),
        "padding is no hole"
    );
    assert_eq!(desk.hash(Digest::Sha1, &holes[1..]), Reply::Hole);
}

#[test]
fn answers_take_the_time_of_the_device() {
    let speed = Speed {
        delay: (Duration::from_millis(1), Duration::from_millis(3)),
        rate: 1_000_000,
    };
    let mut desk = Desk::with(speed, Faults::NONE, &[("a", 0)]);
    desk.wrote(0, 0, &[1; 1_000]);
    let begun = desk.now;
    let read = DiskOp::Read {
        file: 0,
        at: 0,
        len: 1_000,
    };
    let jobs: Vec<JobId> = (0..100).map(|_| desk.ask(read, &[])).collect();
    let answers: Vec<JobId> = desk.rest().iter().map(|answer| answer.0).collect();
    let took = desk.now.since(begun).as_millis();
    assert!((101..=103).contains(&took), "{took}");
    let mut sorted = answers.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, jobs);
    assert_ne!(answers, jobs, "answers overtake one another");
}

#[test]
fn of_writes_that_overlap_the_last_stays() {
    for seed in 0..20 {
        let mut desk = Desk::with(Speed::SPINNING, Faults::NONE, &[("a", 0)]);
        desk.disk.draws = Draws::new(Seed::from_number(seed));
        desk.write(0, 0, &[1; 100]);
        desk.write(0, 50, &[2; 100]);
        desk.rest();
        assert_eq!(desk.disk.file("/d/a").unwrap(), [vec![1; 50], vec![2; 100]].concat());
    }
}

#[test]
fn a_sync_waits_for_what_was_asked_before() {
    let mut desk = Desk::with(Speed::SPINNING, Faults::NONE, &[("a", 0)]);
    for number in 0..20 {
        desk.write(0, number * 100, &[1; 100]);
    }
    let sync = desk.ask(DiskOp::Sync, &[]);
    let answers = desk.rest();
    assert_eq!(answers.last(), Some(&(sync, Reply::Ok)));
}

#[test]
fn writes_of_one_job_are_answered_for_all_their_bytes() {
    let mut desk = Desk::with(Speed::SOLID, Faults::NONE, &[("a", 0)]);
    let source = Source::Payload { len: 10 };
    let mut counts = Vec::new();
    for round in 0..50_u64 {
        let job = JobId(1_000 + round);
        for number in 0..4 {
            let at = round * 40 + number * 10;
            let op = DiskOp::Write { file: 0, at, source };
            desk.disk.ask(desk.now, STORE, job, op, &[1; 10], &[]);
        }
        let answers = desk.rest();
        let bytes: usize = answers
            .iter()
            .map(|answer| match answer.1 {
                Reply::Wrote(bytes) => bytes,
                _ => 0,
            })
            .sum();
        assert_eq!(bytes, 40);
        counts.push(answers.len());
    }
    assert!(counts.contains(&1) && counts.contains(&4), "{counts:?}");
}

#[test]
fn a_full_disk_takes_what_fits_until_there_is_room() {
    let faults = Faults {
        space: Some(3 * PAGE as u64),
        ..Faults::NONE
    };
    let mut desk = Desk::with(Speed::INSTANT, faults, &[("a", 0), ("b", 0)]);
    let bytes = [5; 4 * PAGE];
    assert_eq!(desk.wrote(0, 0, &bytes), Reply::Failed(DiskFault::Full, 4 * PAGE));
    assert_eq!(desk.disk.file("/d/a").unwrap(), bytes[..3 * PAGE]);
    assert_eq!(
        desk.wrote(0, 9, &[6; 100]),
        Reply::Wrote(100),
        "in the place of what is there"
    );
    assert_eq!(desk.wrote(1, 0, &[6]), Reply::Failed(DiskFault::Full, 1));
    desk.disk.faults_mut().space = None;
    assert_eq!(desk.wrote(1, 0, &[6]), Reply::Wrote(1));
    assert_eq!(desk.disk.used(), 4 * PAGE as u64);
    desk.one(DiskOp::Delete, &[]);
    assert_eq!((desk.disk.used(), desk.disk.paths().count()), (0, 0));
}

#[test]
fn room_is_kept_where_it_was_asked_for() {
    for (how, other) in [
        (Allocation::Sparse, Reply::Wrote(PAGE)),
        (Allocation::Full, Reply::Failed(DiskFault::Full, PAGE)),
        (Allocation::Fallocate, Reply::Failed(DiskFault::Full, PAGE)),
    ] {
        let faults = Faults {
            space: Some(2 * PAGE as u64),
            ..Faults::NONE
        };
        let mut desk = Desk::with(Speed::INSTANT, faults, &[("a", 0), ("b", 0)]);
        let size = 2 * PAGE as u64;
        let op = |file, size| DiskOp::Allocate { file, size, how };
        assert_eq!(desk.one(op(0, size), &[]), Reply::Ok);
        assert_eq!(desk.wrote(1, 0, &[1; PAGE]), other, "{how:?}");
        if how != Allocation::Sparse {
            assert_eq!(desk.wrote(0, 0, &[1; 2 * PAGE]), Reply::Wrote(2 * PAGE));
            assert_eq!(desk.one(op(1, 1), &[]), failed(DiskFault::Full));
        }
    }
}

#[test]
fn the_nth_operation_fails() {
    let failure = |on, nth| Failure {
        on,
        nth,
        count: 1,
        fault: DiskFault::Device,
    };
    let faults = Faults {
        failures: vec![failure(Kind::Write, 2), failure(Kind::Read, 1), failure(Kind::Sync, 1)],
        ..Faults::NONE
    };
    let mut desk = Desk::with(Speed::INSTANT, faults, &[("a", 0)]);
    assert_eq!(desk.wrote(0, 0, &[1; 8]), Reply::Wrote(8));
    assert_eq!(desk.wrote(0, 0, &[2; 8]), Reply::Failed(DiskFault::Device, 8));
    assert_eq!(
        desk.disk.file("/d/a").unwrap(),
        [2, 2, 2, 2, 1, 1, 1, 1],
        "part is written"
    );
    assert_eq!(desk.read(0, 0, 8), failed(DiskFault::Device));
    assert_eq!(desk.read(0, 0, 1), Reply::Read(vec![2]));
    assert_eq!(desk.one(DiskOp::Sync, &[]), failed(DiskFault::Device));
    assert_eq!(desk.one(DiskOp::Sync, &[]), Reply::Ok);
    assert_eq!(desk.disk.counts().faults[DiskFault::Device], 3);
}

#[test]
fn a_sync_after_one_that_failed_saves_only_what_is_written_again() {
    let lost = (0..64).filter(|&seed| {
        let faults = Faults {
            failures: vec![Failure {
                on: Kind::Sync,
                nth: 2,
                count: 1,
                fault: DiskFault::Device,
            }],
            ..Faults::NONE
        };
        let mut desk = Desk::with(Speed::INSTANT, faults, &[("a", 0)]);
        desk.wrote(0, 0, &[1; 2 * PAGE]);
        desk.one(DiskOp::Sync, &[]);
        desk.wrote(0, 0, &[2; 2 * PAGE]);
        desk.one(DiskOp::Sync, &[]);
        desk.wrote(0, 0, &[3; PAGE]);
        desk.one(DiskOp::Sync, &[]);
        desk.disk.lose_power(Seed::from_number(seed));
        let left = desk.disk.file("/d/a").unwrap();
        assert_eq!(left[..PAGE], [3; PAGE]);
        left[PAGE] == 1
    });
    assert!((10..54).contains(&lost.count()));
}

#[test]
fn a_read_only_disk_still_reads() {
    let mut desk = Desk::new(&[("a", 0)]);
    desk.wrote(0, 0, &[1]);
    desk.disk.faults_mut().read_only = true;
    assert_eq!(desk.wrote(0, 0, &[2]), Reply::Failed(DiskFault::Denied, 1));
    assert_eq!(desk.read(0, 0, 1), Reply::Read(vec![1]));
}

#[test]
fn reads_are_garbled_in_the_share_that_was_asked_for() {
    let faults = Faults {
        garbled_reads: 0.05,
        ..Faults::NONE
    };
    let mut desk = Desk::with(Speed::INSTANT, faults, &[("a", 0)]);
    desk.wrote(0, 0, &[1; 1_000]);
    let wrong = (0..2_000).filter(|_| desk.read(0, 0, 1_000) != Reply::Read(vec![1; 1_000]));
    let wrong = wrong.count();
    assert!((70..130).contains(&wrong), "{wrong}");
    assert_eq!(desk.disk.counts().garbled, wrong as u64);
}

#[test]
fn a_disk_that_hangs_answers_when_it_wakes() {
    let mut desk = Desk::new(&[("a", 0)]);
    desk.disk.faults_mut().stalled_until = Time::from_secs(30);
    desk.wrote(0, 0, &[1]);
    assert_eq!(desk.now, Time::from_secs(30));
}

#[test]
fn files_get_other_names_and_folders() {
    let mut desk = Desk::new(&[("a", 0), ("x/b", 0)]);
    desk.wrote(0, 0, b"a");
    desk.wrote(1, 0, b"b");
    let rename = |file| move |len| DiskOp::Rename { file, len };
    assert_eq!(desk.text(rename(0), "x/b"), failed(DiskFault::InTheWay));
    assert_eq!(desk.text(rename(0), "../a"), failed(DiskFault::Unfit));
    assert_eq!(desk.text(rename(0), "y/a"), Reply::Ok);
    assert_eq!(desk.text(|len| DiskOp::Move { len }, "/e"), Reply::Ok);
    assert_eq!(desk.disk.paths().collect::<Vec<_>>(), [("/e/x/b", 1), ("/e/y/a", 1)]);
    assert_eq!(desk.read(0, 0, 1), Reply::Read(b"a".to_vec()));
    assert_eq!(desk.disk.counts().escapes, 1);
}

#[test]
fn paths_out_of_the_folder_and_double_ones_are_refused() {
    let mut desk = Desk::new(&[("a", 0)]);
    assert_eq!(desk.open(&[("a", 0), ("../evil", 0)]), failed(DiskFault::Unfit));
    assert_eq!(desk.open(&[("/etc/x", 0)]), failed(DiskFault::Unfit));
    assert_eq!(desk.open(&[("b", 0), ("b", 0)]), failed(DiskFault::InTheWay));
    assert_eq!(desk.wrote(0, 0, b"x"), Reply::Wrote(1), "still under its old names");
    assert_eq!(desk.disk.paths().collect::<Vec<_>>(), [("/d/a", 1)]);
    assert_eq!(desk.disk.counts().escapes, 2);
    desk.open(&[("", 7)]);
    assert_eq!(desk.wrote(0, 0, b"x"), Reply::Failed(DiskFault::Unfit, 1), "padding");
}

#[test]
fn a_file_that_somebody_deletes_before_it_is_synced_fails_the_sync() {
    let mut desk = Desk::new(&[("a", 0), ("b", 0)]);
    desk.wrote(0, 0, b"x");
    desk.one(DiskOp::Sync, &[]);
    desk.disk.remove("/d/a");
    assert_eq!(desk.one(DiskOp::Sync, &[]), Reply::Ok);
    desk.wrote(1, 0, b"x");
    desk.disk.remove("/d/b");
    assert_eq!(desk.one(DiskOp::Sync, &[]), failed(DiskFault::Gone));
    assert_eq!(desk.one(DiskOp::Sync, &[]), Reply::Ok);
}

#[test]
fn opening_says_how_the_files_stand() {
    let mut desk = Desk::new(&[]);
    desk.disk.plant("/d/a", Content::pattern(Seed::from_number(3), 1 << 40));
    let Reply::Opened(stats) = desk.open(&[("a", 1 << 40), ("b", 7)]) else {
        panic!("not opened");
    };
    assert_eq!(
        stats.iter().map(|stat| stat.map(|stat| stat.size)).collect::<Vec<_>>(),
        [Some(1 << 40), None]
    );
    desk.now = Time::from_secs(9);
    desk.wrote(0, 0, &[1]);
    let Reply::Opened(later) = desk.open(&[("a", 1 << 40)]) else {
        panic!("not opened");
    };
    assert_eq!(later[0].unwrap().mtime_ns - stats[0].unwrap().mtime_ns, 9_000_000_000);
}

#[test]
fn others_may_cut_and_delete() {
    let mut desk = Desk::new(&[("a", 0)]);
    desk.wrote(0, 0, &[1; 10_000]);
    assert!(desk.disk.truncate(desk.now, "/d/a", 5_000));
    assert_eq!(desk.read(0, 0, 10_000), failed(DiskFault::Gone));
    assert_eq!(desk.read(0, 0, 5_000), Reply::Read(vec![1; 5_000]));
    assert!(desk.disk.truncate(desk.now, "/d/a", 5_002));
    assert_eq!(
        desk.read(0, 4_999, 3),
        Reply::Read(vec![1, 0, 0]),
        "what was cut off is gone"
    );
    assert!(desk.disk.remove("/d/a") && !desk.disk.remove("/d/a"));
    assert_eq!(desk.read(0, 0, 1), failed(DiskFault::Gone));
    assert_eq!(desk.disk.used(), 0);
}

/// A file in the plainest way, for comparison.
#[test]
fn files_are_what_a_vector_would_be() {
    let mut rng = Seed::from_number(4).rng();
    for round in 0..30 {
        let mut desk = Desk::new(&[("a", 0)]);
        let mut should: Vec<u8> = Vec::new();
        if round % 2 == 0 {
            should = Content::pattern(Seed::from_number(5), 30_000).to_vec();
            desk.disk.plant("/d/a", Content::pattern(Seed::from_number(5), 30_000));
        }
        for step in 0..60_u8 {
            let (at, len) = (rng.random_range(0..40_000_usize), rng.random_range(1..9_000_usize));
            if rng.random_bool(0.2) {
                let size = at as u64;
                let how = Allocation::Sparse;
                desk.one(DiskOp::Allocate { file: 0, size, how }, &[]);
                should.resize(at, 0);
            } else {
                desk.wrote(0, at as u64, &vec![step; len]);
                should.resize(should.len().max(at + len), 0);
                should[at..at + len].fill(step);
            }
            if rng.random_bool(0.1) {
                desk.one(DiskOp::Sync, &[]);
            }
            assert_eq!(desk.disk.file("/d/a").unwrap(), should, "round {round}, step {step}");
            let used = desk.disk.files.values().map(File::used).sum::<u64>();
            assert_eq!(desk.disk.used(), used);
        }
    }
}

#[test]
fn what_was_synced_survives_and_the_rest_is_some_mixture() {
    let (mut lost, mut kept, mut torn, mut shorter) = (0, 0, 0, 0);
    for seed in 0..400 {
        let mut desk = Desk::new(&[("a", 0)]);
        desk.wrote(0, 0, &[1; 4 * PAGE]);
        desk.one(DiskOp::Sync, &[]);
        desk.wrote(0, PAGE as u64, &[2; 4 * PAGE]);
        desk.wrote(0, 2 * PAGE as u64, &[3; PAGE]);
        desk.disk.lose_power(Seed::from_number(seed));
        let left = desk.disk.file("/d/a").unwrap();
        assert_eq!(left[..PAGE], [1; PAGE], "synced and not written since");
        assert!(left.len() == 4 * PAGE || left.len() == 5 * PAGE);
        assert!(left[PAGE..2 * PAGE].iter().all(|byte| [1, 2].contains(byte)));
        assert!(left[2 * PAGE..3 * PAGE].iter().all(|byte| [1, 2, 3].contains(byte)));
        assert!(
            left.get(4 * PAGE..)
                .unwrap_or_default()
                .iter()
                .all(|byte| [0, 2].contains(byte))
        );
        let page = &left[PAGE..2 * PAGE];
        lost += usize::from(*page == [1; PAGE]);
        kept += usize::from(*page == [2; PAGE]);
        torn += usize::from(page.chunks(512).any(|sector| sector != &page[..512]));
        assert!(
            page.chunks(512)
                .all(|sector| sector.iter().all(|byte| *byte == sector[0]))
        );
        shorter += usize::from(left.len() == 4 * PAGE);
    }
    for (what, count) in [("lost", lost), ("kept", kept), ("torn", torn), ("shorter", shorter)] {
        assert!((10..300).contains(&count), "{what}: {count}");
    }
}

#[test]
fn a_new_file_a_new_name_and_a_deletion_may_be_lost_before_a_sync() {
    let (mut made, mut renamed, mut deleted) = (0, 0, 0);
    for seed in 0..200 {
        let mut desk = Desk::new(&[("old", 0), ("doomed", 0), ("new", 0)]);
        desk.wrote(0, 0, &[1; 10]);
        desk.wrote(1, 0, &[2; 10]);
        desk.one(DiskOp::Sync, &[]);
        desk.wrote(2, 0, &[3; 10]);
        desk.text(|len| DiskOp::Rename { file: 0, len }, "renamed");
        let mut payload = Vec::new();
        Folder::encode(&mut payload, "/d", [("doomed", 0)]);
        let open = DiskOp::Open { len: payload.len() };
        desk.disk.ask(desk.now, StoreId(2), JobId(900), open, &payload, &[]);
        desk.disk
            .ask(desk.now, StoreId(2), JobId(901), DiskOp::Delete, &[], &[]);
        desk.rest();
        let synced = seed % 2 == 0;
        if synced {
            desk.disk.ask(desk.now, STORE, JobId(902), DiskOp::Sync, &[], &[]);
            desk.disk.ask(desk.now, StoreId(2), JobId(903), DiskOp::Sync, &[], &[]);
            desk.rest();
        }
        desk.disk.lose_power(Seed::from_number(seed));
        let there = |path| desk.disk.file(path).is_some();
        assert!(there("/d/old") != there("/d/renamed"), "one of its names");
        if synced {
            assert!(there("/d/new") && there("/d/renamed") && !there("/d/doomed"));
        } else {
            made += usize::from(there("/d/new"));
            renamed += usize::from(there("/d/renamed"));
            deleted += usize::from(!there("/d/doomed"));
        }
    }
    for count in [made, renamed, deleted] {
        assert!((15..85).contains(&count), "{made} {renamed} {deleted}");
    }
}

#[test]
fn a_killed_process_loses_only_what_was_not_answered() {
    let mut outcomes = [0; 2];
    for seed in 0..50 {
        let mut desk = Desk::with(Speed::SOLID, Faults::NONE, &[("a", 0)]);
        desk.wrote(0, 0, &[1; 8]);
        desk.write(0, 0, &[2; 8]);
        desk.disk.kill(Seed::from_number(seed));
        assert_eq!(desk.rest(), []);
        let left = desk.disk.file("/d/a").unwrap();
        outcomes[usize::from(left[0]) - 1] += 1;
        assert_eq!(desk.read(0, 0, 8), failed(DiskFault::Gone), "the store is forgotten");
    }
    assert!(outcomes.iter().all(|count| *count > 10), "{outcomes:?}");
}

#[test]
fn a_disk_stops_at_any_point() {
    let life = |point| {
        let mut desk = Desk::new(&[]);
        desk.disk.crash_at(point);
        desk.open(&[("a", 0)]);
        desk.write(0, 0, &[1; 8]);
        let wrote = desk.rest().len();
        desk.ask(DiskOp::Sync, &[]);
        let synced = desk.rest().len();
        (desk.disk.points(), wrote, synced, desk.disk)
    };
    let (points, ..) = life(None);
    assert_eq!(points, 8, "two of the first naming, six of this life");
    for (point, wrote, there) in [(5, 0, false), (6, 0, true), (7, 1, true), (8, 1, true)] {
        let (points, answers, synced, mut disk) = life(Some(point));
        assert!(disk.is_stopped());
        assert_eq!((points, answers, synced), (point, wrote, 0), "stopped at {point}");
        assert_eq!(disk.file("/d/a").is_some(), there);
        assert_eq!((disk.take(Time::MAX), disk.deadline()), (None, None));
        disk.lose_power(Seed::from_number(1));
        assert!(!disk.is_stopped());
        if point == 8 {
            assert_eq!(disk.file("/d/a").unwrap(), [1; 8], "synced, though nobody heard");
        }
    }
}

#[test]
#[should_panic(expected = "of an input of 4 bytes")]
fn a_write_from_an_input_that_is_gone_is_a_bug_of_the_machine() {
    let mut desk = Desk::new(&[("a", 0)]);
    let source = Source::Input { start: 1, len: 4 };
    let op = DiskOp::Write { file: 0, at: 0, source };
    desk.disk.ask(Time::ZERO, STORE, JobId(1), op, &[], b"abcd");
}
