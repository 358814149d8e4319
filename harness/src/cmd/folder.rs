//! What runs of either kind say about themselves, and which folders they may go on in.

use std::collections::HashSet;
use std::io::{self, Write};

use hitbench_reports::RunFolder;
use hitbench_reports::record::{RecordError, RunRecord};

use super::failure::Failure;
use super::run::RunArgs;
use crate::exit_code::ExitCode;

/// A folder given by `--out` may hold an older run of this suite, but of no other. What the older run has finished and
/// this one does not plan leaves the report, which is said on standard error.
pub(super) fn check_older_run(folder: &RunFolder, record: &RunRecord) -> Result<(), Failure> {
    match folder.run() {
        Ok(older) if older.suite.name != record.suite.name => {
            let folder = folder.path();
            let text = format!(
                "{} holds a run of suite `{}`, not of `{}`",
                folder.display(),
                older.suite.name,
                record.suite.name
            );
            Err(Failure::message(
                ExitCode::Input,
                "other-suite",
                text,
                "choose another folder with --out",
            )
            .in_file(folder))
        }
        Ok(older) => warn_of_left_out(folder, &older, record),
        Err(RecordError::NotARun { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn warn_of_left_out(folder: &RunFolder, older: &RunRecord, record: &RunRecord) -> Result<(), Failure> {
    let ids = |run: &RunRecord| -> HashSet<String> {
        let trials = run.plan.iter().flat_map(|cell| &cell.trials);
        trials.map(|trial| trial.id.clone()).collect()
    };
    let (before, now) = (ids(older), ids(record));
    let trials = folder.trials()?.into_iter();
    let measurements = folder.measurements()?.into_iter();
    let finished: HashSet<String> = trials
        .filter(|trial| trial.result().is_some())
        .map(|trial| trial.id)
        .chain(measurements.filter(|it| it.result().is_some()).map(|it| it.id))
        .filter(|id| before.contains(id))
        .collect();
    let n_left_out = finished.difference(&now).count();
    if n_left_out > 0 {
        writeln!(
            io::stderr(),
            "warning: {} held a run of other settings, data or version of this suite: {n_left_out} of its {} results stay \
             in its records, but leave its report",
            folder.path().display(),
            finished.len()
        )?;
    }
    Ok(())
}

/// The command that makes the same run: what decides it, without where it is written.
pub(super) fn command(args: &RunArgs) -> Vec<String> {
    let mut words = vec![
        "hitbench".to_owned(),
        "run".to_owned(),
        args.suite.display().to_string(),
    ];
    for set in &args.sets {
        words.extend(["--set".to_owned(), set.clone()]);
    }
    if let Some(filter) = &args.filter {
        words.extend(["--filter".to_owned(), filter.clone()]);
    }
    words
}
