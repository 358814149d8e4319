//! NumPy's `RandomState`, for picks that published loaders make with it.

use rand_mt::Mt;

/// The generator of `numpy.random.RandomState(seed)`: MT19937, integers by masked rejection.
pub(crate) struct RandomState(Mt);

impl RandomState {
    /// The generator of this seed.
    pub(crate) fn new(seed: u32) -> Self {
        Self(Mt::new(seed))
    }

    /// Uniform in `0..=max`, as NumPy's `random_interval` draws it.
    fn up_to(&mut self, max: u32) -> u32 {
        let mask = max.checked_ilog2().map_or(0, |bits| u32::MAX >> (31 - bits));
        loop {
            // A range of one value takes no draw.
            let value = if mask == 0 { 0 } else { self.0.next_u32() & mask };
            if value <= max {
                return value;
            }
        }
    }

    /// `RandomState.shuffle` of a list.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.up_to(u32::try_from(last).expect("nothing shuffled has 2^32 members"));
            items.swap(last, other as usize);
        }
    }

    /// `sorted(RandomState.choice(n, k, replace=False))`; all of `0..n` when `k >= n`.
    pub(crate) fn subset(&mut self, n: usize, k: usize) -> Vec<u32> {
        let mut all: Vec<u32> = (0..n as u32).collect();
        if k < n {
            self.shuffle(&mut all);
            all.truncate(k);
            all.sort_unstable();
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::Value;

    use super::*;

    #[test]
    fn picks_are_those_of_numpy() {
        // numpy.sort(numpy.random.RandomState(0).choice(12, 4, replace=False)), NumPy 1.26.
        assert_eq!(RandomState::new(0).subset(12, 4), [4, 6, 10, 11]);
        assert_eq!(RandomState::new(0).subset(3, 3), [0, 1, 2]);
        assert_eq!(RandomState::new(0).subset(0, 3), [0u32; 0]);
    }

    #[test]
    fn picks_and_shuffles_of_mmt_are_the_golden_ones() {
        let Some(path) = hitbench_tests::test_data("derived/mmt_randomstate_golden.json") else {
            return;
        };
        let text = std::fs::read_to_string(path).expect("the golden file can be read");
        let golden: Value = serde_json::from_str(&text).expect("the golden file is JSON");
        let mut n_checked = 0;
        let by_limit = golden["choice_RandomState0_sorted"].as_object().expect("a map");
        for (limit, by_length) in by_limit {
            let picks: BTreeMap<String, Vec<u32>> =
                serde_json::from_value(by_length.clone()).expect("lists of rows");
            for (length, pick) in picks {
                let parse = |text: &str| text.parse::<usize>().expect("a number");
                assert_eq!(
                    RandomState::new(0).subset(parse(&length), parse(limit)),
                    pick,
                    "{limit} of {length}"
                );
                n_checked += 1;
            }
        }
        assert!(n_checked > 50, "{n_checked} picks checked");
        for n in [10u32, 1000, 9000, 10_009] {
            let mut list: Vec<u32> = (0..n).collect();
            RandomState::new(0).shuffle(&mut list);
            let golden = &golden[format!("shuffle_RandomState0_list{n}")];
            let ends = |key: &str| -> Vec<u32> {
                serde_json::from_value(golden[key].clone()).expect("a list of numbers")
            };
            assert!(
                list.starts_with(&ends("head")) && list.ends_with(&ends("tail")),
                "{n}"
            );
        }
    }
}
