//! The program as people run it: what it says of good files and of bad ones.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test that fails says where; this one writes the files that are read"
)]

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Output};

const HEADER: &str = "infohash,name,file_count,total_bytes,piece_length,peer_ip,peer_port,metadata_ok";

fn analyze(folder: &Path, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_estudely-analyze"))
        .current_dir(folder)
        .args(words)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What it prints when all goes well.
fn answer(folder: &Path, words: &[&str]) -> String {
    let output = analyze(folder, words);
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

/// The one line of a refusal.
fn refused(folder: &Path, words: &[&str]) -> String {
    let output = analyze(folder, words);
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    let lines: Vec<&str> = errors.lines().filter(|line| !line.starts_with("# ")).collect();
    let [line] = lines[..] else {
        panic!("not one clear line:\n{errors}")
    };
    line.strip_prefix("estudely-analyze: ").unwrap().to_owned()
}

fn row(number: u32, ip: &str) -> String {
    format!("{number:040x},\"a, name\",1,100,16384,{ip},6881,True")
}

#[test]
fn files_that_are_no_tables_are_told_in_one_line_with_code_2() {
    let dir = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| fs::write(dir.path().join(name), bytes).unwrap();
    put("lacks.txt", HEADER.replace(",peer_port", "").as_bytes());
    put("other.txt", b"one,two\n1,2\n");
    put("binary.txt", &[HEADER.as_bytes(), b"\n\0\0\x7f\n"].concat());
    put("torn.txt.gz", b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x01");
    put("peers.csv", b"infohash,peer_ip,peer_port\n");
    for (words, told) in [
        (
            ["stats", "lacks.txt"],
            "lacks.txt:1: no column peer_port, which metadata.txt has",
        ),
        (
            ["stats", "other.txt"],
            "other.txt:1: the first line is no header of a table that estudely knows",
        ),
        (["stats", "binary.txt"], "binary.txt: a binary file, not a table"),
        (
            ["stats", "peers.csv"],
            "peers.csv:1: peers.csv: only the columns of a metadata.txt are counted",
        ),
        (["stats", "none.txt"], "none.txt: no such file or directory"),
        (["stats", "."], ".: a directory, not a file"),
    ] {
        assert_eq!(refused(dir.path(), &words), told);
    }
    put(
        "types.txt",
        format!("{HEADER}\n{}\n", row(1, "192.0.2.1").replace("100", "many")).as_bytes(),
    );
    let anonymize = ["anonymize", "types.txt", "--output", "out", "--how", "hash"];
    assert_eq!(
        refused(dir.path(), &anonymize),
        "types.txt:2: total_bytes is not a whole number from 0; of the first 2 lines none is a row"
    );
    let torn = refused(dir.path(), &["stats", "torn.txt.gz"]);
    assert!(
        torn.starts_with("torn.txt.gz:1: damaged where it is packed, or cut short"),
        "{torn}"
    );
    let mistyped = refused(dir.path(), &["stats"]);
    assert!(mistyped.ends_with("<FILE>; see estudely analyze --help"), "{mistyped}");
}

#[test]
fn a_line_without_end_is_refused_before_it_is_read_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("metadata.txt");
    let mut file = fs::File::create(&path).unwrap();
    writeln!(file, "{HEADER}\n{}", row(1, "192.0.2.1")).unwrap();
    // Most of the 10 GB is a hole: nothing of it is on the disk.
    file.write_all(&vec![b'x'; 1 << 20]).unwrap();
    file.set_len(10_000_000_000).unwrap();
    let told = "metadata.txt:3: a line of more than 16 MiB: not a table of lines";
    assert_eq!(refused(dir.path(), &["stats", "metadata.txt"]), told);
    let words = ["anonymize", "metadata.txt", "--output", "out", "--how", "hash"];
    assert_eq!(refused(dir.path(), &words), told);
}

#[test]
fn a_directory_that_cannot_be_listed_is_told() {
    // A file system that refuses even root: nothing of a process that has ended can be read.
    let folder = Path::new("/proc/self/map_files");
    if fs::read_dir(folder).is_ok() {
        return;
    }
    let words = ["anonymize", "/proc/self/map_files", "--output", "out", "--how", "hash"];
    let told = refused(Path::new("/"), &words);
    assert!(told.contains("/proc/self/map_files: permission denied"), "{told}");
}

#[test]
fn a_copy_for_others_has_no_address_and_the_same_pseudonyms_by_the_same_key() {
    let dir = tempfile::tempdir().unwrap();
    let crawl = dir.path().join("monday");
    fs::create_dir_all(crawl.join("data/observed")).unwrap();
    let bad = row(3, "192.0.2.3").replace("100", "many");
    let rows = [HEADER.to_owned(), row(1, "192.0.2.1"), row(2, "2001:db8::7"), bad];
    fs::write(crawl.join("metadata.txt"), rows.join("\r\n") + "\r\n").unwrap();
    let seen = format!("infohash,peer_ip,peer_port\n{:040x},192.0.2.1,80\n", 9);
    let mut packed = Vec::new();
    store::pack(seen.as_bytes(), &mut packed).unwrap();
    fs::write(crawl.join("peers.csv.zst"), packed).unwrap();

    let copy = |output: &str, how: &str| {
        let words = ["anonymize", "monday", "--output", output, "--how", how, "--key", "key"];
        let output = analyze(dir.path(), &words);
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stderr)
    };
    let told = copy("one", "hash");
    assert_eq!(
        told,
        "# monday/metadata.txt:4: no row: total_bytes is not a whole number from 0\n"
    );
    copy("two", "hash");
    copy("near", "truncate");
    let read = |name: &str| fs::read(dir.path().join(name)).unwrap();
    let one = text(&read("one/monday/metadata.txt"));
    assert_eq!(one, text(&read("two/monday/metadata.txt")));
    assert_eq!((one.lines().count(), one.matches(",fd").count()), (3, 2));
    assert!(!one.contains("192.0.2") && !one.contains("2001:db8"), "{one}");
    let near = text(&read("near/monday/metadata.txt"));
    assert!(near.contains(",192.0.2.0,") && near.contains(",2001:db8::,"), "{near}");
    assert_eq!(read("key").len(), 33);

    // The same address in another table has the same pseudonym.
    let pseudonym = one.lines().nth(1).unwrap().split(',').rev().nth(2).unwrap().to_owned();
    let (_, mut unpacked) = store::unpack(std::io::Cursor::new(read("one/monday/peers.csv.zst"))).unwrap();
    let mut peers = String::new();
    unpacked.read_to_string(&mut peers).unwrap();
    assert!(peers.contains(&pseudonym), "{peers}");

    // What is there is not written over.
    let words = ["anonymize", "monday", "--output", "one", "--how", "hash"];
    assert_eq!(
        refused(dir.path(), &words),
        "one/monday/metadata.txt: is there already; name another, or remove it"
    );
}

#[test]
fn a_made_table_is_the_same_from_the_same_seed() {
    let dir = tempfile::tempdir().unwrap();
    let made = answer(dir.path(), &["generate", "--rows", "2000", "--seed", "5"]);
    answer(
        dir.path(),
        &["generate", "--rows", "2000", "--seed", "5", "--output", "made.txt"],
    );
    assert_eq!(made, fs::read_to_string(dir.path().join("made.txt")).unwrap());
    let figures = answer(dir.path(), &["stats", "made.txt"]);
    assert!(
        figures.starts_with("lines 2001\n") && figures.contains("\nnot_rows 0\n"),
        "{figures}"
    );
}
