//! Made-up measurements whose rates, shares and ratios can be computed in the head.

use serde_json::{Map, Value, json};

use crate::fixture;
use crate::record::{
    AccuracyRecord, AxisRecord, AxisValues, CacheState, FORMAT, MeasurementOutcome, MeasurementRecord,
    MeasurementResult, PeaksRecord, PlannedCell, PlannedTrial, ProcessRecord, RunRecord, TimesRecord,
    WorkRecord,
};

/// What one call does: floating-point operations, bytes, items, their name.
pub(crate) type Work = (Option<u64>, Option<u64>, u64, &'static str);

/// 1,000 queries by 1,000 items of dimension 500 in f16: 1 GFLOP, 2 MB, a million pairs.
pub(crate) const RANKS: Work = (Some(1_000_000_000), Some(2_000_000), 1_000_000, "pairs");
/// A million parameters of 12 bytes, 3 operations each.
pub(crate) const EMA: Work = (Some(3_000_000), Some(12_000_000), 1_000_000, "parameters");

/// The sizes of an operation.
pub(crate) fn shape(sizes: &[(&str, u64)]) -> Map<String, Value> {
    sizes
        .iter()
        .map(|(name, size)| ((*name).to_owned(), json!(size)))
        .collect()
}

/// 1,000 by 1,000 by 500.
pub(crate) fn rank_shape() -> Map<String, Value> {
    shape(&[("queries", 1000), ("gallery", 1000), ("dim", 500)])
}

/// A kernel that was right and whose processes had these medians, in nanoseconds; 20 samples a process.
pub(crate) fn ok(work: Work, times: &[(CacheState, &[f64])]) -> MeasurementOutcome {
    let times = times.iter().map(|(cache, medians)| {
        let median_ns = super::ratio::Range::of(medians.iter().copied()).unwrap().median;
        TimesRecord {
            cache: *cache,
            median_ns,
            mad_ns: median_ns / 100.0,
            n_samples: 20 * medians.len() as u64,
            process_medians_ns: medians.to_vec(),
        }
    });
    let (flops, bytes, items, item) = work;
    MeasurementOutcome::Ok {
        result: Box::new(MeasurementResult {
            work: WorkRecord {
                flops,
                bytes,
                items,
                item: item.to_owned(),
            },
            accuracy: Some(accuracy(1.25e-7)),
            times: times.collect(),
            peak_memory_bytes: None,
            gpu: Vec::new(),
        }),
    }
}

/// An error against a tolerance of two millionths.
pub(crate) fn accuracy(error: f64) -> AccuracyRecord {
    AccuracyRecord {
        error,
        tolerance: 2e-6,
        worst: "query 3 of odd-dims".to_owned(),
        n_compared: 320,
    }
}

/// A measurement of `kernel`, whose cell has the axis `kernel` alone.
pub(crate) fn measurement(
    operation: &str,
    shape: &Map<String, Value>,
    kernel: &str,
    outcome: MeasurementOutcome,
) -> MeasurementRecord {
    let sizes: Vec<String> = shape.values().map(Value::to_string).collect();
    let id = format!("{operation}-{}-{}-s0", sizes.join("-"), kernel.replace('/', "-"));
    MeasurementRecord {
        format: FORMAT,
        name: format!("similarity/{id}"),
        cell_hash: format!("hash-of-{id}"),
        id,
        build_id: "0.1.0+1f75977".to_owned(),
        axis_values: [("kernel".to_owned(), json!(kernel))].into_iter().collect(),
        operation: operation.to_owned(),
        shape: shape.clone(),
        kernel: kernel.to_owned(),
        threads: 2,
        outcome,
    }
}

/// A run that planned these measurements, relative to `reference`.
pub(crate) fn run(measurements: &[MeasurementRecord], reference: AxisValues) -> RunRecord {
    let mut run = fixture::run(&[], &[0]);
    let mut kernels: Vec<Value> = Vec::new();
    for measurement in measurements {
        let kernel = measurement.axis_values["kernel"].clone();
        if !kernels.contains(&kernel) {
            kernels.push(kernel);
        }
    }
    run.suite.name = "similarity".to_owned();
    run.suite.about = "How fast is each kernel?".to_owned();
    run.suite.kind = "throughput".to_owned();
    run.suite.axes = vec![AxisRecord {
        path: "kernel".to_owned(),
        values: kernels,
    }];
    run.suite.reference = Some(reference);
    run.command = ["hitbench", "run", "suites/throughput/similarity.yaml"]
        .map(str::to_owned)
        .to_vec();
    let cell = |measurement: &MeasurementRecord| PlannedCell {
        hash: measurement.cell_hash.clone(),
        axis_values: measurement.axis_values.clone(),
        merged: Vec::new(),
        trials: vec![PlannedTrial {
            id: measurement.id.clone(),
            name: measurement.name.clone(),
            seed: 0,
        }],
    };
    run.plan = measurements.iter().map(cell).collect();
    run
}

/// The reference of most suites.
pub(crate) fn libtorch() -> AxisValues {
    [("kernel".to_owned(), json!("libtorch/cpu/f32"))]
        .into_iter()
        .collect()
}

/// `rank_counts` with every outcome, and `ema_update`, which memory bounds.
pub(crate) fn similarity() -> Vec<MeasurementRecord> {
    use CacheState::{Cold, Warm};
    let ranks = |kernel: &str, outcome| measurement("rank_counts", &rank_shape(), kernel, outcome);
    let parameters = shape(&[("parameters", 1_000_000), ("tensors", 110)]);
    let ema = |kernel: &str, outcome| measurement("ema_update", &parameters, kernel, outcome);
    let mut gemm = ok(RANKS, &[(Warm, &[4e6, 4e6, 4.1e6]), (Cold, &[5e6, 5e6, 5.1e6])]);
    if let MeasurementOutcome::Ok { result } = &mut gemm {
        result.accuracy = None;
    }
    vec![
        ranks(
            "cpu/avx512/f16",
            ok(
                RANKS,
                &[(Warm, &[4.9e6, 5.0e6, 5.2e6]), (Cold, &[6.2e6, 6.25e6, 6.3e6])],
            ),
        ),
        ranks(
            "libtorch/cpu/f32",
            ok(
                RANKS,
                &[(Warm, &[1.96e7, 2e7, 2.08e7]), (Cold, &[2.5e7, 2.5e7, 2.5e7])],
            ),
        ),
        ranks("gemm/f32", gemm),
        ranks(
            "cpu/avx2/f16",
            MeasurementOutcome::Wrong {
                accuracy: accuracy(0.031),
            },
        ),
        ranks(
            "libtorch/cpu/f16",
            MeasurementOutcome::Unavailable {
                reason: "built without libtorch".to_owned(),
            },
        ),
        ranks(
            "cpu/scalar/f16",
            MeasurementOutcome::Failed {
                error: "process 2 stopped\nkilled by signal 9".to_owned(),
            },
        ),
        ema("cpu/avx512/f32", ok(EMA, &[(Warm, &[7.4e5, 7.5e5, 7.6e5])])),
        ema("libtorch/cpu/f32", ok(EMA, &[(Warm, &[1.5e6, 1.5e6, 1.5e6])])),
    ]
}

/// 400 GFLOP/s and 20 GB/s; quiet.
pub(crate) fn peaks() -> PeaksRecord {
    let process = |fma: f64, copy: f64, clock: u64, load| ProcessRecord {
        fma_flops_per_s: fma * 1e9,
        copy_bytes_per_s: copy * 1e9,
        cpu_clock_hz: Some([2_600_000_000, clock]),
        load_average: load,
    };
    PeaksRecord {
        format: FORMAT,
        threads: 2,
        processes: vec![
            process(395.0, 20.0, 2_600_000_000, Some(0.25)),
            process(400.0, 20.2, 2_650_000_000, None),
            process(405.0, 19.6, 2_550_000_000, Some(1.5)),
        ],
        gpu: Vec::new(),
    }
}
