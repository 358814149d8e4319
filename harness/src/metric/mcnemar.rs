//! McNemar's exact test of two shares of the same queries.

use statrs::distribution::{Binomial, DiscreteCDF};

/// Two-sided p-value that `gained` misses became hits and `lost` hits became misses if each change was as likely as the
/// other: twice the smaller tail of the binomial distribution of `gained + lost` fair draws, at most 1.
///
/// It takes queries as independent. Several captions of a video are not: there it is too sure of itself.
pub fn mcnemar(gained: u64, lost: u64) -> f64 {
    let Ok(binomial) = Binomial::new(0.5, gained + lost) else {
        unreachable!("one half is a probability");
    };
    (2.0 * binomial.cdf(gained.min(lost))).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hand_computed_binomials() {
        for (gained, lost, expected) in [
            (0, 0, 1.0),
            (1, 0, 1.0),
            (3, 3, 1.0),
            // 2 * 1 / 2^6
            (6, 0, 2.0 / 64.0),
            // 2 * (1 + 10) / 2^10
            (9, 1, 22.0 / 1024.0),
            // 2 * (1 + 15 + 105) / 2^15
            (2, 13, 242.0 / 32768.0),
        ] {
            let found = mcnemar(gained, lost);
            assert!((found - expected).abs() < 1e-12, "{gained}, {lost}: {found}");
            assert_eq!(found, mcnemar(lost, gained));
        }
    }

    #[test]
    fn many_changes_are_judged_as_by_the_normal_distribution() {
        // z = (|2100 - 1900| - 1) / sqrt(4000) = 3.1465: p = 0.00165.
        let found = mcnemar(2100, 1900);
        assert!((found - 0.00165).abs() < 2e-5, "{found}");
    }
}
