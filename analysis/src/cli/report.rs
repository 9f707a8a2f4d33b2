//! `analyze report`.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::engine::{ClusterArgs, EngineArgs, ReportArgs};
use super::say;
use crate::read::Table;
use crate::sql::{Answer, Options, Page, Pictures, Report, Session};
use crate::stage::{BadInput, Found, cores, find, read_text, write_file};

/// Rows that a report may have.
const ROWS: usize = 100_000;

/// Parts that a cluster's question is cut into: enough for some machines, few enough that each has something to do.
const PARTS: usize = 16;

/// Runs reports and shows them where it was asked for.
pub(super) fn run(args: &ReportArgs) -> anyhow::Result<()> {
    let reports = known(&args.reports)?;
    if args.list || args.given.is_empty() {
        return list(&reports);
    }
    let (wanted, data) = sort_out(&reports, &args.given)?;
    let found = find(&data)?;
    let mut session = open(&found, &args.engine, &args.cluster)?;
    let wanted = if wanted.is_empty() { reports } else { wanted };
    let (mut answerable, mut without) = (Vec::new(), Vec::new());
    for report in wanted {
        match lacks(&session, &report)? {
            None => answerable.push(report),
            Some(lacks) => without.push((report, lacks)),
        }
    }
    session.keep(&tables(&answerable))?;
    let mut answered: Vec<(Report, Result<Answer, String>)> = Vec::new();
    for report in answerable {
        let answer = session
            .ask(&report.sql, ROWS)
            .with_context(|| format!("report {}", report.name))?;
        if !args.shows_elsewhere() {
            say::answer(&text(&report, &answer, args.rows))?;
        }
        answered.push((report, Ok(answer)));
    }
    for (report, lacks) in without {
        say::note(&format!("not answered: {}: {lacks}", report.name));
        answered.push((report, Err(lacks)));
    }
    write(args, &found, &answered)?;
    told(&session);
    Ok(())
}

/// What was no row.
pub(super) fn told(session: &Session) {
    session.not_rows().iter().for_each(|line| say::note(line));
}

/// The tables of what was found, for as many threads and as much memory as was asked for.
pub(super) fn open(found: &Found, args: &EngineArgs, cluster: &ClusterArgs) -> anyhow::Result<Session> {
    let cluster = cluster.scheduler()?;
    for path in &found.empty {
        say::note(&format!("{}: empty", path.display()));
    }
    let threads = match args.threads {
        Some(threads) => usize::from(threads),
        None if cluster.is_some() => PARTS,
        None => cores(),
    };
    let memory = args.memory << 20;
    Session::open(
        found,
        Options {
            threads,
            memory: usize::try_from(memory).unwrap_or(usize::MAX),
            keep: memory / 4 * 3,
            geoip: args.geoip.clone(),
            cluster,
        },
    )
}

/// The reports that come along and those of these directories; one of the same name takes the place of ours.
fn known(dirs: &[PathBuf]) -> anyhow::Result<Vec<Report>> {
    let mut reports = Report::built_in().map_err(|error| BadInput(error.to_string()))?;
    for dir in dirs {
        for (name, sql) in read_text(dir, ".sql")? {
            let report = Report::read(&name, &sql).map_err(|error| BadInput(format!("{}: {error}", dir.display())))?;
            reports.retain(|known| known.name != report.name);
            reports.push(report);
        }
    }
    reports.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(reports)
}

fn list(reports: &[Report]) -> anyhow::Result<()> {
    let mut text = String::new();
    let wide = reports.iter().map(|report| report.name.len()).max().unwrap_or(0);
    for report in reports {
        text.push_str(&format!("{:wide$}  {}\n", report.name, report.title));
    }
    say::answer(&text)?;
    say::note("analyze report [NAME...] DATA...: answers those named, or all that DATA can answer");
    Ok(())
}

/// Names of reports first, then data.
fn sort_out(reports: &[Report], given: &[PathBuf]) -> anyhow::Result<(Vec<Report>, Vec<PathBuf>)> {
    let report = |path: &PathBuf| {
        reports
            .iter()
            .find(|report| Path::new(&report.name) == path && !path.exists())
    };
    let names = given.iter().take_while(|path| report(path).is_some()).count();
    let (names, data) = given.split_at(names);
    if data.is_empty() {
        return Err(BadInput("no data: name a metadata.txt, or a directory that a crawl left".to_owned()).into());
    }
    Ok((names.iter().filter_map(report).cloned().collect(), data.to_vec()))
}

/// The tables that these reports ask, those of which many ask first.
fn tables(reports: &[Report]) -> Vec<Table> {
    let asked: Vec<&str> = reports
        .iter()
        .flat_map(|report| report.needs.iter().map(|(table, _)| table.as_str()))
        .collect();
    let times = |table: &Table| asked.iter().filter(|name| **name == table.name()).count();
    let mut tables: Vec<Table> = Table::ALL.into_iter().filter(|table| times(table) > 0).collect();
    tables.sort_by_key(|table| std::cmp::Reverse(times(table)));
    tables
}

/// What the data lacks for this report.
///
/// # Errors
///
/// Those of [`Session::crawls`].
fn lacks(session: &Session, report: &Report) -> anyhow::Result<Option<String>> {
    for (name, columns) in &report.needs {
        let lacks = match name.as_str() {
            "geoip" => (!session.has_places()).then(|| "needs a MaxMind file (--geoip FILE)".to_owned()),
            "crawls" => (session.crawls()?.len() < 2).then(|| "needs two crawls or more".to_owned()),
            table => lacks_of_table(session, table, columns),
        };
        if lacks.is_some() {
            return Ok(lacks);
        }
    }
    Ok(None)
}

/// What of a table is lacking.
fn lacks_of_table(session: &Session, name: &str, columns: &[String]) -> Option<String> {
    let Some(table) = Table::ALL.into_iter().find(|table| table.name() == name) else {
        return Some(format!("needs `{name}`, which is no table"));
    };
    if !session.tables().any(|had| had == table) {
        return Some(format!("needs {name}, which is not in this data"));
    }
    let lacking = columns.iter().find(|column| !session.has(table, column))?;
    Some(format!("needs {name}.{lacking}, which is not in this data"))
}

fn text(report: &Report, answer: &Answer, rows: usize) -> String {
    let answer = if answer.rows.is_empty() {
        "  (no rows)\n".to_owned()
    } else {
        answer.table(rows)
    };
    format!("{} ({})\n{}\n\n{answer}\n", report.title, report.name, report.question)
}

fn write(args: &ReportArgs, found: &Found, answered: &[(Report, Result<Answer, String>)]) -> anyhow::Result<()> {
    if let Some(path) = &args.html {
        let page = Page {
            about: about(found),
            answered,
        };
        write_file(path, page.html().as_bytes())?;
        say::note(&format!("written: {}", path.display()));
    }
    let answers = || {
        answered
            .iter()
            .filter_map(|(report, answer)| Some((report, answer.as_ref().ok()?)))
    };
    if let Some(dir) = &args.csv {
        for (report, answer) in answers() {
            write_file(&dir.join(format!("{}.csv", report.name)), answer.csv(true).as_bytes())?;
        }
        say::note(&format!("written: {} tables in {}", answers().count(), dir.display()));
    }
    if let Some(dir) = &args.plots {
        let pictures = Pictures::new();
        let plots = answers().filter_map(|(report, answer)| answer.plot(report));
        let mut count = 0;
        for plot in plots {
            write_file(&dir.join(format!("{}.png", plot.key)), &pictures.png(&plot)?)?;
            count += 1;
        }
        say::note(&format!("written: {count} plots in {}", dir.display()));
    }
    Ok(())
}

/// What was read, for people.
fn about(found: &Found) -> Vec<String> {
    let mut crawls: Vec<&str> = found.sources.iter().map(|source| source.crawl.as_str()).collect();
    crawls.sort_unstable();
    crawls.dedup();
    let bytes: u64 = found.sources.iter().map(|source| source.bytes).sum();
    vec![format!(
        "Crawls: {}. {} files, {} bytes.",
        crawls.join(", "),
        found.sources.len(),
        bytes
    )]
}
