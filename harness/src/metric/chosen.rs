//! Some rows of a matrix.

use half::f16;
use hitbench_kernels::{KernelError, Rows, RowsData};

/// Some rows of a matrix, ascending: where they lie when they follow one another, else copied.
pub(crate) enum ChosenRows<'a> {
    Borrowed(Rows<'a>),
    F16(Vec<f16>, [usize; 2]),
    F32(Vec<f32>, [usize; 2]),
    F64(Vec<f64>, [usize; 2]),
}

impl<'a> ChosenRows<'a> {
    /// The rows `chosen`, ascending.
    pub(crate) fn new(rows: Rows<'a>, chosen: &[u32]) -> Self {
        fn copy<T: Copy>(data: &[T], dim: usize, chosen: &[u32]) -> Vec<T> {
            let rows = chosen.iter().map(|&row| &data[row as usize * dim..][..dim]);
            rows.flatten().copied().collect()
        }
        if let [first, .., last] | [first @ last] = *chosen {
            let all = first as usize..last as usize + 1;
            if all.len() == chosen.len() {
                return Self::Borrowed(rows.slice(all));
            }
        }
        let shape = [chosen.len(), rows.dim()];
        match rows.data() {
            RowsData::F16(data) => Self::F16(copy(data, rows.dim(), chosen), shape),
            RowsData::F32(data) => Self::F32(copy(data, rows.dim(), chosen), shape),
            RowsData::F64(data) => Self::F64(copy(data, rows.dim(), chosen), shape),
        }
    }

    /// A view of them.
    ///
    /// # Errors
    /// Never: whole rows were taken.
    pub(crate) fn rows(&self) -> Result<Rows<'_>, KernelError> {
        let (data, [n_rows, dim]) = match self {
            Self::Borrowed(rows) => return Ok(*rows),
            Self::F16(data, shape) => (RowsData::F16(data), *shape),
            Self::F32(data, shape) => (RowsData::F32(data), *shape),
            Self::F64(data, shape) => (RowsData::F64(data), *shape),
        };
        Rows::new(data, n_rows, dim)
    }
}
