//! Our kernels on libtorch's tensors on the device, in place: no row is copied that has the kernels' type and layout
//! already.
//!
//! Everything runs on libtorch's own stream, so that its work and ours are in one order. Tensors are handles: as with
//! libtorch's own operations, no other thread may write to the memory of a tensor while a function here works on it.
//! What is written is checked not to overlap what is read.

use std::sync::Arc;

use half::f16;
use tch::{Device, Kind, Tensor};

use super::gpu::Gpu;
use super::info_nce::{DeviceIds, DeviceTerm};
use super::launch::{self, QueueView};
use super::memory::{View, ViewMut};
use super::rows::{DeviceView, stride};
use super::upkeep::TensorPairs;
use crate::check::{self, QUERY, RowNorm};
use crate::id::CudaArch;
use crate::info_nce::{InfoNceOutput, check_term};
use crate::libtorch::bridge::{InfoNceTensors, check_disjoint, size2, with_slopes};
use crate::momentum::check_momentum;
use crate::scores::check_len;
use crate::{Dtype, KernelError, KernelId, Rows, RowsData};

/// Our kernels for tensors of one device.
#[derive(Debug)]
pub struct TensorKernels {
    gpu: Arc<dyn Gpu>,
    /// Where tensors must lie.
    device: Device,
}

impl TensorKernels {
    /// The fastest kernels of the first GPU.
    ///
    /// # Errors
    /// [`KernelError::Unavailable`] with the reason why there are none.
    pub fn new() -> Result<Self, KernelError> {
        Self::on(super::device::fastest(), "cuda/sm80/f16".to_owned())
    }

    /// The kernels `arch` on the first GPU.
    ///
    /// # Errors
    /// [`KernelError::Unavailable`] with the reason why it cannot run them.
    pub fn of(arch: CudaArch) -> Result<Self, KernelError> {
        let dtype = Dtype::F16;
        Self::on(
            super::device::first(arch),
            KernelId::Cuda { arch, dtype }.to_string(),
        )
    }

    /// The kernels of `gpu`; without it `wanted` is unavailable for the reason given.
    fn on(gpu: Result<Arc<dyn Gpu>, String>, wanted: String) -> Result<Self, KernelError> {
        let gpu = gpu.map_err(|reason| KernelError::Unavailable { id: wanted, reason })?;
        Ok(Self {
            gpu,
            device: Device::Cuda(0),
        })
    }

    /// Which kernels they are.
    pub fn id(&self) -> KernelId {
        KernelId::Cuda {
            arch: self.gpu.arch(),
            dtype: Dtype::F16,
        }
    }

    /// The kernels on an emulated device, whose memory is this process's.
    #[cfg(test)]
    pub(super) fn emulated(gpu: Arc<dyn Gpu>) -> Self {
        Self {
            gpu,
            device: Device::Cpu,
        }
    }

    /// Computes an InfoNCE term of `f32` or `f16` tensors `[n, dim]` in f16. The loss, a scalar, carries a graph, as
    /// that of [`crate::libtorch::bridge::info_nce`]; the gradients of the output are empty, since they stay on the
    /// device.
    ///
    /// # Errors
    /// As [`crate::InfoNce::info_nce`]; [`KernelError::Argument`] for tensors of another kind or device.
    pub fn info_nce(&self, term: &InfoNceTensors<'_>) -> Result<(Tensor, InfoNceOutput), KernelError> {
        let (batch, dim) = size2("query", term.query)?;
        let query = self.rows("query", term.query)?;
        let positive = self.rows("positive", term.positive)?;
        let queue = match term.queue {
            Some(queue) => self.rows("queue", queue)?,
            None => self.rows(
                "queue",
                &Tensor::f_zeros([0, dim as i64], (Kind::Half, self.device))?,
            )?,
        };
        self.check_sizes(term)?;
        let longest = longest([&query, &positive, &queue])?;
        let gradient = || Tensor::f_empty([batch as i64, dim as i64], (Kind::Float, self.device));
        let by_query = gradient()?;
        let by_positive = match term.positive.requires_grad() {
            true => Some(gradient()?),
            false => None,
        };
        let device_term = DeviceTerm {
            gpu: &self.gpu,
            query: view(&query),
            positive: view(&positive),
            queue: view(&queue),
            dim,
            in_batch: term.in_batch,
            ids: term.ids.map(|ids| DeviceIds::new(&self.gpu, ids)).transpose()?,
            temperature: term.temperature,
        };
        // SAFETY: both tensors were just made, f32 and contiguous, and are read after the launches only.
        let (to_query, to_positive) = unsafe {
            (
                elements_mut(&by_query),
                by_positive.as_ref().map(|tensor| elements_mut(tensor)),
            )
        };
        let output = device_term.compute(&to_query, to_positive.as_ref())?;
        // Only now, so that the device is waited for when all is asked for.
        self.check_rows(term, &longest)?;
        let loss = with_slopes(term, &by_query, by_positive.as_ref(), output.loss())?;
        Ok((loss, output))
    }

    /// Moves key tensors towards query tensors, pairs `(key, query)` of contiguous f32 tensors, in one launch.
    ///
    /// # Errors
    /// As [`crate::EmaUpdate::ema_update`]; [`KernelError::Argument`] for tensors of another kind, layout or device, for
    /// a key that requires a gradient, and for a key whose memory is also another tensor's. Nothing is then written.
    pub fn ema_update(&self, momentum: f64, pairs: &[(&Tensor, &Tensor)]) -> Result<(), KernelError> {
        let weight = check_momentum(momentum)?;
        let mut all = TensorPairs::default();
        for (key, query) in pairs {
            if key.requires_grad() {
                return Err(KernelError::Argument {
                    name: "key tensor",
                    problem: "requires a gradient, which this update would not see".to_owned(),
                });
            }
            self.check_tensor("key tensor", key, &[Kind::Float])?;
            self.check_tensor("query tensor", query, &[Kind::Float])?;
            check_len("query tensor", key.numel(), query.numel())?;
            all.add(key.data_ptr() as u64, query.data_ptr() as u64, key.numel());
        }
        check_disjoint(
            pairs.iter().map(|(key, _)| *key),
            pairs.iter().map(|(_, query)| *query),
        )?;
        // SAFETY: they are contiguous f32 tensors on this device, which are borrowed; no key's memory is also another's
        // (`check_disjoint`). What uses the tensors afterwards comes later on the same stream.
        unsafe { all.update(&self.gpu, weight) }
    }

    /// Writes keys `[batch, dim]` of f32 into a queue tensor `[queue_len, dim]` (f16 or f32, contiguous), and ids into
    /// `queue_ids`. Returns the next pointer.
    ///
    /// Nothing is waited for, so that the numbers are not looked at: of a key that is not finite an element at least
    /// becomes NaN, which [`Self::info_nce`] refuses in the queue. Keys too long for [`crate::Enqueue::enqueue`] are written
    /// like others.
    ///
    /// # Errors
    /// [`KernelError::Length`] when shapes disagree; [`KernelError::Argument`] for tensors of another kind, layout or
    /// device, keys that lie in the queue, more keys than the queue has rows, or a pointer outside of it. Nothing is then
    /// written.
    pub fn enqueue(
        &self,
        keys: &Tensor,
        ids: &[i64],
        queue: &Tensor,
        queue_ids: &mut [i64],
        pointer: usize,
    ) -> Result<usize, KernelError> {
        let keys = keys.f_detach()?.f_to_kind(Kind::Float)?.f_contiguous()?;
        self.check_tensor("keys", &keys, &[Kind::Float])?;
        self.check_tensor("queue", queue, &[Kind::Half, Kind::Float])?;
        check_disjoint([queue].into_iter(), [&keys].into_iter())?;
        let ((n_keys, dim), (queue_len, queue_dim)) = (size2("keys", &keys)?, size2("queue", queue)?);
        check_len("ids of the keys", n_keys, ids.len())?;
        check_len("ids of the queue", queue_len, queue_ids.len())?;
        check_len("row of the queue", dim, queue_dim)?;
        if n_keys > queue_len || pointer >= queue_len.max(1) {
            return Err(KernelError::Argument {
                name: "batch of keys",
                problem: format!("has {n_keys} rows, the queue {queue_len}, its pointer is {pointer}"),
            });
        }
        if n_keys == 0 {
            return Ok(pointer);
        }
        // SAFETY: kinds, layout and device were checked; the queue's memory is not the keys' (`check_disjoint`); both are
        // borrowed, and what uses them afterwards comes later on the same stream.
        let (key_view, queue_view) = unsafe {
            let queue_view = match queue.f_kind()? {
                Kind::Half => QueueView::F16(elements_mut(queue)),
                _ => QueueView::F32(elements_mut(queue)),
            };
            (elements(&keys), queue_view)
        };
        let shape = [n_keys, dim];
        launch::enqueue(&*self.gpu, key_view, shape, &queue_view, queue_len, None, pointer)?;
        for (i, id) in ids.iter().enumerate() {
            queue_ids[(pointer + i) % queue_len] = *id;
        }
        Ok((pointer + n_keys) % queue_len)
    }

    /// Checks place, kind and layout.
    fn check_tensor(&self, name: &'static str, tensor: &Tensor, kinds: &[Kind]) -> Result<(), KernelError> {
        let argument = |problem: String| Err(KernelError::Argument { name, problem });
        if tensor.device() != self.device {
            return argument(format!(
                "lies on {:?}, must lie on {:?}",
                tensor.device(),
                self.device
            ));
        }
        let kind = tensor.f_kind()?;
        if !kinds.contains(&kind) {
            return argument(format!("is of kind {kind:?}, must be one of {kinds:?}"));
        }
        if !tensor.is_contiguous() {
            return argument("is not contiguous".to_owned());
        }
        Ok(())
    }

    /// Rows as the kernels read them: f16, padded, aligned. The tensor itself where it is so already.
    pub(super) fn rows(&self, name: &'static str, tensor: &Tensor) -> Result<Tensor, KernelError> {
        let (_, dim) = size2(name, tensor)?;
        let rows = tensor.f_detach()?.f_contiguous()?.f_to_kind(Kind::Half)?;
        self.check_tensor(name, &rows, &[Kind::Half])?;
        let padding = stride(dim) - dim;
        if padding == 0 && (rows.data_ptr() as usize).is_multiple_of(16) {
            return Ok(rows);
        }
        let padded = rows.f_constant_pad_nd([0, padding as i64])?;
        // A new tensor begins where libtorch's allocator aligns it to.
        self.check_tensor(name, &padded, &[Kind::Half])?;
        Ok(padded)
    }

    /// Checks shapes and settings.
    fn check_sizes(&self, term: &InfoNceTensors<'_>) -> Result<(), KernelError> {
        let (batch, dim) = size2("query", term.query)?;
        let queue = match term.queue {
            Some(queue) => size2("queue", queue)?.into(),
            None => [0, dim],
        };
        let sizes = [[batch, dim], size2("positive", term.positive)?.into(), queue];
        check_term(sizes, term.ids, term.temperature)
    }

    /// Checks that all rows are finite in f16, and that every logit keeps fraction bits in f32; waits for their norms.
    fn check_rows(&self, term: &InfoNceTensors<'_>, longest: &Tensor) -> Result<(), KernelError> {
        let longest: Vec<f32> = Vec::try_from(longest)?;
        let sides = [
            ("query", Some(term.query)),
            ("positive", Some(term.positive)),
            ("queue", term.queue),
        ];
        let mut norms = [RowNorm(0.0); 3];
        for ((norm, longest), (name, rows)) in norms.iter_mut().zip(longest).zip(sides) {
            match rows {
                Some(rows) if !longest.is_finite() => return Err(self.why_refused(name, rows)?),
                _ => *norm = RowNorm(f64::from(longest)),
            }
        }
        check::logit_norms(norms, term.temperature)
    }

    /// The error for rows that hold something that is not finite in f16, or that are too long.
    fn why_refused(&self, side: &'static str, rows: &Tensor) -> Result<KernelError, KernelError> {
        let (n_rows, dim) = size2(side, rows)?;
        let host = rows
            .f_detach()?
            .f_to_device(Device::Cpu)?
            .f_to_kind(Kind::Float)?
            .f_reshape([-1])?;
        let data: Vec<f32> = Vec::try_from(&host)?;
        let rows = Rows::new(RowsData::F32(&data), n_rows, dim)?;
        let norm = match check::scan(side, rows, Dtype::F16) {
            Err(error) => return Ok(error),
            Ok(norm) => norm,
        };
        Ok(check::score_range(norm, norm, f64::from(f32::MAX))
            .err()
            .unwrap_or(KernelError::Argument {
                name: QUERY,
                problem: "was refused on the device and is sound on the host".to_owned(),
            }))
    }
}

/// The largest Euclidean norm of the rows of each tensor `[3]`, 0 without rows, not finite where something in it is not.
fn longest(rows: [&Tensor; 3]) -> Result<Tensor, KernelError> {
    let longest = rows.map(|rows| -> Result<Tensor, KernelError> {
        if rows.numel() == 0 {
            return Ok(Tensor::f_zeros([], (Kind::Float, rows.device()))?);
        }
        // Summed in f32 as the rows are read, without a copy of them.
        let norms = rows.f_norm_scalaropt_dim_dtype(2, [1].as_slice(), false, Kind::Float)?;
        Ok(norms.f_max()?)
    });
    let [query, positive, queue] = longest;
    Ok(Tensor::f_stack(&[query?, positive?, queue?], 0)?)
}

/// Rows that [`TensorKernels::rows`] made.
fn view(rows: &Tensor) -> DeviceView<'_> {
    let (n_rows, stride) = match rows.size()[..] {
        [n_rows, stride] => (n_rows as usize, stride as usize),
        _ => (0, 8),
    };
    DeviceView {
        // SAFETY: the tensor is f16, contiguous, on the device, and borrowed; the callers write to none of its memory.
        data: unsafe { elements::<f16>(rows) },
        n_rows,
        stride,
    }
}

/// The elements of a tensor.
///
/// # Safety
/// The tensor is contiguous, of `T`'s kind and on the kernels' device; nobody writes to it before launches that read it
/// are done, except later on the same stream.
unsafe fn elements<T>(tensor: &Tensor) -> View<'_, T> {
    // SAFETY: the caller's promise.
    unsafe { View::of_others(tensor.data_ptr() as u64, tensor.numel(), tensor) }
}

/// The elements of a tensor, to be written.
///
/// # Safety
/// As [`elements`]; nobody reads it either.
unsafe fn elements_mut<T>(tensor: &Tensor) -> ViewMut<'_, T> {
    // SAFETY: the caller's promise.
    unsafe { ViewMut::of_others(tensor.data_ptr() as u64, tensor.numel(), tensor) }
}
