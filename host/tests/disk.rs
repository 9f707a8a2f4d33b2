//! What may be asked of a disk, on the real one: each in every way to deal with it.

#![allow(clippy::unwrap_used, reason = "a test that cannot set itself up fails")]

mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use host::DiskLimits;
use proptest::prelude::*;
use sha1::{Digest as _, Sha1};
use sha2::Sha256;
use support::disk::{
    Ask, STORE, Told, allocate, ask, ask_watching, hash, last, open, pattern, plain, read, relocate, rename, ways,
    write,
};
use world::disk::{Allocation, Digest, Source};
use world::{DiskFault, DiskOp, StoreId};

const BLOCK: usize = 16 * 1024;

/// Not where temporary files are: that may be memory, of which no system says that it has a file in memory.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// A folder on another file system, if there is one.
fn elsewhere() -> Option<tempfile::TempDir> {
    let other = tempfile::tempdir_in("/dev/shm").ok()?;
    let differ = fs::metadata(other.path()).unwrap().dev() != fs::metadata(folder().path()).unwrap().dev();
    differ.then_some(other)
}

/// Names below a folder, files and folders, in order.
fn tree(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut todo = vec![folder.to_owned()];
    while let Some(at) = todo.pop() {
        for entry in fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            found.push(path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned());
            if path.is_dir() && !path.is_symlink() {
                todo.push(path);
            }
        }
    }
    found.sort();
    found
}

fn wrote(len: usize) -> Told {
    Told::Wrote(len, None)
}

#[test]
fn a_file_written_out_of_order_is_whole_and_what_adjoins_is_written_together() {
    let content = pattern(64 * BLOCK, 1);
    for way in ways() {
        let folder = folder();
        let mut blocks: Vec<_> = content.chunks(BLOCK).enumerate().collect();
        // Each fourth, then the next ones: in every batch some adjoin once they are in order.
        blocks.sort_by_key(|(at, _)| (at / 16, at % 4));
        let writes = blocks.iter().map(|(at, block)| write(0, (at * BLOCK) as u64, block));
        let steps = vec![vec![open(folder.path(), &["file"])], writes.collect()];
        let (told, counters) = ask(way, steps);
        assert_eq!(told[0], [Told::Opened(vec![None])]);
        assert_eq!(told[1], vec![wrote(BLOCK); 64]);
        assert_eq!(fs::read(folder.path().join("file")).unwrap(), content);
        let disk = counters.disk;
        assert_eq!((disk.blocks_written, disk.bytes_written), (64, content.len() as u64));
        assert!(disk.writes <= 16, "{disk:?}");
        assert!(disk.merged() >= 0.75 && disk.held == 0, "{disk:?}");
    }
}

#[test]
fn many_files_in_folders_come_to_be_as_they_are_written() {
    let files = ["top", "a/b/c/deep", "a/b/ünïcödé 文件", "a/empty"];
    for way in ways() {
        let folder = folder();
        // The store's own folder is not there either.
        let root = folder.path().join("down/load");
        let told = last(
            way,
            vec![
                vec![open(&root, &files)],
                vec![
                    write(0, 0, b"0"),
                    write(1, 2, b"11"),
                    write(2, 0, b"222"),
                    write(3, 0, b""),
                ],
                vec![open(&root, &files)],
            ],
        );
        let [Told::Opened(stats)] = told.as_slice() else {
            panic!("{told:?}")
        };
        let sizes: Vec<_> = stats.iter().map(|stat| stat.unwrap().size).collect();
        assert_eq!(sizes, [1, 4, 3, 0]);
        assert_eq!(fs::read(root.join(files[1])).unwrap(), b"\0\x0011");
        let modified = fs::metadata(root.join("top")).unwrap();
        let expected = modified.mtime() * 1_000_000_000 + modified.mtime_nsec();
        assert_eq!(stats[0].unwrap().mtime_ns, expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn of_writes_that_overlap_the_last_stays(
        writes in prop::collection::vec((0_u32..2, 0_u64..200, 1_usize..90, any::<u8>()), 1..60),
        way in 0_usize..4,
    ) {
        let folder = folder();
        let mut expected = [Vec::new(), Vec::new()];
        let asks = writes.iter().map(|&(file, at, len, with)| {
            let place = at as usize;
            let expected: &mut Vec<u8> = &mut expected[file as usize];
            if expected.len() < place + len {
                expected.resize(place + len, 0);
            }
            expected[place..place + len].fill(with);
            write(file, at, &vec![with; len])
        });
        let asks = asks.collect();
        ask(ways()[way], vec![vec![open(folder.path(), &["0", "1"])], asks]);
        for (name, expected) in ["0", "1"].into_iter().zip(expected) {
            prop_assert_eq!(fs::read(folder.path().join(name)).unwrap_or_default(), expected);
        }
    }
}

#[test]
fn a_range_is_read_as_it_was_written_or_not_at_all() {
    let content = pattern(3 << 20, 2);
    for way in ways() {
        let folder = folder();
        fs::write(folder.path().join("a"), &content).unwrap();
        let (told, counters) = ask(
            way,
            vec![
                vec![open(folder.path(), &["a", "gone", ""])],
                vec![read(0, 5, 10), read(0, 0, 3 << 20), read(0, 100, 40_000), read(0, 7, 0)],
                vec![read(0, 9, 70)],
                vec![
                    read(0, (3 << 20) - 1, 2),
                    read(1, 0, 1),
                    read(2, 0, 1),
                    read(3, 0, 1),
                    read(0, 0, u32::MAX),
                    read(0, 0, 1).store(StoreId(1)),
                ],
            ],
        );
        let bytes = |from: usize, len: usize| Told::Read(content[from..from + len].to_vec());
        assert_eq!(
            told[1],
            [bytes(5, 10), bytes(0, 3 << 20), bytes(100, 40_000), bytes(7, 0)]
        );
        assert_eq!(told[2], [bytes(9, 70)]);
        let gone = Told::Failed(DiskFault::Gone);
        let unfit = Told::Failed(DiskFault::Unfit);
        assert_eq!(
            told[3],
            [gone.clone(), gone.clone(), unfit.clone(), gone.clone(), unfit, gone]
        );
        // By the second step the file is open, and in the system's memory.
        let disk = counters.disk;
        assert!(disk.blocks_read_hit >= 1 && disk.hit() <= 1.0, "{disk:?}");
    }
}

#[test]
fn hashes_are_of_the_slices_as_one_range() {
    let (a, b) = (pattern(100_000, 3), pattern(900_000, 4));
    let range = [&a[50_000..], &[0; 20_000], &b[..850_000]].concat();
    let slices = [(Some(0), 50_000, 50_000), (None, 0, 20_000), (Some(1), 0, 850_000)];
    let sha1 = Sha1::digest(&range).to_vec();
    // Padding is in no leaf.
    let content = [&a[50_000..], &b[..850_000]].concat();
    let leaves: Vec<u8> = content
        .chunks(BLOCK)
        .flat_map(|leaf| Sha256::digest(leaf).to_vec())
        .collect();
    for way in ways() {
        let folder = folder();
        let (told, counters) = ask(
            way,
            vec![
                vec![open(folder.path(), &["a", "b"])],
                vec![write(0, 0, &a), write(1, 0, &b)],
                vec![
                    hash(Digest::Sha1, &slices),
                    hash(Digest::Leaves, &slices),
                    hash(Digest::Both, &slices),
                    hash(Digest::Sha1, &[(None, 9, 70_000)]),
                ],
            ],
        );
        let both = [sha1.as_slice(), &leaves].concat();
        let padding = Sha1::digest(vec![0; 70_000]).to_vec();
        let expected = [sha1.clone(), leaves.clone(), both, padding].map(Told::Hashed);
        assert_eq!(told[2], expected);
        let disk = counters.disk;
        assert_eq!((disk.hashes, disk.holes, disk.bytes_hashed), (4, 0, 3 * 900_000));
    }
}

#[test]
fn what_is_all_holes_is_told_without_being_read() {
    for way in ways() {
        let folder = folder();
        let (told, counters) = ask(
            way,
            vec![
                vec![open(folder.path(), &["sparse", "gone", "short"])],
                vec![allocate(0, 4 << 20, Allocation::Sparse), write(2, 0, &[1; 10])],
                vec![write(0, 2 << 20, &[2; 4096])],
                vec![
                    hash(Digest::Sha1, &[(Some(0), 0, 1 << 20)]),
                    hash(
                        Digest::Sha1,
                        &[(Some(1), 7, 100), (None, 0, 5), (Some(0), 3 << 20, 100)],
                    ),
                    hash(Digest::Leaves, &[(Some(2), 4096, 10)]),
                    // Partly there.
                    hash(Digest::Sha1, &[(Some(0), 1 << 20, (1 << 20) + 4096)]),
                    hash(Digest::Sha1, &[(Some(1), 0, 100), (Some(0), 2 << 20, 100)]),
                    hash(Digest::Sha1, &[(Some(2), 0, 20)]),
                ],
            ],
        );
        let mut there = vec![0; (1 << 20) + 4096];
        there[1 << 20..].fill(2);
        let gone = Told::Failed(DiskFault::Gone);
        let expected = [
            Told::Hole,
            Told::Hole,
            Told::Hole,
            Told::Hashed(Sha1::digest(&there).to_vec()),
            gone.clone(),
            gone,
        ];
        assert_eq!(told[3], expected);
        assert_eq!(counters.disk.holes, 3);
    }
}

#[test]
fn room_is_made_as_it_is_asked_for() {
    const SIZE: u64 = 3 << 20;
    for way in ways() {
        let folder = folder();
        let names = ["sparse", "full", "reserved", "cut"];
        fs::write(folder.path().join("full"), b"kept").unwrap();
        fs::write(folder.path().join("cut"), pattern(5000, 1)).unwrap();
        let told = last(
            way,
            vec![
                vec![open(folder.path(), &names)],
                vec![
                    allocate(0, SIZE, Allocation::Sparse),
                    allocate(1, SIZE, Allocation::Full),
                    allocate(2, SIZE, Allocation::Fallocate),
                    allocate(3, 100, Allocation::Fallocate),
                ],
            ],
        );
        assert_eq!(told, vec![Told::Ok; 4]);
        let stat = |name: &str| fs::metadata(folder.path().join(name)).unwrap();
        assert_eq!(names.map(|name| stat(name).len()), [SIZE, SIZE, SIZE, 100]);
        assert_eq!(stat("sparse").blocks(), 0);
        assert!(stat("full").blocks() * 512 >= SIZE && stat("reserved").blocks() * 512 >= SIZE);
        let full = fs::read(folder.path().join("full")).unwrap();
        assert!(full.starts_with(b"kept\0") && full[5..].iter().all(|&byte| byte == 0));
        assert_eq!(fs::read(folder.path().join("cut")).unwrap(), pattern(5000, 1)[..100]);
        let told = last(
            way,
            vec![
                vec![open(folder.path(), &["absurd"])],
                vec![allocate(0, u64::MAX, Allocation::Sparse)],
            ],
        );
        assert_eq!(told, [Told::Failed(DiskFault::Unfit)]);
    }
}

#[test]
fn full_room_is_made_in_the_gaps_of_a_file_too() {
    for way in ways() {
        let folder = folder();
        let told = last(
            way,
            vec![
                vec![open(folder.path(), &["a"])],
                vec![write(0, 1 << 20, &[7; 5000])],
                vec![allocate(0, 4 << 20, Allocation::Full)],
            ],
        );
        assert_eq!(told, [Told::Ok]);
        let path = folder.path().join("a");
        assert!(fs::metadata(&path).unwrap().blocks() * 512 >= 4 << 20);
        let mut expected = vec![0; 4 << 20];
        expected[1 << 20..][..5000].fill(7);
        assert_eq!(fs::read(path).unwrap(), expected);
    }
}

#[test]
fn a_sync_is_of_what_was_written_since_the_last() {
    for way in ways() {
        let folder = folder();
        let (told, counters) = ask(
            way,
            vec![
                vec![open(folder.path(), &["new/a", "b", "c"])],
                vec![
                    write(0, 0, b"1"),
                    write(1, 0, b"2"),
                    plain(DiskOp::Sync),
                    write(2, 0, b"3"),
                ],
                vec![plain(DiskOp::Sync), plain(DiskOp::Sync).store(StoreId(9))],
                vec![plain(DiskOp::Sync)],
            ],
        );
        assert_eq!(told[1][2], Told::Ok);
        assert_eq!(told[2], [Told::Ok, Told::Failed(DiskFault::Gone)]);
        assert_eq!(told[3], [Told::Ok]);
        // Where the loop writes beside the sync, the third file may already be part of it.
        assert_eq!(counters.disk.files_synced, 3);
    }
}

#[test]
fn a_sync_does_not_claim_what_somebody_deleted() {
    for way in ways() {
        let folder = folder();
        let path = folder.path().join("a");
        let steps = vec![
            vec![open(folder.path(), &["a"])],
            vec![write(0, 0, b"lost")],
            vec![plain(DiskOp::Sync)],
            vec![write(0, 0, b"new")],
            vec![plain(DiskOp::Sync)],
        ];
        let mut answers = 0;
        let (told, _) = ask_watching(way, steps, || {
            answers += 1;
            if answers == 2 {
                fs::remove_file(&path).unwrap();
            }
        });
        assert_eq!(told[2], [Told::Failed(DiskFault::Gone)]);
        assert_eq!(told[4], [Told::Ok]);
        assert_eq!(fs::read(path).unwrap(), b"new");
    }
}

#[test]
fn a_file_gets_another_name_unless_something_has_it() {
    for way in ways() {
        let folder = folder();
        fs::write(folder.path().join("foreign"), b"x").unwrap();
        let told = last(
            way,
            vec![
                vec![open(folder.path(), &["old/a", "b", "not yet"])],
                vec![write(0, 0, b"a"), write(1, 0, b"b")],
                vec![rename(0, "new/place/a"), write(0, 1, b"a"), rename(2, "later")],
                vec![write(2, 0, b"c"), read(0, 0, 2)],
                vec![
                    rename(1, "foreign"),
                    rename(1, "new/place/a"),
                    rename(1, "../b"),
                    rename(1, "new"),
                    rename(1, "b"),
                ],
            ],
        );
        let in_the_way = Told::Failed(DiskFault::InTheWay);
        let unfit = Told::Failed(DiskFault::Unfit);
        assert_eq!(
            told,
            [in_the_way.clone(), in_the_way.clone(), unfit, in_the_way, Told::Ok]
        );
        let expected = ["b", "foreign", "later", "new", "new/place", "new/place/a"];
        assert_eq!(tree(folder.path()), expected);
        assert_eq!(fs::read(folder.path().join("new/place/a")).unwrap(), b"aa");
        assert_eq!(fs::read(folder.path().join("foreign")).unwrap(), b"x");
    }
}

fn moves_to(way: DiskLimits, target: &Path) {
    let folder = folder();
    fs::write(folder.path().join("foreign"), b"x").unwrap();
    let content = pattern(700_000, 8);
    let told = last(
        way,
        vec![
            vec![open(folder.path(), &["d/a", "b", "never"])],
            vec![write(0, 1 << 20, &content), write(1, 0, b"b")],
            vec![relocate(target), write(1, 1, b"b"), plain(DiskOp::Sync)],
            vec![read(0, 1 << 20, 700_000), read(1, 0, 2)],
        ],
    );
    assert_eq!(told, [Told::Read(content), Told::Read(b"bb".to_vec())]);
    assert_eq!(tree(folder.path()), ["foreign"]);
    assert_eq!(tree(target), ["b", "d", "d/a"]);
    let sparse = fs::metadata(target.join("d/a")).unwrap();
    assert!(sparse.blocks() * 512 < 1 << 20, "its hole is still one");
}

#[test]
fn a_store_moves_with_all_its_files() {
    for way in ways() {
        moves_to(way, &folder().path().join("to"));
    }
}

#[test]
fn a_store_moves_to_another_file_system() {
    for way in ways() {
        let Some(other) = elsewhere() else {
            println!("skipped: no other file system here");
            return;
        };
        moves_to(way, &other.path().join("to"));
    }
}

#[test]
fn a_store_that_cannot_move_stays_as_it_is() {
    let targets = [Some(folder()), elsewhere()];
    for (way, target) in ways().into_iter().zip(targets.iter().flatten().cycle()) {
        let (folder, target) = (folder(), target.path());
        fs::create_dir_all(target.join("d")).unwrap();
        fs::write(target.join("d/b"), b"foreign").unwrap();
        let told = last(
            way,
            vec![
                vec![open(folder.path(), &["a", "d/b"])],
                vec![write(0, 0, b"a"), write(1, 0, b"b")],
                vec![relocate(target), read(0, 0, 1)],
            ],
        );
        assert_eq!(told, [Told::Failed(DiskFault::InTheWay), Told::Read(b"a".to_vec())]);
        assert_eq!(tree(folder.path()), ["a", "d", "d/b"]);
        assert_eq!(tree(target), ["d", "d/b"]);
        assert_eq!(fs::read(target.join("d/b")).unwrap(), b"foreign");
    }
}

#[test]
fn only_the_stores_own_files_are_deleted() {
    for way in ways() {
        let folder = folder();
        fs::create_dir_all(folder.path().join("mixed")).unwrap();
        fs::write(folder.path().join("mixed/foreign"), b"x").unwrap();
        symlink("/etc/passwd", folder.path().join("link")).unwrap();
        let told = last(
            way,
            vec![
                vec![open(folder.path(), &["mixed/a", "own/deep/b", "link", "never"])],
                vec![write(0, 0, b"a"), write(1, 0, b"b")],
                vec![plain(DiskOp::Delete), read(0, 0, 1)],
            ],
        );
        assert_eq!(told, [Told::Ok, Told::Failed(DiskFault::Gone)]);
        assert_eq!(tree(folder.path()), ["link", "mixed", "mixed/foreign"]);
    }
}

#[test]
fn nothing_is_ever_reached_through_a_link_or_in_what_is_no_file() {
    for way in ways() {
        let (folder, outside) = (folder(), folder_with_secret());
        symlink(outside.path(), folder.path().join("out")).unwrap();
        symlink(outside.path().join("secret"), folder.path().join("link")).unwrap();
        fs::create_dir(folder.path().join("folder")).unwrap();
        let status = std::process::Command::new("mkfifo")
            .arg(folder.path().join("pipe"))
            .status();
        assert!(status.unwrap().success());
        let files = ["out/secret", "link", "folder", "pipe", "link/below"];
        let (told, _) = ask(
            way,
            vec![
                vec![open(folder.path(), &files)],
                (0..5).map(|file| write(file, 0, b"!")).collect(),
                (0..5).map(|file| read(file, 0, 1)).collect(),
            ],
        );
        assert_eq!(told[0], [Told::Opened(vec![None; 5])]);
        let in_the_way = DiskFault::InTheWay;
        assert_eq!(told[1], vec![Told::Wrote(0, Some((in_the_way, 1))); 5]);
        assert_eq!(told[2], vec![Told::Failed(in_the_way); 5]);
        assert_eq!(fs::read(outside.path().join("secret")).unwrap(), b"secret");
        assert_eq!(tree(outside.path()), ["secret"]);
    }
}

fn folder_with_secret() -> tempfile::TempDir {
    let folder = folder();
    fs::write(folder.path().join("secret"), b"secret").unwrap();
    folder
}

#[test]
fn a_store_whose_paths_lead_out_is_not_opened() {
    for way in ways() {
        let folder = folder();
        for (paths, fault) in [
            (["ok", "../a"], DiskFault::Unfit),
            (["/etc/a", "ok"], DiskFault::Unfit),
            (["twice", "twice"], DiskFault::InTheWay),
        ] {
            let told = last(way, vec![vec![open(folder.path(), &paths), write(0, 0, b"x")]]);
            let lost = Told::Wrote(0, Some((DiskFault::Gone, 1)));
            assert_eq!(told, [Told::Failed(fault), lost]);
        }
        assert_eq!(tree(folder.path()), [""; 0]);
    }
}

#[test]
fn input_that_is_not_there_is_lost() {
    for way in ways() {
        let folder = folder();
        let source = Source::Input { start: 0, len: 3 };
        let op = DiskOp::Write { file: 0, at: 0, source };
        let told = last(
            way,
            vec![vec![open(folder.path(), &["a"])], vec![Ask::of(op, b"abc".to_vec())]],
        );
        assert_eq!(told, [Told::Wrote(0, Some((DiskFault::Device, 3)))]);
    }
}

/// How many files below a folder this process has open.
fn open_below(folder: &Path) -> usize {
    let fds = fs::read_dir("/proc/self/fd").unwrap();
    fds.filter_map(|entry| fs::read_link(entry.unwrap().path()).ok())
        .filter(|path| path.starts_with(folder))
        .count()
}

#[test]
fn few_files_of_many_are_open_at_once_and_none_after_release() {
    for way in ways() {
        let folder = folder();
        let names: Vec<String> = (0..500).map(|file| format!("{}/{file}", file % 7)).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let steps = vec![
            vec![open(folder.path(), &names)],
            (0..500).map(|file| write(file, 0, b"content")).collect(),
            (0..500).map(|file| read(file, 0, 7)).collect(),
            vec![plain(DiskOp::Release)],
            vec![read(3, 0, 7)],
        ];
        let (mut most, mut answers, mut released) = (0, 0, usize::MAX);
        let limits = DiskLimits { open_files: 12, ..way };
        let (told, _) = ask_watching(limits, steps, || {
            answers += 1;
            let open = open_below(folder.path());
            most = most.max(open);
            if answers == 1002 {
                released = open;
            }
        });
        assert_eq!(told[2], vec![Told::Read(b"content".to_vec()); 500]);
        assert_eq!(told[4], [Told::Read(b"content".to_vec())]);
        // The folders on the way to a file are open while it is opened: two for each worker.
        assert!(most <= 12 + 3 * 2, "{most}");
        assert_eq!(released, 0);
    }
}

/// A file system of a few MiB, gone when it is dropped.
struct Small(tempfile::TempDir);

impl Small {
    fn mount() -> Option<Self> {
        let folder = folder();
        let options = ["-t", "tmpfs", "-o", "size=2m", "tmpfs"];
        let mut mount = std::process::Command::new("mount");
        let mounted = mount.args(options).arg(folder.path()).output().ok()?;
        mounted.status.success().then_some(Self(folder))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_says_so_and_keeps_what_it_took() {
    for way in ways() {
        let Some(small) = Small::mount() else {
            println!("skipped: only root may mount a small file system");
            return;
        };
        let content = pattern(3 << 20, 5);
        let blocks = content.chunks(BLOCK).enumerate();
        let writes = blocks.map(|(at, block)| write(0, (at * BLOCK) as u64, block));
        let (told, _) = ask(
            way,
            vec![
                vec![open(small.0.path(), &["a", "b"])],
                vec![
                    allocate(1, 3 << 20, Allocation::Fallocate),
                    allocate(1, 3 << 20, Allocation::Full),
                ],
                writes.collect(),
                vec![plain(DiskOp::Delete)],
                vec![open(small.0.path(), &["a", "b"])],
                vec![write(0, 0, &content[..BLOCK])],
            ],
        );
        let full = Told::Failed(DiskFault::Full);
        assert_eq!(told[1], [full.clone(), full]);
        let taken = told[2].iter().take_while(|told| **told == wrote(BLOCK)).count();
        // The system took the beginning of the list that did not fit: a short write.
        assert!((100..=128).contains(&taken), "{taken}");
        let lost = Told::Wrote(0, Some((DiskFault::Full, BLOCK)));
        assert_eq!(told[2][taken..], vec![lost; 192 - taken]);
        assert_eq!(told[3], [Told::Ok]);
        assert_eq!(told[5], [wrote(BLOCK)]);
    }
}

#[test]
fn stores_do_not_know_of_one_another() {
    for way in ways() {
        let (one, two) = (folder(), folder());
        let told = last(
            way,
            vec![
                vec![open(one.path(), &["a"]), open(two.path(), &["a"]).store(StoreId(8))],
                vec![write(0, 0, b"one"), write(0, 0, b"two").store(StoreId(8))],
                vec![plain(DiskOp::Delete).store(StoreId(8))],
                vec![read(0, 0, 3), read(0, 0, 3).store(StoreId(8))],
            ],
        );
        assert_eq!(told, [Told::Read(b"one".to_vec()), Told::Failed(DiskFault::Gone)]);
        assert_eq!(tree(two.path()), [""; 0]);
        assert_eq!(STORE, StoreId(7));
    }
}
