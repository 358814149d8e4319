//! Which folders the parts of a run may go into, and what is said of parts that wait.

use std::io::{self, Write};
use std::path::Path;

use hitbench_reports::RunFolder;
use hitbench_reports::record::{RunRecord, refuse_what_is_no_run};

use super::failure::Failure;
use super::folder::check_older_run;
use crate::eval::Shard;
use crate::exit_code::ExitCode;
use crate::trial::merge::{difference, find_shards};

/// Whether the parts of a run can go into a folder: it holds the same suite or nothing, and its other parts are of the same
/// sweep, so that all can be merged.
pub(super) fn check_whole(whole: &Path, record: &RunRecord) -> Result<(), Failure> {
    let folder = RunFolder::new(whole);
    refuse_what_is_no_run(&folder)?;
    check_older_run(&folder, record)?;
    if Shard::is_in(whole)? {
        let text = format!("{} holds parts of an evaluation", whole.display());
        let remedy = "choose another folder with --out";
        return Err(Failure::message(ExitCode::Input, "other-run", text, remedy).in_file(whole));
    }
    for shard in find_shards(whole)? {
        if let Some(what) = difference(record, &shard.run()?) {
            let shard = shard.path();
            let text = format!("`{}` is a part of another sweep: other {what}", shard.display());
            let remedy = "remove the parts of before, or choose another folder with --out";
            return Err(
                Failure::message(ExitCode::NotComparable, "other-sweep", text, remedy).in_file(shard),
            );
        }
    }
    Ok(())
}

/// Says on standard error that a run does not use what parts of it have.
pub(super) fn warn_of_shards(whole: &Path) -> Result<(), Failure> {
    let n = find_shards(whole)?.len();
    if n > 0 {
        let folder = whole.display();
        writeln!(
            io::stderr(),
            "warning: {folder} has {n} parts of a sweep; `hitbench merge {folder}` brings in what they have that is not merged"
        )?;
    }
    Ok(())
}
