//! What ranking is made of: counts against each query's best true item.

use crate::KernelError;

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
