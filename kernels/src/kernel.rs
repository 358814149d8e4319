//! What every kernel is.

use crate::KernelId;

/// A kernel of one back end; its operations are the traits that have this one as their base.
pub trait Kernel: Send + Sync {
    /// The concrete id, never `auto`.
    fn id(&self) -> KernelId;
}
