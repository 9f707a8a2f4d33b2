//! `estudely fetch` as people run it on lists: packed, piped, broken, interrupted; on loopback and nowhere else.
#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

const HEADER: &str = "infohash,name,file_count,total_bytes,piece_length\n";

/// A lab in a process of its own, and what it says is true.
struct Lab {
    process: std::process::Child,
    folder: TempDir,
    /// `infohash,peer_ip,peer_port` of every peer.
    peers: String,
    /// The rows that a fetch of all of them is to have, sorted.
    rows: Vec<String>,
}

impl Lab {
    fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let truth = folder.path().join("truth.csv");
        let mut process = Command::new(env!("CARGO_BIN_EXE_estudely"))
            .current_dir(folder.path())
            .args(["lab", "--nodes", "50", "--torrents", "40", "--truth", "truth.csv"])
            .args(["--overall-timeout", "120"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Its first line comes when its ports are open and its truth is written.
        let mut line = String::new();
        let errors = process.stderr.take().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(errors), &mut line).unwrap();
        let truth = fs::read_to_string(truth).unwrap();
        let (mut peers, mut rows) = (String::from("infohash,peer_ip,peer_port\n"), Vec::new());
        for row in truth.lines().skip(1) {
            let torrent = row.rsplitn(4, ',').nth(3).unwrap();
            let [_, port, ip] = row.rsplitn(4, ',').take(3).collect::<Vec<_>>()[..] else {
                panic!("{row}")
            };
            peers += &format!("{},{ip},{port}\n", &row[..40]);
            rows.push(torrent.to_owned());
        }
        rows.sort();
        rows.dedup();
        Self {
            process,
            folder,
            peers,
            rows,
        }
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.folder.path().join(name), bytes).unwrap();
    }

    fn fetch(&self, args: &[&str], stdin: &[u8]) -> Output {
        fetch(self.folder.path(), &[&["--allow-loopback"], args].concat(), stdin)
    }

    /// The rows of a metadata.csv are those of the truth, each once.
    fn assert_whole(&self, table: &str) {
        let mut rows: Vec<&str> = table.strip_prefix(HEADER).unwrap().lines().collect();
        rows.sort_unstable();
        assert_eq!(rows, self.rows);
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn fetch(folder: &Path, args: &[&str], stdin: &[u8]) -> Output {
    let mut process = Command::new(env!("CARGO_BIN_EXE_estudely"))
        .current_dir(folder)
        .arg("fetch")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = process.stdin.take().unwrap();
    // One that ends for bad input does not read on.
    let _ = input.write_all(stdin);
    drop(input);
    process.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_list_is_fetched_from_a_file_and_from_stdin_plain_and_packed() {
    let lab = Lab::start();
    let peers = lab.peers.as_bytes();
    let zstd = zstd::encode_all(peers, 1).unwrap();
    for packed in [peers.to_vec(), gzip(peers), zstd] {
        lab.write("list", &packed);
        let from_file = lab.fetch(&["list"], b"");
        lab.assert_whole(&text(&from_file.stdout));
        assert_eq!(from_file.status.code(), Some(0), "{}", text(&from_file.stderr));
        let from_stdin = lab.fetch(&["-"], &packed);
        lab.assert_whole(&text(&from_stdin.stdout));
    }
}

#[test]
fn a_list_that_ends_early_is_used_as_far_as_it_goes() {
    let lab = Lab::start();
    let packed = gzip(lab.peers.as_bytes());
    let output = lab.fetch(&["-"], &packed[..packed.len() - 10]);
    let (rows, errors) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(rows.lines().count() > lab.rows.len() / 2, "{rows}\n{errors}");
    let told: Vec<_> = errors.lines().filter(|line| line.starts_with("estudely: ")).collect();
    assert_eq!(told.len(), 1, "{errors}");
    assert!(told[0].contains("stdin: cannot be read beyond line"), "{errors}");
}

#[test]
fn bad_rows_are_told_by_number_ten_at_the_most_and_passed_over() {
    let lab = Lab::start();
    let bad: String = (1..=15).map(|number| format!("nonsense {number}\n")).collect();
    lab.write("list.csv", format!("{bad}{}{}", lab.peers, "last,1.2.3.4,x"));
    let output = lab.fetch(&["list.csv"], b"");
    let errors = text(&output.stderr);
    lab.assert_whole(&text(&output.stdout));
    assert!(output.status.success(), "{errors}");
    let told = errors.lines().filter(|line| line.contains("passed over")).count();
    assert_eq!(told, 10, "{errors}");
    assert!(
        errors.contains("# list.csv: line 1: the infohash is not 40 hex digits; passed over"),
        "{errors}"
    );
    assert!(errors.contains("# list.csv: 16 bad rows in all"), "{errors}");
}

#[test]
fn a_list_without_a_usable_row_is_bad_input() {
    let folder = TempDir::new().unwrap();
    for (name, bytes) in [
        ("a.csv", "hello\nworld\n"),
        ("b.csv", ""),
        ("c.csv", "infohash,peer_ip,peer_port\n"),
    ] {
        fs::write(folder.path().join(name), bytes).unwrap();
        let output = fetch(folder.path(), &[name, "--output", "out.csv"], b"");
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{errors}");
        let told: Vec<_> = errors.lines().filter(|line| line.starts_with("estudely: ")).collect();
        assert_eq!(told.len(), 1, "{errors}");
        assert!(told[0].contains(name) && told[0].contains("no usable row"), "{errors}");
        assert!(!folder.path().join("out.csv").exists() && output.stdout.is_empty());
    }
}

#[test]
fn failures_have_rows_with_all_and_reasons_as_json() {
    let lab = Lab::start();
    let nobody = "00112233445566778899aabbccddeeff00112233";
    // A port that was free a moment ago refuses.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    lab.write("list.csv", format!("{}{nobody},127.0.0.1,{port}\n", lab.peers));
    let all = lab.fetch(&["list.csv", "--all"], b"");
    let rows = text(&all.stdout);
    assert!(rows.starts_with("infohash,name,file_count,total_bytes,piece_length,peer_ip,peer_port,metadata_ok\n"));
    assert!(
        rows.contains(&format!("\n{nobody},,0,0,0,127.0.0.1,{port},False\n")),
        "{rows}"
    );
    assert_eq!(
        rows.matches(",True\n").count(),
        lab.peers.lines().count() - 1,
        "a row for each peer"
    );
    let json = lab.fetch(&["list.csv", "--all", "--jsonl"], b"");
    let lines: Vec<Value> = text(&json.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let (good, bad): (Vec<_>, Vec<_>) = lines.iter().partition(|line| line["metadata_ok"] == true);
    assert_eq!((good.len(), bad.len()), (lab.rows.len(), 1));
    assert_eq!(bad[0]["infohash"], nobody);
    assert_eq!(bad[0]["reason"], "unreachable");
    for line in good {
        let files = line["files"].as_array().unwrap();
        let bytes: u64 = files.iter().map(|file| file["length"].as_u64().unwrap()).sum();
        assert!(
            files.len() as u64 == line["file_count"] && bytes == line["total_bytes"],
            "{line}"
        );
        assert!(
            line["peer"].is_string() && line["via"] == "tcp" && line["tried"].as_u64() >= Some(1),
            "{line}"
        );
    }
}

#[test]
fn links_one_a_line_are_fetched_from_their_own_peers_or_through_the_dht() {
    let folder = TempDir::new().unwrap();
    let lab = Lab::start();
    let row: Vec<&str> = lab.peers.lines().nth(1).unwrap().split(',').collect();
    let [hash, ip, port] = row[..] else { panic!() };
    let links = format!("# mine\n\nmagnet:?xt=urn:btih:{hash}&x.pe={ip}:{port}  # the first\nnonsense\n");
    fs::write(folder.path().join("links.txt"), &links).unwrap();
    let args = [
        "--allow-loopback",
        "--magnets",
        "links.txt",
        "--bootstrap",
        "127.0.0.1:9",
    ];
    let output = fetch(folder.path(), &args, b"");
    let errors = text(&output.stderr);
    assert!(text(&output.stdout).contains(&format!("\n{hash},")), "{errors}");
    assert!(errors.contains("# links.txt: line 4: "), "{errors}");
    let lab = ["--lab", "--lab-nodes", "60", "--lab-torrents", "20", "--lab-seed", "3"];
    let truth = ["--truth", "truth.csv", "--magnets", "-", "--overall-timeout", "60"];
    // The lab's infohashes are known once it was there.
    fetch(
        folder.path(),
        &[&lab[..], &truth].concat(),
        format!("{hash}\n").as_bytes(),
    );
    let truth_rows = fs::read_to_string(folder.path().join("truth.csv")).unwrap();
    let hashes: String = truth_rows
        .lines()
        .skip(1)
        .map(|row| format!("{}\n", &row[..40]))
        .collect();
    let output = fetch(folder.path(), &[&lab[..], &truth].concat(), hashes.as_bytes());
    assert_eq!(text(&output.stdout).lines().count(), 21, "{}", text(&output.stderr));
}

#[test]
fn the_same_command_goes_on_and_fetches_nothing_twice() {
    let lab = Lab::start();
    lab.write("list.csv", &lab.peers);
    let args = ["list.csv", "--output", "out.csv"];
    let read = || fs::read_to_string(lab.folder.path().join("out.csv")).unwrap();
    let first = lab.fetch(&args, b"");
    assert!(
        first.stdout.is_empty() && first.status.success(),
        "{}",
        text(&first.stderr)
    );
    lab.assert_whole(&read());
    let before = read();
    let second = lab.fetch(&args, b"");
    let errors = text(&second.stderr);
    assert!(second.status.success(), "{errors}");
    assert_eq!(read(), before);
    assert!(
        errors.contains("going on at line") && errors.contains("           0  infohashes asked for"),
        "{errors}"
    );
    // Without its journal the table itself says what is done; another list is told.
    fs::remove_file(lab.folder.path().join("out.csv.journal")).unwrap();
    lab.fetch(&args, b"");
    assert_eq!(read(), before);
    lab.write(
        "other.csv",
        format!(
            "{}0123456789abcdef0123456789abcdef01234567,127.0.0.1,9\n",
            &lab.peers[27..]
        ),
    );
    let other = lab.fetch(&["other.csv", "--output", "out.csv"], b"");
    assert!(
        text(&other.stderr).contains("other.csv is not the list that the last run read"),
        "{}",
        text(&other.stderr)
    );
    assert_eq!(read(), before);
    // What failed is done, unless it is to be tried again; another form is refused.
    let failed = |more: &[&str]| {
        let output = lab.fetch(&[&["other.csv", "--output", "out.csv"], more].concat(), b"");
        text(&output.stderr).contains("           1  given up")
    };
    assert!(!failed(&[]) && failed(&["--retry-failed"]));
    let refused = lab.fetch(&["list.csv", "--output", "out.csv", "--jsonl"], b"");
    assert_eq!(refused.status.code(), Some(2));
    assert_eq!(read(), before);
}
