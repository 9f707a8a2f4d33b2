//! The report of a simulation: one page that needs nothing beside it, and its plots as files.

use std::fmt::Write as _;

use analysis::plot::{Line, Marks, Plot, escaped};

use super::bias::{Bias, Classes};
use super::load::quantile;
use super::result::{Outcome, figures};
use crate::args::SimulateArgs;

/// All plots that there is something to show in.
pub(super) fn plots(outcomes: &[Outcome]) -> Vec<Plot> {
    let mut plots = vec![
        Plot {
            key: "infohashes".to_owned(),
            title: "New infohashes against queries".to_owned(),
            x: "DHT queries sent".to_owned(),
            y: "distinct infohashes".to_owned(),
            marks: lines(outcomes, |o| {
                o.points
                    .iter()
                    .map(|p| (p.queries as f64, p.infohashes as f64))
                    .collect()
            }),
        },
        Plot {
            key: "metadata".to_owned(),
            title: "Infohashes with metadata over time".to_owned(),
            x: "virtual hours".to_owned(),
            y: "infohashes with metadata".to_owned(),
            marks: lines(outcomes, |o| {
                o.points
                    .iter()
                    .map(|p| (p.at as f64 / 3600.0, p.metadata as f64))
                    .collect()
            }),
        },
        Plot {
            key: "load".to_owned(),
            title: "Load per host".to_owned(),
            x: "percentile of the hours in which a host was asked".to_owned(),
            y: "queries to a host in an hour".to_owned(),
            marks: lines(outcomes, |o| {
                let at = |percent: u32| (f64::from(percent), quantile(&o.load, f64::from(percent) / 100.0) as f64);
                (1..=100).map(at).collect()
            }),
        },
        Plot {
            key: "coverage".to_owned(),
            title: "Coverage by prefix".to_owned(),
            x: "zone of the key space (first six bits)".to_owned(),
            y: "share of the planted infohashes that was found".to_owned(),
            marks: lines(outcomes, |o| {
                let share = |(zone, (planted, found)): (usize, &(u64, u64))| {
                    (zone as f64, *found as f64 / (*planted).max(1) as f64)
                };
                o.zones.iter().enumerate().map(share).collect()
            }),
        },
    ];
    plots.extend(of_truth(outcomes));
    plots
}

/// What is known of the whole, held against it.
fn of_truth(outcomes: &[Outcome]) -> impl Iterator<Item = Plot> {
    let estimates = [
        estimate(
            "estimate-keys",
            "Infohashes: estimate (with its 95% interval) against truth",
            outcomes,
            |o| (&o.estimates.keys, o.coverage().0),
        ),
        estimate(
            "estimate-nodes",
            "Nodes: estimate (with its 95% interval) against truth",
            outcomes,
            |o| (&o.estimates.nodes, o.nodes.1),
        ),
    ];
    let found = bias(
        "bias-found",
        "Bias before weighting: what samples showed, by listed peers",
        outcomes,
        |bias| &bias.shown,
    );
    let weighted = bias(
        "bias-weighted",
        "Bias after weighting by one by the chance to be shown",
        outcomes,
        |bias| &bias.weighted,
    );
    [found, weighted].into_iter().chain(estimates.into_iter().flatten())
}

fn lines(outcomes: &[Outcome], points: impl Fn(&Outcome) -> Vec<(f64, f64)>) -> Marks {
    let line = |outcome: &Outcome| Line {
        name: outcome.policy.label().to_owned(),
        points: points(outcome),
        band: Vec::new(),
    };
    Marks::Lines(outcomes.iter().map(line).collect())
}

/// How much larger or smaller the share of each class of torrents is than in truth: 1 is no bias.
fn bias(key: &str, title: &str, outcomes: &[Outcome], of: impl Fn(&Bias) -> &Classes) -> Plot {
    Plot {
        key: key.to_owned(),
        title: title.to_owned(),
        x: "listed peers: 1, 2, 3 to 5, 6 to 10, 11 to 30, more".to_owned(),
        y: "share shown by true share".to_owned(),
        marks: lines(outcomes, |o| {
            let shares = of(&o.bias).shares().into_iter().zip(o.bias.planted.shares());
            let points = shares.enumerate().filter(|(_, (_, truth))| *truth > 0.0);
            points
                .map(|(class, (share, truth))| (class as f64, share / truth))
                .collect()
        }),
    }
}

/// An estimate over time and the truth; `None` if no policy made one.
fn estimate(
    key: &str,
    title: &str,
    outcomes: &[Outcome],
    of: impl Fn(&Outcome) -> (&Vec<(u64, [f64; 3])>, u64),
) -> Option<Plot> {
    let mut lines = Vec::new();
    for outcome in outcomes {
        let (course, truth) = of(outcome);
        let hours = |at: u64| at as f64 / 3600.0;
        let Some((last, _)) = course.last() else { continue };
        lines.push(Line {
            name: outcome.policy.label().to_owned(),
            points: course.iter().map(|(at, [_, value, _])| (hours(*at), *value)).collect(),
            band: course
                .iter()
                .map(|(at, [low, _, high])| (hours(*at), *low, *high))
                .collect(),
        });
        lines.push(Line {
            name: "truth".to_owned(),
            points: vec![(0.0, truth as f64), (hours(*last), truth as f64)],
            band: Vec::new(),
        });
    }
    (!lines.is_empty()).then_some(Plot {
        key: key.to_owned(),
        title: title.to_owned(),
        x: "virtual hours".to_owned(),
        y: "number".to_owned(),
        marks: Marks::Lines(lines),
    })
}

/// The page.
pub(super) fn page(args: &SimulateArgs, outcomes: &[Outcome], plots: &[Plot]) -> String {
    let title = format!(
        "{} nodes, {} virtual hours, {:?}, {} queries/s, seed {}",
        crate::report::thousands(args.nodes.into()),
        args.hours,
        args.profile,
        args.queries_per_second(),
        args.seed
    );
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"color-scheme\" content=\"light dark\">\
         <title>estudely simulate: {title}</title><style>body{{font:15px sans-serif;max-width:60em;margin:2em auto;padding:0 1em}}\
         table{{border-collapse:collapse}}td,th{{padding:.2em .8em;text-align:right;border-bottom:1px solid #8884}}\
         td:first-child{{text-align:left}}svg{{width:100%;margin:1em 0}}</style></head>\n<body><h1>estudely simulate</h1><p>{title}</p>\n<table><tr><th></th>"
    );
    for outcome in outcomes {
        let _ = write!(html, "<th>{}</th>", outcome.policy.label());
    }
    html.push_str("</tr>\n");
    for (name, cells) in figures(outcomes) {
        let _ = write!(html, "<tr><td>{}</td>", escaped(name));
        for cell in cells {
            let _ = write!(html, "<td>{}</td>", escaped(&cell));
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</table>\n");
    for plot in plots {
        html.push_str(&plot.svg());
    }
    html.push_str("</body></html>\n");
    html
}
