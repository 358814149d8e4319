//! A plain product on a GPU, to compare kernels with.

use tch::{Kind, Tensor};

use super::device::device;
use crate::id::LibtorchDevice;
use crate::{KernelError, Rows};

/// Rows of either side that are multiplied at a time.
const QUERIES: i64 = 1 << 14;
const ITEMS: i64 = 1 << 16;

/// The scores of f16 rows by libtorch's `matmul` on the first GPU, which is that of the vendor's library, and nothing done
/// with them: those of each chunk overwrite those before.
#[derive(Debug)]
pub struct Product {
    query: Tensor,
    gallery: Tensor,
    scores: Tensor,
}

impl Product {
    /// Copies rows `[n_queries, dim]` and `[n_gallery, dim]` to the device.
    ///
    /// # Errors
    /// [`KernelError::Unavailable`] without a GPU, [`KernelError::Libtorch`] when libtorch refuses.
    pub fn new(query: Rows<'_>, gallery: Rows<'_>) -> Result<Self, KernelError> {
        crate::scores::check_dims(query, gallery)?;
        let device = device(LibtorchDevice::Cuda).map_err(|reason| KernelError::Unavailable {
            id: "matmul/cuda/f16".to_owned(),
            reason,
        })?;
        let load = |rows| -> Result<Tensor, KernelError> {
            let rows = super::memory::Borrowed::rows(rows)?.to(device, Kind::Half)?;
            Ok(rows.shallow_clone())
        };
        let (query, gallery) = (load(query)?, load(gallery)?);
        let size = [query.size()[0].min(QUERIES), gallery.size()[0].min(ITEMS)];
        Ok(Self {
            scores: Tensor::f_empty(size, (Kind::Half, device))?,
            query,
            gallery,
        })
    }

    /// Waits for products that were started.
    ///
    /// # Errors
    /// [`KernelError::Libtorch`].
    pub fn wait(&self) -> Result<(), KernelError> {
        // Reading an element waits for everything before it.
        if self.scores.numel() > 0 {
            self.scores.f_double_value(&[0, 0])?;
        }
        Ok(())
    }

    /// Starts the product.
    ///
    /// # Errors
    /// [`KernelError::Libtorch`].
    pub fn start(&self) -> Result<(), KernelError> {
        let (n_queries, n_gallery) = (self.query.size()[0], self.gallery.size()[0]);
        for first in (0..n_gallery).step_by(ITEMS as usize) {
            let items = self
                .gallery
                .f_narrow(0, first, ITEMS.min(n_gallery - first))?
                .f_tr()?;
            for first in (0..n_queries).step_by(QUERIES as usize) {
                let query = self.query.f_narrow(0, first, QUERIES.min(n_queries - first))?;
                // The scores of a whole chunk lie in one piece; those of the last ones get new memory.
                let _scores = if [query.size()[0], items.size()[1]] == self.scores.size()[..] {
                    query.f_matmul_out(&self.scores, &items)?
                } else {
                    query.f_matmul(&items)?
                };
            }
        }
        Ok(())
    }
}
