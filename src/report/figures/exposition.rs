//! Figures as metrics: the text exposition format of Prometheus, version 0.0.4.

use std::fmt::Write as _;

use store::Counter;

use super::{Figure, Group, Kind};

/// A metric: all series of one name, which must stand together.
struct Family {
    name: String,
    help: String,
    kind: Kind,
    /// Lines, each with its newline.
    series: String,
}

/// All figures, by metric, in the order in which their first series come.
pub(super) fn text(groups: &[Group]) -> String {
    let mut families: Vec<Family> = Vec::new();
    for group in groups {
        for figure in &group.figures {
            let name = name(group, figure);
            let at = families.iter().position(|family| family.name == name);
            let at = at.unwrap_or_else(|| {
                families.push(begin(name, group, figure));
                families.len() - 1
            });
            if let Some(family) = families.get_mut(at) {
                put_series(family, group, figure);
            }
        }
    }
    let mut text = String::new();
    for Family {
        name,
        help,
        kind,
        series,
    } in &families
    {
        let kind = match kind {
            Kind::Total => "counter",
            Kind::Level => "gauge",
        };
        let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{series}");
    }
    text
}

/// `estudely_GROUP_KEY`, without the key where that is a label; counters end in `_total`.
fn name(group: &Group, figure: &Figure) -> String {
    let mut name = format!("estudely_{}", group.family);
    if figure.label.is_none() {
        let _ = write!(name, "_{}", figure.key);
    }
    if figure.kind == Kind::Total {
        name.push_str("_total");
    }
    name
}

fn begin(name: String, group: &Group, figure: &Figure) -> Family {
    let help = if figure.label.is_some() {
        group.help.unwrap_or(&group.title)
    } else {
        &figure.counts
    };
    Family {
        name,
        help: help.replace('\\', "\\\\").replace('\n', "\\n"),
        kind: figure.kind,
        series: String::new(),
    }
}

fn put_series(family: &mut Family, group: &Group, figure: &Figure) {
    let series = &mut family.series;
    series.push_str(&family.name);
    // Names and values of labels are words of this program: nothing in them has to be escaped.
    for (index, (name, value)) in group.label.iter().chain(&figure.label).enumerate() {
        let before = if index == 0 { '{' } else { ',' };
        let _ = write!(series, "{before}{name}=\"{value}\"");
    }
    if group.label.is_some() || figure.label.is_some() {
        series.push('}');
    }
    let _ = match &figure.value {
        Counter::Count(count) => writeln!(series, " {count}"),
        Counter::Figure(value) => writeln!(series, " {value}"),
        // No figure is made of others.
        Counter::Group(_) => writeln!(series, " 0"),
    };
}
