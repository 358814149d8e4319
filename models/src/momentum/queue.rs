//! The queues of keys: one bank a trained level and modality, one list of ids, one shared ring pointer.
//!
//! A bank starts as random unit rows, as MoCo's does; their id is -1 and they count for no rate and no age.
//! The batch need not divide the queue's length.

use std::collections::HashMap;

use tch::{Device, Kind, Tensor};

use crate::config::QueueDtype;
use crate::error::ModelError;
use crate::hcm::{Level, Modality, PairRows};
use crate::hierarchy::Levels;
use crate::loss::QueueIds;
use crate::step_kernels::{KeyWrite, StepKernels};

/// Id of a random entry.
const RANDOM: i64 = -1;

#[derive(Debug)]
struct Bank {
    level: Level,
    modality: Modality,
    /// `[queue_len, dim]` in the storage type.
    rows: Tensor,
}

/// Banks of keys with their videos and ages.
#[derive(Debug)]
pub struct MomentumQueue {
    banks: Vec<Bank>,
    /// Video of each entry `[queue_len]`.
    ids: Vec<i64>,
    /// Step in which each entry was written `[queue_len]`; meaningless where the id is random.
    written_at: Vec<u64>,
    /// Entries of each video.
    counts: HashMap<i64, u64>,
    /// Entry that is written next.
    pointer: usize,
}

impl MomentumQueue {
    /// Banks of random unit rows, drawn from libtorch's generator.
    ///
    /// # Errors
    /// [`ModelError`] when libtorch fails.
    pub fn new(
        queue_len: usize,
        dim: usize,
        levels: Levels,
        dtype: QueueDtype,
        device: Device,
    ) -> Result<Self, ModelError> {
        let _no_grad = tch::no_grad_guard();
        let kind = match dtype {
            QueueDtype::F16 => Kind::Half,
            QueueDtype::F32 => Kind::Float,
        };
        let mut banks = Vec::new();
        for level in Level::chosen(levels) {
            for modality in [Modality::Text, Modality::Video] {
                // Drawn on the CPU, so that the same seed gives the same entries on every device.
                let rows = Tensor::f_randn([queue_len as i64, dim as i64], (Kind::Float, Device::Cpu))?;
                let rows = rows.f_div(&rows.f_norm_scalaropt_dim(2, [1].as_slice(), true)?)?;
                banks.push(Bank {
                    level,
                    modality,
                    rows: rows.f_to_device(device)?.f_to_kind(kind)?,
                });
            }
        }
        Ok(Self {
            banks,
            ids: vec![RANDOM; queue_len],
            written_at: vec![0; queue_len],
            counts: HashMap::new(),
            pointer: 0,
        })
    }

    /// Entries a bank.
    pub fn queue_len(&self) -> usize {
        self.ids.len()
    }

    /// Entry that is written next.
    pub fn pointer(&self) -> usize {
        self.pointer
    }

    /// The whole bank of a trained level and a modality `[queue_len, dim]` in its storage type, without graph.
    ///
    /// # Errors
    /// [`ModelError::Shape`] when the level is not trained.
    pub fn bank(&self, level: Level, modality: Modality) -> Result<&Tensor, ModelError> {
        let bank = self
            .banks
            .iter()
            .find(|bank| bank.level == level && bank.modality == modality);
        let bank = bank.ok_or_else(|| ModelError::shape("bank", level.name(), "nothing"))?;
        Ok(&bank.rows)
    }

    /// Entries `[n]` of a bank as `f32` `[n, dim]`.
    ///
    /// # Errors
    /// [`ModelError`] when the level is not trained or an entry does not exist.
    pub fn select(&self, level: Level, modality: Modality, entries: &Tensor) -> Result<Tensor, ModelError> {
        Ok(self
            .bank(level, modality)?
            .f_index_select(0, entries)?
            .f_to_kind(Kind::Float)?)
    }

    /// What the loss must know of the entries' videos.
    pub fn ids(&self) -> QueueIds<'_> {
        let n_random = self.ids.iter().filter(|id| **id == RANDOM).count();
        QueueIds {
            ids: &self.ids,
            counts: &self.counts,
            n_filled: (self.ids.len() - n_random) as u64,
        }
    }

    /// Mean age in steps of the real entries at `step`; an entry written in the step before has age 1. None
    /// while all entries are random.
    pub fn mean_age(&self, step: u64) -> Option<f64> {
        let ages = self
            .ids
            .iter()
            .zip(&self.written_at)
            .filter(|(id, _)| **id != RANDOM);
        let (sum, n) = ages.fold((0_u64, 0_u64), |(sum, n), (_, at)| {
            (sum + step.saturating_sub(*at), n + 1)
        });
        (n > 0).then(|| sum as f64 / n as f64)
    }

    /// Writes a batch of keys over the oldest entries with `kernels` and moves the pointer, wrapping at the end.
    ///
    /// `keys` hold unit rows `[batch, dim]` of every trained level; `video_ids [batch]`, none negative.
    ///
    /// # Errors
    /// [`ModelError::Shape`] when the batch is longer than the queue, ids or rows are missing or an id is
    /// negative; the queue is then unchanged. Otherwise as [`StepKernels::enqueue`]; some banks may then be
    /// written and others not.
    pub fn enqueue(
        &mut self,
        kernels: &dyn StepKernels,
        keys: PairRows<'_>,
        video_ids: &[i64],
        step: u64,
    ) -> Result<(), ModelError> {
        let (n, queue_len) = (video_ids.len(), self.ids.len());
        if n > queue_len {
            return Err(ModelError::shape(
                "batch of keys",
                format!("at most {queue_len}"),
                n,
            ));
        }
        if let Some(id) = video_ids.iter().find(|id| **id < 0) {
            return Err(ModelError::shape("video id", "at least 0", id));
        }
        let mut banks = Vec::with_capacity(self.banks.len());
        for bank in &self.banks {
            let source = keys.of(bank.level, bank.modality)?;
            let expected = [n as i64, bank.rows.size2()?.1];
            if source.size() != expected {
                return Err(ModelError::shape(
                    "keys",
                    format!("{expected:?}"),
                    format!("{:?}", source.size()),
                ));
            }
            banks.push((&bank.rows, source));
        }
        let entries: Vec<usize> = (0..n).map(|i| (self.pointer + i) % queue_len).collect();
        let replaced: Vec<i64> = entries.iter().map(|&entry| self.ids[entry]).collect();
        self.pointer = kernels.enqueue(KeyWrite {
            banks: &banks,
            video_ids,
            queue_ids: &mut self.ids,
            pointer: self.pointer,
        })?;
        for id in replaced {
            self.forget(id);
        }
        for (&entry, &id) in entries.iter().zip(video_ids) {
            *self.counts.entry(id).or_insert(0) += 1;
            self.written_at[entry] = step;
        }
        Ok(())
    }

    /// Takes one entry of a video from the counts; random entries are in none.
    fn forget(&mut self, id: i64) {
        if let Some(count) = self.counts.get_mut(&id) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&id);
            }
        }
    }

    /// Everything that a checkpoint must hold, by name.
    ///
    /// # Errors
    /// [`ModelError`] when libtorch fails.
    pub fn state(&self) -> Result<Vec<(String, Tensor)>, ModelError> {
        let written_at: Vec<i64> = self.written_at.iter().map(|step| *step as i64).collect();
        let mut state: Vec<_> = self
            .banks
            .iter()
            .map(|bank| {
                (
                    format!("{}.{}", bank.level.name(), bank.modality.name()),
                    bank.rows.shallow_clone(),
                )
            })
            .collect();
        state.push(("ids".to_owned(), Tensor::f_from_slice(&self.ids)?));
        state.push(("written_at".to_owned(), Tensor::f_from_slice(&written_at)?));
        state.push((
            "pointer".to_owned(),
            Tensor::f_from_slice(&[self.pointer as i64])?,
        ));
        Ok(state)
    }

    /// Takes the state that [`MomentumQueue::state`] gave; names, shapes and types were checked against it.
    ///
    /// # Errors
    /// [`ModelError::Shape`] when the pointer is not an entry or a name is missing.
    pub fn restore(&mut self, state: &HashMap<String, Tensor>) -> Result<(), ModelError> {
        let get = |name: &str| {
            state
                .get(name)
                .ok_or_else(|| ModelError::shape("queue state", name, "nothing"))
        };
        let _no_grad = tch::no_grad_guard();
        for bank in &mut self.banks {
            bank.rows
                .f_copy_(get(&format!("{}.{}", bank.level.name(), bank.modality.name()))?)?;
        }
        let pointer = usize::try_from(get("pointer")?.f_int64_value(&[0])?).unwrap_or(usize::MAX);
        if pointer >= self.ids.len() {
            return Err(ModelError::shape(
                "queue pointer",
                format!("below {}", self.ids.len()),
                pointer,
            ));
        }
        let ids = Vec::<i64>::try_from(get("ids")?)?;
        let written_at = Vec::<i64>::try_from(get("written_at")?)?;
        self.counts.clear();
        for id in ids.iter().filter(|id| **id != RANDOM) {
            *self.counts.entry(*id).or_insert(0) += 1;
        }
        self.ids = ids;
        self.written_at = written_at.into_iter().map(|step| step.max(0) as u64).collect();
        self.pointer = pointer;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TrainKernels;
    use crate::hierarchy::LevelEmbeddings;
    use crate::step_kernels::step_kernels;

    const LEVELS: Levels = Levels {
        feature: false,
        semantic: true,
    };

    fn queue(queue_len: usize, dtype: QueueDtype) -> MomentumQueue {
        tch::manual_seed(1);
        MomentumQueue::new(queue_len, 4, LEVELS, dtype, Device::Cpu).unwrap()
    }

    /// Captions and videos of a batch; each row repeats the given value, the captions' negated.
    fn keys(values: &[f32]) -> (LevelEmbeddings, LevelEmbeddings) {
        let video =
            Tensor::from_slice(values).unsqueeze(1) * Tensor::ones([1, 4], (Kind::Float, Device::Cpu));
        let text = LevelEmbeddings {
            feature: None,
            semantic: Some(video.neg()),
        };
        (
            text,
            LevelEmbeddings {
                feature: None,
                semantic: Some(video),
            },
        )
    }

    fn enqueue_by(
        kernels: TrainKernels,
        queue: &mut MomentumQueue,
        values: &[f32],
        ids: &[i64],
        step: u64,
    ) -> Result<(), ModelError> {
        let (text, video) = keys(values);
        let kernels = step_kernels(kernels, QueueDtype::F16, 1, tch::Device::Cpu)?;
        let keys = PairRows {
            text: &text,
            video: &video,
        };
        queue.enqueue(&*kernels, keys, ids, step)
    }

    fn enqueue(queue: &mut MomentumQueue, values: &[f32], ids: &[i64], step: u64) -> Result<(), ModelError> {
        enqueue_by(TrainKernels::Libtorch, queue, values, ids, step)
    }

    fn first_column(queue: &MomentumQueue, modality: Modality) -> Vec<f32> {
        let rows = queue.bank(Level::Semantic, modality).unwrap();
        Vec::<f32>::try_from(rows.select(1, 0).to_kind(Kind::Float)).unwrap()
    }

    #[test]
    fn starts_with_random_unit_rows_that_count_for_nothing() {
        for (dtype, kind, tolerance) in [
            (QueueDtype::F32, Kind::Float, 1e-6),
            (QueueDtype::F16, Kind::Half, 1e-3),
        ] {
            let queue = queue(50, dtype);
            for modality in [Modality::Text, Modality::Video] {
                let rows = queue.bank(Level::Semantic, modality).unwrap();
                assert_eq!((rows.kind(), rows.size()), (kind, vec![50, 4]));
                let rows = rows.to_kind(Kind::Float);
                let norms = Vec::<f32>::try_from(rows.norm_scalaropt_dim(2, [1].as_slice(), false)).unwrap();
                assert!(
                    norms.iter().all(|norm| (norm - 1.0).abs() < tolerance),
                    "{norms:?}"
                );
            }
            assert_ne!(
                first_column(&queue, Modality::Text),
                first_column(&queue, Modality::Video)
            );
            assert!(queue.bank(Level::Feature, Modality::Text).is_err());
            assert_eq!(queue.mean_age(9), None);
            assert_eq!((queue.ids().n_filled, queue.queue_len()), (0, 50));
        }
    }

    #[test]
    fn wraps_when_the_batch_does_not_divide_its_length() {
        for kernels in [TrainKernels::Libtorch, TrainKernels::Custom] {
            for dtype in [QueueDtype::F16, QueueDtype::F32] {
                let mut queue = queue(5, dtype);
                // Rows of four equal elements are unit rows at a half and its negative: the ids tell keys apart.
                enqueue_by(kernels, &mut queue, &[0.5, -0.5, 0.5], &[10, 20, 30], 0).unwrap();
                assert_eq!(
                    (queue.pointer(), queue.ids().n_filled, queue.mean_age(1)),
                    (3, 3, Some(1.0))
                );
                enqueue_by(kernels, &mut queue, &[0.5, -0.5, -0.5], &[40, 10, 10], 1).unwrap();
                assert_eq!(
                    first_column(&queue, Modality::Video),
                    [-0.5, -0.5, 0.5, 0.5, -0.5]
                );
                assert_eq!(first_column(&queue, Modality::Text), [0.5, 0.5, -0.5, -0.5, 0.5]);
                assert_eq!(queue.ids().ids, [10, 20, 30, 40, 10]);
                assert_eq!(
                    queue.ids().counts,
                    &HashMap::from([(10, 2), (20, 1), (30, 1), (40, 1)])
                );
                // Two entries of step 0 and three of step 1, seen from step 2.
                assert_eq!((queue.pointer(), queue.mean_age(2)), (1, Some(1.4)));
            }
        }
    }

    #[test]
    fn comes_back_from_its_state() {
        let mut queue = queue(5, QueueDtype::F16);
        enqueue(&mut queue, &[0.1, 0.2, 0.3], &[1, 2, 3], 7).unwrap();
        let state = queue
            .state()
            .unwrap()
            .into_iter()
            .map(|(name, tensor)| (name, tensor.copy()))
            .collect();
        let mut other = MomentumQueue::new(5, 4, LEVELS, QueueDtype::F16, Device::Cpu).unwrap();
        other.restore(&state).unwrap();
        for queue in [&mut queue, &mut other] {
            enqueue(queue, &[0.4, 0.5, 0.6], &[4, 5, 1], 8).unwrap();
        }
        for modality in [Modality::Text, Modality::Video] {
            assert_eq!(first_column(&queue, modality), first_column(&other, modality));
        }
        assert_eq!(queue.ids().counts, other.ids().counts);
        assert_eq!(queue.mean_age(9), other.mean_age(9));
        assert_eq!(queue.ids().ids, other.ids().ids);
    }

    #[test]
    fn refuses_what_does_not_fit() {
        for kernels in [TrainKernels::Libtorch, TrainKernels::Custom] {
            let mut queue = queue(2, QueueDtype::F32);
            assert!(enqueue_by(kernels, &mut queue, &[1.0, 2.0, 3.0], &[1, 2, 3], 0).is_err());
            assert!(enqueue_by(kernels, &mut queue, &[1.0], &[-1], 0).is_err());
            assert!(enqueue_by(kernels, &mut queue, &[1.0], &[1, 2], 0).is_err());
            assert_eq!(queue.mean_age(1), None);
        }
    }
}
