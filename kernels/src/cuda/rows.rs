//! Rows as the kernels read them: f16, each padded with zeros to a multiple of 8 elements, so that every row begins at
//! a multiple of 16 bytes.

use std::sync::Arc;

use half::f16;
use rayon::prelude::*;

use super::gpu::Gpu;
use super::memory::{Buffer, View};
use crate::matrix::RowsData;
use crate::{KernelError, Rows};

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

/// The numbers 0, 1, 2, ...: pairs of rows that lie beside each other.
#[derive(Debug)]
pub(super) struct RowNumbers(Buffer<u32>);

impl RowNumbers {
    /// The first `n` numbers.
    ///
    /// # Errors
    /// [`KernelError::Cuda`].
    pub(super) fn new(gpu: &Arc<dyn Gpu>, n: usize) -> Result<Self, KernelError> {
        let numbers: Vec<u32> = (0..n as u32).collect();
        Ok(Self(Buffer::of(gpu, &numbers)?))
    }

    pub(super) fn view(&self) -> View<'_, u32> {
        self.0.view()
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
