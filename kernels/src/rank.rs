//! What ranking is made of: counts against each query's best true item.
//!
//! Scores are dot products of the rows as given. No back end sorts a row of scores or holds the whole matrix.
//! Ranks, recalls and tie rules are made from these counts elsewhere.

use std::ops::Range;

use crate::kernel::Kernel;
use crate::{KernelError, Rows};

/// Counts of one query over a gallery, with `s*` the best score among its true items.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RankCount {
    /// Gallery items that score above `s*`.
    pub greater: u64,
    /// Gallery items that score exactly `s*`, the true one included.
    pub equal: u64,
    /// How many of `equal` are true items of this query.
    pub own_equal: u64,
    /// `s*`, widened from the kernel's score type.
    pub score: f64,
}

/// Each query's true gallery items, at least one a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrueItems {
    offsets: Vec<usize>,
    items: Vec<u32>,
    n_gallery: usize,
}

impl TrueItems {
    /// Builds the table from one list of gallery indices a query.
    ///
    /// # Errors
    /// [`KernelError::TrueItem`] for an empty list, an index outside `0..n_gallery`, or a repeated index.
    pub fn from_lists<I, L>(n_gallery: usize, lists: I) -> Result<Self, KernelError>
    where
        I: IntoIterator<Item = L>,
        L: IntoIterator<Item = u32>,
    {
        let mut offsets = vec![0];
        let mut items: Vec<u32> = Vec::new();
        for (query, list) in lists.into_iter().enumerate() {
            let start = items.len();
            items.extend(list);
            let own = &mut items[start..];
            own.sort_unstable();
            let problem = if own.is_empty() {
                Some("has no true item".to_owned())
            } else if let Some(pair) = own.windows(2).find(|pair| pair[0] == pair[1]) {
                Some(format!("true item {} is listed twice", pair[0]))
            } else {
                own.last()
                    .filter(|&&last| last as usize >= n_gallery)
                    .map(|last| format!("true item {last} is outside the gallery of {n_gallery}"))
            };
            if let Some(problem) = problem {
                return Err(KernelError::TrueItem { query, problem });
            }
            offsets.push(items.len());
        }
        Ok(Self {
            offsets,
            items,
            n_gallery,
        })
    }

    /// Number of queries.
    pub fn n_queries(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Size of the gallery that the indices point into.
    pub fn n_gallery(&self) -> usize {
        self.n_gallery
    }

    /// The true items of `query`, ascending, never empty.
    pub fn of(&self, query: usize) -> &[u32] {
        &self.items[self.offsets[query]..self.offsets[query + 1]]
    }

    /// The items outside `part` that are true for some query, ascending, each once.
    pub(crate) fn outside(&self, part: &Range<usize>) -> Vec<u32> {
        let outside = |item: &&u32| !part.contains(&(**item as usize));
        let mut items: Vec<u32> = self.items.iter().filter(outside).copied().collect();
        items.sort_unstable();
        items.dedup();
        items
    }
}

/// Which pairs show the same thing although they are not each other's true items.
///
/// A pair whose ids agree takes no part in any count, unless it is a true pair of the direction counted.
#[derive(Debug, Clone, Copy)]
pub struct PairIds<'a> {
    /// One id a query.
    pub query: &'a [u64],
    /// One id a gallery row.
    pub gallery: &'a [u64],
}

/// What to count. [`RankJob::new`] asks for one direction, of all rows.
#[derive(Debug, Clone)]
pub struct RankJob<'a> {
    /// Rows `[n_rows, dim]` of the query side.
    pub query: Rows<'a>,
    /// The rows of `query` that are queries, in this order; all rows where there is no list. The others are not
    /// read. Everything else counts queries by their place here: `n_queries` is the length of the list.
    pub chosen: Option<&'a [u32]>,
    /// Gallery rows `[n_gallery, dim]`.
    pub gallery: Rows<'a>,
    /// The gallery rows that are counted: counts of the parts of a gallery add up to those of the whole. True items
    /// may lie anywhere in the gallery. Rows that are neither in the part nor true for a query need not be read.
    pub part: Range<usize>,
    /// The true gallery items of each query.
    pub t2v: &'a TrueItems,
    /// The true queries of each gallery item, of those outside the part too, when the other direction is asked for.
    /// Each gallery item of the part is then a query over the `n_queries` queries, and both directions share one
    /// pass over the products.
    pub v2t: Option<&'a TrueItems>,
    /// Pairs to leave out.
    pub ids: Option<PairIds<'a>>,
}

/// Counts of one [`RankJob`].
#[derive(Debug, Clone, PartialEq)]
pub struct RankOutput {
    /// One count a query. `score` and `own_equal` are those of the whole gallery, `greater` and `equal` count items of
    /// the part only, so that a true item at `s*` is among the `equal` of the part that holds it.
    pub t2v: Vec<RankCount>,
    /// One count a gallery row of the part, over all queries, if the job asked for that direction.
    pub v2t: Option<Vec<RankCount>>,
}

/// Counts how many gallery items score above, and equal to, each query's best true item.
pub trait RankCounts: Kernel {
    /// Counts `job`.
    ///
    /// The score of a pair is a pure function of its two rows: it does not depend on where the pair lies, on the
    /// number of rows or on the number of threads (libtorch back ends cannot promise this). Counts compare
    /// scores of the kernel's own type with `==` and `>`.
    ///
    /// # Errors
    /// As [`RankJob::check_shapes`]; of the rows that are read, [`KernelError::NotFinite`] for NaN or infinity,
    /// [`KernelError::Overflow`] for an element that the kernel's type cannot hold, and
    /// [`KernelError::ScoreRange`] when they are so long that a score might not be finite.
    fn rank_counts(&self, job: &RankJob<'_>) -> Result<RankOutput, KernelError>;
}

impl<'a> RankJob<'a> {
    /// Every row of `query` against the whole gallery, in one direction.
    #[must_use]
    pub fn new(query: Rows<'a>, gallery: Rows<'a>, t2v: &'a TrueItems) -> Self {
        Self {
            query,
            chosen: None,
            gallery,
            part: 0..gallery.n_rows(),
            t2v,
            v2t: None,
            ids: None,
        }
    }

    /// Number of queries.
    pub fn n_queries(&self) -> usize {
        self.chosen.map_or(self.query.n_rows(), <[u32]>::len)
    }

    /// Checks that all shapes agree.
    ///
    /// # Errors
    /// [`KernelError::DimMismatch`] or [`KernelError::Length`]; [`KernelError::Argument`] for a part outside the
    /// gallery, or a chosen row outside the query side.
    pub fn check_shapes(&self) -> Result<(), KernelError> {
        let (n_queries, n_gallery) = (self.n_queries(), self.gallery.n_rows());
        if self.query.dim() != self.gallery.dim() {
            return Err(KernelError::DimMismatch {
                query: self.query.dim(),
                gallery: self.gallery.dim(),
            });
        }
        if self.part.start > self.part.end || self.part.end > n_gallery {
            return Err(KernelError::Argument {
                name: "part",
                problem: format!("{:?} is no range of the {n_gallery} gallery rows", self.part),
            });
        }
        let n_rows = self.query.n_rows();
        let mut chosen = self.chosen.unwrap_or_default().iter();
        if let Some(row) = chosen.find(|row| **row as usize >= n_rows) {
            return Err(KernelError::Argument {
                name: "chosen",
                problem: format!("holds row {row}, the query side has {n_rows} rows"),
            });
        }
        let mut sizes = vec![
            ("t2v true items", n_queries, self.t2v.n_queries()),
            ("gallery of the t2v true items", n_gallery, self.t2v.n_gallery()),
        ];
        if let Some(v2t) = self.v2t {
            sizes.push(("v2t true items", n_gallery, v2t.n_queries()));
            sizes.push(("gallery of the v2t true items", n_queries, v2t.n_gallery()));
        }
        if let Some(ids) = self.ids {
            sizes.push(("query ids", n_queries, ids.query.len()));
            sizes.push(("gallery ids", n_gallery, ids.gallery.len()));
        }
        for (what, expected, found) in sizes {
            if expected != found {
                return Err(KernelError::Length {
                    what,
                    expected,
                    found,
                });
            }
        }
        Ok(())
    }

    /// The queries over the part of the gallery.
    pub(crate) fn t2v_direction(&self) -> Direction<'a> {
        Direction {
            query: Side {
                rows: self.query,
                chosen: self.chosen,
            },
            gallery: Side::all(self.gallery),
            own: self.t2v,
            ids: self.ids,
            asking: 0..self.n_queries(),
            counted: self.part.clone(),
        }
    }

    /// The part of the gallery over the queries, if that is asked for.
    pub(crate) fn v2t_direction(&self) -> Option<Direction<'a>> {
        let t2v = self.t2v_direction();
        self.v2t.map(|own| Direction {
            query: t2v.gallery,
            gallery: t2v.query,
            own,
            ids: self.ids.map(|ids| PairIds {
                query: ids.gallery,
                gallery: ids.query,
            }),
            asking: t2v.counted,
            counted: t2v.asking,
        })
    }
}

/// Rows of one side, and which of them its items are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Side<'a> {
    pub(crate) rows: Rows<'a>,
    chosen: Option<&'a [u32]>,
}

impl<'a> Side<'a> {
    /// Every row is an item.
    pub(crate) fn all(rows: Rows<'a>) -> Self {
        Self { rows, chosen: None }
    }

    /// Number of items.
    pub(crate) fn len(&self) -> usize {
        self.chosen.map_or(self.rows.n_rows(), <[u32]>::len)
    }

    /// The rows, where every row is an item.
    pub(crate) fn whole(&self) -> Option<Rows<'a>> {
        self.chosen.is_none().then_some(self.rows)
    }

    /// The row of an item.
    pub(crate) fn row(&self, item: usize) -> usize {
        self.chosen.map_or(item, |chosen| chosen[item] as usize)
    }
}

/// One direction of a job: whoever asks is the query side here.
#[derive(Debug, Clone)]
pub(crate) struct Direction<'a> {
    pub(crate) query: Side<'a>,
    pub(crate) gallery: Side<'a>,
    /// True gallery items of all items of the query side.
    pub(crate) own: &'a TrueItems,
    /// Of all items of both sides.
    pub(crate) ids: Option<PairIds<'a>>,
    /// Items of the query side that ask.
    pub(crate) asking: Range<usize>,
    /// Items of the gallery side that are counted.
    pub(crate) counted: Range<usize>,
}

impl Direction<'_> {
    /// The count of a query whose true items were not met yet.
    pub(crate) const UNMET: RankCount = RankCount {
        greater: 0,
        equal: 0,
        own_equal: 0,
        score: f64::NEG_INFINITY,
    };

    /// Takes in the score of a true item. Once all are met, the count holds the best true score, how many true items
    /// have it, and as `equal` those of them that are to be counted and that the pass over all pairs leaves out because
    /// of their ids.
    pub(crate) fn meet(&self, count: &mut RankCount, query: usize, item: usize, score: f32) {
        let score = f64::from(score);
        if score > count.score {
            *count = RankCount { score, ..Self::UNMET };
        }
        if score == count.score {
            let left_out = self.counted.contains(&item) && self.same_id(query, item);
            count.own_equal += 1;
            count.equal += u64::from(left_out);
        }
    }

    /// Whether the ids of a pair agree.
    pub(crate) fn same_id(&self, query: usize, item: usize) -> bool {
        self.ids.is_some_and(|ids| ids.query[query] == ids.gallery[item])
    }
}
