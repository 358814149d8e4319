//! The table of machines and builds, one column a run, and what is said of unlike ones.

use super::record::{Column, ColumnSource, CompareRecord};
use crate::grid::Grid;
use crate::markdown::plural;
use crate::record::{GpuRecord, MachineRecord};

/// Instruction sets on a line of the table.
const FEATURES_A_LINE: usize = 4;

/// What a run says of itself.
type Fact = fn(&Column) -> String;

/// The facts that may explain a difference, one row each.
pub(super) fn machines_grid(record: &CompareRecord) -> Grid {
    let facts: [(&str, Fact); 13] = [
        ("processor", |column| unknown(column.machine.cpu_model.as_deref())),
        ("cores", |column| {
            format!("{} ({})", column.machine.cores, column.machine.arch)
        }),
        ("features", |column| features(&column.machine)),
        ("memory", |column| {
            column
                .machine
                .memory_bytes
                .map_or("unknown".to_owned(), gibibytes)
        }),
        ("GPU", |column| gpus(&column.machine.gpus)),
        ("system", |column| column.machine.os.clone()),
        ("fingerprint", |column| column.fingerprint.clone()),
        ("FMA peak", |column| {
            column.peaks.map_or("not measured".to_owned(), |peaks| {
                format!("{:.1} GFLOP/s", peaks.fma_flops_per_s / 1e9)
            })
        }),
        ("copy", |column| {
            column.peaks.map_or("not measured".to_owned(), |peaks| {
                format!("{:.2} GB/s", peaks.copy_bytes_per_s / 1e9)
            })
        }),
        ("GPU f16 product", |column| {
            let product = column.gpu_peaks.and_then(|peaks| peaks.product_flops_per_s);
            product.map_or("not measured".to_owned(), |rate| {
                format!("{:.1} TFLOP/s", rate / 1e12)
            })
        }),
        ("GPU copy", |column| {
            column.gpu_peaks.map_or("not measured".to_owned(), |peaks| {
                format!("{:.2} GB/s", peaks.copy_bytes_per_s / 1e9)
            })
        }),
        ("build", build),
        ("read from", |column| {
            match column.source {
                ColumnSource::Run => "run folder",
                ColumnSource::Baseline => "baseline",
            }
            .to_owned()
        }),
    ];
    let row = |(name, fact): (&str, Fact)| {
        std::iter::once(name.to_owned())
            .chain(record.columns.iter().map(fact))
            .collect()
    };
    let any = |has: fn(&Column) -> bool| record.columns.iter().any(has);
    let (has_peaks, has_gpu_peaks) = (
        any(|column| column.peaks.is_some()),
        any(|column| column.gpu_peaks.is_some()),
    );
    let is_shown = |(name, _): &(&str, Fact)| match *name {
        "FMA peak" | "copy" => has_peaks,
        "GPU f16 product" | "GPU copy" => has_gpu_peaks,
        _ => true,
    };
    let labels = record.columns.iter().enumerate().map(|(at, column)| {
        if at == record.reference {
            format!("{} *", column.label)
        } else {
            column.label.clone()
        }
    });
    Grid {
        caption: format!(
            "{}, version {}: {} side by side; * marks the reference",
            record.suite.name,
            record.suite.version,
            plural(record.columns.len(), "run")
        ),
        header: std::iter::once(String::new()).chain(labels).collect(),
        n_words: 1 + record.columns.len(),
        rows: facts.into_iter().filter(is_shown).map(row).collect(),
    }
}

/// Which columns are of other machines or builds than the reference, a sentence each.
pub(super) fn likeness(record: &CompareRecord) -> Vec<String> {
    let others = |is_like: fn(&Column) -> bool| -> Vec<&str> {
        let unlike = record.columns.iter().filter(|column| !is_like(column));
        unlike.map(|column| column.label.as_str()).collect()
    };
    let reference = record.reference_label();
    let machines = match &others(|column| column.is_like_machine)[..] {
        [] => "All runs are of like machines (same fingerprint).".to_owned(),
        unlike => format!(
            "Unlike machines: {} ran on other hardware than {reference}; ratios of throughput are between machines there.",
            listed(unlike)
        ),
    };
    let builds = match &others(|column| column.is_same_build)[..] {
        [] => "All runs are of one build.".to_owned(),
        unlike => format!(
            "Unlike builds: {} ran another build than {reference}.",
            listed(unlike)
        ),
    };
    vec![machines, builds]
}

/// `a, b and c`.
pub(super) fn listed(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [all @ .., last] => format!("{} and {last}", all.join(", ")),
    }
}

fn unknown(text: Option<&str>) -> String {
    text.unwrap_or("unknown").to_owned()
}

fn gibibytes(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30))
}

fn features(machine: &MachineRecord) -> String {
    match &machine.cpu_features[..] {
        [] => "none known".to_owned(),
        features => {
            let lines: Vec<String> = features
                .chunks(FEATURES_A_LINE)
                .map(|line| line.join(" "))
                .collect();
            lines.join("\n")
        }
    }
}

fn gpus(gpus: &[GpuRecord]) -> String {
    let text = |gpu: &GpuRecord| {
        let memory = gpu.memory_bytes.map(|bytes| format!(", {}", gibibytes(bytes)));
        format!("{}{}", gpu.name, memory.unwrap_or_default())
    };
    match gpus {
        [] => "none".to_owned(),
        gpus => gpus.iter().map(text).collect::<Vec<_>>().join("\n"),
    }
}

fn build(column: &Column) -> String {
    let dirty = if column.dirty {
        "\nwith uncommitted changes"
    } else {
        ""
    };
    format!("{}{dirty}", column.build_id)
}
