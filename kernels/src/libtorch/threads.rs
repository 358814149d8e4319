//! How many CPU threads libtorch uses.

/// Uses `threads` CPU threads (at least one) for what the calling thread asks of libtorch from now on.
pub fn use_threads(threads: usize) {
    tch::set_num_threads(i32::try_from(threads.max(1)).unwrap_or(i32::MAX));
}
