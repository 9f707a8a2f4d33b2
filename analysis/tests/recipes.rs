//! `stats` against the recipes of the README, run by a shell.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test that fails says where; this one writes the files that are counted"
)]

use std::path::Path;
use std::process::Command;

use analysis::stage;
use analysis::stats::Figures;

const HEADER: &str = "infohash,name,file_count,total_bytes,piece_length,peer_ip,peer_port,metadata_ok";

/// What a recipe prints of a file.
fn recipe(path: &Path, words: &str) -> u64 {
    let output = Command::new("sh")
        .env("LC_ALL", "C")
        .arg("-c")
        .arg(words)
        .arg("sh")
        .arg(path)
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}

/// Counts the text, by any number of threads, and holds it against the recipes.
fn counted(text: &[u8]) -> Figures {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("metadata.txt");
    std::fs::write(&path, text).unwrap();
    let figures = stage::count(&path, 1).unwrap();
    let recipes = (
        recipe(&path, r#"wc -l < "$1""#),
        recipe(&path, r#"grep ",True$" "$1" | wc -l"#),
        recipe(&path, r#"cut -d',' -f1 "$1" | sort -u | wc -l"#),
    );
    assert_eq!((figures.lines, figures.true_lines, figures.first_fields), recipes);
    for threads in [2, 3] {
        assert_eq!(stage::count(&path, threads).unwrap(), figures, "{threads} threads");
    }
    figures
}

fn hash(number: u64) -> String {
    format!("{number:040x}")
}

/// Rows of some torrents, every other one with metadata, the number of its peers by its own number.
fn rows(torrents: u64, name: &str) -> Vec<String> {
    let mut rows = Vec::new();
    for torrent in 0..torrents {
        let (hash, ok) = (hash(torrent * 7919), torrent % 2 == 0);
        let left = if ok {
            format!("{hash},{name},3,1000,16384")
        } else {
            format!("{hash},,0,0,0")
        };
        let flag = if ok { "True" } else { "False" };
        if torrent % 5 == 0 {
            rows.push(format!("{left},,,{flag}"));
        }
        rows.extend((0..torrent % 5).map(|peer| format!("{left},192.0.2.{peer},6881,{flag}")));
    }
    rows
}

fn table(rows: &[String], end: &str) -> String {
    let lines = std::iter::once(HEADER).chain(rows.iter().map(String::as_str));
    lines.map(|line| format!("{line}{end}")).collect()
}

#[test]
fn a_table_of_ours() {
    let rows = rows(100, "a name");
    let figures = counted(table(&rows, "\n").as_bytes());
    let all = rows.len() as u64;
    assert_eq!((figures.rows, figures.lines, figures.headers), (all, all + 1, 1));
    assert_eq!((figures.infohashes, figures.infohashes_with_metadata), (100, 50));
    assert_eq!(figures.rows_without_peer, 20);
    assert_eq!(figures.not_rows, 0);
}

#[test]
fn a_table_of_the_python_tool_with_crlf() {
    let figures = counted(table(&rows(100, "a name"), "\r\n").as_bytes());
    assert_eq!((figures.true_lines, figures.infohashes_with_metadata), (0, 50));
    assert_eq!(figures.not_rows, 0);
}

#[test]
fn quotes_and_embedded_commas() {
    for name in [r#""a, ""b"", c""#, r#""x,True""#, r#""""""#, r#"",,,""#] {
        let figures = counted(table(&rows(40, name), "\n").as_bytes());
        assert_eq!((figures.infohashes_with_metadata, figures.not_rows), (20, 0));
    }
}

#[test]
fn an_empty_file_and_one_of_a_header_alone() {
    assert_eq!(counted(b""), Figures::default());
    assert_eq!(counted(table(&[], "\n").as_bytes()).first_fields, 1);
    assert_eq!(counted(HEADER.as_bytes()).lines, 0);
}

#[test]
fn a_torn_last_line_at_every_byte() {
    let text = table(&rows(4, "\"n,\""), "\n");
    let last = text[..text.len() - 1].rfind('\n').unwrap() + 1;
    for cut in last..text.len() {
        let figures = counted(&text.as_bytes()[..cut]);
        let whole = cut + 1 == text.len();
        assert_eq!(figures.not_rows, u64::from(cut > last && !whole), "{cut}");
    }
}

#[test]
fn lines_that_are_no_rows_are_told_by_number() {
    let mut rows = rows(10, "n");
    rows.insert(2, "nonsense".to_owned());
    rows.insert(5, hash(3) + ",,0,0,0,192.0.2.1,6881,Fals");
    rows.insert(6, hash(3));
    rows.insert(7, hash(77).to_uppercase().replace('0', "A") + ",,0,0,0,,,False");
    rows.push(String::new());
    rows.push(HEADER.to_owned());
    rows.push(String::from(",,,,,,,"));
    let figures = counted(table(&rows, "\n").as_bytes());
    let told: Vec<String> = figures
        .first_not_rows
        .iter()
        .map(|not_row| format!("{} {}", not_row.line, not_row.why))
        .collect();
    let last = rows.len() + 1;
    assert_eq!(
        told,
        [
            "4 does not begin with an infohash",
            "7 does not end with True or False",
            "8 does not begin with an infohash",
            &format!("{last} does not begin with an infohash")
        ]
    );
    assert_eq!((figures.headers, figures.not_rows, figures.infohashes), (2, 4, 11));
}

#[test]
fn a_file_that_several_threads_share() {
    // Stretches are a MiB at the least.
    let text = table(
        &rows(30_000, "\"a name, of some length so that there are several stretches\""),
        "\n",
    );
    assert!(text.len() > 4 << 20);
    let figures = counted(text.as_bytes());
    assert_eq!(figures.infohashes, 30_000);
    counted(&text.as_bytes()[..text.len() - 3]);
}

#[test]
fn packed_tables_have_the_same_figures() {
    let text = table(&rows(1000, "n"), "\n");
    let figures = counted(text.as_bytes());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("metadata.txt.zst");
    let mut packed = Vec::new();
    store::pack(text.as_bytes(), &mut packed).unwrap();
    std::fs::write(&path, packed).unwrap();
    assert_eq!(stage::count(&path, 4).unwrap(), figures);
}
