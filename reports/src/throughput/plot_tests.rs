//! The plots of throughput suites of several shapes.

use serde_json::json;

use super::ThroughputView;
use super::fixture::{self, EMA, RANKS, libtorch, measurement, ok, peaks, similarity};
use super::plots::figures;
use crate::plot::tests::check;
use crate::plot::{Figure, Named, Panel};
use crate::record::{CacheState, MeasurementOutcome, MeasurementRecord};

fn drawn(measurements: &[MeasurementRecord]) -> Vec<Named> {
    let run = fixture::run(measurements, libtorch());
    let peaks = peaks();
    figures(&ThroughputView::new(&run, measurements, Some(&peaks)))
}

/// Several kernels at several shapes, all of whose rates differ.
fn many() -> Vec<MeasurementRecord> {
    use CacheState::{Cold, Warm};
    let kernels = [
        ("libtorch/cpu/f32", 0.25),
        ("libtorch/cpu/f16", 0.09),
        ("gemm/f32", 0.62),
        ("cpu/avx512/f16", 0.6),
        ("cpu/avx2/f16", 0.31),
        ("cpu/scalar/f16", 0.012),
    ];
    let mut measurements = Vec::new();
    for (n, dim) in [(1_000_u64, 256_u64), (1_000, 512), (10_000, 512), (30_000, 1_024)] {
        let shape = fixture::shape(&[("queries", n), ("gallery", n), ("dim", dim)]);
        let work = (Some(2 * n * n * dim), Some(4 * n * dim), n * n, "pairs");
        for (kernel, share) in kernels {
            let ns = (2 * n * n * dim) as f64 / (400.0 * share) * (1.0 + 200.0 / n as f64);
            let (warm, cold) = ([ns * 0.98, ns, ns * 1.03], [ns * 1.2, ns * 1.21, ns * 1.3]);
            measurements.push(measurement(
                "rank_counts",
                &shape,
                kernel,
                ok(work, &[(Warm, &warm), (Cold, &cold)]),
            ));
        }
    }
    let shape = fixture::shape(&[("parameters", 1_000_000), ("tensors", 110)]);
    for (kernel, ns) in [
        ("libtorch/cpu/f32", 7e5),
        ("cpu/avx512/f32", 6.4e5),
        ("cpu/avx2/f32", 6.5e5),
    ] {
        measurements.push(measurement(
            "ema_update",
            &shape,
            kernel,
            ok(EMA, &[(Warm, &[ns, ns * 1.01])]),
        ));
    }
    measurements
}

#[test]
fn a_kernel_looks_alike_in_all_plots_of_a_report() {
    // The first kernel of the report is not in every plot.
    let mut measurements = steps();
    measurements.extend(many());
    let mut n_drawn = 0;
    let mut names_in_report: Option<Vec<String>> = None;
    for Named { figure, stem, .. } in drawn(&measurements) {
        let (names, drawn): (_, Vec<String>) = match figure {
            Figure::Lines(lines) => (lines.names, Panel::names(&lines.panels)),
            Figure::Roofline(roofline) => {
                let looks = roofline.points.into_iter().map(|point| point.look);
                (roofline.names, looks.collect())
            }
            _ => continue,
        };
        assert!(drawn.iter().all(|name| names.contains(name)), "{stem}: {drawn:?}");
        assert_eq!(names_in_report.get_or_insert(names.clone()), &names, "{stem}");
        n_drawn += 1;
    }
    assert!(n_drawn >= 4, "{n_drawn} plots with lines or points");
}

/// Training steps with three kernels; end-to-end has no queue.
fn steps() -> Vec<MeasurementRecord> {
    let step = |queue_len: u64, kernel: &str, ms: f64, mib: u64| {
        let shape = fixture::shape(&[("batch", 64), ("queue_len", queue_len)]);
        let times = [ms * 1e6, ms * 1.02e6, ms * 1.04e6];
        let mut outcome = ok((None, None, 64, "pairs"), &[(CacheState::Warm, &times)]);
        if let MeasurementOutcome::Ok { result } = &mut outcome {
            result.peak_memory_bytes = Some(mib << 20);
        }
        let mut record = measurement("train_step", &shape, kernel, outcome);
        record
            .axis_values
            .insert("momentum.queue_len".to_owned(), json!(queue_len));
        record
    };
    let mut measurements = vec![step(0, "end-to-end", 380.0, 900)];
    for (queue_len, ms) in [(256, 600.0), (1024, 620.0), (4096, 680.0), (65536, 1500.0)] {
        measurements.push(step(queue_len, "libtorch/cpu/f32", ms, 950 + queue_len / 50));
        measurements.push(step(
            queue_len,
            "custom",
            560.0 + queue_len as f64 / 400.0,
            940 + queue_len / 200,
        ));
    }
    measurements
}

/// Eight kernels at eight shapes, close together in a roofline.
fn crowd() -> Vec<MeasurementRecord> {
    let mut measurements = Vec::new();
    for at in 0..64_u64 {
        let shape = fixture::shape(&[("queries", 1000 + at / 8), ("gallery", 1000), ("dim", 500)]);
        let ns = 5e6 * (1.0 + at as f64 / 400.0);
        let kernel = format!("cpu/a-kernel-with-a-long-name/version-{}/f16", at % 8);
        measurements.push(measurement(
            "rank_counts",
            &shape,
            &kernel,
            ok(RANKS, &[(CacheState::Cold, &[ns])]),
        ));
    }
    measurements
}

fn stems(named: &[Named]) -> Vec<&str> {
    named.iter().map(|named| named.stem.as_str()).collect()
}

#[test]
fn every_plot_is_readable() {
    for (run, named) in [
        ("many", drawn(&many())),
        ("steps", drawn(&steps())),
        ("few", drawn(&similarity())),
        ("crowd", drawn(&crowd())),
    ] {
        for named in named {
            check(&format!("{run}-{}", named.stem), &named.figure);
        }
    }
}

#[test]
fn each_kind_of_suite_gets_its_plots() {
    assert_eq!(
        stems(&drawn(&many())),
        [
            "throughput-rank-counts",
            "speed-rank-counts-warm",
            "speed-rank-counts-cold",
            "speed-ema-update-warm",
            "roofline"
        ]
    );
    assert_eq!(
        stems(&drawn(&steps())),
        ["train-step-rate", "train-step-memory", "speed-train-step-warm"]
    );
    assert_eq!(
        stems(&drawn(&similarity())),
        [
            "speed-rank-counts-warm",
            "speed-rank-counts-cold",
            "speed-ema-update-warm",
            "roofline"
        ],
        "a single shape has no line"
    );
    assert_eq!(stems(&drawn(&[])), Vec::<&str>::new());
}

#[test]
fn a_table_of_training_steps_has_memory_and_steps() {
    let measurements = steps();
    let run = fixture::run(&measurements, libtorch());
    let text = super::throughput_table(&run, &measurements, None, None);
    insta::assert_snapshot!(text.split("\n\ntrain_step").nth(1).unwrap(), @"
    : batch 64, queue_len 256; 2 threads
    kernel              caches    time, ms  samples  pairs/s               speed  error / tolerance  memory, MiB
    ──────────────────────────────────────────────────────────────────────────────────────────────────────────────
    * libtorch/cpu/f32  warm    612.0 ±6.1  60 in 3    104.6                  1x    1.2e-7 / 2.0e-6          955
    custom              warm    571.9 ±5.7  60 in 3    111.9  1.07x [1.03, 1.11]    1.2e-7 / 2.0e-6          941
    ");
}

#[test]
fn lines_and_points_hold_the_measured_numbers() {
    let named = drawn(&steps());
    let Figure::Lines(rate) = &named[0].figure else {
        panic!("{:?}", named[0])
    };
    let names: Vec<(&str, usize)> = rate.panels[0]
        .series
        .iter()
        .map(|series| (series.name.as_str(), series.points.len()))
        .collect();
    assert_eq!(names, [("end-to-end", 1), ("libtorch/cpu/f32", 4), ("custom", 4)]);
    let first = rate.panels[0].series[1].points[0].unwrap();
    assert!((first.mean - 1000.0 / 612.0).abs() < 1e-9 && (first.max - 1000.0 / 600.0).abs() < 1e-9);

    let named = drawn(&similarity());
    let Figure::Roofline(roofline) = &named[3].figure else {
        panic!("{:?}", named[3])
    };
    let [roof] = &roofline.roofs[..] else {
        panic!("one machine");
    };
    assert_eq!((roof.fma_gflops, roof.copy_gbytes), (400.0, 20.0));
    assert_eq!(
        (roofline.points[0].intensity, roofline.points[0].gflops),
        (500.0, 200.0)
    );
    assert_eq!(
        roofline.points[3].intensity, 0.25,
        "ema_update: 3 operations on 12 bytes"
    );
    assert_eq!(roofline.points.len(), 5, "what has no time has no point");
}
