//! Upkeep of momentum contrast: key encoders that follow, queues that are written round and round.

use half::f16;

use crate::kernel::Kernel;
use crate::scores::check_len;
use crate::{Dtype, KernelError, Rows, RowsData};

/// A tensor of the key encoder and its counterpart.
#[derive(Debug)]
pub struct EmaPair<'a> {
    /// Moved.
    pub key: &'a mut [f32],
    /// Followed, as long as `key`.
    pub query: &'a [f32],
}

/// Moves key encoders.
pub trait EmaUpdate: Kernel {
    /// `key = momentum * key + (1 - momentum) * query` for every element, in the form of libtorch's lerp: with
    /// `w = 1 - momentum` rounded from f64 to f32, `key + w * (query - key)` if `w < 0.5`, else
    /// `query - (1 - w) * (query - key)`. Values that are not finite propagate.
    ///
    /// # Errors
    /// [`KernelError::Length`] when a pair's lengths differ and [`KernelError::Argument`] when `momentum` is
    /// outside `[0, 1]`; nothing is then written.
    fn ema_update(&self, momentum: f64, pairs: &mut [EmaPair<'_>]) -> Result<(), KernelError>;
}

/// Checks the arguments of [`EmaUpdate::ema_update`] and gives `w`.
pub(crate) fn check_ema(momentum: f64, pairs: &[EmaPair<'_>]) -> Result<f32, KernelError> {
    let w = check_momentum(momentum)?;
    for pair in pairs {
        check_len("query tensor", pair.key.len(), pair.query.len())?;
    }
    Ok(w)
}

/// Checks `momentum` and gives `w`.
pub(crate) fn check_momentum(momentum: f64) -> Result<f32, KernelError> {
    if !(0.0..=1.0).contains(&momentum) {
        return Err(KernelError::Argument {
            name: "momentum",
            problem: format!("is {momentum}, must lie in [0, 1]"),
        });
    }
    Ok((1.0 - momentum) as f32)
}

/// The rows of a queue, borrowed.
#[derive(Debug)]
pub enum QueueRows<'a> {
    /// IEEE binary16 elements.
    F16(&'a mut [f16]),
    /// IEEE binary32 elements.
    F32(&'a mut [f32]),
}

impl QueueRows<'_> {
    fn len(&self) -> usize {
        match self {
            Self::F16(rows) => rows.len(),
            Self::F32(rows) => rows.len(),
        }
    }

    /// Element type.
    pub fn dtype(&self) -> Dtype {
        match self {
            Self::F16(_) => Dtype::F16,
            Self::F32(_) => Dtype::F32,
        }
    }

    /// All elements, row after row.
    pub fn data(&self) -> RowsData<'_> {
        match self {
            Self::F16(rows) => RowsData::F16(rows),
            Self::F32(rows) => RowsData::F32(rows),
        }
    }

    /// A copy of the rows.
    pub fn copy(&self) -> QueueCopy {
        match self {
            Self::F16(rows) => QueueCopy::F16(rows.to_vec()),
            Self::F32(rows) => QueueCopy::F32(rows.to_vec()),
        }
    }
}

/// The rows of a queue as they were.
#[derive(Debug, Clone, PartialEq)]
pub enum QueueCopy {
    /// IEEE binary16 elements.
    F16(Vec<f16>),
    /// IEEE binary32 elements.
    F32(Vec<f32>),
}

impl QueueCopy {
    /// All elements, row after row.
    pub fn data(&self) -> RowsData<'_> {
        match self {
            Self::F16(rows) => RowsData::F16(rows),
            Self::F32(rows) => RowsData::F32(rows),
        }
    }
}

/// Keys to write into a queue.
#[derive(Debug)]
pub struct EnqueueJob<'a> {
    /// Keys `[batch, dim]`, at most as many as the queue has rows.
    pub keys: Rows<'a>,
    /// One id a key.
    pub ids: &'a [i64],
    /// The queue `[queue_len, dim]`, row-major.
    pub queue: QueueRows<'a>,
    /// The queue's ids `[queue_len]`.
    pub queue_ids: &'a mut [i64],
    /// Queue row that the first key goes to.
    pub pointer: usize,
}

/// Writes queues.
pub trait Enqueue: Kernel {
    /// Divides each key by its Euclidean norm (at least 1e-12, as libtorch's `normalize` does), converts it to the
    /// queue's element type and writes it at the pointer, wrapping round; ids alike. Returns the next pointer.
    ///
    /// # Errors
    /// [`KernelError::Length`] when shapes disagree, [`KernelError::Argument`] when the batch or the pointer does
    /// not fit the queue, [`KernelError::NotFinite`], [`KernelError::Overflow`] or [`KernelError::ScoreRange`] for
    /// keys whose norm is not a number of the kernel's; nothing is then written.
    fn enqueue(&self, job: EnqueueJob<'_>) -> Result<usize, KernelError>;
}

/// Smallest divisor of a key.
pub(crate) const MIN_NORM: f64 = 1e-12;

impl EnqueueJob<'_> {
    /// Rows of the queue.
    pub fn queue_len(&self) -> usize {
        self.queue_ids.len()
    }

    /// Checks shapes and settings; keys are not looked at.
    pub(crate) fn check(&self) -> Result<(), KernelError> {
        let queue_len = self.queue_len();
        check_len(
            "queue",
            queue_len.saturating_mul(self.keys.dim()),
            self.queue.len(),
        )?;
        check_len("ids of the keys", self.keys.n_rows(), self.ids.len())?;
        let argument = |name, problem| Err(KernelError::Argument { name, problem });
        if self.keys.n_rows() > queue_len {
            return argument(
                "batch of keys",
                format!("has {} rows, the queue only {queue_len}", self.keys.n_rows()),
            );
        }
        if self.pointer >= queue_len.max(1) {
            return argument(
                "pointer",
                format!("is {}, the queue has {queue_len} rows", self.pointer),
            );
        }
        Ok(())
    }
}
