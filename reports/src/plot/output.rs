//! A laid-out plot painted by plotters, as SVG text and as PNG bytes.

use plotters::coord::Shift;
use plotters::element::{Circle, PathElement, Polygon};
use plotters::prelude::{BitMapBackend, DrawingArea, DrawingBackend, IntoDrawingArea, RGBColor, SVGBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontFamily, FontTransform, IntoFont, ShapeStyle, TextStyle, WHITE};

use super::drawing::{Anchor, At, Drawing, Label, Shape, WIDTH};
use super::figure::Figure;
use super::palette::Marker;
use super::{bars, groups, lines, roofline, text};

/// The drawing library failed; says what it said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct DrawError(String);

impl DrawError {
    fn of(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

/// Lays a figure out.
pub(super) fn laid_out(figure: &Figure) -> Drawing {
    match figure {
        Figure::Lines(figure) => lines::laid_out(figure),
        Figure::Bars(figure) => bars::laid_out(figure),
        Figure::Groups(figure) => groups::laid_out(figure),
        Figure::Roofline(figure) => roofline::laid_out(figure),
    }
}

/// The figure as SVG.
pub(crate) fn svg(figure: &Figure) -> Result<String, DrawError> {
    let drawing = laid_out(figure);
    let mut text = String::new();
    let area = SVGBackend::with_string(&mut text, size(&drawing)).into_drawing_area();
    paint(&drawing, &area, svg_label)?;
    drop(area);
    Ok(text)
}

/// The figure as PNG, RGB of 8 bits.
pub(crate) fn png(figure: &Figure) -> Result<Vec<u8>, DrawError> {
    let drawing = laid_out(figure);
    let (width, height) = size(&drawing);
    let mut pixels = vec![0; width as usize * height as usize * 3];
    let area = BitMapBackend::with_buffer(&mut pixels, (width, height)).into_drawing_area();
    paint(&drawing, &area, png_label)?;
    drop(area);
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    // Flat colours compress best as they are.
    encoder.set_filter(png::FilterType::NoFilter);
    encoder.set_compression(png::Compression::Best);
    let mut writer = encoder.write_header().map_err(DrawError::of)?;
    writer.write_image_data(&pixels).map_err(DrawError::of)?;
    writer.finish().map_err(DrawError::of)?;
    Ok(bytes)
}

fn size(drawing: &Drawing) -> (u32, u32) {
    (WIDTH.unsigned_abs(), drawing.height.unsigned_abs())
}

fn paint<DB: DrawingBackend>(
    drawing: &Drawing,
    area: &DrawingArea<DB, Shift>,
    label: impl Fn(&DrawingArea<DB, Shift>, &Label) -> Result<(), DrawError>,
) -> Result<(), DrawError> {
    area.fill(&WHITE).map_err(DrawError::of)?;
    for shape in &drawing.shapes {
        match shape {
            Shape::Line {
                points,
                colour,
                width,
            } => {
                area.draw(&PathElement::new(points.clone(), stroke(*colour, *width)))
                    .map_err(DrawError::of)?;
            }
            Shape::Area {
                points,
                colour,
                opacity,
            } => {
                area.draw(&Polygon::new(points.clone(), colour.mix(*opacity)))
                    .map_err(DrawError::of)?;
            }
            Shape::Marker { at, marker, colour } => paint_marker(area, *at, *marker, *colour)?,
            Shape::Label(text) => label(area, text)?,
        }
    }
    area.present().map_err(DrawError::of)
}

fn stroke(colour: RGBColor, width: u32) -> ShapeStyle {
    ShapeStyle::from(colour).stroke_width(width)
}

/// From half the height of a capital letter down to the base line, for an em of 20.
const DROP_IN_20: i32 = 7;

/// Text that the viewer sets in its own sans-serif font.
fn svg_label(area: &DrawingArea<SVGBackend<'_>, Shift>, label: &Label) -> Result<(), DrawError> {
    let h_pos = match label.anchor {
        Anchor::Left => HPos::Left,
        Anchor::Middle => HPos::Center,
        Anchor::Right => HPos::Right,
    };
    let turn = if label.is_upright {
        FontTransform::Rotate270
    } else {
        FontTransform::None
    };
    // plotters sets the font size to its size / 1.24, and half a small letter's height above the base line.
    let family = (FontFamily::SansSerif, f64::from(label.size) * 1.24)
        .into_font()
        .transform(turn);
    let style = TextStyle::from(family)
        .color(&label.colour)
        .pos(Pos::new(h_pos, VPos::Center));
    let (x, y) = label.at;
    let lower = label.size / 10;
    let at = if label.is_upright {
        (x + lower, y)
    } else {
        (x, y + lower)
    };
    area.draw_text(&label.text, &style, at).map_err(DrawError::of)
}

/// Text in our own font.
fn png_label(area: &DrawingArea<BitMapBackend<'_>, Shift>, label: &Label) -> Result<(), DrawError> {
    let width = text::drawn_width(&label.text, label.size).round() as i32;
    let start = match label.anchor {
        Anchor::Left => 0,
        Anchor::Middle => -width / 2,
        Anchor::Right => -width,
    };
    let drop = label.size * DROP_IN_20 / 20;
    let (x, y) = label.at;
    let mut result = Ok(());
    text::pixels(&label.text, label.size, |(along, down), coverage| {
        let (along, down) = (along + start, down + drop);
        let at = if label.is_upright {
            (x + down, y - along)
        } else {
            (x + along, y + down)
        };
        if result.is_ok() {
            result = area.draw_pixel(at, &label.colour.mix(f64::from(coverage)));
        }
    });
    result.map_err(DrawError::of)
}

fn paint_marker<DB: DrawingBackend>(
    area: &DrawingArea<DB, Shift>,
    (x, y): At,
    marker: Marker,
    colour: RGBColor,
) -> Result<(), DrawError> {
    let (full, arm) = (colour.filled(), stroke(colour, 3));
    let square = |r: i32| vec![(x - r, y - r), (x + r, y - r), (x + r, y + r), (x - r, y + r)];
    match marker {
        Marker::Disc => area.draw(&Circle::new((x, y), 8, full)),
        Marker::Square => area.draw(&Polygon::new(square(7), full)),
        Marker::Triangle => area.draw(&Polygon::new(
            vec![(x, y - 10), (x + 10, y + 7), (x - 10, y + 7)],
            full,
        )),
        Marker::Down => area.draw(&Polygon::new(
            vec![(x, y + 10), (x + 10, y - 7), (x - 10, y - 7)],
            full,
        )),
        Marker::Diamond => area.draw(&Polygon::new(
            vec![(x, y - 10), (x + 10, y), (x, y + 10), (x - 10, y)],
            full,
        )),
        Marker::Ring => area
            .draw(&Circle::new((x, y), 9, full))
            .and_then(|()| area.draw(&Circle::new((x, y), 5, WHITE.filled()))),
        Marker::Frame => area
            .draw(&Polygon::new(square(8), full))
            .and_then(|()| area.draw(&Polygon::new(square(4), WHITE.filled()))),
        Marker::Cross => area
            .draw(&PathElement::new(vec![(x - 8, y - 8), (x + 8, y + 8)], arm))
            .and_then(|()| area.draw(&PathElement::new(vec![(x - 8, y + 8), (x + 8, y - 8)], arm))),
    }
    .map_err(DrawError::of)
}
