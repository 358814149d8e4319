//! Rows brought into the layouts that tiles read: converted to f32, padded with zeros to whole tiles.

use super::isa::{Group, Lanes, PIECE};
use crate::check::load_row;
use crate::{Dtype, Rows};

/// Query rows with `MR` of them side by side: panels of `dim` entries, `panel[k][lane]`.
#[derive(Debug)]
pub(super) struct Panels<const MR: usize> {
    entries: Vec<Lanes<MR>>,
    row: Vec<f32>,
    dim: usize,
}

impl<const MR: usize> Panels<MR> {
    /// Room for rows of `dim` elements.
    pub(super) fn new(dim: usize) -> Self {
        Self {
            entries: Vec::new(),
            row: vec![0.0; dim],
            dim,
        }
    }

    /// Holds the listed rows of `rows`, in that order, from now on.
    pub(super) fn fill(&mut self, rows: Rows<'_>, dtype: Dtype, list: impl ExactSizeIterator<Item = usize>) {
        self.entries.clear();
        self.entries.resize(list.len().div_ceil(MR) * self.dim, [0.0; MR]);
        for (slot, row) in list.enumerate() {
            load_row(rows, row, dtype, &mut self.row);
            let start = slot / MR * self.dim;
            let panel = &mut self.entries[start..start + self.dim];
            for (entry, &x) in panel.iter_mut().zip(&self.row) {
                entry[slot % MR] = x;
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
    row: Vec<f32>,
}

impl<const NR: usize> GalleryGroup<NR> {
    /// Room for rows of `dim` elements.
    pub(super) fn new(dim: usize) -> Self {
        Self {
            pieces: vec![[[0.0; PIECE]; NR]; dim.div_ceil(PIECE)],
            row: vec![0.0; dim],
        }
    }

    /// Holds all of `rows`, at most `NR`, from now on; missing ones are zero.
    pub(super) fn fill(&mut self, rows: Rows<'_>, dtype: Dtype) {
        for n in 0..NR {
            if n < rows.n_rows() {
                load_row(rows, n, dtype, &mut self.row);
            } else {
                self.row.fill(0.0);
            }
            for (piece, columns) in self.pieces.iter_mut().zip(self.row.chunks(PIECE)) {
                piece[n][..columns.len()].copy_from_slice(columns);
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

/// Rows that are transposed together: their share of a column is one cache line.
const TRANSPOSED_ROWS: usize = 16;

impl<const NR: usize> KeyBlock<NR> {
    /// Most rows of a block: whole groups within one piece.
    pub(super) const ROWS: usize = PIECE / NR * NR;

    /// Room for rows of `dim` elements.
    pub(super) fn new(dim: usize) -> Self {
        Self {
            groups: (0..PIECE / NR).map(|_| GalleryGroup::new(dim)).collect(),
            transposed: vec![[[0.0; PIECE]; NR]; dim.div_ceil(NR)],
            rows: Vec::new(),
            n_rows: 0,
            dim,
        }
    }

    /// Holds all of `rows`, at most [`Self::ROWS`], from now on.
    pub(super) fn fill(&mut self, rows: Rows<'_>, dtype: Dtype) {
        let dim = self.dim;
        self.n_rows = rows.n_rows();
        for (group, start) in self.groups.iter_mut().zip((0..self.n_rows).step_by(NR)) {
            group.fill(rows.slice(start..self.n_rows.min(start + NR)), dtype);
        }
        self.rows.resize(TRANSPOSED_ROWS * dim, 0.0);
        for start in (0..self.n_rows).step_by(TRANSPOSED_ROWS) {
            let n = TRANSPOSED_ROWS.min(self.n_rows - start);
            for (i, row) in self.rows.chunks_mut(dim.max(1)).enumerate().take(n) {
                load_row(rows, start + i, dtype, row);
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
