//! What a core can do at most: multiply-adds that wait for nothing.

use std::hint::black_box;

use super::dispatch;

/// Chains of lanes that are independent of each other: with two vectors a chain, enough to hide the latency of
/// multiply-adds, and few enough for the registers of every set.
pub(crate) const CHAINS: usize = 6;
/// What every lane is multiplied by; with [`TERM`] all values stay at 1.
pub(crate) const FACTOR: f32 = 0.5;
/// What is added to every lane.
pub(crate) const TERM: f32 = 0.5;

/// Multiplies and adds f32 vectors in registers on the calling thread, `rounds` operations on each of a fixed set of
/// vectors, with the best instruction set of this machine. Returns the floating-point operations done, a multiply-add
/// as two; time it to find the peak of a core.
#[must_use]
pub fn fma_burst(rounds: u64) -> u64 {
    let (sum, lanes) = dispatch::multiply_add_chains(black_box(rounds));
    black_box(sum);
    2 * rounds * (lanes * CHAINS) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_lane_is_counted_and_keeps_its_value() {
        let (sum, lanes) = dispatch::multiply_add_chains(1000);
        assert_eq!(sum, (lanes * CHAINS) as f32);
        assert_eq!(fma_burst(1000), 2000 * (lanes * CHAINS) as u64);
    }
}
