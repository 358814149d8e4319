//! What every kernel is.

use crate::{HeldRows, KernelError, KernelId, Rows};

/// A kernel of one back end; its operations are the traits that have this one as their base.
pub trait Kernel: Send + Sync {
    /// The concrete id, never `auto`.
    fn id(&self) -> KernelId;

    /// Keeps rows in the memory of the device until the returned value is dropped: calls of `rank_counts`, `scores`,
    /// `top_k` and `info_nce` with the very same rows find them checked and copied. A kernel that computes in the memory
    /// of the host has nothing to keep. All rows are checked here, in the kernel's element type, also those that a call
    /// would leave out. A value that is leaked keeps the rows for good: what lies at their place later is not looked at.
    ///
    /// # Errors
    /// [`KernelError::NotFinite`] or [`KernelError::Overflow`] for bad elements, and what the device refuses.
    fn hold<'a>(&self, _rows: Rows<'a>) -> Result<HeldRows<'a>, KernelError> {
        Ok(HeldRows::default())
    }
}
