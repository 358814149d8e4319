//! The back end and what all of its operations share.

use tch::{Device, Kind, Tensor};

use super::device::device;
use super::memory::Borrowed;
use crate::check::{self, RowNorm};
use crate::held::{HeldRows, Shelf};
use crate::id::LibtorchDevice;
use crate::kernel::Kernel;
use crate::{Dtype, KernelError, KernelId, Rows};

/// Queries multiplied at a time.
pub(super) const CHUNK: usize = 1000;

/// libtorch's operators on one device, with rows of one element type.
///
/// Scores have the rows' type, so with f16 they are rounded to f16. libtorch does not promise that a pair's score
/// is the same wherever the pair lies, nor an order among equal scores.
#[derive(Debug, Clone)]
pub struct LibtorchKernel {
    id: KernelId,
    pub(super) device: Device,
    pub(super) dtype: Dtype,
    kept: Shelf<KeptRows>,
}

/// Rows `[n_rows, dim]` that are kept on the device in their own type, and the norm of the longest in the kernel's.
#[derive(Debug)]
struct KeptRows {
    tensor: Tensor,
    norm: RowNorm,
}

impl LibtorchKernel {
    /// The kernel on `name` with rows of `dtype`.
    ///
    /// # Errors
    /// [`KernelError::Unavailable`] when this machine has no such device; [`KernelError::UnknownKernel`] for f64.
    pub fn new(name: LibtorchDevice, dtype: Dtype) -> Result<Self, KernelError> {
        let id = KernelId::Libtorch { device: name, dtype };
        if dtype == Dtype::F64 {
            return Err(KernelError::UnknownKernel { id: id.to_string() });
        }
        let device = device(name).map_err(|reason| KernelError::Unavailable {
            id: id.to_string(),
            reason,
        })?;
        Ok(Self {
            id,
            device,
            dtype,
            kept: Shelf::default(),
        })
    }

    /// libtorch's name of the kernel's element type.
    pub(super) fn kind(&self) -> Kind {
        match self.dtype {
            Dtype::F16 => Kind::Half,
            Dtype::F32 | Dtype::F64 => Kind::Float,
        }
    }

    /// Checks the rows of both sides and brings them to the device in the kernel's type.
    pub(super) fn load_pair<'a>(
        &self,
        query: Rows<'a>,
        gallery: Rows<'a>,
    ) -> Result<(Borrowed<'a>, Borrowed<'a>), KernelError> {
        crate::scores::check_dims(query, gallery)?;
        self.check_range([
            self.check(check::QUERY, query, self.dtype)?,
            self.check(check::GALLERY, gallery, self.dtype)?,
        ])?;
        Ok((self.load(query, self.kind())?, self.load(gallery, self.kind())?))
    }

    /// Refuses the longest rows of query and gallery side if a score might not be finite.
    pub(super) fn check_range(&self, [query, gallery]: [RowNorm; 2]) -> Result<(), KernelError> {
        let largest = match self.dtype {
            Dtype::F16 => half::f16::MAX.to_f64(),
            Dtype::F32 | Dtype::F64 => f64::from(f32::MAX),
        };
        check::score_range(query, gallery, largest)
    }

    /// The norm of the longest row, if the rows are kept; they were checked then.
    pub(super) fn norm(&self, rows: Rows<'_>) -> Option<RowNorm> {
        self.kept.find(rows, |kept| kept.norm)
    }

    /// Checks rows unless they are kept, and gives the norm of the longest.
    pub(super) fn check(
        &self,
        side: &'static str,
        rows: Rows<'_>,
        dtype: Dtype,
    ) -> Result<RowNorm, KernelError> {
        match self.norm(rows) {
            Some(norm) => Ok(norm),
            None => check::scan(side, rows, dtype),
        }
    }

    /// Brings rows to the device in `kind`; those that are kept there need at most be converted.
    pub(super) fn load<'a>(&self, rows: Rows<'a>, kind: Kind) -> Result<Borrowed<'a>, KernelError> {
        match self.kept.find(rows, |kept| kept.tensor.shallow_clone()) {
            Some(tensor) => Borrowed::kept(tensor).to(self.device, kind),
            None => Borrowed::rows(rows)?.to(self.device, kind),
        }
    }

    /// Copies ids to the device.
    pub(super) fn load_ids(&self, ids: &[i64]) -> Result<Tensor, KernelError> {
        Ok(Tensor::f_from_slice(ids)?.f_to_device(self.device)?)
    }
}

impl Kernel for LibtorchKernel {
    fn id(&self) -> KernelId {
        self.id
    }

    fn hold<'a>(&self, rows: Rows<'a>) -> Result<HeldRows<'a>, KernelError> {
        if self.device == Device::Cpu {
            return Ok(HeldRows::default());
        }
        let norm = check::scan("rows", rows, self.dtype)?;
        let tensor = Borrowed::rows(rows)?.f_to_device(self.device)?;
        Ok(self.kept.put(rows, KeptRows { tensor, norm }))
    }
}
