//! Rows as the kernels read them: f16, each padded with zeros to a multiple of 8 elements, so that every row begins at
//! a multiple of 16 bytes.

use std::ops::Range;
use std::sync::Arc;

use half::f16;
use rayon::prelude::*;

use super::gpu::Gpu;
use super::memory::{Buffer, View};
use crate::check::{self, RowNorm};
use crate::held::{HeldRows, Shelf};
use crate::matrix::RowsData;
use crate::{Dtype, KernelError, Rows};

/// Elements from one row to the next.
pub(super) fn stride(dim: usize) -> usize {
    dim.next_multiple_of(8).max(8)
}

/// Rows on the device.
#[derive(Debug)]
pub(super) struct DeviceRows {
    data: Buffer<f16>,
    n_rows: usize,
    dim: usize,
}

/// Rows on the device, borrowed.
#[derive(Debug, Clone, Copy)]
pub(super) struct DeviceView<'a> {
    pub(super) data: View<'a, f16>,
    pub(super) n_rows: usize,
    pub(super) stride: usize,
}

impl DeviceRows {
    /// Converts the rows that `which` names, in its order, and copies them. Elements must fit f16.
    ///
    /// # Errors
    /// [`KernelError::Cuda`].
    pub(super) fn new(
        gpu: &Arc<dyn Gpu>,
        rows: Rows<'_>,
        which: impl ExactSizeIterator<Item = usize>,
    ) -> Result<Self, KernelError> {
        let (n_rows, dim, stride) = (which.len(), rows.dim(), stride(rows.dim()));
        let mut data = Buffer::unspecified(gpu, n_rows * stride)?;
        // What is converted, then copied, at a time.
        let staging_bytes = gpu.part_bytes() / 16;
        let rows_at_once = (staging_bytes / (stride * size_of::<f16>())).clamp(1, n_rows.max(1));
        let mut staging = vec![f16::ZERO; rows_at_once * stride];
        let which: Vec<usize> = which.collect();
        for (chunk, which) in which.chunks(rows_at_once).enumerate() {
            let staging = &mut staging[..which.len() * stride];
            staging
                .par_chunks_mut(stride)
                .zip(which)
                .with_min_len(64)
                .for_each(|(out, row)| convert(rows, *row, &mut out[..dim]));
            data.write(chunk * rows_at_once * stride, staging)?;
        }
        Ok(Self { data, n_rows, dim })
    }

    /// All rows of `rows`.
    ///
    /// # Errors
    /// [`KernelError::Cuda`].
    pub(super) fn all(gpu: &Arc<dyn Gpu>, rows: Rows<'_>) -> Result<Self, KernelError> {
        Self::new(gpu, rows, 0..rows.n_rows())
    }

    pub(super) fn view(&self) -> DeviceView<'_> {
        DeviceView {
            data: self.data.view(),
            n_rows: self.n_rows,
            stride: stride(self.dim),
        }
    }
}

/// A device, and rows that are kept there from call to call.
#[derive(Debug)]
pub(super) struct RowStore {
    pub(super) gpu: Arc<dyn Gpu>,
    kept: Shelf<Arc<KeptRows>>,
}

/// Rows that are kept on the device.
#[derive(Debug)]
pub(super) struct KeptRows {
    rows: DeviceRows,
    /// Of the longest of them.
    norm: RowNorm,
}

impl RowStore {
    /// A device where nothing is kept yet.
    pub(super) fn new(gpu: Arc<dyn Gpu>) -> Self {
        Self {
            gpu,
            kept: Shelf::default(),
        }
    }

    /// Checks rows and keeps a copy of them.
    ///
    /// # Errors
    /// As [`check::scan`], and [`KernelError::Cuda`].
    pub(super) fn keep<'a>(&self, rows: Rows<'a>) -> Result<HeldRows<'a>, KernelError> {
        let kept = KeptRows {
            norm: check::scan("rows", rows, Dtype::F16)?,
            rows: DeviceRows::all(&self.gpu, rows)?,
        };
        Ok(self.kept.put(rows, Arc::new(kept)))
    }

    fn find(&self, rows: Rows<'_>) -> Option<Arc<KeptRows>> {
        self.kept.find(rows, Arc::clone)
    }

    /// The norm of the longest row, if the rows are kept; they were checked then.
    pub(super) fn norm(&self, rows: Rows<'_>) -> Option<RowNorm> {
        self.find(rows).map(|kept| kept.norm)
    }

    /// Checks rows unless they are kept, and gives the norm of the longest.
    ///
    /// # Errors
    /// As [`check::scan`], which calls them `side`.
    pub(super) fn check(&self, side: &'static str, rows: Rows<'_>) -> Result<RowNorm, KernelError> {
        match self.norm(rows) {
            Some(norm) => Ok(norm),
            None => check::scan(side, rows, Dtype::F16),
        }
    }

    /// A part of rows on the device: of those that are kept, else a copy.
    ///
    /// # Errors
    /// [`KernelError::Cuda`].
    pub(super) fn load(&self, rows: Rows<'_>, part: Range<usize>) -> Result<LoadedRows, KernelError> {
        match self.find(rows) {
            Some(kept) => Ok(LoadedRows::Kept(kept, part)),
            None => DeviceRows::new(&self.gpu, rows, part).map(LoadedRows::Copied),
        }
    }

    /// The rows that `which` names, and their numbers among the rows that are returned: all rows where they are kept, else
    /// copies in this order.
    ///
    /// # Errors
    /// [`KernelError::Cuda`].
    pub(super) fn load_numbered(
        &self,
        rows: Rows<'_>,
        which: impl ExactSizeIterator<Item = usize>,
    ) -> Result<(LoadedRows, RowNumbers), KernelError> {
        let n = which.len();
        match self.find(rows) {
            Some(kept) => {
                let number = |row| u32::try_from(row).expect("rows on a device are numbered with 32 bits");
                let numbers = RowNumbers::new(&self.gpu, which.map(number).collect())?;
                Ok((LoadedRows::Kept(kept, 0..rows.n_rows()), numbers))
            }
            None => {
                let copied = DeviceRows::new(&self.gpu, rows, which)?;
                let numbers = RowNumbers::new(&self.gpu, (0..n as u32).collect())?;
                Ok((LoadedRows::Copied(copied), numbers))
            }
        }
    }
}

/// Rows on the device for one call.
#[derive(Debug)]
pub(super) enum LoadedRows {
    /// A copy.
    Copied(DeviceRows),
    /// Some of those that are kept.
    Kept(Arc<KeptRows>, Range<usize>),
}

impl LoadedRows {
    pub(super) fn view(&self) -> DeviceView<'_> {
        match self {
            Self::Copied(rows) => rows.view(),
            Self::Kept(kept, part) => kept.rows.view().part(part.clone()),
        }
    }
}

impl DeviceView<'_> {
    /// Rows `range`.
    ///
    /// # Panics
    /// When there are fewer.
    fn part(&self, range: Range<usize>) -> Self {
        Self {
            n_rows: range.len(),
            data: self.data.part(range.start * self.stride..range.end * self.stride),
            stride: self.stride,
        }
    }
}

/// Numbers of rows, on the device.
#[derive(Debug)]
pub(super) struct RowNumbers {
    numbers: Buffer<u32>,
    /// One more than the largest.
    end: usize,
}

impl RowNumbers {
    /// Copies the numbers.
    ///
    /// # Errors
    /// [`KernelError::Cuda`].
    pub(super) fn new(gpu: &Arc<dyn Gpu>, numbers: Vec<u32>) -> Result<Self, KernelError> {
        Ok(Self {
            end: numbers.iter().max().map_or(0, |most| *most as usize + 1),
            numbers: Buffer::of(gpu, &numbers)?,
        })
    }

    pub(super) fn view(&self) -> View<'_, u32> {
        self.numbers.view()
    }

    /// One more than the largest; 0 for none.
    pub(super) fn end(&self) -> usize {
        self.end
    }
}

fn convert(rows: Rows<'_>, row: usize, out: &mut [f16]) {
    let range = row * rows.dim()..(row + 1) * rows.dim();
    match rows.data() {
        RowsData::F16(data) => out.copy_from_slice(&data[range]),
        RowsData::F32(data) => half::slice::HalfFloatSliceExt::convert_from_f32_slice(out, &data[range]),
        RowsData::F64(data) => half::slice::HalfFloatSliceExt::convert_from_f64_slice(out, &data[range]),
    }
}
