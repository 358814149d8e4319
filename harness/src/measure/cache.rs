//! The caches of this machine: their size, and pushing everything out of them.

use std::fs;
use std::hint::black_box;

/// Size of the last level where the system does not tell.
const DEFAULT_BYTES: u64 = 64 << 20;
/// Memory read to push everything out, as a multiple of the last level.
const FACTOR: u64 = 4;
/// Most memory that is read: more than the caches of any machine that shares them among its cores.
const MOST_BYTES: u64 = 1 << 30;
const CPU0_CACHES: &str = "/sys/devices/system/cpu/cpu0/cache";

/// Bytes of the largest cache of the first core.
pub(super) fn last_level_bytes() -> u64 {
    let sizes = fs::read_dir(CPU0_CACHES).into_iter().flatten().flatten();
    let sizes = sizes.filter_map(|index| parse_size(&fs::read_to_string(index.path().join("size")).ok()?));
    sizes.max().unwrap_or(DEFAULT_BYTES)
}

/// `32768K` in bytes.
fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.trim_end_matches(['K', 'M']);
    let unit = match &text[digits.len()..] {
        "" => 1,
        "K" => 1 << 10,
        "M" => 1 << 20,
        _ => return None,
    };
    Some(digits.parse::<u64>().ok()? * unit)
}

/// Words of a cache line; one read brings all of them.
const LINE: usize = 8;

/// Memory to read instead of what a kernel works on.
pub(super) struct Evictor {
    block: Vec<u64>,
}

impl Evictor {
    /// Four times the last level, touched.
    pub(super) fn new() -> Self {
        let bytes = (FACTOR * last_level_bytes()).min(MOST_BYTES);
        Self {
            block: vec![1; (bytes / 8) as usize],
        }
    }

    /// Reads the block on every thread of the pool that this is called in, each with the caches of its core.
    pub(super) fn evict(&self) {
        rayon::broadcast(|_| black_box(self.block.iter().step_by(LINE).sum::<u64>()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_the_system_writes_them() {
        assert_eq!(parse_size("32768K\n"), Some(32 << 20));
        assert_eq!(parse_size("2M"), Some(2 << 20));
        assert_eq!(parse_size("512"), Some(512));
        assert_eq!(parse_size("big"), None);
        assert!(last_level_bytes() >= 1 << 15);
    }
}
