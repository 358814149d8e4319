//! `summary.csv` of a throughput suite: one row a planned measurement and state of the caches. Its times are what was
//! asked for, so that, unlike the summary of an ablation, it differs from run to run.

use super::view::{Block, Entry, ThroughputView, Timed, outcome_word};
use crate::record::{MeasurementOutcome, value_text};

const FRONT: [&str; 3] = ["measurement", "name", "cell"];
const IDENTITY: [&str; 7] = [
    "operation",
    "shape",
    "kernel",
    "threads",
    "status",
    "reason",
    "cache",
];
const TIMES: [&str; 20] = [
    "median_ns",
    "mad_ns",
    "n_samples",
    "n_processes",
    "process_min_ns",
    "process_max_ns",
    "flops",
    "bytes",
    "items",
    "item",
    "flops_per_s",
    "bytes_per_s",
    "items_per_s",
    "fma_peak_share",
    "f16_product_share",
    "copy_share",
    "speed",
    "speed_low",
    "speed_high",
    "peak_memory_bytes",
];
/// Place of the one word among [`TIMES`].
const ITEM: usize = 9;
const ACCURACY: [&str; 3] = ["error", "tolerance", "n_compared"];

/// The summary of a run. Unknown values are empty; `status` is `ok`, `wrong`, `unavailable`, `failed`, or `missing` for
/// a measurement without a record of this build. Times are in nanoseconds, shares are fractions, `speed` is the time of
/// the suite's reference kernel by the row's.
pub(crate) fn summary_csv(view: &ThroughputView<'_>) -> Vec<u8> {
    let axes: Vec<&str> = view
        .run
        .suite
        .axes
        .iter()
        .map(|axis| axis.path.as_str())
        .collect();
    let mut writer = csv::Writer::from_writer(Vec::new());
    let header = FRONT
        .into_iter()
        .chain(axes.iter().copied())
        .chain(IDENTITY)
        .chain(TIMES)
        .chain(ACCURACY);
    writer.write_record(header).expect("memory takes every byte");
    for planned in &view.planned {
        let mut front = vec![
            planned.trial.id.clone(),
            planned.trial.name.clone(),
            planned.cell.hash.clone(),
        ];
        let values = &planned.cell.axis_values;
        front.extend(
            axes.iter()
                .map(|&path| values.get(path).map(value_text).unwrap_or_default()),
        );
        let rows = match planned.place {
            Some((block, entry)) => {
                let block = &view.blocks[block];
                rows(view, block, &block.entries[entry])
            }
            None => {
                let columns = IDENTITY.iter().chain(&TIMES).chain(&ACCURACY);
                let text = |name: &&str| if *name == "status" { "missing" } else { "" };
                vec![columns.map(|name| text(name).to_owned()).collect()]
            }
        };
        for row in rows {
            writer
                .write_record(front.iter().chain(&row))
                .expect("every row has the header's columns");
        }
    }
    writer.into_inner().expect("memory takes every byte")
}

/// The columns behind the axes: a row a state of the caches, or one that says why there is none.
fn rows(view: &ThroughputView<'_>, block: &Block<'_>, entry: &Entry<'_>) -> Vec<Vec<String>> {
    let timed: Vec<Option<Timed<'_>>> = match entry.record.outcome {
        MeasurementOutcome::Ok { .. } => entry.timed().map(Some).collect(),
        _ => vec![None],
    };
    let row = |timed: Option<Timed<'_>>| {
        let mut row = identity(entry);
        row.push(
            timed
                .map(|timed| timed.times.cache.name().to_owned())
                .unwrap_or_default(),
        );
        row.extend(timed.map_or(vec![String::new(); TIMES.len()], |timed| {
            times(view, block, entry, timed)
        }));
        row.extend(accuracy(entry));
        row
    };
    timed.into_iter().map(row).collect()
}

fn identity(entry: &Entry<'_>) -> Vec<String> {
    let record = entry.record;
    let reason = match &record.outcome {
        MeasurementOutcome::Unavailable { reason } => reason.clone(),
        MeasurementOutcome::Failed { error } => error.replace('\n', "; "),
        MeasurementOutcome::Wrong { accuracy } => accuracy.worst.clone(),
        MeasurementOutcome::Ok { .. } => String::new(),
    };
    let sizes = record
        .shape
        .iter()
        .map(|(name, size)| format!("{name}={}", value_text(size)));
    vec![
        record.operation.clone(),
        sizes.collect::<Vec<_>>().join(" "),
        record.kernel.clone(),
        record.threads.to_string(),
        outcome_word(&record.outcome).to_owned(),
        reason,
    ]
}

fn times(view: &ThroughputView<'_>, block: &Block<'_>, entry: &Entry<'_>, timed: Timed<'_>) -> Vec<String> {
    let (times, work) = (timed.times, &timed.result.work);
    let processes = timed.processes();
    let speed = block
        .reference_timed(times.cache)
        .map(|reference| timed.speed_against(reference));
    let is_reference = block
        .reference
        .is_some_and(|at| block.entries[at].record.id == entry.record.id);
    let range = |end: usize| {
        speed
            .filter(|_| !is_reference)
            .and_then(|speed| Some(speed.range?[end]))
    };
    let numbers = [
        Some(times.median_ns),
        Some(times.mad_ns),
        Some(times.n_samples as f64),
        Some(times.process_medians_ns.len() as f64),
        processes.map(|range| range.min),
        processes.map(|range| range.max),
        work.flops.map(|n| n as f64),
        work.bytes.map(|n| n as f64),
        Some(work.items as f64),
        timed.flops_per_s(),
        timed.bytes_per_s(),
        Some(timed.items_per_s()),
        view.fma_share(entry, timed),
        view.product_share(entry, timed),
        view.copy_share(entry, timed).map(|share| share.value),
        speed.map(|speed| speed.value),
        range(0),
        range(1),
        timed.result.peak_memory_bytes.map(|n| n as f64),
    ];
    let mut row: Vec<String> = numbers.map(number).to_vec();
    row.insert(ITEM, work.item.clone());
    row
}

fn accuracy(entry: &Entry<'_>) -> [String; 3] {
    let accuracy = match &entry.record.outcome {
        MeasurementOutcome::Ok { result } => result.accuracy.as_ref(),
        MeasurementOutcome::Wrong { accuracy } => Some(accuracy),
        _ => None,
    };
    [
        number(accuracy.map(|own| own.error)),
        number(accuracy.map(|own| own.tolerance)),
        number(accuracy.map(|own| own.n_compared as f64)),
    ]
}

fn number(value: Option<f64>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}
