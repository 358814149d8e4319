//! What kernels run on, and what the rest of this module needs of it: memory, copies, launches in order.

use std::fmt::Debug;

use cudarc::driver::CudaEvent;

use super::source::{Kernel, Parameter};
use crate::KernelError;
use crate::id::CudaArch;

/// Rows `[n_rows, stride]` of f16 that a kernel's copy engine brings in boxes of `box_rows` rows and 64 columns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Tensor {
    pub(super) address: u64,
    pub(super) n_rows: usize,
    pub(super) stride: usize,
    pub(super) box_rows: usize,
}

/// An argument of a launch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Argument {
    /// A device address, 0 for none.
    Pointer(u64),
    /// 32 bits without sign.
    U32(u32),
    /// IEEE binary32.
    F32(f32),
    /// IEEE binary64.
    F64(f64),
    /// Rows, at least one.
    Tensor(Tensor),
}

impl Mark {
    /// That of a real device.
    ///
    /// # Panics
    /// For a mark of the emulator.
    pub(super) fn event(&self) -> &CudaEvent {
        match self {
            Self::Event(event) => event,
            #[cfg(test)]
            Self::Count(_) => panic!("a mark of the emulator"),
        }
    }
}

impl Argument {
    /// The parameter that takes it.
    pub(super) fn parameter(self) -> Parameter {
        match self {
            Self::Pointer(_) => Parameter::Pointer,
            Self::U32(_) => Parameter::U32,
            Self::F32(_) => Parameter::F32,
            Self::F64(_) => Parameter::F64,
            Self::Tensor(_) => Parameter::Tensor,
        }
    }
}

/// A place in a device's order of work.
#[derive(Debug)]
pub(super) enum Mark {
    /// Of a real device.
    Event(CudaEvent),
    /// How much the emulator did before.
    #[cfg(test)]
    Count(u64),
}

/// Makes a piece of what is copied to a device: the bytes from this place on.
pub(super) type Fill<'a> = &'a mut dyn FnMut(usize, &mut [u8]);

/// A device, with one queue of work: everything happens in the order in which it was asked for, but for
/// [`upload`](Self::upload).
pub(super) trait Gpu: Debug + Send + Sync {
    /// Which kernels are used, where there are several of one meaning.
    fn arch(&self) -> CudaArch;

    /// Multiprocessors.
    fn n_processors(&self) -> u32;

    /// Bytes of a part of the rows of one side, one tile at least. An operation holds two parts a side, `info_nce` all of its
    /// rows.
    fn part_bytes(&self) -> usize;

    /// Memory of `bytes` bytes, at least 1, aligned to 16, its contents unspecified.
    ///
    /// # Errors
    /// [`KernelError::Cuda`] when there is not enough.
    fn allocate(&self, bytes: usize) -> Result<u64, KernelError>;

    /// Gives memory back.
    ///
    /// # Safety
    /// `address` came from [`Self::allocate`] of this device and is not used again.
    unsafe fn free(&self, address: u64);

    /// Sets every byte.
    ///
    /// # Safety
    /// The `bytes` bytes at `address` belong to the caller.
    ///
    /// # Errors
    /// [`KernelError::Cuda`].
    unsafe fn fill(&self, address: u64, byte: u8, bytes: usize) -> Result<(), KernelError>;

    /// Copies to the device; `bytes` may be changed afterwards.
    ///
    /// # Safety
    /// The bytes at `address`, as many as there are in `bytes`, belong to the caller.
    ///
    /// # Errors
    /// [`KernelError::Cuda`].
    unsafe fn write(&self, address: u64, bytes: &[u8]) -> Result<(), KernelError>;

    /// The place after everything that was asked for so far.
    ///
    /// # Errors
    /// [`KernelError::Cuda`].
    fn mark(&self) -> Result<Mark, KernelError>;

    /// Copies `bytes` bytes to the device, which `fill` makes in pieces of whole units of `unit` bytes, aligned to 16.
    /// Copies wait for what was asked for before `after`, and may overtake what was asked for since; what is asked for from
    /// now on waits for them.
    ///
    /// # Safety
    /// The `bytes` bytes at `address` belong to the caller, and have since before `after`; nothing that was asked for since
    /// reads or writes them.
    ///
    /// # Errors
    /// [`KernelError::Cuda`].
    unsafe fn upload(
        &self,
        address: u64,
        bytes: usize,
        unit: usize,
        after: &Mark,
        fill: Fill<'_>,
    ) -> Result<(), KernelError>;

    /// Copies from the device once everything before is done.
    ///
    /// # Safety
    /// As many bytes as `bytes` has may be read at `address`.
    ///
    /// # Errors
    /// [`KernelError::Cuda`], which may have its cause in an earlier launch.
    unsafe fn read(&self, address: u64, bytes: &mut [u8]) -> Result<(), KernelError>;

    /// Starts a kernel.
    ///
    /// # Safety
    /// - The arguments are of the kinds of the kernel's parameters, in their order.
    /// - With these arguments and this grid the kernel stays within memory that the caller may read and, where it
    ///   writes, write.
    ///
    /// # Errors
    /// [`KernelError::Cuda`], or [`KernelError::Compile`] on the first launch of a kernel of a file.
    unsafe fn launch(
        &self,
        kernel: &'static Kernel,
        grid: [u32; 3],
        arguments: &[Argument],
    ) -> Result<(), KernelError>;
}
