//! The C heap, from which libtorch takes its CPU tensors.

/// Lets the C heap keep what is freed instead of handing it back to the system.
///
/// A training step frees all its activations and needs the same amount a moment later. By default glibc gives
/// the end of the heap back each time, and the system clears every page again: a tenth of a small step. Blocks
/// above 32 MiB, the most that glibc allows here, still go back. Does nothing with other C libraries.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        const LARGEST_HEAP_BLOCK: libc::c_int = 32 << 20;
        // SAFETY: `mallopt` has no precondition: it takes two numbers, does its own locking and refuses values
        // out of range by its result, which then leaves the heap as it was.
        let _ = unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, LARGEST_HEAP_BLOCK) };
        // SAFETY: as above.
        let _ = unsafe { libc::mallopt(libc::M_TRIM_THRESHOLD, libc::c_int::MAX) };
    }
}
