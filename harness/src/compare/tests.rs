//! Comparisons of made-up evidence: ratios, means, statements, refusals.

use std::sync::Arc;

use hitbench_kernels::RankCount;
use hitbench_reports::compare::{ColumnSource, CompareRecord, StatementKind};
use hitbench_reports::record::{
    CacheState, GpuPeaksRecord, MachineRecord, ProcessRecord, ProtocolRecord, ToolRecord, Verdict,
};

use super::{Subject, compare};
use crate::gate::evidence::{
    CellEvidence, MeasuredEvidence, ProcessTimes, Queries, RankedEvidence, TrialEvidence,
};
use crate::gate::{Evidence, SuiteId};

fn subject(label: &str, cells: Vec<CellEvidence>) -> Subject {
    let is_training = cells.iter().any(|cell| !cell.trials.is_empty());
    Subject {
        label: label.to_owned(),
        path: format!("runs/{label}"),
        source: ColumnSource::Run,
        evidence: Evidence {
            suite: SuiteId {
                name: "small".to_owned(),
                version: 1,
                kind: if is_training { "ablation" } else { "throughput" }.to_owned(),
            },
            tool: ToolRecord {
                version: "0.1.0".to_owned(),
                build_id: "0.1.0+abc".to_owned(),
                git_revision: None,
                dirty: false,
                libraries: Default::default(),
            },
            machine: MachineRecord {
                os: "Linux".to_owned(),
                arch: "x86_64".to_owned(),
                cpu_model: Some("CPU A".to_owned()),
                cpu_features: Vec::new(),
                cores: 2,
                memory_bytes: None,
                cpu_clock_hz: None,
                cpu_governor: None,
                gpus: Vec::new(),
            },
            peaks: Vec::new(),
            gpu_peaks: Vec::new(),
            cells,
        },
    }
}

fn cell(name: &str) -> CellEvidence {
    CellEvidence {
        name: name.to_owned(),
        hash: format!("hash of {name}"),
        axis_values: Default::default(),
        n_planned: 1,
        trials: Vec::new(),
        measured: None,
    }
}

/// A cell whose processes took so long for a call of 1,000 items, 4,000 FLOP and 500 bytes.
fn timed(name: &str, median_ns: &[f64]) -> CellEvidence {
    let times = ProcessTimes {
        cache: CacheState::Warm,
        median_ns: median_ns.to_vec(),
    };
    CellEvidence {
        measured: Some(MeasuredEvidence {
            kernel: "cpu/avx2/f16".to_owned(),
            threads: 2,
            items: 1_000,
            item: "pairs".to_owned(),
            flops: Some(4_000),
            bytes: Some(500),
            times: vec![times],
        }),
        ..cell(name)
    }
}

/// A cell whose query `q` of a trial with seed `s` has rank `rank(s, q)`, from 0, among 100 items.
fn ranked(name: &str, seeds: &[u64], n_queries: usize, rank: impl Fn(u64, usize) -> u64) -> CellEvidence {
    let queries = Arc::new(Queries {
        hash: format!("{n_queries} queries"),
        clusters: (0..n_queries as u32).collect(),
        ids: Vec::new(),
    });
    let trial = |&seed: &u64| TrialEvidence {
        seed,
        protocol: ProtocolRecord {
            protocol: "custom".to_owned(),
            score: "cosine".to_owned(),
            ties: "average".to_owned(),
            captions: "min-rank".to_owned(),
            median: "mean-of-middle".to_owned(),
            kernel: None,
            post: None,
        },
        t2v: Some(RankedEvidence {
            n_gallery: 100,
            queries: Arc::clone(&queries),
            counts: (0..n_queries)
                .map(|query| RankCount {
                    greater: rank(seed, query),
                    equal: 1,
                    own_equal: 1,
                    score: 0.0,
                })
                .collect(),
        }),
        v2t: None,
        pairs_per_s: Some(100.0 + seed as f64),
        trained_elsewhere: false,
    };
    CellEvidence {
        n_planned: seeds.len(),
        trials: seeds.iter().map(trial).collect(),
        ..cell(name)
    }
}

/// Every second query at the top, the others at rank 21.
fn half(_: u64, query: usize) -> u64 {
    20 * (query as u64 % 2)
}

fn compared(subjects: &[Subject]) -> CompareRecord {
    compare(subjects, 0).unwrap()
}

fn close(found: f64, expected: f64) {
    assert!(
        (found - expected).abs() < 1e-9 * expected.abs(),
        "{found} instead of {expected}"
    );
}

#[test]
fn kernels_on_a_gpu_have_shares_of_the_gpus_peaks_alone() {
    let on_gpu = |kernel: &str, work: [u64; 2]| {
        let mut cell = timed(kernel, &[1_000.0, 1_000.0]);
        let measured = cell.measured.as_mut().unwrap();
        kernel.clone_into(&mut measured.kernel);
        (measured.flops, measured.bytes) = (Some(work[0]), Some(work[1]));
        cell
    };
    let cells = || {
        vec![
            on_gpu("cuda/sm80/f16", [8_000, 1_000]),
            on_gpu("libtorch/cuda/f32", [8_000, 1_000]),
            on_gpu("cuda/sm90a/f16", [1_000, 1_000]),
        ]
    };
    let mut only = subject("only", cells());
    only.evidence.peaks = vec![ProcessRecord {
        fma_flops_per_s: 1.0,
        copy_bytes_per_s: 1.0,
        cpu_clock_hz: None,
        load_average: None,
    }];
    only.evidence.gpu_peaks = vec![GpuPeaksRecord {
        product_flops_per_s: Some(2e10),
        copy_bytes_per_s: 1e10,
    }];
    let transfer = &mut only.evidence.cells[1].measured.as_mut().unwrap().times;
    transfer.push(ProcessTimes {
        cache: CacheState::Transfer,
        median_ns: vec![1_000.0, 1_000.0],
    });
    let record = compared(&[only, subject("again", cells())]);
    let with_transfer = record
        .throughput
        .iter()
        .find(|row| row.metric == "transfer.items_per_s");
    assert_eq!(
        with_transfer.unwrap().values[0].as_ref().unwrap().copy_share,
        None
    );
    let share = |at: usize| record.throughput[at].values[0].clone().unwrap();
    // A call a microsecond: 8 of 20 GFLOP/s, 1 of 10 GB/s.
    for (at, product) in [(0, Some(0.4)), (1, None), (2, None)] {
        let value = share(at);
        assert_eq!(value.fma_share, None);
        assert_eq!(value.product_share.is_some(), product.is_some(), "{at}");
        close(value.product_share.unwrap_or(1.0), product.unwrap_or(1.0));
        close(value.copy_share.unwrap(), 0.1);
    }
}

#[test]
fn ratios_are_those_of_geometric_means_with_the_interval_of_welch() {
    let old = subject(
        "old",
        vec![timed("a", &[1_000.0, 1_000.0]), timed("b", &[100.0, 100.0])],
    );
    let mut new = subject(
        "new",
        vec![timed("a", &[400.0, 625.0]), timed("b", &[25.0, 25.0])],
    );
    new.evidence.peaks = vec![
        ProcessRecord {
            fma_flops_per_s: 2e10,
            copy_bytes_per_s: 1e10,
            cpu_clock_hz: None,
            load_average: None,
        };
        3
    ];
    let record = compared(&[old, new]);
    let [a, b] = &record.throughput[..] else {
        panic!("{:?}", record.throughput);
    };
    let (reference, value) = (a.values[0].as_ref().unwrap(), a.values[1].as_ref().unwrap());
    // 1,000 items in 1,000 ns; the geometric mean of 400 and 625 ns is 500 ns.
    close(reference.per_s, 1e9);
    close(value.per_s, 2e9);
    assert_eq!((reference.ratio, reference.fma_share), (None, None));
    let ratio = value.ratio.unwrap();
    close(ratio.value, 2.0);
    // One degree of freedom, t of 12.7062; the standard error is that of ln(400) and ln(625), ln(1.25).
    let [low, high] = ratio.interval.unwrap();
    let reach = 12.706_204_736 * 1.25_f64.ln();
    assert!((low - 2.0 * (-reach).exp()).abs() < 1e-6 && (high / 2.0 / reach.exp() - 1.0).abs() < 1e-6);
    // 8 GFLOP/s of 20, and 1 GB/s of 10; the reference measured no peaks.
    close(value.fma_share.unwrap(), 0.4);
    close(value.copy_share.unwrap(), 0.1);
    close(value.intensity.unwrap(), 8.0);
    close(b.values[1].as_ref().unwrap().ratio.unwrap().value, 4.0);
    let [mean] = &record.geometric_means[..] else {
        panic!("{:?}", record.geometric_means);
    };
    assert_eq!(
        (mean.metric.as_str(), mean.n_cells, mean.n_all_cells),
        ("warm.items_per_s", 2, 2)
    );
    // The geometric mean of 2 and 4. By process the two cells are 400 x 25 and 625 x 25 against 1,000 x 100 twice: half of what
    // the first cell's logarithms differ by, with one degree of freedom again.
    close(mean.ratios[1].value, 8.0_f64.sqrt());
    let [low, high] = mean.ratios[1].interval.unwrap();
    close(low, 8.0_f64.sqrt() / (reach / 2.0).exp());
    close(high, 8.0_f64.sqrt() * (reach / 2.0).exp());
    assert_eq!((mean.ratios[0].value, mean.ratios[0].interval), (1.0, None));
    assert!(record.statements.is_empty() && record.remarks.is_empty());
}

#[test]
fn means_are_over_cells_that_all_have_with_the_same_settings() {
    let all = |label: &str, ns: f64| subject(label, ["a", "b", "c"].map(|name| timed(name, &[ns])).to_vec());
    let (one, mut two, mut three) = (all("one", 100.0), all("two", 50.0), all("three", 25.0));
    two.evidence.cells[1].hash = "another".to_owned();
    three.evidence.cells.remove(2);
    let record = compared(&[one, two, three]);
    let mean = &record.geometric_means[0];
    assert_eq!((mean.n_cells, mean.n_all_cells), (1, 3));
    close(mean.ratios[1].value, 2.0);
    close(mean.ratios[2].value, 4.0);
    assert!(
        mean.ratios[1].interval.is_none(),
        "a single process has no spread"
    );
    let value = record.throughput[1].values[1].as_ref().unwrap();
    assert!(value.has_other_settings && value.ratio.is_none() && value.interval.is_none());
    assert_eq!(
        record.remarks,
        [
            "two has other settings or data than one in b: left out of ratios.",
            "three has nothing of c.",
        ]
    );
}

#[test]
fn unlike_machines_and_kernels_are_labelled() {
    let old = subject("old", vec![timed("a", &[1_000.0])]);
    let mut new = subject("new", vec![timed("a", &[500.0])]);
    new.evidence.machine.cores = 64;
    new.evidence.tool.build_id = "0.1.0+def".to_owned();
    new.evidence.cells[0].measured.as_mut().unwrap().kernel = "cpu/avx512/f16".to_owned();
    let record = compared(&[old, new]);
    let columns = &record.columns;
    assert!(columns[0].is_like_machine && columns[0].is_same_build);
    assert!(!columns[1].is_like_machine && !columns[1].is_same_build);
    assert_eq!(
        record.remarks,
        ["new ran other kernels than old in a (cpu/avx512/f16, not cpu/avx2/f16)."]
    );
    let ratio = record.throughput[0].values[1].as_ref().unwrap().ratio.unwrap();
    close(ratio.value, 2.0);
    assert_eq!(ratio.interval, None);
}

#[test]
fn equal_counts_are_said_to_be_equal_and_nothing_else_is() {
    let seeds = [0, 1];
    let old = subject(
        "old",
        vec![ranked("a", &seeds, 40, half), ranked("b", &seeds, 40, half)],
    );
    let same = Subject {
        label: "same".to_owned(),
        ..old.clone()
    };
    // One query from rank 21 to 22: no recall moves, and yet the counts are not equal.
    let moved = |seed: u64, query: usize| half(seed, query) + u64::from(seed == 1 && query == 3);
    let one = subject(
        "one",
        vec![ranked("a", &seeds, 40, moved), ranked("b", &seeds, 40, half)],
    );
    let record = compared(&[old, same, one]);
    let [same, one] = &record.statements[..] else {
        panic!("{:?}", record.statements);
    };
    assert_eq!(
        (same.kind, same.n_queries, same.n_tests),
        (StatementKind::EqualByCounts, 160, 0)
    );
    insta::assert_snapshot!(same.text, @"accuracy is equal by counts: every query of every seed of 2 cells has the same counts (160 in all)");
    assert_eq!(
        (one.kind, one.n_queries, one.n_differ, one.n_tests),
        (StatementKind::NoDifferenceShown, 160, 1, 6)
    );
    insta::assert_snapshot!(one.text, @"no difference of accuracy is shown, which is not equality: 1 of 160 queries has other counts; none of the recalls differs (5 %, Holm over 6 recalls); a difference of 16.7 points would have been found four times in five");
    for row in &record.accuracy {
        assert_eq!(row.values[0].as_ref().unwrap().mean, 0.5, "{row:?}");
        assert_eq!(row.values[1].as_ref().unwrap().difference, None);
        let difference = row.values[2].as_ref().unwrap().difference.unwrap();
        assert_eq!(
            (difference.estimate, difference.verdict),
            (0.0, Verdict::Inconclusive)
        );
        // Forty videos without a flip leave much open.
        assert!(
            difference.detectable > 0.05 && difference.interval[0] < -0.05,
            "{difference:?}"
        );
    }
}

#[test]
fn one_flip_is_no_difference_and_many_are() {
    let old = subject("old", vec![ranked("a", &[0], 200, half)]);
    let flips = |n: usize| move |seed: u64, query: usize| if query < 2 * n { 20 } else { half(seed, query) };
    let one = subject("one", vec![ranked("a", &[0], 200, flips(1))]);
    let many = subject("many", vec![ranked("a", &[0], 200, flips(30))]);
    let record = compared(&[old, one, many]);
    let kinds: Vec<StatementKind> = record.statements.iter().map(|statement| statement.kind).collect();
    assert_eq!(kinds, [StatementKind::NoDifferenceShown, StatementKind::Differs]);
    insta::assert_snapshot!(record.statements[0].text, @"no difference of accuracy is shown, which is not equality: 1 of 200 queries has other counts; none of the recalls differs (5 %, Holm over 3 recalls); a difference of 3.4 points would have been found four times in five; a run has a single seed, so that this is about these very models and not about other trainings");
    insta::assert_snapshot!(record.statements[1].text, @"accuracy differs in t2v R@1 of a by -15.0 points [-22.0, -9.0], t2v R@5 of a by -15.0 points [-22.0, -9.5], t2v R@10 of a by -15.0 points [-22.0, -10.4] (5 %, Holm over 3 recalls); 30 of 200 queries have other counts; a run has a single seed, so that this is about these very models and not about other trainings");
    let difference = record.accuracy[0].values[2].as_ref().unwrap().difference.unwrap();
    close(difference.estimate, -0.15);
    assert_eq!(difference.verdict, Verdict::Regressed);
    assert!(difference.interval[1] < 0.0 && difference.p_value < 0.05 / 3.0);
}

#[test]
fn several_seeds_are_part_of_what_is_uncertain() {
    // Seeds differ by as much as the two runs do.
    let noisy = |shift: u64| {
        move |seed: u64, query: usize| {
            let hit = (query as u64 * 37) % 200 < 60 + 10 * (seed % 3) + shift;
            if hit { 0 } else { 20 }
        }
    };
    let old = subject("old", vec![ranked("a", &[0, 1, 2], 200, noisy(0))]);
    let new = subject("new", vec![ranked("a", &[3, 4, 5], 200, noisy(8))]);
    let record = compared(&[old, new]);
    let statement = &record.statements[0];
    assert_eq!(
        (statement.kind, statement.n_queries),
        (StatementKind::NoDifferenceShown, 0)
    );
    assert!(
        statement.text.contains("the seeds are others"),
        "{}",
        statement.text
    );
    let value = record.accuracy[0].values[1].as_ref().unwrap();
    close(value.mean, 0.39);
    assert_eq!(value.n_seeds, 3);
    let pairs = record.throughput.last().unwrap();
    assert_eq!(
        (pairs.metric.as_str(), pairs.samples),
        ("train.pairs_per_s", "seeds")
    );
    close(
        pairs.values[1].as_ref().unwrap().ratio.unwrap().value,
        (103.0_f64 * 104.0 * 105.0 / (100.0 * 101.0 * 102.0)).cbrt(),
    );
}

#[track_caller]
fn refused(other: Subject, reason: &str, part: &str) {
    let old = subject("old", vec![ranked("a", &[0], 40, half)]);
    let error = compare(&[old, other], 0).unwrap_err();
    assert_eq!(error.reason(), reason);
    assert!(
        error.is_incomparable() && error.to_string().contains(part),
        "{error}"
    );
}

#[test]
fn what_means_something_else_is_refused_with_its_difference() {
    let changed = |change: &dyn Fn(&mut Subject)| {
        let mut other = subject("new", vec![ranked("a", &[0], 40, half)]);
        change(&mut other);
        other
    };
    let t2v = |other: &mut Subject, change: &dyn Fn(&mut RankedEvidence)| {
        change(other.evidence.cells[0].trials[0].t2v.as_mut().unwrap());
    };
    refused(
        changed(&|other| other.evidence.suite.name = "large".to_owned()),
        "other-suite",
        "the suite differs: small in `old`, large in `new`",
    );
    refused(
        changed(&|other| other.evidence.suite.version = 2),
        "other-suite-version",
        "the version of the suite small differs: 1 in `old`, 2 in `new`",
    );
    refused(
        changed(&|other| other.evidence.cells[0].trials[0].protocol.ties = "optimistic".to_owned()),
        "other-ties",
        "the tie rule of a differs: average in `old`, optimistic in `new`",
    );
    refused(
        changed(&|other| t2v(other, &|ranked| ranked.n_gallery = 200)),
        "other-gallery",
        "the gallery of t2v in a differs: 100 items in `old`, 200 items in `new`",
    );
    refused(
        changed(&|other| {
            t2v(other, &|ranked| {
                ranked.queries = Arc::new(Queries {
                    hash: "others".to_owned(),
                    ..(*ranked.queries).clone()
                });
            });
        }),
        "other-queries",
        "40 queries with the hash 40 queries in `old`, 40 queries with the hash others in `new`",
    );
    refused(
        changed(&|other| other.evidence.cells[0].name = "b".to_owned()),
        "no-shared-cells",
        "`new` has no cell in common with `old`",
    );
    let old = subject("old", vec![timed("a", &[1.0])]);
    assert_eq!(compare(&[old], 0).unwrap_err().reason(), "too-few-runs");
}
