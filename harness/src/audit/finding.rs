//! How findings are counted and exemplified.

use serde::Serialize;

/// Examples of each finding, and ids of each example.
const NAMED: usize = 5;

/// Items with one property.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// How many have it.
    pub n: usize,
    /// Of how many.
    pub of: usize,
    /// `n / of`.
    pub share: f64,
    /// Ids of the first five.
    pub first: Vec<String>,
}

/// Items that are alike, in groups of at least two.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GroupFinding {
    /// How many items are in a group.
    pub n: usize,
    /// Of how many.
    pub of: usize,
    /// `n / of`.
    pub share: f64,
    /// Number of groups.
    pub n_groups: usize,
    /// The first five groups.
    pub first: Vec<Group>,
}

/// One group of items that are alike.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Group {
    /// Number of items.
    pub n: usize,
    /// Ids of the first five.
    pub ids: Vec<String>,
    /// The caption that they share, where that is what makes them alike.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caption: Option<String>,
}

/// Rows that point in nearly the same direction, in groups that pairs of them chain together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NearFinding {
    /// Least cosine of a pair.
    pub cosine: f64,
    /// Number of pairs.
    pub n_pairs: u64,
    /// The groups.
    #[serde(flatten)]
    pub groups: GroupFinding,
}

/// Rows that hold NaN or infinity.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BadRows {
    /// Number of rows.
    pub n: usize,
    /// Of how many.
    pub of: usize,
    /// `n / of`.
    pub share: f64,
    /// Number of values.
    pub n_values: usize,
    /// The first such value of each of the first five rows.
    pub first: Vec<BadValue>,
}

/// One value that is not finite.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BadValue {
    /// Id of the row.
    pub id: String,
    /// Row, from 0.
    pub row: usize,
    /// Column, from 0.
    pub column: usize,
    /// `NaN`, `inf` or `-inf`.
    pub value: String,
}

/// `n / of`, and 0 of nothing.
pub(super) fn share(n: usize, of: usize) -> f64 {
    if of == 0 { 0.0 } else { n as f64 / of as f64 }
}

/// The first few of a list, ready to be named.
pub(super) fn first_of<T>(all: &[T]) -> &[T] {
    &all[..all.len().min(NAMED)]
}

impl Finding {
    /// The items at `places` among `of`, called by `id`.
    pub(super) fn new(places: &[u32], of: usize, id: impl Fn(u32) -> String) -> Self {
        Self {
            n: places.len(),
            of,
            share: share(places.len(), of),
            first: first_of(places).iter().map(|&place| id(place)).collect(),
        }
    }
}

impl GroupFinding {
    /// Groups of items, by place among `of`; an item is called by `id`, a group may share a caption.
    pub(super) fn new(
        groups: &[Vec<u32>],
        of: usize,
        id: impl Fn(u32) -> String,
        caption: impl Fn(&[u32]) -> Option<String>,
    ) -> Self {
        let n = groups.iter().map(Vec::len).sum();
        let example = |group: &Vec<u32>| Group {
            n: group.len(),
            ids: first_of(group).iter().map(|&place| id(place)).collect(),
            caption: caption(group),
        };
        Self {
            n,
            of,
            share: share(n, of),
            n_groups: groups.len(),
            first: first_of(groups).iter().map(example).collect(),
        }
    }
}
