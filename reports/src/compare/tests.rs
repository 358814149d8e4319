//! Tables, Markdown, CSV and plots of made-up comparisons.

use super::csv::compare_csv;
use super::files::write_files;
use super::fixture::{rates, recalls};
use super::plots::figures;
use super::{CompareRecord, compare_md, compare_table};
use crate::plot::Figure;
use crate::plot::tests::check;

#[test]
fn rates_as_a_console_shows_them() {
    insta::assert_snapshot!(compare_table(&rates(2), None), @r"
    kernels, version 1: 3 runs side by side; * marks the reference
                 old *                new                       other
    ───────────────────────────────────────────────────────────────────────────────────────────
    processor    CPU A                CPU A                     CPU B with a rather long name
    cores        2 (x86_64)           2 (x86_64)                2 (x86_64)
    features     sse4.2 avx avx2 fma  sse4.2 avx avx2 fma       sse4.2 avx avx2 fma
                 f16c                 f16c                      f16c
    memory       8.0 GiB              8.0 GiB                   8.0 GiB
    GPU          none                 none                      GPU, 16.0 GiB
    system       Linux 6.1            Linux 6.1                 Linux 6.1
    fingerprint  0123                 0123                      4567
    FMA peak     400.0 GFLOP/s        400.0 GFLOP/s             2000.0 GFLOP/s
    copy         20.00 GB/s           20.00 GB/s                100.00 GB/s
    build        0.1.0+old            0.1.0+new                 0.1.0+other
                                      with uncommitted changes
    read from    run folder           run folder                run folder

    warm.items_per_s
    cell                                               run    kernel                   rate        interval  to old      interval  FMA peak %  copy %
    ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
    operation=rank_counts/shape=0/kernel=cpu.auto.f16  old    cpu/avx2/f16  200.0 M pairs/s  [180.0, 220.0]       1                      50.0   100.0
                                                       new    cpu/avx2/f16  250.0 M pairs/s  [225.0, 275.0]   1.25x  [1.12, 1.38]        62.5   125.0
                                                       other  cpu/avx2/f16  800.0 M pairs/s  [720.0, 880.0]   4.00x  [3.60, 4.40]        40.0    80.0
    operation=rank_counts/shape=1/kernel=cpu.auto.f16  old    cpu/avx2/f16  100.0 M pairs/s  [90.00, 110.0]       1                      25.0    50.0
                                                       new    cpu/avx2/f16  125.0 M pairs/s  [112.5, 137.5]   1.25x  [1.12, 1.38]        31.2    62.5
                                                       other                           none

    cold.items_per_s
    cell                                               run    kernel                   rate        interval  to old      interval  FMA peak %  copy %
    ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
    operation=rank_counts/shape=0/kernel=cpu.auto.f16  old    cpu/avx2/f16  100.0 M pairs/s  [90.00, 110.0]       1                      25.0    50.0
                                                       new    cpu/avx2/f16  125.0 M pairs/s  [112.5, 137.5]   1.25x  [1.12, 1.38]        31.2    62.5
                                                       other  cpu/avx2/f16  400.0 M pairs/s  [360.0, 440.0]   4.00x  [3.60, 4.40]        20.0    40.0
    operation=rank_counts/shape=1/kernel=cpu.auto.f16  old    cpu/avx2/f16  50.00 M pairs/s  [45.00, 55.00]       1                      12.5    25.0
                                                       new    cpu/avx2/f16  62.50 M pairs/s  [56.25, 68.75]   1.25x  [1.12, 1.38]        15.6    31.2
                                                       other                           none

    Geometric mean of the ratios to old, over the cells that all runs have
    metric            cells     old                 new  other
    ────────────────────────────────────────────────────────────
    warm.items_per_s  1 of 2  1.00x  1.25x [1.20, 1.30]  4.00x
    cold.items_per_s  1 of 2  1.00x  1.25x [1.20, 1.30]  4.00x

    Unlike machines: other ran on other hardware than old; ratios of throughput are between machines there.
    Unlike builds: new and other ran another build than old.
    Remark: other has nothing of the last cell.
    Rates: geometric mean of the medians of processes, or of seeds in a training. Intervals: 95 %, Student's t on
      the logarithms, of ratios and of their geometric means by Welch; wide where processes are few. FMA peak %
      and copy %: share of what the run's own machine did at most; bytes are the least that a call must move, so
      that data in the caches can exceed the copy bandwidth.
    ");
}

#[test]
fn recalls_as_a_console_shows_them() {
    insta::assert_snapshot!(compare_table(&recalls(), None), @r"
    kernels, version 1: 2 runs side by side; * marks the reference
                 old *                new
    ────────────────────────────────────────────────────────────
    processor    CPU A                CPU A
    cores        2 (x86_64)           2 (x86_64)
    features     sse4.2 avx avx2 fma  sse4.2 avx avx2 fma
                 f16c                 f16c
    memory       8.0 GiB              8.0 GiB
    GPU          none                 none
    system       Linux 6.1            Linux 6.1
    fingerprint  0123                 0123
    FMA peak     400.0 GFLOP/s        400.0 GFLOP/s
    copy         20.00 GB/s           20.00 GB/s
    build        0.1.0+old            0.1.0+new
                                      with uncommitted changes
    read from    run folder           run folder

    Recalls, means over seeds; below them the differences to the reference in points
    cell           direction  run  seeds                R@1 %              R@5 %
    ──────────────────────────────────────────────────────────────────────────────
    the only cell  t2v        old      1    40.0 [37.0, 43.0]  70.0 [67.0, 73.0]
                              new      1    35.0 [32.0, 38.0]  71.0 [68.0, 74.0]
                                          -5.0 [-7.0, -3.0] !  +1.0 [-1.0, +3.0]
    the only cell  v2t        old      1    38.0 [35.0, 41.0]  69.0 [66.0, 72.0]
                              new      1    38.0 [35.0, 41.0]  68.0 [65.0, 71.0]
                                             0.0 [-2.0, +2.0]  -1.0 [-3.0, +1.0]

    All runs are of like machines (same fingerprint).
    Unlike builds: new ran another build than old.
    new: accuracy differs in t2v R@1.
    Recalls: 95 % bootstrap intervals, videos resampled, for the models at hand. Differences: videos resampled in
      pairs, seeds by Student's t where both runs have several; their intervals have the level at which each was
      judged (Holm over the cells and recalls of a run, 5 % in all), and ! marks those without 0.
    ");
}

#[test]
fn a_narrow_terminal_gets_paragraphs() {
    let text = compare_table(&rates(2), Some(70));
    let widest = text.lines().map(|line| line.chars().count()).max();
    assert!(widest <= Some(70), "{text}");
}

#[test]
fn markdown_has_the_statements_first_and_every_table() {
    let text = compare_md(&recalls());
    insta::assert_snapshot!(text, @r"
    # kernels (suite version 1)

    old, new side by side; old is the reference.

    ## What it says

    - All runs are of like machines (same fingerprint).
    - Unlike builds: new ran another build than old.
    - new: accuracy differs in t2v R@1.

    ## Machines and builds

    **kernels, version 1: 2 runs side by side; \* marks the reference**

    |  | old \* | new |
    | --- | --- | --- |
    | processor | CPU A | CPU A |
    | cores | 2 (x86_64) | 2 (x86_64) |
    | features | sse4.2 avx avx2 fma<br>f16c | sse4.2 avx avx2 fma<br>f16c |
    | memory | 8.0 GiB | 8.0 GiB |
    | GPU | none | none |
    | system | Linux 6.1 | Linux 6.1 |
    | fingerprint | 0123 | 0123 |
    | FMA peak | 400.0 GFLOP/s | 400.0 GFLOP/s |
    | copy | 20.00 GB/s | 20.00 GB/s |
    | build | 0.1.0+old | 0.1.0+new<br>with uncommitted changes |
    | read from | run folder | run folder |

    ## Accuracy

    **Recalls, means over seeds; below them the differences to the reference in points**

    | cell | direction | run | seeds | R@1 % | R@5 % |
    | --- | --- | --- | ---: | ---: | ---: |
    | the only cell | t2v | old | 1 | 40.0 [37.0, 43.0] | 70.0 [67.0, 73.0] |
    |  |  | new | 1 | 35.0 [32.0, 38.0]<br>-5.0 [-7.0, -3.0] ! | 71.0 [68.0, 74.0]<br>+1.0 [-1.0, +3.0] |
    | the only cell | v2t | old | 1 | 38.0 [35.0, 41.0] | 69.0 [66.0, 72.0] |
    |  |  | new | 1 | 38.0 [35.0, 41.0]<br>0.0 [-2.0, +2.0] | 68.0 [65.0, 71.0]<br>-1.0 [-3.0, +1.0] |

    Recalls: 95 % bootstrap intervals, videos resampled, for the models at hand. Differences: videos resampled in pairs, seeds by Student's t where both runs have several; their intervals have the level at which each was judged (Holm over the cells and recalls of a run, 5 % in all), and ! marks those without 0.
    ");
    let text = compare_md(&rates(2));
    assert!(
        text.contains("| warm.items_per_s | 1 of 2 | 1.00x | 1.25x [1.20, 1.30] | 4.00x |"),
        "{text}"
    );
}

#[test]
fn csv_has_a_row_a_value() {
    let text = String::from_utf8(compare_csv(&rates(2))).unwrap();
    // Two cells in two states, three columns, one of which lacks a cell; and a header.
    assert_eq!(text.lines().count(), 1 + 2 * 5, "{text}");
    let text = String::from_utf8(compare_csv(&recalls())).unwrap();
    let row = text.lines().nth(2).unwrap_or_default();
    assert!(row.starts_with("the only cell,t2v.r_at.1,new,,1,0.35"), "{row}");
}

#[test]
fn plots_are_readable() {
    for (name, record) in [("few", rates(2)), ("many", rates(14)), ("recalls", recalls())] {
        for named in figures(&record) {
            check(&format!("compare-{name}-{}", named.stem), &named.figure);
        }
    }
    let stems = |record: &CompareRecord| -> Vec<String> {
        let figures = figures(record).into_iter();
        figures.map(|named| named.stem).collect()
    };
    assert_eq!(
        stems(&rates(2)),
        [
            "compare-warm-items-per-s",
            "compare-cold-items-per-s",
            "compare-roofline"
        ]
    );
    assert_eq!(stems(&recalls()), ["compare-t2v-r-at-1", "compare-v2t-r-at-1"]);
}

#[test]
fn plots_bear_long_labels_many_runs_and_wide_intervals() {
    let mut record = rates(3);
    let last = record.columns[2].clone();
    for n in 0..5 {
        let mut column = last.clone();
        column.label = format!("a machine with a long label, number {n}");
        if let Some(peaks) = &mut column.peaks {
            peaks.fma_flops_per_s *= 0.6;
        }
        record.columns.push(column);
        for row in &mut record.throughput {
            let mut value = row.values[1].clone();
            let ratio = value.as_mut().and_then(|value| value.ratio.as_mut());
            ratio.unwrap().interval = Some([1e-9, 1e9]);
            row.values.push(value);
        }
    }
    for named in figures(&record) {
        check(&format!("compare-long-{}", named.stem), &named.figure);
    }
}

#[test]
fn a_roof_a_machine_and_warm_points_only() {
    let record = rates(2);
    let found = figures(&record);
    let Some(Figure::Roofline(figure)) = found.last().map(|named| &named.figure) else {
        panic!("a roofline comes last");
    };
    assert_eq!(figure.roofs.len(), 3);
    assert_eq!(figure.points.len(), 5);
    assert_eq!(
        (figure.points[0].intensity, figure.points[0].gflops),
        (10.0, 200.0)
    );
}

#[test]
fn files_are_written_into_a_new_folder() {
    let folder = tempfile::tempdir().unwrap();
    let files = write_files(&rates(2), &folder.path().join("new/folder")).unwrap();
    let text = std::fs::read_to_string(&files.report).unwrap();
    assert!(files.table.is_file() && files.plots.iter().all(|plot| plot.is_file()));
    assert_eq!(files.plots.len(), 6);
    assert!(text.contains("](plots/compare-roofline.svg)"), "{text}");
}
