//! Figures with their meaning: one list, printed for people at the end and written to run.json.

use std::fmt::Write as _;

use store::{Counter, Counters};
use world::{Member, Tally};

use super::thousands;

/// One figure of a summary.
#[derive(Clone, PartialEq, Debug)]
pub struct Figure {
    /// Its key in run.json.
    pub key: &'static str,
    /// The number.
    pub value: Counter,
    /// What it counts, in words.
    pub counts: String,
}

/// Figures by group.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Figures {
    groups: Vec<(&'static str, &'static str, Vec<Figure>)>,
}

impl Figures {
    /// Begins a group: its key in run.json and its title for people.
    pub fn group(&mut self, key: &'static str, title: &'static str) {
        self.groups.push((key, title, Vec::new()));
    }

    /// Adds a count to the current group.
    pub fn count(&mut self, key: &'static str, value: u64, counts: impl Into<String>) {
        self.push(Figure {
            key,
            value: value.into(),
            counts: counts.into(),
        });
    }

    /// Adds a ratio or a rate to the current group.
    pub fn figure(&mut self, key: &'static str, value: f64, counts: impl Into<String>) {
        // JSON has no NaN: nothing divided by nothing is left out.
        if value.is_finite() {
            self.push(Figure {
                key,
                value: value.into(),
                counts: counts.into(),
            });
        }
    }

    /// Adds every count that is not zero, as the reasons of a failure.
    pub fn reasons(&mut self, reasons: &Tally<impl Member>) {
        let mut reasons: Vec<_> = reasons.iter().filter(|(_, count)| *count > 0).collect();
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        for (reason, count) in reasons {
            self.count(reason.label(), count, reason.label().replace('_', " "));
        }
    }

    fn push(&mut self, figure: Figure) {
        if let Some((_, _, figures)) = self.groups.last_mut() {
            figures.push(figure);
        }
    }

    /// As run.json keeps them.
    pub fn counters(&self) -> Counters {
        let of = |figures: &[Figure]| {
            figures
                .iter()
                .map(|f| (f.key.to_owned(), f.value.clone()))
                .collect::<Counters>()
        };
        self.groups
            .iter()
            .map(|(key, _, figures)| ((*key).to_owned(), of(figures).into()))
            .collect()
    }

    /// As people read them: a title for each group, a line for each figure.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (_, title, figures) in self.groups.iter().filter(|(_, _, figures)| !figures.is_empty()) {
            let _ = writeln!(text, "# {title}");
            for figure in figures {
                let value = match &figure.value {
                    Counter::Count(count) => thousands(*count),
                    Counter::Figure(value) => format!("{value:.2}"),
                    Counter::Group(_) => String::new(),
                };
                let _ = writeln!(text, "#   {value:>12}  {}", figure.counts);
            }
        }
        text
    }
}

/// `part` of `whole`, or NaN when there is no whole; [`Figures::figure`] leaves that out.
pub fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

#[cfg(test)]
mod tests {
    use crawler::stats::Drop;

    use super::*;

    fn figures() -> Figures {
        let mut figures = Figures::default();
        figures.group("dht", "DHT");
        figures.count("asked", 1234, "nodes sent a query");
        figures.figure("rate", ratio(1, 4), "share that answered");
        figures.figure("none", ratio(0, 0), "nothing of nothing");
        figures.group("empty", "Never shown");
        figures
    }

    #[test]
    fn every_figure_says_what_it_counts() {
        assert_eq!(
            figures().text(),
            "# DHT\n#          1,234  nodes sent a query\n#           0.25  share that answered\n"
        );
    }

    #[test]
    fn run_json_has_the_same_figures() {
        let Counter::Group(dht) = &figures().counters()["dht"] else {
            panic!("a group")
        };
        assert_eq!(dht["asked"], Counter::Count(1234));
        assert!(!dht.contains_key("none"));
    }

    #[test]
    fn reasons_come_largest_first_and_never_zero() {
        let mut why = Tally::new();
        for drop in [Drop::Flood, Drop::OwnId, Drop::Flood] {
            why.count(drop);
        }
        let mut figures = Figures::default();
        figures.group("why", "Why");
        figures.reasons(&why);
        assert_eq!(
            figures.text(),
            "# Why\n#              2  flood\n#              1  own id\n"
        );
    }
}
