//! Questions in files: `.sql` with a header of comment lines.
//!
//! ```sql
//! -- title: Sizes of torrents
//! -- question: How big are torrents?
//! -- needs: torrents(total_bytes, metadata_ok)
//! -- plot: bars x=from_size y=torrents
//! SELECT ...
//! ```
//!
//! `needs` names tables with the columns that are asked for, `geoip(...)` for a MaxMind file, `crawls(2)` for two crawls. `plot` is `none`,
//! `bars` (in order), `rows` (by name), `line` or `points` (both axes numbers; `points` on axes of powers of ten), with the columns of the
//! answer that go to the right (`x`) and up (`y`), and for lines the one that tells them apart (`by`).

use thiserror::Error;

/// A question with its header.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// The name of its file, without `.sql`.
    pub name: String,
    /// One line.
    pub title: String,
    /// What it asks, for people.
    pub question: String,
    /// Tables, and the columns of each.
    pub needs: Vec<(String, Vec<String>)>,
    /// How its answer is drawn.
    pub plot: Option<Drawing>,
    /// The SQL, header included.
    pub sql: String,
}

/// How an answer is drawn.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Drawing {
    /// With which marks.
    pub marks: DrawingKind,
    /// The column that goes to the right.
    pub x: String,
    /// The column that goes up.
    pub y: String,
    /// The column whose values have a line each.
    pub by: Option<String>,
}

/// Marks of a drawing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DrawingKind {
    /// Lines.
    Line,
    /// Points on axes of powers of ten.
    Points,
    /// Standing bars.
    Bars,
    /// Lying bars.
    Rows,
}

/// Why a file is no report.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum ReportError {
    /// A line that every report has.
    #[error("report {name}: no line `-- {key}: ...` at its head (title, question, needs, plot)")]
    Missing {
        /// Which report.
        name: String,
        /// Which line.
        key: &'static str,
    },
    /// A line that says nothing.
    #[error("report {name}: cannot read `{line}`; {want}")]
    Unreadable {
        /// Which report.
        name: String,
        /// The line.
        line: String,
        /// What can be read.
        want: &'static str,
    },
}

impl Report {
    /// The report of a file.
    ///
    /// # Errors
    ///
    /// [`ReportError`] if a line of the header is missing or says nothing.
    pub fn read(name: &str, sql: &str) -> Result<Self, ReportError> {
        let head = |key: &'static str| {
            let lines = sql
                .lines()
                .take_while(|line| line.starts_with("--") || line.trim().is_empty());
            let mut said =
                lines.filter_map(|line| line.strip_prefix("--")?.trim().strip_prefix(key)?.strip_prefix(':'));
            let missing = || ReportError::Missing {
                name: name.to_owned(),
                key,
            };
            said.next().map(str::trim).ok_or_else(missing)
        };
        let unreadable = |line: &str, want| ReportError::Unreadable {
            name: name.to_owned(),
            line: line.to_owned(),
            want,
        };
        let (needs, plot) = (head("needs")?, head("plot")?);
        let want = "a list as `torrents(infohash, name), peers(peer_ip)`";
        Ok(Self {
            name: name.to_owned(),
            title: head("title")?.to_owned(),
            question: head("question")?.to_owned(),
            needs: tables(needs).ok_or_else(|| unreadable(needs, want))?,
            plot: match plot {
                "none" => None,
                plot => {
                    let want =
                        "`none`, or one of line, points, bars, rows with x=COLUMN y=COLUMN and perhaps by=COLUMN";
                    Some(drawing(plot).ok_or_else(|| unreadable(plot, want))?)
                }
            },
            sql: sql.to_owned(),
        })
    }

    /// The reports that come with the program, by name.
    ///
    /// # Errors
    ///
    /// As [`Report::read`].
    pub fn built_in() -> Result<Vec<Self>, ReportError> {
        BUILT_IN.iter().map(|(name, sql)| Self::read(name, sql)).collect()
    }
}

include!(concat!(env!("OUT_DIR"), "/reports.rs"));

/// `torrents(infohash, name), peers(peer_ip)`.
fn tables(mut text: &str) -> Option<Vec<(String, Vec<String>)>> {
    let mut tables = Vec::new();
    while !text.is_empty() {
        let (table, rest) = text.split_once('(')?;
        let (columns, rest) = rest.split_once(')')?;
        let columns = columns.split(',').map(|column| column.trim().to_owned()).collect();
        tables.push((table.trim().to_owned(), columns));
        text = rest.trim_start_matches([',', ' ']);
    }
    (!tables.is_empty()).then_some(tables)
}

fn drawing(text: &str) -> Option<Drawing> {
    let mut words = text.split_whitespace();
    let marks = match words.next()? {
        "line" => DrawingKind::Line,
        "points" => DrawingKind::Points,
        "bars" => DrawingKind::Bars,
        "rows" => DrawingKind::Rows,
        _ => return None,
    };
    let (mut x, mut y, mut by) = (None, None, None);
    for word in words {
        let (key, column) = word.split_once('=')?;
        match key {
            "x" => x = Some(column.to_owned()),
            "y" => y = Some(column.to_owned()),
            "by" => by = Some(column.to_owned()),
            _ => return None,
        }
    }
    Some(Drawing {
        marks,
        x: x?,
        y: y?,
        by,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "-- title: T\n-- question: Q?\n-- needs: torrents(infohash, name), crawls(2)\n-- plot: line x=a y=b by=c\nSELECT 1";

    #[test]
    fn a_header_says_what_a_report_is() {
        let report = Report::read("mine", HEAD).unwrap();
        assert_eq!((report.title.as_str(), report.question.as_str()), ("T", "Q?"));
        assert_eq!(report.needs[0].1, ["infohash", "name"]);
        assert_eq!(report.needs[1], ("crawls".to_owned(), vec!["2".to_owned()]));
        assert_eq!(report.plot.unwrap().by.as_deref(), Some("c"));
    }

    #[test]
    fn a_header_that_lacks_a_line_says_which() {
        let told = |sql: &str| Report::read("mine", sql).unwrap_err().to_string();
        assert!(told("SELECT 1").contains("-- needs: ..."));
        assert!(told(&HEAD.replace("line x=a", "pie x=a")).contains("pie x=a"));
        assert!(told(&HEAD.replace("torrents(infohash, name), crawls(2)", "torrents")).contains("`torrents`"));
    }

    #[test]
    fn every_built_in_report_has_a_header() {
        let reports = Report::built_in().unwrap();
        assert!(reports.len() > 12);
        assert!(
            reports
                .iter()
                .all(|report| !report.title.is_empty() && report.question.contains('?'))
        );
    }
}
