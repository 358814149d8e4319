//! The files of a comparison: `compare.md`, `compare.csv` and `plots/`.

use std::fs;
use std::path::{Path, PathBuf};

use super::csv::compare_csv;
use super::markdown::with_plots;
use super::plots::figures;
use super::record::CompareRecord;
use crate::record::{RecordError, replace_file};
use crate::render::write_plots;

/// Files that [`write_files`] wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompareFiles {
    /// `compare.md`.
    pub report: PathBuf,
    /// `compare.csv`.
    pub table: PathBuf,
    /// `plots/*.svg` and `plots/*.png`.
    pub plots: Vec<PathBuf>,
}

/// Writes the comparison into `folder`, which is made where it is not there.
///
/// # Errors
/// [`RecordError::Write`]; [`RecordError::Draw`] is a defect.
pub fn write_files(record: &CompareRecord, folder: &Path) -> Result<CompareFiles, RecordError> {
    let plots_folder = folder.join("plots");
    fs::create_dir_all(&plots_folder).map_err(RecordError::write(&plots_folder))?;
    let place = |stem: &str, extension: &str| plots_folder.join(format!("{stem}.{extension}"));
    let (plots, embedded) = write_plots(&figures(record), place)?;
    let (report, table) = (folder.join("compare.md"), folder.join("compare.csv"));
    replace_file(&table, &compare_csv(record))?;
    replace_file(&report, with_plots(record, &embedded).as_bytes())?;
    Ok(CompareFiles { report, table, plots })
}
