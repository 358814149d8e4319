//! Device memory with a type and an owner.

use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Arc;

use bytemuck::Pod;

use super::gpu::{Gpu, Mark};
use crate::KernelError;

/// Elements in device memory, given back on drop.
#[derive(Debug)]
pub(super) struct Buffer<T> {
    gpu: Arc<dyn Gpu>,
    address: u64,
    len: usize,
    elements: PhantomData<T>,
}

impl<T: Pod> Buffer<T> {
    /// `len` elements, their bytes zero.
    ///
    /// # Errors
    /// [`KernelError::Cuda`].
    pub(super) fn zeroed(gpu: &Arc<dyn Gpu>, len: usize) -> Result<Self, KernelError> {
        let mut buffer = Self::unspecified(gpu, len)?;
        buffer.fill(0)?;
        Ok(buffer)
    }

    /// A copy of `elements`.
    ///
    /// # Errors
    /// [`KernelError::Cuda`].
    pub(super) fn of(gpu: &Arc<dyn Gpu>, elements: &[T]) -> Result<Self, KernelError> {
        let mut buffer = Self::unspecified(gpu, elements.len())?;
        buffer.write(0, elements)?;
        Ok(buffer)
    }

    /// `len` elements that the caller writes before anything reads them. Any bytes are elements of such a type, so that
    /// a mistake in that gives wrong numbers, no more.
    ///
    /// # Errors
    /// [`KernelError::Cuda`].
    pub(super) fn unspecified(gpu: &Arc<dyn Gpu>, len: usize) -> Result<Self, KernelError> {
        Ok(Self {
            gpu: Arc::clone(gpu),
            address: gpu.allocate((len * size_of::<T>()).max(1))?,
            len,
            elements: PhantomData,
        })
    }

    /// Sets every byte.
    ///
    /// # Errors
    /// [`KernelError::Cuda`].
    pub(super) fn fill(&mut self, byte: u8) -> Result<(), KernelError> {
        if self.len == 0 {
            return Ok(());
        }
        // SAFETY: the buffer owns this memory.
        unsafe { self.gpu.fill(self.address, byte, self.len * size_of::<T>()) }
    }

    /// Writes `elements` from place `at` on.
    ///
    /// # Panics
    /// When they do not fit.
    ///
    /// # Errors
    /// [`KernelError::Cuda`].
    pub(super) fn write(&mut self, at: usize, elements: &[T]) -> Result<(), KernelError> {
        assert!(
            at + elements.len() <= self.len,
            "a write of {} at {at} into {}",
            elements.len(),
            self.len
        );
        if elements.is_empty() {
            return Ok(());
        }
        let address = self.address + (at * size_of::<T>()) as u64;
        // SAFETY: the buffer owns this memory, and the elements fit, as was just checked.
        unsafe { self.gpu.write(address, bytemuck::cast_slice(elements)) }
    }

    /// Writes the first `n` elements, which `fill` makes in pieces of whole units of `unit` elements: it gets the place of
    /// the first of a piece. Waits only for what was asked of the device before `after`.
    ///
    /// # Panics
    /// When they do not fit, or are no whole units.
    ///
    /// # Errors
    /// [`KernelError::Cuda`].
    ///
    /// # Safety
    /// `after` is a mark of this device, made since the buffer was allocated and since the last work on it was asked for.
    pub(super) unsafe fn upload(
        &mut self,
        n: usize,
        unit: usize,
        after: &Mark,
        mut fill: impl FnMut(usize, &mut [T]),
    ) -> Result<(), KernelError> {
        assert!(n <= self.len, "{n} of {}", self.len);
        assert!(n.is_multiple_of(unit), "{n} elements in units of {unit}");
        let size = size_of::<T>();
        let mut fill = |at, bytes: &mut [u8]| fill(at / size, bytemuck::cast_slice_mut(bytes));
        // SAFETY: the buffer owns this memory, and the elements fit, as was just checked; the rest is the caller's promise.
        unsafe {
            self.gpu
                .upload(self.address, n * size, unit * size, after, &mut fill)
        }
    }

    /// Reads the elements `range`.
    ///
    /// # Panics
    /// When the range is not within the buffer.
    ///
    /// # Errors
    /// [`KernelError::Cuda`].
    pub(super) fn read(&self, range: Range<usize>) -> Result<Vec<T>, KernelError> {
        let mut elements = vec![T::zeroed(); range.len()];
        self.read_to(range.start, &mut elements)?;
        Ok(elements)
    }

    /// Reads as many elements as `elements` has from place `at` on.
    ///
    /// # Panics
    /// When there are fewer.
    ///
    /// # Errors
    /// [`KernelError::Cuda`].
    pub(super) fn read_to(&self, at: usize, elements: &mut [T]) -> Result<(), KernelError> {
        assert!(
            at + elements.len() <= self.len,
            "a read of {} at {at} from {}",
            elements.len(),
            self.len
        );
        if elements.is_empty() {
            return Ok(());
        }
        let address = self.address + (at * size_of::<T>()) as u64;
        // SAFETY: the buffer owns this memory, and has as many elements, as was just checked.
        unsafe { self.gpu.read(address, bytemuck::cast_slice_mut(elements)) }
    }

    /// Number of elements.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// All elements, to be read by kernels.
    pub(super) fn view(&self) -> View<'_, T> {
        View {
            address: self.address,
            len: self.len,
            elements: PhantomData,
        }
    }

    /// The elements `range`, to be written by kernels.
    ///
    /// # Panics
    /// When the range is not within the buffer.
    pub(super) fn part_mut(&mut self, range: Range<usize>) -> ViewMut<'_, T> {
        let View {
            address,
            len,
            elements: _,
        } = self.view().part(range);
        ViewMut {
            address,
            len,
            elements: PhantomData,
        }
    }

    /// All elements, to be written by kernels.
    pub(super) fn view_mut(&mut self) -> ViewMut<'_, T> {
        ViewMut {
            address: self.address,
            len: self.len,
            elements: PhantomData,
        }
    }
}

impl<T> Drop for Buffer<T> {
    fn drop(&mut self) {
        // SAFETY: the address came from this device, and views of it borrow the buffer, so that none is left. Launches
        // that use it and uploads to it come before in the device's order.
        unsafe { self.gpu.free(self.address) }
    }
}

/// Elements in device memory, borrowed.
#[derive(Debug)]
pub(super) struct View<'a, T> {
    address: u64,
    len: usize,
    elements: PhantomData<&'a T>,
}

impl<T> Clone for View<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for View<'_, T> {}

#[cfg(feature = "torch")]
impl<'a, T> View<'a, T> {
    /// Elements of somebody else, who is borrowed.
    ///
    /// # Safety
    /// `len` elements of `T` lie at `address` on the device, and nobody writes to them before launches that read them
    /// are done.
    pub(super) unsafe fn of_others<O: ?Sized>(address: u64, len: usize, _owner: &'a O) -> Self {
        Self {
            address,
            len,
            elements: PhantomData,
        }
    }
}

impl<T> View<'_, T> {
    /// The first element's place on the device.
    pub(super) fn address(&self) -> u64 {
        self.address
    }

    /// Number of elements.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The elements `range`.
    ///
    /// # Panics
    /// When the range is not within the view.
    pub(super) fn part(&self, range: Range<usize>) -> Self {
        assert!(
            range.start <= range.end && range.end <= self.len,
            "{range:?} of {}",
            self.len
        );
        Self {
            address: self.address + (range.start * size_of::<T>()) as u64,
            len: range.len(),
            elements: PhantomData,
        }
    }
}

/// Elements in device memory, borrowed to be written.
#[derive(Debug)]
pub(super) struct ViewMut<'a, T> {
    address: u64,
    len: usize,
    elements: PhantomData<&'a mut T>,
}

#[cfg(feature = "torch")]
impl<'a, T> ViewMut<'a, T> {
    /// Elements of somebody else, who is borrowed.
    ///
    /// # Safety
    /// `len` elements of `T` lie at `address` on the device, and nobody else reads or writes them before launches that
    /// write them are done.
    pub(super) unsafe fn of_others<O: ?Sized>(address: u64, len: usize, _owner: &'a O) -> Self {
        Self {
            address,
            len,
            elements: PhantomData,
        }
    }
}

impl<T> ViewMut<'_, T> {
    /// The first element's place on the device.
    pub(super) fn address(&self) -> u64 {
        self.address
    }

    /// Number of elements.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The elements `range`.
    ///
    /// # Panics
    /// When the range is not within the view.
    pub(super) fn part(&mut self, range: Range<usize>) -> ViewMut<'_, T> {
        assert!(
            range.start <= range.end && range.end <= self.len,
            "{range:?} of {}",
            self.len
        );
        ViewMut {
            address: self.address + (range.start * size_of::<T>()) as u64,
            len: range.len(),
            elements: PhantomData,
        }
    }
}
