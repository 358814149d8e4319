//! The plan as it is printed, for people and for machines.

use std::io::{self, Write};

use comfy_table::CellAlignment;
use hitbench_models::{HeldCounts, ParameterCounts};
use serde::Serialize;
use serde_json::Value as Json;

use super::super::console::table;
use super::earlier::{Earlier, State};
use super::outlook::Outlook;
use crate::suite::cross::describe;
use crate::suite::{AxisValue, Suite, SuiteError};
use crate::trial::{CellInputs, InputCache, InputError, Plan, PlannedCell};

#[derive(Serialize)]
struct TrialView {
    /// `null` where the data cannot be loaded.
    id: Option<String>,
    name: String,
    seed: u64,
    #[serde(flatten)]
    state: State,
}

/// Parameters and memory of a cell's model.
#[derive(Serialize)]
struct SizeView {
    video_tower_parameters: u64,
    text_tower_parameters: u64,
    head_parameters: u64,
    total_parameters: u64,
    /// With the key encoders, where there are such.
    held_parameters: u64,
    queue_bytes: u64,
}

#[derive(Serialize)]
pub(super) struct CellView {
    hash: Option<String>,
    axes: Json,
    merged: Vec<Json>,
    is_reference: bool,
    size: Option<SizeView>,
    /// Why hash and size are missing.
    unavailable: Option<String>,
    trials: Vec<TrialView>,
    #[serde(skip)]
    label: String,
    #[serde(skip)]
    merged_labels: Vec<String>,
}

impl CellView {
    pub(super) fn new(
        suite: &Suite,
        planned: &PlannedCell<'_>,
        cache: &mut InputCache,
        earlier: &Earlier,
        build_id: &str,
    ) -> Result<Self, SuiteError> {
        let (known, unavailable) = match inspect(suite, planned, cache) {
            Ok(known) => (Some(known), None),
            Err(InputError::Suite(error)) => return Err(error),
            Err(error) => (None, Some(chain(&error))),
        };
        let hash = known.as_ref().map(|(inputs, _)| inputs.hash.to_string());
        let trials = planned.trials.iter().map(|trial| TrialView {
            id: known.as_ref().map(|(inputs, _)| inputs.hash.trial_id(trial.seed)),
            name: trial.name.clone(),
            seed: trial.seed,
            state: match &known {
                Some((inputs, _)) => earlier.state(suite, planned, trial, inputs.hash, build_id),
                None => State::ToRun,
            },
        });
        Ok(Self {
            axes: axes_json(&planned.cell.axis_values),
            merged: planned
                .merged
                .iter()
                .map(|cell| axes_json(&cell.axis_values))
                .collect(),
            is_reference: planned.is_reference,
            trials: trials.collect(),
            label: label(&planned.cell.axis_values),
            merged_labels: planned
                .merged
                .iter()
                .map(|cell| label(&cell.axis_values))
                .collect(),
            size: known.map(|(_, size)| size),
            hash,
            unavailable,
        })
    }

    /// Ids of its trials, where known.
    #[cfg(test)]
    pub(super) fn ids(&self) -> Vec<String> {
        self.trials.iter().filter_map(|trial| trial.id.clone()).collect()
    }
}

/// Loads what a cell reads, and counts its model.
fn inspect(
    suite: &Suite,
    planned: &PlannedCell<'_>,
    cache: &mut InputCache,
) -> Result<(CellInputs, SizeView), InputError> {
    let inputs = cache.load(suite, planned)?;
    let config = &planned.cell.config;
    let counts = ParameterCounts::of(&config.model, &inputs.model_inputs);
    let held = HeldCounts::of(&config.model, &inputs.model_inputs, &config.momentum);
    let size = SizeView {
        video_tower_parameters: counts.video_tower(),
        text_tower_parameters: counts.text_tower(),
        head_parameters: counts.heads,
        total_parameters: counts.total(),
        held_parameters: held.parameters,
        queue_bytes: held.queue_bytes + held.id_queue_bytes,
    };
    Ok((inputs, size))
}

/// An error and its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

pub(super) fn axes_json(values: &[AxisValue]) -> Json {
    Json::Object(
        values
            .iter()
            .map(|axis| (axis.path.clone(), axis.value.clone()))
            .collect(),
    )
}

pub(super) fn label(values: &[AxisValue]) -> String {
    if values.is_empty() {
        "the only cell".to_owned()
    } else {
        describe(values)
    }
}

#[derive(Serialize)]
struct ExcludedView {
    axes: Json,
    reason: String,
    #[serde(skip)]
    label: String,
}

#[derive(Serialize)]
pub(super) struct PlanView<'a> {
    schema: &'static str,
    suite: &'a str,
    version: u32,
    about: &'a str,
    run_folder: String,
    seeds: &'a [u64],
    n_cells: usize,
    n_trials: usize,
    cells: Vec<CellView>,
    excluded: Vec<ExcludedView>,
    notes: &'a [String],
    gate: Option<Outlook>,
}

impl<'a> PlanView<'a> {
    pub(super) fn new(
        suite: &'a Suite,
        plan: &Plan<'_>,
        cells: Vec<CellView>,
        earlier: &Earlier,
        gate: Option<Outlook>,
    ) -> Self {
        let excluded = suite.excluded.iter().map(|cell| ExcludedView {
            axes: axes_json(&cell.axis_values),
            reason: cell.reason.clone(),
            label: label(&cell.axis_values),
        });
        Self {
            schema: "hitbench.plan/1",
            suite: &suite.name,
            version: suite.version,
            about: &suite.about,
            run_folder: earlier.folder.display().to_string(),
            seeds: &suite.seeds,
            n_cells: plan.cells.len(),
            n_trials: plan.n_trials(),
            cells,
            excluded: excluded.collect(),
            notes: &suite.notes,
            gate,
        }
    }

    pub(super) fn write_text(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "{}, version {}: {}\n", self.suite, self.version, self.about)?;
        let counted = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
        writeln!(
            out,
            "{}, {}\n",
            counted(self.n_cells, "cell"),
            counted(self.n_trials, "trial")
        )?;
        let mut cells = table(
            ["cell", "parameters", "with key encoders", "queues"],
            CellAlignment::Right,
        );
        for cell in &self.cells {
            let reference = if cell.is_reference { " (reference)" } else { "" };
            let [total, held, queues] = match &cell.size {
                Some(size) => [
                    grouped(size.total_parameters),
                    grouped(size.held_parameters),
                    kib(size.queue_bytes),
                ],
                None => [(); 3].map(|()| "-".to_owned()),
            };
            cells.add_row([format!("{}{reference}", cell.label), total, held, queues]);
        }
        writeln!(out, "{}\n", cells.trim_fmt())?;
        let mut trials = table(["trial", "id", ""], CellAlignment::Left);
        for trial in self.cells.iter().flat_map(|cell| &cell.trials) {
            let state = match &trial.state {
                State::ToRun => String::new(),
                State::Done => "done".to_owned(),
                State::Failed => "failed, runs again".to_owned(),
                State::Stale { differs } => format!("stale, runs again: {differs}"),
            };
            trials.add_row([
                trial.name.clone(),
                trial.id.clone().unwrap_or("-".to_owned()),
                state,
            ]);
        }
        writeln!(out, "{}", trials.trim_fmt())?;
        let remarks = self.remarks();
        if !remarks.is_empty() {
            writeln!(out, "\n{}", remarks.join("\n"))?;
        }
        self.gate.as_ref().map_or(Ok(()), |gate| gate.write_text(out))
    }

    /// What is merged, excluded, unavailable or noted, one line each.
    fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        for cell in &self.cells {
            for merged in &cell.merged_labels {
                remarks.push(format!("merged: {merged} is the same work as {}", cell.label));
            }
        }
        for cell in &self.excluded {
            remarks.push(format!("excluded: {} ({})", cell.label, cell.reason));
        }
        let mut unavailable: Vec<&String> = self
            .cells
            .iter()
            .filter_map(|cell| cell.unavailable.as_ref())
            .collect();
        unavailable.dedup();
        for reason in unavailable {
            remarks.push(format!("no ids and sizes: {reason}"));
        }
        for note in self.notes {
            remarks.push(format!("note: {note}"));
        }
        remarks
    }
}

/// Digits in groups of three.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn kib(bytes: u64) -> String {
    if bytes == 0 {
        "-".to_owned()
    } else {
        format!("{} KiB", grouped(bytes.div_ceil(1024)))
    }
}
