//! A matrix of scores or embeddings in the type that its file stores.

use half::bf16;
use hitbench_kernels::{Dtype, Rows, RowsData};

use super::array::Array;
use super::buffer::{Aligned, Buffer};
use super::error::FormatError;
use super::layout::{Element, Shape};
use super::location::Location;

/// Rows and columns of f16, f32 or f64, as stored; in the file's own pages where it lies there as this machine
/// would have it.
///
/// bf16, which no kernel ranks, becomes f32: every value stays what it was, so that equal scores stay equal.
#[derive(Debug)]
pub struct Matrix {
    location: Location,
    dtype: Dtype,
    n_rows: usize,
    n_columns: usize,
    buffer: Buffer,
}

impl Matrix {
    /// Reads a matrix. Nothing is said yet about its values: NaN is found when they are used.
    ///
    /// # Errors
    /// [`FormatError`] that names file and place.
    pub fn read(location: &Location) -> Result<Self, FormatError> {
        Self::from_array(Array::read(location)?)
    }

    /// The matrix that an array is.
    ///
    /// # Errors
    /// [`FormatError`] for another number of axes, no rows or columns, or elements that cannot be ranked.
    pub(crate) fn from_array(array: Array) -> Result<Self, FormatError> {
        let Array {
            location,
            element,
            shape,
            buffer,
        } = array;
        let [n_rows, n_columns] = shape[..] else {
            return Err(FormatError::Axes {
                location,
                shape: Shape(shape),
            });
        };
        let numbered = 1..=u32::MAX as usize;
        if !numbered.contains(&n_rows) || !numbered.contains(&n_columns) {
            return Err(FormatError::Size {
                location,
                shape: Shape(shape),
            });
        }
        let (dtype, buffer) = match element {
            Element::F16 => (Dtype::F16, buffer),
            Element::F32 => (Dtype::F32, buffer),
            Element::F64 => (Dtype::F64, buffer),
            Element::Bf16 => (Dtype::F32, widened(&location, &buffer)?),
            other @ (Element::Bool | Element::Int(_) | Element::Bytes(_) | Element::Unicode(_)) => {
                return Err(FormatError::Element {
                    location,
                    found: other.to_string(),
                });
            }
        };
        Ok(Self {
            location,
            dtype,
            n_rows,
            n_columns,
            buffer,
        })
    }

    /// Where it comes from.
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Number of columns.
    pub fn n_columns(&self) -> usize {
        self.n_columns
    }

    /// Rows and columns.
    pub(crate) fn shape(&self) -> Shape {
        Shape(vec![self.n_rows, self.n_columns])
    }

    /// The stored values in row-major order, as bytes of this machine.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.buffer.bytes()
    }

    /// Element type.
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// All rows.
    pub fn rows(&self) -> Rows<'_> {
        let bytes = self.buffer.bytes();
        let data = match self.dtype {
            Dtype::F16 => RowsData::F16(bytemuck::cast_slice(bytes)),
            Dtype::F32 => RowsData::F32(bytemuck::cast_slice(bytes)),
            Dtype::F64 => RowsData::F64(bytemuck::cast_slice(bytes)),
        };
        Rows::new(data, self.n_rows, self.n_columns).expect("the file's length was checked against the shape")
    }

    /// Only the columns `kept`, in that order; copies them.
    ///
    /// # Errors
    /// [`FormatError::Memory`].
    pub(crate) fn with_columns(self, kept: &[u32]) -> Result<Self, FormatError> {
        let size = self.bytes().len() / (self.n_rows * self.n_columns);
        let memory = |error| FormatError::memory(&self.location, error);
        let mut chosen = Aligned::zeros(self.n_rows * kept.len() * size).map_err(memory)?;
        let row_bytes = kept.len() * size;
        let rows = self.bytes().chunks_exact(self.n_columns * size);
        for (row, out) in rows.zip(chosen.bytes_mut().chunks_exact_mut(row_bytes.max(1))) {
            for (&column, value) in kept.iter().zip(out.chunks_exact_mut(size)) {
                value.copy_from_slice(&row[column as usize * size..][..size]);
            }
        }
        Ok(Self {
            n_columns: kept.len(),
            buffer: Buffer::Owned(chosen),
            ..self
        })
    }

    /// Only the rows `kept`, in that order; copies them.
    ///
    /// # Errors
    /// [`FormatError::Memory`].
    pub(crate) fn with_rows(self, kept: &[u32]) -> Result<Self, FormatError> {
        let row_bytes = self.bytes().len() / self.n_rows;
        let memory = |error| FormatError::memory(&self.location, error);
        let mut chosen = Aligned::zeros(kept.len() * row_bytes).map_err(memory)?;
        for (&row, out) in kept.iter().zip(chosen.bytes_mut().chunks_exact_mut(row_bytes)) {
            out.copy_from_slice(&self.bytes()[row as usize * row_bytes..][..row_bytes]);
        }
        Ok(Self {
            n_rows: kept.len(),
            buffer: Buffer::Owned(chosen),
            ..self
        })
    }

    /// A matrix that was never stored: `n_rows * n_columns` values, row-major, under the name of where they come from.
    ///
    /// # Errors
    /// [`FormatError::Memory`].
    #[cfg(feature = "torch")]
    pub(crate) fn of_f32(
        location: Location,
        [n_rows, n_columns]: [usize; 2],
        values: &[f32],
    ) -> Result<Self, FormatError> {
        debug_assert_eq!(values.len(), n_rows * n_columns);
        let copied = Aligned::copy(bytemuck::cast_slice(values));
        Ok(Self {
            buffer: Buffer::Owned(copied.map_err(|error| FormatError::memory(&location, error))?),
            location,
            dtype: Dtype::F32,
            n_rows,
            n_columns,
        })
    }

    /// A matrix of f64 that was not stored as one: `n_rows * n_columns` values, row-major, from `location`.
    pub(crate) fn of_f64(location: Location, [n_rows, n_columns]: [usize; 2], values: Aligned) -> Self {
        debug_assert_eq!(values.bytes().len(), n_rows * n_columns * size_of::<f64>());
        Self {
            location,
            dtype: Dtype::F64,
            n_rows,
            n_columns,
            buffer: Buffer::Owned(values),
        }
    }

    /// A matrix of the same shape and origin with values of type f32 or f64, row-major.
    pub(crate) fn with_values(self, values: Values) -> Self {
        let (dtype, aligned) = match values {
            Values::F32(aligned) => (Dtype::F32, aligned),
            Values::F64(aligned) => (Dtype::F64, aligned),
        };
        debug_assert_eq!(
            aligned.bytes().len(),
            self.n_rows * self.n_columns * if dtype == Dtype::F64 { 8 } else { 4 }
        );
        Self {
            dtype,
            buffer: Buffer::Owned(aligned),
            ..self
        }
    }
}

/// New values of a matrix.
pub(crate) enum Values {
    F32(Aligned),
    F64(Aligned),
}

fn widened(location: &Location, buffer: &Buffer) -> Result<Buffer, FormatError> {
    let halves: &[u16] = bytemuck::cast_slice(buffer.bytes());
    let memory = |error| FormatError::memory(location, error);
    let mut wide = Aligned::zeros(size_of_val(halves) * 2).map_err(memory)?;
    let out: &mut [f32] = bytemuck::cast_slice_mut(wide.bytes_mut());
    for (out, &half) in out.iter_mut().zip(halves) {
        *out = bf16::from_bits(half).to_f32();
    }
    Ok(Buffer::Owned(wide))
}

#[cfg(test)]
mod tests;
