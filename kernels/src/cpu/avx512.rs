//! AVX-512F: two vectors of 16 queries, 24 running sums in registers.

use std::arch::x86_64::*;
use std::hint::black_box;

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::isa::{Body, Group, Isa, Lanes, PIECE, Tile};
use super::peak::{CHAINS, FACTOR, TERM};

/// Proof that this CPU has AVX-512 F, BW, DQ and VL.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx512(());

/// Queries a tile: two vectors.
pub(crate) const MR: usize = 32;
/// Gallery rows a tile.
pub(crate) const NR: usize = 12;

impl Avx512 {
    /// Asks the CPU.
    pub(crate) fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl"))
        .then_some(Self(()))
    }
}

impl Isa<MR, NR> for Avx512 {
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
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn load(lanes: &Lanes<MR>) -> [__m512; 2] {
    // SAFETY: `lanes` holds 32 floats, 16 for each of the two unaligned loads.
    unsafe {
        [
            _mm512_loadu_ps(lanes.as_ptr()),
            _mm512_loadu_ps(lanes.as_ptr().add(16)),
        ]
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn add_to(sums: [__m512; 2], lanes: &mut Lanes<MR>) {
    let old = load(lanes);
    // SAFETY: `lanes` holds 32 floats, 16 for each of the two unaligned stores.
    unsafe {
        _mm512_storeu_ps(lanes.as_mut_ptr(), _mm512_add_ps(old[0], sums[0]));
        _mm512_storeu_ps(lanes.as_mut_ptr().add(16), _mm512_add_ps(old[1], sums[1]));
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn multiply(query: &[Lanes<MR>], gallery: &Group<NR>, tile: &mut Tile<MR, NR>) {
    let mut sums = [[_mm512_setzero_ps(); 2]; NR];
    for (k, query) in (0..PIECE).zip(query) {
        let query = load(query);
        for n in 0..NR {
            let gallery = _mm512_set1_ps(gallery[n][k]);
            sums[n][0] = _mm512_fmadd_ps(query[0], gallery, sums[n][0]);
            sums[n][1] = _mm512_fmadd_ps(query[1], gallery, sums[n][1]);
        }
    }
    for (sums, row) in sums.into_iter().zip(tile) {
        add_to(sums, row);
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn multiply_pairs(left: &[Lanes<MR>], right: &[Lanes<MR>], scores: &mut Lanes<MR>) {
    let mut sums = [_mm512_setzero_ps(); 2];
    for (left, right) in left.iter().zip(right) {
        let (left, right) = (load(left), load(right));
        sums[0] = _mm512_fmadd_ps(left[0], right[0], sums[0]);
        sums[1] = _mm512_fmadd_ps(left[1], right[1], sums[1]);
    }
    add_to(sums, scores);
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn multiply_add_chains(rounds: u64) -> f32 {
    let [factor, term] = black_box([FACTOR, TERM]).map(|x| _mm512_set1_ps(x));
    let mut chains = [[_mm512_set1_ps(1.0); 2]; CHAINS];
    for _ in 0..rounds {
        for chain in &mut chains {
            for lanes in chain {
                *lanes = _mm512_fmadd_ps(*lanes, factor, term);
            }
        }
    }
    let sum = chains
        .as_flattened()
        .iter()
        .fold(_mm512_setzero_ps(), |sum, lanes| _mm512_add_ps(sum, *lanes));
    let mut lanes = [0.0; MR];
    add_to([sum, _mm512_setzero_ps()], &mut lanes);
    lanes.iter().sum()
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn widen(from: &[f16], to: &mut [f32]) {
    let (from, from_rest) = from.as_chunks::<16>();
    let (to, to_rest) = to.as_chunks_mut::<16>();
    for (from, to) in from.iter().zip(to) {
        // SAFETY: both are arrays of 16 elements, 32 and 64 bytes for the unaligned load and store.
        unsafe {
            let halves = _mm256_loadu_si256(from.as_ptr().cast());
            _mm512_storeu_ps(to.as_mut_ptr(), _mm512_cvtph_ps(halves));
        }
    }
    from_rest.convert_to_f32_slice(to_rest);
}

/// # Safety
/// With `PAST_CACHES` `to` begins at a multiple of 16 bytes.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
unsafe fn scale_and_narrow<const PAST_CACHES: bool>(from: &[f32], factor: f32, to: &mut [f16]) {
    let factors = _mm512_set1_ps(factor);
    let (from, from_rest) = from.as_chunks::<16>();
    let (to, to_rest) = to.as_chunks_mut::<16>();
    for (from, to) in from.iter().zip(to) {
        // SAFETY: both are arrays of 16 elements, 64 and 32 bytes for the unaligned load and store or two aligned stores.
        unsafe {
            let scaled = _mm512_mul_ps(_mm512_loadu_ps(from.as_ptr()), factors);
            let halves = _mm512_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(scaled);
            if PAST_CACHES {
                let to = to.as_mut_ptr().cast::<__m128i>();
                _mm_stream_si128(to, _mm256_castsi256_si128(halves));
                _mm_stream_si128(to.add(1), _mm256_extracti128_si256::<1>(halves));
            } else {
                _mm256_storeu_si256(to.as_mut_ptr().cast(), halves);
            }
        }
    }
    for (from, to) in from_rest.iter().zip(to_rest) {
        *to = f16::from_f32(from * factor);
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
fn vectorize<B: Body>(body: B) -> B::Output {
    body.run::<true>()
}
