//! Figures with their meaning: one list, printed for people at the end and written to run.json.

use std::fmt::Write as _;

use store::{Counter, Counters};
use world::{Member, Tally};

use analysis::Estimate;

use super::{interval, percent, thousands};

mod exposition;

/// One figure of a summary.
#[derive(Clone, PartialEq, Debug)]
pub struct Figure {
    /// Its key in run.json.
    pub key: &'static str,
    /// The number.
    pub value: Counter,
    /// What it counts, in words.
    pub counts: String,
    /// What to add to that for people: a share, a detail.
    remark: String,
    kind: Kind,
    /// For metrics: one of many series that differ in this label.
    label: Option<Label>,
    /// An end of an interval: people read it with its value.
    is_end: bool,
}

/// What a number does in the course of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// It only grows.
    Total,
    /// It rises and falls.
    Level,
}

/// A label of a metric, and its value.
pub(super) type Label = (&'static str, &'static str);

/// Figures that belong together.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Group {
    key: &'static str,
    title: String,
    /// For metrics: the name that the group shares with others, which differ in the label.
    family: &'static str,
    /// What the metric of that name is, where it is one for all labels.
    help: Option<&'static str>,
    label: Option<Label>,
    figures: Vec<Figure>,
}

/// Figures by group.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Figures {
    groups: Vec<Group>,
}

impl Figures {
    /// Begins a group: its key in run.json, its title for people, and its part in the names of metrics.
    pub fn group(&mut self, key: &'static str, title: impl Into<String>) {
        self.groups.push(Group {
            key,
            title: title.into(),
            family: key,
            help: None,
            label: None,
            figures: Vec::new(),
        });
    }

    /// Begins one of several groups whose metrics differ in a label only: `family` is their name and what they all count.
    pub fn group_of(
        &mut self,
        key: &'static str,
        title: impl Into<String>,
        family: (&'static str, &'static str),
        label: Label,
    ) {
        self.group(key, title);
        if let Some(group) = self.groups.last_mut() {
            (group.family, group.help) = (family.0, Some(family.1));
            group.label = Some(label);
        }
    }

    /// Adds a count to the current group.
    pub fn count(&mut self, key: &'static str, value: u64, counts: impl Into<String>) {
        self.push(key, value.into(), Kind::Total, counts.into());
    }

    /// Adds a number that rises and falls to the current group.
    pub fn level(&mut self, key: &'static str, value: u64, counts: impl Into<String>) {
        self.push(key, value.into(), Kind::Level, counts.into());
    }

    /// Adds a ratio or a rate to the current group.
    pub fn figure(&mut self, key: &'static str, value: f64, counts: impl Into<String>) {
        // JSON has no NaN: nothing divided by nothing is left out.
        if value.is_finite() {
            self.push(key, value.into(), Kind::Level, counts.into());
        }
    }

    /// Adds an estimate of a number and the ends of its interval, under these three keys: `what` it is, in a few words. People
    /// read them in one line.
    pub fn estimate(&mut self, what: &str, keys: [&'static str; 3], estimate: &Estimate) {
        self.interval(what, &interval(estimate), keys, estimate, |number| {
            (number.round() as u64).into()
        });
    }

    /// The same of a share.
    pub fn estimated_share(&mut self, what: &str, keys: [&'static str; 3], estimate: &Estimate) {
        self.interval(what, &percent(estimate), keys, estimate, Counter::from);
    }

    fn interval(
        &mut self,
        what: &str,
        text: &str,
        keys: [&'static str; 3],
        estimate: &Estimate,
        counter: impl Fn(f64) -> Counter,
    ) {
        let [value, low, high] = keys;
        let method = estimate.method;
        let counts = format!("{what}: {}", method.counts);
        self.push(value, counter(estimate.value), Kind::Level, counts);
        self.remark(format!(
            "({text} at 95%, by {}; assumed: {})",
            method.name, method.assumes
        ));
        for (key, end, which) in [(low, estimate.low, "lower"), (high, estimate.high, "upper")] {
            let counts = format!("the {which} end of the 95% interval of {value}");
            self.push(key, counter(end), Kind::Level, counts);
            if let Some(figure) = self.last_mut() {
                figure.is_end = true;
            }
        }
    }

    /// Adds a count that is one series of its group's metric: the label is `name` and its value the key.
    pub fn labelled(&mut self, name: &'static str, key: &'static str, value: u64, counts: impl Into<String>) {
        self.push(key, value.into(), Kind::Total, counts.into());
        if let Some(figure) = self.last_mut() {
            figure.label = Some((name, key));
        }
    }

    /// Adds for people what the last figure comes to, as `(12.5% of the dialled)`.
    pub fn remark(&mut self, remark: impl Into<String>) {
        if let Some(figure) = self.last_mut() {
            figure.remark = remark.into();
        }
    }

    /// Adds every count, largest first, as the reasons of a failure. People are shown those that happened.
    pub fn reasons(&mut self, reasons: &Tally<impl Member>) {
        let mut reasons: Vec<_> = reasons.iter().collect();
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        for (reason, count) in reasons {
            self.labelled("reason", reason.label(), count, reason.label().replace('_', " "));
        }
    }

    fn push(&mut self, key: &'static str, value: Counter, kind: Kind, counts: String) {
        if let Some(group) = self.groups.last_mut() {
            group.figures.push(Figure {
                key,
                value,
                counts,
                remark: String::new(),
                kind,
                label: None,
                is_end: false,
            });
        }
    }

    fn last_mut(&mut self) -> Option<&mut Figure> {
        self.groups.last_mut()?.figures.last_mut()
    }

    /// As run.json keeps them.
    pub fn counters(&self) -> Counters {
        let of = |group: &Group| {
            let told = group.figures.iter().filter(|figure| figure.is_told());
            told.map(|f| (f.key.to_owned(), f.value.clone())).collect::<Counters>()
        };
        self.told()
            .map(|group| (group.key.to_owned(), of(group).into()))
            .collect()
    }

    /// As people read them: a title for each group, a line for each figure.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for group in self.told() {
            let mut title = Some(&group.title);
            for figure in group.figures.iter().filter(|figure| figure.is_told() && !figure.is_end) {
                if let Some(title) = title.take() {
                    let _ = writeln!(text, "# {title}");
                }
                let value = match &figure.value {
                    Counter::Count(count) => thousands(*count),
                    Counter::Figure(value) => format!("{value:.2}"),
                    Counter::Group(_) => String::new(),
                };
                let between = if figure.remark.is_empty() { "" } else { " " };
                let _ = writeln!(text, "#   {value:>12}  {}{between}{}", figure.counts, figure.remark);
            }
        }
        text
    }

    /// The groups for people: not one of several of its kind in which nothing happened.
    fn told(&self) -> impl Iterator<Item = &Group> {
        let happened = |group: &&Group| group.figures.iter().any(|figure| figure.value != Counter::Count(0));
        self.groups
            .iter()
            .filter(move |group| group.label.is_none() || happened(group))
    }

    /// As a Prometheus server reads them (text exposition format 0.0.4).
    pub fn metrics(&self) -> String {
        exposition::text(&self.groups)
    }
}

impl Figure {
    /// A series of a metric that never happened is no line for people.
    fn is_told(&self) -> bool {
        self.label.is_none_or(|(name, _)| name != "reason") || self.value != Counter::Count(0)
    }
}

/// `(12.5% of the WHOLE)`, or nothing when there is no whole.
pub fn share(part: u64, whole: u64, of_what: &str) -> String {
    match ratio(part, whole) {
        share if share.is_finite() => format!("({:.1}% of the {of_what})", 100.0 * share),
        _ => String::new(),
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

    #[test]
    fn an_estimate_is_one_line_for_people_and_three_numbers_for_programs() {
        let mut figures = Figures::default();
        figures.group("estimates", "Estimates");
        let estimate = Estimate {
            low: 90.0,
            high: 120.0,
            ..Estimate::exact(100.2, &analysis::size::ZONE)
        };
        figures.estimate("nodes", ["nodes", "nodes_low", "nodes_high"], &estimate);
        let text = figures.text();
        assert_eq!(text.lines().count(), 2);
        assert!(
            text.contains("(100 (90 to 120) at 95%, by zone density; assumed: ids"),
            "{text}"
        );
        let Counter::Group(told) = &figures.counters()["estimates"] else {
            panic!("a group")
        };
        let number = |key| told[key].clone();
        assert_eq!(
            [number("nodes"), number("nodes_low"), number("nodes_high")],
            [100, 90, 120].map(Counter::Count)
        );
    }

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
    fn metrics_have_names_with_units_help_and_every_series() {
        let mut figures = figures();
        for (key, via) in [("one", "tcp"), ("two", "utp")] {
            figures.group_of(key, key, ("streams", "Reached"), ("via", via));
            figures.labelled("stage", "connected", 3, "opened");
            figures.level("open", 2, "are \\ open");
        }
        figures.group("drops", "Dropped");
        let mut why = Tally::new();
        why.count(Drop::Flood);
        figures.reasons(&why);
        let text = figures.metrics();
        let (dropped, rest) = text.split_at(text.find("# HELP estudely_drops_total").unwrap());
        assert_eq!(
            dropped,
            "# HELP estudely_dht_asked_total nodes sent a query\n\
             # TYPE estudely_dht_asked_total counter\n\
             estudely_dht_asked_total 1234\n\
             # HELP estudely_dht_rate share that answered\n\
             # TYPE estudely_dht_rate gauge\n\
             estudely_dht_rate 0.25\n\
             # HELP estudely_streams_total Reached\n\
             # TYPE estudely_streams_total counter\n\
             estudely_streams_total{via=\"tcp\",stage=\"connected\"} 3\n\
             estudely_streams_total{via=\"utp\",stage=\"connected\"} 3\n\
             # HELP estudely_streams_open are \\\\ open\n\
             # TYPE estudely_streams_open gauge\n\
             estudely_streams_open{via=\"tcp\"} 2\n\
             estudely_streams_open{via=\"utp\"} 2\n"
        );
        assert!(rest.contains("estudely_drops_total{reason=\"flood\"} 1\n"), "{rest}");
        assert_eq!(rest.lines().count(), Drop::ALL.len() + 2, "zeros are series, too");
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
