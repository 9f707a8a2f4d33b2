//! The program as people run it: real datagrams and real connections, on loopback and nowhere else.
#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

/// Runs the program in a directory of its own.
fn estudely(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_estudely"))
        .current_dir(folder)
        .args(args)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn read(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap()
}

/// An observation table: all its files, with one header.
fn observed(folder: &Path, table: &str) -> String {
    let files = fs::read_dir(folder.join("data/observed")).unwrap();
    let mut files: Vec<_> = files
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.retain(|name| name.starts_with(&format!("{table}-")));
    files.sort_unstable();
    let texts = files.iter().map(|name| read(folder, &format!("data/observed/{name}")));
    let whole = texts.reduce(|whole, text| whole + text.split_once('\n').unwrap().1);
    whole.unwrap_or_default()
}

/// The one line of an error, and the exit code that goes with it.
fn refused(args: &[&str]) -> (String, i32) {
    let folder = TempDir::new().unwrap();
    let output = estudely(folder.path(), args);
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert!(left.is_empty(), "bad input left something behind: {left:?}");
    let errors = text(&output.stderr);
    let lines: Vec<&str> = errors.lines().filter(|line| line.starts_with("estudely: ")).collect();
    assert_eq!(lines.len(), 1, "not one clear line:\n{errors}");
    (lines[0].to_owned(), output.status.code().unwrap())
}

#[test]
fn the_first_command_of_the_readme_finds_its_lab_whole() {
    let folder = TempDir::new().unwrap();
    let output = estudely(folder.path(), &["crawl", "--lab", "--truth", "truth.csv"]);
    let errors = text(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let rows = read(folder.path(), "metadata.txt");
    assert_eq!(text(&output.stdout), rows, "stdout and the file have the same bytes");
    let truth = read(folder.path(), "truth.csv");
    let true_rows: BTreeSet<&str> = truth.lines().collect();
    // A busy machine may lose a datagram in a full buffer: an infohash without metadata is missed, not wrong.
    let wrong: Vec<&str> = rows
        .lines()
        .filter(|row| row.ends_with(",True") && !true_rows.contains(row))
        .collect();
    assert!(wrong.is_empty(), "rows that are not true: {wrong:#?}");
    let manifest: Value = serde_json::from_str(&read(folder.path(), "data/run.json")).unwrap();
    let count = |key: &str| manifest["counters"]["lab"][key].as_f64().unwrap();
    assert!(count("shown") > 1_900.0, "{errors}");
    assert!(count("found") >= 0.99 * count("shown"), "{errors}");
    assert!(count("fetched") >= 0.99 * count("fetchable"), "{errors}");
    assert_eq!(
        (count("bans"), count("inside_interval"), count("refusers")),
        (0.0, 0.0, 0.0),
        "{errors}"
    );
    assert!(count("get_peers") <= 4.0 && count("samples") <= 1.05, "{errors}");
}

#[test]
fn a_limit_on_time_ends_a_crawl_in_order() {
    let folder = TempDir::new().unwrap();
    let output = estudely(
        folder.path(),
        &[
            "crawl",
            "--lab",
            "--lab-nodes",
            "200",
            "--rate",
            "5",
            "--overall-timeout",
            "3",
        ],
    );
    let errors = text(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert!(errors.contains("# Final: "), "{errors}");
}

#[test]
fn a_taken_tcp_port_costs_only_callers() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let lab = [
        "--lab",
        "--lab-nodes",
        "60",
        "--lab-torrents",
        "20",
        "--max-infohashes",
        "1",
    ];
    let run = |bind: &[&str]| {
        let folder = TempDir::new().unwrap();
        let output = estudely(folder.path(), &[&["crawl"][..], &lab, bind].concat());
        assert!(output.status.success());
        text(&output.stderr)
    };
    let errors = run(&["--bind", &addr]);
    assert!(errors.contains("TCP port") && errors.contains("is in use"), "{errors}");
    assert!(errors.contains(&format!("# listening on {addr} (UDP)\n")), "{errors}");
    assert!(run(&[]).contains(" (UDP and TCP)\n"));
}

#[test]
fn every_peer_that_was_dialled_is_a_row_of_the_fetches_table() {
    let folder = TempDir::new().unwrap();
    let lab = [
        "--lab",
        "--lab-nodes",
        "100",
        "--lab-torrents",
        "60",
        "--lab-profile",
        "realistic",
    ];
    let more = ["--record", "fetches,nodes,sightings,peers,files", "--no-retries"];
    let output = estudely(folder.path(), &[&["crawl"][..], &lab, &more].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let table = observed(folder.path(), "fetches");
    let rows: Vec<_> = store::fetches::rows(table.as_bytes())
        .collect::<Result<_, _>>()
        .unwrap();
    let manifest: Value = serde_json::from_str(&read(folder.path(), "data/run.json")).unwrap();
    let counted = |group: &str, key: &str| manifest["counters"][group][key].as_u64().unwrap_or(0);
    assert_eq!(rows.len() as u64, counted("funnel", "dialled"));
    let with = |result: &str| rows.iter().filter(|row| row.row().result == result).count() as u64;
    assert!(with("ok") > 0);
    for reason in ["refused", "connect_timeout", "superseded"] {
        assert_eq!(with(reason), counted("fetch_failures", reason), "{reason}");
    }
    assert!(rows.iter().all(|row| row.row().source == "dht" && row.row().round == 1));
    // The other tables, against the same figures.
    let lines = |table: &str| observed(folder.path(), table).lines().count() as u64 - 1;
    let shown = observed(folder.path(), "sightings");
    let sampled = shown.lines().filter(|line| line.contains(",sample,")).count() as u64;
    assert!(sampled > counted("infohashes", "new"), "{sampled}");
    assert!(lines("nodes") >= counted("dht", "timeouts") + counted("dht", "errors") && lines("nodes") > 100);
    assert!(lines("peers") > 0 && lines("files") >= with("ok"));
    let all = ["nodes", "sightings", "peers", "fetches", "files"]
        .map(lines)
        .iter()
        .sum::<u64>();
    assert_eq!(all, counted("observations", "rows"));
    assert_eq!(
        counted("observations", "lost_slow") + counted("observations", "lost_failed"),
        0
    );
}

#[test]
fn no_address_of_a_peer_is_left_where_addresses_are_hashed() {
    let folder = TempDir::new().unwrap();
    let lab = ["--lab", "--lab-nodes", "60", "--lab-torrents", "20"];
    let more = ["--record", "nodes,sightings,peers,fetches", "--anonymize-ips", "hash"];
    let output = estudely(folder.path(), &[&["crawl"][..], &lab, &more].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let mut all = read(folder.path(), "metadata.txt") + &text(&output.stdout);
    for table in ["nodes", "sightings", "peers", "fetches"] {
        all += &observed(folder.path(), table);
    }
    assert!(all.lines().count() > 200 && !all.contains(",127."), "{all}");
    let rows = store::metadata::rows(all.lines().next().unwrap().as_bytes());
    assert_eq!(rows.count(), 0, "a header");
    let peers: Vec<_> = store::metadata::rows(read(folder.path(), "metadata.txt").as_bytes())
        .map(|row| row.unwrap().peer.unwrap().ip().to_string())
        .collect();
    assert!(!peers.is_empty() && peers.iter().all(|peer| peer.starts_with("fd")));
    assert_eq!(read(folder.path(), "data/anonymize.key").trim().len(), 32);
}

#[test]
fn the_size_of_a_lab_and_of_a_swarm_is_told_with_an_interval() {
    let folder = TempDir::new().unwrap();
    let lab = ["--lab", "--lab-nodes", "200", "--lab-torrents", "20", "--seed", "1"];
    let output = estudely(folder.path(), &[&["dht", "size", "--lookups", "8"][..], &lab].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let told = text(&output.stdout);
    let words: Vec<&str> = told.split_whitespace().collect();
    let numbers: Vec<f64> = words[1..].iter().map(|word| word.parse().unwrap()).collect();
    assert!(words[0] == "ipv4" && numbers.len() == 3 && numbers[1] < numbers[0] && numbers[0] < numbers[2]);
    assert!((100.0..400.0).contains(&numbers[0]), "{told}");
    assert!(text(&output.stderr).contains("# assumed: ids are uniform"));
    let nobody = ["dht", "scrape", "0123456789abcdef0123456789abcdef01234567"];
    let output = estudely(folder.path(), &[&nobody[..], &lab].concat());
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("8 answered, 0 gave filters"),
        "{}",
        text(&output.stderr)
    );
}

/// The names, types and series of a page in the text format of Prometheus; fails on anything that the format does not allow.
fn strictly(page: &str) -> BTreeMap<String, f64> {
    let is_name = |name: &str| {
        let mut letters = name.chars();
        letters.next().is_some_and(|c| c.is_ascii_lowercase()) && letters.all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    assert!(page.ends_with('\n'));
    let (mut series, mut families, mut family) = (BTreeMap::new(), BTreeSet::new(), String::new());
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, help) = help.split_once(' ').unwrap();
            assert!(
                is_name(name) && name.starts_with("estudely_") && !help.is_empty(),
                "{line}"
            );
            assert!(families.insert(name.to_owned()), "{name} stands in two places");
            let kind = lines.next().unwrap().strip_prefix(&format!("# TYPE {name} ")).unwrap();
            assert_eq!(kind == "counter", name.ends_with("_total"), "{name} is a {kind}");
            assert!(kind == "counter" || kind == "gauge");
            family = name.to_owned();
            continue;
        }
        let (key, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = key.split_once('{').map_or((key, ""), |(name, labels)| (name, labels));
        assert_eq!(name, family, "{line}");
        for label in labels
            .strip_suffix('}')
            .into_iter()
            .flat_map(|labels| labels.split(','))
        {
            let (name, value) = label.split_once('=').unwrap();
            assert!(
                is_name(name) && is_name(value.trim_matches('"')) || name == "version",
                "{line}"
            );
        }
        let value: f64 = value.parse().unwrap();
        assert!(
            value.is_finite() && series.insert(key.to_owned(), value).is_none(),
            "{line}"
        );
    }
    series
}

fn get(addr: &str, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(addr).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {addr}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

#[test]
fn the_figures_of_a_crawl_are_served_while_it_runs() {
    let folder = TempDir::new().unwrap();
    let mut crawl = Command::new(env!("CARGO_BIN_EXE_estudely"))
        .current_dir(folder.path())
        .args([
            "crawl",
            "--lab",
            "--lab-nodes",
            "100",
            "--lab-torrents",
            "60",
            "--metrics",
            "127.0.0.1:0",
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(crawl.stderr.take().unwrap())
        .lines()
        .map_while(Result::ok);
    let served = lines
        .find_map(|line| Some(line.strip_prefix("# figures on http://")?.to_owned()))
        .unwrap();
    let addr = served.strip_suffix("/metrics").unwrap();
    // The page is renewed every second, and the crawl takes several.
    let page = (0..200)
        .map(|_| {
            std::thread::sleep(Duration::from_millis(50));
            strictly(&get(addr, "/metrics").1)
        })
        .find(|page| {
            page.get("estudely_infohashes_with_metadata_total")
                .is_some_and(|&count| count > 0.0)
        })
        .expect("figures before the end");
    assert_eq!(get(addr, "/healthz"), ("HTTP/1.1 200 OK".to_owned(), "ok\n".to_owned()));
    assert_eq!(get(addr, "/etc/passwd").0, "HTTP/1.1 404 Not Found");
    let rest: Vec<String> = lines.collect();
    assert!(crawl.wait().unwrap().success(), "{rest:?}");
    let manifest: Value = serde_json::from_str(&read(folder.path(), "data/run.json")).unwrap();
    // Every counter of the summary is a series: under its own name, or as a label of its group.
    for (group, counters) in manifest["counters"].as_object().unwrap() {
        if group == "lab" {
            continue;
        }
        let families = [
            ("by_", "streams"),
            ("failures_", "stream_failures"),
            ("dials_", "dials"),
            ("dial_failures_", "dial_failures"),
        ];
        let (group, label) = families
            .iter()
            .find_map(|(prefix, family)| Some((*family, group.strip_prefix(prefix)?)))
            .unwrap_or((group.as_str(), ""));
        // An estimate comes when it can be made, and that may be after the page; those of what was shown come at once.
        let late = ["nodes", "keys", "seen"];
        let at_once = |key: &&String| group != "estimates" || !late.iter().any(|late| key.starts_with(late));
        for key in counters.as_object().unwrap().keys().filter(at_once) {
            let plain = format!("estudely_{group}_{key}");
            let found = page.keys().any(|series| {
                series.strip_suffix("_total").unwrap_or(series) == plain
                    || series.starts_with(&format!("estudely_{group}_total{{"))
                        && series.contains(&format!("\"{key}\""))
                        && series.contains(label)
            });
            assert!(found, "{group} {key} is not on the page");
        }
    }
}

#[test]
fn a_fetch_records_whom_it_asked() {
    let folder = TempDir::new().unwrap();
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let hash = "0123456789abcdef0123456789abcdef01234567";
    let peer = closed.to_string();
    let flags = ["--allow-loopback", "--overall-timeout", "20", "--record", "fetches"];
    let output = estudely(folder.path(), &[&["fetch", hash, "--peer", &peer][..], &flags].concat());
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let table = observed(folder.path(), "fetches");
    let rows: Vec<_> = store::fetches::rows(table.as_bytes())
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(rows.len(), 1, "{table}");
    assert_eq!((rows[0].row().peer, rows[0].row().source), (closed, "given"));
}

#[test]
fn an_address_in_use_for_figures_is_bad_input() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let (line, code) = refused(&["crawl", "--lab", "--metrics", &addr]);
    assert!(line.contains("--metrics") && line.contains("in use"), "{line}");
    assert_eq!(code, 2);
}

#[test]
fn two_steps_give_what_one_gives() {
    let folder = TempDir::new().unwrap();
    let lab = ["--lab", "--lab-nodes", "100", "--lab-torrents", "60"];
    let peers = estudely(folder.path(), &[&["peers"][..], &lab].concat());
    assert!(peers.status.success(), "{}", text(&peers.stderr));
    assert_eq!(text(&peers.stdout), read(folder.path(), "peers.csv"));
    // The second step needs the same peers: a lab of the same seed, on the same ports, is not to be had; what matters
    // here is that the table is read, every infohash is tried, and the exit code tells that nobody was there.
    let fetch = estudely(
        folder.path(),
        &["fetch", "peers.csv", "--allow-loopback", "--overall-timeout", "20"],
    );
    let errors = text(&fetch.stderr);
    assert!(errors.contains("infohashes asked for"), "{errors}");
    assert_eq!(
        text(&fetch.stdout),
        "infohash,name,file_count,total_bytes,piece_length\n"
    );
    assert_eq!(fetch.status.code(), Some(1), "{errors}");
}

#[test]
fn threads_share_a_list_and_its_output() {
    let folder = tempfile::tempdir().unwrap();
    // Nobody listens at port 1: each is refused at once.
    let hashes: Vec<String> = (10..50).map(|number| format!("{number:04}{:036x}", 1)).collect();
    let peer = |hash: &str| format!("127.0.1.{}", &hash[2..4]);
    let rows: String = hashes.iter().map(|hash| format!("{hash},{},1\n", peer(hash))).collect();
    fs::write(
        folder.path().join("peers.csv"),
        format!("infohash,peer_ip,peer_port\n{rows}"),
    )
    .unwrap();
    let flags = ["--allow-loopback", "--overall-timeout", "20", "--threads", "3", "--all"];
    let output = estudely(folder.path(), &[&["fetch", "peers.csv"][..], &flags].concat());
    let (printed, errors) = (text(&output.stdout), text(&output.stderr));
    let mut given: Vec<&str> = printed.lines().skip(1).collect();
    given.sort_unstable();
    let wanted: Vec<String> = hashes
        .iter()
        .map(|hash| format!("{hash},,0,0,0,{},1,False", peer(hash)))
        .collect();
    assert_eq!(given, wanted, "{errors}");
    assert_eq!(errors.matches("listening on").count(), 3, "{errors}");
    // The figures are those of all threads.
    assert!(errors.contains("40  of these, dialled"), "{errors}");
    assert_eq!(output.status.code(), Some(1), "{errors}");
}

#[test]
fn a_blocklist_holds_for_a_table_of_peers() {
    let folder = TempDir::new().unwrap();
    let rows = "infohash,peer_ip,peer_port\n0123456789abcdef0123456789abcdef01234567,127.0.0.1,9\n";
    fs::write(folder.path().join("peers.csv"), rows).unwrap();
    fs::write(folder.path().join("block.txt"), "127.0.0.0/8 # all of loopback\n").unwrap();
    let output = estudely(folder.path(), &["fetch", "peers.csv", "--blocklist", "block.txt"]);
    let errors = text(&output.stderr);
    assert!(errors.contains("1 peers are left out"), "{errors}");
    assert!(
        !errors.contains("dialled\n") || errors.contains("0  of these, dialled"),
        "{errors}"
    );
}

#[test]
fn rows_of_two_networks_never_mix() {
    let folder = TempDir::new().unwrap();
    let small = [
        "--lab",
        "--lab-nodes",
        "60",
        "--lab-torrents",
        "20",
        "--max-infohashes",
        "2",
    ];
    let run = |command: &str, more: &[&str]| estudely(folder.path(), &[&[command], &small[..], more].concat());
    assert!(run("crawl", &[]).status.success());
    let rows = read(folder.path(), "metadata.txt");
    assert!(run("peers", &["--lab-seed", "2", "--fresh"]).status.success());
    let refused = run("crawl", &["--lab-seed", "2"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        text(&refused.stderr).contains("another network"),
        "{}",
        text(&refused.stderr)
    );
    assert_eq!(read(folder.path(), "metadata.txt"), rows);
}

#[test]
fn help_shows_every_default_of_a_crawl() {
    let folder = TempDir::new().unwrap();
    let help = text(&estudely(folder.path(), &["crawl", "--help"]).stdout);
    for (flag, default) in [
        ("--max-infohashes", "999999"),
        ("--peers-per-infohash", "20"),
        ("--metadata-peer-attempts", "10"),
        ("--overall-timeout", "86400"),
        ("--output", "metadata.txt"),
        ("--data-dir", "data"),
        ("--bind", "6881-6889"),
        ("--profile", "home"),
        ("--rate", "home 50"),
        ("--max-flows", "home 2048"),
        ("--lab-nodes", "2000"),
    ] {
        let (_, after) = help
            .split_once(&format!("      {flag} <"))
            .unwrap_or_else(|| panic!("{flag} is not in --help"));
        let entry = after.split("\n      --").next().unwrap_or_default();
        assert!(
            entry.contains("[default: ") && entry.contains(default),
            "{flag}: {entry}"
        );
    }
}

#[test]
fn bad_input_is_one_line_and_exit_code_2() {
    for (args, word) in [
        (&["fetch", "no-such-thing"][..], "no-such-thing"),
        (&["crawl", "--bootstrap", "nowhere"], "HOST:PORT"),
        (&["crawl", "--rate", "0"], "--rate"),
        (&["crawl", "--bind", "127.0.0.1:0", "--bind", "127.0.0.2:0"], "--bind"),
        (&["crawl", "--record", "fetches,node"], "node"),
        (&["dht", "find-node", "xyz"], "40 hex digits"),
        (&["show", "no-such-file.torrent"], "no-such-file.torrent"),
    ] {
        let (line, code) = refused(args);
        assert!(line.contains(word), "{args:?}: {line}");
        assert_eq!(code, 2, "{args:?}: {line}");
    }
}

#[test]
fn analyze_is_the_program_beside_this_one_and_told_how_to_be_built_if_there_is_none() {
    use std::os::unix::fs::PermissionsExt;

    let folder = TempDir::new().unwrap();
    let own = folder.path().join("estudely");
    // A link has the folder's path; where the folder is on another file system only a copy has.
    fs::hard_link(env!("CARGO_BIN_EXE_estudely"), &own)
        .or_else(|_| fs::copy(env!("CARGO_BIN_EXE_estudely"), &own).map(drop))
        .unwrap();
    let analyze = |words: &[&str]| {
        let mut command = Command::new(&own);
        command
            .current_dir(folder.path())
            .env("PATH", "")
            .arg("analyze")
            .args(words);
        command.output().unwrap()
    };
    let output = analyze(&["stats", "--threads", "2", "metadata.txt"]);
    assert_eq!(output.status.code(), Some(2));
    let errors = text(&output.stderr);
    assert!(
        errors.starts_with("estudely: no estudely-analyze beside this program or on PATH; build it: cargo build"),
        "{errors}"
    );
    assert_eq!(errors.lines().count(), 1, "{errors}");

    let beside = folder.path().join("estudely-analyze");
    fs::write(&beside, "#!/bin/sh\necho \"$@\"\nexit 7\n").unwrap();
    fs::set_permissions(&beside, fs::Permissions::from_mode(0o755)).unwrap();
    for words in [&["stats", "--threads", "2", "-"][..], &["--help"], &[]] {
        let output = analyze(words);
        assert_eq!(
            (text(&output.stdout), output.status.code()),
            (format!("{}\n", words.join(" ")), Some(7))
        );
    }
}
