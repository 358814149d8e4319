//! Whole tables, reports and summaries of measurements whose numbers can be computed in the head.

use serde_json::json;

use super::fixture::{self, EMA, RANKS, libtorch, measurement, ok, peaks, rank_shape, similarity};
use super::noise::warnings;
use super::report::report_md;
use super::view::Entry;
use super::*;
use crate::markdown::Embedded;
use crate::record::{
    CacheState, GpuPeaksRecord, GpuStateRecord, MeasurementOutcome, MeasurementRecord, PeaksRecord,
};

fn table(measurements: &[MeasurementRecord], peaks: Option<&PeaksRecord>, width: Option<u16>) -> String {
    let run = fixture::run(measurements, libtorch());
    throughput_table(&run, measurements, peaks, width)
}

#[test]
fn the_tables_of_a_run() {
    insta::assert_snapshot!(table(&similarity(), Some(&peaks()), None), @"
    rank_counts: queries 1000, gallery 1000, dim 500; 2 threads
    kernel              caches                time, ms  samples  GFLOP/s     GB/s  M pairs/s  FMA peak, %  copy, %               speed  error / tolerance
    ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
    cpu/avx512/f16      warm              5.000 ±0.050  60 in 3    200.0   0.4000      200.0         50.0      2.0  4.00x [3.77, 4.24]    1.2e-7 / 2.0e-6
    cpu/avx512/f16      cold              6.250 ±0.062  60 in 3    160.0   0.3200      160.0         40.0      1.6  4.00x [3.97, 4.03]    1.2e-7 / 2.0e-6
    * libtorch/cpu/f32  warm               20.00 ±0.20  60 in 3    50.00   0.1000      50.00         12.5      0.5                  1x    1.2e-7 / 2.0e-6
    * libtorch/cpu/f32  cold               25.00 ±0.25  60 in 3    40.00  0.08000      40.00         10.0      0.4                  1x    1.2e-7 / 2.0e-6
    gemm/f32            warm              4.000 ±0.040  60 in 3    250.0   0.5000      250.0         62.5      2.5  5.00x [4.78, 5.20]                  -
    gemm/f32            cold              5.000 ±0.050  60 in 3    200.0   0.4000      200.0         50.0      2.0  5.00x [4.90, 5.00]                  -
    cpu/avx2/f16                wrong: 3.1e-2 > 2.0e-6
    libtorch/cpu/f16                       unavailable
    cpu/scalar/f16                              failed

    rank_counts: queries 1000, gallery 1000, dim 500: own kernels relative to each opponent
    speed of        caches  to libtorch/cpu/f32            to gemm/f32
    ────────────────────────────────────────────────────────────────────
    cpu/avx512/f16  warm     4.00x [3.77, 4.24]  0.800x [0.769, 0.837]
    cpu/avx512/f16  cold     4.00x [3.97, 4.03]  0.800x [0.794, 0.823]

    ema_update: parameters 1000000, tensors 110; 2 threads
    kernel              caches    time, µs  samples  GFLOP/s   GB/s  G parameters/s  FMA peak, %  copy, %               speed  error / tolerance
    ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
    cpu/avx512/f32      warm    750.0 ±7.5  60 in 3    4.000  16.00           1.333          1.0     80.0  2.00x [1.97, 2.03]    1.2e-7 / 2.0e-6
    * libtorch/cpu/f32  warm      1500 ±15  60 in 3    2.000  8.000          0.6667          0.5     40.0                  1x    1.2e-7 / 2.0e-6

    ema_update: parameters 1000000, tensors 110: own kernels relative to each opponent
    speed of        caches  to libtorch/cpu/f32      to copy bandwidth
    ────────────────────────────────────────────────────────────────────
    cpu/avx512/f32  warm     2.00x [1.97, 2.03]  0.800x [0.782, 0.827]

    cpu/avx2/f16 at rank_counts: queries 1000, gallery 1000, dim 500: wrong, so not timed: error 3.1e-2 >
      tolerance 2.0e-6, query 3 of odd-dims, of 320 compared
    libtorch/cpu/f16 at rank_counts: queries 1000, gallery 1000, dim 500: unavailable: built without libtorch
    cpu/scalar/f16 at rank_counts: queries 1000, gallery 1000, dim 500: failed: process 2 stopped
    Peaks of this machine with 2 threads, median and range of 3 processes: FMA in f32 400.0 GFLOP/s [395.0,
      405.0], copy 20.00 GB/s [19.60, 20.20].
    noisy: in 2 of 8 timings the medians of processes differ by more than 5 %, by 6.1 % at most (libtorch/cpu/f32,
      warm, rank_counts: queries 1000, gallery 1000, dim 500).
    time: median of one call ± median absolute deviation over all samples; samples: how many, in how many
      processes. warm: caches as the call before left them; cold: other memory was read (on a GPU: written) in
      between. GFLOP/s and GB/s count the operations and bytes that the definition needs, a multiply-add as two;
      k, M, G are powers of 1000. FMA peak and copy: share of the peaks that this run measured on this machine,
      medians over processes. speed: median time of the reference (*) by the row's, in the same state; above 1 is
      faster. Brackets: range over processes, from the least ratio of two process medians to the greatest.
    Of 8 measurements, 1 wrong, 1 unavailable, 1 failed.
    ");
}

#[test]
fn a_narrow_terminal_gets_fewer_columns_and_then_paragraphs() {
    let measurements = similarity();
    let text = table(&measurements, Some(&peaks()), Some(110));
    assert!(text.lines().all(|line| line.chars().count() <= 110), "{text}");
    insta::assert_snapshot!(text.split("\n\nema_update").next().unwrap(), @"
    rank_counts: queries 1000, gallery 1000, dim 500; 2 threads
    kernel              caches      time, ms  GFLOP/s  M pairs/s  FMA peak, %  copy, %               speed
    ────────────────────────────────────────────────────────────────────────────────────────────────────────
    cpu/avx512/f16      warm    5.000 ±0.050    200.0      200.0         50.0      2.0  4.00x [3.77, 4.24]
    cpu/avx512/f16      cold    6.250 ±0.062    160.0      160.0         40.0      1.6  4.00x [3.97, 4.03]
    * libtorch/cpu/f32  warm     20.00 ±0.20    50.00      50.00         12.5      0.5                  1x
    * libtorch/cpu/f32  cold     25.00 ±0.25    40.00      40.00         10.0      0.4                  1x
    gemm/f32            warm    4.000 ±0.040    250.0      250.0         62.5      2.5  5.00x [4.78, 5.20]
    gemm/f32            cold    5.000 ±0.050    200.0      200.0         50.0      2.0  5.00x [4.90, 5.00]
    cpu/avx2/f16                       wrong
    libtorch/cpu/f16             unavailable
    cpu/scalar/f16                    failed

    rank_counts: queries 1000, gallery 1000, dim 500: own kernels relative to each opponent
    speed of        caches  to libtorch/cpu/f32            to gemm/f32
    ────────────────────────────────────────────────────────────────────
    cpu/avx512/f16  warm     4.00x [3.77, 4.24]  0.800x [0.769, 0.837]
    cpu/avx512/f16  cold     4.00x [3.97, 4.03]  0.800x [0.794, 0.823]
    ");
    let text = table(&measurements[..1], Some(&peaks()), Some(50));
    insta::assert_snapshot!(text.split("Peaks of").next().unwrap(), @"
    rank_counts: queries 1000, gallery 1000, dim 500;
    2 threads
    Rows: kernel, caches
    cpu/avx512/f16, warm
      time, ms 5.000 ±0.050  samples 60 in 3
      GFLOP/s 200.0  GB/s 0.4000  M pairs/s 200.0
      FMA peak, % 50.0  copy, % 2.0
      error / tolerance 1.2e-7 / 2.0e-6
    cpu/avx512/f16, cold
      time, ms 6.250 ±0.062  samples 60 in 3
      GFLOP/s 160.0  GB/s 0.3200  M pairs/s 160.0
      FMA peak, % 40.0  copy, % 1.6
      error / tolerance 1.2e-7 / 2.0e-6
    ");
}

#[test]
fn times_with_transfer_are_compared_with_each_other_and_say_what_they_hold() {
    let of = |kernel: &str, ns: f64| {
        let times: [(CacheState, &[f64]); 1] = [(CacheState::Transfer, &[ns; 2])];
        measurement("rank_counts", &rank_shape(), kernel, ok(RANKS, &times))
    };
    let measurements = [of("cuda/sm80/f16", 1e6), of("libtorch/cuda/f32", 4e6)];
    let reference = [("kernel".to_owned(), json!("libtorch/cuda/f32"))];
    let run = fixture::run(&measurements, reference.into_iter().collect());
    let text = throughput_table(&run, &measurements, None, None);
    let row = text.lines().find(|line| line.contains("cuda/sm80/f16")).unwrap();
    assert!(row.contains("transfer") && row.contains("4.00x"), "{text}");
    let legend = "transfer: calls copied their inputs from the host to the device (a training step, its batch), and the results back.";
    assert!(
        text.split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .contains(legend),
        "{text}"
    );
    let plain = throughput_table(&run, &measurements[..0], None, None);
    assert!(!plain.contains("transfer:"), "{plain}");
}

#[test]
fn hand_computed_rates_shares_and_ratios() {
    let (measurements, peaks) = (similarity(), peaks());
    let run = fixture::run(&measurements, libtorch());
    let view = ThroughputView::new(&run, &measurements, Some(&peaks));
    let (ranks, ema) = (&view.blocks[0], &view.blocks[1]);
    let ours = ranks.entries[0].timed_in(CacheState::Warm).unwrap();
    assert_eq!(ours.flops_per_s(), Some(200e9));
    assert_eq!(ours.bytes_per_s(), Some(0.4e9));
    assert_eq!(ours.items_per_s(), 200e6);
    assert_eq!(view.fma_share(&ranks.entries[0], ours), Some(0.5));
    assert!(!view.is_memory_bound(&ranks.entries[0], ours));
    let reference = ranks.reference_timed(CacheState::Warm).unwrap();
    let speed = ours.speed_against(reference);
    assert_eq!((speed.value, speed.range), (4.0, Some([19.6 / 5.2, 20.8 / 4.9])));
    let ema_timed = ema.entries[0].timed_in(CacheState::Warm).unwrap();
    assert!(view.is_memory_bound(&ema.entries[0], ema_timed));
    let share = view.copy_share(&ema.entries[0], ema_timed).unwrap();
    assert!(
        (share.value - 0.8).abs() < 1e-12,
        "12 MB in 0.75 ms of 20 GB/s: {share:?}"
    );
    let [low, high] = share.range.unwrap();
    assert!((low - 12.0 / 20.2 / 0.76).abs() < 1e-12 && (high - 12.0 / 19.6 / 0.74).abs() < 1e-12);
}

#[test]
fn the_reference_of_each_shape_is_its_own_and_kernels_must_agree() {
    let shapes = [64, 256].map(|queue_len| fixture::shape(&[("queue_len", queue_len)]));
    let step = |shape, kernel: &str, ns: f64| {
        let mut record = fixture::measurement(
            "train_step",
            shape,
            kernel,
            ok((None, None, 64, "pairs"), &[(CacheState::Warm, &[ns])]),
        );
        record
            .axis_values
            .insert("momentum.queue_len".to_owned(), shape["queue_len"].clone());
        record
    };
    let measurements = [
        step(&shapes[0], "libtorch/cpu/f32", 4e8),
        step(&shapes[0], "custom", 2e8),
        step(&shapes[1], "custom", 3e8),
        step(&shapes[1], "libtorch/cpu/f32", 9e8),
    ];
    let mut reference = libtorch();
    reference.insert("momentum.queue_len".to_owned(), json!(64));
    let run = fixture::run(&measurements, reference.clone());
    let view = ThroughputView::new(&run, &measurements, None);
    assert_eq!(
        [view.blocks[0].reference, view.blocks[1].reference],
        [Some(0), Some(1)]
    );
    reference.insert("kernel".to_owned(), json!("gemm/f32"));
    let run = fixture::run(&measurements, reference);
    let view = ThroughputView::new(&run, &measurements, None);
    assert_eq!([view.blocks[0].reference, view.blocks[1].reference], [None, None]);
}

#[test]
fn kernels_that_resolve_to_the_same_are_told_apart() {
    let mut measurements = similarity();
    measurements.truncate(2);
    let mut auto = measurements[0].clone();
    auto.id = "auto-s0".to_owned();
    auto.axis_values
        .insert("kernel".to_owned(), json!("cpu/auto/f16"));
    measurements.push(auto);
    let run = fixture::run(&measurements, libtorch());
    let view = ThroughputView::new(&run, &measurements, None);
    let labels: Vec<&str> = view.blocks[0]
        .entries
        .iter()
        .map(|entry| entry.label.as_str())
        .collect();
    assert_eq!(
        labels,
        [
            "cpu/avx512/f16 (kernel=cpu/avx512/f16)",
            "libtorch/cpu/f32",
            "cpu/avx512/f16 (kernel=cpu/auto/f16)"
        ]
    );
}

#[test]
fn noise_is_said_in_one_line_a_kind() {
    let quiet: Vec<MeasurementRecord> = similarity().split_off(6);
    let run = fixture::run(&quiet, libtorch());
    let of = |peaks: &PeaksRecord| warnings(&ThroughputView::new(&run, &quiet, Some(peaks)));
    assert_eq!(of(&peaks()), Vec::<String>::new());
    let mut loud = peaks();
    loud.processes[2].cpu_clock_hz = Some([2_600_000_000, 2_200_000_000]);
    loud.processes[1].copy_bytes_per_s = 25e9;
    insta::assert_snapshot!(of(&loud).join("\n"), @"
    noisy: the copy bandwidth differs by 27.6 % between processes.
    noisy: the clock of the first core moved by 20.5 %, from 2.20 to 2.65 GHz.
    ");
    let measurements = similarity();
    let run = fixture::run(&measurements, libtorch());
    let noisy = warnings(&ThroughputView::new(&run, &measurements, None));
    insta::assert_snapshot!(noisy.join("\n"), @"
    noisy: in 2 of 8 timings the medians of processes differ by more than 5 %, by 6.1 % at most (libtorch/cpu/f32, warm, rank_counts: queries 1000, gallery 1000, dim 500).
    ");
}

#[test]
fn the_gpu_of_each_process_is_shown_and_what_held_its_clocks_down_is_said() {
    let state = |after: u64, throttled_by: &[&str]| GpuStateRecord {
        clock_hz: Some([1_980_000_000, after]),
        memory_clock_hz: None,
        power_w: Some(512.4),
        temperature_c: Some(61),
        throttled_by: Some(throttled_by.iter().map(|&reason| reason.to_owned()).collect()),
    };
    let mut outcome = ok(RANKS, &[(CacheState::Transfer, &[1e6, 1.01e6])]);
    if let MeasurementOutcome::Ok { result } = &mut outcome {
        let fixed = ["applications_clocks_setting"];
        result.gpu = vec![
            None,
            Some(state(1_980_000_000, &fixed)),
            Some(state(1_755_000_000, &["sw_power_cap"])),
        ];
    }
    let measurements = [measurement(
        "rank_counts",
        &rank_shape(),
        "cuda/sm80/f16",
        outcome,
    )];
    let run = fixture::run(&measurements, libtorch());
    let view = ThroughputView::new(&run, &measurements, None);
    insta::assert_snapshot!(warnings(&view).join("\n"), @"noisy: the clocks of the GPU were held down around 1 of 2 timings (sw_power_cap).");
    let report = report_md(&view, &[]);
    let section = report.split("## The GPU\n").nth(1).expect("a section");
    let section = section.split("\n## ").next().expect("its text");
    insta::assert_snapshot!(section, @"

    | kernel and shape | process | clock before, GHz | clock after, GHz | memory clock after, GHz | power after, W | temperature after, C | held down by |
    | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
    | cuda/sm80/f16, rank_counts: queries 1000, gallery 1000, dim 500 | 1 | 1.980 | 1.980 | unknown | 512 | 61 | applications_clocks_setting |
    | cuda/sm80/f16, rank_counts: queries 1000, gallery 1000, dim 500 | 2 | 1.980 | 1.755 | unknown | 512 | 61 | sw_power_cap |
    ");
}

#[test]
fn a_report_in_full() {
    let mut measurements = similarity();
    let run = fixture::run(&measurements, libtorch());
    measurements.truncate(7);
    measurements[6].build_id = "0.0.9".to_owned();
    let peaks = peaks();
    let view = ThroughputView::new(&run, &measurements, Some(&peaks));
    let plots = [Embedded {
        stem: "roofline".to_owned(),
        alt: "Roofline".to_owned(),
        svg: String::new(),
    }];
    insta::assert_snapshot!(report_md(&view, &plots), @r"
    # similarity (suite version 1)

    How fast is each kernel?

    ## What was measured

    8 measurements: 1 shape of an operation, 3 timed, 1 wrong, 1 unavailable, 1 failed, 1 not run yet, 1 of another build, left out. A kernel is timed only if its results are right.

    - Axis `kernel`: cpu/avx512/f16, libtorch/cpu/f32, gemm/f32, cpu/avx2/f16, libtorch/cpu/f16, cpu/scalar/f16, cpu/avx512/f32
    - Reference, marked `*`: `kernel` libtorch/cpu/f32

    ## Results

    **noisy: in 2 of 6 timings the medians of processes differ by more than 5 %, by 6.1 % at most (libtorch/cpu/f32, warm, rank_counts: queries 1000, gallery 1000, dim 500).**

    time: median of one call ± median absolute deviation over all samples; samples: how many, in how many processes. warm: caches as the call before left them; cold: other memory was read (on a GPU: written) in between. GFLOP/s and GB/s count the operations and bytes that the definition needs, a multiply-add as two; k, M, G are powers of 1000. FMA peak and copy: share of the peaks that this run measured on this machine, medians over processes. speed: median time of the reference (\*) by the row's, in the same state; above 1 is faster. Brackets: range over processes, from the least ratio of two process medians to the greatest.

    **rank_counts: queries 1000, gallery 1000, dim 500; 2 threads**

    | kernel | caches | time, ms | samples | GFLOP/s | GB/s | M pairs/s | FMA peak, % | copy, % | speed | error / tolerance |
    | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
    | cpu/avx512/f16 | warm | 5.000 ±0.050 | 60 in 3 | 200.0 | 0.4000 | 200.0 | 50.0 | 2.0 | 4.00x [3.77, 4.24] | 1.2e-7 / 2.0e-6 |
    | cpu/avx512/f16 | cold | 6.250 ±0.062 | 60 in 3 | 160.0 | 0.3200 | 160.0 | 40.0 | 1.6 | 4.00x [3.97, 4.03] | 1.2e-7 / 2.0e-6 |
    | \* libtorch/cpu/f32 | warm | 20.00 ±0.20 | 60 in 3 | 50.00 | 0.1000 | 50.00 | 12.5 | 0.5 | 1x | 1.2e-7 / 2.0e-6 |
    | \* libtorch/cpu/f32 | cold | 25.00 ±0.25 | 60 in 3 | 40.00 | 0.08000 | 40.00 | 10.0 | 0.4 | 1x | 1.2e-7 / 2.0e-6 |
    | gemm/f32 | warm | 4.000 ±0.040 | 60 in 3 | 250.0 | 0.5000 | 250.0 | 62.5 | 2.5 | 5.00x [4.78, 5.20] | - |
    | gemm/f32 | cold | 5.000 ±0.050 | 60 in 3 | 200.0 | 0.4000 | 200.0 | 50.0 | 2.0 | 5.00x [4.90, 5.00] | - |
    | cpu/avx2/f16 |  | wrong: 3.1e-2 > 2.0e-6 |  |  |  |  |  |  |  |  |
    | libtorch/cpu/f16 |  | unavailable |  |  |  |  |  |  |  |  |
    | cpu/scalar/f16 |  | failed |  |  |  |  |  |  |  |  |

    **rank_counts: queries 1000, gallery 1000, dim 500: own kernels relative to each opponent**

    | speed of | caches | to libtorch/cpu/f32 | to gemm/f32 |
    | --- | --- | ---: | ---: |
    | cpu/avx512/f16 | warm | 4.00x [3.77, 4.24] | 0.800x [0.769, 0.837] |
    | cpu/avx512/f16 | cold | 4.00x [3.97, 4.03] | 0.800x [0.794, 0.823] |

    ## Without times

    - cpu/avx2/f16 at rank_counts: queries 1000, gallery 1000, dim 500: wrong, so not timed: error 3.1e-2 > tolerance 2.0e-6, query 3 of odd-dims, of 320 compared
    - libtorch/cpu/f16 at rank_counts: queries 1000, gallery 1000, dim 500: unavailable: built without libtorch
    - cpu/scalar/f16 at rank_counts: queries 1000, gallery 1000, dim 500: failed: process 2 stopped

    ## Plots

    ![Roofline](plots/roofline.svg)

    ## Peaks, clocks and load

    Peaks of this machine with 2 threads, median and range of 3 processes: FMA in f32 400.0 GFLOP/s [395.0, 405.0], copy 20.00 GB/s [19.60, 20.20].

    | process | FMA, GFLOP/s | copy, GB/s | clock before, GHz | clock after, GHz | load before |
    | --- | ---: | ---: | ---: | ---: | ---: |
    | 0 | 395.0 | 20.00 | 2.60 | 2.60 | 0.25 |
    | 1 | 400.0 | 20.20 | 2.60 | 2.65 | unknown |
    | 2 | 405.0 | 19.60 | 2.60 | 2.55 | 1.50 |

    ## Machine and build

    - hitbench 0.1.0, git revision `1f75977`, build `0.1.0+1f75977`
    - libtorch 2.11.0
    - Processor: Example CPU 3000, 2 cores (x86_64), 2.60 GHz as found
    - Instruction sets: avx2, avx512f
    - Memory: 8.0 GiB
    - GPU: Example GPU, 80.0 GiB, driver 580.1, compute capability 9.0
    - System: Linux 6.8

    ## How to reproduce

    At revision `1f75977`:

    ```sh
    hitbench run suites/throughput/similarity.yaml
    ```

    Every number above follows from `measurements.jsonl` and `peaks.json` in this folder; `timing.csv` holds every sample by process, `run.json` the suite with every default filled in. Times differ from run to run and between machines; ratios within a run are what compares.
    ");
}

#[test]
fn the_summary_has_a_row_for_all_that_was_planned() {
    let mut measurements = similarity();
    let run = fixture::run(&measurements, libtorch());
    measurements.truncate(7);
    let peaks = peaks();
    let view = ThroughputView::new(&run, &measurements, Some(&peaks));
    insta::assert_snapshot!(String::from_utf8(summary_csv(&view)).unwrap(), @"
    measurement,name,cell,kernel,operation,shape,kernel,threads,status,reason,cache,median_ns,mad_ns,n_samples,n_processes,process_min_ns,process_max_ns,flops,bytes,items,item,flops_per_s,bytes_per_s,items_per_s,fma_peak_share,f16_product_share,copy_share,speed,speed_low,speed_high,peak_memory_bytes,error,tolerance,n_compared
    rank_counts-1000-1000-500-cpu-avx512-f16-s0,similarity/rank_counts-1000-1000-500-cpu-avx512-f16-s0,hash-of-rank_counts-1000-1000-500-cpu-avx512-f16-s0,cpu/avx512/f16,rank_counts,queries=1000 gallery=1000 dim=500,cpu/avx512/f16,2,ok,,warm,5000000,50000,60,3,4900000,5200000,1000000000,2000000,1000000,pairs,200000000000,400000000,200000000,0.5,,0.02,4,3.769230769230769,4.244897959183674,,0.000000125,0.000002,320
    rank_counts-1000-1000-500-cpu-avx512-f16-s0,similarity/rank_counts-1000-1000-500-cpu-avx512-f16-s0,hash-of-rank_counts-1000-1000-500-cpu-avx512-f16-s0,cpu/avx512/f16,rank_counts,queries=1000 gallery=1000 dim=500,cpu/avx512/f16,2,ok,,cold,6250000,62500,60,3,6200000,6300000,1000000000,2000000,1000000,pairs,160000000000,320000000,160000000,0.4,,0.016,4,3.9682539682539684,4.032258064516129,,0.000000125,0.000002,320
    rank_counts-1000-1000-500-libtorch-cpu-f32-s0,similarity/rank_counts-1000-1000-500-libtorch-cpu-f32-s0,hash-of-rank_counts-1000-1000-500-libtorch-cpu-f32-s0,libtorch/cpu/f32,rank_counts,queries=1000 gallery=1000 dim=500,libtorch/cpu/f32,2,ok,,warm,20000000,200000,60,3,19600000,20800000,1000000000,2000000,1000000,pairs,50000000000,100000000,50000000,0.125,,0.005,1,,,,0.000000125,0.000002,320
    rank_counts-1000-1000-500-libtorch-cpu-f32-s0,similarity/rank_counts-1000-1000-500-libtorch-cpu-f32-s0,hash-of-rank_counts-1000-1000-500-libtorch-cpu-f32-s0,libtorch/cpu/f32,rank_counts,queries=1000 gallery=1000 dim=500,libtorch/cpu/f32,2,ok,,cold,25000000,250000,60,3,25000000,25000000,1000000000,2000000,1000000,pairs,40000000000,80000000,40000000,0.1,,0.004,1,,,,0.000000125,0.000002,320
    rank_counts-1000-1000-500-gemm-f32-s0,similarity/rank_counts-1000-1000-500-gemm-f32-s0,hash-of-rank_counts-1000-1000-500-gemm-f32-s0,gemm/f32,rank_counts,queries=1000 gallery=1000 dim=500,gemm/f32,2,ok,,warm,4000000,40000,60,3,4000000,4100000,1000000000,2000000,1000000,pairs,250000000000,500000000,250000000,0.625,,0.025,5,4.780487804878049,5.2,,,,
    rank_counts-1000-1000-500-gemm-f32-s0,similarity/rank_counts-1000-1000-500-gemm-f32-s0,hash-of-rank_counts-1000-1000-500-gemm-f32-s0,gemm/f32,rank_counts,queries=1000 gallery=1000 dim=500,gemm/f32,2,ok,,cold,5000000,50000,60,3,5000000,5100000,1000000000,2000000,1000000,pairs,200000000000,400000000,200000000,0.5,,0.02,5,4.901960784313726,5,,,,
    rank_counts-1000-1000-500-cpu-avx2-f16-s0,similarity/rank_counts-1000-1000-500-cpu-avx2-f16-s0,hash-of-rank_counts-1000-1000-500-cpu-avx2-f16-s0,cpu/avx2/f16,rank_counts,queries=1000 gallery=1000 dim=500,cpu/avx2/f16,2,wrong,query 3 of odd-dims,,,,,,,,,,,,,,,,,,,,,,0.031,0.000002,320
    rank_counts-1000-1000-500-libtorch-cpu-f16-s0,similarity/rank_counts-1000-1000-500-libtorch-cpu-f16-s0,hash-of-rank_counts-1000-1000-500-libtorch-cpu-f16-s0,libtorch/cpu/f16,rank_counts,queries=1000 gallery=1000 dim=500,libtorch/cpu/f16,2,unavailable,built without libtorch,,,,,,,,,,,,,,,,,,,,,,,,
    rank_counts-1000-1000-500-cpu-scalar-f16-s0,similarity/rank_counts-1000-1000-500-cpu-scalar-f16-s0,hash-of-rank_counts-1000-1000-500-cpu-scalar-f16-s0,cpu/scalar/f16,rank_counts,queries=1000 gallery=1000 dim=500,cpu/scalar/f16,2,failed,process 2 stopped; killed by signal 9,,,,,,,,,,,,,,,,,,,,,,,,
    ema_update-1000000-110-cpu-avx512-f32-s0,similarity/ema_update-1000000-110-cpu-avx512-f32-s0,hash-of-ema_update-1000000-110-cpu-avx512-f32-s0,cpu/avx512/f32,ema_update,parameters=1000000 tensors=110,cpu/avx512/f32,2,ok,,warm,750000,7500,60,3,740000,760000,3000000,12000000,1000000,parameters,4000000000,16000000000,1333333333.3333333,0.01,,0.8,,,,,0.000000125,0.000002,320
    ema_update-1000000-110-libtorch-cpu-f32-s0,similarity/ema_update-1000000-110-libtorch-cpu-f32-s0,hash-of-ema_update-1000000-110-libtorch-cpu-f32-s0,libtorch/cpu/f32,,,,,missing,,,,,,,,,,,,,,,,,,,,,,,,,
    ");
}

#[test]
fn without_the_reference_there_is_no_speed_and_its_reason_is_said_once() {
    let mut measurements = similarity();
    let reason = "built without libtorch".to_owned();
    for at in [1, 4, 7] {
        measurements[at].outcome = MeasurementOutcome::Unavailable {
            reason: reason.clone(),
        };
    }
    let text = table(&measurements, None, None);
    assert!(!text.contains("speed  "), "{text}");
    assert!(
        text.contains("libtorch/cpu/f32 at 2 shapes: unavailable: built without libtorch"),
        "{text}"
    );
    assert!(
        text.contains("Of 8 measurements, 1 wrong, 3 unavailable, 1 failed."),
        "{text}"
    );
}

#[test]
fn a_run_without_measurements_says_so() {
    let run = fixture::run(&similarity(), libtorch());
    assert_eq!(
        throughput_table(&run, &[], None, None),
        "Of 8 measurements, 8 not run yet.\n"
    );
}

#[test]
fn a_gpu_kernel_has_no_share_of_the_peaks_of_the_cpu() {
    let mut measurements = similarity();
    measurements.truncate(1);
    measurements[0].kernel = "cuda/sm90a/f16".to_owned();
    let run = fixture::run(&measurements, libtorch());
    let peaks = peaks();
    let view = ThroughputView::new(&run, &measurements, Some(&peaks));
    let entry = &view.blocks[0].entries[0];
    let timed = entry.timed_in(CacheState::Warm).unwrap();
    assert!(view.fma_share(entry, timed).is_none() && view.copy_share(entry, timed).is_none());
    assert!(entry.is_ours() && !matches!(entry.record.outcome, MeasurementOutcome::Wrong { .. }));
}

#[test]
fn work_on_a_gpu_alone_has_shares_of_the_gpus_peaks() {
    let states: [(CacheState, &[f64]); 2] = [(CacheState::Warm, &[1e6]), (CacheState::Transfer, &[2e6])];
    let ranks = |kernel: &str| measurement("rank_counts", &rank_shape(), kernel, ok(RANKS, &states));
    let moved = measurement(
        "ema_update",
        &fixture::shape(&[("parameters", 1_000_000)]),
        "cuda/sm80/f16",
        ok(EMA, &states[..1]),
    );
    let measurements = [ranks("cuda/sm80/f16"), ranks("libtorch/cuda/f32"), moved];
    let run = fixture::run(&measurements, serde_json::Map::new());
    let gpu = |product_flops_per_s, copy_bytes_per_s| GpuPeaksRecord {
        product_flops_per_s,
        copy_bytes_per_s,
    };
    let peaks = PeaksRecord {
        processes: Vec::new(),
        gpu: vec![gpu(Some(2e12), 24e9), gpu(Some(2e12), 24e9)],
        ..peaks()
    };
    let view = ThroughputView::new(&run, &measurements, Some(&peaks));
    assert!(view.peaks.is_none());
    let (ranks, moved) = (&view.blocks[0], &view.blocks[1]);
    let shares = |entry: &Entry<'_>, state| {
        let timed = entry.timed_in(state).unwrap();
        let copy = view.copy_share(entry, timed).map(|share| share.value);
        (view.product_share(entry, timed), copy)
    };
    // 1 GFLOP and 2 MB in a millisecond.
    let (product, copy) = shares(&ranks.entries[0], CacheState::Warm);
    assert_eq!(product, Some(0.5));
    assert!((copy.unwrap() - 2e9 / 24e9).abs() < 1e-12);
    assert_eq!(shares(&ranks.entries[0], CacheState::Transfer), (None, None));
    assert_eq!(shares(&ranks.entries[1], CacheState::Warm).0, None);
    assert_eq!(shares(&moved.entries[0], CacheState::Warm), (None, Some(0.5)));
    assert!(view.is_memory_bound(&moved.entries[0], moved.entries[0].timed().next().unwrap()));

    let text = throughput_table(&run, &measurements, Some(&peaks), None);
    assert!(
        text.contains("f16 product, %") && !text.contains("FMA peak"),
        "{text}"
    );
    let line = "Peaks of the GPU, median and range of 2 processes: libtorch's product of large f16 matrices \
                2.000 TFLOP/s [2.000, 2.000], copy within its memory 24.00 GB/s [24.00, 24.00].";
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains(line), "{text}");
}
