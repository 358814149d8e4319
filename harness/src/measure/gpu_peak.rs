//! What the GPU can do at most, by its own events, measured in the process that measures kernels.

use std::time::Duration;

use hitbench_kernels::KernelError;
use hitbench_kernels::cuda::{DeviceCopy, Stopwatch};
use hitbench_reports::record::GpuPeaksRecord;

/// Rounds of which the best counts, after one that loads modules and raises clocks.
const ROUNDS: usize = 5;
/// Calls of a round.
const CALLS: u32 = 10;
/// Rows of the matrix that is multiplied with its transpose, and their length.
#[cfg(feature = "torch")]
const SIDE: u64 = 8192;

/// Measures the first GPU.
///
/// # Errors
/// [`KernelError::Unavailable`] without one, or what the driver or libtorch refuses.
pub(super) fn measure() -> Result<GpuPeaksRecord, KernelError> {
    let stopwatch = Stopwatch::new()?;
    Ok(GpuPeaksRecord {
        copy_bytes_per_s: copy(&stopwatch)?,
        #[cfg(feature = "torch")]
        product_flops_per_s: product(&stopwatch).unwrap_or_else(|error| {
            tracing::warn!("no product on the GPU: {error}");
            None
        }),
        #[cfg(not(feature = "torch"))]
        product_flops_per_s: None,
    })
}

/// Bytes read and written a second by copying much more than the cache holds.
fn copy(stopwatch: &Stopwatch) -> Result<f64, KernelError> {
    let mut copy = DeviceCopy::new()?;
    let bytes = 2.0 * copy.bytes() as f64;
    Ok(bytes / best(stopwatch, || copy.start())?.as_secs_f64())
}

/// Floating-point operations a second of libtorch's product of a large f16 matrix and its transpose; none where libtorch sees no
/// GPU.
#[cfg(feature = "torch")]
fn product(stopwatch: &Stopwatch) -> Result<Option<f64>, KernelError> {
    use hitbench_kernels::{Dtype, libtorch};

    use super::inputs::Matrix;

    // Of zeros a product would draw less power, and be faster.
    let matrix = Matrix::unit(SIDE as usize, SIDE as usize, 0);
    let rows = matrix.rows(Dtype::F16)?;
    let product = match libtorch::Product::new(rows, rows) {
        Err(KernelError::Unavailable { .. }) => return Ok(None),
        product => product?,
    };
    let took = best(stopwatch, || product.start())?;
    Ok(Some(2.0 * (SIDE as f64).powi(3) / took.as_secs_f64()))
}

/// Time of a call in the best round.
fn best(
    stopwatch: &Stopwatch,
    mut call: impl FnMut() -> Result<(), KernelError>,
) -> Result<Duration, KernelError> {
    let mut round = || {
        stopwatch.begin()?;
        for _ in 0..CALLS {
            call()?;
        }
        stopwatch.end()
    };
    round()?;
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        best = best.min(round()? / CALLS);
    }
    Ok(best.max(Duration::from_nanos(1)))
}
