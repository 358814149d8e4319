//! Layout of a roofline (Williams, Waterman and Patterson, 2009): logarithmic axes, the roofs of the machine, a numbered
//! point a kernel and shape, and a key that says what the numbers are. The roofs of several machines have the colours of
//! their points, and stand in the key too.

use super::drawing::{Anchor, At, Drawing, LARGE, MARGIN, MEDIUM, SMALL, WIDTH};
use super::figure::{Roof, RooflineFigure, RooflinePoint};
use super::palette::{GREY_TEXT, GRID, INK, look_of};
use super::scale::LogTicks;
use super::text::{shortened, width_of};

const TICK: i32 = 8;
const LINE: i32 = SMALL * 14 / 10;
const HEIGHT: i32 = 520;
/// How far from its point a number may stand, in steps; farther away nobody would find it.
const RINGS: i32 = 4;
/// Half the size of a marker with the space around it.
const MARKER: i32 = 12;

/// Left, top, right, bottom.
type Rectangle = (i32, i32, i32, i32);

/// The plot area with its axes.
struct Frame {
    area: Rectangle,
    x: LogTicks,
    y: LogTicks,
}

impl Frame {
    fn at(&self, intensity: f64, gflops: f64) -> At {
        let (left, top, right, bottom) = self.area;
        let along = |from: i32, to: i32, share: f64| from + (f64::from(to - from) * share).round() as i32;
        (
            along(left, right, self.x.place(intensity)),
            along(bottom, top, self.y.place(gflops)),
        )
    }

    fn holds(&self, (left, top, right, bottom): Rectangle) -> bool {
        let (l, t, r, b) = self.area;
        left >= l && top >= t && right <= r && bottom <= b
    }
}

/// Lays the figure out; its height follows from the number of points.
pub(super) fn laid_out(figure: &RooflineFigure) -> Drawing {
    let mut drawing = Drawing::default();
    let mut y = drawing.paragraph(&figure.title, MARGIN, LARGE, INK);
    y = drawing.paragraph(&figure.subtitle, y, SMALL, GREY_TEXT) + 24;
    let frame = frame(figure, y);
    axes(&mut drawing, &frame);
    let taken = roofs(&mut drawing, &frame, figure);
    points(&mut drawing, &frame, figure, taken);
    let (left, top, right, bottom) = frame.area;
    drawing.upright_label(
        "GFLOP/s",
        (MARGIN + MEDIUM / 2, i32::midpoint(top, bottom)),
        MEDIUM,
        INK,
    );
    y = bottom + TICK + 4 + LINE + 10 + MEDIUM / 2;
    drawing.label(
        "operational intensity, FLOP a byte",
        (i32::midpoint(left, right), y),
        MEDIUM,
        INK,
        Anchor::Middle,
    );
    y = roof_key(&mut drawing, figure, y + MEDIUM + 8);
    drawing.height = key(&mut drawing, figure, y) + MARGIN;
    drawing
}

fn frame(figure: &RooflineFigure, top: i32) -> Frame {
    let range = |of_roof: fn(&Roof) -> f64, of: fn(&RooflinePoint) -> f64| {
        let values = figure
            .roofs
            .iter()
            .map(of_roof)
            .chain(figure.points.iter().map(of));
        values.fold((f64::INFINITY, 0.0_f64), |(low, high), value| {
            (low.min(value), high.max(value))
        })
    };
    let (x_low, x_high) = range(|roof| roof.fma_gflops / roof.copy_gbytes, |point| point.intensity);
    let (y_low, y_high) = range(|roof| roof.fma_gflops, |point| point.gflops);
    // A factor around the points leaves room for their numbers and shows both roofs.
    let x = LogTicks::covering(x_low / 2.0, x_high * 2.0, 10);
    let y = LogTicks::covering(y_low / 1.5, y_high * 1.5, 8);
    let widest = y
        .values
        .iter()
        .map(|&value| width_of(&LogTicks::label(value), SMALL))
        .max();
    let left = MARGIN + MEDIUM + 14 + widest.unwrap_or(0) + TICK + 6;
    Frame {
        area: (left, top, WIDTH - MARGIN - 40, top + HEIGHT),
        x,
        y,
    }
}

fn axes(drawing: &mut Drawing, frame: &Frame) {
    let (left, top, right, bottom) = frame.area;
    for &value in &frame.x.values {
        let (x, _) = frame.at(value, frame.y.values[0]);
        drawing.line(vec![(x, top), (x, bottom)], GRID, 1);
        drawing.line(vec![(x, bottom), (x, bottom + TICK)], INK, 2);
        let at = (x, bottom + TICK + 4 + LINE / 2);
        drawing.label(&LogTicks::label(value), at, SMALL, INK, Anchor::Middle);
    }
    for &value in &frame.y.values {
        let (_, y) = frame.at(frame.x.values[0], value);
        drawing.line(vec![(left, y), (right, y)], GRID, 1);
        drawing.line(vec![(left - TICK, y), (left, y)], INK, 2);
        let at = (left - TICK - 6, y);
        drawing.label(&LogTicks::label(value), at, SMALL, INK, Anchor::Right);
    }
    drawing.line(vec![(left, top), (left, bottom)], INK, 2);
    drawing.line(vec![(left, bottom), (right, bottom)], INK, 2);
}

/// Draws all roofs, those of the only machine with their names where no point lies; returns the places that are taken,
/// those of the points among them.
fn roofs(drawing: &mut Drawing, frame: &Frame, figure: &RooflineFigure) -> Vec<Rectangle> {
    let around = |(x, y): At| (x - MARKER, y - MARKER, x + MARKER, y + MARKER);
    let places = figure
        .points
        .iter()
        .map(|point| frame.at(point.intensity, point.gflops));
    let mut taken: Vec<Rectangle> = places.map(around).collect();
    for roof in &figure.roofs {
        let corners = corners(frame, roof);
        let colour = match figure.roofs.len() {
            1 => INK,
            _ => look_of(&figure.names, &roof.name).0,
        };
        drawing.line(corners.to_vec(), colour, 3);
        if figure.roofs.len() == 1 {
            names(drawing, frame, roof, &mut taken);
        }
        let [low, ridge, high] = corners;
        // Numbers of points keep off the roofs, names lie beside them already.
        for ((from_x, from_y), (to_x, to_y)) in [(low, ridge), (ridge, high)] {
            let steps = ((to_x - from_x).abs().max((to_y - from_y).abs()) / 4).max(1);
            taken.extend((0..=steps).map(|step| {
                let (x, y) = (
                    from_x + (to_x - from_x) * step / steps,
                    from_y + (to_y - from_y) * step / steps,
                );
                (x - 3, y - 3, x + 3, y + 3)
            }));
        }
    }
    taken
}

/// Where the roofs of a machine enter the frame, meet and leave it.
fn corners(frame: &Frame, roof: &Roof) -> [At; 3] {
    let (fma, copy) = (roof.fma_gflops, roof.copy_gbytes);
    let (x_low, x_high) = (frame.x.values[0], frame.x.values[frame.x.values.len() - 1]);
    // The rising roof enters the frame from the left or from below.
    let start = x_low.max(frame.y.values[0] / copy);
    [
        frame.at(start, start * copy),
        frame.at(fma / copy, fma),
        frame.at(x_high, fma),
    ]
}

/// Writes what both roofs are beside them, where there is room.
fn names(drawing: &mut Drawing, frame: &Frame, roof: &Roof, taken: &mut Vec<Rectangle>) {
    let (fma, copy) = (roof.fma_gflops, roof.copy_gbytes);
    let [low, ridge, high] = corners(frame, roof);
    let along = |(from, to): (At, At), tenths: i32| {
        (
            from.0 + (to.0 - from.0) * tenths / 10,
            from.1 + (to.1 - from.1) * tenths / 10,
        )
    };
    // Text left of a place and above it, or right of it and below, keeps clear of a line that rises to the right.
    let mut name = |text: String, line: (At, At), from_high_end: [i32; 9]| {
        let width = width_of(&text, SMALL);
        let above = |(x, y): At| (x - width - 8, y - SMALL - 14, x - 8, y - 14);
        let below = |(x, y): At| (x + 8, y + 14, x + 8 + width, y + SMALL + 14);
        let spots = from_high_end.map(|tenths| along(line, tenths));
        let mut candidates = spots.into_iter().map(above).chain(spots.into_iter().map(below));
        let free = |own: &Rectangle| frame.holds(*own) && !taken.iter().any(|other| touches(*own, *other));
        let Some(own) = candidates.find(free) else {
            return;
        };
        let centre = (own.0, i32::midpoint(own.1, own.3));
        drawing.label(&text, centre, SMALL, INK, Anchor::Left);
        taken.push(own);
    };
    name(
        format!("FMA peak {fma:.0} GFLOP/s"),
        (ridge, high),
        [10, 9, 8, 7, 6, 5, 4, 3, 2],
    );
    name(
        format!("copy {copy:.1} GB/s"),
        (low, ridge),
        [6, 7, 5, 8, 4, 9, 3, 2, 1],
    );
}

/// Draws the points, each with its number where there is room nearest to it; among many points that lie together some
/// have only their line in the key.
fn points(drawing: &mut Drawing, frame: &Frame, figure: &RooflineFigure, mut taken: Vec<Rectangle>) {
    let places: Vec<At> = figure
        .points
        .iter()
        .map(|point| frame.at(point.intensity, point.gflops))
        .collect();
    for (index, (&(x, y), point)) in places.iter().zip(&figure.points).enumerate() {
        let number = (index + 1).to_string();
        let (half, half_height) = (width_of(&number, SMALL) / 2 + 1, SMALL / 2);
        let extent = |(x, y): At| (x - half, y - half_height, x + half, y + half_height);
        let free = |place: &At| {
            let own = extent(*place);
            frame.holds(own) && !taken.iter().any(|other| touches(own, *other))
        };
        drawing.marker((x, y), look_of(&figure.names, &point.look));
        let Some(place) = candidates((x, y), half).find(free) else {
            continue;
        };
        if (place.0 - x).abs().max((place.1 - y).abs()) > 2 * MARKER + half {
            // To the edge of the number, not through it.
            let edge = (
                place.0 + (x - place.0).signum() * half,
                place.1 + (y - place.1).signum() * half_height,
            );
            drawing.line(vec![(x, y), edge], GREY_TEXT, 1);
        }
        taken.push(extent(place));
        drawing.label(&number, place, SMALL, INK, Anchor::Middle);
    }
}

/// Places around a point, the nearest first: beside it, above and below, diagonally, then further away.
fn candidates((x, y): At, half: i32) -> impl Iterator<Item = At> {
    let directions = [
        (1, 0),
        (-1, 0),
        (0, -1),
        (0, 1),
        (1, -1),
        (-1, -1),
        (1, 1),
        (-1, 1),
    ];
    (0..RINGS).flat_map(move |ring| {
        let (dx, dy) = (MARKER + half + 2 + ring * 14, MARKER + SMALL / 2 + 2 + ring * 14);
        directions
            .into_iter()
            .map(move |(right, down)| (x + right * dx, y + down * dy))
    })
}

fn touches(one: Rectangle, other: Rectangle) -> bool {
    one.0 < other.2 && other.0 < one.2 && one.1 < other.3 && other.1 < one.3
}

/// What the roofs of several machines are, a line each; returns the y below.
fn roof_key(drawing: &mut Drawing, figure: &RooflineFigure, top: i32) -> i32 {
    if figure.roofs.len() == 1 {
        return top;
    }
    for (index, roof) in figure.roofs.iter().enumerate() {
        let y = top + LINE / 2 + index as i32 * LINE;
        let look = look_of(&figure.names, &roof.name);
        drawing.line(vec![(MARGIN, y), (MARGIN + 64, y)], look.0, 3);
        drawing.marker((MARGIN + 32, y), look);
        let text = format!(
            "{}: FMA peak {:.0} GFLOP/s, copy {:.1} GB/s",
            roof.name, roof.fma_gflops, roof.copy_gbytes
        );
        let text = shortened(&text, SMALL, WIDTH - 2 * MARGIN - 76);
        drawing.label(&text, (MARGIN + 76, y), SMALL, INK, Anchor::Left);
    }
    top + figure.roofs.len() as i32 * LINE + LINE / 2
}

/// What the numbers mean, in two columns where all texts are short enough; returns the y below.
fn key(drawing: &mut Drawing, figure: &RooflineFigure, top: i32) -> i32 {
    const INDENT: i32 = 76;
    let half = (WIDTH - 2 * MARGIN) / 2;
    let fits = |point: &RooflinePoint| INDENT + width_of(&point.label, SMALL) + 20 <= half;
    let columns = if figure.points.iter().all(fits) { 2 } else { 1 };
    let rows = figure.points.len().div_ceil(columns);
    for (index, point) in figure.points.iter().enumerate() {
        let x = MARGIN + (index / rows) as i32 * half;
        let y = top + LINE / 2 + (index % rows) as i32 * LINE;
        drawing.label(&(index + 1).to_string(), (x + 34, y), SMALL, INK, Anchor::Right);
        drawing.marker((x + 54, y), look_of(&figure.names, &point.look));
        let text = shortened(&point.label, SMALL, WIDTH - MARGIN - x - INDENT);
        drawing.label(&text, (x + INDENT, y), SMALL, INK, Anchor::Left);
    }
    top + rows as i32 * LINE
}
