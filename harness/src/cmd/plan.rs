//! `hitbench plan`: what a suite comes to, before anything is run.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use hitbench_reports::record::RecordError;

use self::earlier::Earlier;
use self::outlook::Outlook;
use self::view::{CellView, PlanView};
use super::console::stdout;
use crate::machine;
use crate::suite::{AnySuite, Suite, SuiteError};
use crate::trial::{InputCache, NoTrial, Plan, run_folder_name};

mod earlier;
mod kernels;
mod outlook;
mod view;

/// Shows the cells and trials of a suite: identities, sizes, what is merged, left out, done already, and what its gate can
/// detect.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  hitbench plan suites/quickstart.yaml\n  \
    hitbench plan suites/quickstart.yaml --set momentum.queue_len=[0,512] --filter hierarchy=both --json")]
pub struct PlanArgs {
    /// The suite file.
    suite: PathBuf,
    /// Overrides a setting; on an axis it takes a list and replaces the axis.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    sets: Vec<String>,
    /// Shows only trials whose name contains this.
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Run folder whose records count as done; default `runs/NAME-ID`.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Prints one JSON object (schema hitbench.plan/1) on standard output.
    #[arg(long)]
    pub json: bool,
}

/// Why a plan could not be shown.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The suite is wrong.
    #[error(transparent)]
    Suite(#[from] SuiteError),
    /// The filter keeps nothing.
    #[error(transparent)]
    NoTrial(#[from] NoTrial),
    /// The run folder cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The program's own file cannot be read, or standard output not be written.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Runs the command. Data that cannot be loaded leave identities and sizes out, and are named.
///
/// # Errors
/// [`PlanError`].
pub fn run(args: &PlanArgs) -> Result<(), PlanError> {
    let suite = AnySuite::load(&args.suite, &args.sets)?;
    let outlook = Outlook::new(&suite)?;
    match &suite {
        AnySuite::Ablation(suite) => trials(args, suite, outlook),
        AnySuite::Throughput(suite) => kernels::show(args, suite, outlook),
    }
}

fn trials(args: &PlanArgs, suite: &Suite, outlook: Option<Outlook>) -> Result<(), PlanError> {
    let plan = Plan::new(suite, args.filter.as_deref())?;
    let build_id = machine::tool()?.build_id;
    let default = || PathBuf::from("runs").join(run_folder_name(&suite.name, &suite.to_json(), &build_id));
    let earlier = Earlier::read(args.out.clone().unwrap_or_else(default))?;
    let mut cache = InputCache::default();
    let cells = plan
        .cells
        .iter()
        .map(|planned| CellView::new(suite, planned, &mut cache, &earlier, &build_id))
        .collect::<Result<Vec<_>, SuiteError>>()?;
    let view = PlanView::new(suite, &plan, cells, &earlier, outlook);
    let mut out = stdout();
    if args.json {
        serde_json::to_writer(&mut out, &view).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        view.write_text(&mut out)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The plan of a suite as text, ids blanked, as they follow the generated data.
    fn text(suite: &str, filter: Option<&str>) -> String {
        let suite = Suite::parse("a.yaml", suite, &[]).expect("the suite is valid");
        let plan = Plan::new(&suite, filter).expect("the filter keeps a trial");
        let folder = tempfile::tempdir().expect("a folder for tests");
        let earlier = Earlier::read(folder.path().to_path_buf()).expect("an empty folder is no run");
        let mut cache = InputCache::default();
        let mut cells = Vec::new();
        for planned in &plan.cells {
            cells.push(CellView::new(&suite, planned, &mut cache, &earlier, "build").expect("data fit"));
        }
        let ids: Vec<String> = cells.iter().flat_map(CellView::ids).collect();
        let mut out = Vec::new();
        PlanView::new(&suite, &plan, cells, &earlier, None)
            .write_text(&mut out)
            .expect("a vector takes all");
        let out = String::from_utf8(out).expect("text");
        ids.iter().fold(out, |out, id| out.replace(id, "xxxxxxxxxxxx-sN"))
    }

    const SUITE: &str = "
format: 1
name: sample
version: 3
about: A sample.
kind: ablation
data: {synthetic: {videos: 60, test_videos: 20}}
text: {vocab_size: 100}
train: {batch: 16}
axes: {momentum.queue_len: [0, 64], momentum.momentum: [0.9, 0.99], model.preset: [tiny, paper]}
reference: {momentum.queue_len: 0, momentum.momentum: 0.9, model.preset: tiny}
seeds: [0, 1]
exclude:
  - {when: {model.preset: paper, momentum.queue_len: 64}, reason: too large to be waited for}
  - {when: {momentum.queue_len: 128}, reason: never}
";

    #[test]
    fn a_plan_shows_cells_trials_and_what_is_left_out() {
        insta::assert_snapshot!(text(SUITE, None), @r#"
    sample, version 3: A sample.

    4 cells, 8 trials

    cell                                                                         parameters  with key encoders  queues
    momentum.queue_len=0, momentum.momentum=0.9, model.preset=tiny (reference)    1,726,720          1,726,720       -
    momentum.queue_len=0, momentum.momentum=0.9, model.preset=paper             103,778,304        103,778,304       -
    momentum.queue_len=64, momentum.momentum=0.9, model.preset=tiny               1,726,720          3,453,440  65 KiB
    momentum.queue_len=64, momentum.momentum=0.99, model.preset=tiny              1,726,720          3,453,440  65 KiB

    trial                                                                         id
    sample/momentum.queue_len=0/momentum.momentum=0.9/model.preset=tiny/seed=0    xxxxxxxxxxxx-sN
    sample/momentum.queue_len=0/momentum.momentum=0.9/model.preset=tiny/seed=1    xxxxxxxxxxxx-sN
    sample/momentum.queue_len=0/momentum.momentum=0.9/model.preset=paper/seed=0   xxxxxxxxxxxx-sN
    sample/momentum.queue_len=0/momentum.momentum=0.9/model.preset=paper/seed=1   xxxxxxxxxxxx-sN
    sample/momentum.queue_len=64/momentum.momentum=0.9/model.preset=tiny/seed=0   xxxxxxxxxxxx-sN
    sample/momentum.queue_len=64/momentum.momentum=0.9/model.preset=tiny/seed=1   xxxxxxxxxxxx-sN
    sample/momentum.queue_len=64/momentum.momentum=0.99/model.preset=tiny/seed=0  xxxxxxxxxxxx-sN
    sample/momentum.queue_len=64/momentum.momentum=0.99/model.preset=tiny/seed=1  xxxxxxxxxxxx-sN

    merged: momentum.queue_len=0, momentum.momentum=0.99, model.preset=tiny is the same work as momentum.queue_len=0, momentum.momentum=0.9, model.preset=tiny
    merged: momentum.queue_len=0, momentum.momentum=0.99, model.preset=paper is the same work as momentum.queue_len=0, momentum.momentum=0.9, model.preset=paper
    excluded: momentum.queue_len=64, momentum.momentum=0.9, model.preset=paper (too large to be waited for)
    excluded: momentum.queue_len=64, momentum.momentum=0.99, model.preset=paper (too large to be waited for)
    note: exclusion `{"momentum.queue_len":128}` matches no cell
    "#);
    }

    #[test]
    fn data_that_cannot_be_loaded_are_named() {
        let suite = "{format: 1, name: a, version: 1, about: A sample., kind: ablation, data: {folder: {path: no/such}}}";
        insta::assert_snapshot!(text(suite, None), @r"
    a, version 1: A sample.

    1 cell, 1 trial

    cell           parameters  with key encoders  queues
    the only cell           -                  -       -

    trial     id
    a/seed=0  -

    no ids and sizes: cannot read `no/such/dataset.yaml`: No such file or directory (os error 2)
    ");
    }
}
