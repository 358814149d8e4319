//! What ranking is made of: counts against each query's best true item.
//!
//! Scores are dot products of the rows as given. No back end sorts a row of scores or holds the whole matrix.
//! Ranks, recalls and tie rules are made from these counts elsewhere.

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
}

/// Which pairs show the same thing although they are not each other's true items.
///
/// A pair whose ids agree takes no part in any count, unless it is a true pair of the direction counted.
#[derive(Debug, Clone, Copy)]
pub struct PairIds<'a> {
    /// One id a query row.
    pub query: &'a [u64],
    /// One id a gallery row.
    pub gallery: &'a [u64],
}

/// What to count.
#[derive(Debug, Clone, Copy)]
pub struct RankJob<'a> {
    /// Query rows `[n_queries, dim]`.
    pub query: Rows<'a>,
    /// Gallery rows `[n_gallery, dim]`.
    pub gallery: Rows<'a>,
    /// The true gallery items of each query.
    pub t2v: &'a TrueItems,
    /// The true query rows of each gallery item, when the other direction is asked for too. Each gallery item
    /// is then a query over the `n_queries` query rows, and both directions share one pass over the products.
    pub v2t: Option<&'a TrueItems>,
    /// Pairs to leave out.
    pub ids: Option<PairIds<'a>>,
}

/// Counts of one [`RankJob`].
#[derive(Debug, Clone, PartialEq)]
pub struct RankOutput {
    /// One count a query row.
    pub t2v: Vec<RankCount>,
    /// One count a gallery row, if the job asked for that direction.
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
    /// [`KernelError::DimMismatch`] and [`KernelError::Length`] when shapes disagree, [`KernelError::NotFinite`]
    /// for NaN or infinity, [`KernelError::Overflow`] for an element that the kernel's type cannot hold, and
    /// [`KernelError::ScoreRange`] when rows are so long that a score might not be finite.
    fn rank_counts(&self, job: &RankJob<'_>) -> Result<RankOutput, KernelError>;
}

impl RankJob<'_> {
    /// Checks that all shapes agree.
    ///
    /// # Errors
    /// [`KernelError::DimMismatch`] or [`KernelError::Length`].
    pub fn check_shapes(&self) -> Result<(), KernelError> {
        let (n_queries, n_gallery) = (self.query.n_rows(), self.gallery.n_rows());
        if self.query.dim() != self.gallery.dim() {
            return Err(KernelError::DimMismatch {
                query: self.query.dim(),
                gallery: self.gallery.dim(),
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
}
