//! Plots as pictures of dots (PNG), drawn from their SVG with a font that the program brings along.

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree};

use crate::plot::Plot;

/// Dots for a unit of the SVG.
const SCALE: f32 = 2.0;

/// Draws plots.
#[derive(Debug)]
pub struct Pictures {
    options: Options<'static>,
}

impl Pictures {
    /// With the letters of `DejaVu` Sans: Latin, Greek, Cyrillic, Arabic and more; what it has not is a box.
    pub fn new() -> Self {
        let mut options = Options {
            font_family: "DejaVu Sans".to_owned(),
            ..Options::default()
        };
        let fonts = options.fontdb_mut();
        fonts.load_font_data(dejavu::sans::regular().to_vec());
        fonts.load_font_data(dejavu::sans::bold().to_vec());
        fonts.set_sans_serif_family("DejaVu Sans");
        Self { options }
    }

    /// The picture of a plot, in light colours.
    ///
    /// # Errors
    ///
    /// Those of the program that draws.
    pub fn png(&self, plot: &Plot) -> anyhow::Result<Vec<u8>> {
        let tree = Tree::from_str(&plot.svg_light(), &self.options)?;
        let size = tree.size().to_int_size();
        let dots = |units: u32| (units as f32 * SCALE) as u32;
        let mut dots = Pixmap::new(dots(size.width()), dots(size.height()))
            .ok_or_else(|| anyhow::anyhow!("a plot without size"))?;
        resvg::render(&tree, Transform::from_scale(SCALE, SCALE), &mut dots.as_mut());
        Ok(dots.encode_png()?)
    }
}

impl Default for Pictures {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::Marks;

    #[test]
    fn a_picture_has_the_size_of_its_plot_and_ink_on_it() {
        let plot = |rows: Vec<(String, f64)>| Plot {
            key: "k".to_owned(),
            title: "T".to_owned(),
            x: "x".to_owned(),
            y: "y".to_owned(),
            marks: Marks::Bars(rows),
        };
        let pictures = Pictures::new();
        let one = pictures.png(&plot(vec![("a".to_owned(), 3.0)])).unwrap();
        let dots = Pixmap::decode_png(&one).unwrap();
        assert_eq!((dots.width(), dots.height()), (1440, 760));
        let blue = dots
            .pixels()
            .iter()
            .filter(|dot| (dot.red(), dot.green(), dot.blue()) == (0, 0x72, 0xb2))
            .count();
        assert!(blue > 100_000, "{blue}");
        assert_ne!(one, pictures.png(&plot(vec![("b".to_owned(), 3.0)])).unwrap());
    }
}
