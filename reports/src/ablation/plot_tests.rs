//! Every plot of runs of many shapes.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::plots::figures;
use super::view::RunView;
use crate::fixture::{self, HIERARCHY, QUEUE};
use crate::plot::tests::check;
use crate::plot::{BarFigure, Figure, LineFigure, Named};
use crate::record::{CurveRow, RunRecord, ScoreRecord, TrialOutcome, TrialRecord};

fn curves(run: &RunRecord) -> BTreeMap<String, Vec<CurveRow>> {
    let trials = run
        .plan
        .iter()
        .flat_map(|cell| cell.trials.iter().map(move |trial| (cell, trial)));
    trials
        .map(|(cell, trial)| {
            let with_queue = cell.axis_values.get(QUEUE).is_none_or(|len| len != &json!(0));
            (trial.id.clone(), fixture::curve(300, with_queue, trial.seed))
        })
        .collect()
}

/// Multiplies every R@K, to bring them near 0 or 1.
fn scaled(mut trials: Vec<TrialRecord>, factor: f64) -> Vec<TrialRecord> {
    for trial in &mut trials {
        let TrialOutcome::Ok(result) = &mut trial.outcome else {
            continue;
        };
        for score in result.metrics.values_mut() {
            let ScoreRecord::Directions(pair) = score else {
                continue;
            };
            for record in [&mut pair.t2v, &mut pair.v2t] {
                record.r_at.values_mut().for_each(|r| *r = (*r * factor).min(1.0));
            }
        }
    }
    trials
}

fn shape(
    name: &str,
    axes: &[(&str, Vec<Value>)],
    seeds: &[u64],
    factor: f64,
    missing: usize,
) -> Vec<(String, Named)> {
    let run = fixture::run(axes, seeds);
    let mut trials = scaled(fixture::trials(&run), factor);
    trials.truncate(trials.len() - missing);
    let view = RunView::new(&run, &trials);
    let comparisons = (!axes.is_empty()).then(|| fixture::comparisons(&run));
    let figures = figures(&view, comparisons.as_ref(), &curves(&run));
    figures
        .into_iter()
        .map(|figure| (format!("{name}-{}", figure.stem), figure))
        .collect()
}

/// Runs of many shapes.
fn shapes() -> Vec<(String, Named)> {
    let hierarchies = || vec![json!("semantic"), json!("feature"), json!("both")];
    let queue = |lens: &[u64]| lens.iter().map(|len| json!(len)).collect::<Vec<_>>();
    let quickstart = [(QUEUE, queue(&[0, 256, 1024])), (HIERARCHY, hierarchies())];
    let long = "a-kernel-with-a-very-long-name/of-many-parts/avx512-vnni-bf16/f16-accumulated-in-f32";
    let kernels: Vec<Value> = (0..9).map(|index| json!(format!("{long}/{index}"))).collect();
    let momenta = || vec![json!(0.9), json!(0.99), json!(0.999), json!(0.9999)];
    [
        shape("quickstart", &quickstart, &[0, 1], 1.0, 0),
        shape("one-seed", &quickstart, &[0], 1.0, 0),
        shape("near-zero", &quickstart, &[0, 1, 2], 0.001, 0),
        shape("near-one", &quickstart, &[0, 1, 2], 100.0, 0),
        shape("partial", &quickstart, &[0, 1], 1.0, 7),
        shape("lone-cell", &[], &[0, 1], 1.0, 0),
        shape(
            "two-cells",
            &[(HIERARCHY, vec![json!("semantic"), json!("both")])],
            &[0, 1],
            1.0,
            0,
        ),
        shape("long-names", &[("train.kernels", kernels)], &[0, 1], 1.0, 0),
        shape(
            "momentum",
            &[("momentum.momentum", momenta()), (QUEUE, queue(&[0, 1024]))],
            &[0, 1, 2],
            1.0,
            0,
        ),
        shape(
            "many",
            &[
                (QUEUE, queue(&[0, 64, 100, 256, 1000, 1024, 65536])),
                ("train.lr", momenta()),
                (HIERARCHY, hierarchies()),
            ],
            &[0, 1],
            0.2,
            0,
        ),
    ]
    .concat()
}

#[test]
fn every_shape_is_readable_and_drawn() {
    for (name, figure) in shapes() {
        let (Figure::Lines(LineFigure { subtitle, .. }) | Figure::Bars(BarFigure { subtitle, .. })) =
            &figure.figure
        else {
            panic!("{name} is neither lines nor bars")
        };
        assert!(!subtitle.contains("1 seeds"), "{name}: {subtitle}");
        check(&name, &figure.figure);
    }
}

#[test]
fn the_quickstart_gets_its_plots() {
    let run = fixture::queue_by_hierarchy(&[0, 1]);
    let trials = fixture::trials(&run);
    let comparisons = fixture::comparisons(&run);
    let named = figures(&RunView::new(&run, &trials), Some(&comparisons), &curves(&run));
    let stems: Vec<&str> = named.iter().map(|named| named.stem.as_str()).collect();
    assert_eq!(
        stems,
        [
            "recall-t2v",
            "recall-v2t",
            "throughput",
            "loss",
            "false-negatives",
            "ablation-t2v-r-at-10"
        ]
    );
    let Figure::Lines(recall) = &named[0].figure else {
        panic!("{:?}", named[0])
    };
    let names: Vec<&str> = recall.panels[0]
        .series
        .iter()
        .map(|series| series.name.as_str())
        .collect();
    assert_eq!(
        names,
        ["hierarchy=semantic", "hierarchy=feature", "hierarchy=both"]
    );
    let first = recall.panels[0].series[0].points[0].unwrap();
    assert!(
        (first.mean - 47.32).abs() < 1e-9 && (first.min - 46.8).abs() < 1e-9,
        "{first:?}"
    );
}

#[test]
fn a_merged_cell_stands_in_every_line() {
    let axes = [
        ("momentum.momentum", vec![json!(0.9), json!(0.99)]),
        (QUEUE, vec![json!(0), json!(256)]),
    ];
    let mut run = fixture::run(&axes, &[0]);
    let merged = run.plan.remove(2);
    assert_eq!(
        merged.axis_values,
        *json!({"momentum.momentum": 0.99, QUEUE: 0}).as_object().unwrap()
    );
    run.plan[0].merged.push(merged.axis_values);
    let trials = fixture::trials(&run);
    let named = figures(&RunView::new(&run, &trials), None, &BTreeMap::new());
    let Figure::Lines(recall) = &named[0].figure else {
        panic!("{:?}", named[0])
    };
    let zero = &recall.panels[0].series[0];
    assert_eq!(zero.name, "queue_len=0");
    assert!(zero.points.iter().all(Option::is_some), "{zero:?}");
}
