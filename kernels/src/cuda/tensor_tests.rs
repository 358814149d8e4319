//! The kernels on tensors, on the emulated device, whose memory is this process's: against the CPU kernels through the
//! same bridge.

use tch::{Device, Kind, Tensor};

use super::emulator::Emulator;
use super::tensors::TensorKernels;
use crate::cpu::CpuKernel;
use crate::id::{CpuIsa, CudaArch};
use crate::libtorch::bridge::{self, InfoNceTensors};
use crate::{ContrastIds, Dtype, KernelError};

const FLOAT: (Kind, Device) = (Kind::Float, Device::Cpu);

/// Both sets of kernels on an emulated device, or none, with the reason told.
pub(crate) fn kernels() -> Vec<TensorKernels> {
    let emulated = [CudaArch::Sm80, CudaArch::Sm90a].map(|arch| Emulator::gpu(arch, 2, 1 << 24, 5));
    let told = |reason: &String| println!("skipped: {reason}");
    let found = emulated.into_iter().filter_map(|gpu| gpu.inspect_err(told).ok());
    found.map(TensorKernels::emulated).collect()
}

fn unit_rows(n: i64, dim: i64) -> Tensor {
    let rows = Tensor::randn([n, dim], FLOAT);
    (&rows / rows.norm_scalaropt_dim(2, [1].as_slice(), true)).detach()
}

#[test]
fn losses_and_gradients_are_those_of_the_cpu_kernels() {
    for kernels in kernels() {
        tch::manual_seed(8);
        let cpu = CpuKernel::new(CpuIsa::Auto, Dtype::F16).unwrap();
        for (batch, queue_len, dim) in [(6, 20, 16), (70, 130, 20), (5, 0, 264)] {
            let queue = unit_rows(queue_len, dim).to_kind(Kind::Half);
            let batch_ids: Vec<i64> = (0..batch).map(|i| i % 4).collect();
            let queue_ids: Vec<i64> = (0..queue_len).map(|i| i % 7 - 1).collect();
            // Rows that f16 holds, so that both kernels see the same ones.
            let rows = || {
                unit_rows(batch, dim)
                    .to_kind(Kind::Half)
                    .to_kind(Kind::Float)
                    .set_requires_grad(true)
            };
            let (query, positive) = (rows(), rows());
            let term = InfoNceTensors {
                query: &query,
                positive: &positive,
                queue: (queue_len > 0).then_some(&queue),
                in_batch: true,
                ids: Some(ContrastIds {
                    batch: &batch_ids,
                    queue: &queue_ids,
                }),
                temperature: 0.2,
            };
            let backward = |loss: &Tensor| {
                Tensor::f_run_backward(&[loss * 3.0], &[&query, &positive], false, false).unwrap()
            };
            let (expected, expected_output) = bridge::info_nce(&cpu, &term).unwrap();
            let (found, output) = kernels.info_nce(&term).unwrap();
            let off = (found.double_value(&[]) - expected.double_value(&[])).abs();
            assert!(off < 1e-5, "loss off by {off:e}");
            assert_eq!(
                (output.n_hits, output.n_negatives),
                (expected_output.n_hits, expected_output.n_negatives)
            );
            assert!(output.query_gradient.is_empty(), "it stays on the device");
            for (found, expected) in backward(&found).iter().zip(backward(&expected)) {
                let off = (found - &expected).abs().max().double_value(&[]);
                let largest = expected.abs().max().double_value(&[]);
                assert!(
                    off < 2e-3 * largest,
                    "{batch} x {queue_len} x {dim}: off by {off:e} of {largest:e}"
                );
            }
        }
    }
}

#[test]
fn rows_of_the_kernels_type_and_layout_are_not_copied() {
    for kernels in kernels() {
        let queue = unit_rows(9, 24).to_kind(Kind::Half);
        assert_eq!(
            kernels.rows("queue", &queue).unwrap().data_ptr(),
            queue.data_ptr()
        );
        let padded = kernels
            .rows("queue", &queue.narrow(1, 0, 20).contiguous())
            .unwrap();
        assert_eq!(padded.size(), [9, 24]);
        assert_eq!(padded.narrow(1, 20, 4).abs().max().double_value(&[]), 0.0);
    }
}

#[test]
fn key_tensors_move_as_with_lerp() {
    for kernels in kernels() {
        tch::manual_seed(9);
        let (keys, queries) = (Tensor::randn([50_000], FLOAT), Tensor::randn([50_000], FLOAT));
        for momentum in [0.999, 0.25] {
            let expected = keys.lerp(&queries, 1.0 - momentum);
            let parts = |tensor: &Tensor| [tensor.narrow(0, 0, 33), tensor.narrow(0, 33, 49_967)];
            let (key_parts, query_parts) = (parts(&keys), parts(&queries));
            let pairs: Vec<_> = key_parts.iter().zip(&query_parts).collect();
            kernels.ema_update(momentum, &pairs).unwrap();
            let off = (&keys - expected).abs().max().double_value(&[]);
            assert!(off < 1e-6, "off by {off:e}");
        }
        let before = keys.copy();
        let part = keys.narrow(0, 10, 20);
        let overlapping = kernels.ema_update(0.5, &[(&keys.narrow(0, 0, 20), &part)]);
        assert!(
            matches!(overlapping, Err(KernelError::Argument { .. })),
            "{overlapping:?}"
        );
        let shorter = kernels.ema_update(0.5, &[(&keys, &queries.narrow(0, 0, 7))]);
        assert!(matches!(shorter, Err(KernelError::Length { .. })), "{shorter:?}");
        assert_eq!(keys, before);
    }
}

#[test]
fn keys_are_written_round() {
    for kernels in kernels() {
        tch::manual_seed(10);
        let cpu = CpuKernel::new(CpuIsa::Auto, Dtype::F32).unwrap();
        for kind in [Kind::Half, Kind::Float] {
            let keys = Tensor::randn([3, 10], FLOAT);
            let (queue, expected) = (unit_rows(5, 10).to_kind(kind), unit_rows(5, 10).to_kind(kind));
            expected.shallow_clone().copy_(&queue);
            let (mut ids, mut expected_ids) = ([-1; 5], [-1; 5]);
            let next = kernels.enqueue(&keys, &[7, 8, 9], &queue, &mut ids, 4).unwrap();
            let expected_next =
                bridge::enqueue(&cpu, &keys, &[7, 8, 9], &expected, &mut expected_ids, 4).unwrap();
            assert_eq!((next, ids), (expected_next, expected_ids));
            let bound = if kind == Kind::Half { 5e-4 } else { 1e-6 };
            let off = (queue.to_kind(Kind::Double) - expected.to_kind(Kind::Double))
                .abs()
                .max();
            assert!(off.double_value(&[]) < bound);

            let before = queue.copy();
            assert!(kernels.enqueue(&keys, &[1, 2, 3], &queue, &mut ids, 5).is_err());
            if kind == Kind::Float {
                let own = queue.narrow(0, 0, 2);
                assert!(kernels.enqueue(&own, &[1, 2], &queue, &mut ids, 2).is_err());
            }
            assert_eq!((&queue, ids), (&before, expected_ids));

            for bad in [f64::NAN, f64::INFINITY] {
                let bad = keys.masked_fill(&keys.eq_tensor(&keys.max()), bad);
                kernels.enqueue(&bad, &[1, 2, 3], &queue, &mut ids, 0).unwrap();
                assert_eq!(ids[..3], [1, 2, 3]);
                let term = InfoNceTensors {
                    query: &unit_rows(4, 10),
                    positive: &unit_rows(4, 10),
                    queue: Some(&queue),
                    in_batch: false,
                    ids: None,
                    temperature: 0.1,
                };
                let refused = kernels.info_nce(&term);
                assert!(
                    matches!(refused, Err(KernelError::NotFinite { side: "queue", .. })),
                    "{refused:?}"
                );
            }
        }
    }
}

#[test]
fn bad_rows_are_named_as_on_the_host() {
    for kernels in kernels() {
        let good = unit_rows(4, 8);
        let term = |query: &Tensor, queue: &Tensor, temperature: f64| {
            let term = InfoNceTensors {
                query,
                positive: &good,
                queue: Some(queue),
                in_batch: false,
                ids: None,
                temperature,
            };
            kernels.info_nce(&term).unwrap_err()
        };
        let large = &good * 1e7;
        assert!(matches!(
            term(&large, &good, 0.1),
            KernelError::Overflow {
                side: "query",
                dtype: Dtype::F16,
                ..
            }
        ));
        assert!(matches!(
            term(&good, &large, 0.1),
            KernelError::Overflow { side: "queue", .. }
        ));
        assert!(matches!(
            term(&good, &good, 0.0),
            KernelError::Argument {
                name: "temperature",
                ..
            }
        ));
        assert!(matches!(term(&good, &good, 1e-7), KernelError::ScoreRange { .. }));
        assert!(matches!(
            term(&good, &unit_rows(4, 9), 0.1),
            KernelError::DimMismatch { .. }
        ));
    }
}
