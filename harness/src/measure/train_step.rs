//! One training step of the preset `tiny` on random pairs without padding: one expert, both levels.

use hitbench_kernels::KernelId;
use hitbench_kernels::cuda::TensorKernels;
use hitbench_models::batch::ExpertRows;
use hitbench_models::config::{ExpertSpec, LrFactors, Preset, QueueDtype, TrainKernels};
use hitbench_models::{
    HitConfig, InputSpec, ModelError, MomentumConfig, OptimizerConfig, OptimizerRule, PairBatch, TextBatch,
    Trainer, TrainerSpec, VideoBatch,
};

use super::bench::{Bench, BenchError, Judged};
use crate::suite::KernelCell;
use crate::suite::kernel_cell::TrainStepShape;

/// Length of the expert's rows, as of word vectors.
const EXPERT_DIM: usize = 300;
/// Rows of the word embedding table.
const VOCAB: usize = 10_000;
/// Batches that are trained on in turns.
const N_BATCHES: u64 = 4;
/// Small enough for random pairs never to diverge.
const LR: f64 = 1e-5;

/// A trainer and what it trains on.
pub(super) struct TrainStepBench {
    trainer: Trainer,
    batches: Vec<PairBatch>,
    step: u64,
}

impl TrainStepBench {
    /// A trainer with the implementation that the cell's kernel stands for; none where no implementation does.
    pub(super) fn new(shape: &TrainStepShape, cell: &KernelCell) -> Result<Option<Self>, ModelError> {
        let Some((kernels, queue_dtype)) = implementation(&cell.kernel) else {
            return Ok(None);
        };
        let tokens = shape.tokens as usize;
        let mut model = HitConfig::preset(Preset::Tiny);
        model.max_text_tokens = tokens;
        model.video_input.max_expert_tokens = tokens;
        let spec = TrainerSpec {
            model,
            momentum: MomentumConfig {
                queue_len: shape.queue_len as usize,
                queue_dtype,
                ..MomentumConfig::default()
            },
            inputs: InputSpec {
                experts: vec![ExpertSpec {
                    name: "random".to_owned(),
                    dim: EXPERT_DIM,
                }],
                vocab_size: VOCAB,
            },
            optimizer: OptimizerConfig {
                rule: OptimizerRule::Adam,
                weight_decay: 0.0,
                clip_grad_norm: 0.0,
                lr_factors: LrFactors::default(),
            },
            device: cell.device.clone(),
            threads: cell.measure.threads as usize,
            kernels,
            seed: 0,
        };
        Ok(Some(Self {
            trainer: Trainer::new(spec)?,
            batches: (0..N_BATCHES).map(|number| batch(shape, number)).collect(),
            step: 0,
        }))
    }
}

/// What `train.kernels` and `momentum.queue_dtype` are for a kernel's name: ours only on the best instruction set of
/// this machine, or on the GPU, which training takes.
fn implementation(kernel: &str) -> Option<(TrainKernels, QueueDtype)> {
    if ["libtorch/cpu/f32", "libtorch/cuda/f32"].contains(&kernel) {
        return Some((TrainKernels::Libtorch, MomentumConfig::default().queue_dtype));
    }
    let concrete = |name: &str| name.parse::<KernelId>().ok().map(KernelId::resolve);
    let asked = concrete(kernel)?;
    if let KernelId::Cuda { .. } = asked {
        // What training takes; where there are none, it says why.
        let is_taken = TensorKernels::new().map_or(true, |taken| taken.id() == asked);
        return is_taken.then_some((TrainKernels::Custom, QueueDtype::F16));
    }
    let dtypes = [
        ("cpu/auto/f16", QueueDtype::F16),
        ("cpu/auto/f32", QueueDtype::F32),
    ];
    let found = dtypes
        .into_iter()
        .find(|(name, _)| concrete(name) == Some(asked))?;
    Some((TrainKernels::Custom, found.1))
}

impl Bench for TrainStepBench {
    fn call(&mut self) -> Result<(), BenchError> {
        let batch = &self.batches[(self.step % N_BATCHES) as usize];
        self.trainer.step(self.step, LR, batch)?;
        self.step += 1;
        Ok(())
    }

    /// A step that is not finite is an error; what the implementations share is compared by the tests of the model.
    fn verify(&mut self) -> Result<Judged, BenchError> {
        self.call()?;
        Ok(None)
    }
}

/// Pairs in which every caption and every video has all tokens.
fn batch(shape: &TrainStepShape, number: u64) -> PairBatch {
    let (n, seq_len) = (shape.batch as usize, shape.tokens as usize);
    let mut state = number + 1;
    let mut next = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    let n_rows = n * (seq_len - 1);
    let features = (0..n_rows * EXPERT_DIM)
        .map(|_| next() as f32 / (1_u64 << 30) as f32 - 1.0)
        .collect();
    // Token 0 of each video is `[CLS]`, the others are the expert's rows one after another.
    let tokens = || (0..n * seq_len).map(|at| (at / seq_len, at % seq_len));
    let source = |(video, token): (usize, usize)| match token {
        0 => 1,
        _ => (2 + video * (seq_len - 1) + token - 1) as i64,
    };
    PairBatch {
        text: TextBatch {
            n_texts: n,
            seq_len,
            token_ids: tokens().map(|_| (next() % VOCAB as u64) as i64).collect(),
            lengths: vec![seq_len; n],
        },
        video: VideoBatch {
            n_videos: n,
            seq_len,
            experts: vec![ExpertRows {
                dim: EXPERT_DIM,
                features,
            }],
            source_row: tokens().map(source).collect(),
            position: tokens().map(|(_, token)| token as i64).collect(),
            expert: tokens().map(|(_, token)| i64::from(token > 0)).collect(),
            lengths: vec![seq_len; n],
        },
        video_ids: (0..n as i64).map(|i| number as i64 * n as i64 + i).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_kernels_stand_for_implementations_of_the_step() {
        let ours = |dtype| Some((TrainKernels::Custom, dtype));
        let libtorch = Some((TrainKernels::Libtorch, MomentumConfig::default().queue_dtype));
        for (kernel, expected) in [
            ("cpu/auto/f16", ours(QueueDtype::F16)),
            ("cpu/auto/f32", ours(QueueDtype::F32)),
            ("libtorch/cpu/f32", libtorch),
            ("libtorch/cuda/f32", libtorch),
            ("libtorch/cuda/f16", None),
            ("reference/f64", None),
            ("gemm/f32", None),
        ] {
            assert_eq!(implementation(kernel), expected, "{kernel}");
        }
        // Without a GPU either says by itself what it lacks; with one, the other one is no implementation.
        let on_gpu = ["cuda/sm80/f16", "cuda/sm90a/f16"]
            .into_iter()
            .filter_map(implementation);
        let on_gpu: Vec<_> = on_gpu.map(Some).collect();
        let n = if TensorKernels::new().is_ok() { 1 } else { 2 };
        assert_eq!(on_gpu, vec![ours(QueueDtype::F16); n]);
    }
}
