//! HiT in training and use: all that a harness calls, with no libtorch type in sight.
//!
//! The random generator is seeded anew each step from the trial's seed and the step, so that a checkpoint
//! needs no generator state and a resumed run repeats the numbers of an uninterrupted one, bit for bit on
//! the CPU. libtorch's generator and thread count belong to the process: train one model at a time.

use hitbench_kernels::KernelError;
use hitbench_kernels::libtorch::{keep_freed_memory, use_threads};
use tch::{Device, Kind, Tensor};

use crate::batch::{ExpertRows, PairBatch, TextBatch, VideoBatch};
use crate::config::{ExpertSpec, InputSpec, MomentumConfig};
use crate::device::parse_device;
use crate::embedder::{text_rows, video_rows};
use crate::encoder::DualEncoder;
use crate::error::ModelError;
use crate::hcm::{HcmInputs, HcmLoss, PairRows, hcm_loss};
use crate::hierarchy::{LevelEmbeddings, Levels};
use crate::loss::Negatives;
use crate::momentum::{DriftProbe, KeyEncoder, MomentumQueue};
use crate::optimizer::Optimizer;
use crate::parameters::FlatParameters;
use crate::spec::{LevelRows, StepStats, TrainerSpec};
use crate::step_kernels::{StepKernels, step_kernels};
use crate::stored::InitialWeights;
use crate::weights::{load_bert, load_saved};

mod save;
#[cfg(test)]
mod tests;

/// In place of a step, for what is drawn before the first.
const INITIAL: u64 = u64::MAX;

/// What momentum contrast adds to the query encoders.
#[derive(Debug)]
struct Contrast {
    encoder: KeyEncoder,
    queue: MomentumQueue,
    probe: Option<DriftProbe>,
}

/// A HiT model with everything needed to train it.
#[derive(Debug)]
pub struct Trainer {
    spec: TrainerSpec,
    levels: Levels,
    kernels: Box<dyn StepKernels>,
    query: DualEncoder,
    parameters: FlatParameters,
    optimizer: Optimizer,
    contrast: Option<Contrast>,
}

/// A batch, encoded.
#[derive(Debug)]
struct Encoded {
    text: LevelEmbeddings,
    video: LevelEmbeddings,
    /// Rows of the key encoders, captions first; none end to end.
    keys: Option<(LevelEmbeddings, LevelEmbeddings)>,
}

impl Trainer {
    /// A model with weights drawn from the seed.
    ///
    /// # Errors
    /// [`ModelError`] when a setting is impossible, the device is missing or memory runs out.
    pub fn new(spec: TrainerSpec) -> Result<Self, ModelError> {
        Self::with_weights(spec, &InitialWeights::default()).map(|(trainer, _)| trainer)
    }

    /// A model with these weights, and others drawn from the seed; also the names of the tensors that keep drawn values
    /// because the file of the whole model lacks their experts. Key encoders begin as copies of the query encoders.
    ///
    /// # Errors
    /// As [`Self::new`]; [`ModelError::Weights`] for weights that do not fit the model.
    pub fn with_weights(
        spec: TrainerSpec,
        initial: &InitialWeights,
    ) -> Result<(Self, Vec<String>), ModelError> {
        spec.model.validate()?;
        spec.momentum.validate()?;
        spec.inputs.validate()?;
        spec.optimizer.validate()?;
        spec.kernels.validate_device(&spec.device)?;
        let device = parse_device(&spec.device)?;
        let kernels = step_kernels(spec.kernels, spec.momentum.queue_dtype, spec.threads, device)?;
        use_threads(spec.threads);
        keep_freed_memory();
        tch::manual_seed(mix(spec.seed, INITIAL));
        let levels = Levels::from(spec.model.hierarchy);
        let query = DualEncoder::new(&spec.model, &spec.inputs, device)?;
        let drawn = match &initial.model {
            Some(stored) => load_saved(query.variables(), stored)?,
            None => Vec::new(),
        };
        if let Some(stored) = &initial.text {
            load_bert(query.variables(), stored)?;
        }
        query.set_requires_grad(true)?;
        let trained = trained_variables(&query, &spec.inputs, levels)?;
        let parameters = FlatParameters::gather(&trained, device)?;
        let optimizer = Optimizer::new(spec.optimizer.clone(), &parameters)?;
        let contrast = if spec.momentum.queue_len > 0 {
            let MomentumConfig {
                queue_len,
                momentum,
                queue_dtype,
                ..
            } = spec.momentum;
            let encoder = DualEncoder::new(&spec.model, &spec.inputs, device)?;
            let encoder = KeyEncoder::new(
                encoder,
                &query,
                &parameters,
                momentum,
                spec.model.key_dropout,
                device,
            )?;
            let queue = MomentumQueue::new(queue_len, spec.model.embed_dim, levels, queue_dtype, device)?;
            Some(Contrast {
                encoder,
                queue,
                probe: None,
            })
        } else {
            None
        };
        let trainer = Self {
            spec,
            levels,
            kernels,
            query,
            parameters,
            optimizer,
            contrast,
        };
        Ok((trainer, drawn))
    }

    /// One optimizer step on a batch.
    ///
    /// `step` counts from 0 and must be the number of steps made; `lr` is this step's learning rate. Order as
    /// in MoCo: key encoders move, keys without gradient, loss, update, keys into the queue.
    ///
    /// # Errors
    /// [`ModelError`] when the batch does not fit the model or the queue, or loss or gradient is no longer
    /// finite; the trainer is then of no further use.
    pub fn step(&mut self, step: u64, lr: f64, batch: &PairBatch) -> Result<StepStats, ModelError> {
        self.check(batch)?;
        use_threads(self.spec.threads);
        tch::manual_seed(mix(self.spec.seed, step));
        if let Some(contrast) = &self.contrast {
            contrast.encoder.follow(&*self.kernels, &self.parameters)?;
        }
        let queue = self.contrast.as_ref().map(|contrast| &contrast.queue);
        let queue_age_mean = queue.and_then(|queue| queue.mean_age(step));
        let encoded = self.encode(batch)?;
        let negatives = self.negatives(batch);
        let (same_video, n_negatives) = (negatives.same_video(), negatives.kept());
        let loss = self.loss(&encoded, &negatives).map_err(|error| match error {
            ModelError::Kernel(source @ KernelError::NotFinite { .. }) => {
                ModelError::NotFinite { step, source }
            }
            error => error,
        })?;
        let norm = self.optimizer.step(&self.parameters, &loss.total, lr)?;
        let key_drift = match (&mut self.contrast, &encoded.keys) {
            (Some(contrast), Some((text, video))) => {
                let keys = PairRows { text, video };
                contrast.remember(&*self.kernels, keys, batch, self.levels, step)?
            }
            _ => None,
        };

        let n_terms = loss.names.len();
        let scalars = [&loss.summaries, &loss.total, &norm].map(|value| value.f_detach()?.f_reshape([-1]));
        let scalars = scalars.into_iter().collect::<Result<Vec<_>, _>>()?;
        let values = Vec::<f64>::try_from(
            Tensor::f_cat(&scalars, 0)?
                .f_to_device(Device::Cpu)?
                .f_to_kind(Kind::Double)?,
        )?;
        let (loss_value, grad_norm) = (values[4 * n_terms], values[4 * n_terms + 1]);
        if !(loss_value.is_finite() && grad_norm.is_finite()) {
            return Err(ModelError::Diverged {
                step,
                loss: loss_value,
                grad_norm,
            });
        }
        let mean = |column: usize| {
            values[..4 * n_terms].iter().skip(column).step_by(4).sum::<f64>() / n_terms as f64
        };
        Ok(StepStats {
            loss: loss_value,
            terms: loss
                .names
                .iter()
                .copied()
                .zip(values.iter().step_by(4).copied())
                .collect(),
            same_video_rate: same_video.same as f64 / same_video.candidates.max(1) as f64,
            same_video_queries: same_video.queries as f64 / batch.video_ids.len() as f64,
            queue_age_mean,
            key_drift,
            grad_norm,
            positive_mean: mean(2),
            negative_mean: (n_negatives > 0).then(|| mean(3)),
            hit_rate: mean(1),
        })
    }

    /// Encodes a batch, with dropout.
    fn encode(&self, batch: &PairBatch) -> Result<Encoded, ModelError> {
        let keys = match &self.contrast {
            Some(contrast) => Some(contrast.encoder.encode(batch, self.levels)?),
            None => None,
        };
        Ok(Encoded {
            keys,
            text: self.query.encode_text(&batch.text, self.levels, true)?,
            video: self.query.encode_video(&batch.video, self.levels, true)?,
        })
    }

    fn negatives<'a>(&'a self, batch: &'a PairBatch) -> Negatives<'a> {
        let queue = self.contrast.as_ref().map(|contrast| contrast.queue.ids());
        let MomentumConfig {
            in_batch_negatives,
            mask_same_video,
            ..
        } = self.spec.momentum;
        Negatives::new(&batch.video_ids, queue, in_batch_negatives, mask_same_video)
    }

    fn loss(&self, encoded: &Encoded, negatives: &Negatives<'_>) -> Result<HcmLoss, ModelError> {
        let query = PairRows {
            text: &encoded.text,
            video: &encoded.video,
        };
        let keys = encoded.keys.as_ref();
        let inputs = HcmInputs {
            query,
            keys: keys.map_or(query, |(text, video)| PairRows { text, video }),
            queue: self.contrast.as_ref().map(|contrast| &contrast.queue),
            negatives,
            levels: self.levels,
            weights: &self.spec.model.level_weights,
            temperature: self.spec.momentum.temperature,
        };
        hcm_loss(&*self.kernels, &inputs)
    }

    /// Whether the batch can be trained on.
    fn check(&self, batch: &PairBatch) -> Result<(), ModelError> {
        let n = batch.video_ids.len();
        if batch.text.n_texts != n || batch.video.n_videos != n {
            let found = format!("{} and {}", batch.text.n_texts, batch.video.n_videos);
            return Err(ModelError::shape(
                "captions and videos of a batch",
                format!("{n} each"),
                found,
            ));
        }
        let queue_len = self.spec.momentum.queue_len;
        if queue_len > 0 && queue_len < n {
            return Err(ModelError::shape(
                "queue_len",
                format!("0 or at least the batch of {n}"),
                queue_len,
            ));
        }
        if n == 0 || (queue_len == 0 && n == 1) {
            return Err(ModelError::shape(
                "batch",
                "at least 1 pair, 2 without a queue",
                n,
            ));
        }
        Ok(())
    }

    /// Embeds captions with the query encoder, without dropout.
    ///
    /// # Errors
    /// [`ModelError`] when the batch does not fit the model.
    pub fn embed_texts(&self, batch: &TextBatch) -> Result<LevelRows, ModelError> {
        use_threads(self.spec.threads);
        text_rows(&self.query, self.levels, batch)
    }

    /// Embeds videos with the query encoder, without dropout.
    ///
    /// # Errors
    /// [`ModelError`] when the batch does not fit the model.
    pub fn embed_videos(&self, batch: &VideoBatch) -> Result<LevelRows, ModelError> {
        use_threads(self.spec.threads);
        video_rows(&self.query, self.levels, batch)
    }

    /// Parameters of the query encoders, those of untrained levels included.
    pub fn parameter_count(&self) -> usize {
        self.query
            .variables()
            .iter()
            .map(|(_, variable)| variable.numel())
            .sum()
    }

    /// What the trainer was built from.
    pub fn spec(&self) -> &TrainerSpec {
        &self.spec
    }
}

impl Contrast {
    /// Measures a probe that is due, writes the keys of `step` to the queue and takes a new probe of them.
    fn remember(
        &mut self,
        kernels: &dyn StepKernels,
        keys: PairRows<'_>,
        batch: &PairBatch,
        levels: Levels,
        step: u64,
    ) -> Result<Option<f64>, ModelError> {
        let n = batch.video_ids.len();
        let due = self.probe.take_if(|probe| probe.is_due(&self.queue, n, step));
        let drift = due
            .map(|probe| probe.measure(&self.encoder, &self.queue, levels))
            .transpose()?;
        if self.probe.is_none() {
            self.probe = Some(DriftProbe::take(batch, &self.queue, step)?);
        }
        self.queue.enqueue(kernels, keys, &batch.video_ids, step)?;
        Ok(drift)
    }
}

/// The variables that take part in training at `levels`: those that get a gradient from one pair whose video
/// has every expert. Layers above the highest tap and heads of other levels get none.
fn trained_variables(
    encoder: &DualEncoder,
    inputs: &InputSpec,
    levels: Levels,
) -> Result<Vec<(String, Tensor)>, ModelError> {
    let n_experts = inputs.experts.len();
    let seq_len = 1 + n_experts;
    let text = TextBatch {
        n_texts: 1,
        seq_len: 1,
        token_ids: vec![0],
        lengths: vec![1],
    };
    let row = |expert: &ExpertSpec| ExpertRows {
        dim: expert.dim,
        features: vec![1.0; expert.dim],
    };
    let video = VideoBatch {
        n_videos: 1,
        seq_len,
        experts: inputs.experts.iter().map(row).collect(),
        source_row: (1..=seq_len as i64).collect(),
        position: vec![0; seq_len],
        expert: (0..seq_len as i64).collect(),
        lengths: vec![seq_len],
    };
    let embeddings = [
        encoder.encode_text(&text, levels, false)?,
        encoder.encode_video(&video, levels, false)?,
    ];
    let mut total = Tensor::f_zeros([1], (Kind::Float, encoder.variables()[0].1.device()))?;
    for rows in embeddings
        .iter()
        .flat_map(|rows| [&rows.feature, &rows.semantic])
        .flatten()
    {
        total = total.f_add(&rows.f_sum(Kind::Float)?)?;
    }
    let variables: Vec<_> = encoder.variables().iter().map(|(_, variable)| variable).collect();
    let gradients = Tensor::f_run_backward(&[total], &variables, false, false)?;
    let named = encoder
        .variables()
        .iter()
        .zip(gradients)
        .filter(|(_, gradient)| gradient.defined());
    Ok(named
        .map(|((name, variable), _)| (name.clone(), variable.shallow_clone()))
        .collect())
}

/// One generator seed from a trial's seed and a step (SplitMix64's finalizer over both).
fn mix(seed: u64, step: u64) -> i64 {
    let mut bits =
        seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ step.wrapping_add(1).wrapping_mul(0xd1b5_4a32_d192_ed03);
    for multiplier in [0xbf58_476d_1ce4_e5b9_u64, 0x94d0_49bb_1331_11eb] {
        bits = (bits ^ (bits >> 30)).wrapping_mul(multiplier);
    }
    (bits ^ (bits >> 31)) as i64
}
