//! Plots, drawn by the same code as SVG and PNG. Text is measured and, in PNG, drawn with a font that is part of
//! the program, so that no fonts need to be installed.

mod axis;
mod bars;
mod drawing;
mod figure;
mod groups;
mod lines;
mod output;
mod palette;
mod roofline;
mod scale;
#[cfg(test)]
pub(crate) mod tests;
mod text;

pub(crate) use figure::{
    Bar, BarFigure, BarScale, Figure, Group, GroupBar, GroupFigure, LineFigure, Named, Panel, Point, Roof,
    RooflineFigure, RooflinePoint, Series, Tick, XAxis,
};
pub(crate) use output::{DrawError, png, svg};
pub(crate) use scale::{PlaceKind, Places, RoundTicks};
