//! Ids as the kernels compare them: 32 bits, equal where the originals are.

use std::collections::HashMap;
use std::hash::Hash;

/// What an item without counterpart gets.
const NOBODY: u32 = u32::MAX;

/// The ids of two sides.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SameIds {
    pub(super) left: Vec<u32>,
    pub(super) right: Vec<u32>,
}

impl SameIds {
    /// Numbers the ids of the left side; those of the right side that it does not have match nothing.
    ///
    /// # Panics
    /// Beyond 2^32 - 1 different ids, more than a device's memory has rows.
    pub(super) fn new<T: Copy + Eq + Hash>(left: &[T], right: &[T]) -> Self {
        let mut numbers: HashMap<T, u32> = HashMap::new();
        let left = left
            .iter()
            .map(|id| {
                let next = u32::try_from(numbers.len()).ok().filter(|next| *next != NOBODY);
                *numbers
                    .entry(*id)
                    .or_insert(next.expect("ids are numbered with 32 bits"))
            })
            .collect();
        let right = right
            .iter()
            .map(|id| numbers.get(id).copied().unwrap_or(NOBODY))
            .collect();
        Self { left, right }
    }
}

impl SameIds {
    /// The ids of a batch, at least 0, and of a queue, at least -1, which matches nothing. They stay as they are where
    /// they fit: a queue has many, and they are numbered at every step.
    pub(super) fn of_contrast(batch: &[i64], queue: &[i64]) -> Self {
        let fits = |id: &i64| *id < i64::from(NOBODY);
        if !(batch.iter().all(fits) && queue.iter().all(fits)) {
            return Self::new(batch, queue);
        }
        // -1 becomes NOBODY.
        let narrow = |ids: &[i64]| ids.iter().map(|id| *id as u32).collect();
        Self {
            left: narrow(batch),
            right: narrow(queue),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_agree_where_ids_do() {
        let (left, right) = ([u64::MAX, 7, u64::MAX, 0], [0, 1, u64::MAX, 7, 7]);
        let ids = SameIds::new(&left, &right);
        for (at, a) in left.iter().enumerate() {
            for (other, b) in right.iter().enumerate() {
                assert_eq!(ids.left[at] == ids.right[other], a == b);
            }
        }
        assert_eq!(ids.left[0], ids.left[2]);
    }

    #[test]
    fn ids_of_a_queue_agree_with_those_of_a_batch_whether_they_fit_or_not() {
        let widest = i64::from(u32::MAX);
        for large in [5, widest - 1, widest, widest + 1, i64::MAX] {
            let (batch, queue) = ([0, large, 7], [-1, 7, large, 0, 1]);
            let ids = SameIds::of_contrast(&batch, &queue);
            for (at, a) in batch.iter().enumerate() {
                for (other, b) in queue.iter().enumerate() {
                    assert_eq!(ids.left[at] == ids.right[other], a == b, "{a} and {b}");
                }
            }
        }
    }
}
