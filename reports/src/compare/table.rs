//! The comparison on a console, and the sentences that stand below tables everywhere.

use super::accuracy::accuracy_grid;
use super::machines::{likeness, machines_grid};
use super::record::{CompareRecord, ThroughputValue};
use super::throughput::{means_grid, throughput_grids};
use crate::grid::{Grid, fitted, wrapped};

/// All tables, then statements, remarks and a legend. `width` is the terminal's, in columns; `None` means as wide as it
/// takes, as in a file.
pub fn compare_table(record: &CompareRecord, width: Option<u16>) -> String {
    let mut text = String::new();
    for grid in grids(record) {
        text += &format!("{}\n\n", fitted(&[grid], width));
    }
    for line in statements(record)
        .into_iter()
        .chain(record.remarks.iter().map(|remark| format!("Remark: {remark}")))
        .chain(legend(record))
    {
        text += &format!("{}\n", wrapped(&line, width, "  "));
    }
    text
}

/// The tables, from machines to recalls.
fn grids(record: &CompareRecord) -> Vec<Grid> {
    let mut grids = vec![machines_grid(record)];
    grids.extend(throughput_grids(record));
    grids.extend(means_grid(record));
    grids.extend(accuracy_grid(record));
    grids
}

/// What machines and builds are, and whether accuracy is equal.
pub(super) fn statements(record: &CompareRecord) -> Vec<String> {
    let mut lines = likeness(record);
    lines.extend(
        record
            .statements
            .iter()
            .map(|statement| format!("{}: {}.", record.label(statement.column), statement.text)),
    );
    lines
}

/// What the columns of the tables mean, as far as they are there.
pub(super) fn legend(record: &CompareRecord) -> Vec<String> {
    let level = 100.0 * record.level;
    let mut lines = Vec::new();
    if !record.throughput.is_empty() {
        let any = |of: fn(&ThroughputValue) -> Option<f64>| {
            let mut values = record
                .throughput
                .iter()
                .flat_map(|row| row.values.iter().flatten());
            values.any(|value| of(value).is_some())
        };
        let columns = [
            ("FMA peak %", any(|value| value.fma_share)),
            ("f16 product %", any(|value| value.product_share)),
            ("copy %", any(|value| value.copy_share)),
        ];
        let columns: Vec<&str> = columns
            .iter()
            .filter(|(_, is_there)| *is_there)
            .map(|(name, _)| *name)
            .collect();
        let shares = match columns.split_last() {
            None => String::new(),
            Some((last, others)) => format!(
                " {}{}{last}: share of what the run's own machine did at most; bytes are the least that a call must move, so \
                 that data in the caches can exceed the copy bandwidth.",
                others.join(", "),
                if others.is_empty() { "" } else { " and " },
            ),
        };
        lines.push(format!(
            "Rates: geometric mean of the medians of processes, or of seeds in a training. Intervals: {level:.0} %, \
             Student's t on the logarithms, of ratios and of their geometric means by Welch; wide where processes are few.\
             {shares}"
        ));
    }
    if !record.accuracy.is_empty() {
        lines.push(format!(
            "Recalls: {level:.0} % bootstrap intervals, videos resampled, for the models at hand. Differences: videos \
             resampled in pairs, seeds by Student's t where both runs have several; their intervals have the level at \
             which each was judged (Holm over the cells and recalls of a run, {:.0} % in all), and ! marks those \
             without 0.",
            100.0 * record.alpha
        ));
    }
    lines
}
