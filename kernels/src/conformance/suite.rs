//! The cases that every kernel must get right: odd dimensions, one row, none, duplicates, zeros, subnormal and too
//! large numbers, several true items, id masks, both directions, parts of a gallery, chosen rows. The same on every
//! machine.
//!
//! That a score is a pure function of its rows needs permutations, tiles and thread counts, and is for the tests of
//! this crate; so are random cases and the errors for bad input.

mod contrast;
mod rank;
mod search;
mod upkeep;

use std::error::Error;

use super::Deviation;
use super::inputs::Random;
use crate::registry::{AllOperations, guarded_kernel};
use crate::{KernelError, KernelId};

/// Dimensions that leave every kind of rest beside vectors, tiles and pieces.
const DIMS: [usize; 6] = [0, 1, 7, 31, 512, 1023];

/// Whether a kernel got an operation right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Every case within its tolerance.
    Passed,
    /// Some case was not.
    Failed,
}

/// What the cases of one operation found.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// Name of the operation, such as `rank_counts`.
    pub operation: &'static str,
    /// The concrete kernel.
    pub kernel: KernelId,
    /// Cases that ran.
    pub n_cases: u64,
    /// The worst result of all cases.
    pub deviation: Deviation,
    /// Of `rank_counts` on random real rows: queries whose counts rounding within the tolerance can change, of how
    /// many.
    pub could_flip: Option<(u64, u64)>,
    /// Whether that is right.
    pub verdict: Verdict,
}

/// Operations in the order in which they are verified.
pub const OPERATIONS: [&str; 6] = [
    "rank_counts",
    "top_k",
    "scores",
    "info_nce",
    "ema_update",
    "enqueue",
];

/// Runs all cases of some of the [`OPERATIONS`] on a kernel: one finding an operation. Numbers are drawn from `seed`, the
/// same on every machine. The memory of a CUDA device is poisoned and guarded meanwhile.
///
/// # Errors
/// [`KernelError::Unavailable`] when this machine or this build cannot run the kernel. A kernel that fails in a
/// case it must compute gets a finding that says so.
pub fn verify(id: KernelId, operations: &[&str], seed: u64) -> Result<Vec<Finding>, KernelError> {
    Ok(verify_kernel(&*guarded_kernel(id)?, operations, seed))
}

/// Runs all cases on a kernel in hand.
pub(crate) fn verify_kernel(kernel: &dyn AllOperations, operations: &[&str], seed: u64) -> Vec<Finding> {
    let cases: [Cases; 6] = [
        rank::rank_counts,
        search::top_k,
        search::scores,
        contrast::info_nce,
        upkeep::ema_update,
        upkeep::enqueue,
    ];
    let chosen = OPERATIONS
        .into_iter()
        .zip(cases)
        .filter(|(operation, _)| operations.contains(operation));
    let findings = chosen.map(|(operation, cases)| {
        let mut log = Log {
            seed,
            ..Log::default()
        };
        cases(kernel, &mut log);
        Finding {
            operation,
            kernel: kernel.id(),
            n_cases: log.n_cases,
            verdict: if log.deviation.is_within() {
                Verdict::Passed
            } else {
                Verdict::Failed
            },
            deviation: log.deviation,
            could_flip: log.could_flip,
        }
    });
    findings.collect()
}

/// The cases of one operation.
type Cases = fn(&dyn AllOperations, &mut Log);

/// What was found so far.
#[derive(Debug, Default)]
struct Log {
    seed: u64,
    n_cases: u64,
    deviation: Deviation,
    could_flip: Option<(u64, u64)>,
}

impl Log {
    /// Random numbers of one part of the cases.
    fn random(&self, part: u64) -> Random {
        Random(part.wrapping_add(self.seed.wrapping_mul(1000)))
    }

    /// Takes in a case. An error is a failure: of cases that must fail, [`Log::refused`] knows.
    fn case(&mut self, name: impl FnOnce() -> String, result: Result<Deviation, KernelError>) {
        self.n_cases += 1;
        let mut found = Deviation::default();
        match result {
            Ok(deviation) => found = deviation,
            Err(error) => found.record(1.0, 0.0, || chain(&error)),
        }
        let worst_so_far = self.deviation.clone();
        self.deviation = worst_so_far.merge(found.clone());
        if self.deviation.worst == found.worst && !found.worst.is_empty() {
            self.deviation.worst = format!("{}: {}", name(), found.worst);
        }
    }

    /// Takes in a case that must be refused, or must not.
    fn refused<T>(&mut self, name: &str, wanted: bool, result: Result<T, KernelError>) {
        let found = matches!(
            result,
            Err(KernelError::Overflow { .. } | KernelError::ScoreRange { .. })
        );
        let mut deviation = Deviation::default();
        deviation.record(f64::from(u8::from(found != wanted)), 0.0, || {
            match (wanted, result) {
                (true, Ok(_)) => "not refused".to_owned(),
                (_, Err(error)) => chain(&error),
                (false, Ok(_)) => String::new(),
            }
        });
        self.case(|| name.to_owned(), Ok(deviation));
    }
}

fn chain(error: &KernelError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// How many of `found` differ from `expected`, which a kernel must give exactly.
fn exact<T: PartialEq + std::fmt::Debug>(what: &str, found: &[T], expected: &[T]) -> Deviation {
    let mut deviation = Deviation::default();
    deviation.record(found.len().abs_diff(expected.len()) as f64, 0.0, || {
        format!("{} of {what}, expected {}", found.len(), expected.len())
    });
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        deviation.record(f64::from(u8::from(found != expected)), 0.0, || {
            format!("{what} {at}: {found:?}, expected {expected:?}")
        });
    }
    deviation
}
