//! The end of a run: differences, expectations, tables and plots from the records, and the exit code.

use std::io::{self, Write};

use hitbench_reports::record::{PlannedTrial, RunRecord, ScoreKind, TrialRecord};
use hitbench_reports::{RunWriter, render_all};
use serde::Serialize;
use serde_json::Value as Json;

use super::console::stdout;
use super::failure::Failure;
use super::report::print_tables;
use crate::exit_code::ExitCode;
use crate::suite::expect::{Expectation, Unmet, check};
use crate::trial::RunOutcome;
use crate::trial::differences::differences;

#[derive(Serialize)]
struct WireOutcome {
    schema: &'static str,
    reason: &'static str,
    folder: String,
    report: String,
    page: String,
    summary: String,
    n_trials: usize,
    n_reused: usize,
    n_ok: usize,
    n_failed: usize,
    n_left: usize,
    unmet: Vec<String>,
}

/// Compares cells, draws everything, prints the tables (or one JSON object) and says how the run ended. Trials without a
/// record count as a fault where the run `is_whole`, and no part that was asked for.
///
/// # Errors
/// [`Failure`] when records cannot be read or pictures cannot be written.
pub(super) fn conclude(
    writer: &RunWriter,
    outcome: RunOutcome,
    is_whole: bool,
    json: bool,
) -> Result<ExitCode, Failure> {
    let folder = writer.folder();
    let run = folder.run()?;
    let found = differences(&run, folder);
    if let Ok(found) = &found {
        writer.write_comparisons(found)?;
    }
    // Whatever is wrong with the differences, the records get their tables and plots.
    let rendered = render_all(folder)?;
    found?;
    let trials = folder.trials()?;
    let unmet = unmet(&run, &trials);
    let planned: Vec<&PlannedTrial> = run.plan.iter().flat_map(|cell| &cell.trials).collect();
    let is_left = |planned: &&&PlannedTrial| {
        let recorded = |trial: &TrialRecord| trial.id == planned.id && trial.build_id == run.tool.build_id;
        !trials.iter().any(recorded)
    };
    let n_left = planned.iter().filter(is_left).count();

    let (code, reason) = if outcome.stopped {
        (ExitCode::Stopped, "stopped")
    } else if !unmet.is_empty() {
        (ExitCode::CheckFailed, "expect")
    } else if outcome.n_failed > 0 {
        (ExitCode::TrialsFailed, "trials-failed")
    } else if is_whole && n_left > 0 {
        (ExitCode::TrialsFailed, "trials-left")
    } else {
        (ExitCode::Fine, "ok")
    };
    if json {
        let wire = WireOutcome {
            schema: "hitbench.run/1",
            reason,
            folder: folder.path().display().to_string(),
            report: rendered.report.display().to_string(),
            page: rendered.page.display().to_string(),
            summary: rendered.summary.display().to_string(),
            n_trials: planned.len(),
            n_reused: outcome.n_reused,
            n_ok: outcome.n_ok,
            n_failed: outcome.n_failed,
            n_left,
            unmet,
        };
        let mut out = stdout();
        serde_json::to_writer(&mut out, &wire).map_err(io::Error::from)?;
        writeln!(out)?;
        return Ok(code);
    }
    print_tables(folder, &rendered)?;
    for line in unmet {
        writeln!(stdout(), "expected {line}")?;
    }
    if is_whole && n_left > 0 {
        let n = planned.len();
        let folder = folder.path().display();
        writeln!(
            io::stderr(),
            "warning: {n_left} of {n} trials have no record yet; `hitbench status {folder}` names them"
        )?;
    }
    if outcome.stopped {
        writeln!(io::stderr(), "stopped; run the same command again to go on")?;
    }
    Ok(code)
}

/// What `expect` asks for and the finished trials of the plan do not have, one sentence each.
fn unmet(run: &RunRecord, trials: &[TrialRecord]) -> Vec<String> {
    let expected = Expectation::all(&run.suite.resolved);
    let planned = run.plan.iter().flat_map(|cell| &cell.trials);
    let mut lines = Vec::new();
    for plan in planned {
        let of_this_build = |trial: &&TrialRecord| trial.id == plan.id && trial.build_id == run.tool.build_id;
        let Some(trial) = trials.iter().find(of_this_build) else {
            continue;
        };
        let Some(pair) = trial.directions(ScoreKind::Combined) else {
            continue;
        };
        let json = serde_json::to_value(pair).expect("metrics are plain data");
        let metric = |name: &str| {
            let pointer = format!("/{}", name.replace('.', "/"));
            json.pointer(&pointer).and_then(Json::as_f64)
        };
        for Unmet { expected, found } in check(&expected, metric) {
            let found = found.map_or("nothing".to_owned(), |found| found.to_string());
            lines.push(format!("{expected}, found {found} in {}", plan.name));
        }
    }
    lines
}
