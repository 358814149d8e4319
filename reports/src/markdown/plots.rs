//! The plots of a report.

use super::text::{escaped, line, section};

/// A plot to embed: `plots/STEM.svg`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Embedded {
    /// File name without its extension.
    pub(crate) stem: String,
    /// What it shows, for readers who cannot see it.
    pub(crate) alt: String,
    /// The drawing.
    pub(crate) svg: String,
}

/// A section with every plot; nothing without plots.
pub(crate) fn embed(out: &mut String, plots: &[Embedded]) {
    if plots.is_empty() {
        return;
    }
    section(out, "Plots");
    for plot in plots {
        line(
            out,
            &format!("![{}](plots/{}.svg)\n", escaped(&plot.alt), plot.stem),
        );
    }
}
