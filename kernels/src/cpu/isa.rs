//! What an instruction set must offer, and the plain bodies that each one compiles for itself.
//!
//! A tile is `NR` gallery rows times `MR` query rows; the `MR` queries lie in the lanes of the vectors. Each
//! element of a tile is summed by one chain of multiply-adds from the first column of a piece to the last, and
//! pieces of [`PIECE`] columns are added up in order. No element depends on another one, so a score is the same
//! wherever its pair lies in whatever tile.

use half::f16;
use half::slice::HalfFloatSliceExt;

/// Columns of a piece.
pub(crate) const PIECE: usize = 512;

/// `MR` values at one column, a vector or two.
pub(crate) type Lanes<const MR: usize> = [f32; MR];

/// From one row of a group to the next: a cache line more than a piece, since rows a power of two apart would share a
/// few sets of the first-level cache and push each other out.
pub(crate) const STRIDE: usize = PIECE + 16;

/// One piece of `NR` gallery rows, row-major; columns beyond the piece are not read.
pub(crate) type Group<const NR: usize> = [[f32; STRIDE]; NR];

/// Scores of one tile, `[NR gallery rows, MR query rows]`.
pub(crate) type Tile<const MR: usize, const NR: usize> = [[f32; MR]; NR];

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

    /// Multiplies and adds in registers, nothing else: `rounds` times one operation on every lane of
    /// [`CHAINS`](super::peak::CHAINS) chains of `MR` lanes that do not wait for each other. Gives their sum.
    fn multiply_add_chains(self, rounds: u64) -> f32;

    /// Widens f16 to f32, exactly; both have one length.
    fn widen(self, from: &[f16], to: &mut [f32]) {
        from.convert_to_f32_slice(to);
    }

    /// Multiplies by a factor and rounds to the nearest f16, ties to even; both have one length.
    fn scale_and_narrow(self, from: &[f32], factor: f32, to: &mut [f16]) {
        for (from, to) in from.iter().zip(to) {
            *to = f16::from_f32(from * factor);
        }
    }

    /// As [`Self::scale_and_narrow`], past the caches where that is possible: what is written over is not read first.
    ///
    /// # Safety
    /// `to` begins at a multiple of 16 bytes, and is read by nobody before [`Self::finish_stores`].
    unsafe fn scale_and_narrow_past_caches(self, from: &[f32], factor: f32, to: &mut [f16]) {
        self.scale_and_narrow(from, factor, to);
    }

    /// Puts all stores of this thread that went past the caches before what comes.
    fn finish_stores(self) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: every x86-64 has it.
        unsafe {
            std::arch::x86_64::_mm_sfence();
        }
    }

    /// Runs `body` compiled for this instruction set.
    fn vectorize<B: Body>(self, body: B) -> B::Output;
}

/// Plain loops that each instruction set compiles for itself. `run` must be `#[inline(always)]`, and so must all
/// that it calls: only then do the loops become vectors.
pub(crate) trait Body {
    /// What `run` gives.
    type Output;

    /// Does the work. With `FMA` the set has a fused multiply-add, and [`multiply_add`] is one instruction.
    fn run<const FMA: bool>(self) -> Self::Output;
}

/// `a * b + c`, rounded once with `FMA` and twice without.
#[inline(always)]
pub(crate) fn multiply_add<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}
