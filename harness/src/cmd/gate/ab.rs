//! `hitbench gate --ab`: two builds in turns.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use hitbench_reports::RunFolder;

use super::super::failure::Failure;
use super::super::rerun::{Rerun, cannot_start};
use super::super::stop;
use super::{GateArgs, calibration, policy};
use crate::exit_code::ExitCode;
use crate::gate::ab::{Block, judge_blocks, looks};
use crate::gate::{Evidence, Gate, GateReport, GateVerdict, SideReport};
use crate::suite::AnySuite;

/// Runs blocks until every row is decided, or until there are no more.
pub(super) fn gate(
    args: &GateArgs,
    [old, new]: [&Path; 2],
    suite: &Path,
) -> Result<(Gate, GateReport), Failure> {
    let stop = stop::on_signals();
    let loaded = AnySuite::load(suite, &[])?;
    let policy = policy(args.policy.as_deref(), || Ok(loaded.gate().map(Path::to_owned)))?;
    policy.check_suite(&loaded)?;
    if policy.throughput_rows().next().is_none() {
        return Err(Failure::message(
            ExitCode::Input,
            "no-throughput-row",
            format!(
                "`{}` has no row about throughput, which is all that --ab compares",
                policy.file
            ),
            "give a policy with rows of kind `throughput`",
        ));
    }
    let calibration = calibration(&policy)?;
    let [old, new] = [program(old)?, program(new)?];
    let (old, new) = (old.as_path(), new.as_path());
    let temporary = tempfile::tempdir()?;
    let folder = args.out.as_deref().unwrap_or(temporary.path());
    let looks = looks(args.blocks as usize);
    let mut blocks: Vec<Block> = Vec::new();
    let mut judged = None;
    for look in &looks {
        while blocks.len() < *look {
            let sets = sets(&loaded, blocks.len());
            let block = blocks.len() + 1;
            let run = |program: &Path, turn: &str| {
                let out = folder.join(format!("block-{block}-{turn}"));
                // Whoever waits wants to know how far it is; a closed pipe is no reason to stop.
                let _ = writeln!(io::stderr(), "block {block} of {}: {turn}", args.blocks);
                Rerun {
                    program,
                    suite,
                    sets: &sets,
                    filter: None,
                    out: &out,
                    stop: &stop,
                }
                .run()?;
                Ok::<Evidence, Failure>(Evidence::read(&RunFolder::new(&out))?)
            };
            let first = run(old, "old-1")?;
            let second = run(new, "new-1")?;
            let third = run(new, "new-2")?;
            let fourth = run(old, "old-2")?;
            blocks.push(Block {
                old: [first, fourth],
                new: [second, third],
            });
        }
        let gate = judge_blocks(&policy, &blocks, looks.len())?;
        let is_open = gate.count(GateVerdict::Inconclusive) > 0;
        judged = Some(gate);
        if !is_open {
            break;
        }
    }
    let (Some(gate), Some(block)) = (judged, blocks.first()) else {
        unreachable!("there is at least one look, of at least one block");
    };
    let sides = [(old, &block.old[0]), (new, &block.new[0])];
    let sides = sides.map(|(path, evidence)| SideReport::new(path, evidence));
    let mut report = GateReport::new(&gate, &policy, &block.new[0].suite, sides);
    report.warnings = calibration.map_or(Vec::new(), |found| found.warnings(&policy, &block.new[0]));
    let n_others = policy.rows.len() - policy.throughput_rows().count();
    if n_others > 0 {
        report.warnings.push(format!(
            "{n_others} rows of the policy are not about throughput, which is all that --ab compares"
        ));
    }
    Ok((gate, report))
}

/// The file of a program: a name alone is a file of this folder, not of the search path.
fn program(path: &Path) -> Result<PathBuf, Failure> {
    std::fs::canonicalize(path).map_err(|source| cannot_start(path, &source))
}

/// One process, or one seed, the same for both builds in all turns of a block.
fn sets(suite: &AnySuite, block: usize) -> Vec<String> {
    match suite {
        AnySuite::Ablation(suite) => {
            let seed = suite.seeds[block % suite.seeds.len()];
            vec![format!("seeds=[{seed}]")]
        }
        AnySuite::Throughput(_) => vec!["measure.processes=1".to_owned()],
    }
}
