//! Line plots as SVG: no script, colours for light and for dark.

use std::fmt::Write as _;

/// One line of a plot.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) name: String,
    pub(super) points: Vec<(f64, f64)>,
    /// Lower and upper end of an interval around each point, if there is one.
    pub(super) band: Vec<(f64, f64, f64)>,
}

/// One plot.
#[derive(Clone, Debug)]
pub(super) struct Plot {
    /// The name of its file, without the ending.
    pub(super) key: &'static str,
    pub(super) title: &'static str,
    pub(super) x: &'static str,
    pub(super) y: &'static str,
    pub(super) lines: Vec<Line>,
}

/// Size of a plot and of its margins, in units of the SVG.
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 380.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 36.0;
const BOTTOM: f64 = 74.0;
/// Colours that eight lines are told apart by, in light and in dark (Okabe and Ito).
const COLOURS: [&str; 8] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a6d3b", "#7f7f7f",
];
/// Ink and paper of a plot, by what the reader's system prefers.
pub(super) const STYLE: &str = ".plot{--ink:#222;--faint:#ddd;--paper:#fff;font:13px sans-serif}\
    @media(prefers-color-scheme:dark){.plot{--ink:#ddd;--faint:#444;--paper:#181818}}\
    .plot text{fill:var(--ink)}.plot .grid{stroke:var(--faint)}.plot .paper{fill:var(--paper)}";

impl Plot {
    /// The plot as an SVG element that can stand alone.
    pub(super) fn svg(&self) -> String {
        let (x_most, y_most) = self.most();
        let mut svg = format!(
            "<svg class=\"plot\" xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\"><style>{STYLE}</style>\
             <rect class=\"paper\" width=\"{WIDTH}\" height=\"{HEIGHT}\"/><text x=\"{LEFT}\" y=\"20\" font-weight=\"bold\">{}</text>\n",
            escaped(self.title)
        );
        let at = |x: f64, y: f64| {
            let across = LEFT + (WIDTH - LEFT - RIGHT) * x / x_most;
            (across, HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * y / y_most)
        };
        self.axes(&mut svg, at);
        for (index, line) in self.lines.iter().enumerate() {
            let colour = COLOURS[index % COLOURS.len()];
            let path = |points: &mut dyn Iterator<Item = (f64, f64)>| {
                points.fold(String::new(), |mut path, (x, y)| {
                    let (x, y) = at(x, y.min(y_most));
                    let _ = write!(path, "{x:.1},{y:.1} ");
                    path
                })
            };
            if !line.band.is_empty() {
                let lower = line.band.iter().map(|(x, low, _)| (*x, *low));
                let upper = line.band.iter().rev().map(|(x, _, high)| (*x, *high));
                let _ = writeln!(
                    svg,
                    "<polygon fill=\"{colour}\" fill-opacity=\"0.2\" points=\"{}\"/>",
                    path(&mut lower.chain(upper))
                );
            }
            let _ = writeln!(
                svg,
                "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"{}\"/>",
                path(&mut line.points.iter().copied())
            );
            let x = LEFT + (index % 4) as f64 * 155.0;
            let y = HEIGHT - 24.0 + (index / 4) as f64 * 16.0;
            let _ = writeln!(
                svg,
                "<rect x=\"{x}\" y=\"{}\" width=\"12\" height=\"4\" fill=\"{colour}\"/><text x=\"{}\" y=\"{y}\">{}</text>",
                y - 7.0,
                x + 17.0,
                escaped(&line.name)
            );
        }
        svg.push_str("</svg>\n");
        svg
    }

    /// Ticks, the lines across, and what both axes are.
    fn axes(&self, svg: &mut String, at: impl Fn(f64, f64) -> (f64, f64)) {
        let (x_most, y_most) = self.most();
        for tick in ticks(y_most) {
            let (_, y) = at(0.0, tick);
            let _ = writeln!(
                svg,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/><text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                WIDTH - RIGHT,
                LEFT - 6.0,
                y + 4.0,
                number(tick)
            );
        }
        for tick in ticks(x_most) {
            let (x, y) = at(tick, 0.0);
            let _ = writeln!(
                svg,
                "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                y + 18.0,
                number(tick)
            );
        }
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text><text x=\"{LEFT}\" y=\"{}\" font-style=\"italic\">{}</text>",
            WIDTH - RIGHT,
            HEIGHT - BOTTOM + 36.0,
            escaped(self.x),
            HEIGHT - BOTTOM + 36.0,
            escaped(self.y)
        );
    }

    /// The ends of both axes.
    fn most(&self) -> (f64, f64) {
        let points = self.lines.iter().flat_map(|line| &line.points);
        let most = points.fold((0.0_f64, 0.0_f64), |most, (x, y)| (most.0.max(*x), most.1.max(*y)));
        let sound = |most: f64| if most > 0.0 && most.is_finite() { most } else { 1.0 };
        (sound(most.0), sound(most.1) * 1.05)
    }
}

/// Four to ten round numbers up to `most`.
fn ticks(most: f64) -> impl Iterator<Item = f64> {
    let rough = most / 5.0;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| *step >= rough)
        .unwrap_or(rough);
    (0..=10)
        .map(move |tick| f64::from(tick) * step)
        .filter(move |tick| *tick <= most)
}

fn number(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{}M", value / 1e6),
        value if value >= 1e4 => format!("{}k", value / 1e3),
        value => format!("{}", (value * 1e6).round() / 1e6),
    }
}

/// Text that stands in SVG and HTML as it is.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_few() {
        assert_eq!(
            ticks(1.0).collect::<Vec<_>>(),
            [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]
        );
        assert_eq!(ticks(43_000.0).last(), Some(40_000.0));
        for most in [0.003, 7.0, 12.0, 99.0, 2.5e7] {
            assert!((3..=10).contains(&ticks(most).count()), "{most}");
        }
    }

    #[test]
    fn a_plot_of_nothing_is_still_a_picture() {
        let plot = Plot {
            key: "none",
            title: "a < b",
            x: "",
            y: "",
            lines: Vec::new(),
        };
        assert!(plot.svg().contains("a &lt; b") && plot.svg().ends_with("</svg>\n"));
    }
}
