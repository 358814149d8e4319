//! Answers that a suite expects, and the check of a trial's metrics against them.

use std::fmt;

use serde_json::{Value as Json, json};

/// Relative slack of an expectation that is one value: sums of equal terms in another order stay within it.
const RELATIVE_SLACK: f64 = 1e-12;

/// Metrics with one value a direction; beside them there are `r_at.K` and `recall_at.K`.
const PLAIN_METRICS: [&str; 7] = [
    "median_rank",
    "mean_rank",
    "sum_r",
    "geometric_mean",
    "mrr",
    "ndcg_at_10",
    "map",
];

/// A metric and where it must lie.
#[derive(Debug, Clone, PartialEq)]
pub struct Expectation {
    /// Dotted name under a direction, such as `t2v.r_at.10`.
    pub metric: String,
    /// Lowest value that passes.
    pub low: f64,
    /// Highest value that passes; equal to `low` where one value is expected.
    pub high: f64,
}

/// A metric that is not where the suite expects it.
#[derive(Debug, Clone, PartialEq)]
pub struct Unmet {
    /// What was expected.
    pub expected: Expectation,
    /// The value found; `None` if the trial has no such metric.
    pub found: Option<f64>,
}

impl Expectation {
    /// Reads `value` or `[low, high]`.
    ///
    /// # Errors
    /// The form that was expected, in words.
    pub(crate) fn new(metric: &str, value: &Json) -> Result<Self, &'static str> {
        let form = "a number, or [low, high] with low <= high";
        let (low, high) = match value {
            Json::Array(pair) => match pair.as_slice() {
                [low, high] => (low.as_f64(), high.as_f64()),
                _ => return Err(form),
            },
            number => (number.as_f64(), number.as_f64()),
        };
        match (low, high) {
            (Some(low), Some(high)) if low <= high => Ok(Self {
                metric: metric.to_owned(),
                low,
                high,
            }),
            _ => Err(form),
        }
    }

    /// What a resolved suite expects; nothing where `resolved` is none, as of an evaluation.
    pub fn all(resolved: &Json) -> Vec<Self> {
        let expected = resolved["expect"].as_object().into_iter().flatten();
        expected
            .filter_map(|(metric, value)| Self::new(metric, value).ok())
            .collect()
    }

    /// Whether `found` lies in `[low, high]`, or within one part in 10^12 of a single value.
    pub fn holds(&self, found: f64) -> bool {
        let slack = if self.low == self.high {
            self.low.abs() * RELATIVE_SLACK
        } else {
            0.0
        };
        (self.low - slack..=self.high + slack).contains(&found)
    }

    /// The value or interval as the suite writes it.
    pub fn to_json(&self) -> Json {
        if self.low == self.high {
            json!(self.low)
        } else {
            json!([self.low, self.high])
        }
    }
}

/// Names of the metrics that can be expected of a suite whose cells report R@K at `cutoffs`.
pub(crate) fn metric_names(cutoffs: &[u64]) -> Vec<String> {
    let mut names = Vec::new();
    for direction in ["t2v", "v2t"] {
        names.extend(cutoffs.iter().map(|k| format!("{direction}.r_at.{k}")));
        names.extend(cutoffs.iter().map(|k| format!("{direction}.recall_at.{k}")));
        names.extend(PLAIN_METRICS.iter().map(|name| format!("{direction}.{name}")));
    }
    names
}

/// Checks a trial's metrics, looked up by dotted name; a metric that the trial lacks is unmet.
pub fn check(expected: &[Expectation], metric: impl Fn(&str) -> Option<f64>) -> Vec<Unmet> {
    expected
        .iter()
        .filter_map(|expectation| {
            let found = metric(&expectation.metric);
            let met = found.is_some_and(|found| expectation.holds(found));
            (!met).then(|| Unmet {
                expected: expectation.clone(),
                found,
            })
        })
        .collect()
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.low == self.high {
            write!(f, "{} = {}", self.metric, self.low)
        } else {
            write!(f, "{} in [{}, {}]", self.metric, self.low, self.high)
        }
    }
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.found {
            Some(found) => write!(f, "expected {}, found {found}", self.expected),
            None => write!(f, "expected {}, found no such metric", self.expected),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_intervals_are_checked() {
        let exact = Expectation::new("t2v.r_at.1", &json!(0.1)).expect("a number");
        let range = Expectation::new("t2v.median_rank", &json!([1, 5])).expect("an interval");
        let lookup = |r1: f64, median: f64| {
            move |name: &str| match name {
                "t2v.r_at.1" => Some(r1),
                "t2v.median_rank" => Some(median),
                _ => None,
            }
        };
        let both = [exact.clone(), range.clone()];
        assert_eq!(check(&both, lookup(0.1, 1.0)), []);
        assert_eq!(check(&both, lookup(0.1 + 1e-15, 5.0)), []);
        let unmet = check(&both, lookup(0.101, 5.5));
        assert_eq!(
            unmet,
            [
                Unmet {
                    expected: exact.clone(),
                    found: Some(0.101)
                },
                Unmet {
                    expected: range,
                    found: Some(5.5)
                }
            ]
        );
        assert_eq!(unmet[0].to_string(), "expected t2v.r_at.1 = 0.1, found 0.101");
        assert_eq!(
            unmet[1].to_string(),
            "expected t2v.median_rank in [1, 5], found 5.5"
        );
        assert_eq!(check(&[exact], |_| Some(f64::NAN)).len(), 1);
    }

    #[test]
    fn an_absent_metric_is_unmet() {
        let expected = [Expectation::new("t2v.map", &json!(0.5)).expect("a number")];
        assert_eq!(
            check(&expected, |_| None)[0].to_string(),
            "expected t2v.map = 0.5, found no such metric"
        );
    }

    #[test]
    fn other_forms_are_refused() {
        for value in [
            json!("high"),
            json!([1]),
            json!([2, 1]),
            json!([1, 2, 3]),
            json!(null),
        ] {
            assert!(Expectation::new("t2v.map", &value).is_err(), "{value}");
        }
    }
}
