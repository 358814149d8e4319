//! The one error type of this crate.

use crate::Dtype;

/// What can go wrong in a kernel or in finding one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KernelError {
    /// Two row sets that must share their row length do not.
    #[error("dimension mismatch: query rows have {query}, gallery rows have {gallery}")]
    DimMismatch {
        /// Row length of the query side.
        query: usize,
        /// Row length of the gallery side.
        gallery: usize,
    },
    /// A buffer does not hold the number of elements that its shape asks for.
    #[error("`{what}` holds {found} elements, expected {expected}")]
    Length {
        /// Which buffer.
        what: &'static str,
        /// Elements that the shape asks for.
        expected: usize,
        /// Elements that are there.
        found: usize,
    },
    /// NaN or infinity in a row that takes part.
    #[error("{side} row {row}, column {column} is {value}")]
    NotFinite {
        /// `query`, `gallery`, `positive`, `queue` or `key`.
        side: &'static str,
        /// Row of the bad element.
        row: usize,
        /// Column of the bad element.
        column: usize,
        /// The element.
        value: f64,
    },
    /// A finite element that the kernel's element type cannot hold.
    #[error("{side} row {row}, column {column} is {value}, too large for {dtype}")]
    Overflow {
        /// `query`, `gallery`, `positive`, `queue` or `key`.
        side: &'static str,
        /// Row of the bad element.
        row: usize,
        /// Column of the bad element.
        column: usize,
        /// The element.
        value: f64,
        /// Element type of the kernel.
        dtype: Dtype,
    },
    /// Rows so long that a score could overflow, or lose all fraction bits as a logit.
    #[error(
        "scores could become too large: the longest query row has norm {query:e}, the longest gallery row {gallery:e}"
    )]
    ScoreRange {
        /// Largest Euclidean norm among the query rows.
        query: f64,
        /// Largest Euclidean norm among the gallery rows.
        gallery: f64,
    },
    /// A query without a true item, or a true item outside the gallery.
    #[error("query {query}: {problem}")]
    TrueItem {
        /// Index of the query.
        query: usize,
        /// What is wrong with its true items.
        problem: String,
    },
    /// A setting that no kernel can work with.
    #[error("`{name}` {problem}")]
    Argument {
        /// Which setting.
        name: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// No kernel of this name exists.
    #[error("unknown kernel `{id}`")]
    UnknownKernel {
        /// The name as given.
        id: String,
    },
    /// The kernel exists but cannot run on this machine.
    #[error("kernel `{id}` is unavailable: {reason}")]
    Unavailable {
        /// The kernel's id.
        id: String,
        /// Why not, in a few words.
        reason: String,
    },
    /// The CUDA driver refused a call, or reports the failure of an earlier launch.
    #[error("CUDA: {call} failed")]
    Cuda {
        /// What was asked of the driver.
        call: &'static str,
        /// What it said.
        #[source]
        source: cudarc::driver::DriverError,
    },
    /// A CUDA kernel wrote to memory that it was not given, on a device that is watched for it.
    #[error("a kernel wrote {side} an allocation of {bytes} bytes, byte {at} of the guard there")]
    OutOfBounds {
        /// `before` or `beyond`.
        side: &'static str,
        /// The first byte of the guard that differs.
        at: usize,
        /// Size of the allocation.
        bytes: usize,
    },
    /// A CUDA kernel could not be compiled for this device.
    #[error("CUDA kernels cannot be compiled")]
    Compile {
        /// Why.
        #[from]
        source: crate::cuda::CompileError,
    },
    /// libtorch refused an operation.
    #[cfg(feature = "torch")]
    #[error("libtorch failed")]
    Libtorch {
        /// What it said.
        #[from]
        source: tch::TchError,
    },
}
