//! `create` and `verify` as people run them: trees of files made into torrents, read back, checked, and damaged.
#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use wire::magnet::Magnet;
use wire::merkle;
use wire::metainfo::{Torrent, Version};

const MODES: [(&str, Version); 3] = [
    ("--v1", Version::V1),
    ("--v2", Version::V2),
    ("--hybrid", Version::Hybrid),
];

fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_estudely"));
    command.current_dir(folder).args(args);
    command
}

fn estudely(folder: &Path, args: &[&str]) -> Output {
    command(folder, args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Runs it; it must succeed.
#[track_caller]
fn done(folder: &Path, args: &[&str]) -> Output {
    let output = estudely(folder, args);
    assert!(
        output.status.success(),
        "{args:?}: {}{}",
        text(&output.stderr),
        text(&output.stdout)
    );
    output
}

/// The one line of an error, and the exit code.
#[track_caller]
fn refused(folder: &Path, args: &[&str]) -> (String, i32) {
    let output = estudely(folder, args);
    let errors = text(&output.stderr);
    let lines: Vec<&str> = errors.lines().filter(|line| line.starts_with("estudely: ")).collect();
    assert_eq!(lines.len(), 1, "not one clear line:\n{errors}");
    (lines[0].to_owned(), output.status.code().unwrap())
}

fn torrent(folder: &Path, name: &str) -> Torrent {
    Torrent::parse(&fs::read(folder.join(name)).unwrap()).unwrap()
}

/// Bytes that repeat nowhere.
fn data(length: usize, salt: u64) -> Vec<u8> {
    let mut state = salt.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..length).map(|_| next()).collect()
}

const SIZES: [(&str, usize); 7] = [
    (".hidden", 3),
    ("a.bin", 100_000),
    ("a/deep/er/x.bin", 16_384),
    ("a/empty", 0),
    ("b.bin", 1),
    ("run.sh", 20_000),
    ("ü/名前.bin", 65_537),
];

/// A folder with a tree `t` of all that a tree can have.
fn tree() -> TempDir {
    let folder = TempDir::new().unwrap();
    for (salt, (name, length)) in SIZES.into_iter().enumerate() {
        let path = folder.path().join("t").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, data(length, salt as u64 + 1)).unwrap();
    }
    let root = folder.path().join("t");
    fs::set_permissions(root.join("run.sh"), Permissions::from_mode(0o755)).unwrap();
    folder
}

/// Paths, sorted as a torrent has them: segment by segment.
fn sorted() -> Vec<(String, u64)> {
    let mut files: Vec<_> = SIZES
        .iter()
        .map(|(name, length)| ((*name).to_owned(), *length as u64))
        .collect();
    files.sort_by(|(a, _), (b, _)| a.split('/').cmp(b.split('/')));
    files
}

#[test]
fn a_tree_is_read_back_as_it_was_and_checks_to_the_last_byte() {
    let folder = tree();
    for (mode, version) in MODES {
        let output = done(
            folder.path(),
            &["create", "t/", mode, "--output", "o.torrent", "--force"],
        );
        let torrent = torrent(folder.path(), "o.torrent");
        let info = &torrent.info;
        assert_eq!((info.version, info.name_lossy().as_ref()), (version, "t"));
        let real: Vec<_> = info.files().filter(|file| !file.pad).collect();
        let files: Vec<_> = real.iter().map(|file| (file.path_lossy(), file.length)).collect();
        assert_eq!(files, sorted());
        let executable: Vec<_> = real
            .iter()
            .filter(|file| file.executable)
            .map(|file| file.path_lossy())
            .collect();
        assert_eq!(executable, ["run.sh"]);
        let magnet: Magnet = text(&output.stdout).trim().parse().unwrap();
        assert_eq!(magnet, torrent.magnet(), "stdout has the magnet link and nothing else");
        let errors = text(&output.stderr);
        for hash in magnet
            .info_hash
            .iter()
            .map(ToString::to_string)
            .chain(magnet.info_hash_v2.map(|hash| hash.to_string()))
        {
            assert!(errors.contains(&hash), "{errors}");
        }
        let checked = done(folder.path(), &["verify", "o.torrent"]);
        let pieces = info.piece_count;
        let expected = format!("7 of 7 files and {pieces} of {pieces} pieces are right; ");
        assert!(
            text(&checked.stdout).starts_with(&expected),
            "{}",
            text(&checked.stdout)
        );
    }
}

#[test]
fn a_single_file_is_made_as_the_guide_says_and_its_root_is_that_of_its_leaves() {
    let folder = TempDir::new().unwrap();
    let bytes = data(1_000_003, 5);
    fs::write(folder.path().join("file.mp4"), &bytes).unwrap();
    let tracker = "http://tracker.example.com/announce";
    let line = [
        "create-torrent",
        "file.mp4",
        "--v2",
        "--output",
        "file.torrent",
        "--tracker",
        tracker,
    ];
    done(folder.path(), &line);
    let torrent = torrent(folder.path(), "file.torrent");
    assert!(torrent.info.is_single_file());
    assert_eq!(torrent.announce.as_deref(), Some(tracker));
    assert!(torrent.created_by.unwrap().starts_with("DHT-Estudely "));
    let leaves: Vec<_> = bytes.chunks(merkle::LEAF_LEN).map(merkle::leaf).collect();
    let file = torrent.info.files().next().unwrap();
    assert_eq!(file.pieces_root, Some(&merkle::root(&leaves)));
}

#[test]
fn every_flag_is_in_the_torrent() {
    let folder = tree();
    done(
        folder.path(),
        &[
            "create",
            "t",
            "--hybrid",
            "--piece-length",
            "32KiB",
            "--private",
            "--no-date",
            "--comment",
            "ü",
            "--created-by",
            "",
            "--source",
            "here",
            "--tracker",
            "http://a/x,udp://b:1",
            "--tracker",
            "http://c/x",
            "--web-seed",
            "http://w/1/",
            "--web-seed",
            "http://w/2/",
        ],
    );
    let torrent = torrent(folder.path(), "t.torrent");
    assert_eq!((torrent.info.piece_length, torrent.info.private), (32_768, true));
    assert_eq!((torrent.creation_date, torrent.created_by.as_deref()), (None, None));
    assert_eq!(torrent.comment.as_deref(), Some("ü"));
    assert_eq!(torrent.tiers(), [vec!["http://a/x", "udp://b:1"], vec!["http://c/x"]]);
    assert_eq!(torrent.url_list, ["http://w/1/", "http://w/2/"]);
    let (key, source) = torrent.other_info_entries().next().unwrap();
    assert_eq!((key, source.as_bytes()), (&b"source"[..], Some(&b"here"[..])));
}

#[test]
fn the_same_tree_gives_the_same_bytes() {
    let (one, two) = (tree(), tree());
    for folder in [&one, &two] {
        done(folder.path(), &["create", "t", "--hybrid", "--no-date"]);
    }
    let read = |folder: &TempDir| fs::read(folder.path().join("t.torrent")).unwrap();
    assert_eq!(read(&one), read(&two));
}

#[test]
fn links_and_special_files_are_left_out_with_a_line() {
    let folder = tree();
    let root = folder.path().join("t");
    symlink("a.bin", root.join("link")).unwrap();
    symlink("/", root.join("everything")).unwrap();
    std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
    let output = done(folder.path(), &["create", "t", "--output", "t/inside.torrent"]);
    done(
        folder.path(),
        &["create", "t", "--output", "t/inside.torrent", "--force"],
    );
    let errors = text(&output.stderr);
    for line in [
        "# left out: t/link: a symbolic link",
        "# left out: t/everything: a symbolic link",
        "# left out: t/socket: a special file",
    ] {
        assert!(errors.contains(line), "{errors}");
    }
    let torrent = torrent(folder.path(), "t/inside.torrent");
    assert_eq!(
        torrent.info.file_count(),
        7,
        "nor is the output of the run before in it"
    );
}

#[test]
fn an_existing_file_stays_unless_force_is_given() {
    let folder = tree();
    fs::write(folder.path().join("t.torrent"), "mine").unwrap();
    let (line, code) = refused(folder.path(), &["create", "t"]);
    assert!(
        line.contains("t.torrent: it exists already; replace it with --force"),
        "{line}"
    );
    assert_eq!(code, 2);
    assert_eq!(fs::read(folder.path().join("t.torrent")).unwrap(), b"mine");
    done(folder.path(), &["create", "t", "--force"]);
    assert_eq!(torrent(folder.path(), "t.torrent").info.file_count(), 7);
}

#[test]
fn what_cannot_become_a_torrent_is_one_line_and_leaves_nothing() {
    let folder = tree();
    fs::create_dir(folder.path().join("none")).unwrap();
    fs::create_dir(folder.path().join("odd")).unwrap();
    fs::write(folder.path().join("odd").join(OsStr::from_bytes(b"\xff")), "x").unwrap();
    let before = fs::read_dir(folder.path()).unwrap().count();
    for (args, word) in [
        (&["create", "nowhere"][..], "nowhere: no such file"),
        (&["create", "none"], "no bytes to share"),
        (&["create", "t/a/empty"], "no bytes to share"),
        (&["create", "odd"], "not UTF-8"),
        (&["create", "/dev/null"], "neither a file nor a directory"),
        (&["create", "/"], "no name"),
        (
            &["create", "t", "--piece-length", "24KiB"],
            "--piece-length: a piece length of 24576",
        ),
        (&["create", "t", "--piece-length", "x"], "--piece-length"),
        (
            &["create", "t", "--tracker", "tracker.example"],
            "--tracker: `tracker.example` is no URL",
        ),
        (&["create", "t", "--tracker", "udp://"], "--tracker"),
        (&["create", "t", "--web-seed", "udp://a/b"], "--web-seed"),
        (&["create", "t", "--private", "--node", "a.example:1"], "--private"),
        (&["create", "t", "--v1", "--hybrid"], "--hybrid"),
        (&["create", "t", "--output", "nowhere/x"], "no such directory"),
        (&["create", "t", "--output", "t"], "it is a directory"),
        (&["verify", "nowhere.torrent"], "nowhere.torrent: no such file"),
        (&["verify", "t/a.bin"], "not a torrent"),
    ] {
        let (line, code) = refused(folder.path(), args);
        assert!(line.contains(word), "{args:?}: {line}");
        assert_eq!(code, 2, "{args:?}: {line}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), before);
}

/// A check of `t` as lines for programs: the files that are not right, and the summary.
fn checked(folder: &Path, flags: &[&str]) -> (Vec<Value>, Value, i32) {
    let output = estudely(folder, &[&["verify", "t.torrent", "--json"][..], flags].concat());
    let mut lines: Vec<Value> = text(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let summary = lines.pop().unwrap();
    lines.retain(|line| line["state"] != "ok" && line["state"] != "looked");
    (lines, summary, output.status.code().unwrap())
}

#[test]
fn one_flipped_byte_is_found_in_its_piece() {
    let folder = tree();
    let path = folder.path().join("t/ü/名前.bin");
    for (mode, version) in MODES {
        done(folder.path(), &["create", "t", mode, "--force"]);
        let right = fs::read(&path).unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        file.write_all_at(&[!right[40_000]], 40_000).unwrap();
        let (wrong, summary, code) = checked(folder.path(), &[]);
        file.write_all_at(&right[40_000..=40_000], 40_000).unwrap();
        assert_eq!(code, 1, "{version:?}");
        let offset = torrent(folder.path(), "t.torrent").info.files().last().unwrap().offset;
        let piece = (offset + 40_000) / 16_384;
        assert_eq!(wrong.len(), 1, "{wrong:?}");
        assert_eq!(wrong[0]["file"], "t/ü/名前.bin");
        assert_eq!(
            (&wrong[0]["state"], &wrong[0]["bad_pieces"]),
            (&"damaged".into(), &serde_json::json!([[piece, piece]]))
        );
        assert_eq!(
            (&summary["bad"], &summary["absent"], &summary["ok"]),
            (&1.into(), &0.into(), &false.into())
        );
    }
}

#[test]
fn missing_short_and_long_files_are_told_apart() {
    let folder = tree();
    done(folder.path(), &["create", "t", "--hybrid"]);
    let root = folder.path().join("t");
    fs::remove_file(root.join("a/empty")).unwrap();
    fs::remove_file(root.join("b.bin")).unwrap();
    fs::create_dir(root.join("b.bin")).unwrap();
    File::options()
        .write(true)
        .open(root.join("a.bin"))
        .unwrap()
        .set_len(20_000)
        .unwrap();
    File::options()
        .append(true)
        .open(root.join("run.sh"))
        .unwrap()
        .write_all(b"x")
        .unwrap();
    fs::remove_dir_all(root.join("a/deep")).unwrap();
    let (wrong, summary, code) = checked(folder.path(), &[]);
    let mut states: Vec<_> = wrong
        .iter()
        .map(|line| (line["file"].as_str().unwrap(), line["state"].as_str().unwrap()))
        .collect();
    states.sort_unstable();
    let expected = [
        ("t/a.bin", "short"),
        ("t/a/deep/er/x.bin", "missing"),
        ("t/a/empty", "missing"),
        ("t/b.bin", "not_a_file"),
        ("t/run.sh", "long"),
    ];
    assert_eq!((states.as_slice(), code), (&expected[..], 1));
    // Of a.bin pieces 1 to 6 of 7 are cut; of the others one each.
    assert_eq!((&summary["absent"], &summary["bad"]), (&8.into(), &0.into()));
    assert_eq!(&summary["files_ok"], &2);
    let lines = text(&estudely(folder.path(), &["verify", "t.torrent"]).stdout);
    assert!(
        lines.contains("t/a.bin: short, 20,000 of 100,000 B; pieces "),
        "{lines}"
    );
}

#[test]
fn in_v1_the_neighbours_of_a_missing_file_are_unproven() {
    let folder = tree();
    done(folder.path(), &["create", "t", "--v1"]);
    fs::remove_file(folder.path().join("t/b.bin")).unwrap();
    let (wrong, _, code) = checked(folder.path(), &[]);
    let state = |name: &str| {
        wrong
            .iter()
            .find(|line| line["file"] == name)
            .map(|line| line["state"].clone())
    };
    assert_eq!(state("t/b.bin"), Some("missing".into()));
    assert_eq!(state("t/run.sh"), Some("unproven".into()));
    assert_eq!((state("t/.hidden"), code), (None, 1));
}

#[test]
fn a_quick_look_reads_the_ends_of_files_only() {
    let folder = tree();
    done(folder.path(), &["create", "t", "--v2"]);
    let (wrong, summary, code) = checked(folder.path(), &["--quick"]);
    assert_eq!((wrong.len(), code), (0, 0));
    // a.bin has 7 pieces, ü/名前.bin 5; both ends of these are read.
    assert_eq!(&summary["unchecked"], &8);
    let file = File::options().write(true).open(folder.path().join("t/a.bin")).unwrap();
    file.write_all_at(b"!", 50_000).unwrap();
    assert_eq!(checked(folder.path(), &["--quick"]).2, 0, "it does not look there");
    file.write_all_at(b"!", 99_999).unwrap();
    assert_eq!(checked(folder.path(), &["--quick"]).2, 1);
}

#[test]
fn holes_hash_as_the_zeros_that_they_are() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("sparse");
    let mut file = File::create(&path).unwrap();
    file.seek(SeekFrom::Start(5_000_000)).unwrap();
    file.write_all(b"data").unwrap();
    file.set_len(9_000_001).unwrap();
    fs::write(folder.path().join("full"), fs::read(&path).unwrap()).unwrap();
    for (mode, _) in MODES {
        done(
            folder.path(),
            &["create", "sparse", mode, "--force", "--piece-length", "64KiB"],
        );
        fs::rename(&path, folder.path().join("aside")).unwrap();
        fs::rename(folder.path().join("full"), &path).unwrap();
        done(folder.path(), &["verify", "sparse.torrent"]);
        fs::rename(&path, folder.path().join("full")).unwrap();
        fs::rename(folder.path().join("aside"), &path).unwrap();
        done(folder.path(), &["verify", "sparse.torrent"]);
    }
}

#[test]
fn without_piece_layers_a_v2_file_is_right_or_wrong_as_a_whole() {
    let folder = tree();
    done(folder.path(), &["create", "t", "--v2"]);
    let whole = torrent(folder.path(), "t.torrent");
    let bare = wire::metainfo::wrap::<&str>(whole.raw_info(), &[]);
    fs::write(folder.path().join("t.torrent"), bare).unwrap();
    assert_eq!(checked(folder.path(), &[]).2, 0);
    let file = File::options().write(true).open(folder.path().join("t/a.bin")).unwrap();
    file.write_all_at(b"!", 50_000).unwrap();
    let (wrong, summary, code) = checked(folder.path(), &[]);
    assert_eq!((wrong.len(), code), (1, 1));
    assert_eq!(
        (&wrong[0]["file"], &wrong[0]["state"], &summary["bad"]),
        (&"t/a.bin".into(), &"damaged".into(), &7.into())
    );
}

#[test]
fn a_layer_that_lies_is_refused() {
    let folder = tree();
    done(folder.path(), &["create", "t", "--v2"]);
    let mut raw = fs::read(folder.path().join("t.torrent")).unwrap();
    let at = raw.windows(12).position(|bytes| bytes == b"piece layers").unwrap();
    raw[at + 60] ^= 1;
    fs::write(folder.path().join("t.torrent"), raw).unwrap();
    let (line, code) = refused(folder.path(), &["verify", "t.torrent"]);
    assert!(line.contains("does not belong to its `pieces root`"), "{line}");
    assert_eq!(code, 2);
}

/// Whether a process has a handler for SIGINT.
fn catches_interrupts(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:\t")).unwrap();
    u64::from_str_radix(caught, 16).unwrap() & 1 << 1 != 0
}

#[test]
fn ctrl_c_leaves_nothing_behind() {
    let folder = TempDir::new().unwrap();
    // Holes are not read, but each block of them is a leaf of the tree: enough for minutes.
    let file = File::create(folder.path().join("big")).unwrap();
    file.set_len(1 << 42).unwrap();
    drop(file);
    let mut create = command(folder.path(), &["create", "big", "--hybrid"]);
    let child = create.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while !catches_interrupts(child.id()) {
        std::thread::yield_now();
    }
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    let errors = text(&output.stderr);
    assert!(
        errors.contains("estudely: interrupted; nothing was written"),
        "{errors}"
    );
    assert_eq!(output.status.code(), Some(1), "{errors}");
    let left: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["big"]);
}
