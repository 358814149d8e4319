//! `report.md`: what was run on which data under which protocol, what came out, and what that does not show.

use std::fmt::Write;

use crate::ablation::{Difference, percent_level};
use crate::grid::{Detail, Grid, recall_grids};
use crate::record::{
    ComparisonsFile, DataRecord, Direction, MachineRecord, ProtocolRecord, RunRecord, ScoreKind, TrialRecord,
    Verdict,
};
use crate::table::legend;
use crate::view::{CellView, RunView, Spread, TrialState, value_text};

/// A plot to embed: `plots/STEM.svg`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Embedded {
    /// File name without its extension.
    pub(crate) stem: String,
    /// What it shows, for readers who cannot see it.
    pub(crate) alt: String,
}

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
    if !plots.is_empty() {
        section(&mut out, "Plots");
        for plot in plots {
            line(
                &mut out,
                &format!("![{}](plots/{}.svg)\n", escaped(&plot.alt), plot.stem),
            );
        }
    }
    problems(&mut out, &view);
    machine(&mut out, run);
    reproduce(&mut out, run);
    out
}

fn line(out: &mut String, text: &str) {
    writeln!(out, "{text}").expect("a string takes every byte");
}

fn section(out: &mut String, title: &str) {
    line(out, &format!("## {title}\n"));
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
        "{} trials: {} cells, each with {} ({}). {} finished",
        view.trials().count(),
        view.cells.len(),
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
        line(
            out,
            &format!(
                "Training: {} videos, {} captions. Test: {} videos, {} captions. Content hash `{}`.\n",
                set.n_train_videos,
                set.n_train_captions,
                set.n_test_videos,
                set.n_test_captions,
                set.content_hash
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

fn differences(out: &mut String, view: &RunView<'_>, comparisons: &ComparisonsFile) {
    let differences = Difference::all(view.run, comparisons);
    if differences.is_empty() {
        return;
    }
    section(out, "What helped");
    let method = comparisons.method.trim();
    line(
        out,
        &format!("Differences of cells; positive means higher than what it is compared to. {method}\n"),
    );
    for group in differences.chunk_by(|one, next| one.key() == next.key()) {
        let first = &group[0];
        let mut said: Vec<bool> = vec![false; group.len()];
        for axis in &view.axes {
            let alone: Vec<usize> = (0..group.len())
                .filter(|&at| group[at].only_changes(view, axis.name))
                .collect();
            if alone.is_empty() {
                continue;
            }
            line(
                out,
                &format!("{}, {} score:\n", escaped(axis.name), first.record.score),
            );
            for at in alone {
                said[at] = true;
                line(out, &format!("- {}", escaped(&group[at].sentence(view))));
            }
            line(out, "");
        }
        if said.contains(&false) {
            line(
                out,
                &format!("Several changes at once, {} score:\n", first.record.score),
            );
            for (one, _) in group.iter().zip(&said).filter(|(_, said)| !**said) {
                line(out, &format!("- {}", escaped(&one.sentence(view))));
            }
            line(out, "");
        }
        let grid = Grid {
            caption: format!(
                "{}, {} score, in {}",
                first.metric.name, first.record.score, first.metric.unit
            ),
            header: ["cells", "verdict", "difference", "interval", "level, %", "seeds"]
                .map(str::to_owned)
                .to_vec(),
            n_words: 2,
            rows: group.iter().map(|one| difference_row(view, one)).collect(),
        };
        grid_md(out, &grid);
    }
}

fn difference_row(view: &RunView<'_>, one: &Difference<'_>) -> Vec<String> {
    let verdict = match one.record.verdict {
        Verdict::Improved => "improved",
        Verdict::Regressed => "regressed",
        Verdict::Inconclusive => "inconclusive",
    };
    vec![
        one.label(view),
        verdict.to_owned(),
        one.metric.signed(one.record.estimate),
        one.metric.interval(one.record),
        percent_level(one.record.level),
        one.record.n_seeds.to_string(),
    ]
}

type OfCell = fn(&CellView<'_>) -> String;

fn training(out: &mut String, view: &RunView<'_>) {
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
         The same-video rate is the share of queue entries that are false negatives.\n",
    );
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

fn of_training(
    cell: &CellView<'_>,
    decimals: usize,
    get: fn(&crate::record::TrainingRecord) -> Option<f64>,
) -> String {
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

fn machine(out: &mut String, run: &RunRecord) {
    section(out, "Machine and build");
    let tool = &run.tool;
    let revision = match (&tool.git_revision, tool.dirty) {
        (Some(revision), false) => format!("git revision `{revision}`"),
        (Some(revision), true) => format!("git revision `{revision}` **with uncommitted changes**"),
        (None, _) => "git revision unknown".to_owned(),
    };
    line(
        out,
        &format!(
            "- hitbench {}, {revision}, build `{}`",
            tool.version, tool.build_id
        ),
    );
    for (library, version) in &tool.libraries {
        line(out, &format!("- {library} {version}"));
    }
    for fact in machine_facts(&run.machine) {
        line(out, &format!("- {}", escaped(&fact)));
    }
    line(out, "");
}

fn machine_facts(machine: &MachineRecord) -> Vec<String> {
    let gib = |bytes: u64| format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30));
    let model = machine.cpu_model.as_deref().unwrap_or("model unknown");
    let mut cpu = format!(
        "Processor: {model}, {} ({})",
        plural(machine.cores as usize, "core"),
        machine.arch
    );
    if let Some(hz) = machine.cpu_clock_hz {
        cpu += &format!(", {:.2} GHz as found", hz as f64 / 1e9);
    }
    if let Some(governor) = &machine.cpu_governor {
        cpu += &format!(", governor {governor}");
    }
    let mut facts = vec![cpu];
    if !machine.cpu_features.is_empty() {
        facts.push(format!("Instruction sets: {}", machine.cpu_features.join(", ")));
    }
    facts.extend(
        machine
            .memory_bytes
            .map(|bytes| format!("Memory: {}", gib(bytes))),
    );
    for gpu in &machine.gpus {
        let mut text = format!("GPU: {}", gpu.name);
        text += &gpu
            .memory_bytes
            .map(|bytes| format!(", {}", gib(bytes)))
            .unwrap_or_default();
        text += &gpu
            .driver
            .as_ref()
            .map(|driver| format!(", driver {driver}"))
            .unwrap_or_default();
        text += &gpu
            .compute_capability
            .as_ref()
            .map(|sm| format!(", compute capability {sm}"))
            .unwrap_or_default();
        text += &gpu
            .clock_hz
            .map(|hz| format!(", {:.2} GHz as found", hz as f64 / 1e9))
            .unwrap_or_default();
        facts.push(text);
    }
    facts.push(format!("System: {}", machine.os));
    facts
}

fn reproduce(out: &mut String, run: &RunRecord) {
    section(out, "How to reproduce");
    if let Some(revision) = &run.tool.git_revision {
        line(out, &format!("At revision `{revision}`:\n"));
    }
    line(
        out,
        &format!(
            "```sh\n{}\n```\n",
            run.command
                .iter()
                .map(|word| shell_word(word))
                .collect::<Vec<_>>()
                .join(" ")
        ),
    );
    line(
        out,
        "Every number above follows from `trials.jsonl` and `ranks/` in this folder; `run.json` holds the suite with \
         every default filled in. On the same build and processor, equal work gives equal bytes of `summary.csv`, \
         `ranks/` and `curves/`.",
    );
}

/// Quotes a word of a command line where a shell would take it apart.
fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

fn plural(n: usize, word: &str) -> String {
    if n == 1 {
        format!("1 {word}")
    } else {
        format!("{n} {word}s")
    }
}

fn grid_md(out: &mut String, grid: &Grid) {
    if !grid.caption.is_empty() {
        line(out, &format!("**{}**\n", escaped(&grid.caption)));
    }
    let row = |cells: &[String]| {
        let cells: Vec<String> = cells
            .iter()
            .map(|cell| escaped(cell).replace('\n', "<br>"))
            .collect();
        format!("| {} |", cells.join(" | "))
    };
    line(out, &row(&grid.header));
    let rule = (0..grid.header.len()).map(|at| if at < grid.n_words { "---" } else { "---:" });
    line(out, &format!("| {} |", rule.collect::<Vec<_>>().join(" | ")));
    for cells in &grid.rows {
        line(out, &row(cells));
    }
    line(out, "");
}

/// Text with the characters that Markdown or HTML would take for their own made harmless. An underscore
/// inside a word is harmless by itself.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = ' ';
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let in_word = before.is_alphanumeric() && rest.peek().is_some_and(|next| next.is_alphanumeric());
        match c {
            '<' => out += "&lt;",
            '_' if in_word => out.push(c),
            '|' | '*' | '_' | '`' | '\\' => out.extend(['\\', c]),
            _ => out.push(c),
        }
        before = c;
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fixture;

    #[test]
    fn a_small_report_in_full() {
        let axes = [
            (fixture::QUEUE, vec![json!(0), json!(256)]),
            (fixture::HIERARCHY, vec![json!("semantic")]),
        ];
        let run = fixture::run(&axes, &[0, 1]);
        let mut trials = fixture::trials(&run);
        trials[3].outcome = crate::record::TrialOutcome::Failed {
            error: "loss is NaN\nat step <3>".to_owned(),
        };
        let plots = [Embedded {
            stem: "recall".to_owned(),
            alt: "R@10 against queue_len".to_owned(),
        }];
        insta::assert_snapshot!(report_md(&run, &trials, Some(&fixture::comparisons(&run)), &plots), @r"
        # queue-by-hierarchy (suite version 1)

        Does a longer queue help each level of the hierarchy?

        ## What was run

        4 trials: 2 cells, each with 2 seeds (0, 1). 3 finished, 1 failed.

        - Axis `momentum.queue_len`: 0, 256
        - Axis `model.hierarchy`: semantic
        - Reference cell, marked `*`: queue_len=0, hierarchy=semantic

        ## Data

        **synthetic.** Generated videos with latent objects, actions and scenes. Nothing in it is real.

        Training: 1000 videos, 2000 captions. Test: 200 videos, 400 captions. Content hash `c0ffee`.

        ## Protocol

        Protocol `custom`: pairs score by `cosine`; greater and equal scores counted by `cpu/avx512/f32`; ties `average`; several captions a video `min-rank`; median `mean-of-middle`.

        ## Results

        R@K in per cent: share of queries with a true item among the K best. Mean over seeds ± standard deviation over seeds. 95 %: bootstrap interval over test videos, mean of the seeds' ends. Brackets below a recall: its range over all orders of tied items. \*: the reference cell.

        **t2v, combined score, protocol custom, queries: 400, gallery: 200, ties: average, tied queries: 2, median: mean-of-middle, pair score: cosine, kernel: cpu/avx512/f32**

        | queue_len | hierarchy | seeds | R@1 | R@1 95 % | R@5 | R@5 95 % | R@10 | R@10 95 % | R@50 | R@50 95 % | MdR | MnR |
        | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
        | \* 0 | semantic | 2 | 18.2 ±0.3<br>[17.9, 18.4] | [15.2, 21.2] | 36.4 ±0.6<br>[36.1, 36.6] | [33.4, 39.4] | 47.3 ±0.7<br>[47.1, 47.6] | [44.3, 50.3] | 65.5 ±1.0<br>[65.3, 65.8] | [62.5, 68.5] | 9.0 ±0.0 | 21.1 ±0.0 |
        | 256 | semantic | 1/2 | 19.2<br>[18.9, 19.4] | [16.2, 22.2] | 38.4<br>[38.1, 38.6] | [35.4, 41.4] | 49.9<br>[49.7, 50.2] | [46.9, 52.9] | 69.1<br>[68.9, 69.4] | [66.1, 72.1] | 9.0 | 21.1 |
        | chance |  |  | 0.5 |  | 2.5 |  | 5.0 |  | 25.0 |  |  |  |
        | TF-IDF |  |  | 7.1 |  | 35.7 |  | 71.4 |  | 100.0 |  |  |  |

        **v2t, combined score, protocol custom, queries: 200, gallery: 200, ties: average, tied queries: 2, median: mean-of-middle, pair score: cosine, kernel: cpu/avx512/f32, captions: min-rank**

        | queue_len | hierarchy | seeds | R@1 | R@1 95 % | R@5 | R@5 95 % | R@10 | R@10 95 % | R@50 | R@50 95 % | MdR | MnR |
        | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
        | \* 0 | semantic | 2 | 19.1 ±0.3<br>[18.9, 19.4] | [16.1, 22.1] | 38.2 ±0.6<br>[38.0, 38.5] | [35.2, 41.2] | 49.7 ±0.8<br>[49.4, 49.9] | [46.7, 52.7] | 68.8 ±1.1<br>[68.5, 69.0] | [65.8, 71.8] | 9.0 ±0.0 | 21.1 ±0.0 |
        | 256 | semantic | 1/2 | 20.2<br>[19.9, 20.4] | [17.2, 23.2] | 40.3<br>[40.1, 40.6] | [37.3, 43.3] | 52.4<br>[52.2, 52.7] | [49.4, 55.4] | 72.6<br>[72.3, 72.8] | [69.6, 75.6] | 9.0 | 21.1 |
        | chance |  |  | 0.5 |  | 2.5 |  | 5.0 |  | 25.0 |  |  |  |
        | TF-IDF |  |  | 6.7 |  | 33.3 |  | 66.7 |  | 100.0 |  |  |  |

        **t2v, semantic score, protocol custom, queries: 400, gallery: 200, ties: average, tied queries: 2, median: mean-of-middle, pair score: cosine, kernel: cpu/avx512/f32**

        | queue_len | hierarchy | seeds | R@1 | R@1 95 % | R@5 | R@5 95 % | R@10 | R@10 95 % | R@50 | R@50 95 % | MdR | MnR |
        | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
        | \* 0 | semantic | 2 | 17.3 ±0.3<br>[17.0, 17.5] | [14.3, 20.3] | 34.6 ±0.5<br>[34.3, 34.8] | [31.6, 37.6] | 45.0 ±0.7<br>[44.7, 45.2] | [42.0, 48.0] | 62.2 ±1.0<br>[62.0, 62.5] | [59.2, 65.2] | 9.0 ±0.0 | 21.1 ±0.0 |
        | 256 | semantic | 1/2 | 18.2<br>[18.0, 18.5] | [15.2, 21.2] | 36.5<br>[36.2, 36.7] | [33.5, 39.5] | 47.4<br>[47.2, 47.7] | [44.4, 50.4] | 65.7<br>[65.4, 65.9] | [62.7, 68.7] | 9.0 | 21.1 |
        | chance |  |  | 0.5 |  | 2.5 |  | 5.0 |  | 25.0 |  |  |  |
        | TF-IDF |  |  | 7.1 |  | 35.7 |  | 71.4 |  | 100.0 |  |  |  |

        **v2t, semantic score, protocol custom, queries: 200, gallery: 200, ties: average, tied queries: 2, median: mean-of-middle, pair score: cosine, kernel: cpu/avx512/f32, captions: min-rank**

        | queue_len | hierarchy | seeds | R@1 | R@1 95 % | R@5 | R@5 95 % | R@10 | R@10 95 % | R@50 | R@50 95 % | MdR | MnR |
        | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
        | \* 0 | semantic | 2 | 18.2 ±0.3<br>[17.9, 18.4] | [15.2, 21.2] | 36.3 ±0.6<br>[36.1, 36.6] | [33.3, 39.3] | 47.2 ±0.7<br>[47.0, 47.5] | [44.2, 50.2] | 65.4 ±1.0<br>[65.1, 65.6] | [62.4, 68.4] | 9.0 ±0.0 | 21.1 ±0.0 |
        | 256 | semantic | 1/2 | 19.2<br>[18.9, 19.4] | [16.2, 22.2] | 38.3<br>[38.1, 38.6] | [35.3, 41.3] | 49.8<br>[49.5, 50.0] | [46.8, 52.8] | 68.9<br>[68.7, 69.2] | [65.9, 71.9] | 9.0 | 21.1 |
        | chance |  |  | 0.5 |  | 2.5 |  | 5.0 |  | 25.0 |  |  |  |
        | TF-IDF |  |  | 6.7 |  | 33.3 |  | 66.7 |  | 100.0 |  |  |  |

        `chance` is a random order. `TF-IDF` ranks by the words that the two sides share; no model takes part in it, and it may see what the model is denied (see Data).

        ## What helped

        Differences of cells; positive means higher than what it is compared to. Two-level bootstrap over seeds and test videos, 2000 resamples.

        queue_len, combined score:

        - queue_len 256 instead of 0, at hierarchy=semantic: t2v R@10 changed by -4.9 points, 95 % interval [-8.9, -0.9], 2 seeds: it hurt.

        **t2v R@10, combined score, in points**

        | cells | verdict | difference | interval | level, % | seeds |
        | --- | --- | ---: | ---: | ---: | ---: |
        | queue_len=256, hierarchy=semantic | regressed | -4.9 | [-8.9, -0.9] | 95 | 2 |

        ## Training

        Mean over seeds ± standard deviation. pairs/s counts training steps only, without loading or evaluation. The same-video rate is the share of queue entries that are false negatives.

        | cell | steps | batch | pairs/s | training time, s | last loss | same-video rate in queue, % | peak memory, MiB | parameters |
        | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
        | queue_len=0, hierarchy=semantic | 300 | 64 | 890 ±14 | 21.6 ±0.3 | 1.255 ±0.007 | - | 700 | text 900,000<br>total 1,500,000<br>video 600,000 |
        | queue_len=256, hierarchy=semantic | 300 | 64 | 800 | 24.0 | 1.250 | 0.210 | 700 | text 900,000<br>total 1,500,000<br>video 600,000 |

        ## Plots

        ![R@10 against queue_len](plots/recall.svg)

        ## Failed trials

        - `queue-by-hierarchy/momentum.queue_len=256/model.hierarchy=semantic/seed=1`: loss is NaN; at step &lt;3>

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
        hitbench run suites/ablation/queue-by-hierarchy.yaml
        ```

        Every number above follows from `trials.jsonl` and `ranks/` in this folder; `run.json` holds the suite with every default filled in. On the same build and processor, equal work gives equal bytes of `summary.csv`, `ranks/` and `curves/`.
        ");
    }

    #[test]
    fn a_report_of_nothing_yet_names_what_is_missing() {
        let run = fixture::run(&[], &[0]);
        let report = report_md(&run, &[], None, &[]);
        assert!(
            report.contains("1 trials: 1 cells, each with 1 seed (0). 0 finished, 1 not run yet."),
            "{report}"
        );
        assert!(
            !report.contains("## Data") && !report.contains("## What helped"),
            "{report}"
        );
    }

    #[test]
    fn markdown_and_shell_characters_are_made_harmless() {
        assert_eq!(
            escaped("a_b |x| <y> *z* _w_ `v`"),
            r"a_b \|x\| &lt;y> \*z\* \_w\_ \`v\`"
        );
        assert_eq!(shell_word("suites/a.yaml"), "suites/a.yaml");
        assert_eq!(shell_word("--set=train.lr=[1, 2]"), "'--set=train.lr=[1, 2]'");
        assert_eq!(shell_word("it's"), r"'it'\''s'");
    }
}
