//! A made-up comparison of three runs whose ratios can be computed in the head.

use super::record::{
    AccuracyRow, AccuracyStatement, AccuracyValue, Column, ColumnSource, CompareRecord, ComparedSuite,
    DifferenceFound, GeometricMean, PeakRates, RatioFound, StatementKind, ThroughputRow, ThroughputValue,
};
use crate::record::{Direction, GpuRecord, MachineRecord, Verdict};

fn column(label: &str, cpu: &str, is_like_machine: bool, fma: f64) -> Column {
    Column {
        label: label.to_owned(),
        path: format!("runs/{label}"),
        source: ColumnSource::Run,
        build_id: format!("0.1.0+{label}"),
        git_revision: None,
        dirty: label == "new",
        fingerprint: if is_like_machine { "0123" } else { "4567" }.to_owned(),
        machine: MachineRecord {
            os: "Linux 6.1".to_owned(),
            arch: "x86_64".to_owned(),
            cpu_model: Some(cpu.to_owned()),
            cpu_features: ["sse4.2", "avx", "avx2", "fma", "f16c"]
                .map(str::to_owned)
                .to_vec(),
            cores: 2,
            memory_bytes: Some(8 << 30),
            cpu_clock_hz: None,
            cpu_governor: None,
            gpus: match is_like_machine {
                true => Vec::new(),
                false => vec![GpuRecord {
                    name: "GPU".to_owned(),
                    memory_bytes: Some(16 << 30),
                    driver: None,
                    compute_capability: None,
                    clock_hz: None,
                }],
            },
        },
        peaks: Some(PeakRates {
            fma_flops_per_s: fma,
            copy_bytes_per_s: fma / 20.0,
        }),
        gpu_peaks: None,
        is_like_machine,
        is_same_build: label == "old",
    }
}

/// 1,000 FLOP and 100 bytes an item.
fn rate(per_s: f64, ratio: Option<f64>, fma: f64) -> Option<ThroughputValue> {
    let around = |value: f64| [value * 0.9, value * 1.1];
    Some(ThroughputValue {
        kernel: Some("cpu/avx2/f16".to_owned()),
        per_s,
        interval: Some(around(per_s)),
        n_samples: 5,
        ratio: ratio.map(|value| RatioFound {
            value,
            interval: Some(around(value)),
        }),
        flops_per_s: Some(1e3 * per_s),
        intensity: Some(10.0),
        fma_share: Some(1e3 * per_s / fma),
        product_share: None,
        copy_share: Some(1e2 * per_s / (fma / 20.0)),
        has_other_settings: false,
    })
}

fn recall(mean: f64, difference: Option<(f64, Verdict)>) -> Option<AccuracyValue> {
    Some(AccuracyValue {
        mean,
        interval: [mean - 0.03, mean + 0.03],
        n_seeds: 1,
        difference: difference.map(|(estimate, verdict)| DifferenceFound {
            estimate,
            interval: [estimate - 0.02, estimate + 0.02],
            level: 0.99,
            p_value: 0.5,
            verdict,
            detectable: 0.03,
        }),
        has_other_settings: false,
    })
}

/// Rates of `n_cells` cells in three columns: `new` is 1.25 times as fast as `old`, `other` 4 times, and has not the
/// last cell.
pub(super) fn rates(n_cells: usize) -> CompareRecord {
    let columns = vec![
        column("old", "CPU A", true, 4e11),
        column("new", "CPU A", true, 4e11),
        column("other", "CPU B with a rather long name", false, 2e12),
    ];
    let row = |metric: &str, factor: f64, at: usize| {
        let base = factor * 2e8 / (at + 1) as f64;
        ThroughputRow {
            cell: format!("operation=rank_counts/shape={at}/kernel=cpu.auto.f16"),
            metric: metric.to_owned(),
            item: "pairs".to_owned(),
            samples: "processes",
            values: vec![
                rate(base, None, 4e11),
                rate(1.25 * base, Some(1.25), 4e11),
                rate(4.0 * base, Some(4.0), 2e12).filter(|_| at + 1 < n_cells),
            ],
        }
    };
    let metrics = [("warm.items_per_s", 1.0), ("cold.items_per_s", 0.5)];
    let throughput = metrics
        .into_iter()
        .flat_map(|(metric, factor)| (0..n_cells).map(move |at| row(metric, factor, at)));
    let geometric_means = metrics.map(|(metric, _)| GeometricMean {
        metric: metric.to_owned(),
        n_cells: n_cells - 1,
        n_all_cells: n_cells,
        ratios: [(1.0, None), (1.25, Some([1.2, 1.3])), (4.0, None)]
            .map(|(value, interval)| RatioFound { value, interval })
            .to_vec(),
    });
    CompareRecord {
        schema: "hitbench.compare/1",
        suite: ComparedSuite {
            name: "kernels".to_owned(),
            version: 1,
            kind: "throughput".to_owned(),
        },
        protocol: None,
        reference: 0,
        columns,
        level: 0.95,
        throughput: throughput.collect(),
        geometric_means: geometric_means.to_vec(),
        alpha: 0.05,
        accuracy: Vec::new(),
        statements: Vec::new(),
        remarks: vec!["other has nothing of the last cell.".to_owned()],
    }
}

/// Recalls of two columns in one cell: R@1 of `t2v` differs, the others are not shown to.
pub(super) fn recalls() -> CompareRecord {
    let mut record = rates(1);
    record.columns.truncate(2);
    record.throughput.clear();
    record.geometric_means.clear();
    record.remarks.clear();
    record.suite.kind = "eval".to_owned();
    for (direction, k, mean, difference, verdict) in [
        (Direction::T2v, 1, 0.4, -0.05, Verdict::Regressed),
        (Direction::T2v, 5, 0.7, 0.01, Verdict::Inconclusive),
        (Direction::V2t, 1, 0.38, 0.0, Verdict::Inconclusive),
        (Direction::V2t, 5, 0.69, -0.01, Verdict::Inconclusive),
    ] {
        record.accuracy.push(AccuracyRow {
            cell: "the only cell".to_owned(),
            direction,
            k,
            n_queries: 100,
            n_gallery: 100,
            values: vec![
                recall(mean, None),
                recall(mean + difference, Some((difference, verdict))),
            ],
        });
    }
    record.statements.push(AccuracyStatement {
        column: 1,
        kind: StatementKind::Differs,
        n_queries: 200,
        n_differ: 12,
        n_tests: 4,
        text: "accuracy differs in t2v R@1".to_owned(),
    });
    record
}
