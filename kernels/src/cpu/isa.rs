//! What an instruction set must offer, and the plain bodies that each one compiles for itself.
//!
//! A tile is `NR` gallery rows times `MR` query rows; the `MR` queries lie in the lanes of the vectors. Each
//! element of a tile is summed by one chain of multiply-adds from the first column of a piece to the last, and
//! pieces of [`PIECE`] columns are added up in order. No element depends on another one, so a score is the same
//! wherever its pair lies in whatever tile.

/// Columns of a piece.
pub(crate) const PIECE: usize = 512;

/// `MR` values at one column, a vector or two.
pub(crate) type Lanes<const MR: usize> = [f32; MR];

/// One piece of `NR` gallery rows, row-major; columns beyond the piece are not read.
pub(crate) type Group<const NR: usize> = [[f32; PIECE]; NR];

/// Scores of one tile, `[NR gallery rows, MR query rows]`.
pub(crate) type Tile<const MR: usize, const NR: usize> = [[f32; MR]; NR];

/// Running counts of the `N` rows of one side of a tile. A threshold of infinity counts nothing.
#[derive(Debug, Clone)]
pub(crate) struct Tally<const N: usize> {
    pub(crate) threshold: [f32; N],
    pub(crate) greater: [u32; N],
    pub(crate) equal: [u32; N],
}

impl<const N: usize> Tally<N> {
    /// Starts at zero; rows without a threshold count nothing.
    pub(crate) fn new(thresholds: &[f32]) -> Self {
        let mut threshold = [f32::INFINITY; N];
        threshold[..thresholds.len()].copy_from_slice(thresholds);
        Self {
            threshold,
            greater: [0; N],
            equal: [0; N],
        }
    }
}

/// An instruction set that this machine was seen to have. Implementors are proofs: only detection makes one.
pub(crate) trait Isa<const MR: usize, const NR: usize>: Copy + Send + Sync {
    /// Adds the products of one piece to `tile`: `tile[n][m] += sum_k query[k][m] * gallery[n][k]`.
    ///
    /// `query` has one entry a column, at most [`PIECE`].
    fn multiply(self, query: &[Lanes<MR>], gallery: &Group<NR>, tile: &mut Tile<MR, NR>);

    /// The same sums for `MR` pairs, lane by lane: `scores[m] += sum_k left[k][m] * right[k][m]`, bitwise equal to
    /// what `multiply` gives for that pair.
    ///
    /// `left` and `right` have one entry a column, at most [`PIECE`].
    fn multiply_pairs(self, left: &[Lanes<MR>], right: &[Lanes<MR>], scores: &mut Lanes<MR>);

    /// Counts the scores of `tile` against the thresholds of its queries and, if given, of its gallery rows.
    fn count(self, tile: &Tile<MR, NR>, queries: &mut Tally<MR>, gallery: Option<&mut Tally<NR>>);
}

/// Body of [`Isa::count`], to be inlined where the instruction set is known.
#[inline(always)]
pub(super) fn count<const MR: usize, const NR: usize>(
    tile: &Tile<MR, NR>,
    queries: &mut Tally<MR>,
    gallery: Option<&mut Tally<NR>>,
) {
    for row in tile {
        for (m, &score) in row.iter().enumerate() {
            queries.greater[m] += u32::from(score > queries.threshold[m]);
            queries.equal[m] += u32::from(score == queries.threshold[m]);
        }
    }
    if let Some(gallery) = gallery {
        for (n, row) in tile.iter().enumerate() {
            let threshold = gallery.threshold[n];
            let (mut greater, mut equal) = (0, 0);
            for &score in row {
                greater += u32::from(score > threshold);
                equal += u32::from(score == threshold);
            }
            gallery.greater[n] += greater;
            gallery.equal[n] += equal;
        }
    }
}
