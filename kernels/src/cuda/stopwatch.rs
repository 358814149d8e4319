//! Times of work on the device, by its own events.

use std::sync::Arc;
use std::time::Duration;

use cudarc::driver::sys::CUdevice_attribute_enum::CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE;
use cudarc::driver::sys::CUevent_flags::CU_EVENT_DEFAULT;
use cudarc::driver::{CudaEvent, CudaSlice, CudaStream, DriverError};

use crate::KernelError;

/// Measures what happens on the first device between two events, for our kernels and libtorch's alike: both are on one
/// stream. Gaps in which the device waits for the host count.
#[derive(Debug)]
pub struct Stopwatch {
    stream: Arc<CudaStream>,
    start: CudaEvent,
    end: CudaEvent,
}

/// Copies memory within the first device, of sixteen times the size of its second-level cache.
#[derive(Debug)]
pub struct DeviceCopy {
    stream: Arc<CudaStream>,
    from: CudaSlice<u8>,
    to: CudaSlice<u8>,
}

/// Pushes everything out of the second-level cache of the first device, by writing twice its size.
#[derive(Debug)]
pub struct CacheFlush {
    stream: Arc<CudaStream>,
    written: CudaSlice<u8>,
}

fn stream() -> Result<Arc<CudaStream>, KernelError> {
    super::device::stream().map_err(|reason| KernelError::Unavailable {
        id: "cuda:0".to_owned(),
        reason,
    })
}

fn failed(call: &'static str) -> impl Fn(DriverError) -> KernelError {
    move |source| KernelError::Cuda { call, source }
}

/// Zeros of `factor` times the size of the second-level cache.
fn caches(stream: &Arc<CudaStream>, factor: usize) -> Result<CudaSlice<u8>, KernelError> {
    let bytes = stream
        .context()
        .attribute(CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE)
        .map_err(failed("cuDeviceGetAttribute"))?;
    let bytes = factor * bytes.unsigned_abs() as usize;
    stream.alloc_zeros(bytes.max(1)).map_err(failed("cuMemAlloc"))
}

impl Stopwatch {
    /// A stopwatch of the first device.
    ///
    /// # Errors
    /// [`KernelError::Unavailable`] without one, [`KernelError::Cuda`] when the driver refuses.
    pub fn new() -> Result<Self, KernelError> {
        let stream = stream()?;
        // Unless asked, events keep no time.
        let event = || {
            let event = stream.context().new_event(Some(CU_EVENT_DEFAULT));
            event.map_err(failed("cuEventCreate"))
        };
        Ok(Self {
            start: event()?,
            end: event()?,
            stream,
        })
    }

    /// Begins once everything before has ended.
    ///
    /// # Errors
    /// [`KernelError::Cuda`].
    pub fn begin(&self) -> Result<(), KernelError> {
        self.stream.synchronize().map_err(failed("cuStreamSynchronize"))?;
        self.start.record(&self.stream).map_err(failed("cuEventRecord"))
    }

    /// Waits for what was started since [`Self::begin`], and tells how long it took.
    ///
    /// # Errors
    /// [`KernelError::Cuda`].
    pub fn end(&self) -> Result<Duration, KernelError> {
        self.end.record(&self.stream).map_err(failed("cuEventRecord"))?;
        let ms = self
            .start
            .elapsed_ms(&self.end)
            .map_err(failed("cuEventElapsedTime"))?;
        Ok(Duration::from_secs_f64(f64::from(ms.max(0.0)) / 1e3))
    }
}

impl DeviceCopy {
    /// Memory of the first device.
    ///
    /// # Errors
    /// As [`Stopwatch::new`].
    pub fn new() -> Result<Self, KernelError> {
        let stream = stream()?;
        Ok(Self {
            from: caches(&stream, 16)?,
            to: caches(&stream, 16)?,
            stream,
        })
    }

    /// Bytes that a copy reads; it writes as many.
    pub fn bytes(&self) -> usize {
        self.from.len()
    }

    /// Starts a copy.
    ///
    /// # Errors
    /// [`KernelError::Cuda`].
    pub fn start(&mut self) -> Result<(), KernelError> {
        self.stream
            .memcpy_dtod(&self.from, &mut self.to)
            .map_err(failed("cuMemcpyDtoDAsync"))
    }
}

impl CacheFlush {
    /// Memory for the first device's cache.
    ///
    /// # Errors
    /// As [`Stopwatch::new`].
    pub fn new() -> Result<Self, KernelError> {
        let stream = stream()?;
        Ok(Self {
            written: caches(&stream, 2)?,
            stream,
        })
    }

    /// Starts to write.
    ///
    /// # Errors
    /// [`KernelError::Cuda`].
    pub fn flush(&mut self) -> Result<(), KernelError> {
        self.stream
            .memset_zeros(&mut self.written)
            .map_err(failed("cuMemsetD8Async"))
    }
}
