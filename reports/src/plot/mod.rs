//! Plots, drawn by the same code as SVG and PNG. Text is measured and, in PNG, drawn with a font that is part of
//! the program, so that no fonts need to be installed.

mod bars;
mod choose;
mod drawing;
mod figure;
mod lines;
mod output;
mod palette;
mod scale;
mod sweep;
#[cfg(test)]
mod tests;
mod text;

pub(crate) use choose::figures;
pub(crate) use output::{DrawError, png, svg};
