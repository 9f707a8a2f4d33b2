//! What each report answers on the sample is kept in `answers/`, to the digit.
//!
//! After a wanted change: `UPDATE_ANSWERS=1 cargo test ...` writes them anew; look at the difference before you commit it.

use std::net::Ipv4Addr;
use std::path::Path;

use super::mmdb::{self, Data};
use super::{analyze, put, sample, text};

/// The answers of some reports on some data, against those kept.
fn compare(words: &[&str], only: impl Fn(&str) -> bool) -> usize {
    let dir = tempfile::tempdir().unwrap();
    let mut all = vec!["report", "--csv", text(dir.path())];
    all.extend(words);
    let said = analyze(&all);
    assert_eq!(said.code, 0, "{}", said.err);
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sql/answers");
    let mut count = 0;
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if !only(&name) {
            continue;
        }
        let now = std::fs::read_to_string(&path).unwrap();
        let kept = kept.join(format!("{name}.csv"));
        if std::env::var_os("UPDATE_ANSWERS").is_some() {
            std::fs::create_dir_all(kept.parent().unwrap()).unwrap();
            std::fs::write(&kept, &now).unwrap();
        }
        let before = std::fs::read_to_string(&kept).unwrap_or_default();
        assert_eq!(now, before, "report {name} answers otherwise than {}", kept.display());
        count += 1;
    }
    count
}

/// Reports that the sample alone cannot answer.
const APART: [&str; 2] = ["countries", "operators"];

#[test]
fn every_report_answers_the_sample_as_it_is_kept() {
    let count = compare(&[text(&sample())], |name| !APART.contains(&name));
    let all = analyze(&["report", "--list"]).out.lines().count();
    assert_eq!(count + APART.len(), all, "reports that answered, of all");
}

#[test]
fn addresses_are_placed_by_the_files_that_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let country = |code| Data::Map(vec![("country", Data::Map(vec![("iso_code", Data::Text(code))]))]);
    let system = |number, name| {
        let number = ("autonomous_system_number", Data::Number(number));
        Data::Map(vec![number, ("autonomous_system_organization", Data::Text(name))])
    };
    // Invented countries for a quarter of the address space each, and a half that nobody knows.
    let countries = [
        (Ipv4Addr::new(0, 0, 0, 0), 2, country("AA")),
        (Ipv4Addr::new(64, 0, 0, 0), 2, country("BB")),
    ];
    let systems = [(Ipv4Addr::new(128, 0, 0, 0), 1, system(64_496, "Example Net"))];
    let countries = put(dir.path(), "country.mmdb", mmdb::file(&countries));
    let systems = put(dir.path(), "asn.mmdb", mmdb::file(&systems));
    let sample = sample();
    let words = [
        "countries",
        "operators",
        text(&sample),
        "--geoip",
        text(&countries),
        "--geoip",
        text(&systems),
    ];
    assert_eq!(compare(&words, |_| true), 2);
}

#[test]
fn figures_are_those_of_stats() {
    let path = sample().join("harvest/metadata.txt.zst");
    let stats = analyze(&["stats", text(&path)]).out;
    let figure = |name: &str| {
        let line = stats
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap().to_owned()
    };
    let counts = analyze(&[
        "sql",
        "SELECT sum(entries), sum(successes), count(*), count(CASE WHEN metadata_ok THEN 1 END) FROM torrents",
        text(&path),
        "--csv",
    ]);
    let counts: Vec<String> = counts
        .out
        .lines()
        .nth(1)
        .unwrap()
        .split(',')
        .map(str::to_owned)
        .collect();
    assert_eq!(
        counts,
        ["rows", "true_lines", "infohashes", "infohashes_with_metadata"].map(figure)
    );
}

#[test]
fn tables_that_are_kept_answer_as_files_read_anew() {
    let dir = tempfile::tempdir().unwrap();
    let (once, twice) = (dir.path().join("once.txt"), dir.path().join("metadata.txt"));
    let made = analyze(&["generate", "--rows", "40000", "--output", text(&once)]);
    assert_eq!(made.code, 0, "{}", made.err);
    // Each infohash in two places, which several threads read.
    std::fs::write(&twice, std::fs::read(&once).unwrap().repeat(2)).unwrap();
    let names = ["counts", "peers-across", "peers-per-infohash", "name-tokens"];
    let mut words = vec!["report", "--threads", "3", "--csv", text(dir.path())];
    words.extend(names);
    words.push(text(&twice));
    assert_eq!(analyze(&words).code, 0);
    for name in names {
        let kept = std::fs::read_to_string(dir.path().join(format!("{name}.csv"))).unwrap();
        let report = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("reports/{name}.sql"));
        let report = std::fs::read_to_string(report).unwrap();
        let sql: Vec<&str> = report.lines().filter(|line| !line.starts_with("--")).collect();
        let read = analyze(&["sql", &sql.join("\n"), text(&twice), "--csv"]);
        assert_eq!(read.out, kept, "{name}: {}", read.err);
        assert!(kept.lines().count() > 2, "{name}: {kept}");
    }
}

#[test]
fn a_report_of_the_users_own_is_one_of_the_list() {
    let dir = tempfile::tempdir().unwrap();
    put(
        dir.path(),
        "longest-name.sql",
        "-- title: The longest name\n-- question: Which is it?\n-- needs: torrents(name)\n-- plot: none\n\
         SELECT length(name) AS letters FROM torrents ORDER BY letters DESC LIMIT 1\n",
    );
    let list = analyze(&["report", "--list", "--reports", text(dir.path())]).out;
    assert!(list.lines().any(|line| line.starts_with("longest-name ")), "{list}");
    let data = put(
        dir.path(),
        "metadata.txt",
        "infohash,name,file_count,total_bytes,piece_length,peer_ip,peer_port,metadata_ok\n\
        0123456789abcdef0123456789abcdef01234567,seven c,1,5,16384,,,True\n",
    );
    let said = analyze(&["report", "longest-name", text(&data), "--reports", text(dir.path())]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(
        said.out,
        "The longest name (longest-name)\nWhich is it?\n\n  letters\n        7\n\n"
    );
    put(dir.path(), "bad.sql", "SELECT 1");
    let said = analyze(&["report", "--list", "--reports", text(dir.path())]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("report bad: no line `-- needs: ...`"), "{}", said.err);
}

#[test]
fn what_the_data_cannot_answer_is_said_and_no_failure() {
    let said = analyze(&["report", "funnel", "counts", text(&sample().join("thorough"))]);
    assert_eq!(said.code, 0);
    assert!(
        said.err
            .contains("not answered: funnel: needs fetches, which is not in this data"),
        "{}",
        said.err
    );
    assert!(said.out.contains("infohashes with metadata"));
}

#[test]
fn a_page_and_plots_are_written() {
    let dir = tempfile::tempdir().unwrap();
    let page = dir.path().join("out/page.html");
    let plots = dir.path().join("plots");
    let said = analyze(&[
        "report",
        text(&sample()),
        "--html",
        text(&page),
        "--plots",
        text(&plots),
    ]);
    assert_eq!((said.code, said.out.as_str()), (0, ""), "{}", said.err);
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.matches("<svg").count() > 15 && page.matches("<table").count() > 25);
    let png = std::fs::read(plots.join("sizes.png")).unwrap();
    assert!(png.starts_with(b"\x89PNG"));
}
