//! A device whose memory is watched: what `hitbench verify` runs kernels on.
//!
//! Every allocation begins as NaN and lies between two zones that nobody may write to. They are looked at before
//! anything is read back, so that a kernel that leaves its memory has no result.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::gpu::{Argument, Fill, Gpu, Mark};
use super::source::Kernel;
use crate::KernelError;
use crate::id::CudaArch;

/// Bytes of a zone; what lies between two of them is aligned as an allocation is.
const ZONE: usize = 256;
/// Fills the zones.
const GUARD: u8 = 0xa5;
/// Fills new memory: a NaN in every floating-point type.
const POISON: u8 = 0xff;

/// A device behind guards.
#[derive(Debug)]
pub(super) struct Guarded {
    inner: Arc<dyn Gpu>,
    /// Bytes of each allocation, by the address that the caller knows.
    allocations: Mutex<HashMap<u64, usize>>,
}

impl Guarded {
    /// Guards around everything that is allocated through this.
    pub(super) fn gpu(inner: Arc<dyn Gpu>) -> Arc<dyn Gpu> {
        Arc::new(Self {
            inner,
            allocations: Mutex::default(),
        })
    }

    /// Looks at all zones.
    fn check(&self) -> Result<(), KernelError> {
        let allocations = self.allocations.lock().unwrap_or_else(PoisonError::into_inner);
        for (&address, &bytes) in &*allocations {
            for (side, zone) in [
                ("before", address - ZONE as u64),
                ("beyond", address + bytes as u64),
            ] {
                let mut found = [0; ZONE];
                // SAFETY: both zones lie within the inner allocation, which lives while it is in the list.
                unsafe { self.inner.read(zone, &mut found)? };
                if let Some(at) = found.iter().position(|byte| *byte != GUARD) {
                    return Err(KernelError::OutOfBounds { side, at, bytes });
                }
            }
        }
        Ok(())
    }
}

impl Gpu for Guarded {
    fn arch(&self) -> CudaArch {
        self.inner.arch()
    }

    fn n_processors(&self) -> u32 {
        self.inner.n_processors()
    }

    fn part_bytes(&self) -> usize {
        self.inner.part_bytes()
    }

    fn allocate(&self, bytes: usize) -> Result<u64, KernelError> {
        let start = self.inner.allocate(bytes + 2 * ZONE)?;
        let address = start + ZONE as u64;
        // SAFETY: the three ranges are parts of the new allocation.
        unsafe {
            self.inner.fill(start, GUARD, ZONE)?;
            self.inner.fill(address, POISON, bytes)?;
            self.inner.fill(address + bytes as u64, GUARD, ZONE)?;
        }
        let mut allocations = self.allocations.lock().unwrap_or_else(PoisonError::into_inner);
        allocations.insert(address, bytes);
        Ok(address)
    }

    unsafe fn free(&self, address: u64) {
        let mut allocations = self.allocations.lock().unwrap_or_else(PoisonError::into_inner);
        allocations.remove(&address);
        // SAFETY: the caller's promise, for the allocation that this one is a part of.
        unsafe { self.inner.free(address - ZONE as u64) };
    }

    unsafe fn fill(&self, address: u64, byte: u8, bytes: usize) -> Result<(), KernelError> {
        // SAFETY: the caller's promise.
        unsafe { self.inner.fill(address, byte, bytes) }
    }

    unsafe fn write(&self, address: u64, bytes: &[u8]) -> Result<(), KernelError> {
        // SAFETY: the caller's promise.
        unsafe { self.inner.write(address, bytes) }
    }

    fn mark(&self) -> Result<Mark, KernelError> {
        self.inner.mark()
    }

    unsafe fn upload(
        &self,
        address: u64,
        bytes: usize,
        unit: usize,
        after: &Mark,
        fill: Fill<'_>,
    ) -> Result<(), KernelError> {
        // SAFETY: the caller's promise.
        unsafe { self.inner.upload(address, bytes, unit, after, fill) }
    }

    unsafe fn read(&self, address: u64, bytes: &mut [u8]) -> Result<(), KernelError> {
        self.check()?;
        // SAFETY: the caller's promise.
        unsafe { self.inner.read(address, bytes) }
    }

    unsafe fn launch(
        &self,
        kernel: &'static Kernel,
        grid: [u32; 3],
        arguments: &[Argument],
    ) -> Result<(), KernelError> {
        // SAFETY: the caller's promise.
        unsafe { self.inner.launch(kernel, grid, arguments) }
    }
}
