//! Bars that stand side by side, and bars that lie below one another.

use std::fmt::Write as _;

use super::{BOTTOM, COLOURS, HEIGHT, LEFT, Plot, RIGHT, TOP, WIDTH, across, escaped, number, sound, ticks};

/// A lying bar with its name: height, width of the name, characters that it may have.
const ROW: f64 = 22.0;
const NAME: f64 = 210.0;
const NAME_CHARS: usize = 30;
/// Room for the figure behind the longest bar.
const FIGURE: f64 = 90.0;

/// The height of a plot of so many lying bars.
pub(super) fn height(rows: usize) -> f64 {
    TOP + rows.max(1) as f64 * ROW + 10.0
}

/// Bars side by side, with an axis of figures.
pub(super) fn standing(plot: &Plot, bars: &[(String, f64)], svg: &mut String) {
    let most = sound(bars.iter().map(|(_, value)| *value).fold(0.0, f64::max)) * 1.05;
    let at = |_: f64, y: f64| across(0.0, y / most);
    let y: Vec<_> = ticks(most).map(|tick| (tick, number(tick))).collect();
    plot.axes(svg, at, &[], &y);
    let width = (WIDTH - LEFT - RIGHT) / bars.len().max(1) as f64;
    // Names take turns where they would run into one another.
    let longest = bars.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(1);
    let every = ((longest as f64 * 7.5 + 6.0) / width).ceil().max(1.0) as usize;
    for (index, (name, value)) in bars.iter().enumerate() {
        let left = LEFT + width * index as f64;
        let (_, top) = across(0.0, value.max(0.0) / most);
        let bottom = HEIGHT - BOTTOM;
        let _ = writeln!(
            svg,
            "<rect x=\"{:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{}\"><title>{}: {}</title></rect>",
            left + width * 0.08,
            width * 0.84,
            (bottom - top).max(0.0),
            COLOURS[0],
            escaped(name),
            number(*value)
        );
        if index % every == 0 {
            let _ = writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                left + width / 2.0,
                bottom + 18.0,
                escaped(name)
            );
        }
    }
}

/// Bars below one another, each with its name before and its figure behind it.
pub(super) fn lying(rows: &[(String, f64)], svg: &mut String) {
    let most = sound(rows.iter().map(|(_, value)| *value).fold(0.0, f64::max));
    for (index, (name, value)) in rows.iter().enumerate() {
        let top = TOP + ROW * index as f64;
        let width = (WIDTH - NAME - FIGURE - RIGHT) * value.max(0.0) / most;
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text><rect x=\"{NAME}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{}\" \
             fill=\"{}\"><title>{}: {}</title></rect><text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            NAME - 8.0,
            top + 13.0,
            escaped(&cut(name)),
            ROW - 5.0,
            COLOURS[0],
            escaped(name),
            number(*value),
            NAME + width + 6.0,
            top + 13.0,
            number(*value)
        );
    }
}

/// The beginning of a long name.
fn cut(name: &str) -> String {
    let end = name.char_indices().nth(NAME_CHARS);
    end.map_or_else(|| name.to_owned(), |(at, _)| format!("{}…", &name[..at]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_cut_between_characters() {
        assert_eq!(cut("short"), "short");
        assert_eq!(cut(&"ü".repeat(40)), format!("{}…", "ü".repeat(NAME_CHARS)));
    }
}
