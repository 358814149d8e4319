//! Several tests at once: Holm's adjustment of their p-values.

/// The p-values, adjusted so that calling every one of them at most `alpha` significant makes any false statement with
/// a chance of at most `alpha`, whatever depends on what (Holm 1979).
///
/// The `i`-th smallest of `m`, `i` from 0, becomes the largest of `(m - j) * p_j` over `j <= i`, at most 1. In the
/// order given.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut adjusted = vec![0.0; p_values.len()];
    let mut largest = 0.0_f64;
    for (rank, index) in order.into_iter().enumerate() {
        largest = largest
            .max((p_values.len() - rank) as f64 * p_values[index])
            .min(1.0);
        adjusted[index] = largest;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_pays_for_all_and_none_overtakes() {
        assert_eq!(holm(&[]), [0.0; 0]);
        assert_eq!(holm(&[0.25]), [0.25]);
        // 3 * 0.125; 2 * 0.1875 = 0.375, level with it; 0.5.
        assert_eq!(holm(&[0.5, 0.125, 0.1875]), [0.5, 0.375, 0.375]);
        // 4 * 0.0625; then 3 * 0.0625 = 0.1875, which may not be smaller; 2 * 0.5 and 1 * 0.75 are 1.
        assert_eq!(holm(&[0.75, 0.0625, 0.5, 0.0625]), [1.0, 0.25, 1.0, 0.25]);
    }
}
