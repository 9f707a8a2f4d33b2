//! What came out: rows of text, as a table for people, as CSV, as a plot.

use std::collections::BTreeMap;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::array::{Array as _, AsArray as _};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::Float64Type;
use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use unicode_width::UnicodeWidthStr as _;

use super::report::{Drawing, DrawingKind, Report};
use crate::plot::{Line, Marks, Plot};

/// A column of an answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Numbers stand in it.
    pub numbers: bool,
}

/// An answer, or the beginning of one.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Answer {
    /// Its columns.
    pub columns: Vec<Column>,
    /// Its rows: text, empty where there is nothing.
    pub rows: Vec<Vec<String>>,
    /// The same as numbers, where they are some.
    pub numbers: Vec<Vec<Option<f64>>>,
    /// There are more rows than these.
    pub more: bool,
}

/// Characters of a field that a terminal is given.
const WIDE: usize = 60;

impl Answer {
    /// The first `most` rows of these batches.
    pub(super) fn of(schema: &Schema, batches: &[RecordBatch], most: usize) -> Result<Self, ArrowError> {
        let options = FormatOptions::default().with_null("");
        let mut answer = Self {
            columns: schema
                .fields()
                .iter()
                .map(|field| Column {
                    name: field.name().clone(),
                    numbers: field.data_type().is_numeric(),
                })
                .collect(),
            ..Self::default()
        };
        for batch in batches {
            let columns = batch.columns().iter();
            let texts = columns
                .clone()
                .map(|column| ArrayFormatter::try_new(column.as_ref(), &options));
            let texts = texts.collect::<Result<Vec<_>, _>>()?;
            let numbers = columns.map(|column| {
                let column = column
                    .data_type()
                    .is_numeric()
                    .then(|| cast(column, &DataType::Float64));
                column.transpose()
            });
            let numbers = numbers.collect::<Result<Vec<_>, _>>()?;
            for row in 0..batch.num_rows() {
                if answer.rows.len() == most {
                    answer.more = true;
                    return Ok(answer);
                }
                answer
                    .rows
                    .push(texts.iter().map(|column| column.value(row).to_string()).collect());
                let number = |column: &Option<_>| {
                    let column: &std::sync::Arc<dyn datafusion::arrow::array::Array> = column.as_ref()?;
                    let column = column.as_primitive::<Float64Type>();
                    column.is_valid(row).then(|| column.value(row))
                };
                answer.numbers.push(numbers.iter().map(number).collect());
            }
        }
        Ok(answer)
    }

    /// A table for a terminal: columns side by side, numbers to the right, the first `most` rows.
    pub fn table(&self, most: usize) -> String {
        let shown: Vec<Vec<String>> = self
            .rows
            .iter()
            .take(most)
            .map(|row| row.iter().map(|field| harmless(field)).collect())
            .collect();
        let widths: Vec<usize> = self
            .columns
            .iter()
            .enumerate()
            .map(|(at, column)| {
                let fields = shown.iter().filter_map(|row| row.get(at)).map(|field| field.width());
                fields.max().unwrap_or(0).max(column.name.width())
            })
            .collect();
        let mut text = String::new();
        let line = |fields: &mut dyn Iterator<Item = &str>, text: &mut String| {
            let mut whole = String::new();
            for ((field, width), column) in fields.zip(&widths).zip(&self.columns) {
                let gap = " ".repeat(width.saturating_sub(field.width()));
                let (before, after) = if column.numbers {
                    (gap.as_str(), "")
                } else {
                    ("", gap.as_str())
                };
                whole.push_str("  ");
                whole.push_str(before);
                whole.push_str(field);
                whole.push_str(after);
            }
            text.push_str(whole.trim_end());
            text.push('\n');
        };
        line(&mut self.columns.iter().map(|column| column.name.as_str()), &mut text);
        for row in &shown {
            line(&mut row.iter().map(String::as_str), &mut text);
        }
        let left = self.rows.len().saturating_sub(most);
        if left > 0 || self.more {
            let more = if self.more { " and more" } else { "" };
            text.push_str(&format!("  ... {left}{more} rows not shown\n"));
        }
        text
    }

    /// The same as CSV, RFC 4180 quoting; with a header if it is the beginning.
    pub fn csv(&self, header: bool) -> String {
        let mut text = String::new();
        let mut line = |fields: &mut dyn Iterator<Item = &str>| {
            for (at, field) in fields.enumerate() {
                if at > 0 {
                    text.push(',');
                }
                if field.contains(['"', ',', '\n', '\r']) {
                    text.push('"');
                    text.push_str(&field.replace('"', "\"\""));
                    text.push('"');
                } else {
                    text.push_str(field);
                }
            }
            text.push('\n');
        };
        if header {
            line(&mut self.columns.iter().map(|column| column.name.as_str()));
        }
        for row in &self.rows {
            line(&mut row.iter().map(String::as_str));
        }
        text
    }

    /// The plot that the report wants, if it wants one and has its columns.
    pub fn plot(&self, report: &Report) -> Option<Plot> {
        let drawing = report.plot.as_ref()?;
        let at = |name: &str| self.columns.iter().position(|column| column.name == name);
        let (x, y) = (at(&drawing.x)?, at(&drawing.y)?);
        let marks = match drawing.marks {
            DrawingKind::Bars => Marks::Bars(self.named(x, y)),
            DrawingKind::Rows => Marks::Rows(self.named(x, y)),
            DrawingKind::Line => Marks::Lines(self.lines(x, y, drawing)),
            DrawingKind::Points => Marks::Points(self.lines(x, y, drawing)),
        };
        Some(Plot {
            key: report.name.clone(),
            title: report.title.clone(),
            x: drawing.x.replace('_', " "),
            y: drawing.y.replace('_', " "),
            marks,
        })
    }

    fn named(&self, x: usize, y: usize) -> Vec<(String, f64)> {
        let rows = self.rows.iter().zip(&self.numbers);
        rows.filter_map(|(texts, numbers)| Some((harmless(texts.get(x)?), (*numbers.get(y)?)?)))
            .collect()
    }

    fn lines(&self, x: usize, y: usize, drawing: &Drawing) -> Vec<Line> {
        let by = drawing
            .by
            .as_ref()
            .and_then(|by| self.columns.iter().position(|column| column.name == *by));
        let mut lines: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
        for (texts, numbers) in self.rows.iter().zip(&self.numbers) {
            let name = by
                .and_then(|by| texts.get(by))
                .map(|name| harmless(name))
                .unwrap_or_default();
            if let (Some(Some(x)), Some(Some(y))) = (numbers.get(x), numbers.get(y)) {
                lines.entry(name).or_default().push((*x, *y));
            }
        }
        let line = |(name, points)| Line {
            name,
            points,
            band: Vec::new(),
        };
        lines.into_iter().map(line).collect()
    }
}

/// Text of strangers as a terminal may see it: no control characters, none that turn the direction of writing, not too long.
pub(super) fn harmless(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}');
    let mut out: String = text
        .chars()
        .take(WIDE)
        .map(|c| if c.is_control() || turns(c) { '\u{fffd}' } else { c })
        .collect();
    if text.chars().nth(WIDE).is_some() {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> Answer {
        let column = |name: &str, numbers| Column {
            name: name.to_owned(),
            numbers,
        };
        Answer {
            columns: vec![column("name", false), column("n", true)],
            rows: vec![
                vec!["a\u{1b}[2J,\"b\"".to_owned(), "7".to_owned()],
                vec![String::new(), "1200".to_owned()],
            ],
            numbers: vec![vec![None, Some(7.0)], vec![None, Some(1200.0)]],
            more: false,
        }
    }

    #[test]
    fn tables_align_and_show_no_control_characters() {
        assert_eq!(
            answer().table(9),
            "  name          n\n  a\u{fffd}[2J,\"b\"     7\n             1200\n"
        );
        assert!(answer().table(1).ends_with("  ... 1 rows not shown\n"));
    }

    #[test]
    fn csv_is_quoted() {
        assert_eq!(answer().csv(true), "name,n\n\"a\u{1b}[2J,\"\"b\"\"\",7\n,1200\n");
    }
}
