//! Facts about the training of each cell.

use std::collections::BTreeSet;

use super::view::{CellView, RunView, Spread};
use crate::grid::Grid;
use crate::markdown::{grid_md, line, section};
use crate::record::TrainingRecord;

type OfCell = fn(&CellView<'_>) -> String;

pub(super) fn training(out: &mut String, view: &RunView<'_>) {
    let columns: [(&str, OfCell); 7] = [
        ("steps", |cell| {
            of_training(cell, 0, |training| Some(training.steps as f64))
        }),
        ("batch", |cell| {
            of_training(cell, 0, |training| Some(training.batch as f64))
        }),
        ("pairs/s", |cell| {
            of_training(cell, 0, |training| Some(training.pairs_per_s))
        }),
        ("training time, s", |cell| {
            of_training(cell, 1, |training| Some(training.train_time_ns as f64 / 1e9))
        }),
        ("last loss", |cell| {
            of_training(cell, 3, |training| training.final_loss)
        }),
        ("same-video rate in queue, %", |cell| {
            of_training(cell, 3, |training| Some(training.same_video_rate? * 100.0))
        }),
        ("peak memory, MiB", |cell| {
            let bytes = cell.results().filter_map(|(_, result)| result.peak_memory_bytes);
            spread(
                Spread::of(bytes.map(|bytes| bytes as f64 / f64::from(1 << 20))),
                0,
            )
        }),
    ];
    if !view.results().any(|(_, result)| result.training.is_some()) {
        return;
    }
    section(out, "Training");
    line(
        out,
        "Mean over seeds ± standard deviation. pairs/s counts training steps only, without loading or evaluation. \
         The same-video rate is the share of queue entries of the query's own video, before masking: false negatives \
         unless `momentum.mask_same_video` removes them.\n",
    );
    let trainings = view.results().filter_map(|(_, result)| result.training.as_ref());
    let n_machines = trainings
        .flat_map(|it| &it.machines)
        .collect::<BTreeSet<_>>()
        .len();
    if n_machines > 1 {
        line(
            out,
            &format!(
                "Trials ran on {n_machines} kinds of machine, whose pairs/s and times do not compare.\n"
            ),
        );
    }
    let mut header = vec!["cell".to_owned()];
    header.extend(columns.iter().map(|(name, _)| (*name).to_owned()));
    header.push("parameters".to_owned());
    let rows = view
        .cells
        .iter()
        .filter(|cell| cell.results().next().is_some())
        .map(|cell| {
            let mut row = vec![view.label(&cell.cell.axis_values)];
            row.extend(columns.iter().map(|(_, text)| text(cell)));
            row.push(parameters(cell));
            row
        });
    let grid = Grid {
        caption: String::new(),
        header,
        n_words: 1,
        rows: rows.collect(),
    };
    grid_md(out, &grid);
}

fn of_training(cell: &CellView<'_>, decimals: usize, get: fn(&TrainingRecord) -> Option<f64>) -> String {
    spread(
        Spread::of(
            cell.results()
                .filter_map(|(_, result)| get(result.training.as_ref()?)),
        ),
        decimals,
    )
}

fn spread(spread: Option<Spread>, decimals: usize) -> String {
    match spread {
        None => "-".to_owned(),
        Some(Spread {
            mean, sd: Some(sd), ..
        }) if sd > 0.0 => format!("{mean:.decimals$} ±{sd:.decimals$}"),
        Some(Spread { mean, .. }) => format!("{mean:.decimals$}"),
    }
}

fn parameters(cell: &CellView<'_>) -> String {
    let Some(training) = cell.results().find_map(|(_, result)| result.training.as_ref()) else {
        return "-".to_owned();
    };
    let grouped = |n: u64| {
        let digits = n.to_string();
        let groups: Vec<&str> = digits
            .as_bytes()
            .rchunks(3)
            .rev()
            .map(|group| str::from_utf8(group).unwrap_or_default())
            .collect();
        groups.join(",")
    };
    let parts = training
        .parameters
        .iter()
        .map(|(part, &n)| format!("{part} {}", grouped(n)));
    parts.collect::<Vec<_>>().join("\n")
}
