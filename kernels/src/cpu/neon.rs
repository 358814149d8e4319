//! NEON: two vectors of 4 queries, 24 running sums in registers. Run under emulation so far, not on real hardware.

use std::arch::aarch64::*;
use std::arch::is_aarch64_feature_detected;
use std::hint::black_box;

use super::isa::{Body, Group, Isa, Lanes, PIECE, Tile};
use super::peak::{CHAINS, FACTOR, TERM};

/// Proof that this CPU has NEON.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Neon(());

/// Queries a tile: two vectors.
pub(crate) const MR: usize = 8;
/// Gallery rows a tile.
pub(crate) const NR: usize = 12;

impl Neon {
    /// Asks the CPU.
    pub(crate) fn detect() -> Option<Self> {
        is_aarch64_feature_detected!("neon").then_some(Self(()))
    }
}

impl Isa<MR, NR> for Neon {
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

    fn vectorize<B: Body>(self, body: B) -> B::Output {
        // SAFETY: `self` exists only if `detect` saw the features of the callee on this CPU.
        unsafe { vectorize(body) }
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn load(lanes: &Lanes<MR>) -> [float32x4_t; 2] {
    // SAFETY: `lanes` holds 8 floats, 4 for each of the two loads.
    unsafe { [vld1q_f32(lanes.as_ptr()), vld1q_f32(lanes.as_ptr().add(4))] }
}

#[inline]
#[target_feature(enable = "neon")]
fn add_to(sums: [float32x4_t; 2], lanes: &mut Lanes<MR>) {
    let old = load(lanes);
    // SAFETY: `lanes` holds 8 floats, 4 for each of the two stores.
    unsafe {
        vst1q_f32(lanes.as_mut_ptr(), vaddq_f32(old[0], sums[0]));
        vst1q_f32(lanes.as_mut_ptr().add(4), vaddq_f32(old[1], sums[1]));
    }
}

#[target_feature(enable = "neon")]
fn multiply(query: &[Lanes<MR>], gallery: &Group<NR>, tile: &mut Tile<MR, NR>) {
    let mut sums = [[vdupq_n_f32(0.0); 2]; NR];
    for (k, query) in (0..PIECE).zip(query) {
        let query = load(query);
        for n in 0..NR {
            sums[n][0] = vfmaq_n_f32(sums[n][0], query[0], gallery[n][k]);
            sums[n][1] = vfmaq_n_f32(sums[n][1], query[1], gallery[n][k]);
        }
    }
    for (sums, row) in sums.into_iter().zip(tile) {
        add_to(sums, row);
    }
}

#[target_feature(enable = "neon")]
fn multiply_pairs(left: &[Lanes<MR>], right: &[Lanes<MR>], scores: &mut Lanes<MR>) {
    let mut sums = [vdupq_n_f32(0.0); 2];
    for (left, right) in left.iter().zip(right) {
        let (left, right) = (load(left), load(right));
        sums[0] = vfmaq_f32(sums[0], left[0], right[0]);
        sums[1] = vfmaq_f32(sums[1], left[1], right[1]);
    }
    add_to(sums, scores);
}

#[target_feature(enable = "neon")]
fn multiply_add_chains(rounds: u64) -> f32 {
    let [factor, term] = black_box([FACTOR, TERM]).map(|x| vdupq_n_f32(x));
    let mut chains = [[vdupq_n_f32(1.0); 2]; CHAINS];
    for _ in 0..rounds {
        for chain in &mut chains {
            for lanes in chain {
                *lanes = vfmaq_f32(term, *lanes, factor);
            }
        }
    }
    let sum = chains
        .as_flattened()
        .iter()
        .fold(vdupq_n_f32(0.0), |sum, lanes| vaddq_f32(sum, *lanes));
    let mut lanes = [0.0; MR];
    add_to([sum, vdupq_n_f32(0.0)], &mut lanes);
    lanes.iter().sum()
}

#[target_feature(enable = "neon")]
fn vectorize<B: Body>(body: B) -> B::Output {
    body.run::<true>()
}
