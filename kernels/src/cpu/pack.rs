//! Rows brought into the layouts that tiles read: converted to f32, padded with zeros to whole tiles.

use std::any::Any;
use std::cell::Cell;
use std::ops::Range;

use super::isa::{Group, Isa, Lanes, PIECE, STRIDE};
use crate::check::convert;
use crate::matrix::RowsData;
use crate::{Dtype, Rows};

/// Query rows with `MR` of them side by side: panels of `dim` entries, `panel[k][lane]`.
#[derive(Debug)]
pub(super) struct Panels<const MR: usize> {
    entries: Vec<Lanes<MR>>,
    dim: usize,
}

/// Columns that are brought into panels at a time.
const COLUMNS: usize = 64;

impl<const MR: usize> Panels<MR> {
    /// Room for rows of `dim` elements.
    pub(super) fn new(dim: usize) -> Self {
        Self {
            entries: Vec::new(),
            dim,
        }
    }

    /// Holds the listed rows of `rows`, in that order, from now on.
    pub(super) fn fill<const NR: usize>(
        &mut self,
        isa: impl Isa<MR, NR>,
        rows: Rows<'_>,
        dtype: Dtype,
        list: impl ExactSizeIterator<Item = usize>,
    ) {
        let n_panels = list.len().div_ceil(MR);
        self.entries.resize(n_panels * self.dim, [0.0; MR]);
        if !list.len().is_multiple_of(MR) {
            let last = (n_panels - 1) * self.dim;
            self.entries[last..].fill([0.0; MR]);
        }
        let mut list = list.enumerate().peekable();
        while let Some(&(first, _)) = list.peek() {
            let panel = &mut self.entries[first / MR * self.dim..][..self.dim];
            let in_panel: Vec<(usize, usize)> = list.by_ref().take(MR).collect();
            // Some columns of all rows before the next columns: what they go to stays in the first-level cache.
            for (block, entries) in panel.chunks_mut(COLUMNS).enumerate() {
                let columns = block * COLUMNS..block * COLUMNS + entries.len();
                let mut values = [0.0; COLUMNS];
                for &(slot, row) in &in_panel {
                    let values = &mut values[..entries.len()];
                    load_columns(isa, rows, row, columns.clone(), dtype, values);
                    for (entry, &x) in entries.iter_mut().zip(&*values) {
                        entry[slot % MR] = x;
                    }
                }
            }
        }
    }

    /// The pieces of panel `index`, in order, each of at most [`PIECE`] entries.
    pub(super) fn pieces(&self, index: usize) -> impl Iterator<Item = &[Lanes<MR>]> {
        self.entries[index * self.dim..(index + 1) * self.dim].chunks(PIECE)
    }
}

/// `NR` gallery rows, split into pieces.
#[derive(Debug)]
pub(super) struct GalleryGroup<const NR: usize> {
    pieces: Vec<Group<NR>>,
    dim: usize,
}

impl<const NR: usize> GalleryGroup<NR> {
    /// Room for rows of `dim` elements.
    pub(super) fn new(dim: usize) -> Self {
        Self {
            pieces: vec![[[0.0; STRIDE]; NR]; dim.div_ceil(PIECE)],
            dim,
        }
    }

    /// Holds all of `rows`, at most `NR`, from now on; missing ones are zero.
    pub(super) fn fill<const MR: usize>(&mut self, isa: impl Isa<MR, NR>, rows: Rows<'_>, dtype: Dtype) {
        for (index, piece) in self.pieces.iter_mut().enumerate() {
            let columns = index * PIECE..self.dim.min((index + 1) * PIECE);
            for (n, row) in piece.iter_mut().enumerate() {
                let row = &mut row[..columns.len()];
                if n < rows.n_rows() {
                    load_columns(isa, rows, n, columns.clone(), dtype, row);
                } else {
                    row.fill(0.0);
                }
            }
        }
    }

    /// The pieces, in order.
    pub(super) fn pieces(&self) -> impl Iterator<Item = &Group<NR>> {
        self.pieces.iter()
    }
}

/// Rows that are multiplied twice: by queries for their scores, and by weights for their weighted sum.
#[derive(Debug)]
pub(super) struct KeyBlock<const NR: usize> {
    groups: Vec<GalleryGroup<NR>>,
    /// Groups of `NR` columns, `transposed[c / NR][c % NR][row]`.
    transposed: Vec<Group<NR>>,
    rows: Vec<f32>,
    n_rows: usize,
    dim: usize,
}

thread_local! {
    /// A [`KeyBlock`] that nobody uses: the system hands out a new one page by page, which takes longer than a small term.
    static SPARE: Cell<Option<Box<dyn Any>>> = const { Cell::new(None) };
}

/// Bytes of the columns of a block that is kept, about half of it.
const SPARE_BYTES: usize = 2 << 20;

/// Rows that are transposed together: their share of a column is one cache line.
const TRANSPOSED_ROWS: usize = 16;

impl<const NR: usize> KeyBlock<NR> {
    /// Most rows of a block: whole groups within one piece.
    pub(super) const ROWS: usize = PIECE / NR * NR;

    /// Works in room for rows of `dim` elements, of which this thread keeps some for the next time.
    pub(super) fn with<T>(dim: usize, work: impl FnOnce(&mut Self) -> T) -> T {
        let spare = SPARE.take().and_then(|spare| spare.downcast::<Self>().ok());
        // What lies beyond `dim` columns is zero in one that had as many.
        let spare = spare.filter(|block| block.dim == dim);
        let mut block = spare.unwrap_or_else(|| Box::new(Self::new(dim)));
        let result = work(&mut block);
        if block.transposed.len() * size_of::<Group<NR>>() <= SPARE_BYTES {
            SPARE.set(Some(block));
        }
        result
    }

    fn new(dim: usize) -> Self {
        Self {
            groups: (0..PIECE / NR).map(|_| GalleryGroup::new(dim)).collect(),
            transposed: vec![[[0.0; STRIDE]; NR]; dim.div_ceil(NR)],
            rows: Vec::new(),
            n_rows: 0,
            dim,
        }
    }

    /// Holds all of `rows`, at most [`Self::ROWS`], from now on.
    pub(super) fn fill<const MR: usize>(&mut self, isa: impl Isa<MR, NR>, rows: Rows<'_>, dtype: Dtype) {
        let dim = self.dim;
        self.n_rows = rows.n_rows();
        for (group, start) in self.groups.iter_mut().zip((0..self.n_rows).step_by(NR)) {
            group.fill(isa, rows.slice(start..self.n_rows.min(start + NR)), dtype);
        }
        self.rows.resize(TRANSPOSED_ROWS * dim, 0.0);
        for start in (0..self.n_rows).step_by(TRANSPOSED_ROWS) {
            let n = TRANSPOSED_ROWS.min(self.n_rows - start);
            for (i, row) in self.rows.chunks_mut(dim.max(1)).enumerate().take(n) {
                load_columns(isa, rows, start + i, 0..dim, dtype, row);
            }
            for column in 0..dim {
                let to = &mut self.transposed[column / NR][column % NR][start..start + n];
                for (i, to) in to.iter_mut().enumerate() {
                    *to = self.rows[i * dim + column];
                }
            }
        }
    }

    /// Rows held.
    pub(super) fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Groups of rows that are not all padding.
    pub(super) fn groups(&self) -> impl Iterator<Item = &GalleryGroup<NR>> {
        self.groups.iter().take(self.n_rows.div_ceil(NR))
    }

    /// The columns, `NR` a group, each as long as there are rows; columns beyond `dim` are zero.
    pub(super) fn transposed(&self) -> &[Group<NR>] {
        &self.transposed
    }
}

/// Writes `columns` of a row, converted to `dtype`, to `out`, which has as many elements.
fn load_columns<I: Isa<MR, NR>, const MR: usize, const NR: usize>(
    isa: I,
    rows: Rows<'_>,
    row: usize,
    columns: Range<usize>,
    dtype: Dtype,
    out: &mut [f32],
) {
    let elements = row * rows.dim() + columns.start..row * rows.dim() + columns.end;
    match rows.data() {
        RowsData::F16(data) => isa.widen(&data[elements], out),
        _ => convert(rows, elements, dtype, out),
    }
}
