//! R@K of one direction, by its name in suites, policies and records.

use std::fmt;
use std::str::FromStr;

use super::Direction;

/// R@K of one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Recall {
    /// Direction of retrieval.
    pub direction: Direction,
    /// The cut-off, from 1.
    pub k: u64,
}

/// No name of an R@K.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not `t2v.r_at.K` or `v2t.r_at.K`")]
pub struct NoRecall;

impl FromStr for Recall {
    type Err = NoRecall;

    /// `t2v.r_at.10`, as it is displayed.
    fn from_str(text: &str) -> Result<Self, NoRecall> {
        let (name, k) = text.split_once(".r_at.").ok_or(NoRecall)?;
        match (Direction::named(name), k.parse()) {
            (Some(direction), Ok(k)) if k > 0 => Ok(Self { direction, k }),
            _ => Err(NoRecall),
        }
    }
}

impl fmt::Display for Recall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.r_at.{}", self.direction, self.k)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_as_they_are_read() {
        for text in ["t2v.r_at.1", "v2t.r_at.50"] {
            assert_eq!(
                text.parse::<Recall>().map(|it| it.to_string()),
                Ok(text.to_owned())
            );
        }
        for text in [
            "",
            "t2v.r_at.",
            "t2v.r_at.0",
            "t2v.r_at.x",
            "r_at.1",
            "i2t.r_at.1",
            "t2v.mrr",
        ] {
            assert_eq!(text.parse::<Recall>(), Err(NoRecall), "{text}");
        }
    }
}
