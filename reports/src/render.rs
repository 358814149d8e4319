//! Everything that is drawn from a run folder's records, written into the folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::ablation::{self, RunView, console_differences, console_table, report_md, summary_csv};
use crate::html::page;
use crate::markdown::Embedded;
use crate::plot::{DrawError, Named, png, svg};
use crate::record::{CurveRow, RecordError, RunFolder, replace_file};
use crate::throughput::{self, ThroughputView, throughput_table};

/// Files that [`render_all`] wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// `report.md`.
    pub report: PathBuf,
    /// `report.html`, the same in one file.
    pub page: PathBuf,
    /// `summary.csv`.
    pub summary: PathBuf,
    /// `plots/*.svg` and `plots/*.png`.
    pub plots: Vec<PathBuf>,
}

/// Draws `summary.csv`, `plots/`, `report.md` and `report.html` from the records in `folder`, as far as there are any and as the
/// suite's kind asks. Safe to repeat at any time, also while trials still run.
///
/// # Errors
/// Those of reading the records, and [`RecordError::Write`]; [`RecordError::Draw`] is a defect.
pub fn render_all(folder: &RunFolder) -> Result<Rendered, RecordError> {
    let run = folder.run()?;
    if run.suite.is_throughput() {
        let (measurements, peaks) = (folder.measurements()?, folder.peaks()?);
        let view = ThroughputView::new(&run, &measurements, peaks.as_ref());
        write(
            folder,
            &throughput::figures(&view),
            &throughput::summary_csv(&view),
            |plots| throughput::report_md(&view, plots),
        )
    } else {
        let (trials, comparisons) = (folder.trials()?, folder.comparisons()?);
        let view = RunView::new(&run, &trials);
        let figures = ablation::figures(&view, comparisons.as_ref(), &view_curves(folder, &view)?);
        write(folder, &figures, &summary_csv(&run, &trials), |plots| {
            report_md(&run, &trials, comparisons.as_ref(), plots)
        })
    }
}

/// The tables that a console shows of a run, as its suite's kind asks; `width` as in [`console_table`].
///
/// # Errors
/// Those of reading the records.
pub fn tables(folder: &RunFolder, width: Option<u16>) -> Result<String, RecordError> {
    let run = folder.run()?;
    Ok(if run.suite.is_throughput() {
        throughput_table(&run, &folder.measurements()?, folder.peaks()?.as_ref(), width)
    } else {
        let trials = folder.trials()?;
        let differences = folder.comparisons()?.map_or(String::new(), |comparisons| {
            console_differences(&run, &trials, &comparisons, width)
        });
        console_table(&run, &trials, width) + &differences
    })
}

/// Writes plots, summary and the report that embeds the plots.
fn write(
    folder: &RunFolder,
    figures: &[Named],
    summary_bytes: &[u8],
    report_text: impl FnOnce(&[Embedded]) -> String,
) -> Result<Rendered, RecordError> {
    let place = |stem: &str, extension: &str| folder.plot_path(stem, extension);
    let (plots, embedded) = write_plots(figures, place)?;
    let summary = folder.file("summary.csv");
    replace_file(&summary, summary_bytes)?;
    let [report, page] = write_report(&folder.file("report"), &report_text(&embedded), &embedded)?;
    Ok(Rendered {
        report,
        page,
        summary,
        plots,
    })
}

/// Writes a report as Markdown and as a page, `PATH.md` and `PATH.html`; returns the two.
///
/// # Errors
/// [`RecordError::Write`].
pub(crate) fn write_report(path: &Path, text: &str, plots: &[Embedded]) -> Result<[PathBuf; 2], RecordError> {
    let files = ["md", "html"].map(|extension| path.with_extension(extension));
    replace_file(&files[0], text.as_bytes())?;
    replace_file(&files[1], page(text, plots).as_bytes())?;
    Ok(files)
}

/// Draws figures as SVG and PNG into the files that `place` gives for stem and extension; returns these and what a report
/// embeds.
///
/// # Errors
/// [`RecordError::Write`]; [`RecordError::Draw`] is a defect.
pub(crate) fn write_plots(
    figures: &[Named],
    place: impl Fn(&str, &str) -> PathBuf,
) -> Result<(Vec<PathBuf>, Vec<Embedded>), RecordError> {
    let (mut plots, mut embedded) = (Vec::new(), Vec::new());
    for named in figures {
        let (svg_path, png_path) = (place(&named.stem, "svg"), place(&named.stem, "png"));
        let drawing = drawn(&svg_path, svg(&named.figure))?;
        replace_file(&svg_path, drawing.as_bytes())?;
        replace_file(&png_path, &drawn(&png_path, png(&named.figure))?)?;
        plots.extend([svg_path, png_path]);
        embedded.push(Embedded {
            stem: named.stem.clone(),
            alt: named.alt.clone(),
            svg: drawing,
        });
    }
    Ok((plots, embedded))
}

fn drawn<T>(path: &Path, result: Result<T, DrawError>) -> Result<T, RecordError> {
    result.map_err(|source| RecordError::Draw {
        path: path.to_owned(),
        problem: source.to_string(),
    })
}

/// The logged steps of every trial of this build that has a record.
fn view_curves(
    folder: &RunFolder,
    view: &RunView<'_>,
) -> Result<BTreeMap<String, Vec<CurveRow>>, RecordError> {
    view.results()
        .map(|(trial, _)| Ok((trial.id.clone(), folder.curves(&trial.id)?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::fixture;
    use crate::record::RunWriter;

    /// A folder with records of two seeds, their trials appended in this order.
    fn recorded(reversed: bool) -> (tempfile::TempDir, RunWriter) {
        let dir = tempfile::tempdir().unwrap();
        let run = fixture::queue_by_hierarchy(&[0, 1]);
        let mut trials = fixture::trials(&run);
        if reversed {
            trials.reverse();
        }
        let writer = RunWriter::open(dir.path()).unwrap();
        writer.write_run(&run).unwrap();
        writer.write_comparisons(&fixture::comparisons(&run)).unwrap();
        for trial in &trials {
            writer
                .write_curves(&trial.id, &fixture::curve(100, true, trial.seed))
                .unwrap();
            writer.append_trial(trial).unwrap();
        }
        (dir, writer)
    }

    #[test]
    fn a_folder_is_rendered_whole_and_the_same_in_whatever_order_trials_finished() {
        let (_one_dir, one) = recorded(false);
        let (_other_dir, other) = recorded(true);
        let (one, other) = (
            render_all(one.folder()).unwrap(),
            render_all(other.folder()).unwrap(),
        );
        let report = fs::read_to_string(&one.report).unwrap();
        assert_eq!(one.plots.len(), 12);
        // The page has every drawing, and shows none as a file.
        let page = fs::read_to_string(&one.page).unwrap();
        assert_eq!(
            (page.matches("<svg ").count(), page.matches("<img").count()),
            (6, 0)
        );
        for plot in one.plots.iter().filter(|plot| plot.extension().unwrap() == "svg") {
            let name = plot.file_name().unwrap().to_str().unwrap();
            assert!(report.contains(&format!("](plots/{name})")), "{name}");
        }
        let files = |rendered: &Rendered| {
            let paths = [&rendered.summary, &rendered.report, &rendered.page]
                .into_iter()
                .chain(&rendered.plots);
            paths.map(|path| fs::read(path).unwrap()).collect::<Vec<_>>()
        };
        assert!(files(&one) == files(&other));
    }

    #[test]
    fn a_run_without_trials_is_rendered_as_far_as_it_goes() {
        let dir = tempfile::tempdir().unwrap();
        let writer = RunWriter::open(dir.path()).unwrap();
        writer.write_run(&fixture::queue_by_hierarchy(&[0])).unwrap();
        let rendered = render_all(writer.folder()).unwrap();
        assert_eq!(rendered.plots, Vec::<PathBuf>::new());
        assert_eq!(fs::read_to_string(rendered.summary).unwrap().lines().count(), 10);
    }

    #[test]
    fn a_throughput_suite_gets_tables_and_plots_of_its_own() {
        use crate::throughput::fixture;

        let dir = tempfile::tempdir().unwrap();
        let writer = RunWriter::open(dir.path()).unwrap();
        let measurements = fixture::similarity();
        let run = fixture::run(&measurements, fixture::libtorch());
        writer.write_run(&run).unwrap();
        for measurement in measurements.iter().rev() {
            writer.append_measurement(measurement).unwrap();
        }
        writer.write_peaks(&fixture::peaks()).unwrap();
        let rendered = render_all(writer.folder()).unwrap();
        let report = fs::read_to_string(&rendered.report).unwrap();
        assert_eq!(rendered.plots.len(), 8);
        assert!(report.contains("](plots/roofline.svg)") && report.contains("| 4.00x [3.77, 4.24] |"));
        let summary = fs::read_to_string(&rendered.summary).unwrap();
        assert_eq!(
            summary.lines().count(),
            1 + 8 + 3,
            "two states of the caches for three kernels"
        );
        assert_eq!(
            tables(writer.folder(), None).unwrap(),
            throughput_table(&run, &measurements, Some(&fixture::peaks()), None)
        );
    }

    #[test]
    fn what_cannot_be_written_is_named_and_what_was_written_stays() {
        let (dir, writer) = recorded(false);
        fs::remove_dir(dir.path().join("plots")).unwrap();
        fs::write(dir.path().join("plots"), "in the way").unwrap();
        let error = render_all(writer.folder()).unwrap_err();
        assert!(error.is_write() && error.to_string().contains("plots"), "{error}");
        assert_eq!(writer.folder().trials().unwrap().len(), 18);
    }
}
