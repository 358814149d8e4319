//! An allocator that counts the heap of the whole process.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Bytes held now.
static HELD: AtomicUsize = AtomicUsize::new(0);
/// Most bytes held since the last [`peak_above_now`] began.
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, counting.
pub(crate) struct Counting;

fn took(size: usize) {
    let held = HELD.fetch_add(size, Relaxed) + size;
    PEAK.fetch_max(held, Relaxed);
}

// SAFETY: every call goes to `System` with the arguments as they came, so that its promises are this one's; counting
// touches two atomics only and allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        took(layout.size());
        // SAFETY: the caller's promises about `layout` are those that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        took(layout.size());
        // SAFETY: as in `alloc`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller got `pointer` from this allocator with `layout`, and so from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // The old block and the new one may exist side by side while the contents move.
        took(new_size);
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as in `dealloc`; the caller's promises about `new_size` are those that `System` asks for.
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}

/// Runs `work` and gives its result with the most bytes that the process held at one time meanwhile, beyond what it
/// held before. Right only while no other test runs in this process.
pub(crate) fn peak_above_now<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = HELD.load(Relaxed);
    PEAK.store(before, Relaxed);
    let result = work();
    (result, PEAK.load(Relaxed).saturating_sub(before))
}
