//! A laid-out plot: shapes and texts in pixels, still free of any back end, so that tests can ask whether texts
//! overlap or leave the picture.

use plotters::style::RGBColor;

use super::palette::Marker;
use super::text::broken;

/// Width of every plot.
pub(super) const WIDTH: i32 = 1200;
/// Free space around everything.
pub(super) const MARGIN: i32 = 28;
/// Em of ticks and legends.
pub(super) const SMALL: i32 = 20;
/// Em of axis labels and panel headings.
pub(super) const MEDIUM: i32 = 22;
/// Em of titles.
pub(super) const LARGE: i32 = 28;

/// A place in pixels from the upper left corner.
pub(super) type At = (i32, i32);

/// Which point of a text lies at its place; all at half its height.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Left,
    Middle,
    Right,
}

/// One line of text.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Label {
    pub(super) text: String,
    pub(super) at: At,
    pub(super) size: i32,
    pub(super) colour: RGBColor,
    pub(super) anchor: Anchor,
    /// Reads from bottom to top.
    pub(super) is_upright: bool,
}

/// Something to draw.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shape {
    Line {
        points: Vec<At>,
        colour: RGBColor,
        width: u32,
    },
    Area {
        points: Vec<At>,
        colour: RGBColor,
        opacity: f64,
    },
    Marker {
        at: At,
        marker: Marker,
        colour: RGBColor,
    },
    Label(Label),
}

/// A picture of [`WIDTH`] by `height`.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Drawing {
    pub(super) height: i32,
    pub(super) shapes: Vec<Shape>,
}

impl Drawing {
    pub(super) fn line(&mut self, points: Vec<At>, colour: RGBColor, width: u32) {
        self.shapes.push(Shape::Line {
            points,
            colour,
            width,
        });
    }

    pub(super) fn area(&mut self, points: Vec<At>, colour: RGBColor, opacity: f64) {
        self.shapes.push(Shape::Area {
            points,
            colour,
            opacity,
        });
    }

    pub(super) fn marker(&mut self, at: At, (colour, marker): (RGBColor, Marker)) {
        self.shapes.push(Shape::Marker { at, marker, colour });
    }

    pub(super) fn label(&mut self, text: &str, at: At, size: i32, colour: RGBColor, anchor: Anchor) {
        let text = text.to_owned();
        self.shapes.push(Shape::Label(Label {
            text,
            at,
            size,
            colour,
            anchor,
            is_upright: false,
        }));
    }

    pub(super) fn upright_label(&mut self, text: &str, at: At, size: i32, colour: RGBColor) {
        let (text, anchor) = (text.to_owned(), Anchor::Middle);
        self.shapes.push(Shape::Label(Label {
            text,
            at,
            size,
            colour,
            anchor,
            is_upright: true,
        }));
    }

    /// Lines of text from `y` down, broken at blanks to the width of the picture; returns the y below them.
    pub(super) fn paragraph(&mut self, text: &str, y: i32, size: i32, colour: RGBColor) -> i32 {
        let line_height = size * 14 / 10;
        let mut below = y;
        for line in broken(text, size, WIDTH - 2 * MARGIN) {
            self.label(
                &line,
                (MARGIN, below + line_height / 2),
                size,
                colour,
                Anchor::Left,
            );
            below += line_height;
        }
        below
    }
}
