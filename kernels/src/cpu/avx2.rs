//! AVX2 with FMA: two vectors of 8 queries, 12 running sums in registers.

use std::arch::x86_64::*;
use std::hint::black_box;

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::isa::{Body, Group, Isa, Lanes, PIECE, Tile};
use super::peak::{CHAINS, FACTOR, TERM};

/// Proof that this CPU has AVX2, FMA and F16C.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx2(());

/// Queries a tile: two vectors.
pub(crate) const MR: usize = 16;
/// Gallery rows a tile.
pub(crate) const NR: usize = 6;

impl Avx2 {
    /// Asks the CPU.
    pub(crate) fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c"))
        .then_some(Self(()))
    }
}

impl Isa<MR, NR> for Avx2 {
    fn multiply(self, query: &[Lanes<MR>], gallery: &Group<NR>, tile: &mut Tile<MR, NR>) {
        // SAFETY: `self` exists only if `detect` saw the features of the callee on this CPU.
        unsafe { multiply(query, gallery, tile) }
    }

    fn multiply_pairs(self, left: &[Lanes<MR>], right: &[Lanes<MR>], scores: &mut Lanes<MR>) {
        // SAFETY: `self` exists only if `detect` saw the features of the callee on this CPU.
        unsafe { multiply_pairs(left, right, scores) }
    }

    fn multiply_add_chains(self, rounds: u64) -> f32 {
        // SAFETY: `self` exists only if `detect` saw the features of the callee on this CPU.
        unsafe { multiply_add_chains(rounds) }
    }

    fn widen(self, from: &[f16], to: &mut [f32]) {
        // SAFETY: `self` exists only if `detect` saw the features of the callee on this CPU.
        unsafe { widen(from, to) }
    }

    fn scale_and_narrow(self, from: &[f32], factor: f32, to: &mut [f16]) {
        // SAFETY: `self` exists only if `detect` saw the features of the callee on this CPU.
        unsafe { scale_and_narrow::<false>(from, factor, to) }
    }

    unsafe fn scale_and_narrow_past_caches(self, from: &[f32], factor: f32, to: &mut [f16]) {
        // SAFETY: as above; the alignment is the caller's promise.
        unsafe { scale_and_narrow::<true>(from, factor, to) }
    }

    fn vectorize<B: Body>(self, body: B) -> B::Output {
        // SAFETY: `self` exists only if `detect` saw the features of the callee on this CPU.
        unsafe { vectorize(body) }
    }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn load(lanes: &Lanes<MR>) -> [__m256; 2] {
    // SAFETY: `lanes` holds 16 floats, 8 for each of the two unaligned loads.
    unsafe {
        [
            _mm256_loadu_ps(lanes.as_ptr()),
            _mm256_loadu_ps(lanes.as_ptr().add(8)),
        ]
    }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn add_to(sums: [__m256; 2], lanes: &mut Lanes<MR>) {
    let old = load(lanes);
    // SAFETY: `lanes` holds 16 floats, 8 for each of the two unaligned stores.
    unsafe {
        _mm256_storeu_ps(lanes.as_mut_ptr(), _mm256_add_ps(old[0], sums[0]));
        _mm256_storeu_ps(lanes.as_mut_ptr().add(8), _mm256_add_ps(old[1], sums[1]));
    }
}

#[target_feature(enable = "avx2,fma")]
fn multiply(query: &[Lanes<MR>], gallery: &Group<NR>, tile: &mut Tile<MR, NR>) {
    let mut sums = [[_mm256_setzero_ps(); 2]; NR];
    for (k, query) in (0..PIECE).zip(query) {
        let query = load(query);
        for n in 0..NR {
            let gallery = _mm256_set1_ps(gallery[n][k]);
            sums[n][0] = _mm256_fmadd_ps(query[0], gallery, sums[n][0]);
            sums[n][1] = _mm256_fmadd_ps(query[1], gallery, sums[n][1]);
        }
    }
    for (sums, row) in sums.into_iter().zip(tile) {
        add_to(sums, row);
    }
}

#[target_feature(enable = "avx2,fma")]
fn multiply_pairs(left: &[Lanes<MR>], right: &[Lanes<MR>], scores: &mut Lanes<MR>) {
    let mut sums = [_mm256_setzero_ps(); 2];
    for (left, right) in left.iter().zip(right) {
        let (left, right) = (load(left), load(right));
        sums[0] = _mm256_fmadd_ps(left[0], right[0], sums[0]);
        sums[1] = _mm256_fmadd_ps(left[1], right[1], sums[1]);
    }
    add_to(sums, scores);
}

#[target_feature(enable = "avx2,fma")]
fn multiply_add_chains(rounds: u64) -> f32 {
    let [factor, term] = black_box([FACTOR, TERM]).map(|x| _mm256_set1_ps(x));
    let mut chains = [[_mm256_set1_ps(1.0); 2]; CHAINS];
    for _ in 0..rounds {
        for chain in &mut chains {
            for lanes in chain {
                *lanes = _mm256_fmadd_ps(*lanes, factor, term);
            }
        }
    }
    let sum = chains
        .as_flattened()
        .iter()
        .fold(_mm256_setzero_ps(), |sum, lanes| _mm256_add_ps(sum, *lanes));
    let mut lanes = [0.0; MR];
    add_to([sum, _mm256_setzero_ps()], &mut lanes);
    lanes.iter().sum()
}

#[target_feature(enable = "avx2,fma,f16c")]
fn widen(from: &[f16], to: &mut [f32]) {
    let (from, from_rest) = from.as_chunks::<8>();
    let (to, to_rest) = to.as_chunks_mut::<8>();
    for (from, to) in from.iter().zip(to) {
        // SAFETY: both are arrays of 8 elements, 16 and 32 bytes for the unaligned load and store.
        unsafe {
            let halves = _mm_loadu_si128(from.as_ptr().cast());
            _mm256_storeu_ps(to.as_mut_ptr(), _mm256_cvtph_ps(halves));
        }
    }
    from_rest.convert_to_f32_slice(to_rest);
}

/// # Safety
/// With `PAST_CACHES` `to` begins at a multiple of 16 bytes.
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn scale_and_narrow<const PAST_CACHES: bool>(from: &[f32], factor: f32, to: &mut [f16]) {
    let factors = _mm256_set1_ps(factor);
    let (from, from_rest) = from.as_chunks::<8>();
    let (to, to_rest) = to.as_chunks_mut::<8>();
    for (from, to) in from.iter().zip(to) {
        // SAFETY: both are arrays of 8 elements, 32 and 16 bytes for the unaligned load and store or the aligned store.
        unsafe {
            let scaled = _mm256_mul_ps(_mm256_loadu_ps(from.as_ptr()), factors);
            let halves = _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(scaled);
            if PAST_CACHES {
                _mm_stream_si128(to.as_mut_ptr().cast(), halves);
            } else {
                _mm_storeu_si128(to.as_mut_ptr().cast(), halves);
            }
        }
    }
    for (from, to) in from_rest.iter().zip(to_rest) {
        *to = f16::from_f32(from * factor);
    }
}

#[target_feature(enable = "avx2,fma")]
fn vectorize<B: Body>(body: B) -> B::Output {
    body.run::<true>()
}
