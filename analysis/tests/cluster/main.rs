//! A cluster of this program on loopback: what several processes answer together, and what is said when they cannot.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test that fails says where; it makes directories and looks for free ports"
)]

#[path = "../sql/mmdb.rs"]
mod mmdb;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

use mmdb::Data;

const PROGRAM: &str = env!("CARGO_BIN_EXE_estudely-analyze");

/// What a run said, and its exit code.
struct Said {
    code: i32,
    out: String,
    err: String,
}

fn analyze(words: &[&str]) -> Said {
    let done = Command::new(PROGRAM).args(words).output().unwrap();
    Said {
        code: done.status.code().unwrap(),
        out: String::from_utf8(done.stdout).unwrap(),
        err: String::from_utf8(done.stderr).unwrap(),
    }
}

/// A process of a cluster, ended with the test.
struct Member {
    child: Child,
    // Open as long as it lives: it may have something to say.
    _err: BufReader<ChildStderr>,
}

impl Member {
    /// Starts one, and waits until it says that it is there.
    fn start(words: &[&str]) -> Self {
        let mut command = Command::new(PROGRAM);
        command.arg("cluster").args(words).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut err = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        err.read_line(&mut line).unwrap();
        assert!(line.starts_with("# "), "{words:?}: {line}");
        Self { child, _err: err }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that is free, as is the one above it.
fn port() -> u16 {
    loop {
        let one = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = one.local_addr().unwrap().port();
        if port < u16::MAX && TcpListener::bind((Ipv4Addr::LOCALHOST, port + 1)).is_ok() {
            return port;
        }
    }
}

/// A scheduler and two executors.
struct Cluster {
    url: String,
    work: [PathBuf; 2],
    members: Vec<Member>,
}

impl Cluster {
    fn start(dir: &Path, geoip: &Path) -> Self {
        let address = format!("127.0.0.1:{}", port());
        let geoip = geoip.to_str().unwrap();
        let mut members = vec![Member::start(&["scheduler", "--bind", &address, "--geoip", geoip])];
        let work = ["one", "two"].map(|name| dir.join(name));
        for work in &work {
            let bind = format!("127.0.0.1:{}", port());
            members.push(Member::start(&[
                "executor",
                "--scheduler",
                &address,
                "--bind",
                &bind,
                "--threads",
                "2",
                "--geoip",
                geoip,
                "--work",
                work.to_str().unwrap(),
            ]));
        }
        Self {
            url: format!("df://{address}"),
            work,
            members,
        }
    }
}

/// The sample as Parquet, and a MaxMind file that knows a half of all addresses.
fn data(dir: &Path) -> (String, PathBuf) {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/sample");
    let tables = dir.join("tables").to_str().unwrap().to_owned();
    let said = analyze(&["convert", sample.to_str().unwrap(), "--parquet", &tables]);
    assert_eq!(said.code, 0, "{}", said.err);
    let known = Data::Map(vec![
        ("country", Data::Map(vec![("iso_code", Data::Text("AA"))])),
        ("autonomous_system_number", Data::Number(64_496)),
        ("autonomous_system_organization", Data::Text("Example Net")),
    ]);
    let geoip = dir.join("places.mmdb");
    std::fs::write(&geoip, mmdb::file(&[(Ipv4Addr::new(0, 0, 0, 0), 1, known)])).unwrap();
    (tables, geoip)
}

/// The files of a directory, by name.
fn files(dir: &Path) -> BTreeMap<String, String> {
    let read = |entry: std::fs::DirEntry| {
        let name = entry.file_name().into_string().unwrap();
        (name, std::fs::read_to_string(entry.path()).unwrap())
    };
    let entries = std::fs::read_dir(dir).unwrap();
    entries.map(|entry| read(entry.unwrap())).collect()
}

/// Questions of all kinds of statements and operators that reports lack.
const QUESTIONS: [&str; 9] = [
    "SELECT crawl, count(*), count(DISTINCT infohash), max(name) FROM torrents GROUP BY crawl ORDER BY crawl",
    "SELECT * FROM torrents ORDER BY crawl, infohash",
    "SELECT peer_port, rank() OVER (ORDER BY count(*) DESC, peer_port) AS place FROM peers GROUP BY peer_port ORDER BY place LIMIT 50",
    "SELECT t.crawl, count(*) FROM torrents t JOIN peers p ON t.crawl = p.crawl AND t.infohash = p.infohash WHERE metadata_ok GROUP BY t.crawl ORDER BY 1",
    "SELECT count(*) FROM torrents WHERE infohash NOT IN (SELECT infohash FROM files)",
    "SELECT power_law(array_agg(n), array_agg(times)) AS law FROM (SELECT n, count(*) AS times FROM (SELECT count(*) AS n FROM peers GROUP BY infohash) \
     GROUP BY n)",
    "SELECT country(peer_ip) AS country, asn(peer_ip) AS asn, count(*) FROM peers GROUP BY 1, 2 ORDER BY 3",
    "SELECT infohash, name FROM torrents WHERE false",
    "SELECT column_name, ordinal_position FROM information_schema.columns WHERE table_name = 'torrents'",
];

#[test]
fn a_cluster_answers_as_one_process_does() {
    let dir = tempfile::tempdir().unwrap();
    let (tables, geoip) = data(dir.path());
    let geoip_path = geoip.to_str().unwrap();
    let cluster = Cluster::start(dir.path(), &geoip);
    for sql in QUESTIONS {
        let here = analyze(&["sql", sql, &tables, "--csv", "--geoip", geoip_path]);
        let there = analyze(&[
            "sql",
            sql,
            &tables,
            "--csv",
            "--geoip",
            geoip_path,
            "--cluster",
            &cluster.url,
        ]);
        assert_eq!((here.code, here.err.as_str()), (0, ""), "{sql}");
        assert_eq!((there.code, there.err.as_str()), (0, ""), "{sql}");
        assert_eq!(there.out, here.out, "{sql}");
    }
    let (here, there) = (dir.path().join("here"), dir.path().join("there"));
    let report = |out: &Path, more: &[&str]| {
        let mut words = vec!["report", &tables, "--geoip", geoip_path, "--csv", out.to_str().unwrap()];
        words.extend(more);
        let said = analyze(&words);
        assert_eq!(said.code, 0, "{}", said.err);
    };
    report(&here, &[]);
    report(&there, &["--cluster", &cluster.url]);
    let (here, there) = (files(&here), files(&there));
    let all = analyze(&["report", "--list"]).out.lines().count();
    assert_eq!((here.len(), there.len()), (all, all));
    for (name, answer) in &here {
        assert_eq!(there.get(name), Some(answer), "{name}");
    }
    // What an executor has worked on, it keeps for a while.
    for work in &cluster.work {
        assert!(work.read_dir().unwrap().next().is_some(), "{} is empty", work.display());
    }
    let wrong = analyze(&[
        "sql",
        "SELECT nonsense FROM torrents",
        &tables,
        "--cluster",
        &cluster.url,
    ]);
    assert_eq!((wrong.code, wrong.err.lines().count()), (2, 1), "{}", wrong.err);
}

/// An executor is killed while reports are answered: between two questions or in the middle of one.
#[test]
fn the_loss_of_an_executor_is_made_up_for_by_the_other() {
    let dir = tempfile::tempdir().unwrap();
    let (tables, geoip) = data(dir.path());
    let mut cluster = Cluster::start(dir.path(), &geoip);
    let words = ["report", &tables, "--geoip", geoip.to_str().unwrap()];
    let here = analyze(&words);
    let mut command = Command::new(PROGRAM);
    command.args(words).args(["--cluster", &cluster.url]);
    let mut asking = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut out = BufReader::new(asking.stdout.take().unwrap());
    let mut said = String::new();
    out.read_line(&mut said).unwrap();
    cluster.members.pop();
    out.read_to_string(&mut said).unwrap();
    assert_eq!(asking.wait().unwrap().code(), Some(0));
    assert_eq!(said, here.out);
}

/// The one line that is said, and how long that took.
fn refused(code: i32, words: &[&str]) -> (String, Duration) {
    let start = Instant::now();
    let said = analyze(words);
    assert_eq!((said.code, said.err.lines().count()), (code, 1), "{}", said.err);
    (said.err, start.elapsed())
}

#[test]
fn what_a_cluster_cannot_do_is_said_in_one_line_and_soon() {
    let dir = tempfile::tempdir().unwrap();
    let (tables, geoip) = data(dir.path());
    let sql = ["sql", "SELECT count(*) FROM torrents"];
    let ask = |code, data: &str, url: &str| refused(code, &[&sql[..], &[data, "--cluster", url][..]].concat());

    let (line, _) = ask(2, &tables, "http://127.0.0.1:1");
    assert!(line.contains("it looks like df://HOST:PORT"), "{line}");
    let csv = dir.path().join("peers.csv");
    std::fs::write(
        &csv,
        format!("infohash,peer_ip,peer_port\n{},192.0.2.1,6881\n", "a".repeat(40)),
    )
    .unwrap();
    let (line, _) = ask(2, csv.to_str().unwrap(), "df://127.0.0.1:1");
    assert!(
        line.contains("peers.csv: a cluster reads only Parquet; first: estudely analyze convert"),
        "{line}"
    );
    let nobody = format!("df://127.0.0.1:{}", port());
    let (line, took) = ask(1, &tables, &nobody);
    assert!(
        line.contains("no scheduler there") && took < Duration::from_secs(20),
        "{line} {took:?}"
    );
    // It takes the connection and says nothing.
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (line, took) = ask(1, &tables, &format!("df://{}", silent.local_addr().unwrap()));
    assert!(
        line.contains("no scheduler there") && took < Duration::from_secs(30),
        "{line} {took:?}"
    );

    let address = format!("127.0.0.1:{}", port());
    let _scheduler = Member::start(&["scheduler", "--bind", &address]);
    let (line, took) = ask(1, &tables, &format!("df://{address}"));
    assert!(
        line.contains("no executor came within 10 s") && took < Duration::from_secs(60),
        "{line} {took:?}"
    );
    let (line, _) = refused(2, &["cluster", "scheduler", "--bind", &address]);
    assert!(line.contains("cannot be listened on"), "{line}");
    let (line, _) = refused(2, &["cluster", "executor", "--bind", "0.0.0.0:1"]);
    assert!(
        line.contains("name the address under which the other machines reach this one"),
        "{line}"
    );
    let bind = format!("127.0.0.1:{}", port());
    let work = geoip.parent().unwrap().to_str().unwrap();
    let (line, _) = refused(2, &["cluster", "executor", "--bind", &bind, "--work", work]);
    assert!(line.contains("not empty"), "{line}");
}
