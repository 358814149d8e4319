//! What runs of either kind say about themselves, and which folders they may go on in.

use hitbench_reports::RunWriter;
use hitbench_reports::record::{AxisValues, RecordError, RunRecord};

use super::failure::Failure;
use super::run::RunArgs;
use crate::exit_code::ExitCode;
use crate::suite::AxisValue;

/// A folder given by `--out` may hold an older run of this suite, but of no other.
pub(super) fn refuse_other_suite(writer: &RunWriter, record: &RunRecord) -> Result<(), Failure> {
    match writer.folder().run() {
        Ok(older) if older.suite.name != record.suite.name => {
            let folder = writer.folder().path();
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
        Ok(_) | Err(RecordError::NotARun { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Axis values as records keep them.
pub(super) fn axis_values(values: &[AxisValue]) -> AxisValues {
    values
        .iter()
        .map(|axis| (axis.path.clone(), axis.value.clone()))
        .collect()
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
