//! Questions in SQL, whatever the files look like.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{analyze, put, sample, text};

const HEADER: &str = "infohash,name,file_count,total_bytes,piece_length,peer_ip,peer_port,metadata_ok";

fn hash(digit: char) -> String {
    digit.to_string().repeat(40)
}

/// The rows of an answer, without the header.
fn rows(sql: &str, data: &[&Path]) -> Vec<String> {
    let mut words = vec!["sql", sql, "--csv"];
    words.extend(data.iter().map(|path| text(path)));
    let said = analyze(&words);
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    said.out.lines().skip(1).map(str::to_owned).collect()
}

#[test]
fn a_bare_file_is_torrents_and_peers() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (hash('a'), hash('b'));
    let contents = format!(
        "{HEADER}\r\n{a},\"one, \"\"two\"\"\",3,700,16384,192.0.2.1,6881,True\r\n{a},\"one, \"\"two\"\"\",3,700,16384,2001:db8::1,6882,True\r\n\
         {b},,0,0,0,,,False\r\n"
    );
    let data = put(dir.path(), "monday.txt", contents);
    assert_eq!(
        rows(
            "SELECT crawl, name, file_count, total_bytes, metadata_ok, entries, successes, peers FROM torrents ORDER BY infohash",
            &[&data]
        ),
        [
            "monday,\"one, \"\"two\"\"\",3,700,true,2,2,2",
            "monday,,0,0,false,1,0,0"
        ]
    );
    assert_eq!(
        rows(
            "SELECT infohash, peer_ip, peer_port, source, time_ms FROM peers ORDER BY peer_port",
            &[&data]
        ),
        [
            format!("{a},192.0.2.1,6881,metadata,"),
            format!("{a},2001:db8::1,6882,metadata,")
        ]
    );
}

#[test]
fn packed_files_and_several_crawls_are_one_table() {
    let dir = tempfile::tempdir().unwrap();
    let contents = |digit| format!("{HEADER}\n{},n,1,1,16384,192.0.2.1,6881,True\n", hash(digit));
    put(dir.path(), "one/metadata.txt", contents('1'));
    put(
        dir.path(),
        "two/metadata.txt.zst",
        zstd::encode_all(contents('2').as_bytes(), 1).unwrap(),
    );
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(contents('3').as_bytes()).unwrap();
    put(dir.path(), "three/metadata.txt.gz", gz.finish().unwrap());
    let sql = "SELECT crawl, substr(infohash, 1, 1) FROM torrents ORDER BY crawl";
    assert_eq!(rows(sql, &[dir.path()]), ["one,1", "three,3", "two,2"]);
    assert_eq!(rows(sql, &[&dir.path().join("t*")]), ["three,3", "two,2"]);
}

#[test]
fn an_infohash_in_several_places_of_a_file_is_one_torrent() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (hash('a'), hash('b'));
    let data = put(
        dir.path(),
        "metadata.txt",
        format!("{HEADER}\n{a},,0,0,0,192.0.2.1,1,False\n{b},m,1,2,3,,,True\n{a},n,1,2,3,192.0.2.2,2,True\n"),
    );
    let sql = "SELECT name, metadata_ok, entries, successes, peers FROM torrents ORDER BY infohash";
    assert_eq!(rows(sql, &[&data]), ["n,true,2,1,2", "m,true,1,1,0"]);
}

#[test]
fn lines_that_are_no_rows_are_listed_by_file_and_line() {
    let dir = tempfile::tempdir().unwrap();
    let good = format!("{},n,1,1,16384,192.0.2.1,6881,True\n", hash('1'));
    let mut contents = format!("{HEADER}\n{good}{},n,many,1,16384,,,True\n", hash('2')).into_bytes();
    contents.extend(format!("{},", hash('3')).as_bytes());
    contents.extend(b"\xff,1,1,16384,,,True\n");
    contents.extend(format!("{},torn", hash('4')).as_bytes());
    let data = put(dir.path(), "metadata.txt", contents);
    let said = analyze(&["sql", "SELECT count(*) AS n FROM torrents", text(&data)]);
    assert_eq!((said.code, said.out.as_str()), (0, "  n\n  1\n"));
    let at = |line: u32| format!("{}:{line}: no row", text(&data));
    assert!(
        said.err.contains(&at(3)) && said.err.contains(&at(4)) && said.err.contains(&at(5)),
        "{}",
        said.err
    );
}

#[test]
fn observation_tables_have_their_columns() {
    let sql = "SELECT count(*) > 0, count(DISTINCT asked) > 1 FROM nodes WHERE \"interval\" IS NOT NULL OR rtt_ms > 0";
    assert_eq!(rows(sql, &[&sample()]), ["true,true"]);
    let sql = "SELECT count(*) > 0 FROM files WHERE \"index\" = 0 AND length > 0";
    assert_eq!(rows(sql, &[&sample()]), ["true"]);
}

#[test]
fn parquet_answers_as_the_csv_that_it_was_made_of() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("parquet");
    let said = analyze(&["convert", text(&sample()), "--parquet", text(&out)]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(
        out.join("nodes").read_dir().unwrap().all(|entry| entry
            .unwrap()
            .file_name()
            .to_str()
            .unwrap()
            .starts_with("hour="))
    );
    for (table, column) in [
        ("torrents", "total_bytes"),
        ("peers", "peer_port"),
        ("files", "length"),
        ("nodes", "rtt_ms"),
        ("sightings", "num"),
        ("fetches", "took_ms"),
    ] {
        let sql =
            format!("SELECT count(*), count(DISTINCT crawl), round(sum({column}), 3), count({column}) FROM {table}");
        assert_eq!(rows(&sql, &[&out]), rows(&sql, &[&sample()]), "{table}");
    }
    // Whose rows they are, Parquet says itself.
    let changes = analyze(&["report", "changes", text(&out)]);
    assert!(changes.out.contains("stayed"), "{}", changes.err);
    let again = analyze(&["convert", text(&sample()), "--parquet", text(&out)]);
    assert_eq!(again.code, 2);
    assert!(again.err.contains("not empty"), "{}", again.err);
}

#[test]
fn a_prompt_reads_statements_and_survives_mistakes() {
    let mut program = Command::new(env!("CARGO_BIN_EXE_estudely-analyze"))
        .args(["sql", text(&sample().join("thorough"))])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut typed = program.stdin.take().unwrap();
    typed
        .write_all(b"SELECT nonsense FROM torrents;\nSELECT 6 * 7\n AS answer;\n")
        .unwrap();
    drop(typed);
    let done = program.wait_with_output().unwrap();
    let (out, err) = (
        String::from_utf8(done.stdout).unwrap(),
        String::from_utf8(done.stderr).unwrap(),
    );
    assert!(
        done.status.success() && out.contains("  answer\n      42\n"),
        "{out}{err}"
    );
    assert!(
        err.contains("nonsense") && err.contains("tables: torrents, peers"),
        "{err}"
    );
}

#[test]
fn a_question_may_begin_with_a_comment() {
    assert_eq!(
        rows("-- how many?\nSELECT count(*) > 0 FROM torrents", &[&sample()]),
        ["true"]
    );
}

#[cfg(not(feature = "cluster"))]
#[test]
fn a_program_without_clusters_says_how_to_build_one_that_has_them() {
    let said = analyze(&["report", text(&sample()), "--cluster", "df://127.0.0.1:50050"]);
    assert_eq!((said.code, said.err.lines().count()), (2, 1), "{}", said.err);
    assert!(said.err.contains("--features cluster"), "{}", said.err);
}

#[test]
fn what_cannot_be_used_is_one_line_and_code_2() {
    let dir = tempfile::tempdir().unwrap();
    let data = put(dir.path(), "metadata.txt", format!("{HEADER}\n"));
    let missing = put(dir.path(), "other.txt", "infohash,name,file_count\n");
    let parquet = put(dir.path(), "x.parquet", "PAR1 and nothing else\n");
    for (words, want) in [
        (vec!["sql", "SELEC 1", text(&data)], "SELEC"),
        (vec!["sql", "SELECT 1 FROM nodes", text(&data)], "observation tables"),
        (vec!["sql", "SELECT 1"], "no data"),
        (vec!["sql", "SELECT 1", text(&missing)], "other.txt:1: no column"),
        (vec!["sql", "SELECT 1", text(&parquet)], "x.parquet"),
        (vec!["report", "counts"], "no data"),
        (vec!["report", text(&data), "--geoip", text(&data)], "no MaxMind file"),
        (vec!["report", "nonsense", text(&data)], "nonsense"),
    ] {
        let said = analyze(&words);
        assert_eq!((said.code, said.err.lines().count()), (2, 1), "{words:?}: {}", said.err);
        assert!(said.err.contains(want), "{words:?}: {}", said.err);
    }
}
