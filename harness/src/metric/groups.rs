//! Items that belong together, found pair by pair.

/// A partition of `0..n` that only grows coarser (union-find). The smallest item of a group stands for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Groups {
    /// An item of the same group that is not larger; the item itself where it stands for its group.
    towards: Vec<u32>,
}

impl Groups {
    /// Every item alone.
    ///
    /// # Panics
    /// For more items than 32 bits can number.
    pub fn new(n: usize) -> Self {
        let n = u32::try_from(n).expect("items are numbered in 32 bits");
        Self {
            towards: (0..n).collect(),
        }
    }

    /// Number of items.
    pub fn n_items(&self) -> usize {
        self.towards.len()
    }

    /// The smallest item of the group of every item.
    pub fn firsts(&self) -> Vec<u32> {
        let mut firsts: Vec<u32> = Vec::with_capacity(self.n_items());
        for (item, &towards) in (0u32..).zip(&self.towards) {
            // What lies nearer to the group's first is smaller, and known by now.
            firsts.push(if towards == item {
                item
            } else {
                firsts[towards as usize]
            });
        }
        firsts
    }

    /// Makes the groups of two items one.
    ///
    /// # Panics
    /// When there is no such item.
    pub fn join(&mut self, a: u32, b: u32) {
        let (a, b) = (self.shortened(a), self.shortened(b));
        self.towards[a.max(b) as usize] = a.min(b);
    }

    /// The smallest item of the group of `item`; halves the way there.
    fn shortened(&mut self, item: u32) -> u32 {
        let mut item = item;
        while self.towards[item as usize] != item {
            let next = self.towards[item as usize];
            self.towards[item as usize] = self.towards[next as usize];
            item = next;
        }
        item
    }

    /// The members of each group, ascending, at the place of its smallest; nothing at other places.
    pub fn members(&self) -> Vec<Vec<u32>> {
        let mut members = vec![Vec::new(); self.n_items()];
        for (item, first) in (0u32..).zip(self.firsts()) {
            members[first as usize].push(item);
        }
        members
    }

    /// The groups of at least two items, ascending by their smallest.
    pub fn several(&self) -> Vec<Vec<u32>> {
        let mut members = self.members();
        members.retain(|group| group.len() > 1);
        members
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pairs_chain_into_groups() {
        let mut groups = Groups::new(6);
        assert_eq!(groups.several(), Vec::<Vec<u32>>::new());
        groups.join(5, 3);
        groups.join(1, 4);
        groups.join(3, 4);
        groups.join(4, 3);
        assert_eq!(groups.several(), [[1, 3, 4, 5]]);
        assert_eq!(groups.firsts(), [0, 1, 2, 1, 1, 1]);
        assert_eq!(groups.members()[2], [2]);
        assert_eq!(Groups::new(0).several(), Vec::<Vec<u32>>::new());
    }

    proptest! {
        #[test]
        fn a_group_is_what_pairs_reach(pairs in prop::collection::vec((0u32..12, 0u32..12), 0..14)) {
            let mut groups = Groups::new(12);
            let mut label: Vec<u32> = (0..12).collect();
            for &(a, b) in &pairs {
                groups.join(a, b);
                let (low, high) = (label[a as usize].min(label[b as usize]), label[a as usize].max(label[b as usize]));
                for label in &mut label {
                    if *label == high {
                        *label = low;
                    }
                }
            }
            prop_assert_eq!(groups.firsts(), label);
        }
    }
}
