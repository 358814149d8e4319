//! Judges results of any kernel against `reference/f64` on a sample of queries, with the tolerances of
//! [`crate::tolerance`]: a caller that timed a large shape can check what it timed.
//!
//! A result that is wrong is no error here but a [`Deviation`] that is not within its tolerance. The reference is
//! computed for the sampled queries only, each over its whole gallery or queue.

mod contrast;
mod pairs;
mod rank;
mod search;
mod upkeep;

pub use contrast::info_nce;
pub(super) use rank::judge as judge_counts;
pub use rank::{could_flip, rank_counts};
pub use search::{scores, top_k};
pub use upkeep::{Enqueued, ema_update, enqueue};

use crate::{Dtype, KernelError, Rows};

/// The worst of the compared results: the one with the largest share of its tolerance.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Deviation {
    /// Distance from the reference; for counts, how many of them no rounding within the tolerance explains.
    pub error: f64,
    /// What the distance may be.
    pub tolerance: f64,
    /// Which result it is, with both values.
    pub worst: String,
    /// Numbers that were compared.
    pub n_compared: u64,
}

impl Deviation {
    /// Whether all compared results lie within their tolerances.
    #[must_use]
    pub fn is_within(&self) -> bool {
        self.share() <= 1.0
    }

    /// The worse of two, over all that both compared.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        let n_compared = self.n_compared + other.n_compared;
        let worse = if self.n_compared == 0 || other.share() > self.share() {
            other
        } else {
            self
        };
        Self { n_compared, ..worse }
    }

    /// Error as a share of its tolerance: 0 without error, infinite for NaN.
    fn share(&self) -> f64 {
        share(self.error, self.tolerance)
    }

    /// Takes in a result; `worst` describes it and is called only if it is the worst so far.
    pub(crate) fn record(&mut self, error: f64, tolerance: f64, worst: impl FnOnce() -> String) {
        if self.n_compared == 0 || share(error, tolerance) > self.share() {
            self.error = error;
            self.tolerance = tolerance;
            self.worst = worst();
        }
        self.n_compared += 1;
    }
}

fn share(error: f64, tolerance: f64) -> f64 {
    if error == 0.0 {
        return 0.0;
    }
    let share = error / tolerance;
    if share.is_nan() { f64::INFINITY } else { share }
}

/// The element type with more digits.
fn wider(a: Rows<'_>, b: Rows<'_>) -> Dtype {
    a.dtype().max(b.dtype())
}

/// Checks that a sample lies within its rows.
fn check_sample(name: &'static str, queries: &[usize], n_rows: usize) -> Result<(), KernelError> {
    match queries.iter().find(|q| **q >= n_rows) {
        None => Ok(()),
        Some(q) => Err(KernelError::Argument {
            name,
            problem: format!("holds {q}, there are {n_rows} rows"),
        }),
    }
}
