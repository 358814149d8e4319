//! Rows as the kernels read them: f16, each padded with zeros to a multiple of 8 elements, so that every row begins at
//! a multiple of 16 bytes.

use std::ops::Range;
use std::sync::Arc;

use half::f16;
use rayon::prelude::*;

use super::gpu::{Gpu, Mark};
use super::memory::{Buffer, View};
use crate::check::{self, RowNorm};
use crate::held::{HeldRows, Shelf};
use crate::matrix::RowsData;
use crate::rank::Side;
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
    /// No earlier than the last work on the memory, for [`RowParts`], which alone replaces rows that were used.
    used: Mark,
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
        let mut copied = Self::with_capacity(gpu, which.len(), rows.dim())?;
        copied.replace(rows, which)?;
        Ok(copied)
    }

    /// Memory for `n_rows` rows, and none yet.
    fn with_capacity(gpu: &Arc<dyn Gpu>, n_rows: usize, dim: usize) -> Result<Self, KernelError> {
        Ok(Self {
            data: Buffer::unspecified(gpu, n_rows * stride(dim))?,
            n_rows: 0,
            dim,
            used: gpu.mark()?,
        })
    }

    /// As [`Self::new`], over rows that are there, once they were used.
    ///
    /// # Panics
    /// When there are too many, or of another length.
    fn replace(
        &mut self,
        rows: Rows<'_>,
        which: impl ExactSizeIterator<Item = usize>,
    ) -> Result<(), KernelError> {
        let (dim, stride) = (self.dim, stride(self.dim));
        assert_eq!(rows.dim(), dim, "length of rows");
        let which: Vec<usize> = which.collect();
        self.n_rows = which.len();
        let fill = |at: usize, piece: &mut [f16]| {
            piece
                .par_chunks_mut(stride)
                .zip(&which[at / stride..])
                .with_min_len(64)
                .for_each(|(out, row)| {
                    let (out, pad) = out.split_at_mut(dim);
                    convert(rows, *row, out);
                    pad.fill(f16::ZERO);
                });
        };
        // SAFETY: the mark was made after the memory was taken and, by `RowParts::with`, after the last work on it.
        unsafe { self.data.upload(which.len() * stride, stride, &self.used, fill) }
    }

    /// All rows of `rows`.
    ///
    /// # Errors
    /// [`KernelError::Cuda`].
    pub(super) fn all(gpu: &Arc<dyn Gpu>, rows: Rows<'_>) -> Result<Self, KernelError> {
        Self::new(gpu, rows, 0..rows.n_rows())
    }

    pub(super) fn view(&self) -> DeviceView<'_> {
        let stride = stride(self.dim);
        DeviceView {
            data: self.data.view().part(0..self.n_rows * stride),
            n_rows: self.n_rows,
            stride,
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

    /// Rows on the device: those that are kept, else a copy.
    ///
    /// # Errors
    /// [`KernelError::Cuda`].
    pub(super) fn load(&self, rows: Rows<'_>) -> Result<LoadedRows, KernelError> {
        match self.find(rows) {
            Some(kept) => Ok(LoadedRows::Kept(kept)),
            None => DeviceRows::all(&self.gpu, rows).map(LoadedRows::Copied),
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
                Ok((LoadedRows::Kept(kept), numbers))
            }
            None => {
                let copied = DeviceRows::new(&self.gpu, rows, which)?;
                Ok((LoadedRows::Copied(copied), RowNumbers::first(n)))
            }
        }
    }
}

/// Rows on the device for one call.
#[derive(Debug)]
pub(super) enum LoadedRows {
    /// A copy.
    Copied(DeviceRows),
    /// All of those that are kept.
    Kept(Arc<KeptRows>),
}

impl LoadedRows {
    pub(super) fn view(&self) -> DeviceView<'_> {
        match self {
            Self::Copied(rows) => rows.view(),
            Self::Kept(kept) => kept.rows.view(),
        }
    }
}

/// `items` in parts of `part_rows`, the last of what is left.
pub(super) fn parts(items: Range<usize>, part_rows: usize) -> impl Iterator<Item = Range<usize>> {
    let end = items.end;
    items
        .step_by(part_rows)
        .map(move |start| start..end.min(start + part_rows))
}

/// Rows that come to the device in parts. While it works with one the next is converted and copied, unless results are
/// waited for in between.
#[derive(Debug)]
pub(super) struct RowParts<'a> {
    gpu: Arc<dyn Gpu>,
    side: Side<'a>,
    source: Source,
}

#[derive(Debug)]
enum Source {
    /// All are there.
    Kept(Arc<KeptRows>),
    /// Memory for as many parts as are there at one time, used in turn, and which these are.
    Slots(Vec<(Range<usize>, DeviceRows)>),
}

impl<'a> RowParts<'a> {
    /// Takes memory for parts of `items` of a side, of at most `part_rows` rows; none where all of its rows are kept.
    ///
    /// # Errors
    /// [`KernelError::Cuda`].
    pub(super) fn new(
        store: &RowStore,
        side: Side<'a>,
        items: Range<usize>,
        part_rows: usize,
    ) -> Result<Self, KernelError> {
        let source = match side.whole().and_then(|rows| store.find(rows)) {
            Some(kept) => Source::Kept(kept),
            None => {
                let slots = parts(items, part_rows).take(2).map(|part| {
                    let memory = DeviceRows::with_capacity(&store.gpu, part.len(), side.rows.dim())?;
                    Ok((0..0, memory))
                });
                Source::Slots(slots.collect::<Result<_, KernelError>>()?)
            }
        };
        Ok(Self {
            gpu: Arc::clone(&store.gpu),
            side,
            source,
        })
    }

    /// Brings a part, one of [`parts`], unless it is there, and starts work that reads it.
    ///
    /// # Errors
    /// [`KernelError::Cuda`], and what `start` returns.
    pub(super) fn with(
        &mut self,
        part: Range<usize>,
        start: impl FnOnce(DeviceView<'_>) -> Result<(), KernelError>,
    ) -> Result<(), KernelError> {
        let slots = match &mut self.source {
            Source::Kept(kept) => return start(kept.rows.view().part(part)),
            Source::Slots(slots) => slots,
        };
        // The first was used longest ago.
        let at = slots.iter().position(|(held, _)| *held == part).unwrap_or(0);
        slots[at..].rotate_left(1);
        let (held, rows) = slots.last_mut().expect("memory for a part of at least one row");
        let bring = || {
            if *held != part {
                // Nothing is there until all of the part is.
                *held = 0..0;
                rows.replace(self.side.rows, part.clone().map(|item| self.side.row(item)))?;
                *held = part;
            }
            start(rows.view())
        };
        let started = bring();
        // Something may have been started all the same. Where there is no mark the context is lost, and no copy is made again.
        match self.gpu.mark() {
            Ok(mark) => rows.used = mark,
            Err(error) => return started.and(Err(error)),
        }
        started
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
    /// None: each row's own.
    numbers: Option<Buffer<u32>>,
    len: usize,
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
            len: numbers.len(),
            end: numbers.iter().max().map_or(0, |most| *most as usize + 1),
            numbers: Some(Buffer::of(gpu, &numbers)?),
        })
    }

    /// The numbers from 0 on.
    pub(super) fn first(n: usize) -> Self {
        Self {
            numbers: None,
            len: n,
            end: n,
        }
    }

    /// The numbers; none if they are those from 0 on.
    pub(super) fn view(&self) -> Option<View<'_, u32>> {
        self.numbers.as_ref().map(Buffer::view)
    }

    pub(super) fn len(&self) -> usize {
        self.len
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
