//! Gradients of whole steps: with our kernels as with libtorch's autograd.

use hitbench_kernels::id::{CpuIsa, LibtorchDevice};
use hitbench_kernels::tolerance::{gradient_tolerance, loss_tolerance, sum_tolerance};
use hitbench_kernels::{Dtype, KernelId};

use super::*;
use crate::config::{Hierarchy, HitConfig, LrFactors, Preset, QueueDtype, TrainKernels};
use crate::optimizer::{OptimizerConfig, OptimizerRule};
use pairs::{batch, inputs};

#[path = "../../tests/training/pairs.rs"]
mod pairs;

const DIM: usize = 8;
const BATCH: usize = 6;
const TEMPERATURE: f64 = 0.07;
const FEATURE_WEIGHT: f64 = 0.5;

fn trainer(queue_len: usize, queue_dtype: QueueDtype) -> Trainer {
    let mut model = HitConfig {
        hierarchy: Hierarchy::Both,
        embed_dim: DIM,
        ..HitConfig::preset(Preset::Tiny)
    };
    for tower in [&mut model.text, &mut model.video] {
        (tower.layers, tower.semantic_tap) = (2, 2);
        (tower.hidden, tower.heads, tower.ffn) = (16, 2, 24);
        tower.attention_dropout = 0.1;
    }
    model.level_weights.feature = FEATURE_WEIGHT;
    Trainer::new(TrainerSpec {
        model,
        momentum: MomentumConfig {
            queue_len,
            momentum: 0.9,
            temperature: TEMPERATURE,
            queue_dtype,
            ..MomentumConfig::default()
        },
        inputs: inputs(),
        optimizer: OptimizerConfig {
            rule: OptimizerRule::Adam,
            weight_decay: 0.0,
            clip_grad_norm: 0.0,
            lr_factors: LrFactors::default(),
        },
        kernels: TrainKernels::Libtorch,
        device: "cpu".to_owned(),
        threads: 1,
        seed: 3,
    })
    .unwrap()
}

/// Two pairs of one video, and videos that come again in the next steps.
fn ids(step: u64) -> [u64; BATCH] {
    let id = |i| (step * 4 + i) % 11;
    [id(0), id(1), id(2), id(3), id(0), id(4)]
}

fn custom(dtype: QueueDtype) -> KernelId {
    let dtype = match dtype {
        QueueDtype::F16 => Dtype::F16,
        QueueDtype::F32 => Dtype::F32,
    };
    KernelId::Cpu {
        isa: CpuIsa::Auto,
        dtype,
    }
}

const LIBTORCH: KernelId = KernelId::Libtorch {
    device: LibtorchDevice::Cpu,
    dtype: Dtype::F32,
};

/// Bound of the error of a term. Rows are unit rows, those of queues but for rounding to f16.
fn term_bound(kernel: KernelId) -> f64 {
    loss_tolerance(sum_tolerance(kernel, DIM), 1.01, TEMPERATURE)
}

/// Bound of the error of an element of a term's gradient by the query rows.
fn gradient_bound(kernel: KernelId, queue_len: usize) -> f64 {
    gradient_tolerance(term_bound(kernel), 1.01, TEMPERATURE, BATCH, queue_len + BATCH)
}

/// By how much elements of `found - expected` exceed their bounds; not above zero where all are within.
fn excess(found: &Tensor, expected: &Tensor, bound: &Tensor) -> f64 {
    ((found - expected).abs() - bound).max().double_value(&[])
}

/// Sum over all elements of the rows of `bound * |derivative by each parameter|`: how far parameters' gradients may
/// be apart when the rows' gradients are apart by `bound`.
fn carried(rows: &[(&Tensor, f64)], parameters: &[Tensor]) -> Vec<Tensor> {
    let mut sums: Vec<Tensor> = parameters.iter().map(Tensor::zeros_like).collect();
    for (rows, bound) in rows {
        for element in rows.reshape([-1]).unbind(0) {
            let derivatives = Tensor::f_run_backward(&[element], parameters, true, false).unwrap();
            for (sum, derivative) in sums.iter_mut().zip(derivatives) {
                if derivative.defined() {
                    *sum += derivative.abs() * *bound;
                }
            }
        }
    }
    sums
}

/// What a step computes from one batch with the kernels in place: terms' summaries, gradients by the rows of the
/// query encoders and by all trained parameters.
fn gradients(trainer: &Trainer, encoded: &Encoded, batch: &PairBatch) -> (Tensor, Vec<Tensor>, Vec<Tensor>) {
    let loss = trainer.loss(encoded, &trainer.negatives(batch)).unwrap();
    let by = |inputs: &[&Tensor]| Tensor::f_run_backward(&[&loss.total], inputs, true, false).unwrap();
    let rows: Vec<_> = rows(encoded).into_iter().map(|(rows, _)| rows).collect();
    let parameters: Vec<_> = trainer.parameters.variables().iter().collect();
    (loss.summaries.shallow_clone(), by(&rows), by(&parameters))
}

/// Rows of the query encoders with the weight of their level.
fn rows(encoded: &Encoded) -> Vec<(&Tensor, f64)> {
    [&encoded.text, &encoded.video]
        .into_iter()
        .flat_map(|side| [(&side.semantic, 1.0), (&side.feature, FEATURE_WEIGHT)])
        .map(|(rows, weight)| (rows.as_ref().unwrap(), weight))
        .collect()
}

#[test]
fn gradients_of_a_whole_step_agree_between_the_kernels() {
    for (queue_len, dtype) in [(0, QueueDtype::F16), (20, QueueDtype::F16), (20, QueueDtype::F32)] {
        // Queues are filled and wrapped by training, so that masks find videos in them.
        let mut trainer = trainer(queue_len, dtype);
        for step in 0..5 {
            trainer.step(step, 1e-2, &batch(&ids(step))).unwrap();
        }
        let pairs = batch(&ids(5));
        tch::manual_seed(9);
        let encoded = trainer.encode(&pairs).unwrap();
        let bound = gradient_bound(custom(dtype), queue_len) + gradient_bound(LIBTORCH, queue_len);
        // A row is the query of one term; end to end it is a key of another too, which meets every query.
        let roles = if queue_len == 0 { 1 + BATCH } else { 1 };
        let bounds: Vec<_> = rows(&encoded)
            .into_iter()
            .map(|(rows, weight)| (rows, weight * roles as f64 * bound))
            .collect();
        let carried = carried(&bounds, trainer.parameters.variables());

        for (in_batch, mask) in [(false, false), (false, true), (true, false), (true, true)] {
            let what = format!("queue_len {queue_len} {dtype:?}, in batch {in_batch}, mask {mask}");
            (
                trainer.spec.momentum.in_batch_negatives,
                trainer.spec.momentum.mask_same_video,
            ) = (in_batch, mask);
            let found = [TrainKernels::Libtorch, TrainKernels::Custom].map(|choice| {
                trainer.kernels = step_kernels(choice, dtype, 1, tch::Device::Cpu).unwrap();
                gradients(&trainer, &encoded, &pairs)
            });
            let [
                (summaries, by_rows, by_parameters),
                (custom_summaries, custom_by_rows, custom_by_parameters),
            ] = found;

            let apart = (&summaries - &custom_summaries).abs().amax([0], false);
            let apart = Vec::<f64>::try_from(apart.to_kind(Kind::Double)).unwrap();
            assert!(
                apart[0] <= term_bound(custom(dtype)) + term_bound(LIBTORCH),
                "{what}: {apart:?}"
            );
            assert_eq!(apart[1], 0.0, "{what}: hit rates");
            // Sums of scores, each of unit rows.
            let score = sum_tolerance(custom(dtype), DIM) + sum_tolerance(LIBTORCH, DIM);
            assert!(
                apart[2] <= 2.0 * score && apart[3] <= 2.0 * score,
                "{what}: {apart:?}"
            );

            for ((found, expected), (rows, bound)) in custom_by_rows.iter().zip(&by_rows).zip(&bounds) {
                let excess = excess(found, expected, &rows.full_like(*bound));
                assert!(excess <= 0.0, "{what}: {excess:e} beyond the bound by a row");
            }
            let largest = by_parameters.iter().map(|by| by.abs().max().double_value(&[]));
            let largest = largest.fold(0.0, f64::max);
            let named = trainer.parameters.slots().iter().zip(&carried);
            for ((slot, bound), (found, expected)) in
                named.zip(custom_by_parameters.iter().zip(&by_parameters))
            {
                if slot.name.ends_with("key.bias") {
                    // Attention does not depend on it: its gradient is zero, and what is found is rounding.
                    for by in [found, expected] {
                        let rest = by.abs().max().double_value(&[]);
                        assert!(
                            rest <= largest * f64::from(f32::EPSILON),
                            "{what}: {} {rest:e}",
                            slot.name
                        );
                    }
                    continue;
                }
                let excess = excess(found, expected, bound);
                assert!(
                    excess <= 0.0,
                    "{what}: {excess:e} beyond the bound by {}",
                    slot.name
                );
            }
            assert!(largest > 0.01, "{what}: {largest}");
        }
    }
}
