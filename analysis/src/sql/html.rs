//! A page with all answers: one file, nothing fetched from anywhere, tables that sort, plots as SVG, light and dark.

use std::fmt::Write as _;

use super::{Answer, Report};
use crate::plot::escaped;

/// Rows of a table on the page.
const ROWS: usize = 500;

/// What the page is of.
#[derive(Clone, Debug)]
pub struct Page<'a> {
    /// What was read: crawls, files, rows.
    pub about: Vec<String>,
    /// The reports with their answers, and why others have none.
    pub answered: &'a [(Report, Result<Answer, String>)],
}

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

impl Page<'_> {
    /// The page.
    pub fn html(&self) -> String {
        let mut html = format!(
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
             <meta name=\"color-scheme\" content=\"light dark\"><meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
             style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:\"><link rel=\"icon\" href=\"data:,\">\
             <title>estudely analyze report</title><style>{STYLE}</style></head>\n<body><h1>What the crawls say</h1>\n"
        );
        for line in &self.about {
            let _ = writeln!(html, "<p>{}</p>", escaped(line));
        }
        html.push_str("<nav>");
        for (report, answer) in self.answered {
            if answer.is_ok() {
                let _ = write!(html, "<a href=\"#{0}\">{0}</a> ", escaped(&report.name));
            }
        }
        html.push_str("</nav>\n");
        for (report, answer) in self.answered {
            if let Ok(answer) = answer {
                section(report, answer, &mut html);
            }
        }
        let without: Vec<_> = self
            .answered
            .iter()
            .filter_map(|(report, answer)| Some((report, answer.as_ref().err()?)))
            .collect();
        if !without.is_empty() {
            html.push_str("<section><h2>Not answered</h2><ul>\n");
            for (report, why) in without {
                let _ = writeln!(html, "<li>{}: {}</li>", escaped(&report.title), escaped(why));
            }
            html.push_str("</ul></section>\n");
        }
        let _ = writeln!(html, "<script>{SCRIPT}</script></body></html>");
        html
    }
}

fn section(report: &Report, answer: &Answer, html: &mut String) {
    let _ = writeln!(
        html,
        "<section id=\"{}\"><h2>{}</h2><p>{}</p>",
        escaped(&report.name),
        escaped(&report.title),
        escaped(&report.question)
    );
    if let Some(plot) = answer.plot(report) {
        let _ = writeln!(html, "<div class=\"figure\">{}</div>", plot.svg());
    }
    html.push_str("<div class=\"figure\"><table><thead><tr>");
    for column in &answer.columns {
        let class = if column.numbers { " class=\"n\"" } else { "" };
        let _ = write!(
            html,
            "<th{class} aria-sort=\"none\"><button>{}</button></th>",
            escaped(&column.name.replace('_', " "))
        );
    }
    html.push_str("</tr></thead><tbody>\n");
    for row in answer.rows.iter().take(ROWS) {
        html.push_str("<tr>");
        for (field, column) in row.iter().zip(&answer.columns) {
            let class = if column.numbers { " class=\"n\"" } else { "" };
            let _ = write!(html, "<td{class}>{}</td>", escaped(field));
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody></table></div>\n");
    let left = answer.rows.len().saturating_sub(ROWS);
    if left > 0 || answer.more {
        let _ = writeln!(html, "<p>{left} more rows are not shown here.</p>");
    }
    let _ = writeln!(
        html,
        "<details><summary>SQL</summary><pre>{}</pre></details></section>",
        escaped(report.sql.trim())
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::Column;

    #[test]
    fn a_page_fetches_nothing_and_shows_names_as_text() {
        let sql = "-- title: T\n-- question: Q?\n-- needs: torrents(name)\n-- plot: rows x=name y=n\nSELECT 1";
        let report = Report::read("mine", sql).unwrap();
        let answer = Answer {
            columns: vec![
                Column {
                    name: "name".to_owned(),
                    numbers: false,
                },
                Column {
                    name: "n".to_owned(),
                    numbers: true,
                },
            ],
            rows: vec![vec!["<img src=x onerror=alert(1)>".to_owned(), "3".to_owned()]],
            numbers: vec![vec![None, Some(3.0)]],
            more: false,
        };
        let missing = Report::read("other", sql).unwrap();
        let answered = [(report, Ok(answer)), (missing, Err("no nodes".to_owned()))];
        let html = Page {
            about: vec!["one crawl".to_owned()],
            answered: &answered,
        }
        .html();
        assert!(!html.contains("<img") && html.contains("&lt;img src=x"));
        assert!(html.contains("<svg") && html.contains("no nodes"));
        let links = html.replace("http://www.w3.org/2000/svg", "");
        assert!(!links.contains("http://") && !links.contains("https://"));
    }
}
