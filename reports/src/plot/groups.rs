//! Layout of bars in groups: a group a thing, in it a bar a name, each name with its colour, and a legend of the names.

use super::axis::Axis;
use super::drawing::{Anchor, Drawing, LARGE, MARGIN, MEDIUM, SMALL, WIDTH};
use super::figure::{BarScale, Group, GroupBar, GroupFigure};
use super::palette::{GREY_TEXT, GRID, INK, look};
use super::scale::LogTicks;
use super::text::{broken, shortened, width_of};

const LINE: i32 = SMALL * 14 / 10;
const BAR: i32 = 22;
/// Height of a bar with the space below it.
const STEP: i32 = LINE;
/// Space between groups.
const GAP: i32 = 14;
const TICK: i32 = 8;
/// How far beyond all bars the interval of a ratio is shown: of two samples it may span decades, and bars would vanish.
const BEYOND: f64 = 2.0;

/// Lays the figure out; its height follows from the number of bars.
pub(super) fn laid_out(figure: &GroupFigure) -> Drawing {
    let mut drawing = Drawing::default();
    let mut y = drawing.paragraph(&figure.title, MARGIN, LARGE, INK);
    y = drawing.paragraph(&figure.subtitle, y, SMALL, GREY_TEXT) + 16;
    let bars = || figure.groups.iter().flat_map(|group| &group.bars);
    let widest_label = figure.groups.iter().map(|group| width_of(&group.label, SMALL));
    let label_width = widest_label.max().unwrap_or(0).min(WIDTH * 2 / 5);
    let widest_note = bars().map(|bar| width_of(&bar.note, SMALL)).max();
    let left = MARGIN + label_width + 18;
    let right = WIDTH - MARGIN - widest_note.unwrap_or(0) - 24;
    let (low, high) = shown_range(figure);
    let ends = bars()
        .flat_map(|bar| [bar.low, bar.high, bar.value])
        .map(|end| end.clamp(low, high));
    let axis = Axis::covering(figure.scale, ends, ((right - left) / 100).max(3) as usize);
    let x = |value: f64| left + (f64::from(right - left) * axis.place(value)).round() as i32;
    let labels: Vec<Vec<String>> = figure
        .groups
        .iter()
        .map(|group| broken(&group.label, SMALL, label_width))
        .collect();
    let height =
        |(group, lines): (&Group, &Vec<String>)| GAP + STEP * group.bars.len().max(lines.len()) as i32;
    let heights: Vec<i32> = figure.groups.iter().zip(&labels).map(height).collect();
    let (top, bottom) = (y, y + heights.iter().sum::<i32>() + GAP);
    for (value, label) in axis.ticks() {
        drawing.line(vec![(x(value), top), (x(value), bottom + TICK)], GRID, 1);
        let at = (x(value), bottom + TICK + 4 + LINE / 2);
        drawing.label(&label, at, SMALL, INK, Anchor::Middle);
    }
    drawing.line(vec![(left, bottom), (right, bottom)], INK, 2);
    for ((group, lines), height) in figure.groups.iter().zip(&labels).zip(&heights) {
        y += GAP;
        let inner = height - GAP;
        let first = y + inner / 2 - (lines.len() as i32 - 1) * LINE / 2;
        for (index, line) in lines.iter().enumerate() {
            let at = (MARGIN + label_width, first + index as i32 * LINE);
            drawing.label(line, at, SMALL, INK, Anchor::Right);
        }
        let mut centre = y + inner / 2 - (group.bars.len() as i32 - 1) * STEP / 2;
        for bar in &group.bars {
            draw_bar(&mut drawing, bar, centre, (x(axis.start()), &x), (low, high));
            drawing.label(&bar.note, (right + 24, centre), SMALL, INK, Anchor::Left);
            centre += STEP;
        }
        y += inner;
    }
    let start = x(axis.start());
    drawing.line(vec![(start, top), (start, bottom + TICK)], INK, 2);
    y = bottom + TICK + 4 + LINE + 10;
    let centre = i32::midpoint(left, right);
    let room = 2 * (centre - MARGIN).min(WIDTH - MARGIN - centre);
    for line in broken(&figure.x_label, MEDIUM, room) {
        drawing.label(&line, (centre, y + MEDIUM / 2), MEDIUM, INK, Anchor::Middle);
        y += MEDIUM * 14 / 10;
    }
    drawing.height = legend(&mut drawing, &figure.names, y + 8) + MARGIN;
    drawing
}

/// Values beyond which an interval is cut off.
fn shown_range(figure: &GroupFigure) -> (f64, f64) {
    let values = figure
        .groups
        .iter()
        .flat_map(|group| &group.bars)
        .map(|bar| bar.value);
    match figure.scale {
        BarScale::Difference => (f64::NEG_INFINITY, f64::INFINITY),
        BarScale::Ratio => {
            let (low, high) = values.fold((1.0_f64, 1.0_f64), |(low, high), value| {
                (low.min(value), high.max(value))
            });
            // To the ends of an axis, which are ticks.
            let ticks = LogTicks::covering(low / BEYOND, high * BEYOND, 6).values;
            (ticks[0], ticks[ticks.len() - 1])
        }
    }
}

/// The bar and its interval; an end that is cut off has no cap.
fn draw_bar(
    drawing: &mut Drawing,
    bar: &GroupBar,
    centre: i32,
    (start, x): (i32, &dyn Fn(f64) -> i32),
    (low, high): (f64, f64),
) {
    let (end, above, below) = (x(bar.value), centre - BAR / 2, centre + BAR / 2);
    let corners = vec![(start, above), (end, above), (end, below), (start, below)];
    drawing.area(corners, look(bar.name).0, 0.75);
    let ends = [bar.low, bar.high].map(|end| (end, end.clamp(low, high)));
    drawing.line(ends.map(|(_, shown)| (x(shown), centre)).to_vec(), INK, 2);
    for (_, shown) in ends.into_iter().filter(|(end, shown)| end == shown) {
        drawing.line(vec![(x(shown), centre - 6), (x(shown), centre + 6)], INK, 2);
    }
}

/// What the colours mean; returns the y below.
fn legend(drawing: &mut Drawing, names: &[String], top: i32) -> i32 {
    const SWATCH: i32 = 42;
    let (mut x, mut centre) = (MARGIN, top + LINE / 2);
    for (index, name) in names.iter().enumerate() {
        let text = shortened(name, SMALL, WIDTH - 2 * MARGIN - SWATCH);
        let width = SWATCH + width_of(&text, SMALL);
        if x > MARGIN && x + width > WIDTH - MARGIN {
            (x, centre) = (MARGIN, centre + LINE);
        }
        let corners = vec![
            (x, centre - 10),
            (x + 34, centre - 10),
            (x + 34, centre + 10),
            (x, centre + 10),
        ];
        drawing.area(corners, look(index).0, 0.75);
        drawing.label(&text, (x + SWATCH, centre), SMALL, INK, Anchor::Left);
        x += width + 30;
    }
    centre + LINE / 2
}
