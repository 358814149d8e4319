//! The files of a comparison: `compare.md`, `compare.html`, `compare.csv` and `plots/`.

use std::fs;
use std::path::{Path, PathBuf};

use super::csv::compare_csv;
use super::markdown::with_plots;
use super::plots::figures;
use super::record::CompareRecord;
use crate::record::{RecordError, replace_file};
use crate::render::{write_plots, write_report};

/// Files that [`write_files`] wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompareFiles {
    /// `compare.md`.
    pub report: PathBuf,
    /// `compare.html`, the same in one file.
    pub page: PathBuf,
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
    let table = folder.join("compare.csv");
    replace_file(&table, &compare_csv(record))?;
    let [report, page] = write_report(&folder.join("compare"), &with_plots(record, &embedded), &embedded)?;
    Ok(CompareFiles {
        report,
        page,
        table,
        plots,
    })
}
