//! Layout of differences or ratios to a reference: one horizontal bar each, its interval, its numbers in words.

use super::axis::Axis;
use super::drawing::{Anchor, Drawing, LARGE, MARGIN, MEDIUM, SMALL, WIDTH};
use super::figure::{Bar, BarFigure};
use super::palette::{GREY_TEXT, GRID, INK, of_verdict};
use super::text::{broken, width_of};
use crate::record::Verdict;

const LINE: i32 = SMALL * 14 / 10;
const BAR: i32 = 24;
const TICK: i32 = 8;

/// Lays the figure out; its height follows from the number of bars.
pub(super) fn laid_out(figure: &BarFigure) -> Drawing {
    let mut drawing = Drawing::default();
    let mut y = drawing.paragraph(&figure.title, MARGIN, LARGE, INK);
    y = drawing.paragraph(&figure.subtitle, y, SMALL, GREY_TEXT) + 16;
    let widest = |text: fn(&Bar) -> &str| {
        figure
            .bars
            .iter()
            .map(|bar| width_of(text(bar), SMALL))
            .max()
            .unwrap_or(0)
    };
    let label_width = widest(|bar| &bar.label).min(WIDTH * 2 / 5);
    let left = MARGIN + label_width + 18;
    let right = WIDTH - MARGIN - widest(|bar| &bar.note) - 24;
    let ends = figure.bars.iter().flat_map(|bar| [bar.low, bar.high, bar.value]);
    let axis = Axis::covering(figure.scale, ends, ((right - left) / 130).max(2) as usize);
    let x = |value: f64| left + (f64::from(right - left) * axis.place(value)).round() as i32;
    let labels: Vec<Vec<String>> = figure
        .bars
        .iter()
        .map(|bar| broken(&bar.label, SMALL, label_width))
        .collect();
    let heights: Vec<i32> = labels
        .iter()
        .map(|lines| (lines.len() as i32 * LINE + 10).max(BAR + 16))
        .collect();
    let (top, bottom) = (y, y + heights.iter().sum::<i32>() + 8);
    for (value, label) in axis.ticks() {
        drawing.line(vec![(x(value), top), (x(value), bottom + TICK)], GRID, 1);
        drawing.label(
            &label,
            (x(value), bottom + TICK + 4 + LINE / 2),
            SMALL,
            INK,
            Anchor::Middle,
        );
    }
    drawing.line(vec![(left, bottom), (right, bottom)], INK, 2);
    for ((bar, lines), height) in figure.bars.iter().zip(&labels).zip(&heights) {
        let centre = y + 4 + height / 2;
        let first = centre - (lines.len() as i32 - 1) * LINE / 2;
        for (index, line) in lines.iter().enumerate() {
            let at = (MARGIN + label_width, first + index as i32 * LINE);
            drawing.label(line, at, SMALL, INK, Anchor::Right);
        }
        let (start, end) = (x(axis.start()), x(bar.value));
        let (above, below) = (centre - BAR / 2, centre + BAR / 2);
        let corners = vec![(start, above), (end, above), (end, below), (start, below)];
        drawing.area(corners, of_verdict(bar.verdict), 0.75);
        drawing.line(vec![(x(bar.low), centre), (x(bar.high), centre)], INK, 2);
        for end in [bar.low, bar.high] {
            drawing.line(vec![(x(end), centre - 7), (x(end), centre + 7)], INK, 2);
        }
        drawing.label(&bar.note, (right + 24, centre), SMALL, INK, Anchor::Left);
        y += height;
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
    drawing.height = legend(&mut drawing, figure, y + 8) + MARGIN;
    drawing
}

/// What the colours mean, as far as they occur; returns the y below.
fn legend(drawing: &mut Drawing, figure: &BarFigure, top: i32) -> i32 {
    let verdicts = [Verdict::Improved, Verdict::Regressed, Verdict::Inconclusive];
    let mut x = MARGIN;
    let centre = top + LINE / 2;
    for (verdict, word) in verdicts.into_iter().zip(figure.words) {
        if figure.bars.iter().any(|bar| bar.verdict == verdict) {
            let corners = vec![
                (x, centre - 10),
                (x + 34, centre - 10),
                (x + 34, centre + 10),
                (x, centre + 10),
            ];
            drawing.area(corners, of_verdict(verdict), 0.75);
            drawing.label(word, (x + 42, centre), SMALL, INK, Anchor::Left);
            x += 42 + width_of(word, SMALL) + 30;
        }
    }
    top + LINE
}
