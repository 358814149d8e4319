//! Memory shared between slices and tensors. All `unsafe` of this back end is here.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use half::f16;
use tch::{Device, Kind, Tensor};

use crate::matrix::RowsData;
use crate::{KernelError, Rows};

/// Types that slices and tensors both know, of one layout.
pub(super) trait Element: Copy {
    const KIND: Kind;
}

impl Element for f16 {
    const KIND: Kind = Kind::Half;
}
impl Element for f32 {
    const KIND: Kind = Kind::Float;
}
impl Element for f64 {
    const KIND: Kind = Kind::Double;
}
impl Element for i64 {
    const KIND: Kind = Kind::Int64;
}

/// A tensor on a slice's memory, for as long as the slice is borrowed. It must only be read.
pub(super) struct Borrowed<'a> {
    tensor: Tensor,
    slice: PhantomData<&'a [u8]>,
}

impl<'a> Borrowed<'a> {
    /// Views `slice` as a tensor of `size`.
    pub(super) fn new<T: Element>(slice: &'a [T], size: &[i64]) -> Result<Self, KernelError> {
        check_size(slice.len(), size)?;
        // SAFETY: the memory holds as many elements of the kind as `size` has (checked above) and outlives the
        // tensor, since `Self` borrows it and hands the tensor out by reference only. Within this back end the
        // tensor of a `Borrowed` is only ever an input of operations that do not write to it.
        let tensor = unsafe { Tensor::f_from_blob(slice.as_ptr().cast(), size, &[], T::KIND, Device::Cpu)? };
        Ok(Self {
            tensor,
            slice: PhantomData,
        })
    }

    /// A tensor that owns its memory.
    pub(super) fn kept(tensor: Tensor) -> Self {
        Self {
            tensor,
            slice: PhantomData,
        }
    }

    /// The same values on `device` in `kind`; a view as before where nothing changes.
    pub(super) fn to(self, device: Device, kind: Kind) -> Result<Self, KernelError> {
        let tensor = self.tensor.f_to_device_(device, kind, false, false)?;
        Ok(Self { tensor, ..self })
    }

    /// Views rows as a tensor `[n_rows, dim]`.
    pub(super) fn rows(rows: Rows<'a>) -> Result<Self, KernelError> {
        let size = [rows.n_rows() as i64, rows.dim() as i64];
        match rows.data() {
            RowsData::F16(data) => Self::new(data, &size),
            RowsData::F32(data) => Self::new(data, &size),
            RowsData::F64(data) => Self::new(data, &size),
        }
    }
}

impl Deref for Borrowed<'_> {
    type Target = Tensor;

    fn deref(&self) -> &Tensor {
        &self.tensor
    }
}

/// A tensor on a mutable slice's memory, for as long as the slice is borrowed.
pub(super) struct BorrowedMut<'a> {
    tensor: Tensor,
    slice: PhantomData<&'a mut [u8]>,
}

impl<'a> BorrowedMut<'a> {
    /// Views `slice` as a tensor of `size`.
    pub(super) fn new<T: Element>(slice: &'a mut [T], size: &[i64]) -> Result<Self, KernelError> {
        check_size(slice.len(), size)?;
        // SAFETY: the memory holds as many elements of the kind as `size` has (checked above); `Self` borrows it
        // mutably for as long as the tensor lives, so that nobody else reads or writes it meanwhile.
        let tensor =
            unsafe { Tensor::f_from_blob(slice.as_mut_ptr().cast(), size, &[], T::KIND, Device::Cpu)? };
        Ok(Self {
            tensor,
            slice: PhantomData,
        })
    }
}

impl Deref for BorrowedMut<'_> {
    type Target = Tensor;

    fn deref(&self) -> &Tensor {
        &self.tensor
    }
}

impl DerefMut for BorrowedMut<'_> {
    fn deref_mut(&mut self) -> &mut Tensor {
        &mut self.tensor
    }
}

fn check_size(len: usize, size: &[i64]) -> Result<(), KernelError> {
    crate::scores::check_len("tensor", size.iter().product::<i64>() as usize, len)
}

/// The address of the elements of a tensor whose memory can be borrowed as a slice of `T`, and their number.
///
/// # Errors
/// [`KernelError::Argument`] unless the tensor is contiguous, on the CPU and of `T`'s kind.
fn elements<T: Element>(name: &'static str, tensor: &Tensor) -> Result<(*mut T, usize), KernelError> {
    let argument = |problem: String| Err(KernelError::Argument { name, problem });
    if tensor.device() != Device::Cpu {
        return argument(format!("lies on {:?}, must lie on the CPU", tensor.device()));
    }
    let kind = tensor.f_kind()?;
    if kind != T::KIND {
        return argument(format!("is of kind {kind:?}, must be {:?}", T::KIND));
    }
    if !tensor.is_contiguous() {
        return argument("is not contiguous".to_owned());
    }
    let len = tensor.numel();
    let pointer = tensor.data_ptr().cast::<T>();
    if len == 0 {
        return Ok((std::ptr::NonNull::dangling().as_ptr(), 0));
    }
    if pointer.is_null() || !pointer.is_aligned() {
        return argument("has no memory that a slice could borrow".to_owned());
    }
    Ok((pointer, len))
}

/// The elements of a contiguous tensor on the CPU.
///
/// # Safety
/// - While the slice lives, nobody writes to the tensor's memory, through whatever handle or view.
/// - Nobody resizes the tensor's storage meanwhile.
pub(super) unsafe fn slice<'a, T: Element>(
    name: &'static str,
    tensor: &'a Tensor,
) -> Result<&'a [T], KernelError> {
    let (pointer, len) = elements::<T>(name, tensor)?;
    // SAFETY: `elements` checked place, kind, contiguity and alignment, so that `len` elements of `T` lie there;
    // the tensor keeps its storage alive for `'a`; that nobody writes is the caller's promise.
    Ok(unsafe { std::slice::from_raw_parts(pointer, len) })
}

/// The elements of a contiguous tensor on the CPU, to be written.
///
/// # Safety
/// - While the slice lives, nobody reads or writes the tensor's memory in any other way, through whatever handle
///   or view.
/// - Nobody resizes the tensor's storage meanwhile.
pub(super) unsafe fn slice_mut<'a, T: Element>(
    name: &'static str,
    tensor: &'a mut Tensor,
) -> Result<&'a mut [T], KernelError> {
    let (pointer, len) = elements::<T>(name, tensor)?;
    // SAFETY: as in `slice`; that the memory is reached in no other way is the caller's promise.
    Ok(unsafe { std::slice::from_raw_parts_mut(pointer, len) })
}

/// The bytes that a tensor's elements occupy, if it is contiguous and not empty: for checks of overlap.
pub(super) fn address_range(tensor: &Tensor) -> std::ops::Range<usize> {
    let start = tensor.data_ptr() as usize;
    start..start + tensor.numel() * tensor.kind().elt_size_in_bytes()
}
