//! The oracle, `reference/f64`: every operation as the plainest f64 loop, in blocks so that nothing large is
//! built. Other back ends are proven against it; it is never fast.

pub(crate) mod info_nce;
mod momentum;
mod rank;
mod scores;

use crate::kernel::Kernel;
use crate::{KernelId, Rows};

/// Gallery rows widened at a time.
pub(crate) const BLOCK: usize = 256;

/// The f64 back end.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reference;

impl Kernel for Reference {
    fn id(&self) -> KernelId {
        KernelId::Reference
    }
}

/// `sum_k a[k] * b[k]`, from the first column to the last.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).fold(0.0, |sum, (x, y)| sum + x * y)
}

/// `row` of `rows` in f64.
pub(crate) fn widened(rows: Rows<'_>, row: usize) -> Vec<f64> {
    (0..rows.dim()).map(|column| rows.get(row, column)).collect()
}
