//! What a row of a gate compares: its metric, its kind and the loss that it allows.

use std::fmt;
use std::str::FromStr;

use hitbench_kernels::RankCount;
use hitbench_reports::record::{CacheState, Direction};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::metric::{NoRecall, Recall, TieRule};

/// What two sides of a row have in common, and so which test is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RowKind {
    /// The same embeddings, another kernel: the counts of every query must agree.
    Kernel,
    /// The same checkpoint on another path: hits are paired and videos resampled.
    Numeric,
    /// A new training: seeds and videos both vary; at least three seeds a side.
    Retrain,
    /// The same work on the same machine: processes (of a training, seeds) are the samples.
    Throughput,
}

impl RowKind {
    /// The word in files and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Numeric => "numeric",
            Self::Retrain => "retrain",
            Self::Throughput => "throughput",
        }
    }
}

/// A number that a gate can hold against a baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GateMetric {
    /// The counts of each query, `t2v.counts`.
    Counts(Direction),
    /// R@K, `t2v.r_at.1`.
    RAt(Direction, u64),
    /// Mean reciprocal rank, `t2v.mrr`.
    Mrr(Direction),
    /// MnR, `t2v.mean_rank`; smaller is better.
    MeanRank(Direction),
    /// Pairs trained a second, `train.pairs_per_s`.
    PairsPerS,
    /// Items of a kernel's work a second, `warm.items_per_s`, `cold.items_per_s` or `transfer.items_per_s`.
    ItemsPerS(CacheState),
}

/// What one query adds to a metric.
pub type OfQuery = Box<dyn Fn(&RankCount) -> f64>;

impl GateMetric {
    /// Names, for messages; `K` stands for a cut-off.
    pub const FORMS: [&'static str; 12] = [
        "t2v.r_at.K",
        "v2t.r_at.K",
        "t2v.mrr",
        "v2t.mrr",
        "t2v.mean_rank",
        "v2t.mean_rank",
        "t2v.counts",
        "v2t.counts",
        "train.pairs_per_s",
        "warm.items_per_s",
        "cold.items_per_s",
        "transfer.items_per_s",
    ];

    /// Whether rows of `kind` can compare it.
    pub fn fits(self, kind: RowKind) -> bool {
        match self {
            Self::Counts(_) => kind == RowKind::Kernel,
            Self::RAt(..) | Self::Mrr(_) | Self::MeanRank(_) => {
                matches!(kind, RowKind::Numeric | RowKind::Retrain)
            }
            Self::PairsPerS | Self::ItemsPerS(_) => kind == RowKind::Throughput,
        }
    }

    /// Direction of retrieval, of those that have one.
    pub fn direction(self) -> Option<Direction> {
        match self {
            Self::Counts(direction)
            | Self::RAt(direction, _)
            | Self::Mrr(direction)
            | Self::MeanRank(direction) => Some(direction),
            Self::PairsPerS | Self::ItemsPerS(_) => None,
        }
    }

    /// Whether it is a share, which margins in points are for.
    pub fn is_share(self) -> bool {
        matches!(self, Self::RAt(..) | Self::Mrr(_))
    }

    /// Whether a larger value is better.
    pub fn larger_is_better(self) -> bool {
        !matches!(self, Self::MeanRank(_))
    }

    /// The sum over all that a query counts as, of what the metric is the mean of; `None` for what is no mean over
    /// queries.
    pub fn of_query(self, ties: TieRule) -> Option<OfQuery> {
        match self {
            Self::RAt(_, k) => Some(Box::new(move |count| ties.hits(count, k))),
            Self::Mrr(_) => Some(Box::new(move |count| ties.gain(count, |rank| 1.0 / rank))),
            Self::MeanRank(_) => Some(Box::new(move |count| {
                ties.rank(count) * ties.weight(count) as f64
            })),
            Self::Counts(_) | Self::PairsPerS | Self::ItemsPerS(_) => None,
        }
    }
}

impl fmt::Display for GateMetric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Counts(direction) => write!(f, "{direction}.counts"),
            Self::RAt(direction, k) => Recall { direction, k }.fmt(f),
            Self::Mrr(direction) => write!(f, "{direction}.mrr"),
            Self::MeanRank(direction) => write!(f, "{direction}.mean_rank"),
            Self::PairsPerS => f.write_str("train.pairs_per_s"),
            Self::ItemsPerS(cache) => write!(f, "{}.items_per_s", cache.name()),
        }
    }
}

/// Not a metric of a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a metric of a gate")]
pub struct NoMetric;

impl FromStr for GateMetric {
    type Err = NoMetric;

    fn from_str(text: &str) -> Result<Self, NoMetric> {
        let (group, name) = text.split_once('.').ok_or(NoMetric)?;
        match (group, name) {
            ("train", "pairs_per_s") => return Ok(Self::PairsPerS),
            (group, "items_per_s") => {
                let named = CacheState::ALL.into_iter().find(|state| state.name() == group);
                return named.map(Self::ItemsPerS).ok_or(NoMetric);
            }
            _ => {}
        }
        let direction = Direction::named(group).ok_or(NoMetric)?;
        match name {
            "counts" => Ok(Self::Counts(direction)),
            "mrr" => Ok(Self::Mrr(direction)),
            "mean_rank" => Ok(Self::MeanRank(direction)),
            _ => match text.parse() {
                Ok(Recall { direction, k }) => Ok(Self::RAt(direction, k)),
                Err(NoRecall) => Err(NoMetric),
            },
        }
    }
}

impl Serialize for GateMetric {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The loss that a row allows, above 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Margin {
    /// Of a share, in percentage points: `1.0pt`.
    Points(f64),
    /// Of the baseline's value, in per cent: `5%`.
    Percent(f64),
}

impl fmt::Display for Margin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Points(points) => write!(f, "{points}pt"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

/// Not a margin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("points such as `1.0pt` or per cent such as `5%`, above 0 and below 100")]
pub struct NoMargin;

impl FromStr for Margin {
    type Err = NoMargin;

    fn from_str(text: &str) -> Result<Self, NoMargin> {
        let number = |text: &str| {
            let number: f64 = text.trim_end().parse().ok()?;
            (number > 0.0 && number < 100.0).then_some(number)
        };
        let points = text.strip_suffix("pt").map(|text| number(text).map(Self::Points));
        let percent = text.strip_suffix('%').map(|text| number(text).map(Self::Percent));
        points.or(percent).flatten().ok_or(NoMargin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for form in GateMetric::FORMS {
            let name = form.replace('K', "10");
            assert_eq!(name.parse::<GateMetric>().unwrap().to_string(), name);
        }
        for name in [
            "t2v",
            "t2v.r_at.0",
            "t2v.r_at.x",
            "x2v.mrr",
            "t2v.median_rank",
            "warm.time",
        ] {
            assert_eq!(name.parse::<GateMetric>(), Err(NoMetric), "{name}");
        }
    }

    #[test]
    fn every_metric_has_a_kind() {
        let kinds = [
            RowKind::Kernel,
            RowKind::Numeric,
            RowKind::Retrain,
            RowKind::Throughput,
        ];
        let fitting = |name: &str| -> Vec<RowKind> {
            let metric: GateMetric = name.parse().unwrap();
            kinds.into_iter().filter(|kind| metric.fits(*kind)).collect()
        };
        assert_eq!(fitting("v2t.counts"), [RowKind::Kernel]);
        assert_eq!(fitting("t2v.mean_rank"), [RowKind::Numeric, RowKind::Retrain]);
        assert_eq!(fitting("cold.items_per_s"), [RowKind::Throughput]);
    }

    #[test]
    fn margins_have_a_unit() {
        assert_eq!("1.0pt".parse(), Ok(Margin::Points(1.0)));
        assert_eq!("5 %".parse(), Ok(Margin::Percent(5.0)));
        assert_eq!(Margin::Percent(2.5).to_string(), "2.5%");
        for bad in ["1", "0%", "-1pt", "pt", "100%", "nan%", "1 pp"] {
            assert_eq!(bad.parse::<Margin>(), Err(NoMargin), "{bad}");
        }
    }
}
