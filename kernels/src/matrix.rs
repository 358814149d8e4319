//! Row-major views whose lengths were checked once, on construction.

use std::ops::Range;

use half::f16;

use crate::KernelError;

/// Element type of stored rows; the order is that of precision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dtype {
    /// IEEE binary16.
    F16,
    /// IEEE binary32.
    F32,
    /// IEEE binary64.
    F64,
}

impl std::fmt::Display for Dtype {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::F16 => "f16",
            Self::F32 => "f32",
            Self::F64 => "f64",
        })
    }
}

/// The elements of a [`Rows`], borrowed.
#[derive(Debug, Clone, Copy)]
pub enum RowsData<'a> {
    /// IEEE binary16 elements.
    F16(&'a [f16]),
    /// IEEE binary32 elements.
    F32(&'a [f32]),
    /// IEEE binary64 elements.
    F64(&'a [f64]),
}

/// A row-major matrix view `[n_rows, dim]`.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    data: RowsData<'a>,
    n_rows: usize,
    dim: usize,
}

impl<'a> Rows<'a> {
    /// Views `data` as `[n_rows, dim]`.
    ///
    /// # Errors
    /// [`KernelError::Length`] when `data` does not hold exactly `n_rows * dim` elements.
    pub fn new(data: RowsData<'a>, n_rows: usize, dim: usize) -> Result<Self, KernelError> {
        let found = match data {
            RowsData::F16(d) => d.len(),
            RowsData::F32(d) => d.len(),
            RowsData::F64(d) => d.len(),
        };
        let expected = n_rows.saturating_mul(dim);
        if found != expected {
            return Err(KernelError::Length {
                what: "rows",
                expected,
                found,
            });
        }
        Ok(Self { data, n_rows, dim })
    }

    /// The borrowed elements, `n_rows * dim` of them.
    pub fn data(&self) -> RowsData<'a> {
        self.data
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Elements a row.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Element type.
    pub fn dtype(&self) -> Dtype {
        match self.data {
            RowsData::F16(_) => Dtype::F16,
            RowsData::F32(_) => Dtype::F32,
            RowsData::F64(_) => Dtype::F64,
        }
    }

    /// The view of rows `range` only.
    ///
    /// # Panics
    /// When `range` does not lie within `0..n_rows`.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> Self {
        let elements = range.start * self.dim..range.end * self.dim;
        let data = match self.data {
            RowsData::F16(d) => RowsData::F16(&d[elements]),
            RowsData::F32(d) => RowsData::F32(&d[elements]),
            RowsData::F64(d) => RowsData::F64(&d[elements]),
        };
        Self {
            data,
            n_rows: range.len(),
            dim: self.dim,
        }
    }

    /// The element at `row`, `column`, widened exactly.
    ///
    /// # Panics
    /// When `row` or `column` is outside the matrix.
    pub fn get(&self, row: usize, column: usize) -> f64 {
        assert!(column < self.dim, "column {column} of {}", self.dim);
        let at = row * self.dim + column;
        match self.data {
            RowsData::F16(d) => d[at].to_f64(),
            RowsData::F32(d) => f64::from(d[at]),
            RowsData::F64(d) => d[at],
        }
    }
}
