//! `report.md` from top to bottom: what was run, data, protocol, results, plots, failures.

use std::fmt::Write;

use super::helped::differences;
use super::recalls::{Detail, recall_grids};
use super::table::legend;
use super::training::training;
use super::view::{RunView, TrialState};
use crate::markdown::{Embedded, embed, escaped, grid_md, line, machine, plural, reproduce, section};
use crate::record::{
    ComparisonsFile, DataRecord, Direction, ProtocolRecord, RunRecord, ScoreKind, TrialRecord, value_text,
};

/// The report of a run.
pub(crate) fn report_md(
    run: &RunRecord,
    trials: &[TrialRecord],
    comparisons: Option<&ComparisonsFile>,
    plots: &[Embedded],
) -> String {
    let view = RunView::new(run, trials);
    let mut out = String::new();
    what_was_run(&mut out, &view);
    data(&mut out, &view);
    protocol(&mut out, &view);
    results(&mut out, &view);
    if let Some(comparisons) = comparisons {
        differences(&mut out, &view, comparisons);
    }
    training(&mut out, &view);
    embed(&mut out, plots);
    problems(&mut out, &view);
    machine(&mut out, run);
    reproduce(
        &mut out,
        run,
        "Every number above follows from `trials.jsonl` and `ranks/` in this folder; `run.json` holds the suite with \
         every default filled in. On the same build and processor, equal work gives equal bytes of `summary.csv`, \
         `ranks/` and `curves/`.",
    );
    out
}

fn what_was_run(out: &mut String, view: &RunView<'_>) {
    let suite = &view.run.suite;
    line(
        out,
        &format!("# {} (suite version {})\n", suite.name, suite.version),
    );
    line(out, &format!("{}\n", suite.about.trim()));
    section(out, "What was run");
    let mut text = format!(
        "{}: {}, each with {} ({}). {} finished",
        plural(view.trials().count(), "trial"),
        plural(view.cells.len(), "cell"),
        plural(suite.seeds.len(), "seed"),
        suite
            .seeds
            .iter()
            .map(u64::to_string)
            .collect::<Vec<_>>()
            .join(", "),
        view.results().count(),
    );
    for (n, word) in view.unfinished() {
        write!(text, ", {n} {word}").expect("a string takes every byte");
    }
    line(out, &format!("{text}.\n"));
    for axis in &view.axes {
        let values: Vec<String> = axis.values.iter().map(value_text).collect();
        line(out, &format!("- Axis `{}`: {}", axis.path, values.join(", ")));
    }
    if let Some(reference) = &suite.reference {
        line(
            out,
            &format!("- Reference cell, marked `*`: {}", view.label(reference)),
        );
    }
    for cell in &view.cells {
        for merged in &cell.cell.merged {
            let (label, own) = (view.label(merged), view.label(&cell.cell.axis_values));
            line(
                out,
                &format!("- {label} computes the same as {own} and was not run again"),
            );
        }
    }
    line(out, "");
}

fn data(out: &mut String, view: &RunView<'_>) {
    let mut sets: Vec<&DataRecord> = Vec::new();
    for (_, result) in view.results() {
        if !sets.contains(&&result.data) {
            sets.push(&result.data);
        }
    }
    if sets.is_empty() {
        return;
    }
    section(out, "Data");
    for set in sets {
        line(out, &format!("**{}.** {}\n", set.name, set.about.trim()));
        // Nothing was trained where only given scores were evaluated.
        let training = match (set.n_train_videos, set.n_train_captions) {
            (0, 0) => String::new(),
            (videos, captions) => format!("Training: {videos} videos, {captions} captions. "),
        };
        line(
            out,
            &format!(
                "{}Test: {} videos, {} captions. Content hash `{}`.\n",
                training, set.n_test_videos, set.n_test_captions, set.content_hash
            ),
        );
    }
}

fn protocol(out: &mut String, view: &RunView<'_>) {
    let mut protocols: Vec<&ProtocolRecord> = Vec::new();
    for (trial, _) in view.results() {
        if !protocols.contains(&&trial.protocol) {
            protocols.push(&trial.protocol);
        }
    }
    if protocols.is_empty() {
        return;
    }
    section(out, "Protocol");
    for own in protocols {
        let post = own
            .post
            .as_ref()
            .map(|post| format!(", post-processing `{post}`"))
            .unwrap_or_default();
        let kernel = match &own.kernel {
            Some(kernel) => format!("counted by `{kernel}`"),
            None => "counted over the given matrix".to_owned(),
        };
        line(
            out,
            &format!(
                "Protocol `{}`{post}: pairs score by `{}`; greater and equal scores {kernel}; ties `{}`; several \
                 captions a video `{}`; median `{}`.\n",
                own.protocol, own.score, own.ties, own.captions, own.median
            ),
        );
    }
}

fn results(out: &mut String, view: &RunView<'_>) {
    section(out, "Results");
    line(out, &format!("{}\n", escaped(&legend(view, Detail::All))));
    for kind in ScoreKind::ALL {
        for direction in Direction::ALL {
            for grid in recall_grids(view, kind, direction, Detail::All) {
                grid_md(out, &grid);
            }
        }
    }
    if view
        .results()
        .any(|(_, result)| result.baselines.tf_idf.is_some())
    {
        line(
            out,
            "`chance` is a random order. `TF-IDF` ranks by the words that the two sides share; no model takes \
             part in it, and it may see what the model is denied (see Data).\n",
        );
    } else if view.results().next().is_some() {
        line(out, "`chance` is a random order.\n");
    }
}

fn problems(out: &mut String, view: &RunView<'_>) {
    let failed: Vec<(&str, &str)> = view
        .trials()
        .filter_map(|trial| match trial.state {
            TrialState::Failed(error) => Some((trial.planned.name.as_str(), error)),
            _ => None,
        })
        .collect();
    if failed.is_empty() {
        return;
    }
    section(out, "Failed trials");
    for (name, error) in failed {
        line(
            out,
            &format!("- `{name}`: {}", escaped(&error.replace('\n', "; "))),
        );
    }
    line(out, "");
}
