//! Our kernels on tensors, against the same with libtorch's own operations.

use hitbench_kernels::libtorch::bridge::{self, InfoNceTensors};
use hitbench_kernels::{
    ContrastIds, KernelError, KernelId, available_kernels, ema_update_kernel, enqueue_kernel, info_nce_kernel,
};
use tch::{Device, Kind, Tensor};

const FLOAT: (Kind, Device) = (Kind::Float, Device::Cpu);

fn ids() -> impl Iterator<Item = String> {
    // Kernels of a device have a bridge of their own (`hitbench_kernels::cuda::TensorKernels`).
    let is_on_cpu = |id: &KernelId| matches!(id, KernelId::Reference | KernelId::Cpu { .. });
    let ids = available_kernels().into_iter().filter(is_on_cpu);
    ids.map(|id| id.to_string())
}

fn unit_rows(n: i64, dim: i64) -> Tensor {
    let rows = Tensor::randn([n, dim], FLOAT);
    &rows / rows.norm_scalaropt_dim(2, [1].as_slice(), true)
}

fn assert_near(what: &str, found: &Tensor, expected: &Tensor, bound: f64) {
    assert_eq!(found.size(), expected.size(), "{what}");
    let error = (found - expected).abs().max().double_value(&[]);
    assert!(error <= bound, "{what}: off by {error:e}");
}

#[test]
fn the_gradient_of_a_term_enters_the_backward_pass() {
    tch::manual_seed(5);
    let (batch, queue_len, dim) = (6, 20, 16);
    let inputs = Tensor::randn([batch, dim], FLOAT);
    let weights = [(); 2].map(|()| Tensor::randn([dim, dim], FLOAT).set_requires_grad(true));
    let queue = unit_rows(queue_len, dim).to_kind(Kind::Half);
    let batch_ids: Vec<i64> = (0..batch).map(|i| i % 4).collect();
    let queue_ids: Vec<i64> = (0..queue_len).map(|i| i % 7 - 1).collect();
    let temperature = 0.2;
    // Each side is an encoder of one layer; three times the loss is minimised.
    let encode = |weight: &Tensor| inputs.matmul(weight).tanh();
    let gradients = |loss: Tensor| -> Vec<Tensor> {
        Tensor::f_run_backward(&[loss * 3.0], &[&weights[0], &weights[1]], false, false).unwrap()
    };

    let (query, positive) = (encode(&weights[0]), encode(&weights[1]));
    let masked = |scores: Tensor, ids: &[i64]| {
        let same = Tensor::from_slice(&batch_ids)
            .unsqueeze(1)
            .eq_tensor(&Tensor::from_slice(ids));
        scores.masked_fill(&same, f64::NEG_INFINITY)
    };
    let own = (&query * &positive).sum_dim_intlist(1, true, None::<Kind>);
    let in_batch = masked(query.matmul(&positive.tr()), &batch_ids);
    let in_queue = masked(query.matmul(&queue.to_kind(Kind::Float).tr()), &queue_ids);
    let logits = Tensor::cat(&[&own, &in_batch, &in_queue], 1) / temperature;
    let expected = (logits.logsumexp(1, false) - logits.select(1, 0)).mean(Kind::Float);
    let expected_gradients = gradients(expected.shallow_clone());

    for id in ids() {
        let (query, positive) = (encode(&weights[0]), encode(&weights[1]));
        let term = InfoNceTensors {
            query: &query,
            positive: &positive,
            queue: Some(&queue),
            in_batch: true,
            ids: Some(ContrastIds {
                batch: &batch_ids,
                queue: &queue_ids,
            }),
            temperature,
        };
        let (loss, output) = bridge::info_nce(&*info_nce_kernel(&id).unwrap(), &term).unwrap();
        assert_near(&id, &loss, &expected, 1e-5);
        assert_eq!(loss.double_value(&[]) as f32, output.loss() as f32);
        for (found, expected) in gradients(loss).iter().zip(&expected_gradients) {
            assert_near(&id, found, expected, 3e-5);
        }
    }
}

#[test]
fn positives_without_a_graph_get_no_gradient() {
    tch::manual_seed(6);
    let query = unit_rows(4, 8).set_requires_grad(true);
    let positive = unit_rows(4, 8);
    let kernel = info_nce_kernel("cpu/auto/f32").unwrap();
    let term = InfoNceTensors {
        query: &query,
        positive: &positive,
        queue: None,
        in_batch: true,
        ids: None,
        temperature: 0.1,
    };
    let (loss, output) = bridge::info_nce(&*kernel, &term).unwrap();
    assert!(loss.requires_grad() && output.positive_gradient.is_none());
    let strided = query.tr();
    let wrong = InfoNceTensors {
        queue: Some(&strided),
        ..term
    };
    assert!(matches!(
        bridge::info_nce(&*kernel, &wrong),
        Err(KernelError::Argument { name: "queue", .. })
    ));
}

#[test]
fn key_tensors_move_as_with_lerp() {
    tch::manual_seed(7);
    // Odd views into shared buffers, as flat parameters are.
    let (keys, queries) = (Tensor::randn([100_000], FLOAT), Tensor::randn([100_000], FLOAT));
    let views = [(0, 5), (16, 70_001), (70_032, 29_968)];
    for id in ids() {
        for momentum in [0.999, 0.5, 0.25] {
            let moved = keys.copy();
            let parts: Vec<(Tensor, Tensor)> = views
                .iter()
                .map(|&(start, len)| (moved.narrow(0, start, len), queries.narrow(0, start, len)))
                .collect();
            let pairs: Vec<(&Tensor, &Tensor)> = parts.iter().map(|(key, query)| (key, query)).collect();
            bridge::ema_update(&*ema_update_kernel(&id).unwrap(), momentum, &pairs).unwrap();
            let expected = keys.copy().lerp(&queries, 1.0 - momentum);
            for (start, len) in views {
                let (found, expected) = (moved.narrow(0, start, len), expected.narrow(0, start, len));
                assert_near(&id, &found, &expected, 2e-6);
            }
            // The gaps between the views are not touched.
            assert!(moved.narrow(0, 5, 11).equal(&keys.narrow(0, 5, 11)));
        }
    }
}

#[test]
fn memory_is_not_written_twice_or_behind_a_graph() {
    let buffer = Tensor::zeros([10], FLOAT);
    let query = Tensor::ones([5], FLOAT);
    let kernel = ema_update_kernel("cpu/auto/f32").unwrap();
    let at = |start: i64| buffer.narrow(0, start, 5);
    let refused = |pairs: &[(&Tensor, &Tensor)]| {
        let error = bridge::ema_update(&*kernel, 0.5, pairs).unwrap_err();
        assert!(matches!(error, KernelError::Argument { .. }), "{error}");
        assert_eq!(buffer.abs().sum(Kind::Float).double_value(&[]), 0.0);
    };
    refused(&[(&at(0), &query), (&at(4), &query)]);
    refused(&[(&at(0), &at(3))]);
    refused(&[(&at(0), &query.to_kind(Kind::Double))]);
    refused(&[(&Tensor::zeros([5], FLOAT).set_requires_grad(true), &query)]);
    refused(&[(&buffer.view([2, 5]).tr(), &query)]);
    // Two queries may share memory.
    bridge::ema_update(&*kernel, 0.5, &[(&at(0), &query), (&at(5), &query)]).unwrap();
    assert_eq!(buffer.sum(Kind::Float).double_value(&[]), 5.0);
    let queue = buffer.view([2, 5]);
    let keys = queue.narrow(0, 1, 1);
    let error = bridge::enqueue(
        &*enqueue_kernel("cpu/auto/f32").unwrap(),
        &keys,
        &[1],
        &queue,
        &mut [0, 0],
        0,
    );
    assert!(matches!(error, Err(KernelError::Argument { .. })));
}

#[test]
fn keys_are_written_into_the_queue_tensor() {
    tch::manual_seed(8);
    let keys = Tensor::randn([3, 8], FLOAT).set_requires_grad(true);
    for id in ids() {
        for kind in [Kind::Half, Kind::Float] {
            let queue = Tensor::zeros([4, 8], (kind, Device::Cpu));
            let mut queue_ids = [-1; 4];
            let kernel = enqueue_kernel(&id).unwrap();
            let next = bridge::enqueue(&*kernel, &keys, &[7, 8, 9], &queue, &mut queue_ids, 2).unwrap();
            assert_eq!((next, queue_ids), (1, [9, -1, 7, 8]));
            let unit = (&keys / keys.norm_scalaropt_dim(2, [1].as_slice(), true)).detach();
            let expected = Tensor::zeros([4, 8], FLOAT);
            expected.narrow(0, 2, 2).copy_(&unit.narrow(0, 0, 2));
            expected.narrow(0, 0, 1).copy_(&unit.narrow(0, 2, 1));
            assert_near(&id, &queue.to_kind(Kind::Float), &expected, 5e-4);
        }
    }
}
