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
