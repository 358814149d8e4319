//! The rows of the tables: for each operation and shape one row a kernel and state of the caches, then the speed of this
//! project's kernels relative to each opponent.

use super::numbers::{error_text, percent, prefix, ratio_text, significant, time_unit, with_deviation};
use super::view::{Block, Entry, ThroughputView, Timed, outcome_word};
use crate::grid::Grid;
use crate::record::{AccuracyRecord, MeasurementOutcome};

/// How much a table tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    /// Everything.
    All,
    /// Times, rates and ratios, for narrow terminals.
    Main,
}

/// A text from the index of an entry and its times.
type OfTimed<'f> = Box<dyn Fn(usize, Timed<'_>) -> String + 'f>;

/// One row a kernel and state of the caches; a kernel without times has one row that says why.
pub(super) fn times_grid(view: &ThroughputView<'_>, block: &Block<'_>, detail: Detail) -> Grid {
    let all = || block.entries.iter().flat_map(Entry::timed);
    let least = all()
        .map(|timed| timed.times.median_ns)
        .fold(f64::INFINITY, f64::min);
    let fastest = all().map(|timed| timed.items_per_s()).fold(0.0, f64::max);
    let ((time, ns), (prefix, scale)) = (time_unit(least), prefix(fastest));
    let item = all()
        .next()
        .map_or("items", |timed| timed.result.work.item.as_str());
    let rate = |rate: Option<f64>| rate.map(|rate| significant(rate / 1e9, 4)).unwrap_or_default();
    let share = |share: Option<f64>| share.map(percent).unwrap_or_default();

    let mut columns: Vec<(String, OfTimed<'_>)> = vec![(
        format!("time, {time}"),
        Box::new(move |_, timed| with_deviation(timed.times.median_ns / ns, timed.times.mad_ns / ns)),
    )];
    if detail == Detail::All {
        columns.push(("samples".to_owned(), Box::new(|_, timed| samples_text(timed))));
    }
    let with_flops = all().any(|timed| timed.result.work.flops.is_some());
    let with_bytes = all().any(|timed| timed.result.work.bytes.is_some());
    if with_flops {
        columns.push((
            "GFLOP/s".to_owned(),
            Box::new(move |_, timed| rate(timed.flops_per_s())),
        ));
    }
    if with_bytes && (detail == Detail::All || !with_flops) {
        columns.push((
            "GB/s".to_owned(),
            Box::new(move |_, timed| rate(timed.bytes_per_s())),
        ));
    }
    columns.push((
        format!("{prefix}{item}/s"),
        Box::new(move |_, timed| significant(timed.items_per_s() / scale, 4)),
    ));
    if view.peaks.is_some() && with_flops {
        let text = move |at: usize, timed: Timed<'_>| share(view.fma_share(&block.entries[at], timed));
        columns.push(("FMA peak, %".to_owned(), Box::new(text)));
    }
    if view
        .gpu_peaks
        .as_ref()
        .is_some_and(|peaks| peaks.product.is_some())
        && with_flops
    {
        let text = move |at: usize, timed: Timed<'_>| share(view.product_share(&block.entries[at], timed));
        columns.push(("f16 product, %".to_owned(), Box::new(text)));
    }
    if (view.peaks.is_some() || view.gpu_peaks.is_some()) && with_bytes {
        let text = move |at: usize, timed: Timed<'_>| {
            share(view.copy_share(&block.entries[at], timed).map(|one| one.value))
        };
        columns.push(("copy, %".to_owned(), Box::new(text)));
    }
    if all().any(|timed| block.reference_timed(timed.times.cache).is_some()) {
        columns.push((
            "speed".to_owned(),
            Box::new(|at, timed| speed_text(block, at, timed)),
        ));
    }
    if detail == Detail::All {
        let accuracy = |_: usize, timed: Timed<'_>| match &timed.result.accuracy {
            Some(accuracy) => accuracy_text(accuracy, '/'),
            None => "-".to_owned(),
        };
        columns.push(("error / tolerance".to_owned(), Box::new(accuracy)));
        if all().any(|timed| timed.result.peak_memory_bytes.is_some()) {
            let memory = |_: usize, timed: Timed<'_>| {
                let bytes = timed.result.peak_memory_bytes;
                bytes
                    .map(|bytes| format!("{:.0}", bytes as f64 / f64::from(1 << 20)))
                    .unwrap_or_default()
            };
            columns.push(("memory, MiB".to_owned(), Box::new(memory)));
        }
    }

    let threads: Vec<u64> = block.entries.iter().map(|entry| entry.record.threads).collect();
    let shared_threads = threads.iter().all(|n| *n == threads[0]);
    let mut header: Vec<String> = vec!["kernel".to_owned()];
    if !shared_threads {
        header.push("threads".to_owned());
    }
    header.push("caches".to_owned());
    let n_words = header.len();
    header.extend(columns.iter().map(|(name, _)| name.clone()));
    let mut rows = Vec::new();
    for (index, entry) in block.entries.iter().enumerate() {
        let mark = if block.reference == Some(index) { "* " } else { "" };
        let front = |cache: &str| {
            let mut row = vec![format!("{mark}{}", entry.label)];
            if !shared_threads {
                row.push(entry.record.threads.to_string());
            }
            row.push(cache.to_owned());
            row
        };
        for timed in entry.timed() {
            let mut row = front(timed.times.cache.name());
            row.extend(columns.iter().map(|(_, text)| text(index, timed)));
            rows.push(row);
        }
        if let Some(state) = state_text(&entry.record.outcome, detail) {
            let mut row = front("");
            row.push(state);
            row.resize(header.len(), String::new());
            rows.push(row);
        }
    }
    let mut caption = block.title();
    if shared_threads {
        caption += &format!(
            "; {} thread{}",
            threads[0],
            if threads[0] == 1 { "" } else { "s" }
        );
    }
    Grid {
        caption,
        header,
        n_words,
        rows,
    }
}

fn samples_text(timed: Timed<'_>) -> String {
    format!(
        "{} in {}",
        timed.times.n_samples,
        timed.times.process_medians_ns.len()
    )
}

fn speed_text(block: &Block<'_>, at: usize, timed: Timed<'_>) -> String {
    match block.reference_timed(timed.times.cache) {
        Some(_) if block.reference == Some(at) => "1x".to_owned(),
        Some(reference) => ratio_text(timed.speed_against(reference)),
        None => String::new(),
    }
}

fn accuracy_text(accuracy: &AccuracyRecord, sign: char) -> String {
    format!(
        "{} {sign} {}",
        error_text(accuracy.error),
        error_text(accuracy.tolerance)
    )
}

/// What stands in place of a time.
fn state_text(outcome: &MeasurementOutcome, detail: Detail) -> Option<String> {
    match outcome {
        MeasurementOutcome::Ok { .. } => None,
        MeasurementOutcome::Wrong { accuracy } if detail == Detail::All => {
            Some(format!("wrong: {}", accuracy_text(accuracy, '>')))
        }
        other => Some(outcome_word(other).to_owned()),
    }
}

/// Speed of each of this project's kernels relative to each opponent and, where moving memory bounds the operation,
/// to the copy bandwidth. `None` when nothing would be in it.
pub(super) fn opponents_grid(view: &ThroughputView<'_>, block: &Block<'_>) -> Option<Grid> {
    let has_times = |entry: &&Entry<'_>| entry.timed().next().is_some();
    let opponents: Vec<&Entry<'_>> = block
        .entries
        .iter()
        .filter(|entry| entry.is_opponent())
        .filter(has_times)
        .collect();
    let ours = || block.entries.iter().filter(|entry| entry.is_ours());
    let with_copy = ours().any(|entry| {
        let mut timed = entry.timed();
        timed.any(|timed| view.is_memory_bound(entry, timed) && view.copy_share(entry, timed).is_some())
    });
    let mut header: Vec<String> = vec!["speed of".to_owned(), "caches".to_owned()];
    header.extend(opponents.iter().map(|entry| format!("to {}", entry.label)));
    if with_copy {
        header.push("to copy bandwidth".to_owned());
    }
    let mut rows: Vec<Vec<String>> = Vec::new();
    for entry in ours() {
        for timed in entry.timed() {
            let mut row = vec![entry.label.clone(), timed.times.cache.name().to_owned()];
            row.extend(opponents.iter().map(|opponent| {
                let other = opponent.timed_in(timed.times.cache);
                other
                    .map(|other| ratio_text(timed.speed_against(other)))
                    .unwrap_or_default()
            }));
            if with_copy {
                let share = view
                    .copy_share(entry, timed)
                    .filter(|_| view.is_memory_bound(entry, timed));
                row.push(share.map(ratio_text).unwrap_or_default());
            }
            rows.push(row);
        }
    }
    (!rows.is_empty() && header.len() > 2).then(|| Grid {
        caption: format!("{}: own kernels relative to each opponent", block.title()),
        header,
        n_words: 2,
        rows,
    })
}
