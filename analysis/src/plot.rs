//! Plots as SVG: no script, colours for light and for dark.
//!
//! | marks | for |
//! |---|---|
//! | [`Marks::Lines`] | what goes on with something, with an interval around it if there is one |
//! | [`Marks::Points`] | the same on axes of powers of ten |
//! | [`Marks::Bars`] | how many of each kind, where kinds have an order |
//! | [`Marks::Rows`] | the same where they have names and no order |

use std::fmt::Write as _;

mod axis;
mod bars;

pub use axis::number;
use axis::{powers, ticks};

/// One line of a plot.
#[derive(Clone, Debug)]
pub struct Line {
    /// What it is of.
    pub name: String,
    /// Its points, in ascending order of the first figure.
    pub points: Vec<(f64, f64)>,
    /// Lower and upper end of an interval around each point, if there is one.
    pub band: Vec<(f64, f64, f64)>,
}

/// What is drawn.
#[derive(Clone, Debug)]
pub enum Marks {
    /// Lines on plain axes that begin at zero.
    Lines(Vec<Line>),
    /// Points on axes of powers of ten; what is not above zero is left out.
    Points(Vec<Line>),
    /// Standing bars, each with its name.
    Bars(Vec<(String, f64)>),
    /// Lying bars, each with its name.
    Rows(Vec<(String, f64)>),
}

/// One plot.
#[derive(Clone, Debug)]
pub struct Plot {
    /// The name of its file, without the ending.
    pub key: String,
    /// What it shows.
    pub title: String,
    /// What goes to the right.
    pub x: String,
    /// What goes up.
    pub y: String,
    /// What is drawn.
    pub marks: Marks,
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
const STYLE: &str = ".plot{--ink:#222;--faint:#ddd;--paper:#fff;font:13px sans-serif}\
    @media(prefers-color-scheme:dark){.plot{--ink:#ddd;--faint:#444;--paper:#181818}}\
    .plot text{fill:var(--ink)}.plot .grid{stroke:var(--faint)}.plot .paper{fill:var(--paper)}";
/// The same in light only, for programs that know neither variables nor preferences.
const STYLE_LIGHT: &str = "text{fill:#222;font-size:13px;font-family:sans-serif}.grid{stroke:#ddd}.paper{fill:#fff}";

impl Plot {
    /// The plot as an SVG element that can stand alone.
    pub fn svg(&self) -> String {
        self.drawn(STYLE)
    }

    /// The same in light colours, for programs that make pictures of dots of it.
    pub fn svg_light(&self) -> String {
        self.drawn(STYLE_LIGHT)
    }

    fn drawn(&self, style: &str) -> String {
        let height = match &self.marks {
            Marks::Rows(rows) => bars::height(rows.len()),
            _ => HEIGHT,
        };
        let mut svg = format!(
            "<svg class=\"plot\" xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\"><style>{style}</style>\
             <rect class=\"paper\" width=\"{WIDTH}\" height=\"{height}\"/><text x=\"{LEFT}\" y=\"20\" font-weight=\"bold\">{}</text>\n",
            escaped(&self.title)
        );
        match &self.marks {
            Marks::Lines(lines) => {
                let most = most(lines);
                let at = |x: f64, y: f64| across(x / most.0, y.min(most.1) / most.1);
                let ticks = |most: f64| ticks(most).map(|tick| (tick, number(tick))).collect::<Vec<_>>();
                self.axes(&mut svg, at, &ticks(most.0), &ticks(most.1));
                lines
                    .iter()
                    .enumerate()
                    .for_each(|(index, line)| curve(&mut svg, index, line, at));
            }
            Marks::Points(lines) => {
                let most = most(lines);
                let log = |value: f64, most: f64| value.max(1.0).log10() / most.max(10.0).log10();
                let at = |x: f64, y: f64| across(log(x, most.0), log(y, most.1));
                let ticks = |most: f64| powers(most).map(|tick| (tick, number(tick))).collect::<Vec<_>>();
                self.axes(&mut svg, at, &ticks(most.0), &ticks(most.1));
                lines
                    .iter()
                    .enumerate()
                    .for_each(|(index, line)| cloud(&mut svg, index, line, at));
            }
            Marks::Bars(bars) => bars::standing(self, bars, &mut svg),
            Marks::Rows(rows) => bars::lying(rows, &mut svg),
        }
        svg.push_str("</svg>\n");
        svg
    }

    /// Ticks, the lines across, and what both axes are.
    fn axes(&self, svg: &mut String, at: impl Fn(f64, f64) -> (f64, f64), x: &[(f64, String)], y: &[(f64, String)]) {
        for (tick, text) in y {
            let (_, y) = at(0.0, *tick);
            let _ = writeln!(
                svg,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/><text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>",
                WIDTH - RIGHT,
                LEFT - 6.0,
                y + 4.0,
            );
        }
        for (tick, text) in x {
            let (x, y) = at(*tick, 0.0);
            let _ = writeln!(
                svg,
                "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{text}</text>",
                y + 18.0
            );
        }
        self.names(svg);
    }

    /// What both axes are.
    fn names(&self, svg: &mut String) {
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text><text x=\"{LEFT}\" y=\"{}\" font-style=\"italic\">{}</text>",
            WIDTH - RIGHT,
            HEIGHT - BOTTOM + 36.0,
            escaped(&self.x),
            HEIGHT - BOTTOM + 36.0,
            escaped(&self.y)
        );
    }
}

/// From shares of both axes to a place of the plot.
fn across(x: f64, y: f64) -> (f64, f64) {
    let right = LEFT + (WIDTH - LEFT - RIGHT) * x;
    (right, HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * y)
}

/// The ends of both axes.
fn most(lines: &[Line]) -> (f64, f64) {
    let points = lines.iter().flat_map(|line| &line.points);
    let most = points.fold((0.0_f64, 0.0_f64), |most, (x, y)| (most.0.max(*x), most.1.max(*y)));
    (sound(most.0), sound(most.1) * 1.05)
}

/// An end that an axis can have.
fn sound(most: f64) -> f64 {
    if most > 0.0 && most.is_finite() { most } else { 1.0 }
}

fn curve(svg: &mut String, index: usize, line: &Line, at: impl Fn(f64, f64) -> (f64, f64)) {
    let colour = COLOURS[index % COLOURS.len()];
    let path = |points: &mut dyn Iterator<Item = (f64, f64)>| {
        points.fold(String::new(), |mut path, (x, y)| {
            let (x, y) = at(x, y);
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
    legend(svg, index, &line.name);
}

fn cloud(svg: &mut String, index: usize, line: &Line, at: impl Fn(f64, f64) -> (f64, f64)) {
    let colour = COLOURS[index % COLOURS.len()];
    for (x, y) in line.points.iter().filter(|(x, y)| *x > 0.0 && *y > 0.0) {
        let (across, up) = at(*x, *y);
        let _ = writeln!(
            svg,
            "<circle cx=\"{across:.1}\" cy=\"{up:.1}\" r=\"3\" fill=\"{colour}\" fill-opacity=\"0.7\"><title>{}: {}</title></circle>",
            number(*x),
            number(*y)
        );
    }
    legend(svg, index, &line.name);
}

fn legend(svg: &mut String, index: usize, name: &str) {
    if name.is_empty() {
        return;
    }
    let colour = COLOURS[index % COLOURS.len()];
    let x = LEFT + (index % 4) as f64 * 155.0;
    let y = HEIGHT - 24.0 + (index / 4) as f64 * 16.0;
    let _ = writeln!(
        svg,
        "<rect x=\"{x}\" y=\"{}\" width=\"12\" height=\"4\" fill=\"{colour}\"/><text x=\"{}\" y=\"{y}\">{}</text>",
        y - 7.0,
        x + 17.0,
        escaped(name)
    );
}

/// Text that stands in SVG and HTML as it is.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(marks: Marks) -> String {
        let (key, title) = ("none".to_owned(), "a < b".to_owned());
        Plot {
            key,
            title,
            x: String::new(),
            y: String::new(),
            marks,
        }
        .svg()
    }

    #[test]
    fn a_plot_of_nothing_is_still_a_picture() {
        for marks in [
            Marks::Lines(Vec::new()),
            Marks::Points(Vec::new()),
            Marks::Bars(Vec::new()),
            Marks::Rows(Vec::new()),
        ] {
            let svg = plot(marks);
            assert!(svg.contains("a &lt; b") && svg.ends_with("</svg>\n"));
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }

    #[test]
    fn names_of_strangers_are_text_and_never_markup() {
        let name = "<script>\"&".to_owned();
        for marks in [Marks::Bars(vec![(name.clone(), 1.0)]), Marks::Rows(vec![(name, 1.0)])] {
            let svg = plot(marks);
            assert!(!svg.contains("<script>") && svg.contains("&lt;script&gt;"), "{svg}");
        }
    }

    #[test]
    fn points_that_have_no_logarithm_are_left_out() {
        let points = vec![(0.0, 3.0), (1.0, 100.0), (10.0, 1.0)];
        let svg = plot(Marks::Points(vec![Line {
            name: String::new(),
            points,
            band: Vec::new(),
        }]));
        assert_eq!(svg.matches("<circle").count(), 2);
    }
}
