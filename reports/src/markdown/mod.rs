//! What the `report.md` of every kind of suite shares: pieces of Markdown, plots, machine and command line.

mod plots;
mod provenance;
#[cfg(test)]
mod tests;
mod text;

pub(crate) use plots::{Embedded, embed};
pub(crate) use provenance::{machine, reproduce};
pub use text::escaped;
pub(crate) use text::{grid_md, line, plural, section};
