//! Plain Rust, for machines without a better path and for Miri. A product is rounded before it is added.

use std::hint::black_box;

use super::isa::{Body, Group, Isa, Lanes, PIECE, Tile};
use super::peak::{CHAINS, FACTOR, TERM};

/// The path that every machine has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scalar;

/// Queries a tile.
pub(crate) const MR: usize = 8;
/// Gallery rows a tile.
pub(crate) const NR: usize = 4;

impl Isa<MR, NR> for Scalar {
    fn multiply(self, query: &[Lanes<MR>], gallery: &Group<NR>, tile: &mut Tile<MR, NR>) {
        let mut sums = [[0.0; MR]; NR];
        for (k, query) in (0..PIECE).zip(query) {
            for n in 0..NR {
                for m in 0..MR {
                    sums[n][m] += query[m] * gallery[n][k];
                }
            }
        }
        for n in 0..NR {
            for m in 0..MR {
                tile[n][m] += sums[n][m];
            }
        }
    }

    fn multiply_pairs(self, left: &[Lanes<MR>], right: &[Lanes<MR>], scores: &mut Lanes<MR>) {
        let mut sums = [0.0; MR];
        for (left, right) in left.iter().zip(right) {
            for m in 0..MR {
                sums[m] += left[m] * right[m];
            }
        }
        for m in 0..MR {
            scores[m] += sums[m];
        }
    }

    fn multiply_add_chains(self, rounds: u64) -> f32 {
        let [factor, term] = black_box([FACTOR, TERM]);
        let mut chains = [[1.0_f32; MR]; CHAINS];
        for _ in 0..rounds {
            for lanes in chains.as_flattened_mut() {
                *lanes = *lanes * factor + term;
            }
        }
        chains.as_flattened().iter().sum()
    }

    fn vectorize<B: Body>(self, body: B) -> B::Output {
        body.run::<false>()
    }
}
