//! Layout of lines over a shared x axis: title, panels, axes, legend.

use super::drawing::{Anchor, At, Drawing, LARGE, MARGIN, MEDIUM, SMALL, WIDTH};
use super::figure::{LineFigure, Panel, Point, Series, Tick, XAxis};
use super::palette::{GREY_TEXT, GRID, INK, look_of};
use super::scale::RoundTicks;
use super::text::{broken, shortened, width_of};

const TICK: i32 = 8;
const LINE: i32 = SMALL * 14 / 10;
/// With more lines in a panel, bands would hide each other.
const MOST_BANDS: usize = 8;
/// Between the markers of two lines at the same place, so that their whiskers can be told apart.
const DODGE: i32 = 9;

/// The plot area of a panel, in pixels.
#[derive(Debug, Clone, Copy)]
struct Frame {
    left: i32,
    right: i32,
    top: i32,
    bottom: i32,
}

impl Frame {
    fn x(&self, at: f64) -> i32 {
        self.left + (f64::from(self.right - self.left) * at).round() as i32
    }

    fn y(&self, value: f64, ticks: &RoundTicks) -> i32 {
        let share = (value - ticks.low) / (ticks.high - ticks.low);
        self.bottom - (f64::from(self.bottom - self.top) * share).round() as i32
    }
}

/// Lays the figure out; its height follows from what is in it.
pub(super) fn laid_out(figure: &LineFigure) -> Drawing {
    let mut drawing = Drawing::default();
    let mut y = drawing.paragraph(&figure.title, MARGIN, LARGE, INK);
    y = drawing.paragraph(&figure.subtitle, y, SMALL, GREY_TEXT) + 16;
    let panel_height = if figure.panels.len() == 1 { 460 } else { 300 };
    let ticks = y_ticks(figure, panel_height);
    let tick_texts = ticks
        .iter()
        .flat_map(|ticks| ticks.values.iter().map(|&value| ticks.label(value)));
    let tick_width = tick_texts.map(|text| width_of(&text, SMALL)).max().unwrap_or(0);
    let left = MARGIN + MEDIUM + 14 + tick_width + TICK + 6;
    let top_of_panels = y;
    for (panel, ticks) in figure.panels.iter().zip(&ticks) {
        if let Some(heading) = &panel.heading {
            let heading = shortened(heading, MEDIUM, WIDTH - MARGIN - left);
            drawing.label(&heading, (left, y + MEDIUM / 2 + 4), MEDIUM, INK, Anchor::Left);
            y += MEDIUM + 14;
        }
        let frame = Frame {
            left,
            right: WIDTH - MARGIN - 10,
            top: y + 8,
            bottom: y + 8 + panel_height,
        };
        y_axis(&mut drawing, &frame, ticks);
        y = x_axis(&mut drawing, &frame, &figure.x) + 14;
        lines(&mut drawing, &frame, ticks, figure, panel);
    }
    let middle = (top_of_panels + y) / 2;
    let room = y - top_of_panels;
    drawing.upright_label(
        &shortened(&figure.y_label, MEDIUM, room),
        (MARGIN + MEDIUM / 2, middle),
        MEDIUM,
        INK,
    );
    for line in broken(&figure.x.label, MEDIUM, WIDTH - MARGIN - left) {
        let centre = i32::midpoint(left, WIDTH - MARGIN - 10);
        drawing.label(&line, (centre, y + MEDIUM / 2), MEDIUM, INK, Anchor::Middle);
        y += MEDIUM * 14 / 10;
    }
    drawing.height = legend(&mut drawing, figure, y + 10) + MARGIN;
    drawing
}

/// The y ticks of each panel, wide enough for every spread.
fn y_ticks(figure: &LineFigure, panel_height: i32) -> Vec<RoundTicks> {
    let (lowest, highest) = figure.y_limits;
    let range = |panels: &[Panel]| {
        let points = panels
            .iter()
            .flat_map(|panel| &panel.series)
            .flat_map(|series| series.points.iter().flatten());
        let (low, high) = points.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), point| {
            (low.min(point.min), high.max(point.max))
        });
        let (low, high) = if low <= high { (low, high) } else { (0.0, 1.0) };
        let low = if figure.y_from_limit { lowest } else { low };
        let pad = if high > low {
            (high - low) * 0.04
        } else {
            (high.abs() * 0.05).max(1e-3)
        };
        RoundTicks::covering(
            (low - pad).max(lowest),
            (high + pad).min(highest),
            (panel_height / 80) as usize,
        )
    };
    if figure.y_shared {
        vec![range(&figure.panels); figure.panels.len()]
    } else {
        figure
            .panels
            .iter()
            .map(|panel| range(std::slice::from_ref(panel)))
            .collect()
    }
}

fn y_axis(drawing: &mut Drawing, frame: &Frame, ticks: &RoundTicks) {
    for &value in &ticks.values {
        let y = frame.y(value, ticks);
        drawing.line(vec![(frame.left, y), (frame.right, y)], GRID, 1);
        drawing.line(vec![(frame.left - TICK, y), (frame.left, y)], INK, 2);
        drawing.label(
            &ticks.label(value),
            (frame.left - TICK - 6, y),
            SMALL,
            INK,
            Anchor::Right,
        );
    }
    drawing.line(vec![(frame.left, frame.top), (frame.left, frame.bottom)], INK, 2);
}

/// Draws the axis and its labels, in up to three rows where they would touch; returns the y below them.
fn x_axis(drawing: &mut Drawing, frame: &Frame, axis: &XAxis) -> i32 {
    drawing.line(
        vec![(frame.left, frame.bottom), (frame.right, frame.bottom)],
        INK,
        2,
    );
    if let Some(gap) = axis.gap_at {
        let (x, y) = (frame.x(gap), frame.bottom);
        let (white, slash) = (plotters::style::WHITE, |dx: i32| {
            vec![(x + dx - 5, y + 9), (x + dx + 5, y - 9)]
        });
        drawing.line(vec![(x - 6, y), (x + 6, y)], white, 4);
        drawing.line(slash(-6), INK, 2);
        drawing.line(slash(6), INK, 2);
    }
    let rows = tick_rows(frame, &axis.ticks);
    let n_rows = rows.iter().flatten().map(|(row, _)| row + 1).max().unwrap_or(1);
    for (tick, placed) in axis.ticks.iter().zip(&rows) {
        let x = frame.x(tick.at);
        let Some((row, text)) = placed else { continue };
        drawing.line(vec![(x, frame.bottom), (x, frame.bottom + TICK)], INK, 2);
        let y = frame.bottom + TICK + 4 + LINE / 2 + *row as i32 * LINE;
        let half = width_of(text, SMALL) / 2;
        let x = x.clamp(MARGIN + half, WIDTH - MARGIN - half);
        drawing.label(text, (x, y), SMALL, INK, Anchor::Middle);
    }
    frame.bottom + TICK + 4 + n_rows as i32 * LINE
}

/// Row and text of each tick's label; `None` where no row has room.
fn tick_rows(frame: &Frame, ticks: &[Tick]) -> Vec<Option<(usize, String)>> {
    const GAP: i32 = 16;
    let slot = (frame.right - frame.left) / ticks.len().max(1) as i32;
    let mut ends = [i32::MIN; 3];
    ticks
        .iter()
        .map(|tick| {
            let text = shortened(&tick.label, SMALL, (2 * slot).max(120));
            let half = width_of(&text, SMALL) / 2;
            let x = frame.x(tick.at).clamp(MARGIN + half, WIDTH - MARGIN - half);
            let row = ends.iter().position(|&end| x - half > end)?;
            ends[row] = x + half + GAP;
            Some((row, text))
        })
        .collect()
}

fn lines(drawing: &mut Drawing, frame: &Frame, ticks: &RoundTicks, figure: &LineFigure, panel: &Panel) {
    let n = panel.series.len() as i32;
    let placed = |index: usize, point: &Point, value: f64| -> At {
        let dodge = if figure.x.is_dense {
            0
        } else {
            (2 * index as i32 - (n - 1)) * DODGE.min(90 / n.max(1)) / 2
        };
        (frame.x(point.x) + dodge, frame.y(value, ticks))
    };
    let look_of = |series: &Series| look_of(&figure.names, &series.name);
    for (index, series) in panel.series.iter().enumerate() {
        let (colour, _) = look_of(series);
        for run in series.points.split(Option::is_none) {
            let run: Vec<&Point> = run.iter().flatten().collect();
            if figure.x.is_dense && run.len() > 1 && panel.series.len() <= MOST_BANDS {
                let upper = run.iter().map(|point| placed(index, point, point.max));
                let lower = run.iter().rev().map(|point| placed(index, point, point.min));
                drawing.area(upper.chain(lower).collect(), colour, 0.15);
            }
            if figure.x.is_continuous && run.len() > 1 {
                drawing.line(
                    run.iter().map(|point| placed(index, point, point.mean)).collect(),
                    colour,
                    3,
                );
            }
        }
    }
    for (index, series) in panel.series.iter().enumerate() {
        let look = look_of(series);
        let points: Vec<&Point> = series.points.iter().flatten().collect();
        if !figure.x.is_dense {
            for point in points.iter().filter(|point| point.max > point.min) {
                let ((x, high), (_, low)) =
                    (placed(index, point, point.max), placed(index, point, point.min));
                drawing.line(vec![(x, high), (x, low)], look.0, 2);
                for y in [high, low] {
                    drawing.line(vec![(x - 6, y), (x + 6, y)], look.0, 2);
                }
            }
        }
        // On a dense line a few markers tell it from the others, not at the places of theirs.
        let every = (points.len() / 6).max(1);
        let shift = if points.len() > 12 {
            index * every / panel.series.len()
        } else {
            0
        };
        for point in points
            .iter()
            .skip(shift)
            .step_by(if points.len() > 12 { every } else { 1 })
        {
            drawing.marker(placed(index, point, point.mean), look);
        }
    }
}

/// Names of the lines beside their look, in rows; returns the y below them.
fn legend(drawing: &mut Drawing, figure: &LineFigure, top: i32) -> i32 {
    const SWATCH: i32 = 52;
    let (mut x, mut y) = (MARGIN, top);
    let names = Panel::names(&figure.panels);
    if names.len() < 2 {
        return top;
    }
    for name in &names {
        let look = look_of(&figure.names, name);
        let name = shortened(name, SMALL, WIDTH - 2 * MARGIN - SWATCH - 8);
        let width = SWATCH + 8 + width_of(&name, SMALL);
        if x > MARGIN && x + width > WIDTH - MARGIN {
            (x, y) = (MARGIN, y + LINE + 4);
        }
        let centre = y + LINE / 2;
        drawing.line(vec![(x, centre), (x + SWATCH, centre)], look.0, 3);
        drawing.marker((x + SWATCH / 2, centre), look);
        drawing.label(&name, (x + SWATCH + 8, centre), SMALL, INK, Anchor::Left);
        x += width + 30;
    }
    y + LINE
}
