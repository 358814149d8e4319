//! Colours that people with any colour vision tell apart (Okabe and Ito, 2008), and markers that need none.

use plotters::style::RGBColor;

use crate::record::Verdict;

/// Text and axes.
pub(super) const INK: RGBColor = RGBColor(34, 34, 34);
/// Secondary text.
pub(super) const GREY_TEXT: RGBColor = RGBColor(95, 95, 95);
/// Grid lines.
pub(super) const GRID: RGBColor = RGBColor(222, 222, 222);

const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(0, 0, 0),
];

/// Shape of a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marker {
    Disc,
    Square,
    Triangle,
    Diamond,
    Ring,
    Frame,
    Cross,
    Down,
}

const MARKERS: [Marker; 8] = [
    Marker::Disc,
    Marker::Square,
    Marker::Triangle,
    Marker::Diamond,
    Marker::Ring,
    Marker::Frame,
    Marker::Cross,
    Marker::Down,
];

/// How a line looks. The first 56 lines all look different, since 7 colours and 8 markers share no factor.
pub(super) fn look(index: usize) -> (RGBColor, Marker) {
    (COLOURS[index % COLOURS.len()], MARKERS[index % MARKERS.len()])
}

/// How the line or point of a name looks, among the names that one report has.
pub(super) fn look_of(names: &[String], name: &str) -> (RGBColor, Marker) {
    let place = names.iter().position(|own| own == name);
    look(place.expect("a figure has the names of all that it draws"))
}

/// Colour of a bar.
pub(super) fn of_verdict(verdict: Verdict) -> RGBColor {
    match verdict {
        Verdict::Improved => COLOURS[0],
        Verdict::Regressed => COLOURS[1],
        Verdict::Inconclusive => RGBColor(150, 150, 150),
    }
}
