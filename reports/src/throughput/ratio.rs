//! Ratios of medians that processes of their own measured.

/// Median, least and greatest of what several processes measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Range {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Range {
    /// `None` without values.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_unstable_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let (lower, upper) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
        Some(Self {
            median: f64::midpoint(lower, upper),
            min,
            max,
        })
    }

    /// How much the greatest exceeds the least, as a fraction.
    pub(crate) fn spread(&self) -> f64 {
        self.max / self.min - 1.0
    }
}

/// A ratio of medians. Its range goes from the least value that any two processes, one a side, give to the greatest;
/// it is wider than a confidence interval, and needs no assumption about how processes scatter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Ratio {
    pub(crate) value: f64,
    /// `None` where each side has a single process.
    pub(crate) range: Option<[f64; 2]>,
}

impl Ratio {
    /// `above / below`, each a median over all samples with the medians of its processes.
    pub(crate) fn of(above: (f64, &[f64]), below: (f64, &[f64])) -> Self {
        let range = |medians: &[f64]| Range::of(medians.iter().copied());
        Self {
            value: above.0 / below.0,
            range: range(above.1)
                .zip(range(below.1))
                .filter(|_| above.1.len() > 1 || below.1.len() > 1)
                .map(|(above, below)| [above.min / below.max, above.max / below.min]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_and_spread_of_processes() {
        assert_eq!(Range::of([]), None);
        let odd = Range::of([3.0, 1.0, 2.5]).unwrap();
        assert_eq!((odd.median, odd.min, odd.max, odd.spread()), (2.5, 1.0, 3.0, 2.0));
        assert_eq!(Range::of([4.0, 1.0]).unwrap().median, 2.5);
    }

    #[test]
    fn a_ratio_has_the_range_of_its_processes() {
        let ratio = Ratio::of((20.0, &[18.0, 20.0, 24.0]), (5.0, &[4.0, 6.0]));
        assert_eq!((ratio.value, ratio.range), (4.0, Some([3.0, 6.0])));
        assert_eq!(Ratio::of((20.0, &[20.0]), (5.0, &[5.0])).range, None);
        let one_sided = Ratio::of((20.0, &[20.0]), (5.0, &[4.0, 5.0]));
        assert_eq!(one_sided.range, Some([4.0, 5.0]));
    }
}
