//! `info_nce`, `ema_update` and `enqueue` on tensors that stay on a GPU, as a training step has them, by our kernels or by
//! libtorch's operations: something to be called again and again.

use tch::{Device, Kind, Tensor};

use super::bridge::InfoNceTensors;
use super::device::device;
use super::kernel::LibtorchKernel;
use super::memory::Borrowed;
use super::operations::{losses, output, own_scores};
use super::script::{TensorList, lerp_list};
use crate::cuda::TensorKernels;
use crate::id::LibtorchDevice;
use crate::info_nce::InfoNceOutput;
use crate::momentum::{MIN_NORM, QueueCopy, check_momentum};
use crate::{Dtype, KernelError, KernelId, Rows};

/// Whose operations run.
#[derive(Debug)]
enum By {
    Ours(TensorKernels),
    Libtorch,
}

/// The implementation that `id` names, and the device of its tensors.
fn by(id: KernelId) -> Result<(By, Device), KernelError> {
    let unavailable = |reason| KernelError::Unavailable {
        id: id.to_string(),
        reason,
    };
    let by = match id {
        KernelId::Cuda { arch, .. } => By::Ours(TensorKernels::of(arch)?),
        KernelId::Libtorch {
            device: LibtorchDevice::Cuda,
            dtype,
        } => {
            LibtorchKernel::new(LibtorchDevice::Cuda, dtype)?;
            By::Libtorch
        }
        _ => return Err(unavailable("computes in the memory of the host".to_owned())),
    };
    Ok((by, device(LibtorchDevice::Cuda).map_err(unavailable)?))
}

/// The type of the queue of a kernel.
fn queue_kind(id: KernelId) -> Kind {
    match id.dtype() {
        Dtype::F16 => Kind::Half,
        Dtype::F32 | Dtype::F64 => Kind::Float,
    }
}

/// A term whose loss is computed and propagated back to the queries, again and again.
#[derive(Debug)]
pub struct InfoNceInPlace {
    by: By,
    /// `[batch, dim]`, f32, a leaf.
    query: Tensor,
    /// `[batch, dim]`, f32.
    positive: Tensor,
    /// `[queue_len, dim]`, in the type of the kernel.
    queue: Tensor,
    temperature: f64,
}

/// What a start computes; gradients `[batch, dim]` lie on the device.
#[derive(Debug)]
enum Found {
    ByOurs {
        output: InfoNceOutput,
        gradient: Tensor,
    },
    /// The losses are `[batch]`.
    ByLibtorch {
        losses: Tensor,
        gradient: Tensor,
    },
}

impl InfoNceInPlace {
    /// Copies queries, their positives and the queue to the GPU, where nothing is computed yet.
    ///
    /// # Errors
    /// As [`EmaInPlace::new`].
    pub fn new(
        id: KernelId,
        [query, positive, queue]: [Rows<'_>; 3],
        temperature: f64,
    ) -> Result<Self, KernelError> {
        let (by, device) = by(id)?;
        Self::on(
            by,
            (queue_kind(id), device),
            [query, positive, queue],
            temperature,
        )
    }

    fn on(
        by: By,
        (kind, device): (Kind, Device),
        [query, positive, queue]: [Rows<'_>; 3],
        temperature: f64,
    ) -> Result<Self, KernelError> {
        let load = |rows: Rows<'_>, kind: Kind| -> Result<Tensor, KernelError> {
            // A copy of its own, on the CPU too: the graph hangs on it.
            let tensor = Borrowed::rows(rows)?.f_to_device(device)?.f_to_kind(kind)?;
            Ok(tensor.f_detach_copy()?)
        };
        Ok(Self {
            by,
            query: load(query, Kind::Float)?.f_set_requires_grad(true)?,
            positive: load(positive, Kind::Float)?,
            queue: load(queue, kind)?,
            temperature,
        })
    }

    /// Computes the loss, and its gradient by the queries, which stays on the GPU.
    ///
    /// # Errors
    /// [`KernelError`] of the implementation.
    pub fn start(&self) -> Result<(), KernelError> {
        self.compute().map(drop)
    }

    fn compute(&self) -> Result<Found, KernelError> {
        let gradient = |mean: Tensor| -> Result<Tensor, KernelError> {
            let mut gradients = Tensor::f_run_backward(&[mean], &[&self.query], false, false)?;
            Ok(gradients.remove(0))
        };
        Ok(match &self.by {
            By::Ours(kernels) => {
                let (loss, output) = kernels.info_nce(&InfoNceTensors {
                    query: &self.query,
                    positive: &self.positive,
                    queue: Some(&self.queue),
                    in_batch: false,
                    ids: None,
                    temperature: self.temperature,
                })?;
                Found::ByOurs {
                    output,
                    gradient: gradient(loss)?,
                }
            }
            By::Libtorch => {
                let [own, negatives] = self.scores()?;
                let losses = losses(&own, &negatives, self.temperature)?;
                Found::ByLibtorch {
                    gradient: gradient(losses.f_mean(None::<Kind>)?)?,
                    losses: losses.f_detach()?,
                }
            }
        })
    }

    /// By libtorch: `[batch, 1]` of the positives, `[batch, queue_len]` of the negatives.
    fn scores(&self) -> Result<[Tensor; 2], KernelError> {
        let queue = self.queue.f_to_kind(Kind::Float)?;
        let own = own_scores(&self.query, &self.positive)?;
        Ok([own, self.query.f_matmul(&queue.f_tr()?)?])
    }

    /// What a start computes, brought to the host.
    ///
    /// # Errors
    /// [`KernelError`] of the implementation.
    pub fn output(&self) -> Result<InfoNceOutput, KernelError> {
        let read = |gradient: &Tensor| -> Result<Vec<f32>, KernelError> {
            Ok(Vec::try_from(gradient.f_reshape([-1])?)?)
        };
        Ok(match self.compute()? {
            Found::ByOurs { output, gradient } => InfoNceOutput {
                query_gradient: read(&gradient)?,
                ..output
            },
            Found::ByLibtorch { losses, gradient } => {
                let [own, negatives] = self.scores()?;
                output(&losses, [&own, &negatives], read(&gradient)?, None)?
            }
        })
    }
}

/// Key tensors on their way to query tensors.
#[derive(Debug)]
pub struct EmaInPlace {
    by: By,
    keys: Vec<Tensor>,
    queries: Vec<Tensor>,
    /// The same keys and queries, for libtorch.
    lists: [TensorList; 2],
    momentum: f64,
}

impl EmaInPlace {
    /// Copies pairs of tensors, as many keys as queries, to the GPU.
    ///
    /// # Errors
    /// [`KernelError::Unavailable`] for a kernel that does not run on a GPU or not on this one, [`KernelError::Libtorch`]
    /// when libtorch refuses.
    pub fn new(
        id: KernelId,
        keys: &[Vec<f32>],
        queries: &[Vec<f32>],
        momentum: f64,
    ) -> Result<Self, KernelError> {
        let (by, device) = by(id)?;
        Self::on(by, device, keys, queries, momentum)
    }

    fn on(
        by: By,
        device: Device,
        keys: &[Vec<f32>],
        queries: &[Vec<f32>],
        momentum: f64,
    ) -> Result<Self, KernelError> {
        check_momentum(momentum)?;
        crate::scores::check_len("queries", keys.len(), queries.len())?;
        let load = |tensors: &[Vec<f32>]| -> Result<Vec<Tensor>, KernelError> {
            let loaded = tensors
                .iter()
                .map(|tensor| Ok(Tensor::f_from_slice(tensor)?.f_to_device(device)?));
            loaded.collect()
        };
        let (keys, queries) = (load(keys)?, load(queries)?);
        Ok(Self {
            by,
            lists: [keys.iter().collect(), queries.iter().collect()],
            keys,
            queries,
            momentum,
        })
    }

    /// Starts to move all keys once.
    ///
    /// # Errors
    /// [`KernelError`] of the implementation.
    pub fn start(&self) -> Result<(), KernelError> {
        match &self.by {
            By::Ours(kernels) => {
                let pairs: Vec<(&Tensor, &Tensor)> = self.keys.iter().zip(&self.queries).collect();
                kernels.ema_update(self.momentum, &pairs)
            }
            By::Libtorch => {
                let [keys, queries] = &self.lists;
                lerp_list(keys, queries, 1.0 - self.momentum)
            }
        }
    }

    /// The first `n` elements of a key, fewer if it is shorter.
    ///
    /// # Errors
    /// [`KernelError::Libtorch`].
    pub fn key(&self, index: usize, n: usize) -> Result<Vec<f32>, KernelError> {
        let key = &self.keys[index];
        Ok(Vec::try_from(key.f_narrow(0, 0, key.numel().min(n) as i64)?)?)
    }
}

/// A queue that keys are written into, round and round.
#[derive(Debug)]
pub struct EnqueueInPlace {
    by: By,
    /// `[batch, dim]`.
    keys: Tensor,
    ids: Vec<i64>,
    /// `[queue_len, dim]`.
    queue: Tensor,
    queue_ids: Vec<i64>,
    pointer: usize,
}

impl EnqueueInPlace {
    /// Copies keys `[batch, dim]` to the GPU, and makes a queue of zeros `[queue_len, dim]` there, in the type of the
    /// kernel; the batch is not larger. Ids stay on the host, as in training.
    ///
    /// # Errors
    /// As [`EmaInPlace::new`].
    pub fn new(id: KernelId, keys: Rows<'_>, ids: &[i64], queue_len: usize) -> Result<Self, KernelError> {
        let (by, device) = by(id)?;
        Self::on(by, (queue_kind(id), device), keys, ids, queue_len)
    }

    fn on(
        by: By,
        (kind, device): (Kind, Device),
        keys: Rows<'_>,
        ids: &[i64],
        queue_len: usize,
    ) -> Result<Self, KernelError> {
        let (n_keys, dim) = (keys.n_rows(), keys.dim());
        crate::scores::check_len("ids", n_keys, ids.len())?;
        if n_keys > queue_len {
            return Err(KernelError::Argument {
                name: "batch of keys",
                problem: format!("has {n_keys} rows, the queue {queue_len}"),
            });
        }
        let queue_size = [queue_len as i64, dim as i64];
        Ok(Self {
            by,
            keys: Borrowed::rows(keys)?
                .f_to_device(device)?
                .f_to_kind(Kind::Float)?,
            ids: ids.to_vec(),
            queue: Tensor::f_zeros(queue_size, (kind, device))?,
            queue_ids: vec![-1; queue_len],
            pointer: 0,
        })
    }

    /// Starts to write the keys at the pointer, and moves it.
    ///
    /// # Errors
    /// [`KernelError`] of the implementation.
    pub fn start(&mut self) -> Result<(), KernelError> {
        self.pointer = match &self.by {
            By::Ours(kernels) => kernels.enqueue(
                &self.keys,
                &self.ids,
                &self.queue,
                &mut self.queue_ids,
                self.pointer,
            )?,
            By::Libtorch => self.write()?,
        };
        Ok(())
    }

    /// The usual sequence of operations.
    fn write(&mut self) -> Result<usize, KernelError> {
        let norms = self
            .keys
            .f_norm_scalaropt_dim(2, [1].as_slice(), true)?
            .f_clamp_min(MIN_NORM)?;
        let keys = self.keys.f_div(&norms)?;
        let (n_keys, queue_len) = (self.ids.len(), self.queue_ids.len());
        let until_end = n_keys.min(queue_len - self.pointer);
        for (to, from, len) in [(self.pointer, 0, until_end), (0, until_end, n_keys - until_end)] {
            if len > 0 {
                let new = keys.f_narrow(0, from as i64, len as i64)?;
                self.queue.f_narrow(0, to as i64, len as i64)?.f_copy_(&new)?;
                self.queue_ids[to..to + len].copy_from_slice(&self.ids[from..from + len]);
            }
        }
        Ok((self.pointer + n_keys) % queue_len.max(1))
    }

    /// Where the next keys go.
    pub fn pointer(&self) -> usize {
        self.pointer
    }

    /// A copy of the rows of the queue, in its type.
    ///
    /// # Errors
    /// [`KernelError::Libtorch`].
    pub fn rows(&self) -> Result<QueueCopy, KernelError> {
        let rows = self.queue.f_reshape([-1])?;
        Ok(match self.queue.f_kind()? {
            Kind::Half => QueueCopy::F16(Vec::try_from(rows)?),
            _ => QueueCopy::F32(Vec::try_from(rows)?),
        })
    }

    /// The ids of the queue.
    pub fn queue_ids(&self) -> &[i64] {
        &self.queue_ids
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RowsData;
    use crate::cuda::emulated_tensor_kernels;

    /// All implementations, with tensors in the memory of the host; libtorch's alone without the emulator.
    fn all() -> Vec<By> {
        let ours = emulated_tensor_kernels().into_iter().map(By::Ours);
        [By::Libtorch].into_iter().chain(ours).collect()
    }

    #[test]
    fn losses_and_gradients_are_those_of_libtorch() {
        let rows = |n: usize, seed: usize| -> Vec<f32> {
            (0..8 * n)
                .map(|at| ((at * 37 + seed) % 19) as f32 / 19.0 - 0.5)
                .collect()
        };
        let (query, positive, queue) = (rows(3, 1), rows(3, 5), rows(7, 2));
        let rows = |data| Rows::new(RowsData::F32(data), data.len() / 8, 8).unwrap();
        let sides = [rows(&query), rows(&positive), rows(&queue)];
        let found: Vec<_> = all()
            .into_iter()
            .map(|by| {
                let term = InfoNceInPlace::on(by, (Kind::Half, Device::Cpu), sides, 0.1).unwrap();
                term.start().unwrap();
                let first = term.output().unwrap();
                assert_eq!(
                    term.output().unwrap(),
                    first,
                    "a gradient is not added to the last one"
                );
                first
            })
            .collect();
        // The loss of query 0 by hand: queue rows were rounded to f16.
        let score = |key: &[f32]| -> f64 {
            query[..8]
                .iter()
                .zip(key)
                .map(|(q, k)| f64::from(*q) * f64::from(*k))
                .sum()
        };
        let own = (score(&positive[..8]) / 0.1).exp();
        let others: f64 = queue.chunks(8).map(|key| (score(key) / 0.1).exp()).sum();
        let expected = -(own / (own + others)).ln();
        for output in &found {
            let loss = output.losses[0];
            assert!((loss - expected).abs() < 5e-3, "{loss}, expected {expected}");
            assert_eq!((output.n_hits, output.n_negatives), (found[0].n_hits, 21));
            for (found, expected) in output.query_gradient.iter().zip(&found[0].query_gradient) {
                assert!((found - expected).abs() < 5e-3, "{found} and {expected}");
            }
        }
    }

    #[test]
    fn keys_move_towards_queries_at_every_start() {
        let keys = [vec![1.0, -2.0, 3.0], vec![0.5; 70]];
        let queries = [vec![2.0, 0.0, -1.0], vec![-0.5; 70]];
        for by in all() {
            let ema = EmaInPlace::on(by, Device::Cpu, &keys, &queries, 0.75).unwrap();
            ema.start().unwrap();
            ema.start().unwrap();
            // 9/16 of what the key was, 7/16 of the query: exact in f32.
            assert_eq!(ema.key(0, 9).unwrap(), [1.4375, -1.125, 1.25], "{:?}", ema.by);
            assert_eq!(ema.key(1, 2).unwrap(), [0.0625; 2], "{:?}", ema.by);
        }
        let uneven = EmaInPlace::on(By::Libtorch, Device::Cpu, &keys, &queries[..1], 0.75);
        assert!(uneven.is_err());
    }

    #[test]
    fn keys_are_written_round_and_round() {
        let rows = [3.0, 4.0, 0.0, 2.0, -1.0, 0.0];
        let keys = Rows::new(RowsData::F32(&rows), 3, 2).unwrap();
        for kind in [Kind::Float, Kind::Half] {
            for by in all() {
                let place = (kind, Device::Cpu);
                let mut queue = EnqueueInPlace::on(by, place, keys, &[7, 8, 9], 5).unwrap();
                queue.start().unwrap();
                assert_eq!(queue.pointer(), 3);
                assert_eq!(queue.queue_ids(), [7, 8, 9, -1, -1]);
                queue.start().unwrap();
                assert_eq!(queue.pointer(), 1);
                assert_eq!(queue.queue_ids(), [9, 8, 9, 7, 8]);
                let expected = [-1.0, 0.0, 0.0, 1.0, -1.0, 0.0, 0.6, 0.8, 0.0, 1.0_f32];
                let expected = match kind {
                    Kind::Half => QueueCopy::F16(expected.map(half::f16::from_f32).to_vec()),
                    _ => QueueCopy::F32(expected.to_vec()),
                };
                assert_eq!(queue.rows().unwrap(), expected, "{:?}", queue.by);
            }
        }
        let large = EnqueueInPlace::on(By::Libtorch, (Kind::Float, Device::Cpu), keys, &[7, 8, 9], 2);
        assert!(large.is_err());
    }
}
